"""What ST-RNN is compared with (table 1): all score candidates as :class:`zoo.models.st_rnn.STRNN` does.

The paper names these methods and cites where they come from; the formulas are those of the cited papers as we know
them.
"""

from typing import Any

import torch
from torch import Tensor, nn

from zoo.models.st_rnn.bins import distance
from zoo.models.st_rnn.network import Batch


def taken(table: Tensor, candidates: Tensor | None) -> Tensor:
    """Of (n, places) scores those of the candidates (n, N), or all."""
    return table if candidates is None else table.gather(1, candidates)


class Scorer(nn.Module):
    """A network of embeddings, uniform between -1 and 1 over the root of their size at first."""

    def __init__(self, users: int, places: int, dim: int = 13):
        super().__init__()
        self.users, self.places, self.dim = users, places, dim

    def embedding(self, count: int, size: int | None = None) -> nn.Embedding:
        made = nn.Embedding(count, size or self.dim)
        nn.init.uniform_(made.weight, -(made.embedding_dim**-0.5), made.embedding_dim**-0.5)
        return made

    def shown(self, candidates: Tensor | None) -> Tensor:
        """The candidates (n, N), or (places,) where all places are."""
        every = torch.arange(self.places, device=next(self.parameters()).device)
        return every if candidates is None else candidates

    def last(self, batch: Batch, rows: Tensor) -> Tensor:
        """The place of the visit before, (n,); `places` where there is none."""
        before = batch["last"][rows]
        return torch.where(before < 0, self.places, batch["place"][before.clamp(min=0)])


class Counts(Scorer):
    """Scores from counts of the training visits; it has nothing to learn by gradients.

    Args:
        kind: "top": how often a place was visited; "own": how often the user did, then how often all did; "markov": how
            often it followed on the place before, then how often all visited it.
    """

    def __init__(self, users: int, places: int, dim: int = 13, kind: str = "top"):
        super().__init__(users, places, dim)
        self.kind = kind
        rows = {"top": 1, "own": users, "markov": places + 1}[kind]
        self.register_buffer("seen", torch.zeros(rows, places))
        self.register_buffer("all", torch.zeros(places))
        self.nothing = nn.Parameter(torch.zeros(()))  # what an optimiser may have

    def of(self, batch: Batch, rows: Tensor) -> Tensor:
        """The row of the table that a visit belongs to."""
        if self.kind == "top":
            return torch.zeros_like(rows)
        return batch["user"][rows] if self.kind == "own" else self.last(batch, rows)

    @torch.no_grad()
    def count(self, batch: Batch, rows: Tensor) -> None:
        """Adds some visits."""
        one = self.all.new_ones(len(rows))
        self.seen.index_put_((self.of(batch, rows), batch["place"][rows]), one, accumulate=True)
        self.all.index_add_(0, batch["place"][rows], one)

    def forward(self, batch: Batch, rows: Tensor, candidates: Tensor | None = None) -> Tensor:
        share = self.all / self.all.sum().clamp(min=1)  # below one, so it decides among equals alone
        return taken(self.seen[self.of(batch, rows)] + share, candidates) + self.nothing


class MF(Scorer):
    """u . v, trained by BPR (the paper: probabilistic matrix factorisation)."""

    def __init__(self, users: int, places: int, dim: int = 13):
        super().__init__(users, places, dim)
        self.u, self.v, self.bias = self.embedding(users), self.embedding(places), self.embedding(places, 1)

    def forward(self, batch: Batch, rows: Tensor, candidates: Tensor | None = None) -> Tensor:
        shown = self.shown(candidates)
        return (self.u(batch["user"][rows])[:, None] * self.v(shown)).sum(-1) + self.bias(shown)[..., 0]


class FPMC(Scorer):
    """Factorised personalised Markov chain: <U_u, L_v> + <A_v, B_prev> (Rendle et al. 2010).

    Args:
        region_km: candidates and negatives further than this from the last place get the lowest score (the paper's
            PFMC-LR, Cheng et al. 2013); None for no region.
    """

    def __init__(self, users: int, places: int, dim: int = 13, region_km: float | None = None):
        super().__init__(users, places, dim)
        self.region_km = region_km
        self.U, self.L = self.embedding(users), self.embedding(places)
        self.A, self.B = self.embedding(places), self.embedding(places + 1)

    def forward(self, batch: Batch, rows: Tensor, candidates: Tensor | None = None) -> Tensor:
        shown, last = self.shown(candidates), self.last(batch, rows)
        user, before = self.U(batch["user"][rows])[:, None], self.B(last)[:, None]
        score = (user * self.L(shown)).sum(-1) + (before * self.A(shown)).sum(-1)
        if self.region_km is None:
            return score
        where = batch["coordinates"]
        known = (last < self.places)[:, None]
        far = distance(where[last.clamp(max=self.places - 1)][:, None], where[shown]) > self.region_km
        return score - 1e4 * (far & known)


class PRME(Scorer):
    """Personalised ranking metric embedding with a geographical factor: -(a |x_u - x_v|^2 + (1 - a) |s_prev - s_v|^2).

    After Feng et al. (2015): the part of the sequence counts only within `hours` of the last visit, and the whole is
    weighed with the distance, (1 + km)^0.25.
    """

    def __init__(self, users: int, places: int, dim: int = 13, alpha: float = 0.2, hours: float = 6.0):
        super().__init__(users, places, dim)
        self.alpha, self.hours = alpha, hours
        self.x_u, self.x_v, self.s = self.embedding(users), self.embedding(places), self.embedding(places + 1)

    def forward(self, batch: Batch, rows: Tensor, candidates: Tensor | None = None) -> Tensor:
        shown, last = self.shown(candidates), self.last(batch, rows)
        taste = (self.x_u(batch["user"][rows])[:, None] - self.x_v(shown)).square().sum(-1)
        follows = (self.s(last)[:, None] - self.s(shown)).square().sum(-1)
        where = batch["coordinates"]
        far = distance(where[last.clamp(max=self.places - 1)][:, None], where[shown])
        soon = ((batch["idle"][rows] <= self.hours) & (last < self.places))[:, None]
        both = (1 + far) ** 0.25 * (self.alpha * taste + (1 - self.alpha) * follows)
        return -torch.where(soon, both, taste)


class Recurrent(Scorer):
    """The plain recurrent network of equation 1, or a GRU: (h + p_u) . q_v with the state after the visit before.

    Args:
        cell: "rnn" (f is the logistic function in the paper; tanh here, as torch has it) or "gru".
    """

    def __init__(self, users: int, places: int, dim: int = 13, cell: str = "rnn"):
        super().__init__(users, places, dim)
        self.q, self.p = self.embedding(places), self.embedding(users)
        self.core = {"rnn": nn.RNN, "gru": nn.GRU}[cell](dim, dim, batch_first=True)
        self.h_0 = nn.Parameter(torch.zeros(dim))

    def forward(self, batch: Batch, rows: Tensor, candidates: Tensor | None = None) -> Tensor:
        line, column = batch["line"], batch["position"]
        x = self.h_0.new_zeros(batch["lines"], batch["longest"], self.dim)
        x = x.index_put((line, column), self.q(batch["place"]))
        h_0 = self.h_0.expand(batch["lines"], -1)
        after, _ = self.core(x, h_0[None].contiguous())
        before = torch.cat([h_0[:, None], after[:, :-1]], 1)  # of each visit the state that it finds
        h = before[line[rows], column[rows]] + self.p(batch["user"][rows])
        return (h[:, None] * self.q(self.shown(candidates))).sum(-1)


METHODS: dict[str, Any] = {"counts": Counts, "mf": MF, "fpmc": FPMC, "prme": PRME, "recurrent": Recurrent}
