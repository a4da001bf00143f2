"""SVHN's full numbers from small files in the published format."""

import pytest
import torch

from datamodules.files import DataError
from datamodules.house_numbers import HouseNumbers, margin_of
from datamodules.svhn import BOXES, read_numbers
from tests.datamodules.test_colour import write_svhn

BOX = (5, 4, 10, 20)


@pytest.fixture
def folder(tmp_path):
    pytest.importorskip("h5py")
    write_svhn(tmp_path / "train", [[BOX], [BOX, BOX], [BOX] * 5, [BOX] * 6], [[10], [1, 9], [1, 2, 3, 10, 5], [1] * 6])
    write_svhn(tmp_path / "extra", [[BOX] * 3], [[7, 7, 10]])
    write_svhn(tmp_path / "test", [[BOX]], [[4]])
    return tmp_path


def test_numbers_are_read_with_their_digits(folder):
    assert [n.digits for n in read_numbers(folder / "train" / BOXES)] == [[10], [1, 9], [1, 2, 3, 10, 5], [1] * 6]
    data = HouseNumbers(str(folder), validation=1)
    data.setup()
    assert [data.size(split) for split in ("train", "val", "test")] == [3, 1, 1], "six digits are left out"
    batches = [data.batch(split, torch.arange(data.size(split)), 2) for split in ("train", "val", "test")]
    assert batches[0]["image"].shape == (3, 3, 64, 64) and batches[0]["image"].dtype == torch.float32
    found = sorted(label.tolist() for batch in batches[:2] for label in batch["label"])
    assert found == sorted([[0, *[10] * 4], [1, 9, *[10] * 3], [1, 2, 3, 0, 5], [7, 7, 0, 10, 10]])
    assert batches[2]["label"].tolist() == [[4, 10, 10, 10, 10]]
    keys = [data.batch("train", torch.arange(3), epoch)["key"] for epoch in (0, 1, 1)]
    assert not torch.equal(*keys[:2]) and torch.equal(*keys[1:])
    assert data.spec == {"channels": 3, "digits": 5, "num_classes": 11}


def test_a_larger_crop_shows_more_at_the_same_scale(folder):
    assert margin_of(64) == pytest.approx(0.3)
    assert margin_of(128) == pytest.approx(1.6), "2.6 boxes wide, where 64 pixels are 1.3"
    data = HouseNumbers(str(folder), size=128, validation=1)
    data.setup()
    assert data.batch("test", torch.tensor([0]))["image"].shape == (1, 3, 128, 128)


def test_what_cannot_be_is_one_sentence(folder):
    with pytest.raises(DataError, match="say where SVHN is"):
        HouseNumbers().setup()
    with pytest.raises(DataError, match="validation is 4 of only 4"):
        HouseNumbers(str(folder), validation=4).setup()
    write_svhn(folder / "other" / "train", [[BOX]], [[11]])
    with pytest.raises(DataError, match=r"digitStruct\.mat: .*not one of 1 to 10"):
        HouseNumbers(str(folder / "other"), validation=1).setup()
