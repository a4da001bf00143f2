"""What the captions of single pictures are measured beside: those of the most alike picture of the training."""

import torch
import torch.nn.functional as F
from torch import Tensor

CELLS = 28  # a side of the pictures that are compared


def coarse(image: Tensor) -> Tensor:
    """Pictures (batch, 3, height, width) averaged to squares of 28 x 28, as rows (batch, 3 * 28 * 28)."""
    return F.adaptive_avg_pool2d(image, CELLS).flatten(1)


def nearest(seen: Tensor, new: Tensor) -> Tensor:
    """Which row of `seen` is the nearest to each of `new` by Euclidean distance: (new,) int64."""
    return torch.cat([torch.cdist(part, seen).argmin(1) for part in new.split(250)])
