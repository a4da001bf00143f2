"""What the scripts do with a composed config: train, and the folder that a run leaves behind."""

import json
import os
import platform
import subprocess
import time
from pathlib import Path

import pytorch_lightning as pl
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from zoo.callbacks import AtomicCheckpointIO

DONE = "metrics.json"  # the file that marks a finished run


def run_folder(runs: str, experiment: str, resume: str | None) -> str:
    """Where a run writes: a new folder named by the time, or with resume=auto the last unfinished run of this command."""
    row = Path(runs) / experiment
    if resume == "auto":
        wanted = _task(HydraConfig.get().overrides.task) if HydraConfig.initialized() else None
        for folder in sorted(row.glob("*/"), reverse=True):
            overrides = folder / ".hydra" / "overrides.yaml"
            if overrides.exists() and not (folder / DONE).exists():
                if wanted is None or _task(OmegaConf.load(overrides)) == wanted:
                    return str(folder)
    return str(row / time.strftime("%Y-%m-%d_%H-%M-%S"))


def _task(overrides: list[str]) -> list[str]:
    return sorted(o for o in overrides if not o.startswith("resume="))


OmegaConf.register_new_resolver("run_folder", run_folder, use_cache=True, replace=True)


def commit() -> str | None:
    """The git commit of the code that runs, with + where it was changed since; None outside a checkout."""
    here = Path(__file__).parent

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=here, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", "..")
        return git("rev-parse", "--short=10", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def machine() -> str:
    """One line on what this runs on."""
    if torch.cuda.is_available():
        return f"{torch.cuda.device_count()} x {torch.cuda.get_device_name()}"
    return f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads"


def train(cfg: DictConfig) -> float | None:
    """Trains, tests the best checkpoint and writes metrics.json. Returns the metric that a sweep optimises."""
    began = time.monotonic()
    folder = Path(HydraConfig.get().runtime.output_dir)
    pl.seed_everything(cfg.seed, workers=True, verbose=False)
    datamodule = instantiate(cfg.data)
    model = instantiate(cfg.model, **datamodule.spec)
    OmegaConf.update(cfg, "monitor", cfg.monitor or model.monitor)
    trainer = instantiate(
        cfg.trainer,
        default_root_dir=str(folder),
        logger=instantiate(cfg.logger, save_dir=str(folder)) if cfg.logger else False,
        callbacks=[instantiate(callback) for callback in cfg.callbacks.values() if callback],
        plugins=[AtomicCheckpointIO()],
    )
    last = folder / "checkpoints" / "last.ckpt"
    resume = str(last) if cfg.resume == "auto" and last.exists() else None if cfg.resume == "auto" else cfg.resume
    trainer.fit(model, datamodule=datamodule, ckpt_path=resume)
    metrics = {name: value.item() for name, value in trainer.callback_metrics.items() if name.startswith("val/")}
    tested = trainer.test(model, datamodule=datamodule, ckpt_path="best", verbose=False)
    metrics |= tested[0]
    result = {
        **metrics,
        "seed": cfg.seed,
        "epochs": trainer.current_epoch,
        "minutes": round((time.monotonic() - began) / 60, 2),
        "machine": machine(),
        "precision": str(cfg.trainer.precision),
        "commit": commit(),
    }
    if trainer.is_global_zero:
        (folder / DONE).write_text(json.dumps(result, indent=2) + "\n")
        print(folder)
        print(json.dumps(result))
    return metrics.get(cfg.monitor)
