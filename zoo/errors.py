"""What a user can put right is answered in one sentence; names that do not exist, with the nearest that do."""

import difflib
import math
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class ZooError(ValueError):
    """Something the user can put right; the message is one sentence, which the commands print without a traceback."""

    for_the_user = True  # as datamodules.files.DataError has it, on the other side of the fence


class UnknownName(ZooError):
    """A model, row or key that does not exist; the message names the nearest right ones."""


def suggest(name: object, known: Iterable[str]) -> str:
    """The end of a sentence, as in "; did you mean ram.mnist28_6?"; empty where nothing is near."""
    near = difflib.get_close_matches(str(name), list(known), n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def check_least(least: float, **values: float) -> None:
    """Raises ZooError for what is no finite number from `least` on, by its name."""
    for name, value in values.items():
        if not (isinstance(value, int | float) and least <= value < math.inf):
            raise ZooError(f"{name} is {value!r}; expected a number, at least {least}")


def check_whole(least: int, **values: int) -> None:
    """Raises ZooError for what is no whole number from `least` on, by its name."""
    for name, value in values.items():
        if not (isinstance(value, int) and value >= least):
            raise ZooError(f"{name} is {value!r}; expected a whole number, at least {least}")


def check_share(**values: float) -> None:
    """Raises ZooError for what is no number from 0 to 1, by its name."""
    for name, value in values.items():
        if not (isinstance(value, int | float) and 0 <= value <= 1):
            raise ZooError(f"{name} is {value!r}; expected a number from 0 to 1")


@contextmanager
def in_one_sentence() -> Iterator[None]:
    """Ends the program with the sentence of an error that the user can put right, also where Hydra built the object."""
    try:
        yield
    except Exception as error:
        for found in (error, error.__cause__):
            if getattr(found, "for_the_user", False):
                sys.exit(str(found))
        raise
