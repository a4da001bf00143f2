"""The weights of ABS+ by exact line search over lists of titles (section 5; Och 2003).

A list is the titles that were found for an input, with the features and the ROUGE of each. The weights choose of every
list the title with the highest alpha . features; along a line in the space of weights that choice changes at the
corners of an upper envelope, so the mean ROUGE along it is a step function that is known exactly.
"""

from collections.abc import Sequence

import numpy as np

FREE = ((1, 0.0, np.inf), (2, 0.0, np.inf), (3, 0.0, np.inf), (4, -np.inf, 0.0))
# Of the five weights that of the log-probability stays 1, and that of reordering is at most 0, as in the release. The
# other three are at least 0: where words of the input cost something and pairs of them are worth it, a beam drops the
# word before it comes to the pair, so that weights which are good on a list are bad in the search.


class Lists:
    """Titles of many inputs as arrays: features (inputs, n, 5) and score (inputs, n); places without one have -inf.

    A title that is found again is kept once.
    """

    def __init__(self) -> None:
        self.found: dict[int, dict[tuple[int, ...], tuple[list[float], float]]] = {}

    def add(self, item: int, titles: Sequence[tuple[int, ...]], features: np.ndarray, scores: Sequence[float]) -> int:
        """Adds the titles of an input; returns how many were new."""
        known = self.found.setdefault(item, {})
        before = len(known)
        for title, vector, score in zip(titles, features.tolist(), scores, strict=True):
            known.setdefault(title, (vector, score))
        return len(known) - before

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Features and scores, with -inf of the log-probability where a list is shorter than the longest."""
        lists = [list(titles.values()) for _, titles in sorted(self.found.items())]
        longest = max(map(len, lists))
        features = np.zeros((len(lists), longest, 5))
        features[:, :, 0], scores = -1e30, np.zeros((len(lists), longest))
        for i, titles in enumerate(lists):
            features[i, : len(titles)] = [vector for vector, _ in titles]
            scores[i, : len(titles)] = [score for _, score in titles]
        return features, scores


def chosen(alpha: np.ndarray, features: np.ndarray, scores: np.ndarray) -> float:
    """The mean score of the titles that alpha chooses, the first of equal ones."""
    best = (features @ alpha).argmax(1)
    return float(scores[np.arange(len(best)), best].mean())


def search_line(
    alpha: np.ndarray, direction: np.ndarray, features: np.ndarray, scores: np.ndarray, low: float, high: float
) -> tuple[float, float]:
    """The step t in [low, high] whose weights alpha + t direction choose the best titles, and their mean score.

    t is the middle of the best interval between corners, which need not be the only one; of an interval without an end
    it is one step beyond the corner, so that weights stay near where something was seen.
    """
    offset, slope = features @ alpha, features @ direction  # each title is a line offset + t slope
    rows = np.arange(len(offset))
    reach = 1e3 + np.abs(alpha).max()
    start, end = max(low, -reach), min(high, reach)
    at_start = offset + start * slope
    top = at_start.max(1, keepdims=True)
    current = np.where(at_start >= top - 1e-9, slope, -np.inf).argmax(1)  # of the highest the one that rises fastest
    t, corners, gains = np.full(len(offset), start), [], []
    total = scores[rows, current].sum()
    while True:
        rise = slope - slope[rows, current][:, None]
        gap = offset[rows, current][:, None] - offset
        with np.errstate(divide="ignore", invalid="ignore"):
            meet = np.where(rise > 1e-12, gap / rise, np.inf)
        meet = np.maximum(meet, t[:, None])
        first = meet.min(1)
        at_first = meet <= first[:, None] + 1e-12
        following = np.where(at_first, slope, -np.inf).argmax(1)
        going = first < end
        if not going.any():
            break
        corners.append(first[going])
        gains.append((scores[rows, following] - scores[rows, current])[going])
        current, t = np.where(going, following, current), np.where(going, first, end)
    corners, gains = np.concatenate([*corners, []]), np.concatenate([*gains, []])
    order = corners.argsort(kind="stable")
    edges = np.concatenate([[start], corners[order], [end]])
    totals = np.concatenate([[total], total + gains[order].cumsum()])
    wide = np.diff(edges) > 1e-9
    best = int(np.where(wide, totals, -np.inf).argmax())
    left = edges[best] if best or np.isfinite(low) else edges[best + 1] - 2
    right = edges[best + 1] if best < len(edges) - 2 or np.isfinite(high) else edges[best] + 2
    step = 0.0 if len(edges) == 2 else float((left + right) / 2)
    return step, float(totals[best] / len(offset))


def tune(alpha: np.ndarray, features: np.ndarray, scores: np.ndarray, starts: int = 8, seed: int = 0) -> np.ndarray:
    """Weights that choose titles with a high mean score: line search along each free weight until none gains.

    Args:
        alpha: (5,), where the first search starts.
        features, scores: see :class:`Lists`.
        starts: random weights to start from besides.
    """
    random = np.random.default_rng(seed)
    best, found = alpha, chosen(alpha, features, scores)
    drawn = abs(random.normal(0, 3, (starts, 5))) * (0, 1, 1, 1, -1) + (1, 0, 0, 0, 0)
    for start in [alpha, *drawn]:
        here, score = start.astype(float), chosen(start, features, scores)
        gained = True
        while gained:
            gained = False
            for place, low, high in FREE:
                direction = np.eye(5)[place]
                step, _ = search_line(here, direction, features, scores, low - here[place], high - here[place])
                there = here + step * direction
                if (value := chosen(there, features, scores)) > score + 1e-9:
                    here, score, gained = there, value, True
        if score > found + 1e-9:
            best, found = here, score
    return best
