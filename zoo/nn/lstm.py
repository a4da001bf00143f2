"""The long short-term memory of Luong et al. (2015), without biases."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function

from zoo.nn import fused
from zoo.nn.kernels import only_once, quick, tanh_
from zoo.nn.shared import Linear, Share, loop

aten = torch.ops.aten


class LSTM(nn.Module):
    """One layer; its gates stand in the order input, forget, output, candidate."""

    def __init__(self, inputs: int, hidden: int):
        super().__init__()
        self.input = Linear(inputs, 4 * hidden, bias=False)
        self.recurrent = Linear(hidden, 4 * hidden, bias=False)

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """x: (..., 4 * hidden), already projected by `input`; h and c: (..., hidden). Returns the new h and c."""
        share = self.recurrent.share
        if share:
            return LSTMStep.apply(x, h, c, share.weight, share)
        gates, candidate = (x + self.recurrent(h)).to(c.dtype).split([3 * h.shape[-1], h.shape[-1]], -1)
        i, f, o = gates.sigmoid().chunk(3, -1)
        c = f * c + i * candidate.tanh()
        return o * c.tanh(), c

    def scan(self, x: Tensor, h: Tensor, c: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Over a sentence: x (batch, S, inputs) -> (batch, S, hidden), and the last h and c; padding carries on.

        Where there is padding, h and c are zero.
        """
        if x.is_cuda and quick():
            return fused.lstm(x, h, c, self.input.weight, self.recurrent.weight, mask)
        hs = []
        keep = mask[..., None].to(c.dtype).unbind(1) if mask is not None else None
        with loop(self):
            for t, x_t in enumerate(self.input(x).to(c.dtype).unbind(1)):
                new_h, new_c = self(x_t, h, c)
                h, c = (new_h, new_c) if keep is None else (h.lerp(new_h, keep[t]), c.lerp(new_c, keep[t]))
                hs.append(h)
        return torch.stack(hs, 1), h, c


class LSTMStep(Function):
    """:class:`LSTM` in a :func:`zoo.nn.shared.loop`, with a third of the operations that autograd needs."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, h: Tensor, c: Tensor, weight: Tensor, recurrent: Share) -> tuple[Tensor, Tensor]:
        low = h.to(weight.dtype)
        gates = (x + low @ weight.mT).to(c.dtype)
        ifo, g = gates.split([3 * c.shape[-1], c.shape[-1]], -1)
        (i, f, o), g = ifo.sigmoid_().chunk(3, -1), tanh_(g)
        new = (f * c).addcmul_(i, g)
        squashed = tanh_(new.clone())
        ctx.save_for_backward(weight, low, c, i, f, o, g, squashed)
        ctx.recurrent = recurrent
        return o * squashed, new

    @staticmethod
    @only_once
    def backward(ctx: Any, d_h: Tensor, d_c: Tensor) -> tuple[Tensor | None, ...]:
        weight, low, c, i, f, o, g, squashed = ctx.saved_tensors
        d_c = d_c + aten.tanh_backward(d_h * o, squashed)
        d_gates = torch.cat(
            [
                aten.sigmoid_backward(d_c * g, i),
                aten.sigmoid_backward(d_c * c, f),
                aten.sigmoid_backward(d_h * squashed, o),
                aten.tanh_backward(d_c * i, g),
            ],
            -1,
        )
        d_low = d_gates.to(low.dtype)
        ctx.recurrent.deposit(low, d_low)
        return d_gates, d_low @ weight, d_c * f, None, None
