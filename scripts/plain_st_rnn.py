"""ST-RNN's training step as the paper writes it, for scripts/peers.py to measure beside the zoo's.

Every candidate of every visit has a matrix for each visit of its window, which is made and multiplied.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.models.st_rnn.bins import distance

Batch = dict[str, Any]


class PlainSTRNN(nn.Module):
    """Equations 3 to 9 with one d x d product for every candidate, visit, and visit of its window."""

    def __init__(self, users: int, places: int, dim: int, time_bounds: list[float], distance_bounds: list[float]):
        super().__init__()
        self.hours, self.km = torch.tensor(time_bounds).float(), torch.tensor(distance_bounds).float()
        self.q, self.p = nn.Embedding(places, dim), nn.Embedding(users, dim)
        self.T = nn.Parameter(torch.randn(len(time_bounds), dim, dim) / dim)
        self.S = nn.Parameter(torch.randn(len(distance_bounds), dim, dim) / dim)
        self.C = nn.Parameter(torch.randn(dim, dim) / dim)
        self.h_0 = nn.Parameter(torch.randn(dim))

    @staticmethod
    def matrix(x: Tensor, bounds: Tensor, matrices: Tensor) -> Tensor:
        """The matrix between two bounds: x of any shape -> (..., d, d)."""
        x = x.clamp(bounds[0], bounds[-1])
        low = (torch.searchsorted(bounds, x, right=True) - 1).clamp(max=len(bounds) - 2)
        share = ((x - bounds[low]) / (bounds[low + 1] - bounds[low]))[..., None, None]
        return (1 - share) * matrices[low] + share * matrices[low + 1]

    def forward(self, batch: Batch) -> Tensor:
        """The score of every place at every visit: (K, places)."""
        where, places = batch["coordinates"], batch["place"]
        states: list[Tensor] = []
        scores = []
        for k, (place, user, parent) in enumerate(zip(places, batch["user"], batch["parent"].tolist(), strict=True)):
            edges = (batch["of"] == k).nonzero()[:, 0]
            seen = places[batch["saw"][edges]]
            T = self.matrix(batch["gap"][edges], self.hours, self.T)  # (W, d, d)
            S = self.matrix(distance(where[:, None], where[seen]), self.km, self.S)  # (places, W, d, d)
            x = (S @ T @ self.q(seen)[..., None])[..., 0].sum(1)  # (places, d)
            h = torch.sigmoid(x + self.C @ (states[parent] if parent >= 0 else self.h_0))
            states.append(h[place])
            scores.append(((h + self.p(user)) * self.q.weight).sum(-1))
        return torch.stack(scores)

    def loss(self, batch: Batch) -> Tensor:
        """Equation 10 without its decay, over all other places."""
        o = self(batch)
        right = o.gather(1, batch["place"][:, None])
        others = torch.ones_like(o).scatter(1, batch["place"][:, None], 0).bool()
        return F.softplus(o - right)[others].mean()


def trails(users: int, visits: int, places: int) -> Batch:
    """Visits an hour or two apart, with the last five in each window, as datamodules.visits.Visits gives them."""
    torch.manual_seed(0)
    position = torch.arange(visits).repeat_interleave(users)  # the first visits of all users, then the second ones
    number = torch.arange(visits * users)
    times = (1 + torch.rand(visits, users)).cumsum(0).flatten()
    depth = position // 5  # a state goes on from that of five visits ago
    order = depth.argsort(stable=True)
    rank = torch.empty_like(order).scatter(0, order, number)
    pairs = [(k, k - back * users) for k in number.tolist() for back in range(1, 6) if k - back * users >= 0]
    of, saw = torch.tensor(pairs).unbind(1)
    parent = torch.where(position >= 5, rank[(number - 5 * users).clamp(0)], -1)
    batch = {"user": number % users, "parent": parent, "place": torch.randint(places, (len(number),))}
    batch = {name: values[order] for name, values in batch.items()}
    return {
        **batch,
        "of": rank[of],
        "saw": rank[saw],
        "gap": times[of] - times[saw],
        "coordinates": torch.stack([25 + 25 * torch.rand(places), -120 + 50 * torch.rand(places)], 1),
        "levels": depth.bincount().tolist(),
        "scored": number,
        "key": number,
    }
