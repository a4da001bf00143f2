"""Catch: nothing but the keys that games are started from; the game itself is part of the agent's loop."""

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from datamodules.files import check_counts
from datamodules.sampling import epoch_batches, generator

# What comes last is not zero: seeds that differ only in zeros at the end are the same seed
TRAIN, HELD_OUT = 1, {"val": 2, "test": 3}


class Episodes(Dataset):
    """Turns what EpochBatches yields into batches of keys.

    Args:
        split: train, val or test.
        size: episodes in an epoch.
        seed: of the training keys; validation and test keys are the same in every epoch of every run.
    """

    def __init__(self, split: str, size: int, seed: int = 0):
        self.split, self.size, self.seed = split, size, seed
        self._table: tuple[int, Tensor] | None = None

    def keys(self, epoch: int) -> Tensor:
        """(size,) int64, of all episodes in one epoch."""
        if self._table is None or (self.split == "train" and self._table[0] != epoch):
            seeds = (self.seed, epoch, TRAIN) if self.split == "train" else (0, 0, HELD_OUT[self.split])
            self._table = epoch, torch.randint(2**62, (self.size,), generator=generator(*seeds))
        return self._table[1]

    def __getitem__(self, item: tuple[int, Tensor]) -> dict[str, Tensor]:
        epoch, index = item
        return {"key": self.keys(epoch)[index]}


class Catch(pl.LightningDataModule):
    """Episodes of Catch. A batch is a dict of ``key`` (batch,) int64, from which all randomness of a game follows.

    Training episodes are fresh every epoch, a function of (seed, epoch, index).

    Args:
        episodes: of one training epoch.
        val_episodes: of the validation set.
        test_episodes: of the test set.
        batch_size: training episodes at once, for each process.
        eval_batch_size: validation and test episodes at once, for each process.
        seed: of the training episodes.
    """

    def __init__(
        self,
        episodes: int = 12_800,
        val_episodes: int = 2000,
        test_episodes: int = 10_000,
        batch_size: int = 128,
        eval_batch_size: int = 1000,
        seed: int = 0,
    ):
        super().__init__()
        check_counts(0, seed=seed)
        check_counts(batch_size=batch_size, eval_batch_size=eval_batch_size)
        check_counts(episodes=episodes, val_episodes=val_episodes, test_episodes=test_episodes)
        self.sizes = {"train": episodes, "val": val_episodes, "test": test_episodes}
        self.batch_size, self.eval_batch_size, self.seed = batch_size, eval_batch_size, seed

    @property
    def spec(self) -> dict:
        """What only the task knows, for the model's constructor: left, stay and right are the classes."""
        return {"num_classes": 3, "channels": 1}

    def _loader(self, split: str) -> DataLoader:
        train, size = split == "train", self.sizes[split]
        batch_size = self.batch_size if train else self.eval_batch_size
        batches = epoch_batches(self, size, batch_size, train=train, seed=self.seed)
        return DataLoader(Episodes(split, size, self.seed), sampler=batches, batch_size=None)

    def train_dataloader(self) -> DataLoader:
        return self._loader("train")

    def val_dataloader(self) -> DataLoader:
        return self._loader("val")

    def test_dataloader(self) -> DataLoader:
        return self._loader("test")
