"""Greedy search, sampling and beam search for any model that writes one symbol at a time.

A model is a function ``step(token, state, memory) -> (log_probs, state, weights)``:

    token: (batch, K) int64, the last symbol of K hypotheses of each sentence; bos at first.
    state: what differs between hypotheses, tensors (batch, K, ...) in tuples, NamedTuples, lists or dicts.
    memory: what they share, tensors (batch, ...) in the same; the encoded source and its mask.
    log_probs: (batch, K, V) float32, new in every step: decoding writes into it.
    weights: (batch, K, S), where each hypothesis looked in this step, or None.

Decoding begins with a state for K = 1 (greedy), the number of samples, or the beam. It returns for each sentence a list
of :class:`Hypothesis`, never empty. What is common to all of it:

    max_length, min_length: symbols, eos counted; one number, or (batch,) for each sentence. At max_length a hypothesis
        ends without eos.
    banned: words that are never written. Log-probabilities are the model's, not renormalised for bans.

Sentences that are done leave the batch, so that step sees fewer and fewer of them, and state and memory are selected
with them. No sentence depends on the others.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from zoo.errors import ZooError, check_least, check_whole
from zoo.text.search import (
    BOS,
    EOS,
    PAD,
    Ends,
    History,
    Hypothesis,
    Step,
    best_words,
    coverage_penalty,
    forbid,
    length_penalty,
    limits,
    merge,
    sizes,
    tree_map,
)

__all__ = ["Hypothesis", "beam_search", "ensemble", "greedy", "sample"]

COLDEST = 1e-30  # temperature; below it float32 has no quotient for every log-probability


def greedy(step: Step, state: Any, memory: Any, max_length: int | Tensor, **options: Any) -> list[list[Hypothesis]]:
    """The most probable symbol in every step; options: min_length, banned, bos, eos as in :func:`sample`."""
    return _write(step, state, memory, lambda log_probs, t, rows: log_probs.argmax(-1), max_length, **options)


def sample(
    step: Step,
    state: Any,
    memory: Any,
    max_length: int | Tensor,
    temperature: float = 1.0,
    top_k: int | None = None,
    noise: Tensor | None = None,
    generator: torch.Generator | None = None,
    **options: Any,
) -> list[list[Hypothesis]]:
    """K independent samples for each sentence, in the order drawn; log_prob is that of the model at temperature 1.

    Args:
        temperature: divides the log-probabilities.
        top_k: draws among the k most probable symbols only.
        noise: (batch, K, steps) uniform in (0, 1], a number a symbol, for instance from zoo.nn.random; else
            it is drawn from the generator, on the generator's device.
        options: min_length (0), banned (pad and bos), bos (1), eos (2).
    """
    batch, count, device = sizes(state)
    if not 0 < temperature < math.inf:
        raise ZooError(f"temperature is {temperature}; expected a number above 0, of which greedy is the limit")
    if noise is None:
        steps = int(torch.as_tensor(max_length).max()) if batch else 0
        where = generator.device if generator is not None else device
        noise = 1 - torch.rand(batch, count, steps, generator=generator, device=where)
    if noise.shape[:2] != (batch, count):
        raise ValueError(f"noise has the shape {tuple(noise.shape)}, expected ({batch}, {count}, steps)")
    noise = noise.to(device)

    def choose(log_probs: Tensor, t: int, rows: Tensor) -> Tensor:
        words = None
        if top_k is not None and top_k < log_probs.shape[-1]:
            log_probs, words = log_probs.topk(top_k)
        total = (log_probs / max(temperature, COLDEST)).softmax(-1).cumsum(-1)
        # the first sum that reaches u * (all): never a word of probability 0, whatever was rounded
        place = torch.searchsorted(total, noise[rows, :, t, None] * total[..., -1:])
        place = place.clamp_(max=total.shape[-1] - 1)  # NaN
        return (place if words is None else words.gather(-1, place)).squeeze(-1)

    return _write(step, state, memory, choose, max_length, **options)


@torch.no_grad()
def _write(
    step: Step,
    state: Any,
    memory: Any,
    choose: Callable[[Tensor, int, Tensor], Tensor],
    max_length: int | Tensor,
    min_length: int | Tensor = 0,
    banned: Sequence[int] = (PAD, BOS),
    bos: int = BOS,
    eos: int = EOS,
) -> list[list[Hypothesis]]:
    """Hypotheses that do not compete; choose(log_probs, t, rows) returns the next symbols (batch, K)."""
    batch, count, device = sizes(state)
    bounds, stops, early = limits(max_length, min_length, batch, device)
    history = History(batch, device)
    token = torch.full((batch, count), bos, device=device)
    slot = torch.arange(count, device=device).expand(batch, -1)
    zero = torch.zeros(batch, count, device=device)
    ends = Ends(zero, zero, zero.long(), slot, token)
    alive = torch.ones_like(token, dtype=torch.bool)
    for t in range(stops[-1] if stops else 0):
        log_probs, state, weights = step(token, state, memory)
        forbid(log_probs, banned, eos, bounds.shortest > t + 1 if t + 1 < early else None)
        token = choose(log_probs, t, history.rows)
        log_prob = ends.log_prob + log_probs.gather(-1, token[:, :, None]).squeeze(-1).where(alive, 0)
        last = torch.where(alive, token, ends.last)
        ends = Ends(log_prob, log_prob, ends.length + alive, ends.slot, last)
        history.add(token, ends.slot, weights)
        alive = alive & (token != eos) & (bounds.longest > t + 1)[:, None]
        keep = history.drop(~alive.any(1), ends)
        if keep is not None:
            everything = (state, memory, bounds, ends, alive, token)
            state, memory, bounds, ends, alive, token = tree_map(lambda x, k=keep: x.index_select(0, k), everything)
            if not len(keep):
                break
    return history.hypotheses(ends, eos)


@torch.no_grad()
def beam_search(
    step: Step,
    state: Any,
    memory: Any,
    max_length: int | Tensor,
    min_length: int | Tensor = 0,
    banned: Sequence[int] = (PAD, BOS),
    n_best: int = 1,
    normalise: str = "none",
    alpha: float = 1.0,
    coverage: float = 0.0,
    source_mask: Tensor | None = None,
    bos: int = BOS,
    eos: int = EOS,
) -> list[list[Hypothesis]]:
    """The n best hypotheses that a beam of K finds, best first; K is that of the state.

    In each step the continuations of the K live hypotheses are ranked by log-probability. Those with eos among the
    first K are finished; the best K without eos live on. A sentence is done when no live hypothesis can still reach the
    n-th best score, whatever it writes, or at max_length; so a larger n_best never changes the best. Hypotheses that
    reach max_length without eos are returned only if no other is finished. There may be fewer than n_best.

    score = log_prob / penalty(symbols) + coverage * coverage_penalty

    Args:
        n_best: may be larger than K.
        normalise: "none" (penalty 1: the papers before 2016), "length" (symbols ** alpha), or "gnmt"
            (((5 + symbols) / 6) ** alpha, Wu et al. 2016, eq. 14; the Transformer has alpha = 0.6).
        coverage: beta of Wu et al.; needs weights and the source_mask (batch, S).
    """
    batch, beam, device = sizes(state)
    bounds, stops, early = limits(max_length, min_length, batch, device)
    check_least(0, alpha=alpha, coverage=coverage)
    check_whole(1, n_best=n_best)
    if coverage and source_mask is None:
        raise ValueError("coverage needs the source_mask")
    table = [length_penalty(i, normalise, alpha) for i in range(1, (stops[-1] if stops else 0) + 1)]
    final_penalty = torch.tensor([1.0, *table], device=device)[bounds.longest]
    history = History(batch, device)
    token = torch.full((batch, beam), bos, device=device)
    score = torch.full((batch, beam), -torch.inf, device=device)
    score[:, :1] = 0  # all K are the same at first, so one is enough
    none = torch.zeros(batch, n_best, dtype=torch.int64, device=device)
    ends = Ends(none - torch.inf, none - torch.inf, none, none, none)
    covered: Any = 0.0
    for t, penalty in enumerate(table):
        log_probs, state, weights = step(token, state, memory)
        forbid(log_probs, banned, eos, bounds.shortest > t + 1 if t + 1 < early else None)
        cover = None
        if coverage:
            if weights is None:
                raise ValueError("coverage needs a model that returns weights")
            covered = covered + weights.float()
            cover = coverage * coverage_penalty(covered, source_mask)

        def at_end(value, slot, last, t=t, penalty=penalty, cover=cover) -> Ends:
            total = value / penalty if cover is None else value / penalty + cover.gather(1, slot)
            return Ends(total, value, torch.full_like(slot, t + 1), slot, last)

        value, parent, token = best_words(score, log_probs, min(2 * beam, beam * log_probs.shape[-1]))
        is_end = token == eos
        finished = value.masked_fill(~is_end, -torch.inf)[:, :beam]
        ends = merge(ends, at_end(finished, parent[:, :beam], token[:, :beam]))
        score, chosen = value.masked_fill(is_end, -torch.inf).topk(beam)
        parent, token = parent.gather(1, chosen), token.gather(1, chosen)
        history.add(token, parent, weights)
        if t + 1 in stops:
            over = (bounds.longest == t + 1)[:, None]
            nothing_else = over & (ends.score[:, :1] == -torch.inf)
            ends = merge(ends, at_end(score.masked_fill(~nothing_else, -torch.inf), parent, token))
            score = score.masked_fill(over, -torch.inf)

        # log-probabilities only fall and penalties only grow, so no continuation reaches more
        reachable = score[:, 0] / final_penalty
        keep = history.drop(reachable <= ends.score[:, -1], ends)
        places = torch.arange(len(parent), device=device) if keep is None else keep
        if keep is not None:
            everything = (memory, bounds, final_penalty, ends, score, token, parent, source_mask)
            memory, bounds, final_penalty, ends, score, token, parent, source_mask = tree_map(
                lambda x, k=keep: x.index_select(0, k), everything
            )
            if not len(keep):
                break
        index = (places[:, None] * beam + parent).flatten()
        state, covered = tree_map(
            lambda x, i=index: x.flatten(0, 1).index_select(0, i).unflatten(0, (-1, beam)), (state, covered)
        )
    return history.hypotheses(ends, eos)


def ensemble(steps: Sequence[Step]) -> Step:
    """One step of several models that write the same symbols: the mean of their probabilities.

    State and memory are tuples with an item for each model. Weights are averaged, None if a model has none.
    """

    def step(token: Tensor, states: tuple, memories: tuple) -> tuple[Tensor, tuple, Tensor | None]:
        parts = [one(token, *own) for one, *own in zip(steps, states, memories, strict=True)]
        log_probs, states, weights = zip(*parts, strict=True)
        mean = torch.stack(log_probs).logsumexp(0) - math.log(len(steps))
        seen = None if any(w is None for w in weights) else torch.stack(weights).mean(0)
        return mean, states, seen

    return step
