"""Where a spatial transformer reads its input (Jaderberg et al. 2015, section 3.2), and how it reads there (3.3).

Coordinates are (x, y), x to the right and y down, and run from -1 to 1 between the centres of the border pixels
(``align_corners=True`` everywhere), so that the identity gives back every pixel. A grid says for each pixel of the
output where in the input it is read: a transformation from the output's frame to the input's. Grids are made in
float32, also under mixed precision.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import UnknownName, ZooError, check_whole, suggest

NEAREST = 1e-6  # a denominator is kept so far from zero


def on_host(make: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Computes a constant on the processor, also where a network is built elsewhere or without memory for weights."""

    @wraps(make)
    def made(*args: Any, **kwargs: Any) -> Tensor:
        with torch.device("cpu"):
            return make(*args, **kwargs)

    return made


@on_host
def lattice(height: int, width: int) -> Tensor:
    """The pixels of a picture: (height, width, 2) as (x, y)."""
    y, x = torch.meshgrid(line(height), line(width), indexing="ij")
    return torch.stack((x, y), -1)


def line(count: int) -> Tensor:
    """`count` points from -1 to 1; a single one in the middle."""
    return torch.linspace(-1, 1, count) if count > 1 else torch.zeros(1)


class Grid(nn.Module):
    """Parameters theta (batch, P) to a grid (batch, height, width, 2), P being the length of :attr:`identity`.

    Args:
        height, width: of the output in pixels.
    """

    identity: Tensor  # (P,), the parameters that read the input as it stands

    def __init__(self, height: int, width: int, identity: list[float] | Tensor):
        super().__init__()
        check_whole(1, height=height, width=width)
        self.register_buffer("points", lattice(height, width), persistent=False)
        self.register_buffer("identity", on_host(torch.as_tensor)(identity, dtype=torch.float32), persistent=False)

    def forward(self, theta: Tensor) -> Tensor:
        with torch.autocast(theta.device.type, enabled=False):
            return self.transform(theta.to(torch.promote_types(theta.dtype, torch.float32)))

    def transform(self, theta: Tensor) -> Tensor:
        """As :meth:`forward`, in the type of theta."""
        raise NotImplementedError


def moved(points: Tensor, A: Tensor) -> Tensor:
    """A (x, y, 1) for every point: (height, width, 2) and (batch, rows, 3) -> (batch, height, width, rows)."""
    height, width, _ = points.shape
    flat = F.pad(points.flatten(0, 1).to(A.dtype), (0, 1), value=1.0)  # (pixels, 3)
    return (flat @ A.mT).view(len(A), height, width, -1)


class Affine(Grid):
    """(x_s, y_s) = A (x_t, y_t, 1), A being 2 x 3 (equation 1)."""

    def __init__(self, height: int, width: int):
        super().__init__(height, width, [1, 0, 0, 0, 1, 0])

    def transform(self, theta: Tensor) -> Tensor:
        return moved(self.points, theta.view(-1, 2, 3))


class Attention(Grid):
    """Crop, translation and isotropic scale: A = [[s, 0, t_x], [0, s, t_y]] of theta = (s, t_x, t_y) (equation 2)."""

    def __init__(self, height: int, width: int):
        super().__init__(height, width, [1, 0, 0])

    def transform(self, theta: Tensor) -> Tensor:
        scale, shift = theta[:, :1, None], theta[:, None, None, 1:]
        return self.points.to(theta.dtype) * scale[..., None] + shift


class Projective(Grid):
    """A homography of eight parameters, its last entry fixed at 1 (the paper says eight parameters, not which).

    A denominator that comes near zero is kept at its sign, so that every point stays finite.
    """

    def __init__(self, height: int, width: int):
        super().__init__(height, width, [1, 0, 0, 0, 1, 0, 0, 0])

    def transform(self, theta: Tensor) -> Tensor:
        H = torch.cat([theta, torch.ones_like(theta[:, :1])], 1).view(-1, 3, 3)
        x, y, w = moved(self.points, H).unbind(-1)
        w = torch.where(w < 0, w.clamp(max=-NEAREST), w.clamp(min=NEAREST))
        return torch.stack((x / w, y / w), -1)


class TPS(Grid):
    """A thin plate spline: theta is where in the input each control point is read, (x, y) after (x, y).

    The control points stand on a regular k x k lattice over the output, row by row. The spline is linear in theta, so
    one matrix, computed once, takes theta to the grid.

    Args:
        control: k, points a side; 4 in the paper.
        reach: the lattice spans [-reach, reach] (1; WarBean's code has 0.9).
        smoothing: lambda; above 0 the spline passes near the points instead of through them.
    """

    def __init__(self, height: int, width: int, control: int = 4, reach: float = 1.0, smoothing: float = 0.0):
        check_whole(2, control=control)
        if not reach > 0 or not smoothing >= 0:
            raise ZooError(f"reach is {reach} and smoothing {smoothing}; expected a positive reach and no less than 0")
        points = reach * lattice(control, control).flatten(0, 1)
        super().__init__(height, width, points.flatten())
        basis = spline_basis(points, self.points.flatten(0, 1), smoothing)
        self.register_buffer("basis", basis, persistent=False)  # (pixels, k * k)

    def transform(self, theta: Tensor) -> Tensor:
        sources = theta.view(len(theta), -1, 2)
        return (self.basis.to(theta.dtype) @ sources).view(len(theta), *self.points.shape)


@on_host
def spline_basis(control: Tensor, points: Tensor, smoothing: float = 0.0) -> Tensor:
    """The matrix B with f(points) = B f(control) for the thin plate spline f through the control points.

    f(p) = a_0 + A p + sum_k w_k U(|p - P_k|), U(r) = r^2 log r^2; the weights w and a solve
    [[K + lambda I, P], [P^T, 0]] [w; a] = [f; 0].

    Args:
        control: (n, 2), different from each other and not all on one line.
        points: (m, 2).
        smoothing: lambda.

    Returns:
        (m, n) float32, computed in float64.

    Raises:
        ZooError: control points that coincide or lie on one line.
    """
    control, points = control.double(), points.double()
    n = len(control)
    with_one = torch.cat([control.new_ones(n, 1), control], 1)  # P
    if (torch.cdist(control, control) + 9 * torch.eye(n)).min() < 1e-6 or torch.linalg.matrix_rank(with_one) < 3:
        raise ZooError("control points coincide or lie on one line; no thin plate spline goes through them")
    delta = control.new_zeros(n + 3, n + 3)
    delta[:n, :n] = radial(control, control) + smoothing * torch.eye(n)
    delta[:n, n:], delta[n:, :n] = with_one, with_one.mT
    right = torch.cat([torch.eye(n, dtype=torch.float64), control.new_zeros(3, n)])
    weights = torch.linalg.solve(delta, right)  # of every control point's value: (n + 3, n)
    at = torch.cat([radial(points, control), points.new_ones(len(points), 1), points], 1)
    return (at @ weights).float()


def radial(points: Tensor, control: Tensor) -> Tensor:
    """U(r) = r^2 log r^2, 0 at 0: (m, 2) and (n, 2) -> (m, n)."""
    square = (points[:, None] - control).square().sum(-1)
    return torch.special.xlogy(square, square)


GRIDS = {"affine": Affine, "attention": Attention, "projective": Projective, "tps": TPS}


def make_grid(kind: str, height: int, width: int, **arguments: float) -> Grid:
    """A grid by its name in :data:`GRIDS`."""
    if kind not in GRIDS:
        raise UnknownName(f"there is no transformer {kind!r}{suggest(kind, GRIDS)}; there are {', '.join(GRIDS)}")
    return GRIDS[kind](height, width, **arguments)


def sample(image: Tensor, grid: Tensor) -> Tensor:
    """Reads a picture at the points of a grid, between pixels bilinearly (equation 5); outside is 0.

    Args:
        image: (batch, channels, height, width).
        grid: (batch, rows, columns, 2) as (x, y).

    Returns:
        (batch, channels, rows, columns) in float32, or float64 where either is.
    """
    kind = torch.promote_types(torch.promote_types(image.dtype, grid.dtype), torch.float32)
    image, grid = image.to(kind), grid.to(kind)
    if image.is_cuda and torch.are_deterministic_algorithms_enabled():
        return gathered(image, grid)
    return F.grid_sample(image, grid, mode="bilinear", padding_mode="zeros", align_corners=True)


def gathered(image: Tensor, grid: Tensor) -> Tensor:
    """:func:`sample` by four look-ups, whose gradient a device adds up in a fixed order, unlike torch's own."""
    batch, channels, height, width = image.shape
    x = (grid[..., 0] + 1) / 2 * (width - 1)
    y = (grid[..., 1] + 1) / 2 * (height - 1)
    left, top = x.detach().floor(), y.detach().floor()
    # of each corner its share; far outside the floor may not fit a whole number, hence the clamps
    column = torch.stack((left, left, left + 1, left + 1), -1)  # (batch, rows, columns, 4)
    row = torch.stack((top, top + 1, top, top + 1), -1)
    share = (1 - (x[..., None] - column).abs()) * (1 - (y[..., None] - row).abs())
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    index = row.clamp(0, height - 1).long() * width + column.clamp(0, width - 1).long()
    flat = index.view(batch, 1, -1).expand(-1, channels, -1)
    pixels = image.flatten(2).gather(2, flat).view(batch, channels, *index.shape[1:])
    return (pixels * torch.where(inside, share, 0.0)[:, None]).sum(-1)
