"""The features of ABS+ (section 5): whether an output word continues what the input has.

Words are numbered over the vocabulary of titles and, beyond it, over the places of the input, for words that the
vocabulary lacks; an input gives for each of its words that number, `copy`.
"""

import torch
from torch import Tensor

NAMES = ("log-probability", "unigram", "bigram", "trigram", "reordering")


def extractive(copy: Tensor, mask: Tensor, last: Tensor, before: Tensor, words: int) -> Tensor:
    """Features 2 to 5 of every word that could follow.

    Args:
        copy: (batch, S) int64, the numbers of the input's words.
        mask: (batch, S) boolean.
        last, before: (batch, K) int64, the last word of each hypothesis and the one before it.
        words: how many could follow.

    Returns:
        (4, batch, K, words) boolean: the word occurs in the input; it does after the last word; after the last two; or
        it occurs, and the last word occurs later.
    """
    batch, beam = last.shape
    found = torch.zeros(4, batch, beam, words + 1, dtype=torch.bool, device=copy.device)
    here = copy[:, None].expand(-1, beam, -1)  # (batch, K, S)
    here = here.masked_fill(~mask[:, None], words)  # padding marks a word that is cut off below
    is_last = here == last[:, :, None]
    found[0].scatter_(2, here, True)
    follows = is_last[:, :, :-1]
    _mark(found[1], here[:, :, 1:], follows)
    _mark(found[2], here[:, :, 2:], (here[:, :, :-2] == before[:, :, None]) & follows[:, :, 1:])
    later = is_last.flip(2).cumsum(2).flip(2) - is_last.long() > 0  # the last word stands to the right of this place
    _mark(found[3], here, later)
    return found[..., :words]


def _mark(found: Tensor, here: Tensor, marked: Tensor) -> None:
    """Sets the words at the marked places."""
    found.scatter_(2, here.masked_fill(~marked, found.shape[2] - 1), True)
