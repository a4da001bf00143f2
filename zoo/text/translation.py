"""Sentences in, translations and alignments out: the pipeline of every network that translates."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from zoo.errors import OFTEN, check_flag, check_whole
from zoo.looking.attention import Attention
from zoo.pipelines import InputError, Pipeline, Result, check_text
from zoo.release import WeightsError
from zoo.text.codec import BOS, EOS, PAD, UNK, Text, with_eos
from zoo.text.decoding import Hypothesis, beam_search
from zoo.text.forms import Forms, tell
from zoo.text.unknown import replace_unknown

LONGEST = 500  # tokens of a sentence
SAMPLES = {  # a sentence to begin with, by the language that is read
    "de": "Diese Bibliothek wird von anderen Programmen für die Anzeige von Bildern verwendet.",
    "en": "a man in a blue shirt is standing on a ladder cleaning a window .",
    "fr": "Ce paquet contient les fichiers de développement de la bibliothèque.",
}
TOGETHER = 64  # sentences, of like length


@dataclass(frozen=True)
class Translated(Result):
    """The best translation of one sentence.

    Args:
        text: detokenised, unknown words replaced.
        tokens: as the network wrote them, without the end symbol.
        log_probability: of the tokens and the end symbol.
        others: the texts of the next best translations.
        unknown: the characters or words of the source that the vocabulary lacks.
        warnings: in what else the source differs from the sentences that the network was trained on, a clause each.
    """

    text: str
    tokens: list[str]
    log_probability: float
    others: list[str]
    unknown: list[str]
    warnings: list[str]

    @property
    def alignment(self) -> Tensor:
        """(outputs, inputs): for each token written, the end symbol last, the weights over what was read.

        The mean over what heads the record has.
        """
        return self.attention.weights[0].mean(0)

    @property
    def title(self) -> str:
        names = self.attention.outputs[0]
        of_itself = self.attention.inputs == self.attention.outputs and len(names) > 1
        words = "".join(names[:-1]).replace("▁", " ").replace("</w>", " ").strip()
        return f"self-attention over: {words}" if of_itself else self.text


class Translate(Pipeline):
    """A sentence to its translation and the alignment of the two.

    An empty line has an empty translation, with probability 1. A text is not split into sentences first; one of several
    sentences, or of another form than those of the training, is told by a warning. Unknown words are copied from the
    source word that the attention was on.
    """

    task = "translation"
    asks = MappingProxyType({"sentence": "text"})

    def __init__(self, network: nn.Module, config: dict[str, Any], folder: Path | None = None):
        super().__init__(network, config, folder)
        how = self.config["preprocess"]
        common = {"moses": how.get("moses", False)}
        self.source = Text(folder / "source.json", how["source"], reverse=how.get("reverse", False), **common)
        self.target = Text(folder / "target.json", how["target"], **common)
        for side, text in (("source", self.source), ("target", self.target)):
            expected = self.config["network"][f"{side}_vocabulary"]
            if len(text) != expected:
                raise WeightsError(f"{folder / side}.json: has {len(text)} entries, the weights expect {expected}")
        self.forms = Forms(self.source)

    @property
    def samples(self) -> list[str]:
        """A sentence of the language that is read."""
        sentence = SAMPLES.get(self.config["preprocess"]["source"])
        return [sentence] if sentence else []

    def answer(
        self,
        batch: list[Any],
        beam: int = 5,
        n_best: int = 1,
        normalise: str = "length",
        alpha: float = 1.0,
        coverage: float = 0.0,
        copy_unknown: bool = True,
    ) -> list[Translated]:
        """One translation for each sentence.

        Args:
            batch: strings, at most 500 tokens each.
            beam: width of the search; 1 is greedy.
            n_best: how many translations to give.
            normalise, alpha, coverage: of the score of a hypothesis; see :func:`zoo.text.decoding.beam_search`.
            copy_unknown: whether unknown words are replaced by the source word that they are aligned with.
        """
        search = {"n_best": n_best, "normalise": normalise, "alpha": alpha, "coverage": coverage}
        return self.translate(batch, beam, search, copy_unknown, self.record)

    def translate(
        self,
        batch: list[Any],
        beam: int,
        search: dict[str, Any],
        copy_unknown: bool,
        record: Callable[[Hypothesis, list[int]], Attention],
    ) -> list[Translated]:
        """What :meth:`answer` gives; `record` says where the network looked, of a hypothesis and a source with eos."""
        check_whole(1, OFTEN, beam=beam, n_best=search["n_best"])
        check_flag(copy_unknown=copy_unknown)
        names = check_text(batch, "sentence")
        ids = self.source.encode(batch)
        for name, row in zip(names, ids, strict=True):
            if len(row) > LONGEST:
                raise InputError(f"{name} has {len(row)} tokens; at most {LONGEST} can be translated at once")
        seen = [self.forms.seen(line, row) for line, row in zip(batch, ids, strict=True)]
        tell(names, seen, stacklevel=6)  # the line that called the pipeline
        order, answers = sorted(range(len(ids)), key=lambda i: len(ids[i])), {}
        for start in range(0, len(order), TOGETHER):
            part = order[start : start + TOGETHER]
            source = with_eos([ids[i] for i in part], self.device)
            mask = source != PAD
            memory = self.network.encode(source, mask)
            found = beam_search(
                self.network.step,
                self.network.start(memory, beam),
                memory,
                max_length=self.longest(mask.sum(1)),
                banned=(PAD, BOS),
                source_mask=mask,
                **search,
            )
            empty = Hypothesis([], 0.0, 0.0, True, torch.eye(1, source.shape[1], device=self.device))  # looked at eos
            for i, hypotheses in zip(part, found, strict=True):
                best, *others = hypotheses if ids[i] else [empty]
                answers[i] = Translated(
                    attention=self._named(record(best, [*ids[i], EOS]), batch[i], ids[i]),
                    text=self._text(best, batch[i], copy_unknown),
                    tokens=self.target.pieces(best.tokens),
                    log_probability=best.log_prob,
                    others=[self._text(other, batch[i], copy_unknown) for other in others],
                    unknown=self.source.unknown(batch[i], ids[i]),
                    warnings=seen[i],
                )
        return [answers[i] for i in range(len(ids))]

    def record(self, best: Hypothesis, source: list[int]) -> Attention:
        """Where the network looked in a source (eos included) for each symbol of a hypothesis."""
        weights = best.weights[None, None, :, : len(source)].float()
        return Attention(weights=weights, inputs=[self.source.pieces(source)], outputs=[self.written(best)])

    def _named(self, attention: Attention, raw: str, ids: list[int]) -> Attention:
        """The record with the words of the source as they stand, also those that the vocabulary lacks."""
        if UNK not in ids:
            return attention
        known, words = self.source.pieces([*ids, EOS]), [*self.source.words(raw), *self.source.pieces([EOS])]
        sides = {"inputs": attention.inputs, "outputs": attention.outputs}
        return replace(attention, **{name: [words] if names == [known] else names for name, names in sides.items()})

    def written(self, best: Hypothesis) -> list[str]:
        """The names of what was written, the end symbol included."""
        return [*self.target.pieces(best.tokens), *(["</s>"] if best.finished else [])]

    def longest(self, lengths: Tensor) -> Tensor:
        """How many symbols a translation may have, eos counted, for sources of so many: (batch,)."""
        return 2 * lengths + 10

    def look(self, source: Tensor, mask: Tensor, target: Tensor) -> Tensor:
        """Where the network looks while it is made to write a target that begins with bos: (batch, T, S)."""
        return self.network(source, mask, target)[1]

    def _text(self, hypothesis: Hypothesis, raw: str, copy: bool) -> str:
        pieces = self.target.pieces(hypothesis.tokens)
        shift = self.network.alignment_shift
        if copy and shift is not None and UNK in hypothesis.tokens:
            pieces = replace_unknown(pieces, hypothesis.weights, self.source.words(raw), shift=shift)
        return self.target.join(pieces)

    def read(self, given: str) -> Any:
        """The sentence itself, or the lines of a file that it names."""
        path = Path(given)
        try:
            if not path.is_file():
                return given
            lines = path.read_bytes().decode("utf-8-sig").removesuffix("\n").split("\n")
            return [line.rstrip("\r") for line in lines]
        except UnicodeDecodeError as error:
            raise InputError(f"{path}: not UTF-8 (byte {error.start})") from None
        except OSError:  # a sentence too long for a file name
            return given

    def example(self, batch: int) -> dict[str, Tensor]:
        """Arguments of the network's forward by name: source, mask and target (batch, length)."""
        source = with_eos([[UNK + 1 + i % 3 for i in range(6)]] * batch, self.device)
        return {
            "source": source,
            "mask": source != PAD,
            "target": source.roll(1, 1).index_fill(1, source.new_tensor([0]), BOS),
        }

    @staticmethod
    def preprocess(data: dict[str, Any]) -> dict[str, Any]:
        """Languages, Moses tokenisation, and whether the source is reversed."""
        names = ("source", "target", "moses", "reverse")
        if any(name not in data for name in names):
            raise WeightsError("the weights were trained on data that is no translation; no pipeline could use them")
        return {name: data[name] for name in names}
