"""Where the network looked when it wrote the name of a thing whose box is known."""

from typing import NamedTuple

import torch
from torch import Tensor
from torchmetrics import Metric

from zoo.training.metrics import MeanNats


class Mean(MeanNats):
    """The mean of numbers, times a scale; summed as whole numbers, so any split over processes gives the same."""

    higher_is_better = None

    def __init__(self, scale: float = 1.0):
        super().__init__()
        self.scale = scale

    def update(self, values: Tensor) -> None:
        """(n,), maybe none."""
        self.add(values, torch.ones_like(values, dtype=torch.bool))

    def compute(self) -> Tensor:
        """0 where there was none."""
        return self.scale * torch.where(self.total > 0, super().compute(), 0.0)


def inside(boxes: Tensor, height: int, width: int, grid: tuple[int, int]) -> Tensor:
    """Which places of a grid have their centre in a box: (..., 4) in pixels to (..., rows * columns) bool."""
    rows, columns = grid
    y = (torch.arange(rows, device=boxes.device) + 0.5) * (height / rows)
    x = (torch.arange(columns, device=boxes.device) + 0.5) * (width / columns)
    left, top, right, bottom = (edge[..., None] for edge in boxes.unbind(-1))
    across, down = (left <= x) & (x < right), (top <= y) & (y < bottom)
    return (down[..., :, None] & across[..., None, :]).flatten(-2)


def named(tokens: list[int], names: list[list[int]]) -> list[tuple[int, int]]:
    """Which word of a caption picks which thing: pairs of position and thing.

    That is the first word of its name, which must be there as a whole; the others follow from it, and a network need
    not look again to write them. A name is found once.
    """
    pairs = []
    for thing, name in enumerate(names):
        starts = (i for i in range(len(tokens) - len(name) + 1) if name and tokens[i : i + len(name)] == name)
        start = next(starts, None)
        pairs += [] if start is None else [(start, thing)]
    return sorted(pairs)


class Looks(NamedTuple):
    """What is measured of the weights of one caption."""

    pointed: Tensor  # (n,) 0 or 1: whether the largest weight is in the box, of each word that picks a thing
    mass: Tensor  # (n,) the share of the weights in the box
    chance: Tensor  # (n,) the share of all places in the box
    entropy: Tensor  # (words,) in nats
    change: Tensor  # (words - 1,) total variation from a word to the next


def looks(tokens: list[int], weights: Tensor, names: list[list[int]], masks: Tensor | None) -> Looks:
    """Of a caption and its weights (words, L), and where known which places are of each thing (things, L)."""
    weights = weights.float()
    pairs = [] if masks is None else named(tokens, names)
    position, thing = torch.tensor(pairs, dtype=torch.int64).view(-1, 2).to(weights.device).unbind(1)
    at, mask = weights[position], masks[thing] if masks is not None else weights[position].bool()
    pointed = mask.gather(1, at.argmax(-1, keepdim=True)).squeeze(1).float()
    entropy = -torch.xlogy(weights, weights).sum(-1)
    change = weights.diff(dim=0).abs().sum(-1) / 2
    return Looks(pointed, (at * mask).sum(-1), mask.float().mean(-1), entropy, change)


MEASURED = {"pointing": 100.0, "mass": 100.0, "chance": 100.0, "entropy": 1.0, "change": 1.0}  # and their scales


def measures() -> dict[str, Metric]:
    """A metric for each field of Looks."""
    return {name: Mean(scale) for name, scale in MEASURED.items()}
