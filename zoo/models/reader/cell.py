"""The LSTM layer of section 3.2, with peepholes, and the fused layer that can stand for it."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function

from zoo.errors import check_choice
from zoo.nn.kernels import lower, only_once, quick, tanh_
from zoo.nn.shared import Linear, loop

aten = torch.ops.aten
CELLS = ("peephole", "full_peephole", "fused")


def flipped(x: Tensor, lengths: Tensor) -> Tensor:
    """Each row (batch, T, dim) backwards, its padding left at the end."""
    place = torch.arange(x.shape[1], device=x.device)
    index = (lengths[:, None] - 1 - place).where(place < lengths[:, None], place)
    return x.gather(1, index[..., None].expand_as(x))


def step(x: Tensor, c: Tensor, w_i: Tensor, w_f: Tensor, w_o: Tensor) -> tuple[Tensor, Tensor]:
    """One step from the gates' sums.

    i = s(x_i + W_ci c(t-1)), f = s(x_f + W_cf c(t-1)), c(t) = f c(t-1) + i tanh(x_c), o = s(x_o + W_co c(t)),
    h(t) = o tanh(c(t)).

    Args:
        x: (batch, 4 hidden), W_x x' + W_h h(t-1) + b of i, f, o and c in this order.
        c: (batch, hidden).
        w_i, w_f, w_o: peepholes: (hidden,), diagonal, or (hidden, hidden).
    """
    i, f, o, new = x.chunk(4, -1)
    i, f = (i + seen(c, w_i)).sigmoid(), (f + seen(c, w_f)).sigmoid()
    c = f * c + i * new.tanh()
    return (o + seen(c, w_o)).sigmoid() * c.tanh(), c


def seen(c: Tensor, weight: Tensor) -> Tensor:
    """W c of a peephole."""
    return c * weight if weight.ndim == 1 else c @ weight.mT


class Peephole(nn.Module):
    """A layer over time with peepholes from the cell to its gates.

    Args:
        inputs: of x'(t, k).
        raw: of x(t), which the forget gate reads where it is taken as printed; 0: it reads x'(t, k) as the others do.
        full: whether peepholes are matrices as printed, or diagonal as in the literature on LSTMs.
    """

    def __init__(self, inputs: int, hidden: int, raw: int = 0, full: bool = False):
        super().__init__()
        self.hidden, self.raw = hidden, raw
        self.input = nn.Linear(inputs, 3 * hidden if raw else 4 * hidden)  # W_xi, (W_xf,) W_xo, W_xc and b
        self.forget = nn.Linear(raw, hidden) if raw else None  # W_xf of x(t)
        self.recurrent = Linear(hidden, 4 * hidden, bias=False)  # W_hi, W_hf, W_ho, W_hc
        shape = (3, hidden, hidden) if full else (3, hidden)
        self.peepholes = nn.Parameter(torch.empty(shape).uniform_(-(hidden**-0.5), hidden**-0.5))  # W_ci, W_cf, W_co
        self.compiled: Callable | None = None  # :func:`step`, compiled

    @torch.no_grad()
    def remember(self, bias: float) -> None:
        """Sets b_f."""
        gate = self.input.bias[self.hidden : 2 * self.hidden] if self.forget is None else self.forget.bias
        gate.fill_(bias)

    def sums(self, x: Tensor) -> Tensor:
        """W_x x' + b of every gate, (batch, T, 4 hidden); x is x'(t, k), of which x(t) is the start."""
        if self.forget is None:
            return self.input(x)
        i, o, c = self.input(x).chunk(3, -1)
        return torch.cat([i, self.forget(x[..., : self.raw]), o, c], -1)

    def forward(self, x: Tensor) -> Tensor:
        """x (batch, T, inputs) -> h (batch, T, hidden), from zero states."""
        sums = self.sums(x)
        c = sums.new_zeros(len(x), self.hidden, dtype=torch.float32 if sums.dtype == torch.bfloat16 else sums.dtype)
        h, hs = torch.zeros_like(c), []
        w_i, w_f, w_o = self.peepholes.to(c.dtype)
        closed = Step.apply if quick() and self.peepholes.ndim == 2 else step
        next_state = self.compiled or closed
        with loop(self):
            for x_t in sums.to(c.dtype).unbind(1):
                h, c = next_state((x_t + self.recurrent(h)).to(c.dtype), c, w_i, w_f, w_o)
                hs.append(h)
        return torch.stack(hs, 1)


class Step(Function):
    """:func:`step` with diagonal peepholes, with a third of the operations that autograd needs."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, c: Tensor, w_i: Tensor, w_f: Tensor, w_o: Tensor) -> tuple[Tensor, Tensor]:
        i, f, o, g = x.chunk(4, -1)
        i, f, g = torch.addcmul(i, c, w_i).sigmoid_(), torch.addcmul(f, c, w_f).sigmoid_(), tanh_(g.clone())
        new = (f * c).addcmul_(i, g)
        o, squashed = torch.addcmul(o, new, w_o).sigmoid_(), tanh_(new.clone())
        ctx.save_for_backward(c, i, f, o, g, new, squashed, w_i, w_f, w_o)
        return o * squashed, new

    @staticmethod
    @only_once
    def backward(ctx: Any, d_h: Tensor, d_c: Tensor) -> tuple[Tensor, ...]:
        c, i, f, o, g, new, squashed, w_i, w_f, w_o = ctx.saved_tensors
        d_o = aten.sigmoid_backward(d_h * squashed, o)
        d_new = d_c + aten.tanh_backward(d_h * o, squashed) + d_o * w_o
        d_i, d_f = aten.sigmoid_backward(d_new * g, i), aten.sigmoid_backward(d_new * c, f)
        d_x = torch.cat([d_i, d_f, d_o, aten.tanh_backward(d_new * i, g)], -1)
        d_before = (d_new * f).addcmul_(d_i, w_i).addcmul_(d_f, w_f)
        return d_x, d_before, (d_i * c).sum(0), (d_f * c).sum(0), (d_o * new).sum(0)


class Fused(nn.LSTM):
    """torch's own layer, without peepholes."""

    def __init__(self, inputs: int, hidden: int):
        super().__init__(inputs, hidden, batch_first=True)

    @torch.no_grad()
    def remember(self, bias: float) -> None:
        """Sets b_f, of which torch has two."""
        gate = slice(self.hidden_size, 2 * self.hidden_size)
        self.bias_ih_l0[gate].fill_(bias), self.bias_hh_l0[gate].zero_()

    def forward(self, x: Tensor) -> Tensor:
        """x (batch, T, inputs) -> h (batch, T, hidden), from zero states."""
        return super().forward(lower(x))[0]


def make_layer(cell: str, inputs: int, hidden: int, raw: int = 0) -> nn.Module:
    """A layer of a kind: "peephole" (diagonal), "full_peephole", "fused"."""
    check_choice(CELLS, cell=cell)
    return Fused(inputs, hidden) if cell == "fused" else Peephole(inputs, hidden, raw, cell == "full_peephole")
