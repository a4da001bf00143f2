"""MNIST: the digits that ship, the scenes made from them, and files that are not what they should be."""

import gzip
import shutil
import struct

import numpy as np
import pytest
import pytorch_lightning as pl
import scipy.ndimage
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from datamodules import mnist, sampling
from datamodules.files import EMBEDDED, DataError
from datamodules.idx import FILES, parse_idx, read_idx
from datamodules.mnist import MNIST, read_mnist
from datamodules.scenes import scaled_scenes, scenes, uniforms_per_scene

TRAIN_LABELS = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
TEST_LABELS = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
SIZES = {"train": 50_000, "val": 10_000, "test": 10_000}
SCENES = {"plain": {}, "translated": {"canvas": 40}, "cluttered": {"canvas": 60, "clutter": 4}}
SCENES |= {"scaled": {"canvas": 60, "scale": [0.5, 1.5]}}


@pytest.fixture(scope="module")
def digits():
    return read_mnist()


@pytest.fixture
def make(digits):
    """A function from arguments to a datamodule that is set up with the digits already read."""

    def build(**arguments) -> MNIST:
        data = MNIST(**arguments)
        data.images, data.labels = digits
        data.setup()
        return data

    return build


# --- the digits -------------------------------------------------------------------------------------------------------


def test_shipped_digits_are_mnist(digits):
    images, labels = digits
    assert images.shape == (70_000, 28, 28) and images.dtype == torch.uint8 and labels.dtype == torch.int64
    assert labels[:60_000].bincount().tolist() == TRAIN_LABELS
    assert labels[60_000:].bincount().tolist() == TEST_LABELS
    assert labels[:5].tolist() == [5, 0, 4, 1, 9] and labels[60_000:60_005].tolist() == [7, 2, 1, 0, 4]
    train = images[:60_000].float() / 255
    assert train.mean().item() == pytest.approx(0.1307, abs=1e-4)
    assert train.std().item() == pytest.approx(0.3081, abs=1e-4)


@pytest.mark.parametrize("split", SIZES)
def test_splits_have_their_sizes_and_do_not_overlap(make, digits, split):
    data = make()
    start = {"train": 0, "val": 50_000, "test": 60_000}[split]
    assert data.size(split) == SIZES[split]
    index = torch.arange(SIZES[split])
    batch = data.batch(split, index)
    assert torch.equal(batch["label"], digits[1][start : start + SIZES[split]])
    some = index[::499]
    expected = digits[0][start + some].float()[:, None] / 255
    assert torch.equal(data.batch(split, some)["image"], expected)


def test_setup_reads_the_shipped_digits(digits):
    data = MNIST(limit=3)
    data.setup("fit")
    assert torch.equal(data.images, digits[0]) and torch.equal(data.labels, digits[1])
    assert data.spec == {"num_classes": 10, "channels": 1}


def test_a_canvas_smaller_than_a_digit_is_refused():
    with pytest.raises(ValueError, match="27"):
        MNIST(canvas=27)


# --- scenes -----------------------------------------------------------------------------------------------------------


def slow_scene(digit, pool, uniform, canvas, clutter, piece):
    """One picture, pasted pixel by pixel."""

    def below(number, limit):
        return int(np.float32(number) * np.float32(limit))

    side, image = len(digit), np.zeros((canvas, canvas), np.uint8)

    def paste(patch, top, left):
        for row in range(len(patch)):
            for column in range(len(patch)):
                image[top + row, left + column] = max(image[top + row, left + column], patch[row, column])

    u = iter(uniform)
    paste(digit, below(next(u), canvas - side + 1), below(next(u), canvas - side + 1))
    for _ in range(clutter):
        source = pool[below(next(u), len(pool))]
        top, left = (below(next(u), side - piece + 1) for _ in range(2))
        paste(source[top : top + piece, left : left + piece], *(below(next(u), canvas - piece + 1) for _ in range(2)))
    return image


@settings(deadline=None, max_examples=25, derandomize=True)
@given(st.integers(3, 6), st.integers(0, 6), st.integers(0, 4), st.integers(1, 3), st.integers(0, 99))
def test_scenes_are_digits_and_clutter_pasted_with_the_maximum(side, margin, clutter, piece, seed):
    random = np.random.default_rng(seed)
    digits, pool = (random.integers(0, 256, (n, side, side), dtype=np.uint8) for n in (4, 7))
    uniform = random.random((4, uniforms_per_scene(clutter)), dtype=np.float32)
    arguments = (side + margin, clutter, piece)
    drawn = scenes(torch.tensor(digits), torch.tensor(pool), torch.tensor(uniform), *arguments)
    assert drawn.dtype == torch.uint8
    slow = [slow_scene(digit, pool, u, *arguments) for digit, u in zip(digits, uniform, strict=True)]
    np.testing.assert_array_equal(drawn.numpy(), np.stack(slow))


@pytest.mark.parametrize("number", [0.0, 1 - 2.0**-24])
def test_scenes_stay_inside_at_the_ends_of_the_interval(number):
    digits = torch.randint(1, 256, (1, 28, 28), dtype=torch.uint8)
    drawn = scenes(digits, digits, torch.full((1, uniforms_per_scene(2)), number), 60, clutter=2)
    corner = slice(0, 28) if number == 0 else slice(-28, None)
    assert (drawn[0, corner, corner] >= digits[0]).all() and (drawn > 0).sum() == 28 * 28


def test_digits_lie_anywhere_on_the_canvas_with_equal_probability():
    digit, n, free = torch.full((1, 28, 28), 255, dtype=torch.uint8), 6000, 5
    uniform = torch.rand(n, 2, generator=torch.Generator().manual_seed(0))
    drawn = scenes(digit.expand(n, -1, -1), digit, uniform, 28 + free - 1)
    for axis in (1, 2):
        place = drawn.amax(axis).int().argmax(1)
        counts = place.bincount(minlength=free)
        assert ((counts - n / free).abs() < 4 * (n / free) ** 0.5).all()


@pytest.mark.parametrize("kind", ["translated", "cluttered"])
def test_training_scenes_hold_their_digit_and_pieces_of_training_digits(make, kind):
    data, index = make(**SCENES[kind]), torch.tensor([0, 7, 49_999])
    key, uniform = data._random("train", 3)
    drawn = data.batch("train", index, epoch=3)
    train = data.images[:50_000].numpy()
    for image, i in zip(drawn["image"], index, strict=True):
        slow = slow_scene(train[i], train, uniform[i].numpy(), data.canvas, data.clutter, 8)
        np.testing.assert_allclose(image[0].numpy(), slow / np.float32(255))
    assert torch.equal(drawn["key"], key[index])


@pytest.mark.parametrize("split", ["val", "test"])
def test_clutter_of_held_out_scenes_is_cut_from_their_own_split(make, split):
    data = make(canvas=60, clutter=4, limit=20)
    whole = data.images
    data.images = whole.clone()
    data.images[50_000 if split == "test" else 60_000 :][:10_000] = 255  # the other held-out split
    data.images[:50_000] = 255
    assert torch.equal(
        data.batch(split, torch.arange(20))["image"],
        make(canvas=60, clutter=4, limit=20).batch(split, torch.arange(20))["image"],
    )


@settings(deadline=None, max_examples=15, derandomize=True)
@given(st.integers(30, 60), st.floats(0.4, 1.0), st.integers(0, 3), st.integers(0, 99))
def test_scaled_scenes_are_read_between_pixels_as_scipy_reads_them(canvas, low, clutter, seed):
    random = np.random.default_rng(seed)
    digits, pool = (random.integers(0, 256, (n, 28, 28), dtype=np.uint8) for n in (3, 5))
    uniform = random.random((3, uniforms_per_scene(clutter) + 1), dtype=np.float32)
    high = canvas / 28
    drawn = scaled_scenes(*map(torch.tensor, (digits, pool, uniform)), canvas, (low, high), clutter, 5).numpy()
    black = np.zeros((28, 28), np.uint8)
    for image, digit, u in zip(drawn, digits, uniform, strict=True):
        factor = low + (high - low) * u[-1]
        start = (canvas - 28 * factor) * u[:2]  # of the digit's box
        lines = [(np.arange(canvas) + 0.5 - edge) / factor - 0.5 for edge in start]
        grid = np.meshgrid(*lines, indexing="ij")
        slow = scipy.ndimage.map_coordinates(digit.astype(float), grid, order=1, mode="grid-constant")
        pieces = slow_scene(black, pool, np.concatenate(([0, 0], u[2:-1])), canvas, clutter, 5)
        assert np.abs(image - np.maximum(slow, pieces)).max() <= 0.5 + 2e-2


def test_scaled_digits_keep_their_box_on_the_canvas_and_have_all_sizes(make):
    digit, n = torch.full((1, 28, 28), 255, dtype=torch.uint8), 4000
    uniform = torch.rand(n, 3, generator=torch.Generator().manual_seed(0))
    drawn = scaled_scenes(digit.expand(n, -1, -1), digit, uniform, 100, (0.5, 1.5))
    side = drawn.float().sum((1, 2)).div(255).sqrt()  # half covered pixels at the border count half
    torch.testing.assert_close(side, 28 * (0.5 + uniform[:, 2]), rtol=0, atol=0.6)
    share = ((side - 14) / 28 * 4).long().clamp(max=3).bincount() / n
    torch.testing.assert_close(share, torch.full((4,), 0.25), rtol=0, atol=0.04)
    rows = drawn.amax(2).int()
    assert (rows[:, 0] > 0).float().mean() < 0.05 and rows.sum(0).min() > 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"scale": [0.5]}, "smallest and the largest factor"),
        ({"scale": [1.5, 0.5]}, "smallest and the largest factor"),
        ({"scale": [0, 1]}, "smallest and the largest factor"),
        ({"scale": [0.5, 2.2]}, "at most 2.143 on a canvas of 60"),
        ({"scale": [0.5, 1], "digits": 2}, "only single digits"),
    ],
)
def test_a_scale_that_cannot_be_is_refused(given, message):
    with pytest.raises(DataError, match=message):
        MNIST(canvas=60, **given)


# --- what a batch is a function of ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["translated", "cluttered", "scaled"])
def test_training_scenes_are_new_every_epoch_and_seed(make, kind):
    index = torch.arange(3)
    drawn = [make(seed=s, **SCENES[kind]).batch("train", index, e)["image"] for s in range(2) for e in range(2)]
    for i in range(4):
        for j in range(i):
            assert (drawn[i] != drawn[j]).flatten(1).any(1).all()


@pytest.mark.parametrize("kind", SCENES)
def test_training_keys_are_new_every_epoch(make, kind):
    data, index = make(**SCENES[kind]), torch.arange(100)
    assert (data.batch("train", index, 0)["key"] != data.batch("train", index, 1)["key"]).all()


@pytest.mark.parametrize("kind", SCENES)
@pytest.mark.parametrize("split", ["val", "test"])
def test_held_out_scenes_are_the_same_in_every_epoch_and_run(make, kind, split):
    index = torch.arange(30)
    first = make(seed=0, limit=40, **SCENES[kind]).batch(split, index, 0)
    other = make(seed=9, limit=50, **SCENES[kind]).batch(split, index, 5)
    assert all(torch.equal(first[name], other[name]) for name in first)


def test_noise_of_training_is_never_that_of_validation_or_test(make):
    index = torch.arange(100)
    held_out = torch.cat([make().batch(split, index)["key"] for split in ("val", "test")])
    trained = [make(seed=seed).batch("train", index, epoch)["key"] for seed in range(4) for epoch in range(2)]
    keys = torch.cat([held_out, *trained])
    assert len(keys.unique()) == len(keys)


@pytest.mark.parametrize("kind", SCENES)
@pytest.mark.parametrize("split", SIZES)
def test_a_sample_is_the_same_in_any_batch_and_after_any_other(make, kind, split):
    data, index = make(**SCENES[kind], limit=60), torch.tensor([5, 59, 0, 17])
    together = data.batch(split, index, 2)
    data.batch("train", index, 4)
    alone = [make(**SCENES[kind]) if i == 0 else data for i in range(4)]
    alone = [one.batch(split, index[i : i + 1], 2) for i, one in enumerate(alone)]
    for name, value in together.items():
        assert torch.equal(torch.cat([batch[name] for batch in alone]), value)


def test_order_and_noise_of_an_epoch_come_from_different_generators(make, monkeypatch):
    """np.random.SeedSequence takes (1,), (1, 0) and (1, 0, 0) for the same seed."""
    made = []
    for module in (mnist, sampling):
        inner = module.generator
        monkeypatch.setattr(module, "generator", lambda *seeds, inner=inner: made.append(inner(*seeds)) or made[-1])
    data = make(seed=2, limit=8, batch_size=4)
    loader = data.train_dataloader()
    loader.sampler.set_epoch(3)
    data.batch("train", next(iter(loader)).index, 3)
    assert len(made) == len({one.initial_seed() for one in made}) == 2


def test_images_are_floats_between_zero_and_one(make):
    image = make(canvas=60, clutter=4).batch("train", torch.arange(50))["image"]
    assert image.shape == (50, 1, 60, 60) and image.dtype == torch.float32 and image.min() == 0 and image.max() == 1


# --- with a trainer ---------------------------------------------------------------------------------------------------


class Recorder(pl.LightningModule):
    """Trains one number and remembers the batches."""

    def __init__(self):
        super().__init__()
        self.weight, self.seen = torch.nn.Parameter(torch.zeros(())), {"train": {}, "val": {}, "test": {}}

    def remember(self, split, batch):
        self.seen[split].setdefault(self.current_epoch, []).append(batch)

    def training_step(self, batch, batch_idx):
        self.remember("train", batch)
        return self.weight.square()

    def validation_step(self, batch, batch_idx):
        self.remember("val", batch)

    def test_step(self, batch, batch_idx):
        self.remember("test", batch)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def test_a_trainer_gets_every_sample_once_an_epoch(make, tmp_path):
    data, model = make(canvas=40, limit=20, batch_size=5, eval_batch_size=3), Recorder()
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "num_sanity_val_steps": 0}
    trainer = pl.Trainer(
        max_epochs=3, accelerator="cpu", default_root_dir=tmp_path, enable_checkpointing=False, **quiet
    )
    trainer.fit(model, data)
    trainer.test(model, data, verbose=False)
    for epoch in range(3):
        batches = model.seen["train"][epoch]
        assert [len(batch["key"]) for batch in batches] == [5] * 4
        whole = make(canvas=40).batch("train", torch.arange(20), epoch)
        order = torch.cat([batch["key"] for batch in batches]).argsort()[whole["key"].argsort().argsort()]
        for name in ("key", "image", "label"):
            assert torch.equal(torch.cat([batch[name] for batch in batches])[order], whole[name])
    for split in ("val", "test"):
        for batches in model.seen[split].values():
            assert torch.equal(
                torch.cat([batch["image"] for batch in batches]),
                make(canvas=40).batch(split, torch.arange(20))["image"],
            )


# --- files ------------------------------------------------------------------------------------------------------------


def idx(array: np.ndarray) -> bytes:
    """The published format: two zeros, 8 for bytes, the number of axes, their lengths in big-endian, the bytes."""
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@settings(deadline=None, max_examples=20, derandomize=True)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(0, 99))
def test_parse_idx_reads_what_was_written(shape, seed):
    array = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    np.testing.assert_array_equal(parse_idx(idx(array), "file").numpy(), array)


@pytest.mark.parametrize("end", ["", ".gz"])
def test_a_folder_with_the_published_files_is_read(tmp_path, end):
    sizes, written = (60_000, 60_000, 10_000, 10_000), []
    for name, size in zip(FILES, sizes, strict=True):
        array = (np.arange(size) % 10).astype(np.uint8)
        if "images" in name:
            array = np.zeros((size, 28, 28), np.uint8)
            array[np.arange(size), np.arange(size) % 28, 3] = 1 + np.arange(size) % 255
        data = idx(array)
        (tmp_path / (name + end)).write_bytes(gzip.compress(data, 1) if end else data)
        written.append(array)
    data = MNIST(root=str(tmp_path))
    data.setup()
    np.testing.assert_array_equal(data.images.numpy(), np.concatenate(written[::2]))
    np.testing.assert_array_equal(data.labels.numpy(), np.concatenate(written[1::2]))


def refused(root, *parts: str) -> None:
    with pytest.raises(DataError) as caught:
        read_mnist(str(root) if root else None)
    assert all(part in str(caught.value) for part in parts), str(caught.value)
    assert "\n" not in str(caught.value), "one sentence"


def test_a_missing_file_is_named(tmp_path):
    refused(tmp_path, str(tmp_path / FILES[0]))


@pytest.mark.parametrize("length", [0, 3, 4, 6, 15, 16, 300])
def test_a_truncated_file_is_named(tmp_path, length):
    (tmp_path / FILES[0]).write_bytes(idx(np.zeros((2, 28, 28), np.uint8))[:length])
    refused(tmp_path, FILES[0])


def test_a_file_that_is_too_long_is_named(tmp_path):
    (tmp_path / FILES[0]).write_bytes(idx(np.zeros((2, 28, 28), np.uint8)) + b"1")
    refused(tmp_path, FILES[0])


def test_a_file_of_another_format_is_named(tmp_path):
    (tmp_path / FILES[0]).write_bytes(b"<html>moved</html>")
    refused(tmp_path, FILES[0])


def damaged(data: bytes, kind: str) -> bytes:
    if kind == "cut":
        return data[: len(data) // 2]
    if kind == "tail":
        return data[:-1]
    at = {"header": 0, "early": 12, "middle": len(data) // 2, "checksum": len(data) - 6}[kind]
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


@pytest.mark.parametrize("kind", ["cut", "tail", "header", "early", "middle", "checksum"])
def test_a_damaged_gzip_file_is_named(tmp_path, kind):
    array = np.random.default_rng(0).integers(0, 4, (50, 28, 28), dtype=np.uint8)
    (tmp_path / f"{FILES[0]}.gz").write_bytes(damaged(gzip.compress(idx(array)), kind))
    refused(tmp_path, f"{FILES[0]}.gz")


def test_a_folder_of_other_sizes_is_named(tmp_path):
    for name in FILES:
        (tmp_path / name).write_bytes(idx(np.zeros((2, 28, 28) if "images" in name else 2, np.uint8)))
    refused(tmp_path, str(tmp_path))


def test_labels_in_the_place_of_pictures_are_refused_by_name(tmp_path):
    for name in FILES:
        (tmp_path / name).write_bytes(idx(np.zeros((2, 28, 28) if "images" in name else 2, np.uint8)))
    shutil.copy(tmp_path / FILES[1], tmp_path / FILES[0])
    refused(tmp_path, str(tmp_path))


def test_plain_files_are_preferred_to_compressed_ones(tmp_path):
    (tmp_path / FILES[1]).write_bytes(idx(np.ones(2, np.uint8)))
    (tmp_path / f"{FILES[1]}.gz").write_bytes(gzip.compress(idx(np.zeros(2, np.uint8))))
    assert read_idx(tmp_path, FILES[1]).tolist() == [1, 1]


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A copy of the shipped files that the reader takes for the original."""
    shutil.copytree(EMBEDDED / "mnist", tmp_path / "mnist")
    monkeypatch.setattr(mnist, "EMBEDDED", tmp_path)
    return tmp_path / "mnist"


@pytest.mark.parametrize("kind", ["cut", "tail", "header", "middle"])
@pytest.mark.parametrize("name", [f"{FILES[0]}.xz", f"{FILES[3]}.xz"])
def test_a_damaged_shipped_file_is_named(shipped, monkeypatch, name, kind):
    monkeypatch.setattr(mnist, "FILES", (name.removesuffix(".xz"),))  # the others are not of interest
    path = shipped / name
    path.write_bytes(damaged(path.read_bytes(), kind))
    refused(None, str(path), "altered")


def test_a_missing_shipped_file_is_named(shipped):
    (shipped / f"{FILES[0]}.xz").unlink()
    refused(None, str(shipped / f"{FILES[0]}.xz"))


def test_a_missing_list_of_checksums_is_named(shipped):
    (shipped / "SHA256SUMS").unlink()
    refused(None, str(shipped / "SHA256SUMS"))


def test_a_file_without_a_checksum_is_not_believed(shipped):
    (shipped / "SHA256SUMS").write_text("")
    refused(None, f"{FILES[0]}.xz")
