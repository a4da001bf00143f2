"""Scenes of one to three small pictures on a coloured ground, drawn for a whole batch at once on any device."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.scenes import below

CANVAS, MOST = 112, 3  # side of a scene in pixels; pictures in it
SIZES = (28, 34, 40, 46)  # sides that a picture may have in a scene
HALF = CANVAS // 2
WANDER = 8  # pixels by which two things side by side are higher or lower than each other
DARKEST = 0.35  # of a ground, from 0 to 1
UNIFORMS = 1 + 3 * MOST + 3  # random numbers that :func:`place` and :func:`ground` want for a scene


class Places(NamedTuple):
    """Where the pictures of each scene stand."""

    corner: Tensor  # (batch, 3, 2) int64, the top left corner as (x, y)
    size: Tensor  # (batch, 3) int64, which of SIZES
    layout: (
        Tensor  # (batch,) int64: 0 if the second is right of the first, 1 if it is below; then the third the other way
    )

    def boxes(self, count: Tensor) -> Tensor:
        """(batch, 3, 4) float32 as (left, top, right, bottom); zero beyond the count (batch,)."""
        side = torch.tensor(SIZES, device=self.size.device)[self.size][..., None]
        there = torch.arange(MOST, device=count.device) < count[:, None]
        return torch.cat([self.corner, self.corner + side], -1).float() * there[..., None]


def scaled(pictures: Tensor) -> Tensor:
    """Every picture in every size, from (n, 4, side, side) uint8: (sizes, n, 4, largest, largest) float32.

    Colours are multiplied by their opacity, the last channel; what a smaller size leaves free is transparent.
    """
    unit = pictures.float() / 255
    unit = torch.cat([unit[:, :3] * unit[:, 3:], unit[:, 3:]], 1)
    largest = max(SIZES)
    made = [F.interpolate(unit, size=(s, s), mode="bilinear", antialias=True).clamp(0, 1) for s in SIZES]
    return torch.stack([F.pad(each, (0, largest - s, 0, largest - s)) for each, s in zip(made, SIZES, strict=True)])


def place(uniform: Tensor, count: Tensor) -> Places:
    """Draws places that do not overlap.

    One picture stands anywhere. Two stand in two halves, at about the same height or one below the other. Three stand
    in three quarters: the first at the top left, the second beside or below it, the third at the bottom right.

    Args:
        uniform: (batch, UNIFORMS) in [0, 1).
        count: (batch,) int64, 1 to 3.
    """
    side = torch.tensor(SIZES, device=uniform.device)
    size = below(uniform[:, 1:4], len(SIZES))
    room = side[size][..., None]  # (batch, 3, 1)
    u = uniform[:, 4:10].unflatten(1, (MOST, 2))
    layout = below(uniform[:, 0], 2)

    anywhere = (u * (CANVAS - room + 1)).long()
    # of two: the halves along one axis; along the other a common height, and a little more or less
    order = torch.arange(MOST, device=u.device).clamp(max=1)[None, :, None]  # 0, 1, 1
    within = order * HALF + (u * (HALF - room + 1)).long()
    middle = max(SIZES) / 2 + u[:, :1, :].flip(-1) * (CANVAS - max(SIZES))  # of both, independent of `within`
    level = (middle - room / 2 + (2 * u - 1) * WANDER).long().clamp(min=0).minimum(CANVAS - room)
    along = torch.arange(2, device=u.device) == layout[:, None, None]  # x where they stand side by side
    halves = torch.where(along, within, level)
    # of three: the quarters from the top left to the bottom right
    second = torch.stack([1 - layout, layout], -1)
    quarter = torch.stack([torch.zeros_like(second), second, torch.ones_like(second)], 1)
    quarters = quarter * HALF + (u * (HALF - room + 1)).long()
    corner = torch.where((count == 2)[:, None, None], halves, quarters)
    return Places(torch.where((count == 1)[:, None, None], anywhere, corner), size, layout)


def ground(uniform: Tensor) -> Tensor:
    """The colour of each ground, (batch, 3) in [DARKEST, 1)."""
    return DARKEST + (1 - DARKEST) * uniform[:, 10:13]


def draw(pictures: Tensor, which: Tensor, count: Tensor, places: Places, colour: Tensor) -> Tensor:
    """Pastes pictures on their grounds, one after the other.

    Args:
        pictures: of :func:`scaled`.
        which: (batch, 3) int64, the picture at each place; beyond the count any.
        count: (batch,) int64.
        places: of :func:`place`.
        colour: (batch, 3), the grounds.

    Returns:
        (batch, 3, CANVAS, CANVAS) float32 in [0, 1].
    """
    largest = pictures.shape[-1]
    width = CANVAS + largest  # room for the transparent margin of what stands at the edge
    image = colour[:, :, None].repeat(1, 1, width * width)
    steps = torch.arange(largest, device=which.device)
    inside = (steps[:, None] * width + steps).flatten()
    for k in range(MOST):
        patch = pictures[places.size[:, k], which[:, k]].flatten(2) * (count > k)[:, None, None]  # (batch, 4, pixels)
        start = places.corner[:, k, 1] * width + places.corner[:, k, 0]
        index = (start[:, None] + inside)[:, None].expand(-1, 3, -1)
        under = image.gather(2, index)
        image.scatter_(2, index, patch[:, :3] + under * (1 - patch[:, 3:]))
    return image.unflatten(2, (width, width))[:, :, :CANVAS, :CANVAS].clamp(0, 1).contiguous()
