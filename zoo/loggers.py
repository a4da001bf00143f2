"""Loggers that never stop a training."""

import os
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger, WandbLogger

CALLS = ("log_metrics", "log_hyperparams", "log_image", "after_save_checkpoint", "save", "finalize")


def guard(logger: Logger, seconds: float = 60.0) -> Logger:
    """Wraps what a training calls on a logger: the first call that fails or hangs silences it, with a warning."""
    dead = threading.Event()

    def guarded(function: Callable) -> Callable:
        def call(*args: Any, **kwargs: Any) -> None:
            if dead.is_set():
                return
            failure: list[BaseException] = []

            def run() -> None:
                try:
                    function(*args, **kwargs)
                except Exception as error:
                    failure.append(error)

            thread = threading.Thread(target=run, daemon=True)
            thread.start()
            thread.join(seconds)
            if thread.is_alive() or failure:
                dead.set()
                reason = repr(failure[0]) if failure else f"no answer within {seconds:.0f} s"
                warnings.warn(f"{type(logger).__name__} is switched off, the run goes on: {reason}", stacklevel=2)

        return call

    for name in CALLS:
        if hasattr(logger, name):
            setattr(logger, name, guarded(getattr(logger, name)))
    return logger


def wandb_logger(save_dir: str, project: str, offline: bool | None = None, **settings: Any) -> WandbLogger:
    """A Weights & Biases run, online where there is a login and offline otherwise.

    Args:
        save_dir: the folder of the run.
        project: on the server.
        offline: None to find out.
        settings: more arguments of WandbLogger.
    """
    import wandb

    if offline is None:
        offline = os.environ.get("WANDB_MODE") != "online" and wandb.api.api_key is None
    Path(save_dir).mkdir(parents=True, exist_ok=True)
    quiet = wandb.Settings(init_timeout=60, silent=True)
    return WandbLogger(save_dir=save_dir, project=project, offline=offline, settings=quiet, **settings)


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
