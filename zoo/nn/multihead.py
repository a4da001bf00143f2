"""Multi-head attention (Vaswani et al. 2017, section 3.2): several scaled dot products beside each other.

The symbols are those of arXiv 1706.03762. Keys and values of a memory can be made once and looked at often, or grow by
one position a step.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from zoo.errors import ZooError, check_share, check_whole
from zoo.nn.kernels import attend, dropout, lower
from zoo.nn.scope import masked_softmax

SHORT = 48  # inputs up to which explicit weights are faster than a kernel where a CPU trains in bfloat16


class Projected(NamedTuple):
    """K and V of a memory for all heads."""

    keys: Tensor  # (..., heads, S, key_dim)
    values: Tensor  # (..., heads, S, value_dim)

    def extended(self, more: "Projected") -> "Projected":
        """Both, one after the other: what a decoder has written so far and its next position."""
        return Projected(*(torch.cat(pair, -2) for pair in zip(self, more, strict=True)))


def dot_product(
    q: Tensor,
    keys: Tensor,
    values: Tensor,
    mask: Tensor | None,
    causal: bool,
    need_weights: bool,
    scale: float,
    p: float = 0.0,
) -> tuple[Tensor, Tensor | None]:
    """softmax(scale * q keys^T) values (eq. 1), of which no query without anything to look at makes anything but zeros.

    Args:
        q, keys, values: (batch, heads, Q or S, d).
        mask, causal, need_weights: see :meth:`MultiHeadAttention.forward`.
        p: of the dropout on the weights.

    Returns:
        (batch, heads, Q, d), and the weights (batch, heads, Q, S) if they are asked for.
    """
    explicit = q.is_cpu and q.dtype == torch.bfloat16 and q.requires_grad and keys.shape[-2] <= SHORT
    explicit = explicit or need_weights
    if causal and (mask is not None or explicit):
        earlier = torch.ones(q.shape[-2], keys.shape[-2], dtype=torch.bool, device=q.device).tril()
        mask, causal = earlier if mask is None else mask & earlier, False
    if explicit:
        energies = (q * scale) @ keys.mT  # (batch, heads, Q, S); scaled first, since fp16 ends at 65504
        weights = masked_softmax(energies, mask if mask is not None else energies.new_ones((), dtype=torch.bool))
        return dropout(weights, p).to(values.dtype) @ values, weights if need_weights else None
    if mask is None:
        return attend(q, keys, values, None, p, causal, scale), None
    seen = mask.any(-1, keepdim=True)  # kernels differ in what they make of a row without any True
    return attend(q, keys, values, mask | ~seen, p, scale=scale).masked_fill(~seen, 0), None


class MultiHeadAttention(nn.Module):
    """Concat(head_1, ..., head_h) W^O with head_i = softmax(Q W_i^Q (K W_i^K)^T / sqrt(d_k)) V W_i^V; stateless.

    A query that may look at nothing reads zeros, whether weights are asked for or not.

    Args:
        dim: of queries, of memory and of the output (d_model).
        heads: h.
        key_dim, value_dim: d_k and d_v of one head. Without them the heads share `dim` ("narrow"); `dim` for both
            gives every head the full width ("wide").
        bias: whether the four projections have biases; the paper shows none.
        dropout: on the weights.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        key_dim: int | None = None,
        value_dim: int | None = None,
        bias: bool = False,
        dropout: float = 0.0,
    ):
        super().__init__()
        check_whole(1, dim=dim, heads=heads)
        check_share(attention_dropout=dropout)
        if None in (key_dim, value_dim) and dim % heads:
            raise ZooError(f"{heads} heads cannot share {dim} dimensions evenly; say key_dim and value_dim")
        key_dim, value_dim = (dim // heads if size is None else size for size in (key_dim, value_dim))
        check_whole(1, key_dim=key_dim, value_dim=value_dim)
        self.heads, self.dropout = heads, dropout
        self.query = nn.Linear(dim, heads * key_dim, bias=bias)  # W^Q of all heads
        self.key = nn.Linear(dim, heads * key_dim, bias=bias)  # W^K
        self.value = nn.Linear(dim, heads * value_dim, bias=bias)  # W^V
        self.out = nn.Linear(heads * value_dim, dim, bias=bias)  # W^O

    def _split(self, x: Tensor) -> Tensor:
        """(batch, length, heads * d) to (batch, heads, length, d)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def project(self, memory: Tensor) -> Projected:
        """K and V of a memory (batch, S, dim), once for all queries."""
        memory = lower(memory)
        return Projected(self._split(self.key(memory)), self._split(self.value(memory)))

    def forward(
        self,
        query: Tensor,
        memory: Tensor | Projected,
        mask: Tensor | None = None,
        causal: bool = False,
        need_weights: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Looks at the memory.

        Args:
            query: (batch, Q, dim).
            memory: (batch, S, dim), or what :meth:`project` made of it.
            mask: boolean, True = attend, broadcasts to (batch, heads, Q, S); None: everything.
            causal: whether query i looks at the first i + 1 inputs only.
            need_weights: whether to return the weights; without them a fused kernel computes the same.

        Returns:
            (batch, Q, dim), and the weights (batch, heads, Q, S), float32 at least, or None.
        """
        memory, query = (lower(query),) * 2 if memory is query else (memory, query)
        q = self._split(self.query(query))  # (batch, heads, Q, key_dim)
        keys, values = memory if isinstance(memory, Projected) else self.project(memory)
        p = self.dropout if self.training else 0.0
        found, weights = dot_product(q, keys, values, mask, causal, need_weights, q.shape[-1] ** -0.5, p)
        return self.out(found.transpose(1, 2).flatten(2)), weights  # of (batch, Q, heads * value_dim)
