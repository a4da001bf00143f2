"""Training the wake-sleep room with any estimator of hard attention, and what is measured."""

import torch
from torch import Tensor, nn

from zoo.errors import OFTEN, ZooError, check_least, check_whole
from zoo.looking.attention import Attention
from zoo.models.wake_sleep_ram.network import Rollout, WakeSleepRAM
from zoo.models.wake_sleep_ram.noise import draw_noise
from zoo.nn.estimators import Estimator, coverage_loss, effective_sample_size, importance_weights, log_mean_exp
from zoo.training.metrics import ErrorRate
from zoo.training.module import ZooModule


def log_answer(logits: Tensor, label: Tensor) -> Tensor:
    """log p(y|a^m, I) of M sequences: logits (batch, M, classes) and label (batch,) to (batch, M)."""
    chosen = label[:, None, None].expand(-1, logits.shape[1], 1)
    return logits.log_softmax(-1).gather(-1, chosen).squeeze(-1)


class LitWakeSleepRAM(ZooModule):
    """Trains policy, core and answer by an estimator, and with "wake_q" the inference network beside them.

    Args:
        estimator: the arguments of :class:`zoo.nn.estimators.Estimator`.
        policy_weight: of the policy's gradient; 1 is the estimator as it is.
        policy_rate: factor of the learning rate of the policy's heads, and of the whole inference network: at the rate
            of the rest the noise of its samples leaves it no living unit.
        test_samples: sequences that the averaged test error averages over.
        optimizer, schedule: see :class:`zoo.training.module.ZooModule`.
        network: the arguments of :class:`zoo.models.wake_sleep_ram.WakeSleepRAM`.
    """

    monitor = "val/error"

    def __init__(
        self,
        estimator: dict | None = None,
        policy_weight: float = 1.0,
        policy_rate: float = 1.0,
        test_samples: int = 5,
        optimizer: dict | None = None,
        schedule: dict | None = None,
        **network,
    ):
        check_whole(1, OFTEN, test_samples=test_samples)
        check_least(0, policy_weight=policy_weight, policy_rate=policy_rate)
        super().__init__(WakeSleepRAM(**network), optimizer, schedule)
        self.save_hyperparameters()
        self.estimator, self.policy_weight, self.policy_rate = Estimator.of(estimator), policy_weight, policy_rate
        if self.network.inference is not None:
            self.network.inference.requires_grad_(self.estimator.infers)  # under DDP what learns must have a gradient
        elif self.estimator.infers:
            raise ZooError("estimator.kind is wake_q and inference is false; wake_q draws from the inference network")
        self.test_samples = test_samples
        self.errors = nn.ModuleDict(
            {name: ErrorRate() for name in ("val_error", *(f"test_{name}" for name in self.test_errors))}
        )

    @property
    def test_errors(self) -> tuple[str, ...]:
        """Names of the test errors: of the likeliest glimpses, of one sampled sequence, and averaged over several."""
        return "error", "error_sampled", f"error_{self.test_samples}_samples"

    def parameter_groups(self) -> list[dict]:
        """What says where to look has a learning rate of its own."""
        if "lr" not in self.optimizer:
            raise ZooError("policy_rate is a factor of the learning rate, and the optimizer has no lr")
        q = self.network.inference
        looking = [self.network.locate, self.network.choose, *([q] if q else ())]
        slow = [parameter for part in looking for parameter in part.parameters()]
        rest = [parameter for parameter in self.parameters() if all(parameter is not each for each in slow)]
        return [{"params": rest}, {"params": slow, "lr": self.optimizer["lr"] * self.policy_rate}]

    def rollout(self, batch: dict[str, Tensor]) -> Rollout:
        """The M sequences that a training step draws, from p or q as the estimator says."""
        chosen = self.estimator
        noise = draw_noise(batch["key"], chosen.samples, self.network.num_glimpses)
        return self.network(batch["image"], noise, batch["label"] if chosen.infers else None, chosen.temperature)

    def loss(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """The estimator's terms and their sum; and, without gradient, what is watched.

        Watched are the effective sample size `ess`, the bound `nll` on -log p(y|I), the answers' `error` in %, and with
        an inference network `apart`, an estimate of KL(q || p) in nats: at 0 it draws what the policy would.
        """
        rollout = self.rollout(batch)
        log_y = log_answer(rollout.logits, batch["label"])
        # a part of the gradient, and the value as it is
        log_p = self.policy_weight * rollout.log_p + (1 - self.policy_weight) * rollout.log_p.detach()
        terms = self.estimator.losses(log_y, log_p, rollout.log_r, rollout.log_q)
        terms |= self.heuristics(rollout)
        with torch.no_grad():
            weights = importance_weights(log_y, rollout.log_p, rollout.log_r)
            wrong = rollout.logits.argmax(-1) != batch["label"][:, None]
            watched = {
                "ess": effective_sample_size(weights).mean(),
                "nll": -log_mean_exp(log_y + rollout.log_p - rollout.log_r).mean(),
                "error": 100 * wrong.float().mean(),
            }
            if self.estimator.infers:
                watched["apart"] = (rollout.log_q - rollout.log_p).mean()
        return {"loss": sum(terms.values()), **terms, **watched}

    def heuristics(self, rollout: Rollout) -> dict[str, Tensor]:
        """The exploration heuristics that the estimator asks for; of the entropy, the scales' (a place's is fixed)."""
        terms = {}
        if self.estimator.entropy:
            choices = rollout.choices  # (batch, M, N, scales), log probabilities
            terms["entropy"] = self.estimator.entropy * (choices.exp() * choices).sum((-1, -2)).mean()
        if self.estimator.coverage:
            terms["coverage"] = self.estimator.coverage * coverage_loss(rollout.means, self.network.sigma).mean()
        return terms

    def probabilities(self, batch: dict[str, Tensor], samples: int) -> Tensor:
        """Class probabilities of sequences that p draws, (batch, samples, classes); 0 samples: of the likeliest."""
        noise = draw_noise(batch["key"], samples, self.network.num_glimpses) if samples else None
        return self.network(batch["image"], noise).logits.softmax(-1)

    def evaluate(self, batch: dict[str, Tensor], stage: str) -> dict[str, ErrorRate]:
        answers = {"error": self.probabilities(batch, 0)[:, 0]}
        if stage == "test":
            sampled = self.probabilities(batch, self.test_samples)
            answers |= dict(zip(self.test_errors[1:], (sampled[:, 0], sampled.mean(1)), strict=True))
        metrics = {name: self.errors[f"{stage}_{name}"] for name in answers}
        for name, answer in answers.items():
            metrics[name].update(answer.argmax(-1), batch["label"])
        return metrics

    def titles(self, batch: dict[str, Tensor]) -> list[str]:
        """The truth and the answer."""
        answers = self.probabilities(batch, 0)[:, 0].argmax(-1)
        pairs = zip(batch["label"].tolist(), answers.tolist(), strict=True)
        return [f"truth {label}, answer {answer}" for label, answer in pairs]

    def record(self, batch: dict[str, Tensor]) -> Attention:
        """The windows of the likeliest glimpses."""
        return self.network.record(batch["image"])
