"""The quick gradients of loops beside finite differences and beside autograd's."""

from contextlib import nullcontext

import pytest
import torch
from torch import nn

from zoo.models.bahdanau import RNNsearch
from zoo.models.luong import StackedLSTM
from zoo.nn.gated import GatedUnit
from zoo.nn.lstm import LSTM
from zoo.nn.shared import Linear, loop, share

STEPS, BATCH, HIDDEN = 3, 2, 3
KEEP = torch.tensor([[1.0], [0.0]], dtype=torch.float64)


def random(*shape):
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


class Steps(nn.Module):
    """A cell over a few steps."""

    def __init__(self, cell, advance):
        super().__init__()
        self.cell, self.advance = cell, advance

    def forward(self, xs, *state):
        with loop(self.cell):
            for x in xs.unbind(0):
                state = self.advance(self.cell, x, *state)
        return state


@pytest.mark.parametrize(
    ("cell", "advance", "gates", "states"),
    [
        (GatedUnit(1, HIDDEN), lambda cell, x, h: (cell(x, h),), 3, 1),
        (GatedUnit(1, HIDDEN), lambda cell, x, h: (cell(x, h, KEEP),), 3, 1),
        (LSTM(1, HIDDEN), lambda cell, x, h, c: cell(x, h, c), 4, 2),
        (Linear(HIDDEN, HIDDEN), lambda cell, x, h: (x + cell(h),), 1, 1),
        (Linear(HIDDEN, HIDDEN, bias=False), lambda cell, x, h: (x + cell(h[:, None])[:, 0],), 1, 1),
    ],
)
def test_gradients_are_those_of_finite_differences(cell, advance, gates, states):
    steps = Steps(cell, advance).double()
    names, parameters = zip(*steps.named_parameters(), strict=True)

    def call(xs, *rest):
        state, weights = rest[:states], rest[states:]
        return torch.func.functional_call(steps, dict(zip(names, weights, strict=True)), (xs, *state))

    inputs = [random(STEPS, BATCH, gates * HIDDEN), *(random(BATCH, HIDDEN) for _ in range(states))]
    assert torch.autograd.gradcheck(call, (*inputs, *parameters))


def test_a_shared_batch_of_matrices():
    matrix, xs = random(BATCH, 4, HIDDEN), random(STEPS, BATCH, 2, HIDDEN)

    def call(matrix, xs):
        shared = share(matrix)
        return sum(((step + 1) * shared(x)).tanh() for step, x in enumerate(xs.unbind(0)))

    assert torch.autograd.gradcheck(call, (matrix, xs))


@pytest.mark.parametrize("attention", [{"score": "additive"}, {"score": "general", "scope": "local_p"}, None])
@pytest.mark.parametrize("network", [RNNsearch, StackedLSTM])
def test_the_networks_have_the_gradients_of_autograd(network, attention, monkeypatch):
    small = {"layers": 2, "dropout": 0.0} if network is StackedLSTM else {"maxout": 3, "init": "torch"}
    net = network(9, 9, embedding=4, hidden=6, attention=attention, **small).double()
    source, target = torch.randint(1, 9, (3, 5)), torch.randint(1, 9, (3, 4))
    mask = torch.arange(5) < torch.tensor([[5], [2], [3]])

    def gradients():
        net.zero_grad()
        net(source, mask, target)[0].square().sum().backward()
        return {name: each.grad.clone() for name, each in net.named_parameters() if each.grad is not None}

    quick = gradients()
    for module in ("zoo.models.bahdanau.network", "zoo.models.luong.network", "zoo.nn.lstm"):
        monkeypatch.setattr(f"{module}.loop", lambda *modules: nullcontext())
    for module in ("zoo.models.bahdanau.network", "zoo.models.luong.network"):
        monkeypatch.setattr(f"{module}.share", lambda transposed: transposed.mT)
    torch.testing.assert_close(quick, gradients())


def test_a_frozen_layer_and_one_that_no_step_uses():
    frozen, idle = Linear(HIDDEN, HIDDEN).requires_grad_(False), Linear(HIDDEN, HIDDEN)
    x = torch.randn(BATCH, HIDDEN, requires_grad=True)
    with loop(frozen, idle):
        frozen(x).sum().backward()
    torch.testing.assert_close(x.grad, frozen.weight.sum(0).expand(BATCH, -1))
    assert frozen.weight.grad is None and idle.weight.grad is None and idle.share is None
