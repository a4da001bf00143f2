"""What a user can put right is answered in one sentence; names that do not exist, with the nearest that do."""

import difflib
import errno
import math
import os
import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from numbers import Integral, Real

FULL = "HYDRA_FULL_ERROR"  # set to 1, it shows the traceback of everything
MOST = 2**31 - 1  # of a whole number that is given no limit of its own
WIDEST = 65_536  # units of a layer, cells of a side: far beyond what a paper has, and before the memory ends
OFTEN = 1000  # hypotheses, starts or samples of one input, which are computed side by side


class ZooError(ValueError):
    """Something the user can put right; the message is one sentence, which the commands print without a traceback."""

    for_the_user = True  # as datamodules.files.DataError has it, on the other side of the fence


class UnknownName(ZooError):
    """A model, row or key that does not exist; the message names the nearest right ones."""


def suggest(name: object, known: Iterable[str]) -> str:
    """The end of a sentence, as in "; did you mean ram.mnist28_6?"; empty where nothing is near."""
    near = difflib.get_close_matches(str(name), list(known), n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def check_number(above: float, **values: float) -> None:
    """Raises ZooError for what is no finite number above `above`, by its name."""
    for name, value in values.items():
        if not (_is_a(Real, value) and above < value < math.inf):
            raise ZooError(f"{name} is {value!r}; expected a number above {above}")


def check_least(least: float, **values: float) -> None:
    """Raises ZooError for what is no finite number from `least` on, by its name."""
    for name, value in values.items():
        if not (_is_a(Real, value) and least <= value < math.inf):
            raise ZooError(f"{name} is {value!r}; expected a number, at least {least}")


def check_between(least: float, most: float, **values: float) -> None:
    """Raises ZooError for what is no number from `least` to `most`, by its name."""
    for name, value in values.items():
        if not (_is_a(Real, value) and least <= value <= most):
            raise ZooError(f"{name} is {value!r}; expected a number from {least:g} to {most:g}")


def check_whole(least: int, most: int = MOST, **values: int) -> None:
    """Raises ZooError for what is no whole number from `least` to `most`, by its name."""
    for name, value in values.items():
        if not (_is_a(Integral, value) and least <= value <= most):
            limit = f"from {least} to {most}" if most < MOST else f"at least {least}"
            raise ZooError(f"{name} is {value!r}; expected a whole number, {limit}")


def check_share(**values: float) -> None:
    """Raises ZooError for what is no number from 0 to 1, by its name."""
    check_between(0, 1, **values)


def check_flag(**values: bool) -> None:
    """Raises ZooError for what is neither true nor false, by its name."""
    for name, value in values.items():
        if not isinstance(value, bool):
            raise ZooError(f"{name} is {value!r}; expected true or false")


def check_choice(known: Collection[str | None], **values: str) -> None:
    """Raises UnknownName for what is not one of some names, by its own."""
    for name, value in values.items():
        if value not in known:
            names = ["null" if each is None else str(each) for each in known]
            raise UnknownName(f"{name} is {value!r}, not one of {', '.join(names)}{suggest(value, names)}")


def _is_a(kind: type, value: object) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


@contextmanager
def in_one_sentence(ends: bool = True) -> Iterator[None]:
    """Ends the program with the sentence of an error that the user can put right, also where Hydra built the object.

    Args:
        ends: False raises it as a ZooError.
    """
    try:
        yield
    except Exception as error:
        told = sentence(error)
        if told is None or os.environ.get(FULL) == "1":
            raise
        if not ends:
            raise ZooError(told) from error
        sys.exit(told)


def sentence(error: BaseException) -> str | None:
    """What an error says to the user, as one sentence; None for one that only a programmer can put right."""
    chain = [error]
    while (before := chain[-1].__cause__ or chain[-1].__context__) is not None and before not in chain:
        chain.append(before)
    for each in chain:
        if getattr(each, "for_the_user", False):
            return _flat(each)
    for each in chain:
        kind = type(each).__name__
        if isinstance(each, ModuleNotFoundError):
            package = next((name for name in EXTRAS if name in str(each)), None)
            if package:
                return f"this needs the package {package}: pip install -e '.[{EXTRAS[package]}]' in the checkout"
        if isinstance(each, OSError) and each.errno in OF_FILES:
            return f"{each.filename or 'a file'}: {each.strerror}"
        if isinstance(each, MemoryError) or kind == "OutOfMemoryError" or any(word in str(each) for word in NO_MEMORY):
            return f"the memory is not enough; try smaller batches ({_flat(each)[:200]})"
        if any(word in str(each) for word in NO_ROOM):
            return f"a file could not be written, maybe because the disk is full ({_flat(each)[:200]})"
        if kind == "MisconfigurationException":  # Lightning's word for what its user can put right
            return f"the trainer cannot be made as the config says: {_flat(each)}"
    if type(error).__name__ == "InstantiationException":  # Hydra's, of a constructor that refused its arguments
        said = _flat(chain[1] if len(chain) > 1 else error)
        key = next((line for line in str(error).splitlines() if line.startswith("full_key: ")), "")
        return f"{key.removeprefix('full_key: ') or 'the config'} cannot be made: {said} ({FULL}=1 shows where)"
    return None


EXTRAS = {"tensorboard": "tensorboard", "onnx": "export", "sklearn": "baselines", "optuna": "sweep", "joblib": "sweep"}
EXTRAS |= {"submitit": "slurm", "gradio": "app"}  # a package that a wheel does without, and the extra that has it
OF_FILES = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR}
OF_FILES |= {errno.ENOENT, errno.EEXIST, errno.ENAMETOOLONG, errno.EFBIG}
NO_MEMORY = ("can't allocate memory", "not enough memory", "CUDA out of memory")
NO_ROOM = ("PytorchStreamWriter failed", "file write failed", "No space left on device")


def _flat(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
