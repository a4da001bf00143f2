"""What a sweep says when it ends: a table of its runs, the best first, those that failed by their names."""

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from zoo.training.folders import DONE, FAILED


class Table(Callback):
    """Prints the table when a sweep ends, also one that ends in an error."""

    def __init__(self) -> None:
        self.folder: Path | None = None

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        SWEEPS.append(self)

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        self.folder = Path(config.hydra.runtime.output_dir).parent

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        self.folder = Path(config.hydra.sweep.dir)
        self.tell()

    def tell(self) -> None:
        """Prints the table once."""
        if self.folder is not None and self.folder.is_dir():
            print(table(self.folder), file=sys.stderr)
        self.folder = None


SWEEPS: list[Table] = []  # that have begun in this process


def tell_unfinished() -> None:
    """Prints the tables of sweeps that ended before their time."""
    while SWEEPS:
        SWEEPS.pop().tell()


def table(folder: Path) -> str:
    """The runs of a sweep's folder, a line each: the metric that it is about, the job, and what it alone was given.

    A job without metrics.json failed, if it left the reason, or was stopped.
    """
    finished: list[tuple[str, dict[str, Any]]] = []
    given: dict[str, list[str]] = {}
    for job in sorted((each for each in folder.iterdir() if (each / ".hydra").is_dir()), key=_number):
        stored = job / ".hydra" / "overrides.yaml"
        given[job.name] = [str(each) for each in OmegaConf.load(stored)] if stored.exists() else []
        with suppress(OSError, ValueError):
            finished.append((job.name, json.loads((job / DONE).read_text())))
    name, low = _about(folder, finished)
    order = sorted(finished, key=lambda run: (run[1].get(name) is None, (1 if low else -1) * (run[1].get(name) or 0)))
    values = {job: "-" if metrics.get(name) is None else f"{metrics[name]:.4f}" for job, metrics in order}
    unfinished = (job for job in given if job not in values)
    values |= {job: "failed" if (folder / job / FAILED).exists() else "stopped" for job in unfinished}
    common = set.intersection(*map(set, given.values())) if len(given) > 1 else set()
    said = f"{len(finished)} runs, the best by {name} first" if finished else "no run is at its end"
    lines = [
        f"  {value:>10}  {job:>4}  {' '.join(each for each in given[job] if each not in common)}"
        for job, value in values.items()
    ]
    return "\n".join([f"{folder}: {said}", *lines])


def _number(job: Path) -> tuple[int, str]:
    return (int(job.name), "") if job.name.isdigit() else (sys.maxsize, job.name)


def _about(folder: Path, finished: list[tuple[str, dict[str, Any]]]) -> tuple[str, bool]:
    """The metric that the runs are compared by, and whether low is good: what chose their checkpoints."""
    if not finished:
        return "", True
    job, metrics = finished[0]
    stored = OmegaConf.load(folder / job / ".hydra" / "config.yaml")
    validated = sorted((key for key in metrics if key.startswith("val/")), key=lambda key: not _high(key))
    name = next((key for key in [stored.get("monitor"), *validated, *metrics] if key in metrics), "")
    return name, (stored.get("mode") or ("max" if _high(name) else "min")) == "min"


def _high(name: str) -> bool:
    """Whether more of a metric is better."""
    return any(word in name for word in HIGH)


HIGH = ("bleu", "chrf", "f1", "accuracy", "caught")  # of which more is better
