"""Algorithm 1: beam search over titles of N words, in which hypotheses that end in the same C words are one."""

from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.errors import OFTEN, check_flag, check_whole
from zoo.models.rush.features import at_places, of_words
from zoo.models.rush.network import ABS, FEATURES
from zoo.text.search import BOS, EOS, PAD, UNK, best_words


@dataclass(frozen=True)
class Search:
    """How titles are looked for.

    Args:
        length: N, words of every title.
        beam: K.
        extractive: whether only words of the input may be written (section 2, the extractive restriction).
        copy_unknown: whether words of the input that the vocabulary of titles lacks may be written; their
            log-probability is that of the unknown word. The paper never writes them.
    """

    length: int = 8
    beam: int = 10
    extractive: bool = False
    copy_unknown: bool = False

    def __post_init__(self) -> None:
        check_whole(1, OFTEN, length=self.length, beam=self.beam)
        check_flag(extractive=self.extractive, copy_unknown=self.copy_unknown)


@dataclass(frozen=True, eq=False)
class Titles:
    """The titles that were found, the best first; a score of -inf marks a place without one.

    Args:
        words: (batch, K, N) int64, numbered as :mod:`zoo.models.rush.features` says.
        features: (batch, K, 5), summed over the words; log p of the end symbol is in the first.
        score: (batch, K), alpha times the features.
        weights: (batch, K, N, S), p of the attention at each word, or None.
    """

    words: Tensor
    features: Tensor
    score: Tensor
    weights: Tensor | None


@torch.no_grad()
def write(network: ABS, source: Tensor, copy: Tensor, search: Search) -> Titles:
    """The K best titles that a beam of K finds for each input; the score of a title is alpha . its features.

    Unknown words are never written, and neither is the end symbol before its place, which is after N words.

    Args:
        source: (batch, S) int64, padded with 0.
        copy: (batch, S) int64, the numbers of the same words; 0 for those that no title has, such as punctuation.
    """
    mask, words = copy != PAD, network.VW.out_features
    memory, every = network.encode(source, source != PAD), words + source.shape[1]
    batch, device = len(source), source.device
    banned, weights = _banned(copy, mask, words, search), network.alpha[1:]
    shortest = max(network.context, 2)  # words that the next one, or a feature of it, depends on
    reach = shortest if weights.any() else network.context
    history = torch.full((batch, 1, shortest), BOS, device=device)
    features = torch.zeros(batch, 1, FEATURES, device=device)
    score, seen = torch.zeros(batch, 1, device=device), []
    for _ in range(search.length):
        log_p, p = network.step(_known(history[:, :, -network.context :], words), memory)
        log_p = torch.cat([log_p, log_p[:, :, UNK, None].expand(-1, -1, source.shape[1])], 2)
        gained = network.alpha[0] * log_p
        here = at_places(copy, mask, history[:, :, -1], history[:, :, -2])  # (batch, K, 4, S)
        places = copy[:, None].expand(-1, gained.shape[1], -1)
        bonus = (here * weights[:, None]).sum(2).to(gained.dtype)
        gained.scatter_(2, places, gained.gather(2, places) + bonus)  # a word at two places has one bonus
        if search.extractive:
            gained.masked_fill_(banned[:, None], -torch.inf)
        else:  # of the vocabulary the special symbols alone
            gained[:, :, : UNK + 1] = -torch.inf
            gained[:, :, words:].masked_fill_(banned[:, None, words:], -torch.inf)
        ending = history[:, :, history.shape[2] - reach + 1 :]
        score, parent, word = best(score, gained, ending, search.beam)
        gone = log_p.flatten(1).gather(1, parent * every + word)
        more = of_words(_take(here, parent), copy.masked_fill(~mask, -1), word)
        features = _take(features, parent) + torch.cat([gone[:, :, None], more.to(gone.dtype)], 2)
        history = torch.cat([_take(history, parent), word[:, :, None]], 2)
        if p is not None:
            seen = [_take(each, parent) for each in (*seen, p)]
    log_p, _ = network.step(_known(history[:, :, -network.context :], words), memory)
    features[:, :, 0] += log_p[:, :, EOS]
    score, order = (score + network.alpha[0] * log_p[:, :, EOS]).sort(1, descending=True)
    looks = torch.stack([_take(each, order) for each in seen], 2) if seen else None
    return Titles(_take(history[:, :, shortest:], order), _take(features, order), score, looks)


def best(score: Tensor, gained: Tensor, last: Tensor, beam: int) -> tuple[Tensor, Tensor, Tensor]:
    """The best continuations, of those that end in the same C words the best alone.

    Args:
        score: (batch, K), of every hypothesis.
        gained: (batch, K, words), what each continuation adds to it.
        last: (batch, K, C - 1), the words that each hypothesis ends in.
        beam: how many are kept.

    Returns:
        Score, hypothesis and word, (batch, beam) each, or fewer where there are fewer.
    """
    _, count, words = gained.shape
    same = (last[:, :, None] == last[:, None]).all(3)
    group = same.int().argmax(2)  # the first hypothesis that ends in the same C - 1 words
    looked = min(2 * beam, count * words)
    while True:
        value, parent, word = best_words(score, gained, looked)
        ending = group.gather(1, parent) * words + word
        order = ending.argsort(dim=1, stable=True)  # of equal endings the best first
        row = ending.gather(1, order)
        again = torch.zeros_like(row, dtype=torch.bool)
        again[:, 1:] = row[:, 1:] == row[:, :-1]
        again = torch.zeros_like(again).scatter(1, order, again)
        enough = ((value.isfinite() & ~again).sum(1) >= beam) | ~value[:, -1].isfinite()
        value = value.masked_fill(again, -torch.inf)
        if looked == count * words or enough.all():
            break
        looked = min(2 * looked, count * words)
    value, place = value.topk(min(beam, looked))
    return value, parent.gather(1, place), word.gather(1, place)


def _banned(copy: Tensor, mask: Tensor, words: int, search: Search) -> Tensor:
    """Which words may not be written: (batch, words + S) boolean."""
    banned = torch.ones(len(copy), words + copy.shape[1], dtype=torch.bool, device=copy.device)
    banned.scatter_(1, copy, ~mask)
    if not search.extractive:
        banned[:, :words] = False
    if not search.copy_unknown:
        banned[:, words:] = True
    banned[:, [PAD, BOS, EOS, UNK]] = True
    return banned


def _known(history: Tensor, words: int) -> Tensor:
    """Words that the vocabulary lacks are the unknown word to the network."""
    return history.masked_fill(history >= words, UNK)


def _take(x: Tensor, index: Tensor) -> Tensor:
    """The rows (batch, n, ...) of x (batch, K, ...) that index (batch, n) names."""
    return x.gather(1, index.view(*index.shape, *[1] * (x.ndim - 2)).expand(-1, -1, *x.shape[2:]))
