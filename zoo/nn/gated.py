"""The gated hidden unit of Cho et al. (2014), whose reset comes before the product with U."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function

from zoo.nn.kernels import only_once, tanh, tanh_
from zoo.nn.shared import Linear, Share

aten = torch.ops.aten


class GatedUnit(nn.Module):
    """The gated hidden unit (Bahdanau et al., A.1.1 and A.2.2).

    z is the share of the *new* state. torch.nn.GRU is another cell: it resets after the product.
    """

    def __init__(self, inputs: int, hidden: int, context: int = 0):
        super().__init__()
        self.input = nn.Linear(inputs, 3 * hidden)  # W, W_z, W_r, and the biases
        self.context = Linear(context, 3 * hidden, bias=False) if context else None  # C, C_z, C_r
        self.gates = Linear(hidden, 2 * hidden, bias=False)  # U_z, U_r
        self.candidate = Linear(hidden, hidden, bias=False)  # U

    def forward(self, x: Tensor, h: Tensor, keep: Tensor | None = None) -> Tensor:
        """The next state h'.

        Args:
            x: (batch, 3 * hidden), already projected by `input` and `context`.
            h: (batch, hidden).
            keep: (batch, 1) of 0 and 1; where it is 0 the state stays as it is.
        """
        shares = self.gates.share, self.candidate.share
        if all(shares):
            return GatedStep.apply(x, h, keep, *(share.weight for share in shares), shares)
        hidden = h.shape[-1]
        z, r = (x[..., hidden:] + self.gates(h)).sigmoid().chunk(2, -1)
        candidate = tanh(x[..., :hidden] + self.candidate(r * h))
        return h + (z if keep is None else z * keep) * (candidate - h)  # (1 - z) h + z h~


class GatedStep(Function):
    """:class:`GatedUnit` in a :func:`zoo.nn.shared.loop`, with a third of the operations that autograd needs."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, h: Tensor, keep: Tensor | None, gates: Tensor, candidate: Tensor, shares: tuple[Share, ...]
    ) -> Tensor:
        hidden, dtype = h.shape[-1], gates.dtype
        low = h.to(dtype)
        z, r = (x[..., hidden:] + low @ gates.mT).sigmoid_().chunk(2, -1)
        reset = (r * h).to(dtype)
        c = tanh_(x[..., :hidden] + reset @ candidate.mT)
        ctx.save_for_backward(gates, candidate, keep, h, low, z, r, reset, c)
        ctx.shares = shares
        return h.lerp(c, z if keep is None else z * keep)

    @staticmethod
    @only_once
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        gates, candidate, keep, h, low, z, r, reset, c = ctx.saved_tensors
        kept = gradient if keep is None else gradient * keep
        d_c = aten.tanh_backward(kept * z, c)
        d_z = aten.sigmoid_backward(kept * (c - h), z)
        d_c_low = d_c.to(low.dtype)
        d_reset = d_c_low @ candidate
        d_r = aten.sigmoid_backward(d_reset * h, r)
        d_x = torch.cat([d_c, d_z, d_r], -1)
        d_gates = d_x[..., h.shape[-1] :].to(low.dtype)
        d_h = (gradient - kept * z).addcmul_(d_reset, r).add_(d_gates @ gates)
        for share, step in zip(ctx.shares, ((low, d_gates), (reset, d_c_low)), strict=True):
            share.deposit(*step)
        return d_x, d_h, None, None, None, None
