"""One input of any network with attention over it: each output's weights, gradients, and what leaving inputs out does.

What :mod:`zoo.looking.explain` says of texts with one answer is said here of every output, such as a word of a
translation. A pipeline says how its network is asked (``Pipeline.instance``); nothing here knows a model.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from zoo.looking.explain import kendall, total_variation
from zoo.nn.kernels import plain_autograd

Ask = Callable[[Tensor], tuple[Tensor, Tensor]]


class Instance(NamedTuple):
    """An input of S parts, words or places, and T outputs about it.

    Args:
        inputs: ids (S,) int64, or vectors (S, d).
        places: (n,) int64, the parts that are compared: what is no word, as the end symbol, is left out.
        ask: other inputs (rows, S', ...) -> logits (rows, T, classes) and attention (rows, T, S'), the outputs before
            each output as they were.
        table: what makes vectors of ids in its first call of an `ask`; None where the inputs are vectors.
    """

    inputs: Tensor
    places: Tensor
    ask: Ask
    table: nn.Module | None = None


def asked(instance: Instance) -> tuple[Tensor, Tensor, Tensor]:
    """The vectors of the inputs (1, S, d), logits (T, classes) that have a gradient of them, and attention (T, S)."""
    vectors: list[Tensor] = []

    def leaf(_: nn.Module, __: tuple, found: Tensor) -> Tensor:
        if vectors:
            return found
        vectors.append(found.detach().requires_grad_())
        return vectors[0]

    inputs = instance.inputs[None]
    if instance.table is None:
        vectors.append(inputs.detach().requires_grad_())
        logits, weights = instance.ask(vectors[0])
    else:
        with_leaf = instance.table.register_forward_hook(leaf)
        try:
            logits, weights = instance.ask(inputs)
        finally:
            with_leaf.remove()
    return vectors[0], logits[0], weights[0]


def gradients(instance: Instance, label: Tensor | None = None) -> dict[str, Tensor]:
    """Attention, and two accounts of the parts by the gradient g of the log-probability of each output.

    The attention moves with the inputs.

    Args:
        label: (T,) int64, of which class; None: of the likeliest.

    Returns:
        "attention", "gradient_norm" |g_s| and "gradient_times_input" |x_s . g_s|, each (T, n).
    """
    # cuDNN has no backward pass of a recurrent network in evaluation
    with torch.enable_grad(), plain_autograd(), torch.backends.cudnn.flags(enabled=False):
        x, logits, weights = asked(instance)
        log_p = logits.log_softmax(-1)
        label = log_p.argmax(-1) if label is None else label
        chosen = log_p.gather(1, label[:, None])[:, 0]
        slopes = [torch.autograd.grad(each, x, retain_graph=True)[0][0] for each in chosen]
    found = torch.stack(slopes)[:, instance.places]  # (T, n, d)
    of = x.detach()[0, instance.places]
    return {
        "attention": weights.detach()[:, instance.places],
        "gradient_norm": found.norm(dim=-1),
        "gradient_times_input": (found * of).sum(-1).abs(),
    }


@torch.no_grad()
def left_out(instance: Instance) -> Tensor:
    """Total variation between each output's distribution and that without each part, which is taken out: (T, n)."""
    size = len(instance.inputs)
    others = torch.arange(size - 1, device=instance.inputs.device)
    kept = others + (others >= instance.places[:, None])  # (n, S - 1): all but one
    whole = instance.ask(instance.inputs[None])[0].softmax(-1)
    return total_variation(instance.ask(instance.inputs[kept])[0].softmax(-1), whole).T


def agreement(instance: Instance) -> dict[str, Tensor]:
    """Kendall's tau between accounts of the parts, the mean over outputs for which it is defined: scalars, maybe NaN.

    "tau_gradient": attention and |x . g|; "tau_leave_one_out": attention and :func:`left_out`;
    "tau_gradient_leave_one_out": these two.
    """
    accounts = gradients(instance)
    attention, gradient, missing = accounts["attention"], accounts["gradient_times_input"], left_out(instance)
    pairs = {
        "tau_gradient": (attention, gradient),
        "tau_leave_one_out": (attention, missing),
        "tau_gradient_leave_one_out": (gradient, missing),
    }
    every = torch.ones_like(attention, dtype=torch.bool)
    return {name: kendall(a, b, every).nanmean() for name, (a, b) in pairs.items()}


def means(found: Iterable[dict[str, Tensor]]) -> dict[str, float]:
    """Of each measure of :func:`agreement` the mean and the deviation over samples for which it is defined."""
    rows = list(found)
    told: dict[str, float] = {}
    for name in rows[0]:
        values = torch.stack([row[name] for row in rows])
        values = values[~values.isnan()]
        told[name] = values.mean().item() if len(values) else float("nan")
        told[f"{name}_std"] = values.std().item() if len(values) > 1 else float("nan")
    return told | {"samples": len(rows)}
