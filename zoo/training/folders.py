"""Where a run writes; resolvers for the configs."""

import itertools
import re
import time
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from zoo.training.agreeing import agreed

DONE = "metrics.json"  # the file that marks a finished run
SWEPT = "sweep.json"  # and a finished sweep
FAILED = "failed.txt"  # in the folder of a job that failed: why
RUN, SWEEP = ".hydra/overrides.yaml", ".hydra/sweep.yaml"  # what they were started with


def run_folder(runs: str, experiment: str, resume: str | None, overrides: list[str]) -> str:
    """A new folder named by the time, or with resume=auto that of the last unfinished run of the same command.

    Args:
        runs: the folder of all runs.
        experiment: <slug>/<row>.
        resume: "auto" to go on with an unfinished run.
        overrides: of this command; a run is continued only by those that it was started with.
    """
    row = Path(runs) / experiment
    return agreed("run", lambda: _unfinished(row, DONE, RUN, overrides, resume) or str(_new(row, now())))


def sweep_folder(runs: str, experiment: str, resume: str | None, task: list[str], hydra: list[str]) -> str:
    """As :func:`run_folder`, of a whole sweep.

    Args:
        task, hydra: the overrides of this command, those of Hydra's own config apart.
    """
    row, overrides = Path(runs) / _swept(experiment, task), [*task, *hydra]

    def decide() -> str:
        if found := _unfinished(row, SWEPT, SWEEP, overrides, resume):
            return found
        folder = _new(row, f"{now()}_sweep")
        (folder / SWEEP).parent.mkdir()
        OmegaConf.save(OmegaConf.create(overrides), folder / SWEEP)
        return str(folder)

    return agreed("sweep", decide)


def _swept(experiment: str, task: list[str]) -> str:
    """<slug>/<row>, or where a sweep is over several experiments the slug that they share, or "several"."""
    asked = [value for key, _, value in (override.partition("=") for override in task) if key == "experiment"]
    if not asked or asked[-1] == experiment:
        return experiment
    slugs = set(re.findall(r"(\w+)/", asked[-1]))
    return slugs.pop() if len(slugs) == 1 else "several"


def job_folder(sweep: str, number: int, resume: str | None, overrides: list[str]) -> str:
    """The name of a job's folder in that of its sweep: its number, or with resume=auto what the same job has had."""

    def decide() -> str:
        for folder in sorted(Path(sweep).glob("*/")) if resume == "auto" else ():
            if _started(folder / RUN, overrides):
                return folder.name
        return _new(Path(sweep), str(number)).name

    return agreed(f"job {number}", decide)


def new_folder(row: str) -> str:
    """A new folder named by the time."""
    return agreed("new", lambda: str(_new(Path(row), now())))


def search_seed(storage: str | None, seed: int) -> int | None:
    """The seed of a search, so that one that goes on draws the same trials; None where processes share a study.

    With one seed all of them would draw the same settings.
    """
    return seed if storage is None else None


def now() -> str:
    return time.strftime("%Y-%m-%d_%H-%M-%S")


def _unfinished(row: Path, done: str, started: str, overrides: list[str], resume: str | None) -> str | None:
    """The last folder of the same command without the file that marks the end."""
    for folder in sorted(row.glob("*/"), reverse=True) if resume == "auto" else ():
        if not (folder / done).exists() and _started(folder / started, overrides):
            return str(folder)
    return None


def _started(stored: Path, overrides: list[str]) -> bool:
    """Whether the overrides are those that a file holds."""
    return stored.exists() and _same(OmegaConf.load(stored), overrides)


def _new(row: Path, name: str) -> Path:
    """Makes the folder, under another name where a run of the same second has it."""
    for number in itertools.count(1):
        folder = row / (name if number == 1 else f"{name}_{number}")
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            continue


def _same(one: list[str], other: list[str]) -> bool:
    def kept(overrides: list[str]) -> list[str]:
        return sorted(o for o in overrides if not o.startswith("resume="))

    return kept(one) == kept(other)


def register() -> None:
    """Makes the folders known to the configs, as ${run_folder:...} and so on."""
    for resolver in (run_folder, sweep_folder, job_folder, new_folder, search_seed):
        OmegaConf.register_new_resolver(resolver.__name__, resolver, replace=True, use_cache=True)


def output_folder() -> Path:
    """The folder of the running Hydra job."""
    return Path(HydraConfig.get().runtime.output_dir)
