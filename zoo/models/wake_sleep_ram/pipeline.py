"""Pictures of digits in, labels and glimpse paths out."""

from typing import Any

import torch
from torch import Tensor

from zoo.errors import OFTEN, check_whole
from zoo.models.wake_sleep_ram.noise import draw_noise
from zoo.pipelines import Digits, Label


class Looks(Digits):
    """A picture of one bright digit on black to its label, and where the network looked and how closely.

    A picture of another size, mode, range, ground or contrast is made what the network knows; a warning and the answer
    tell. The noise is the same for every picture and call, so an answer depends on the picture alone.
    """

    centres = False  # digits of any size lie anywhere

    def answer(self, batch: list[Any], samples: int = 0, label: int | None = None, tidy: bool = True) -> list[Label]:
        """One label for each picture.

        Args:
            batch: see :func:`zoo.looking.pictures.read_picture`.
            samples: the probabilities are averaged over so many sampled sequences of glimpses; 0: those of the
                likeliest sequence, which the attention shows in any case.
            label: the class that the inference network is told; its glimpses then take the place of the policy's, and
                the answer is what follows from them. It shows where to look for that class, and is no measure.
            tidy: whether ground and contrast are made those of the data; False leaves the picture alone but for its
                size.
        """
        check_whole(0, OFTEN, samples=samples)
        image, told = self.prepare_all(batch, tidy)
        told_class = None
        if label is not None:
            check_whole(0, self.network.num_classes - 1, label=label)
            told_class = torch.full((len(batch),), label, device=self.device)
        noise = None
        if samples:
            key = torch.zeros(1, dtype=torch.int64, device=self.device)
            noise = draw_noise(key, samples, self.network.num_glimpses).expand(len(batch), -1, -1, -1)
        probabilities = self.network(image, noise, told_class).logits.softmax(-1).mean(1)
        attention = self.network.record(image, None, told_class)
        found = enumerate(probabilities.cpu())
        return [Label(attention[i], int(each.argmax()), each.tolist(), told=told[i]) for i, each in found]

    def example(self, batch: int) -> dict[str, Tensor]:
        """Noise as pictures, and fixed noise of the glimpses: image (batch, 1, size, size), noise (batch, 1, N, 3)."""
        size = self.size()
        image = torch.rand(batch, 1, size, size, generator=torch.Generator().manual_seed(0))
        noise = draw_noise(torch.arange(batch), 1, self.network.num_glimpses)
        return {"image": image.to(self.device), "noise": noise.to(self.device)}
