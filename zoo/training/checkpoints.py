"""The two checkpoints of a run: the best one, and the last one, from which a run that was stopped goes on.

A run stops between two updates, in a validation, which is then done again, or in a test.
"""

import signal
import threading
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint, ModelCheckpoint
from pytorch_lightning.trainer.states import TrainerFn
from pytorch_lightning.utilities.exceptions import SIGTERMException
from torch import Tensor

from zoo.training.callbacks import finite_weights

SIGNALS = (signal.SIGTERM, signal.SIGINT)


def measured(metrics: dict[str, Any]) -> dict[str, float]:
    """What a validation has measured, as plain numbers."""
    return {name: float(value) for name, value in metrics.items() if name.startswith("val/")}


class Best(ModelCheckpoint):
    """The checkpoint of the best validation, with what that validation measured, and what the last one did."""

    def __init__(self, **arguments: Any):
        super().__init__(**arguments)
        self.metrics: dict[str, float] = {}
        self.last_metrics: dict[str, float] = {}

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking:
            self.last_metrics = measured(trainer.callback_metrics)
        super().on_validation_end(trainer, pl_module)

    def _update_best_and_save(self, current: Tensor, trainer: pl.Trainer, candidates: dict[str, Tensor]) -> None:
        self.metrics = measured(candidates)
        super()._update_best_and_save(current, trainer, candidates)

    def report(self) -> dict[str, float]:
        """What a run tells: ``val/*`` of the best checkpoint, and ``last_val/*`` of the last validation."""
        return self.metrics | {f"last_{name}": value for name, value in self.last_metrics.items()}

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "metrics": self.metrics, "last_metrics": self.last_metrics}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self.metrics, self.last_metrics = state_dict["metrics"], state_dict["last_metrics"]


class Last(Checkpoint):
    """Saves `path` at the end of every epoch, after a validation within one, and when the run is told to end.

    That is by SIGTERM or Ctrl-C to any of its processes. All of them stop at the same place; a second Ctrl-C stops at
    once and saves nothing.
    """

    def __init__(self, path: str):
        self.path = path
        self.told = False  # to end
        self.shared = 0  # batches that every process has of this evaluation
        self.max_steps: int | None = None  # the true one, while a validation after the last step is done again
        self.resumed = {"stopped": False, "validates": False}

    # --- when to save -------------------------------------------------------------------------------------------------

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        trainer.save_checkpoint(self.path, weights_only=False)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        loop = trainer.fit_loop.epoch_loop
        if self.max_steps is not None:
            loop.max_steps, self.max_steps = self.max_steps, None
        fitting = trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking
        if fitting and not loop._num_ready_batches_reached() and not loop._should_accumulate():
            trainer.save_checkpoint(self.path, weights_only=False)

    # --- when to stop -------------------------------------------------------------------------------------------------

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self.trainer, self.handlers = trainer, {}
        if threading.current_thread() is threading.main_thread():
            self.handlers = {number: signal.signal(number, self._tell) for number in SIGNALS}

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        while self.handlers:
            signal.signal(*self.handlers.popitem())

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self.teardown(trainer, pl_module, "")

    def _tell(self, number: int, frame: Any) -> None:
        if number == signal.SIGINT and self.told:
            raise KeyboardInterrupt
        self.told = True

    def _stop_if_told(self, trainer: pl.Trainer, save: bool = False) -> None:
        if not trainer.strategy.reduce_boolean_decision(self.told, all=False):
            return
        if save and trainer.strategy.reduce_boolean_decision(finite_weights(trainer.lightning_module)):
            trainer.save_checkpoint(self.path, weights_only=False)
        raise SIGTERMException

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        loop = trainer.fit_loop.epoch_loop
        if batch_idx % trainer.accumulate_grad_batches == 0:
            loop._batches_that_stepped = trainer.global_step  # Lightning loses count of it where a run goes on
            self._stop_if_told(trainer, save=batch_idx > 0)  # an epoch that begins is what its predecessor saved

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._share(trainer, trainer.num_sanity_val_batches if trainer.sanity_checking else trainer.num_val_batches)

    def on_validation_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        if batch_idx >= self.shared or trainer.fit_loop._should_accumulate():
            return
        self._stop_if_told(trainer, save=trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking)

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._share(trainer, trainer.num_test_batches)

    def on_test_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        if batch_idx < self.shared:
            self._stop_if_told(trainer)

    def _share(self, trainer: pl.Trainer, batches: list[int | float]) -> None:
        """Samples are shared out without padding, so a process may have a batch more than another."""
        mine = torch.tensor(float(min(batches, default=0)), device=trainer.strategy.root_device)
        self.shared = trainer.strategy.reduce(mine, reduce_op="min").item()

    # --- what is saved, and how a run goes on from it -----------------------------------------------------------------

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        if trainer.state.fn == TrainerFn.FITTING:
            settle(checkpoint["loops"]["fit_loop"], validates=self._validates(trainer))

    def _validates(self, trainer: pl.Trainer) -> bool:
        """Whether a validation is due or under way, so that it is to be done when the run goes on."""
        loop = trainer.fit_loop.epoch_loop
        if trainer.validating:
            return loop.val_loop.batch_progress.current.ready > loop.val_loop.batch_progress.current.completed
        ends = loop.batch_progress.current.processed > loop.batch_progress.current.completed  # on_train_batch_end
        return ends and loop._should_check_val_fx(trainer.fit_loop._data_fetcher)

    def state_dict(self) -> dict[str, bool]:
        return {"stopped": self.trainer.should_stop, "validates": self._validates(self.trainer)}

    def load_state_dict(self, state_dict: dict[str, bool]) -> None:
        self.resumed = state_dict

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Ends at once what had been ended before its time, and lets a validation be done after the last step."""
        if self.resumed["validates"] and trainer.max_steps > 0:
            self.max_steps = trainer.max_steps
            trainer.fit_loop.epoch_loop.max_steps += 1
        elif self.resumed["stopped"]:
            trainer.should_stop = True


def settle(loops: dict[str, Any], validates: bool) -> None:
    """Rewrites how far Lightning's loops have come, so that it goes on from there exactly.

    Its own account depends on the hook that saved, and some of what it concludes from that is wrong.

    Args:
        loops: the state of the fit loop in a checkpoint, after all of an update or of an epoch.
        validates: whether a validation is to be done first.
    """
    epoch, batch = loops["epoch_progress"], loops["epoch_loop.batch_progress"]
    ends = epoch["current"]["processed"] > epoch["current"]["completed"]
    for tracker in (*([epoch["total"], epoch["current"]] if ends else []), batch["total"], batch["current"]):
        tracker.update(dict.fromkeys(tracker, tracker["processed"]))
    if ends:
        batch["current"].update(dict.fromkeys(batch["current"], 0))
        batch["is_last_batch"] = False
    if validates:  # what Lightning takes for a validation that has begun, of which no batch is done
        for tracker in (loops["epoch_loop.val_loop.batch_progress"][name] for name in ("total", "current")):
            tracker.update(ready=1, started=1, processed=0, completed=0)
