"""Word alignment learned from pairs of sentences: IBM model 1, model 2 with a diagonal prior, and the HMM.

Model 1 and the HMM are those of Brown et al. (1993) and of Vogel, Ney and Tillmann (1996), empty words as in Och and
Ney (2003); the prior of model 2 is that of Dyer, Chahuneau and Smith (2013) with its tension held fixed. All of a batch
is computed at once. No update of EM makes the training text less likely.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from datamodules.files import DataError, check_counts

MODELS = ("ibm1", "ibm2", "hmm")
FLOOR = 1e-7  # t(e | f) of words that never stood in a pair
FARTHEST = 7  # jumps of so many words and more share a probability
TOGETHER = 512  # pairs of a batch
SCALINGS = 3  # steps towards the best jumps for given counts, each of which is better than the last

Ids = Sequence[Sequence[int]]


class Batch(NamedTuple):
    """Pairs with equally many source words S; T is the longest target."""

    index: list[int]  # which pairs
    cell: Tensor  # (batch, T, S + 1) int64: the entry of t for each pair of words, the empty word last
    real: Tensor  # (batch, T) boolean: the target words that are no padding


class Posterior(NamedTuple):
    """What a batch's alignments are, given both sides; all float64."""

    cells: Tensor  # (batch, T, S + 1): p(a_i = j | e, f)
    jumps: Tensor  # (S, S): expected moves from one source word to another, summed over the batch
    ahead: Tensor  # (batch, T + 1, S): p(a_i = j | e_1 .. e_{i-1}, f), before e_i is known; the last after all words
    log_likelihood: float


class Aligner:
    """Learns p(target | source) with a hidden source word, or the empty word, behind each target word.

    Args:
        model: "ibm1", "ibm2" or "hmm"; the last two begin with the word table of model 1.
        iterations: of EM for each of the models.
        null: the probability that a target word comes from the empty word.
        tension: how strongly model 2 favours the diagonal.

    Raises:
        DataError: a model that there is not.
    """

    def __init__(self, model: str = "hmm", iterations: int = 5, null: float = 0.08, tension: float = 4.0):
        if model not in MODELS:
            raise DataError(f"the aligner is {model!r}, not one of {', '.join(MODELS)}")
        check_counts(iterations=iterations)
        self.model, self.iterations, self.null, self.tension = model, iterations, null, tension
        self.jump = torch.ones(2 * FARTHEST + 1, dtype=torch.float64)

    def fit(self, source: Ids, target: Ids) -> list[float]:
        """Learns from pairs; returns the log-likelihood before each update, one model after the other.

        Args:
            source, target: ids from 0 of each sentence; a pair with an empty side teaches nothing.
        """
        self.words = 1 + max((i for side in (source, target) for row in side for i in row), default=0)
        pairs = [_keys(torch.tensor(f), torch.tensor(e), self.words).flatten() for f, e in _full(source, target)]
        self.keys = torch.cat([*pairs, torch.zeros(0, dtype=torch.int64)]).unique()  # f * words + e, sorted
        self.t = torch.ones(len(self.keys) + 1, dtype=torch.float64)  # the last: padding and pairs never seen
        self._normalise()
        batches = list(self._batches(source, target))
        history = []
        for model in dict.fromkeys(("ibm1", self.model)):
            for _ in range(self.iterations):
                history.append(self._update(batches, model))
        return history

    def posteriors(self, source: Ids, target: Ids) -> list[tuple[Tensor, Tensor]]:
        """For each pair p(a_i = j | e, f), (T, S + 1) with the empty word last, and what was to be expected before e_i
        was known, (T + 1, S), the last after all words. Of a pair with an empty side nothing is known: zeros."""
        found = [
            (torch.zeros(len(e), len(f) + 1), torch.zeros(len(e) + 1, len(f)))
            for f, e in zip(source, target, strict=True)
        ]
        for batch in self._batches(source, target):
            posterior = self._expect(batch, self.model)
            for row, i in enumerate(batch.index):
                length = len(target[i])
                found[i] = (posterior.cells[row, :length].float(), posterior.ahead[row, : length + 1].float())
        return found

    def _batches(self, source: Ids, target: Ids) -> Iterator[Batch]:
        kept = [i for i, (f, e) in enumerate(zip(source, target, strict=True)) if len(f) and len(e)]
        order = sorted(kept, key=lambda i: (len(source[i]), len(target[i])))
        start = 0
        while start < len(order):
            width = len(source[order[start]])
            index = [i for i in order[start : start + TOGETHER] if len(source[i]) == width]
            start += len(index)
            longest = len(target[index[-1]])
            f = torch.tensor([list(source[i]) for i in index])
            e = torch.zeros(len(index), longest, dtype=torch.int64)
            real = torch.zeros(len(index), longest, dtype=torch.bool)
            for row, i in enumerate(index):
                e[row, : len(target[i])] = torch.tensor(list(target[i]))
                real[row, : len(target[i])] = True
            yield Batch(index, self._cells(f, e).masked_fill(~real[..., None], len(self.keys)), real)

    def _cells(self, f: Tensor, e: Tensor) -> Tensor:
        """Entries of the table for source words (batch, S) and target words (batch, T): (batch, T, S + 1)."""
        wanted = _keys(f, e, self.words)
        place = torch.searchsorted(self.keys, wanted).clamp(max=max(len(self.keys) - 1, 0))
        known = (self.keys[place] == wanted) & (e < self.words)[..., None] if len(self.keys) else wanted < -1
        return torch.where(known, place, len(self.keys))

    def _normalise(self) -> None:
        """Makes t(. | f) sum to one for each f."""
        f = self.keys // self.words
        total = torch.zeros(self.words + 1, dtype=torch.float64).index_add_(0, f, self.t[:-1])
        self.t[:-1] /= total[f].clamp(min=1e-300)
        self.t[-1] = FLOOR

    def _prior(self, model: str, width: int, length: int) -> Tensor:
        """p(a_i = j) of models 1 and 2 without the empty word: (T, S), or for each target length (lengths, T, S)."""
        if model == "ibm1":
            return torch.full((length, width), (1 - self.null) / width, dtype=torch.float64)
        i = torch.arange(1, length + 1, dtype=torch.float64)[:, None] / length
        j = torch.arange(1, width + 1, dtype=torch.float64) / width
        return (1 - self.null) * (-self.tension * (i - j).abs()).softmax(-1)

    def moves(self, width: int) -> Tensor:
        """p(j | j') of the HMM for a source of so many words, the empty word apart: (S, S)."""
        jumps = self.jump[_bins(width)]
        return jumps / jumps.sum(1, keepdim=True)

    def _expect(self, batch: Batch, model: str) -> Posterior:
        return self._chain(batch) if model == "hmm" else self._independent(batch, model)

    def _independent(self, batch: Batch, model: str) -> Posterior:
        """Models 1 and 2, whose target words do not depend on each other."""
        t = self.t[batch.cell]
        width, lengths = t.shape[2] - 1, batch.real.sum(1)
        prior = torch.zeros_like(t[..., :-1])
        for length in lengths.unique().tolist():
            rows = lengths == length
            prior[rows, :length] = self._prior(model, width, length)
        empty = torch.full_like(t[..., -1:], self.null)
        joint = torch.cat([prior, empty], -1) * t
        total = joint.sum(-1, keepdim=True)
        cells = torch.where(batch.real[..., None], joint / total, 0)
        none = torch.zeros(width, width, dtype=torch.float64)
        log_likelihood = total.squeeze(-1).log()[batch.real].sum().item()
        after = torch.full_like(prior[:, :1], 1 / width)  # these models say nothing of a word that there is not
        return Posterior(cells, none, torch.cat([prior / (1 - self.null), after], 1), log_likelihood)

    def _chain(self, batch: Batch) -> Posterior:
        """Forward and backward over the target words; an empty word remembers the last source word."""
        t = self.t[batch.cell]
        words, empty = t[..., :-1], t[..., -1:]  # (batch, T, S), (batch, T, 1)
        size, length, width = words.shape
        move, null = self.moves(width), self.null
        here = torch.full((size, width), 1 / width, dtype=torch.float64)  # where the last word was; at first anywhere
        ahead, found, skipped, scales, before = [], [], [], [], []
        for i in range(length):
            expected = here @ move if i else here
            real = batch.real[:, i, None]
            word, skip = (1 - null) * expected * words[:, i], null * here * empty[:, i]
            scale = torch.where(real, (word + skip).sum(1, keepdim=True), 1)
            before.append(here), ahead.append(expected), scales.append(scale)
            found.append(word / scale), skipped.append(skip / scale)
            here = torch.where(real, (word + skip) / scale, here)
        ahead.append(here @ move)
        later = torch.ones(size, width, dtype=torch.float64)
        cells = torch.zeros(size, length, width + 1, dtype=torch.float64)
        jumps = torch.zeros(width, width, dtype=torch.float64)
        for i in reversed(range(length)):
            real = batch.real[:, i, None]
            cells[:, i, :-1] = torch.where(real, found[i] * later, 0)
            cells[:, i, -1:] = torch.where(real, (skipped[i] * later).sum(1, keepdim=True), 0)
            reached = (1 - null) * words[:, i] * later / scales[i]
            if i:
                jumps += move * (torch.where(real, before[i], 0).T @ reached)
            step = reached @ move.T + null * empty[:, i] / scales[i] * later
            later = torch.where(real, step, later)
        log_likelihood = torch.cat(scales, 1).log()[batch.real].sum().item()
        return Posterior(cells, jumps, torch.stack(ahead, 1), log_likelihood)

    def _update(self, batches: list[Batch], model: str) -> float:
        """One iteration of EM; returns the log-likelihood before it."""
        counts, total = torch.zeros_like(self.t), 0.0
        jumps: dict[int, Tensor] = {}
        for batch in batches:
            posterior = self._expect(batch, model)
            counts.index_add_(0, batch.cell.flatten(), posterior.cells.flatten())
            width = posterior.jumps.shape[0]
            jumps[width] = jumps.get(width, 0) + posterior.jumps
            total += posterior.log_likelihood
        self.t = counts
        self._normalise()
        if model == "hmm":
            self._rescale(jumps)
        return total

    def _rescale(self, jumps: dict[int, Tensor]) -> None:
        """Jumps that make the expected moves more likely.

        Moves from j' are jumps divided by the sum of those that stay within the sentence, so that relative counts are
        not the best; c_k = N_k / sum of M n_k / Z is the step for such sums that never makes it worse (Hunter 2004).
        """
        wanted = torch.zeros_like(self.jump)
        for width, moved in jumps.items():
            wanted.index_add_(0, _bins(width).flatten(), moved.flatten())
        for _ in range(SCALINGS):
            rate = torch.zeros_like(self.jump)
            for width, moved in jumps.items():
                bins = _bins(width)
                share = moved.sum(1) / self.jump[bins].sum(1)  # M / Z of each word that is left
                rate.index_add_(0, bins.flatten(), share[:, None].expand_as(bins).flatten())
            self.jump = torch.where(rate > 0, wanted / rate.clamp(min=1e-300), self.jump).clamp(min=1e-12)


def _bins(width: int) -> Tensor:
    """The kind of the jump from each source word to each: (S, S) int64."""
    place = torch.arange(width)
    return (place[None] - place[:, None]).clamp(-FARTHEST, FARTHEST) + FARTHEST


def _keys(f: Tensor, e: Tensor, words: int) -> Tensor:
    """A number for each pair of a source (..., S) or empty word and a target word (..., T): (..., T, S + 1)."""
    f = torch.cat([f, f.new_full((*f.shape[:-1], 1), words)], -1)
    return f[..., None, :] * words + e[..., :, None]


def _full(source: Ids, target: Ids) -> list[tuple[list[int], list[int]]]:
    """The pairs of which neither side is empty."""
    return [(list(f), list(e)) for f, e in zip(source, target, strict=True) if len(f) and len(e)]
