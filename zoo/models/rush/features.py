"""The features of ABS+ (section 5): whether an output word continues what the input has.

Words are numbered over the vocabulary of titles and, beyond it, over the places of the input, for words that the
vocabulary lacks; an input gives for each of its words that number, `copy`. Words that the input lacks have no feature,
so features are known by the places of the input.
"""

from torch import Tensor

NAMES = ("log-probability", "unigram", "bigram", "trigram", "reordering")


def at_places(copy: Tensor, mask: Tensor, last: Tensor, before: Tensor) -> Tensor:
    """Features 2 to 5 of the word at each place of the input, were it to follow.

    Args:
        copy: (batch, S) int64, the numbers of the input's words.
        mask: (batch, S) boolean.
        last, before: (batch, K) int64, the last word of each hypothesis and the one before it.

    Returns:
        (batch, K, 4, S) boolean: the word occurs in the input; it does after the last word; after the last two; or it
        occurs, and the last word occurs later.
    """
    here = copy.masked_fill(~mask, -1)[:, None]  # padding is no word
    is_last, is_before = here == last[:, :, None], here == before[:, :, None]
    found = is_last.new_zeros(*last.shape, 4, copy.shape[1])
    found[:, :, 0] = mask[:, None]
    found[:, :, 1, 1:] = is_last[:, :, :-1]
    found[:, :, 2, 2:] = is_before[:, :, :-2] & is_last[:, :, 1:-1]
    found[:, :, 3] = is_last.flip(2).cumsum(2).flip(2) > is_last.long()  # it stands to the right of this place
    same = (here == here.mT) & mask[:, :, None]  # a word that occurs again has the features of all its places
    return found.flatten(1, 2).float().bmm(same.float()).unflatten(1, found.shape[1:3]) > 0


def of_words(found: Tensor, copy: Tensor, word: Tensor) -> Tensor:
    """The features (batch, K, 4) boolean of words (batch, K), given those of the places (batch, K, 4, S)."""
    return (found & (copy[:, None] == word[:, :, None])[:, :, None]).any(3)
