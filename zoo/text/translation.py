"""Sentences in, translations and alignments out: the pipeline of every network that translates."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from zoo.errors import OFTEN, check_flag, check_whole
from zoo.looking.attention import Attention
from zoo.looking.saliency import Instance
from zoo.pipelines import InputError, Pipeline, Result, check_text
from zoo.release import WeightsError
from zoo.text.codec import BOS, EOS, PAD, UNK, Text, with_eos
from zoo.text.decoding import Hypothesis, beam_search
from zoo.text.forms import Forms, tell
from zoo.text.search import real
from zoo.text.sentences import split_sentences
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
        sentences: of a source of several sentences, the answer to each; what stands above then is of all together, and
            the record has the weights of one sentence after the other, zero between two.
    """

    text: str
    tokens: list[str]
    log_probability: float
    others: list[str]
    unknown: list[str]
    warnings: list[str]
    sentences: list["Translated"] = field(default_factory=list)

    def plain(self) -> dict[str, Any]:
        """As plain values; of each sentence of several the text."""
        return super().plain() | {"sentences": [each.text for each in self.sentences]}

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
        words = "".join(names).replace("</s>", " ").replace("▁", " ").replace("</w>", " ")
        return " ".join((f"self-attention over: {words}" if of_itself else self.text).split())


def joined(answers: Sequence[Translated], lines: Sequence[Sequence[str]]) -> Translated:
    """The answer to a text from those to its sentences, which stand in lines.

    Of the next best translations the first has the next best of every sentence, where it has one, and so on.
    """
    if len(answers) == 1:
        return answers[0]
    counts = [len(line) for line in lines]

    def text(parts: Sequence[str]) -> str:
        return "\n".join(" ".join(line) for line in _grouped(parts, counts))

    others = range(max(len(each.others) for each in answers))
    return Translated(
        attention=_together([each.attention for each in answers]),
        text=text([each.text for each in answers]),
        tokens=[token for each in answers for token in each.tokens],
        log_probability=sum(each.log_probability for each in answers),
        others=[text([[*each.others, each.text][min(i, len(each.others))] for each in answers]) for i in others],
        unknown=list(dict.fromkeys(word for each in answers for word in each.unknown)),
        warnings=list(dict.fromkeys(clause for each in answers for clause in each.warnings)),
        sentences=list(answers),
    )


def _together(records: Sequence[Attention]) -> Attention:
    """One record of one sample from several: head by head, the weights of one stand below and beside those before."""
    heads = zip(*(each.weights[0] for each in records), strict=True)
    weights = torch.stack([torch.block_diag(*blocks) for blocks in heads])[None]
    names = {side: [[name for each in records for name in getattr(each, side)[0]]] for side in ("inputs", "outputs")}
    return Attention(weights=weights, layers=records[0].layers, **names)


def _grouped(items: Iterable[Any], counts: Iterable[int]) -> list[list[Any]]:
    """So many of the items, and then so many."""
    rest = iter(items)
    return [list(islice(rest, count)) for count in counts]


class Translate(Pipeline):
    """A sentence to its translation and the alignment of the two.

    An empty line has an empty translation, with probability 1. Of a text of several sentences each is translated by
    itself, unless ``split=False``. A text of another form than those of the training is told by a warning. Unknown
    words are copied from the source word that the attention was on.
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
        split: bool = True,
    ) -> list[Translated]:
        """One translation for each text.

        Args:
            batch: strings; a sentence has at most 500 tokens.
            beam: width of the search; 1 is greedy.
            n_best: how many translations to give.
            normalise, alpha, coverage: of the score of a hypothesis; see :func:`zoo.text.decoding.beam_search`.
            copy_unknown: whether unknown words are replaced by the source word that they are aligned with.
            split: whether the sentences of a text are translated one by one; otherwise a warning tells of several,
                since networks that were trained on single ones leave some out.
        """
        search = {"n_best": n_best, "normalise": normalise, "alpha": alpha, "coverage": coverage}
        return self.translate(batch, beam, search, copy_unknown, split, self.record)

    def translate(
        self,
        batch: list[Any],
        beam: int,
        search: dict[str, Any],
        copy_unknown: bool,
        split: bool,
        record: Callable[[Hypothesis, list[int]], Attention],
    ) -> list[Translated]:
        """What :meth:`answer` gives; `record` says where the network looked, of a hypothesis and a source with eos."""
        check_whole(1, OFTEN, beam=beam, n_best=search["n_best"])
        check_flag(copy_unknown=copy_unknown, split=split)
        names = check_text(batch, "sentence")
        texts = [self._sentences(text) if split else [[text]] for text in batch]
        flat, counts = [each for lines in texts for line in lines for each in line], [sum(map(len, x)) for x in texts]
        ids = self.source.encode(flat)
        for name, rows in zip(names, _grouped(ids, counts), strict=True):
            if (longest := max(map(len, rows))) > LONGEST:
                what = name if len(rows) == 1 else f"a sentence of {name}"
                raise InputError(f"{what} has {longest} tokens; at most {LONGEST} can be translated at once")
        seen = [self.forms.seen(line, row) for line, row in zip(flat, ids, strict=True)]
        told = [list(dict.fromkeys(clause for each in of for clause in each)) for of in _grouped(seen, counts)]
        tell(names, told, stacklevel=6)  # the line that called the pipeline
        answers = self._translated(flat, ids, seen, beam, search, copy_unknown, record)
        return [joined(of, lines) for of, lines in zip(_grouped(answers, counts), texts, strict=True)]

    def _sentences(self, text: str) -> list[list[str]]:
        """The sentences of each line; what is one stays as it stands."""
        lines = split_sentences(text, self.forms.spaced)
        return lines if sum(map(len, lines)) > 1 else [[text]]

    def _translated(
        self,
        batch: list[str],
        ids: list[list[int]],
        seen: list[list[str]],
        beam: int,
        search: dict[str, Any],
        copy_unknown: bool,
        record: Callable[[Hypothesis, list[int]], Attention],
    ) -> list[Translated]:
        """One translation for each sentence, which became these ids."""
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

    def told(self, source: Tensor, mask: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (batch, T, words), and where the network looks (batch, T, S), while it is made to write a target.

        Args:
            target: (batch, T), beginning with bos.
        """
        return self.network(source, mask, target)

    def instance(self, batch: dict[str, Tensor]) -> Instance:
        """A sentence whose translation is the data's; see :class:`zoo.pipelines.Pipeline`."""
        if self.network.alignment_shift is None:
            return super().instance(batch)
        target = batch["target"][:, :-1]

        def ask(source: Tensor) -> tuple[Tensor, Tensor]:
            return self.told(source, source != PAD, target.expand(len(source), -1))

        source = batch["source"][0]
        return Instance(source, real(source), ask, self.network.source)

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
