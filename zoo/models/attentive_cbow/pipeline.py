"""A sentence with a blank in, the words that fit and the weight of each word around it out."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from zoo.errors import check_whole
from zoo.looking.attention import Attention
from zoo.looking.saliency import Instance
from zoo.pipelines import InputError, Pipeline, Result, check_text
from zoo.release import WeightsError

WORDS = "words.tsv"  # as datamodules.lexicon leaves it with a run
TOKEN = re.compile(r"\w+(?:[-'’._]\w+)*(?:\+\+)?|[^\w\s]")  # as datamodules.documents cuts text
BLANK = re.compile(r"(?<!\w)_+(?!\w)")


@dataclass(frozen=True)
class Filled(Result):
    """What may stand in a blank.

    Args:
        word: the likeliest.
        probabilities: of the likeliest words. Noise is drawn by count ** power, so what negative sampling learns is
            log p(v | c) less power * log count(v), but for a constant; they are its softmax with that put back.
        weights: of the words in the window that have vectors, in their order, as (word, weight).
        unknown: the words of the sentence that have none.
    """

    word: str
    probabilities: dict[str, float]
    weights: list[tuple[str, float]]
    unknown: list[str]

    @property
    def title(self) -> str:
        return f"{self.word} ({self.probabilities[self.word]:.1%})"


class Blank(Pipeline):
    """Sentences with one blank each, written as _ or ___, to the words that fit there.

    Words without a vector are taken out of the sentence first, as they are out of the text that is trained on.
    """

    task = "fill-mask"
    asks: ClassVar = {"sentence": "line"}  # of the gallery: what a raw input is
    samples: ClassVar = [
        "this package contains the ___ files for the library .",
        "a small game in which you ___ blocks before they reach the top of the screen .",
        "it can read and ___ images in many formats , such as png , jpeg and tiff .",
    ]

    def __init__(self, network: nn.Module, config: dict[str, Any], folder: Path | None = None):
        super().__init__(network, config, folder)
        try:
            rows = [line.split("\t") for line in (folder / WORDS).read_text(encoding="utf-8").split("\n")[:-1]]
            self.words = [word for word, _ in rows]
            counts = torch.tensor([float(count) for _, count in rows])
        except (OSError, ValueError, TypeError) as error:
            raise WeightsError(f"{folder}: its words cannot be read ({error})") from None
        if len(self.words) != network.W.num_embeddings:
            raise WeightsError(f"{folder / WORDS}: {len(self.words)} words for {network.W.num_embeddings} vectors")
        self.prior = config["preprocess"]["power"] * counts.log()
        self.numbers = {word: number for number, word in enumerate(self.words)}

    @staticmethod
    def preprocess(data: dict[str, Any]) -> dict[str, Any]:
        return {"lowercase": data["lowercase"], "power": data["power"]}

    def answer(self, batch: list[str], top: int = 10) -> list[Filled]:
        """
        Args:
            batch: see the class.
            top: how many words are named.
        """
        check_whole(1, top=top)
        names = check_text(batch, "sentence")
        return [self._one(raw, name, top) for raw, name in zip(batch, names, strict=True)]

    def _one(self, raw: str, name: str, top: int) -> Filled:
        parts = BLANK.split(raw)
        if len(parts) != 2:
            raise InputError(f"{name} has {len(parts) - 1} blanks; expected one, written as ___")
        left, right = (self.tokens(part) for part in parts)
        b = self.network.window
        unknown = [word for word in (*left, *right) if word not in self.numbers]
        left, right = ([word for word in side if word in self.numbers] for side in (left, right))
        left, right = left[-b:], right[:b]
        if not left and not right:
            raise InputError(f"{name} has no word beside its blank that the model knows")
        text, here = self._stretch(left, right)
        c, a = self.network(text, here)
        scores = c[0, 0].float() @ self.network.O.weight.float().T + self.prior.to(c.device)
        p = scores.softmax(-1)
        best = p.topk(min(top, len(p))).indices.tolist()
        weights = a[0, 0][here[0, 0]].float().cpu()
        shown = [*left, *right]
        record = Attention(weights=weights[None, None, None], inputs=[shown], outputs=[["___"]])
        found = {self.words[i]: p[i].item() for i in best}
        return Filled(record, self.words[best[0]], found, list(zip(shown, weights.tolist(), strict=True)), unknown)

    def instance(self, batch: dict[str, Tensor]) -> Instance:
        """The first word of a stretch and the words around it, which keep their slots where one is taken out.

        An input is a word's number and its place among the 2b + 1 around and at the blank, in one number,
        number * (2b + 1) + place; -1 where no word is.
        """
        b = self.network.window
        size, middle = 2 * b + 1, torch.arange(2 * b + 1, device=self.device) == b
        there = torch.zeros(size, dtype=torch.bool, device=self.device).masked_scatter(~middle, batch["here"][0, 0])
        words = batch["text"][0, :size] * size + torch.arange(size, device=self.device)

        def ask(inputs: Tensor) -> tuple[Tensor, Tensor]:
            # what is no word is put into the blank, which is not read
            place = torch.where(inputs < 0, b, inputs % size)
            text = inputs.new_zeros(len(inputs), size).scatter(1, place, inputs.clamp(min=0) // size)
            here = torch.zeros_like(text, dtype=torch.bool).scatter(1, place, inputs >= 0)
            c, a = self.network(text, here[:, None, ~middle])
            weights = a.new_zeros(len(inputs), size).masked_scatter(~middle, a).gather(1, place)
            return (c.float() @ self.network.O.weight.float().T + self.prior.to(c.device)), weights[:, None]

        return Instance(torch.where(there, words, -1), there.nonzero()[:, 0], ask, self.network.W)

    def tokens(self, text: str) -> list[str]:
        """The words of a text as the network was trained on them."""
        return TOKEN.findall(text.lower() if self.config["preprocess"]["lowercase"] else text)

    def _stretch(self, left: list[str], right: list[str]) -> tuple[Tensor, Tensor]:
        """A stretch of one word to predict, (1, 1 + 2b), and which slots around it are filled, (1, 1, 2b)."""
        b = self.network.window
        row = [None] * (b - len(left)) + left + [None] + right + [None] * (b - len(right))
        numbers = [self.numbers.get(word, 0) for word in row]
        here = [word is not None for i, word in enumerate(row) if i != b]
        return torch.tensor([numbers], device=self.device), torch.tensor([[here]], device=self.device)

    def example(self, batch: int) -> dict[str, Tensor]:
        """Full windows of the most frequent word."""
        b = self.network.window
        text = torch.zeros(batch, 1 + 2 * b, dtype=torch.int64, device=self.device)
        return {"text": text, "here": torch.ones(batch, 1, 2 * b, dtype=torch.bool, device=self.device)}
