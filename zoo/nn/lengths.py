"""Sentences have at least one symbol."""

from torch import Tensor

from zoo.errors import ZooError


def check_symbols(**ids: Tensor) -> None:
    """Raises ZooError, one sentence, for sentences (batch, length) of length zero, by their name."""
    for name, each in ids.items():
        if each.ndim != 2 or not each.shape[1]:
            shape = tuple(each.shape)
            raise ZooError(f"the {name} has the shape {shape}; expected (batch, length) with at least one symbol each")
