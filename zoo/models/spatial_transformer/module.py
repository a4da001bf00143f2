"""Training classifiers with spatial transformers by cross-entropy alone (section 4)."""

import warnings
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import MeanMetric, Metric

from zoo.errors import ZooError, check_least
from zoo.looking.attention import Attention
from zoo.models.spatial_transformer.alarms import OUTSIDE, outside, signs
from zoo.models.spatial_transformer.birds import BirdNetwork, Localisation
from zoo.models.spatial_transformer.looks import look
from zoo.models.spatial_transformer.network import SpatialTransformer, SpatialTransformerNetwork
from zoo.models.spatial_transformer.numbers import HouseNumberNetwork
from zoo.models.spatial_transformer.warbean import WarBean
from zoo.training.metrics import ErrorRate
from zoo.training.module import ZooModule

EVERY = 50  # steps between two looks at where the transformers are
NETWORKS: dict[str, type[nn.Module]] = {
    "mnist": SpatialTransformerNetwork,
    "warbean": WarBean,
    "numbers": HouseNumberNetwork,
    "birds": BirdNetwork,
}


class LitSpatialTransformer(ZooModule):
    """Trains a classifier, with spatial transformers or without, and watches where they look.

    Args:
        design: "mnist" (:class:`zoo.models.spatial_transformer.network.SpatialTransformerNetwork`), "warbean",
            "numbers" (SVHN) or "birds" (CUB), each in a file of that name.
        localisation_rate: factor of the learning rate of the transformers (1 for MNIST in the paper, 0.1 for SVHN).
        optimizer, schedule: see :class:`zoo.training.module.ZooModule`.
        network: the arguments of the network.
    """

    monitor = "val/error"

    def __init__(
        self,
        design: str = "mnist",
        localisation_rate: float = 1.0,
        optimizer: dict | None = None,
        schedule: dict | None = None,
        **network: Any,
    ):
        if design not in NETWORKS:
            raise ZooError(f"design is {design!r}; expected one of {', '.join(NETWORKS)}")
        check_least(0, localisation_rate=localisation_rate)
        super().__init__(NETWORKS[design](**network), optimizer, schedule)
        self.save_hyperparameters()
        self.localisation_rate = localisation_rate
        self.errors = nn.ModuleDict({"val_": ErrorRate(), "test_": ErrorRate()})
        self.outside = nn.ModuleDict({"val_": MeanMetric(), "test_": MeanMetric()})

    def parameter_groups(self) -> list[dict]:
        """The transformers have a learning rate of their own."""
        inside = [m for m in self.network.modules() if isinstance(m, SpatialTransformer | Localisation)]
        slow = {id(p): p for m in inside for p in m.parameters()}
        rest = [p for p in self.parameters() if id(p) not in slow]
        rate = self.optimizer["lr"] * self.localisation_rate
        return [{"params": rest}, {"params": list(slow.values()), "lr": rate}] if slow else [{"params": rest}]

    def loss(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Cross-entropy; what else is named is only watched, every so many steps."""
        answer = self.network(batch["image"])
        watched = signs(answer.grids, answer.outputs) if self.global_step % EVERY == 0 else {}
        several = (
            answer.logits.shape[1] if answer.logits.ndim == 3 else 1
        )  # digits of a number: their losses are summed
        loss = several * F.cross_entropy(answer.logits.flatten(0, -2), batch["label"].flatten())
        return {"loss": loss, **watched}

    def evaluate(self, batch: dict[str, Tensor], stage: str) -> dict[str, Metric]:
        answer = self.network(batch["image"])
        metrics: dict[str, Metric] = {"error": self.errors[f"{stage}_"]}
        wrong = (
            (answer.logits.argmax(-1) != batch["label"]).view(len(answer.logits), -1).any(1)
        )  # or any digit of a number
        metrics["error"].update(wrong, torch.zeros_like(wrong))
        if answer.grids.numel():
            metrics["outside"] = self.outside[f"{stage}_"]
            metrics["outside"].update(outside(answer.grids), len(answer.grids))
        return metrics

    def on_validation_epoch_end(self) -> None:
        share = self.outside["val_"]
        if share.update_called and not self.trainer.sanity_checking and share.compute() > OUTSIDE:
            warnings.warn(
                f"the transformer reads {share.compute():.0%} of its points outside of the picture; "
                "a smaller model.localisation_rate keeps it inside",
                stacklevel=2,
            )

    def record(self, batch: dict[str, Tensor]) -> Attention:
        """The lattice along which each transformer reads, and what it made of the picture."""
        return look(self.network, batch["image"])
