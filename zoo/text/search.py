"""What every way of decoding shares: limits, finished hypotheses, the history of a batch that shrinks.

Symbols are what a decoder writes, one a step: words, and at the end eos, which counts in every length.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from zoo.errors import ZooError

PAD, BOS, EOS, UNK = range(4)
BLOCK = 64  # words of which one maximum is taken before the best words are looked for
WORTH = 8  # sentences are dropped when at least 1 / WORTH of the batch is done, since dropping copies the memory

Step = Callable[[Tensor, Any, Any], tuple[Tensor, Any, Tensor | None]]


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """One output of a decoder.

    Args:
        tokens: without bos and eos.
        log_prob: of the tokens, and of eos if it was written.
        score: what hypotheses are ranked by.
        finished: whether eos was written.
        weights: (symbols, S), a row for each token and, if it was written, one for eos; None without attention.
    """

    tokens: list[int]
    log_prob: float
    score: float
    finished: bool
    weights: Tensor | None


def real(ids: Tensor) -> Tensor:
    """The places of words in a sentence (length,): not of padding nor of its ends."""
    return (ids >= UNK).nonzero()[:, 0]


def tree_map(function: Callable[[Tensor], Tensor], tree: Any) -> Any:
    """The same tree of tuples, NamedTuples, lists and dicts with the function applied to its tensors."""
    if isinstance(tree, Tensor):
        return function(tree)
    if isinstance(tree, dict):
        return {name: tree_map(function, item) for name, item in tree.items()}
    if isinstance(tree, tuple | list):
        items = [tree_map(function, item) for item in tree]
        return type(tree)(*items) if hasattr(tree, "_fields") else type(tree)(items)
    if tree is None or isinstance(tree, int | float | str):
        return tree
    raise TypeError(f"a state or memory holds a {type(tree).__name__}; expected tensors in tuples, lists or dicts")


def sizes(state: Any) -> tuple[int, int, torch.device]:
    """Sentences, hypotheses of each, and the device."""
    tensors: list[Tensor] = []
    tree_map(lambda x: tensors.append(x) or x, state)
    if not tensors or tensors[0].ndim < 2:
        raise ValueError("the state has no tensor of the shape (batch, beam, ...)")
    return *tensors[0].shape[:2], tensors[0].device


class Limits(NamedTuple):
    """Which symbols may be written when; batch first, so that it shrinks with the batch."""

    longest: Tensor  # (batch,) symbols
    shortest: Tensor  # (batch,)


def limits(longest: int | Tensor, shortest: int | Tensor, batch: int, device: torch.device) -> tuple[Limits, list, int]:
    """The limits, the different maximal lengths (sorted) and the largest minimal one; the only look from the host."""
    both = torch.stack([torch.as_tensor(x, device=device).expand(batch) for x in (longest, shortest)])
    ends, most = sorted(set(both[0].tolist())), max(both[1].tolist(), default=0)
    if ends and ends[0] < 1:
        raise ValueError(f"max_length is {ends[0]} for a sentence, expected at least 1 (eos counts)")
    return Limits(*both), ends, most


def forbid(log_probs: Tensor, words: Sequence[int], eos: int, early: Tensor | None) -> None:
    """Takes, in place, the words from log_probs (batch, K, V), and eos from the sentences that are early (batch,)."""
    for word in words:
        log_probs[:, :, word] = -torch.inf
    if early is not None:
        log_probs[:, :, eos].masked_fill_(early[:, None], -torch.inf)


def best_words(score: Tensor, log_probs: Tensor, n: int) -> tuple[Tensor, Tensor, Tensor]:
    """The n best continuations of K hypotheses, best first.

    The n largest numbers lie in the n blocks with the largest maxima; maxima are much cheaper than a top-k, and the
    sums with the scores are needed for few.

    Args:
        score: (batch, K) log-probabilities so far.
        log_probs: (batch, K, V).
        n: at most K * V.

    Returns:
        Log-probabilities, hypotheses (< K) and words (< V), (batch, n) each.
    """
    _, beam, words = log_probs.shape
    blocks = words // BLOCK
    flat = log_probs.flatten(1)
    if beam * blocks <= 2 * n:
        value, index = (score[:, :, None] + log_probs).flatten(1).topk(n)
        return value, index // words, index % words
    whole = blocks * BLOCK
    highest = log_probs[:, :, :whole].unflatten(-1, (blocks, BLOCK)).amax(-1) + score[:, :, None]
    block = highest.flatten(1).topk(n).indices
    start = block // blocks * words + block % blocks * BLOCK
    near = (start[:, :, None] + torch.arange(BLOCK, device=flat.device)).flatten(1)
    if whole < words:
        rest = torch.arange(beam * words, device=flat.device).view(beam, words)[:, whole:].flatten()
        near = torch.cat([near, rest.expand(len(near), -1)], 1)
    value, place = (flat.gather(1, near) + score.gather(1, near // words)).topk(n)
    index = near.gather(1, place)
    return value, index // words, index % words


def length_penalty(length: float, normalise: str, alpha: float) -> float:
    """What the log-probability of so many symbols is divided by; see :func:`zoo.text.decoding.beam_search`."""
    if normalise == "none":
        return 1.0
    if normalise not in ("length", "gnmt"):
        raise ZooError(f"normalise is {normalise!r}, expected 'none', 'length' or 'gnmt'")
    return (length if normalise == "length" else (5 + length) / 6) ** alpha


def coverage_penalty(covered: Tensor, mask: Tensor) -> Tensor:
    """sum_j log min(sum_i a_ij, 1) over the valid source (Wu et al. 2016, eq. 14, without beta).

    Args:
        covered: (batch, K, S), the weights of all steps, summed. A place never looked at counts as the smallest float.
        mask: (batch, S).

    Returns:
        (batch, K), at most 0.
    """
    logs = covered.clamp(torch.finfo(covered.dtype).tiny, 1).log()
    return logs.masked_fill(~mask[:, None], 0).sum(-1)


class Ends(NamedTuple):
    """Where hypotheses end; (batch, n) each. A score of -inf marks a place without one."""

    score: Tensor
    log_prob: Tensor
    length: Tensor  # symbols
    slot: Tensor  # which of the K hypotheses wrote the last symbol
    last: Tensor  # the last symbol


def merge(ends: Ends, new: Ends) -> Ends:
    """The best of both, as many as there were, best first."""
    joined = [torch.cat(pair, 1) for pair in zip(ends, new, strict=True)]
    score, index = joined[0].topk(ends.score.shape[1])
    return Ends(score, *(x.gather(1, index) for x in joined[1:]))


class History:
    """What was written in each step, as back pointers, for a batch that shrinks as sentences are done."""

    def __init__(self, batch: int, device: torch.device):
        self.rows = torch.arange(batch, device=device)  # which sentences are still there
        self.steps: list[tuple[Tensor, Tensor, Tensor, Tensor | None]] = []
        self.gone: list[tuple[Tensor, Ends]] = []
        self.every = 1 if device.type == "cpu" else 4  # steps between two looks at what is done; elsewhere a look waits

    def add(self, token: Tensor, parent: Tensor, weights: Tensor | None) -> None:
        """token, parent: (batch, K), what now is at each slot and the slot it continues; weights: (batch, K, S) of the
        slots before the step."""
        self.steps.append((self.rows, token, parent, weights))

    def drop(self, done: Tensor, ends: Ends) -> Tensor | None:
        """Sets the done sentences (batch,) aside; returns the places of the others, or None if all are to stay."""
        if len(self.steps) % self.every:
            return None
        places = done.nonzero().squeeze(1)
        if len(places) == 0 or len(places) * WORTH < len(done):
            return None
        self.gone.append((self.rows[places], tree_map(lambda x: x[places], ends)))
        keep = (~done).nonzero().squeeze(1)
        self.rows = self.rows[keep]
        return keep

    def hypotheses(self, ends: Ends, eos: int) -> list[list[Hypothesis]]:
        """Those of all sentences, given the ends of the sentences that are still there."""
        self.gone.append((self.rows, ends))
        order = torch.cat([rows for rows, _ in self.gone]).argsort()
        ends = Ends(*(torch.cat(parts)[order] for parts in zip(*(ends for _, ends in self.gone), strict=True)))
        tokens, weights = self._backtrack(ends)
        columns = [x.tolist() for x in (*ends, tokens)]
        found = []
        for b in range(len(order)):
            found.append([])
            for n, (score, log_prob, length, _, last, written) in enumerate(zip(*(x[b] for x in columns), strict=True)):
                if score > -torch.inf:
                    finished = last == eos
                    seen = None if weights is None else weights[b, n, :length]
                    found[b].append(Hypothesis(written[: length - finished], log_prob, score, finished, seen))
            if not found[b]:  # no word was possible
                seen = None if weights is None else weights[b, 0, :0]
                found[b].append(Hypothesis([], -torch.inf, -torch.inf, False, seen))
        return found

    def _backtrack(self, ends: Ends) -> tuple[Tensor, Tensor | None]:
        """Symbols (batch, n, steps) and weights (batch, n, steps, S); what comes after an end has no meaning."""
        slot = ends.slot.clone()
        tokens = slot.new_zeros(*slot.shape, len(self.steps))
        first = self.steps[0][3] if self.steps else None
        weights = None if first is None else first.new_zeros(*tokens.shape, first.shape[-1])
        for t in range(len(self.steps) - 1, -1, -1):
            rows, token, parent, seen = self.steps[t]
            here, length = slot[rows], ends.length[rows]
            tokens[rows, :, t] = torch.where(length == t + 1, ends.last[rows], token.gather(1, here))
            here = torch.where(length > t + 1, parent.gather(1, here), here)
            slot[rows] = here
            if seen is not None:
                weights[rows, :, t] = seen.gather(1, here[:, :, None].expand(-1, -1, seen.shape[-1]))
        return tokens, weights
