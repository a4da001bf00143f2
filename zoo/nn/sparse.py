"""Which pairs of positions look at each other in self-attention: all, or the atrous, local and sparse ones.

Definitions: Jianlin Su's post of July 2019 on sparse attention (spaces.ac.cn, archive 6853). A pattern is a boolean
(length, length), [i, j] True where position i looks at position j. A position always looks at itself, and once, though
it is a neighbour and a multiple of the rate too. Nothing is saved by a mask: it costs what full attention costs.
"""

import torch
from torch import Tensor

from zoo.errors import UnknownName, ZooError, suggest


def distances(length: int, device: torch.device | None = None) -> Tensor:
    """i - j: (length, length) int64."""
    place = torch.arange(length, device=device)
    return place[:, None] - place


def full(distance: Tensor, k: int) -> Tensor:
    """Everything."""
    return torch.ones_like(distance, dtype=torch.bool)


def atrous(distance: Tensor, k: int) -> Tensor:
    """Every k-th position: (i - j) mod k = 0."""
    return distance % k == 0


def local(distance: Tensor, k: int) -> Tensor:
    """k neighbours on each side: |i - j| <= k."""
    return distance.abs() <= k


def sparse(distance: Tensor, k: int) -> Tensor:
    """Both: the neighbours, and every k-th position beyond them."""
    return local(distance, k) | atrous(distance, k)


PATTERNS = {"full": full, "atrous": atrous, "local": local, "sparse": sparse}


def check_pattern(name: str, k: int) -> None:
    """Raises a ZooError, one sentence, for a pattern that there is not or a k that it cannot have."""
    if name not in PATTERNS:
        raise UnknownName(f"scope is {name!r}, not one of {', '.join(PATTERNS)}{suggest(name, PATTERNS)}")
    least = 0 if name in ("full", "local") else 1
    if not isinstance(k, int) or k < least:
        raise ZooError(f"k is {k!r}; {name} self-attention needs a whole number, at least {least}")


def pattern(name: str, length: int, k: int = 1, causal: bool = False, device: torch.device | None = None) -> Tensor:
    """The pattern of that name, on the device: (length, length) boolean.

    Args:
        name: "full", "atrous", "local" or "sparse".
        k: rate and number of neighbours.
        causal: whether i looks at j <= i only.
    """
    check_pattern(name, k)
    distance = distances(length, device)
    allowed = PATTERNS[name](distance, k)
    return allowed & (distance >= 0) if causal else allowed
