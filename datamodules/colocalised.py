"""Sets of pictures with a digit of one class in common, alone or in clutter (Jaderberg et al. 2015, appendix A.3)."""

import torch
from torch import Tensor

from datamodules.files import DataError, check_counts
from datamodules.mnist import SPLITS, read_mnist
from datamodules.sampling import generator
from datamodules.scenes import below, scenes, uniforms_per_scene
from datamodules.tickets import ByTicket

CLASSES = 10


class Colocalised(ByTicket):
    """Ten sets of `count` pictures; every picture of a set shows a digit of its class at a random place.

    What is found is found in these pictures themselves: training, validation and test have the same. A batch is a dict
    of ``image`` (batch, 10, canvas, canvas) float32 in [0, 1], a picture of each set; ``box`` (batch, 10, 4) float32,
    where its digit lies, as (left, top, right, bottom) in pixels; and ``key`` (batch,) int64.

    Args:
        count: pictures of a set.
        canvas, clutter, piece: see :class:`datamodules.mnist.MNIST`; the pieces are of all training digits.
        batch_size: of each process.
        eval_batch_size: of each process.
        seed: of the pictures and their order.
        root: folder with the four published files of MNIST; null for the copy that ships with the project.
        limit: use only the first so many pictures of each set.
    """

    def __init__(
        self,
        count: int = 100,
        canvas: int = 84,
        clutter: int = 0,
        piece: int = 6,
        batch_size: int = 20,
        eval_batch_size: int = 100,
        seed: int = 0,
        root: str | None = None,
        limit: int | None = None,
    ):
        super().__init__()
        check_counts(count=count, batch_size=batch_size, eval_batch_size=eval_batch_size, limit=limit)
        if canvas < 28:
            raise DataError(f"canvas is {canvas}; a digit needs at least 28 pixels")
        self.count, self.canvas, self.clutter, self.piece = count, canvas, clutter, piece
        self.seed, self.root = seed, root
        self.batch_size, self.eval_batch_size, self.limit = batch_size, eval_batch_size, limit

    @property
    def spec(self) -> dict:
        return {"sets": CLASSES}

    def setup(self, stage: str | None = None) -> None:
        if hasattr(self, "images"):
            return
        every, labels = read_mnist(self.root)
        pool, labels = every[: SPLITS["train"].stop], labels[: SPLITS["train"].stop]
        self.pool, self.labels = pool, labels
        random = generator(self.seed, 0, 7)
        images, boxes = [], []
        for label in range(CLASSES):
            of_class = pool[labels == label]
            if len(of_class) < self.count:
                raise DataError(f"count is {self.count}; there are only {len(of_class)} digits {label}")
            digits = of_class[torch.randperm(len(of_class), generator=random)[: self.count]]
            uniform = torch.rand(self.count, uniforms_per_scene(self.clutter), generator=random)
            images.append(scenes(digits, pool, uniform, self.canvas, self.clutter, self.piece))
            corner = below(uniform[:, :2], self.canvas - 28 + 1).flip(-1).float()  # (x, y); scenes has (y, x)
            boxes.append(torch.cat((corner, corner + 28), 1))
        self.images, self.boxes = torch.stack(images, 1), torch.stack(boxes, 1)

    def size(self, split: str) -> int:
        return min(self.count, self.limit or self.count)

    def digits(self) -> tuple[Tensor, Tensor]:
        """Plain training digits (n, 28, 28) uint8 and their labels, for what compares crops."""
        return self.pool, self.labels

    def batch(self, split: str, index: Tensor, epoch: int = 0) -> dict[str, Tensor]:
        if self.images.device != index.device:
            self.images, self.boxes = self.images.to(index.device), self.boxes.to(index.device)
        epoch = epoch if split == "train" else 0
        key = torch.randint(2**62, (self.count,), generator=generator(self.seed, epoch, 8)).to(index.device)
        return {"image": self.images[index].float() / 255, "box": self.boxes[index], "key": key[index]}
