"""Training both formers: cross-entropy, and what is measured."""

import math
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import ZooError
from zoo.looking.attention import Attention
from zoo.models.former.letters import letters
from zoo.models.former.network import Former
from zoo.nn.kernels import at_least_float32
from zoo.text.classifier import LitTextClassifier, error_rates
from zoo.text.search import PAD
from zoo.training.metrics import BitsPerSymbol
from zoo.training.module import ZooModule


class LitClassifier(LitTextClassifier):
    """Trains a classifier of texts by cross-entropy; measures wrong answers in percent.

    Args:
        optimizer, schedule: see :class:`zoo.training.module.ZooModule`.
        network: the arguments of :class:`zoo.models.former.Former`.
    """

    def __init__(self, optimizer: dict | None = None, schedule: dict | None = None, **network: Any):
        if network.get("num_classes") is None:
            raise ZooError("a classifier needs data with classes; model=former_generator predicts the next symbol")
        super().__init__(Former(**network), optimizer, schedule)
        self.save_hyperparameters()
        self.errors = error_rates()

    def loss(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        logits = at_least_float32(self.network(batch["text"], batch["text"] != PAD))
        return {"loss": F.cross_entropy(logits, batch["label"], reduction="sum") / self.weight(batch)}

    def record(self, batch: dict[str, Tensor]) -> Attention:
        """The heads of the last block: which word each word looks at."""
        text = batch["text"]
        names = self.trainer.datamodule.pieces(text)
        return Attention(weights=self.network.look(text, text != PAD, -1)[0], inputs=names, outputs=names)


class LitGenerator(ZooModule):
    """Trains a generator to predict the next symbol; the loss is in nats, what is measured in bits.

    Args:
        optimizer, schedule: see :class:`zoo.training.module.ZooModule`.
        network: the arguments of :class:`zoo.models.former.Former`.
    """

    monitor = "val/bits"

    def __init__(self, optimizer: dict | None = None, schedule: dict | None = None, **network: Any):
        if network.get("num_classes") is not None:
            raise ZooError("a generator needs data without classes; model=former is the classifier")
        super().__init__(Former(**network), optimizer, schedule)
        self.save_hyperparameters()
        self.bits = nn.ModuleDict({"val_": BitsPerSymbol(), "test_": BitsPerSymbol()})

    def nats(self, text: Tensor) -> Tensor:
        """-log p of every symbol but the first, given those before it in the window: (batch, T + 1) -> (batch, T)."""
        logits = at_least_float32(self.network(text[:, :-1]))
        return F.cross_entropy(logits.mT, text[:, 1:], reduction="none")

    def loss(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        loss = self.nats(batch["text"]).mean()
        return {"loss": loss, "bits": loss / math.log(2)}

    def evaluate(self, batch: dict[str, Tensor], stage: str) -> dict[str, BitsPerSymbol]:
        bits = self.bits[f"{stage}_"]
        bits.update(self.nats(batch["text"]), batch["scored"])
        return {"bits": bits}

    def record(self, batch: dict[str, Tensor]) -> Attention:
        """The heads of the last block: which symbol each symbol looks at, none of them later."""
        text = batch["text"][:, :-1]
        names = [letters(row) for row in text.tolist()]
        return Attention(weights=self.network.look(text, block=-1)[0], inputs=names, outputs=names)
