"""CIFAR-10 and SVHN from small files in the published formats."""

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules import svhn
from datamodules.colour import Colour, read_cifar10
from datamodules.files import DataError

BATCHES = [f"data_batch_{i}.bin" for i in range(1, 6)]


def cifar(pictures: np.ndarray) -> bytes:
    """The binary version: a byte for the class, then 1,024 each of red, green and blue, row by row."""
    return b"".join(bytes([i % 10]) + picture.tobytes() for i, picture in enumerate(pictures))


@pytest.fixture
def folder(tmp_path):
    """Five training files of four pictures, a test file of three, and all 23 of them."""
    pictures = np.random.default_rng(0).integers(0, 256, (23, 3, 32, 32), dtype=np.uint8)
    for i, name in enumerate(BATCHES):
        (tmp_path / name).write_bytes(cifar(pictures[4 * i : 4 * i + 4]))
    (tmp_path / "test_batch.bin").write_bytes(cifar(pictures[20:]))
    return tmp_path, pictures


def test_cifar10_is_read_split_and_given_out(folder):
    root, pictures = folder
    data = Colour(root=str(root), validation=5)
    data.setup()
    assert {split: data.size(split) for split in ("train", "val", "test")} == {"train": 15, "val": 5, "test": 3}
    found = [data.batch(split, torch.arange(data.size(split)), 3) for split in ("train", "val", "test")]
    assert all(batch["image"].dtype == torch.float32 and batch["image"].shape[1:] == (3, 32, 32) for batch in found)
    np.testing.assert_allclose(found[2]["image"].numpy(), pictures[20:] / 255, atol=1e-6)
    seen = np.concatenate([batch["image"].numpy() for batch in found[:2]])
    order = lambda images: sorted(image.round(4).tobytes() for image in images.astype(np.float32))  # noqa: E731
    assert order(seen) == order(pictures[:20] / np.float32(255)), "every training picture is in one of the two splits"
    assert data.spec == {"channels": 3}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "truncated"),
        (lambda path: path.write_bytes(b""), "truncated"),
        (lambda path: path.write_bytes(b"\xff" + path.read_bytes()[1:]), "a label is 255"),
        (lambda path: path.unlink(), "cannot be read"),
    ],
)
def test_a_damaged_file_is_named(folder, change, sentence):
    root, _ = folder
    change(root / BATCHES[2])
    with pytest.raises(DataError, match=f"{BATCHES[2]}.*{sentence}") as caught:
        read_cifar10(str(root), BATCHES)
    assert "\n" not in str(caught.value)


def test_what_cannot_be_is_refused(folder):
    for arguments in ({"corpus": "cifar"}, {"size": 40}, {"corpus": "svhn", "size": 65}, {"batch_size": 0}):
        with pytest.raises(DataError):
            Colour(**arguments)
    with pytest.raises(DataError, match="say where CIFAR-10 is"):
        Colour().setup()
    with pytest.raises(DataError, match="validation is 20 of only 20"):
        Colour(root=str(folder[0]), validation=20).setup()


def test_crops_are_anywhere_in_training_and_in_the_centre_else(folder):
    root, pictures = folder
    data = Colour(root=str(root), validation=5, size=28)
    data.setup()
    held_out = data.batch("test", torch.tensor([1, 1]))
    np.testing.assert_allclose(held_out["image"][0].numpy(), pictures[21, :, 2:30, 2:30] / 255, atol=1e-6)
    assert torch.equal(held_out["image"][0], held_out["image"][1])
    whole, places = data.pictures["train"][4].numpy() / np.float32(255), set()
    for epoch in range(30):
        crop = data.batch("train", torch.tensor([4]), epoch)["image"][0].numpy()
        at = [(y, x) for y in range(5) for x in range(5) if np.allclose(whole[:, y : y + 28, x : x + 28], crop)]
        assert len(at) == 1
        places |= set(at)
    assert len(places) > 12, "of 25"
    again = Colour(root=str(root), validation=5, size=28)
    again.setup()
    one, two = (d.batch("train", torch.tensor([4, 2]), 7) for d in (data, again))
    assert torch.equal(one["image"], two["image"]) and torch.equal(one["key"], two["key"])


# --- SVHN -------------------------------------------------------------------------------------------------------------


def test_a_number_is_cut_out_with_a_margin():
    picture = np.zeros((40, 100, 3), np.uint8)
    picture[10:30, 40:60] = 200  # a box of 20 x 20 pixels; with its margin 26 x 26
    cut = svhn.cut(Image.fromarray(picture), (40, 10, 60, 30))
    assert cut.shape == (64, 64, 3) and cut[32, 32, 0] == 200 and cut[2, 2, 0] == 0
    bright = (cut[32, :, 0] > 100).sum()
    assert bright == pytest.approx(64 * 20 / 26, abs=1.5)
    assert svhn.cut(Image.fromarray(picture), (-5, -5, 200, 200)).shape == (64, 64, 3), "no more than the picture"


def write_svhn(folder, numbers: list[list[tuple[int, int, int, int]]], labels: list[list[int]] | None = None) -> None:
    """A folder in the first format: pictures, and digitStruct.mat, a MATLAB file of version 7.3 (which is HDF5)."""
    labels = labels or [[1 + (i + j) % 10 for j in range(len(number))] for i, number in enumerate(numbers)]
    h5py = pytest.importorskip("h5py")
    folder.mkdir(parents=True)
    with h5py.File(folder / svhn.BOXES, "w") as file:
        file.create_group("digitStruct")
        names, boxes = [], []
        for i, number in enumerate(numbers, 1):
            Image.fromarray(np.full((30, 50, 3), 10 * i, np.uint8)).save(folder / f"{i}.png")
            text = np.array([[ord(letter)] for letter in f"{i}.png"], np.uint16)
            names.append(file.create_dataset(f"#refs#/name{i}", data=text).ref)
            box = file.create_group(f"#refs#/box{i}")
            columns = [*zip(*number, strict=True), labels[i - 1]]
            for key, values in zip(("left", "top", "width", "height", "label"), columns, strict=True):
                if len(values) == 1:  # one digit: the number itself; several: references to numbers
                    box.create_dataset(key, data=[[float(values[0])]])
                else:
                    made = [
                        file.create_dataset(f"#refs#/{key}{i}_{j}", data=[[float(v)]]) for j, v in enumerate(values)
                    ]
                    box.create_dataset(key, data=[[each.ref] for each in made], dtype=h5py.ref_dtype)
            boxes.append(box.ref)
        file["digitStruct"].create_dataset("name", data=[[name] for name in names], dtype=h5py.ref_dtype)
        file["digitStruct"].create_dataset("bbox", data=[[box] for box in boxes], dtype=h5py.ref_dtype)


def test_svhn_is_read_with_the_box_around_all_digits(tmp_path):
    write_svhn(tmp_path / "train", [[(5, 4, 10, 20)], [(5, 4, 10, 20), (16, 6, 9, 20)], [(1, 1, 5, 5)]])
    write_svhn(tmp_path / "extra", [[(0, 0, 50, 30)]])
    write_svhn(tmp_path / "test", [[(5, 4, 10, 20)]])
    assert svhn.read_boxes(tmp_path / "train" / svhn.BOXES)[:2] == [
        ("1.png", (5, 4, 15, 24)),
        ("2.png", (5, 4, 25, 26)),
    ]
    data = Colour("svhn", str(tmp_path), size=54, validation=1)
    data.setup()
    assert [data.size(split) for split in ("train", "val", "test")] == [3, 1, 1]
    batch = data.batch("train", torch.arange(3))
    assert batch["image"].shape == (3, 3, 54, 54)
    assert batch["image"].amax().item() == pytest.approx(30 / 255) and len(batch["image"].unique()) <= 3


def test_a_damaged_svhn_is_named(tmp_path):
    write_svhn(tmp_path / "train", [[(5, 4, 10, 20)]])
    (tmp_path / "train" / "1.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"1\.png: cannot be read"):
        svhn.read_svhn(str(tmp_path), ("train", "extra"))
    (tmp_path / "train" / svhn.BOXES).write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(DataError, match=r"digitStruct\.mat: truncated"):
        svhn.read_svhn(str(tmp_path), ("train",))


def test_without_svhn_or_its_reader_the_error_is_one_sentence(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="say where SVHN is"):
        Colour("svhn").setup()
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(DataError, match="pip install h5py") as caught:
        Colour("svhn", str(tmp_path)).setup()
    assert "\n" not in str(caught.value)
