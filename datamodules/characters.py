"""One long text as bytes, in windows: the descriptions of Debian's packages, or a file such as enwik8."""

import zipfile
import zlib
from functools import cache
from itertools import accumulate
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from datamodules import debian
from datamodules.files import DataError, check_counts, read_file
from datamodules.labelled import described
from datamodules.sampling import generator
from datamodules.tickets import ByTicket


@cache
def descriptions(root: str | Path | None) -> dict[str, bytes]:
    """Every split of the English descriptions, one after the other with an empty line between, as UTF-8."""
    found = {split: [] for split in debian.SPLITS}
    for record in debian.read_debian(root):
        found[debian.split_of(record.source)].append(described(record.en) + "\n\n")
    return {split: "".join(texts).encode() for split, texts in found.items()}


def read_bytes(path: Path, size: int | None = None) -> bytes:
    """A file, or the only file in a .zip, which is how enwik8 is published.

    Args:
        size: bytes that it must have.
    """
    data = read_file(path)
    if path.suffix == ".zip":
        try:
            with zipfile.ZipFile(path) as archive:
                (name,) = archive.namelist()
                data = archive.read(name)
        except (zipfile.BadZipFile, zlib.error, EOFError, ValueError) as error:
            raise DataError(f"{path}: truncated or altered, not a zip of one file ({error})") from None
    if size is not None and len(data) != size:
        raise DataError(f"{path}: has {len(data)} bytes, expected {size}")
    return data.removeprefix(b"\xef\xbb\xbf")  # a byte-order mark


class Characters(ByTicket):
    """Windows of `context` + 1 bytes, the first of them only read and the others predicted.

    A batch holds `text` (batch, context + 1) int64; `scored` (batch, context), which of the predicted bytes count; and
    `tokens`, how many are predicted. Windows of training start at random places, a function of (seed, epoch, index).
    Those of validation and test overlap, so that every byte but the first counts exactly once, and all but the first
    `context` of them with at least context - stride bytes before it in its window. A text that is shorter than a window
    makes the windows shorter.

    Args:
        corpus: "debian", which ships with the zoo, or "files".
        root: of "files": a file, plain or .zip.
        size: bytes that the file must have.
        parts: of "files": percent of it for training, validation and test, in this order.
        context: bytes that are read.
        windows: of an epoch of training; None: as many as the text holds side by side.
        stride: between the windows of validation and test; None: half the context.
        val_bytes: validate on the first so many bytes of the validation text; None: all.
        test: what a test reads, "test" or "val".
        batch_size, eval_batch_size: windows of a batch for each process.
        limit: use only the first so many windows of each split.
    """

    def __init__(
        self,
        corpus: str = "debian",
        root: str | None = None,
        size: int | None = None,
        parts: tuple[int, int, int] | list[int] = (90, 5, 5),
        context: int = 256,
        windows: int | None = None,
        stride: int | None = None,
        val_bytes: int | None = 100_000,
        test: str = "test",
        batch_size: int = 32,
        eval_batch_size: int = 128,
        seed: int = 0,
        limit: int | None = None,
    ):
        super().__init__()
        if corpus not in ("debian", "files"):
            raise DataError(f"corpus is {corpus!r}, not 'debian' or 'files'")
        check_counts(**{f"parts[{i}]": part for i, part in enumerate(parts)})
        if len(parts) != 3 or sum(parts) != 100 or min(parts) < 1:
            raise DataError(f"parts is {list(parts)}; expected three whole numbers that sum to 100")
        check_counts(batch_size=batch_size, eval_batch_size=eval_batch_size, limit=limit)
        if test not in ("test", "val"):
            raise DataError(f"test is {test!r}, not 'test' or 'val'")
        check_counts(windows=windows, val_bytes=val_bytes, size=size, stride=stride, context=context)
        check_counts(0, seed=seed)
        self.stride = max(1, context // 2) if stride is None else stride
        if not 1 <= self.stride <= context:
            raise DataError(f"context is {context} and stride {stride}; expected 1 <= stride <= context")
        self.corpus, self.root, self.bytes, self.parts = corpus, root, size, parts
        self.context, self.windows, self.val_bytes, self.test_split = context, windows, val_bytes, test
        self.batch_size, self.eval_batch_size, self.seed, self.limit = batch_size, eval_batch_size, seed, limit
        self._tensors: dict[str, Tensor] = {}
        self._starts: tuple[int, Tensor] | None = None

    @property
    def spec(self) -> dict:
        """What only the data knows, for the model's constructor."""
        return {"vocabulary": 256}

    def text(self, split: str) -> bytes:
        """The text of a split."""
        split = self.test_split if split == "test" else split
        if self.corpus == "debian":
            found = descriptions(self.root)[split]
        else:
            if self.root is None:
                raise DataError("say where the text is: data.root=<file>")
            data = read_bytes(Path(self.root), self.bytes)
            ends = [0, *(len(data) * percent // 100 for percent in accumulate(self.parts))]
            number = debian.SPLITS.index(split)
            found = data[ends[number] : ends[number + 1]]
        found = found[: self.val_bytes] if split == "val" else found
        if len(found) < 2:
            raise DataError(f"{self.root or self.corpus}: {split} has {len(found)} bytes, expected at least 2")
        return found

    def tensor(self, split: str) -> Tensor:
        """The text of a split, (n,) uint8."""
        if split not in self._tensors:
            self._tensors[split] = torch.from_numpy(np.frombuffer(self.text(split), np.uint8).copy())
        return self._tensors[split]

    def _width(self, split: str) -> int:
        """Bytes that a window predicts."""
        return min(self.context, len(self.tensor(split)) - 1)

    def size(self, split: str) -> int:
        length, width = len(self.tensor(split)) - 1, self._width(split)
        overlapping = 1 - (width - length) // self.stride  # one, and what is left rounded up
        count = (self.windows or length // width) if split == "train" else overlapping
        return min(count, self.limit or count)

    def _random(self, epoch: int) -> Tensor:
        """Where all training windows of an epoch start: (windows,)."""
        if self._starts is None or self._starts[0] != epoch:
            starts = len(self.tensor("train")) - self._width("train")
            drawn = torch.randint(starts, (self.size("train"),), generator=generator(self.seed, epoch, 5))
            self._starts = (epoch, drawn)
        return self._starts[1]

    def batch(self, split: str, index: Tensor, epoch: int = 0) -> dict[str, Tensor]:
        text = self._tensors[split] = self.tensor(split).to(index.device)
        width = self._width(split)
        place = torch.arange(width + 1, device=index.device)
        if split == "train":
            drawn = self._random(epoch).to(index.device)
            self._starts = (epoch, drawn)
            start = drawn[index]
            scored = torch.ones(len(index), width, dtype=torch.bool, device=index.device)
        else:
            start = (index * self.stride).clamp(max=len(text) - 1 - width)
            done = torch.where(index == 0, 0, (index - 1) * self.stride + width)  # the last byte that has counted
            scored = start[:, None] + place[1:] > done[:, None]
        return {
            "text": text[start[:, None] + place].long(),
            "scored": scored,
            "tokens": torch.tensor(float(scored.numel())),
        }
