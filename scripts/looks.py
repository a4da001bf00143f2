"""Saves a page of each room, on which to look at its attention without installing anything.

python scripts/looks.py docs/looks [room ...]
"""

import argparse
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from datamodules.distorted import Distorted
from datamodules.mnist import MNIST
from zoo import list_models, pipeline
from zoo.commands.gallery.fields import asked, first_sample, gathered
from zoo.errors import ZooError
from zoo.pipelines import Pipeline, Result

KERNEL = "Werkzeuge für Entwickler, die mit dem Kernel arbeiten"
FLIGHTS = [
    ("2013-05-01T08:00", "ORD"),
    ("2013-05-01T15:00", "BOS"),
    ("2013-05-02T01:00", "ATL"),
    ("2013-05-02T09:00", "MCO"),
]
LARGEST = 2 * 2**20  # bytes of a page


def digit(data: MNIST, which: int) -> Any:
    """A test picture, (size, size)."""
    data.setup()
    return data.batch("test", torch.tensor([which]))["image"][0, 0]


# the row of a room and what it looks at; of others the first row with weights, and the first sample of its pipeline
CHOSEN: dict[str, tuple[str, Callable[[Pipeline], Result]]] = {
    "ram": ("cluttered60_8", lambda pipe: pipe(digit(MNIST(canvas=60, clutter=4, limit=50), 8))),
    "draw": ("mnist", lambda pipe: pipe(16)),
    "wake_sleep_ram": (
        "scaled100_wsq_c_long",
        lambda pipe: pipe(digit(MNIST(canvas=100, scale=[0.5, 1.5], limit=50), 3)),
    ),
    "spatial_transformer": ("rts_st_cnn_tps", lambda pipe: pipe(digit(Distorted("rts", 45, canvas=42, limit=50), 3))),
    "luong": ("debian_de_en", lambda pipe: pipe(KERNEL)),
    "former": ("debian_characters", lambda pipe: pipe("The library ", length=60, block=None)),
    "st_rnn": ("flights_st_rnn", lambda pipe: pipe({"visits": FLIGHTS, "time": "2013-05-02T20:00"})),
}


def look(room: str) -> tuple[str, Result]:
    """The model of a room that its page shows, and its answer.

    Raises:
        ZooError: a room without weights, or whose pipeline has no sample of its own and reads no digits.
    """
    names = list_models(f"{room}.*", pretrained=True)
    if not names:
        raise ZooError(f"{room} has no released weights")
    row, answer = CHOSEN.get(room, (names[0].split(".", 1)[1], _sample))
    pipe = pipeline(f"{room}.{row}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return f"{room}.{row}", answer(pipe)


def _sample(pipe: Pipeline) -> Result:
    """Of what a gallery begins with, or of a test digit."""
    fields = asked(pipe)
    if "digit" in fields.values():
        return pipe(digit(MNIST(limit=50), 8))
    given = first_sample(pipe)
    if not given:
        raise ZooError(f"{type(pipe).__name__} has no samples; add some, or the room to CHOSEN in scripts/looks.py")
    return pipe(gathered(fields, given))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("rooms", nargs="*", help="default: all with released weights")
    given = parser.parse_args()
    rooms = sorted({name.split(".")[0] for name in list_models(pretrained=True)})
    for room in given.rooms or rooms:
        try:
            given.folder.mkdir(parents=True, exist_ok=True)
            name, result = look(room)
            path = given.folder / f"{room}.html"
            result.save(path, name)
        except (ZooError, OSError) as error:
            sys.exit(f"{room}: {error}")
        if path.stat().st_size > LARGEST:
            sys.exit(f"{path} has {path.stat().st_size} bytes, and at most {LARGEST} are kept")
        print(path, path.stat().st_size)


if __name__ == "__main__":
    main()
