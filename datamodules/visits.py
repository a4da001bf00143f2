"""Visits to places: for each user the first part trains, the next validates, the last tests (Liu et al. 2016)."""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from datamodules.checkins import Trails, read_visits
from datamodules.files import DataError, check_counts, read_file
from datamodules.sampling import epoch_batches, generator

PARTS = ("train", "val", "test")
PLACES = "places.tsv"  # what a run keeps: name, latitude and longitude of each place, in the order of their numbers
USERS = "users.txt"  # the names of the users, likewise


class Windows(NamedTuple):
    """What the state of each visit is made of; all (visits,) int64, counted within the visits of one user."""

    parent: np.ndarray  # the visit whose state it goes on from, -1 for h_0
    start: np.ndarray  # the first visit of its window, which ends before the visit itself
    depth: np.ndarray  # visits that its state goes back to, one after the other


def windows(hours: np.ndarray, width: float, strict: bool = False) -> Windows:
    """The windows of one user's visits (section 4.2 of Liu et al.).

    The window of a visit at t reaches back to the earlier visit whose time is closest to t - w, its parent. Visits less
    than w after the first have no parent, and a window of all that was before (equation 5).

    Args:
        hours: (n,) of the visits, in order.
        width: w, in hours.
        strict: whether the parent stays out of the window, as equation 3 is printed; then a visit whose last one is
            longer ago than w has an empty window.
    """
    n = len(hours)
    after = np.searchsorted(hours, hours - width)  # the first visit at t - w or later; at most the visit itself
    before = np.searchsorted(hours, hours[np.maximum(after - 1, 0)])  # the first of those last before it
    after_gap = np.where(after < np.arange(n), hours[np.minimum(after, n - 1)] - (hours - width), np.inf)
    parent = np.where((hours - width) - hours[before] <= after_gap, before, after)
    parent = np.where(hours - hours[0] < width, -1, parent)
    depth = np.zeros(n, np.int64)
    for k in np.flatnonzero(parent >= 0):
        depth[k] = depth[parent[k]] + 1
    return Windows(parent, np.maximum(parent, 0) + (strict & (parent >= 0)), depth)


class Trail(Dataset):
    """A split whose items are batches, made of (epoch, positions of users)."""

    def __init__(self, data: "Visits", split: str):
        self.data, self.split = data, split

    def __getitem__(self, item: tuple[int, Tensor]) -> dict[str, Tensor | list[int]]:
        epoch, users = item
        return self.data.batch(self.split, users.tolist(), epoch)


@cache
def _read(corpus: str, root: str | None, exclude: tuple[str, ...], least: int) -> Trails:
    return read_visits(corpus, root, exclude, least)


class Visits(pl.LightningDataModule):
    """Users' visits, a batch being the whole histories of some users up to the end of the part that is scored.

    A batch is a dict of tensors over its K visits, those whose states come first (Windows.depth) first:

    * ``user``, ``place`` (K,) int64; ``position`` (K,) int64, of the visit in its user's history, and ``line`` (K,)
      int64, which of the batch's ``lines`` users it is, of whom none has more than ``longest`` visits (both numbers);
    * ``last`` (K,) int64: the user's visit before, -1 for none;
    * ``parent`` (K,) int64: the visit whose state this one goes on from, -1 for h_0;
    * ``of``, ``saw`` (E,) int64 and ``gap`` (E,) float32: the visits whose windows these are, the visits in them, and
      the hours between both;
    * ``idle`` (K,) float32: hours since the last visit;
    * ``scored`` (n,) int64: the visits that belong to the split; ``key`` (K,) int64, for noise;
    * ``coordinates`` (places, 2) float32: latitude and longitude in degrees;
    * ``levels``: how many visits have each depth, a list of numbers.

    Args:
        corpus, root: see :func:`datamodules.checkins.read_visits`.
        exclude: places whose visits are left out.
        min_visits: that a user must have.
        parts: percent of a user's visits, in the order of time, for training, validation and test.
        window_hours: w.
        strict: see :func:`windows`.
        batch_size, eval_batch_size: users.
        limit: only the first so many users.
        seed: of the shuffling, and of the keys of training visits.
        tokenizer: folder with the places and users that finished weights know; None: those of the data.
    """

    def __init__(
        self,
        corpus: str = "flights",
        root: str | None = None,
        exclude: list[str] | None = None,
        min_visits: int = 1,
        parts: tuple[int, int, int] = (70, 10, 20),
        window_hours: float = 6.0,
        strict: bool = False,
        batch_size: int = 64,
        eval_batch_size: int = 64,
        seed: int = 0,
        limit: int | None = None,
        tokenizer: str | None = None,
    ):
        super().__init__()
        check_counts(min_visits=min_visits, batch_size=batch_size, eval_batch_size=eval_batch_size, limit=limit)
        if len(parts) != 3 or sum(parts) != 100 or min(parts) < 0:
            raise DataError(f"parts is {list(parts)}; expected three percentages that make 100")
        if not window_hours > 0:
            raise DataError(f"window_hours is {window_hours}; expected more than 0")
        self.trails = _read(corpus, root, tuple(exclude or ()), min_visits)
        self.parts, self.window_hours, self.strict = tuple(parts), window_hours, strict
        self.batch_size, self.eval_batch_size, self.seed = batch_size, eval_batch_size, seed
        self.users = min(limit or len(self.trails.users), len(self.trails.users))
        self.start = np.searchsorted(self.trails.user, np.arange(self.users + 1))
        counts = np.diff(self.start)
        self.ends = {  # of each part, in visits of each user
            "train": counts * parts[0] // 100,
            "val": counts * (parts[0] + parts[1]) // 100,
            "test": counts,
        }
        if tokenizer and self._kept() != tuple(read_file(Path(tokenizer) / name).decode() for name in (PLACES, USERS)):
            raise DataError(f"{tokenizer}: its places and users are not those of the data")
        self._windows: dict[int, Windows] = {}

    @property
    def spec(self) -> dict[str, int]:
        """What only the data know: numbers of users, of places and of training visits."""
        visits = int(self.ends["train"].sum())
        return {"users": len(self.trails.users), "places": len(self.trails.places), "visits": visits}

    def _kept(self) -> tuple[str, str]:
        rows = zip(self.trails.places, self.trails.coordinates, strict=True)
        places = "".join(f"{name}\t{latitude:.5f}\t{longitude:.5f}\n" for name, (latitude, longitude) in rows)
        return places, "".join(f"{name}\n" for name in self.trails.users)

    def save(self, folder: Path) -> None:
        """Leaves what a pipeline must know of the data."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in zip((PLACES, USERS), self._kept(), strict=True):
            (folder / name).write_text(text)

    def history(self, user: int) -> Windows:
        """The windows of all visits of a user."""
        if user not in self._windows:
            hours = self.trails.hours[self.start[user] : self.start[user + 1]]
            self._windows[user] = windows(hours, self.window_hours, self.strict)
        return self._windows[user]

    def batch(self, split: str, users: list[int], epoch: int = 0) -> dict[str, Tensor | list[int]]:
        """The histories of users up to the end of a part, of which the visits of that part are scored."""
        part = PARTS.index(split)
        ends = [int(self.ends[split][user]) for user in users]
        found = [self.history(user) for user in users]
        offset = np.cumsum([0, *ends])
        here = np.concatenate(
            [np.arange(self.start[u], self.start[u] + end) for u, end in zip(users, ends, strict=True)]
        )

        def joined(name: str) -> np.ndarray:
            """A field of Windows over the batch, its visits counted from the first of the batch."""
            rows = [getattr(w, name)[:end] for w, end in zip(found, ends, strict=True)]
            moved = (
                [np.where(r < 0, -1, r + o) for r, o in zip(rows, offset, strict=False)] if name != "depth" else rows
            )
            return np.concatenate(moved)

        position = here - self.start[self.trails.user[here]]
        parent, start, depth = joined("parent"), joined("start"), joined("depth")
        order = np.argsort(depth, kind="stable")
        rank = np.empty_like(order)  # where a visit stands in that order
        rank[order] = np.arange(len(order))
        width = np.arange(len(order)) - start
        of = np.repeat(np.arange(len(order)), width)
        saw = start[of] + np.arange(len(of)) - np.repeat(np.cumsum(width) - width, width)
        hours = self.trails.hours[here]
        last = np.where(position > 0, np.arange(len(order)) - 1, -1)
        first = np.zeros_like(position) if part == 0 else self.ends[PARTS[part - 1]][self.trails.user[here]]
        keys = here if part else here + epoch * len(self.trails.user)
        fields = {
            "user": self.trails.user[here],
            "place": self.trails.place[here],
            "position": position,
            "line": np.repeat(np.arange(len(users)), ends),
            "last": np.where(last < 0, -1, rank[last]),
            "parent": np.where(parent < 0, -1, rank[parent]),
            "idle": np.where(last < 0, 0, hours - hours[last]).astype(np.float32),
            "key": keys,
        }
        fields = {name: values[order] for name, values in fields.items()}
        fields |= {"of": rank[of], "saw": rank[saw], "gap": (hours[of] - hours[saw]).astype(np.float32)}
        fields |= {"scored": np.sort(rank[position >= first])}
        tensors = {name: torch.from_numpy(values) for name, values in fields.items()}
        tensors["key"] = tensors["key"] + int(
            torch.randint(2**61, (), generator=generator(self.seed, 5 if part else 4))
        )
        coordinates = torch.from_numpy(self.trails.coordinates).float()
        counts = {"levels": np.bincount(depth).tolist(), "lines": len(users), "longest": max(ends)}
        return {**tensors, "coordinates": coordinates, **counts}

    def _loader(self, split: str) -> DataLoader:
        train = split == "train"
        size = self.batch_size if train else self.eval_batch_size
        batches = epoch_batches(self, self.users, size, train=train, seed=self.seed)
        return DataLoader(Trail(self, split), sampler=batches, batch_size=None)

    def train_dataloader(self) -> DataLoader:
        return self._loader("train")

    def val_dataloader(self) -> DataLoader:
        return self._loader("val")

    def test_dataloader(self) -> DataLoader:
        return self._loader("test")
