"""A source sentence and the first words of its translation in, the next word and the gates out."""

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
from zoo.text.codec import BOS, EOS, PAD, UNK, Text, with_eos
from zoo.text.forms import Forms, tell
from zoo.text.search import real

LONGEST = 500  # words of a side
BAR = "|||"  # between source and history, on the command line
KEYS = {"source", "history", "aligned"}


@dataclass(frozen=True)
class Predicted(Result):
    """The next word of a translation.

    Args:
        word: the likeliest.
        probabilities: of the likeliest words; "</s>" is the end of the sentence.
        history: the words before it, as the network reads them.
        unknown: words of the source that the vocabulary lacks.
    """

    word: str
    probabilities: dict[str, float]
    history: list[str]
    unknown: list[str]

    @property
    def title(self) -> str:
        return f"{' '.join(self.history)} → {self.word} ({self.probabilities[self.word]:.1%})".strip()


class NextWord(Pipeline):
    """Predicts the next word of a translation from the source and the words before it.

    An input is a dict: ``source``, a sentence; ``history``, the translation so far (an empty text at first); and, for a
    network that is told what the next word is aligned with, ``aligned``, the places of those source words, from 0. On
    the command line it is one text, ``source ||| history``.

    The record has a row for each word of the history and one for the next word; where the network is told alignments it
    has the row of the next word alone. A network without gates looks nowhere: its weights are even.
    """

    task = "other"
    asks: ClassVar = {"source": "text", "history": "line"}  # what a page asks for
    samples: ClassVar = [
        {"source": "Dieses Paket enthält die Dokumentation .", "history": "this package"},
        {"source": "Bibliothek für grafische Benutzeroberflächen", "history": ""},
    ]

    def __init__(self, network: nn.Module, config: dict[str, Any], folder: Path | None = None):
        super().__init__(network, config, folder)
        how = config["preprocess"]
        self.source, self.target = (
            Text(folder / f"{side}.json", how[side], moses=how["moses"]) for side in ("source", "target")
        )
        for side, text in (("source", self.source), ("target", self.target)):
            expected = config["network"][f"{side}_vocabulary"]
            if len(text) != expected:
                raise WeightsError(f"{folder / side}.json: has {len(text)} entries, the weights expect {expected}")
        if network.headed:
            raise WeightsError("the network reads heads of source words, which a pipeline has no parser for")
        self.forms = Forms(self.source)

    @staticmethod
    def preprocess(data: dict[str, Any]) -> dict[str, Any]:
        """Languages, and whether Moses tokenisation comes first."""
        return {name: data[name] for name in ("source", "target", "moses")}

    def read(self, given: str) -> Any:
        source, _, history = given.partition(BAR)
        return {"source": source.strip(), "history": history.strip()}

    def answer(self, batch: list[Any], top: int = 10) -> list[Predicted]:
        """
        Args:
            batch: see the class; at most 500 words of each text.
            top: how many words are named.
        """
        check_whole(1, top=top)
        names = ["the input"] if len(batch) == 1 else [f"input {i}" for i in range(len(batch))]
        for name, raw in zip(names, batch, strict=True):
            if not isinstance(raw, dict) or not {"source"} <= raw.keys() <= KEYS:
                raise InputError(f"{name} is no dict with source, history and perhaps aligned")
        sources, histories = ([raw.get(key, "") for raw in batch] for key in ("source", "history"))
        check_text(sources, "source"), check_text(histories, "history")
        read, written = self.source.encode(sources), self.target.encode(histories)
        for name, one, other in zip(names, read, written, strict=True):
            if not one:
                raise InputError(f"the source of {name} is empty; the next word is predicted from a sentence")
            if max(len(one), len(other)) > LONGEST:
                raise InputError(f"{name} has more than {LONGEST} words on a side")
        tell(names, [self.forms.seen(line, ids) for line, ids in zip(sources, read, strict=True)], stacklevel=5)
        return [self._one(*each, top) for each in zip(names, batch, read, written, strict=True)]

    def _one(self, name: str, raw: dict[str, Any], read: list[int], written: list[int], top: int) -> Predicted:
        source = with_eos([read], self.device)
        target = torch.tensor([[BOS, *written]], device=self.device)
        guide = self._guide(name, raw.get("aligned"), len(read), target)
        logits, weights = self.network(source, source != PAD, target, **guide)
        logits = logits[0, -1].float()
        logits[[PAD, BOS]] = -torch.inf
        best = logits.topk(min(top, len(logits) - 2)).indices.tolist()
        probabilities = dict(zip(self.target.pieces(best), logits.softmax(-1)[best].tolist(), strict=True))
        word, history = next(iter(probabilities)), self.target.pieces(written)
        if weights is None:
            weights = torch.full((1, 1, len(written) + 1, len(read) + 1), 1 / (len(read) + 1))
        outputs = [*history, f"→{word}"]
        if self.network.guided:  # of the earlier words nothing was told
            weights, outputs = weights[:, :, -1:], outputs[-1:]
        inputs = [*self.source.words(raw["source"]), *self.source.pieces([EOS])]
        record = Attention(weights=weights.float().cpu(), inputs=[inputs], outputs=[outputs])
        return Predicted(record, word, probabilities, history, self.source.unknown(raw["source"], read))

    def instance(self, batch: dict[str, Tensor]) -> Instance:
        """A sentence whose translation is the data's; the attention is the mean of the gates."""
        if self.network.guided or not any(encoder.overall == "gate" for encoder in self.network.encoders):
            return super().instance(batch)
        target = batch["target"][:, :-1]

        def ask(source: Tensor) -> tuple[Tensor, Tensor]:
            logits, weights = self.network(source, source != PAD, target.expand(len(source), -1))
            return logits, weights.mean(1)

        source = batch["source"][0]
        return Instance(source, real(source), ask, self.network.source)

    def _guide(self, name: str, aligned: Any, words: int, target: Tensor) -> dict[str, Tensor]:
        """The arguments of the network that say what the next word is aligned with."""
        if not self.network.guided:
            if aligned is not None:
                raise InputError(f"{name} says what the next word is aligned with, and this network does not read it")
            return {}
        right = isinstance(aligned, list | tuple) and aligned and all(isinstance(place, int) for place in aligned)
        if not (right and min(aligned) >= 0 and max(aligned) <= words):
            raise InputError(
                f"the aligned of {name} is {aligned!r}; this network is told which of the {words} source words the "
                f"next word is aligned with: a list of places from 0 ({words} is the end of the sentence)"
            )
        tags = torch.zeros(1, target.shape[1], words + 1, dtype=torch.bool, device=self.device)
        tags[0, -1, list(aligned)] = True
        middle = sorted(aligned)[(len(aligned) - 1) // 2]
        return {"tags": tags, "center": torch.full_like(target, middle)}

    def example(self, batch: int) -> dict[str, Tensor]:
        """Arguments of the network's forward by name: source, mask, target (batch, length), and what guides it."""
        source = with_eos([[UNK + 1 + i % 3 for i in range(6)]] * batch, self.device)
        target = source.roll(1, 1).index_fill(1, source.new_tensor([0]), BOS)
        given = {"source": source, "mask": source != PAD, "target": target}
        if self.network.guided:
            place = torch.arange(source.shape[1], device=self.device)
            given["tags"] = (place[:, None] == place).expand(batch, -1, -1).contiguous()
            given["center"] = place.expand(batch, -1).contiguous()
        return given
