"""Where a run and a sweep write; resolvers for the configs."""

import itertools
import time
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

DONE = "metrics.json"  # the file that marks a finished run


def run_folder(runs: str, experiment: str, resume: str | None, overrides: list[str]) -> str:
    """A new folder named by the time, or with resume=auto that of the last unfinished run of the same command.

    Args:
        runs: the folder of all runs.
        experiment: <slug>/<row>.
        resume: "auto" to go on with an unfinished run.
        overrides: of this command; a run is continued only by those that it was started with.
    """
    row = Path(runs) / experiment
    if resume == "auto":
        for folder in sorted(row.glob("*/"), reverse=True):
            stored = folder / ".hydra" / "overrides.yaml"
            if stored.exists() and not (folder / DONE).exists() and _same(OmegaConf.load(stored), overrides):
                return str(folder)
    return str(_new(row, time.strftime("%Y-%m-%d_%H-%M-%S")))


def sweep_folder(runs: str, experiment: str) -> str:
    """A new folder named by the time, for the jobs of a sweep; no other process has it, on however many machines."""
    return str(_new(Path(runs) / experiment, time.strftime("%Y-%m-%d_%H-%M-%S_sweep")))


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
    """Makes ${run_folder:...} and ${sweep_folder:...} known to the configs."""
    OmegaConf.register_new_resolver("run_folder", run_folder, replace=True, use_cache=True)
    OmegaConf.register_new_resolver("sweep_folder", sweep_folder, replace=True, use_cache=True)


def output_folder() -> Path:
    """The folder of the running Hydra job."""
    return Path(HydraConfig.get().runtime.output_dir)
