"""Black and white digits: drawn once or anew, or read as Larochelle published them; and two digits on one canvas."""

import numpy as np
import pytest
import torch

from datamodules import binary
from datamodules.files import DataError
from datamodules.mnist import MNIST, read_mnist
from datamodules.scenes import pairs


@pytest.fixture(scope="module")
def digits():
    return read_mnist()


@pytest.fixture
def make(digits):
    """A function from arguments to a datamodule that is set up with the digits already read."""

    def build(**arguments) -> MNIST:
        data = MNIST(**arguments)
        data.images, data.labels = digits
        data.setup(), data.setup()
        return data

    return build


@pytest.mark.parametrize("kind", ["static", "dynamic"])
def test_pixels_are_white_with_the_probability_of_their_grey(kind):
    grey = torch.arange(256, dtype=torch.uint8).view(1, 16, 16).expand(20_000, -1, -1)
    drawn = binary.static(grey) if kind == "static" else binary.dynamic(grey, torch.randint(2**62, (20_000,)))
    assert set(drawn.unique().tolist()) == {0, 255}
    p, found = grey[0].double() / 255, (drawn == 255).double().mean(0)
    assert ((found - p).abs() <= 5 * (p * (1 - p) / 20_000).sqrt()).all(), (
        "never white where black, and always where white"
    )
    half = (drawn[:, 8, :2] == 255).double()  # two pixels with nearly one half
    assert np.corrcoef(half.T)[0, 1] == pytest.approx(0, abs=0.03), "neighbours are independent"


def test_dynamic_draws_follow_from_the_key_alone():
    grey = torch.full((3, 28, 28), 128, dtype=torch.uint8)
    drawn = binary.dynamic(grey, torch.tensor([5, 6, 5]))
    assert torch.equal(drawn[0], drawn[2]) and not torch.equal(drawn[0], drawn[1])
    assert torch.equal(binary.dynamic(grey[:1], torch.tensor([6]))[0], drawn[1])


def test_static_digits_are_the_same_in_every_epoch_and_run(make):
    index, one, other = (
        torch.tensor([3, 700]),
        make(binarise="static", seed=1),
        make(binarise="static", seed=2, limit=900),
    )
    for split in ("train", "val", "test"):
        image = one.batch(split, index, 0)["image"]
        assert torch.equal(other.batch(split, index, 4)["image"], image)
        assert set(image.unique().tolist()) == {0.0, 1.0}


def test_dynamic_digits_change_in_training_and_are_held_out_as_static_ones(make):
    index, dynamic, static = torch.arange(50), make(binarise="dynamic"), make(binarise="static")
    first, second = (dynamic.batch("train", index, epoch)["image"] for epoch in (0, 1))
    assert set(first.unique().tolist()) == {0.0, 1.0} and (first != second).any()
    assert torch.equal(dynamic.batch("train", index, 1)["image"], second)
    for split in ("val", "test"):
        assert torch.equal(dynamic.batch(split, index)["image"], static.batch(split, index)["image"])


def test_the_spec_of_what_is_painted_names_no_classes():
    assert MNIST().spec == {"channels": 1, "num_classes": 10}
    assert MNIST(binarise="static").spec == MNIST(digits=2, canvas=60).spec == {"channels": 1}
    for wrong in ({"binarise": "sometimes"}, {"digits": 3}, {"digits": 2, "clutter": 4}):
        with pytest.raises(DataError, match=r"expected|not null"):
            MNIST(**wrong)


# --- two digits -------------------------------------------------------------------------------------------------------


def test_two_digits_are_summed_at_their_places():
    random = np.random.default_rng(0)
    digits, pool = (torch.from_numpy(random.integers(0, 256, (n, 4, 4), dtype=np.uint8)) for n in (5, 3))
    uniform = torch.rand(5, 5)
    drawn = pairs(digits, pool, uniform, 9)
    for i, u in enumerate(uniform.numpy()):
        slow = np.zeros((9, 9), int)
        for patch, (row, column) in ((digits[i], u[:2]), (pool[int(u[2] * 3)], u[3:])):
            top, left = int(row * np.float32(6)), int(column * np.float32(6))
            slow[top : top + 4, left : left + 4] += patch.numpy()
        np.testing.assert_array_equal(drawn[i].numpy(), slow.clip(max=255))


def test_two_black_and_white_digits_stay_black_and_white(make):
    data, index = make(digits=2, canvas=60, binarise="static"), torch.arange(40)
    image = data.batch("train", index)["image"]
    assert image.shape == (40, 1, 60, 60) and set(image.unique().tolist()) == {0.0, 1.0}
    ink, alone = image.sum((1, 2, 3)), (data.images[:40] / 255).sum((1, 2))
    assert (ink >= alone).all() and ink.mean() > 1.7 * alone.mean()
    assert not torch.equal(image, data.batch("train", index, 1)["image"])
    assert torch.equal(data.batch("val", index, 1)["image"], data.batch("val", index, 7)["image"])


# --- Larochelle's files -----------------------------------------------------------------------------------------------


def amat(pictures: np.ndarray) -> bytes:
    """The published format: a line for each picture, a space after each of its 784 pixels but the last."""
    return "".join(" ".join(map(str, row.ravel())) + "\n" for row in pictures).encode()


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A folder with the three files, of three, two and two pictures, which the reader takes for the original."""
    random, counts = np.random.default_rng(0), (3, 2, 2)
    files = dict(zip(binary.FILES, counts, strict=True))
    monkeypatch.setattr(binary, "FILES", files)
    pictures = [random.integers(0, 2, (count, 28, 28)) for count in counts]
    for name, part in zip(files, pictures, strict=True):
        (tmp_path / name).write_bytes(amat(part))
    return tmp_path, np.concatenate(pictures)


def test_the_published_files_are_read(published):
    root, pictures = published
    data = MNIST(binarise="static", root=str(root), limit=2)
    data.setup(), data.setup()
    np.testing.assert_array_equal(data.images.numpy(), pictures * 255)
    batch = data.batch("train", torch.tensor([1, 0]))
    assert "label" not in batch
    np.testing.assert_array_equal(batch["image"][:, 0].numpy(), pictures[[1, 0]])


@pytest.mark.parametrize(
    "damage", [lambda d: d[:-3], lambda d: d + b"1\n", lambda d: d.replace(b"1", b"2", 1), lambda d: b""]
)
def test_a_damaged_published_file_is_named(published, damage):
    root, _ = published
    path = root / "binarized_mnist_valid.amat"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=r"binarized_mnist_valid\.amat: truncated or altered") as caught:
        binary.read_published(str(root))
    assert "\n" not in str(caught.value)


def test_a_missing_published_file_is_named(published):
    root, _ = published
    (root / "binarized_mnist_test.amat").unlink()
    with pytest.raises(DataError, match=r"binarized_mnist_test\.amat"):
        MNIST(binarise="static", root=str(root)).setup()
