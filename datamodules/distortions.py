"""Digits that are turned, scaled, seen from aside or bent (Jaderberg et al. 2015, section 4.1), a whole batch at once.

Each distortion takes uniform numbers and says where in the digit every pixel of the picture is read, in coordinates
from -1 to 1 between the centres of the digit's border pixels; outside the digit is black, and between pixels it is
bilinear (the paper says neither).
"""

import math
from collections.abc import Callable
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.files import DataError

CORNER_NOISE, FRAME = 5.0, 42  # pixels, of the projective distortion: how far corners move, and whose
CONTROL, CONTROL_NOISE = 4, 1.5  # points a side and pixels, of the elastic one


def between(uniform: Tensor, low: float, high: float) -> Tensor:
    return low + (high - low) * uniform


def normal(uniform: Tensor) -> Tensor:
    """Standard normal numbers from uniform ones, which stay a little away from 0 and 1."""
    return math.sqrt(2) * torch.erfinv((2 * uniform - 1).clamp(-1 + 2e-7, 1 - 2e-7))


def pixels(canvas: int, side: int, like: Tensor) -> Tensor:
    """The pixels of the canvas from its centre, in units of half a digit: (canvas, canvas, 2) as (x, y)."""
    line = torch.arange(canvas, device=like.device, dtype=like.dtype) - (canvas - 1) / 2
    return torch.stack(torch.meshgrid(line, line, indexing="xy"), -1) / ((side - 1) / 2)


def turned(points: Tensor, angle: Tensor, scale: Tensor | float = 1.0) -> Tensor:
    """Where the points of pictures that were turned and scaled come from: (batch, rows, columns, 2), or one for all."""
    cosine, sine = ((f / scale)[:, None, None] for f in (angle.cos(), angle.sin()))
    x, y = points.unbind(-1)
    return torch.stack((cosine * x + sine * y, cosine * y - sine * x), -1)


def rotate(uniform: Tensor, canvas: int, side: int, degrees: float) -> Tensor:
    """R: by a uniform angle up to so many degrees to either side. One number a picture."""
    angle = between(uniform[:, 0], -1, 1) * math.radians(degrees)
    return turned(pixels(canvas, side, uniform), angle)


def rts(uniform: Tensor, canvas: int, side: int, degrees: float) -> Tensor:
    """RTS: turned, scaled by 0.7 to 1.2, and put where its box fits on the canvas. Four numbers a picture."""
    angle, scale = between(uniform[:, 0], -1, 1) * math.radians(degrees), between(uniform[:, 1], 0.7, 1.2)
    room = ((canvas - side * scale) / 2).clamp(min=0) / ((side - 1) / 2)  # to each side, in half digits
    shift = between(uniform[:, 2:4], -1, 1) * room[:, None]
    return turned(pixels(canvas, side, uniform) - shift[:, None, None], angle, scale)


def projective(uniform: Tensor, canvas: int, side: int, degrees: float) -> Tensor:
    """P: scaled by 0.75 to 1, then the corners of a frame of 42 pixels around it moved by N(0, 5 pixels). Nine numbers.

    The paper does not say how large its picture is. Of 28 pixels one frame in 200 would not stay convex.
    """
    half = (side - 1) / 2
    frame = (FRAME - 1) / 2 / half  # in half digits
    scale, noise = between(uniform[:, 0], 0.75, 1.0), normal(uniform[:, 1:9]).view(-1, 4, 2) * CORNER_NOISE / half
    corners = square(uniform.device) * frame + noise
    H = adjugate(to_quadrilateral(corners))
    flat = F.pad(pixels(canvas, side, uniform).flatten(0, 1), (0, 1), value=1.0)
    x, y, w = (flat @ H.mT).view(len(uniform), canvas, canvas, 3).unbind(-1)
    w = torch.where(w < 0, w.clamp(max=-1e-6), w.clamp(min=1e-6))
    return frame * torch.stack((x / w, y / w), -1) / scale[:, None, None, None]


@cache
def square(device: torch.device) -> Tensor:
    """The corners (-1, -1), (1, -1), (1, 1), (-1, 1): (4, 2); made once for a device."""
    return torch.tensor([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]], device=device)


def to_quadrilateral(corners: Tensor) -> Tensor:
    """The homographies that take the square (-1, -1), (1, -1), (1, 1), (-1, 1) to four corners: (batch, 3, 3).

    Of the square's corners, with a third coordinate of 1, s_2 = s_1 + s_3 - s_0; and of the given ones, by Cramer's
    rule, c = A + B + D with multiples of a, b and d. So H takes s_0, s_1, s_3 to -A, B, D, and s_2 to c.
    """
    a, b, c, d = F.pad(corners, (0, 1), value=1.0).unbind(1)

    def volume(u: Tensor, v: Tensor, w: Tensor) -> Tensor:
        return (u * torch.linalg.cross(v, w)).sum(-1, keepdim=True)

    A, B, D = a * volume(c, b, d), b * volume(a, c, d), d * volume(a, b, c)  # all times the volume of a, b, d
    return torch.stack(((B + A) / 2, (D + A) / 2, (B + D) / 2), -1)  # of x = (s_1 - s_0) / 2, of y, and of 1


def adjugate(H: Tensor) -> Tensor:
    """The inverse of 3 x 3 matrices up to a factor, which a homography may have."""
    rows = H.unbind(-2)
    return torch.stack([torch.linalg.cross(rows[i - 2], rows[i - 1]) for i in range(3)], -1)


def elastic(uniform: Tensor, canvas: int, side: int, degrees: float) -> Tensor:
    """E: scaled by 0.75 to 1, bent by a thin plate spline whose 16 points move by N(0, 1.5 pixels). 33 numbers."""
    scale = between(uniform[:, 0], 0.75, 1.0)
    noise = normal(uniform[:, 1:33]).view(-1, CONTROL**2, 2) * CONTROL_NOISE / ((side - 1) / 2)
    control, basis = spline(canvas, side, uniform.device)
    sources = control / scale[:, None, None] + noise
    return (basis @ sources).view(len(uniform), canvas, canvas, 2)


@cache
def spline(canvas: int, side: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """The control points (n, 2), and what each adds at each pixel (pixels, n); made once for a device."""
    line = torch.linspace(-1, 1, CONTROL)
    control = torch.cartesian_prod(line, line).flip(-1)
    basis = bending(control, pixels(canvas, side, control).flatten(0, 1))
    return control.to(device), basis.to(device)


def bending(control: Tensor, points: Tensor) -> Tensor:
    """What the value at each control point adds to the thin plate spline through them at each point: (m, n)."""

    def rows(at: Tensor) -> Tensor:
        square = (at[:, None] - control).square().sum(-1)
        return torch.cat([torch.special.xlogy(square, square), torch.ones_like(at[:, :1]), at], 1)

    system = torch.cat([rows(control), F.pad(rows(control)[:, -3:].mT, (0, 3))])
    return (torch.linalg.solve_ex(system.double().mT, rows(points).double().mT)[0].mT[:, : len(control)]).float()


# name: where pixels are read, and uniform numbers a picture
DISTORTIONS: dict[str, tuple[Callable[[Tensor, int, int, float], Tensor], int]] = {
    "rotate": (rotate, 1),
    "rts": (rts, 4),
    "projective": (projective, 9),
    "elastic": (elastic, 33),
}


def check_distortion(name: str) -> None:
    """Raises DataError for a distortion that there is not."""
    if name not in DISTORTIONS:
        raise DataError(f"there is no distortion {name!r}; expected one of {', '.join(DISTORTIONS)}")


def distort(digits: Tensor, uniform: Tensor, name: str, canvas: int, degrees: float) -> Tensor:
    """Distorted digits on a black canvas.

    Args:
        digits: (batch, side, side) uint8.
        uniform: (batch, k) in [0, 1), at least as many as the distortion wants.
        name: of :data:`DISTORTIONS`.
        canvas: side of the result in pixels.
        degrees: that "rotate" and "rts" turn to either side.

    Returns:
        (batch, canvas, canvas) uint8.
    """
    side = digits.shape[-1]
    grid = DISTORTIONS[name][0](uniform, canvas, side, degrees)
    read = F.grid_sample(digits[:, None].float(), grid, mode="bilinear", padding_mode="zeros", align_corners=True)
    return read[:, 0].round().to(torch.uint8)
