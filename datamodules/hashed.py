"""Random numbers that are a function of a key, on any device."""

import torch
from torch import Tensor

# the finaliser of MurmurHash3 (Appleby 2011), its constants as signed 64-bit integers
MIX_1 = 0xFF51AFD7ED558CCD - 2**64
MIX_2 = 0xC4CEB9FE1A85EC53 - 2**64


def uniform(key: Tensor, count: int) -> Tensor:
    """Numbers in [0, 1), for each key so many: (batch,) int64 to (batch, count) float32."""
    bits = key[:, None] * MIX_1 + torch.arange(1, count + 1, device=key.device) * MIX_2
    for mix in (MIX_1, MIX_2):
        bits = (bits ^ ((bits >> 33) & (2**31 - 1))) * mix  # >> repeats the sign bit
    return ((bits >> 33) & (2**24 - 1)).float() / 2**24
