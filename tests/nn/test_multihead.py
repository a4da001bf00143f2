"""Multi-head attention against torch.nn.MultiheadAttention and against loops; both ways of computing it are one."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.errors import ZooError
from zoo.nn.multihead import MultiHeadAttention, dot_product

relaxed = settings(deadline=None, max_examples=40, derandomize=True)
DIM, HEADS = 12, 3
SHAPES = {"narrow": {}, "wide": {"key_dim": DIM, "value_dim": DIM}, "d_k alone": {"key_dim": 2}}


def made(**arguments) -> MultiHeadAttention:
    torch.manual_seed(0)
    return MultiHeadAttention(DIM, HEADS, **arguments).double().eval()


def data(*shape, seed=1):
    return torch.randn(*shape, DIM, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("causal", [True, False])
def test_equals_torchs(bias, causal):
    ours, theirs = made(bias=bias), torch.nn.MultiheadAttention(DIM, HEADS, bias=bias, batch_first=True).double().eval()
    with torch.no_grad():
        for name in ("weight", "bias") if bias else ("weight",):
            parts = [getattr(layer, name) for layer in (ours.query, ours.key, ours.value)]
            getattr(theirs, f"in_proj_{name}").copy_(torch.cat(parts))
            getattr(theirs.out_proj, name).copy_(getattr(ours.out, name))
    query, memory = (data(2, 5), data(2, 5, seed=2)) if causal else (data(2, 4), data(2, 6, seed=2))
    mask = torch.arange(memory.shape[1]) < torch.tensor([[5], [3]])
    later = torch.ones(5, 5, dtype=torch.bool).triu(1) if causal else None
    expected, weights = theirs(
        query, memory, memory, key_padding_mask=~mask, attn_mask=later, average_attn_weights=False
    )
    for need in (False, True):
        found, seen = ours(query, memory, mask[:, None, None], causal=causal, need_weights=need)
        torch.testing.assert_close(found, expected)
        assert seen is None if not need else torch.allclose(seen, weights)


@pytest.mark.parametrize("shape", SHAPES)
def test_equals_a_loop(shape):
    attend = made(bias=True, **SHAPES[shape])
    query, memory = data(1, 3), data(1, 4, seed=2)
    p = {name: value.detach().numpy() for name, value in attend.named_parameters()}
    q, k, v = (
        p[f"{name}.weight"] @ x[0].numpy().T + p[f"{name}.bias"][:, None]
        for name, x in (("query", query), ("key", memory), ("value", memory))
    )
    expected = []
    for i in range(3):
        heads = []
        for h in range(HEADS):
            d_k, d_v = len(q) // HEADS, len(v) // HEADS
            e = [q[h * d_k : (h + 1) * d_k, i] @ k[h * d_k : (h + 1) * d_k, j] / math.sqrt(d_k) for j in range(4)]
            a = np.exp(e) / np.exp(e).sum()
            heads.append(sum(a[j] * v[h * d_v : (h + 1) * d_v, j] for j in range(4)))
        expected.append(p["out.weight"] @ np.concatenate(heads) + p["out.bias"])
    np.testing.assert_allclose(attend(query, memory)[0][0].detach(), np.stack(expected))


@relaxed
@given(
    shape=st.sampled_from(list(SHAPES)),
    sizes=st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 5)),
    axes=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    causal=st.booleans(),
    seed=st.integers(0, 99),
)
def test_with_and_without_weights_is_the_same_and_so_are_the_gradients(shape, sizes, axes, causal, seed):
    """Masks of every shape that broadcasts, rows that see nothing among them."""
    (batch, queries, inputs), attend = sizes, made(**SHAPES[shape])
    sides = [size if kept else 1 for size, kept in zip((batch, HEADS, queries), axes, strict=True)]
    mask = torch.rand(*sides, inputs, generator=torch.Generator().manual_seed(seed)) < 0.5
    results = []
    for need in (False, True):
        query, memory = data(batch, queries).requires_grad_(), data(batch, inputs, seed=2).requires_grad_()
        found, weights = attend(query, memory, mask, causal=causal, need_weights=need)
        results.append((found, *torch.autograd.grad(found.sin().sum(), (query, memory, *attend.parameters()))))
    for one, other in zip(*results, strict=True):
        assert one.isfinite().all()
        torch.testing.assert_close(one, other)
    allowed = mask.expand(batch, HEADS, queries, inputs)
    allowed = allowed & torch.ones(queries, inputs, dtype=torch.bool).tril() if causal else allowed
    torch.testing.assert_close(weights.sum(-1), allowed.any(-1).double())
    assert not weights[~allowed].any()
    assert not results[0][0][~allowed.any(-1).any(1)].any()


def test_gradients_in_bfloat16_on_a_cpu_are_those_of_the_kernel(monkeypatch):
    attend, x = made(), data(2, 6)
    found = []
    for short in (0, 128):
        monkeypatch.setattr("zoo.nn.multihead.SHORT", short)
        with torch.autocast("cpu", torch.bfloat16):
            out, weights = attend.float()(x.float(), x.float(), causal=True)
        assert weights is None
        found.append((out, *torch.autograd.grad(out.float().square().sum(), list(attend.parameters()))))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=0.02, rtol=0.05)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_row_that_sees_nothing_reads_zeros(dtype):
    attend = made().to(dtype)
    query, memory = (x.to(dtype).requires_grad_() for x in (data(2, 3), data(2, 4, seed=2)))
    mask = torch.tensor([True, False])[:, None, None, None].expand(2, 1, 1, 4)
    for need in (False, True):
        with torch.autograd.set_detect_anomaly(True):
            found, _ = attend(query, memory, mask, need_weights=need)
            (1e6 * found).sum().backward()
        assert found[0].any() and not found[1].any()
        assert query.grad.isfinite().all() and memory.grad.isfinite().all() and not memory.grad[1].any()


@pytest.mark.parametrize("need", [False, True])
def test_a_memory_is_projected_once_and_a_growing_one_step_by_step(need):
    attend, x = made(key_dim=5, value_dim=2), data(2, 6)
    expected, weights = attend(x, x, causal=True, need_weights=need)
    torch.testing.assert_close(attend(x, attend.project(x), causal=True, need_weights=need)[0], expected)
    past = attend.project(x[:, :0])
    for t in range(6):
        past = past.extended(attend.project(x[:, t, None]))
        found, seen = attend(x[:, t, None], past, need_weights=need)
        torch.testing.assert_close(found, expected[:, t, None])
        assert not need or torch.allclose(seen[:, :, 0], weights[:, :, t, : t + 1])


def test_dropout_is_on_the_weights_in_training_only():
    attend, x = made(dropout=0.5), data(1, 5)
    assert torch.equal(attend(x, x)[0], attend(x, x)[0])
    attend.train()
    for need in (False, True):
        drawn = torch.stack([attend(x, x, need_weights=need)[0] for _ in range(2000)])
        assert not torch.equal(drawn[0], drawn[1])
        torch.testing.assert_close(drawn.mean(0), attend.eval()(x, x)[0], atol=0.05, rtol=0)
        attend.train()


def test_heads_that_cannot_share_are_refused():
    with pytest.raises(ZooError, match="5 heads cannot share 12 dimensions evenly; say key_dim and value_dim"):
        MultiHeadAttention(12, 5)
    attend = MultiHeadAttention(12, 5, key_dim=3, value_dim=4)
    assert attend(torch.ones(1, 2, 12), torch.ones(1, 3, 12))[0].shape == (1, 2, 12)


@pytest.mark.parametrize("need_weights", [False, True])
def test_half_precision_does_not_overflow_in_the_product(need_weights):
    """q keys^T is 90,000, more than fp16 has, and 90,000 / sqrt(64) is not."""
    q, keys = torch.full((1, 1, 2, 64), 37.5), torch.full((1, 1, 3, 64), 37.5)
    keys[:, :, 1] = 37.25
    values = torch.arange(3.0).view(1, 1, 3, 1)
    how = {"mask": None, "causal": False, "need_weights": need_weights, "scale": 64**-0.5}
    expected, _ = dot_product(q, keys, values, **how)
    found, weights = dot_product(q.half(), keys.half(), values.half(), **how)
    torch.testing.assert_close(found.float(), expected, atol=2e-3, rtol=0)
    assert found.isfinite().all() and (weights is None or weights.isfinite().all())
