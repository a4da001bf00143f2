"""The LSTM between its products: from gates to the next state."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from zoo.nn.kernels import only_once, quick, tanh_

aten = torch.ops.aten


def lstm_cell(gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """The new h and c, (batch, hidden), of an LSTM with forget gates.

    Args:
        gates: (batch, 4 * hidden), the products and biases: input, forget, output, candidate.
        c: (batch, hidden).
    """
    if quick():
        return Cell.apply(gates, c)
    hidden = c.shape[-1]
    i, f, o = gates[:, : 3 * hidden].sigmoid().chunk(3, -1)
    c = f * c + i * gates[:, 3 * hidden :].tanh()
    return o * c.tanh(), c


class Cell(Function):
    """:func:`lstm_cell` with a third of the operations that autograd needs."""

    @staticmethod
    def forward(ctx: Any, gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        hidden = c.shape[-1]
        (i, f, o), g = gates[:, : 3 * hidden].sigmoid().chunk(3, -1), tanh_(gates[:, 3 * hidden :].clone())
        new = (f * c).addcmul_(i, g)
        squashed = tanh_(new.clone())
        ctx.save_for_backward(c, i, f, o, g, squashed)
        return o * squashed, new

    @staticmethod
    @only_once
    def backward(ctx: Any, d_h: Tensor, d_c: Tensor) -> tuple[Tensor, Tensor]:
        c, i, f, o, g, squashed = ctx.saved_tensors
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
        return d_gates, d_c * f
