"""How many questions are answered, how sure the answers are, and where the attention lies."""

import torch
from torch import Tensor
from torchmetrics import Metric

UNIT = 2.0**-24  # of a sum


class Percent(Metric):
    """The mean of what each question is worth, in percent, over the questions that count.

    It is summed in whole numbers of 2^-24, so any split over processes gives the same, and no device lacks the type.
    """

    higher_is_better = True
    full_state_update = False

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, worth: Tensor, counted: Tensor) -> None:
        """Numbers from 0 to 1, or whether a question is answered, and which count: (batch,)."""
        self.total += (worth.float().masked_fill(~counted, 0) / UNIT).round().long().sum()
        self.count += counted.sum()

    def compute(self) -> Tensor:
        return 100 * UNIT * (self.total / self.count.clamp(min=1))


class PrecisionAtRecall(Metric):
    """Of the surest answers, so many percent of all, how many percent are right (figure 2 of the paper).

    Confidence is counted in bins of equal width; answers of one bin are equally sure.

    Args:
        recall: in percent.
    """

    higher_is_better = True
    full_state_update = False
    bins = 2000

    def __init__(self, recall: float):
        super().__init__()
        self.recall = recall
        self.add_state("right", torch.zeros(self.bins, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros(self.bins, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, confidence: Tensor, right: Tensor, counted: Tensor) -> None:
        """The probability of each answer, whether it is right, and which count: (batch,)."""
        place = (confidence.float() * self.bins).long().clamp(0, self.bins - 1)[counted]
        self.count += torch.bincount(place, minlength=self.bins)
        self.right += torch.bincount(place[right[counted]], minlength=self.bins)

    def curve(self) -> tuple[Tensor, Tensor]:
        """Recall and precision in percent from the surest answers down to all, (bins,) each."""
        count, right = self.count.flip(0).cumsum(0), self.right.flip(0).cumsum(0)
        return 100 * count / count[-1].clamp(min=1), 100 * right / count.clamp(min=1)

    def compute(self) -> Tensor:
        recall, precision = self.curve()
        return precision[(recall >= self.recall).int().argmax()]
