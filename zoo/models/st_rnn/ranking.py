"""How high the place that was visited stands among the candidates, and the measures of table 1."""

import torch
from torch import Tensor
from torchmetrics import Metric

from zoo.errors import ZooError
from zoo.models.st_rnn.bins import distance
from zoo.models.st_rnn.network import Batch
from zoo.nn.random import uniform

CANDIDATES = ("all", "unvisited", "sampled", "radius")


def check_candidates(candidates: str) -> None:
    if candidates not in CANDIDATES:
        raise ZooError(f"candidates is {candidates!r}; expected one of {', '.join(CANDIDATES)}")


def allowed(kind: str, batch: Batch, rows: Tensor, places: int, sampled: int, radius_km: float) -> Tensor:
    """Which places stand for choice at some visits, the true one always: (n, places) bool. The paper does not say.

    Args:
        kind: "all"; "unvisited": those where the user has not been before; "sampled": so many drawn ones; "radius":
            those so near to the place before.
    """
    if kind == "all":
        return torch.ones(len(rows), places, dtype=torch.bool, device=rows.device)
    true = batch["place"][rows][:, None]
    if kind == "sampled":
        drawn = uniform(batch["key"][rows], places).topk(min(sampled, places), 1).indices
        mask = torch.zeros(len(rows), places, dtype=torch.bool, device=rows.device).scatter(1, drawn, True)
    elif kind == "radius":
        before, where = batch["last"][rows], batch["coordinates"]
        far = distance(where[batch["place"][before.clamp(min=0)]][:, None], where)
        mask = (far <= radius_km) | (before < 0)[:, None]
    else:
        mask = ~been(batch, rows, places)
    return mask.scatter(1, true, True)


def been(batch: Batch, rows: Tensor, places: int) -> Tensor:
    """Where the user of each visit has been before it: (n, places) bool."""
    first = torch.full((batch["lines"], places), 2**31, device=rows.device)  # when a user was first at a place
    flat = batch["line"] * places + batch["place"]
    first = first.flatten().scatter_reduce(0, flat, batch["position"], "amin").view_as(first)
    return first[batch["line"][rows]] < batch["position"][rows][:, None]


def ranks(scores: Tensor, true: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """The rank of the true place and the number of candidates: (n,) float32 each.

    Args:
        scores: (n, places).
        true: (n,) int64.
        mask: (n, places) bool, the candidates; the true place is one. Of equal scores the mean of their ranks counts.
    """
    right = scores.gather(1, true[:, None])
    above = ((scores > right) & mask).sum(1)
    equal = ((scores == right) & mask).sum(1) - 1
    return 1 + above + equal / 2, mask.sum(1).float()


UNIT = 2.0**-24  # of a sum


class MeanOfRanks(Metric):
    """A mean over visits of a function of the rank and the number of candidates, in percent.

    It is summed in whole numbers of 2^-24, so any split over processes gives the same, and no device lacks the type.

    Args:
        measure: "recall@k", "f1@k" (2 recall@k / (k + 1), one place being relevant), "map" (1 / rank), "auc".
    """

    higher_is_better = True
    full_state_update = False

    def __init__(self, measure: str):
        super().__init__()
        self.name, _, k = measure.partition("@")
        self.k = int(k or 0)
        self.add_state("total", torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, rank: Tensor, candidates: Tensor) -> None:
        """Both (n,)."""
        values = {
            "recall": lambda: (rank <= self.k).float(),
            "f1": lambda: 2 * (rank <= self.k).float() / (self.k + 1),
            "map": lambda: 1 / rank.float(),
            "auc": lambda: (candidates - rank).float() / (candidates - 1).clamp(min=1),
        }[self.name]()
        self.total += (values / UNIT).round().long().sum()
        self.count += len(rank)

    def compute(self) -> Tensor:
        return 100 * UNIT * (self.total / self.count.clamp(min=1))
