"""Callbacks that every training uses."""

import math
import os
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins import TorchCheckpointIO
from pytorch_lightning.callbacks import Callback
from torch import Tensor


class NonFiniteLoss(RuntimeError):
    """The loss of a batch is not a finite number; names the step and the batch."""

    for_the_user = True  # a smaller learning rate helps, and a traceback does not


def finite_weights(module: torch.nn.Module) -> bool:
    """Whether every parameter is a finite number."""
    return bool(torch.stack([parameter.detach().isfinite().all() for parameter in module.parameters()]).all())


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the file and renames, so that a kill at any moment leaves the old checkpoint or the new one."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str, storage_options: Any = None) -> None:
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial")
        torch.save(checkpoint, partial)
        os.replace(partial, path)


class StopOnNonFinite(Callback):
    """Stops the run when a loss is not finite; the last good checkpoint stays as it is.

    The losses are looked at every few steps, because a look waits for the device. Weights reached in between are not
    saved: losses and weights are looked at before a validation and at the end of an epoch, before a checkpoint is.
    """

    def __init__(self, every_n_steps: int = 50):
        self.every_n_steps = every_n_steps

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.seen: list[tuple[int, int, Tensor]] = []

    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor) -> None:
        self.seen.append((trainer.global_step, trainer.fit_loop.epoch_loop.batch_idx, loss.detach()))
        if len(self.seen) >= self.every_n_steps:
            self.look(trainer)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.sanity_checking and trainer.state.fn == "fit":
            self.look_at_all(trainer, pl_module)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.look_at_all(trainer, pl_module)

    def look_at_all(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Looks at the losses seen so far, and at the weights: a finite loss may have a gradient that is not."""
        self.look(trainer)
        if not trainer.strategy.reduce_boolean_decision(finite_weights(pl_module)):
            where = f"epoch {trainer.current_epoch}, batch {trainer.fit_loop.epoch_loop.batch_idx}"
            raise NonFiniteLoss(f"the weights are not finite after step {trainer.global_step - 1} ({where})")

    def look(self, trainer: pl.Trainer) -> None:
        """Raises NonFiniteLoss, in all processes, for the first loss since the last look that is not finite in one."""
        seen, self.seen = self.seen, []
        bad = bool(seen) and not torch.stack([loss for _, _, loss in seen]).isfinite().all()
        if not trainer.strategy.reduce_boolean_decision(bad, all=False):
            return
        if not bad:
            raise NonFiniteLoss(f"the loss of another process is not finite by step {trainer.global_step}")
        step, batch, loss = next(entry for entry in seen if not entry[2].isfinite())
        raise NonFiniteLoss(
            f"the loss is {loss.item()} at step {step} (epoch {trainer.current_epoch}, batch {batch}); "
            "the last good checkpoint is kept"
        )


class StepSeed(Callback):
    """Seeds torch for every step, so that dropout too is a function of (seed, step, process) and survives a resume."""

    def __init__(self, seed: int):
        self.seed = seed

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        parts = trainer.accumulate_grad_batches  # of which each has a dropout of its own
        step = (trainer.global_step * parts + batch_idx % parts) * trainer.world_size + trainer.global_rank
        torch.manual_seed(self.seed * 1_000_003 + step)


class Progress(Callback):
    """One line an epoch: loss, the metric that is monitored, time taken and, where the last step is known, left."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.began, self.first = time.monotonic(), trainer.global_step

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        minutes = (time.monotonic() - self.began) / 60
        epochs = f"/{trainer.max_epochs}" if trainer.max_epochs > 0 else ""
        shown = {name: trainer.callback_metrics.get(name) for name in ("train/loss", pl_module.monitor)}
        text = "  ".join(f"{name} {value.item():.3f}" for name, value in shown.items() if value is not None)
        steps, total = trainer.global_step, trainer.estimated_stepping_batches
        left = minutes / max(1, steps - self.first) * (total - steps)
        time_left = f", {left:.1f} min left" if left < math.inf else ""
        print(f"epoch {trainer.current_epoch + 1}{epochs}  {text}  {minutes:.1f} min{time_left}", flush=True)
