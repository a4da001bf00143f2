"""Digits in the formats that they are published in, in the places and under the names that people have them.

The four IDX files of MNIST, of what came after it in the same form, and of torchvision's folders; and one file of
ready-made scenes in NumPy's format.
"""

import gzip
import lzma
import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from datamodules.files import DataError, read_file

FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
SHAPES = ((60_000, 28, 28), (60_000,), (10_000, 28, 28), (10_000,))
SCENES = {"train": 50_000, "valid": 10_000, "test": 10_000}  # of mnist_cluttered_60x60_6distortions.npz
EMNIST = "emnist-mnist-"  # its one split with MNIST's counts; its pictures lie on their side


def parse_idx(data: bytes, name: str) -> Tensor:
    """The uint8 array of an IDX file, the format that MNIST is published in."""
    if len(data) < 4 or data[:3] != b"\0\0\x08" or len(data) < 4 + 4 * data[3]:
        raise DataError(f"{name}: truncated, or not an IDX file of bytes")
    start = 4 + 4 * data[3]
    shape = np.frombuffer(data[4:start], ">u4").astype(int).tolist()
    if len(data) - start != np.prod(shape):
        raise DataError(f"{name}: {len(data) - start} bytes where its header promises {shape}")
    return torch.from_numpy(np.frombuffer(data, np.uint8, offset=start).reshape(shape).copy())


def spellings(name: str) -> list[str]:
    """The names under which a published file is found: with a dot for the hyphen, and as EMNIST has it."""
    names = [name, name.replace("-idx", ".idx"), EMNIST + name.replace("t10k", "test")]
    return [each + end for each in names for end in ("", ".gz", ".xz")]


def find(root: Path, name: str) -> Path:
    """The published file of that name in a folder; the plain one's path where there is none."""
    return next((root / each for each in spellings(name) if (root / each).is_file()), root / name)


def read_idx(root: Path, name: str) -> Tensor:
    """Reads a published IDX file from a folder, plain or compressed, whatever its ending says."""
    path = find(root, name)
    data = read_file(path)
    try:
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        elif data[:6] == b"\xfd7zXZ\0":
            data = lzma.decompress(data)
        elif path.suffix in (".gz", ".xz"):
            raise DataError(f"{path}: truncated or altered (it is not compressed as its name says)")
    except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        raise DataError(f"{path}: truncated or altered ({error})") from None
    array = parse_idx(data, str(path))
    return array.mT.contiguous() if path.name.startswith(EMNIST) and array.ndim == 3 else array


def folder_of(root: Path) -> Path:
    """The folder with the files: this one, or what torchvision makes below it."""
    places = [root, root / "raw", root / "MNIST" / "raw", *sorted(root.glob("*/raw"))]
    found = [place for place in dict.fromkeys(places) if find(place, FILES[0]).is_file()]
    if len(found) > 1 and found[0] not in places[:3]:
        names = " and ".join(str(place) for place in found)
        raise DataError(f"{root}: holds several data sets, {names}; say which with data.root=<one of them>")
    return found[0] if found else root


def read_folder(root: Path) -> tuple[Tensor, Tensor]:
    """All digits and labels of a folder, the test set last; see :func:`datamodules.mnist.read_mnist`."""
    folder = folder_of(root)
    others = sorted({path.name.split("-train-")[0] for path in folder.glob("emnist-*-train-images*")})
    if others and not find(folder, FILES[0]).is_file():
        known = "of EMNIST the split with MNIST's counts is read, emnist-mnist"
        raise DataError(f"{folder}: holds {', '.join(others)}; {known}")
    parts = [read_idx(folder, name) for name in FILES]
    for name, part, shape in zip(FILES, parts, SHAPES, strict=True):
        if part.shape != shape:
            raise DataError(f"{find(folder, name)}: holds {tuple(part.shape)} numbers, expected {shape}")
    images, labels = torch.cat(parts[::2]), torch.cat(parts[1::2]).long()
    if labels.max() > 9:
        raise DataError(f"{find(folder, FILES[1])}: its labels go up to {int(labels.max())}, expected 0 to 9")
    return images, labels


def read_scenes(path: Path) -> tuple[Tensor, Tensor]:
    """The pictures (70000, side, side) uint8 and labels of an .npz with x_train, y_train, x_valid and so on.

    As the public mnist_cluttered_60x60_6distortions.npz has them: each picture flat or square, of 0 to 1 or of bytes,
    and each label a number or one of ten.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            keys = [f"{kind}_{split}" for split in SCENES for kind in "xy"]
            if missing := [key for key in keys if key not in file]:
                raise DataError(f"{path}: lacks {', '.join(missing)}; it has {', '.join(file) or 'nothing'}")
            arrays = {key: file[key] for key in keys}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: truncated, altered or not an .npz of numbers ({error})") from None
    images, labels = [], []
    for split, count in SCENES.items():
        x, y = arrays[f"x_{split}"], arrays[f"y_{split}"]
        x = x.reshape(len(x), -1) if x.ndim else x
        side = round(x.shape[-1] ** 0.5) if x.ndim == 2 else 0
        if x.shape != (count, side**2) or len(y) != count or y.shape[1:] not in ((), (1,), (10,)):
            shapes = f"{arrays[f'x_{split}'].shape} and {y.shape}"
            raise DataError(
                f"{path}: x_{split} and y_{split} are {shapes}, expected {count} square pictures and labels"
            )
        if x.dtype.kind == "f":
            if not 0 <= x.min() <= x.max() <= 1:
                raise DataError(f"{path}: x_{split} goes from {x.min():g} to {x.max():g}, expected 0 to 1")
            x = (x * 255).round()
        images.append(torch.from_numpy(x.astype(np.uint8).reshape(count, side, side)))
        labels.append(torch.from_numpy((y.argmax(1) if y.shape[1:] == (10,) else y.reshape(count)).astype(np.int64)))
    return torch.cat(images), torch.cat(labels)
