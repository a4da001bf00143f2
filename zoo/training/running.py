"""What the scripts do with a composed config: train, and the folder that a run leaves behind."""

import json
import os
import platform
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytorch_lightning as pl
import torch
from hydra.utils import get_class, instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.utilities.exceptions import SIGTERMException

from zoo.release import TOKENIZER
from zoo.release.plain import to_json
from zoo.training import checking, launching
from zoo.training.agreeing import agreed
from zoo.training.callbacks import AtomicCheckpointIO, NonFiniteLoss
from zoo.training.checkpoints import Best, measured
from zoo.training.compiling import set_matmul, speed_up
from zoo.training.folders import DONE, output_folder
from zoo.training.loggers import Continued, finish, guard
from zoo.training.module import ZooModule

# the datamodules resume in the middle of an epoch without the interface that Lightning asks for
warnings.filterwarnings("ignore", message="You're resuming from a checkpoint that ended before the epoch ended")


def commit() -> str | None:
    """The git commit of the code that runs, with + where it was changed since; None outside a checkout."""
    here = Path(__file__).parent

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=here, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", ":/")
        return git("rev-parse", "--short=10", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def machine() -> str:
    """One line on what this runs on."""
    if torch.cuda.is_available():
        return f"{torch.cuda.device_count()} x {torch.cuda.get_device_name()}"
    return f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads"


def build(cfg: DictConfig, folder: Path) -> tuple[pl.LightningDataModule, ZooModule, pl.Trainer]:
    """Data, model and trainer of a composed config; what only the data knows goes to the model."""
    pl.seed_everything(cfg.seed, workers=True, verbose=False)
    datamodule = checking.make_data(cfg)
    model = checking.model_for(cfg, datamodule)
    cfg.mode = cfg.mode or (model.mode if cfg.monitor in (None, model.monitor) else "min")
    cfg.monitor = cfg.monitor or model.monitor
    speed_up(model.network, cfg.compile)
    set_matmul(cfg.float32_matmul)
    logger = (guard(instantiate(cfg.logger, save_dir=str(folder))) if cfg.get("logger") else None) or False
    trainer = instantiate(
        cfg.trainer,
        default_root_dir=str(folder),
        logger=logger,
        callbacks=[Continued(), *(instantiate(callback) for callback in cfg.callbacks.values() if callback)],
        plugins=[AtomicCheckpointIO()],
    )
    launching.own_signals(trainer)
    if logger and trainer.is_global_zero:
        plain = OmegaConf.to_container(cfg, resolve=True)
        logger.log_hyperparams({**plain, "commit": commit(), "machine": machine()})
    return datamodule, model, trainer


def write_metrics(folder: Path, result: dict) -> None:
    """Leaves metrics.json, the mark of a finished run, and prints it as the last line."""
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{DONE}.partial"
    partial.write_text(to_json(result, indent=2) + "\n")
    partial.replace(folder / DONE)
    print(folder)
    print(to_json(result), flush=True)


def train(cfg: DictConfig) -> float | None:
    """Trains, tests the best checkpoint and writes metrics.json. Returns the metric that a sweep optimises."""
    began, code = time.monotonic(), commit()  # of the code that was loaded, not of what is there when the run ends
    folder = output_folder()
    last = folder / "checkpoints" / "last.ckpt"
    if cfg.resume == "auto" and (folder / DONE).exists():  # a job of a sweep that goes on
        return json.loads((folder / DONE).read_text()).get(cfg.monitor or get_class(cfg.model._target_).monitor)
    resume = cfg.resume if cfg.resume != "auto" else agreed("resume", lambda: str(last) if last.exists() else "")
    launching.install()
    trainer = None
    with launching.job():
        try:
            datamodule, model, trainer = build(cfg, folder)
            checking.check_built(cfg, datamodule, model)
            if resume:
                checking.check_resume(resume, model)
            kept = resume and (folder / TOKENIZER).exists()  # the vocabulary of the checkpoint
            if hasattr(datamodule, "save") and trainer.is_global_zero and not kept:
                datamodule.save(folder / TOKENIZER)
            trainer.fit(model, datamodule=datamodule, ckpt_path=resume or None, weights_only=True)
            best = next((each for each in trainer.checkpoint_callbacks if isinstance(each, Best)), None)
            path, metrics = (
                (best.best_model_path, best.report()) if best else (None, measured(trainer.callback_metrics))
            )
            metrics |= trainer.test(
                model, datamodule=datamodule, ckpt_path=path or None, weights_only=True, verbose=False
            )[0]
        except (SIGTERMException, NonFiniteLoss) as stop:
            if launching.is_child():
                sys.exit(0)  # of an error Lightning makes a SIGKILL to the process that it was started by
            if isinstance(stop, NonFiniteLoss):
                raise
            sys.exit(f"{folder}: told to end; the same command with resume=auto goes on from here")
        finally:
            upload = finish(trainer.logger) if trainer else None
        if trainer.is_global_zero:
            result = {
                **metrics,
                "seed": cfg.seed,
                "epochs": trainer.current_epoch,
                "minutes": round((time.monotonic() - began) / 60, 2),
                "machine": machine(),
                "precision": str(cfg.trainer.precision),
                "commit": code,
            }
            if upload:
                print(f"Logged offline; upload with: {upload}")
            write_metrics(folder, result)
    return metrics.get(cfg.monitor)
