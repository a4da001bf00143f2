"""Unknown words of a translation, replaced by what they are aligned with (Luong et al. 2015, section 5)."""

from collections.abc import Mapping, Sequence

from torch import Tensor


def looked_at(weights: Tensor, words: int, sources: int, shift: int = 0) -> list[int]:
    """Where in the source each word has its largest weight.

    Args:
        weights, shift: as for :func:`replace_unknown`.
        words: how many were written, eos not counted.
        sources: how many of the columns are source words, from the left; at least 1.
    """
    rows, columns = weights.shape
    if not words <= rows <= words + 1 or not 1 <= sources <= columns:
        raise ValueError(
            f"weights has the shape ({rows}, {columns}), expected ({words} or {words + 1} words, "
            f"at least {sources} source words)"
        )
    aligned = weights[:, :sources].argmax(1).tolist()
    return [aligned[min(t + shift, rows - 1)] for t in range(words)]


def replace_unknown(
    words: Sequence[str],
    weights: Tensor,
    source_words: Sequence[str],
    dictionary: Mapping[str, str] | None = None,
    shift: int = 0,
    unknown: str = "<unk>",
) -> list[str]:
    """Each unknown word becomes the dictionary's word for the source word with the largest weight, or that word itself.

    Row t of the weights is from the step that wrote word t, which read word t - 1. With shift 0 row t is taken for word
    t: the weights belong to the *predicted* word (Bahdanau's attention, Luong's location score). With shift 1 row
    t + 1 is taken, from the step that read word t: the weights belong to the *input* word (Luong's content scores,
    by a footnote of the paper). The row after the last word is that of eos; without it the last row stands in.

    Args:
        words: as written, without eos.
        weights: (len(words) or one more, S), as in :class:`zoo.text.decoding.Hypothesis`.
        source_words: at most S, in the order in which the model read them (a reversed source: reversed). Columns beyond
            them, such as eos and padding, are never chosen.
        dictionary: source word to target word.
        unknown: how an unknown word is written.
    """
    if not source_words or not words:
        return list(words)
    dictionary = dictionary or {}
    found = (source_words[place] for place in looked_at(weights, len(words), len(source_words), shift))
    return [dictionary.get(s, s) if w == unknown else w for w, s in zip(words, found, strict=True)]
