"""ST-RNN (Liu, Wu, Wang, Tan: Predicting the Next Location; AAAI 2016). The symbols are those of section 4.

A batch holds K visits, in an order in which the visit whose state another goes on from comes first; see
:class:`datamodules.visits.Visits` for its fields. A candidate is a place that may be the one that is visited.
"""

from typing import Any

import torch
from torch import Tensor, nn

from zoo.errors import ZooError, check_whole
from zoo.models.st_rnn.bins import between, check_bounds, distance, locate

Batch = dict[str, Any]
PAIRS = 2**19  # so many vectors of d numbers at once while all places are ranked: 30 MB at d = 13
ACTIVATIONS = {"sigmoid": torch.sigmoid, "tanh": torch.tanh}


class STRNN(nn.Module):
    """Scores where a user is at a given time, from where and when the user was before.

    Args:
        users, places: how many there are.
        dim: d.
        time_bounds: of the bins of time gaps, in hours; a single one leaves one matrix for all gaps.
        distance_bounds: of the bins of distances, in km; likewise.
        activation: f, "sigmoid" in the paper, or "tanh".
        user_vector: whether p_u joins the score.
        recurrent: whether a state goes on from its parent's; else from nothing but its window.
    """

    def __init__(
        self,
        users: int,
        places: int,
        dim: int = 13,
        time_bounds: tuple[float, ...] = (0, 1, 3, 6, 12, 24, 72, 168),
        distance_bounds: tuple[float, ...] = (0, 0.1, 0.5, 1, 5, 20, 100, 1000),
        activation: str = "sigmoid",
        user_vector: bool = True,
        recurrent: bool = True,
    ):
        super().__init__()
        check_whole(1, users=users, places=places, dim=dim)
        check_bounds(time_bounds=list(time_bounds), distance_bounds=list(distance_bounds))
        if activation not in ACTIVATIONS:
            raise ZooError(f"activation is {activation!r}; expected one of {', '.join(ACTIVATIONS)}")
        self.f, self.recurrent = ACTIVATIONS[activation], recurrent
        self.register_buffer("time_bounds", torch.tensor(time_bounds, dtype=torch.float32), persistent=False)
        self.register_buffer("distance_bounds", torch.tensor(distance_bounds, dtype=torch.float32), persistent=False)
        self.q = nn.Embedding(places, dim)  # Q, read on both sides
        self.p = nn.Embedding(users, dim) if user_vector else None  # P
        self.T = nn.Parameter(torch.empty(len(time_bounds), dim, dim))
        self.S = nn.Parameter(torch.empty(len(distance_bounds), dim, dim))
        self.C = nn.Parameter(torch.empty(dim, dim))
        self.h_0 = nn.Parameter(torch.empty(dim))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(dim**-0.5), dim**-0.5)

    def carried(self, batch: Batch) -> Tensor:
        """S_l T_{t - t_i} q_{t_i} for every visit in a window and every bound l: (E, bounds, d)."""
        turned = torch.einsum("tde,ke->ktd", self.T, self.q(batch["place"]))  # T_l q of every visit once
        z = between(turned[batch["saw"]], *locate(batch["gap"], self.time_bounds))  # (E, d)
        return torch.einsum("sde,ne->nsd", self.S, z)

    def contributions(self, carried: Tensor, saw: Tensor, batch: Batch, candidates: Tensor) -> Tensor:
        """S_{dist(q, q_i)} T_{t - t_i} q_{t_i}: what each visit of a window adds to the state at each candidate.

        Args:
            carried: (E, bounds, d) of :meth:`carried`.
            saw: (E,) int64, the visits of the windows.
            candidates: (E, N) int64 places, or (N,) for the same ones everywhere.

        Returns:
            (E, N, d).
        """
        where = batch["coordinates"]
        far = distance(where[batch["place"][saw]][:, None], where[candidates])  # (E, N)
        return between(carried, *locate(far, self.distance_bounds))

    def states(self, batch: Batch, carried: Tensor) -> tuple[Tensor, Tensor]:
        """h_{t, q_t} of every visit, and C h of its parent, by equations 3 and 5: both (K, d)."""
        of, place = batch["of"], batch["place"]
        added = self.contributions(carried, batch["saw"], batch, place[of][:, None])[:, 0]
        x = added.new_zeros(len(place), added.shape[-1]).index_add(0, of, added)
        h, start = self.h_0[None], 0
        hs, pasts = [], []
        for size in batch["levels"]:  # all visits that are equally many states away from h_0 at once
            rows = slice(start, start + size)
            # the parents are the level before, which ends where this one starts
            before = h[batch["parent"][rows] - (start - len(h))] if hs else h.expand(size, -1)
            past = before @ self.C.mT if self.recurrent else torch.zeros_like(before)
            h = self.f(x[rows] + past)
            hs.append(h), pasts.append(past)
            start += size
        return torch.cat(hs), torch.cat(pasts)

    def forward(self, batch: Batch, rows: Tensor, candidates: Tensor | None = None, user_vector: bool = True) -> Tensor:
        """o_{u, t, v} (equation 6) of each of some visits for each of its candidates, which has a state of its own.

        Args:
            rows: (n,) int64, visits.
            candidates: (n, N) int64 places; None for all places.
            user_vector: False leaves p_u out, for users that are not known.

        Returns:
            (n, N).
        """
        carried = self.carried(batch)
        _, past = self.states(batch, carried)
        order = torch.arange(len(rows), device=rows.device)
        number = torch.full_like(batch["place"], -1).scatter(0, rows, order)  # which of the rows a visit is, or none
        edge = (number[batch["of"]] >= 0).nonzero().squeeze(1)
        of, saw = number[batch["of"][edge]], batch["saw"][edge]

        def score(shown: Tensor) -> Tensor:
            added = self.contributions(carried[edge], saw, batch, shown if shown.ndim == 1 else shown[of])
            x = added.new_zeros(len(rows), *added.shape[1:]).index_add(0, of, added)  # (n, N, d)
            h = self.f(x + past[rows][:, None])
            if self.p is not None and user_vector:
                h = h + self.p(batch["user"][rows])[:, None]
            return (h * self.q(shown)).sum(-1)

        if candidates is not None:
            return score(candidates)
        places = torch.arange(self.q.num_embeddings, device=rows.device)
        if torch.is_grad_enabled():
            return score(places)
        return torch.cat([score(some) for some in places.split(max(1, PAIRS // max(len(edge), len(rows))))], 1)

    @torch.no_grad()
    def looks(self, batch: Batch, rows: Tensor, candidates: Tensor) -> tuple[Tensor, Tensor]:
        """How much each visit of the windows of some visits adds to the state at one candidate of each.

        Args:
            rows, candidates: (n,) int64.

        Returns:
            |S T q| (n, W), the earliest visit first, and which of the W entries are visits, (n, W) bool.
        """
        carried = self.carried(batch)
        pairs = (batch["of"] == rows[:, None]).nonzero()  # (e, 2): which row, which edge
        row, edge = pairs.unbind(1)
        added = self.contributions(carried[edge], batch["saw"][edge], batch, candidates[row][:, None])[:, 0]
        count = row.bincount(minlength=len(rows))
        slot = torch.arange(len(row), device=row.device) - (count.cumsum(0) - count)[row]
        size = added.new_zeros(len(rows), max(1, int(count.max())))
        inside = torch.arange(size.shape[1], device=row.device) < count[:, None]
        return size.index_put((row, slot), added.norm(dim=-1)), inside
