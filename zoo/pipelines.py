"""From raw inputs (a sentence, a picture) to a result and where the model looked."""

import inspect
import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from zoo.errors import UnknownName, ZooError, check_flag, check_whole, suggest
from zoo.looking.attention import Attention
from zoo.looking.page import height_of, in_notebook, page, save
from zoo.looking.pictures import PictureError, fit, read_picture
from zoo.looking.saliency import Instance
from zoo.looking.tidy import tidy

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

    def __init_subclass__(cls) -> None:
        cls.__repr__ = Result.__repr__  # which a dataclass leaves alone where it is there

    def __repr__(self) -> str:
        """One line: the answer, and of long lists how long they are."""
        shown = ", ".join(f"{name}={_short(value)}" for name, value in self.plain().items())
        return f"{type(self).__name__}({shown})"

    def _repr_png_(self) -> bytes | None:
        """What a notebook shows: where the model looked."""
        try:
            figure, data = self.plot(), io.BytesIO()
        except ValueError:  # a record that cannot be drawn
            return None
        figure.savefig(data, format="png")
        return data.getvalue()

    def top(self, count: int = 5) -> dict[str, float]:
        """The most probable classes with their probabilities, the best first.

        Raises:
            InputError: an answer without classes.
        """
        check_whole(1, top=count)
        found = vars(self).get("probabilities")
        if found is None:
            raise InputError(f"top is of models that tell classes apart, and this answer is {type(self).__name__}")
        named = found if isinstance(found, Mapping) else {str(i): p for i, p in enumerate(found)}
        return dict(sorted(named.items(), key=lambda entry: -entry[1])[:count])

    def plain(self) -> dict[str, Any]:
        """The answer without the attention record, as plain values for JSON."""
        return {name: value for name, value in vars(self).items() if name != "attention"}

    @property
    def title(self) -> str | None:
        """The answer as the title of its plot."""
        return None

    @property
    def places(self) -> list[tuple[float, float]]:
        """Of inputs that are places, (north, east) of each and then of the answer, for a map."""
        return []

    @property
    def accounts(self) -> dict[str, Attention]:
        """What else says which inputs counted, by its name: of the attention's inputs and outputs, one head each."""
        return {}

    def page(self, name: str | None = None) -> str:
        """A self-contained HTML page of the answer and where the model looked; see :mod:`zoo.looking.page`.

        Args:
            name: of the model, to stand on the page.
        """
        title, plain, shown, heads = self.title, self.plain(), self.attention, ()
        if accounts := self.accounts:
            own = shown.weights.mean(1, keepdim=True)
            weights = torch.cat([own, *(each.weights.to(own) for each in accounts.values())], 1)
            shown, heads = replace(shown, weights=weights, layers=1), ("attention", *accounts)
        bars = self.top() if plain.get("probabilities") else {}
        return page(shown, title, name, _facts(plain, title), bars, self.places, heads)

    def save(self, path: str | Path, name: str | None = None) -> None:
        """Writes that page into a file; its folder must be there."""
        save(self.page(name), path)

    def _repr_html_(self) -> str | None:
        """What a notebook shows: the page in a frame of its own, and a picture where the notebook takes frames out."""
        try:
            return in_notebook(self.page(), self._repr_png_(), height_of(self.attention))
        except ValueError:  # a record that cannot be shown
            return None

    def plot(self, path: str | Path | None = None, lines: bool = False, truth: Any = None) -> "Figure":
        """Draws where the model looked, into a file in the format of its ending where a path is given.

        Args:
            truth: the right answer, to stand beside the model's.
            lines: of weights over words: lines between the words, a colour for each head, and not matrices.
        """
        from zoo.looking.plots import plot  # matplotlib takes a second to import

        title = self.title if truth is None else f"truth {truth}, answer {self.title}"
        return plot(self.attention, path, title=title, lines=lines)


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
    # what a page asks for: the fields of a raw input and their kinds ("text", "line", "digit", "picture", "number",
    # "visits"; "line?" may be left empty). One field is the raw input, several are a dict of it. None: as `task` says.
    asks: Mapping[str, str] | None = None
    samples: Sequence[Any] = ()  # raw inputs to begin with; may be a property

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
        check_options(type(self), options)
        try:
            return self.answer(batch, **{**self.config.get("options", {}), **options})
        except ZooError as error:
            if type(error) is not ZooError:
                raise
            raise InputError(str(error)) from None  # of an option

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.network.parameters()).device

    def to(self, device: str | torch.device) -> "Pipeline":
        """Moves the network to a device, as in ``"cuda"``; returns the pipeline.

        Raises:
            ZooError: there is no such device here; one sentence.
        """
        try:
            self.network.to(torch.device(device))
        except (RuntimeError, AssertionError, TypeError):
            known = "expected cpu, cuda or another that torch names"
            raise ZooError(f"device is {device!r}, which this machine or this torch does not have; {known}") from None
        return self

    def __repr__(self) -> str:
        """One line: the model, what it does, what it was measured at, and the options with their values."""
        from zoo.registry import measured  # which imports the room of the weights

        config, found = self.config, measured(self.folder) if self.folder else {}
        number = next((f", {name} {value:g}" for name, value in found.items()), "")
        options = ", ".join(f"{name}={value!r}" for name, value in self.options.items())
        return f"{config.get('slug')}.{config.get('row')}: {self.task}{number}; options {options or 'none'}"

    @property
    def options(self) -> dict[str, Any]:
        """What :meth:`answer` can be told, and what holds where it is not."""
        return known_options(type(self)) | self.config.get("options", {})

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

    def instance(self, batch: dict[str, Tensor]) -> Instance:
        """A batch of one sample of the data, whose attention over the input is held against other accounts of it."""
        name = f"{self.config.get('slug')}.{self.config.get('row')}"
        raise InputError(f"{name} has no attention over words or places of an input that could be taken out one by one")

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
        told: what was done to the picture before the network saw it, in words.
    """

    label: int
    probabilities: list[float]
    told: list[str] = field(default_factory=list)

    @property
    def title(self) -> str:
        return f"{self.label} ({self.probabilities[self.label]:.1%})"


class Digits(Pipeline):
    """Pictures of one bright digit on black to labels.

    A picture of another size, mode, range, ground or contrast is made what the network knows; a warning and the answer
    tell.
    """

    task = "image-classification"
    asks = MappingProxyType({"digit": "digit"})
    centres = True  # whether a plain digit is put where MNIST has it

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

    def prepare_all(self, batch: list[Any], tidied: bool = True) -> tuple[Tensor, list[list[str]]]:
        """(batch, 1, size, size) on the device of the network, and what was done to each; see :meth:`prepare`."""
        check_flag(tidy=tidied)
        pictures, told = zip(*(self.prepare(raw, i, len(batch), tidied) for i, raw in enumerate(batch)), strict=True)
        return torch.stack(pictures)[:, None].to(self.device), list(told)

    def prepare(self, raw: Any, index: int, count: int, tidied: bool = True) -> tuple[Tensor, list[str]]:
        """A picture (size, size) in [0, 1], bright on black, and what was done to it; a warning tells too.

        Args:
            tidied: see :func:`zoo.looking.tidy.tidy`; False leaves the picture alone but for its size.
        """
        size, digit = self.size(), self.config["preprocess"].get("digit")
        name = _name(raw, index, count)
        try:
            picture = read_picture(raw)
            picture = fit(tidy(picture, size, whole=self.centres and digit == size) if tidied else picture, size, digit)
        except PictureError as error:
            raise InputError(f"{name}: {error}") from None
        told = [*picture.told, *(["all pixels are alike"] if picture.grey.max() == picture.grey.min() else [])]
        if told:
            warnings.warn(f"{name}: {', '.join(told)}", stacklevel=7)  # the line that called the pipeline
        return picture.grey, told


def _name(raw: Any, index: int, count: int) -> str:
    """What a message calls a picture."""
    file = getattr(raw, "filename", "") if isinstance(raw, Image.Image) else raw
    if isinstance(file, str | Path) and str(file):
        return str(file)
    return "the picture" if count == 1 else f"picture {index}"


def known_options(pipe: type[Pipeline]) -> dict[str, Any]:
    """The options of a pipeline's answer, with their defaults."""
    parameters = list(inspect.signature(pipe.answer).parameters.values())[2:]  # without self and the batch
    return {each.name: each.default for each in parameters if each.kind is not each.VAR_KEYWORD}


def check_options(pipe: type[Pipeline], options: Mapping[str, Any]) -> None:
    """Raises UnknownName for an option that the pipeline does not have, with the nearest that it has."""
    known = known_options(pipe)
    for key in options:
        if key not in known:
            near = suggest(key, known) or f"; it has {', '.join(known) or 'none'}"
            raise UnknownName(f"{pipe.__name__} has no option {key!r}{near}")


def pipeline(name: str | Path, device: str | torch.device | None = None) -> Pipeline:
    """The pipeline of a released model.

    Args:
        name: ``slug.row``, a folder, or ``hf-hub:user/name``.
        device: where the network computes, as in ``"cuda"``; None for the processor.

    Raises:
        UnknownName, WeightsError: one sentence.
    """
    from zoo import registry, release

    folder = registry.released(name)
    config = release.read_config(folder)
    room = registry.room(config["slug"])
    kind = room.PIPELINE.of(config["network"])
    network = release.load(folder, room.NETWORK)
    try:
        check_options(kind, config.get("options", {}))
        for key, value in config["preprocess"].items():
            if key in SIZES:
                check_whole(1, 10_000, **{key: value})
        made = kind(network, config, folder)
    except release.WeightsError:
        raise
    except (ZooError, KeyError, TypeError, AttributeError) as error:  # of a config.json that was edited
        reason = f"lacks {error}" if isinstance(error, KeyError) else error
        raise release.WeightsError(f"{folder / release.CONFIG}: {reason}") from None
    return made if device is None else made.to(device)


SIZES = ("size", "digit", "max_length")  # of preprocess: numbers of pixels or tokens


def _facts(plain: Mapping[str, Any], title: str | None) -> dict[str, str]:
    """What an answer says beside its title, by what it is: its texts, numbers, and lists of texts."""
    found = {}
    for name, value in plain.items():
        if isinstance(value, list) and value and all(isinstance(each, str) for each in value) and name != "tokens":
            found[name] = "; ".join(value)
        elif isinstance(value, str | int | float) and value != "" and not (title or "").startswith(str(value)):
            found[name] = f"{value:.4g}" if isinstance(value, float) else str(value)
    return {name.replace("_", " "): value for name, value in found.items()}


def _short(value: Any) -> str:
    """A value in few letters."""
    if isinstance(value, Mapping | list | tuple) and len(value) > 3:
        return f"<{len(value)} of them>"
    return f"{value:.4g}" if isinstance(value, float) else repr(value)
