"""Which samples a batch holds, as a function of (seed, epoch, batch) and of nothing that a worker remembers."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import Sampler


def generator(*seeds: int) -> torch.Generator:
    """A CPU generator that depends on all of the given non-negative numbers."""
    state = np.random.SeedSequence(seeds).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state[0] >> 1))


class EpochBatches(Sampler[tuple[int, Tensor]]):
    """Yields (epoch, indices) for a DataLoader with ``batch_size=None``.

    When it shuffles, `batch_size` samples go to each of `world` processes, which together hold consecutive stretches of
    one permutation; the remainder that would not fill a joint batch is left out. Otherwise each process takes every
    `world`-th sample and nothing is padded, so that no sample counts twice.

    Args:
        size: number of samples.
        shuffle: a new permutation each epoch, a function of (seed, epoch).
        skip: asked at the start of an epoch: how many of its batches an interrupted run has already seen.
    """

    def __init__(
        self,
        size: int,
        batch_size: int,
        *,
        shuffle: bool,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
        skip: Callable[[], int] = lambda: 0,
    ):
        self.size, self.batch_size, self.shuffle, self.seed = size, batch_size, shuffle, seed
        self.rank, self.world, self.skip, self.epoch = rank, world, skip, 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this at the start of every epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        if self.shuffle:
            return max(1, self.size // (self.batch_size * self.world))
        return -(-len(range(self.rank, self.size, self.world)) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[int, Tensor]]:
        order = torch.arange(self.size)
        if self.shuffle:
            order = torch.randperm(self.size, generator=generator(self.seed, self.epoch, 2))
            order = order[: len(self) * self.batch_size * self.world]
        mine = order[self.rank :: self.world].split(self.batch_size)
        for indices in mine[self.skip() : len(self)]:
            yield self.epoch, indices


def epoch_batches(
    datamodule: LightningDataModule, size: int, batch_size: int, *, train: bool, seed: int = 0
) -> EpochBatches:
    """The batches of one process, as the trainer of the datamodule says; of the only process where there is none.

    Args:
        datamodule: whose trainer knows the process and how far an interrupted epoch has come.
        size, batch_size, seed: see :class:`EpochBatches`.
        train: shuffled and resumable; otherwise in order.
    """
    trainer = datamodule.trainer
    if trainer is None:
        return EpochBatches(size, batch_size, shuffle=train, seed=seed)
    return EpochBatches(
        size,
        batch_size,
        shuffle=train,
        seed=seed,
        rank=trainer.global_rank,
        world=trainer.world_size,
        skip=lambda: trainer.fit_loop.epoch_loop.batch_progress.current.ready if train else 0,
    )
