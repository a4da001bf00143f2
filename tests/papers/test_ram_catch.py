"""Catch: the rules against a slow game in plain Python, and that the agent learns from reward alone."""

import pytest
import torch

from zoo.models.ram.catch import STREAM, Rules, caught, move, screen, start
from zoo.models.ram.control import ACTION_STREAM, LitCatch, play
from zoo.nn.glimpse import integral_image
from zoo.nn.random import uniform

RULES = [
    Rules(),
    Rules(drift=True),
    Rules(size=9, width=3, speed=2, drift=True, random_paddle=False),
]
SMALL = {"size": 8, "num_classes": 3, "glimpse_size": 4, "num_scales": 2, "hidden": 16, "core": "lstm"}


def keys(count, seed=0):
    return torch.randint(2**62, (count,), generator=torch.Generator().manual_seed(seed))


def slow_screen(x, y, paddle, rules):
    pixels = [[0.0] * rules.size for _ in range(rules.size)]
    for column in range(paddle, paddle + rules.width):
        pixels[rules.size - 1][column] = 1.0
    pixels[y][x] = 1.0
    return [pixels]


def slow_move(x, y, drift, paddle, action, rules):
    step = {0: -rules.speed, 1: 0, 2: rules.speed}[action]
    paddle = min(max(paddle + step, 0), rules.size - rules.width)
    if (x == 0 and drift == -1) or (x == rules.size - 1 and drift == 1):
        drift = -drift
    return x + drift, y + 1, drift, paddle


@pytest.mark.parametrize("rules", RULES)
def test_rules_are_those_of_a_slow_game(rules):
    batch = 12
    actions = torch.randint(3, (batch, rules.frames), generator=torch.Generator().manual_seed(1))
    state = start(keys(batch), rules)
    slow = list(zip(*(field.tolist() for field in state), strict=True))
    assert all(y == 0 for _, y, _, _ in slow)
    for t in range(rules.frames + 1):
        assert list(zip(*(field.tolist() for field in state), strict=True)) == slow
        assert screen(state, rules).tolist() == [slow_screen(x, y, paddle, rules) for x, y, _, paddle in slow]
        if t < rules.frames:
            state = move(state, actions[:, t], rules)
            slow = [slow_move(*game, action, rules) for game, action in zip(slow, actions[:, t].tolist(), strict=True)]
    assert all(y == rules.size - 1 for _, y, _, _ in slow)
    assert caught(state, rules).tolist() == [x in range(paddle, paddle + rules.width) for x, _, _, paddle in slow]


@pytest.mark.parametrize("rules", RULES)
def test_games_start_everywhere_with_screens_of_zeros_and_ones(rules):
    state = start(keys(4000), rules)
    assert state.x.unique().tolist() == list(range(rules.size))
    if rules.random_paddle:
        assert state.paddle.unique().tolist() == list(range(rules.size - rules.width + 1))
    else:
        assert 2 * state.paddle.unique().item() == rules.size - rules.width
    assert state.drift.unique().tolist() == ([-1, 1] if rules.drift else [0])
    screens = screen(state, rules)
    assert screens.shape == (4000, 1, rules.size, rules.size)
    assert screens.unique().tolist() == [0, 1]
    assert (screens.sum((1, 2, 3)) == 1 + rules.width).all()


@pytest.mark.parametrize("rules", [Rules(), Rules(drift=True), Rules(speed=2), Rules(random_paddle=False)])
def test_perfect_play_catches_every_ball(rules):
    state = start(keys(4000), rules)
    target = state
    for _ in range(rules.frames):
        target = move(target, torch.ones_like(target.x), rules)
    for _ in range(rules.frames):  # towards where the ball will land, and stay once it is above the paddle
        action = 1 + (target.x > state.paddle + rules.width - 1).long() - (target.x < state.paddle).long()
        state = move(state, action, rules)
    assert caught(state, rules).all()


def test_a_game_follows_from_its_key():
    torch.manual_seed(0)
    model = LitCatch(**SMALL)
    key = keys(6)
    alone = play(model.network, model.rules, key, explore=True)
    torch.manual_seed(1)
    twice = play(model.network, model.rules, torch.cat((key.flip(0), key)), explore=True)
    for one, two in zip((*alone.states, *alone[1:]), (*twice.states, *twice[1:]), strict=True):
        assert torch.allclose(one, two[6:], atol=1e-5) and torch.allclose(one, two[:6].flip(0), atol=1e-5)


def test_noise_of_start_gaze_and_action_are_different_streams():
    assert len({0, 1, ACTION_STREAM, STREAM}) == 4  # draw_offsets takes 0 and 1
    draws = torch.cat([uniform(keys(1), 3, stream=stream) for stream in range(4)])
    assert len(draws.unique()) == draws.numel()


def test_sampled_actions_have_the_policys_probabilities():
    model = LitCatch(**SMALL)
    with torch.no_grad():
        model.network.act.weight.zero_(), model.network.act.bias.copy_(torch.tensor([0.2, 0.5, 0.3]).log())
        episode = play(model.network, model.rules, keys(4000), explore=True)
    assert torch.allclose(
        episode.actions.flatten().bincount() / episode.actions.numel(), torch.tensor([0.2, 0.5, 0.3]), atol=0.02
    )
    assert torch.allclose(episode.log_actions.exp(), torch.tensor([0.2, 0.5, 0.3])[episode.actions], atol=1e-5)


def test_loss_is_the_one_of_equation_2():
    torch.manual_seed(0)
    model = LitCatch(**SMALL, policy_weight=0.5, sigma=0.3)
    key = keys(5)
    terms = {name: term.detach() for name, term in model.loss({"key": key}).items()}
    with torch.no_grad():
        episode = play(model.network, model.rules, key, explore=True)
    action = location = baseline = 0.0
    for i in range(5):
        R = float(episode.reward[i])
        for t in range(model.rules.frames):
            b = float(episode.baselines[i, t])
            action -= (R - b) * float(episode.log_actions[i, t]) / 5
            baseline += (R - b) ** 2 / 5 / model.rules.frames
            if t + 1 < model.rules.frames:
                policy = torch.distributions.Normal(episode.means[i, t + 1], 0.3)
                location -= 0.5 * (R - b) * float(policy.log_prob(episode.samples[i, t + 1]).sum()) / 5
    expected = {"action": action, "baseline": baseline, "policy": location, "loss": action + baseline + location}
    assert {name: value.item() for name, value in terms.items()} == pytest.approx(expected, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("detach", [False, True])
def test_gradients_reach_every_parameter(detach):
    torch.manual_seed(0)
    model = LitCatch(**SMALL, detach_policy=detach)
    model.loss({"key": keys(64)})["loss"].backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_the_baseline_does_not_train_the_core():
    model = LitCatch(**SMALL)
    model.loss({"key": keys(8)})["baseline"].backward()
    assert {name for name, p in model.named_parameters() if p.grad is not None} == {
        "network.expect.weight",
        "network.expect.bias",
    }


def test_the_policy_of_the_gaze_trains_the_core_unless_detached():
    for detach in (False, True):
        model = LitCatch(**SMALL, detach_policy=detach)
        model.loss({"key": keys(64)})["policy"].backward()
        assert (model.network.core.input.weight.grad is None) == detach


def test_random_gaze_has_no_policy_term():
    assert set(LitCatch(**SMALL, policy="random").loss({"key": keys(4)})) == {"loss", "action", "baseline"}


def test_metrics_count_misses_and_catches():
    model = LitCatch(**SMALL)
    metrics = model.evaluate({"key": keys(200)}, "test")
    won = play(model.network, model.rules, keys(200), explore=False).reward.mean() * 100
    assert metrics["caught"].compute() == pytest.approx(won.item(), abs=1e-4)
    assert metrics["missed"].compute() == pytest.approx(100 - won.item(), abs=1e-4)
    assert set(model.evaluate({"key": keys(200)}, "val")) == {"missed"} and model.monitor == "val/missed"


def test_record_holds_what_the_retina_saw():
    model = LitCatch(**SMALL)
    batch = {"key": keys(3)}
    record, film = model.record(batch), model.film(batch)
    T = model.rules.frames
    assert record.boxes.shape == (3, T, 2, 4) and record.views.shape == (3, T, 2, 4, 4)
    assert film.shape == (3, T + 1, 1, 8, 8) and torch.equal(record.images, film[:, -1])
    assert [len(row) for row in record.outputs] == [T] * 3
    for i in range(3):
        for t in range(T):
            left, top, right, bottom = record.boxes[i, t, 0].int().tolist()  # the sharp patch is a plain crop
            padded = torch.nn.functional.pad(film[i, t, 0], (8, 8, 8, 8))
            assert torch.equal(padded[top + 8 : bottom + 8, left + 8 : right + 8], record.views[i, t, 0])


def test_a_pixel_is_as_bright_in_every_patch():
    network = LitCatch(**SMALL, brightness=2.0).network
    views = network.look(integral_image(screen(start(keys(9), Rules(size=8)), Rules(size=8))), torch.zeros(9, 2))
    assert (views[:, 1].sum((1, 2)) == 6).all()  # the wide patch covers the screen: ball and paddle are three pixels
    assert set(views[:, 0].unique().tolist()) <= {0, 2}


def test_other_numbers_of_actions_are_refused():
    with pytest.raises(ValueError, match="3 actions"):
        LitCatch(**SMALL | {"num_classes": 10})


def test_learns_a_small_game():
    torch.manual_seed(0)
    model = LitCatch(**SMALL | {"size": 6, "hidden": 32}, detach_policy=False, policy_weight=0.1, entropy_weight=0.02)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for step in range(150):
        optimizer.zero_grad()
        model.loss({"key": keys(256, seed=step + 1)})["loss"].backward()
        optimizer.step()
    before, after = (
        play(network, model.rules, keys(2000), explore=False).reward.mean()
        for network in (LitCatch(**SMALL | {"size": 6, "hidden": 32}).network, model.network)
    )
    assert after > before + 0.2
