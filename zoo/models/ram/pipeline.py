"""Pictures of digits in, labels and glimpse paths out."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from zoo.looking.pictures import PictureError, black_ground, fit, read_picture
from zoo.models.ram.offsets import draw_offsets
from zoo.pipelines import InputError, Pipeline, Result


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


class Glimpses(Pipeline):
    """A picture of one bright digit on black to its label, and where the network looked.

    A picture of another size, mode or range is converted, one with a bright border is inverted, and a warning tells.
    The random starts are the same for every picture and call, so an answer depends on the picture alone.
    """

    task = "image-classification"

    def answer(self, batch: list[Any], starts: int = 10) -> list[Label]:
        """One label for each picture.

        Args:
            batch: see :func:`zoo.looking.pictures.read_picture`.
            starts: the probabilities are averaged over so many episodes from different places; the attention is that of
                the first.
        """
        if not isinstance(starts, int) or starts < 1:
            raise InputError(f"starts is {starts!r}; expected a whole number from 1")
        image = torch.stack([self._prepare(raw, i, len(batch)) for i, raw in enumerate(batch)])[:, None].to(self.device)
        offsets = [self._offsets(len(batch), stream) for stream in range(starts)]
        probabilities = torch.stack([self.network(image, each).logits.softmax(-1) for each in offsets]).mean(0)
        attention = self.network.record(image, offsets[0])
        return [Label(attention[i], int(each.argmax()), each.tolist()) for i, each in enumerate(probabilities.cpu())]

    def unpack(self, raw: Any) -> list[Any] | None:
        """A batch is a list, or an array or tensor of four axes, pictures first."""
        return list(raw) if isinstance(raw, np.ndarray | Tensor) and raw.ndim == 4 else super().unpack(raw)

    def example(self, batch: int) -> dict[str, Tensor]:
        """Noise as pictures, and the fixed starts: image (batch, 1, size, size), offsets (batch, T, 2)."""
        size = self._size()
        image = torch.rand(batch, 1, size, size, generator=torch.Generator().manual_seed(0))
        return {"image": image.to(self.device), "offsets": self._offsets(batch, 0)}

    @staticmethod
    def preprocess(data: dict[str, Any]) -> dict[str, Any]:
        """Side of the picture and of the digit on it, in pixels."""
        return {"size": data["canvas"], "digit": 28} if "canvas" in data else {}

    def _size(self) -> int:
        size = self.config["preprocess"].get("size")
        if size is None:
            name = f"{self.config['slug']}.{self.config['row']}"
            raise InputError(f"{name} does not take pictures: its config.json names no size of them")
        return size

    def _offsets(self, batch: int, stream: int) -> Tensor:
        key = torch.zeros(1, dtype=torch.int64, device=self.device)
        return draw_offsets(self.network, key, explore=False, stream=stream).expand(batch, -1, -1)

    def _prepare(self, raw: Any, index: int, count: int) -> Tensor:
        """(size, size) in [0, 1], bright on black; warns of what was done to the picture."""
        size = self._size()
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
