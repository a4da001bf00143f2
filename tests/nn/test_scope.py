"""Scopes, and attention as a whole, against loops in NumPy over masks with holes, reversed sources and long outputs."""

import math
from inspect import signature

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.errors import ZooError
from zoo.nn.attend import Attend
from zoo.nn.scope import SCOPES, LocalM, LocalP, masked_softmax, natural_positions
from zoo.nn.scores import SCORES

relaxed = settings(deadline=None, max_examples=15, derandomize=True)
DIM = 4


def made(score: str = "general", scope: str = "global", **options) -> Attend:
    """Attention in float64 with parameters large enough that the predicted places differ."""
    torch.manual_seed(0)
    read = {*signature(SCORES[score]).parameters, *signature(SCOPES[scope]).parameters, "reverse"}
    options = {key: value for key, value in ({"max_length": 5} | options).items() if key in read}
    attend = Attend(DIM, DIM, score, scope, **options).double()
    for parameter in attend.parameters():
        torch.nn.init.uniform_(parameter, -1.5, 1.5)
    return attend


def data(seed: int, batch: int, length: int, queries: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    memory = torch.randn(batch, length, DIM, generator=generator, dtype=torch.float64)
    return memory, torch.randn(batch, queries, DIM, generator=generator, dtype=torch.float64)


def natural_order(mask: list[bool], reverse: bool) -> list[int]:
    """The sentence as it is written: where its words stand in the source, the end symbol at last."""
    places = [j for j, seen in enumerate(mask) if seen]
    return places[:-1][::-1] + places[-1:] if reverse else places


def slow_weights(attend: Attend, energies: np.ndarray, mask: list[bool], q: np.ndarray, t: int) -> np.ndarray:
    """The weights of one query at output t."""
    scope, weights = attend.scope, np.zeros(len(mask))
    order = natural_order(mask, getattr(scope, "reverse", False))
    centre = p_t = 0.0
    if isinstance(scope, LocalM):
        centre = p_t = t if t <= len(order) - 2 else max(len(order) - 2, 0)
    if isinstance(scope, LocalP):
        hidden = np.tanh(scope.W_p.weight.detach().numpy() @ q)
        p_t = (len(order) - 1) / (1 + math.exp(-(scope.v_p.detach().numpy() @ hidden)))
        centre = math.floor(p_t)
    chosen = []
    for i, j in enumerate(order):
        if (attend.window is None or centre - attend.window <= i <= centre + attend.window) and energies[j] > -np.inf:
            chosen.append((i, j))
    total = sum(math.exp(energies[j]) for _, j in chosen)
    for i, j in chosen:
        weights[j] = math.exp(energies[j]) / total
        if isinstance(scope, LocalP):
            sigma = attend.window / 2
            weights[j] *= math.exp(-((i - p_t) ** 2) / (2 * sigma**2))
    if getattr(scope, "renormalise", False) and chosen:
        weights /= weights.sum()
    return weights


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("score", SCORES)
@relaxed
@given(
    masks=st.integers(1, 9).flatmap(
        lambda length: st.lists(st.lists(st.booleans(), min_size=length, max_size=length), min_size=1, max_size=3)
    ),
    queries=st.integers(1, 5),
    window=st.integers(1, 4),
    reverse=st.booleans(),
    renormalise=st.booleans(),
    first=st.integers(0, 6),
    seed=st.integers(0, 99),
)
def test_attention_equals_a_loop(score, scope, masks, queries, window, reverse, renormalise, first, seed):
    attend = made(score, scope, window=window, reverse=reverse, renormalise=renormalise)
    attend.window = None if scope == "global" else window
    mask = torch.tensor(masks)
    memory, query = data(seed, *mask.shape, queries)
    keys = attend.keys(memory)
    with torch.no_grad():
        energies = attend.score(query, keys)
        context, weights = attend(query, memory, keys, mask, torch.arange(first, first + queries))
    for b, i in np.ndindex(len(mask), queries):
        q = query[b, i].numpy()
        expected = slow_weights(attend, energies[b, i].numpy(), masks[b], q, first + i)
        np.testing.assert_allclose(weights[b, i], expected, atol=1e-12)
        np.testing.assert_allclose(context[b, i], sum(expected[:, None] * memory[b].numpy()), atol=1e-12)
    if scope != "local_p" and score != "location":
        torch.testing.assert_close(weights.sum(-1), mask.any(-1).double()[:, None].expand(-1, queries))
    assert not weights.masked_select(~mask[:, None]).any()


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("score", SCORES)
def test_padding_changes_nothing(score, scope, reverse):
    attend = made(score, scope, window=2, reverse=reverse)
    memory, query = data(1, 2, 4, 5)
    mask, steps = torch.ones(2, 4, dtype=torch.bool), torch.arange(5)
    context, weights = attend(query, memory, attend.keys(memory), mask, steps)
    junk = torch.cat([memory, torch.full((2, 3, DIM), 1e6).double()], 1)
    padded = torch.nn.functional.pad(mask, (0, 3))
    same_context, same_weights = attend(query, junk, attend.keys(junk), padded, steps)
    torch.testing.assert_close(same_context, context)
    torch.testing.assert_close(same_weights[..., :4], weights)
    assert not same_weights[..., 4:].any()


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("score", SCORES)
def test_queries_at_once_equal_one_by_one_and_a_step_may_be_a_number_or_a_tensor(score, scope):
    attend = made(score, scope, window=1, reverse=True)
    memory, query = data(2, 2, 7, 5)
    keys, mask = attend.keys(memory), torch.arange(7) < torch.tensor([[7], [4]])
    steps = torch.arange(5)
    every = attend(query, memory, keys, mask, steps)
    torch.testing.assert_close(attend(query, memory, keys, mask, steps.expand(2, 5)), every)
    for t in range(5):
        one = attend(query[:, t, None], memory, keys, mask, t)
        torch.testing.assert_close(one, tuple(part[:, t, None] for part in every))
        beam = attend(query, memory, keys, mask, t)
        torch.testing.assert_close(beam, attend(query, memory, keys, mask, torch.full((2, 5), t)))
        for b in range(2):
            alone = attend(query[b, None], memory[b, None], keys[b, None], mask[b, None], t)
            torch.testing.assert_close(alone, tuple(part[b, None] for part in beam))


@relaxed
@given(
    scope=st.sampled_from(list(SCOPES)),
    score=st.sampled_from([name for name in SCORES if name != "location"]),
    lengths=st.lists(st.integers(1, 8), min_size=1, max_size=3),
    window=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_a_reversed_source_has_mirrored_weights(scope, score, lengths, window, seed):
    memory, query = data(seed, len(lengths), max(lengths), 4)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    mirror = torch.arange(max(lengths)).repeat(len(lengths), 1)
    for row, length in zip(mirror, lengths, strict=True):
        row[: length - 1] = row[: length - 1].flip(0)
    reversed_memory = memory.gather(1, mirror[..., None].expand_as(memory))
    natural, backward = (made(score, scope, window=window, reverse=flag) for flag in (False, True))
    steps = torch.arange(4)
    context, weights = natural(query, memory, natural.keys(memory), mask, steps)
    same, mirrored = backward(query, reversed_memory, backward.keys(reversed_memory), mask, steps)
    torch.testing.assert_close(mirrored, weights.gather(2, mirror[:, None].expand_as(weights)))
    torch.testing.assert_close(same, context)


def test_natural_positions_of_a_reversed_sentence():
    mask = torch.tensor([[1, 1, 1, 1, 0], [1, 1, 0, 0, 0], [0, 1, 1, 1, 0]]).bool()
    assert natural_positions(mask, False)[0, :4].tolist() == [0, 1, 2, 3]
    assert natural_positions(mask, True)[0, :4].tolist() == [2, 1, 0, 3]  # c b a </s>
    assert natural_positions(mask, True)[1, :2].tolist() == [0, 1]
    assert natural_positions(mask, True)[2, 1:4].tolist() == [1, 0, 2]  # padding before the sentence counts nowhere


def test_local_m_sees_a_diagonal_band_that_stays_in_the_sentence():
    attend = made("dot", "local_m", window=1)
    memory, query = data(3, 1, 6, 7)
    mask = torch.arange(6)[None] < 5  # four words and the end symbol
    weights = attend(query, memory, memory, mask, torch.arange(7))[1]
    band = [[0, 1], [0, 1, 2], [1, 2, 3]] + [[2, 3, 4]] * 4
    assert [row.nonzero()[:, 0].tolist() for row in weights[0]] == band
    assert attend.scope.positions(query, mask, torch.arange(7)).tolist() == [[0, 1, 2, 3, 3, 3, 3]]
    assert attend.scope.positions(query, mask, 2).tolist() == [[2] * 7]


def test_local_p_predicts_a_place_between_the_first_word_and_the_end_symbol():
    attend = made("dot", "local_p", window=2)
    _, query = data(4, 2, 1, 3)
    mask = torch.arange(9) < torch.tensor([[9], [5]])
    torch.nn.init.zeros_(attend.scope.v_p)
    assert attend.scope.positions(query, mask, 0).tolist() == [[4.0] * 3, [2.0] * 3]
    torch.nn.init.constant_(attend.scope.v_p, 1e9)
    assert all(p in (0, 4, 8) for p in attend.scope.positions(query, mask, 0).flatten().tolist())


def test_the_place_is_learned_through_the_gaussian_alone():
    """A hand-written gradient that holds the softmax over the window fixed."""
    attend = made("dot", "local_p", window=2)
    memory, query = data(5, 1, 9, 1)
    mask, value = torch.ones(1, 9, dtype=torch.bool), torch.randn(9).double()
    weights = attend(query, memory, memory, mask, 0)[1][0, 0]
    (weights * value).sum().backward()
    W_p, v_p = attend.scope.W_p.weight.detach(), attend.scope.v_p.detach()
    hidden = (W_p @ query[0, 0]).tanh()
    share = (v_p @ hidden).sigmoid()
    to_p = (weights.detach() * value * (torch.arange(9) - 8 * share)).sum()  # / sigma^2 = 1
    to_logit = to_p * 8 * share * (1 - share)
    torch.testing.assert_close(attend.scope.v_p.grad, to_logit * hidden)
    outer = torch.outer(to_logit * v_p * (1 - hidden**2), query[0, 0])
    torch.testing.assert_close(attend.scope.W_p.weight.grad, outer)
    assert to_logit.abs() > 1e-3


def test_published_weights_of_local_p_sum_to_less_than_one():
    memory, query = data(6, 1, 9, 3)
    mask = torch.ones(1, 9, dtype=torch.bool)
    published, renormalised = (
        made("dot", "local_p", window=2, renormalise=flag)(query, memory, memory, mask, 0)[1] for flag in (False, True)
    )
    assert (published.sum(-1) < 0.999).all()
    torch.testing.assert_close(renormalised, published / published.sum(-1, keepdim=True))


@pytest.mark.parametrize("renormalise", [False, True])
@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("score", SCORES)
def test_a_mask_that_hides_everything_stays_finite(score, scope, renormalise):
    attend = made(score, scope, renormalise=renormalise).float()
    memory, query = (x.float().requires_grad_() for x in data(7, 2, 7, 2))
    mask = torch.tensor([[True] * 3 + [False] * 4, [False] * 7])
    with torch.autograd.set_detect_anomaly(True):
        context, weights = attend(query, memory, attend.keys(memory), mask, 1)
        (1e6 * (context + weights.sum())).sum().backward()
    assert weights[0].any() and not weights[1].any() and not context[1].any()
    for tensor in (query, memory, *attend.parameters()):
        assert tensor.grad is None or tensor.grad.isfinite().all()
    assert not query.grad[1].any() and not memory.grad[1].any()


@relaxed
@given(lengths=st.lists(st.integers(0, 6), min_size=1, max_size=4), scale=st.sampled_from([0.0, 1.0, 1e4, 1e30]))
def test_masked_softmax_and_its_gradient_are_torchs_where_something_is_allowed(lengths, scale):
    mask = torch.arange(6) < torch.tensor(lengths)[:, None]
    energies = (torch.randn(len(lengths), 6) * scale).requires_grad_()
    weights, direction = masked_softmax(energies, mask), torch.randn(len(lengths), 6)
    (gradient,) = torch.autograd.grad((weights * direction).sum(), energies)
    for row, length in enumerate(lengths):
        alone = energies[row, :length].softmax(-1)
        (expected,) = torch.autograd.grad((alone * direction[row, :length]).sum(), energies)
        torch.testing.assert_close(weights[row, :length], alone)
        torch.testing.assert_close(gradient[row], expected[row])
        assert not weights[row, length:].any()


def test_a_nan_is_not_hidden():
    energies = torch.tensor([[0.0, torch.nan]])
    assert masked_softmax(energies, torch.tensor([True, True])).isnan().any()


@pytest.mark.parametrize("scope", SCOPES)
def test_weights_are_float32_under_autocast(scope):
    torch.manual_seed(0)
    attend = Attend(16, 16, "general", scope)
    memory, query = torch.randn(1, 200, 16), torch.randn(1, 3, 16)
    mask = torch.ones(1, 200, dtype=torch.bool)
    with torch.autocast("cpu", torch.bfloat16):
        context, weights = attend(query, memory, attend.keys(memory), mask, 3)
        p = attend.scope.positions(query, mask, 3) if scope == "local_p" else None
    assert weights.dtype == torch.float32 and context.dtype == torch.bfloat16
    if p is None:
        torch.testing.assert_close(weights.sum(-1), torch.ones(1, 3))
    else:  # in bfloat16 the places of a long source would be half a word apart
        assert p.dtype == torch.float32 and not torch.equal(p, p.bfloat16().float())


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"score": "dott"}, r"score is 'dott', not one of additive.*did you mean dot"),
        ({"scope": "local"}, r"scope is 'local', not one of global.*did you mean local_"),
        ({"score": "dot"}, "dot needs inputs of the query's size 3 or a multiple of it, not 4; try general"),
        ({"scope": "local_p", "window": 0}, "attention.window is 0; expected a whole number, at least 1"),
        ({"scope": "local_m", "window": -1}, "attention.window is -1; expected a whole number, at least 0"),
        ({"window": 3}, "attention.window is 3, which neither the score additive nor the scope global reads"),
        ({"scope": "local_m", "renormalise": True}, "attention.renormalise is True, which .* the scope local_m reads"),
        ({"score": "general", "bias": True}, "attention.bias is True, which neither the score general nor"),
        ({"score": "general", "hidden": 5}, "attention.hidden is 5, which neither"),
        ({"max_length": 5}, "attention.max_length is 5, which neither"),
    ],
)
def test_a_wrong_choice_is_named(options, sentence):
    with pytest.raises(ZooError, match=sentence):
        Attend(3, 4, **options)
