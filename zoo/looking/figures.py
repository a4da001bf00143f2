"""Pictures of where the model looks, drawn while it trains."""

import dataclasses
import warnings
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.trainer.states import TrainerFn
from pytorch_lightning.utilities.seed import isolate_rng
from torch import Tensor

from zoo.looking.attention import Attention


class Figures(Callback):
    """Draws where the model looked, for the first samples of the first validation and test batch.

    The pictures are <run>/figures/epoch_000_0.png and so on, test_0.png of a test and val_0.png of a validation on its
    own, and go to every logger that takes images. The random state stays as it was, and nothing that fails here stops
    a run. A model that keeps no record is skipped.

    Args:
        every_n_epochs: validated epochs between two pictures; the last epoch is always drawn.
        count: pictures each time.
    """

    def __init__(self, every_n_epochs: int = 10, count: int = 4):
        if every_n_epochs < 1 or count < 1:
            raise ValueError(f"every_n_epochs is {every_n_epochs} and count is {count}; both are at least 1")
        self.every_n_epochs, self.count = every_n_epochs, count
        self.undrawn: tuple[str, Attention, list[str]] | None = None
        self.warned = False

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if trainer.sanity_checking or batch_idx or dataloader_idx:
            return
        fitting = trainer.state.fn == TrainerFn.FITTING
        self._look(trainer, pl_module, batch, f"epoch_{trainer.current_epoch:03d}" if fitting else "val")
        if not fitting or trainer.current_epoch % self.every_n_epochs == 0:
            self._draw(trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._draw(trainer)

    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if not batch_idx and not dataloader_idx:
            self._look(trainer, pl_module, batch, "test")
            self._draw(trainer)

    def _look(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, name: str) -> None:
        """Keeps the record of the first samples, for a picture now or, if this was the last epoch, at the end.

        All processes do, although one draws: the parts of a sharded network are gathered by all together.
        """
        self.undrawn = None
        with isolate_rng():
            try:
                with torch.no_grad(), trainer.precision_plugin.forward_context():
                    some = first(batch, self.count)
                    self.undrawn = (name, pl_module.record(some), pl_module.titles(some))
            except NotImplementedError:
                pass
            except Exception as error:
                self._warn(error)

    def _draw(self, trainer: pl.Trainer) -> None:
        undrawn, self.undrawn = self.undrawn, None
        if undrawn is None or not trainer.is_global_zero:
            return
        name, attention, titles = undrawn
        tag = "test" if name == "test" else "val"
        folder = Path(trainer.default_root_dir) / "figures"
        with isolate_rng():
            try:
                from zoo.looking.plots import plot  # matplotlib takes a second to import

                folder.mkdir(parents=True, exist_ok=True)
                for index in range(min(self.count, len(attention))):
                    path = folder / f"{name}_{index}.png"
                    figure = plot(attention, path, index, titles[index] if titles else None)
                    for logger in trainer.loggers:
                        self._log(logger, f"attention/{tag}_{index}", path, figure, trainer.global_step)
            except Exception as error:
                self._warn(error)

    def _log(self, logger: Any, tag: str, path: Path, figure: Any, step: int) -> None:
        try:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_figure(tag, figure, step)
            elif hasattr(logger, "log_image"):
                logger.log_image(tag, [str(path)], step=step)
        except Exception as error:
            self._warn(error)

    def _warn(self, error: Exception) -> None:
        if not self.warned:
            self.warned = True
            warnings.warn(f"a figure of the attention is missing, the run goes on: {error!r}", stacklevel=2)


def first(batch: Any, count: int) -> Any:
    """The first samples of a batch: of tensors, and of lists with one entry for each sample, however nested."""
    if isinstance(batch, Tensor):
        return batch[:count] if batch.ndim else batch
    if isinstance(batch, dict):
        return {name: first(value, count) for name, value in batch.items()}
    if isinstance(batch, tuple):
        values = [first(value, count) for value in batch]
        return type(batch)(*values) if hasattr(batch, "_fields") else tuple(values)
    if isinstance(batch, list):
        return [first(value, count) for value in batch] if batch and isinstance(batch[0], Tensor) else batch[:count]
    if dataclasses.is_dataclass(batch):
        values = {field.name: first(getattr(batch, field.name), count) for field in dataclasses.fields(batch)}
        return dataclasses.replace(batch, **values)
    return batch
