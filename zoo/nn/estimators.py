"""How hard attention learns from M sampled sequences of glimpses: variational, reweighted wake-sleep, and VIMCO.

Every estimator is a function of three numbers for each sample a^m: log p(y|a^m, I), how probable the right answer is
after those glimpses; log p(a^m|I), how probable the policy makes them; and log r(a^m), how probable they were where
they were drawn, from the policy itself (r = p) or from an inference network that knows the answer (r = q). All are
(batch, M), and every loss is (batch,); minus its gradient is the estimate. Weights and baselines are constants.

Written after Ba, Grosse, Salakhutdinov, Frey 2015 (wake-sleep), Mnih, Heess, Graves, Kavukcuoglu 2014 (variational) and
Mnih, Rezende 2016 (VIMCO).
"""

import math
from inspect import signature
from typing import Any

import torch
from torch import Tensor

from zoo.errors import OFTEN, ZooError, check_between, check_choice, check_flag, check_whole

KINDS = ("var", "wake_p", "wake_q", "vimco")
HEAVIEST = 1e6  # weight of a heuristic


def importance_weights(log_y: Tensor, log_p: Tensor, log_r: Tensor) -> Tensor:
    """w^m = w~^m / sum_k w~^k with w~ = p(a|I) p(y|a, I) / r(a): (batch, M), each row sums to one."""
    return (log_y + log_p - log_r).detach().softmax(-1)


def prior_weights(log_p: Tensor, log_r: Tensor) -> Tensor:
    """v^m, in proportion to p(a|I) / r(a), what the weights would be without an answer: (batch, M); 1/M for r = p."""
    return (log_p - log_r).detach().softmax(-1)


def effective_sample_size(weights: Tensor) -> Tensor:
    """1 / sum_m (w^m)^2, from 1 (one sample has all the weight) to M (all weigh alike): (batch,)."""
    return 1 / weights.square().sum(-1)


def log_mean_exp(x: Tensor) -> Tensor:
    """log of the mean of exp over the samples: (batch, M) to (batch,)."""
    return x.logsumexp(-1) - math.log(x.shape[-1])


def mean_of_others(x: Tensor) -> Tensor:
    """For each sample the mean of the other samples: (batch, M) of at least two."""
    return (x.sum(-1, keepdim=True) - x) / (x.shape[-1] - 1)


def variational_loss(log_y: Tensor, log_p: Tensor, control: bool) -> Tensor:
    """VAR: 1/M sum_m [d log p(y|a^m) + (log p(y|a^m) - b) d log p(a^m)], the gradient of sum_a p(a) log p(y|a).

    Samples come from p. With `control` b is the mean of the other samples (our choice of the form), else zero.
    """
    baseline = mean_of_others(log_y) if control else 0
    return -(log_y + (log_y - baseline).detach() * log_p).mean(-1)


def wake_p_loss(log_y: Tensor, log_p: Tensor, log_r: Tensor, control: bool) -> Tensor:
    """Wake-p: sum_m [w^m d log p(y|a^m) + (w^m - v^m) d log p(a^m)], towards the gradient of log p(y|I).

    Without `control` v is zero. With r = p, one sample and `control` the policy's part is zero.
    """
    w = importance_weights(log_y, log_p, log_r)
    v = prior_weights(log_p, log_r) if control else 0
    return -(w * log_y + (w - v) * log_p).sum(-1)


def wake_q_loss(log_y: Tensor, log_p: Tensor, log_r: Tensor, log_q: Tensor, control: bool) -> Tensor:
    """Wake-q: sum_m (w^m - v^m) d log q(a^m), towards the gradient of -KL(p(a|y, I) || q).

    Samples come from r, which is q itself or q at another temperature; v is in proportion to q / r, which is 1/M where
    they are one. Without `control` it is zero.
    """
    w = importance_weights(log_y, log_p, log_r)
    v = prior_weights(log_q, log_r) if control else 0
    return -((w - v) * log_q).sum(-1)


def vimco_loss(log_y: Tensor, log_p: Tensor, log_r: Tensor, control: bool) -> Tensor:
    """VIMCO: sum_m [(L - L_-m) d log r(a^m) + w^m d log w~^m], the exact gradient of E[L], L = log 1/M sum_m w~^m.

    In L_-m the geometric mean of the others stands for w~^m; without `control` it is zero. With r = p (log_r = log_p)
    w~ is p(y|a).
    """
    log_f = log_y + log_p - log_r
    bound = log_mean_exp(log_f)[:, None]
    without = 0
    if control:
        others = mean_of_others(log_f)[..., None]  # (batch, M, 1)
        left = log_f[:, None].expand(-1, log_f.shape[-1], -1)  # (batch, M, M): a row for each sample left out
        without = log_mean_exp(torch.where(torch.eye(log_f.shape[-1], device=log_f.device).bool(), others, left))
    w = log_f.detach().softmax(-1)
    return -((bound - without).detach() * log_r + w * log_f).sum(-1)


def coverage_loss(means: Tensor, sigma: float, side: int = 4) -> Tensor:
    """How unevenly N glimpses are expected to cover a picture of side x side cells: (batch, M).

    The doubly stochastic penalty of Xu et al. 2015 for Gaussian places: the mean over cells of (1 - E_i)^2, where E_i
    is the expected number of glimpses in cell i, divided by N / side^2. A glimpse that is drawn beyond the border is
    taken on it.

    Args:
        means: (batch, M, N, 2) in [-1, 1].
        sigma: of the places.
    """
    edges = torch.linspace(-1, 1, side + 1, device=means.device)
    edges[0], edges[-1] = -torch.inf, torch.inf
    below = torch.erf((edges - means[..., None]) / (sigma * math.sqrt(2))) / 2  # (batch, M, N, 2, side + 1)
    x, y = below.diff(dim=-1).unbind(-2)
    cells = (y[..., :, None] * x[..., None, :]).mean(-3)  # (batch, M, side, side)
    return (1 - side**2 * cells).square().mean((-1, -2))


class Estimator:
    """One of the estimators, as the config group `estimator` chooses it.

    Args:
        kind: "var", "wake_p" (samples from the policy), "wake_q" (samples from the inference network, which learns by
            wake-q) or "vimco" (samples from the policy).
        samples: M, for each picture.
        control: whether the control variates are on.
        temperature: of the proposal (an exploration heuristic of Xu et al. 2015): deviations are multiplied and logits
            divided by it, from 0.01 to 100. Importance weights account for it; "var" and "vimco" do not.
        entropy: weight of a bonus on the entropy of the policy's choices (a heuristic too).
        coverage: weight of a penalty on parts of the picture that no glimpse is likely to see (a heuristic too).
    """

    def __init__(
        self,
        kind: str = "wake_q",
        samples: int = 5,
        control: bool = True,
        temperature: float = 1.0,
        entropy: float = 0.0,
        coverage: float = 0.0,
    ):
        check_choice(KINDS, kind=kind)
        check_whole(1, OFTEN, samples=samples)
        check_flag(control=control)
        check_between(0.01, 100, temperature=temperature)
        check_between(0, HEAVIEST, entropy=entropy, coverage=coverage)
        if control and samples < 2:
            raise ZooError(f"samples is 1 and control is true; the control variate of {kind} needs another sample")
        self.kind, self.samples, self.control = kind, samples, control
        self.temperature, self.entropy, self.coverage = temperature, entropy, coverage

    @classmethod
    def of(cls, given: dict[str, Any] | None) -> "Estimator":
        """An estimator from its arguments as a dict, as a config has them; None for the defaults.

        Raises:
            UnknownName: an argument that there is not.
            ZooError: no dict.
        """
        if given is not None and not isinstance(given, dict):
            raise ZooError(f"estimator is {given!r}; expected a group of keys, as estimator=var chooses one")
        for name in given or {}:
            check_choice(tuple(signature(cls).parameters), **{"a key of estimator": name})
        return cls(**(given or {}))

    @property
    def infers(self) -> bool:
        """Whether samples come from an inference network that knows the answer."""
        return self.kind == "wake_q"

    def losses(self, log_y: Tensor, log_p: Tensor, log_r: Tensor, log_q: Tensor | None = None) -> dict[str, Tensor]:
        """The terms by name, means over the batch.

        Args:
            log_q: of the inference network, for "wake_q"; None: it is log_r.
        """
        if self.kind == "var":
            return {"var": variational_loss(log_y, log_p, self.control).mean()}
        if self.kind == "vimco":
            return {"vimco": vimco_loss(log_y, log_p, log_p, self.control).mean()}
        terms = {"wake_p": wake_p_loss(log_y, log_p, log_r, self.control).mean()}
        if self.infers:
            log_q = log_r if log_q is None else log_q
            terms["wake_q"] = wake_q_loss(log_y, log_p, log_r, log_q, self.control).mean()
        return terms
