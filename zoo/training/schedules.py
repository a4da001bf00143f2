"""Learning rates over the steps of a training. Each takes the optimiser and the number of steps, or infinity."""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from zoo.errors import ZooError, check_least, check_share, check_whole


def known(total_steps: float) -> int:
    """The number of steps, of a schedule that depends on it; raises ZooError where a run ends by the clock alone."""
    if total_steps == math.inf:
        raise ZooError("this schedule needs to know when training ends: give trainer.max_epochs or trainer.max_steps")
    return int(total_steps)


def constant(optimizer: Optimizer, total_steps: float) -> LambdaLR:
    """The learning rate of the optimiser, throughout."""
    return LambdaLR(optimizer, lambda step: 1.0)


def warmup_constant(optimizer: Optimizer, total_steps: float, steps: int) -> LambdaLR:
    """Linearly from 0 to the learning rate of the optimiser in so many steps, then constant; the first step is at 0."""
    check_least(1, steps=steps)
    return LambdaLR(optimizer, lambda step: min(1.0, step / steps))


def linear_to_zero(optimizer: Optimizer, total_steps: float) -> LambdaLR:
    """From the learning rate of the optimiser linearly to 0 (RAM, section 4)."""
    total_steps = known(total_steps)
    return LambdaLR(optimizer, lambda step: max(0.0, 1 - step / total_steps))


def steps(optimizer: Optimizer, total_steps: float, at: list[float], factor: float = 0.1) -> LambdaLR:
    """The learning rate of the optimiser, multiplied by a factor at each of some shares of the steps."""
    check_share(**{f"at[{i}]": share for i, share in enumerate(at)}, factor=factor)
    total_steps = known(total_steps)
    return LambdaLR(optimizer, lambda step: factor ** sum(step >= share * total_steps for share in at))


def halving(optimizer: Optimizer, total_steps: float, hold: float, times: int) -> LambdaLR:
    """The learning rate of the optimiser, then halved at even distances (Luong et al. 2015).

    Args:
        hold: share of the steps before the first halving; the paper's 8 of 12 epochs are 2/3.
        times: halvings; the paper's 12 epochs have four, after epochs 8, 9, 10 and 11.
    """
    check_share(hold=hold)
    check_whole(1, times=times)
    total_steps = known(total_steps)
    first = hold * total_steps
    every = max(total_steps - first, 1) / times  # with hold 1 nothing is halved but after the end
    return LambdaLR(optimizer, lambda step: 0.5 ** (0 if step < first else min(times, 1 + int((step - first) / every))))


def inverse_sqrt(optimizer: Optimizer, total_steps: float, warmup: int = 4000) -> LambdaLR:
    """Linearly up to the learning rate of the optimiser, then down with the root of the step (Vaswani et al. 2017).

    The paper's d_model^-0.5 min(step^-0.5, step warmup^-1.5) is this with the rate (d_model warmup)^-0.5.

    Args:
        warmup: the step, counted from 1, that has the learning rate of the optimiser.
    """
    check_least(1, warmup=warmup)
    return LambdaLR(optimizer, lambda step: min((step + 1) / warmup, (warmup / (step + 1)) ** 0.5))


def warmup_linear(optimizer: Optimizer, total_steps: float, warmup: float = 0.05) -> LambdaLR:
    """Linearly from 0 to the learning rate of the optimiser over a share of the steps, then linearly to 0."""
    check_share(warmup=warmup)
    total_steps = known(total_steps)
    up = max(1.0, warmup * total_steps)
    return LambdaLR(
        optimizer, lambda step: min((step + 1) / up, max(0.0, total_steps - step) / max(1.0, total_steps - up))
    )
