"""An adversary that is trained: it answers as another classifier does, from other words (Wiegreffe and Pinter 2019)."""

from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric, Metric

from zoo.errors import check_flag, check_least
from zoo.looking.attention import Attention
from zoo.looking.explain import jensen_shannon, total_variation
from zoo.models.explained.module import look
from zoo.models.explained.network import AttentionClassifier
from zoo.text.classifier import LitTextClassifier, error_rates
from zoo.text.search import PAD
from zoo.text.trained import weights_of

LEAST = 1e-9  # below which a weight counts as this one, so that no divergence is infinite


class LitAdversary(LitTextClassifier):
    """Trains by TVD(y_a, y_b) - lambda KL(alpha_a | alpha_b), without labels (section 4), and measures both parts.

    y are the answers and alpha the attention of the adversary a and of the base model b, which stays as it is. The
    divergence that is measured is Jensen and Shannon's, at most log 2.

    Args:
        base: the classifier whose answers are kept: a released row, a folder, or a checkpoint of a run, of the same
            words (`data.tokenizer`=<its folder> gives them to other data); None: an untrained one.
        divergence: lambda.
        warm: whether the adversary begins as the base. Wiegreffe and Pinter's begins anew; but where there are many
            classes, total variation alone hardly teaches a network to classify.
        optimizer, schedule: see :class:`zoo.training.module.ZooModule`.
        network: the arguments of :class:`zoo.models.explained.AttentionClassifier`, of both.
    """

    monitor = "val/loss"

    def __init__(
        self,
        base: str | None = None,
        divergence: float = 0.01,
        warm: bool = False,
        optimizer: dict | None = None,
        schedule: dict | None = None,
        **network: Any,
    ):
        check_least(0, divergence=divergence)
        check_flag(warm=warm)
        super().__init__(AttentionClassifier(**network), optimizer, schedule)
        self.save_hyperparameters()
        self.start, self.divergence, self.warm = base, divergence, warm
        self.base = AttentionClassifier(**network | {"dropout": 0.0}).requires_grad_(False)
        self.known = base is None  # whether the base has its weights
        self.errors = error_rates()
        names = [f"{stage}_{name}" for stage in ("val", "test") for name in ("loss", "variation", "divergence")]
        self.means = nn.ModuleDict({name: MeanMetric() for name in names})

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        self.known = True  # the checkpoint brings them

    def read_base(self) -> None:
        """Before the first batch, and after a checkpoint is read: a run that goes on needs no file of its base."""
        if not self.known:
            self.base.load_state_dict(weights_of(self.start, self.base))
            self.known = True

    on_validation_start = on_test_start = read_base

    def on_fit_start(self) -> None:
        begins = not self.known
        self.read_base()
        if begins and self.warm:
            self.network.load_state_dict(self.base.state_dict())

    def parameter_groups(self) -> list[dict]:
        return [{"params": list(self.network.parameters())}]

    def compared(self, text: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Probabilities (batch, classes) and attention (batch, T) of the adversary, then those of the base."""
        mask, network = text != PAD, self.network
        logits, alpha, _ = network.look(network.dropout(network.words(text)), mask)
        with torch.no_grad():
            wanted, usual, _ = self.base.look(self.base.words(text), mask)
        return logits.softmax(-1), alpha, wanted.softmax(-1), usual

    def loss(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        y, alpha, wanted, usual = self.compared(batch["text"])
        variation = total_variation(y, wanted).sum() / self.weight(batch)
        divergence = kl(alpha, usual).sum() / self.weight(batch)
        return {"loss": variation - self.divergence * divergence, "variation": variation, "kl": divergence}

    def evaluate(self, batch: dict[str, Tensor], stage: str) -> dict[str, Metric]:
        y, alpha, wanted, usual = self.compared(batch["text"])
        variation = total_variation(y, wanted)
        found = {
            "loss": variation - self.divergence * kl(alpha, usual),
            "variation": variation,
            "divergence": jensen_shannon(alpha, usual),
        }
        metrics: dict[str, Metric] = {name: self.means[f"{stage}_{name}"] for name in found}
        for name, values in found.items():
            metrics[name].update(values)
        error = self.errors[f"{stage}_"]
        error.update(y.argmax(-1), batch["label"])
        return metrics | {"error": error}

    def record(self, batch: dict[str, Tensor]) -> Attention:
        """The weight of each word in the adversary's answer."""
        return look(self.network, batch["text"], self.trainer.datamodule)


def kl(p: Tensor, q: Tensor) -> Tensor:
    """sum_t p_t log(p_t / q_t) in nats: (batch, T) twice -> (batch,)."""
    return (p * (p.clamp(min=LEAST).log() - q.clamp(min=LEAST).log())).sum(-1)
