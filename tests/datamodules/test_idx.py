"""Published digits where people have them: read, or refused with what was expected."""

import gzip
import lzma

import numpy as np
import pytest
import torch

from datamodules import idx
from datamodules.files import DataError
from datamodules.mnist import MNIST, read_mnist

random = np.random.default_rng(0)
IMAGES = {
    "train": random.integers(0, 256, (6, 28, 28), np.uint8),
    "t10k": random.integers(0, 256, (2, 28, 28), np.uint8),
}
LABELS = {"train": np.array([3, 1, 4, 1, 5, 9], np.uint8), "t10k": np.array([2, 6], np.uint8)}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Data sets of six and two digits, and scenes of four, two and two."""
    monkeypatch.setattr(idx, "SHAPES", ((6, 28, 28), (6,), (2, 28, 28), (2,)))
    monkeypatch.setattr(idx, "SCENES", {"train": 4, "valid": 2, "test": 2})


def packed(array) -> bytes:
    header = b"\0\0\x08" + bytes([array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return header + np.ascontiguousarray(array).tobytes()


def write(folder, name="{split}-{kind}-idx{axes}-ubyte", pack=lambda data: data, turned=False, labels=LABELS):
    folder.mkdir(parents=True, exist_ok=True)
    for kind, axes, arrays in (("images", 3, IMAGES), ("labels", 1, labels)):
        for split, array in arrays.items():
            array = array.swapaxes(1, 2) if turned and array.ndim == 3 else array
            named = name.format(split="test" if "emnist" in name and split == "t10k" else split, kind=kind, axes=axes)
            (folder / named).write_bytes(pack(packed(array)))


def assert_read(root):
    images, labels = read_mnist(str(root))
    assert np.array_equal(images.numpy(), np.concatenate(list(IMAGES.values())))
    assert labels.tolist() == [3, 1, 4, 1, 5, 9, 2, 6] and labels.dtype == torch.int64


@pytest.mark.parametrize("below", ["", "raw", "MNIST/raw", "FashionMNIST/raw", "KMNIST/raw"])
def test_torchvisions_folders(below, tmp_path):
    write(tmp_path / below)
    assert_read(tmp_path)


@pytest.mark.parametrize("dot", ["-", "."])
@pytest.mark.parametrize(
    ("ending", "pack"),
    [("", bytes), (".gz", gzip.compress), ("", gzip.compress), (".xz", lzma.compress), (".gz", lzma.compress)],
)
def test_names_and_compression_whatever_the_ending_says(dot, ending, pack, tmp_path):
    write(tmp_path, "{split}-{kind}" + dot + "idx{axes}-ubyte" + ending, pack)
    assert_read(tmp_path)


def test_emnist_is_turned_upright(tmp_path):
    write(tmp_path / "EMNIST" / "raw", "emnist-mnist-{split}-{kind}-idx{axes}-ubyte", turned=True)
    assert_read(tmp_path)


def test_other_splits_of_emnist_are_refused_by_name(tmp_path):
    write(tmp_path, "emnist-letters-{split}-{kind}-idx{axes}-ubyte")
    with pytest.raises(DataError, match="holds emnist-letters; of EMNIST the split with MNIST's counts is read"):
        read_mnist(str(tmp_path))


def test_several_data_sets_are_not_guessed_between(tmp_path):
    for name in ("FashionMNIST", "KMNIST"):
        write(tmp_path / name / "raw")
    with pytest.raises(DataError, match=r"holds several data sets, .*FashionMNIST/raw and .*KMNIST/raw; say which"):
        read_mnist(str(tmp_path))
    write(tmp_path / "MNIST" / "raw")  # torchvision's own root, for data that are called MNIST
    assert_read(tmp_path)


def test_labels_of_more_classes_are_refused(tmp_path):
    write(tmp_path, labels={**LABELS, "t10k": np.array([2, 26], np.uint8)})
    with pytest.raises(DataError, match="its labels go up to 26, expected 0 to 9"):
        read_mnist(str(tmp_path))


def test_a_name_that_promises_compression(tmp_path):
    write(tmp_path, "{split}-{kind}-idx{axes}-ubyte.gz")
    with pytest.raises(DataError, match="truncated or altered"):
        read_mnist(str(tmp_path))


def test_the_home_folder(tmp_path, monkeypatch):
    write(tmp_path / "digits")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert_read("~/digits")
    data = MNIST(root="~/digits")
    data.setup()
    assert len(data.images) == 8


def scenes(one_hot=True, flat=True, floats=True) -> dict:
    arrays = {}
    for split, count in {"train": 4, "valid": 2, "test": 2}.items():
        x = random.integers(0, 256, (count, 60, 60), np.uint8)
        y = random.integers(0, 10, count)
        arrays[f"x_{split}"] = (x / np.float32(255) if floats else x).reshape(
            (count, -1) if flat else (count, 1, 60, 60)
        )
        arrays[f"y_{split}"] = np.eye(10, dtype=np.float32)[y] if one_hot else y
    return arrays


@pytest.mark.parametrize("form", [{}, {"one_hot": False}, {"flat": False}, {"floats": False}])
def test_the_public_file_of_cluttered_scenes(form, tmp_path):
    path, arrays = tmp_path / "mnist_cluttered_60x60_6distortions.npz", scenes(**form)
    np.savez_compressed(path, **arrays)
    images, labels = read_mnist(str(path))
    assert images.shape == (8, 60, 60) and images.dtype == torch.uint8
    unit = np.concatenate([arrays[f"x_{split}"].reshape(-1, 60, 60) for split in ("train", "valid", "test")])
    expected = np.round(unit * 255) if form.get("floats", True) else unit
    assert np.array_equal(images.numpy(), expected)
    of = [arrays[f"y_{split}"] for split in ("train", "valid", "test")]
    assert labels.tolist() == [int(np.argmax(y) if np.ndim(y) else y) for part in of for y in part]
    data = MNIST(canvas=60, root=str(path))
    data.setup()
    with pytest.raises(
        DataError, match=r"finished scenes of 60 pixels; say data.canvas=60 data.clutter=0 data.digits=1"
    ):
        MNIST(canvas=60, clutter=4, root=str(path)).setup()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.pop("y_valid"), "lacks y_valid; it has x_train"),
        (
            lambda a: a.update(x_test=a["x_test"][:1]),
            r"y_test are \(1, 3600\) and \(2, 10\), expected 2 square",
        ),
        (lambda a: a.update(x_test=a["x_test"][:, :-1]), "expected 2 square pictures"),
        (lambda a: a.update(x_test=a["x_test"] * 255), "expected 0 to 1"),
        (lambda a: a.update(x_test=np.array([{}, {}])), "truncated, altered or not an .npz of numbers"),
    ],
)
def test_other_files_of_scenes_are_refused(change, message, tmp_path):
    arrays = scenes()
    change(arrays)
    np.savez(tmp_path / "scenes.npz", **arrays)
    with pytest.raises(DataError, match=message) as caught:
        read_mnist(str(tmp_path / "scenes.npz"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("keep", [0, 10, -20])
def test_a_cut_file_of_scenes(keep, tmp_path):
    path = tmp_path / "scenes.npz"
    np.savez(path, **scenes())
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"truncated, altered or not an [.]npz"):
        read_mnist(str(path))
    with pytest.raises(DataError, match=r"not an [.]npz"):
        read_mnist(str(tmp_path / "none.npz"))
