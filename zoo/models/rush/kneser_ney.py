"""An interpolated Kneser-Ney model of titles, the weakest row of table 2 (Kneser and Ney 1995)."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from zoo.errors import check_whole
from zoo.text.search import BOS, PAD, UNK
from zoo.training.metrics import MeanNats, Perplexity
from zoo.training.module import ZooModule

Gram = tuple[int, ...]


class KneserNey:
    """p(w | the last words) = max(c - D, 0) / sum c + D (different w) / sum c p(w | one word less).

    c counts n-grams of the highest order, and of the lower ones the different words that stand before them; D is
    n_1 / (n_1 + 2 n_2) of each order; below one word there is an even choice.

    Args:
        titles: ids with the end symbol and without bos.
        order: words of the longest n-grams.
        words: that could follow.
    """

    def __init__(self, titles: Iterable[Sequence[int]], order: int, words: int):
        self.order, self.words = order, words
        counts: list[Counter[Gram]] = [Counter() for _ in range(order)]
        for title in titles:
            padded = (*[BOS] * (order - 1), *title)
            counts[-1].update(padded[i - order + 1 : i + 1] for i in range(order - 1, len(padded)))
        for n in range(order - 1, 0, -1):
            counts[n - 1].update(gram[1:] for gram in counts[n])  # each gram is there once: its last words continue it
        self.counts = counts
        self.totals: list[dict[Gram, int]] = []
        self.different: list[dict[Gram, int]] = []
        self.discounts: list[float] = []
        for each in counts:
            total, different = defaultdict(int), defaultdict(int)
            for gram, count in each.items():
                total[gram[:-1]] += count
                different[gram[:-1]] += 1
            self.totals.append(total)
            self.different.append(different)
            once, twice = (sum(count == n for count in each.values()) for n in (1, 2))
            self.discounts.append(once / (once + 2 * twice) if once else 0.5)

    def probability(self, word: int, before: Gram) -> float:
        """p of a word after the last order - 1 words or fewer."""
        p = 1 / self.words
        for n in range(min(len(before), self.order - 1) + 1):
            context = before[len(before) - n :]
            total = self.totals[n].get(context, 0)
            if not total:
                break
            discount = self.discounts[n]
            count = self.counts[n].get((*context, word), 0)
            p = (max(count - discount, 0) + discount * self.different[n][context] * p) / total
        return p

    def nats(self, title: Sequence[int]) -> list[float]:
        """-log p of each word of a title."""
        padded = (*[BOS] * (self.order - 1), *title)
        first = self.order - 1
        return [-math.log(self.probability(padded[i], padded[i - first : i])) for i in range(first, len(padded))]


class PerplexityOfNats(Perplexity):
    """exp of the mean of -log p."""

    def update(self, nats: Tensor) -> None:
        """(words,)."""
        MeanNats.add(self, nats, torch.ones_like(nats, dtype=torch.bool))


class Counts(nn.Module):
    """Nothing that a gradient could change."""

    def __init__(self) -> None:
        super().__init__()
        self.nothing = nn.Parameter(torch.zeros(()))


class LitKneserNey(ZooModule):
    """Perplexity of Kneser-Ney n-grams over the titles of the training pairs; no input is read.

    Args:
        order: words of the longest n-grams.
        source_vocabulary: not used.
        target_vocabulary: words of titles, special ones included.
    """

    monitor, mode = "val/perplexity", "min"

    def __init__(
        self,
        source_vocabulary: int,
        target_vocabulary: int,
        order: int = 5,
        optimizer: dict | None = None,
        schedule: dict | None = None,
    ):
        check_whole(1, 20, order=order)
        super().__init__(Counts(), optimizer, schedule)
        self.save_hyperparameters()
        self.order, self.words = order, target_vocabulary - 2  # neither padding nor bos follows
        names = ("perplexity", "known")
        self.measures = nn.ModuleDict({f"{stage}_{n}": PerplexityOfNats() for stage in ("val", "test") for n in names})
        self._model: KneserNey | None = None

    @property
    def model(self) -> KneserNey:
        """Counted when it is asked for."""
        if self._model is None:
            split = self.trainer.datamodule.split("train")
            titles = (split.target[i][1:].tolist() for i in range(len(split)))
            self._model = KneserNey(titles, self.order, self.words)
        return self._model

    def loss(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"loss": 0 * self.network.nothing}

    def evaluate(self, batch: dict[str, Tensor], stage: str) -> dict[str, Metric]:
        titles = [[i for i in row if i != PAD] for row in batch["target"][:, 1:].tolist()]
        nats = torch.tensor([value for title in titles for value in self.model.nats(title)], device=self.device)
        known = torch.tensor([i != UNK for title in titles for i in title], device=self.device)
        metrics = {name: self.measures[f"{stage}_{name}"] for name in ("perplexity", "known")}
        metrics["perplexity"].update(nats)
        metrics["known"].update(nats[known])
        return metrics

    def record(self, batch: Any) -> Any:
        raise NotImplementedError("n-grams look at no input")
