"""What Debian's packages say about themselves, in English, German and French: records, splits and translation pairs."""

import hashlib
import json
import lzma
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from datamodules.files import EMBEDDED, DataError, read_checked

FILE = "descriptions.jsonl.xz"
LANGUAGES = ("en", "de", "fr")
SPLITS = ("train", "val", "test")
MAX_RATIO = 3  # of the numbers of characters of the two sides of a pair
ITEM, VERBATIM = "* ", "  "  # how a line of a paragraph starts that is an item of a list, or stands as it was typed
REASONS = ("identical", "no letters", "ratio", "duplicate", "in a later split")  # why a pair is left out

# A stop, closing quotes and brackets, a space; the sentence ends there if `ends` agrees.
STOP = re.compile(r"([.!?…]+)[\"'”“»«’)\]]* (?=[\"'“„«‘(\[]* ?(\S))")
DOTTED = re.compile(r"(?:[^\W\d]\.)+[^\W\d]")  # U.S, a.k.a
LETTER = re.compile(r"[^\W\d_]")
ABBREVIATIONS = """
    e.g i.e eg ie vs cf resp approx incl esp dr mr mrs ms st nr no vol fig ca al inc ltd co corp jr sr ver
    z.b d.h u.a o.ä s.o s.u bzw ggf evtl bspw vgl sog dt engl inkl bzgl gem allg d.i i.d.r zzgl mind max min
    p.ex ex c.-à-d c.à.d env par.ex mm éd
"""
NEVER_ENDS = frozenset(ABBREVIATIONS.split())
MAY_END = frozenset({"etc", "usw", "usf", "u.s.w"})  # a capital letter after one of these starts a sentence


class Text(NamedTuple):
    """A description in one language.

    synopsis: one line, without a full stop.
    paragraphs: their lines are units: running text, or an item of a list ("* ..."), or verbatim ("  ...").
    """

    synopsis: str
    paragraphs: tuple[str, ...]


class Description(NamedTuple):
    """A package and what it says; `de` and `fr` are None where nobody has translated it."""

    package: str
    source: str
    section: str
    en: Text
    de: Text | None
    fr: Text | None


def read_debian(root: str | Path | None = None) -> list[Description]:
    """All descriptions, sorted by source package and package.

    Args:
        root: folder that scripts/build_debian.py has written; None for the one that ships here.
    """
    data = read_checked(Path(root or EMBEDDED / "debian") / FILE)
    records = json.loads(b"[" + b",".join(lzma.decompress(data).splitlines()) + b"]")
    return [
        Description(
            record["package"],
            record["source"],
            record["section"],
            *(parse_text(record[language]) if language in record else None for language in LANGUAGES),
        )
        for record in records
    ]


def parse_text(text: str) -> Text:
    """A text of the file: synopsis and paragraphs, with an empty line between."""
    synopsis, *paragraphs = text.split("\n\n")
    return Text(synopsis, tuple(paragraphs))


def split_of(source: str) -> str:
    """train (90 %), val (5 %) or test (5 %): a hash of the name of the source package, without digits and stops.

    So libfoo1, libfoo-dev and python3-foo, which say nearly the same, are on one side, and so are gcc-11 and gcc-12.
    """
    number = int.from_bytes(hashlib.sha256(re.sub(r"[\d.]", "", source).encode()).digest()[:8]) % 100
    return "test" if number < 5 else "val" if number < 10 else "train"


def sentences(text: str, language: str = "en") -> list[str]:
    """Cuts running text, with single spaces, into sentences."""
    found, start = [], 0
    for match in STOP.finditer(text):
        word = text[text.rfind(" ", 0, match.start()) + 1 : match.start()]
        if ends(word, *match.groups(), language):
            found.append(text[start : match.end() - 1])
            start = match.end()
    return [*found, text[start:]]


def ends(word: str, stop: str, following: str, language: str) -> bool:
    """Whether a sentence ends at a stop.

    Args:
        word: what stands before the stop.
        stop: the stop.
        following: the first letter (or digit) after it.
        language: in German, a number with a full stop is an ordinal.
    """
    word = word.lstrip("\"'“„«‘([").lower()
    if stop != "." or word in MAY_END:
        return not following.islower()
    if (len(word) == 1 and word.isalpha()) or word in NEVER_ENDS or DOTTED.fullmatch(word):
        return False
    if word.isdigit() and language == "de" and len(word) < 3:
        return False
    return not following.islower() or len(word) > 2


def kind(unit: str) -> str:
    """ITEM, VERBATIM, or an empty string for running text."""
    return unit[:2] if unit.startswith((ITEM, VERBATIM)) else ""


def align(one: Text, other: Text, language: str) -> Iterator[tuple[str, str]]:
    """Pairs of a translated text and the English one.

    These are the synopses and, if both have equally many paragraphs, the sentences of those lines that stand in
    paragraphs with the same kinds of lines on both sides and have equally many sentences. Verbatim lines are left out,
    and so is the comma or semicolon after an item of a list, which the French texts have and the English ones do not.
    """
    yield one.synopsis, other.synopsis
    if len(one.paragraphs) != len(other.paragraphs):
        return
    for left, right in zip(one.paragraphs, other.paragraphs, strict=True):
        left, right = left.split("\n"), right.split("\n")
        kinds = [kind(unit) for unit in left]
        if kinds != [kind(unit) for unit in right]:
            continue
        for form, a, b in zip(kinds, left, right, strict=True):
            if form == VERBATIM:
                continue
            if form == ITEM:
                a, b = (unit.removeprefix(ITEM).rstrip(" ;,") for unit in (a, b))
            a, b = sentences(a, language), sentences(b)
            if len(a) == len(b):
                yield from zip(a, b, strict=True)


def fault(one: str, other: str) -> str | None:
    """Why two texts cannot be translations of each other, one of REASONS, or None."""
    if one.casefold() == other.casefold():
        return "identical"
    if not (LETTER.search(one) and LETTER.search(other)):
        return "no letters"
    return "ratio" if max(len(one), len(other)) > MAX_RATIO * min(len(one), len(other)) else None


@cache
def aligned(language: str, root: str | Path | None) -> tuple[dict[str, list[tuple[str, str]]], Counter]:
    """Pairs (text, English text) of each split, and how many were left out for which of REASONS.

    No text of a side in test occurs on that side in train or val, and none of val in train.
    """
    found, removed = {split: {} for split in SPLITS}, Counter(dict.fromkeys(REASONS, 0))
    for record in read_debian(root):
        text = getattr(record, language)
        if text is None:
            continue
        kept = found[split_of(record.source)]
        for pair in align(text, record.en, language):
            reason = fault(*pair) or ("duplicate" if pair in kept else None)
            if reason:
                removed[reason] += 1
            else:
                kept[pair] = None
    seen = (set(), set())
    for split in reversed(SPLITS):
        folded = [(pair, pair[0].casefold(), pair[1].casefold()) for pair in found[split]]
        clean = [entry for entry in folded if entry[1] not in seen[0] and entry[2] not in seen[1]]
        removed["in a later split"] += len(folded) - len(clean)
        found[split] = [pair for pair, *_ in clean]
        for side in (0, 1):
            seen[side].update(entry[side + 1] for entry in clean)
    return found, removed


def pairs(
    source_language: str, target_language: str, split: str, root: str | Path | None = None
) -> list[tuple[str, str]]:
    """Translation pairs of a split; the two directions are the same pairs, swapped.

    Args:
        source_language: en, de or fr; one of the two languages is en.
        target_language: likewise.
        split: train, val or test.
        root: folder that scripts/build_debian.py has written; None for the one that ships here.
    """
    languages = {source_language, target_language}
    if "en" not in languages or len(languages) != 2 or not languages <= set(LANGUAGES):
        raise DataError(f"{source_language}-{target_language}: expected en and one of de and fr")
    if split not in SPLITS:
        raise DataError(f"split is {split}; expected one of {', '.join(SPLITS)}")
    found = aligned((languages - {"en"}).pop(), root)[0][split]
    return list(found) if target_language == "en" else [pair[::-1] for pair in found]
