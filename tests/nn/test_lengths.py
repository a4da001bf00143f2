"""Nothing at all is refused in a sentence; no sentences, and no pictures, are an empty answer with its gradients."""

import pytest
import torch

from zoo.errors import ZooError
from zoo.models.bahdanau import RNNsearch
from zoo.models.former import Former
from zoo.models.luong import StackedLSTM
from zoo.models.ram import RAM
from zoo.models.transformer import Transformer

SMALL = {"embedding": 4, "hidden": 6}
TRANSLATORS = {
    "bahdanau": lambda: RNNsearch(9, 9, **SMALL, maxout=3, attention={"score": "additive"}),
    "bahdanau without attention": lambda: RNNsearch(9, 9, **SMALL, maxout=3),
    "luong": lambda: StackedLSTM(9, 9, **SMALL, layers=2, attention={"score": "general", "scope": "local_p"}),
    "luong without feeding": lambda: StackedLSTM(
        9, 9, **SMALL, layers=1, attention={"score": "location"}, input_feeding=False
    ),
    "luong without attention": lambda: StackedLSTM(9, 9, **SMALL, layers=1),
    "transformer": lambda: Transformer(9, 9, layers=1, d_model=8, d_ff=8, heads=2),
}


def ids(batch, length):
    return torch.ones(batch, length, dtype=torch.int64)


@pytest.mark.parametrize("make", TRANSLATORS.values(), ids=TRANSLATORS)
def test_translators(make):
    net = make()
    for source, target, name in ((0, 3, "source"), (3, 0, "target")):
        with pytest.raises(ZooError, match=rf"the {name} has the shape \(2, 0\); expected .* at least one symbol"):
            net(ids(2, source), ids(2, source).bool(), ids(2, target))
    with pytest.raises(ZooError, match="the source has the shape"):
        net.encode(ids(2, 0), ids(2, 0).bool())
    logits, _ = net(ids(0, 3), ids(0, 3).bool(), ids(0, 4))
    assert logits.shape == (0, 4, 9)
    logits.sum().backward()
    assert all(not p.grad.any() for p in net.parameters() if p.grad is not None)


@pytest.mark.parametrize("num_classes", [None, 3])
def test_formers(num_classes):
    net = Former(9, num_classes, dim=8, depth=1, longest=16)
    if num_classes:
        with pytest.raises(ZooError, match="a text without symbols has no class"):
            net(ids(2, 0))
    assert len(net(ids(0, 4))) == 0
    net(ids(0, 4)).sum().backward()


@pytest.mark.parametrize("num_scales", [1, 2])
def test_ram(num_scales):
    net = RAM(num_scales=num_scales, num_glimpses=2)
    for shape in ((2, 1, 0, 28), (2, 1, 28, 0), (2, 3, 28, 28), (2, 28, 28)):
        with pytest.raises(ZooError, match=r"the image has the shape .*; expected \(batch, 1, height, width\)"):
            net(torch.zeros(shape))
    net(torch.zeros(0, 1, 28, 28)).logits.sum().backward()
    assert net(torch.zeros(2, 1, 1, 1)).logits.isfinite().all()
    with pytest.raises(ZooError, match="num_glimpses is 0; expected a whole number, from 1 to"):
        RAM(num_glimpses=0)
