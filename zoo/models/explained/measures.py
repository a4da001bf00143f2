"""How far the attention of a classifier explains its answers, on some texts: the numbers of a table."""

from collections.abc import Iterable

import torch
from torch import Tensor

from zoo.looking import explain
from zoo.models.explained.network import AttentionClassifier
from zoo.models.explained.readings import Readings
from zoo.nn.random import uniform
from zoo.text.search import PAD

SHARES = (0.01, 0.05, 0.1, 0.2, 0.5)  # of the words, of comprehensiveness and sufficiency
EPSILON = 0.01  # the bound of adversarial attention, in total variation


def of_batch(network: AttentionClassifier, text: Tensor, steps: int = 500) -> dict[str, Tensor]:
    """The measures of each text of at least two words, by name: (texts,) each.

    Args:
        text: ids (batch, T), padded with 0 at the end.
        steps: of the search for adversarial attention.
    """
    text = text[(text != PAD).sum(1) > 1]
    fixed, moving = Readings(network, text), Readings(network, text, fixed=False)
    mask, alpha = fixed.mask, fixed.alpha
    accounts = {
        "gradient": explain.gradient_times_input(fixed.score, fixed.x).abs(),
        "gradient_moving": explain.gradient_times_input(moving.score, moving.x).abs(),
        "integrated": explain.integrated_gradients(moving.score, moving.x).abs(),
        "leave_one_out": explain.leave_one_out(fixed.read, mask),
    }
    found = {f"tau_{name}": explain.kendall(alpha, values, mask) for name, values in accounts.items()}
    found["tau_gradient_leave_one_out"] = explain.kendall(accounts["gradient"], accounts["leave_one_out"], mask)
    found["permuted"] = explain.permutations(fixed.answer, alpha, mask)
    found["largest_weight"] = alpha.amax(1)
    random = uniform(torch.arange(len(text), device=text.device), text.shape[1])
    for name, importance in (("attention", alpha), ("gradient", accounts["gradient"]), ("random", random)):
        found[f"removed_by_{name}"] = explain.removals(fixed.answer, alpha, mask, importance)
        whole, alone = explain.erasure(fixed.read, mask, importance, SHARES)
        found[f"comprehensiveness_by_{name}"], found[f"sufficiency_by_{name}"] = whole, alone
    found["adversarial"], _ = explain.adversarial(fixed.answer, alpha, mask, EPSILON, steps=steps)
    uniform_weights = mask / mask.sum(1, keepdim=True)
    found["uniform_changes"] = (fixed.answer(uniform_weights).argmax(1) != fixed.label).float()
    return {name: values.detach() for name, values in found.items()}


def summary(batches: Iterable[dict[str, Tensor]]) -> dict[str, float]:
    """Means over texts for which a measure is defined, the deviation of each tau, the share that has an adversary."""
    rows = list(batches)
    found = {}
    for name in rows[0]:
        values = torch.cat([row[name] for row in rows])
        real = values[~values.isnan()]
        found[name] = real.mean().item() if len(real) else float("nan")
        if name.startswith("tau"):
            found[f"{name}_std"] = real.std().item() if len(real) > 1 else float("nan")
        if name == "adversarial":
            found["adversaries_found"] = len(real) / len(values)
    return found | {"texts": sum(len(row["permuted"]) for row in rows)}
