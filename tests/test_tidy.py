"""Digits on any ground, in any contrast, size and place are read as those of MNIST are; what was done is told."""

import importlib.util
import warnings

import numpy as np
import pytest
import torch

import zoo
from datamodules.mnist import read_mnist
from tests.conftest import ROOT
from zoo.looking.pictures import Picture, read_picture
from zoo.looking.tidy import between_sides, find_ink, mass, tidy

spec = importlib.util.spec_from_file_location("grounds", ROOT / "scripts/figures/grounds.py")
grounds = importlib.util.module_from_spec(spec)
spec.loader.exec_module(grounds)
COUNT = 40


@pytest.fixture(scope="module")
def digits():
    images, labels = read_mnist()
    return images[-10_000:][:COUNT].float() / 255, labels[-10_000:][:COUNT].tolist()


@pytest.fixture(scope="module")
def pipe():
    return zoo.pipeline("ram.mnist28_7")


@pytest.mark.parametrize("condition", grounds.CONDITIONS)
def test_a_digit_is_read_whatever_it_stands_on(condition, digits, pipe):
    images, labels = digits
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        answers = pipe([grounds.CONDITIONS[condition](image).numpy() for image in images])
    assert sum(answer.label != label for answer, label in zip(answers, labels, strict=True)) <= 1
    if condition != "as in MNIST":
        assert all(answer.told for answer in answers)


def test_digits_of_the_data_are_left_as_they_are(digits):
    for image in digits[0]:
        found, told = tidy(Picture(image, []), 28, whole=True)
        assert told == [] and torch.equal(found, image)


def test_the_ink_is_that_of_the_digit_on_even_grounds(digits):
    """Paper or slate, to rounding: (ground - picture) / (ground - ink) is the digit again."""
    for image in digits[0][:10]:
        for ground, ink in ((225, 30), (200, 40), (64, 200), (255, 0)):
            found, _ = find_ink(grounds.paint(image, ground, ink))
            assert (found - image).abs().max() < 0.12 and (found - image).abs().mean() < 0.01


def test_a_found_digit_has_twenty_pixels_and_its_mass_in_the_middle(digits):
    for image in digits[0][:10]:
        picture = grounds.paint(grounds.page(image, 112, 2, (0.9, 0.1)), 225, 30)
        found, told = tidy(Picture(picture, []), 28, whole=True)
        rows, columns = ((found > 0.2).any(axis).sum().item() for axis in (1, 0))
        assert 19 <= max(rows, columns) <= 21 and "scaled to" in told[-1]
        assert all(abs(at - 14) < 0.75 for at in mass(found))
        assert tidy(Picture(picture, []), 28, whole=False).grey.shape == picture.shape


def test_between_sides_is_exact_for_planes_and_edges_along_a_side():
    down, across = torch.meshgrid(torch.linspace(0, 1, 40), torch.linspace(0, 1, 30), indexing="ij")
    for surface in (0.2 + 0.3 * down + 0.4 * across, (across > 0.5).float(), (down > 0.3).float()):
        found = between_sides(surface)
        assert (found - surface)[8:-8, 8:-8].abs().max() < 0.03


@pytest.mark.parametrize("shape", [(1, 1), (1, 28), (28, 1), (2, 3), (28, 28), (5, 900)])
@pytest.mark.parametrize("value", [0.0, 0.4, 1.0])
def test_nothing_is_found_where_nothing_is(shape, value):
    found, told = tidy(Picture(torch.full(shape, value), []), 28, whole=True)
    assert not found.any() and "nothing stands out from its ground" in told


def test_noise_alone_is_no_ink():
    picture = grounds.noisy(torch.full((100, 100), 0.8))
    assert "nothing stands out" in tidy(Picture(picture, []), 28, whole=True).told[-1]


def test_the_option_leaves_the_picture_alone(digits, pipe):
    picture = grounds.paint(digits[0][0], 225, 30)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        answer = pipe(picture, tidy=False)
    assert answer.told == [] and torch.equal(answer.attention.images[0, 0], picture)


@pytest.mark.parametrize("ground", [0.0, 0.25, 0.88, 1.0])
def test_transparency_takes_the_ground_of_the_page(ground, digits):
    page = (ground + (1 - 2 * (ground > 0.5)) * 0.7 * digits[0][0]).clamp(0, 1)
    grey, told = read_picture(grounds.margin(page).numpy())
    torch.testing.assert_close(grey[1:-1, 1:-1], page)
    assert grey[0].unique().tolist() == pytest.approx([ground], abs=1e-3) and "transparent parts made" in told[-1]


def test_what_is_told_reaches_the_result(pipe, digits):
    with pytest.warns(UserWarning, match="its bright ground inverted"):
        answer = pipe(np.asarray(grounds.paint(digits[0][0], 225, 30)))
    assert answer.told[0] == "its bright ground inverted" and answer.plain()["told"] == answer.told


def test_ink_that_vanishes_when_it_is_looked_at_alone_is_kept():
    picture = torch.tensor([[1, 0, 0, 6, 6, 0, 0, 0, 0]]) / 255
    for grey in (picture, picture / picture.max()):
        found = tidy(Picture(grey, []), 28, whole=True).grey
        assert found.isfinite().all()
