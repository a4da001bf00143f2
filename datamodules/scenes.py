"""Digits on a larger canvas, among pieces of other digits, drawn for a whole batch at once on any device."""

import torch
from torch import Tensor


def uniforms_per_scene(clutter: int) -> int:
    """How many random numbers :func:`scenes` wants for each scene."""
    return 2 + 5 * clutter


def _patch(rows: Tensor, columns: Tensor, size: int, width: int) -> Tensor:
    """Flat indices of size x size patches in images that are `width` wide: (...) to (..., size * size)."""
    steps = torch.arange(size, device=rows.device)
    index = (rows[..., None] + steps)[..., :, None] * width + (columns[..., None] + steps)[..., None, :]
    return index.flatten(-2)


def below(number: Tensor, limit: int) -> Tensor:
    """Whole numbers below a limit from numbers in [0, 1)."""
    return (number * limit).long().clamp(max=limit - 1)  # a float32 just below 1 can round up to the limit


def scenes(digits: Tensor, pool: Tensor, uniform: Tensor, canvas: int, clutter: int = 0, piece: int = 8) -> Tensor:
    """Pastes each digit at a random place of a black canvas, with `clutter` random crops of digits of the pool.

    Where things overlap the brighter pixel stays, and no crop is rejected (the RAM paper specifies neither).

    Args:
        digits: (batch, side, side) uint8.
        pool: (n, side, side) uint8, the digits that pieces are cut from.
        uniform: (batch, uniforms_per_scene(clutter)) in [0, 1): place of the digit, then for each piece the digit it is
            cut from, where it is cut and where it is pasted.
        canvas: side of the result in pixels.
        clutter: pieces for each scene.
        piece: side of a piece in pixels.

    Returns:
        (batch, canvas, canvas) uint8.
    """
    batch, side = digits.shape[:2]
    corner = below(uniform[:, :2], canvas - side + 1)
    index = _patch(corner[:, 0], corner[:, 1], side, canvas)  # (batch, side * side)
    image = digits.new_zeros(batch, canvas * canvas).scatter_(1, index, digits.flatten(1))
    return strewn(image.view(batch, canvas, canvas), pool, uniform[:, 2:], clutter, piece)


def strewn(image: Tensor, pool: Tensor, uniform: Tensor, clutter: int, piece: int) -> Tensor:
    """Pictures (batch, canvas, canvas) with `clutter` random crops of digits of the pool; see :func:`scenes`.

    Args:
        uniform: (batch, 5 * clutter).
    """
    if not clutter:
        return image
    batch, canvas, side = len(image), image.shape[-1], pool.shape[-1]
    u = uniform.view(batch, clutter, 5)
    source = below(u[..., 0], len(pool))
    cut = below(u[..., 1:3], side - piece + 1)
    paste = below(u[..., 3:5], canvas - piece + 1)
    pixels = _patch(cut[..., 0], cut[..., 1], piece, side) + source[..., None] * side**2
    pieces = pool.flatten()[pixels]  # (batch, clutter, piece * piece)
    index = _patch(paste[..., 0], paste[..., 1], piece, canvas)
    return image.flatten(1).scatter_reduce(1, index.flatten(1), pieces.flatten(1), "amax").view_as(image)


def scaled_scenes(
    digits: Tensor,
    pool: Tensor,
    uniform: Tensor,
    canvas: int,
    scale: tuple[float, float],
    clutter: int = 0,
    piece: int = 8,
) -> Tensor:
    """Scales each digit by a random factor and puts it where its box fits on a black canvas, then strews clutter.

    Between pixels it is bilinear, and outside the digit black (whether Ba et al. 2015 name either is not known here).
    Bilinear reading of an upright digit is a product of two small matrices, one for the rows and one for the columns.

    Args:
        digits, pool, canvas, clutter, piece: see :func:`scenes`.
        uniform: (batch, uniforms_per_scene(clutter) + 1): as there, and last the scale.
        scale: the smallest and the largest factor.

    Returns:
        (batch, canvas, canvas) uint8.
    """
    side = digits.shape[-1]
    factor = scale[0] + (scale[1] - scale[0]) * uniform[:, -1:]  # (batch, 1)
    centre = factor * side / 2 + (canvas - factor * side) * uniform[:, :2]  # (batch, 2) as (row, column), in pixels
    pixel = torch.arange(canvas, device=digits.device) + 0.5
    source = (pixel - centre[..., None]) / factor[..., None] + side / 2 - 0.5  # (batch, 2, canvas) in the digit
    cells = torch.arange(side, device=digits.device)
    rows, columns = (1 - (source[..., None] - cells).abs()).clamp(min=0).unbind(1)  # (batch, canvas, side) each
    image = (rows @ digits.float() @ columns.mT).round().to(torch.uint8)
    return strewn(image, pool, uniform[:, 2:-1], clutter, piece)


def pairs(digits: Tensor, pool: Tensor, uniform: Tensor, canvas: int) -> Tensor:
    """Pastes each digit and another of the pool at random places; where they overlap the sum, at most white.

    (The DRAW paper, section 4.3.)

    Args:
        digits, pool, canvas: see :func:`scenes`.
        uniform: (batch, 5) in [0, 1): place of the digit, the other digit, its place.

    Returns:
        (batch, canvas, canvas) uint8.
    """
    others = pool[below(uniform[:, 2], len(pool))]
    first, second = (
        scenes(digit, pool, place, canvas).int()
        for digit, place in ((digits, uniform[:, :2]), (others, uniform[:, 3:]))
    )
    return (first + second).clamp(max=255).to(torch.uint8)
