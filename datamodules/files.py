"""Data files are checked before they are believed."""

import hashlib
from numbers import Integral
from pathlib import Path

EMBEDDED = Path(__file__).parent / "embedded"


class DataError(ValueError):
    """A data file that is missing, truncated or altered, or a choice that the data do not have; one sentence."""

    for_the_user = True  # the commands print it without a traceback


def check_counts(least: int = 1, **counts: int | None) -> None:
    """Raises DataError for what is no whole number from `least` on, by its name; None counts nothing."""
    for name, count in counts.items():
        whole = isinstance(count, Integral) and not isinstance(count, bool)
        if count is not None and not (whole and least <= count < 2**31):
            raise DataError(f"{name} is {count!r}; expected a whole number, at least {least}")


def check_flags(**flags: bool) -> None:
    """Raises DataError for what is neither true nor false, by its name."""
    for name, flag in flags.items():
        if not isinstance(flag, bool):
            raise DataError(f"{name} is {flag!r}; expected true or false")


def read_file(path: Path) -> bytes:
    """The bytes of a file; raises DataError, naming it, where there is none."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None


def read_checked(path: Path) -> bytes:
    """The bytes of an embedded file whose SHA-256 stands in the SHA256SUMS beside it."""
    data = read_file(path)
    sums = dict(line.split()[::-1] for line in read_file(path.parent / "SHA256SUMS").decode().splitlines())
    found, expected = hashlib.sha256(data).hexdigest(), sums.get(path.name)
    if found != expected:
        raise DataError(f"{path}: truncated or altered (SHA-256 is {found[:12]}..., expected {str(expected)[:12]}...)")
    return data
