"""Training by pairs of a visited place and one that was not (section 4.4), and ranking all candidates."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import ZooError, check_least, suggest
from zoo.looking.attention import Attention
from zoo.models.st_rnn.baselines import METHODS, Counts
from zoo.models.st_rnn.network import STRNN, Batch
from zoo.models.st_rnn.ranking import MeanOfRanks, allowed, check_candidates, ranks
from zoo.nn.random import uniform
from zoo.training.module import ZooModule

MEASURES = ("recall@1", "recall@5", "recall@10", "f1@1", "f1@5", "f1@10", "map", "auc")
SCORES = 2**21  # of so many pairs of visit and candidate at once


class LitNext(ZooModule):
    """Trains whatever scores candidates for the next place.

    Args:
        method: "st_rnn", or one of :data:`zoo.models.st_rnn.baselines.METHODS`.
        negatives: places that were not visited for each visit that is learned from; "all" for every other place.
        decay: lambda of equation 10, (lambda / 2) |Theta|^2 beside the sum over all training visits.
        candidates: see :func:`zoo.models.st_rnn.ranking.allowed`; a key of validation and test alone.
        sampled: how many, for candidates "sampled".
        radius_km: for candidates "radius".
        visits: of training; from the data.
        optimizer, schedule: see :class:`zoo.training.module.ZooModule`.
        network: the arguments of the network.
    """

    monitor, mode = "val/map", "max"

    def __init__(
        self,
        method: str = "st_rnn",
        negatives: int | str = 1,
        decay: float = 0.01,
        candidates: str = "all",
        sampled: int = 100,
        radius_km: float = 1000.0,
        visits: int = 1,
        optimizer: dict | None = None,
        schedule: dict | None = None,
        **network: Any,
    ):
        known = {"st_rnn": STRNN, **METHODS}
        if method not in known:
            raise ZooError(f"there is no method {method!r}{suggest(method, known)}")
        if negatives != "all" and not (isinstance(negatives, int) and negatives >= 1):
            raise ZooError(f"negatives is {negatives!r}; expected a whole number from 1 on, or all")
        check_least(0, decay=decay, radius_km=radius_km)
        check_least(1, sampled=sampled)
        check_candidates(candidates)
        super().__init__(known[method](**network), optimizer, schedule)
        self.save_hyperparameters()
        self.negatives, self.decay, self.visits = negatives, decay, visits
        self.candidates, self.sampled, self.radius_km = candidates, sampled, radius_km
        self.measures = nn.ModuleDict(
            {f"{stage}_{name}": MeanOfRanks(name) for stage in ("val", "test") for name in MEASURES}
        )

    @property
    def places(self) -> int:
        return self.hparams["places"]

    def drawn(self, batch: Batch, rows: Tensor) -> Tensor:
        """The visited place and others of each visit: (n, 1 + negatives) int64, the visited one first."""
        true = batch["place"][rows][:, None]
        if self.negatives == "all":
            others = torch.arange(self.places - 1, device=rows.device).expand(len(rows), -1)
        else:
            others = (uniform(batch["key"][rows], self.negatives) * (self.places - 1)).long()
        return torch.cat([true, others + (others >= true)], 1)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Equation 10, divided by the number of training visits."""
        rows = batch["scored"]
        if isinstance(self.network, Counts):
            if self.trainer.world_size > 1:
                raise ZooError("counts are made by one process: trainer.devices=1")
            self.network.count(batch, rows)
            return {"loss": 0 * self.network.nothing}
        o = self.network(batch, rows, self.drawn(batch, rows))
        ranking = F.softplus(o[:, 1:] - o[:, :1]).mean()
        size = sum(parameter.square().sum() for parameter in self.network.parameters())
        decay = self.decay / 2 * size / self.visits
        return {"loss": ranking + decay, "ranking": ranking}

    def evaluate(self, batch: Batch, stage: str) -> dict[str, MeanOfRanks]:
        measures = {name: self.measures[f"{stage}_{name}"] for name in MEASURES}
        for rows in batch["scored"].split(max(1, SCORES // self.places)):
            mask = allowed(self.candidates, batch, rows, self.places, self.sampled, self.radius_km)
            found = ranks(self.network(batch, rows), batch["place"][rows], mask)
            for measure in measures.values():
                measure.update(*found)
        return measures

    def record(self, batch: Batch) -> Attention:
        """How much each visit of the window adds to the state at the place that was visited, for the last visits."""
        if not isinstance(self.network, STRNN):
            raise ZooError("only ST-RNN says which visits it looks at")
        rows = batch["scored"][-8:]
        size, inside = self.network.looks(batch, rows, batch["place"][rows])
        some = inside.any(1)
        size, inside, rows = size[some], inside[some], rows[some]
        trails, hours = self.trainer.datamodule.trails, batch["gap"]
        inputs = [
            [f"{trails.places[p]}, {gap:.0f} h ago" for p, gap in zip(places, gaps, strict=True)]
            for places, gaps in (
                (batch["place"][batch["saw"][edges]].tolist(), hours[edges].tolist())
                for edges in ((batch["of"] == row).nonzero().squeeze(1) for row in rows)
            )
        ]
        outputs = [[trails.places[place]] for place in batch["place"][rows].tolist()]
        return Attention(weights=(size / size.sum(1, keepdim=True))[:, None, None], inputs=inputs, outputs=outputs)
