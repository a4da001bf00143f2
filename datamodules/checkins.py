"""Files of visits: who was where and when, in the layout of SNAP's check-ins or of the Global Terrorism Database."""

import csv
import gzip
import io
import lzma
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from datamodules.files import EMBEDDED, DataError, read_checked, read_file

FLIGHTS = EMBEDDED / "flights" / "visits.tsv.xz"
OPENERS = {".gz": gzip.decompress, ".xz": lzma.decompress}


class Visit(NamedTuple):
    """One line of a file."""

    user: str
    time: str  # ISO 8601, UTC
    latitude: float  # degrees
    longitude: float
    place: str


class Trails(NamedTuple):
    """All visits, those of a user together and in the order of time."""

    users: list[str]  # sorted
    places: list[str]  # sorted
    coordinates: np.ndarray  # (places, 2) float64: latitude and longitude in degrees
    user: np.ndarray  # (visits,) int64, positions in `users`
    place: np.ndarray  # (visits,) int64, positions in `places`
    hours: np.ndarray  # (visits,) float64, since 1970


def _decoded(path: Path, data: bytes) -> str:
    try:
        return OPENERS.get(path.suffix, bytes)(data).decode("utf-8-sig")
    except (OSError, EOFError, lzma.LZMAError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: truncated, altered or not text ({error})") from None


def parse_checkins(path: Path, text: str) -> Iterator[Visit]:
    """SNAP's layout of Gowalla and Brightkite: user, time, latitude, longitude and place, with tabs between.

    Brightkite has lines without a place (a place of 00000000... and no coordinates); they are left out.

    Raises:
        DataError: a line of another form; names the file and the line.
    """
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.split("\t")
        if len(fields) == 5 and not fields[4].strip("0") and not float(fields[2] or 0) and not float(fields[3] or 0):
            continue
        try:
            user, time, latitude, longitude, place = fields
            visit = Visit(user, time.removesuffix("Z"), float(latitude), float(longitude), place)
        except ValueError:
            shape = "user, time, latitude, longitude and place with tabs between"
            raise DataError(f"{path}, line {number}: expected {shape}, found {line[:80]!r}") from None
        if not (abs(visit.latitude) <= 90 and abs(visit.longitude) <= 180 and user and place):
            raise DataError(f"{path}, line {number}: {latitude}, {longitude} is no latitude and longitude in degrees")
        yield visit


def parse_gtd(path: Path, text: str) -> Iterator[Visit]:
    """The table of the Global Terrorism Database as csv: an organisation is a user, a province a place, a day a time.

    Incidents of unknown organisations, provinces, days or coordinates are left out.

    Raises:
        DataError: a column is missing; names the file.
    """
    rows = csv.DictReader(io.StringIO(text))
    needed = ("iyear", "imonth", "iday", "country_txt", "provstate", "latitude", "longitude", "gname")
    if missing := [name for name in needed if name not in (rows.fieldnames or ())]:
        raise DataError(f"{path}: lacks the columns {', '.join(missing)} of the database's table")
    for row in rows:
        known = row["provstate"] not in ("", "Unknown") and row["gname"] != "Unknown" and row["latitude"]
        if known and int(row["imonth"]) and int(row["iday"]):
            time = f"{int(row['iyear']):04d}-{int(row['imonth']):02d}-{int(row['iday']):02d}"
            where = f"{row['provstate']}, {row['country_txt']}"
            yield Visit(row["gname"], time, float(row["latitude"]), float(row["longitude"]), where)


PARSERS = {"checkins": parse_checkins, "gtd": parse_gtd}


def arrange(path: Path, visits: Iterable[Visit], exclude: Iterable[str] = (), least: int = 1) -> Trails:
    """Sorts visits by user and time; a place is where its visits are in the mean.

    Visits of one user at one time keep the order of the file turned round, since the files have the newest first; a
    visit that is there twice counts once.

    Args:
        path: of a message.
        exclude: places whose visits are left out.
        least: visits that a user must have.
    """
    left_out = set(exclude)
    rows = list(dict.fromkeys(visit for visit in visits if visit.place not in left_out))[::-1]
    counts = Counter(row.user for row in rows)
    rows = [row for row in rows if counts[row.user] >= least]
    if not rows:
        raise DataError(f"{path}: no user has {least} visit{'s' if least > 1 else ''} in it")
    try:
        hours = np.array([row.time for row in rows], "datetime64[s]").astype(np.int64) / 3600
    except ValueError as error:
        raise DataError(f"{path}: {error}; expected times in ISO 8601") from None
    users, user = _numbered(row.user for row in rows)
    places, place = _numbered(row.place for row in rows)
    sums = [np.bincount(place, [getattr(row, axis) for row in rows]) for axis in ("latitude", "longitude")]
    coordinates = np.stack(sums, 1) / np.bincount(place)[:, None]
    order = np.lexsort((hours, user))
    return Trails(users, places, coordinates, user[order], place[order], hours[order])


def _numbered(names: Iterable[str]) -> tuple[list[str], np.ndarray]:
    """The different names, sorted, and which of them each one is."""
    names = list(names)
    known = sorted(set(names))
    number = {name: i for i, name in enumerate(known)}
    return known, np.fromiter((number[name] for name in names), np.int64, len(names))


def read_visits(corpus: str, root: str | Path | None = None, exclude: Iterable[str] = (), least: int = 1) -> Trails:
    """The visits of a corpus.

    Args:
        corpus: "flights", which ships with the zoo; or the layout of the file `root`, "checkins" or "gtd".
        root: the file, .gz or .xz or neither.
        exclude, least: see :func:`arrange`.
    """
    if corpus == "flights":
        return arrange(FLIGHTS, parse_checkins(FLIGHTS, _decoded(FLIGHTS, read_checked(FLIGHTS))), exclude, least)
    if corpus not in PARSERS:
        raise DataError(f"corpus is {corpus!r}; expected flights, {' or '.join(PARSERS)}")
    if root is None:
        raise DataError(f"say where the {corpus} are: data.root=<file>")
    path = Path(root).expanduser()
    return arrange(path, PARSERS[corpus](path, _decoded(path, read_file(path))), exclude, least)
