"""f_att, the perceptron that says how much each place of a picture matters for the next word (section 3.1.2)."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function

from zoo.nn.kernels import at_least_float32, only_once, quick, tanh_
from zoo.nn.scores import Additive


class Perceptron(Additive):
    """e_ti = v . tanh(W h_{t-1} + U a_i + b), the part of the places made once for a picture; float32 at least.

    Args:
        layers: 2 puts tanh(U (P a_i + b_1) + b_2) in the place of U a_i, as the authors' code does for COCO.
    """

    def __init__(self, state: int, features: int, hidden: int, layers: int = 1):
        super().__init__(state, features if layers == 1 else hidden, hidden, bias=True)
        self.P = nn.Linear(features, hidden) if layers == 2 else None
        self.b_2 = nn.Parameter(torch.zeros(hidden)) if layers == 2 else None

    def keys(self, memory: Tensor) -> Tensor:
        """What the places add inside tanh: (batch, L, features) to (batch, L, hidden)."""
        if self.P is None:
            return at_least_float32(super().keys(memory))
        return (at_least_float32(super().keys(self.P(memory))) + self.b_2).tanh()

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        """Energies (batch, K, L) of h_{t-1} (batch, K, n) and of what :meth:`keys` made."""
        q = self.W_a(query).to(keys.dtype)
        if quick():
            return Energies.apply(q, keys, self.v_a.to(keys.dtype))
        return (q[:, :, None] + keys[:, None]).tanh() @ self.v_a.to(keys.dtype)


class Energies(Function):
    """v . tanh(q + k) with its gradient in closed form, in place, in a third of the walks through the memory."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, keys: Tensor, v: Tensor) -> Tensor:
        x = tanh_(q[:, :, None] + keys[:, None])  # (batch, K, L, hidden)
        ctx.save_for_backward(x, v)
        with torch.autocast(x.device.type, enabled=False):
            return x @ v

    @staticmethod
    @only_once
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, v = ctx.saved_tensors
        d_v = gradient.flatten() @ x.flatten(0, 2)
        d = torch.ops.aten.tanh_backward(gradient[..., None] * v, x)
        return d.sum(2), d.sum(1) if d.shape[1] > 1 else d[:, 0], d_v
