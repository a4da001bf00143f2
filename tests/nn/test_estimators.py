"""Estimators of hard attention on a problem of three places and two glimpses, of which everything is enumerated."""

import itertools
import math
from collections import Counter
from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

from zoo.errors import ZooError
from zoo.nn.estimators import (
    KINDS,
    Estimator,
    coverage_loss,
    effective_sample_size,
    importance_weights,
    prior_weights,
    variational_loss,
    vimco_loss,
    wake_p_loss,
    wake_q_loss,
)

PLACES, GLIMPSES, CLASSES = 3, 2, 2
PATHS = torch.tensor(list(itertools.product(range(PLACES), repeat=GLIMPSES)))  # (9, 2)


class Toy(nn.Module):
    """p(a_1) p(a_2|a_1) p(y|a) and q(a_1|y) q(a_2|a_1, y), tables of logits."""

    def __init__(self, seed: int = 0):
        super().__init__()
        random = torch.Generator().manual_seed(seed)

        def table(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(*shape, generator=random, dtype=torch.float64))

        self.first, self.second = table(PLACES), table(PLACES, PLACES)
        self.answer = table(PLACES, PLACES, CLASSES)
        self.q_first, self.q_second = table(CLASSES, PLACES), table(CLASSES, PLACES, PLACES)
        with torch.no_grad():  # a proposal that is not too far off
            self.q_first.mul_(0.5), self.q_second.mul_(0.5)

    def theta(self) -> list[nn.Parameter]:
        return [self.first, self.second, self.answer]

    def eta(self) -> list[nn.Parameter]:
        return [self.q_first, self.q_second]

    def log_p(self, path: torch.Tensor) -> torch.Tensor:
        """(..., 2) to (...)."""
        first, second = path.unbind(-1)
        return self.first.log_softmax(-1)[first] + self.second.log_softmax(-1)[first, second]

    def log_y(self, path: torch.Tensor, label: int) -> torch.Tensor:
        first, second = path.unbind(-1)
        return self.answer.log_softmax(-1)[first, second, label]

    def log_q(self, path: torch.Tensor, label: int) -> torch.Tensor:
        first, second = path.unbind(-1)
        return self.q_first.log_softmax(-1)[label, first] + self.q_second.log_softmax(-1)[label, first, second]


def posterior(toy: Toy, label: int) -> np.ndarray:
    """p(a|y, I) by loops over all paths: (9,)."""
    joint = []
    for first, second in PATHS.tolist():
        row = {}
        for name, logits in (
            ("p1", toy.first),
            ("p2", toy.second[first]),
            ("y", toy.answer[first, second]),
        ):
            values = np.exp(logits.detach().numpy())
            row[name] = values / values.sum()
        joint.append(row["p1"][first] * row["p2"][second] * row["y"][label])
    return np.array(joint) / sum(joint)


def with_posterior_as_q(toy: Toy, label: int) -> Toy:
    """The same toy whose inference network is the exact posterior."""
    exact = torch.tensor(posterior(toy, label)).view(PLACES, PLACES)
    with torch.no_grad():
        toy.q_first[label] = exact.sum(1).log()
        toy.q_second[label] = exact.log()
    return toy


@cache
def multisets(samples: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Every way to draw M paths without regard to order, (n, M), and log of in how many orders each may come."""
    chosen = list(itertools.combinations_with_replacement(range(len(PATHS)), samples))
    orders = [math.lgamma(samples + 1) - sum(math.lgamma(c + 1) for c in Counter(one).values()) for one in chosen]
    return torch.tensor(chosen), torch.tensor(orders, dtype=torch.float64)


def draws(toy: Toy, samples: int, proposal: str, label: int, loss) -> tuple[torch.Tensor, torch.Tensor]:
    """The probability of every draw of M paths from p or q, and minus `loss(log_y, log_p, log_r)` of it: both (n,)."""
    chosen, orders = multisets(samples)
    paths = PATHS[chosen]  # (n, M, 2)
    log_y, log_p = toy.log_y(paths, label), toy.log_p(paths)
    log_r = log_p if proposal == "p" else toy.log_q(paths, label)
    probability = (orders + log_r.detach().sum(-1)).exp()
    torch.testing.assert_close(probability.sum(), torch.tensor(1.0, dtype=torch.float64))
    return probability, -loss(log_y, log_p, log_r)


def mean_gradient(toy: Toy, samples: int, proposal: str, label: int, loss, wrt) -> torch.Tensor:
    """What an estimator gives on average over all draws, exactly."""
    probability, value = draws(toy, samples, proposal, label, loss)
    return flat_gradient(value, wrt, probability)


def expected(toy: Toy, samples: int, proposal: str, label: int, loss, wrt) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and total variance of an estimator's gradient over all draws."""
    probability, value = draws(toy, samples, proposal, label, loss)
    each = torch.vmap(lambda one: flat_gradient(value, wrt, one))(torch.eye(len(value)).double())
    mean = probability @ each
    return mean, probability @ (each - mean).square().sum(-1)


def flat_gradient(value: torch.Tensor, wrt: list, weight: torch.Tensor | None = None) -> torch.Tensor:
    found = torch.autograd.grad(value, wrt, weight, retain_graph=True, allow_unused=True, materialize_grads=True)
    return torch.cat([each.flatten() for each in found])


def exact(toy: Toy, label: int) -> torch.Tensor:
    """The gradient of log p(y|I), all paths summed."""
    return flat_gradient((toy.log_p(PATHS) + toy.log_y(PATHS, label)).logsumexp(0), toy.theta())


@pytest.fixture
def toy() -> Toy:
    return Toy()


# --- weights ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("label", range(CLASSES))
def test_with_all_paths_as_samples_the_weights_are_the_exact_posterior(toy, label):
    log_y, log_p = toy.log_y(PATHS, label)[None], toy.log_p(PATHS)[None]
    w = importance_weights(log_y, log_p, torch.zeros_like(log_p))  # a uniform proposal that drew each path once
    np.testing.assert_allclose(w[0].numpy(), posterior(toy, label), rtol=1e-12)
    assert not w.requires_grad
    torch.testing.assert_close(prior_weights(log_p, torch.zeros_like(log_p)), log_p.detach().exp())


def test_samples_of_the_policy_weigh_as_their_answers_are_probable(toy):
    log_y, log_p = toy.log_y(PATHS, 0)[None], toy.log_p(PATHS)[None]
    likelihood = log_y.detach().exp()
    torch.testing.assert_close(importance_weights(log_y, log_p, log_p), likelihood / likelihood.sum())
    assert (prior_weights(log_p, log_p) == 1 / 9).all()


@pytest.mark.parametrize("samples", [2, 5])
def test_with_the_posterior_as_q_the_effective_sample_size_is_that_of_the_samples(toy, samples):
    with_posterior_as_q(toy, 1)
    paths = PATHS[multisets(samples)[0]]
    w = importance_weights(toy.log_y(paths, 1), toy.log_p(paths), toy.log_q(paths, 1))
    torch.testing.assert_close(effective_sample_size(w), torch.full_like(w[:, 0], samples))
    others = importance_weights(toy.log_y(paths, 1), toy.log_p(paths), toy.log_p(paths))
    sizes = effective_sample_size(others)
    assert sizes.min() < samples - 0.1 and sizes.max() <= samples + 1e-9 and sizes.min() >= 1


def test_weights_of_improbable_paths_stay_finite():
    log_y, log_p = torch.tensor([[-900.0, -901.0]]), torch.tensor([[-2000.0, -2000.0]])
    w = importance_weights(log_y, log_p, torch.zeros(1, 2))
    torch.testing.assert_close(w, torch.tensor([[1.0, math.exp(-1)]]) / (1 + math.exp(-1)))


# --- expectations -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("control", [False, True])
def test_variational_expectation_is_the_gradient_of_its_bound(toy, control):
    log_y, log_p = toy.log_y(PATHS, 1), toy.log_p(PATHS)
    right = flat_gradient((log_p.exp() * log_y).sum(), toy.theta())
    mean = mean_gradient(toy, 2, "p", 1, lambda y, p, r: variational_loss(y, p, control), toy.theta())
    torch.testing.assert_close(mean, right)


@pytest.mark.parametrize("control", [False, True])
@pytest.mark.parametrize("proposal", ["p", "q"])
def test_wake_p_converges_to_the_exact_gradient_as_samples_grow(toy, proposal, control):
    right = exact(toy, 1)
    errors = []
    for samples in (1, 2, 4, 8):
        mean = mean_gradient(toy, samples, proposal, 1, lambda y, p, r: wake_p_loss(y, p, r, control), toy.theta())
        errors.append((mean - right).norm().item())
    assert errors[0] > errors[1] > errors[2] > errors[3]
    assert errors[3] < 0.7 * errors[2], "about in proportion to 1 / M"


@pytest.mark.parametrize("samples", [2, 4])
def test_the_control_variate_of_wake_p_leaves_the_expectation_and_reduces_the_variance(toy, samples):
    """With r = p exactly; with r = q within the bias of the self-normalised weights, which falls with M."""
    theta = toy.theta()[:2]  # the policy's part
    losses = [lambda y, p, r, control=control: wake_p_loss(y, p, r, control) for control in (False, True)]
    (plain, before), (controlled, after) = (expected(toy, samples, "p", 1, loss, theta) for loss in losses)
    torch.testing.assert_close(plain, controlled)
    assert after < before / 2
    (plain, before), (controlled, after) = (expected(toy, samples, "q", 1, loss, theta) for loss in losses)
    assert after < before
    apart = []
    for m in (1, samples, samples + 2):
        plain, controlled = (mean_gradient(toy, m, "q", 1, loss, theta) for loss in losses)
        apart.append((plain - controlled).norm().item())
    assert apart[0] > apart[1] > apart[2]


@pytest.mark.parametrize("samples", [2, 4])
def test_the_control_variate_of_wake_q_leaves_the_expectation_and_reduces_the_variance(toy, samples):
    losses = [lambda y, p, r, control=control: wake_q_loss(y, p, r, r, control) for control in (False, True)]
    (plain, before), (controlled, after) = (expected(toy, samples, "q", 0, loss, toy.eta()) for loss in losses)
    torch.testing.assert_close(plain, controlled)
    assert after < 0.7 * before


def test_wake_q_goes_towards_the_posterior_and_rests_there(toy):
    label = 1
    right = torch.tensor(posterior(toy, label))
    inclusive = (right * (right.log() - toy.log_q(PATHS, label))).sum()  # KL(p(a|y) || q)
    downhill = -flat_gradient(inclusive, toy.eta())
    apart = []
    for samples in (1, 3, 6):
        mean = mean_gradient(toy, samples, "q", label, lambda y, p, r: wake_q_loss(y, p, r, r, True), toy.eta())
        apart.append((mean - downhill).norm().item())
    assert apart[0] > apart[1] > apart[2]
    with_posterior_as_q(toy, label)
    mean, spread = expected(toy, 3, "q", label, lambda y, p, r: wake_q_loss(y, p, r, r, True), toy.eta())
    assert mean.norm() < 1e-12 and spread < 1e-12, "all weights are 1/M there, and every draw gives zero"


def test_wake_q_teaches_q_and_not_the_warmer_q_that_draws(toy):
    """Samples of q at temperature 2: where q is the posterior no draw moves it, and else they move it towards it."""
    label = 1
    chosen, orders = multisets(6)
    paths = PATHS[chosen]

    def mean(loss) -> torch.Tensor:
        warm = torch.log_softmax(toy.log_q(PATHS, label).detach() / 2, 0)
        log_r = warm[chosen]
        found = loss(toy.log_y(paths, label), toy.log_p(paths), log_r, toy.log_q(paths, label))
        return -flat_gradient(((orders + log_r.sum(-1)).exp() * found).sum(), toy.eta())

    right = torch.tensor(posterior(toy, label))
    downhill = -flat_gradient((right * (right.log() - toy.log_q(PATHS, label))).sum(), toy.eta())
    for control in (False, True):
        ours = mean(lambda y, p, r, q, control=control: wake_q_loss(y, p, r, q, control))
        assert (ours - downhill).norm() < 0.5 * downhill.norm()
    with_posterior_as_q(toy, label)
    assert mean(lambda y, p, r, q: wake_q_loss(y, p, r, q, True)).norm() < 1e-12


@pytest.mark.parametrize("control", [False, True])
@pytest.mark.parametrize("proposal", ["p", "q"])
def test_vimco_expectation_is_the_gradient_of_the_bound_of_many_samples(toy, proposal, control):
    samples, both = 3, [*toy.theta(), *toy.eta()]
    chosen, orders = multisets(samples)
    paths = PATHS[chosen]
    log_y, log_p = toy.log_y(paths, 1), toy.log_p(paths)
    log_r = log_p if proposal == "p" else toy.log_q(paths, 1)
    bound = ((orders + log_r.sum(-1)).exp() * ((log_y + log_p - log_r).exp().mean(-1)).log()).sum()
    mean = mean_gradient(toy, samples, proposal, 1, lambda y, p, r: vimco_loss(y, p, r, control), both)
    torch.testing.assert_close(mean, flat_gradient(bound, both))


def test_the_control_variates_of_var_and_vimco_reduce_the_variance(toy):
    theta = toy.theta()[:2]
    for loss in (lambda y, p, r, c: variational_loss(y, p, c), vimco_loss):
        spreads = [
            expected(toy, 4, "p", 1, lambda y, p, r, c=control, loss=loss: loss(y, p, r, c), theta)[1]
            for control in (False, True)
        ]
        assert spreads[1] < spreads[0] / 2


def test_one_sample_of_the_policy_with_a_control_variate_teaches_the_policy_nothing(toy):
    paths = PATHS[:, None]  # every path, on its own
    log_y, log_p = toy.log_y(paths, 0), toy.log_p(paths)
    loss = wake_p_loss(log_y, log_p, log_p, control=True).sum()
    assert not flat_gradient(loss, toy.theta()[:2]).any() and flat_gradient(loss, [toy.answer]).any()
    assert flat_gradient(wake_p_loss(log_y, log_p, log_p, control=False).sum(), toy.theta()[:2]).any()


def test_the_bounds_are_in_order(toy):
    """F <= E[log 1/M sum_m p(y|a^m)] <= log p(y|I), and the middle one rises with M."""
    log_y, log_p = toy.log_y(PATHS, 0), toy.log_p(PATHS)
    values = [(log_p.exp() * log_y).sum().item()]
    for samples in (2, 4, 6):
        chosen, orders = multisets(samples)
        paths = PATHS[chosen]
        weight = (orders + toy.log_p(paths).sum(-1)).exp()
        values.append((weight * toy.log_y(paths, 0).exp().mean(-1).log()).sum().item())
    values.append((log_p + log_y).logsumexp(0).item())
    assert values == sorted(values) and len(set(values)) == len(values)


# --- the choice -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("control", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_an_estimator_is_the_function_of_its_name(toy, kind, control):
    paths = PATHS.view(3, 3, 2)  # three pictures of three samples
    log_y, log_p, log_q = toy.log_y(paths, 0), toy.log_p(paths), toy.log_q(paths, 0)
    estimator = Estimator(kind, samples=3, control=control)
    terms = estimator.losses(log_y, log_p, log_q if estimator.infers else log_p)
    right = {
        "var": {"var": variational_loss(log_y, log_p, control)},
        "wake_p": {"wake_p": wake_p_loss(log_y, log_p, log_p, control)},
        "wake_q": {
            "wake_p": wake_p_loss(log_y, log_p, log_q, control),
            "wake_q": wake_q_loss(log_y, log_p, log_q, log_q, control),
        },
        "vimco": {"vimco": vimco_loss(log_y, log_p, log_p, control)},
    }[kind]
    assert terms.keys() == right.keys()
    for name, value in terms.items():
        torch.testing.assert_close(value, right[name].mean())


def test_an_estimator_of_a_config():
    assert vars(Estimator.of(None)) == vars(Estimator()) and Estimator.of({"kind": "var"}).kind == "var"
    with pytest.raises(ZooError, match=r"a key of estimator is 'sample', not one of kind, samples.*mean samples"):
        Estimator.of({"sample": 3})
    for given in ("var", 3):
        with pytest.raises(ZooError, match=f"estimator is {given!r}; expected a group of keys"):
            Estimator.of(given)


def test_coverage_counts_a_glimpse_beyond_the_border_on_it():
    """A place is kept within the picture, so that a corner takes what is drawn beyond it, as any inner cell would."""
    inner = coverage_loss(torch.tensor([-0.25, -0.25]).expand(1, 1, 4, 2), 0.01)
    assert inner.item() == pytest.approx((225 + 15) / 16, rel=1e-5)
    for place in ([1.0, 1.0], [-1.0, 1.0], [-1.0, -0.25]):
        torch.testing.assert_close(coverage_loss(torch.tensor(place).expand(1, 1, 4, 2), 0.01), inner)


def test_wake_p_in_numbers():
    log_y, log_p, log_r = (torch.tensor([x]).log() for x in ([0.5, 0.25], [0.2, 0.4], [0.4, 0.2]))
    # w~ = 1/4 and 1/2, so w = 1/3 and 2/3; p/r = 1/2 and 2, so v = 1/5 and 4/5
    w, v = np.array([1 / 3, 2 / 3]), np.array([1 / 5, 4 / 5])
    plain = -(w * np.log([0.5, 0.25]) + w * np.log([0.2, 0.4])).sum()
    controlled = plain + (v * np.log([0.2, 0.4])).sum()
    assert wake_p_loss(log_y, log_p, log_r, control=False).item() == pytest.approx(plain)
    assert wake_p_loss(log_y, log_p, log_r, control=True).item() == pytest.approx(controlled)
    right = -((w - 0.5) * np.log([0.4, 0.2])).sum()
    assert wake_q_loss(log_y, log_p, log_r, log_r, control=True).item() == pytest.approx(right)
    assert effective_sample_size(torch.tensor([[1 / 3, 2 / 3]])).item() == pytest.approx(9 / 5)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"kind": "sleep"}, "not one of var, wake_p, wake_q, vimco"),
        ({"samples": 0}, "samples is 0"),
        ({"kind": "wake_p", "samples": 1}, "needs another sample"),
        ({"kind": "wake_q", "samples": 1}, "needs another sample"),
        ({"control": 1}, "control is 1"),
        ({"temperature": 0}, "temperature is 0"),
        ({"temperature": 1e20}, "temperature is 1e\\+20; expected a number from 0.01 to 100"),
        ({"entropy": -1}, "entropy is -1"),
    ],
)
def test_an_estimator_that_cannot_be_is_refused(given, message):
    with pytest.raises(ZooError, match=message):
        Estimator(**given)
