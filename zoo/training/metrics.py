"""Metrics that torchmetrics lacks, or has in another form."""

import math

import torch
from torch import Tensor
from torchmetrics import Metric

from zoo.nn.kernels import at_least_float32


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


class MeanNats(Metric):
    """The mean of -log p, in nats.

    It is summed in whole numbers of 2^-24 nat, finer than float32 has it, so any split over processes gives the same
    result, and no device lacks the type. Where one is not finite the mean is infinite.
    """

    higher_is_better = False
    full_state_update = False
    unit = 2.0**-24  # in nats

    def __init__(self) -> None:
        super().__init__()
        for name in ("nats", "total", "infinite"):
            self.add_state(name, torch.tensor(0), dist_reduce_fx="sum")

    def add(self, nats: Tensor, counted: Tensor) -> None:
        """-log p and whether it counts, of the same shape."""
        finite = counted & nats.isfinite()
        self.nats += (at_least_float32(nats).masked_fill(~finite, 0) / self.unit).round().long().sum()
        self.infinite += (counted & ~finite).sum()
        self.total += counted.sum()

    def compute(self) -> Tensor:
        return (self.nats / self.total * self.unit).masked_fill(self.infinite > 0, math.inf)


class BitsPerSymbol(MeanNats):
    """Mean of -log2 p over the symbols that count."""

    def update(self, nats: Tensor, counted: Tensor) -> None:
        """-log p in nats and whether it counts, of the same shape."""
        self.add(nats, counted)

    def compute(self) -> Tensor:
        return super().compute() / math.log(2)


class Nats(MeanNats):
    """Mean over samples of what each is worth in nats."""

    def update(self, nats: Tensor) -> None:
        """(batch,)."""
        self.add(nats, torch.ones_like(nats, dtype=torch.bool))


class Perplexity(BitsPerSymbol):
    """exp of the mean of -log p over the labels, taken from logits, so that no finite logit makes it infinite."""

    def update(self, logits: Tensor, labels: Tensor, ignore: int) -> None:
        """Logits (..., words) and labels (...), of which those that are `ignore` do not count."""
        counted = labels != ignore
        log_p = logits.float().log_softmax(-1).gather(-1, labels.masked_fill(~counted, 0)[..., None]).squeeze(-1)
        super().update(-log_p, counted)

    def compute(self) -> Tensor:
        mean = MeanNats.compute(self)
        most = torch.where(mean.isfinite(), torch.finfo(torch.float32).max, torch.inf)
        return mean.exp().minimum(most)
