"""Catch episodes: which keys a batch holds."""

import torch

from datamodules.catch import Catch, Episodes


def keys(loader, epoch=0):
    loader.sampler.set_epoch(epoch)
    return [batch["key"] for batch in loader]


def small(**arguments):
    return Catch(
        **{"episodes": 20, "val_episodes": 11, "test_episodes": 11, "batch_size": 4, "eval_batch_size": 4} | arguments
    )


def test_batches_are_int64_keys():
    batches = keys(small().train_dataloader())
    assert [(key.shape, key.dtype) for key in batches] == [((4,), torch.int64)] * 5


def test_training_keys_follow_from_seed_and_epoch():
    def first(seed, epoch):
        return keys(small(seed=seed).train_dataloader(), epoch)[0].tolist()

    assert first(0, 1) == first(0, 1)
    drawn = [key for seed in range(3) for epoch in range(3) for key in first(seed, epoch)]
    assert len(set(drawn)) == len(drawn)


def test_held_out_keys_are_fixed_and_of_their_own():
    for name in ("val_dataloader", "test_dataloader"):
        one, other = (torch.cat(keys(getattr(small(seed=seed), name)(), epoch)) for seed, epoch in ((0, 0), (5, 3)))
        assert torch.equal(one, other) and len(one) == 11
    held_out = torch.cat([Episodes(split, 1000).keys(0) for split in ("val", "test")])
    # numpy's SeedSequence ignores zeros at the end, so small seeds and epochs are those that might collide
    trained = torch.cat([Episodes("train", 1000, seed).keys(epoch) for seed in range(4) for epoch in range(4)])
    assert len(torch.cat((held_out, trained)).unique()) == len(held_out) + len(trained)


def test_an_epoch_gives_every_key_once():
    data = small(batch_size=5)
    assert torch.equal(torch.cat(keys(data.train_dataloader())).sort()[0], Episodes("train", 20).keys(0).sort()[0])


def test_spec_is_what_the_model_asks_for():
    assert small().spec == {"num_classes": 3, "channels": 1}
