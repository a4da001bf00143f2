"""A passage and a question with a hole in; the answer, and the words that were read for it, out."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from zoo.errors import OFTEN, check_whole
from zoo.looking.attention import Attention
from zoo.looking.saliency import Instance
from zoo.pipelines import InputError, Result, check_text
from zoo.release import WeightsError
from zoo.text.classification import Texts
from zoo.text.codec import Text, visible
from zoo.text.search import real

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TOKENS, NAMES = "text.json", "names.txt"  # as datamodules.cloze leaves them with a run
PLACEHOLDER, SEPARATOR = "@placeholder", "|||"
HOLE = re.compile(r"@placeholder|_{2,}")
WORD = re.compile(r"@placeholder|[^\W_]+(?:[-+.'_/][^\W_]+)*[+#]*|[^\w\s]|_")  # as datamodules.debian_cloze.TOKEN
FIRST = 6  # id of the first marker
SHOWN = 10  # words that were read most


@dataclass(frozen=True)
class Answered(Result):
    """The answer to one question.

    Args:
        answer: the likeliest name of the passage.
        probabilities: of every name of the passage; they sum to one.
        read: the words that were read most, with their weights, the most first; a reader that reads several times is
            shown as it read last.
        question: as it was read.
        unknown: words that the vocabulary lacks.
    """

    answer: str
    probabilities: dict[str, float]
    read: list[tuple[str, float]]
    question: str
    unknown: list[str]

    @property
    def title(self) -> str:
        return f"{self.answer} ({self.probabilities[self.answer]:.1%})"

    def _coloured(self) -> tuple[list[str], list[float], list[str], str]:
        return (
            self.attention.inputs[0],
            self.attention.weights[0, 0, -1].tolist(),
            list(self.probabilities),
            f"{self.question}: {self.title}",
        )

    def html(self) -> str:
        """The passage, its words coloured by how much they were read, as a piece of HTML."""
        from zoo.models.reader.coloured import html

        return html(*self._coloured())

    def plot(self, path: str | Path | None = None, lines: bool = False, truth: Any = None) -> "Figure":
        """Draws the passage with its words coloured; a path that ends in .html gets that instead of a picture.

        Args:
            lines: whether to draw lines from the words of the question to those of the passage instead.
        """
        if lines:
            return super().plot(path, lines, truth)
        from zoo.models.reader.coloured import figure

        words, weights, names, below = self._coloured()
        below = below if truth is None else f"{below}, truth {truth}"
        if path is not None and Path(path).suffix == ".html":
            partial = Path(f"{path}.partial")
            partial.write_text(f'<!doctype html>\n<meta charset="utf-8">\n{self.html()}', encoding="utf-8")
            os.replace(partial, path)
            path = None
        return figure(words, weights, names, below, path)


class Answering(Texts):
    """A passage and a question to the name that fills the hole of the question.

    An input is a dict with ``document`` and ``question``, or a string "passage ||| question". The hole is written
    ``@placeholder`` or ``___``. Names are found by their capitals, as in training; ``names``, a list of words, says
    which they are instead.
    """

    task = "question-answering"
    asks = MappingProxyType({"document": "text", "question": "line"})
    samples = (
        {
            "document": "CrazyWa is an AI engine for several variants of Shogi (Japanese Chess), and some variants of "
            "Chess. It currently plays the following games: Crazyhouse, a variant of Chess including Shogi-like drops.",
            "question": "AI engine for Wa ___ and several other variants",
        },
    )

    def __init__(self, network: nn.Module, config: dict[str, Any], folder: Path | None = None):
        super().__init__(network, config, folder)
        self.text = Text(folder / TOKENS, "en")
        self.markers = config["preprocess"]["markers"]
        if len(self.text) != config["network"]["vocabulary"]:
            expected = config["network"]["vocabulary"]
            raise WeightsError(f"{folder / TOKENS}: has {len(self.text)} entries, the weights expect {expected}")
        try:
            self.names = set((folder / NAMES).read_text(encoding="utf-8").splitlines())
        except (OSError, ValueError) as error:
            raise WeightsError(f"{folder / NAMES}: cannot be read as names ({error})") from None
        self.known = self.text.tokenizer.get_vocab(with_added_tokens=True)

    @staticmethod
    def preprocess(data: dict[str, Any]) -> dict[str, Any]:
        return {"markers": data["markers"], "max_tokens": data["max_tokens"]}

    def answer(self, batch: list[Any], permutations: int = 5, seed: int = 0) -> list[Answered]:
        """One answer for each input.

        Args:
            batch: see the class.
            permutations: of the markers that stand for the names, over which probabilities and weights are means.
            seed: of the permutations.
        """
        check_whole(1, OFTEN, permutations=permutations)
        check_whole(0, 2**63 - 1, seed=seed)
        pairs = [split(raw) for raw in batch]
        check_text([text for document, question, _ in pairs for text in (document, question)], "text")
        return [self._one(*pair, permutations, seed) for pair in pairs]

    def _one(self, document: str, question: str, names: list[str] | None, permutations: int, seed: int) -> Answered:
        shown = WORD.findall(visible(document))
        words, asked = [word.lower() for word in shown], WORD.findall(HOLE.sub(PLACEHOLDER, visible(question)).lower())
        if not words:
            raise InputError("the document is empty")
        if asked.count(PLACEHOLDER) != 1:
            raise InputError(
                f"the question has {asked.count(PLACEHOLDER)} holes, expected one, as in: ___ is a library"
            )
        longest = self.config["preprocess"]["max_tokens"]
        if len(words) > longest:
            raise InputError(f"the document has {len(words)} words, and the network was trained on at most {longest}")
        found = self._names(shown) if names is None else {name.lower() for name in names}
        numbers: dict[str, int] = {}
        for word in [*words, *asked]:
            if word in found:
                numbers.setdefault(word, len(numbers))
        candidates = list(dict.fromkeys(word for word in words if word in numbers))
        if not candidates:
            raise InputError("the document has no name that could be the answer; names= says which words are names")
        if len(numbers) > self.markers:
            raise InputError(f"there are {len(numbers)} names, and the network knows {self.markers} markers")
        draw = np.random.default_rng(seed)
        orders = [FIRST + draw.permutation(self.markers) for _ in range(permutations)]

        def rows(tokens: list[str]) -> Tensor:
            """(permutations, length) ids."""
            unknown = self.known["<unk>"]
            ids = [
                [order[numbers[w]] if w in numbers else self.known.get(w, unknown) for w in tokens] for order in orders
            ]
            return torch.tensor(np.array(ids, np.int64), device=self.device)

        d, q = rows(words), rows(asked)
        p = self.network(d, q).gather(1, rows(candidates)).softmax(1).mean(0).tolist()
        looks = self.network.look(d, q)
        weights = torch.full((1, 1, len(words)), 1 / len(words)) if looks is None else looks.mean(0, keepdim=True).cpu()
        first = {word.lower(): word for word in reversed(shown)}
        named = sorted(zip((first[word] for word in candidates), p, strict=True), key=lambda pair: -pair[1])
        most = weights[0, -1].argsort(descending=True)[:SHOWN].tolist()
        outputs = asked if weights.shape[1] > 1 else [named[0][0]]
        return Answered(
            Attention(weights=weights[:, None], inputs=[shown], outputs=[outputs]),
            named[0][0],
            dict(named),
            [(shown[i], weights[0, -1, i].item()) for i in most],
            " ".join(asked),
            sorted({w for w in [*words, *asked] if w not in numbers and w not in self.known}),
        )

    def instance(self, batch: dict[str, Tensor]) -> Instance:
        """A document and what is answered to a question of one hole, among the names that stand in the document."""
        if self.network.look(batch["document"], batch["question"]) is None:
            return super().instance(batch)
        question, candidates = batch["question"], batch["candidates"]

        def ask(document: Tensor) -> tuple[Tensor, Tensor]:
            g, weights = self.network.g(document, question.expand(len(document), -1), look=True)
            logits = self.network.answers(g).gather(1, candidates.expand(len(document), -1))
            return logits[:, None], weights[:, -1:]

        document = batch["document"][0]
        return Instance(document, real(document), ask, self.network.words)

    def _names(self, shown: list[str]) -> set[str]:
        """Words that were names in training, and words that were not in it and have a capital within a sentence."""
        starts = {0} | {i + 1 for i, word in enumerate(shown) if word in ".!?"}
        new = {
            word.lower()
            for i, word in enumerate(shown)
            if i not in starts and word != word.lower() and word.lower() not in self.known
        }
        return self.names | new

    def example(self, batch: int) -> dict[str, Tensor]:
        """Arguments of the network's forward by name: ids of a document and of a question."""
        document = torch.arange(FIRST, FIRST + 8, device=self.device).expand(batch, -1).contiguous()
        return {"document": document, "question": document[:, :5].contiguous()}


def split(raw: Any) -> tuple[Any, Any, list[str] | None]:
    """Document, question and names of an input."""
    if isinstance(raw, str) and raw.count(SEPARATOR) == 1:
        return *(part.strip() for part in raw.split(SEPARATOR)), None
    if isinstance(raw, dict) and {"document", "question"} <= raw.keys() <= {"document", "question", "names"}:
        return raw["document"], raw["question"], raw.get("names")
    raise InputError(f"expected a passage and a question as a dict, or as a string with {SEPARATOR} between")
