"""Word alignment by forced decoding: the source word that a network looked at for each word of a given translation."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from zoo.errors import check_choice
from zoo.looking.saliency import gradients
from zoo.pipelines import InputError
from zoo.text.codec import BOS, PAD, UNK, Text, with_eos
from zoo.text.scoring import Links
from zoo.text.translation import Translate

ACCOUNTS = ("attention", "gradient_norm", "gradient_times_input")


def split_words(text: Text, line: str) -> tuple[list[int], list[int]]:
    """The ids of a line of words with spaces between, and the word that each belongs to, as the network reads them."""
    ids = text.tokenizer.encode_batch_fast(line.split(), add_special_tokens=False)
    pieces = [(max(i, UNK), word) for word, one in enumerate(ids) for i in one.ids]
    pieces = pieces[::-1] if text.reverse else pieces
    return [i for i, _ in pieces], [word for _, word in pieces]


def by_words(weights: Tensor, source: list[int], target: list[int]) -> Tensor:
    """Weights between words: the sum over the pieces of a source word, the mean over those of a target word.

    Args:
        weights: (at least the target pieces, at least the source pieces); what more there is, as the end symbol, is
            left out.
        source, target: the word of each piece, from 0.

    Returns:
        (target words, source words).
    """
    weights = weights[: len(target), : len(source)].float().cpu()
    of, to = (torch.tensor(words, dtype=torch.int64) for words in (source, target))
    columns = weights.new_zeros(len(target), max(source, default=-1) + 1).index_add_(1, of, weights)
    made = columns.new_zeros(max(target, default=-1) + 1, columns.shape[1]).index_add_(0, to, columns)
    return made / to.bincount(minlength=len(made))[:, None].clamp(min=1)


def places(text: Text, line: str, words: Sequence[str]) -> list[int] | None:
    """The word that each piece of a line belongs to, where the line was cut into other words by somebody else.

    Both are compared letter by letter, without spaces; None where they do not have equally many letters.
    """
    line = text.clean.normalize_str(line)
    number = [i for i, word in enumerate(words) for letter in word if not letter.isspace()]
    before = [0]  # letters before each place of the line
    for letter in line:
        before.append(before[-1] + (not letter.isspace()))
    if before[-1] != len(number):
        return None
    found = text.tokenizer.encode(line, add_special_tokens=False)
    return [number[min(before[start], len(number) - 1)] for start, _ in _trimmed(line, found.offsets)]


def _trimmed(line: str, offsets: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Pieces without the space before them; one that is nothing but a space belongs to what follows."""
    return [(end - len(line[start:end].lstrip()), end) for start, end in offsets]


def link(weights: Tensor, source: list[int], target: list[int]) -> Links:
    """One source word for each target word: the one with the largest share of the attention (Luong et al. 2015, 5.4).

    Args:
        weights: (target pieces, at least the source pieces).
        source, target: the word of each piece.
    """
    if not source:
        return set()
    share = by_words(weights, source, target)
    return {(int(share[word].argmax()), word) for word in set(target)}


def align(
    pipe: Translate, sources: Sequence[str], targets: Sequence[str], batch_size: int = 64, by: str = "attention"
) -> list[Links]:
    """The links (source word, target word), from 0, of each pair of tokenised sentences.

    The attention of a step belongs to the word that it wrote or to the one that it read; the network knows which. The
    gradients are those of the log-probability of the word that is written (Ding, Xu and Koehn 2019).

    Args:
        by: "attention", "gradient_norm" or "gradient_times_input"; see :mod:`zoo.looking.saliency`.

    Raises:
        InputError: the sides differ in length, or the network has no attention.
    """
    check_choice(ACCOUNTS, by=by)
    if pipe.network.alignment_shift is None:
        raise InputError("the network has no attention to align words by")
    if len(sources) != len(targets):
        raise InputError(f"{len(sources)} sources and {len(targets)} targets; expected as many")
    links = []
    bounds = [*range(0, len(sources), batch_size), len(sources)]
    for start, end in pairwise(bounds):
        read = [split_words(pipe.source, line) for line in sources[start:end]]
        write = [split_words(pipe.target, line) for line in targets[start:end]]
        ids = [[ids for ids, _ in side] for side in (read, write)]
        looks = _attention(pipe, *ids) if by == "attention" else _slopes(pipe, *ids, by)
        for (_, of), (_, to), rows in zip(read, write, looks, strict=True):
            links.append(link(rows[: len(to)], of, to))
    return links


@torch.no_grad()
def _attention(pipe: Translate, sources: list[list[int]], targets: list[list[int]]) -> Tensor:
    """Weights (batch, T, S) of each word that is written."""
    source = with_eos(sources, pipe.device)
    target = with_eos([[BOS, *ids] for ids in targets], pipe.device)[:, :-1]
    return pipe.told(source, source != PAD, target)[1][:, pipe.network.alignment_shift :]


def _slopes(pipe: Translate, sources: list[list[int]], targets: list[list[int]], by: str) -> Iterator[Tensor]:
    """Of each pair (T, S), by gradients of what is written, the end included."""
    for ids, written in zip(sources, targets, strict=True):
        source, target = with_eos([ids], pipe.device), with_eos([[BOS, *written]], pipe.device)
        yield gradients(pipe.instance({"source": source, "target": target}), target[0, 1:])[by]
