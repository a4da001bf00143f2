"""Gradients in closed form are plain autograd's in every order of calls, or refused in a sentence."""

import threading

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from zoo.errors import ZooError
from zoo.models.bahdanau import RNNsearch
from zoo.models.draw import DRAW
from zoo.models.luong import StackedLSTM
from zoo.nn.gated import GatedUnit
from zoo.nn.kernels import cross_entropy, plain_autograd
from zoo.nn.lstm import LSTM
from zoo.nn.shared import Linear, loop, share

STEPS, BATCH, HIDDEN = 4, 2, 3
KEEP = torch.tensor([[1.0], [0.0]], dtype=torch.float64)


class Steps(nn.Module):
    """A cell over a few steps, whose states are all returned."""

    def __init__(self, cell, advance, gates, states):
        super().__init__()
        self.cell, self.advance, self.states = cell, advance, states
        self.xs = nn.Parameter(torch.randn(STEPS, BATCH, gates * HIDDEN))  # an input, to be asked for by name

    def forward(self):
        state, seen = [self.xs.new_zeros(BATCH, HIDDEN)] * self.states, []
        with loop(self.cell):
            for x in self.xs.unbind(0):
                state = self.advance(self.cell, x, *state)
                seen.append(state[0])
        return torch.stack(seen)


class Memory(nn.Module):
    """A batch of matrices that the steps share."""

    def __init__(self):
        super().__init__()
        self.matrix = nn.Parameter(torch.randn(BATCH, HIDDEN, HIDDEN))
        self.xs = nn.Parameter(torch.randn(STEPS, BATCH, 2, HIDDEN))

    def forward(self):
        shared = share(self.matrix)
        return torch.stack([(step * shared(x)).tanh() for step, x in enumerate(self.xs.unbind(0), 1)])


CASES = {
    "gated": lambda: Steps(GatedUnit(1, HIDDEN), lambda cell, x, h: (cell(x, h),), 3, 1),
    "gated with padding": lambda: Steps(GatedUnit(1, HIDDEN), lambda cell, x, h: (cell(x, h, KEEP),), 3, 1),
    "lstm": lambda: Steps(LSTM(1, HIDDEN), lambda cell, x, h, c: cell(x, h, c), 4, 2),
    "linear": lambda: Steps(Linear(HIDDEN, HIDDEN), lambda cell, x, h: ((x + cell(h)).tanh(),), 1, 1),
    "matrices": Memory,
}


@pytest.fixture(params=CASES)
def net(request):
    torch.manual_seed(0)
    return CASES[request.param]().double()


def used(net):
    """Input and weights that the steps take, in this order."""
    leaves = dict(net.named_parameters())
    return [leaves.pop("xs"), *(leaf for name, leaf in leaves.items() if not name.startswith("cell.input"))]


def gradients(net, leaves, of=slice(None), **options):
    return torch.autograd.grad(net()[of].square().sum(), leaves, **options)


def right(net, of=slice(None)):
    with plain_autograd():
        return gradients(net, used(net), of)


def test_the_input_first_and_then_the_weights(net):
    x, *weights = used(net)
    expected, loss = right(net), net().square().sum()
    for _ in range(3):
        torch.testing.assert_close(torch.autograd.grad(loss, x, retain_graph=True)[0], expected[0])
    for _ in range(2):
        torch.testing.assert_close(torch.autograd.grad(loss, weights, retain_graph=True), expected[1:])
        torch.testing.assert_close(torch.autograd.grad(loss, [x, *weights], retain_graph=True), expected)
    for weight, found in zip(weights, expected[1:], strict=True):  # one at a time
        torch.testing.assert_close(torch.autograd.grad(loss, weight, retain_graph=True)[0], found)
    loss.backward()
    torch.testing.assert_close([leaf.grad for leaf in used(net)], list(expected))


def test_backward_twice_adds_up_and_a_third_graph_does_not_mind(net):
    expected, loss = right(net), net().square().sum()
    loss.backward(retain_graph=True)
    net().square().sum().backward()
    loss.backward()
    torch.testing.assert_close([leaf.grad for leaf in used(net)], [3 * each for each in expected])


def test_only_the_first_steps_after_all_of_them(net):
    x, *_ = used(net)
    seen = net()
    torch.autograd.grad(seen.square().sum(), x, retain_graph=True)
    for of in (slice(2), slice(1, 3), slice(3, None)):
        found = torch.autograd.grad(seen[of].square().sum(), used(net), retain_graph=True)
        torch.testing.assert_close(found, right(net, of))


def test_a_backward_pass_that_fails_leaves_nothing_behind(net):
    expected, seen = right(net), net()
    x, *_ = used(net)

    def fail(gradient):
        raise RuntimeError("stopped")

    handle = x.register_hook(fail)
    with pytest.raises(RuntimeError, match="stopped"):
        torch.autograd.grad(seen.square().sum(), used(net), retain_graph=True)
    handle.remove()
    torch.testing.assert_close(torch.autograd.grad(seen.square().sum(), used(net)), expected)


def test_a_backward_pass_within_a_backward_pass(net):
    expected, seen = right(net), net()
    loss, within = seen.square().sum(), []
    middle = seen * 1

    def ask(gradient):
        within.append(torch.autograd.grad(loss, used(net), retain_graph=True))

    middle.register_hook(ask)
    torch.testing.assert_close(torch.autograd.grad(middle.square().sum(), used(net)), expected)
    torch.testing.assert_close(within[0], expected)


def test_two_threads_at_once_on_one_graph(net):
    expected, loss, found = right(net), net().square().sum(), []

    def ask():
        for _ in range(20):
            found.append(torch.autograd.grad(loss, used(net), retain_graph=True))

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 40
    for each in found:
        torch.testing.assert_close(each, expected)


@pytest.mark.parametrize("reentrant", [False, True])
def test_steps_that_are_computed_again(net, reentrant):
    expected = right(net)
    start = torch.zeros((), dtype=torch.float64, requires_grad=True)  # a reentrant checkpoint wants one
    seen = checkpoint(lambda zero: net() + zero, start, use_reentrant=reentrant)
    seen.square().sum().backward()
    torch.testing.assert_close([leaf.grad for leaf in used(net)], list(expected))


def test_a_weight_changed_in_place_is_noticed_as_torch_does(net):
    for weight in (leaf for leaf in used(net)[1:] if leaf.ndim > 1):  # no gradient needs a bias
        for context in (loop(), plain_autograd()):
            with context:
                loss = net().square().sum()
            with torch.no_grad():
                weight.mul_(2)
            with pytest.raises(RuntimeError, match="modified by an inplace operation"):
                loss.backward()


@pytest.mark.parametrize("how", [{"foreach": True}, {"foreach": False}, {"fused": True}])
def test_an_optimiser_between_forward_and_backward_is_noticed_where_torch_does(net, how):
    raised = []
    for context in (loop(), plain_autograd()):
        with context:
            loss = net().square().sum()
        loss.backward(retain_graph=True)
        torch.optim.Adam(used(net), lr=0.1, **how).step()
        try:
            loss.backward()
        except RuntimeError as error:
            raised.append("modified" in str(error) and "inplace" in str(error))
    assert raised == ([] if "fused" in how else [True, True])  # torch 2.14 does not count what a fused step changes


def test_a_mask_changed_in_place_is_noticed():
    keep = KEEP.clone()
    net = Steps(GatedUnit(1, HIDDEN), lambda cell, x, h: (cell(x, h, keep),), 3, 1).double()
    loss = net().sum()
    keep.zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize("of", ["sum", "square"])
def test_a_second_derivative_is_refused_or_plain_autograd_has_it(net, of):
    loss = getattr(net(), of)().sum()
    first = torch.autograd.grad(loss, used(net), create_graph=True)
    with plain_autograd():
        again = getattr(net(), of)().sum()
        expected = torch.autograd.grad(again, used(net), create_graph=True)
    torch.testing.assert_close(first, expected)
    for each in first:
        with pytest.raises(ZooError, match=r"cannot be differentiated again; .*plain_autograd\(\)"):
            each.square().sum().backward(retain_graph=True)
    with plain_autograd():
        assert torch.autograd.gradgradcheck(lambda xs: torch.func.functional_call(net, {"xs": xs}, ()), used(net)[0])


def test_functions_of_torch_func(net):
    expected = right(net)
    names = {id(leaf): name for name, leaf in net.named_parameters()}
    chosen = {names[id(leaf)]: leaf.detach() for leaf in used(net)}

    def loss(leaves):
        return torch.func.functional_call(net, leaves, ()).square().sum()

    found = torch.func.grad(loss)(chosen)
    torch.testing.assert_close(tuple(found.values()), expected)
    many = {name: torch.stack([leaf, leaf]) for name, leaf in chosen.items()}
    for each in torch.func.vmap(torch.func.grad(loss))(many).values():
        torch.testing.assert_close(each[0], each[1])


def test_gradients_of_many_outputs_at_once(net):
    seen = net().flatten()
    found = torch.autograd.grad(seen, used(net), torch.eye(len(seen)).to(seen), is_grads_batched=True)
    with plain_autograd():
        again = net().flatten()
    for i in range(len(seen)):
        expected = torch.autograd.grad(again[i], used(net), retain_graph=True)
        torch.testing.assert_close([each[i] for each in found], list(expected))


def test_without_gradients_nothing_is_kept(net):
    with torch.no_grad():
        assert net().grad_fn is None
    with torch.inference_mode():
        assert not net().requires_grad
    frozen = [leaf.requires_grad_(False) for leaf in used(net)[1:]]
    loss = net().square().sum()
    loss.backward()
    assert all(leaf.grad is None for leaf in frozen) and used(net)[0].grad is not None


def test_no_gradient_of_the_input_leaves_its_pairs_in_memory():
    matrix, x = torch.randn(3, 3, requires_grad=True), torch.randn(2, 3, requires_grad=True)
    shared = share(matrix)
    loss = shared(shared(x)).sum()
    for wanted in (x, matrix, [x, matrix]):
        torch.autograd.grad(loss, wanted, retain_graph=True)
        assert shared.store == {}


@pytest.mark.parametrize("attention", [{"score": "additive"}, {"score": "general", "scope": "local_p"}, None])
@pytest.mark.parametrize("network", [RNNsearch, StackedLSTM])
def test_the_networks_too(network, attention):
    torch.manual_seed(0)
    small = {"layers": 2, "dropout": 0.0} if network is StackedLSTM else {"maxout": 3, "init": "torch"}
    net = network(9, 9, embedding=4, hidden=6, attention=attention, **small).double()
    source, target = torch.randint(1, 9, (3, 5)), torch.randint(1, 9, (3, 4))
    mask = torch.arange(5) < torch.tensor([[5], [2], [3]])
    leaves = list(net.parameters())

    def loss():
        logits, _ = net(source, mask, target)
        return cross_entropy(logits.flatten(0, 1), target.flatten(), 0, 0.1)

    with plain_autograd():
        expected = torch.autograd.grad(loss(), leaves, allow_unused=True)
    once = loss()
    torch.autograd.grad(once, net.source.weight, retain_graph=True)  # a saliency map
    for _ in range(2):
        found = torch.autograd.grad(once, leaves, retain_graph=True, allow_unused=True)
        torch.testing.assert_close(found, expected)
    first = torch.autograd.grad(once, net.source.weight, create_graph=True)[0]
    with pytest.raises(ZooError, match="cannot be differentiated again"):
        first.square().sum().backward()
    with plain_autograd():  # a gradient penalty
        penalty = torch.autograd.grad(loss(), net.source.weight, create_graph=True)[0].square().sum()
    penalty.backward()
    assert all(leaf.grad.isfinite().all() for leaf in leaves if leaf.grad is not None)
    with torch.no_grad():
        net.out.weight.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        once.backward()


def test_cross_entropy_in_every_order():
    torch.manual_seed(0)
    logits, labels = torch.randn(40, 7, dtype=torch.float32, requires_grad=True), torch.randint(0, 7, (40,))
    loss = cross_entropy(logits, labels, 0, 0.1)
    expected = F.cross_entropy(logits, labels, ignore_index=0, label_smoothing=0.1, reduction="sum")
    for _ in range(2):
        torch.testing.assert_close(*(torch.autograd.grad(each, logits, retain_graph=True) for each in (loss, expected)))
    first = torch.autograd.grad(loss, logits, create_graph=True)[0]
    with pytest.raises(ZooError, match="cannot be differentiated again"):
        first.square().sum().backward()
    with plain_autograd():
        plain = cross_entropy(logits, labels, 0, 0.1)
    second = [
        torch.autograd.grad(torch.autograd.grad(each, logits, create_graph=True)[0].square().sum(), logits)[0]
        for each in (plain, expected)
    ]
    torch.testing.assert_close(*second)


@pytest.mark.parametrize("how", [{}, {"read": None, "write": None}, {"num_classes": 3}])
def test_draw_too(how):
    torch.manual_seed(0)
    net = DRAW(size=12, num_steps=3, hidden=8, latent=4, **how).double()
    image = torch.rand(2, 1, 12, 12, dtype=torch.float64, requires_grad=True)
    noise, leaves = torch.randn(2, 3, 4, dtype=torch.float64), [image, *net.parameters()]

    def loss():
        said = net(image, noise) if net.generates else (net(image),)
        return sum(each.square().sum() for each in said)

    with plain_autograd():
        expected = torch.autograd.grad(loss(), leaves, allow_unused=True)
    once = loss()
    torch.autograd.grad(once, image, retain_graph=True)
    for _ in range(2):
        found = torch.autograd.grad(once, leaves, retain_graph=True, allow_unused=True)
        torch.testing.assert_close(found, expected)
    first = torch.autograd.grad(once, image, create_graph=True)[0]
    with pytest.raises(ZooError, match="cannot be differentiated again"):
        first.square().sum().backward()
    with plain_autograd():
        torch.autograd.grad(loss(), image, create_graph=True)[0].square().sum().backward()
    with torch.no_grad():
        (net.decode if net.generates else net.encode).weight.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        once.backward()
