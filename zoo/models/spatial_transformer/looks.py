"""Where the transformers of a network look, as a record."""

import torch
from torch import Tensor, nn

from zoo.errors import ZooError
from zoo.looking.attention import Attention


def in_pixels(grid: Tensor, height: int, width: int) -> Tensor:
    """Places (..., 2) as (x, y), -1 and 1 being the centres of the border pixels, in pixels from its corner."""
    x, y = grid.float().unbind(-1)
    return torch.stack(((x + 1) / 2 * (width - 1), (y + 1) / 2 * (height - 1)), -1) + 0.5


@torch.no_grad()
def look(network: nn.Module, image: Tensor) -> Attention:
    """The lattice along which each transformer of a network reads a picture, and what it made of it.

    Args:
        network: returns an :class:`zoo.models.spatial_transformer.network.Answer`.
        image: (batch, channels, height, width) in [0, 1]; of two channels, as those of two digits, the mean is shown.

    Raises:
        ZooError: a network without transformers.
    """
    answer = network(image)
    return record(image, answer.grids, answer.outputs)


def record(image: Tensor, grids: Tensor, outputs: Tensor) -> Attention:
    """The record of an answer; a step is a transformer."""
    if not grids.shape[1]:
        raise ZooError("this network has no spatial transformer, so it looks at the whole picture")
    lattices = in_pixels(grids, *image.shape[-2:])  # (batch, N, rows, columns, 2)
    boxes = torch.cat((lattices.amin((2, 3)), lattices.amax((2, 3))), -1)[:, :, None]
    if image.shape[1] == 2:
        image, outputs = image.mean(1, keepdim=True), outputs.mean(2, keepdim=True)
    return Attention(
        boxes=boxes, images=image.float().clamp(0, 1), views=outputs.float().clamp(0, 1), lattices=lattices
    )
