"""N-best lists put into another order: features of hypotheses, weights chosen on validation, and a test of the gain."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import sacrebleu
import torch
from numpy.typing import NDArray

from zoo.errors import ZooError, check_whole
from zoo.text.codec import BOS, PAD, with_eos
from zoo.text.decoding import beam_search
from zoo.text.translation import TOGETHER, Translate

ORDER = 4  # of BLEU's n-grams
GRID = tuple(round(0.05 * i, 2) for i in range(41))  # weights that are tried


class Candidate(NamedTuple):
    """A translation and the score by which the translator ranked it."""

    text: str
    score: float


class Lists(NamedTuple):
    """N-best lists as arrays; a shorter list is filled up with its first hypothesis, which then never wins."""

    features: NDArray  # (sentences, N, features) float64, -inf in the first where a list is filled up
    counts: NDArray  # (sentences, N, 2 * ORDER + 2) int64: matches and n-grams of each order, lengths of both sides


@torch.no_grad()
def n_best(pipe: Translate, sources: Sequence[str], size: int, normalise: str = "length") -> list[list[Candidate]]:
    """The hypotheses that a beam of `size` finds for each source, best first.

    Raises:
        ZooError: an empty source.
    """
    check_whole(1, 1000, size=size)
    ids = pipe.source.encode(list(sources))
    if any(not row for row in ids):
        raise ZooError("a source is empty, and there is nothing to put into another order")
    order, found = sorted(range(len(ids)), key=lambda i: len(ids[i])), {}
    for start in range(0, len(order), TOGETHER):
        part = order[start : start + TOGETHER]
        source = with_eos([ids[i] for i in part], pipe.device)
        mask = source != PAD
        memory = pipe.network.encode(source, mask)
        state = pipe.network.start(memory, size)
        limits = {"max_length": pipe.longest(mask.sum(1)), "banned": (PAD, BOS)}
        search = beam_search(pipe.network.step, state, memory, n_best=size, normalise=normalise, **limits)
        for i, hypotheses in zip(part, search, strict=True):
            texts = {pipe.target.join(pipe.target.pieces(each.tokens)): each.score for each in reversed(hypotheses)}
            found[i] = [Candidate(text, score) for text, score in sorted(texts.items(), key=lambda pair: -pair[1])]
    return [found[i] for i in range(len(ids))]


def counts(hypothesis: str, reference: str, lowercase: bool = False) -> NDArray:
    """What BLEU sums over a corpus, of one sentence: (2 * ORDER + 2,) int64."""
    metric = sacrebleu.BLEU(lowercase=lowercase, effective_order=True)
    score = metric.sentence_score(hypothesis, [reference])
    return np.array([*score.counts, *score.totals, score.sys_len, score.ref_len])


def bleu_of(summed: NDArray) -> NDArray:
    """Corpus BLEU in percent of summed counts (..., 2 * ORDER + 2), as sacreBLEU has it with exponential smoothing."""
    flat = summed.reshape(-1, summed.shape[-1])
    scores = [
        sacrebleu.BLEU.compute_bleu(
            row[:ORDER].tolist(), row[ORDER : 2 * ORDER].tolist(), int(row[-2]), int(row[-1]), smooth_method="exp"
        ).score
        for row in flat
    ]
    return np.array(scores).reshape(summed.shape[:-1])


def stack(features: Sequence[Sequence[Sequence[float]]], counted: Sequence[Sequence[NDArray]]) -> Lists:
    """Lists of each sentence's hypotheses as arrays.

    Args:
        features: of each sentence, of each hypothesis.
        counted: likewise, of :func:`counts`.
    """
    longest, number = max(map(len, features)), len(features[0][0])
    made = np.zeros((len(features), longest, number))
    made[..., 0] = -np.inf
    of = np.zeros((len(features), longest, 2 * ORDER + 2), np.int64)
    for i, (rows, sums) in enumerate(zip(features, counted, strict=True)):
        made[i, : len(rows)], of[i, : len(rows)] = rows, sums
    return Lists(made, of)


def chosen(lists: Lists, weights: Sequence[float]) -> NDArray:
    """Which hypothesis of each sentence wins under weights of the features, the first having the weight 1."""
    return (lists.features @ np.array([1.0, *weights])).argmax(1)


def sums_of(lists: Lists, choice: NDArray) -> NDArray:
    """The counts of the chosen hypotheses: (sentences, 2 * ORDER + 2)."""
    return np.take_along_axis(lists.counts, choice[:, None, None], 1)[:, 0]


def tune(lists: Lists, grids: Sequence[Sequence[float]]) -> tuple[list[float], float]:
    """The weights with the best BLEU on these lists, and that BLEU.

    Every point of the grid is tried, in place of the search along lines of Och (2003): a re-ranker has few features. Of
    equal ones the first wins, so that what changes nothing is not used.

    Args:
        grids: values of each weight but the first.
    """
    points = np.stack(np.meshgrid(*grids, indexing="ij"), -1).reshape(-1, len(grids))
    totals = np.stack([sums_of(lists, chosen(lists, point)).sum(0) for point in points])
    scores = bleu_of(totals)
    best = int(scores.argmax())
    return points[best].tolist(), float(scores[best])


def bootstrap(before: NDArray, after: NDArray, samples: int = 1000, seed: int = 0) -> dict[str, float]:
    """Whether a gain in BLEU could be chance: corpora drawn with replacement (Koehn 2004), both systems on each.

    Args:
        before, after: counts of each sentence, (sentences, 2 * ORDER + 2).

    Returns:
        p, the share of the drawn corpora in which `after` is not above `before` (one more on both sides of the share,
        so that it is never 0), and the bounds of 95 % of the gains.
    """
    random = np.random.default_rng(seed)
    drawn = random.integers(len(before), size=(samples, len(before)))
    gain = np.array([bleu_of(after[rows].sum(0)) - bleu_of(before[rows].sum(0)) for rows in drawn])
    low, high = np.percentile(gain, [2.5, 97.5])
    return {"p": float((1 + (gain <= 0).sum()) / (1 + samples)), "low": float(low), "high": float(high)}
