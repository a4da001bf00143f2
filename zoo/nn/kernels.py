"""Functions that torch computes slowly on a CPU, computed another way there; elsewhere they are torch's own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function

from zoo.errors import ZooError, check_share

LEVELS = 2**16  # a mask is drawn as 16-bit numbers
ROWS = 32  # logits of so many words stay in a CPU's cache
LOGITS = 2**26  # so many at once fill another device; their copy in float32 takes 256 MB

_plain: ContextVar[bool] = ContextVar("plain", default=False)


@contextmanager
def plain_autograd() -> Iterator[None]:
    """Within it networks compute with torch's operations alone: slower, and their gradients can be differentiated."""
    token = _plain.set(True)
    try:
        yield
    finally:
        _plain.reset(token)


def quick() -> bool:
    """Whether gradients in closed form may stand for autograd's; torch.compile and torch.func want torch's own."""
    return not (torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active() or _plain.get())


class Refusal(Function):
    """A gradient as it is, which knows no gradient of its own."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, history: Tensor) -> Tensor:
        return gradient.view_as(gradient)

    @staticmethod
    def backward(ctx: Any, _: Tensor) -> tuple[None, None]:
        raise ZooError(
            "a gradient in closed form cannot be differentiated again; "
            "call the network within zoo.nn.kernels.plain_autograd()"
        )


def only_once(backward: Callable[..., Any]) -> Callable[..., Any]:
    """For the backward pass of a function: who differentiates its gradients again is told so.

    torch's own once_differentiable gives gradients without a history where those that come in have none, as below a
    sum; a second derivative then lacks a part, in silence.
    """

    @wraps(backward)
    def refusing(ctx: Any, *gradients: Tensor | None) -> Any:
        with torch.no_grad():
            found = backward(ctx, *gradients)
        if not torch.is_grad_enabled():
            return found
        several = found if isinstance(found, tuple) else (found,)
        return tuple(
            each if each is None else Refusal.apply(each, each.new_zeros((), requires_grad=True)) for each in several
        )

    return refusing


def lower(x: Tensor) -> Tensor:
    """x as autocast is going to cast it for a matrix product, so that several products share one copy."""
    device = x.device.type
    cast = torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)
    return x.to(torch.get_autocast_dtype(device)) if cast else x


def at_least_float32(x: Tensor) -> Tensor:
    """float64 stays what it is."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def tanh_(x: Tensor) -> Tensor:
    """tanh in place; of float32 on a CPU by 2 sigmoid(2 x) - 1, a fifth of the time, off by 2e-7 at most."""
    return x.mul_(2).sigmoid_().mul_(2).sub_(1) if x.is_cpu and x.dtype == torch.float32 else x.tanh_()


class TanhInFloat32(Function):
    """A CPU takes several times as long for tanh of bfloat16 as for both casts and :func:`tanh_`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = tanh_(x.float()).to(x.dtype)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        return torch.ops.aten.tanh_backward(gradient, y)


def tanh(x: Tensor) -> Tensor:
    """:func:`torch.tanh`."""
    return TanhInFloat32.apply(x) if x.is_cpu and x.dtype == torch.bfloat16 and quick() else x.tanh()


class CrossEntropyByRows(Function):
    """The sum and its gradient in one go over a few rows at a time, instead of seven walks through the main memory.

    Nor is there a copy of all logits in float32, which for 25,000 words of 37,000 takes 3.7 GB.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor, ignore_index: int, label_smoothing: float) -> Tensor:
        dtype = torch.promote_types(logits.dtype, torch.float32)
        gradient, total = torch.empty_like(logits), logits.new_zeros((), dtype=dtype)
        counts = (labels != ignore_index).to(dtype)[:, None]
        labels = (labels * (labels != ignore_index))[:, None]
        rows = ROWS if logits.is_cpu else max(1, LOGITS // logits.shape[-1])
        for x, g, label, count in zip(*(each.split(rows) for each in (logits, gradient, labels, counts)), strict=True):
            x = x.to(dtype)
            p = x.softmax(-1)
            # log sum exp x from the likeliest word, whose p cannot vanish: one exponential a logit instead of two
            normaliser = x.amax(-1, keepdim=True) - p.amax(-1, keepdim=True).log()
            right, mean = x.gather(1, label), x.mean(-1, keepdim=True)
            total += (count * (normaliser - (1 - label_smoothing) * right - label_smoothing * mean)).sum()
            p.sub_(label_smoothing / x.shape[-1]).mul_(count)
            g.copy_(p.scatter_add_(1, label, (label_smoothing - 1) * count))
        ctx.save_for_backward(gradient)
        return total

    @staticmethod
    @only_once
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * outer, None, None, None


def cross_entropy(logits: Tensor, labels: Tensor, ignore_index: int, label_smoothing: float = 0.0) -> Tensor:
    """The sum of :func:`torch.nn.functional.cross_entropy` over the labels: (N, V) and (N,) -> (), float32 at least."""
    if (logits.is_cpu or logits.is_cuda) and logits.requires_grad and quick():
        return CrossEntropyByRows.apply(logits, labels, ignore_index, label_smoothing)
    options = {"ignore_index": ignore_index, "label_smoothing": label_smoothing, "reduction": "sum"}
    return F.cross_entropy(at_least_float32(logits), labels, **options)


def dropout(x: Tensor, p: float, training: bool = True) -> Tensor:
    """:func:`torch.nn.functional.dropout`; on a CPU p is rounded to a multiple of 2^-16, and so is the scale."""
    dropped = round(p * LEVELS)
    if not (training and x.is_cpu and 0 < dropped < LEVELS):
        return F.dropout(x, p, training)
    # bernoulli_ draws one number at a time; a 64-bit number holds four
    drawn = torch.empty(-(-x.numel() // 4), dtype=torch.int64, device=x.device).random_(-(2**63), None)
    last = dropped - LEVELS // 2 - 1  # of the numbers that drop
    keep = drawn.view(torch.int16)[: x.numel()].view(x.shape).clamp_(last, last + 1).sub_(last)  # 0 or 1
    return x * keep.to(x.dtype).mul_(LEVELS / (LEVELS - dropped))


class Dropout(nn.Dropout):
    """:class:`torch.nn.Dropout` by :func:`dropout`."""

    def __init__(self, p: float):
        check_share(dropout=p)
        super().__init__(p)

    def forward(self, x: Tensor) -> Tensor:
        return dropout(x, self.p, self.training)

    def mask(self, like: Tensor) -> Tensor:
        """What multiplies a tensor of that shape, for several that shall share it."""
        return self(torch.ones_like(like))


def attend(
    q: Tensor,
    keys: Tensor,
    values: Tensor,
    mask: Tensor | None = None,
    p: float = 0.0,
    causal: bool = False,
    scale: float | None = None,
) -> Tensor:
    """:func:`torch.nn.functional.scaled_dot_product_attention`; gradients in bfloat16 a CPU takes in float32."""
    if q.is_cpu and q.dtype == torch.bfloat16 and q.requires_grad:
        with torch.autocast("cpu", enabled=False):
            return attend(q.float(), keys.float(), values.float(), mask, p, causal, scale).to(q.dtype)
    return F.scaled_dot_product_attention(q, keys, values, mask, p, causal, scale=scale)
