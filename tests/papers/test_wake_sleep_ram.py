"""Wake-sleep RAM: the equations, the routing of gradients, and its likelihood with all choices of scale enumerated."""

import itertools
import math

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

import zoo
from datamodules.mnist import MNIST
from tests import small
from tests.conftest import called
from tests.nn.test_glimpse import slow_retina
from tests.papers import test_show_attend_tell as captioning
from zoo import release
from zoo.errors import ZooError
from zoo.models.wake_sleep_ram.module import LitWakeSleepRAM, log_answer
from zoo.models.wake_sleep_ram.network import Glance, WakeSleepRAM
from zoo.models.wake_sleep_ram.noise import draw_noise
from zoo.models.wake_sleep_ram.variance import gradient_variance
from zoo.nn.estimators import KINDS, coverage_loss, effective_sample_size, importance_weights
from zoo.nn.random import normal, uniform
from zoo.pipelines import InputError
from zoo.training import running

TINY = {"num_glimpses": 3, "glimpse_size": 4, "hidden": 16, "context": 5}
QUICK = {"wake_sleep_ram": {"num_glimpses": 2, "glimpse_size": 4, "hidden": 16, "context": 5, "test_samples": 2}}
QUICK["ram_baseline"] = {"hidden": 16}
QUICK |= captioning.QUICK
FILES = captioning.FILES
ALIKE = ("estimator.control",)  # with and without control variates a row is of one kind
OPTIONS = {  # see tests/test_options.py
    "wake_sleep_ram": {
        "estimator": {"estimator": {"kind": "wake_q", "samples": 3}},
        "inference": "a network that nobody asks draws nothing",
    }
}


def make(seed: int = 0, kind: str = "wake_q", samples: int = 3, control: bool = True, **arguments) -> LitWakeSleepRAM:
    heuristics = {name: arguments.pop(name) for name in ("temperature", "entropy", "coverage") if name in arguments}
    torch.manual_seed(seed)
    estimator = {"kind": kind, "samples": samples, "control": control, **heuristics}
    return LitWakeSleepRAM(estimator, **(TINY | arguments))


def make_batch(size: int = 5, side: int = 30, channels: int = 1, classes: int = 10, seed: int = 0) -> dict:
    random = torch.Generator().manual_seed(seed)
    return {
        "image": torch.rand(size, channels, side, side, generator=random),
        "label": torch.randint(classes, (size,), generator=random),
        "key": torch.randint(2**62, (size,), generator=random),
    }


def wander(network: WakeSleepRAM) -> WakeSleepRAM:
    """Heads that tell states and answers apart, as if they had learned."""
    with torch.no_grad():
        for head in (network.locate, network.choose, network.act, network.inference.shift, network.inference.prefer):
            nn.init.normal_(head.weight, std=0.5), nn.init.normal_(head.bias, std=0.3)
    return network


# --- the equations ----------------------------------------------------------------------------------------------------


def slow_forward(network: WakeSleepRAM, image: np.ndarray, noise: np.ndarray | None, label: int | None) -> dict:
    """One sequence of glimpses at one picture (channels, height, width), vector by vector."""
    weights = {name: p.detach().double().numpy() for name, p in network.named_parameters()}

    def linear(name, x):
        return weights[f"{name}.weight"] @ x + weights[f"{name}.bias"]

    def relu(x):
        return np.maximum(x, 0)

    def log_softmax(x):
        return x - np.log(np.exp(x - x.max()).sum()) - x.max()

    channels, height, width = image.shape
    side, size, sigma = network.context.side, network.glimpse_size, network.sigma
    coarse = image.reshape(channels, side, height // side, side, width // side).mean((2, 4)).ravel()
    h = relu(linear("context.start", relu(linear("context.see", coarse))))
    u, out = np.zeros_like(h), {"locations": [], "scales": [], "log_p": 0, "log_r": 0}
    for n in range(network.num_glimpses):
        q = p = (linear("locate", h), linear("choose", h))
        if label is not None:
            given = np.concatenate((h, weights["inference.embed.weight"][label]))
            u = relu(linear("inference.core.recurrent", u) + linear("inference.core.input", given))
            q = (p[0] + linear("inference.shift", u), p[1] + linear("inference.prefer", u))
        p, q = ((np.tanh(mean), logits) for mean, logits in (p, q))
        if noise is None:
            place, scale = q[0], int(q[1].argmax())
        else:
            place = q[0] + sigma * noise[n, :2]
            scale = int((noise[n, 2] > np.exp(log_softmax(q[1])).cumsum()[:-1]).sum())
        for name, (mean, logits) in (("log_p", p), ("log_r", q)):
            density = -(((place - mean) / sigma) ** 2).sum() / 2 - math.log(2 * math.pi * sigma**2)
            out[name] += density + log_softmax(logits)[scale]
        location = place.clip(-1, 1)
        x, y = round((location[0] + 1) / 2 * width), round((location[1] + 1) / 2 * height)
        seen = slow_retina(image, x, y, size, network.num_scales).reshape(network.num_scales, -1)[scale]
        where = np.concatenate((location, np.eye(network.num_scales)[scale]))
        h_g, h_l = relu(linear("glimpse.what", seen)), relu(linear("glimpse.where", where))
        g = relu(linear("glimpse.join_what", h_g) + linear("glimpse.join_where", h_l))
        h = relu(linear("core.recurrent", h) + linear("core.input", g))
        out["locations"].append(location), out["scales"].append(scale)
    return out | {"logits": linear("act", h)}


@pytest.mark.parametrize("told", [False, True])
@settings(deadline=None, max_examples=8, derandomize=True)
@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 2), st.integers(0, 99))
def test_forward_is_the_equations(told, glimpses, scales, channels, seed):
    torch.manual_seed(seed)
    arguments = {"num_glimpses": glimpses, "num_scales": scales, "channels": channels}
    network = wander(WakeSleepRAM(**(TINY | arguments)))
    image, noise = torch.rand(2, channels, 20, 30), draw_noise(torch.arange(2), 3, glimpses)
    label = torch.tensor([3, 8]) if told else None
    sampled, likeliest = network(image, noise, label), network(image, None, label)
    for i in range(2):
        known = int(label[i]) if told else None
        for m in range(4):
            rollout, each, row = (likeliest, None, 0) if m == 3 else (sampled, noise[i, m].double().numpy(), m)
            slow = slow_forward(network, image[i].double().numpy(), each, known)
            for name, value in slow.items():
                ours = getattr(rollout, name)[i, row].detach().numpy()
                np.testing.assert_allclose(ours, value, rtol=1e-3, atol=1e-3, err_msg=name)


def test_the_probability_of_a_glance_is_that_of_torch():
    network, (batch, samples) = WakeSleepRAM(**TINY, sigma=0.3), (4, 3)
    glance = Glance(torch.randn(batch, samples, 2), torch.randn(batch, samples, 3))
    place, scale = torch.randn(batch, samples, 2), torch.randint(3, (batch, samples))
    for temperature in (1.0, 2.0):
        place_of = torch.distributions.Normal(glance.mean, temperature * 0.3)
        scale_of = torch.distributions.Categorical(logits=glance.logits / temperature)
        right = place_of.log_prob(place).sum(-1) + scale_of.log_prob(scale)
        torch.testing.assert_close(network.log_prob(glance, place, scale, temperature), right)


def test_a_sampled_glance_has_the_moments_of_its_distribution():
    network, n = WakeSleepRAM(**TINY, sigma=0.2), 20_000
    glance = Glance(torch.tensor([[[0.3, -0.5]]]), torch.tensor([[[0.0, 1.0, -1.0]]]))
    place, scale = network.draw(glance, draw_noise(torch.arange(1), n, 1)[:, :, 0], temperature=2.0)
    torch.testing.assert_close(place.mean((0, 1)), glance.mean[0, 0], rtol=0, atol=4 * 0.4 / n**0.5)
    torch.testing.assert_close(place.std((0, 1)), torch.full((2,), 0.4), rtol=0.03, atol=0)
    p = (glance.logits[0, 0] / 2).softmax(-1)
    assert ((scale[0].bincount(minlength=3) / n - p).abs() < 4 * (p * (1 - p) / n).sqrt()).all()


def test_noise_belongs_to_a_sample():
    key = torch.tensor([5, -7])
    noise = draw_noise(key, 3, 2)
    torch.testing.assert_close(noise[..., :2], normal(key, 3, 2, 2, stream=0))
    torch.testing.assert_close(noise[..., 2], uniform(key, 3, 2, stream=1))
    assert torch.equal(draw_noise(key[1:], 3, 2)[0], noise[1]) and not torch.equal(draw_noise(key, 3, 2, 1), noise)


# --- the inference network --------------------------------------------------------------------------------------------


def test_q_starts_as_p():
    lit, batch = make(), make_batch()
    rollout = lit.rollout(batch)
    torch.testing.assert_close(rollout.log_r, rollout.log_p)
    assert (lit.rollout({**batch, "label": (batch["label"] + 1) % 10}).locations == rollout.locations).all()


def replay(network: WakeSleepRAM, image: torch.Tensor, locations: torch.Tensor, scales: torch.Tensor):
    """The answer after given glimpses, and log p of them: no label comes in."""
    h, log_p = network.context(image)[:, None], 0
    surface = zoo.nn.glimpse.integral_image(image)
    for n in range(network.num_glimpses):
        log_p = log_p + network.log_prob(network.bounded(network.policy(h)), locations[:, :, n], scales[:, :, n])
        h = network.step(surface, locations[:, :, n], scales[:, :, n], h)
    return network.act(h), log_p


def test_the_label_changes_what_is_drawn_and_nothing_else():
    lit, batch = make(), make_batch(8)
    wander(lit.network)
    with torch.no_grad():
        for p in (*lit.network.locate.parameters(), *lit.network.inference.shift.parameters()):
            p.mul_(0.1)  # all places within the picture, so that none is clamped
    one, two = (lit.rollout({**batch, "label": label}) for label in (batch["label"], batch["label"].roll(1)))
    assert not torch.equal(one.locations, two.locations) and not torch.equal(one.scales, two.scales)
    for rollout in (one, two):
        assert rollout.locations.abs().max() < 1
        logits, log_p = replay(lit.network, batch["image"], rollout.locations, rollout.scales)
        torch.testing.assert_close(rollout.logits, logits)
        torch.testing.assert_close(rollout.log_p, log_p)


def test_no_mean_leaves_the_picture():
    """However far the heads have drifted: all that is outside is black, and nothing would lead back."""
    network = wander(WakeSleepRAM(**TINY))
    with torch.no_grad():
        network.locate.bias.copy_(torch.tensor([50.0, -50.0])), network.inference.shift.bias.fill_(-200.0)
    image, noise, label = torch.rand(2, 1, 20, 30), draw_noise(torch.arange(2), 3, 3), torch.tensor([3, 8])
    assert network(image, noise).means.abs().max() <= 1
    told = network(image, 0 * noise, label).locations
    torch.testing.assert_close(told, -torch.ones_like(told))


def test_what_says_where_to_look_has_a_learning_rate_of_its_own():
    """A first step of Adam is as long as its rate: a quarter for the heads of places and scales, and for q."""
    lit, batch = make(policy_rate=0.25, optimizer={"_target_": "torch.optim.Adam", "lr": 0.01}), make_batch()
    wander(lit.network)
    before = {name: p.detach().clone() for name, p in lit.network.named_parameters()}
    optimizer = instantiate(lit.optimizer, lit.parameter_groups())
    lit.loss(batch)["loss"].backward(), optimizer.step()
    for name, p in lit.network.named_parameters():
        head = name.startswith(("locate.", "choose.", "inference."))
        moved = (p.detach() - before[name]).abs().max().item()
        assert moved == pytest.approx(0.0025 if head else 0.01, rel=1e-2), name
    with pytest.raises(ZooError, match="the optimizer has no lr"):
        make(optimizer={"_target_": "torch.optim.SGD"}).parameter_groups()


def test_wake_p_trains_theta_alone_and_wake_q_eta_alone():
    lit, batch = make(), make_batch()
    wander(lit.network)
    terms = lit.loss(batch)
    for name in ("wake_p", "wake_q"):
        lit.zero_grad()
        terms[name].backward(retain_graph=True)
        got = {name for name, p in lit.network.named_parameters() if p.grad is not None and p.grad.any()}
        inner = {name for name in got if name.startswith("inference.")}
        assert got and inner == (got if name == "wake_q" else set())


def test_a_proposal_that_is_spread_wider_is_weighed_for_it():
    lit, batch = make(kind="wake_p", temperature=1.5), make_batch()
    rollout = lit.rollout(batch)
    log_y = log_answer(rollout.logits, batch["label"])
    assert not torch.allclose(rollout.log_p, rollout.log_r)
    weights = (log_y + rollout.log_p - rollout.log_r).softmax(-1)
    torch.testing.assert_close(lit.loss(batch)["ess"], (1 / weights.square().sum(-1)).mean())


# --- the likelihood, with all choices of scale enumerated -------------------------------------------------------------


@pytest.mark.parametrize("kind", ["wake_p", "wake_q"])
def test_the_gradient_is_that_of_the_marginal_likelihood_over_all_sequences_of_scales(kind):
    """Two glimpses at a fixed place leave nine sequences; what trains the place is left out."""
    lit = make(3, kind=kind, samples=1000, num_glimpses=2, sigma=1e-3, hidden=8)
    network, batch = wander(lit.network), make_batch(1)
    with torch.no_grad():
        for head in (network.locate, network.inference.shift):
            nn.init.zeros_(head.weight), nn.init.zeros_(head.bias)
        network.act.weight.mul_(10), network.glimpse.where.weight.mul_(3)
    wrt = [p for name, p in network.named_parameters() if not name.startswith(("inference.", "locate."))]
    scales = torch.tensor(list(itertools.product(range(3), repeat=2)))[None]  # (1, 9, 2)
    still = torch.zeros(1, 9, 2, 2)
    logits, log_p = replay(network, batch["image"], still, scales)
    log_p = log_p - log_p.exp().sum().log()  # without the density of the place, which is one for all
    marginal = (log_p + log_answer(logits, batch["label"])).logsumexp(-1)
    assert log_answer(logits, batch["label"]).std() > 0.3, "the choice matters"
    often = {name: value.expand(50, *value.shape[1:]) for name, value in batch.items()} | {"key": torch.arange(50)}
    right, ours = (torch.autograd.grad(x.sum(), wrt) for x in (marginal, -lit.loss(often)["wake_p"]))
    for one, two in zip(right, ours, strict=True):
        torch.testing.assert_close(two, one, rtol=0, atol=0.05 * max(r.abs().max().item() for r in right))
    rollout = lit.rollout(batch)
    weights = importance_weights(log_answer(rollout.logits, batch["label"]), rollout.log_p, rollout.log_r)
    torch.testing.assert_close(lit.loss(batch)["ess"], effective_sample_size(weights).mean())


# --- training and use -------------------------------------------------------------------------------------------------


def test_samples_are_one_batch():
    lit, batch = make(samples=4), make_batch()
    wander(lit.network)
    noise = draw_noise(batch["key"], 4, 3)
    together = lit.network(batch["image"], noise, batch["label"])
    for m in range(4):
        alone = lit.network(batch["image"], noise[:, m : m + 1], batch["label"])
        for ours, one in zip(together, alone, strict=True):
            torch.testing.assert_close(ours[:, m : m + 1], one, rtol=1e-4, atol=1e-4)


def test_a_batch_of_many_equals_one_by_one():
    lit, batch = make(), make_batch(6)
    together = lit.rollout(batch)
    for i in range(6):
        alone = lit.rollout({name: value[i : i + 1] for name, value in batch.items()})
        for ours, one in zip(together, alone, strict=True):
            torch.testing.assert_close(ours[i : i + 1], one, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_reach_every_parameter_that_the_estimator_trains(kind):
    lit = make(kind=kind)
    wander(lit.network)
    lit.loss(make_batch(16))["loss"].backward()
    idle = {name for name, p in lit.network.named_parameters() if p.grad is None or not p.grad.any()}
    inner = {name for name, _ in lit.network.named_parameters() if name.startswith("inference.")}
    assert idle == (set() if kind == "wake_q" else inner)


@pytest.fixture(scope="module")
def digits() -> dict[str, torch.Tensor]:
    """Some scaled training digits, the same key at every step."""
    data = MNIST(canvas=40, scale=[0.5, 1.4])
    data.setup()
    return data.batch("train", torch.arange(24))


@pytest.mark.parametrize("kind", KINDS)
def test_overfits_one_batch(kind, digits):
    """With other noise at every step: of the same, a policy runs after its own noise."""
    lit = make(kind=kind, hidden=64, glimpse_size=8, context=10, inference=kind == "wake_q")
    optimizer = torch.optim.Adam(lit.parameters(), 3e-3)
    for _ in range(100):
        optimizer.zero_grad()
        terms = lit.loss({**digits, "key": torch.randint(2**62, (24,))})
        terms["loss"].backward()
        nn.utils.clip_grad_norm_(lit.parameters(), 5.0)
        optimizer.step()
    assert terms["nll"] < 0.2 and lit.evaluate(digits, "val")["error"].compute() == 0


def test_the_inference_network_lives(digits):
    """At the rate of the rest a hundred updates leave a fortieth of its units; q then is p and stays so."""
    given = {"policy_weight": 0.3, "hidden": 64, "glimpse_size": 8, "context": 10}
    lit = make(policy_rate=0.1, optimizer={"_target_": "torch.optim.Adam", "lr": 2e-3}, **given)
    optimizer, units = instantiate(lit.optimizer, lit.parameter_groups()), []
    lit.network.inference.register_forward_hook(lambda module, inputs, outputs: units.append(outputs[0]))
    for _ in range(100):
        optimizer.zero_grad()
        lit.loss({**digits, "key": torch.randint(2**62, (24,))})["loss"].backward()
        nn.utils.clip_grad_norm_(lit.parameters(), 5.0)
        optimizer.step()
    assert (units[-1] > 0).float().mean() > 0.2


def test_the_loss_is_the_sum_of_its_terms_and_the_rest_is_watched():
    terms = make(entropy=0.1, coverage=0.2).loss(make_batch())
    assert list(terms) == ["loss", "wake_p", "wake_q", "entropy", "coverage", "ess", "nll", "error", "apart"]
    torch.testing.assert_close(terms["loss"], sum(list(terms.values())[1:5]))
    assert not any(terms[name].requires_grad for name in ("ess", "nll", "error"))
    assert 1 <= terms["ess"] <= 3 and 0 <= terms["error"] <= 100


@pytest.mark.parametrize("temperature", [1.0, 1.7])
def test_what_is_watched_in_numbers(temperature):
    """Samples of a warmer proposal are weighed by it, in the bound too; places are as much wider as it is warmer."""
    lit, batch = make(kind="wake_q", samples=4, temperature=temperature), make_batch(7, classes=3)
    wander(lit.network)
    noise = draw_noise(batch["key"], 4, 3)
    rollout = lit.network(batch["image"], noise, batch["label"], temperature)
    first = rollout.log_r - rollout.log_q
    assert torch.equal(first, torch.zeros_like(first)) == (temperature == 1)
    log_y = rollout.logits.log_softmax(-1)[torch.arange(7), :, batch["label"]]
    f = (log_y + rollout.log_p - rollout.log_r).detach()
    terms = lit.loss(batch)
    torch.testing.assert_close(terms["nll"], -f.double().exp().mean(1).log().mean().float())
    wrong = (rollout.logits.argmax(-1) != batch["label"][:, None]).float().mean()
    torch.testing.assert_close(terms["error"], 100 * wrong)
    torch.testing.assert_close(terms["ess"], effective_sample_size(f.softmax(-1)).mean())
    torch.testing.assert_close(terms["apart"], (rollout.log_q - rollout.log_p).mean())


def test_a_warmer_proposal_draws_wider_and_wake_q_teaches_q_itself():
    """The first glimpse: a place lies T sigma times its noise from the mean, and its densities are those at 1 and T."""
    lit, batch = make(temperature=3.0, num_glimpses=1, sigma=0.02), make_batch()
    wander(lit.network)
    noise = draw_noise(batch["key"], 3, 1)
    rollout = lit.network(batch["image"], noise, batch["label"], 3.0)
    mean = lit.network(batch["image"], None, batch["label"]).locations  # q's likeliest place
    expected = (mean + 3 * 0.02 * noise[..., :2]).clamp(-1, 1)
    torch.testing.assert_close(rollout.locations, expected)
    terms, share = lit.loss(batch), 1 / 3
    log_y = log_answer(rollout.logits, batch["label"])
    w = importance_weights(log_y, rollout.log_p, rollout.log_r)
    v = (rollout.log_q - rollout.log_r).detach().softmax(-1)
    assert (v - share).abs().max() > 0.01
    torch.testing.assert_close(terms["wake_q"], -((w - v) * rollout.log_q).sum(-1).mean())


@pytest.mark.parametrize("name", ["entropy", "coverage"])
def test_a_heuristic_moves_the_policy_the_way_it_says(name):
    """Downhill of its term choices become more even, or glimpses spread over more of the picture."""
    lit, batch = make(kind="var", **{name: 1.0}), make_batch()
    wander(lit.network)

    def reached() -> float:
        rollout = lit.rollout(batch)
        if name == "entropy":
            return torch.distributions.Categorical(logits=rollout.choices).entropy().sum(-1).mean().item()
        return -coverage_loss(rollout.means, lit.network.sigma).mean().item()

    before = reached()
    heads = list(lit.network.choose.parameters() if name == "entropy" else lit.network.locate.parameters())
    for _ in range(20):
        for head, gradient in zip(heads, torch.autograd.grad(lit.loss(batch)[name], heads), strict=True):
            head.data -= 0.05 * gradient
    assert reached() > before + 0.01


def test_a_part_of_the_policys_gradient():
    """The value stays, the gradient of what only the policy trains is multiplied."""
    whole, part = make(kind="wake_p"), make(kind="wake_p", policy_weight=0.25)
    losses = [lit.loss(make_batch())["loss"] for lit in (whole, part)]
    torch.testing.assert_close(*losses)
    first, second = (
        torch.autograd.grad(loss, lit.network.choose.weight)[0] for loss, lit in zip(losses, (whole, part), strict=True)
    )
    torch.testing.assert_close(second, first / 4)


def test_entropy_and_coverage_in_numbers():
    lit, batch = make(kind="var", entropy=2.0), make_batch()
    log_p = lit.rollout(batch).choices
    entropy = torch.distributions.Categorical(logits=log_p).entropy().sum(-1).mean()
    torch.testing.assert_close(lit.loss(batch)["entropy"], -2 * entropy)
    corners = torch.tensor([[x, y] for x in (-0.75, -0.25, 0.25, 0.75) for y in (-0.75, -0.25, 0.25, 0.75)])
    assert coverage_loss(corners[None, None], 0.01).item() == pytest.approx(0, abs=1e-6)
    # all in one of sixteen cells: (1 - 16)^2 there and 1 elsewhere
    assert coverage_loss(corners[:1].expand(1, 1, 4, 2), 0.01).item() == pytest.approx((225 + 15) / 16, rel=1e-5)


def test_test_errors_are_of_the_likeliest_glimpses_of_one_sample_and_of_an_average():
    lit, batch = make(test_samples=4), make_batch(200, classes=3)
    metrics = {name: metric.compute().item() for name, metric in lit.evaluate(batch, "test").items()}
    noise = draw_noise(batch["key"], 4, 3)
    sampled = lit.network(batch["image"], noise).logits.softmax(-1)
    answers = (lit.network(batch["image"]).logits[:, 0], sampled[:, 0], sampled.mean(1))
    for name, answer in zip(("error", "error_sampled", "error_4_samples"), answers, strict=True):
        wrong = (answer.argmax(-1) != batch["label"]).float().mean().item()
        assert metrics[name] == pytest.approx(100 * wrong)


def test_boxes_are_as_wide_as_the_chosen_scales():
    lit, batch = make(), make_batch()
    network = wander(lit.network)
    noise = draw_noise(batch["key"], 1, 3)
    for label in (None, batch["label"]):
        rollout, attention = network(batch["image"], noise, label), network.record(batch["image"], noise, label)
        width = attention.boxes[..., 2] - attention.boxes[..., 0]
        assert torch.equal(width[:, :, 0], (4 * 2 ** rollout.scales[:, 0]).float())
        centre = (attention.boxes[..., :2] + attention.boxes[..., 2:]) / 2
        torch.testing.assert_close(centre[:, :, 0], ((rollout.locations[:, 0] + 1) * 15).round())
        assert attention.views.shape == (5, 3, 1, 4, 4) and len(rollout.scales.unique()) > 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"glimpse_size": 5}, "even number of cells"),
        ({"num_scales": 0}, "num_scales is 0"),
        ({"sigma": 0}, "sigma is 0"),
        ({"inference": False}, "wake_q draws from the inference network"),
        ({"policy_weight": -1}, "policy_weight is -1"),
        ({"kind": "sleep"}, "not one of var"),
    ],
)
def test_arguments_that_cannot_be_are_refused(given, message):
    with pytest.raises(ZooError, match=message):
        make(**given)


def test_pictures_and_labels_that_cannot_be_are_refused():
    with pytest.raises(ZooError, match="has the shape"):
        make().network(torch.rand(2, 3, 20, 20))
    with pytest.raises(ZooError, match="no inference network"):
        WakeSleepRAM(**TINY, inference=False)(torch.rand(1, 1, 20, 20), label=torch.tensor([1]))


# --- the pipeline -----------------------------------------------------------------------------------------------------


@pytest.fixture
def weights(tmp_path):
    """A folder of released weights."""
    torch.manual_seed(0)
    network = wander(WakeSleepRAM(**TINY))
    given = {"name": "wake_sleep_ram.scaled100_wsq_c", "config": TINY, "preprocess": {"size": 60, "digit": 28}}
    return release.save(network, tmp_path / "weights", **given)


@pytest.fixture
def pipe(weights):
    return zoo.pipeline(weights)


def bar() -> np.ndarray:
    """A bright bar on black, (60, 60) uint8."""
    picture = np.zeros((60, 60), np.uint8)
    picture[10:40, 25:33] = 255
    return picture


def test_the_pipeline_answers_with_the_path_of_p_or_of_q(pipe):
    plain, told = pipe(bar()), pipe(bar(), label=7)
    assert plain.attention.boxes.shape == (1, 3, 1, 4) and sum(plain.probabilities) == pytest.approx(1, abs=1e-5)
    assert not torch.equal(plain.attention.boxes, told.attention.boxes)
    several = pipe([bar(), bar()], samples=3)
    assert several[0].probabilities == pytest.approx(several[1].probabilities)
    assert several[0].probabilities != pytest.approx(plain.probabilities)
    image = torch.from_numpy(bar())[None, None] / 255
    torch.testing.assert_close(torch.tensor(plain.probabilities), pipe.network(image).logits[0, 0].softmax(-1))


@pytest.mark.parametrize(("option", "value"), [("label", 10), ("label", -1), ("samples", -1)])
def test_options_that_cannot_be_are_refused(pipe, option, value):
    with pytest.raises(InputError, match=f"{option} is {value}"):
        pipe(bar(), **{option: value})


# --- how much the gradient varies -------------------------------------------------------------------------------------


def test_gradient_variance_is_that_of_gradients_one_by_one():
    lit, batch = make(), make_batch(4)
    found = gradient_variance(lit, batch, draws=6, seed=3)
    random = torch.Generator().manual_seed(3)
    rows = []
    named = {name: p for name, p in lit.network.named_parameters() if not name.startswith("inference.")}
    for _ in range(6):
        key = torch.randint(2**62, (4,), generator=random)
        gradient = torch.autograd.grad(lit.loss({**batch, "key": key})["loss"], list(named.values()))
        rows.append({name: g.double().numpy() for name, g in zip(named, gradient, strict=True)})
    spread = {name: np.stack([row[name] for row in rows]).var(0, ddof=1).ravel() for name in named}
    heads = [spread[name] for name in spread if name.split(".")[0] in ("locate", "choose")]
    assert found["policy"] == pytest.approx(np.concatenate(heads).mean(), rel=1e-4)
    assert found["theta"] == pytest.approx(np.concatenate(list(spread.values())).mean(), rel=1e-4)
    assert all(p.grad is None for p in lit.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_control_variates_reduce_the_variance_of_the_policys_gradient(kind):
    batch, found = make_batch(8), []
    for control in (False, True):
        lit = make(kind=kind, samples=5, control=control)
        found.append(gradient_variance(lit, batch, draws=40)["policy"])
    assert found[1] < found[0] / 2


def test_the_variance_of_another_room_is_refused(composed, tmp_path):
    row = "wake_sleep_ram/emoji_var_c"
    with pytest.raises(ZooError, match="callbacks=variance is of wake_sleep_ram's rows"):
        running.train(composed(f"experiment={row}", *small.overrides(row, tmp_path), "callbacks=variance"))


def test_the_variance_is_logged_and_changes_nothing(composed, tmp_path):
    given = ("experiment=wake_sleep_ram/scaled100_wsq_c", *small.overrides("wake_sleep_ram/scaled100_wsq_c", tmp_path))
    weights = []
    for callbacks in ("variance", "default"):
        more = ("callbacks=variance", "callbacks.variance.every_n_steps=1", "callbacks.variance.draws=2")
        running.train(composed(*given, *(more if callbacks == "variance" else ()), "logger=csv"))
        if callbacks == "variance":
            (log,) = (tmp_path / "run").rglob("metrics.csv")
            assert "train/variance_policy" in log.read_text()
        weights.append(torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)["state_dict"])
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_the_script_prints_the_variance_of_every_estimator(weights):
    printed = called("estimators", str(weights), "--draws", "3", "--pictures", "2").stdout.splitlines()
    assert [line.split()[0] for line in printed[1:]] == list(KINDS)
    for line in printed[1:]:
        _, policy, controlled, ratio, *_ = line.split()
        assert float(policy) / float(controlled) == pytest.approx(float(ratio), rel=0.02, abs=0.01)


def test_the_pictures_of_the_room_are_drawn(weights, tmp_path):
    run = tmp_path / "run"
    (run / ".hydra").mkdir(parents=True)
    (run / ".hydra/config.yaml").write_text("estimator: {kind: wake_q, control: true, samples: 5}\n")
    (run / "metrics.csv").write_text(
        "step,train/error,train/variance_policy,train/ess\n0,,0.1,\n49,88.0,,4.9\n99,80.0,,4.5\n"
    )
    for words in (["curves", str(run)], ["paths", str(weights), "--pictures", "2"], ["posterior"]):
        called("figures/wake_sleep", *words, "--output", str(tmp_path / f"{words[0]}.png"))
        assert Image.open(tmp_path / f"{words[0]}.png").size[0] > 300
