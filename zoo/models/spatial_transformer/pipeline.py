"""Pictures of digits in, labels and straightened digits out."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from zoo.looking.attention import Attention
from zoo.models.spatial_transformer.looks import record
from zoo.pipelines import Digits, InputError, Label


@dataclass(frozen=True, kw_only=True)
class Straightened(Label):
    """The class of one picture, and the picture as the transformer made it for the classifier.

    Args:
        straight: (height, width) float32 in [0, 1].
    """

    straight: Tensor

    def plain(self) -> dict[str, Any]:
        return {name: value for name, value in super().plain().items() if name != "straight"}


class Straighten(Digits):
    """A picture of one bright digit on black, turned or bent, to its label and the straightened picture.

    A picture of another size, mode, range, ground or contrast is made what the network knows; a warning and the answer
    tell. The digit is left where it is and as it lies, which is the transformer's work.
    """

    centres = False

    def answer(self, batch: list[Any], tidy: bool = True) -> list[Straightened]:
        """One label for each picture.

        Args:
            batch: see :func:`zoo.looking.pictures.read_picture`.
            tidy: whether ground and contrast are made those of the data; False leaves the picture alone but for its
                size.
        """
        if not getattr(self.network, "transformers", None):
            raise InputError(f"{self.config['slug']}.{self.config['row']} has no transformer that could straighten")
        image, told = self.prepare_all(batch, tidy)
        answer = self.network(image)
        probabilities = answer.logits.softmax(-1).cpu()
        attention: Attention = record(image, answer.grids, answer.outputs)
        return [
            Straightened(
                attention[i], int(each.argmax()), each.tolist(), told[i], straight=attention.views[i, 0, 0].cpu()
            )
            for i, each in enumerate(probabilities)
        ]

    def example(self, batch: int) -> dict[str, Tensor]:
        """Noise as pictures: image (batch, 1, size, size)."""
        size = self.size()
        image = torch.rand(batch, 1, size, size, generator=torch.Generator().manual_seed(0))
        return {"image": image.to(self.device)}
