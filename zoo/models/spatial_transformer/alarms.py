"""Signs that a transformer has left the picture: nothing comes back from there, so it does not return by itself."""

import torch
from torch import Tensor

OUTSIDE = 0.5  # share of the points of a grid, from which a run says so


def outside(grids: Tensor) -> Tensor:
    """The share of points that are read outside of the picture: grids (..., 2) -> ()."""
    return (grids.abs() > 1).any(-1).float().mean()


def determinant(grids: Tensor) -> Tensor:
    """How much of the picture a pixel stands for in the mean, 1 for the identity, negative where it is mirrored: ().

    Args:
        grids: (..., height, width, 2).
    """
    across, down = grids.diff(dim=-2)[..., :-1, :, :], grids.diff(dim=-3)[..., :, :-1, :]
    area = across[..., 0] * down[..., 1] - across[..., 1] * down[..., 0]
    height, width = grids.shape[-3:-1]
    return area.mean() * (max(height - 1, 1) * max(width - 1, 1) / 4)


def blank(outputs: Tensor) -> Tensor:
    """The share of warped pictures without any ink: outputs (..., channels, height, width) -> ()."""
    return (outputs.flatten(-3).amax(-1) <= 0).float().mean()


def signs(grids: Tensor, outputs: Tensor) -> dict[str, Tensor]:
    """All of them, scalars; none without transformers."""
    if not grids.numel():
        return {}
    with torch.no_grad():
        return {"outside": outside(grids), "determinant": determinant(grids), "blank": blank(outputs)}
