"""Noise that belongs to a sample, not to a batch: the same numbers on any device, batch size or number of processes."""

import math

import torch
from torch import Tensor

# splitmix64 (Steele, Lea, Flood 2014), its constants as signed 64-bit integers
GOLDEN = 0x9E3779B97F4A7C15 - 2**64
MIX_1 = 0xBF58476D1CE4E5B9 - 2**64
MIX_2 = 0x94D049BB133111EB - 2**64
STREAM = 1_442_695_040_888_963  # odd, and small enough for some thousand streams


def _shift(x: Tensor, bits: int) -> Tensor:
    return (x >> bits) & ((1 << (64 - bits)) - 1)  # >> repeats the sign bit


def _mix(x: Tensor) -> Tensor:
    x = (x ^ _shift(x, 30)) * MIX_1
    x = (x ^ _shift(x, 27)) * MIX_2
    return x ^ _shift(x, 31)


def uniform(key: Tensor, *shape: int, stream: int = 0) -> Tensor:
    """Numbers uniform in (0, 1), a function of the key alone.

    Args:
        key: (batch,) int64, one for each sample.
        shape: shape of the numbers for one sample.
        stream: streams of one key are independent of each other.

    Returns:
        (batch, *shape) in float32.
    """
    count = torch.Size(shape).numel()
    counter = torch.arange(1, count + 1, device=key.device) * GOLDEN
    bits = _shift(_mix(_mix(key + stream * STREAM)[:, None] + counter), 41)  # 23 bits, so that adding a half is exact
    return ((bits.float() + 0.5) / 2**23).view(len(key), *shape)


def normal(key: Tensor, *shape: int, stream: int = 0) -> Tensor:
    """Standard normal numbers, (batch, *shape) in float32; see :func:`uniform`."""
    # by erfinv, which every device has; 2 u - 1 is exact, as u has 24 bits
    return math.sqrt(2) * torch.erfinv(2 * uniform(key, *shape, stream=stream) - 1)
