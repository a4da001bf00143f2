"""Loaders that send tickets, from which a data module makes the batch on the device."""

from typing import NamedTuple

import pytorch_lightning as pl
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from datamodules.sampling import epoch_batches


class Ticket(NamedTuple):
    """All that a loader sends: which samples of which epoch."""

    split: str
    epoch: int
    index: Tensor


class Tickets(Dataset):
    """Turns what EpochBatches yields into tickets."""

    def __init__(self, split: str):
        self.split = split

    def __getitem__(self, item: tuple[int, Tensor]) -> Ticket:
        return Ticket(self.split, *item)


class ByTicket(pl.LightningDataModule):
    """A data module with `batch_size`, `eval_batch_size` and `seed`, and the two methods here that raise."""

    batch_size: int
    eval_batch_size: int
    seed: int

    def size(self, split: str) -> int:
        """Number of samples of a split."""
        raise NotImplementedError

    def batch(self, split: str, index: Tensor, epoch: int = 0) -> dict[str, Tensor]:
        """Samples of a split, made on the device of the index.

        Args:
            split: train, val or test.
            index: (batch,) int64, positions in the split.
            epoch: of training; validation and test are the same in every epoch.
        """
        raise NotImplementedError

    def on_after_batch_transfer(self, batch: Ticket, dataloader_idx: int) -> dict[str, Tensor]:
        return self.batch(batch.split, batch.index, batch.epoch)

    def _loader(self, split: str) -> DataLoader:
        train = split == "train"
        size = self.batch_size if train else self.eval_batch_size
        batches = epoch_batches(self, self.size(split), size, train=train, seed=self.seed)
        return DataLoader(Tickets(split), sampler=batches, batch_size=None)

    def train_dataloader(self) -> DataLoader:
        return self._loader("train")

    def val_dataloader(self) -> DataLoader:
        return self._loader("val")

    def test_dataloader(self) -> DataLoader:
        return self._loader("test")
