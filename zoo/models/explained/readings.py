"""A batch of texts as zoo.looking.explain asks for it: scores of vectors, shortened texts, and other attention."""

import torch
from torch import Tensor

from zoo.models.explained.network import AttentionClassifier
from zoo.text.search import PAD


class Readings:
    """What a classifier, in evaluation, makes of some texts.

    Args:
        text: ids (batch, T), padded with 0 at the end.
        fixed: whether attention is a constant of :meth:`score` (as Jain and Wallace have it), or moves with the words.

    Attributes:
        x: vectors of the words (batch, T, embedding); mask (batch, T) bool; probabilities (batch, classes); alpha
            (batch, T); h (batch, T, size); label (batch,) int64, the class that is answered.
    """

    def __init__(self, network: AttentionClassifier, text: Tensor, fixed: bool = True):
        self.network, self.text, self.mask, self.fixed = network, text, text != PAD, fixed
        with torch.no_grad():
            self.x = network.words(text)
            logits, self.alpha, self.h = network.look(self.x, self.mask)
            self.probabilities = logits.softmax(-1)
        self.label = self.probabilities.argmax(-1)

    def score(self, x: Tensor) -> Tensor:
        """The probability of the class that is answered, of other vectors: (batch,)."""
        logits, _, _ = self.network.look(x, self.mask, self.alpha if self.fixed else None)
        return logits.softmax(-1).gather(1, self.label[:, None])[:, 0]

    def read(self, keep: Tensor) -> Tensor:
        """Probabilities of the texts of the words that are kept; of a text without any, those of its first word."""
        keep = keep.clone()
        keep[:, 0] |= ~keep.any(1)
        order = (~keep).long().sort(dim=1, stable=True).indices
        shorter = torch.where(keep.gather(1, order), self.text.gather(1, order), PAD)
        return self.network(shorter, shorter != PAD).softmax(-1)

    def answer(self, alpha: Tensor) -> Tensor:
        """Probabilities where the words weigh otherwise."""
        return self.network.answer(self.h, alpha).softmax(-1)
