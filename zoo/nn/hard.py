"""Hard attention: where to look is sampled, and learned with REINFORCE (Williams 1992)."""

import math

from torch import Tensor

from zoo.nn.kernels import at_least_float32


def gaussian_log_prob(sample: Tensor, mean: Tensor, sigma: float) -> Tensor:
    """log N(sample; mean, sigma^2 I) over the last axis.

    The sample is a constant here: without that, sample - mean = sigma * noise would not depend on the mean and the
    score (l - mu) / sigma^2 would vanish.

    Args:
        sample, mean: (..., dim).

    Returns:
        (...)
    """
    square = ((sample.detach() - mean) / sigma).square().sum(-1)
    return -square / 2 - mean.shape[-1] * math.log(sigma * math.sqrt(2 * math.pi))


def reinforce_loss(log_prob: Tensor, reward: Tensor, baseline: Tensor) -> Tensor:
    """-(R - b) log pi, summed over steps and averaged over episodes; its gradient is minus that of E[R].

    Nothing flows into reward or baseline.

    Args:
        log_prob: (episodes, steps), of the sampled actions.
        reward: (episodes, 1) or (episodes, steps), the return that follows each action.
        baseline: (episodes, steps), anything that does not depend on the action of its step.
    """
    return -((reward - baseline).detach() * log_prob).sum(1).mean()


def baseline_loss(baseline: Tensor, reward: Tensor) -> Tensor:
    """(R - b)^2, averaged over steps and episodes; shapes as in :func:`reinforce_loss`."""
    return (reward.detach() - baseline).square().mean()


def sample_categorical(logits: Tensor, noise: Tensor) -> Tensor:
    """A class for each row by the inverse distribution function.

    Args:
        logits: (batch, classes).
        noise: (batch,), uniform in (0, 1).

    Returns:
        (batch,) int64.
    """
    cumulative = at_least_float32(logits).softmax(-1).cumsum(-1)
    return (noise[:, None] > cumulative[:, :-1]).sum(-1)
