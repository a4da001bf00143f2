"""Scores against loops in NumPy, in float64."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.nn.attend import make
from zoo.nn.scores import SCORES

relaxed = settings(deadline=None, max_examples=15, derandomize=True)
DOTS = ("dot", "scaled_dot")  # an input is one or more vectors of the query's size


def energy(name: str, p: dict[str, np.ndarray], q: np.ndarray, h: np.ndarray, j: int) -> float:
    """Of one query and the input h at position j, as the papers write it."""
    bias = p.get("W_a.bias", 0.0)
    match name:
        case "dot":
            return sum(q[i % len(q)] * h[i] for i in range(len(h)))
        case "scaled_dot":
            return sum(q[i % len(q)] * h[i] for i in range(len(h))) / math.sqrt(len(q))
        case "general":
            return q @ p["W_a.weight"] @ h
        case "additive":
            return p["v_a"] @ np.tanh(p["W_a.weight"] @ q + p["U_a.weight"] @ h + bias)
        case "concat":
            W_a = np.concatenate([p["W_a.weight"], p["U_a.weight"]], 1)
            return p["v_a"] @ np.tanh(W_a @ np.concatenate([q, h]) + bias)
        case "concat_identity":
            return p["v_a"] @ np.tanh(h + p["W_a.weight"] @ q + bias)
        case "location":
            W_a = p["W_a.weight"]
            return W_a[j] @ q if j < len(W_a) else -math.inf


@pytest.mark.parametrize("name", SCORES)
@relaxed
@given(
    sizes=st.tuples(*[st.integers(1, 6)] * 4, st.integers(1, 9)),
    max_length=st.integers(1, 9),
    bias=st.booleans(),
    seed=st.integers(0, 99),
)
def test_a_score_equals_a_loop(name, sizes, max_length, bias, seed):
    torch.manual_seed(seed)
    queries, query_dim, memory_dim, hidden, length = sizes
    memory_dim = query_dim * memory_dim if name in DOTS else memory_dim
    options = {"query_dim": query_dim, "memory_dim": memory_dim, "hidden": hidden, "max_length": max_length}
    score = make("score", SCORES, name, **options, bias=bias).double()
    q = torch.randn(2, queries, query_dim).double()
    h = torch.randn(2, length, memory_dim).double()
    energies = score(q, score.keys(h)).detach().numpy()
    assert energies.shape == (2, queries, length)
    p = {key: value.detach().numpy() for key, value in score.named_parameters()}
    for b, i, j in np.ndindex(*energies.shape):
        expected = energy(name, p, q[b, i].numpy(), h[b, j].numpy(), j)
        np.testing.assert_allclose(energies[b, i, j], expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("additive", {"W_a.weight": (5, 3), "U_a.weight": (5, 4), "v_a": (5,)}),
        ("concat", {"W_a.weight": (5, 3), "U_a.weight": (5, 4), "v_a": (5,)}),
        ("concat_identity", {"W_a.weight": (4, 3), "v_a": (4,)}),
        ("general", {"W_a.weight": (3, 4)}),
        ("location", {"W_a.weight": (7, 3)}),
    ],
)
def test_parameters_are_those_of_the_papers_and_no_bias(name, shapes):
    score = make("score", SCORES, name, query_dim=3, memory_dim=4, hidden=5, max_length=7)
    assert {key: tuple(value.shape) for key, value in score.named_parameters()} == shapes


@pytest.mark.parametrize("name", DOTS)
def test_dot_has_no_parameters(name):
    assert not list(SCORES[name](3, 3).parameters())


def test_the_hidden_layer_is_as_wide_as_the_query_unless_told():
    assert SCORES["additive"](3, 4).v_a.shape == (3,)


@pytest.mark.parametrize("name", ["additive", "concat", "concat_identity"])
def test_energies_are_equal_where_v_is_zero(name):
    score = make("score", SCORES, name, query_dim=3, memory_dim=4)
    torch.nn.init.zeros_(score.v_a)
    assert not score(torch.randn(2, 3, 3), score.keys(torch.randn(2, 5, 4))).any()


@pytest.mark.parametrize("name", SCORES)
def test_gradients_equal_finite_differences(name):
    torch.manual_seed(0)
    score = make("score", SCORES, name, query_dim=3, memory_dim=3, hidden=2, max_length=4).double()
    q = torch.randn(2, 2, 3, dtype=torch.float64, requires_grad=True)
    h = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    torch.autograd.gradcheck(lambda q, h, *_: score(q, score.keys(h)), (q, h, *score.parameters()))


@pytest.mark.parametrize("name", SCORES)
def test_in_bfloat16_energies_are_near(name):
    torch.manual_seed(0)
    score = make("score", SCORES, name, query_dim=16, memory_dim=16)
    q, h = torch.randn(2, 3, 16), torch.randn(2, 5, 16)
    with torch.autocast("cpu", torch.bfloat16):
        rough = score(q, score.keys(h)).float()
    torch.testing.assert_close(rough, score(q, score.keys(h)), rtol=0.03, atol=0.06)
