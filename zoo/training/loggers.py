"""Loggers that never stop a training."""

import csv
import os
import threading
import uuid
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from lightning_fabric.loggers.logger import rank_zero_experiment
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import CSVLogger, Logger, WandbLogger
from pytorch_lightning.loggers.csv_logs import ExperimentWriter

CALLS = ("log_metrics", "log_hyperparams", "log_image", "after_save_checkpoint", "save", "finalize", "keep")
WANDB_ID = "wandb_id"  # the file in the folder of a run that holds the id under which it is logged


def _run(function: Callable[[], Any], seconds: float) -> str | None:
    """Calls a function in a thread of its own. Returns what went wrong, if anything did."""
    failure: list[BaseException] = []

    def call() -> None:
        try:
            function()
        except Exception as error:
            failure.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(seconds)
    return f"no answer within {seconds:.0f} s" if thread.is_alive() else repr(failure[0]) if failure else None


def _switched_off(logger: Logger, reason: str) -> None:
    warnings.warn(f"{type(logger).__name__} is switched off, the run goes on: {reason}", stacklevel=3)


def guard(logger: Logger, seconds: float = 60.0) -> Logger | None:
    """Opens a logger and wraps what a training calls on it: the first call that fails or hangs silences it.

    Returns:
        The logger, or None with a warning where it cannot be opened.
    """
    if reason := _run(lambda: logger.experiment, seconds):
        _switched_off(logger, reason)
        return None
    dead = threading.Event()

    def guarded(function: Callable) -> Callable:
        def call(*args: Any, **kwargs: Any) -> None:
            if not dead.is_set() and (reason := _run(lambda: function(*args, **kwargs), seconds)):
                dead.set()
                _switched_off(logger, reason)

        return call

    for name in CALLS:
        if hasattr(logger, name):
            setattr(logger, name, guarded(getattr(logger, name)))
    return logger


class Writer(ExperimentWriter):
    """Lightning's writer, which deletes the history of a run that goes on."""

    def _check_log_dir_exists(self) -> None:
        """Deletes nothing."""


class CSV(CSVLogger):
    """metrics.csv in the folder of the run."""

    @property
    @rank_zero_experiment
    def experiment(self) -> Writer:
        if self._experiment is None:
            self._experiment = Writer(self.log_dir)
        return self._experiment

    @property
    def path(self) -> Path:
        return Path(self.log_dir) / Writer.NAME_METRICS_FILE

    def rows(self) -> list[dict[str, str]]:
        """What the file holds."""
        if not self.path.exists():
            return []
        with self.path.open(newline="") as file:
            return list(csv.DictReader(file))

    def keep(self, count: int) -> None:
        """Leaves so many rows in the file, to go on from there."""
        kept = self.rows()[:count]
        names = sorted({name for row in kept for name, value in row.items() if value})
        partial = self.path.with_name(self.path.name + ".partial")
        with partial.open("w", newline="") as file:
            writer = csv.DictWriter(file, names, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(kept)
        partial.replace(self.path)
        self.experiment.metrics_keys = names
        if not kept:
            self.path.unlink()


class Continued(Callback):
    """Logs that go on where the checkpoint of a resumed run is: what came after it will be logged again."""

    def __init__(self) -> None:
        self.count = 0

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self.logger = trainer.logger if trainer.is_global_zero else None

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if isinstance(self.logger, CSV):
            self.logger.keep(self.count)

    def state_dict(self) -> dict[str, int]:
        if isinstance(self.logger, CSV):
            self.logger.save()
            self.count = len(self.logger.rows())
        return {"count": self.count}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        self.count = state_dict["count"]


def wandb_logger(save_dir: str, project: str, offline: bool | None = None, **settings: Any) -> WandbLogger:
    """A Weights & Biases run, online where there is a login and offline otherwise.

    A run that goes on keeps the id that its folder names, so that the server makes one of its parts.

    Args:
        save_dir: the folder of the run.
        project: on the server.
        offline: None to find out.
        settings: more arguments of WandbLogger.
    """
    import wandb

    if offline is None:
        offline = os.environ.get("WANDB_MODE") == "offline" or not wandb.login(prompt=False, verify=False)
    kept = Path(save_dir) / WANDB_ID
    kept.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError), kept.open("x") as file:
        file.write(uuid.uuid4().hex[:8])
    quiet = wandb.Settings(init_timeout=60, silent=True, mode="offline" if offline else "online")
    settings = {"id": kept.read_text(), "resume": "allow", **settings}
    logger = WandbLogger(save_dir=save_dir, project=project, offline=offline, settings=quiet, **settings)
    logger._wandb_init.pop("anonymous", None)  # Lightning hands on a None that W&B warns of in every run
    return logger


def finish(logger: Logger | None) -> str | None:
    """Ends a W&B run, so that the next job of a sweep gets one of its own. Returns how to upload an offline run."""
    if not isinstance(logger, WandbLogger):
        return None
    import wandb

    run = wandb.run
    if run is None:
        return None
    folder, offline = Path(run.dir).parent, run.settings._offline
    thread = threading.Thread(target=wandb.finish, daemon=True)
    thread.start()
    thread.join(60)
    return f"wandb sync {folder}" if offline else None
