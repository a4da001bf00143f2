"""How well an input fits a query: the scores of Bahdanau et al. (2015), Luong et al. (2015) and Vaswani et al. (2017).

A score is made of two parts. ``keys(memory)`` takes (batch, S, memory_dim) and does what does not depend on the query,
once for a sentence; ``score(query, keys)`` takes queries (batch, Q, query_dim) and gives energies (batch, Q, S). Q is
the length of the output in teacher forcing, one in a recurrent step, the width of the beam in decoding. A constructor
asks for what it needs of `query_dim`, `memory_dim`, `hidden`, `max_length` and `bias`. Nothing here knows of masks: see
zoo.nn.scope.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import ZooError
from zoo.nn.kernels import tanh
from zoo.nn.shared import Linear


def vector(size: int) -> nn.Parameter:
    """The weights of a layer with one unit and no bias, drawn as nn.Linear draws them."""
    return nn.Parameter(torch.empty(size).uniform_(-1, 1) / math.sqrt(size))


class Dot(nn.Module):
    """q . h (Luong et al., section 3.1).

    An input may be several vectors of the query's size side by side, such as the two directions of an encoder: the
    query is then multiplied with their sum.
    """

    def __init__(self, query_dim: int, memory_dim: int):
        super().__init__()
        if memory_dim % query_dim:
            raise ZooError(
                f"dot needs inputs of the query's size {query_dim} or a multiple of it, not {memory_dim}; try general"
            )
        self.parts = memory_dim // query_dim

    def keys(self, memory: Tensor) -> Tensor:
        return memory if self.parts == 1 else memory.unflatten(-1, (self.parts, -1)).sum(-2)

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        return query @ keys.mT


class ScaledDot(Dot):
    """q . h / sqrt(d) (Vaswani et al., section 3.2.1)."""

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        return super().forward(query / math.sqrt(query.shape[-1]), keys)


class General(nn.Module):
    """q . W_a h (Luong et al., section 3.1)."""

    def __init__(self, query_dim: int, memory_dim: int):
        super().__init__()
        self.W_a = nn.Linear(memory_dim, query_dim, bias=False)

    def keys(self, memory: Tensor) -> Tensor:
        return self.W_a(memory)

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        return query @ keys.mT


class Additive(nn.Module):
    """v_a . tanh(W_a q + U_a h) (Bahdanau et al., A.1.2).

    The two matrices side by side are the W_a of Luong's v_a . tanh(W_a [q; h]), so this is "concat" too.

    All Q * S hidden layers of a sentence are in memory at once, and training keeps them.

    Args:
        hidden: n', units of the hidden layer; None is `query_dim`.
        bias: whether to add one inside tanh.
    """

    def __init__(self, query_dim: int, memory_dim: int, hidden: int | None = None, bias: bool = False):
        super().__init__()
        hidden = query_dim if hidden is None else hidden
        self.W_a = Linear(query_dim, hidden, bias=bias)
        self.U_a = nn.Linear(memory_dim, hidden, bias=False)
        self.v_a = vector(hidden)

    def keys(self, memory: Tensor) -> Tensor:
        return self.U_a(memory)

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        hidden = tanh(self.W_a(query)[:, :, None] + keys[:, None])  # (batch, Q, S, hidden)
        return hidden @ self.v_a.to(hidden.dtype)


class ConcatIdentity(Additive):
    """v_a . tanh(h + W_a q), what the authors' runs of concat computed (Luong et al., a footnote): U_a is one.

    The hidden layer has the size of an input.
    """

    def __init__(self, query_dim: int, memory_dim: int, bias: bool = False):
        super().__init__(query_dim, memory_dim, memory_dim, bias)
        self.U_a = nn.Identity()


class Location(nn.Module):
    """W_a q, one row for each position of the source and no look at what stands there (Luong et al., section 3.1).

    A short source uses the first rows; inputs past `max_length` are ignored: their energy is minus infinity. The
    positions are those of the source as it is given, reversed or not.
    """

    def __init__(self, query_dim: int, max_length: int = 51):
        super().__init__()
        self.W_a = nn.Linear(query_dim, max_length, bias=False)

    def keys(self, memory: Tensor) -> Tensor:
        return memory  # only its length is read

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        energies, length = self.W_a(query), keys.shape[1]
        return F.pad(energies, (0, max(0, length - energies.shape[-1])), value=-math.inf)[..., :length]


SCORES = {
    "additive": Additive,
    "dot": Dot,
    "general": General,
    "concat": Additive,
    "concat_identity": ConcatIdentity,
    "location": Location,
    "scaled_dot": ScaledDot,
}
