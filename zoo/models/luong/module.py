"""Training Luong's stacks; of hard attention by any estimator of M places for each word."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.errors import ZooError
from zoo.models.luong.network import StackedLSTM
from zoo.nn.estimators import Estimator, effective_sample_size, importance_weights, log_mean_exp
from zoo.nn.random import uniform
from zoo.text.search import PAD
from zoo.text.translator import LitTranslator

EPOCH = 2**40  # between the keys of a sentence in two epochs; no corpus has as many


class LitStackedLSTM(LitTranslator):
    """Trains :class:`zoo.models.luong.StackedLSTM`.

    Args:
        estimator: the arguments of :class:`zoo.nn.estimators.Estimator`, whose samples and loss train hard attention,
            each place answered by its own word (not in the paper; as the public harvardnlp/var-attn); None for the
            likelihood itself, which of hard attention is summed over all places of the source, and takes as many
            times the memory.
        others: see :class:`zoo.text.translator.LitTranslator`.
    """

    network_class = StackedLSTM

    def __init__(self, estimator: dict | None = None, **others: Any):
        super().__init__(**others)
        self.estimator = None if estimator is None else self._made(Estimator.of(estimator))
        if self.estimator is not None:  # two seeds draw other places
            self.register_buffer("start", torch.randint(EPOCH, ()))

    def _made(self, estimator: Estimator) -> Estimator:
        """The estimator, if there is what it needs."""
        if not self.network.hard:
            raise ZooError(f"estimator.kind is {estimator.kind} and hard is false; estimators are of hard attention")
        if estimator.infers:
            raise ZooError("estimator.kind is wake_q and luong has no inference network; expected var, wake_p or vimco")
        if (estimator.temperature, estimator.entropy, estimator.coverage) != (1, 0, 0):
            raise ZooError(
                "estimator.temperature, entropy and coverage are of the wake-sleep room; luong has none of them"
            )
        if self.label_smoothing:
            raise ZooError(f"label_smoothing is {self.label_smoothing}; an estimator weighs by likelihoods as they are")
        return estimator

    def loss(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """The estimator's terms and their sum; and the effective sample size `ess` and the bound `nll`, constants."""
        if self.estimator is None:
            return super().loss(batch)
        source, target = batch["source"], batch["target"]
        label, samples = target[:, 1:], self.estimator.samples
        key = self.start + batch["index"] + EPOCH * self.current_epoch
        noise = uniform(key, label.shape[1], samples).mT  # word by word, so that padding changes none
        drawn = self.network.draw(source, source != PAD, target[:, :-1], noise)
        labels = label[:, None].expand(-1, samples, -1)
        nll = F.cross_entropy(drawn.logits.float().flatten(0, 2), labels.flatten(), ignore_index=PAD, reduction="none")
        real = (label != PAD).flatten()[:, None]  # (batch * T, 1)
        log_y, log_p = (each.view(labels.shape).mT.flatten(0, 1) * real for each in (-nll, drawn.log_p))
        rows = len(real) / self.weight(batch)  # for a token or a sentence: the estimator gives means
        terms = {name: rows * term for name, term in self.estimator.losses(log_y, log_p, log_p).items()}
        with torch.no_grad():
            ess = effective_sample_size(importance_weights(log_y, log_p, log_p)) * real[:, 0]
            watched = {"ess": ess.sum() / real.sum(), "nll": -rows * log_mean_exp(log_y).mean()}
        return {"loss": sum(terms.values()), **terms, **watched}
