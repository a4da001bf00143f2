"""Other accounts of an answer than attention: against captum, SciPy, closed forms, and loops."""

import math

import numpy as np
import pytest
import torch
from captum.attr import InputXGradient, IntegratedGradients, Saliency
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import kendalltau

from zoo.errors import ZooError
from zoo.looking import explain

relaxed = settings(deadline=None, max_examples=40, derandomize=True)
distributions = st.lists(st.integers(0, 5), min_size=2, max_size=7).filter(any)


@relaxed
@given(distributions, st.integers(0, 99))
def test_divergences_are_scipys(counts, seed):
    p = np.array(counts) / sum(counts)
    q = np.random.default_rng(seed).dirichlet(np.ones(len(p)))
    found = explain.jensen_shannon(torch.from_numpy(p), torch.from_numpy(q)).item()
    assert found == pytest.approx(jensenshannon(p, q) ** 2, abs=1e-9)
    assert explain.total_variation(torch.from_numpy(p), torch.from_numpy(q)).item() == pytest.approx(
        max(abs(p[list(s)].sum() - q[list(s)].sum()) for s in subsets(len(p)))
    )


def subsets(n):
    return ([i for i in range(n) if bits >> i & 1] for bits in range(2**n))


def test_divergence_of_what_has_nothing_in_common_is_log_2():
    p = torch.tensor([[1.0, 0, 0], [0.5, 0.5, 0]])
    torch.testing.assert_close(explain.jensen_shannon(p, torch.tensor([0.0, 0, 1])), torch.full((2,), math.log(2)))


@relaxed
@given(st.integers(0, 8), st.integers(0, 999))
def test_kendalls_tau_is_scipys_with_ties(length, seed):
    random = np.random.default_rng(seed)
    a, b = random.integers(0, 4, (2, 1, 9))
    mask = torch.arange(9)[None] < length
    found = explain.kendall(torch.tensor(a), torch.tensor(b), mask).item()
    expected = kendalltau(a[0, :length], b[0, :length]).statistic if length else math.nan
    assert found == pytest.approx(expected, abs=1e-6, nan_ok=True)


class Toy(torch.nn.Module):
    """exp of a sum of tanh: a gradient that changes on the way from zero."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.W = torch.nn.Linear(3, 2).double()

    def forward(self, x):
        return self.W(x).tanh().sum((1, 2)).div(4).exp()


def test_gradients_are_captums():
    toy, x = Toy(), torch.randn(4, 5, 3, dtype=torch.float64)
    expected = Saliency(toy).attribute(x.clone().requires_grad_(), abs=False)
    torch.testing.assert_close(explain.gradient(toy, x), expected)
    torch.testing.assert_close(explain.gradient_norm(toy, x), expected.norm(dim=-1))
    product = InputXGradient(toy).attribute(x.clone().requires_grad_()).sum(-1)
    torch.testing.assert_close(explain.gradient_times_input(toy, x), product.detach())
    assert not x.requires_grad


@pytest.mark.parametrize("start", [0.0, 0.5])
def test_integrated_gradients_are_captums_and_complete(start):
    toy, x = Toy(), torch.randn(4, 5, 3, dtype=torch.float64)
    start = torch.full_like(x, start)
    found = explain.integrated_gradients(toy, x, start, steps=64)
    expected = IntegratedGradients(toy).attribute(x, start, n_steps=64, method="riemann_middle").sum(-1)
    torch.testing.assert_close(found, expected.detach(), rtol=1e-3, atol=1e-4)
    moved = (toy(x) - toy(start)).detach()
    assert ((found.sum(1) - moved).abs() <= 0.01 * moved.abs() + 1e-6).all()


VALUES = torch.tensor([[0.1, 2.0, -1.0, 0.4], [3.0, 0.2, 0.0, 0.0]])
MASK = torch.tensor([[True, True, True, True], [True, True, False, False]])


def read(keep):
    """The odds of two classes are the sum of the words' values."""
    first = (VALUES * keep).sum(1).sigmoid()
    return torch.stack([first, 1 - first], 1)


def test_leaving_a_word_out():
    def first(values):
        return 1 / (1 + math.exp(-sum(values)))

    found = explain.leave_one_out(read, MASK)
    for row, mask, values in zip(found, MASK, VALUES.tolist(), strict=True):
        words = values[: int(mask.sum())]
        for t, value in enumerate(row.tolist()):
            rest = words[:t] + words[t + 1 :]
            assert value == pytest.approx(abs(first(words) - first(rest)) if t < len(words) else 0, abs=1e-6)


def test_comprehensiveness_and_sufficiency_by_hand():
    whole, alone = explain.erasure(read, MASK, VALUES, (0.25, 0.5))

    def s(x):
        return 1 / (1 + math.exp(-x))

    # the first text: the best word is the second, the best two the second and the last
    expected = ((s(1.5) - s(-0.5)) + (s(1.5) - s(-0.9))) / 2, ((s(1.5) - s(2.0)) + (s(1.5) - s(2.4))) / 2
    assert (whole[0].item(), alone[0].item()) == pytest.approx(expected, abs=1e-6)
    # of two words a quarter and a half are one
    assert (whole[1].item(), alone[1].item()) == pytest.approx((s(3.2) - s(0.2), s(3.2) - s(3.0)), abs=1e-6)


H = torch.tensor([[2.0, -1.0, -1.0], [1.0, 1.0, 9.0]])
ATTENDED = torch.tensor([[True, True, True], [True, True, False]])
ALPHA = torch.tensor([[0.6, 0.3, 0.1], [0.5, 0.5, 0.0]])


def answer(weights):
    first = (weights * H).sum(1).sigmoid()
    return torch.stack([first, 1 - first], 1)


def test_removal_until_the_answer_changes():
    """Without the first word the first text changes its answer; the second has no word for the other class."""
    assert explain.removals(answer, ALPHA, ATTENDED, ALPHA).tolist() == pytest.approx([1 / 3, 1])
    last_first = explain.removals(answer, ALPHA, ATTENDED, -ALPHA)
    assert last_first.tolist() == [1, 1], "the first word alone keeps the answer"


def test_permutations_keep_padding_where_it_is():
    found = explain.permutations(answer, ALPHA, ATTENDED, times=301)
    assert found[1] == 0, "both words are alike, and what is no word never gets weight"
    every = [(0.6, 0.3, 0.1), (0.6, 0.1, 0.3), (0.3, 0.6, 0.1), (0.3, 0.1, 0.6), (0.1, 0.6, 0.3), (0.1, 0.3, 0.6)]
    moved = sorted((answer(torch.tensor([w, w]))[0, 0] - answer(ALPHA)[0, 0]).abs().item() for w in every)
    assert found[0].item() == pytest.approx(moved[2], abs=1e-6) or found[0].item() == pytest.approx(moved[3], abs=1e-6)
    assert torch.equal(found, explain.permutations(answer, ALPHA, ATTENDED, times=301))


def test_adversarial_weights_are_far_and_change_nothing():
    """The second and third word are alike, so weight may move between them; nothing else may move."""
    found, weights = explain.adversarial(answer, ALPHA, ATTENDED, epsilon=0.001, steps=1500)
    best = max(
        explain.jensen_shannon(torch.tensor([0.6, a, 0.4 - a]), ALPHA[0]).item() for a in np.linspace(0, 0.4, 401)
    )
    assert found[0].item() == pytest.approx(best, rel=0.1)
    assert weights[0, 0].item() == pytest.approx(0.6, abs=0.01)
    assert found[1].item() == pytest.approx(0.2158, abs=0.002), "two words alike: all the weight may go to one"
    assert weights[1, 2] == 0
    assert (explain.total_variation(answer(weights), answer(ALPHA)) <= 0.001).all()
    torch.testing.assert_close(weights.sum(1), torch.ones(2))


def test_an_adversary_that_breaks_the_bound_is_none():
    def first(weights):
        return torch.stack([weights[:, 0], 1 - weights[:, 0]], 1)

    found, weights = explain.adversarial(first, ALPHA[:1], ATTENDED[:1], epsilon=1e-9, steps=3)
    assert found.isnan().all() and torch.equal(weights, ALPHA[:1])


@pytest.mark.parametrize("wrong", [{"epsilon": 0}, {"count": 0}, {"steps": -1}, {"lr": 0}, {"penalty": -1}])
def test_numbers_are_checked(wrong):
    with pytest.raises(ZooError, match=next(iter(wrong))):
        explain.adversarial(answer, ALPHA, ATTENDED, **wrong)
