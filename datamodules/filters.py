"""Which pairs of a first sentence and a title are left out of training: the filters of Rush et al. 2015."""

from collections import Counter
from collections.abc import Callable, Iterable

from datamodules.files import DataError
from datamodules.summaries import Pair, has_letters

WORDS = """
    a about after all also an and any are as at be been but by can could do for from had has have he her his how i if in
    into is it its may more most no not of on one or other our over she so some such than that the their them then there
    these they this to up use used using was we were what when which while who will with would you your
"""
STOP_WORDS = frozenset(WORDS.split())
MARKS = ("update", "recasts", "byline", "corrects", "retransmitting", "attention", "undated", "gmt")
SIGNS = ("?", " i ", " : ", " - ", " by ", "(", ")", "[", "]", "{", "}")  # what the release looks for besides
Filter = Callable[[list[str], list[str]], bool]  # from the words of both sides to whether the pair stays


def shares_word(article: list[str], title: list[str]) -> bool:
    """A word that is no stop word stands on both sides."""
    return any(has_letters(word) and word not in STOP_WORDS for word in {*article} & {*title})


def shares_long_word(article: list[str], title: list[str]) -> bool:
    """A word of more than three letters stands on both sides."""
    return any(len(word) > 3 for word in {*article} & {*title})


def no_marks(article: list[str], title: list[str]) -> bool:
    """The title has no word of those who edit."""
    return not {*MARKS} & {*title}


def no_marks_within(article: list[str], title: list[str]) -> bool:
    """The title has none of the marks, not even within a word."""
    line = f" {' '.join(title)} "
    return not any(mark in line for mark in (*MARKS, *SIGNS))


def no_question(article: list[str], title: list[str]) -> bool:
    """The title has no question mark and no colon."""
    return not {"?", ":"} & {*title}


def has_stop(article: list[str], title: list[str]) -> bool:
    """The sentence has a full stop."""
    return "." in article


def release_lengths(article: list[str], title: list[str]) -> bool:
    """More than 10 and fewer than 100 words in the sentence, more than 3 and fewer than 50 in the title."""
    return 10 < len(article) < 100 and 3 < len(title) < 50


def not_short(article: list[str], title: list[str]) -> bool:
    """At least 6 words in the sentence and 3 in the title, punctuation not counted."""
    return sum(map(has_letters, article)) >= 6 and sum(map(has_letters, title)) >= 3


FILTERS: dict[str, dict[str, Filter]] = {  # by name, each a filter or several
    "paper": {"no shared word": shares_word, "marks": no_marks, "question or colon": no_question},
    "release": {
        "no full stop": has_stop,
        "marks": no_marks_within,
        "lengths": release_lengths,
        "no shared long word": shares_long_word,
    },
    "short": {"short": not_short},
}


def sift(pairs: Iterable[Pair], names: Iterable[str]) -> tuple[list[Pair], Counter]:
    """The pairs that pass all filters, and how many each of them dropped, the first that drops a pair counting.

    Args:
        names: of :data:`FILTERS`; an empty side is always dropped.
    """
    chosen: dict[str, Filter] = {}
    for name in names:
        if name not in FILTERS:
            raise DataError(f"filters has {name!r}, not one of {', '.join(FILTERS)}")
        chosen |= FILTERS[name]
    kept, dropped = [], Counter(dict.fromkeys(("empty", *chosen), 0))
    for pair in pairs:
        article, title = pair.article.split(), pair.titles[0].split()
        reason = None if article and any(map(has_letters, title)) else "empty"
        reason = reason or next((name for name, stays in chosen.items() if not stays(article, title)), None)
        if reason:
            dropped[reason] += 1
        else:
            kept.append(pair)
    return kept, dropped
