"""Titles without learning: the first words, another pair's title, and keywords before the first words."""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
from torch import Tensor
from torchmetrics import Metric

from zoo.errors import OFTEN, check_choice, check_whole
from zoo.models.rush.kneser_ney import Counts
from zoo.models.rush.titles import Batch, LitTitles

METHODS = ("prefix", "prefix75", "retrieval", "titles", "keywords")
KEYWORDS, CHARACTERS = 2, 75


class BM25:
    """Documents by the match of their words with a query (Robertson and Zaragoza 2009).

    Args:
        documents: lists of words.
        k1, b: how soon a repeated word counts no more, and how much long documents are held back.
    """

    def __init__(self, documents: Sequence[Sequence[str]], k1: float = 1.2, b: float = 0.75):
        lengths = np.array([len(document) for document in documents], float)
        places: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for number, document in enumerate(documents):
            for word, count in Counter(document).items():
                places[word].append((number, count))
        self.size, held = len(documents), k1 * (1 - b + b * lengths / lengths.mean())
        self.idf = {word: math.log(1 + (self.size - len(p) + 0.5) / (len(p) + 0.5)) for word, p in places.items()}
        self.places: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        for word, found in places.items():
            numbers, counts = np.array(found).T
            self.places[word] = numbers, self.idf[word] * counts * (k1 + 1) / (counts + held[numbers])

    def scores(self, query: Sequence[str]) -> np.ndarray:
        """(documents,) of a query; each of its words counts once."""
        total = np.zeros(self.size)
        for word in dict.fromkeys(query):
            if word in self.places:
                numbers, values = self.places[word]
                total[numbers] += values
        return total


class LitBaseline(LitTitles):
    """Writes titles by a rule and scores them as those of a network.

    Args:
        method: "prefix", the first `length` words of the sentence without punctuation; "prefix75", as many as its first
            75 characters hold (PREFIX of the paper); "retrieval", the title of the
            training pair whose sentence matches best by BM25 (IR of the paper); "titles", the title that matches the
            sentence best; "keywords", two words of the sentence that are rare in training, then its first words.
        length: words of a title; of prefix and keywords alone.
        bytes: see :meth:`zoo.models.rush.titles.LitTitles.score_by`.
        source_vocabulary, target_vocabulary: not used.
    """

    monitor, mode = "val/rouge1", "max"

    def __init__(
        self,
        source_vocabulary: int,
        target_vocabulary: int,
        method: str = "prefix",
        length: int = 8,
        bytes: int | None = None,
        optimizer: dict | None = None,
        schedule: dict | None = None,
    ):
        check_choice(METHODS, method=method)
        check_whole(1, OFTEN, length=length)
        super().__init__(Counts(), optimizer, schedule)
        self.save_hyperparameters()
        self.score_by(bytes)
        self.method, self.length = method, length
        self._index: BM25 | None = None

    @property
    def index(self) -> BM25:
        """The sentences or, of "titles", the titles of training, indexed when they are asked for."""
        if self._index is None:
            side = 1 if self.method == "titles" else 0
            pairs = self.trainer.datamodule.pairs("train")
            self._index = BM25([(pair.titles[0] if side else pair.article).split() for pair in pairs])
        return self._index

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        return {"loss": 0 * self.network.nothing}

    def evaluate(self, batch: Batch, stage: str) -> dict[str, Metric]:
        articles = self.trainer.datamodule.articles(stage, batch["index"].tolist())
        return self.score([self.title(article) for article in articles], batch, stage)

    def title(self, article: list[str]) -> str:
        """The title of a sentence, a line of words."""
        words = [word for word in article if any(letter.isalnum() or letter == "#" for letter in word)]
        if self.method in ("retrieval", "titles"):
            best = int(self.index.scores(words).argmax())
            return self.trainer.datamodule.pairs("train")[best].titles[0]
        if self.method == "keywords":
            lead, rest = words[: max(self.length - KEYWORDS, 0)], words[max(self.length - KEYWORDS, 0) :]
            rare = sorted(dict.fromkeys(rest), key=lambda word: -self.index.idf.get(word, math.inf))
            return " ".join([*rare[:KEYWORDS], *lead][: self.length])
        if self.method == "prefix75":
            ends = accumulate(len(word) + 1 for word in words)
            return " ".join(word for word, end in zip(words, ends, strict=True) if end <= CHARACTERS + 1)
        return " ".join(words[: self.length])

    def record(self, batch: Any) -> Any:
        raise NotImplementedError("a rule looks at no word more than at another")
