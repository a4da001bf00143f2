"""Callbacks that every training uses."""

import os
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins import TorchCheckpointIO
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.utilities.exceptions import SIGTERMException
from torch import Tensor


class NonFiniteLoss(RuntimeError):
    """The loss of a batch is not a finite number; names the step and the batch."""


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the file and renames, so that a kill at any moment leaves the old checkpoint or the new one."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str, storage_options: Any = None) -> None:
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial")
        torch.save(checkpoint, partial)
        os.replace(partial, path)


class SaveOnSigterm(Callback):
    """Saves `path` when the run is told to end (SIGTERM or Ctrl-C), in the middle of an epoch if need be."""

    def __init__(self, path: str):
        self.path = path

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        if isinstance(exception, SIGTERMException | KeyboardInterrupt) and not trainer.sanity_checking:
            trainer.save_checkpoint(self.path)


class StopOnNonFinite(Callback):
    """Stops the run before a loss that is not finite can reach the weights; the last checkpoint stays as it is.

    The sum of the losses is looked at every few steps, because a look at the device waits for it; weights reached in
    between are never saved, since checkpoints are written after a look.
    """

    def __init__(self, every_n_steps: int = 50):
        self.every_n_steps = every_n_steps

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.seen: list[tuple[int, int, Tensor]] = []

    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor) -> None:
        self.seen.append((trainer.global_step, trainer.fit_loop.epoch_loop.batch_idx, loss.detach()))
        if len(self.seen) >= self.every_n_steps:
            self.look(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.look(trainer)

    def look(self, trainer: pl.Trainer) -> None:
        """Raises NonFiniteLoss for the first of the losses seen since the last look that is not finite."""
        seen, self.seen = self.seen, []
        if seen and not torch.stack([loss for _, _, loss in seen]).isfinite().all():
            step, batch, loss = next(entry for entry in seen if not entry[2].isfinite())
            raise NonFiniteLoss(
                f"the loss is {loss.item()} at step {step} (epoch {trainer.current_epoch}, batch {batch}); "
                "the last good checkpoint is kept"
            )


class StepSeed(Callback):
    """Seeds torch for every step, so that dropout too is a function of (seed, step, process) and survives a resume."""

    def __init__(self, seed: int):
        self.seed = seed

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int) -> None:
        step = trainer.global_step * trainer.world_size + trainer.global_rank
        torch.manual_seed(self.seed * 1_000_003 + step)


class Progress(Callback):
    """One line an epoch: loss, the metric that is monitored, time taken and time left."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.began, self.first = time.monotonic(), trainer.current_epoch

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        done = trainer.current_epoch + 1
        minutes = (time.monotonic() - self.began) / 60
        left = minutes / (done - self.first) * (trainer.max_epochs - done)
        shown = {name: trainer.callback_metrics.get(name) for name in ("train/loss", pl_module.monitor)}
        text = "  ".join(f"{name} {value.item():.3f}" for name, value in shown.items() if value is not None)
        print(f"epoch {done}/{trainer.max_epochs}  {text}  {minutes:.1f} min, {left:.1f} min left", flush=True)
