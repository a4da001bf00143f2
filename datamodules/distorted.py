"""MNIST as spatial transformers are tested on it: distorted, among clutter, or two digits to be added."""

import torch
from torch import Tensor

from datamodules.distortions import DISTORTIONS, check_distortion, distort
from datamodules.files import DataError
from datamodules.mnist import MNIST, SPLITS
from datamodules.scenes import below


class Distorted(MNIST):
    """Digits with a distortion of :mod:`datamodules.distortions`, or a place among clutter (Jaderberg et al. 2015).

    Args:
        distortion: "rotate", "rts", "projective" or "elastic"; null for :class:`datamodules.mnist.MNIST`'s scenes.
        degrees: that "rotate" and "rts" turn to either side.
        fresh: false: the training pictures of the first epoch in every epoch.
        scenes: the arguments of :class:`datamodules.mnist.MNIST`.
    """

    def __init__(self, distortion: str | None = "rotate", degrees: float = 90.0, fresh: bool = True, **scenes):
        super().__init__(**scenes)
        if distortion is not None:
            check_distortion(distortion)
            if self.clutter:
                raise DataError("a distorted digit has no clutter; leave out one of data.distortion and data.clutter")
        self.distortion, self.degrees, self.fresh = distortion, degrees, fresh

    def _uniforms(self) -> int:
        return DISTORTIONS[self.distortion][1] if self.distortion else super()._uniforms()

    def _random(self, split: str, epoch: int) -> tuple[Tensor, Tensor]:
        return super()._random(split, epoch if self.fresh else 0)

    def _draw(self, split: str, epoch: int, index: Tensor) -> Tensor:
        if self.distortion is None:
            return super()._draw(split, epoch, index)
        uniform = self._random(split, epoch)[1][index]
        digits = self.images[SPLITS[split].start : SPLITS[split].stop]
        return distort(digits[index], uniform, self.distortion, self.canvas, self.degrees)


class Addition(Distorted):
    """Two distorted digits in two channels, and their sum as the label (appendix A.2): ``image`` (batch, 2, c, c).

    The second digit is a random one of the same split, with a distortion of its own.
    """

    @property
    def spec(self) -> dict:
        return {"channels": 2, "num_classes": 19}

    def _uniforms(self) -> int:
        return 2 * super()._uniforms() + 1

    def _second(self, split: str, epoch: int, index: Tensor) -> Tensor:
        """Which digit of the split is added to each: (batch,) int64."""
        return below(self._random(split, epoch)[1][index, -1], len(SPLITS[split]))

    def _draw(self, split: str, epoch: int, index: Tensor) -> Tensor:
        if self.distortion is None:
            raise DataError("data.distortion is null; digits that are added are distorted")
        first, second = self._random(split, epoch)[1][index, :-1].chunk(2, 1)
        digits = self.images[SPLITS[split].start : SPLITS[split].stop]
        both = zip((index, self._second(split, epoch, index)), (first, second), strict=True)
        return torch.stack([distort(digits[i], u, self.distortion, self.canvas, self.degrees) for i, u in both], 1)

    def batch(self, split: str, index: Tensor, epoch: int = 0) -> dict[str, Tensor]:
        batch = super().batch(split, index, epoch)
        second = self._second(split, epoch if split == "train" else 0, index)
        label = batch["label"] + self.labels[second + SPLITS[split].start]
        return {**batch, "image": batch["image"][:, 0], "label": label}
