"""Street View House Numbers in the first published format: pictures of any size, and the boxes of their digits."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from datamodules.files import DataError

SIDE = 64  # of what is cut around a number
MARGIN = 0.3  # the box around all digits is widened by so much of its side (Goodfellow et al. 2014)
BOXES = "digitStruct.mat"


class Number(NamedTuple):
    """A picture in digitStruct.mat."""

    file: str
    box: tuple[float, float, float, float]  # around all digits, as (left, top, right, bottom)
    digits: list[int]  # from left to right, 10 for 0


def read_boxes(path: Path) -> list[tuple[str, tuple[float, float, float, float]]]:
    """Of each picture in digitStruct.mat: its file, and the box around all digits as (left, top, right, bottom)."""
    return [(number.file, number.box) for number in read_numbers(path)]


def read_numbers(path: Path) -> list[Number]:
    """Every picture in digitStruct.mat; raises DataError, naming the file, for what is not one."""
    try:
        import h5py
    except ImportError:
        raise DataError(f"{path}: a MATLAB file of version 7.3; pip install h5py to read it") from None
    if not path.exists():
        raise DataError(f"{path}: there is no such file")
    try:
        with h5py.File(path) as file:

            def numbers(group: "h5py.Group", name: str) -> np.ndarray:
                """One number for each digit; those of several digits stand elsewhere."""
                table = group[name][()].ravel()
                return np.array([file[each][()].item() for each in table] if table.dtype == object else table, float)

            found = []
            for name, box in zip(*(file["digitStruct"][key][()].ravel() for key in ("name", "bbox")), strict=True):
                left, top, width, height = (numbers(file[box], key) for key in ("left", "top", "width", "height"))
                edges = left.min(), top.min(), (left + width).max(), (top + height).max()
                digits = numbers(file[box], "label").astype(int).tolist()
                if not all(1 <= digit <= 10 for digit in digits):
                    raise ValueError(f"a label is not one of 1 to 10: {digits}")
                name = "".join(map(chr, file[name][()].ravel()))
                found.append(Number(name, tuple(map(float, edges)), digits))
            return found
    except (OSError, KeyError, ValueError, AttributeError, TypeError) as error:
        raise DataError(f"{path}: truncated, altered or not SVHN's ({error})") from None


def cut(
    image: Image.Image, box: tuple[float, float, float, float], side: int = SIDE, margin: float = MARGIN
) -> np.ndarray:
    """The box, widened by a share of its side and at most the picture, scaled to (side, side, 3) uint8."""
    left, top, right, bottom = box
    wide, high = (right - left) * margin / 2, (bottom - top) * margin / 2
    within = max(left - wide, 0), max(top - high, 0), min(right + wide, image.width), min(bottom + high, image.height)
    return np.asarray(image.convert("RGB").resize((side, side), Image.Resampling.BILINEAR, box=within))


def read_svhn(root: str | None, folders: tuple[str, ...]) -> Tensor:
    """All numbers of the folders that are there, of which the first must be: (n, 3, SIDE, SIDE) uint8."""
    if root is None:
        raise DataError(f"say where SVHN is: data.root=<folder with train/{BOXES}, test/{BOXES} and the pictures>")
    found = [Path(root) / name for name in folders]
    found = [folder for folder in found if folder == found[0] or folder.is_dir()]
    names = [(folder / name, box) for folder in found for name, box in read_boxes(folder / BOXES)]
    pictures = torch.empty(len(names), SIDE, SIDE, 3, dtype=torch.uint8)
    for i, (path, box) in enumerate(names):
        try:
            with Image.open(path) as image:
                pictures[i] = torch.from_numpy(cut(image, box).copy())
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: cannot be read as a picture ({error})") from None
    return pictures.permute(0, 3, 1, 2).contiguous()
