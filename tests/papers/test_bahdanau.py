"""RNNsearch against the appendix of the paper, written out in NumPy word by word."""

import numpy as np
import pytest
import torch

from tests.conftest import dropped
from zoo.models.bahdanau.network import GatedUnit, RNNsearch, scan

SIZES = {"source_vocabulary": 11, "target_vocabulary": 13, "embedding": 5, "hidden": 6, "maxout": 4}
ADDITIVE = {"score": "additive", "scope": "global"}
QUICK = {"bahdanau": {"embedding": 8, "hidden": 8, "maxout": 8}}  # see tests/small.py
LOCAL = {"score": "additive", "scope": "local_p", "window": 1}
OPTIONS = {"bahdanau": {"reverse": {"attention": LOCAL}}}  # see tests/test_options.py


def network(seed=0, **arguments) -> RNNsearch:
    torch.manual_seed(seed)
    arguments = {"attention": ADDITIVE, "init": "torch"} | arguments
    made = RNNsearch(**SIZES, **arguments).double().eval()
    for parameter in made.parameters():  # no accidental zeros
        torch.nn.init.uniform_(parameter, -0.7, 0.7)
    return made


def sentences(lengths, vocabulary, seed=0):
    generator = torch.Generator().manual_seed(seed)
    ids = torch.zeros(len(lengths), max(lengths), dtype=torch.int64)
    for row, length in enumerate(lengths):
        ids[row, :length] = torch.randint(3, vocabulary, (length,), generator=generator)
    return ids


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class Oracle:
    """One sentence, one word at a time, with the matrices under the names of the paper."""

    def __init__(self, net: RNNsearch):
        self.p = {name: value.numpy() for name, value in net.state_dict().items()}
        self.n = SIZES["hidden"]
        self.attention = net.attend is not None
        self.previous = net.readout_state == "previous"

    def unit(self, name, x, h, c=None):
        W_h, W_z, W_r = np.split(self.p[f"{name}.input.weight"], 3)
        b_h, b_z, b_r = np.split(self.p[f"{name}.input.bias"], 3)
        U_z, U_r = np.split(self.p[f"{name}.gates.weight"], 2)
        U = self.p[f"{name}.candidate.weight"]
        C_h, C_z, C_r = np.split(self.p[f"{name}.context.weight"], 3) if c is not None else (np.zeros((1, 1)),) * 3
        c = np.zeros(1) if c is None else c
        z = sigmoid(W_z @ x + U_z @ h + C_z @ c + b_z)
        r = sigmoid(W_r @ x + U_r @ h + C_r @ c + b_r)
        new = np.tanh(W_h @ x + U @ (r * h) + C_h @ c + b_h)
        return (1 - z) * h + z * new

    def annotations(self, source):
        x = self.p["source.weight"][source]
        forward, h = [], np.zeros(self.n)
        for x_j in x:
            h = self.unit("forwards", x_j, h)
            forward.append(h)
        if not self.attention:
            return forward[-1][None]
        backward, h = [], np.zeros(self.n)
        for x_j in x[::-1]:
            h = self.unit("backwards", x_j, h)
            backward.insert(0, h)
        return np.concatenate([forward, backward], 1)

    def __call__(self, source, target):
        h = self.annotations(source)
        s = np.tanh(self.p["start_layer.weight"] @ h[0, -self.n :] + self.p["start_layer.bias"])
        logits, alphas = [], []
        for y in self.p["target.weight"][target]:
            if self.attention:
                W_a, U_a, v_a = (self.p[f"attend.score.{k}"] for k in self.score_names())
                e = np.array([v_a @ np.tanh(W_a @ s + U_a @ h_j) for h_j in h])
                alpha = np.exp(e) / np.exp(e).sum()
            else:
                alpha = np.ones(1)
            c = alpha @ h
            new = self.unit("unit", y, s, c)
            read = s if self.previous else new
            t = self.p["readout.weight"] @ np.concatenate([read, y, c]) + self.p["readout.bias"]
            t = np.array([max(t[2 * j], t[2 * j + 1]) for j in range(len(t) // 2)])
            logits.append(self.p["out.weight"] @ t + self.p["out.bias"])
            alphas.append(alpha)
            s = new
        return np.stack(logits), np.stack(alphas)

    def score_names(self):
        names = [k.removeprefix("attend.score.") for k in self.p if k.startswith("attend.score.")]
        pick = lambda shape: next(k for k in names if self.p[f"attend.score.{k}"].shape == shape)  # noqa: E731
        return pick((self.n, self.n)), pick((self.n, 2 * self.n)), pick((self.n,))


@pytest.mark.parametrize("readout", ["previous", "current"])
@pytest.mark.parametrize("attention", [ADDITIVE, None])
def test_equals_the_equations_of_the_appendix(attention, readout):
    net = network(attention=attention, readout=readout)
    source, target = sentences([7, 4, 1], 11), sentences([5, 5, 5], 13, seed=1)
    logits, weights = net(source, source != 0, target)
    for row, length in enumerate([7, 4, 1]):
        expected, alpha = Oracle(net)(source[row, :length].numpy(), target[row].numpy())
        np.testing.assert_allclose(logits[row].detach(), expected, atol=1e-10)
        if attention:
            np.testing.assert_allclose(weights[row, :, :length].detach(), alpha, atol=1e-10)
            assert not weights[row, :, length:].any()
        else:
            assert (weights[row].argmax(-1) == length - 1).all()


def test_the_unit_is_not_torchs():
    """torch.nn.GRU resets after the product with U; where r is one for all, both are the same up to the name of z."""
    unit = GatedUnit(3, 4).double()
    theirs = torch.nn.GRU(3, 4, batch_first=True).double()
    with torch.no_grad():
        unit.input.bias[8:] = 50.0  # r = 1
        W_h, W_z, W_r = unit.input.weight.chunk(3)
        b_h, b_z, b_r = unit.input.bias.chunk(3)
        U_z, U_r = unit.gates.weight.chunk(2)
        theirs.weight_ih_l0.copy_(torch.cat([W_r, -W_z, W_h]))
        theirs.bias_ih_l0.copy_(torch.cat([b_r, -b_z, b_h]))
        theirs.weight_hh_l0.copy_(torch.cat([U_r, -U_z, unit.candidate.weight]))
        theirs.bias_hh_l0.zero_()
    x = torch.randn(2, 5, 3, dtype=torch.float64)
    ours = scan(unit, x, torch.ones(2, 5, dtype=torch.bool))
    torch.testing.assert_close(ours, theirs(x)[0])
    with torch.no_grad():
        unit.input.bias[8:] = b_r_half = torch.zeros(4, dtype=torch.float64)
        theirs.bias_ih_l0[:4] = b_r_half
    assert (scan(unit, x, torch.ones(2, 5, dtype=torch.bool)) - theirs(x)[0]).abs().max() > 1e-3


@pytest.mark.parametrize("attention", [ADDITIVE, None])
def test_padding_changes_nothing(attention):
    net = network(attention=attention)
    source, target = sentences([6, 3], 11), sentences([4, 4], 13, seed=1)
    logits, _ = net(source, source != 0, target)
    alone, _ = net(source[1:, :3], source[1:, :3] != 0, target[1:])
    torch.testing.assert_close(logits[1:], alone)


@pytest.mark.parametrize(
    "attention", [ADDITIVE, None, {"score": "dot"}, {"score": "general", "scope": "local_p", "window": 2}]
)
def test_a_step_at_a_time_equals_teacher_forcing(attention):
    net = network(attention=attention)
    source, target = sentences([6, 3], 11), sentences([4, 4], 13, seed=1)
    expected, alpha = net(source, source != 0, target)
    memory = net.encode(source, source != 0)
    state = net.start(memory, beam=3)
    for i in range(4):
        log_p, state, weights = net.step(target[:, i, None].expand(-1, 3), state, memory)
        torch.testing.assert_close(log_p, expected[:, i, None].log_softmax(-1).float().expand(-1, 3, -1))
        torch.testing.assert_close(weights, alpha[:, i, None].expand(-1, 3, -1))


def test_attention_is_uniform_at_the_papers_start():
    torch.manual_seed(0)
    net = RNNsearch(**SIZES, attention=ADDITIVE)
    source = sentences([6, 3], 11)
    _, weights = net(source, source != 0, sentences([4, 4], 13))
    torch.testing.assert_close(weights[0], torch.full((4, 6), 1 / 6))
    torch.testing.assert_close(weights[1, :, :3], torch.full((4, 3), 1 / 3))
    square = net.unit.candidate.weight
    torch.testing.assert_close(square @ square.T, torch.eye(6), atol=1e-5, rtol=0)
    assert not net.unit.input.bias.any() and 0.005 < net.out.weight.std() < 0.02


def test_the_last_word_changes_only_the_backward_half_of_the_first_annotation():
    net = network()
    source = sentences([5], 11)
    changed = source.clone()
    changed[0, -1] = (source[0, -1] - 3 + 1) % 8 + 3
    a, b = (net.encode(s, s != 0).annotations[0, 0] for s in (source, changed))
    torch.testing.assert_close(a[:6], b[:6])
    assert (a[6:] != b[6:]).all()


@pytest.mark.parametrize(("attention", "annotations"), [(ADDITIVE, (2, 7, 12)), (None, (2, 1, 6))])
def test_dropout_is_on_embeddings_annotations_and_the_readout(attention, annotations):
    net = network(attention=attention, dropout=0.5)
    source, target = sentences([7, 7], 11), sentences([5, 5], 13, seed=1)
    places = dropped(net, source, source != 0, target)
    assert places == {(2, 7, 5): 1, annotations: 1, (2, 5, 5): 1, (2, 5, 4): 1}


def test_size_of_the_published_model():
    with torch.device("meta"):
        net = RNNsearch(30_001, 30_001, attention=ADDITIVE)
    weights = sum(p.numel() for name, p in net.named_parameters() if not name.endswith("bias"))
    table = 2 * 30_001 * 620 + 2 * 3 * (620_000 + 1_000_000) + 3 * (620_000 + 1_000_000 + 2_000_000)
    table += (1_000_000 + 2_000_000 + 1000) + 1_000_000 + 1000 * (1000 + 620 + 2000) + 30_001 * 500
    assert weights == table


@pytest.mark.parametrize("attention", [ADDITIVE, None])
def test_gradients_reach_every_parameter(attention):
    net = network(attention=attention)
    source, target = sentences([6, 3], 11), sentences([4, 4], 13, seed=1)
    net(source, source != 0, target)[0].square().sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), name


@pytest.mark.parametrize("wrong", [{"readout": "next"}, {"init": "he"}])
def test_a_wrong_choice_is_named(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} is '{next(iter(wrong.values()))}'"):
        RNNsearch(**SIZES, **wrong)
