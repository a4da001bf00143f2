"""Linear layers that every step of a loop shares: their weights get their gradient in one product after the loop."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from zoo.nn.kernels import lower


class Share(NamedTuple):
    """A matrix that the steps of a loop share; make it with :func:`share`."""

    weight: Tensor  # (..., outputs, inputs), without history, as the products want it
    ticket: Tensor  # an empty tensor; the gradient of the matrix is taken when all that took it have passed theirs on
    store: list[tuple[Tensor, Tensor]]  # of each step: its input and the gradient of its output

    def __call__(self, x: Tensor) -> Tensor:
        """x W^T: (..., rows, inputs) -> (..., rows, outputs)."""
        return Multiply.apply(x.to(self.weight.dtype), self.ticket, self)


def share(weight: Tensor) -> Share:
    """Shares a matrix (..., outputs, inputs), which autocast may cast, in the steps that follow."""
    weight, store = lower(weight), []
    return Share(weight.detach(), Ticket.apply(weight, store), store)


class Ticket(Function):
    """Every step takes it, so that its backward pass comes after those of all steps."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, store: list[tuple[Tensor, Tensor]]) -> Tensor:
        ctx.store = store
        return weight.new_empty(0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, _: Tensor) -> tuple[Tensor, None]:
        inputs, gradients = (torch.cat(each, -2) for each in zip(*ctx.store, strict=True))
        ctx.store.clear()
        return gradients.mT @ inputs, None


class Multiply(Function):
    """A step's product."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, ticket: Tensor, share: Share) -> Tensor:
        ctx.save_for_backward(x)
        ctx.share = share
        return x @ share.weight.mT

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, None]:
        (x,), (weight, _, store) = ctx.saved_tensors, ctx.share
        store.append(tuple(each.detach().flatten(0, -weight.ndim) for each in (x, gradient)))
        return gradient @ weight if ctx.needs_input_grad[0] else None, gradient.new_empty(0), None


class Linear(nn.Linear):
    """:class:`torch.nn.Linear`, which a :func:`loop` can share."""

    share: Share | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.share is None:
            return super().forward(x)
        y = self.share(x)
        return y if self.bias is None else y + self.bias.to(y.dtype)


@contextmanager
def loop(*modules: nn.Module | None) -> Iterator[None]:
    """Within it, the steps share each :class:`Linear` of the modules.

    Autograd adds up gradients as large as the weights, one a step, which takes longer than the steps themselves.
    """
    layers = [layer for module in modules if module is not None for layer in module.modules() if type(layer) is Linear]
    if torch.is_grad_enabled() and not torch.compiler.is_compiling():
        for layer in layers:
            if layer.weight.requires_grad:
                layer.share = share(layer.weight)
    try:
        yield
    finally:
        for layer in layers:
            layer.share = None
