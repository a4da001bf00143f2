"""Loggers that never stop a training."""

import os
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger, WandbLogger

CALLS = ("log_metrics", "log_hyperparams", "log_image", "after_save_checkpoint", "save", "finalize")


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
        offline = os.environ.get("WANDB_MODE") == "offline" or not wandb.login(prompt=False, verify=False)
    Path(save_dir).mkdir(parents=True, exist_ok=True)
    quiet = wandb.Settings(init_timeout=60, silent=True, mode="offline" if offline else "online")
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
