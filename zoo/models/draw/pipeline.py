"""How many pictures to paint in, paintings out; or pictures of digits in, labels out; and where the network looked."""

from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from zoo.errors import ZooError, check_whole
from zoo.looking.attention import Attention
from zoo.models.draw.record import reading, sampling
from zoo.nn.random import normal
from zoo.pipelines import Digits, InputError, Label, Pipeline, Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SEEDS = 2**40  # a seed's pictures have this many keys to themselves


@dataclass(frozen=True)
class Paintings(Result):
    """Samples of the prior; unlike in other results, the attention is a batch of all of them.

    Args:
        samples: how many.
        seed: of their noise.
    """

    samples: int
    seed: int

    @property
    def images(self) -> Tensor:
        """(samples, channels, size, size) in [0, 1], the means of the pixels."""
        return self.attention.images

    def plot(self, path: str | Path | None = None, lines: bool = False) -> "Figure":
        """Ten frames of every sample; into a .gif all frames of all samples side by side, as a film."""
        from zoo.looking.film import film
        from zoo.looking.plots import painting, save

        if lines:
            raise ValueError("lines are drawn between words, and these are pictures")
        figure = painting(self.attention, None)
        if path is not None:
            film(self.attention, path) if Path(path).suffix.lower() == ".gif" else save(figure, path)
        return figure


class Pictures(Pipeline):
    """Chooses between the two of this room."""

    @classmethod
    def of(cls, network: dict[str, Any]) -> type[Pipeline]:
        return Paint if network.get("num_classes") is None else Look


class Paint(Pictures):
    """How many samples, to the samples and the film of how they were painted.

    The noise of a sample follows from the seed and its place alone: the first of many is the one that is painted alone.
    """

    task = "unconditional-image-generation"
    default = "16"
    asks = MappingProxyType({"how many": "number"})
    samples = (16,)

    def answer(self, batch: list[Any], seed: int = 0) -> list[Paintings]:
        """For each whole number in the batch so many samples.

        Args:
            batch: numbers from 1.
            seed: from 0; other seeds give other pictures.
        """
        try:
            check_whole(0, seed=seed)
            for count in batch:
                check_whole(1, 10_000, samples=count)
        except ZooError as error:
            raise InputError(str(error)) from None
        return [Paintings(self._paint(count, seed), count, seed) for count in batch]

    def _paint(self, count: int, seed: int) -> Attention:
        key = torch.arange(count, device=self.device) + seed * SEEDS
        return sampling(self.network, normal(key, self.network.num_steps, self.network.latent))

    def read(self, given: str) -> int:
        """The number that the command line names."""
        if not given.isdecimal():
            raise InputError(f"{given}: expected how many pictures to paint, as in input=16")
        return int(given)

    def example(self, batch: int) -> dict[str, Tensor]:
        """Pictures and noise: image (batch, channels, size, size), noise (batch, T, latent)."""
        network, random = self.network, torch.Generator().manual_seed(0)
        image = torch.rand(batch, network.channels, network.size, network.size, generator=random).round()
        noise = torch.randn(batch, network.num_steps, network.latent, generator=random)
        return {"image": image.to(self.device), "noise": noise.to(self.device)}


class Look(Digits):
    """A picture of one bright digit on black to its label, and the windows that were read.

    A picture of another size, mode, range, ground or contrast is made what the network knows; a warning and the answer
    tell.
    """

    def answer(self, batch: list[Any], tidy: bool = True) -> list[Label]:
        """One label for each picture.

        Args:
            batch: see :func:`zoo.looking.pictures.read_picture`.
            tidy: False leaves the picture alone but for its size.
        """
        image, told = self.prepare_all(batch, tidy)
        probabilities, attention = self.network(image).softmax(-1), reading(self.network, image)
        found = enumerate(probabilities.cpu())
        return [Label(attention[i], int(each.argmax()), each.tolist(), told=told[i]) for i, each in found]

    def example(self, batch: int) -> dict[str, Tensor]:
        """Noise as pictures: image (batch, 1, size, size)."""
        size = self.size()
        return {"image": torch.rand(batch, 1, size, size, generator=torch.Generator().manual_seed(0)).to(self.device)}
