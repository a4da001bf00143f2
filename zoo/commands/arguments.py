"""What people type, as Hydra reads it: paths and sentences as they stand, names in one spelling."""

import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from importlib.resources import files
from pathlib import Path

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob
from hydra.errors import HydraException

from zoo import registry
from zoo.errors import ZooError
from zoo.release import read_config
from zoo.training.overrides import NOT_OF_A_STEP, OF_A_RUN, OF_TRAINING, key, of
from zoo.training.reading import CheckpointError

PATHS = {  # keys whose values are taken as they stand
    "predict": ("name", "input", "output"),
    "train": ("runs", "resume", "data.root", "data.tokenizer", "data.dictionary"),
    "evaluate": ("name", "ckpt", "runs", "data.root", "data.tokenizer", "data.dictionary"),
    "benchmark": ("runs", "data.root", "data.tokenizer", "data.dictionary"),
}


def literal(arguments: Iterable[str], keys: Sequence[str] = PATHS["predict"]) -> list[str]:
    """Quotes the values that are paths, so that Hydra takes ``input=digit (1).png`` as it stands.

    Lists, interpolations of a path and what is quoted already stay as they are, and so do the choices of a sweep.
    """
    words, arguments = [], list(arguments)
    sweeps = bool({"-m", "--multirun"} & set(arguments)) or any(word.startswith("sweep=") for word in arguments)
    for argument in arguments:
        name, sign, value = argument.partition("=")
        choices = sweeps and "," in value and not Path(value).exists()
        is_path = name in keys and sign and value not in ("", "null") and not choices
        if is_path and value[0] + value[1:][-1:] not in ("[]", "''", '""') and (name == "input" or "${" not in value):
            value = re.sub(r"(\\*)('|\Z)", lambda found: 2 * found[1] + found[2].replace("'", "\\'"), value)
            value = "'" + value.replace("${", "\\${") + "'"  # no interpolation
        words.append(name + sign + value)
    return words


def unquoted(value: str) -> str:
    """A value without the quotes that Hydra takes away."""
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        quote = value[0]
        return re.sub(rf"(\\*)({quote}|\Z)", lambda found: found[1][: len(found[1]) // 2] + found[2], value[1:-1])
    return value


def spelled(arguments: Iterable[str]) -> list[str]:
    """Rows in the spelling of their config, so that experiment=ram.mnist28_7 is understood as well."""

    def row(value: str) -> str:
        return value if "/" in value else value.replace(".", "/", 1)

    words = []
    for argument in arguments:
        name, sign, value = argument.partition("=")
        if name == "experiment" and "glob(" in value:
            value = ",".join(matching(argument, row))
        elif name == "experiment" and sign and "'" not in value:
            value = ",".join(map(row, value.split(",")))
        words.append(name + sign + value)
    return words


def matching(argument: str, row: Callable[[str], str]) -> list[str]:
    """The rows that experiment=glob(<slug>/<pattern>) means: Hydra's own glob does not look into the rooms' folders.

    Args:
        argument: the whole word.
        row: gives a pattern the spelling of the configs.

    Raises:
        ZooError: there is none, or more stands beside the glob.
    """
    try:
        value = OverridesParser.create().parse_override(argument).value()
    except HydraException as error:
        raise ZooError(f"{argument}: {str(error).splitlines()[0]}") from None
    if not isinstance(value, Glob):
        raise ZooError(f"{argument}: several patterns stand in one glob([<a>,<b>],exclude=<c>)")
    value.include, value.exclude = ([row(pattern) for pattern in part] for part in (value.include, value.exclude))
    rooms = [room for room in (files("conf") / "experiment").iterdir() if room.is_dir()]
    found = value.filter(sorted(f"{room.name}/{Path(each.name).stem}" for room in rooms for each in room.iterdir()))
    if not found:
        raise ZooError(f"{argument}: no row is called so; `python scripts/list.py` names them all")
    return found


def check_launcher(arguments: Iterable[str]) -> None:
    """Raises ZooError where jobs are to go to Slurm, and this machine is none of Slurm's; a config may be looked at."""
    if {"--cfg", "-c"} & set(arguments):
        return
    if "hydra/launcher=submitit_slurm" in arguments and shutil.which("srun") is None:
        where = "start it on a machine of the cluster, or take hydra/launcher=submitit_local"
        raise ZooError(f"hydra/launcher=submitit_slurm needs Slurm's srun, which is not here; {where}")


def prediction_overrides(arguments: Iterable[str]) -> list[str]:
    """The overrides of predict; raises ZooError for a checkpoint, which holds no words and no way to read inputs."""
    arguments = list(arguments)
    for word in arguments:
        if key(word) == "ckpt":
            release = f"scripts/release.py {unquoted(word.partition('=')[2])} <slug>.<row> --folder <folder>"
            raise ZooError(
                f"predict reads released weights; `python {release}` makes them of a run, then name=<folder>"
            )
    return options_added(arguments)


def options_added(arguments: Iterable[str]) -> list[str]:
    """``options.beam=3`` with the plus that Hydra wants for a key that the config does not list."""
    return [f"+{word}" if word.startswith("options.") else word for word in arguments]


def evaluation_overrides(arguments: Sequence[str]) -> list[str]:
    """Adds the row that a name stands for, or the overrides that the run of a checkpoint was trained with.

    Raises:
        ZooError: weights that are named twice, or not at all; and what would change nothing here.
    """
    given = {key(argument): unquoted(argument.split("=", 1)[1]) for argument in arguments if "=" in argument}
    if not any(word.startswith("hydra.run.dir=") for word in arguments):  # else a process of an evaluation, given all
        check_read(arguments, OF_TRAINING)
    name, ckpt = given.get("name"), given.get("ckpt")
    if name and ckpt:
        raise ZooError(f"name={name} and ckpt={ckpt} are two sets of weights; say which to evaluate")
    if "experiment" in given and (name or ckpt):
        return list(arguments)
    if name:
        config = read_config(registry.released(name))
        return [f"experiment={config['slug']}/{config['row']}", *arguments]
    if ckpt:
        path = Path(ckpt).resolve()
        if not path.exists():
            raise CheckpointError(f"{ckpt}: there is no such checkpoint")
        stored = path.parents[1] / ".hydra" / "overrides.yaml"
        if not stored.exists():
            raise ZooError(f"{stored}: not there; say which row the checkpoint is of with experiment=<slug>/<row>")
        overrides = yaml.safe_load(stored.read_text())
        return [o for o in overrides if not of(OF_A_RUN, o)] + list(arguments)
    raise ZooError("say what to evaluate: name=<slug>.<row>, name=<folder> or ckpt=<path>")


def check_runs(arguments: Iterable[str]) -> None:
    """Raises ZooError where runs= is no folder, and cannot become one, or not one that can be written."""
    runs = next((unquoted(word[5:]) for word in arguments if word.startswith("runs=")), "runs")
    if not runs or "${" in runs:
        return
    place = Path(runs).absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise ZooError(f"runs={runs}: {place} is a file, not a folder")
    try:
        with tempfile.TemporaryDirectory(dir=place):  # a read-only mount and /proc refuse the superuser too
            pass
    except OSError as error:
        raise ZooError(f"runs={runs}: {place} cannot be written to ({error.strerror})") from None


def check_read(arguments: Iterable[str], unread: tuple[str, ...]) -> None:
    """Raises ZooError for an override that would change nothing."""
    for word in arguments:
        if of(unread, word):
            raise ZooError(f"{key(word)} is of the training, so here it would change nothing")


def benchmark_overrides(arguments: list[str]) -> list[str]:
    """The overrides of a benchmark; raises ZooError for one that it does not read."""
    check_read(arguments, NOT_OF_A_STEP)
    return arguments
