"""What an estimator of hard attention is told of M samples a caption (Ba, Grosse, Salakhutdinov, Frey 2015)."""

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor

from zoo.models.show_attend_tell.network import Told
from zoo.text.search import PAD

CREDITS = ("caption", "word")


class Samples(NamedTuple):
    """Of each word of M samples a picture, zero at padding: (batch, M, T) each."""

    log_y: Tensor  # log p(y_t | a_<=t, y_<t), how probable the word is after the places of that sample
    log_p: Tensor  # log p(a_t): of the policy
    log_r: Tensor  # log of what a_t was drawn with: the inference network's, or the policy's

    def credited(self, credit: str) -> tuple[Tensor, Tensor, Tensor]:
        """As :class:`zoo.nn.estimators.Estimator` takes them.

        With "caption" the places of all words are one sequence, answered by the likelihood of the whole caption:
        (batch, M). With "word" each place is answered by the likelihood of its own word, as in the public
        harvardnlp/var-attn: (batch * T, M). That leaves out what a place does to later words, and a single lucky
        sample does not have the weight of all words.
        """
        if credit == "caption":
            return tuple(each.sum(2) for each in self)
        return tuple(each.mT.flatten(0, 1) for each in self)


def samples_of(told: Told, label: Tensor) -> Samples:
    """Of what the network said of M samples, and the words y_1 to y_T (batch, T)."""
    batch, words = label.shape
    real = (label != PAD)[:, None]
    label = label[:, None].expand(-1, len(told.logits) // batch, -1)
    logits = told.logits.float().flatten(0, 1)
    log_y = -F.cross_entropy(logits, label.flatten(), ignore_index=PAD, reduction="none")
    return Samples(*(each.view(batch, -1, words) * real for each in (log_y, told.log_s, told.log_r)))
