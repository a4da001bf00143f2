"""Where a symbol stands, as a vector that is added to its embedding (Vaswani et al. 2017, section 3.5).

``positions(length, start)`` gives (length, dim) for the places start, start + 1, and so on, counted from 0.
"""

import torch
from torch import Tensor, nn

from zoo.errors import UnknownName, ZooError, suggest


class Sinusoidal(nn.Module):
    """PE(p, 2i) = sin(p / 10000^(2i / dim)) and PE(p, 2i + 1) = cos of the same; for any length, nothing is learned."""

    longest = None

    def __init__(self, dim: int):
        super().__init__()
        self.dim = dim
        # whole numbers, which no cast of the module rounds: of bfloat16, places 256 and 257 are one
        self.register_buffer("even", torch.arange(0, dim, 2), persistent=False)  # 2i

    def forward(self, length: int, start: int = 0) -> Tensor:
        places = torch.arange(start, start + length, device=self.even.device)
        angles = places[:, None] * 10000.0 ** (-self.even / self.dim)  # (length, dim / 2) float32
        return torch.stack([angles.sin(), angles.cos()], -1).flatten(1)[:, : self.dim]


class Learned(nn.Module):
    """A vector for each of the first `longest` places, and a clear refusal of any other."""

    def __init__(self, dim: int, longest: int):
        super().__init__()
        self.longest = longest
        self.table = nn.Parameter(torch.empty(longest, dim).normal_(std=dim**-0.5))

    def forward(self, length: int, start: int = 0) -> Tensor:
        if start + length > self.longest:
            raise ZooError(
                f"the input has {start + length} positions and {self.longest} were learned; "
                "sinusoidal positions have no end"
            )
        return self.table[start : start + length]


def make_positions(kind: str, dim: int, longest: int) -> nn.Module:
    """Positions of a kind, "sinusoidal" or "learned"; `longest` is how many are learned."""
    known = ("sinusoidal", "learned")
    if kind not in known:
        raise UnknownName(f"positions is {kind!r}, not 'sinusoidal' or 'learned'{suggest(kind, known)}")
    return Sinusoidal(dim) if kind == "sinusoidal" else Learned(dim, longest)
