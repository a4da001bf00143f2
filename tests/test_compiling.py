"""What makes a network faster leaves its answers and the names of its parameters as they are."""

from contextlib import nullcontext

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

    def forward(self, x, label=None, temperature=1.0):
        y = super().forward(x) / temperature
        return y if label is None else y + label


def test_a_graph_is_of_its_tensors_and_of_what_stood_beside_them(monkeypatch):
    asked = []

    def make(network, samples, allow_unused_input):
        within = network.forward
        network.forward = lambda *tensors: asked.append(len(tensors)) or within(*tensors)

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", make)
    monkeypatch.setattr(torch.random, "fork_rng", lambda devices: nullcontext())
    network, x = Scaled(3, 2), torch.randn(4, 3).as_subclass(Device)
    expected, at_two = network(x, None, 1.0), network(x, None, 2.0)
    Replayed(network)
    assert torch.equal(network(x, None, 1.0), expected) and asked == [1]
    assert torch.equal(network(x, None, 1.0), expected) and asked == [1, 1]
    for args, value in (((x, None, 2.0), at_two), ((x, x.new_ones(2), 1.0), expected + 1), ((x,), expected)):
        assert torch.equal(network(*args), value)
    assert asked == [1, 1]


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
