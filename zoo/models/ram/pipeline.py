"""Pictures of digits in, labels and glimpse paths out."""

from typing import Any

import torch
from torch import Tensor

from zoo.errors import OFTEN, check_whole
from zoo.models.ram.offsets import draw_offsets
from zoo.pipelines import Digits, Label


class Glimpses(Digits):
    """A picture of one bright digit on black to its label, and where the network looked.

    A picture of another size, mode, range, ground or contrast is made what the network knows; a warning and the answer
    tell. The random starts are the same for every picture and call, so an answer depends on the picture alone.
    """

    def answer(self, batch: list[Any], starts: int = 10, tidy: bool = True) -> list[Label]:
        """One label for each picture.

        Args:
            batch: see :func:`zoo.looking.pictures.read_picture`.
            starts: the probabilities are averaged over so many episodes from different places; the attention is that of
                the first.
            tidy: whether ground, contrast and, of rows with plain digits, size and place are made those of the data;
                False leaves the picture alone but for its size.
        """
        check_whole(1, OFTEN, starts=starts)
        image, told = self.prepare_all(batch, tidy)
        offsets = [self._offsets(len(batch), stream) for stream in range(starts)]
        probabilities = torch.stack([self.network(image, each).logits.softmax(-1) for each in offsets]).mean(0)
        attention = self.network.record(image, offsets[0])
        found = enumerate(probabilities.cpu())
        return [Label(attention[i], int(each.argmax()), each.tolist(), told=told[i]) for i, each in found]

    def example(self, batch: int) -> dict[str, Tensor]:
        """Noise as pictures, and the fixed starts: image (batch, 1, size, size), offsets (batch, T, 2)."""
        size = self.size()
        image = torch.rand(batch, 1, size, size, generator=torch.Generator().manual_seed(0))
        return {"image": image.to(self.device), "offsets": self._offsets(batch, 0)}

    def _offsets(self, batch: int, stream: int) -> Tensor:
        key = torch.zeros(1, dtype=torch.int64, device=self.device)
        return draw_offsets(self.network, key, explore=False, stream=stream).expand(batch, -1, -1)
