"""CUB-200-2011 from a small folder in the published layout."""

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.cub import CUB, LISTS, read_cub
from datamodules.files import DataError


def write_cub(folder, pictures: int = 12, side: int = 40) -> None:
    """The four lists and images/, of 200 classes; every third picture is of the test set, and left is brighter."""
    names = [f"{i:03}.Bird_{i}" for i in range(1, 201)]
    (folder / "images").mkdir(parents=True)
    (folder / "classes.txt").write_text("".join(f"{i} {name}\n" for i, name in enumerate(names, 1)))
    lists: dict[str, list[str]] = {name: [] for name in LISTS[:3]}
    for i in range(1, pictures + 1):
        name = names[i % 200]
        (folder / "images" / name).mkdir(exist_ok=True)
        picture = np.full((side, side + 20, 3), i, np.uint8)
        picture[:, : side // 2] = 200
        Image.fromarray(picture).save(folder / "images" / name / f"Bird_{i}_00{i}.jpg", quality=95)
        for key, value in zip(lists, (f"{name}/Bird_{i}_00{i}.jpg", i % 200 + 1, int(i % 3 != 0)), strict=True):
            lists[key].append(f"{i} {value}\n")
    for name, lines in lists.items():
        (folder / name).write_text("".join(lines))


@pytest.fixture
def folder(tmp_path):
    write_cub(tmp_path)
    return tmp_path


def make(root, **arguments) -> CUB:
    data = CUB(str(root), **({"size": 16, "validation": 2, "workers": 0, "batch_size": 3} | arguments))
    data.setup()
    return data


def test_the_lists_are_joined(folder):
    found, classes = read_cub(str(folder))
    assert [len(found[split]) for split in ("train", "test")] == [8, 4] and len(classes) == 200
    path, label = found["test"][0]
    assert path.name == "Bird_3_003.jpg" and path.exists() and classes[label] == "004.Bird_4"


def test_batches_are_crops_of_the_scaled_pictures(folder):
    data = make(folder)
    assert [data.size(split) for split in ("train", "val", "test")] == [6, 2, 4]
    batch = next(iter(data.train_dataloader()))
    assert batch["image"].shape == (3, 3, 16, 16) and batch["image"].dtype == torch.float32
    test = torch.cat([batch["image"] for batch in data.test_dataloader()])
    assert test.shape == (4, 3, 16, 16)
    # a picture of 40 x 60 is scaled to 18 x 27; of the middle 16 columns those left of 20 / 40 * 18 are bright
    bright = (test[0, 0, 8] > 0.5).nonzero().flatten()
    assert bright.tolist() == list(range(len(bright))) and len(bright) == pytest.approx(9 - 6, abs=1)


def test_crops_are_a_function_of_seed_epoch_and_index(folder):
    pictures = make(folder).train_dataloader().dataset
    one, same, later = (pictures[epoch, torch.tensor([1, 4])] for epoch in (2, 2, 3))
    assert torch.equal(one["image"], same["image"]) and torch.equal(one["key"], same["key"])
    assert not torch.equal(one["image"], later["image"]) and not torch.equal(one["key"], later["key"])
    mirrored = [pictures.place(0, i)[2] for i in range(40)]
    assert 10 < sum(mirrored) < 30
    places = torch.tensor([pictures.place(0, i)[:2] for i in range(40)])
    assert places.min() < 0.1 and places.max() > 0.9


def test_workers_bring_the_same(folder):
    alone, several = ([b["image"] for b in make(folder, workers=n).test_dataloader()] for n in (0, 1))
    assert all(torch.equal(a, b) for a, b in zip(alone, several, strict=True))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: (f / "images.txt").unlink(), r"images\.txt: cannot be read"),
        (lambda f: (f / "images.txt").write_text("1\n"), r"images\.txt: line 1"),
        (lambda f: (f / "train_test_split.txt").write_text("1 1\n"), "lists do not belong together"),
        (lambda f: (f / "classes.txt").write_text("1 001.A\n2 002.B\n"), "lists do not belong together"),
        (lambda f: (f / "images/002.Bird_2/Bird_1_001.jpg").write_bytes(b"no"), r"Bird_1_001\.jpg: cannot be read"),
    ],
)
def test_what_is_damaged_is_named(folder, change, message):
    change(folder)
    with pytest.raises(DataError, match=message) as caught:
        pictures = make(folder, validation=1).train_dataloader().dataset
        pictures[0, torch.arange(len(pictures.files))]
    assert "\n" not in str(caught.value)


def test_what_cannot_be_is_one_sentence(folder):
    for arguments, message in (
        ({"root": None}, "say where CUB-200-2011 is"),
        ({"root": str(folder), "validation": 8}, "validation is 8 of only 8"),
    ):
        with pytest.raises(DataError, match=message):
            CUB(**arguments).setup()
    with pytest.raises(DataError, match="does not fit"):
        CUB(size=448, shorter=440)
