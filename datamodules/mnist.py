"""Handwritten digits: plain, translated, among clutter or two together; in grey, or black and white."""

import lzma
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from datamodules import binary
from datamodules.files import EMBEDDED, DataError, check_counts, read_checked
from datamodules.idx import FILES, parse_idx, read_folder, read_scenes
from datamodules.sampling import generator
from datamodules.scenes import pairs, scaled_scenes, scenes, uniforms_per_scene
from datamodules.tickets import ByTicket

SPLITS = {"train": range(0, 50_000), "val": range(50_000, 60_000), "test": range(60_000, 70_000)}
SCENE_SEEDS = {"val": 1, "test": 2}  # validation and test scenes are the same in every run, whatever its seed


def read_mnist(root: str | None = None) -> tuple[Tensor, Tensor]:
    """All 70,000 digits, (70000, 28, 28) uint8, and labels, (70000,) int64, the test set last.

    Args:
        root: folder with the four published files, or torchvision's above it; or a file of scenes, whose pictures may
            be larger (see :func:`datamodules.idx.read_scenes`); None for the copy that ships here.
    """
    if root is None:
        folder = EMBEDDED / "mnist"
        parts = [parse_idx(lzma.decompress(read_checked(folder / f"{name}.xz")), name) for name in FILES]
        return torch.cat(parts[::2]), torch.cat(parts[1::2]).long()
    path = Path(root).expanduser()
    return read_scenes(path) if path.suffix == ".npz" else read_folder(path)


def _check_scale(scale: list[float], canvas: int, digits: int) -> None:
    """Raises DataError for what is no range of factors, or makes digits that do not fit on the canvas."""
    numbers = list(scale) if isinstance(scale, Sequence) else []
    real = all(isinstance(x, int | float) and not isinstance(x, bool) for x in numbers)
    if len(numbers) != 2 or not real or not 0 < numbers[0] <= numbers[1] or 28 * numbers[1] > canvas:
        wanted = f"the smallest and the largest factor, above 0 and at most {canvas / 28:.4g} on a canvas of {canvas}"
        raise DataError(f"scale is {scale!r}; expected {wanted}")
    if digits != 1:
        raise DataError(f"digits is {digits} and scale {scale!r}; only single digits are scaled")


class MNIST(ByTicket):
    """MNIST with 50,000 / 10,000 / 10,000 digits for training, validation and test.

    A batch is a dict of ``image`` (batch, 1, canvas, canvas) float32 in [0, 1], ``label`` (batch,) int64 and ``key``
    (batch,) int64, from which a model draws the noise of that sample. Training scenes are fresh every epoch, a function
    of (seed, epoch, index); validation and test scenes never change. Clutter for a split is cut from its own digits.

    Black and white pictures and those of two digits are for models that paint: the spec names no classes.

    Args:
        canvas: side of the picture; 28 for the plain digit, else the digit lies at a random place.
        scale: the smallest and the largest factor by which a digit is scaled, uniformly; null: no digit is.
        clutter: number of pieces of other digits in each picture.
        piece: side of a piece.
        digits: 1; or 2, a random other of the same split at another place, summed.
        binarise: null: grey; "static": each digit is drawn once, its pixels white with the probability of their grey,
            or is read from Larochelle's files where `root` has them; "dynamic": training digits are drawn anew every
            epoch, the others as with "static".
        batch_size: training batch for each process.
        eval_batch_size: validation and test batch for each process.
        seed: of the order and the scenes of training.
        root: folder with the four published IDX files, or torchvision's above it, or binarized_mnist_*.amat; or an .npz
            of scenes, with the canvas of its pictures; null for the copy that ships with the project.
        limit: use only the first so many samples of each split.
    """

    def __init__(
        self,
        canvas: int = 28,
        scale: list[float] | None = None,
        clutter: int = 0,
        piece: int = 8,
        digits: int = 1,
        binarise: str | None = None,
        batch_size: int = 128,
        eval_batch_size: int = 1000,
        seed: int = 0,
        root: str | None = None,
        limit: int | None = None,
    ):
        super().__init__()
        check_counts(batch_size=batch_size, eval_batch_size=eval_batch_size, limit=limit)
        check_counts(28, canvas=canvas)  # the side of a digit
        check_counts(0, clutter=clutter, seed=seed)
        check_counts(1, piece=piece)
        if piece > 28 or canvas > 4096:
            raise DataError(f"piece is {piece} and canvas {canvas}; expected at most 28, as a digit, and 4096")
        if binarise not in (None, "static", "dynamic"):
            raise DataError(f"binarise is {binarise!r}, not null, 'static' or 'dynamic'")
        if digits not in (1, 2) or (digits == 2 and clutter):
            raise DataError(f"digits is {digits} and clutter {clutter}; expected 1 digit, or 2 without clutter")
        if scale is not None:
            _check_scale(scale, canvas, digits)
        root = None if root is None else str(Path(root).expanduser())
        self.canvas, self.clutter, self.piece, self.seed, self.root = canvas, clutter, piece, seed, root
        self.scale = None if scale is None else tuple(scale)
        self.digits, self.binarise, self.drawn = digits, binarise, False
        self.batch_size, self.eval_batch_size, self.limit = batch_size, eval_batch_size, limit
        self._tables: dict[str, tuple[int, Tensor, Tensor]] = {}
        self._scenes: dict[str, Tensor] = {}

    @property
    def spec(self) -> dict:
        """What only the data knows, for the model's constructor."""
        return {"channels": 1} | ({"num_classes": 10} if self.digits == 1 and not self.binarise else {})

    def setup(self, stage: str | None = None) -> None:
        if self.binarise == "static" and binary.published(self.root):
            if not self.drawn:
                self.images, self.labels, self.drawn = binary.read_published(self.root), None, True
        elif not hasattr(self, "images"):
            self.images, self.labels = read_mnist(self.root)
            side = self.images.shape[-1]
            if side != 28 and (self.canvas, self.clutter, self.digits, self.scale) != (side, 0, 1, None):
                right = f"data.canvas={side} data.clutter=0 data.digits=1" + " data.scale=null" * (
                    self.scale is not None
                )
                raise DataError(f"{self.root}: its pictures are finished scenes of {side} pixels; say {right}")
        if self.binarise and not self.drawn:
            held_out = SPLITS["train"].stop if self.binarise == "dynamic" else 0
            drawn = binary.static(self.images)[held_out:]
            self.images, self.drawn = torch.cat((self.images[:held_out], drawn)), True

    def size(self, split: str) -> int:
        """Number of samples of a split."""
        return min(len(SPLITS[split]), self.limit or len(SPLITS[split]))

    def _uniforms(self) -> int:
        """How many random numbers :meth:`_draw` wants for each picture."""
        return uniforms_per_scene(self.clutter) + (self.scale is not None) if self.digits == 1 else 5

    def _random(self, split: str, epoch: int) -> tuple[Tensor, Tensor]:
        """Keys (n,) and uniform numbers (n, k) of all samples of a split in one epoch."""
        if split not in self._tables or self._tables[split][0] != epoch:
            random = generator(SCENE_SEEDS[split]) if split in SCENE_SEEDS else generator(self.seed, epoch, 1)
            size = len(SPLITS[split])
            key = torch.randint(2**62, (size,), generator=random)
            uniform = torch.rand(size, self._uniforms(), generator=random)
            self._tables[split] = (epoch, key, uniform)
        return self._tables[split][1:]

    def _draw(self, split: str, epoch: int, index: Tensor) -> Tensor:
        """(batch, canvas, canvas) uint8 pictures on the device of the index."""
        digits = self.images[SPLITS[split].start : SPLITS[split].stop]
        key, uniform = self._random(split, epoch)
        if self.digits == 2:
            image = pairs(digits[index], digits, uniform[index], self.canvas)
        elif self.scale is not None:
            among = (self.canvas, self.scale, self.clutter, self.piece)
            image = scaled_scenes(digits[index], digits, uniform[index], *among)
        elif self.canvas == digits.shape[-1] and not self.clutter:
            image = digits[index]
        else:
            image = scenes(digits[index], digits, uniform[index], self.canvas, self.clutter, self.piece)
        anew = split == "train" and self.binarise == "dynamic"
        return binary.dynamic(image, key[index]) if anew else image

    def _move(self, device: torch.device) -> None:
        """Keeps the digits and tables on the device that asks for them, so that batches are made there."""
        if self.images.device != device:
            self.images = self.images.to(device)
            self.labels = None if self.labels is None else self.labels.to(device)
            self._scenes.clear()
        self._tables = {k: (e, key.to(device), u.to(device)) for k, (e, key, u) in self._tables.items()}

    def batch(self, split: str, index: Tensor, epoch: int = 0) -> dict[str, Tensor]:
        epoch = epoch if split == "train" else 0
        key = self._random(split, epoch)[0]
        if index.device != key.device or index.device != self.images.device:
            self._move(index.device)
            key = self._random(split, epoch)[0]
        if split == "train":
            image = self._draw(split, epoch, index)
        else:
            if split not in self._scenes:
                everything = torch.arange(self.size(split), device=index.device).split(1000)
                self._scenes[split] = torch.cat([self._draw(split, 0, part) for part in everything])
            image = self._scenes[split][index]
        label = {} if self.labels is None else {"label": self.labels[index + SPLITS[split].start]}
        return {"image": image[:, None].float() / 255, **label, "key": key[index]}
