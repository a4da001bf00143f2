"""Which samples a batch holds: a permutation an epoch, the same for one process, for several, and after a stop."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from datamodules.sampling import EpochBatches, generator

relaxed = settings(deadline=None, max_examples=40, derandomize=True)


def batches(size, batch_size, epoch=0, **arguments):
    sampler = EpochBatches(size, batch_size, **arguments)
    sampler.set_epoch(epoch)
    found = list(sampler)
    assert len(found) == len(sampler) or "skip" in arguments
    assert all(number == epoch for number, _ in found)
    return [index.tolist() for _, index in found]


def test_generators_of_different_numbers_differ_and_of_the_same_agree():
    seeds = [(0,), (1,), (0, 1), (1, 1), (0, 0, 1), (2**40, 3)]
    states = [generator(*numbers).initial_seed() for numbers in seeds]
    assert len(set(states)) == len(seeds)
    assert states == [generator(*numbers).initial_seed() for numbers in seeds]


@relaxed
@given(st.integers(1, 60), st.integers(1, 9), st.integers(0, 5), st.integers(0, 5))
def test_an_epoch_holds_each_sample_at_most_once_in_full_batches(size, batch_size, seed, epoch):
    found = batches(size, batch_size, epoch, shuffle=True, seed=seed)
    drawn = list(itertools.chain(*found))
    assert len(drawn) == len(set(drawn)) and set(drawn) <= set(range(size))
    if size >= batch_size:
        assert {len(batch) for batch in found} == {batch_size}
        assert len(drawn) > size - batch_size, "less than one batch is left out"


def test_order_is_new_every_epoch_and_every_seed_and_repeatable():
    orders = [batches(50, 10, epoch, shuffle=True, seed=seed) for seed in range(3) for epoch in range(3)]
    assert all(a != b for a, b in itertools.combinations(orders, 2))
    assert orders[4] == batches(50, 10, 1, shuffle=True, seed=1)


def test_order_does_not_depend_on_the_global_generator_nor_on_history():
    sampler = EpochBatches(20, 5, shuffle=True, seed=3)
    sampler.set_epoch(2)
    first = [index.tolist() for _, index in sampler]
    torch.manual_seed(99)
    assert [index.tolist() for _, index in sampler] == first == batches(20, 5, 2, shuffle=True, seed=3)


def test_every_sample_is_equally_likely_in_every_place():
    first = torch.tensor([batches(5, 5, epoch, shuffle=True)[0] for epoch in range(2000)])
    counts = torch.nn.functional.one_hot(first).sum(0)  # (place, sample)
    assert ((counts - 400).abs() < 4.5 * (2000 * 0.2 * 0.8) ** 0.5).all()


@relaxed
@given(st.integers(1, 40), st.integers(1, 9))
def test_evaluation_takes_all_samples_in_order_in_every_epoch(size, batch_size):
    for epoch in (0, 3):
        assert list(itertools.chain(*batches(size, batch_size, epoch, shuffle=False, seed=epoch))) == list(range(size))


@relaxed
@given(st.integers(12, 60), st.integers(1, 4), st.integers(1, 3), st.integers(0, 3))
def test_joint_training_batches_of_several_processes_are_those_of_one(size, batch_size, world, epoch):
    one = batches(size, batch_size * world, epoch, shuffle=True, seed=1)
    ranks = [batches(size, batch_size, epoch, shuffle=True, seed=1, rank=rank, world=world) for rank in range(world)]
    for joint, parts in zip(one, zip(*ranks, strict=True), strict=True):
        assert sorted(joint) == sorted(itertools.chain(*parts))
        assert {len(part) for part in parts} == {batch_size}


@pytest.mark.parametrize("size", [3, 7, 9, 10])
@pytest.mark.parametrize("world", [1, 2, 3])
def test_processes_together_test_each_sample_exactly_once(size, world):
    ranks = [batches(size, 2, shuffle=False, rank=rank, world=world) for rank in range(world)]
    assert sorted(itertools.chain(*itertools.chain(*ranks))) == list(range(size))


@relaxed
@given(st.integers(0, 6), st.integers(1, 2))
def test_skip_goes_on_where_the_interrupted_epoch_stopped(skip, world):
    arguments = {"shuffle": True, "seed": 5, "world": world, "rank": world - 1}
    whole = batches(24 * world, 4, 3, **arguments)
    assert len(whole) == 6
    assert batches(24 * world, 4, 3, skip=lambda: skip, **arguments) == whole[skip:]


def test_skip_is_asked_anew_for_every_epoch():
    answers = iter([2, 0])
    sampler = EpochBatches(20, 5, shuffle=True, skip=lambda: next(answers))
    assert len(list(sampler)) == 2 and len(list(sampler)) == 4
