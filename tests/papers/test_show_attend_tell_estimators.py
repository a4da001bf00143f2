"""The hard captioner under every estimator: a caption of two words and three places, of which all is enumerated."""

import itertools
from typing import NamedTuple

import numpy as np
import pytest
import torch

from tests.papers.test_show_attend_tell import TINY, WORDS, Oracle, batch_of, lit, network
from zoo.errors import ZooError
from zoo.models.show_attend_tell import module
from zoo.models.show_attend_tell.module import LitShowAttendTell
from zoo.nn.estimators import KINDS
from zoo.nn.kernels import plain_autograd
from zoo.nn.random import uniform

PLACES, STEPS = 3, 2
PATHS = list(itertools.product(range(PLACES), repeat=STEPS))
PAIRS = list(itertools.combinations_with_replacement(range(len(PATHS)), 2))
CREDITS = ("caption", "word")


def estimated(kind: str, samples: int = 2, control: bool = True, **arguments) -> LitShowAttendTell:
    """A captioner with that estimator and nothing beside it, whose weights are far from where they start."""
    plain = {"expected": 0.0, "reward_weight": 1.0, "entropy_weight": 0.0, "penalty": 0.0}
    estimator = {"kind": kind, "samples": samples, "control": control}
    return lit(attention="hard", estimator=estimator, inference=kind == "wake_q", **{**plain, **arguments}).train()


class Enumerated(NamedTuple):
    """Of every way to look at three places for two words: what each step says, and what makes a network look so."""

    log_y: torch.Tensor  # (paths, steps)
    log_p: torch.Tensor
    log_q: torch.Tensor
    noise: torch.Tensor  # in the middle of what draws each place


def log_q(net, h: torch.Tensor, word: torch.Tensor, a: torch.Tensor, log_alpha: torch.Tensor) -> torch.Tensor:
    """What the inference network must say of one picture, place by place; the policy's where there is none."""
    if net.inference is None:
        return log_alpha.detach()
    p = dict(net.inference.named_parameters())
    hidden = p["join.weight"] @ torch.cat([h.detach(), p["embed.weight"][word]]) + p["join.bias"]
    wanted = p["prefer.weight"] @ hidden.tanh()
    energies = torch.stack([log_alpha[i].detach() + place @ wanted for i, place in enumerate(a)])
    return energies - energies.exp().sum().log()


def enumerate_paths(model: LitShowAttendTell, batch: dict) -> Enumerated:
    """By loops over paths and words, on torch's own operations."""
    net, caption, rows = model.network, batch["caption"], []
    for path in PATHS:
        memory = net.encode(batch["image"])
        h, c = (each[:, 0] for each in net.start(memory)[:2])
        steps = []
        for t, place in enumerate(path):
            log_alpha = net.look(h[:, None], memory)[0, 0]
            drawn = log_q(net, h[0], caption[0, t + 1], memory.a[0], log_alpha)
            below = drawn.detach().exp()
            number = below[:place].sum() + below[place] / 2
            z = net.context(torch.eye(PLACES).double()[place].view(1, 1, -1), h[:, None], memory)[:, 0]
            Ey = net.E(caption[:, t])
            h, c = net.advance(net.from_word(Ey), z, h, c)
            log_y = net.words(Ey, h, z).log_softmax(-1)[0, caption[0, t + 1]]
            steps.append(torch.stack([log_y, log_alpha[place], drawn[place], number]))
        rows.append(torch.stack(steps))
    return Enumerated(*torch.stack(rows).unbind(2))


def drawing(noise: torch.Tensor):
    """In the place of zoo.nn.random.uniform: those numbers for the places, and never an expectation."""
    return lambda key, *shape, stream: noise.mT if stream == 2 else torch.ones(len(key), *shape)


def mean_gradient(model: LitShowAttendTell, batch: dict, of: Enumerated, monkeypatch) -> list[torch.Tensor]:
    """What the loss's gradient is on average over all draws of two paths, each as probable as it is."""
    parameters = list(model.network.parameters())
    chances = (of.log_q if model.estimator.infers else of.log_p).detach().sum(1).exp()
    total = [torch.zeros_like(p) for p in parameters]
    for i, j in PAIRS:
        noise = of.noise[None, [i, j]].detach()
        monkeypatch.setattr(module, "uniform", drawing(noise))
        found = torch.autograd.grad(model.loss(batch)["loss"], parameters, allow_unused=True, materialize_grads=True)
        for into, gradient in zip(total, found, strict=True):
            into += (1 + (i != j)) * chances[i] * chances[j] * gradient
    return total


def right_loss(kind: str, credit: str, of: Enumerated) -> torch.Tensor:
    """A number whose gradient the mean of the loss's gradient must be, summed over all pairs of paths."""
    proposal = of.log_q if kind == "wake_q" else of.log_p
    chance = proposal.sum(1).exp()
    if kind in ("wake_p", "wake_q"):
        chance = chance.detach()
    units = [slice(None)] if credit == "caption" else [slice(t, t + 1) for t in range(STEPS)]
    value = 0.0
    for unit in units:
        log_y, log_p, log_r = (each[:, unit].sum(1) for each in (of.log_y, of.log_p, proposal))
        for i, j in itertools.product(range(len(PATHS)), repeat=2):
            pair = [i, j]
            if kind == "var" and credit == "caption":  # the bound itself
                value = value - chance[i] * chance[j] * log_y[pair].mean()
            elif kind == "var":  # each place answered by its own word alone
                scored = log_y + log_y.detach() * log_p
                value = value - (chance[i] * chance[j]).detach() * scored[pair].mean()
            elif kind == "vimco" and credit == "caption":
                value = value - chance[i] * chance[j] * log_y[pair].exp().mean().log()
            else:  # for a proposal held fixed, the bound of two samples
                weighed = (log_y + log_p - log_r.detach())[pair]
                value = value - chance[i] * chance[j] * weighed.exp().mean().log()
    return value


def controlled_loss(credit: str, of: Enumerated) -> torch.Tensor:
    """As :func:`right_loss` of samples of q with a control variate: w of log p(y|a), and w - v of log p(a)."""
    chance = of.log_q.detach().sum(1).exp()
    units = [slice(None)] if credit == "caption" else [slice(t, t + 1) for t in range(STEPS)]
    value = 0.0
    for unit in units:
        log_y, log_p, log_r = (each[:, unit].sum(1) for each in (of.log_y, of.log_p, of.log_q))
        for i, j in itertools.product(range(len(PATHS)), repeat=2):
            pair = [i, j]
            w, v = ((each[pair]).detach().softmax(0) for each in (log_y + log_p - log_r, log_p - log_r))
            value = value - chance[i] * chance[j] * (w * log_y[pair] + (w - v) * log_p[pair]).sum()
    return value


CASES = [*itertools.product(("var", "wake_p", "wake_q"), CREDITS, (False, True)), ("vimco", "caption", True)]


@pytest.mark.parametrize(("kind", "credit", "control"), CASES)
def test_the_mean_gradient_is_that_of_the_enumerated_bound(kind, credit, control, monkeypatch):
    """Of two samples; control variates leave it where they are unbiased, which for samples of q they are not.

    For these the right gradient is that of the sheet's estimator, summed over all pairs of draws.
    """
    model, batch = estimated(kind, control=control, credit=credit), batch_of((1,), places=(1, PLACES))
    with plain_autograd():
        of = enumerate_paths(model, batch)
        assert of.log_p.sum(1).exp().sum().item() == pytest.approx(1, abs=1e-6)
        assert of.log_q.sum(1).exp().sum().item() == pytest.approx(1, abs=1e-6)
        policy = [name for name, _ in model.network.named_parameters() if not name.startswith("inference.")]
        parameters = [dict(model.network.named_parameters())[name] for name in policy]
        value = controlled_loss(credit, of) if kind == "wake_q" and control else right_loss(kind, credit, of)
        right = torch.autograd.grad(value, parameters, allow_unused=True, materialize_grads=True)
    found = dict(zip(dict(model.network.named_parameters()), mean_gradient(model, batch, of, monkeypatch), strict=True))
    worst = max((found[name] - each).abs().max().item() for name, each in zip(policy, right, strict=True))
    assert worst < 2e-5
    assert found["f_att.v_a"].abs().max() > 1e-3


@pytest.mark.parametrize("credit", CREDITS)
def test_the_inference_network_learns_the_posterior_by_the_weights_of_its_own_samples(credit, monkeypatch):
    model, batch = estimated("wake_q", control=True, credit=credit), batch_of((1,), places=(1, PLACES))
    parameters = dict(model.network.inference.named_parameters())
    units = [slice(None)] if credit == "caption" else [slice(t, t + 1) for t in range(STEPS)]
    with plain_autograd():
        of, value = enumerate_paths(model, batch), 0.0
        chance = of.log_q.detach().sum(1).exp()
        for unit in units:
            log_y, log_p, log_r = (each[:, unit].sum(1) for each in (of.log_y, of.log_p, of.log_q))
            for i, j in itertools.product(range(len(PATHS)), repeat=2):
                pair = [i, j]
                w = (log_y + log_p - log_r)[pair].exp()
                w = (w / w.sum()).detach()
                value = value - chance[i] * chance[j] * ((w - 0.5) * log_r[pair]).sum()
        right = torch.autograd.grad(value, parameters.values())
    found = dict(zip(dict(model.network.named_parameters()), mean_gradient(model, batch, of, monkeypatch), strict=True))
    for name, each in zip(parameters, right, strict=True):
        torch.testing.assert_close(found[f"inference.{name}"], each, atol=1e-5, rtol=1e-4, msg=name)
    assert max(each.abs().max() for each in right) > 1e-3


@pytest.mark.parametrize("told", [False, True])
def test_samples_of_a_picture_are_one_batch_and_each_is_its_own(told):
    """Row m is what a batch of that sample alone says, and what the equations say, place by place."""
    net, batch = network(attention="hard", inference=True), batch_of()
    caption, following = batch["caption"][:, :-1], batch["caption"][:, 1:] if told else None
    noise = torch.rand(3, 4, caption.shape[1], generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    calls = []
    net.f_att.U_a.register_forward_hook(lambda *_: calls.append(1))
    found = net(batch["image"], caption, noise, following=following)
    assert len(calls) == 1, "annotations are projected once for all samples"
    for m in range(4):
        alone = net(batch["image"], caption, noise[:, m], following=following)
        for one, other in zip(found, alone, strict=True):
            torch.testing.assert_close(one[m::4], other)
    for row, m in itertools.product(range(3), range(4)):
        oracle = Oracle(net)
        oracle.begin(batch["image"][row].numpy())
        for t, word in enumerate(caption[row].tolist()):
            log_alpha = torch.tensor(np.log(oracle.alpha()))
            drawn = log_alpha
            if told:
                h, a = torch.tensor(oracle.h), torch.tensor(oracle.a)
                drawn = log_q(net, h, following[row, t], a, log_alpha).detach()
            place = int((noise[row, m, t] > drawn.exp().cumsum(0)[:-1]).sum())
            logits, _ = oracle.write(word, place)
            np.testing.assert_allclose(found.logits[row * 4 + m, t].detach(), logits, atol=1e-5)
            assert found.log_s[row * 4 + m, t].item() == pytest.approx(log_alpha[place].item(), abs=1e-5)
            assert found.log_r[row * 4 + m, t].item() == pytest.approx(drawn[place].item(), abs=1e-5)


def test_an_inference_network_starts_as_the_policy_and_other_words_change_what_is_drawn_alone():
    batch = batch_of()
    caption, following = batch["caption"][:, :-1], batch["caption"][:, 1:]
    noise = uniform(batch["key"], 3, caption.shape[1])
    torch.manual_seed(0)
    fresh = LitShowAttendTell(vocabulary=WORDS, encoder=None, attention="hard", inference=True, **TINY).network.double()
    fresh.eval()
    for one, other in zip(fresh(batch["image"], caption, noise), fresh(batch["image"], caption, noise), strict=True):
        assert torch.equal(one, other)
    started = fresh(batch["image"], caption, noise, following=following)
    torch.testing.assert_close(started.log_r, started.log_s)
    net = network(attention="hard", inference=True)
    one = net(batch["image"], caption, noise, following=following)
    other = net(batch["image"], caption, noise, following=following.flip(0))
    assert not torch.equal(one.log_r, other.log_r) and not torch.equal(one.logits, other.logits)
    first = one.alpha[:, 0]
    torch.testing.assert_close(first, other.alpha[:, 0])  # the policy has seen nothing of what follows


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_of_the_estimator_takes_part_and_no_gradient_crosses(kind):
    model, batch = estimated(kind, samples=3), batch_of()
    terms = model.loss(batch)
    terms["loss"].backward(retain_graph=True)
    assert all(p.grad is not None for p in model.parameters())
    if kind == "wake_q":
        of_q = list(model.network.inference.parameters())
        theta = [p for name, p in model.network.named_parameters() if not name.startswith("inference.")]
        for term, others in (("wake_p", of_q), ("wake_q", theta)):
            found = torch.autograd.grad(terms[term], others, allow_unused=True, retain_graph=True)
            assert all(each is None for each in found)
    assert 1 <= terms["ess"] <= 3 and not terms["ess"].requires_grad
    total = sum(terms[name] for name in terms.keys() - {"loss", "ess", "nll"})
    assert terms["loss"].item() == pytest.approx(total.item())


@pytest.mark.parametrize("credit", CREDITS)
@pytest.mark.parametrize("kind", KINDS)
def test_padding_changes_nothing(kind, credit):
    model = estimated(kind, credit=credit, penalty=0.3, entropy_weight=0.2)
    short, long = batch_of((3, 2)), batch_of((3, 2))
    long["caption"] = torch.nn.functional.pad(long["caption"], (0, 4))
    found = [{name: term.item() for name, term in model.loss(batch).items()} for batch in (short, long)]
    assert found[0] == pytest.approx(found[1], rel=1e-6)


@pytest.mark.parametrize("credit", CREDITS)
def test_what_stands_beside_the_estimator_in_numbers(credit):
    """By loops over samples: the penalty and the entropy of a caption are means over its samples, the bound is one."""
    model, batch = estimated("wake_p", samples=3, credit=credit, penalty=0.3, entropy_weight=0.2), batch_of()
    label = batch["caption"][:, 1:]
    noise = module.uniform(batch["key"], label.shape[1], 3, stream=2).mT
    told = model.network(batch["image"], batch["caption"][:, :-1], noise)
    alpha, log_y = told.alpha.detach().double().numpy(), told.logits.detach().double().log_softmax(-1).numpy()
    penalty = entropy = bound = 0.0
    for row, words in enumerate((label != 0).sum(1).tolist()):
        said = np.zeros((3, words))
        for m in range(3):
            looked = alpha[3 * row + m, :words]
            penalty += ((1 - looked.sum(0)) ** 2).sum() / 3
            entropy -= (looked * np.log(looked)).sum() / 3
            said[m] = [log_y[3 * row + m, t, label[row, t]] for t in range(words)]
        said = said.sum(1, keepdims=True) if credit == "caption" else said
        bound -= np.log(np.exp(said).mean(0)).sum()
    terms = model.loss(batch)
    assert terms["penalty"].item() == pytest.approx(0.3 * penalty / 3, rel=1e-5)
    assert terms["entropy"].item() == pytest.approx(-0.2 * entropy / 3, rel=1e-5)
    assert terms["nll"].item() == pytest.approx(bound / 3, rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_samples_of_a_picture_share_what_dropout_leaves_out(kind):
    """At one place all samples of a word are one, so that all are equally good, whatever is left out."""
    model, batch = estimated(kind, samples=4, credit="word", dropout=0.5), batch_of(places=(1, 1))
    found = [model.loss(batch) for _ in range(2)]
    assert found[0]["ess"].item() == pytest.approx(4)
    assert found[0]["nll"].item() != found[1]["nll"].item(), "and something is left out"


@pytest.mark.parametrize("kind", KINDS)
def test_where_the_expectation_is_taken_nothing_is_drawn(kind):
    """The likelihood alone is left, and it is the one of the network that draws nothing."""
    model, batch = estimated(kind, samples=3, expected=1.0), batch_of()
    plain = lit(attention="hard", penalty=0.0, expected=1.0)
    plain.network.load_state_dict(model.network.state_dict(), strict=False)
    found, right = model.loss(batch), plain.eval().loss(batch)["nll"]
    assert found["loss"].item() == pytest.approx(right.item(), rel=1e-6)
    found["loss"].backward()
    right.backward()
    for name, parameter in plain.network.named_parameters():
        other = dict(model.network.named_parameters())[name].grad
        torch.testing.assert_close(other, parameter.grad, atol=1e-6, rtol=1e-5, msg=name)


def test_reward_weight_is_a_share_of_the_policys_gradient_and_leaves_the_loss():
    batch, found = batch_of(), []
    for share in (0.0, 0.25, 1.0):
        model = estimated("wake_p", samples=3, reward_weight=share)
        loss = model.loss(batch)["loss"]
        found.append((loss.item(), torch.autograd.grad(loss, model.network.f_att.v_a)[0]))
    (value, none), (same, part), (_, whole) = found
    assert value == same and whole.sub(none).abs().max() > 1e-3
    torch.testing.assert_close(part - none, 0.25 * (whole - none), atol=1e-7, rtol=1e-4)


def test_an_inference_network_that_nobody_asks_does_not_learn():
    for estimator in (None, {"kind": "var"}):
        model = lit(attention="hard", inference=True, estimator=estimator)
        assert not any(p.requires_grad for p in model.network.inference.parameters())
    assert all(p.requires_grad for p in estimated("wake_q").network.inference.parameters())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"attention": "soft", "estimator": {"kind": "var"}}, "attention is soft; estimators are of hard attention"),
        ({"attention": "hard", "estimator": {"kind": "wake_q"}}, "wake_q and inference is false"),
        ({"attention": "hard", "estimator": {"kind": "var", "entropy": 0.1}}, "has entropy_weight and penalty"),
        ({"attention": "soft", "inference": True}, "inference is true and attention is soft"),
        ({"attention": "hard", "estimator": {"kind": "var"}, "credit": "words"}, "credit"),
        ({"attention": "hard", "credit": "word"}, "credit is 'word' and there is no estimator"),
        ({"attention": "hard", "estimator": {"kind": "var"}, "hard_scaling": "authors"}, "beside an estimator"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(arguments, message):
    with pytest.raises(ZooError, match=message):
        lit(**arguments)


def test_words_that_follow_need_an_inference_network():
    net, batch = network(attention="hard"), batch_of()
    with pytest.raises(ZooError, match="no inference network"):
        net(batch["image"], batch["caption"], torch.rand(3, 7), following=batch["caption"])
