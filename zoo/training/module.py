"""ZooModule: what every paper's LightningModule shares."""

from functools import partial
from typing import Any

import pytorch_lightning as pl
import torch
from hydra.utils import instantiate
from pytorch_lightning.plugins.precision import Precision
from pytorch_lightning.utilities import GradClipAlgorithmType
from torch import Tensor, nn
from torch.optim import Optimizer
from torchmetrics import Metric

from zoo.looking.attention import Attention


class ZooModule(pl.LightningModule):
    """Trains a network: a room says what the loss is, what is measured and where the network looked.

    A room implements :meth:`loss`, :meth:`evaluate` and :meth:`record`, and passes its arguments on as plain values, so
    that every checkpoint loads with ``weights_only=True``.

    Args:
        network: the paper's equations, a torch module.
        optimizer: a dict with a ``_target_``, called with the parameters.
        schedule: a dict with a ``_target_`` of :mod:`zoo.training.schedules`, called with the optimiser and the number
            of steps.
    """

    monitor, mode = "val/loss", "min"  # the metric that chooses the best checkpoint, and whether low or high is good

    def __init__(self, network: nn.Module, optimizer: dict | None = None, schedule: dict | None = None):
        super().__init__()
        self.network = network
        self.optimizer = optimizer or {"_target_": "torch.optim.Adam", "lr": 1e-3}
        self.schedule = schedule or {"_target_": "zoo.training.schedules.constant"}
        self.counted: list[Tensor | float] = []  # the weight of each batch of this update, where it has several

    def loss(self, batch: Any) -> dict[str, Tensor]:
        """The terms of the loss and their sum under the name ``loss``, scalars."""
        raise NotImplementedError

    def weight(self, batch: Any) -> Tensor | float:
        """Over how much the loss of a batch is a mean: samples, or what a room counts, as tokens.

        An update of several batches (`accumulate_grad_batches`) is the mean over all that they hold.
        """
        return float(len(next(iter(batch.values())) if isinstance(batch, dict) else batch))

    def evaluate(self, batch: Any, stage: str) -> dict[str, Metric]:
        """Updates the metrics of one validation or test batch and returns them by name."""
        raise NotImplementedError

    def record(self, batch: Any) -> Attention:
        """Where the network looked for each sample of the batch."""
        raise NotImplementedError

    def titles(self, batch: Any) -> list[str]:
        """What stands above the picture of each sample, such as the truth and the answer; nothing by default."""
        return []

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.network(*args, **kwargs)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        terms = self.loss(batch)
        self.log_dict({f"train/{name}": value.detach() for name, value in terms.items()}, prog_bar=False)
        return self._weighted(terms["loss"], batch, batch_idx)

    def _weighted(self, loss: Tensor, batch: Any, batch_idx: int) -> Tensor:
        """The loss in proportion to what the batch holds, beside the first batch of its update."""
        number = batch_idx % self.trainer.accumulate_grad_batches
        if self.trainer.accumulate_grad_batches == 1:
            return loss
        self.counted[number:] = [self.weight(batch)]
        return loss * (self.counted[-1] / self.counted[0])

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Makes a mean of the sum over the batches of an update, which Lightning has divided by their usual number."""
        usual = self.trainer.accumulate_grad_batches
        if usual > 1:
            gradients = [p.grad for p in self.parameters() if p.grad is not None]
            torch._foreach_mul_(gradients, usual * self.counted[0] / sum(self.counted))

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self._log_metrics(self.evaluate(batch, "val"), "val")

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self._log_metrics(self.evaluate(batch, "test"), "test")

    def _log_metrics(self, metrics: dict[str, Metric], stage: str) -> None:
        for name, metric in metrics.items():
            self.log(
                f"{stage}/{name}", metric, on_step=False, on_epoch=True, prog_bar=f"{stage}/{name}" == self.monitor
            )

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        # Lightning refuses to clip beside a fused optimiser under mixed precision: for the sake of a scaler, which only
        # fp16 has.
        plugin = self.trainer.precision_plugin
        clip = plugin.clip_gradients if getattr(plugin, "scaler", None) else partial(Precision.clip_gradients, plugin)
        clip(optimizer, gradient_clip_val or 0.0, GradClipAlgorithmType(gradient_clip_algorithm or "norm"))

    def parameter_groups(self) -> list[dict]:
        """What the optimiser trains, in groups that may differ in their learning rate."""
        return [{"params": list(self.parameters())}]

    def configure_optimizers(self) -> dict:
        optimizer = instantiate(self.optimizer, self.parameter_groups())
        schedule = instantiate(self.schedule, optimizer, self.trainer.estimated_stepping_batches)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
