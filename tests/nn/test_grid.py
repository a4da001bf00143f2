"""Grids against torch's and SciPy's, and what degenerate ones give."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import RBFInterpolator

from zoo.errors import UnknownName, ZooError
from zoo.nn.grid import GRIDS, TPS, Affine, Attention, Projective, gathered, make_grid, sample, spline_basis

RANDOM = torch.Generator().manual_seed(0)


def normal(*shape, dtype=torch.float32):
    return torch.randn(*shape, generator=RANDOM, dtype=dtype)


@pytest.mark.parametrize("kind", GRIDS)
@pytest.mark.parametrize("size", [(28, 28), (7, 5), (1, 1), (1, 4)])
def test_the_identity_gives_back_every_pixel(kind, size):
    image, grid = torch.rand(3, 2, *size, generator=RANDOM), make_grid(kind, *size)
    read = sample(image, grid(grid.identity.expand(3, -1)))
    torch.testing.assert_close(read, image, rtol=0, atol=1e-5)


@given(st.integers(1, 6), st.integers(1, 6))
@settings(max_examples=20, deadline=None)
def test_affine_is_torchs(height, width):
    theta = normal(2, 6)
    if min(height, width) > 1:  # of a single pixel torch's is at -1
        expected = F.affine_grid(theta.view(2, 2, 3), [2, 1, height, width], align_corners=True)
        torch.testing.assert_close(Affine(height, width)(theta), expected)


def test_attention_is_the_affine_transformer_with_one_scale():
    s, t_x, t_y = normal(3, 4).unbind()
    zero = torch.zeros(4)
    same = torch.stack([s, zero, t_x, zero, s, t_y], 1)
    torch.testing.assert_close(Attention(5, 6)(torch.stack([s, t_x, t_y], 1)), Affine(5, 6)(same))


def test_projective_divides_by_the_third_coordinate():
    theta = torch.cat([normal(1, 6), torch.tensor([[0.2, -0.3]])], 1)
    H = torch.cat([theta[0], torch.ones(1)]).view(3, 3)
    grid = Projective(3, 4)(theta)[0]
    for row, y in enumerate(torch.linspace(-1, 1, 3)):
        for column, x in enumerate(torch.linspace(-1, 1, 4)):
            point = H @ torch.stack([x, y, torch.tensor(1.0)])
            torch.testing.assert_close(grid[row, column], point[:2] / point[2])


@pytest.mark.parametrize("control", [2, 3, 4])
def test_tps_is_scipys(control):
    tps = TPS(6, 5, control, reach=0.9)
    points = tps.identity.view(-1, 2)
    theta = points.flatten() + 0.3 * normal(2, 2 * control**2)
    for sources, grid in zip(theta.view(2, -1, 2), tps(theta), strict=True):
        spline = RBFInterpolator(points.numpy(), sources.numpy(), kernel="thin_plate_spline", degree=1)
        expected = torch.from_numpy(spline(tps.points.flatten(0, 1).numpy())).float().view(6, 5, 2)
        torch.testing.assert_close(grid, expected, rtol=0, atol=1e-4)


def test_smoothing_is_scipys():
    control, points = normal(7, 2), normal(9, 2)
    values = normal(7, 2)
    # SciPy's U is r^2 log r, half of ours, so its lambda is half of ours too
    spline = RBFInterpolator(control.numpy(), values.numpy(), kernel="thin_plate_spline", degree=1, smoothing=0.25)
    expected = torch.from_numpy(spline(points.numpy())).float()
    torch.testing.assert_close(spline_basis(control, points, 0.5) @ values, expected, rtol=0, atol=1e-4)


def test_an_affine_move_of_the_control_points_is_that_affine_transformer():
    A = torch.tensor([[[0.8, -0.3, 0.1], [0.2, 0.7, -0.2]]])
    tps = TPS(9, 7)
    points = F.pad(tps.identity.view(-1, 2), (0, 1), value=1.0)
    theta = (points @ A[0].mT).flatten()[None]
    torch.testing.assert_close(tps(theta), Affine(9, 7)(A.view(1, 6)), rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", GRIDS)
def test_gradients_of_the_parameters_and_the_picture(kind):
    grid = make_grid(kind, 3, 4).double()
    image = normal(2, 2, 5, 6, dtype=torch.float64).requires_grad_()
    theta = (grid.identity + 0.1 * normal(2, len(grid.identity), dtype=torch.float64)).requires_grad_()
    for read in (sample, gathered):
        assert torch.autograd.gradcheck(lambda image, theta: read(image, grid(theta)), (image, theta))  # noqa: B023


def test_x_comes_before_y():
    image = torch.zeros(1, 1, 5, 9)
    image[0, 0, 1, 6] = 1.0  # right of the middle, above it
    right, down = torch.tensor([[1, 0, 0.25, 0, 1, 0]]), torch.tensor([[1, 0, 0, 0, 1, 0.5]])
    assert sample(image, Affine(5, 9)(right))[0, 0, 1, 5] == 1.0  # reads a quarter of 4 pixels further right
    assert sample(image, Affine(5, 9)(down))[0, 0, 0, 6] == 1.0  # reads half of 2 pixels further down


def test_a_rotation_is_undone_by_its_inverse():
    yy, xx = torch.meshgrid(torch.linspace(-1, 1, 81), torch.linspace(-1, 1, 81), indexing="ij")
    image = torch.exp(-(((xx - 0.2) / 0.3) ** 2) - ((yy + 0.1) / 0.2) ** 2)[None, None]
    c, s = math.cos(0.6), math.sin(0.6)
    there, back = torch.tensor([[c, -s, 0, s, c, 0]]), torch.tensor([[c, s, 0, -s, c, 0]])
    turned = sample(image, Affine(81, 81)(there))
    assert (turned - image).abs().max() > 0.3
    assert (sample(turned, Affine(81, 81)(back)) - image).abs().max() < 0.02


@given(st.integers(1, 5), st.integers(1, 5), st.floats(0.1, 5))
@settings(max_examples=25, deadline=None)
def test_the_look_ups_are_torchs_sampler(height, width, reach):
    image, grid = normal(2, 3, height, width), reach * normal(2, 4, 3, 2)
    expected = F.grid_sample(image, grid, align_corners=True)
    torch.testing.assert_close(gathered(image, grid), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", GRIDS)
@pytest.mark.parametrize("value", [0.0, 1e20, -1e20])
def test_degenerate_parameters_give_finite_values(kind, value):
    image, grid = torch.rand(1, 1, 4, 4, generator=RANDOM), make_grid(kind, 4, 4)
    for read in (sample, gathered):
        theta = torch.full((1, len(grid.identity)), value, requires_grad=True)
        result = read(image, grid(theta))
        result.sum().backward()
        assert result.isfinite().all() and theta.grad.isfinite().all()


def test_a_horizon_inside_the_picture_stays_finite():
    grid = Projective(5, 5)(torch.tensor([[1, 0, 0, 0, 1, 0, -1.0, 0]]))  # w = 1 - x is 0 at the right border
    assert grid.isfinite().all()


def test_grids_stay_in_float32_under_mixed_precision():
    for kind in GRIDS:
        grid = make_grid(kind, 28, 28)
        theta = grid.identity.expand(2, -1)
        with torch.autocast("cpu", torch.bfloat16):
            assert grid(theta.bfloat16()).dtype == torch.float32
            torch.testing.assert_close(grid(theta), grid.points.expand(2, -1, -1, -1), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: make_grid("afine", 3, 3), "did you mean affine"),
        (lambda: TPS(3, 3, control=1), "control is 1; expected a whole number, at least 2"),
        (lambda: Affine(0, 3), "height is 0"),
        (lambda: TPS(3, 3, reach=0), "expected a positive reach"),
        (lambda: spline_basis(torch.zeros(4, 2), torch.zeros(1, 2)), "coincide or lie on one line"),
        (lambda: spline_basis(torch.arange(4.0)[:, None].expand(-1, 2), torch.zeros(1, 2)), "lie on one line"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(make, message):
    with pytest.raises((ZooError, UnknownName), match=message):
        make()
