"""The noise of glimpses, which belongs to a sample."""

import torch
from torch import Tensor

from zoo.nn.random import normal, uniform


def draw_noise(key: Tensor, samples: int, glimpses: int, stream: int = 0) -> Tensor:
    """For M sequences of N glimpses at each picture: (batch, M, N, 3); see :meth:`WakeSleepRAM.draw`."""
    place = normal(key, samples, glimpses, 2, stream=2 * stream)
    return torch.cat((place, uniform(key, samples, glimpses, 1, stream=2 * stream + 1)), -1)
