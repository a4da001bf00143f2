"""Emoji with their Unicode names: scenes of one to three of them with a caption and boxes, or single ones."""

import io
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer
from torch import Tensor

from datamodules.files import EMBEDDED, DataError, check_counts, read_checked
from datamodules.pasting import MOST, UNIFORMS, Places, draw, ground, place, scaled
from datamodules.sampling import generator
from datamodules.scenes import below
from datamodules.tickets import ByTicket
from datamodules.tokens import BOS, EOS, PAD, encode, read_tokenizer, train_tokenizer

HELD_OUT = {"val": 1, "test": 2}  # seeds: their scenes are the same in every run
SIZES = {"val": 500, "test": 2000}
SIDE = 8  # rows and columns of the objects
TONES = 5  # of skin
RELATIONS = ("left of", "above")
CAPTIONS = "captions.json"  # the vocabulary, which a run keeps
ALONE, PAIR = 0.2, 0.6  # share of the training scenes with one thing, and with at most two


@cache
def read_sheet(name: str) -> tuple[Tensor, list[str]]:
    """Pictures (n, 4, side, side) uint8 of a sheet that ships here, and their names.

    Args:
        name: "objects" or "people".
    """
    folder = EMBEDDED / "emoji"
    names = read_checked(folder / f"{name}.txt").decode().splitlines()
    with Image.open(io.BytesIO(read_checked(folder / f"{name}.png"))) as image:
        whole = torch.from_numpy(np.array(image.convert("RGBA")))
    columns = SIDE if name == "objects" else TONES
    side = whole.shape[1] // columns
    tiles = whole.unflatten(0, (-1, side)).unflatten(2, (columns, side)).permute(0, 2, 4, 1, 3)
    return tiles.flatten(0, 1)[: len(names)].contiguous(), [name.replace(":", " :") for name in names]


class Emoji(ByTicket):
    """Scenes with captions, fresh every epoch as a function of (seed, epoch, index); validation and test never change.

    A batch is a dict of ``image`` (batch, 3, 112, 112) float32 in [0, 1]; ``caption`` (batch, T) int64 from bos to eos,
    padded with 0; ``names`` (batch, 3, W) int64, the words of each thing that the caption names, padded with 0;
    ``boxes`` (batch, 3, 4) float32, where they are in pixels, as (left, top, right, bottom), zero where there is none;
    ``key`` and ``index`` (batch,) int64.

    Objects stand in eight rows of eight. Things of one row never meet in training, and test scenes are of one row;
    validation scenes are of one column likewise. So every test caption is a combination that was never seen. A
    caption goes from the top left to the bottom right.

    Of "names" each picture is one hand or person, and its name says the tone of skin: of each, three tones are for
    training, one for validation and one for the test.

    Args:
        kind: "scenes" or "names".
        pictures: "own", or "next" for a control: each caption comes with the picture of the next sample of its split,
            so that captions can be learned and nothing of the picture helps. The boxes stay those of the caption.
        scenes: of a training epoch.
        batch_size, eval_batch_size: for each process.
        seed: of the order and the scenes of training.
        limit: use only the first so many samples of each split.
        tokenizer: folder with the vocabulary that finished weights know; None: that of the names.
    """

    def __init__(
        self,
        kind: str = "scenes",
        pictures: str = "own",
        scenes: int = 8192,
        batch_size: int = 64,
        eval_batch_size: int = 250,
        seed: int = 0,
        limit: int | None = None,
        tokenizer: str | None = None,
    ):
        super().__init__()
        if kind not in ("scenes", "names"):
            raise DataError(f"kind is {kind!r}, not 'scenes' or 'names'")
        if pictures not in ("own", "next"):
            raise DataError(f"pictures is {pictures!r}, not 'own' or 'next'")
        check_counts(scenes=scenes, batch_size=batch_size, eval_batch_size=eval_batch_size, limit=limit)
        check_counts(0, seed=seed)
        self.kind, self.next, self.seed, self.limit = kind, pictures == "next", seed, limit
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size
        self.sizes = {"train": scenes, **SIZES}
        sheet, self.names = read_sheet("objects" if kind == "scenes" else "people")
        self.pictures = scaled(sheet)
        self.words = train_tokenizer([*self.names, *RELATIONS, "which is"], 1000, "words")
        if tokenizer and read_tokenizer(Path(tokenizer) / CAPTIONS).to_str() != self.words.to_str():
            raise DataError(f"{tokenizer}: its vocabulary is not that of the emoji")
        self.parts = self._parts(self.words)
        self._tables: dict[str, tuple[int, Tensor, Tensor]] = {}

    def _parts(self, words: Tokenizer) -> Tensor:
        """What captions are made of, (parts, W) int64 padded with 0: names, relations, these after "which is"."""
        lines = [*self.names, *RELATIONS, *(f"which is {relation}" for relation in RELATIONS), ""]
        ids = list(encode(words, lines))
        width = max(map(len, ids))
        return torch.tensor([row + [PAD] * (width - len(row)) for row in ids])

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
        return min(self.sizes[split], self.limit or self.sizes[split])

    def _random(self, split: str, epoch: int) -> tuple[Tensor, Tensor]:
        """Keys (n,) and uniform numbers (n, k) of all samples of a split in one epoch."""
        if split not in self._tables or self._tables[split][0] != epoch:
            random = generator(HELD_OUT[split], 7) if split in HELD_OUT else generator(self.seed, epoch, 7)
            key = torch.randint(2**62, (self.sizes[split],), generator=random)
            table = torch.rand(self.sizes[split], 1 + 2 * SIDE + UNIFORMS, generator=random)
            self._tables[split] = (epoch, key, table)
        return self._tables[split][1:]

    def _chosen(self, split: str, uniform: Tensor) -> tuple[Tensor, Tensor]:
        """Which pictures (batch, 3), and how many of them (batch,)."""
        if self.kind == "names":
            person = below(uniform[:, 1], len(self.names) // TONES)
            tones = {"val": torch.zeros_like(person), "test": torch.ones_like(person)}
            tone = tones.get(split, 2 + below(uniform[:, 2], TONES - 2))
            which = person * TONES + (person + tone) % TONES
            return which[:, None].expand(-1, MOST), torch.ones_like(which)
        rows, columns = (part.argsort(-1)[:, :MOST] for part in uniform[:, 1:].split(SIDE, 1)[:2])
        if split == "test":
            rows = rows[:, :1]
        elif split == "val":
            columns = columns[:, :1]
        many = uniform[:, 0] if split == "train" else ALONE + (1 - ALONE) * uniform[:, 0]  # never one alone
        return rows * SIDE + columns, 1 + (many >= ALONE).long() + (many >= PAIR).long()

    def _scene(self, split: str, table: Tensor) -> tuple[Tensor, Tensor, Places, Tensor]:
        """Which pictures, how many of them and where, and the numbers that say so, of rows of the table."""
        chosen, uniform = table.split([1 + 2 * SIDE, UNIFORMS], 1)
        which, count = self._chosen(split, chosen)
        return which, count, place(uniform, count), uniform

    def _captions(self, which: Tensor, count: Tensor, layout: Tensor) -> Tensor:
        """(batch, T) int64, from bos to eos, as wide as the longest of the batch."""
        names, empty = len(self.names), len(self.parts) - 1
        two, three = count >= 2, count == MOST
        parts = torch.stack(
            [
                which[:, 0],
                torch.where(two, names + layout, empty),
                torch.where(two, which[:, 1], empty),
                torch.where(three, names + len(RELATIONS) + 1 - layout, empty),
                torch.where(three, which[:, 2], empty),
            ],
            1,
        )
        words = self.parts[parts].flatten(1)
        ends = [torch.full_like(words[:, :1], symbol) for symbol in (BOS, EOS)]
        words = torch.cat([ends[0], words, ends[1]], 1)
        order = (words == PAD).to(torch.int8).argsort(dim=1, stable=True)
        return words.gather(1, order)[:, : int((words != PAD).sum(1).max())]

    def batch(self, split: str, index: Tensor, epoch: int = 0) -> dict[str, Tensor]:
        self._random(split, epoch if split == "train" else 0)
        if self.pictures.device != index.device:
            self.pictures, self.parts = self.pictures.to(index.device), self.parts.to(index.device)
        self._tables = {k: (e, key.to(index.device), u.to(index.device)) for k, (e, key, u) in self._tables.items()}
        _, key, table = self._tables[split]
        told = self._scene(split, table[index])
        shown = self._scene(split, table[(index + 1) % len(table)]) if self.next else told
        which, count, places, _ = told
        there = torch.arange(MOST, device=index.device) < count[:, None]
        return {
            "image": draw(self.pictures, *shown[:3], ground(shown[3])),
            "caption": self._captions(which, count, places.layout),
            "names": self.parts[torch.where(there, which, len(self.parts) - 1)],
            "boxes": places.boxes(count),
            "key": key[index],
            "index": index,
        }

    def detokenise(self, tokens: list[list[int]]) -> list[str]:
        """Lines of words with spaces between."""
        return [" ".join(self.words.id_to_token(i) for i in line) for line in tokens]

    def right(self, split: str, order: list[int]) -> list[list[str]]:
        """The right captions of samples, for each a list of one."""
        lines = []
        for part in torch.tensor(order).split(self.eval_batch_size):
            device = self.pictures.device
            captions = self.batch(split, part.to(device))["caption"].tolist()
            lines += self.detokenise([[i for i in row if i not in (PAD, BOS, EOS)] for row in captions])
        return [[line] for line in lines]
