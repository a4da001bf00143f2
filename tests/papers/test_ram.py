"""Recurrent Models of Visual Attention: the equations, the routing of gradients, and the policy gradient itself."""

import itertools
import lzma

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from datamodules.files import EMBEDDED
from datamodules.idx import parse_idx
from tests.nn.test_glimpse import slow_retina
from zoo.models.ram.module import LitRAM, draw_offsets
from zoo.models.ram.network import RAM, GlimpseNetwork, LSTMCore
from zoo.nn.random import normal, uniform

TINY = {"num_glimpses": 3, "glimpse_size": 4, "hidden": 16}
QUICK = {  # see tests/small.py
    "ram": {"num_glimpses": 3, "hidden": 16, "test_starts": 2},
    "ram_baseline": {"hidden": 16},
    "ram_catch": {"hidden": 16, "size": 8},
}
OPTIONS = {  # see tests/test_options.py
    "ram": {"estimator": {"estimator": {"kind": "wake_p", "samples": 3}}},
    "ram_baseline": {"channels": "the baselines take one"},
    "ram_catch": {
        "num_glimpses": "one for each frame",
        "channels": "the screen has one",
        "num_classes": "there are three actions",
    },
}


def make(seed: int = 0, **arguments) -> LitRAM:
    torch.manual_seed(seed)
    return LitRAM(**(TINY | arguments))


def make_batch(size: int = 5, side: int = 12, channels: int = 1, classes: int = 10, seed: int = 0) -> dict:
    random = torch.Generator().manual_seed(seed)
    return {
        "image": torch.rand(size, channels, side, side, generator=random),
        "label": torch.randint(classes, (size,), generator=random),
        "key": torch.randint(2**62, (size,), generator=random),
    }


def play(lit: LitRAM, batch: dict):
    """The episodes of `lit.loss` for M = 1."""
    return lit.network(batch["image"], draw_offsets(lit.network, batch["key"], explore=True))


def reached(lit: LitRAM, loss: torch.Tensor) -> set[str]:
    """Names of the parts of the network to which a loss sends a gradient that is not zero."""
    lit.zero_grad()
    loss.backward(retain_graph=True)
    got = {name for name, p in lit.network.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    return {name.split(".")[0] for name in got}


# --- the equations ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "scales", "count"), [(8, 1, 209_677), (12, 3, 256_781), (12, 4, 275_213)])
def test_number_of_parameters_is_that_of_the_paper(size, scales, count):
    network = RAM(glimpse_size=size, num_scales=scales)
    assert sum(p.numel() for p in network.parameters()) == count


def slow_forward(network: RAM, image: np.ndarray, offsets: np.ndarray) -> dict[str, np.ndarray]:
    """One picture (channels, height, width) through the paper's equations, vector by vector."""
    weights = {name: p.detach().double().numpy() for name, p in network.named_parameters()}

    def linear(name, x):
        return weights[f"{name}.weight"] @ x + weights[f"{name}.bias"]

    def relu(x):
        return np.maximum(x, 0)

    _, height, width = image.shape
    h, mean, out = np.zeros(network.core.state_sizes[0]), np.zeros(2), {"means": [], "samples": [], "locations": []}
    out["baselines"] = []
    for offset in offsets:
        sample = mean + offset
        location = np.clip(sample, -1, 1)
        x, y = round((location[0] + 1) / 2 * width), round((location[1] + 1) / 2 * height)
        rho = slow_retina(image, x, y, network.glimpse_size, network.num_scales).ravel()
        h_g, h_l = relu(linear("glimpse.what", rho)), relu(linear("glimpse.where", location))
        g = relu(linear("glimpse.join_what", h_g) + linear("glimpse.join_where", h_l))
        h = relu(linear("core.recurrent", h) + linear("core.input", g))
        for name, value in (("means", mean), ("samples", sample), ("locations", location)):
            out[name].append(value)
        out["baselines"].append(linear("expect", h)[0])
        mean = linear("locate", h)
    return {name: np.array(values) for name, values in out.items()} | {"logits": linear("act", h)}


@settings(deadline=None, max_examples=20, derandomize=True)
@given(
    st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(5, 14), st.integers(5, 14), st.integers(0, 99)
)
def test_forward_is_the_papers_equations(glimpses, scales, channels, height, width, seed):
    torch.manual_seed(seed)
    network = RAM(glimpses, glimpse_size=4, num_scales=scales, channels=channels, hidden=16)
    nn.init.normal_(network.locate.weight)  # means of all sizes, some outside of the picture
    image, offsets = torch.rand(2, channels, height, width), torch.randn(2, glimpses, 2)
    rollout = network(image, offsets)
    for i in range(2):
        slow = slow_forward(network, image[i].double().numpy(), offsets[i].double().numpy())
        for name, values in slow.items():
            ours = getattr(rollout, name)[i].detach().numpy()
            np.testing.assert_allclose(ours, values, rtol=1e-4, atol=1e-4, err_msg=name)


def test_the_core_starts_at_the_identity():
    """So that at first the last state keeps what the early glimpses saw; only this matrix does."""
    core = RAM(hidden=16).core
    assert torch.equal(core.recurrent.weight, torch.eye(16)) and not torch.equal(core.input.weight, torch.eye(16))


def test_lstm_core_is_that_of_torch():
    torch.manual_seed(0)
    ours, oracle = LSTMCore(6, 5), nn.LSTMCell(6, 5)
    with torch.no_grad():
        for mine, theirs in ((ours.input, "ih"), (ours.recurrent, "hh")):
            for kind in ("weight", "bias"):
                i, f, o, candidate = getattr(mine, kind).chunk(4)
                getattr(oracle, f"{kind}_{theirs}").copy_(torch.cat((i, f, candidate, o)))
    state = expected = (torch.randn(3, 5), torch.randn(3, 5))
    for g in torch.randn(4, 3, 6):
        state, expected = ours(g, state), oracle(g, expected)
        torch.testing.assert_close(state, expected)


def test_lstm_ram_runs_its_core_over_the_glimpses():
    lit = make(core="lstm")
    network, batch = lit.network, make_batch()
    rollout = play(lit, batch)
    state, integral = network.initial_state(5), network.surface(batch["image"])
    assert len(state) == 2
    for t in range(3):
        rho = network.look(integral, rollout.locations[:, t])
        state = network.core(network.glimpse(rho.flatten(1), rollout.locations[:, t]), state)
    torch.testing.assert_close(rollout.logits, network.act(state[0]))


def test_first_glimpse_is_uniformly_random_and_follows_from_the_key():
    network, keys = make().network, torch.arange(4000)
    starts = draw_offsets(network, keys, explore=False)[:, 0]
    assert starts.min() > -1 and starts.max() < 1
    assert (starts.mean(0).abs() < 4 * (1 / 3 / 4000) ** 0.5).all()
    assert ((starts.var(0) - 1 / 3).abs() < 0.03).all()
    assert torch.equal(starts, draw_offsets(network, keys, explore=True)[:, 0])
    assert (starts != draw_offsets(network, keys, explore=False, stream=1)[:, 0]).any(1).all()


def test_exploration_has_the_policys_standard_deviation():
    network = make(sigma=0.3).network
    rest = draw_offsets(network, torch.arange(4000), explore=True)[:, 1:]
    assert rest.mean().abs() < 0.02 and (rest.std() - 0.3).abs() < 0.01
    assert not draw_offsets(network, torch.arange(9), explore=False)[:, 1:].any()


def test_without_offsets_a_fresh_start_is_drawn_and_the_means_are_followed():
    rollout = make().network(torch.rand(50, 1, 12, 12))
    assert len(rollout.samples[:, 0].unique(dim=0)) == 50
    assert torch.equal(rollout.samples[:, 1:], rollout.means[:, 1:])


# --- the table of gradient routing ------------------------------------------------------------------------------------


@pytest.fixture(params=["relu", "lstm"])
def core(request):
    return request.param


@pytest.mark.parametrize("detach_policy", [True, False])
def test_cross_entropy_does_not_reach_the_location_head(core, detach_policy):
    lit, batch = make(core=core, detach_policy=detach_policy), make_batch()
    terms = lit.loss(batch)
    assert reached(lit, terms["cross_entropy"]) == {"glimpse", "core", "act"}


def test_sampled_locations_carry_no_gradient():
    lit = make(detach_policy=False)
    rollout = play(lit, make_batch())
    assert not rollout.samples.requires_grad and not rollout.locations.requires_grad and rollout.means.requires_grad


def test_log_policy_sends_the_score_to_the_means():
    lit = make(sigma=0.2)
    rollout = play(lit, make_batch())
    (gradient,) = torch.autograd.grad(lit.log_policy(rollout).sum(), rollout.means)
    torch.testing.assert_close(gradient[:, 1:], (rollout.samples - rollout.means.detach())[:, 1:] / 0.2**2)


@pytest.mark.parametrize("hybrid", [True, False])
def test_policy_terms_do_not_reach_the_baseline_head(core, hybrid):
    lit, batch = make(core=core, hybrid=hybrid), make_batch()
    terms = lit.loss(batch)
    for name in terms.keys() - {"loss", "baseline"}:
        assert "expect" not in reached(lit, terms[name])


@pytest.mark.parametrize("hybrid", [True, False])
@pytest.mark.parametrize("detach_policy", [True, False])
def test_baseline_loss_reaches_only_the_baseline_head(core, hybrid, detach_policy):
    lit = make(core=core, hybrid=hybrid, detach_policy=detach_policy)
    assert reached(lit, lit.loss(make_batch())["baseline"]) == {"expect"}


def test_detached_policy_loss_reaches_only_the_location_head(core):
    lit = make(core=core, detach_policy=True)
    assert reached(lit, lit.loss(make_batch())["policy"]) == {"locate"}


def test_policy_loss_that_is_not_detached_reaches_the_core_too(core):
    lit = make(core=core, detach_policy=False)
    assert reached(lit, lit.loss(make_batch())["policy"]) == {"locate", "core", "glimpse"}


def test_the_first_glimpse_has_no_policy_term():
    lit, batch = make(), make_batch()
    rollout = play(lit, batch)
    assert lit.log_policy(rollout).shape == (5, 2), "T - 1 locations"
    elsewhere = rollout._replace(samples=rollout.samples.clone().index_fill_(1, torch.tensor(0), 7.0))
    assert torch.equal(lit.log_policy(elsewhere), lit.log_policy(rollout))


def test_the_location_after_the_last_glimpse_is_not_even_computed():
    lit = make(num_glimpses=4)
    calls = []
    lit.network.locate.register_forward_hook(lambda *_: calls.append(1))
    lit.loss(make_batch())
    assert len(calls) == 3


def test_a_single_glimpse_leaves_nothing_for_the_policy():
    lit = make(num_glimpses=1)
    terms = lit.loss(make_batch())
    assert terms["policy"].item() == 0
    assert reached(lit, terms["loss"]) == {"glimpse", "core", "act", "expect"}


@pytest.mark.parametrize("hybrid", [True, False])
def test_random_policy_has_no_policy_term_and_looks_everywhere(hybrid):
    lit, batch = make(policy="random", hybrid=hybrid, num_glimpses=4), make_batch(500)
    terms = lit.loss(batch)
    assert "policy" not in terms and "locate" not in reached(lit, terms["loss"])
    rollout = play(lit, batch)
    assert not rollout.means.any() and torch.equal(rollout.samples, rollout.locations)
    assert ((rollout.locations.mean(0)).abs() < 4 * (1 / 3 / 500) ** 0.5).all()
    assert ((rollout.locations.var(0) - 1 / 3).abs() < 0.06).all()


# --- the loss in numbers ----------------------------------------------------------------------------------------------


def hand_made(lit):
    """Two episodes of two glimpses: the first names class 1 and is right, the second names class 0 and is wrong."""
    rollout = play(lit, make_batch(2))
    zero = torch.zeros(2, 2, 2)
    return rollout._replace(
        logits=torch.tensor([[0.0, np.log(3.0)], [np.log(4.0), 0.0]]),
        means=zero,
        samples=torch.tensor([[[9.0, 9.0], [0.5, 0.0]], [[9.0, 9.0], [0.0, -1.0]]]),
        baselines=torch.tensor([[0.25, 0.5], [0.5, 0.0]]),
    ), torch.tensor([1, 1])


def test_hybrid_loss_in_numbers():
    lit = make(num_glimpses=2, num_classes=2, sigma=0.5, policy_weight=0.1)
    rollout, label = hand_made(lit)
    terms = {name: value.item() for name, value in lit.hybrid_loss(rollout, label).items()}
    constant = -np.log(2 * np.pi * 0.5**2)  # log of the density at the mean
    first, second = constant - 0.5, constant - 2.0  # squared distances of 1 and 2 sigmas, halved
    assert terms == {
        "cross_entropy": pytest.approx(-(np.log(3 / 4) + np.log(1 / 5)) / 2),
        "baseline": pytest.approx((0.75**2 + 0.5**2 + 0.5**2 + 0) / 4),
        "policy": pytest.approx(0.1 * -(0.75 * first - 0.5 * second) / 2),
    }


def test_the_expected_reward_is_the_mean_over_sampled_classes():
    lit = make(num_glimpses=2, num_classes=2, sigma=0.5, reward="expected")
    rollout, label = hand_made(lit)
    terms = {name: value.item() for name, value in lit.hybrid_loss(rollout, label).items()}
    constant = -np.log(2 * np.pi * 0.5**2)
    first, second = constant - 0.5, constant - 2.0
    assert terms["baseline"] == pytest.approx((0.5**2 + 0.25**2 + 0.3**2 + 0.2**2) / 4)  # rewards 3/4 and 1/5
    assert terms["policy"] == pytest.approx(-(0.5 * first - 0.3 * second) / 2)
    with pytest.raises(ValueError, match="not one of correct, expected"):
        make(reward="sure")


def test_loss_is_the_sum_of_its_terms():
    for hybrid in (True, False):
        terms = make(hybrid=hybrid, policy_weight=0.3).loss(make_batch())
        torch.testing.assert_close(terms.pop("loss"), sum(terms.values()))
        assert set(terms) == {"cross_entropy" if hybrid else "action", "baseline", "policy"}


def test_pure_reinforce_in_numbers():
    lit = make(num_glimpses=2, num_classes=2, sigma=0.5, hybrid=False)
    rollout, label = hand_made(lit)
    certain = rollout._replace(logits=torch.tensor([[-50.0, 50.0], [50.0, -50.0]]))
    terms = lit.reinforce_loss(certain, label, torch.tensor([1, 2]))
    assert terms["action"].item() == 0  # log pi = 0 of the only possible action
    half = rollout._replace(logits=torch.zeros(2, 2))  # both classes alike
    wins = set()
    for key in range(20):
        keys = torch.tensor([key, key + 1000])
        value = lit.reinforce_loss(half, label, keys)["action"].item()
        wins.add(round(value / np.log(2) * 2, 4))  # the sum of (R - b_T), with b_T = 0.5 and 0
    assert wins == {1.5, 0.5, -0.5}


def test_actions_of_pure_reinforce_are_sampled_from_the_softmax():
    lit = make(hybrid=False, num_classes=3, num_glimpses=1, policy="random")
    n, logits = 20_000, torch.tensor([1.0, 0.0, -1.0])
    rollout = play(lit, make_batch(2))._replace(logits=logits.expand(n, -1), baselines=torch.zeros(n, 1))
    for label, p in enumerate(logits.softmax(0)):
        terms = lit.reinforce_loss(rollout, torch.full((n,), label), torch.arange(n))
        frequency = terms["action"] / -p.log()  # the reward is one where the label is drawn
        assert (frequency - p).abs() < 4 * (p * (1 - p) / n).sqrt()


def test_episodes_of_pure_reinforce_draw_different_actions(monkeypatch):
    lit, batch, seen = make(hybrid=False, episodes=3), make_batch(2), []
    monkeypatch.setattr(
        "zoo.models.ram.module.sample_categorical", lambda logits, noise: seen.append(noise) or noise.long()
    )
    lit.loss(batch)
    (noise,) = seen
    assert len(noise.unique()) == 6


def test_many_episodes_give_the_mean_of_single_ones():
    lit, batch = make(episodes=3), make_batch()
    together = lit.loss(batch)
    single = []
    for m in range(3):
        offsets = draw_offsets(lit.network, batch["key"], explore=True, stream=m)
        single.append(lit.hybrid_loss(lit.network(batch["image"], offsets), batch["label"]))
    for name in single[0]:
        torch.testing.assert_close(together[name], torch.stack([terms[name] for terms in single]).mean())
    assert single[0]["policy"] != single[1]["policy"]


# --- the policy gradient is the gradient of the expected reward -------------------------------------------------------

SIDE, T = (
    3,
    3,
)  # pixels; the retina has (SIDE + 1)^2 places to look at, and a start and two choices (SIDE + 1)^6 sequences


def cell_probabilities(mean: torch.Tensor, sigma: float) -> torch.Tensor:
    """P(the retina is centred on corner k) for a coordinate N(mean, sigma^2): (...) to (..., SIDE + 1).

    Corner k takes the locations that round to it; those outside of the image are clamped to the first or last corner.
    """
    edges = (2 * torch.arange(SIDE) + 1) / SIDE - 1  # between corners, in units of half an image
    below = (1 + torch.erf((edges - mean[..., None]) / sigma / 2**0.5)) / 2
    return torch.cat((below, torch.ones_like(mean)[..., None]), -1).diff(
        dim=-1, prepend=torch.zeros_like(mean)[..., None]
    )


def enumerate_sequences(network: RAM, image: torch.Tensor):
    """All sequences of T places for one picture: probability (n,), with its graph, and logits (n, classes).

    A location acts through its place alone when W_2 is zero, so the Gaussian policy is exactly a choice among places.
    """
    assert not network.glimpse.where.weight.any()
    corners = torch.tensor(list(itertools.product(range(SIDE + 1), repeat=2)))  # (x, y)
    places = torch.tensor(list(itertools.product(range(len(corners)), repeat=T)))  # (n, T)
    # equal prefixes have equal means, but to run all sequences as one batch is shorter
    integral = network.surface(image[None]).expand(len(places), -1, -1, -1)
    state, mean = network.initial_state(len(places)), None
    edge = torch.ones(SIDE + 1)
    edge[[0, -1]] = 0.5
    probability = torch.ones(len(places))
    for t in range(T):
        x, y = corners[places[:, t]].T
        if t == 0:
            probability = probability * edge[x] * edge[y] / SIDE**2  # uniform in [-1, 1]^2
        else:
            p = cell_probabilities(mean, network.sigma)  # (n, 2, SIDE + 1)
            probability = probability * p[:, 0].gather(1, x[:, None])[:, 0] * p[:, 1].gather(1, y[:, None])[:, 0]
        location = 2 * torch.stack((x, y), 1) / SIDE - 1
        state = network.step(integral, location, state)
        mean = network.locate(state[0])
    return probability, network.act(state[0])


def enumerable(**arguments) -> tuple[LitRAM, dict]:
    """A RAM so small that all its glimpse sequences can be tried, and a picture and label that reward some of them."""
    settings = {"num_glimpses": T, "glimpse_size": 2, "hidden": 8, "num_classes": 3, "sigma": 0.5}
    lit = make(11, **(settings | arguments))
    lit.network.glimpse = GlimpseNetwork(4, what=4, where=4, out=8)
    with torch.no_grad():
        for p in lit.network.parameters():
            p.copy_(torch.randn(p.shape) / p.shape[-1] ** 0.5)
        lit.network.glimpse.where.weight.zero_()
        lit.network.expect.weight.mul_(0.3)
        lit.network.glimpse.what.weight.mul_(4)
        lit.network.act.weight.mul_(3)
    image = torch.rand(1, 1, SIDE, SIDE)
    return lit, {"image": image, "label": torch.tensor([2])}


def named(lit: LitRAM) -> dict[str, nn.Parameter]:
    """What the policy gradient must be exact for: W_2 stays zero, and a detached policy trains `locate` alone."""
    parameters = dict(lit.network.named_parameters())
    if lit.network.detach_policy:
        return {name: p for name, p in parameters.items() if name.startswith("locate")}
    left_out = ("glimpse.where.weight", "expect.weight", "expect.bias")
    return {name: p for name, p in parameters.items() if name not in left_out}


def estimates(lit: LitRAM, batch: dict, terms: list[str], groups: int, n: int) -> torch.Tensor:
    """Minus the gradient of the named loss terms, from n keys of its own for each group: (groups, parameters)."""
    out = []
    for group in range(groups):
        keys = torch.arange(group * n, group * n + n)
        losses = lit.loss(
            {"image": batch["image"].expand(n, -1, -1, -1), "label": batch["label"].expand(n), "key": keys}
        )
        loss = -sum(losses[name] for name in terms)
        gradient = torch.autograd.grad(loss, list(named(lit).values()), allow_unused=True, materialize_grads=True)
        out.append(torch.cat([g.flatten() for g in gradient]))
    return torch.stack(out)


def set_baseline(lit: LitRAM, kind: str, value: float = 0.0) -> None:
    """none: b = 0. constant: b = value. state: as initialised, b differs from state to state."""
    if kind != "state":
        nn.init.zeros_(lit.network.expect.weight)
        nn.init.constant_(lit.network.expect.bias, value)


def compare(lit: LitRAM, batch: dict, terms: list[str], expected: torch.Tensor) -> None:
    """Asserts that the estimator's mean is the gradient of the expected reward, within four standard errors."""
    gradient = torch.autograd.grad(
        expected, list(named(lit).values()), allow_unused=True, materialize_grads=True, retain_graph=True
    )
    gradient = torch.cat([g.flatten() for g in gradient])
    samples = estimates(lit, batch, terms, groups=100, n=1000)
    error = samples.std(0) / len(samples) ** 0.5
    assert ((samples.mean(0) - gradient).abs() <= 4 * error + 1e-6).all()
    assert (gradient.abs() / (error + 1e-6)).max() > 50, "more than the noise of this test"


@pytest.mark.parametrize("baseline", ["none", "state"])
@pytest.mark.parametrize("detach_policy", [True, False])
@pytest.mark.parametrize("rewarded", ["correct", "expected"])
def test_hybrid_policy_gradient_is_that_of_the_expected_reward_over_all_glimpse_sequences(
    baseline, detach_policy, rewarded
):
    lit, batch = enumerable(detach_policy=detach_policy, reward=rewarded)
    set_baseline(lit, baseline)
    probability, logits = enumerate_sequences(lit.network, batch["image"][0])
    assert probability.sum().item() == pytest.approx(1, abs=1e-5)
    correct = (logits.argmax(-1) == batch["label"]).float()
    # for a sampled class: the sum over classes of P(class) times 1 where it is right
    reward = correct if rewarded == "correct" else logits.softmax(-1)[:, 2].detach()
    expected = (probability * reward).sum()
    assert 0.2 < expected < 0.8
    compare(lit, batch, ["policy"], expected)


def test_wake_sleep_is_the_gradient_of_the_likelihood_over_all_glimpse_sequences():
    """Wake-p with many samples; its bias falls with their number."""
    apart = []
    for samples in (2, 50):
        lit, batch = enumerable(detach_policy=False, estimator={"kind": "wake_p", "samples": samples})
        probability, logits = enumerate_sequences(lit.network, batch["image"][0])
        log_y = logits.log_softmax(-1)[:, 2]
        likelihood = (probability * log_y.exp()).sum().log()  # some sequences cannot be
        wrt = list(named(lit).values())
        right = torch.autograd.grad(likelihood, wrt, allow_unused=True, materialize_grads=True)
        right = torch.cat([g.flatten() for g in right])
        found = estimates(lit, batch, ["wake_p"], groups=40, n=2000 // samples)
        error = found.std(0) / len(found) ** 0.5
        apart.append((found.mean(0) - right).norm().item())
        if samples == 50:
            assert (found.mean(0) - right).norm() < 0.1 * right.norm() + 2 * error.norm()
    assert apart[1] < 0.5 * apart[0]


@pytest.mark.parametrize("kind", ["var", "wake_p", "vimco"])
def test_an_estimator_takes_the_place_of_the_papers_objective(kind):
    lit, batch = make(estimator={"kind": kind, "samples": 4}, policy_weight=0.3), make_batch()
    terms = lit.loss(batch)
    assert list(terms) == ["loss", kind, "ess"] and 1 <= terms["ess"] <= 4
    terms["loss"].backward()
    idle = {name for name, p in lit.network.named_parameters() if p.grad is None or not p.grad.any()}
    assert idle == {"expect.weight", "expect.bias"}
    plain = {"estimator": None, "episodes": 4, "policy_weight": 0.3}
    assert set(make(**plain).loss(batch)) == {"loss", "cross_entropy", "baseline", "policy"}


def test_a_part_of_the_policys_gradient_and_the_effective_samples(monkeypatch):
    """The value stays and what only the policy trains gets a part; ess is that of weights p(y|a), since r = p."""
    found, rollouts = [], []
    kept = LitRAM.estimated_loss
    monkeypatch.setattr(LitRAM, "estimated_loss", lambda lit, *given: rollouts.append(given) or kept(lit, *given))
    for weight in (1.0, 0.25):
        lit = make(estimator={"kind": "wake_p", "samples": 4}, policy_weight=weight, detach_policy=True)
        terms = lit.loss(make_batch())
        found.append((terms["loss"].item(), torch.autograd.grad(terms["loss"], lit.network.locate.weight)[0]))
    assert found[0][0] == found[1][0] and found[0][1].abs().max() > 1e-4
    torch.testing.assert_close(found[1][1], found[0][1] / 4)
    rollout, label = rollouts[-1]
    w = rollout.logits.softmax(-1)[torch.arange(20), label].view(5, 4)
    torch.testing.assert_close(terms["ess"], (w.sum(1) ** 2 / w.square().sum(1)).mean())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"estimator": {"kind": "wake_q"}}, "RAM has no inference network"),
        ({"estimator": {"kind": "var", "entropy": 0.1}}, "RAM has none of them"),
        ({"estimator": {"kind": "var"}, "episodes": 5}, "an estimator has samples of its own"),
        ({"estimator": {"kind": "var"}, "hybrid": False}, "an estimator has samples of its own"),
    ],
)
def test_an_estimator_that_ram_does_not_have_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        make(**given)


@pytest.mark.parametrize("baseline", ["none", "state"])
def test_pure_reinforce_is_the_gradient_of_the_expected_reward_over_all_glimpse_sequences(baseline):
    lit, batch = enumerable(hybrid=False, detach_policy=False)
    set_baseline(lit, baseline)
    probability, logits = enumerate_sequences(lit.network, batch["image"][0])
    expected = (probability * logits.softmax(-1)[:, 2]).sum()
    assert 0.2 < expected < 0.8
    compare(lit, batch, ["policy", "action"], expected)


def test_a_baseline_lowers_the_variance():
    lit, batch = enumerable()
    probability, logits = enumerate_sequences(lit.network, batch["image"][0])
    value = (probability * (logits.argmax(-1) == batch["label"])).sum().item()
    variance = {}
    for kind, b in (("none", 0.0), ("constant", value)):
        set_baseline(lit, kind, b)
        variance[kind] = estimates(lit, batch, ["policy"], groups=40, n=100).var(0).sum()
    assert variance["constant"] < 0.8 * variance["none"]


# --- training and use -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def digits():
    """The first 32 test digits, the same key at every step."""
    image, label = (
        parse_idx(lzma.decompress((EMBEDDED / "mnist" / f"t10k-{name}-ubyte.xz").read_bytes()), name)
        for name in ("images-idx3", "labels-idx1")
    )
    return {"image": image[:32, None].float() / 255, "label": label[:32].long(), "key": torch.arange(32)}


def test_overfits_one_batch(digits):
    lit = make(num_glimpses=4, glimpse_size=8, hidden=64)
    optimizer = torch.optim.Adam(lit.parameters(), 4e-3)
    for step in range(800):
        optimizer.param_groups[0]["lr"] = 4e-3 * (1 - step / 800)
        optimizer.zero_grad()
        lit.loss(digits)["loss"].backward()
        optimizer.step()
    assert lit.loss(digits)["cross_entropy"] < 0.1
    assert (play(lit, digits).logits.argmax(-1) == digits["label"]).all()


@pytest.mark.parametrize("episodes", [1, 3])
def test_gradients_reach_every_parameter(core, episodes):
    lit = make(core=core, episodes=episodes)
    lit.loss(make_batch(8))["loss"].backward()
    assert [name for name, p in lit.network.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_a_batch_of_many_equals_one_by_one(core):
    lit, batch = make(core=core), make_batch(7)
    together = play(lit, batch)
    for i in range(7):
        alone = play(lit, {name: value[i : i + 1] for name, value in batch.items()})
        for ours, one in zip(together, alone, strict=True):
            torch.testing.assert_close(ours[i : i + 1], one, rtol=1e-4, atol=1e-5)


@settings(deadline=None, max_examples=12, derandomize=True)
@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 40), st.integers(1, 40), st.sampled_from(["relu", "lstm"]))
def test_every_number_of_scales_and_size_of_picture_runs(scales, channels, height, width, core):
    lit = make(num_scales=scales, channels=channels, core=core)
    batch = make_batch(2, channels=channels) | {"image": torch.rand(2, channels, height, width)}
    rollout = play(lit, batch)
    assert (
        rollout.logits.shape == (2, 10) and rollout.locations.shape == (2, 3, 2) and rollout.baselines.shape == (2, 3)
    )
    assert rollout.locations.abs().max() <= 1
    assert lit.loss(batch)["loss"].isfinite()


@pytest.mark.parametrize(
    ("arguments", "word"), [({"core": "gru"}, "gru"), ({"policy": "greedy"}, "greedy"), ({"glimpse_size": 7}, "7")]
)
def test_arguments_that_do_not_exist_are_named(arguments, word):
    with pytest.raises(ValueError, match=word):
        RAM(**arguments)


def test_test_errors_are_of_one_start_and_of_the_average_over_several():
    lit, batch = make(test_starts=3), make_batch(200, classes=3)
    metrics = {name: metric.compute().item() for name, metric in lit.evaluate(batch, "test").items()}
    assert set(metrics) == {"error", "error_3_starts", "error_sampled", "error_3_starts_sampled"}
    for explore, end in ((False, ""), (True, "_sampled")):
        answers = []
        for m in range(3):
            offsets = torch.cat((2 * uniform(batch["key"], 1, 2, stream=2 * m) - 1, torch.zeros(200, 2, 2)), 1)
            if explore:
                offsets[:, 1:] = lit.network.sigma * normal(batch["key"], 2, 2, stream=2 * m + 1)
            answers.append(F.softmax(lit.network(batch["image"], offsets).logits, -1))
        for name, answer in ((f"error{end}", answers[0]), (f"error_3_starts{end}", sum(answers) / 3)):
            wrong = (answer.argmax(-1) != batch["label"]).float().mean().item()
            assert metrics[name] == pytest.approx(100 * wrong)
