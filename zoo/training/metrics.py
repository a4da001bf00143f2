"""Metrics that torchmetrics lacks, or has in another form."""

import math

import torch
from torch import Tensor
from torchmetrics import Metric


class ErrorRate(Metric):
    """Wrong answers in percent. Counts are whole numbers, so any split over processes gives the same result."""

    higher_is_better = False
    full_state_update = False

    def __init__(self) -> None:
        super().__init__()
        self.add_state("wrong", torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("total", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, prediction: Tensor, label: Tensor) -> None:
        """Both (batch,) int64."""
        self.wrong += (prediction != label).sum()
        self.total += label.numel()

    def compute(self) -> Tensor:
        return 100 * self.wrong / self.total


class BitsPerSymbol(Metric):
    """Mean of -log2 p over the symbols that count, summed in float64."""

    higher_is_better = False
    full_state_update = False

    def __init__(self) -> None:
        super().__init__()
        self.add_state("nats", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("total", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, nats: Tensor, counted: Tensor) -> None:
        """-log p in nats and whether it counts, of the same shape."""
        self.nats += nats.double().masked_fill(~counted, 0).sum()
        self.total += counted.sum()

    def compute(self) -> Tensor:
        return (self.nats / self.total / math.log(2)).float()


class Nats(Metric):
    """Mean over samples of what each is worth in nats, summed in float64."""

    higher_is_better = False
    full_state_update = False

    def __init__(self) -> None:
        super().__init__()
        self.add_state("nats", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("total", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, nats: Tensor) -> None:
        """(batch,)."""
        self.nats += nats.double().sum()
        self.total += nats.numel()

    def compute(self) -> Tensor:
        return (self.nats / self.total).float()


class Perplexity(BitsPerSymbol):
    """exp of the mean of -log p over the labels, taken from logits, so that no finite logit makes it infinite."""

    def update(self, logits: Tensor, labels: Tensor, ignore: int) -> None:
        """Logits (..., words) and labels (...), of which those that are `ignore` do not count."""
        counted = labels != ignore
        log_p = logits.float().log_softmax(-1).gather(-1, labels.masked_fill(~counted, 0)[..., None]).squeeze(-1)
        super().update(-log_p, counted)

    def compute(self) -> Tensor:
        mean = self.nats / self.total
        most = torch.where(mean.isfinite(), torch.finfo(torch.float32).max, torch.inf)
        return mean.exp().minimum(most).float()
