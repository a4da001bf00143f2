"""Caltech-UCSD Birds 200-2011 from its published folder: 200 kinds of birds, the label of each picture and no boxes."""

from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from datamodules.files import DataError, check_counts, read_file
from datamodules.sampling import epoch_batches, generator

LISTS = ("images.txt", "image_class_labels.txt", "train_test_split.txt", "classes.txt")


def read_list(path: Path) -> dict[int, str]:
    """A published list: on each line a number and what belongs to it."""
    found = {}
    for number, line in enumerate(read_file(path).decode(errors="replace").splitlines(), 1):
        key, _, value = line.strip().partition(" ")
        if not key.isdigit() or not value:
            raise DataError(f"{path}: line {number} is {line[:40]!r}; expected a number and what belongs to it")
        found[int(key)] = value
    return found


def read_cub(root: str | None) -> tuple[dict[str, list[tuple[Path, int]]], list[str]]:
    """Files and labels, from 0, of the training and the test pictures, and the names of the classes."""
    if root is None:
        raise DataError(f"say where CUB-200-2011 is: data.root=<folder with {', '.join(LISTS)} and images/>")
    folder = Path(root)
    images, labels, training, classes = (read_list(folder / name) for name in LISTS)
    numbers = {key: i for i, key in enumerate(sorted(classes))}
    found: dict[str, list[tuple[Path, int]]] = {"train": [], "test": []}
    for key, file in images.items():
        label = labels.get(key, "")
        if key not in training or not label.isdigit() or int(label) not in numbers:
            raise DataError(f"{folder}: picture {key} has no class or is in no split; its lists do not belong together")
        found["train" if training[key] == "1" else "test"].append((folder / "images" / file, numbers[int(label)]))
    return found, [classes[key] for key in sorted(classes)]


class Pictures(Dataset):
    """Whole batches of crops: the shorter side is scaled to `shorter` pixels.

    In training a crop lies anywhere and may be mirrored, a function of (seed, epoch, index); otherwise in the middle.
    """

    def __init__(self, files: list[tuple[Path, int]], size: int, shorter: int, train: bool, seed: int):
        self.files, self.size, self.shorter, self.train, self.seed = files, size, shorter, train, seed

    def __getitem__(self, item: tuple[int, Tensor]) -> dict[str, Tensor]:
        epoch, index = item
        places = [self.place(epoch, i) for i in index.tolist()]
        pictures = [self.read(self.files[i][0], *place) for i, place in zip(index.tolist(), places, strict=True)]
        labels = torch.tensor([self.files[i][1] for i in index.tolist()])
        return {"image": torch.stack(pictures).float() / 255, "label": labels, "key": index + epoch * len(self.files)}

    def place(self, epoch: int, index: int) -> tuple[float, float, bool]:
        """Where a crop lies, in shares of what is free, and whether it is mirrored."""
        if not self.train:
            return 0.5, 0.5, False
        x, y, mirror = torch.rand(3, generator=generator(self.seed, epoch, index, 9)).tolist()
        return x, y, mirror < 0.5

    def read(self, path: Path, x: float, y: float, mirror: bool) -> Tensor:
        """(3, size, size) uint8."""
        try:
            with Image.open(path) as image:
                scale = self.shorter / min(image.size)
                wide, high = (max(self.shorter, round(side * scale)) for side in image.size)
                scaled = image.convert("RGB").resize((wide, high), Image.Resampling.BILINEAR)
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: cannot be read as a picture ({error})") from None
        left, top = int(x * (wide - self.size + 1)), int(y * (high - self.size + 1))
        array = np.asarray(scaled)[top : top + self.size, left : left + self.size]
        return torch.from_numpy((array[:, ::-1] if mirror else array).copy()).permute(2, 0, 1)


class CUB(pl.LightningDataModule):
    """CUB-200-2011 with its published training and test pictures, the former without those held out for validation.

    A batch is a dict of ``image`` (batch, 3, size, size) float32 in [0, 1], ``label`` (batch,) int64 and ``key``
    (batch,) int64. Pictures are read and scaled by the workers.

    Args:
        root: the published folder CUB_200_2011.
        size: of the crops in pixels, 224 or 448 in the paper.
        shorter: pixels that the shorter side of a picture is scaled to; null for 256 / 224 of the size.
        validation: training pictures that are held out, drawn from a fixed seed (the paper holds out none).
        batch_size, eval_batch_size: for each process.
        workers: processes that read pictures.
        seed: of the order and the crops of training.
        limit: use only the first so many samples of each split.
    """

    def __init__(
        self,
        root: str | None = None,
        size: int = 448,
        shorter: int | None = None,
        validation: int = 594,
        batch_size: int = 32,
        eval_batch_size: int = 32,
        workers: int = 8,
        seed: int = 0,
        limit: int | None = None,
    ):
        super().__init__()
        check_counts(
            size=size, validation=validation, batch_size=batch_size, eval_batch_size=eval_batch_size, limit=limit
        )
        self.root, self.side, self.shorter = root, size, shorter or round(size * 256 / 224)
        if self.shorter < size:
            raise DataError(f"shorter is {shorter}; a crop of {size} pixels does not fit")
        self.validation, self.batch_size, self.eval_batch_size = validation, batch_size, eval_batch_size
        self.workers, self.seed, self.limit = workers, seed, limit
        self.files: dict[str, list[tuple[Path, int]]] = {}

    @property
    def spec(self) -> dict:
        """What only the data knows, for the model's constructor."""
        return {"channels": 3, "num_classes": 200}

    def setup(self, stage: str | None = None) -> None:
        if self.files:
            return
        found, classes = read_cub(self.root)
        if len(classes) != self.spec["num_classes"]:
            raise DataError(f"{self.root}: has {len(classes)} classes; expected 200")
        whole = found["train"]
        if len(whole) <= self.validation or not found["test"]:
            counts = f"only {len(whole)} training and {len(found['test'])} test pictures"
            raise DataError(f"{self.root}: validation is {self.validation} of {counts}")
        held = set(torch.randperm(len(whole), generator=generator(0, 0, 1))[: self.validation].tolist())
        self.files = {
            "train": [entry for i, entry in enumerate(whole) if i not in held],
            "val": [entry for i, entry in enumerate(whole) if i in held],
            "test": found["test"],
        }

    def size(self, split: str) -> int:
        """Number of samples of a split."""
        return min(len(self.files[split]), self.limit or len(self.files[split]))

    def _loader(self, split: str) -> DataLoader:
        train = split == "train"
        batches = epoch_batches(
            self, self.size(split), self.batch_size if train else self.eval_batch_size, train=train, seed=self.seed
        )
        pictures = Pictures(self.files[split], self.side, self.shorter, train, self.seed)
        return DataLoader(
            pictures, sampler=batches, batch_size=None, num_workers=self.workers, pin_memory=torch.cuda.is_available()
        )

    def train_dataloader(self) -> DataLoader:
        return self._loader("train")

    def val_dataloader(self) -> DataLoader:
        return self._loader("val")

    def test_dataloader(self) -> DataLoader:
        return self._loader("test")
