"""What makes a network faster leaves its answers and the names of its parameters as they are."""

import gc
import weakref
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch import nn

from zoo.errors import ZooError
from zoo.training.compiling import Replayed, set_matmul, speed_up


class Stepwise(nn.Linear):
    """Says what is compiled of it."""

    compiled = 0

    def compile(self):
        self.compiled += 1


def test_a_network_with_a_compile_of_its_own_is_asked():
    network = Stepwise(2, 2)
    speed_up(network, False)
    assert network.compiled == 0
    speed_up(network, True)
    assert network.compiled == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
@pytest.mark.parametrize("how", ["graph", "both"])
def test_graphs_without_a_device_are_refused(how):
    with pytest.raises(ZooError, match="needs a CUDA device"):
        speed_up(nn.Linear(2, 2), how)


@pytest.mark.parametrize("how", ["perhaps", None, 1.5])
def test_another_word_is_refused(how):
    with pytest.raises(ZooError, match="expected one of false, true, graph, both"):
        speed_up(nn.Linear(2, 2), how)


def test_what_cannot_be_replayed_is_computed_as_written():
    network = nn.Linear(3, 2)
    x = torch.randn(4, 3)
    expected, names = network(x), list(network.state_dict())
    Replayed(network)
    assert torch.equal(network(x), expected) and torch.equal(network(input=x), expected)
    assert list(network.state_dict()) == names


class Device(torch.Tensor):
    """A tensor that says that it is on a device."""

    is_cuda = True


class Scaled(nn.Linear):
    """Takes what is no tensor beside what is."""

    def forward(self, temperature, x, others=(), exact=1):
        y = super().forward(x) / temperature
        return sum(others, y) if exact is not True else y.round()


@pytest.fixture
def replayed(monkeypatch):
    """A network whose capture is faked, and the list of the numbers of tensors of each replay."""
    asked = []

    def make(network, samples, allow_unused_input):
        within = network.forward
        network.forward = lambda *tensors: asked.append(len(tensors)) or within(*tensors)

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", make)
    monkeypatch.setattr(torch.random, "fork_rng", lambda devices: nullcontext())
    network = Scaled(3, 2)
    Replayed(network)
    return network, asked


def test_a_graph_is_of_its_tensors_and_of_what_stood_beside_them(replayed):
    network, asked = replayed
    x, one, two = (torch.randn(*shape).as_subclass(Device) for shape in ((4, 3), (2,), (2,)))
    plain = nn.functional.linear(x, network.weight, network.bias)
    assert torch.equal(network(2.0, x, (one, None)[:1], 1), plain / 2 + one) and asked == [2]
    assert torch.equal(network(2.0, 2 * x, (two,), 1), network.forward.eager(2.0, 2 * x, (two,), 1)) and asked == [2, 2]


@pytest.mark.parametrize(
    "change",
    [
        lambda args: (4.0, *args[1:]),
        lambda args: (args[0], args[1][:2], *args[2:]),
        lambda args: (args[0], args[1].double(), *args[2:]),
        lambda args: (args[0], args[1].clone().requires_grad_(), *args[2:]),
        lambda args: (*args[:2], list(args[2]), args[3]),
        lambda args: (*args[:2], (*args[2], args[2][0]), args[3]),
        lambda args: (*args[:3], True),
        lambda args: args[:3],
    ],
    ids=["number", "shape", "type", "gradient", "structure", "count", "true is not one", "default"],
)
def test_another_call_is_computed_as_written(replayed, change):
    network, asked = replayed
    args = (2.0, torch.randn(4, 3).as_subclass(Device), (torch.randn(2).as_subclass(Device),), 1)
    network(*args)
    assert asked == [2]
    other = change(args)
    network.to(other[1].dtype)
    assert torch.equal(network(*other), network.forward.eager(*other)) and asked == [2]


def test_evaluation_and_another_precision_are_computed_as_written(replayed):
    network, asked = replayed
    args = (2.0, torch.randn(4, 3).as_subclass(Device))
    network(*args)
    with torch.no_grad():
        network(*args)
    network.eval()(*args)
    network.train()
    with torch.autocast("cuda", torch.bfloat16):
        network(*args)
    assert asked == [1]
    network(*args)
    assert asked == [1, 1]


def test_what_may_change_and_stay_equal_is_never_captured(replayed):
    network, asked = replayed
    x = torch.randn(4, 3).as_subclass(Device)
    network.forward.eager = lambda given, _: given
    for temperature in (object(), np.ones(2), torch.Size([2]).numel):
        assert network(temperature, x) is temperature
    assert asked == []


def test_the_first_batch_is_not_kept(replayed):
    network, _ = replayed
    x = torch.randn(4, 3).as_subclass(Device)
    known = weakref.ref(x)
    network(2.0, x)
    del x
    gc.collect()
    assert known() is None


def test_products_of_float32_are_exact_unless_told_otherwise(composed):
    assert composed().float32_matmul == "highest"
    before = torch.get_float32_matmul_precision()
    try:
        set_matmul("high")
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        set_matmul(before)
    with pytest.raises(ZooError, match="float32_matmul is 'exact'; expected highest, high or medium"):
        set_matmul("exact")
