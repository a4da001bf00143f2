"""Distorted digits: each distortion against a slow one of its own, what is fresh, and sums of two digits."""

import math

import numpy as np
import pytest
import torch
from scipy.interpolate import RBFInterpolator
from scipy.stats import norm

from datamodules.distorted import Addition, Distorted
from datamodules.distortions import DISTORTIONS, adjugate, distort, to_quadrilateral
from datamodules.files import DataError

RANDOM = torch.Generator().manual_seed(0)


def read(digit: np.ndarray, x: float, y: float) -> float:
    """The grey at a place in pixels, between the centres bilinear and outside black."""
    left, top = math.floor(x), math.floor(y)
    total = 0.0
    for column in (left, left + 1):
        for row in (top, top + 1):
            if 0 <= column < 28 and 0 <= row < 28:
                total += digit[row, column] * (1 - abs(x - column)) * (1 - abs(y - row))
    return total


def compare(name: str, canvas: int, degrees: float, source, count: int = 3) -> None:
    """distort() beside a loop over pixels; source: of a sample's numbers, the function from pixel to place."""
    digits = torch.randint(256, (count, 28, 28), dtype=torch.uint8, generator=RANDOM)
    uniform = torch.rand(count, DISTORTIONS[name][1], generator=RANDOM)
    found = distort(digits, uniform, name, canvas, degrees)
    assert found.shape == (count, canvas, canvas) and found.dtype == torch.uint8
    for digit, u, picture in zip(digits.numpy(), uniform.double().numpy(), found.numpy(), strict=True):
        place = source(u)
        slow = np.array([[read(digit, *place(x, y)) for x in range(canvas)] for y in range(canvas)])
        assert np.abs(slow - picture).max() <= 1.5, "rounded, and computed in float32"


def test_rotate_reads_where_the_turned_pixel_came_from():
    def source(u):
        angle = math.radians(90) * (2 * u[0] - 1)
        c, s = math.cos(angle), math.sin(angle)
        return lambda x, y: (c * (x - 13.5) + s * (y - 13.5) + 13.5, c * (y - 13.5) - s * (x - 13.5) + 13.5)

    compare("rotate", 28, 90.0, source)


def test_rts_turns_scales_and_places():
    def source(u):
        angle, scale = math.radians(45) * (2 * u[0] - 1), 0.7 + 0.5 * u[1]
        room = max((42 - 28 * scale) / 2, 0)
        c, s = math.cos(angle) / scale, math.sin(angle) / scale

        def place(x, y):
            x, y = x - 20.5 - room * (2 * u[2] - 1), y - 20.5 - room * (2 * u[3] - 1)
            return c * x + s * y + 13.5, c * y - s * x + 13.5

        return place

    compare("rts", 42, 45.0, source)


def test_projective_takes_moved_corners_back_to_the_corners():
    def source(u):
        scale, noise = 0.75 + 0.25 * u[0], 5.0 * norm.ppf(u[1:9]).reshape(4, 2)
        square = 20.5 * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])  # the corners of 42 pixels
        moved = square + noise
        rows = []  # of the direct linear transformation from the moved corners to the square's
        for (x, y), (a, b) in zip(moved, square, strict=True):
            rows += [[x, y, 1, 0, 0, 0, -a * x, -a * y, -a], [0, 0, 0, x, y, 1, -b * x, -b * y, -b]]
        H = np.linalg.svd(np.array(rows))[2][-1].reshape(3, 3)

        def place(x, y):
            a, b, w = H @ (x - 13.5, y - 13.5, 1)
            return a / w / scale + 13.5, b / w / scale + 13.5

        return place

    compare("projective", 28, 0.0, source)


def test_elastic_bends_by_the_spline_through_the_moved_points():
    def source(u):
        scale, noise = 0.75 + 0.25 * u[0], 1.5 * norm.ppf(u[1:33]).reshape(16, 2)
        line = np.linspace(-13.5, 13.5, 4)
        control = np.array([[x, y] for y in line for x in line])
        spline = RBFInterpolator(control, control / scale + noise, kernel="thin_plate_spline", degree=1)
        return lambda x, y: tuple(spline([[x - 13.5, y - 13.5]])[0] + 13.5)

    compare("elastic", 28, 0.0, source, count=1)


def test_a_homography_and_its_inverse():
    corners = torch.randn(3, 4, 2, generator=RANDOM)
    H = to_quadrilateral(corners)
    square = torch.tensor([[-1.0, -1, 1], [1, -1, 1], [1, 1, 1], [-1, 1, 1]])
    found = square @ H.mT
    torch.testing.assert_close(found[..., :2] / found[..., 2:], corners, rtol=1e-3, atol=1e-3)
    product = H @ adjugate(H)
    torch.testing.assert_close(product / product[:, :1, :1], torch.eye(3).expand(3, 3, 3), rtol=0, atol=1e-3)


@pytest.fixture(scope="module")
def made():
    """A function to data modules that share the digits."""
    first = Distorted()
    first.setup()

    def make(kind=Distorted, **arguments):
        data = kind(**arguments)
        data.images, data.labels = first.images, first.labels
        return data

    return make


INDEX = torch.tensor([3, 17, 40_000])


@pytest.mark.parametrize("name", [*DISTORTIONS, None])
def test_training_is_fresh_and_the_test_set_is_not(made, name):
    how = {"distortion": name, "canvas": 42, "clutter": 0 if name else 4, "piece": 6}
    data, again = made(**how), made(**how)
    one, two, three = (data.batch("train", INDEX, epoch)["image"] for epoch in (0, 1, 0))
    assert one.shape == (3, 1, 42, 42) and one.dtype == torch.float32 and 0.5 < one.max() <= 1
    assert not torch.equal(one, two) and torch.equal(one, three)
    assert torch.equal(again.batch("train", INDEX[1:], 1)["image"], two[1:]), "a function of (seed, epoch, index)"
    held_out = [each.batch("test", INDEX[:2], epoch)["image"] for each, epoch in ((data, 0), (made(**how, seed=5), 3))]
    assert torch.equal(*held_out)
    fixed = made(**how, fresh=False)
    assert torch.equal(fixed.batch("train", INDEX, 1)["image"], one) and torch.equal(
        fixed.batch("train", INDEX, 2)["image"], one
    )


def test_sums_are_of_the_two_digits_that_are_shown(made):
    data = made(Addition, distortion="rotate", degrees=0.0)
    batch = data.batch("train", INDEX, 2)
    assert batch["image"].shape == (3, 2, 28, 28) and data.spec == {"channels": 2, "num_classes": 19}
    pictures, sums = (batch["image"] * 255).round().byte(), batch["label"]
    for picture, total, index in zip(pictures, sums, INDEX, strict=True):
        assert torch.equal(picture[0], data.images[index])
        (second,) = (data.images[:50_000] == picture[1]).flatten(1).all(1).nonzero()[0].tolist()
        assert total == data.labels[index] + data.labels[second]
    assert torch.equal(data.batch("val", INDEX[:2])["image"], data.batch("val", INDEX[:2], 4)["image"])


def test_what_cannot_be_is_one_sentence(made):
    for arguments, message in (
        ({"distortion": "rotat"}, "expected one of rotate, rts"),
        ({"distortion": "rts", "clutter": 4}, "leave out one of"),
    ):
        with pytest.raises(DataError, match=message):
            Distorted(**arguments)
    with pytest.raises(DataError, match="digits that are added are distorted"):
        made(Addition, distortion=None).batch("train", INDEX)
