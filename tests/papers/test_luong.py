"""Luong's stacks against section 3 of the paper, written out in NumPy word by word, and against torch.nn.LSTM."""

import numpy as np
import pytest
import torch

from tests.conftest import dropped
from zoo.models.luong.network import LSTM, StackedLSTM
from zoo.nn.kernels import Dropout

SIZES = {"source_vocabulary": 11, "target_vocabulary": 13, "embedding": 5, "hidden": 6, "layers": 2}
GENERAL = {"score": "general", "scope": "global"}
LOCAL = {"score": "general", "scope": "local_p", "window": 2}
QUICK = {"luong": {"embedding": 8, "hidden": 8, "layers": 2}}  # see tests/small.py
HARD = {"hard": True, "input_feeding": False}
OPTIONS = {  # see tests/test_options.py
    "luong": {
        "reverse": {"attention": {**LOCAL, "window": 1}},
        "hard": {"input_feeding": False},
        "estimator": {**HARD, "label_smoothing": 0.0, "estimator": {"kind": "var", "samples": 3}},
    }
}
ATTENTIONS = [None, GENERAL, {"score": "dot", "scope": "local_m", "window": 1}, LOCAL]


def network(**arguments) -> StackedLSTM:
    torch.manual_seed(0)
    arguments = {"attention": GENERAL, "reverse": False} | arguments
    made = StackedLSTM(**SIZES, **arguments).double().eval()
    for parameter in made.parameters():  # farther from linear than the paper's 0.1
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
    """One sentence, one word at a time; the score is general, the scope global or local-p."""

    def __init__(self, net: StackedLSTM):
        self.p = {name: value.numpy() for name, value in net.state_dict().items()}
        self.net, self.d = net, SIZES["hidden"]

    def stack(self, name, x, h, c):
        for layer in range(SIZES["layers"]):
            a = self.p[f"{name}.{layer}.input.weight"] @ x + self.p[f"{name}.{layer}.recurrent.weight"] @ h[layer]
            i, f, o, g = np.split(a, 4)
            c[layer] = sigmoid(f) * c[layer] + sigmoid(i) * np.tanh(g)
            h[layer] = x = sigmoid(o) * np.tanh(c[layer])
        return x

    def __call__(self, source, target):
        h = [np.zeros(self.d) for _ in range(SIZES["layers"])]
        c = [np.zeros(self.d) for _ in range(SIZES["layers"])]
        memory = np.stack([self.stack("encoder", x, h, c) for x in self.p["source.weight"][source]])
        feed = np.zeros(self.d)
        logits, alphas = [], []
        for y in self.p["target.weight"][target]:
            x = np.concatenate([y, feed]) if self.net.input_feeding else y
            top = self.stack("decoder", x, h, c)
            feed, a = (top, None) if self.net.attend is None else self.attend(top, memory)
            logits.append(self.p["out.weight"] @ feed)
            alphas.append(a)
        return np.stack(logits), alphas

    def attend(self, h, memory):
        (W_a,) = [v for k, v in self.p.items() if k.startswith("attend.score.")]
        a = np.zeros(len(memory))
        scope = {k.removeprefix("attend.scope."): v for k, v in self.p.items() if k.startswith("attend.scope.")}
        inside = range(len(memory))
        if scope:
            W_p = next(v for v in scope.values() if v.shape == (self.d, self.d))
            v_p = next(v for v in scope.values() if v.size == self.d).ravel()
            p_t = sigmoid(v_p @ np.tanh(W_p @ h)) * (len(memory) - 1)
            inside = [s for s in inside if abs(s - int(p_t)) <= LOCAL["window"]]
        e = np.array([h @ W_a @ memory[s] for s in inside])
        a[list(inside)] = np.exp(e) / np.exp(e).sum()
        if scope:
            a *= np.exp(-((np.arange(len(a)) - p_t) ** 2) / (2 * (LOCAL["window"] / 2) ** 2))
        return np.tanh(self.p["join.weight"] @ np.concatenate([a @ memory, h])), a


@pytest.mark.parametrize("feeding", [True, False])
@pytest.mark.parametrize("attention", [None, GENERAL, LOCAL])
def test_equals_the_equations_of_the_paper(attention, feeding):
    net = network(attention=attention, input_feeding=feeding)
    source, target = sentences([7, 4, 1], 11), sentences([5, 5, 5], 13, seed=1)
    logits, weights = net(source, source != 0, target)
    for row, length in enumerate([7, 4, 1]):
        expected, alphas = Oracle(net)(source[row, :length].numpy(), target[row].numpy())
        np.testing.assert_allclose(logits[row].detach(), expected, atol=1e-10)
        if attention:
            np.testing.assert_allclose(weights[row, :, :length].detach(), np.stack(alphas), atol=1e-6)
        assert not weights[row, :, length:].any()


def test_a_layer_equals_torchs():
    ours, theirs = LSTM(3, 4), torch.nn.LSTM(3, 4, bias=False, batch_first=True)
    with torch.no_grad():
        for mine, other in ((ours.input, theirs.weight_ih_l0), (ours.recurrent, theirs.weight_hh_l0)):
            i, f, o, g = mine.weight.chunk(4)
            other.copy_(torch.cat([i, f, g, o]))
    x = torch.randn(2, 5, 3)
    zero = torch.zeros(2, 4)
    states, h, c = ours.scan(x, zero, zero)
    expected, (end_h, end_c) = theirs(x)
    torch.testing.assert_close(states, expected)
    torch.testing.assert_close((h, c), (end_h[0], end_c[0]))


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("reverse", [True, False])
def test_padding_changes_nothing(attention, reverse):
    net = network(attention=attention, reverse=reverse)
    source, target = sentences([6, 3], 11), sentences([4, 4], 13, seed=1)
    logits, _ = net(source, source != 0, target)
    alone, _ = net(source[1:, :3], source[1:, :3] != 0, target[1:])
    torch.testing.assert_close(logits[1:], alone)


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("feeding", [True, False])
def test_a_step_at_a_time_equals_teacher_forcing(attention, feeding):
    net = network(attention=attention, input_feeding=feeding)
    source, target = sentences([6, 3], 11), sentences([4, 4], 13, seed=1)
    expected, alpha = net(source, source != 0, target)
    memory = net.encode(source, source != 0)
    state = net.start(memory, beam=3)
    for t in range(4):
        log_p, state, weights = net.step(target[:, t, None].expand(-1, 3), state, memory)
        torch.testing.assert_close(log_p, expected[:, t, None].log_softmax(-1).float().expand(-1, 3, -1))
        torch.testing.assert_close(weights, alpha[:, t, None].expand(-1, 3, -1))


def test_what_was_said_is_fed_in():
    """With feeding the third word sees the first attentional state; without, only through the LSTM."""
    net = network()
    before = net.decoder[0].input.weight.detach().clone()
    source, target = sentences([6], 11), sentences([4], 13, seed=1)
    logits, _ = net(source, source != 0, target)
    with torch.no_grad():
        net.decoder[0].input.weight[:, 5:] += 1.0
    changed, _ = net(source, source != 0, target)
    torch.testing.assert_close(changed[:, 0], logits[:, 0])  # nothing is fed in at first
    assert ((changed - logits).abs().amax(-1)[0, 1:] > 1e-4).all()
    assert before.shape == (24, 11)


def test_dropout_is_on_the_input_of_each_layer_and_the_attentional_state():
    """With feeding a step at a time, what is fed in included; without, a sentence at a time."""
    source, target = sentences([7, 7], 11), sentences([4, 4], 13, seed=1)
    encoder, output = {(2, 7, 5): 1, (2, 7, 6): 1}, {(2, 4, 6): 1}
    fed = dropped(network(dropout=0.5, output_dropout=0.5), source, source != 0, target)
    assert fed == {**encoder, (2, 5 + 6): 4, (2, 6): 4, **output}
    alone = dropped(network(dropout=0.5, output_dropout=0.5, input_feeding=False), source, source != 0, target)
    assert alone == {**encoder, (2, 4, 5): 1, (2, 4, 6): 1 + 1}
    rates = [module.p for module in network(dropout=0.1, output_dropout=0.7).modules() if isinstance(module, Dropout)]
    assert sorted(rates) == [0.1, 0.7]


def test_starts_as_published_and_has_no_bias():
    net = StackedLSTM(**SIZES, attention=LOCAL)
    assert not [name for name, _ in net.named_parameters() if "bias" in name]
    for parameter in net.parameters():
        assert (parameter.abs().max() <= 0.1 and parameter.std() > 0.03) or parameter.numel() < 10


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_gradients_reach_every_parameter(attention):
    net = network(attention=attention)
    source, target = sentences([6, 3], 11), sentences([4, 4], 13, seed=1)
    net(source, source != 0, target)[0].square().sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), name


@pytest.mark.parametrize(
    ("attention", "reverse", "shift"),
    [(GENERAL, True, 1), (GENERAL, False, 0), ({"score": "location", "scope": "global"}, True, 0), (None, True, None)],
)
def test_which_step_aligns_a_word(attention, reverse, shift):
    """The paper's footnote, for its reversed source alone."""
    assert network(attention=attention, reverse=reverse).alignment_shift == shift
