"""Matrices at the bounds of bins, and straight lines between them (equations 7 and 8)."""

from itertools import pairwise

import torch
from torch import Tensor

from zoo.errors import ZooError

RADIUS = 6371.0  # of the earth, in km


def check_bounds(**bounds: list[float]) -> None:
    """Raises ZooError for bounds that do not rise, by their name."""
    for name, values in bounds.items():
        if not values or any(b <= a for a, b in pairwise(values)):
            raise ZooError(f"{name} is {values!r}; expected at least one number, each larger than the one before")


def locate(x: Tensor, bounds: Tensor) -> tuple[Tensor, Tensor]:
    """The bin of a value: the number L of its lower bound and the share of U(x), so that W_x = (1 - s) W_L + s W_{L+1}.

    What lies beyond the bounds has the matrix of the last one: a straight line would go on to negative weights.

    Args:
        x: any shape.
        bounds: (n,), rising; of one bound the share is zero.

    Returns:
        L (int64, at most n - 2, or 0) and s (in [0, 1]), both of the shape of x.
    """
    if len(bounds) == 1:
        return torch.zeros_like(x, dtype=torch.int64), torch.zeros_like(x)
    low = (torch.searchsorted(bounds, x.contiguous(), right=True) - 1).clamp(0, len(bounds) - 2)
    left, right = bounds[low], bounds[low + 1]
    return low, ((x - left) / (right - left)).clamp(0, 1)


def between(matrices: Tensor, low: Tensor, share: Tensor) -> Tensor:
    """(1 - s) W_L + s W_{L+1} of what stands at the bounds.

    Args:
        matrices: (n, bounds, d): for each of n rows, what its matrix at each bound has made of it.
        low, share: (n, ...), from :func:`locate`.

    Returns:
        (n, ..., d).
    """
    n, bounds, d = matrices.shape
    row = torch.arange(n, device=low.device).view(-1, *[1] * (low.ndim - 1)) * bounds
    flat = matrices.reshape(n * bounds, d)
    if bounds == 1:
        return flat[row + low]
    return torch.lerp(flat[row + low], flat[row + low + 1], share[..., None])


def distance(here: Tensor, there: Tensor) -> Tensor:
    """Great-circle distance in km by the haversine formula; both (..., 2) as latitude and longitude in degrees.

    Equation 4 takes the Euclidean distance of the coordinates; but degrees of longitude shrink to the north.
    """
    (a, b), (c, d) = here.deg2rad().unbind(-1), there.deg2rad().unbind(-1)
    haversine = ((c - a) / 2).sin() ** 2 + a.cos() * c.cos() * ((d - b) / 2).sin() ** 2
    return 2 * RADIUS * haversine.clamp(0, 1).sqrt().asin()
