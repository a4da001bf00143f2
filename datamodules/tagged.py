"""Words with their parts of speech: sentences of a CoNLL file, and the silver tags that ship with the zoo."""

import lzma
from functools import cache
from pathlib import Path
from typing import NamedTuple

from datamodules.files import EMBEDDED, DataError, read_checked, read_file

FOLDER = EMBEDDED / "debian_tags"
SPLITS = ("train", "val", "test")


class Tagged(NamedTuple):
    """Sentences and the tag of each of their words."""

    words: list[list[str]]
    tags: list[list[str]]


def parse_conll(text: str, name: str, word: int = 1, tag: int = 3) -> Tagged:
    """Sentences of a file with a word in each line, its columns between tabs, and an empty line after each sentence.

    Lines that start with # are remarks; of CoNLL-U, words in several parts (1-2) and words that are not there (8.1) are
    left out.

    Args:
        name: what a message calls the file.
        word, tag: which column holds the word and which its tag, counted from 0; those of CoNLL-U.

    Raises:
        DataError: a line that has fewer columns, or no sentence at all.
    """
    found = Tagged([[]], [[]])
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#"):
            continue
        if not line.strip():
            if found.words[-1]:
                found.words.append([]), found.tags.append([])
            continue
        columns = line.split("\t")
        if len(columns) <= max(word, tag):
            raise DataError(f"{name}: line {number} has {len(columns)} columns, expected at least {max(word, tag) + 1}")
        if word and not columns[0].isdigit():
            continue
        found.words[-1].append(columns[word]), found.tags[-1].append(columns[tag])
    if not found.words[-1]:
        found.words.pop(), found.tags.pop()
    if not found.words:
        raise DataError(f"{name}: there is no sentence")
    return found


def read_conll(path: str | Path, word: int = 1, tag: int = 3) -> Tagged:
    """Sentences of a local file; see :func:`parse_conll`."""
    try:
        return parse_conll(read_file(Path(path)).decode("utf-8-sig"), str(path), word, tag)
    except UnicodeDecodeError:
        raise DataError(f"{path}: not UTF-8") from None


@cache
def read_silver(split: str, fine: bool = False) -> Tagged:
    """Sentences of Debian's descriptions with tags of a tagger, not of people; train is of the packages of val.

    Args:
        split: train, val or test.
        fine: Penn Treebank's tags; else the universal ones.
    """
    if split not in SPLITS:
        raise DataError(f"split is {split!r}, not one of {', '.join(SPLITS)}")
    name = f"{split}.tsv.xz"
    return parse_conll(lzma.decompress(read_checked(FOLDER / name)).decode(), name, 0, 2 if fine else 1)
