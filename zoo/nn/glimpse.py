"""The retina: a bandwidth-limited sensor that sees sharply where it looks and coarsely around it."""

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.nn.kernels import at_least_float32

UNIT = 2.0**-30  # of a sum


def integral_image(image: Tensor) -> Tensor:
    """Sums over all rectangles that start in the top-left corner, so that any box sum is four look-ups.

    The sums are whole numbers, since of two that are large floats have lost the difference. Where one overflows, so
    does its neighbour, and the difference is right.

    Args:
        image: (batch, channels, height, width), any real type; the sum under a cell of the retina is below 2^33.

    Returns:
        (batch, channels, height + 1, width + 1) int64 in units of :data:`UNIT`, the first row and column zero.
    """
    sums = (at_least_float32(image) / UNIT).round().long().cumsum(-1).cumsum(-2)
    return F.pad(sums, (1, 0, 1, 0))


def nearest_corner(location: Tensor, height: int, width: int) -> Tensor:
    """The corner between pixels that is nearest to a location: (..., 2) int64 as (x, y), (0, 0) top left.

    Args:
        location: (..., 2) as (x, y); (-1, -1) is the top-left corner of the image and (0, 0) its centre.
        height, width: of the image in pixels.
    """
    x, y = ((location.float() + 1) / 2).unbind(-1)  # sizes stay numbers: a tensor of them is a copy from the host
    return torch.stack((x * width, y * height), -1).round().long()


def windows(location: Tensor, height: int, width: int, size: int, scales: int) -> Tensor:
    """The squares that :func:`retina` sees, finest first: (..., scales, 4) float32 as (left, top, right, bottom).

    In pixels, also where they reach beyond the image. The arguments are those of :func:`nearest_corner` and
    :func:`retina`.
    """
    corner = nearest_corner(location, height, width)[..., None, :]  # (..., 1, 2)
    half = size // 2 * 2 ** torch.arange(scales, device=location.device)[:, None]
    return torch.cat((corner - half, corner + half), -1).float()


def retina(integral: Tensor, location: Tensor, size: int, scales: int) -> Tensor:
    """rho(x, l): concentric square patches, each twice as wide as the one before and all resampled to one size.

    Patch s is ``size * 2**s`` pixels wide and centred on the pixel corner nearest to the location; each of its
    cells is the mean of the ``2**s x 2**s`` pixels under it. Outside the image is black. No gradient
    reaches the location. (Mnih et al. 2014, section 3.1; average pooling is the usual choice, the paper names none.)

    Args:
        integral: (batch, channels, height + 1, width + 1), from :func:`integral_image`.
        location: (batch, 2) as (x, y); (-1, -1) is the top-left corner of the image and (0, 0) its centre.
        size: side of a patch in cells, even.
        scales: number of patches.

    Returns:
        (batch, scales * channels, size, size) in float32.
    """
    batch, channels, rows, columns = integral.shape
    centre = nearest_corner(location, rows - 1, columns - 1)  # (batch, 2) in pixels
    steps = torch.arange(size + 1, device=location.device) - size // 2
    widths = 2 ** torch.arange(scales, device=location.device)
    edges = centre[:, :, None, None] + widths[:, None] * steps  # (batch, 2, scales, size + 1)
    x = edges[:, 0].clamp(0, columns - 1)
    y = edges[:, 1].clamp(0, rows - 1)
    index = y[..., :, None] * columns + x[..., None, :]  # (batch, scales, size + 1, size + 1)
    corners = integral.flatten(2).gather(2, index.flatten(1)[:, None].expand(-1, channels, -1))
    corners = corners.view(batch, channels, scales, size + 1, size + 1).transpose(1, 2)
    boxes = corners.diff(dim=-1).diff(dim=-2)
    cells = boxes.float() * UNIT / (widths.float() ** 2)[:, None, None, None]
    return cells.reshape(batch, scales * channels, size, size)


def zoomed(integral: Tensor, location: Tensor, scale: Tensor, size: int) -> Tensor:
    """One patch of :func:`retina` for each of several locations of a picture, of the scale that is chosen for it.

    Patch s is ``size * 2**s`` pixels wide; nothing is copied for the locations of one picture.

    Args:
        integral: (batch, channels, height + 1, width + 1), from :func:`integral_image`.
        location: (batch, n, 2) as (x, y), see :func:`retina`.
        scale: (batch, n) int64, from 0.
        size: side of a patch in cells, even.

    Returns:
        (batch, n, channels, size, size) in float32.
    """
    batch, channels, rows, columns = integral.shape
    edges = zoom_edges(location, scale, rows - 1, columns - 1, size)  # (batch, n, 2, size + 1)
    x, y = edges[:, :, 0].clamp(0, columns - 1), edges[:, :, 1].clamp(0, rows - 1)
    index = (y[..., :, None] * columns + x[..., None, :]).flatten(1)  # (batch, n * (size + 1)^2)
    corners = integral.flatten(2).gather(2, index[:, None].expand(-1, channels, -1))
    corners = corners.view(batch, channels, -1, size + 1, size + 1).transpose(1, 2)
    boxes = corners.diff(dim=-1).diff(dim=-2)
    return boxes.float() * UNIT / (4.0**scale)[..., None, None, None]


def zoom_edges(location: Tensor, scale: Tensor, height: int, width: int, size: int) -> Tensor:
    """The lines between the cells of :func:`zoomed`, in pixels, also beyond the image: (batch, n, 2, size + 1) int64.

    The first two along x and y; the arguments are those of :func:`zoomed` and :func:`nearest_corner`.
    """
    steps = torch.arange(size + 1, device=location.device) - size // 2
    return nearest_corner(location, height, width)[..., None] + (2**scale)[..., None, None] * steps


def patch(image: Tensor, location: Tensor, size: int) -> Tensor:
    """The finest patch of :func:`retina`, read from the image itself: exact, and faster where it is the only one.

    Args:
        image: (batch, channels, height, width).
        location, size: see :func:`retina`.

    Returns:
        (batch, channels, size, size) in the type of the image.
    """
    batch, channels, height, width = image.shape
    corner = nearest_corner(location, height, width) - size // 2
    cells = corner[:, :, None] + torch.arange(size, device=location.device)  # (batch, 2, size)
    x, y = cells.unbind(1)
    inside = ((y >= 0) & (y < height))[:, :, None] & ((x >= 0) & (x < width))[:, None]  # (batch, size, size)
    index = y.clamp(0, height - 1)[:, :, None] * width + x.clamp(0, width - 1)[:, None]
    seen = image.flatten(2).gather(2, index.flatten(1)[:, None].expand(-1, channels, -1))
    return seen.view(batch, channels, size, size) * inside[:, None]


def pooled(image: Tensor, location: Tensor, size: int, scales: int) -> Tensor:
    """What :func:`retina` sees, from the image itself: slower for wide patches, and gradients reach the image.

    Args:
        image: (batch, channels, height, width).
        location, size, scales: see :func:`retina`.

    Returns:
        (batch, scales * channels, size, size) in the type of the image.
    """
    widths = [2**scale for scale in range(scales)]
    return torch.cat([F.avg_pool2d(patch(image, location, size * width), width) for width in widths], 1)
