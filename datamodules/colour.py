"""Colour pictures for models that paint: CIFAR-10, and the house numbers of SVHN, from local folders.

Both are read as published, and nothing is unpickled: CIFAR-10 in its binary version (`cifar-10-batches-bin`), SVHN in
its first format, the full numbers with `digitStruct.mat`.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from datamodules.files import DataError, check_counts, read_file
from datamodules.sampling import generator
from datamodules.scenes import below
from datamodules.svhn import SIDE, read_svhn
from datamodules.tickets import ByTicket

HELD_OUT = {"val": 1, "test": 2}  # seeds of the keys
RECORD = 1 + 3 * 32 * 32  # bytes of a picture in CIFAR-10's binary version: its label, then red, green and blue


def read_cifar10(root: str | None, names: list[str]) -> Tensor:
    """Pictures of the named files of CIFAR-10's binary version: (n, 3, 32, 32) uint8."""
    if root is None:
        raise DataError("say where CIFAR-10 is: data.root=<folder with data_batch_1.bin and the others>")
    parts = []
    for name in names:
        path = Path(root) / name
        data = read_file(path)
        if not data or len(data) % RECORD:
            raise DataError(f"{path}: truncated, its {len(data)} bytes are no multiple of {RECORD}")
        records = np.frombuffer(data, np.uint8).reshape(-1, RECORD)
        if records[:, 0].max() > 9:
            raise DataError(f"{path}: altered, or not CIFAR-10's binary version (a label is {records[:, 0].max()})")
        parts.append(torch.from_numpy(records[:, 1:].reshape(-1, 3, 32, 32).copy()))
    return torch.cat(parts)


class Colour(ByTicket):
    """Colour pictures, kept and cropped on the device.

    A batch is a dict of ``image`` (batch, 3, size, size) float32 in [0, 1] and ``key`` (batch,) int64, from which a
    model draws the noise of that sample. Training crops are fresh every epoch, a function of (seed, epoch, index);
    validation and test crops are the centres.

    Args:
        corpus: "cifar10", or "svhn" for house numbers of 64 x 64 pixels around the digits (Goodfellow et al. 2014).
        root: folder with data_batch_1.bin to data_batch_5.bin and test_batch.bin; or with the folders train, test and,
            if it is to be used, extra, each with its pictures and digitStruct.mat.
        size: side of the crop; 32 keeps all of CIFAR-10, the DRAW paper has 54 of SVHN.
        validation: training pictures that are held out, drawn from a fixed seed.
        batch_size: training batch for each process.
        eval_batch_size: validation and test batch for each process.
        seed: of the order and the crops of training.
        limit: use only the first so many samples of each split.
    """

    def __init__(
        self,
        corpus: str = "cifar10",
        root: str | None = None,
        size: int = 32,
        validation: int = 5000,
        batch_size: int = 100,
        eval_batch_size: int = 500,
        seed: int = 0,
        limit: int | None = None,
    ):
        super().__init__()
        if corpus not in ("cifar10", "svhn"):
            raise DataError(f"corpus is {corpus!r}, not 'cifar10' or 'svhn'")
        check_counts(
            size=size, validation=validation, batch_size=batch_size, eval_batch_size=eval_batch_size, limit=limit
        )
        if size > (whole := SIDE if corpus == "svhn" else 32):
            raise DataError(f"size is {size}; a picture of {corpus} has {whole} pixels a side")
        self.corpus, self.root, self.crop, self.validation, self.seed = corpus, root, size, validation, seed
        self.batch_size, self.eval_batch_size, self.limit = batch_size, eval_batch_size, limit
        self.pictures: dict[str, Tensor] = {}
        self._tables: dict[str, tuple[int, Tensor, Tensor]] = {}

    @property
    def spec(self) -> dict:
        """What only the data knows, for the model's constructor."""
        return {"channels": 3}

    def setup(self, stage: str | None = None) -> None:
        if self.pictures:
            return
        if self.corpus == "svhn":
            whole, test = read_svhn(self.root, ("train", "extra")), read_svhn(self.root, ("test",))
        else:
            whole = read_cifar10(self.root, [f"data_batch_{i}.bin" for i in range(1, 6)])
            test = read_cifar10(self.root, ["test_batch.bin"])
        if len(whole) <= self.validation:
            raise DataError(f"{self.root}: validation is {self.validation} of only {len(whole)} training pictures")
        order = torch.randperm(len(whole), generator=generator(0, 0, 1))
        val, train = (part.sort().values for part in order.split([self.validation, len(whole) - self.validation]))
        self.pictures = {"train": whole[train], "val": whole[val], "test": test}

    def size(self, split: str) -> int:
        """Number of samples of a split."""
        return min(len(self.pictures[split]), self.limit or len(self.pictures[split]))

    def _random(self, split: str, epoch: int) -> tuple[Tensor, Tensor]:
        """Keys (n,) and places of the crops (n, 2), in [0, 1), of all samples of a split in one epoch."""
        if split not in self._tables or self._tables[split][0] != epoch:
            random = generator(HELD_OUT[split]) if split in HELD_OUT else generator(self.seed, epoch, 1)
            size = len(self.pictures[split])
            key, place = torch.randint(2**62, (size,), generator=random), torch.rand(size, 2, generator=random)
            self._tables[split] = epoch, key, place
        return self._tables[split][1:]

    def batch(self, split: str, index: Tensor, epoch: int = 0) -> dict[str, Tensor]:
        self._random(split, epoch if split == "train" else 0)
        if self.pictures[split].device != index.device:
            self.pictures[split] = self.pictures[split].to(index.device)
        self._tables = {k: (e, key.to(index.device), at.to(index.device)) for k, (e, key, at) in self._tables.items()}
        _, key, place = self._tables[split]
        pictures = self.pictures[split][index]
        free = pictures.shape[-1] - self.crop
        corner = below(place[index], free + 1) if split == "train" else torch.full_like(place[index], free // 2).long()
        steps = torch.arange(self.crop, device=index.device)
        y, x = (corner[:, axis, None] + steps for axis in (0, 1))  # (batch, size)
        rows = pictures.gather(2, y[:, None, :, None].expand(-1, 3, -1, pictures.shape[-1]))
        image = rows.gather(3, x[:, None, None].expand(-1, 3, self.crop, -1))
        return {"image": image.float() / 255, "key": key[index]}
