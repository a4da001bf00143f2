"""Visits in, the next place and what each visit adds to it out."""

import datetime
import json
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

from zoo.errors import check_whole, suggest
from zoo.looking.attention import Attention
from zoo.pipelines import InputError, Pipeline, Result
from zoo.release import WeightsError

PLACES, USERS = "places.tsv", "users.txt"  # as datamodules.visits leaves them with a run


@dataclass(frozen=True)
class Next(Result):
    """Where a user is at a time.

    Args:
        place: the likeliest.
        probabilities: of the likeliest places, the softmax of their scores; a score is no calibrated probability.
        contributions: |S T q| of each visit of the window to the state at the likeliest place, the earliest first.
        coordinates: latitude and longitude of the visits of the window, and then of the likeliest place.
    """

    place: str
    probabilities: dict[str, float]
    contributions: list[float]
    coordinates: list[tuple[float, float]]

    @property
    def title(self) -> str:
        return f"{self.place} ({self.probabilities[self.place]:.1%})"

    @property
    def places(self) -> list[tuple[float, float]]:
        return self.coordinates if len(self.coordinates) > 1 else []


class NextPlace(Pipeline):
    """Visits, as pairs of time and place, and the time that is asked for, to the places where the user may be then.

    An input is a dict: ``visits``, a list of (time, place) in any order, times in ISO 8601 (UTC where they name no
    zone) and places by their names in the data; ``time``, later than all of them; and ``user``, a name from the
    training data, or none for an unknown user, who has no vector of their own.
    """

    task = "other"
    asks = MappingProxyType({"visits": "visits", "time": "line", "user": "line?"})

    def __init__(self, network: nn.Module, config: dict[str, Any], folder: Path | None = None):
        super().__init__(network, config, folder)
        try:
            rows = [line.split("\t") for line in (folder / PLACES).read_text().splitlines()]
            self.coordinates = torch.tensor([[float(x), float(y)] for _, x, y in rows])
            self.users = {name: i for i, name in enumerate((folder / USERS).read_text().splitlines())}
        except (OSError, ValueError, TypeError) as error:
            raise WeightsError(f"{folder}: its places cannot be read ({error})") from None
        self.places = {name: i for i, (name, _, _) in enumerate(rows)}
        self.window = config["preprocess"]["window_hours"]

    @property
    def samples(self) -> list[dict[str, Any]]:
        """Four visits to places spread over the data, half a day apart."""
        some = list(self.places)[:: max(1, len(self.places) // 4)][:4]
        visits = [(f"2013-05-0{1 + i // 2}T{'20' if i % 2 else '08'}:00", place) for i, place in enumerate(some)]
        return [{"visits": visits, "time": "2013-05-03T08:00"}]

    @staticmethod
    def preprocess(data: dict[str, Any]) -> dict[str, Any]:
        return {"window_hours": data["window_hours"], "strict": data["strict"]}

    def unpack(self, raw: Any) -> list[Any] | None:
        return list(raw) if isinstance(raw, list | tuple) and all(isinstance(each, dict) for each in raw) else None

    def answer(self, batch: list[dict[str, Any]], top: int = 10) -> list[Next]:
        """
        Args:
            batch: see the class.
            top: how many places are named.
        """
        check_whole(1, top=top)
        return [self._one(each, top) for each in batch]

    def read(self, given: str) -> Any:
        """The dict, or the list of them, that is written as JSON, or stands so in a file."""
        try:
            stored = Path(given).is_file()
        except (OSError, ValueError):  # too long for a file name
            stored = False
        try:
            return json.loads(Path(given).read_bytes() if stored else given)
        except ValueError:
            shape = '{"visits": [["2013-05-01T15:20", "ORD"]], "time": "2013-05-02T14:00"}'
            what = given if stored else given[:60]
            raise InputError(f"{what}: neither JSON nor a file of it; expected such as {shape}") from None

    def _one(self, raw: Any, top: int) -> Next:
        if not isinstance(raw, dict) or not {"visits", "time"} <= raw.keys() <= {"visits", "time", "user"}:
            raise InputError("expected a dict with visits, time and perhaps user")
        if not isinstance(raw["visits"], list | tuple):
            raise InputError(f"visits is {type(raw['visits']).__name__}; expected a list of times and places")
        for visit in raw["visits"]:
            if not isinstance(visit, list | tuple) or len(visit) != 2:
                raise InputError(f"a visit is {visit!r}; expected a time and a place")
        asked, visits = hours(raw["time"]), sorted((hours(time), self._place(place)) for time, place in raw["visits"])
        if not visits:
            raise InputError("there are no visits; a place is predicted from the visits before it")
        if visits[-1][0] > asked:
            raise InputError(f"a visit is later than {raw['time']}, the time that is asked for")
        user = self._user(raw.get("user"))
        made = self._batch(visits, asked, user or 0)
        row = torch.tensor([made.pop("order").index(len(visits))], device=self.device)
        scores = self.network(made, row, user_vector=user is not None)[0]
        best = scores.topk(min(top, len(scores))).indices
        names = list(self.places)
        found = {names[i]: scores.softmax(-1)[i].item() for i in best.tolist()}
        added, inside = self.network.looks(made, row, best[:1])
        added = added[0][inside[0]].cpu()
        seen = visits[len(visits) - len(added) :]  # a window ends with the last visit
        shown = [f"{names[place]}, {asked - time:.0f} h ago" for time, place in seen] or ["nothing"]
        weights = added / added.sum() if len(added) and added.sum() > 0 else torch.ones(len(shown)) / len(shown)
        record = Attention(weights=weights[None, None, None], inputs=[shown], outputs=[[names[best[0]]]])
        where = self.coordinates[[place for _, place in seen] + [int(best[0])]].tolist()
        return Next(record, names[best[0]], found, added.tolist(), [tuple(each) for each in where])

    def _place(self, name: Any) -> int:
        if not isinstance(name, str) or name not in self.places:
            raise InputError(f"there is no place {name!r} in the data{suggest(name, self.places)}")
        return self.places[name]

    def _user(self, name: str | None) -> int | None:
        if name is not None and not (isinstance(name, str) and name in self.users):
            raise InputError(f"there is no user {name!r} in the data{suggest(name, self.users)}; leave it out")
        return None if name is None else self.users[name]

    def _batch(self, visits: list[tuple[float, int]], asked: float, user: int) -> dict[str, Any]:
        """The history and what is asked for, as one user's batch of :class:`datamodules.visits.Visits`.

        The visit that is asked for is the last; its place is not known, and nothing reads it.
        """
        times, places = [time for time, _ in visits] + [asked], [place for _, place in visits] + [0]
        parents, starts, depths = windows(times, self.window, self.config["preprocess"]["strict"])
        order = sorted(range(len(times)), key=lambda k: depths[k])
        rank = {k: i for i, k in enumerate(order)}
        pairs = [(k, i) for k in order for i in range(starts[k], k)]
        fields = {
            "user": [user for _ in order],
            "place": [places[k] for k in order],
            "parent": [rank.get(parents[k], -1) for k in order],
            "of": [rank[k] for k, _ in pairs],
            "saw": [rank[i] for _, i in pairs],
        }
        tensors = {name: torch.tensor(values, dtype=torch.int64, device=self.device) for name, values in fields.items()}
        tensors["gap"] = torch.tensor([times[k] - times[i] for k, i in pairs], device=self.device)
        levels = [depths.count(depth) for depth in range(max(depths) + 1)]
        return {**tensors, "coordinates": self.coordinates.to(self.device), "levels": levels, "order": order}


def windows(times: list[float], width: float, strict: bool) -> tuple[list[int], list[int], list[int]]:
    """Of each visit its parent (-1: none), the first visit of its window, and how deep it stands; section 4.2."""
    parents, starts, depths = [], [], []
    for k, time in enumerate(times):
        early = time - times[0] < width
        parent = -1 if early else min(range(k), key=lambda j: (abs(times[j] - (time - width)), j))
        parents.append(parent)
        starts.append(max(parent, 0) + (strict and parent >= 0))
        depths.append(depths[parent] + 1 if parent >= 0 else 0)
    return parents, starts, depths


def hours(time: Any) -> float:
    """Hours since 1970 of a time in ISO 8601."""
    try:
        found = datetime.datetime.fromisoformat(str(time))
    except ValueError:
        raise InputError(f"{time!r} is no time in ISO 8601, such as 2013-05-01T12:00") from None
    return found.replace(tzinfo=found.tzinfo or datetime.UTC).timestamp() / 3600
