"""Hard attention over source words: what it says is a sum over places, and what it learns the gradient of a bound."""

import itertools

import numpy as np
import pytest
import torch

from tests.papers.test_luong import GENERAL, LOCAL, SIZES, Oracle, network, sentences
from zoo.errors import ZooError
from zoo.models.luong import module
from zoo.models.luong.module import LitStackedLSTM
from zoo.nn.kernels import plain_autograd

PLACES = 3
PAIRS = list(itertools.product(range(PLACES), repeat=2))


def hard(**arguments):
    return network(input_feeding=False, hard=True, **arguments)


def lit(estimator: dict | None = None, **arguments) -> LitStackedLSTM:
    torch.manual_seed(0)
    given = {"attention": GENERAL, "reverse": False, "input_feeding": False, "hard": True, "dropout": 0.0, **arguments}
    made = LitStackedLSTM(estimator, **SIZES, **given).double()
    for parameter in made.parameters():
        torch.nn.init.uniform_(parameter, -2.0, 2.0)  # so that it matters where is looked
    return made


def batch_of(source=(PLACES,), target=(3,)) -> dict[str, torch.Tensor]:
    """With so many words; every target begins with bos."""
    words = sentences(target, SIZES["target_vocabulary"], seed=1)
    return {
        "source": sentences(source, SIZES["source_vocabulary"]),
        "target": words,
        "index": torch.arange(len(source)),
        "tokens": (words[:, 1:] != 0).sum().float(),
        "sentences": torch.tensor(float(len(source))),
    }


class AtPlaces(Oracle):
    """The oracle of soft attention, made to look at each place by itself."""

    def attend(self, h, memory):
        a = super().attend(h, memory)[1]
        joined = [np.tanh(self.p["join.weight"] @ np.concatenate([state, h])) for state in memory]
        logits = np.stack([self.p["out.weight"] @ each for each in joined])
        p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        self.said.append((a, p))
        return joined[0], a

    def __call__(self, source, target):
        """Of each word a (S,), and p(y | s) of every place (S, words)."""
        self.said = []
        super().__call__(source, target)
        return self.said


@pytest.mark.parametrize("attention", [GENERAL, {**LOCAL, "renormalise": True}])
def test_a_word_is_as_probable_as_its_mean_over_places(attention):
    net = hard(attention=attention)
    source, target = sentences([7, 4, 1], 11), sentences([5, 5, 5], 13, seed=1)
    log_p, weights = net(source, source != 0, target)
    torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]))
    for row, length in enumerate([7, 4, 1]):
        said = AtPlaces(net)(source[row, :length].numpy(), target[row].numpy())
        for t, (a, p) in enumerate(said):
            if attention is GENERAL:
                np.testing.assert_allclose(weights[row, t, :length].detach(), a, atol=1e-6)
            mixed = np.log(weights[row, t, :length].detach().numpy() @ p)
            np.testing.assert_allclose(log_p[row, t].detach(), mixed, atol=1e-6)
    torch.testing.assert_close(log_p.exp().sum(-1), torch.ones_like(log_p[..., 0]))


def test_a_step_at_a_time_equals_teacher_forcing():
    net = hard()
    source, target = sentences([6, 3], 11), sentences([4, 4], 13, seed=1)
    expected, alpha = net(source, source != 0, target)
    memory = net.encode(source, source != 0)
    state = net.start(memory, beam=3)
    for t in range(4):
        log_p, state, weights = net.step(target[:, t, None].expand(-1, 3), state, memory)
        torch.testing.assert_close(log_p, expected[:, t, None].expand(-1, 3, -1))
        torch.testing.assert_close(weights, alpha[:, t, None].expand(-1, 3, -1))


def test_every_sample_looks_at_one_place_and_says_what_that_place_says():
    net = hard()
    source, target = sentences([7, 4], 11), sentences([5, 5], 13, seed=1)
    noise = torch.rand(2, 3, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    noise[1, 0] = 1.0  # what rounding can make of it: still no padding is looked at
    drawn = net.draw(source, source != 0, target, noise)
    for row, length in enumerate([7, 4]):
        said = AtPlaces(net)(source[row, :length].numpy(), target[row].numpy())
        for t, m in itertools.product(range(5), range(3)):
            a, p = said[t]
            place = int((noise[row, m, t].item() > np.cumsum(a)[:-1]).sum())
            found = drawn.logits[row, m, t].softmax(-1)
            np.testing.assert_allclose(found.detach(), p[place], atol=1e-8)
            assert drawn.log_p[row, m, t].item() == pytest.approx(np.log(a[place]), abs=1e-6)


def right_loss(kind: str, weights: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
    """Of one word, whose gradient the mean over all pairs of draws must have: weights and p(y | s), (places,) each."""
    chance = weights.detach() if kind == "wake_p" else weights
    if kind == "var":
        return -(weights * p.log()).sum()
    fixed = weights.detach()
    value = 0.0
    for i, j in PAIRS:
        pair = [i, j]
        scored = p[pair] * (weights / fixed)[pair] if kind == "wake_p" else p[pair]
        value = value - chance[i] * chance[j] * scored.mean().log()
    return value


@pytest.mark.parametrize(("kind", "control"), [*itertools.product(("var", "wake_p"), (False, True)), ("vimco", True)])
def test_the_mean_gradient_over_all_draws_is_that_of_the_enumerated_bound(kind, control, monkeypatch):
    """Of two samples and two words: all draws of a word go with one draw of the others, since none reaches another."""
    model, batch = lit({"kind": kind, "samples": 2, "control": control}, loss_per="sentence"), batch_of()
    net, parameters = model.network, list(model.network.parameters())
    with plain_autograd():
        source, target, label = batch["source"], batch["target"][:, :-1], batch["target"][0, 1:]
        memory = net.encode(source, source != 0)
        h, step = net._read(target, memory)
        weights = net.attend(h, memory.states, memory.keys, memory.mask, step)[1][0]  # (T, places)
        right = 0.0
        for t in range(len(label)):
            at = torch.stack([net.say(memory.states[:, s], h[:, t])[0].softmax(-1)[label[t]] for s in range(PLACES)])
            right = right + right_loss(kind, weights[t], at)
        expected = torch.autograd.grad(right, parameters, allow_unused=True, materialize_grads=True)
    weights = weights.detach().double()
    middle = weights.cumsum(-1) - weights / 2  # (T, places): a number that draws each
    mean = [torch.zeros_like(p) for p in parameters]
    for draws in itertools.product(PAIRS, repeat=len(label)):
        noise = torch.stack([middle[t, list(pair)] for t, pair in enumerate(draws)], 1)[None]  # (1, M, T)
        chance = np.prod([float(weights[t, list(pair)].prod()) for t, pair in enumerate(draws)])
        monkeypatch.setattr(module, "uniform", lambda *_, noise=noise: noise.mT)
        found = torch.autograd.grad(model.loss(batch)["loss"], parameters, allow_unused=True, materialize_grads=True)
        for into, gradient in zip(mean, found, strict=True):
            into += chance * gradient
    for (name, _), one, other in zip(net.named_parameters(), mean, expected, strict=True):
        torch.testing.assert_close(one, other, atol=2e-5, rtol=1e-4, msg=name)
    assert dict(zip(dict(net.named_parameters()), mean, strict=True))["attend.score.W_a.weight"].abs().max() > 1e-2


@pytest.mark.parametrize("kind", ["var", "wake_p", "vimco"])
def test_padding_changes_nothing_and_every_parameter_learns(kind):
    model, found = lit({"kind": kind, "samples": 3}), []
    for more in (0, 4):
        batch = batch_of((4, 2), (5, 3))
        batch |= {name: torch.nn.functional.pad(batch[name], (0, more)) for name in ("source", "target")}
        found.append({name: value.item() for name, value in model.loss(batch).items()})
    assert found[0] == pytest.approx(found[1], rel=1e-6)
    model.loss(batch)["loss"].backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


@pytest.mark.parametrize("loss_per", ["token", "sentence"])
def test_the_terms_in_numbers(loss_per):
    """By loops over words, padding left out: divided by the words, or by the sentences."""
    model, batch = lit({"kind": "var", "samples": 3}, loss_per=loss_per), batch_of((4, 2), (5, 3))
    source, label = batch["source"], batch["target"][:, 1:]
    noise = module.uniform(model.start + batch["index"], label.shape[1], 3).mT
    drawn = model.network.draw(source, source != 0, batch["target"][:, :-1], noise)
    log_y, loss, bound = drawn.logits.log_softmax(-1), 0.0, 0.0
    for row, t in np.argwhere(label.numpy()):
        said = log_y[row, :, t, label[row, t]].detach().numpy()
        log_p = drawn.log_p[row, :, t].detach().numpy()
        others = (said.sum() - said) / 2
        loss -= (said + (said - others) * log_p).mean()
        bound -= np.log(np.exp(said).mean())
    count = int((label != 0).sum()) if loss_per == "token" else 2
    terms = model.loss(batch)
    assert terms["loss"].item() == pytest.approx(loss / count, rel=1e-5)
    assert terms["nll"].item() == pytest.approx(bound / count, rel=1e-5)


@pytest.mark.parametrize("kind", ["var", "wake_p"])
def test_the_places_of_a_word_share_what_dropout_leaves_out(kind):
    """Of a source of one word all places are one, so that all samples are equally good, whatever is left out."""
    model, batch = lit({"kind": kind, "samples": 4}, output_dropout=0.5).train(), batch_of((1, 1), (5, 3))
    assert model.loss(batch)["ess"].item() == pytest.approx(4)
    drawn = [model.loss(batch)["nll"].item() for _ in range(2)]
    assert drawn[0] != drawn[1], "and something is left out"


def test_the_places_share_it_in_their_sum_too():
    """With states that are all alike, the sum over places says what one place says, under one mask."""
    net = hard(output_dropout=0.5).train()
    source, target = sentences([5], 11), sentences([4], 13, seed=1)
    memory = net.encode(source, source != 0)
    memory = memory._replace(states=memory.states[:, :1].expand(-1, 5, -1))
    h = net._read(target, memory)[0]
    torch.manual_seed(0)
    log_p = net.marginal(h, torch.arange(4), memory)[0]
    torch.manual_seed(0)
    alone = net.say(memory.states[:, :1].expand(-1, 4, -1), h, net.output_dropout.mask(h)).log_softmax(-1)
    torch.testing.assert_close(log_p, alone)


def test_two_seeds_draw_other_places():
    given = {"attention": GENERAL, "input_feeding": False, "hard": True}
    starts = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        starts.append(LitStackedLSTM({"kind": "var"}, **SIZES, **given).start.item())
    assert starts[0] != starts[1]
    assert "start" not in dict(LitStackedLSTM(**SIZES, **given).named_buffers())


def test_places_are_drawn_anew_every_epoch():
    class Later(LitStackedLSTM):
        current_epoch = 0

    torch.manual_seed(0)
    given = {"attention": GENERAL, "input_feeding": False, "hard": True}
    model, batch = Later({"kind": "var", "samples": 2}, **SIZES, **given).eval(), batch_of((6, 5), (7, 6))
    losses = []
    for Later.current_epoch in (0, 0, 1):
        losses.append(model.loss(batch)["loss"].item())
    assert losses[0] == losses[1] != losses[2]


def test_without_an_estimator_the_loss_is_the_likelihood():
    model, batch = lit(loss_per="sentence"), batch_of((4, 2), (5, 3))
    log_p, _ = model.network(batch["source"], batch["source"] != 0, batch["target"][:, :-1])
    label = batch["target"][:, 1:]
    right = -(log_p.gather(-1, label[..., None]).squeeze(-1) * (label != 0)).sum() / 2
    assert model.loss(batch)["loss"].item() == pytest.approx(right.item(), rel=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_feeding": True}, "no choice is fed into later words"),
        ({"attention": None}, "attention is null"),
        ({"attention": LOCAL}, "probabilities with renormalise"),
        ({"hard": False, "estimator": {"kind": "var"}}, "kind is var and hard is false"),
        ({"estimator": {"kind": "wake_q"}}, "luong has no inference network"),
        ({"estimator": {"kind": "var", "entropy": 0.1}}, "luong has none of them"),
        ({"estimator": {"kind": "var"}, "label_smoothing": 0.1}, "label_smoothing is 0.1"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(arguments, message):
    with pytest.raises(ZooError, match=message):
        lit(**arguments)
