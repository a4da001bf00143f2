"""Training a classifier whose attention is looked at, plainly or with adversarial attention."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.errors import check_choice, check_least
from zoo.looking.attention import Attention
from zoo.models.explained.network import AttentionClassifier
from zoo.nn.scope import masked_softmax
from zoo.text.classifier import LitTextClassifier, error_rates
from zoo.text.search import PAD

ATTACKS = ("at", "iat")


class LitExplained(LitTextClassifier):
    """Trains by cross-entropy; measures wrong answers in percent.

    Args:
        adversarial: lambda of adversarial training of attention (Kitada and Iyatomi 2020): the loss of attention that
            was perturbed counts so much beside the plain one. 0 is none.
        attack: "at", any perturbation of the scores before the softmax, or "iat", one along their differences.
        epsilon: norm of that perturbation.
        optimizer, schedule: see :class:`zoo.training.module.ZooModule`.
        network: the arguments of :class:`zoo.models.explained.AttentionClassifier`.
    """

    def __init__(
        self,
        adversarial: float = 0.0,
        attack: str = "at",
        epsilon: float = 1.0,
        optimizer: dict | None = None,
        schedule: dict | None = None,
        **network: Any,
    ):
        check_least(0, adversarial=adversarial, epsilon=epsilon)
        check_choice(ATTACKS, attack=attack)
        super().__init__(AttentionClassifier(**network), optimizer, schedule)
        self.save_hyperparameters()
        self.adversarial, self.attack, self.epsilon = adversarial, attack, epsilon
        self.errors = error_rates()

    def loss(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """L(scores) + lambda L(scores + r)."""
        text, mask = batch["text"], batch["text"] != PAD
        network, weight = self.network, self.weight(batch)
        h = network.encoder(network.dropout(network.words(text)), mask)
        scores = network.scores(h)

        def cross_entropy(scores: Tensor) -> Tensor:
            logits = network.answer(h, masked_softmax(scores, mask))
            return F.cross_entropy(logits, batch["label"], reduction="sum") / weight

        plain = cross_entropy(scores)
        if not self.adversarial:
            return {"loss": plain}
        attacked = cross_entropy(scores + self.worst(plain, scores, mask))
        return {"loss": plain + self.adversarial * attacked, "plain": plain, "attacked": attacked}

    def worst(self, loss: Tensor, scores: Tensor, mask: Tensor) -> Tensor:
        """r, a constant of norm epsilon for each text, which raises the loss by its gradient g = dL / dscores.

        AT: r = epsilon g / |g|, the step that raises it most. iAT: r_t = sum_k a_tk d_tk, where d_tk is the difference
        of the scores of words t and k, all of a text scaled to norm one; the direction of a that raises the loss most
        is g_t d_tk, so r_t is g_t sum_k d_tk^2, scaled to epsilon.
        """
        if not torch.is_grad_enabled():
            return torch.zeros_like(scores)
        (g,) = torch.autograd.grad(loss, scores, retain_graph=True)
        if self.attack == "iat":
            g = g * differences(scores.detach(), mask).square().sum(-1)
        return self.epsilon * F.normalize(g, dim=-1)

    def record(self, batch: dict[str, Tensor]) -> Attention:
        """The weight of each word in the answer."""
        return look(self.network, batch["text"], self.trainer.datamodule)


def look(network: AttentionClassifier, text: Tensor, data: Any) -> Attention:
    """The weight of each word of ids (batch, T) in the answer; the datamodule names words and classes."""
    logits, alpha, _ = network.look(network.words(text), text != PAD)
    outputs = [[data.classes[i]] for i in logits.argmax(-1).tolist()]
    return Attention(weights=alpha[:, None, None], inputs=data.pieces(text), outputs=outputs)


def differences(scores: Tensor, mask: Tensor) -> Tensor:
    """d_tk, the score of word t less that of word k, of norm one over a text: (batch, T) -> (batch, T, T).

    Zero for what is no word, and everywhere where all words have one score.
    """
    d = (scores[:, :, None] - scores[:, None]) * (mask[:, :, None] & mask[:, None])
    return F.normalize(d.flatten(1), dim=-1).view_as(d)
