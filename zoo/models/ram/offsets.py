"""Where an episode starts and how it explores, as noise that belongs to a sample."""

import torch
from torch import Tensor

from zoo.models.ram.network import RAM
from zoo.nn.random import normal, uniform


def draw_offsets(network: RAM, key: Tensor, explore: bool, stream: int = 0) -> Tensor:
    """Random start and exploration of one episode for each key: (batch, T, 2); see :meth:`RAM.forward`."""
    batch, steps = len(key), network.num_glimpses - 1
    start = 2 * uniform(key, 1, 2, stream=2 * stream) - 1
    if network.policy == "random":
        rest = 2 * uniform(key, steps, 2, stream=2 * stream + 1) - 1
    elif explore:
        rest = network.sigma * normal(key, steps, 2, stream=2 * stream + 1)
    else:
        rest = start.new_zeros(batch, steps, 2)
    return torch.cat((start, rest), 1)
