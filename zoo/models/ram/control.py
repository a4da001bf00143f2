"""Training RAM to play Catch (section 4.4): actions and gaze are both sampled, and both learned by REINFORCE alone."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from zoo.errors import ZooError, check_flag, check_least, check_whole
from zoo.looking.attention import Attention
from zoo.models.ram.catch import ACTIONS, Rules, State, caught, move, screen, start
from zoo.models.ram.network import RAM
from zoo.models.ram.offsets import draw_offsets
from zoo.nn.glimpse import windows
from zoo.nn.hard import baseline_loss, gaussian_log_prob, reinforce_loss, sample_categorical
from zoo.nn.kernels import at_least_float32
from zoo.nn.random import uniform
from zoo.training.metrics import ErrorRate
from zoo.training.module import ZooModule

ACTION_STREAM = 2  # of a key; draw_offsets takes streams 0 and 1


class Player(RAM):
    """RAM whose retina shows one lit pixel equally bright in every patch.

    With the mean under a cell, as for digits, the ball is 1 / 16 in the widest patch and almost all cells are 0, so
    that the first layer hardly reacts to it. The paper names neither the resampling nor a scale; both are our choice.

    Args:
        brightness: of one lit pixel under a cell; more of them add up.
        arguments: of :class:`zoo.models.ram.RAM`.
    """

    def __init__(self, brightness: float = 8.0, **arguments):
        super().__init__(**arguments)
        self.brightness = brightness

    def look(self, surface: Tensor, location: Tensor) -> Tensor:
        """(batch, scales * channels, size, size): the number of lit pixels under each cell, times the brightness."""
        area = 4.0 ** torch.arange(self.num_scales, device=surface.device)  # pixels under a cell
        cells = super().look(surface, location).unflatten(1, (self.num_scales, -1))
        return (cells * (self.brightness * area)[:, None, None, None]).flatten(1, 2)


class Episode(NamedTuple):
    """What happened in one game of T frames for each key."""

    states: State  # fields (batch, T + 1), the last after the last action
    actions: Tensor  # (batch, T) int64, indices into ACTIONS
    log_actions: Tensor  # (batch, T): log pi(a_t | s_1:t)
    entropies: Tensor  # (batch, T), of pi(a | s_1:t) in nats
    locations: Tensor  # (batch, T, 2) as (x, y): where the retina was, in [-1, 1]
    samples: Tensor  # (batch, T, 2): the locations before they were clamped to the screen
    means: Tensor  # (batch, T, 2): the policy's mu_t; the first is zero, since the first glimpse is random
    baselines: Tensor  # (batch, T): b_t, the return that state t expects
    reward: Tensor  # (batch, 1): 1 if the ball was caught


def play(network: RAM, rules: Rules, key: Tensor, explore: bool) -> Episode:
    """One game for each key: (batch,) int64.

    Args:
        explore: whether actions and locations are sampled; else they are the most probable ones. The first location is
            random either way.
    """
    offsets = draw_offsets(network, key, explore)
    noise = uniform(key, rules.frames, stream=ACTION_STREAM)
    game, state = start(key, rules), network.initial_state(len(key))
    mean = offsets.new_zeros(len(key), 2)
    games, hs, logits, actions, means, samples, locations = [game], [], [], [], [], [], []
    for t in range(rules.frames):
        sample = mean.detach() + offsets[:, t]
        location = sample.clamp(-1, 1)
        state = network.step(network.surface(screen(game, rules)), location, state)
        h = state[0]
        logits.append(at_least_float32(network.act(h)))
        action = sample_categorical(logits[-1], noise[:, t]) if explore else logits[-1].argmax(-1)
        game = move(game, action, rules)
        hs.append(h), actions.append(action), means.append(mean), samples.append(sample), locations.append(location)
        games.append(game)
        mean = network.next_mean(h)
    actions, log_policy = torch.stack(actions, 1), torch.stack(logits, 1).log_softmax(-1)  # (batch, T, 3)
    return Episode(
        states=State(*(torch.stack(field, 1) for field in zip(*games, strict=True))),
        actions=actions,
        log_actions=log_policy.gather(-1, actions[..., None]).squeeze(-1),
        entropies=-(log_policy.exp() * log_policy).sum(-1),
        locations=torch.stack(locations, 1),
        samples=torch.stack(samples, 1),
        means=torch.stack(means, 1),
        baselines=at_least_float32(network.expect(torch.stack(hs, 1).detach()).squeeze(-1)),
        reward=caught(game, rules).float()[:, None],
    )


class LitCatch(ZooModule):
    """Learns to play Catch from its reward alone; the batch is ``key`` (batch,) int64, one game for each.

    Args:
        policy_weight: of the REINFORCE term of the locations; that of the actions is 1 (the paper has no weights).
        entropy_weight: rewards undecided actions, in units of reward a nat and frame. The paper has no such term (0);
            then, with Adam, all actions become the same one before the agent has learned where the ball is.
        size, width, speed, drift, random_paddle: see :class:`zoo.models.ram.catch.Rules`.
        optimizer, schedule: see :class:`zoo.training.module.ZooModule`.
        network: the arguments of :class:`Player`, except the number of glimpses: one for each frame.
    """

    monitor = "val/missed"

    def __init__(
        self,
        policy_weight: float = 1.0,
        entropy_weight: float = 0.0,
        size: int = 24,
        width: int = 2,
        speed: int = 1,
        drift: bool = False,
        random_paddle: bool = True,
        optimizer: dict | None = None,
        schedule: dict | None = None,
        **network,
    ):
        check_whole(3, 1024, size=size)
        check_whole(1, size, width=width)
        check_whole(0, size, speed=speed)
        check_flag(drift=drift, random_paddle=random_paddle)
        check_least(0, policy_weight=policy_weight, entropy_weight=entropy_weight)
        rules = Rules(size, width, speed, drift, random_paddle)
        super().__init__(Player(num_glimpses=rules.frames, **network), optimizer, schedule)
        if self.network.act.out_features != len(ACTIONS):
            raise ZooError(f"num_classes is {self.network.act.out_features}; Catch has {len(ACTIONS)} actions")
        self.save_hyperparameters()
        self.rules, self.policy_weight, self.entropy_weight = rules, policy_weight, entropy_weight
        self.rates = nn.ModuleDict(
            {name: ErrorRate() for name in ("val_missed", "test_missed", "test_caught", "test_caught_sampled")}
        )

    def loss(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Equation 2. The only reward is the last, hence it is the return that follows every action."""
        episode = play(self.network, self.rules, batch["key"], explore=True)
        terms = {
            "action": reinforce_loss(episode.log_actions, episode.reward, episode.baselines),
            "baseline": baseline_loss(episode.baselines, episode.reward),
        }
        if self.network.policy == "learned":
            # h_t chooses l_{t+1} as it chooses a_t, hence b_t is the baseline of both
            log_policy = gaussian_log_prob(episode.samples[:, 1:], episode.means[:, 1:], self.network.sigma)
            policy = reinforce_loss(log_policy, episode.reward, episode.baselines[:, :-1])
            terms["policy"] = self.policy_weight * policy
        if self.entropy_weight:
            terms["entropy"] = -self.entropy_weight * episode.entropies.sum(1).mean()
        return {"loss": sum(terms.values()), **terms}

    def evaluate(self, batch: dict[str, Tensor], stage: str) -> dict[str, ErrorRate]:
        """Misses and catches in percent, with the most probable actions and locations or with sampled ones."""
        won = play(self.network, self.rules, batch["key"], explore=False).reward.long()
        metrics = {"missed": self.rates[f"{stage}_missed"]}
        metrics["missed"].update(won, torch.ones_like(won))
        if stage == "test":
            metrics |= {name: self.rates[f"test_{name}"] for name in ("caught", "caught_sampled")}
            metrics["caught"].update(won, torch.zeros_like(won))  # the rate of answers that are not "lost"
            won = play(self.network, self.rules, batch["key"], explore=True).reward.long()
            metrics["caught_sampled"].update(won, torch.zeros_like(won))
        return metrics

    @torch.no_grad()
    def record(self, batch: dict[str, Tensor]) -> Attention:
        """The windows of every frame over the last screen; the screens of all frames are ``self.film(batch)``."""
        episode = play(self.network, self.rules, batch["key"], explore=False)
        screens = screen(episode.states, self.rules)  # (batch, T + 1, 1, size, size)
        seen = self.network.look(self.network.surface(screens[:, :-1].flatten(0, 1)), episode.locations.flatten(0, 1))
        return Attention(
            boxes=windows(episode.locations, *screens.shape[-2:], self.network.glimpse_size, self.network.num_scales),
            images=screens[:, -1],
            outputs=[[ACTIONS[a] for a in row] for row in episode.actions.tolist()],
            views=(seen / self.network.brightness).clamp(max=1).unflatten(0, episode.actions.shape),
        )

    @torch.no_grad()
    def film(self, batch: dict[str, Tensor]) -> Tensor:
        """The screens of the games of :meth:`record`: (batch, T + 1, 1, size, size); nobody looks at the last."""
        return screen(play(self.network, self.rules, batch["key"], explore=False).states, self.rules)
