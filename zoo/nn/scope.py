"""Which inputs are looked at: all (global), or a window around a place (local-m, local-p of Luong et al. 2015).

``scope(energies, mask, query, step)`` turns energies (batch, Q, S), a mask (batch, S), True = attend, and the queries
(batch, Q, query_dim) into weights (batch, Q, S), float32 at least. `step` says at which output the queries are, from 0:
an int, or a tensor that broadcasts to (batch, Q). The weights are zero where the mask is False, and so is a row that
has nothing to look at. A constructor asks for what it needs of `query_dim`, `window`, `reverse` and `renormalise`.

Local scopes count from 0 in the natural order of the sentence, over what the mask allows, and take its last input for
the end symbol. With `reverse` the words stand reversed, the end symbol still last: of n words and the end symbol, the
one at place j < n has position n - 1 - j, and the end symbol n.
"""

import torch
from torch import Tensor, nn

from zoo.errors import check_whole
from zoo.nn.kernels import at_least_float32
from zoo.nn.scores import vector


def masked_softmax(energies: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the last axis where the mask is True.

    Elsewhere the weight is exactly zero, and no gradient flows; a row without any True is zero too, and nothing of it
    is NaN on the way.

    Args:
        energies: (..., S), any float type.
        mask: broadcasts to it.

    Returns:
        (..., S), float32 at least.
    """
    energies = at_least_float32(energies)
    seen = mask.to(energies.dtype)
    # minus infinity would make NaN of a row without any True; sums, since filling is slow on a CPU
    hidden = (1 - seen) * (torch.finfo(energies.dtype).min / 2)
    return (energies + hidden).softmax(-1) * seen


def natural_positions(mask: Tensor, reverse: bool) -> Tensor:
    """(batch, S) int64: where each input stands in the sentence as it is written; senseless where the mask is False."""
    place = mask.cumsum(-1) - 1
    if not reverse:
        return place
    end = mask.sum(-1, keepdim=True) - 1
    return torch.where(place < end, end - 1 - place, place)


class Global(nn.Module):
    """Softmax over all inputs that the mask allows."""

    def forward(self, energies: Tensor, mask: Tensor, query: Tensor, step: int | Tensor) -> Tensor:
        return masked_softmax(energies, mask[:, None])


class LocalM(nn.Module):
    """Softmax over the window [p_t - D, p_t + D] around p_t = t (section 3.2, monotonic).

    Args:
        window: D.
        reverse: whether the words of the source stand reversed.
    """

    def __init__(self, window: int = 10, reverse: bool = False):
        super().__init__()
        check_whole(0, **{"attention.window": window})
        self.window, self.reverse = window, reverse

    def positions(self, query: Tensor, mask: Tensor, step: int | Tensor) -> Tensor:
        """p_t = t, but not past the last word: (batch, Q) int64, in natural order."""
        last = (mask.sum(-1, keepdim=True) - 2).clamp(min=0)
        return last.clamp(max=step).expand(query.shape[:2])

    def forward(self, energies: Tensor, mask: Tensor, query: Tensor, step: int | Tensor) -> Tensor:
        p = self.positions(query, mask, step)
        distance = natural_positions(mask, self.reverse)[:, None] - p[..., None]  # (batch, Q, S)
        return masked_softmax(energies, mask[:, None] & (distance.abs() <= self.window))


class LocalP(nn.Module):
    """The window is around a place that is predicted, and a Gaussian favours its centre (section 3.2, predictive).

    As the authors' code has it: the window is around the whole part of p_t, the softmax is over the window, and the
    Gaussian comes after it without renormalising, so that the weights sum to less than one. W_p and v_p learn through
    the Gaussian alone.

    Args:
        window: D; the Gaussian's standard deviation is D / 2.
        reverse: whether the words of the source stand reversed.
        renormalise: whether the weights are made to sum to one after all.
    """

    def __init__(self, query_dim: int, window: int = 10, reverse: bool = False, renormalise: bool = False):
        super().__init__()
        check_whole(1, **{"attention.window": window})  # half of it is a deviation
        self.window, self.reverse, self.renormalise = window, reverse, renormalise
        self.W_p = nn.Linear(query_dim, query_dim, bias=False)
        self.v_p = vector(query_dim)

    def positions(self, query: Tensor, mask: Tensor, step: int | Tensor) -> Tensor:
        """p_t = (S - 1) sigmoid(v_p . tanh(W_p q)), S with the end symbol: (batch, Q) real, in natural order."""
        logit = (at_least_float32(self.W_p(query).tanh()) * self.v_p).sum(-1)
        return (mask.sum(-1, keepdim=True) - 1).clamp(min=0) * at_least_float32(logit).sigmoid()

    def forward(self, energies: Tensor, mask: Tensor, query: Tensor, step: int | Tensor) -> Tensor:
        place = natural_positions(mask, self.reverse)[:, None]
        p = self.positions(query, mask, step)[..., None]
        inside = (place - p.floor()).abs() <= self.window  # (batch, Q, S)
        gaussian = (-2 * ((place - p) / self.window).square()).exp()  # sigma = D / 2
        weights = masked_softmax(energies, mask[:, None] & inside) * gaussian
        if self.renormalise:
            total = weights.sum(-1, keepdim=True)
            weights = weights / total.masked_fill(total == 0, 1)  # a row that sees nothing stays zero
        return weights


SCOPES = {"global": Global, "local_m": LocalM, "local_p": LocalP}
