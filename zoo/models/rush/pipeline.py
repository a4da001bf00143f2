"""A description in, its headline and where the attention was for each word out."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from zoo.errors import OFTEN, check_whole
from zoo.looking.attention import Attention
from zoo.looking.saliency import Instance
from zoo.models.rush.decoding import Search, Titles, write
from zoo.pipelines import InputError, Pipeline, Result, check_text
from zoo.release import WeightsError
from zoo.text.search import PAD, UNK, real

PLAIN = re.compile(r"[\w#]")  # what no punctuation is without, as in datamodules.summaries, across the fence


@dataclass(frozen=True)
class Headline(Result):
    """The title of one text.

    Args:
        text: words with spaces between; a word with digits is written as the input has it.
        words: as the network wrote them, every digit #.
        score: alpha . features of the title; of plain ABS its log-probability.
        unknown: the words of the input that the network does not know.
        others: the texts of the next best titles.
    """

    text: str
    words: list[str]
    score: float
    unknown: list[str]
    others: list[str]

    @property
    def title(self) -> str:
        return self.text


class Summarise(Pipeline):
    """The first sentence of a text to a headline of a given number of words.

    Only the first line is read; the network was trained on first sentences.
    """

    task = "summarization"
    asks = {"text": "text"}  # noqa: RUF012
    samples = [  # noqa: RUF012
        "Zoom is a player for Z-Code stories or games. These were usually created by Infocom, in the 1980s.",
        "This package contains the development files of a fast, portable library for reading compressed archives.",
        "Foliate is a simple and modern e-book viewer for the GNOME desktop.",
    ]

    def __init__(self, network: nn.Module, config: dict[str, Any], folder: Path | None = None):
        super().__init__(network, config, folder)
        self.tokenizers = []
        for side in ("source", "target"):
            try:
                made = Tokenizer.from_file(str(folder / f"{side}.json"))
            except Exception as error:  # tokenizers raises plain Exception
                raise WeightsError(f"{folder / side}.json: cannot be read as a tokenizer ({error})") from None
            expected = self.config["network"][f"{side}_vocabulary"]
            if made.get_vocab_size() != expected:
                raise WeightsError(
                    f"{folder / side}.json: has {made.get_vocab_size()} entries, the weights expect {expected}"
                )
            self.tokenizers.append(made)
        self.longest = self.config["preprocess"]["max_length"]

    @staticmethod
    def preprocess(data: dict[str, Any]) -> dict[str, Any]:
        return {"max_length": data.get("max_length", 100)}

    def answer(
        self,
        batch: list[Any],
        length: int = 7,
        beam: int = 10,
        extractive: bool = False,
        copy_unknown: bool = False,
        n_best: int = 1,
    ) -> list[Headline]:
        """
        Args:
            batch: texts.
            length: words of the headline.
            beam: hypotheses that are kept.
            extractive: whether only words of the text may be written.
            copy_unknown: whether words of the text may be written that the vocabulary of titles lacks.
            n_best: how many headlines are told, the best and others.
        """
        check_whole(1, OFTEN, beam=beam, n_best=n_best)
        search = Search(length, max(beam, n_best), extractive, copy_unknown)
        read = [self._read(raw, name) for raw, name in zip(batch, check_text(batch, "text"), strict=True)]
        source, copy = (
            pad_sequence([torch.tensor(ids) for ids in side], batch_first=True, padding_value=PAD).to(self.device)
            for side in zip(*((each.source, each.copy) for each in read), strict=True)
        )
        found = write(self.network, source, copy, search)
        return [self._told(found, i, each, n_best) for i, each in enumerate(read)]

    def instance(self, batch: dict[str, Tensor]) -> Instance:
        """A text whose headline is the data's; see :class:`zoo.pipelines.Pipeline`."""
        if self.network.encoder != "attention":
            return super().instance(batch)
        title = batch["target"][:, :-1]

        def ask(source: Tensor) -> tuple[Tensor, Tensor]:
            return self.network(source, source != PAD, title.expand(len(source), -1))

        source = batch["source"][0]
        return Instance(source, real(source), ask, self.network.F)

    def _read(self, raw: str, name: str) -> "Read":
        """The first sentence of a text as words and numbers; `name` is what a message calls the text."""
        line = next((line for line in raw.splitlines() if line.strip()), "")
        source, target = self.tokenizers
        found = source.encode(line, add_special_tokens=False)
        spelt = [line[start:end] for start, end in found.offsets]
        end = min(first_sentence(spelt), self.longest)
        if not any(letter.isalnum() for word in spelt[:end] for letter in word):
            raise InputError(f"{name} has no words; expected a sentence such as the first of a description")
        splitter = source.pre_tokenizer.pre_tokenize_str(source.normalizer.normalize_str(line))
        words = [word for word, _ in splitter][:end]
        ids, known = [max(i, UNK) for i in found.ids[:end]], target.get_vocab()
        numbers = [known.get(word) or len(known) + words.index(word) for word in words]
        copy = [i if PLAIN.search(word) else PAD for i, word in zip(numbers, words, strict=True)]
        return Read(ids, copy, words, spelt[:end])

    def _told(self, found: Titles, row: int, read: "Read", n_best: int) -> Headline:
        count = min(n_best, int(found.score[row].isfinite().sum()))
        if not count:
            raise InputError("no headline can be written of the words of the text that the network knows")
        titles = [self._words(found.words[row, k].tolist(), read) for k in range(count)]
        if found.weights is None:
            raise InputError("the network has no attention to show")
        weights = found.weights[row, 0, :, : len(read.words)]
        record = Attention(weights=weights[None, None], inputs=[read.spelt], outputs=[titles[0]])
        texts = [" ".join(read.as_spelt(word) for word in title) for title in titles]
        unknown = [word for i, word in zip(read.source, read.spelt, strict=True) if i == UNK]
        return Headline(record, texts[0], titles[0], float(found.score[row, 0]), unknown, texts[1:])

    def _words(self, numbers: list[int], read: "Read") -> list[str]:
        known = self.network.VW.out_features
        return [read.words[i - known] if i >= known else self.tokenizers[1].id_to_token(i) for i in numbers]

    def example(self, batch: int) -> dict[str, Tensor]:
        source = torch.randint(UNK + 1, self.config["network"]["source_vocabulary"], (batch, 12))
        target = torch.randint(UNK + 1, self.config["network"]["target_vocabulary"], (batch, 7))
        return {"source": source, "mask": source != PAD, "target": target}


class Read(NamedTuple):
    """The first sentence of a text, a number and a word each: in lower case with # for digits, and as it stands."""

    source: list[int]
    copy: list[int]
    words: list[str]
    spelt: list[str]

    def as_spelt(self, word: str) -> str:
        """A word with digits as the sentence has it; of any other word nothing is known but its small letters."""
        return self.spelt[self.words.index(word)] if "#" in word and word in self.words else word


def first_sentence(words: list[str]) -> int:
    """After how many words the first sentence ends: at a stop before a capital letter, but for short words' stops."""
    for i in range(1, len(words) - 1):
        if words[i] in (".", "!", "?") and words[i + 1][:1].isupper() and len(words[i - 1]) > 2:
            return i + 1
    return len(words)
