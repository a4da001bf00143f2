"""Sentences in, translations out, and where each head of each layer looked."""

from typing import Any

import torch
from torch import Tensor

from zoo.search import BOS, Hypothesis
from zoo.translation import Translate, Translated


class TranslateByHeads(Translate):
    """A sentence to its translation; the record has all heads of the first decoder layer, then of the second, etc."""

    def answer(
        self,
        batch: list[Any],
        beam: int = 4,
        n_best: int = 1,
        normalise: str = "gnmt",
        alpha: float = 0.6,
        coverage: float = 0.0,
        copy_unknown: bool = True,
    ) -> list[Translated]:
        """As in :class:`zoo.translation.Translate`, with the search of the paper."""
        return super().answer(batch, beam, n_best, normalise, alpha, coverage, copy_unknown)

    def longest(self, lengths: Tensor) -> Tensor:
        return self.network.at_most(lengths + 50)

    def look(self, source: Tensor, mask: Tensor, target: Tensor) -> Tensor:
        return self.network(source, mask, target, need_weights=True)[1].mean(1)

    @property
    def layers(self) -> int:
        return len(self.network.decoder)

    def weights(self, best: Hypothesis, source: list[int]) -> Tensor:
        read_by = [BOS, *best.tokens][: len(best.weights)]  # the last token read nothing if no end symbol followed it
        read, written = (torch.tensor([ids], device=self.device) for ids in (source, read_by))
        return self.network(read, read > 0, written, need_weights=True)[1][0]
