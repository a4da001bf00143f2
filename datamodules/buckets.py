"""Batches of sentences of like length, by tokens or by sentences, as a function of (seed, epoch) alone."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from datamodules.files import DataError
from datamodules.sampling import InOrder, check_shares, generator


class Share(NamedTuple):
    """One process's part of a joint batch."""

    index: Tensor  # (batch,) positions in the split
    tokens: float  # target tokens of the joint batch, divided by the number of processes
    sentences: float  # likewise


class Buckets(InOrder):
    """Sorts by target length, then roughly by source length, then at random, and cuts into batches; shuffles these.

    Where the cuts are depends on the target lengths alone, so every epoch has as many batches. All processes cut the
    same joint batches, and each takes every `world`-th sentence: nothing is seen twice, and a loss divided by the
    `tokens` or `sentences` of a share has, averaged over the processes, the gradient of the joint batch.

    Args:
        source, target: (n,) lengths in tokens.
        batch_tokens: padded target tokens of a batch, for each process; or
        batch_size: sentences of a batch, for each process.
        skip: asked at the start of an epoch: how many of its batches an interrupted run has already seen.
        overfit: whether every epoch has the batches of the first.
    """

    def __init__(
        self,
        source: np.ndarray,
        target: np.ndarray,
        *,
        batch_tokens: int | None = None,
        batch_size: int | None = None,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
        skip: Callable[[], int] = lambda: 0,
        overfit: bool = False,
    ):
        super().__init__(overfit)
        check_shares(len(target), world)
        if (batch_tokens is None) == (batch_size is None):
            raise DataError("give one of batch_tokens and batch_size")
        self.source, self.target, self.seed = source, target, seed
        self.rank, self.world, self.skip = rank, world, skip
        self.cuts = self._cut(np.sort(target), batch_tokens and batch_tokens * world, batch_size and batch_size * world)

    def _cut(self, lengths: np.ndarray, tokens: int | None, size: int | None) -> list[tuple[int, int]]:
        cuts, start = [], 0
        while len(lengths) - start >= self.world:
            if size:
                end = start + size
            else:  # a batch is as wide as its last sentence: the most sentences with count * width <= tokens
                count = np.arange(1, min(tokens, len(lengths) - start) + 1)
                fits = count * lengths[start : start + len(count)] <= tokens
                end = start + max(self.world, int(fits.sum()))
            if len(lengths) - end < self.world:  # too few would be left for another batch
                end = len(lengths)
            cuts.append((start, end))
            start = end
        return cuts

    def __len__(self) -> int:
        return len(self.cuts)

    def __iter__(self) -> Iterator[Share]:
        random = generator(self.seed, self.epoch, 3)
        tie = torch.randperm(len(self.target), generator=random).numpy()
        order = np.lexsort((tie, self.source // 4, self.target))
        for number in torch.randperm(len(self.cuts), generator=random).tolist()[self.skip() :]:
            start, end = self.cuts[number]
            joint = order[start:end]
            tokens = float(self.target[joint].sum()) / self.world
            mine = torch.from_numpy(joint[self.rank :: self.world].copy())
            yield Share(mine, tokens, len(joint) / self.world)
