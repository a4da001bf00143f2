"""From raw inputs (a sentence, a picture) to a result and where the model looked."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from zoo.errors import ZooError
from zoo.looking.attention import Attention
from zoo.looking.pictures import PictureError, black_ground, fit, read_picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class InputError(ZooError):
    """A raw input that the model cannot answer to; the message names it and says why."""


def check_text(batch: Sequence[Any], kind: str) -> list[str]:
    """What a message calls each of the inputs, of a kind such as "sentence"; raises InputError for what is no text."""
    names = [f"the {kind}"] if len(batch) == 1 else [f"{kind} {i}" for i in range(len(batch))]
    for name, raw in zip(names, batch, strict=True):
        if not isinstance(raw, str):
            raise InputError(f"{name} is {type(raw).__name__}; expected a string")
        if any("\ud800" <= letter <= "\udfff" for letter in raw):
            raise InputError(f"{name} holds what is no character (bytes that are not UTF-8, or half a UTF-16 pair)")
    return names


@dataclass(frozen=True)
class Result:
    """What a model says about one input; a room adds fields of plain values.

    Args:
        attention: where the model looked, a batch of one.
    """

    attention: Attention

    def plain(self) -> dict[str, Any]:
        """The answer without the attention record, as plain values for JSON."""
        return {name: value for name, value in vars(self).items() if name != "attention"}

    @property
    def title(self) -> str | None:
        """The answer as the title of its plot."""
        return None

    def plot(self, path: str | Path | None = None, lines: bool = False) -> "Figure":
        """Draws where the model looked, into a file in the format of its ending where a path is given.

        Args:
            lines: of weights over words: lines between the words, a colour for each head, and not matrices.
        """
        from zoo.looking.plots import plot  # matplotlib takes a second to import

        return plot(self.attention, path, title=self.title, lines=lines)


class Pipeline:
    """Raw inputs to results. A room says how a batch of them becomes one batch of the network, and back.

    Args:
        network: a room's network with its weights.
        config: what :func:`zoo.release.read_config` returns: ``slug``, ``row``, ``network``, ``preprocess``, and maybe
            ``options``, with which the row was measured: they take the place of the defaults of :meth:`answer`.
        folder: the released folder, for the files that travel with the weights (a tokenizer).
    """

    task = "other"  # one of the Hub's pipeline tags, for the card
    default: str | None = None  # what the command line reads where it is given no input

    @classmethod
    def of(cls, network: dict[str, Any]) -> type["Pipeline"]:
        """The pipeline for a network of these arguments; a room with networks of several kinds chooses here."""
        return cls

    def __init__(self, network: nn.Module, config: dict[str, Any], folder: Path | None = None):
        self.network, self.config, self.folder = network.eval(), config, folder

    def __call__(self, raw: Any, **options: Any) -> Any:
        """One result for one raw input, or a list of results for a batch of them.

        Args:
            raw: one input, or a list of them.
            options: of the room's :meth:`answer`.

        Raises:
            InputError: an input that cannot be meant; one sentence.
        """
        batch = self.unpack(raw)
        if batch is None:
            return self._answer([raw], **options)[0]
        if not batch:
            raise InputError("the list of inputs is empty")
        return self._answer(batch, **options)

    @torch.no_grad()
    def _answer(self, batch: list[Any], **options: Any) -> list[Result]:
        return self.answer(batch, **{**self.config.get("options", {}), **options})

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.network.parameters()).device

    def unpack(self, raw: Any) -> list[Any] | None:
        """The inputs of a batch; None for a single input."""
        return list(raw) if isinstance(raw, list | tuple) else None

    def answer(self, batch: list[Any], **options: Any) -> list[Result]:
        """One result for each of at least one raw input."""
        raise NotImplementedError

    def read(self, given: str) -> Any:
        """The raw input, or inputs, that the command line names; here the word itself."""
        return given

    def example(self, batch: int) -> dict[str, Tensor]:
        """Arguments of the network's forward by name, each with `batch` first; for export."""
        raise NotImplementedError

    @staticmethod
    def preprocess(data: dict[str, Any]) -> dict[str, Any]:
        """What the pipeline must know of the data that the network was trained on, as plain values.

        Args:
            data: the ``data`` part of the run's config.
        """
        return {}


@dataclass(frozen=True)
class Label(Result):
    """The class of one picture.

    Args:
        label: the most probable class.
        probabilities: of every class; they sum to one.
    """

    label: int
    probabilities: list[float]

    @property
    def title(self) -> str:
        return f"{self.label} ({self.probabilities[self.label]:.1%})"


class Digits(Pipeline):
    """Pictures of one bright digit on black to labels.

    A picture of another size, mode or range is converted, one with a bright border is inverted, and a warning tells.
    """

    task = "image-classification"

    def unpack(self, raw: Any) -> list[Any] | None:
        """A batch is a list, or an array or tensor of four axes, pictures first."""
        return list(raw) if isinstance(raw, np.ndarray | Tensor) and raw.ndim == 4 else super().unpack(raw)

    @staticmethod
    def preprocess(data: dict[str, Any]) -> dict[str, Any]:
        """Side of the picture and of the digit on it, in pixels."""
        return {"size": data["canvas"], "digit": 28} if "canvas" in data else {}

    def size(self) -> int:
        """Side of the pictures that the network takes."""
        size = self.config["preprocess"].get("size")
        if size is None:
            name = f"{self.config['slug']}.{self.config['row']}"
            raise InputError(f"{name} does not take pictures: its config.json names no size of them")
        return size

    def prepare(self, raw: Any, index: int, count: int) -> Tensor:
        """(size, size) in [0, 1], bright on black; warns of what was done to the picture."""
        size = self.size()
        name = _name(raw, index, count)
        try:
            picture = fit(black_ground(read_picture(raw)), size, self.config["preprocess"].get("digit"))
        except PictureError as error:
            raise InputError(f"{name}: {error}") from None
        told = [*picture.told, *(["all pixels are alike"] if picture.grey.max() == picture.grey.min() else [])]
        if told:
            warnings.warn(f"{name}: {', '.join(told)}", stacklevel=6)  # the line that called the pipeline
        return picture.grey


def _name(raw: Any, index: int, count: int) -> str:
    """What a message calls a picture."""
    file = getattr(raw, "filename", "") if isinstance(raw, Image.Image) else raw
    if isinstance(file, str | Path) and str(file):
        return str(file)
    return "the picture" if count == 1 else f"picture {index}"


def pipeline(name: str | Path) -> Pipeline:
    """The pipeline of a released model.

    Args:
        name: ``slug.row``, a folder, or ``hf-hub:user/name``.

    Raises:
        UnknownName, WeightsError: one sentence.
    """
    from zoo import registry, release

    folder = registry.released(name)
    config = release.read_config(folder)
    room = registry.room(config["slug"])
    return room.PIPELINE.of(config["network"])(release.load(folder, room.NETWORK), config, folder)
