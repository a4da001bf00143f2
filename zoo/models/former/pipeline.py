"""Texts in; classes, or continuations, and where the network looked out."""

import json
import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from zoo.errors import OFTEN, check_number, check_whole
from zoo.looking.attention import Attention
from zoo.models.former.letters import letters
from zoo.pipelines import InputError, Pipeline, Result, check_text
from zoo.release import WeightsError
from zoo.text.codec import Text, visible
from zoo.text.decoding import Hypothesis, sample
from zoo.text.forms import Forms, tell
from zoo.text.search import PAD, UNK

TOKENS, CLASSES = "text.json", "classes.json"
TOGETHER = 64  # texts that are classified at once, of like length


@dataclass(frozen=True)
class Classified(Result):
    """The class of one text.

    Args:
        label: the most probable class.
        probabilities: of every class by name; they sum to one.
        unknown: the characters or words of the text that the vocabulary lacks.
        warnings: in what else the text differs from those that the network was trained on, a clause each.
    """

    label: str
    probabilities: dict[str, float]
    unknown: list[str]
    warnings: list[str]

    @property
    def title(self) -> str:
        return f"{self.label} ({self.probabilities[self.label]:.1%})"


@dataclass(frozen=True)
class Written(Result):
    """How one text goes on; the attention is that of the last bytes that were read, none of them to a later one.

    Args:
        text: what was written after the prompt.
        bits: per byte that was written, at temperature 1.
        others: further continuations, each drawn on its own.
    """

    text: str
    bits: float
    others: list[str]


class Texts(Pipeline):
    """What both pipelines of this room share: strings in, or the names of files that hold them."""

    @classmethod
    def of(cls, network: dict[str, Any]) -> type[Pipeline]:
        """A network with classes classifies, one without writes."""
        return Write if network.get("num_classes") is None else Classify

    def read(self, given: str) -> str:
        """The text itself, or the contents of a file that it names."""
        path = Path(given)
        try:
            return path.read_text(encoding="utf-8-sig") if path.is_file() else given
        except UnicodeDecodeError as error:
            raise InputError(f"{path}: not UTF-8 (byte {error.start})") from None
        except OSError:  # a text too long for a file name
            return given

    def _check_block(self, block: int | None) -> None:
        depth = len(self.network.blocks)
        if block is not None and (not isinstance(block, int) or isinstance(block, bool) or not -depth <= block < depth):
            raise InputError(f"block is {block!r}; the network has the blocks 0 to {depth - 1}, and null is all")

    def _layers(self, block: int | None) -> int:
        """Of how many blocks :meth:`_look` gives the heads."""
        return len(self.network.blocks) if block is None else 1

    def _look(self, block: int | None, symbols: Tensor, mask: Tensor | None = None) -> Tensor:
        """The weights of a block, or of all blocks, one after the other: (batch, heads, length, length)."""
        return torch.cat(self.network.look(symbols, mask, block), 1)

    def _pad(self, rows: list[list[int]]) -> tuple[Tensor, Tensor]:
        """(batch, longest) padded with 0 at the end, and the lengths (batch,)."""
        text = pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=PAD)
        return text.to(self.device), torch.tensor([len(row) for row in rows], device=self.device)


class Classify(Texts):
    """A text to its class. A longer text than the network was trained on is cut, and a warning tells."""

    task = "text-classification"
    samples = ("shared library that reads and writes pictures in many formats",)

    def __init__(self, network: nn.Module, config: dict[str, Any], folder: Path | None = None):
        super().__init__(network, config, folder)
        self.text = Text(folder / TOKENS, "en")
        self.forms = Forms(self.text, sentences=False)
        try:
            self.classes = json.loads((folder / CLASSES).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise WeightsError(f"{folder / CLASSES}: cannot be read as names of classes ({error})") from None
        for file, found, key in ((TOKENS, self.text, "vocabulary"), (CLASSES, self.classes, "num_classes")):
            expected = self.config["network"][key]
            if len(found) != expected:
                raise WeightsError(f"{folder / file}: has {len(found)} entries, the weights expect {expected}")

    def answer(self, batch: list[Any], block: int | None = -1) -> list[Classified]:
        """One class for each text.

        Args:
            batch: strings.
            block: whose attention is recorded, from 0; -1 is the last, None all, the heads of the first block first.
        """
        self._check_block(block)
        (rows, told), answers = self._rows(batch), {}
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        for start in range(0, len(order), TOGETHER):
            part = order[start : start + TOGETHER]
            found = self._classify([rows[i] for i in part], [told[i] for i in part], block)
            answers |= zip(part, found, strict=True)
        return [answers[i] for i in range(len(rows))]

    def _classify(self, rows: list[list[int]], told: list[dict[str, Any]], block: int | None) -> list[Classified]:
        text, length = self._pad(rows)
        mask = torch.arange(text.shape[1], device=self.device) < length[:, None]
        probabilities = self.network(text, mask).softmax(-1).tolist()
        found = []
        looks = self._look(block, text, mask)
        for row, more, weights, values in zip(rows, told, looks, probabilities, strict=True):
            pieces, size = [self.text.pieces(row)], len(row)
            weights = weights[None, :, :size, :size].clone()  # without the padding, which a view would keep
            found.append(
                Classified(
                    attention=Attention(weights=weights, inputs=pieces, outputs=pieces, layers=self._layers(block)),
                    label=self.classes[values.index(max(values))],
                    probabilities=dict(zip(self.classes, values, strict=True)),
                    **more,
                )
            )
        return found

    def _rows(self, batch: list[Any]) -> tuple[list[list[int]], list[dict[str, Any]]]:
        """The tokens of each text, as many as the network was trained to read, and what is to be told of it."""
        names, longest = check_text(batch, "text"), self.config["preprocess"]["max_length"]
        rows = self.text.encode(batch)
        for name, row in zip(names, rows, strict=True):
            if not row:
                raise InputError(f"{name} is empty")
            if len(row) > longest:  # the line that called the pipeline
                warnings.warn(f"{name} has {len(row)} tokens; the first {longest} are read", stacklevel=6)
        seen = [self.forms.seen(raw, row) for raw, row in zip(batch, rows, strict=True)]
        tell(names, seen, stacklevel=6)
        unknown = [self.text.unknown(raw, row) for raw, row in zip(batch, rows, strict=True)]
        told = [{"unknown": u, "warnings": w} for u, w in zip(unknown, seen, strict=True)]
        return [row[:longest] for row in rows], told

    def example(self, batch: int) -> dict[str, Tensor]:
        """Arguments of the network's forward by name: symbols and mask (batch, length)."""
        symbols = torch.arange(6, device=self.device).expand(batch, -1) % (len(self.text) - UNK) + UNK
        mask = torch.arange(6, device=self.device) < 5
        return {"symbols": symbols, "mask": mask.expand(batch, -1).contiguous()}

    @staticmethod
    def preprocess(data: dict[str, Any]) -> dict[str, Any]:
        """How many tokens are read."""
        return {"max_length": data["max_length"]}


class Write(Texts):
    """The start of a text to its continuation, drawn byte by byte; an empty start is a new line."""

    task = "text-generation"
    samples = ("This package contains",)

    def answer(
        self,
        batch: list[Any],
        length: int = 200,
        temperature: float = 0.5,
        top_k: int | None = None,
        count: int = 1,
        seed: int = 0,
        block: int | None = -1,
    ) -> list[Written]:
        """One continuation, or `count` of them, for each text; the same seed draws the same.

        Args:
            batch: strings; of a long one the end is read, and characters that show nothing are left out.
            length: bytes to write.
            temperature, top_k: see :func:`zoo.text.decoding.sample`.
            block: whose attention is recorded, from 0; -1 is the last, None all, the heads of the first block first.
        """
        check_whole(1, 100_000, length=length)
        check_whole(1, OFTEN, count=count)
        check_number(0, temperature=temperature)
        check_whole(0, 2**63 - 1, seed=seed)
        if top_k is not None:
            check_whole(1, top_k=top_k)
        self._check_block(block)
        check_text(batch, "text")
        rows = [list((visible(raw) or "\n").encode()) for raw in batch]
        # a row for each text: what is drawn for it does not depend on the others
        noise = torch.stack(
            [1 - torch.rand(count, length, generator=torch.Generator().manual_seed(seed)) for _ in rows]
        )
        found = sample(
            self.network.step,
            self.network.start(*self._pad(rows), count),
            (),
            max_length=length,
            temperature=temperature,
            top_k=top_k,
            noise=noise,
            banned=(),
            eos=-1,  # a byte has no end
        )
        return [self._written(row, hypotheses, block) for row, hypotheses in zip(rows, found, strict=True)]

    def _written(self, prompt: list[int], hypotheses: list[Hypothesis], block: int | None) -> Written:
        first = hypotheses[0]
        window = [*prompt, *first.tokens][-self.network.longest :]
        names = [letters(window)]
        weights = self._look(block, torch.tensor([window], device=self.device))
        texts = [bytes(each.tokens).decode(errors="replace") for each in hypotheses]
        return Written(
            attention=Attention(weights=weights, inputs=names, outputs=names, layers=self._layers(block)),
            text=texts[0],
            bits=-first.log_prob / len(first.tokens) / math.log(2),
            others=texts[1:],
        )

    def example(self, batch: int) -> dict[str, Tensor]:
        """Arguments of the network's forward by name: symbols (batch, length)."""
        size = min(8, self.network.longest)
        return {"symbols": torch.arange(97, 97 + size, device=self.device).expand(batch, -1).contiguous()}
