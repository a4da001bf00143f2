"""Sweeps that go on when a job fails."""

import json
import sys
import traceback
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig

from zoo.training.folders import DONE, FAILED, SWEPT


class Sweep(Callback):
    """Tells which jobs of a sweep fail, lets it go on without them, and marks its end.

    A search takes a failed trial for one without a value.

    Args:
        failures: share of the jobs that may fail; if more do, the sweep ends with an error, a search as soon as that
            is certain.
    """

    def __init__(self, failures: float):
        self.failures = failures

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        if config.hydra.mode != RunMode.MULTIRUN:
            return
        folder = Path(config.hydra.runtime.output_dir)
        if job_return.status != JobStatus.FAILED:
            (folder / FAILED).unlink(missing_ok=True)
            return
        error = job_return._return_value
        (folder / FAILED).write_text("".join(traceback.format_exception(error)))
        what = " ".join(config.hydra.overrides.task)
        print(f"job {config.hydra.job.num} failed ({what}): {error}; {folder / FAILED}", file=sys.stderr, flush=True)
        job_return.status, job_return.return_value = JobStatus.COMPLETED, None
        if planned := config.hydra.sweeper.get("n_trials"):
            self._judge(folder.parent, planned)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        folder = Path(config.hydra.sweep.dir)
        failed, jobs = self._judge(folder)
        (folder / SWEPT).write_text(json.dumps({"jobs": jobs, "failed": failed}) + "\n")

    def _judge(self, folder: Path, planned: int = 0) -> tuple[list[str], int]:
        """The jobs of a folder that failed, and how many there are."""
        jobs = sorted(path.parent for path in folder.glob("*/.hydra"))
        failed = [job.name for job in jobs if (job / FAILED).exists() and not (job / DONE).exists()]
        every = max(planned, len(jobs))
        if len(failed) > self.failures * every:
            sys.exit(
                f"{folder}: {len(failed)} of {every} jobs failed, which is more than failures={self.failures} lets"
            )
        return failed, len(jobs)
