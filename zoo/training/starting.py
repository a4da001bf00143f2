"""How the command that runs was started, for the processes that it starts in turn."""

import json
import os
import sys
from pathlib import Path

import __main__

STARTED = "ZOO_STARTED"  # workers of a sweep inherit it on the same machine; their own __main__ is the launcher's
LAUNCHERS = {"joblib", "ray", "submitit"}


def remember() -> None:
    """Keeps how this process was started; to be called by a command, in the process that the user started."""
    os.environ[STARTED] = json.dumps(_started())


def started(command: str) -> list[str]:
    """What follows the interpreter to start another process of this job: a script, a module, or a line of code.

    Args:
        command: of :mod:`zoo.commands.cli`, for a process that was started from neither a script nor a module, and
            for a worker on another machine, which does not know how the command was started.
    """
    known = json.loads(os.environ[STARTED]) if STARTED in os.environ else _started()
    return known or ["-c", f"from zoo.commands.cli import {command}; {command}()"]


def _started() -> list[str]:
    if LAUNCHERS & set(Path(getattr(__main__, "__file__", "")).parts):
        return []
    if __main__.__spec__ is not None:
        return ["-m", __main__.__spec__.name.removesuffix(".__main__")]
    script = Path(sys.argv[0]).absolute()
    return [str(script)] if script.is_file() else []
