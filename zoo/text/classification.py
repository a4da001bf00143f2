"""Texts in, the class of each out: what rooms that classify share."""

import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from zoo.pipelines import InputError, Pipeline, Result, check_text
from zoo.release import WeightsError
from zoo.text.codec import Text
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


class Texts(Pipeline):
    """Strings in, or the names of files that hold them."""

    def read(self, given: str) -> str:
        """The text itself, or the contents of a file that it names."""
        path = Path(given)
        try:
            return path.read_text(encoding="utf-8-sig") if path.is_file() else given
        except UnicodeDecodeError as error:
            raise InputError(f"{path}: not UTF-8 (byte {error.start})") from None
        except OSError:  # a text too long for a file name
            return given

    def _pad(self, rows: list[list[int]]) -> tuple[Tensor, Tensor]:
        """(batch, longest) padded with 0 at the end, and the lengths (batch,)."""
        text = pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=PAD)
        return text.to(self.device), torch.tensor([len(row) for row in rows], device=self.device)


class Classifier(Texts):
    """A text to its class. A longer text than the network was trained on is cut, and a warning tells.

    A room's `answer` asks for :meth:`_rows`, and then for :meth:`_together` with what it makes of a few rows.
    """

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

    def _together(
        self,
        rows: list[list[int]],
        told: list[dict[str, Any]],
        classify: Callable[[list[list[int]], list[dict[str, Any]]], list[Classified]],
    ) -> list[Classified]:
        """The answers to a few rows of like length at once, in the order of the rows."""
        answers: dict[int, Classified] = {}
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        for start in range(0, len(order), TOGETHER):
            part = order[start : start + TOGETHER]
            found = classify([rows[i] for i in part], [told[i] for i in part])
            answers |= zip(part, found, strict=True)
        return [answers[i] for i in range(len(rows))]

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
