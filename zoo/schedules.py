"""Learning rates over the steps of a training. Each takes the optimiser and the number of steps."""

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def constant(optimizer: Optimizer, total_steps: int) -> LambdaLR:
    """The learning rate of the optimiser, throughout."""
    return LambdaLR(optimizer, lambda step: 1.0)


def linear_to_zero(optimizer: Optimizer, total_steps: int) -> LambdaLR:
    """From the learning rate of the optimiser linearly to 0 (RAM, section 4)."""
    return LambdaLR(optimizer, lambda step: max(0.0, 1 - step / total_steps))
