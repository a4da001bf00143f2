"""DDP inside Hydra jobs: each extra process runs exactly the job that starts it.

Lightning starts rank 1 with the whole command line again, ``-m`` included, so that in a sweep every rank would run a
sweep of its own and in a search draw trials of its own. Here the child gets the overrides of its job, and its folder.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytorch_lightning as pl
import torch.distributed
from hydra.core.hydra_config import HydraConfig
from hydra.utils import get_original_cwd
from lightning_fabric.strategies.launchers import subprocess_script as fabric_launcher
from pytorch_lightning.strategies.launchers import subprocess_script as lightning_launcher

from zoo.training.starting import started

# what Lightning's launcher leaves in the environment, and what would make the next job think it is a child
LEFT_BEHIND = ("LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "RANK", "GROUP_RANK")


def child_command(local_rank: int) -> tuple[list[str], str]:
    """The command of another rank of the running Hydra job, and the folder to start it in."""
    config = HydraConfig.get()
    given = [source.path for source in config.runtime.config_sources if source.provider == "command-line"]
    folders = ["--config-dir", given[0].removeprefix("file://")] if given else []
    overrides = [
        f'hydra.run.dir="{config.runtime.output_dir}"',
        f"hydra.job.name=rank_{local_rank}",
        "hydra.mode=RUN",
        "hydra.output_subdir=null",
    ]
    command = [sys.executable, *started(config.job.config_name), "--config-name", config.job.config_name, *folders]
    return [*command, *config.overrides.task, *overrides], get_original_cwd()


def install() -> None:
    """Makes Lightning's launchers use :func:`child_command`."""
    fabric_launcher._hydra_subprocess_cmd = child_command
    lightning_launcher._hydra_subprocess_cmd = child_command


def own_signals(trainer: pl.Trainer) -> None:
    """Leaves SIGTERM to :class:`zoo.training.checkpoints.Last`, and where there is none to the system.

    Lightning's handler broadcasts as soon as the signal comes, whatever the other processes wait for then.
    """
    trainer._signal_connector.register_signal_handlers = lambda: None
    trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None


def is_child() -> bool:
    """Whether Lightning has started this process beside another, as :func:`child_command` has it."""
    return HydraConfig.get().job.name.startswith("rank_")


@contextmanager
def job() -> Iterator[None]:
    """Leaves the process as it was before the job, so that the next job of a sweep can start processes again."""
    before = {name: os.environ.get(name) for name in LEFT_BEHIND}
    try:
        yield
    finally:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
