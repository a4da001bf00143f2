"""Labelled brackets of written trees, and their precision, recall and F1 in the manner of EVALB.

A tree is a line of symbols as in ``(S (NP XX XX )NP (VP XX )VP )S``; what begins with no bracket is a word.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import NamedTuple

PUNCTUATION = frozenset((",", ":", "``", "''", "."))  # tags of words that are not counted
ROOTS = frozenset(("", "TOP", "ROOT", "S1"))  # labels that are not counted
SAME = {"PRT": "ADVP"}
SIGNATURE = "labelled brackets, no root, no punctuation, PRT = ADVP, another number of words = all missed"


class Tree(NamedTuple):
    """What a line of symbols says."""

    words: list[str]  # how each is written: XX or a tag
    brackets: list[tuple[str, int, int]]  # label, first word, one after the last word; inner before outer


class Bracketing(NamedTuple):
    """Scores in percent."""

    f1: float
    precision: float
    recall: float
    complete: float  # sentences all of whose brackets are right, without one too many


def read(line: str) -> Tree:
    """The words and labelled brackets of a line, whatever it is.

    What is malformed is repaired from left to right. A closing bracket closes the innermost open bracket of its label,
    and before it all that were opened since; without one it is nothing. What is open at the end is closed there. A
    bracket without words is none.
    """
    words: list[str] = []
    brackets: list[tuple[str, int, int]] = []
    opened: list[tuple[str, int]] = []

    def close(depth: int) -> None:
        while len(opened) > depth:
            label, first = opened.pop()
            if first < len(words):
                brackets.append((label, first, len(words)))

    for symbol in line.split():
        if symbol[0] == "(":
            opened.append((symbol[1:], len(words)))
        elif symbol[0] == ")":
            close(max((i for i, (label, _) in enumerate(opened) if label == symbol[1:]), default=len(opened)))
        else:
            words.append(symbol)
    close(0)
    return Tree(words, brackets)


def counted(tree: Tree, kept: Sequence[bool]) -> Counter:
    """The brackets of a tree that are compared, if only some of its words are kept."""
    before = [0, *accumulate(kept)]
    spans = ((SAME.get(label, label), before[first], before[end]) for label, first, end in tree.brackets)
    return Counter((label, first, end) for label, first, end in spans if first < end and label not in ROOTS)


def score(written: Iterable[str], gold: Iterable[str]) -> Bracketing:
    """The scores of a corpus of written trees; the words of the gold trees are their tags.

    A bracket is right if the gold tree has one with its label over the same words, and each is matched once. Words that
    the gold tree tags as punctuation are taken from both trees first. A written tree with another number of words than
    the gold tree has no right bracket: all of the gold tree are missed and all of its own are wrong (EVALB leaves such
    a sentence out). A sentence of nothing but punctuation is not counted.
    """
    right = found = expected = complete = sentences = 0
    for line, truth in zip(map(read, written), map(read, gold), strict=True):
        kept = [tag not in PUNCTUATION for tag in truth.words]
        if not any(kept):
            continue
        fits = len(line.words) == len(kept)
        ours, theirs = counted(line, kept if fits else [True] * len(line.words)), counted(truth, kept)
        right += (ours & theirs).total() if fits else 0
        found, expected = found + ours.total(), expected + theirs.total()
        complete, sentences = complete + (fits and ours == theirs), sentences + 1

    def percent(part: int, whole: int) -> float:
        return 100 * part / whole if whole else 0.0

    shares = percent(2 * right, found + expected), percent(right, found), percent(right, expected)
    return Bracketing(*shares, percent(complete, sentences))
