"""What data modules of sentences share: ids in one row, and loaders of batches of like length."""

from array import array
from collections.abc import Iterable

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset, Sampler

from datamodules.buckets import Buckets, Share
from datamodules.sampling import EpochBatches
from datamodules.tokens import PAD


class Side:
    """The sentences of one side of a split as one row of ids, four bytes each: WMT14 has 10^9 of them."""

    def __init__(self, sentences: Iterable[list[int]] = ()):
        self.ids, self.start = array("i"), array("q", [0])
        for sentence in sentences:
            self.append(sentence)

    def append(self, sentence: list[int]) -> None:
        self.ids.extend(sentence)
        self.start.append(len(self.ids))

    @property
    def length(self) -> np.ndarray:
        """Of each sentence in ids: (n,) int64."""
        return np.diff(self.start)

    def __getitem__(self, index: int) -> Tensor:
        return torch.from_numpy(np.array(self.ids[self.start[index] : self.start[index + 1]], np.int64))

    def rows(self, index: Tensor) -> Tensor:
        """The sentences of the given positions, padded at the end: (batch, longest)."""
        return pad_sequence([self[i] for i in index.tolist()], batch_first=True, padding_value=PAD)


class Bucketed(Dataset):
    """A split whose items are batches, ``split[Share]``."""

    def lengths(self) -> tuple[np.ndarray, np.ndarray]:
        """What batches are sorted by and what counts as their tokens: of source and target, each (n,)."""
        raise NotImplementedError


class ByLength(EpochBatches):
    """Batches for evaluation: every sentence once, the longest source last, each process every world-th."""

    def __init__(self, source: np.ndarray, target: np.ndarray, batch_size: int, rank: int, world: int):
        super().__init__(len(source), batch_size, shuffle=False, rank=rank, world=world)
        self.order, self.target = torch.from_numpy(source.argsort(kind="stable")), target

    def __iter__(self):
        for _, positions in super().__iter__():
            index = self.order[positions]
            yield Share(index, float(self.target[index.numpy()].sum()), float(len(index)))


class Sentences(pl.LightningDataModule):
    """A data module with `batch_size` or `batch_tokens`, `eval_batch_size`, `seed` and the method :meth:`split`."""

    batch_size: int | None
    batch_tokens: int | None = None
    eval_batch_size: int
    seed: int

    def split(self, split: str) -> Bucketed:
        """A split in ids: train, val or test."""
        raise NotImplementedError

    def learned(self) -> Bucketed:
        """The split that the training loader gives."""
        return self.split("train")

    def _processes(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def train_dataloader(self) -> DataLoader:
        split, (rank, world) = self.learned(), self._processes()
        batches = Buckets(
            *split.lengths(),
            batch_tokens=None if self.batch_size else self.batch_tokens,
            batch_size=self.batch_size,
            seed=self.seed,
            rank=rank,
            world=world,
            skip=lambda: self.trainer.fit_loop.epoch_loop.batch_progress.current.ready if self.trainer else 0,
            overfit=self.trainer is not None and self.trainer.overfit_batches > 0,
        )
        return self._loader(split, batches)

    @staticmethod
    def _loader(split: Bucketed, batches: Sampler) -> DataLoader:
        # pinned memory goes to a device while it computes
        return DataLoader(split, sampler=batches, batch_size=None, pin_memory=torch.cuda.is_available())

    def _eval_dataloader(self, name: str) -> DataLoader:
        split = self.split(name)
        batches = ByLength(*split.lengths(), self.eval_batch_size, *self._processes())
        return self._loader(split, batches)

    def val_dataloader(self) -> DataLoader:
        return self._eval_dataloader("val")

    def test_dataloader(self) -> DataLoader:
        return self._eval_dataloader("test")
