"""A linear layer in a loop of pure steps: its weight gets its gradient in one product, after the loop."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from zoo.nn.kernels import lower, only_once, quick


class Layer:
    """x W^T + b in every step of one pass.

    As :class:`zoo.nn.shared.Linear` it spares autograd to add up gradients as large as the weight, one a step. But here
    the steps hold nothing but tensors, so that they can be compiled and captured: a step takes the weight without its
    history and a bias of its own for every sample, and what reaches that bias is the gradient of what the layer said.

    Args:
        weight: (outputs, inputs); autocast may cast it, unless `exact`.
        bias: (outputs,), or (batch, outputs) to add something else that does not depend on the step.
        steps, batch: of the pass.
        exact: whether products stay in the type of the weight under autocast.
    """

    def __init__(self, weight: Tensor, bias: Tensor, steps: int, batch: int, exact: bool = False):
        self.weight = (weight if exact else lower(weight)).t()
        self.inputs: list[Tensor] = []
        self.learns = quick() and torch.is_grad_enabled() and weight.requires_grad
        self.weight = self.weight.detach() if self.learns else self.weight
        bias = bias.expand(batch, -1)
        self.biases = Biases.apply(weight, bias, steps, self.inputs) if self.learns else [bias] * steps

    def at(self, t: int) -> tuple[Tensor, Tensor]:
        """Weight (inputs, outputs) and biases (batch, outputs) of step t; see :func:`linear`."""
        return self.weight, self.biases[t]

    def used(self, x: Tensor) -> None:
        """Keeps what the layer was applied to, once for each step in their order."""
        if self.learns:
            self.inputs.append(x.detach())


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """(batch, inputs) -> (batch, outputs), in the type of the bias: float32 also where the product is in bfloat16."""
    return (x @ weight).to(bias.dtype) + bias


class Biases(Function):
    """(batch, outputs) once for each step, and the gradient of the weight from what comes back to all of them."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, bias: Tensor, steps: int, inputs: list[Tensor]) -> tuple[Tensor, ...]:
        ctx.inputs = inputs
        return tuple(bias.view_as(bias) for _ in range(steps))

    @staticmethod
    @only_once
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        inputs, d_bias = torch.cat(ctx.inputs), torch.stack(gradients)
        d_weight = d_bias.flatten(0, 1).to(inputs.dtype).t() @ inputs  # over steps and batch
        return d_weight.to(d_bias.dtype), d_bias.sum(0), None, None
