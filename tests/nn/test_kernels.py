"""What is computed another way on a CPU is still what torch computes."""

import pytest
import torch
import torch.nn.functional as F

from zoo.nn import kernels
from zoo.nn.kernels import Dropout, attend, cross_entropy, dropout, tanh, tanh_


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_tanh_and_its_gradient_are_torchs(dtype):
    x, y = (torch.linspace(-9, 9, 401, dtype=dtype).requires_grad_() for _ in range(2))
    ours, theirs = tanh(x), y.tanh()
    assert ours.dtype == dtype
    torch.testing.assert_close(ours, theirs)
    (ours.sum() + 0).backward()
    (theirs.sum() + 0).backward()
    torch.testing.assert_close(x.grad, y.grad, atol=5e-3 if dtype == torch.bfloat16 else 1e-6, rtol=1e-2)


def test_tanh_in_place_is_off_by_little_and_never_beyond_one():
    x = torch.cat([torch.linspace(-30, 30, 100_001), torch.logspace(-8, 2, 1001)])
    exact, found = x.double().tanh(), tanh_(x.clone())
    assert (found.double() - exact).abs().max() <= 2e-7 and found.abs().max() <= 1
    assert torch.equal(tanh_(x.double()), exact)
    assert tanh_(torch.tensor([torch.inf, -torch.inf])).tolist() == [1, -1]
    assert tanh_(torch.tensor([torch.nan])).isnan()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("p", [0.1, 0.3, 0.5, 0.999])
def test_dropout_drops_so_many_and_keeps_the_mean(p, dtype):
    torch.manual_seed(0)
    n = 400_001  # no multiple of four
    y = dropout(torch.ones(n, dtype=dtype), p)
    dropped = (y == 0).float().mean()
    assert abs(dropped - p) < 5 * (p * (1 - p) / n) ** 0.5
    assert y[y != 0].unique().tolist() == F.dropout(torch.ones(99_999, dtype=dtype), p).unique().tolist()[1:] or (
        torch.allclose(y[y != 0], torch.tensor(1 / (1 - p), dtype=dtype), rtol=1e-2)
    )


def test_masks_of_neighbours_are_independent():
    """The four numbers of one draw have nothing to do with each other."""
    torch.manual_seed(0)
    kept = (dropout(torch.ones(100_000, 4), 0.3) != 0).double()
    correlation = torch.corrcoef(kept.T) - torch.eye(4)
    assert correlation.abs().max() < 5 / 100_000**0.5


def test_the_gradient_passes_where_the_value_did():
    x = torch.randn(33, 7).requires_grad_()
    y = dropout(x, 0.4)
    y.sum().backward()
    torch.testing.assert_close(x.grad * x.detach(), y.detach())


@pytest.mark.parametrize(("p", "training"), [(0.0, True), (0.5, False), (1.0, True)])
def test_the_ends_are_torchs(p, training):
    x = torch.randn(5, 3)
    assert torch.equal(dropout(x, p, training), F.dropout(x, p, training))


def test_a_seed_fixes_the_mask_and_shapes_are_kept():
    layer, x = Dropout(0.5), torch.ones(3, 1, 5).transpose(0, 2)
    drawn = []
    for _ in range(2):
        torch.manual_seed(1)
        drawn.append(layer(x))
    assert torch.equal(*drawn) and drawn[0].shape == x.shape and not torch.equal(drawn[0], layer(x))
    assert torch.equal(layer.eval()(x), x) and dropout(torch.ones(0, 2), 0.5).shape == (0, 2)
    with pytest.raises(ValueError, match="expected a number from 0 to 1"):
        Dropout(1.5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("rows", [1, 32, 100])
def test_cross_entropy_and_its_gradient_are_torchs(smoothing, rows, monkeypatch):
    monkeypatch.setattr(kernels, "ROWS", rows)
    torch.manual_seed(0)
    labels = torch.randint(0, 50, (77,))  # no multiple of the rows in a block; some are ignored
    x, y = (torch.randn(77, 50, generator=torch.Generator().manual_seed(1)).requires_grad_() for _ in range(2))
    ours = cross_entropy(x, labels, 0, smoothing)
    theirs = F.cross_entropy(y, labels, ignore_index=0, label_smoothing=smoothing, reduction="sum")
    torch.testing.assert_close(ours, theirs)
    (ours / 3).backward()
    (theirs / 3).backward()
    torch.testing.assert_close(x.grad, y.grad)
    with torch.no_grad():
        torch.testing.assert_close(cross_entropy(x, labels, 0, smoothing), theirs)


def test_cross_entropy_of_bfloat16_is_summed_in_float32():
    logits = torch.randn(500, 30).bfloat16().requires_grad_()
    labels = torch.randint(1, 30, (500,))
    total = cross_entropy(logits, labels, 0)
    torch.testing.assert_close(total, F.cross_entropy(logits.float(), labels, reduction="sum"))
    total.backward()
    assert logits.grad.dtype == torch.bfloat16 and total.dtype == torch.float32


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_attention_and_its_gradient_are_torchs(dtype, causal):
    torch.manual_seed(0)
    mask = None if causal else torch.arange(9)[None] < 7
    leaves = [torch.randn(2, 3, 9, 4, dtype=dtype, requires_grad=True) for _ in range(3)]
    found = []
    for function in (attend, F.scaled_dot_product_attention):
        y = function(*leaves, mask, 0.0, causal)
        assert y.dtype == dtype
        found.append((y, *torch.autograd.grad(y.float().square().sum(), leaves)))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, atol=0.05 if dtype == torch.bfloat16 else 1e-5, rtol=0.05)
