"""Hard attention: densities, the routing of REINFORCE, and its expectation on a problem small enough to enumerate."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from zoo.nn.hard import baseline_loss, gaussian_log_prob, reinforce_loss, sample_categorical
from zoo.nn.random import uniform

relaxed = settings(deadline=None, max_examples=25, derandomize=True)


@relaxed
@given(st.lists(st.integers(1, 4), min_size=1, max_size=3), st.sampled_from([0.05, 0.1, 0.5, 2.0]), st.integers(0, 99))
def test_gaussian_log_prob_is_that_of_torch_and_so_is_its_gradient(shape, sigma, seed):
    random = torch.Generator().manual_seed(seed)
    mean = torch.randn(*shape, generator=random, dtype=torch.float64, requires_grad=True)
    sample = mean.detach() + sigma * torch.randn(*shape, generator=random, dtype=torch.float64)
    ours = gaussian_log_prob(sample, mean, sigma)
    oracle = torch.distributions.Normal(mean, sigma).log_prob(sample).sum(-1)
    torch.testing.assert_close(ours, oracle)
    (gradient,), (expected,) = (torch.autograd.grad(x.sum(), mean) for x in (ours, oracle))
    torch.testing.assert_close(gradient, expected)
    torch.testing.assert_close(gradient, (sample - mean.detach()) / sigma**2)


def test_the_sample_is_a_constant_even_when_it_was_made_from_the_mean():
    mean = torch.zeros(3, 2, requires_grad=True)
    noise = torch.randn(3, 2)
    gaussian_log_prob(mean + 0.1 * noise, mean, 0.1).sum().backward()
    torch.testing.assert_close(mean.grad, noise / 0.1)


def test_reinforce_loss_in_numbers():
    log_prob = torch.tensor([[-1.0, -2.0], [-3.0, -4.0]])
    reward, baseline = torch.tensor([[1.0], [0.0]]), torch.tensor([[0.5, 0.25], [0.5, 1.0]])
    # -(0.5 * -1 + 0.75 * -2) = 2 and -(-0.5 * -3 + -1 * -4) = -5.5
    assert reinforce_loss(log_prob, reward, baseline).item() == (2 - 5.5) / 2


def test_reinforce_loss_takes_a_return_for_each_step():
    log_prob = torch.tensor([[-1.0, -2.0]])
    assert reinforce_loss(log_prob, torch.tensor([[3.0, 1.0]]), torch.zeros(1, 2)).item() == 5


def test_nothing_of_the_policy_term_flows_into_reward_or_baseline():
    log_prob, reward, baseline = (torch.randn(4, n, requires_grad=True) for n in (3, 1, 3))
    reinforce_loss(log_prob, reward, baseline).backward()
    assert reward.grad is None and baseline.grad is None
    torch.testing.assert_close(log_prob.grad, -(reward - baseline).detach() / 4)


def test_the_baseline_is_regressed_on_a_constant_reward():
    baseline, reward = torch.tensor([[0.5, 1.0]], requires_grad=True), torch.ones(1, 1, requires_grad=True)
    loss = baseline_loss(baseline, reward)
    loss.backward()
    assert loss.item() == 0.125 and reward.grad is None
    assert baseline.grad.tolist() == [[-0.5, 0.0]]


def inverse_cdf(probabilities: np.ndarray, number: float) -> int:
    total = 0.0
    for index, probability in enumerate(probabilities):
        total += probability
        if number <= total:
            return index
    return len(probabilities) - 1


@relaxed
@given(st.integers(1, 12), st.floats(0.1, 4), st.integers(0, 99))
def test_sample_categorical_inverts_the_distribution_function(classes, spread, seed):
    random = np.random.default_rng(seed)
    logits, noise = random.normal(size=(50, classes)) * spread, random.random(50)
    weights = np.exp(logits - logits.max(1, keepdims=True))
    probabilities = weights / weights.sum(1, keepdims=True)
    safe = np.abs(probabilities.cumsum(1) - noise[:, None]).min(1) > 1e-5  # float32 may decide the others either way
    classes = sample_categorical(torch.tensor(logits), torch.tensor(noise))
    assert classes.dtype == torch.int64 and classes.shape == (50,)
    expected = [inverse_cdf(p, u) for p, u in zip(probabilities, noise, strict=True)]
    np.testing.assert_array_equal(classes.numpy()[safe], np.array(expected)[safe])


def test_sample_categorical_has_the_frequencies_of_the_softmax():
    logits, n = torch.tensor([0.3, -1.0, 2.0, 0.0, -3.0]), 40_000
    drawn = sample_categorical(logits.expand(n, -1), uniform(torch.arange(n)))
    p = logits.softmax(0)
    error = drawn.bincount(minlength=5) / n - p
    assert (error.abs() < 4 * (p * (1 - p) / n).sqrt()).all()


def test_sample_categorical_stays_inside_at_the_ends_and_skips_impossible_classes():
    ends = torch.tensor([2.0**-24, 1 - 2.0**-24])
    logits = torch.tensor([-torch.inf, 0.0, -torch.inf, 1.0]).expand(2, -1)
    assert sample_categorical(logits, ends).tolist() == [1, 3]
    many = torch.randn(500, 1000, generator=torch.Generator().manual_seed(0))
    assert sample_categorical(many, ends[1].expand(500)).max() <= 999


# A problem of which all glimpse sequences can be enumerated: a picture of three cells, a recurrent network that starts
# at a random cell, chooses two more and then names one of two classes, everything by sampling.
CELLS, CLASSES, CHOICES = 3, 2, 3  # two locations and a class
SEQUENCES = list(itertools.product(range(CELLS), range(CELLS), range(CELLS), range(CLASSES)))


class GridRAM(nn.Module):
    def __init__(self):
        super().__init__()
        self.core, self.glimpse = nn.Linear(4, 4), nn.Linear(CELLS, 4)
        self.locate, self.act, self.expect = nn.Linear(4, CELLS), nn.Linear(4, CLASSES), nn.Linear(4, 1)
        self.picture = torch.tensor([0.3, -1.0, 2.0], dtype=torch.float64)
        self.rewards = 10 * torch.rand(CELLS, CELLS, CELLS, CLASSES, dtype=torch.float64)

    def play(self, start, choose):
        """start: (batch,). choose(step, logits): (batch,). Returns places and class, log pi and b_t, one row a game."""
        h = torch.zeros(len(start), 4, dtype=torch.float64)
        place, chosen, log_prob, baselines = start, [start], [], []
        for step in range(CHOICES):
            where = nn.functional.one_hot(place, CELLS).double()
            h = (self.core(h) + self.glimpse(where * self.picture[place, None])).tanh()
            logits = (self.act if step == CHOICES - 1 else self.locate)(h)
            place = choose(step, logits)
            log_prob.append(logits.log_softmax(-1).gather(1, place[:, None]).squeeze(1))
            baselines.append(self.expect(h).squeeze(1))
            chosen.append(place)
        return torch.stack(chosen, 1), torch.stack(log_prob, 1), torch.stack(baselines, 1)

    def reward(self, chosen):
        return self.rewards[tuple(chosen.T)][:, None]

    def policy(self):
        return [p for name, p in self.named_parameters() if "expect" not in name]


@pytest.fixture
def grid():
    torch.manual_seed(0)
    network = GridRAM().double()
    for parameter in network.parameters():
        nn.init.normal_(parameter)  # states, choices and baselines that differ much
    return network


def flat(gradients):
    return torch.cat([g.flatten() for g in gradients])


def exact(grid):
    """Every sequence with its probability and estimator terms; and the gradient of E[R] through all of them."""
    sequences = torch.tensor(SEQUENCES)
    _, log_prob, baselines = grid.play(sequences[:, 0], lambda step, logits: sequences[:, step + 1])
    probability = log_prob.sum(1).exp() / CELLS
    reward = grid.reward(sequences)
    torch.testing.assert_close(probability.sum(), torch.tensor(1.0, dtype=torch.float64))
    gradient = torch.autograd.grad((probability * reward[:, 0]).sum(), grid.policy(), retain_graph=True)
    return probability.detach(), log_prob, reward, baselines, flat(gradient)


def expected_estimate(grid, probability, log_prob, reward, baselines):
    """The estimator's gradient for each sequence, one at a time, weighted with the sequence's probability."""
    total = 0
    for i, p in enumerate(probability):
        loss = reinforce_loss(log_prob[i : i + 1], reward[i : i + 1], baselines[i : i + 1])
        gradient = torch.autograd.grad(loss, grid.policy(), retain_graph=True, allow_unused=True)
        pairs = zip(gradient, grid.policy(), strict=True)
        total = total - p * flat(torch.zeros_like(w) if g is None else g for g, w in pairs)
    return total


@pytest.mark.parametrize("with_baseline", [False, True])
def test_policy_gradient_equals_the_exact_one_from_all_glimpse_sequences(grid, with_baseline):
    probability, log_prob, reward, baselines, gradient = exact(grid)
    assert gradient.abs().max() > 0.1
    used = baselines if with_baseline else torch.zeros_like(baselines)
    estimate = expected_estimate(grid, probability, log_prob, reward, used)
    torch.testing.assert_close(estimate, gradient, rtol=0, atol=1e-9)


def test_a_baseline_that_knows_the_action_is_found_out(grid):
    """The comparison has power: b_{t+1} in the place of b_t changes the expectation."""
    probability, log_prob, reward, baselines, gradient = exact(grid)
    late = baselines.roll(-1, 1)
    assert (expected_estimate(grid, probability, log_prob, reward, late) - gradient).abs().max() > 0.01


@pytest.mark.parametrize("with_baseline", [False, True])
def test_policy_gradient_of_samples_has_the_exact_mean(grid, with_baseline):
    *_, gradient = exact(grid)
    groups, n = 50, 400
    estimates = []
    for group in range(groups):
        noise = uniform(torch.arange(n) + group * n, CHOICES + 1)
        start = (noise[:, 0] * CELLS).long()
        chosen, log_prob, baselines = grid.play(
            start, lambda step, logits, noise=noise: sample_categorical(logits, noise[:, step + 1])
        )
        used = baselines if with_baseline else torch.zeros_like(baselines)
        loss = -reinforce_loss(log_prob, grid.reward(chosen), used)
        estimates.append(flat(torch.autograd.grad(loss, grid.policy())))
    estimates = torch.stack(estimates)
    error = (estimates.mean(0) - gradient).abs()
    assert (error <= 4 * estimates.std(0) / groups**0.5 + 1e-12).all()
