"""Whole house numbers of SVHN: pictures of one to five digits, and what they say, digit by digit."""

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from datamodules.files import DataError, check_counts
from datamodules.sampling import generator
from datamodules.svhn import BOXES, cut, read_numbers
from datamodules.tickets import ByTicket

MARGIN = 0.3  # of the tight crop of 64 pixels: the box around all digits is widened by so much of its side
DIGITS, NONE = 5, 10  # a number has at most so many digits; what stands after the last of them


def margin_of(size: int) -> float:
    """A crop of another size shows the digits as large as that of 64 pixels does, and more or less around them."""
    return size / 64 * (1 + MARGIN) - 1


def labels_of(digits: list[int]) -> list[int]:
    """The digits and NONE after them; in the published files 0 is 10."""
    return [digit % 10 for digit in digits] + [NONE] * (DIGITS - len(digits))


def read_folders(root: str | None, names: tuple[str, ...], size: int) -> tuple[Tensor, Tensor]:
    """Crops (n, 3, size, size) uint8 and labels (n, 5) int64 of the folders that are there, the first of which must be.

    A number of more than five digits (the published training set has one) is left out.
    """
    if root is None:
        raise DataError(f"say where SVHN is: data.root=<folder with train/{BOXES}, test/{BOXES} and the pictures>")
    folders = [Path(root) / name for name in names]
    folders = [folder for folder in folders if folder == folders[0] or folder.is_dir()]
    found = [(folder / n.file, n.box, n.digits) for folder in folders for n in read_numbers(folder / BOXES)]
    found = [entry for entry in found if len(entry[2]) <= DIGITS]
    pictures = torch.empty(len(found), size, size, 3, dtype=torch.uint8)
    for i, (path, box, _) in enumerate(found):
        try:
            with Image.open(path) as image:
                pictures[i] = torch.from_numpy(cut(image, box, size, margin_of(size)).copy())
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: cannot be read as a picture ({error})") from None
    labels = torch.tensor([labels_of(digits) for *_, digits in found], dtype=torch.int64).view(-1, DIGITS)
    return pictures.permute(0, 3, 1, 2).contiguous(), labels


class HouseNumbers(ByTicket):
    """SVHN's full numbers, kept on the device (2.9 GB at 64 pixels, 11.6 GB at 128).

    A batch is a dict of ``image`` (batch, 3, size, size) float32 in [0, 1], ``label`` (batch, 5) int64, 10 after the
    last digit, and ``key`` (batch,) int64.

    Args:
        root: folder with train, test and, if it is to be used, extra, each with its pictures and digitStruct.mat.
        size: of the crop around a number in pixels; 64 is tight, and 128 shows twice as much.
        validation: training numbers that are held out, drawn from a fixed seed.
        batch_size, eval_batch_size: for each process.
        seed: of the order of training.
        limit: use only the first so many samples of each split.
    """

    def __init__(
        self,
        root: str | None = None,
        size: int = 64,
        validation: int = 5000,
        batch_size: int = 128,
        eval_batch_size: int = 500,
        seed: int = 0,
        limit: int | None = None,
    ):
        super().__init__()
        check_counts(
            size=size, validation=validation, batch_size=batch_size, eval_batch_size=eval_batch_size, limit=limit
        )
        self.root, self.side, self.validation, self.seed = root, size, validation, seed
        self.batch_size, self.eval_batch_size, self.limit = batch_size, eval_batch_size, limit
        self.parts: dict[str, tuple[Tensor, Tensor]] = {}

    @property
    def spec(self) -> dict:
        """What only the data knows, for the model's constructor."""
        return {"channels": 3, "digits": DIGITS, "num_classes": NONE + 1}

    def setup(self, stage: str | None = None) -> None:
        if self.parts:
            return
        pictures, labels = read_folders(self.root, ("train", "extra"), self.side)
        if len(labels) <= self.validation:
            raise DataError(f"{self.root}: validation is {self.validation} of only {len(labels)} training pictures")
        order = torch.randperm(len(labels), generator=generator(0, 0, 1))
        for split, index in (("val", order[: self.validation]), ("train", order[self.validation :])):
            index = index.sort().values
            self.parts[split] = pictures[index], labels[index]
        self.parts["test"] = read_folders(self.root, ("test",), self.side)

    def size(self, split: str) -> int:
        return min(len(self.parts[split][1]), self.limit or len(self.parts[split][1]))

    def batch(self, split: str, index: Tensor, epoch: int = 0) -> dict[str, Tensor]:
        pictures, labels = self.parts[split]
        if pictures.device != index.device:
            pictures, labels = self.parts[split] = pictures.to(index.device), labels.to(index.device)
        key = index + (1 + epoch if split == "train" else 0) * len(labels)
        return {"image": pictures[index].float() / 255, "label": labels[index], "key": key}
