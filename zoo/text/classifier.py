"""What the trainings of classifiers of texts share: the error rate, and that an update counts texts."""

from typing import Any

from torch import Tensor, nn

from zoo.text.search import PAD
from zoo.training.metrics import ErrorRate
from zoo.training.module import ZooModule


def error_rates() -> nn.ModuleDict:
    """One for validation and one for the test."""
    return nn.ModuleDict({"val_": ErrorRate(), "test_": ErrorRate()})


class LitTextClassifier(ZooModule):
    """Measures wrong answers in percent of a network that makes logits of ids (batch, T) and a mask of the same shape.

    A subclass makes its network and sets `errors` to :func:`error_rates`.
    """

    monitor = "val/error"
    errors: nn.ModuleDict

    def weight(self, batch: dict[str, Any]) -> Tensor:
        return batch["sentences"]

    def evaluate(self, batch: dict[str, Tensor], stage: str) -> dict[str, ErrorRate]:
        error = self.errors[f"{stage}_"]
        error.update(self.network(batch["text"], batch["text"] != PAD).argmax(-1), batch["label"])
        return {"error": error}
