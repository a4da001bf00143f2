"""How a document is read, given a question: once, once a word of the question, or evenly (section 3.2)."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function

from zoo.nn.kernels import at_least_float32, lower, only_once, quick, tanh

NEAR = 2**17  # numbers that stay in a CPU's cache


class AttentiveRead(nn.Module):
    """The Attentive Reader: m(t) = tanh(W_ym y_d(t) + W_um u), s(t) ~ exp(w_ms m(t)), r = sum s(t) y_d(t).

    g = tanh(W_rg r + W_ug u).

    Args:
        size: 2 H, of y_d(t) and u.
        attention: A, of m(t).
        output: G, of g.
    """

    rereads = False  # whether it reads y_q(i) too

    def __init__(self, size: int, attention: int, output: int):
        super().__init__()
        self.W_ym = nn.Linear(size, attention, bias=False)
        self.W_um = nn.Linear(size, attention, bias=False)
        self.w_ms = nn.Linear(attention, 1, bias=False)
        self.W_rg = nn.Linear(size, output, bias=False)
        self.W_ug = nn.Linear(size, output, bias=False)

    def forward(
        self, y_d: Tensor, u: Tensor, y_q: Tensor | None, inside: Tensor, asked: Tensor, look: bool
    ) -> tuple[Tensor, Tensor | None]:
        """g (batch, G), and s (batch, 1, T) if asked for.

        Args:
            y_d: (batch, T, 2H); u: (batch, 2H); y_q: (batch, L, 2H), of a kind that rereads.
            inside, asked: which words of the document and of the question there are, (batch, T) and (batch, L) bool.
        """
        m = tanh(self.W_ym(y_d) + self.W_um(u)[:, None])  # (batch, T, A)
        s = softmax(self.w_ms(m)[..., 0], inside)
        r = weighed(s, y_d)
        return (self.W_rg(r) + self.W_ug(u)).tanh(), s[:, None] if look else None


class UniformRead(nn.Module):
    """The Uniform Reader: all m(t) are equal, so s(t) = 1 / |d|; g is that of the Attentive Reader."""

    rereads = False

    def __init__(self, size: int, attention: int, output: int):
        super().__init__()
        self.W_rg = nn.Linear(size, output, bias=False)
        self.W_ug = nn.Linear(size, output, bias=False)

    def forward(
        self, y_d: Tensor, u: Tensor, y_q: Tensor | None, inside: Tensor, asked: Tensor, look: bool
    ) -> tuple[Tensor, Tensor | None]:
        """As :meth:`AttentiveRead.forward`."""
        s = inside / inside.sum(1, keepdim=True).clamp(min=1)
        return (self.W_rg(weighed(s, y_d)) + self.W_ug(u)).tanh(), s[:, None] if look else None


class ImpatientRead(nn.Module):
    """The Impatient Reader, which reads the document again at each word i of the question.

    m(i, t) = tanh(W_dm y_d(t) + W_rm r(i-1) + W_qm y_q(i)), s(i, t) ~ exp(w_ms m(i, t)), r(0) = r_0,
    r(i) = sum s(i, t) y_d(t) + tanh(W_rr r(i-1)), g = tanh(W_rg r(|q|) + W_qg u).

    Args:
        recompute: whether the backward pass computes m(i, t) again from W_dm y_d(t), of which there is one for all i.
    """

    rereads = True

    def __init__(self, size: int, attention: int, output: int, recompute: bool = True):
        super().__init__()
        self.W_dm = nn.Linear(size, attention, bias=False)
        self.W_rm = nn.Linear(size, attention, bias=False)
        self.W_qm = nn.Linear(size, attention, bias=False)
        self.w_ms = nn.Linear(attention, 1, bias=False)
        self.W_rr = nn.Linear(size, size, bias=False)
        self.W_rg = nn.Linear(size, output, bias=False)
        self.W_qg = nn.Linear(size, output, bias=False)
        self.r_0 = nn.Parameter(torch.zeros(size))
        self.recompute = recompute

    def forward(
        self, y_d: Tensor, u: Tensor, y_q: Tensor, inside: Tensor, asked: Tensor, look: bool
    ) -> tuple[Tensor, Tensor | None]:
        """As :meth:`AttentiveRead.forward`, with s (batch, L, T); a shorter question carries r on."""
        document, question = self.W_dm(y_d), self.W_qm(y_q)  # for all steps: (batch, T, A) and (batch, L, A)
        document, w = lower(document), lower(self.w_ms.weight[0])
        score = Scores() if self.recompute and quick() else plain_scores
        r, weights = self.r_0.expand(len(y_d), -1), []
        for i in range(question.shape[1]):
            s = softmax(score(document, (question[:, i] + self.W_rm(r)).to(document.dtype), w), inside)
            read = weighed(s, y_d) + self.W_rr(r).tanh()
            r = torch.where(asked[:, i, None], read, r.to(read.dtype))
            weights.append(s)
        return (self.W_rg(r) + self.W_qg(u)).tanh(), torch.stack(weights, 1) if look else None


def softmax(scores: Tensor, inside: Tensor) -> Tensor:
    """Over the words of each document, (batch, T) float32 at least; 0 at padding."""
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    return scores.masked_fill(~inside, -torch.inf).softmax(-1)


def weighed(s: Tensor, y_d: Tensor) -> Tensor:
    """sum over t of s(t) y_d(t): (batch, T) and (batch, T, 2H) -> (batch, 2H)."""
    return (s[:, None].to(y_d.dtype) @ y_d)[:, 0]


def plain_scores(document: Tensor, step: Tensor, w: Tensor) -> Tensor:
    """w tanh(document + step): (batch, T, A), (batch, A) and (A,) -> (batch, T)."""
    return tanh(document + step[:, None]) @ w


class Scores:
    """:func:`plain_scores` of several steps over one document, which keeps no tanh and adds up one gradient.

    The steps are called in a chain, so their backward passes come in the reverse order, that of the first step last.
    """

    def __init__(self) -> None:
        self.gradient: Tensor | None = None  # of the document, so far
        self.calls = 0

    def __call__(self, document: Tensor, step: Tensor, w: Tensor) -> Tensor:
        self.calls += 1
        return Score.apply(document, step, w, self, self.calls == 1)


class Score(Function):
    """One step of :class:`Scores`, a few rows at a time, which stay in a CPU's cache.

    tanh(x) is 2 s(2 x) - 1, so that s alone is computed, once for each pass.
    """

    @staticmethod
    def forward(ctx: Any, document: Tensor, step: Tensor, w: Tensor, steps: Scores, first: bool) -> Tensor:
        ctx.save_for_backward(document, step, w)
        ctx.steps, ctx.first = steps, first
        w = at_least_float32(w)
        return torch.cat([2 * (s @ w) - w.sum() for s in halves(document, step)])

    @staticmethod
    @only_once
    def backward(ctx: Any, d_scores: Tensor) -> tuple[Tensor | None, ...]:
        document, step, w = ctx.saved_tensors
        d_scores, w4 = at_least_float32(d_scores), 4 * at_least_float32(w)
        total, started = ctx.steps.gradient, ctx.steps.gradient is not None
        total = total if started else torch.empty_like(document)
        d_step, d_w, start = torch.empty_like(step), -d_scores.sum(), 0
        for s in halves(document, step):
            rows = slice(start, start + len(s))
            start += len(s)
            d_w = d_w + 2 * (d_scores[rows].flatten() @ s.flatten(0, 1))
            d_x = torch.ops.aten.sigmoid_backward(d_scores[rows, :, None] * w4, s)
            d_step[rows] = d_x.sum(1)
            total[rows].add_(d_x) if started else total[rows].copy_(d_x)
        ctx.steps.gradient = None if ctx.first else total
        return total if ctx.first else None, d_step, d_w.to(w.dtype), None, None


def halves(document: Tensor, step: Tensor) -> Iterator[Tensor]:
    """s(2 (document + step)) of a few rows after the other, (rows, T, A) float32 at least."""
    rows = max(1, NEAR // document[0].numel()) if document.is_cpu else len(document)
    for d, each in zip(document.split(rows), step.split(rows), strict=True):
        yield at_least_float32(d).add(each[:, None]).mul_(2).sigmoid_()
