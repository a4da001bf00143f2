"""Which samples a batch holds, as a function of (seed, epoch, batch) and of nothing that a worker remembers."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import SequentialSampler

from datamodules.files import DataError


def generator(*seeds: int) -> torch.Generator:
    """A CPU generator that depends on all of the given non-negative numbers."""
    state = np.random.SeedSequence(seeds).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state[0] >> 1))


def check_shares(size: int, world: int) -> None:
    """Raises DataError where a process would have nothing to do, for which the others would wait."""
    if size < world:
        raise DataError(f"{size} sample{'s' * (size != 1)} cannot be shared out to {world} processes")


class InOrder(SequentialSampler):
    """A sampler whose order is fixed: Lightning must not put another in its place when it is to overfit a few batches.

    Args:
        overfit: whether every epoch is the first.
    """

    def __init__(self, overfit: bool = False):
        self.epoch, self.overfit = 0, overfit

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this at the start of every epoch."""
        self.epoch = 0 if self.overfit else epoch


class EpochBatches(InOrder):
    """Yields (epoch, indices) for a DataLoader with ``batch_size=None``.

    When it shuffles, `batch_size` samples go to each of `world` processes, which together hold consecutive stretches of
    one permutation; the remainder that would not fill a joint batch is left out. Otherwise each process takes every
    `world`-th sample and nothing is padded, so that no sample counts twice.

    Args:
        size: number of samples.
        shuffle: a new permutation each epoch, a function of (seed, epoch).
        skip: asked at the start of an epoch: how many of its batches an interrupted run has already seen.
        overfit: whether every epoch has the order of the first.
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
        overfit: bool = False,
    ):
        super().__init__(overfit)
        check_shares(size, world)
        self.size, self.batch_size, self.shuffle, self.seed = size, batch_size, shuffle, seed
        self.rank, self.world, self.skip = rank, world, skip

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
        overfit=trainer.overfit_batches > 0,
    )
