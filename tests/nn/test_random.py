"""Noise that is a function of a key: its distribution, its independence, its repeatability."""

import numpy as np
import pytest
import torch
from scipy import stats

from zoo.nn import random
from zoo.nn.random import normal, uniform

N = 20_000
KEYS = {
    "random": torch.randint(2**62, (N,), generator=torch.Generator().manual_seed(0)),
    "consecutive": torch.arange(N),
    "negative": -torch.arange(1, N + 1) * 2**40,
}


def splitmix64(seed: int, count: int) -> list[int]:
    """Steele, Lea, Flood (2014), in whole numbers."""
    numbers = []
    for i in range(1, count + 1):
        z = (seed + i * 0x9E3779B97F4A7C15) % 2**64
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        numbers.append(z ^ (z >> 31))
    return numbers


def test_mix_is_splitmix64():
    # of seed 0, from the reference implementation by S. Vigna
    assert splitmix64(0, 2) == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4]
    for seed in (0, 1, 2**62 + 12345, 2**64 - 1):
        signed = torch.tensor([seed - 2**64 if seed >= 2**63 else seed])
        mixed = random._mix(signed + torch.arange(1, 6) * random.GOLDEN)
        assert [number % 2**64 for number in mixed.tolist()] == splitmix64(seed, 5)


@pytest.mark.parametrize("bits", [-1, 0, 2**63 - 1, -(2**63), (1 << 41) - 1, 1 << 41])
def test_uniform_is_strictly_inside_for_every_bit_pattern(bits, monkeypatch):
    monkeypatch.setattr(random, "_mix", lambda x: torch.full_like(x, bits))
    (number,) = uniform(torch.zeros(1, dtype=torch.int64)).tolist()
    assert 0 < number < 1
    assert number == ((bits % 2**64 >> 41) + 0.5) / 2**23, "exact, not rounded"
    assert normal(torch.zeros(1, dtype=torch.int64)).isfinite().all()


@pytest.mark.parametrize("keys", KEYS)
@pytest.mark.parametrize("stream", [0, 1, 20])
def test_uniform_is_uniform(keys, stream):
    numbers = uniform(KEYS[keys], stream=stream).double().numpy()
    assert abs(numbers.mean() - 1 / 2) < 4 * np.sqrt(1 / 12 / N)
    assert abs(numbers.var() - 1 / 12) < 4 * np.sqrt(1 / 180 / N)
    assert stats.kstest(numbers, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("keys", KEYS)
@pytest.mark.parametrize("stream", [0, 1, 20])
def test_normal_is_normal(keys, stream):
    numbers = normal(KEYS[keys], stream=stream).double().numpy()
    assert abs(numbers.mean()) < 4 * np.sqrt(1 / N)
    assert abs(numbers.var() - 1) < 4 * np.sqrt(2 / N)
    assert stats.kstest(numbers, "norm").pvalue > 1e-3


def test_many_numbers_of_one_key_are_uniform_and_differ():
    numbers = uniform(torch.tensor([7]), N)[0].double().numpy()
    assert stats.kstest(numbers, "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(numbers[1:], numbers[:-1])[0, 1]) < 4 / np.sqrt(N)


@pytest.mark.parametrize("keys", KEYS)
def test_positions_streams_and_neighbouring_keys_are_uncorrelated(keys):
    columns = torch.cat([normal(KEYS[keys], 3, stream=stream) for stream in range(4)], 1)  # (N, 12)
    columns = torch.cat((columns, columns.roll(1, 0)), 1).double().numpy()
    correlation = np.corrcoef(columns.T) - np.eye(24)
    assert np.abs(correlation).max() < 4.5 / np.sqrt(N)


@pytest.mark.parametrize("draw", [uniform, normal])
def test_a_key_gives_its_numbers_in_any_batch(draw):
    keys = KEYS["random"][:17]
    together = draw(keys, 5, 2, stream=3)
    assert together.shape == (17, 5, 2) and together.dtype == torch.float32
    assert torch.equal(torch.cat([draw(key[None], 5, 2, stream=3) for key in keys]), together)
    order = torch.randperm(17, generator=torch.Generator().manual_seed(1))
    assert torch.equal(draw(keys[order], 5, 2, stream=3), together[order])


def test_numbers_do_not_touch_the_global_generator():
    state = torch.get_rng_state()
    normal(KEYS["consecutive"], 2)
    assert torch.equal(torch.get_rng_state(), state)
