"""Where the sentences of a text end; of abbreviations, ordinals and numbers the stop ends none."""

import re
from itertools import pairwise

# the word before a stop, the stop, and the start of another sentence
ENDS = re.compile(r"(\S*?)([.!?…]+)[\"'”’»“«)\]]*\s+(?=[\"'„“«»‘(\[¿¡]*[^\W\d_])")
APART = re.compile(r"(\S*)\s([.!?]+)\s+(?=\w)")  # likewise where words have spaces between
CJK = re.compile(r"[。！？]+[」』”]?(?=\S)")
ABBREVIATIONS = """
    dr prof mr mrs ms st nr no vol fig ca vs cf resp approx incl esp inc ltd co corp jr sr ver bzw ggf evtl bspw vgl sog
    dt engl inkl bzgl gem allg zzgl mind max min usw etc mm mme mlle env ex art abs abb bd hrsg jh str tel p pp s
    jan feb apr aug sep sept okt oct nov dez dec
"""
SHORT = frozenset(ABBREVIATIONS.split())


def ends_here(match: re.Match) -> bool:
    """Whether a stop ends a sentence: not that of an abbreviation or an ordinal, nor one before a small letter."""
    following = match.string[match.end() :].lstrip("\"'„“«»‘([¿¡")[:1]
    return not following.islower() and not is_short(match)


def is_short(match: re.Match) -> bool:
    """Whether what a stop stands after is an abbreviation or an ordinal."""
    word, stop = match[1].lstrip("\"'„“«»‘([").lower(), match[2]
    return stop == "." and (len(word) < 2 or word in SHORT or "." in word or (word.isdigit() and len(word) < 3))


def split_sentences(text: str, spaced: bool) -> list[list[str]]:
    """The sentences of each line of a text that has any; put together, they have all of its letters.

    Args:
        spaced: whether words have spaces between, and stops too.
    """
    return [_of_line(line.strip(), spaced) for line in text.splitlines() if line.strip()]


def _of_line(line: str, spaced: bool) -> list[str]:
    if spaced:
        ends = [match.end() for match in APART.finditer(line) if not is_short(match)]
    else:
        ends = [match.end() for match in ENDS.finditer(line) if ends_here(match)]
    ends = [0, *sorted({*ends, *(match.end() for match in CJK.finditer(line))}), len(line)]
    return [line[start:end].strip() for start, end in pairwise(ends)]
