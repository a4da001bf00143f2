"""Training RAM: the hybrid objective of section 3.2, and what is measured."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import OFTEN, ZooError, check_choice, check_flag, check_least, check_whole
from zoo.looking.attention import Attention
from zoo.models.ram.network import RAM, Rollout
from zoo.models.ram.offsets import draw_offsets
from zoo.nn.estimators import Estimator, effective_sample_size, importance_weights
from zoo.nn.hard import baseline_loss, gaussian_log_prob, reinforce_loss, sample_categorical
from zoo.nn.random import uniform
from zoo.training.metrics import ErrorRate
from zoo.training.module import ZooModule


def repeat(x: Tensor, episodes: int) -> Tensor:
    """Each row `episodes` times, one after the other: (batch, ...) to (batch * episodes, ...)."""
    return x if episodes == 1 else x.repeat_interleave(episodes, 0)


class LitRAM(ZooModule):
    """Trains the action head by cross-entropy and the policy by REINFORCE (hybrid), or both by REINFORCE.

    Args:
        episodes: M, Monte Carlo episodes for each image.
        hybrid: False trains the class as a sampled action too, by REINFORCE alone.
        reward: of the hybrid loss. "correct": 1 where the most probable class is right; "expected": the probability of
            the right class, which is what r_T of a sampled class is on average, so the estimator has the same mean as
            with sampling and less variance.
        policy_weight: of the gradient that teaches the policy (not in the paper; with a detached policy and Adam it has
            no effect).
        estimator: the arguments of :class:`zoo.nn.estimators.Estimator`, whose samples and loss then take the place of
            `episodes`, `hybrid` and `reward` (not in the paper); None for the paper's objective.
        test_starts: random starts that the averaged test errors average over.
        optimizer, schedule: see :class:`zoo.training.module.ZooModule`.
        network: the arguments of :class:`zoo.models.ram.RAM`.
    """

    monitor = "val/error"

    def __init__(
        self,
        episodes: int = 1,
        hybrid: bool = True,
        reward: str = "correct",
        policy_weight: float = 1.0,
        estimator: dict | None = None,
        test_starts: int = 10,
        optimizer: dict | None = None,
        schedule: dict | None = None,
        **network,
    ):
        check_choice(("correct", "expected"), reward=reward)
        check_whole(1, OFTEN, episodes=episodes, test_starts=test_starts)
        check_flag(hybrid=hybrid)
        check_least(0, policy_weight=policy_weight)
        super().__init__(RAM(**network), optimizer, schedule)
        self.save_hyperparameters()
        self.episodes, self.hybrid, self.reward, self.policy_weight = episodes, hybrid, reward, policy_weight
        self.test_starts = test_starts
        self.estimator = None if estimator is None else self._made(Estimator.of(estimator))
        self.errors = nn.ModuleDict(
            {name: ErrorRate() for name in ("val_error", *(f"test_{name}" for name in self.test_errors))}
        )

    def _made(self, estimator: Estimator) -> Estimator:
        """The estimator, if RAM has what it needs."""
        if estimator.infers:
            raise ZooError("estimator.kind is wake_q, and RAM has no inference network; expected var, wake_p or vimco")
        if self.episodes != 1 or not self.hybrid:
            raise ZooError("episodes and hybrid are of the paper's objective; an estimator has samples of its own")
        if (estimator.temperature, estimator.entropy, estimator.coverage) != (1, 0, 0):
            raise ZooError(
                "estimator.temperature, entropy and coverage are of the wake-sleep room; RAM has none of them"
            )
        self.network.expect.requires_grad_(False)  # under DDP what learns must have a gradient
        return estimator

    @property
    def test_errors(self) -> tuple[str, ...]:
        """Names of the test errors: mean or sampled locations, from one random start or averaged over several."""
        several = f"error_{self.test_starts}_starts"
        return "error", several, "error_sampled", f"{several}_sampled"

    def loss(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        episodes = self.estimator.samples if self.estimator else self.episodes
        label = repeat(batch["label"], episodes)
        offsets = torch.cat(
            [draw_offsets(self.network, batch["key"], explore=True, stream=m) for m in range(episodes)], 1
        ).view(len(label), self.network.num_glimpses, 2)
        rollout = self.network(repeat(batch["image"], episodes), offsets)
        if self.estimator:
            return self.estimated_loss(rollout, label)
        terms = self.hybrid_loss(rollout, label) if self.hybrid else self.reinforce_loss(rollout, label, batch["key"])
        return {"loss": sum(terms.values()), **terms}

    def log_policy(self, rollout: Rollout) -> Tensor:
        """log pi(l_t | s_1:t) of the T - 1 locations that the policy chose: (batch, T - 1)."""
        return gaussian_log_prob(rollout.samples[:, 1:], rollout.means[:, 1:], self.network.sigma)

    def hybrid_loss(self, rollout: Rollout, label: Tensor) -> dict[str, Tensor]:
        """Cross-entropy for the class, REINFORCE for the locations (section 3.2, last paragraph)."""
        if self.reward == "correct":
            reward = (rollout.logits.argmax(-1) == label).float()[:, None]  # R = r_T, (batch, 1)
        else:
            reward = rollout.logits.detach().softmax(-1).gather(1, label[:, None])  # E[r_T], (batch, 1)
        terms = {
            "cross_entropy": F.cross_entropy(rollout.logits, label),
            "baseline": baseline_loss(rollout.baselines, reward),
        }
        if self.network.policy == "learned":
            # b_t and l_{t+1} both follow from h_t, hence the baseline of step t belongs to the location of step t + 1
            policy = reinforce_loss(self.log_policy(rollout), reward, rollout.baselines[:, :-1])
            terms["policy"] = self.policy_weight * policy
        return terms

    def reinforce_loss(self, rollout: Rollout, label: Tensor, key: Tensor) -> dict[str, Tensor]:
        """Equation 2: all actions u_t = (l_t, a_t) are sampled, the class only at the last step."""
        noise = uniform(key, self.episodes, stream=2 * self.episodes).flatten()
        action = sample_categorical(rollout.logits, noise)
        reward = (action == label).float()[:, None]
        log_action = rollout.logits.log_softmax(-1).gather(1, action[:, None])
        terms = {
            "action": reinforce_loss(log_action, reward, rollout.baselines[:, -1:]),
            "baseline": baseline_loss(rollout.baselines, reward),
        }
        if self.network.policy == "learned":
            policy = reinforce_loss(self.log_policy(rollout), reward, rollout.baselines[:, :-1])
            terms["policy"] = self.policy_weight * policy
        return terms

    def estimated_loss(self, rollout: Rollout, label: Tensor) -> dict[str, Tensor]:
        """The estimator's terms and their sum, and without gradient the effective sample size `ess`."""
        samples = self.estimator.samples
        log_y = -F.cross_entropy(rollout.logits, label, reduction="none").view(-1, samples)
        log_p = torch.zeros_like(log_y)
        if self.network.policy == "learned":
            log_p = self.log_policy(rollout).sum(1).view(-1, samples)
            log_p = self.policy_weight * log_p + (1 - self.policy_weight) * log_p.detach()  # a part of the gradient
        terms = self.estimator.losses(log_y, log_p, log_p)
        ess = effective_sample_size(importance_weights(log_y, log_p, log_p)).mean()
        return {"loss": sum(terms.values()), **terms, "ess": ess}

    def probabilities(self, batch: dict[str, Tensor], explore: bool, starts: int) -> Tensor:
        """Class probabilities from each of several random starts: (starts, batch, classes)."""
        image, key = batch["image"], batch["key"]
        return torch.stack(
            [
                self.network(image, draw_offsets(self.network, key, explore, stream=m)).logits.softmax(-1)
                for m in range(starts)
            ]
        )

    def evaluate(self, batch: dict[str, Tensor], stage: str) -> dict[str, ErrorRate]:
        label = batch["label"]
        if stage == "val":
            answers = {"error": self.probabilities(batch, explore=False, starts=1)[0]}
        else:
            means = self.probabilities(batch, explore=False, starts=self.test_starts)
            samples = self.probabilities(batch, explore=True, starts=self.test_starts)
            answers = dict(zip(self.test_errors, (means[0], means.mean(0), samples[0], samples.mean(0)), strict=True))
        metrics = {name: self.errors[f"{stage}_{name}"] for name in answers}
        for name, answer in answers.items():
            metrics[name].update(answer.argmax(-1), label)
        return metrics

    def titles(self, batch: dict[str, Tensor]) -> list[str]:
        """The truth and the answer."""
        answers = self.probabilities(batch, explore=False, starts=1)[0].argmax(-1)
        pairs = zip(batch["label"].tolist(), answers.tolist(), strict=True)
        return [f"truth {label}, answer {answer}" for label, answer in pairs]

    def record(self, batch: dict[str, Tensor]) -> Attention:
        """The windows of every glimpse, following the means from the start that belongs to each sample."""
        return self.network.record(batch["image"], draw_offsets(self.network, batch["key"], explore=False))
