"""Linear layers that every step of a loop shares: their weights get their gradient in one product after the loop."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd import Function, Variable

from zoo.nn.kernels import lower, only_once, quick

Pairs = list[tuple[Tensor, Tensor]]  # of each step: its input and the gradient of its output


class Share(NamedTuple):
    """A matrix that the steps of a loop share; make it with :func:`share`."""

    weight: Tensor  # (..., outputs, inputs); its gradient is taken when all steps that took it have deposited theirs
    store: dict[int, Pairs] | None  # of each backward pass that is under way; None: the gradient is autograd's

    def __call__(self, x: Tensor) -> Tensor:
        """x W^T: (..., rows, inputs) -> (..., rows, outputs)."""
        x = x.to(self.weight.dtype)
        return x @ self.weight.mT if self.store is None else Multiply.apply(x, self.weight, self)

    def deposit(self, x: Tensor, gradient: Tensor) -> None:
        """Called in the backward pass of a step, with its input and the gradient of its output."""
        running = torch._C._current_graph_task_id()
        if running not in self.store:
            self.store[running] = []
            # one that ends without the gradient of the matrix, such as autograd.grad of an input, leaves nothing behind
            Variable._execution_engine.queue_callback(partial(self.store.pop, running, None))
        batch = self.weight.shape[:-2]
        rows = x.shape[len(batch) : -1].numel()
        self.store[running].append(tuple(each.reshape(*batch, rows, each.shape[-1]) for each in (x, gradient)))


def share(weight: Tensor) -> Share:
    """Shares a matrix (..., outputs, inputs), which autocast may cast, in the steps that follow."""
    weight = lower(weight)
    if not (weight.requires_grad and torch.is_grad_enabled() and quick()):
        return Share(weight, None)
    store: dict[int, Pairs] = {}
    return Share(Together.apply(weight, store), store)


class Together(Function):
    """The matrix as every step takes it, so that its gradient comes after those of all steps."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, store: dict[int, Pairs]) -> Tensor:
        ctx.set_materialize_grads(False)
        ctx.store = store
        return weight.detach()  # the same memory, and the same count of changes in place

    @staticmethod
    @only_once
    def backward(ctx: Any, _: None) -> tuple[Tensor | None, None]:
        pairs = ctx.store.pop(torch._C._current_graph_task_id(), None)
        if pairs is None:
            return None, None
        inputs, gradients = (torch.cat(each, -2) for each in zip(*pairs, strict=True))
        return gradients.mT @ inputs, None


class Multiply(Function):
    """A step's product."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, share: Share) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.share = share
        return x @ weight.mT

    @staticmethod
    @only_once
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, None, None]:
        x, weight = ctx.saved_tensors
        ctx.share.deposit(x, gradient)
        return gradient @ weight if ctx.needs_input_grad[0] else None, None, None


class Linear(nn.Linear):
    """:class:`torch.nn.Linear`, which a :func:`loop` can share."""

    share: Share | None = None

    def forward(self, x: Tensor) -> Tensor:
        share = self.share
        if share is None:
            return super().forward(x)
        y = share(x)
        return y if self.bias is None else y + self.bias.to(y.dtype)


@contextmanager
def loop(*modules: nn.Module | None) -> Iterator[None]:
    """Within it, the steps share each :class:`Linear` of the modules.

    Autograd adds up gradients as large as the weights, one a step, which takes longer than the steps themselves.
    """
    layers = [layer for module in modules if module is not None for layer in module.modules() if type(layer) is Linear]
    if torch.is_grad_enabled() and quick():
        for layer in layers:
            if layer.weight.requires_grad:
                layer.share = share(layer.weight)
    try:
        yield
    finally:
        for layer in layers:
            layer.share = None
