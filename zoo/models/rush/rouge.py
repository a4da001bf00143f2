"""ROUGE of titles by the package rouge-score, over words as the data have them."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from zoo.training.metrics import MeanNats

KINDS = ("rouge1", "rouge2", "rougeL")


class Spaces:
    """The tokeniser for lines of words: that of the package deletes #, + and all that is no letter of English."""

    def tokenize(self, text: str) -> list[str]:
        return text.split()


@cache
def scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(KINDS, tokenizer=Spaces())


def rouge(title: str, references: Sequence[str], measure: str = "fmeasure") -> list[float]:
    """ROUGE-1, ROUGE-2 and ROUGE-L in percent, the mean over the references.

    Args:
        title, references: words with spaces between.
        measure: "fmeasure" (F1), "recall" or "precision".
    """
    found = [scorer().score(reference, title) for reference in references]
    return [100 * sum(getattr(each[kind], measure) for each in found) / len(found) for kind in KINDS]


def cut(title: str, size: int = 75) -> str:
    """The first bytes of a title, as DUC scores it; a letter that is cut in two is left out."""
    return title.encode()[:size].decode(errors="ignore")


class MeanScore(MeanNats):
    """The mean of scores over titles, exact in any split over processes."""

    higher_is_better = True

    def update(self, scores: Tensor) -> None:
        """(batch,)."""
        self.add(scores, torch.ones_like(scores, dtype=torch.bool))
