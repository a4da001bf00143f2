"""Sentences in, translations out, and where each head of each layer looked."""

from functools import partial
from typing import Any

import torch
from torch import Tensor

from zoo.errors import UnknownName, suggest
from zoo.looking.attention import Attention
from zoo.models.transformer.network import Looked
from zoo.text.search import BOS, Hypothesis
from zoo.text.translation import Translate, Translated


class TranslateByHeads(Translate):
    """A sentence to its translation; the record has all heads of the first layer, then of the second, and so on."""

    def answer(
        self,
        batch: list[Any],
        beam: int = 4,
        n_best: int = 1,
        normalise: str = "gnmt",
        alpha: float = 0.6,
        coverage: float = 0.0,
        copy_unknown: bool = True,
        split: bool = True,
        attention: str = "cross",
    ) -> list[Translated]:
        """As in :class:`zoo.text.translation.Translate`, with the search of the paper.

        Args:
            attention: what is recorded: "cross", where the decoder looks in the source; "encoder" or "decoder", the
                self-attention of one of the stacks (section 3.2.3), of which `alignment` then is the mean.
        """
        if attention not in Looked._fields:
            known = ", ".join(Looked._fields)
            raise UnknownName(f"attention is {attention!r}, not one of {known}{suggest(attention, Looked._fields)}")
        search = {"n_best": n_best, "normalise": normalise, "alpha": alpha, "coverage": coverage}
        return self.translate(batch, beam, search, copy_unknown, split, partial(self.record, attention=attention))

    def longest(self, lengths: Tensor) -> Tensor:
        return self.network.at_most(lengths + 50)

    def told(self, source: Tensor, mask: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        logits, weights = self.network(source, mask, target, need_weights=True)
        return logits, weights.mean(1)

    def record(self, best: Hypothesis, source: list[int], attention: str = "cross") -> Attention:
        outputs = self.written(best)
        fed = [BOS, *best.tokens][: len(outputs)]  # the last token read nothing if no end symbol followed it
        given, target = (torch.tensor([ids], device=self.device) for ids in (source, fed))
        looked = self.network.look(given, given > 0, target)
        words, before = self.source.pieces(source), self.target.pieces(fed)
        inputs, outputs = {
            "encoder": (words, words),
            "decoder": (before, before),
            "cross": (words, outputs),
        }[attention]
        weights = getattr(looked, attention)
        return Attention(weights=weights, inputs=[inputs], outputs=[outputs], layers=len(self.network.decoder))
