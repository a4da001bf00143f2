"""The device's LSTM against the loop over words."""

import pytest
import torch

from zoo.nn.fused import lstm
from zoo.nn.lstm import LSTM


@pytest.mark.parametrize("lengths", [None, [5, 1, 3], [2, 4, 2]])
def test_states_and_gradients_equal_those_of_the_loop(lengths):
    torch.manual_seed(0)
    layer = LSTM(4, 6).double()
    x = torch.randn(3, 5, 4, dtype=torch.float64, requires_grad=True)
    if lengths:
        mask = torch.arange(5) < torch.tensor(lengths)[:, None]
        h = c = torch.zeros(3, 6, dtype=torch.float64)
    else:
        mask, h, c = None, *torch.randn(2, 3, 6, dtype=torch.float64).unbind()
    inputs = (x, layer.input.weight, layer.recurrent.weight)
    expected = layer.scan(x, h, c, mask)
    found = lstm(x, h, c, layer.input.weight, layer.recurrent.weight, mask)
    outer = [torch.randn_like(each) for each in expected]
    for each, other in zip(found, expected, strict=True):
        torch.testing.assert_close(each, other)
    for each, other in zip(*(torch.autograd.grad(r, inputs, outer) for r in (found, expected)), strict=True):
        torch.testing.assert_close(each, other)
