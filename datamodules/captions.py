"""Flickr8k, Flickr30k and COCO: pictures of a local folder with the captions and splits that Karpathy published."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from PIL import Image
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset

from datamodules.buckets import Buckets, Share
from datamodules.files import DataError, check_counts, check_flags
from datamodules.karpathy import Described, read_captions, read_features
from datamodules.sampling import epoch_batches, generator
from datamodules.tokens import BOS, EOS, PAD, encode, read_tokenizer, train_tokenizer

CAPTIONS = "captions.json"  # the vocabulary, which a run keeps
CORPORA = ("flickr8k", "flickr30k", "coco")


def read_picture(path: Path, size: int, shorter: int) -> Tensor:
    """The middle of a picture whose shorter side is scaled to `shorter` pixels: (3, size, size) uint8.

    Grey becomes colours; what is transparent becomes white.

    Raises:
        DataError: a file that is no picture, or broken; one sentence.
    """
    try:
        with Image.open(path) as image:
            if "A" in image.getbands() or "transparency" in image.info:
                seen = image.convert("RGBA")
                plain = Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen).convert("RGB")
            else:
                plain = image.convert("RGB")
            scale = shorter / min(plain.size)
            wide, high = (max(shorter, round(side * scale)) for side in plain.size)
            scaled = plain.resize((wide, high), Image.Resampling.BICUBIC)
    except Exception as error:  # decoders of broken files raise whatever they run into
        raise DataError(f"{path}: cannot be read as a picture ({error})") from None
    left, top = (wide - size) // 2, (high - size) // 2
    return torch.from_numpy(np.asarray(scaled)[top : top + size, left : left + size].copy()).permute(2, 0, 1)


class Told(Dataset):
    """A split whose items are batches."""

    def __init__(self, data: "Captions", split: str):
        self.data, self.split = data, split

    def __getitem__(self, item: tuple[int, Share | Tensor]) -> dict[str, Any]:
        epoch, share = item
        if isinstance(share, Tensor):
            return self.data.batch(self.split, share)
        return {**self.data.batch(self.split, share.index, epoch), "captions": share.sentences}


class ByLength(Buckets):
    """Yields (epoch, share)."""

    def __iter__(self) -> Iterator[tuple[int, Share]]:
        return ((self.epoch, share) for share in super().__iter__())


class Captions(pl.LightningDataModule):
    """Pictures with captions.

    A batch is a dict of ``image``, (batch, 3, size, size) float32 in [0, 1], or the features of the pictures
    (batch, D, rows, columns) float32; ``caption`` (batch, T) int64 from bos to eos, padded with 0; ``key`` and
    ``index`` (batch,) int64. In training a sample is a caption, and those of a batch are of one length, but where a
    length ends; ``captions`` is then how many there are, on the average of the processes. Otherwise a sample is a
    picture with its first caption.

    Args:
        corpus: "flickr8k", "flickr30k" or "coco": which dataset_<corpus>.json.
        root: folder with that file, and with the pictures: below it, or below its folder images, as the file names
            them.
        features: file that scripts/features.py made of the pictures, which then are not read; null: none.
        restval: whether the 30,504 further pictures of COCO that are named so are for training (not in the paper).
        each: captions of a training picture, at most; the others are left out.
        vocabulary: the most frequent words of the training captions.
        max_length: words of a training caption, at most; longer ones are left out.
        size: side of the middle that is cut out of a picture, in pixels.
        shorter: pixels that its shorter side is scaled to.
        batch_size: captions in training, for each process.
        eval_batch_size: pictures.
        workers: processes that read pictures.
        seed: of the order of training.
        limit: only the first so many pictures of each split.
        tokenizer: folder with the vocabulary that finished weights know; null: that of the training captions.
    """

    def __init__(
        self,
        corpus: str = "flickr8k",
        root: str | None = None,
        features: str | None = None,
        restval: bool = False,
        each: int = 5,
        vocabulary: int = 10_000,
        max_length: int = 100,
        size: int = 224,
        shorter: int = 256,
        batch_size: int = 64,
        eval_batch_size: int = 64,
        workers: int = 4,
        seed: int = 0,
        limit: int | None = None,
        tokenizer: str | None = None,
    ):
        super().__init__()
        if corpus not in CORPORA:
            raise DataError(f"corpus is {corpus!r}, not one of {', '.join(CORPORA)}")
        check_counts(each=each, vocabulary=vocabulary, max_length=max_length, size=size, limit=limit)
        check_counts(size, shorter=shorter)
        check_counts(batch_size=batch_size, eval_batch_size=eval_batch_size)
        check_counts(0, workers=workers, seed=seed)
        check_flags(restval=restval)
        if root is None:
            raise DataError(f"say where {corpus} is: data.root=<folder with dataset_{corpus}.json and the pictures>")
        self.root, self.side, self.shorter = Path(root).expanduser(), size, shorter
        self.workers, self.seed = workers, seed
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size
        path = self.root / f"dataset_{corpus}.json"
        pictures = read_captions(path)
        self.features = None if features is None else read_features(Path(features), [each.file for each in pictures])
        self.pictures: dict[str, list[tuple[int, Described]]] = {"train": [], "val": [], "test": []}
        for row, picture in enumerate(pictures):
            split = "train" if picture.split == "restval" and restval else picture.split
            if split in self.pictures and len(self.pictures[split]) < (limit or len(pictures)):
                self.pictures[split].append((row, picture))
        for split, some in self.pictures.items():
            if not some:
                raise DataError(f"{path}: has no picture of the split {split}")
        self.folder = self._folder(path)
        train = [words for _, picture in self.pictures["train"] for words in picture.captions[:each]]
        lines = [" ".join(words) for words in train]
        self.words = self._vocabulary(lines, vocabulary, tokenizer)
        self._samples = {split: self._split(split, each, max_length) for split in self.pictures}
        if not self._samples["train"]:
            raise DataError(f"{path}: no training caption has at most {max_length} words")

    def _folder(self, path: Path) -> Path | None:
        """Where the pictures are; raises DataError where one that the captions name is missing."""
        if self.features is not None:
            return None
        files = [picture.file for some in self.pictures.values() for _, picture in some]
        folder = self.root / "images" if (self.root / "images" / files[0]).exists() else self.root
        missing = [file for file in files if not (folder / file).exists()]
        if missing:
            raise DataError(f"{path}: names {len(missing)} pictures that are not in {folder}, such as {missing[0]}")
        return folder

    @staticmethod
    def _vocabulary(lines: list[str], size: int, tokenizer: str | None) -> Tokenizer:
        if tokenizer is not None:
            return read_tokenizer(Path(tokenizer) / CAPTIONS)
        return train_tokenizer(lines, size, "words", lowercase=True)

    def _split(self, split: str, each: int, max_length: int) -> list[tuple[int, list[int]]]:
        """Samples as a row of the file and the ids of a caption, without bos and eos."""
        train = split == "train"
        some = [
            (row, words)
            for row, picture in self.pictures[split]
            for words in picture.captions[: each if train else 1]
            if not train or len(words) <= max_length
        ]
        ids = encode(self.words, [" ".join(words) for _, words in some])
        return [(row, line) for (row, _), line in zip(some, ids, strict=True)]

    @property
    def spec(self) -> dict[str, int]:
        """What only the data know: the number of words, with the four special ones."""
        return {"vocabulary": self.words.get_vocab_size()}

    def save(self, folder: Path) -> None:
        """Leaves what a pipeline must know of the data."""
        folder.mkdir(parents=True, exist_ok=True)
        self.words.save(str(folder / CAPTIONS))

    def size(self, split: str) -> int:
        """Number of samples of a split."""
        return len(self._samples[split])

    def batch(self, split: str, index: Tensor, epoch: int = 0) -> dict[str, Tensor]:
        """Samples of a split, at positions (batch,)."""
        rows, lines = zip(*(self._samples[split][i] for i in index.tolist()), strict=True)
        captions = [torch.tensor([BOS, *line, EOS]) for line in lines]
        base = int(torch.randint(2**61, (), generator=generator(self.seed, 8 if split == "train" else 9)))
        return {
            "image": self._images(split, rows),
            "caption": pad_sequence(captions, batch_first=True, padding_value=PAD),
            "key": base + index + epoch * self.size(split),
            "index": index,
        }

    def _images(self, split: str, rows: tuple[int, ...]) -> Tensor:
        if self.features is not None:
            return torch.from_numpy(self.features[list(rows)].astype(np.float32))
        files = {row: picture.file for row, picture in self.pictures[split]}
        read = [read_picture(self.folder / files[row], self.side, self.shorter) for row in rows]
        return torch.stack(read).float() / 255

    def detokenise(self, tokens: list[list[int]]) -> list[str]:
        """Lines of words with spaces between."""
        return [" ".join(self.words.id_to_token(i) for i in line) for line in tokens]

    def right(self, split: str, order: list[int]) -> list[list[str]]:
        """All captions of the pictures at positions of a validation or test split."""
        normal = self.words.normalizer.normalize_str
        return [[normal(" ".join(words)) for words in self.pictures[split][i][1].captions] for i in order]

    def train_dataloader(self) -> DataLoader:
        lengths = np.array([len(line) + 2 for _, line in self._samples["train"]])
        how: dict[str, Any] = {"batch_size": self.batch_size, "seed": self.seed}
        if (trainer := self.trainer) is not None:
            how |= {"rank": trainer.global_rank, "world": trainer.world_size, "overfit": trainer.overfit_batches > 0}
            how |= {"skip": lambda: trainer.fit_loop.epoch_loop.batch_progress.current.ready}
        return self._loader("train", ByLength(np.zeros_like(lengths), lengths, **how))

    def val_dataloader(self) -> DataLoader:
        return self._loader("val", epoch_batches(self, self.size("val"), self.eval_batch_size, train=False))

    def test_dataloader(self) -> DataLoader:
        return self._loader("test", epoch_batches(self, self.size("test"), self.eval_batch_size, train=False))

    def _loader(self, split: str, batches: Any) -> DataLoader:
        pinned = torch.cuda.is_available()
        return DataLoader(
            Told(self, split), sampler=batches, batch_size=None, num_workers=self.workers, pin_memory=pinned
        )
