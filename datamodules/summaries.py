"""Pairs of a text's first sentence and its title, as their corpora have them, and how they become words."""

import gzip
import re
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from tokenizers import Regex, normalizers, pre_tokenizers

from datamodules.debian import kind, read_debian, sentences, split_of
from datamodules.files import DataError, read_file
from datamodules.tokens import INVISIBLE

# letters, digits (as #) and what stands within a word, as in object-oriented or c++; or one sign of punctuation
WORD = r"[\w#](?:[\w#+.:'@&-]*[\w#+])?|[^\w\s]"
PUNCTUATION = re.compile(r"[^\w#]+")
UNKNOWN = {"unk": "<unk>", "UNK": "<unk>"}  # how the files that go round write it
Steps = tuple[normalizers.Normalizer, pre_tokenizers.PreTokenizer]


class Pair(NamedTuple):
    """Both sides are words with spaces between.

    article: the first sentence.
    titles: one, or several where a corpus has several references.
    """

    article: str
    titles: tuple[str, ...]


def text_steps() -> Steps:
    """How running text becomes words: nothing invisible, lower case, every digit #, then :data:`WORD`."""
    steps = [
        normalizers.Replace(Regex(INVISIBLE), ""),
        normalizers.Lowercase(),
        normalizers.NFC(),
        normalizers.Replace(Regex(r"\p{Nd}"), "#"),
    ]
    return normalizers.Sequence(steps), pre_tokenizers.Split(Regex(WORD), "removed", invert=True)


def line_steps() -> Steps:
    """How a line of words with spaces between becomes words: lower case, every digit #."""
    steps = [normalizers.Lowercase(), normalizers.Replace(Regex(r"\p{Nd}"), "#")]
    return normalizers.Sequence(steps), pre_tokenizers.WhitespaceSplit()


def words_of(text: str, steps: Steps) -> list[str]:
    """The words of a text."""
    normalizer, splitter = steps
    return [word for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text))]


def has_letters(word: str) -> bool:
    """Whether a word is more than punctuation."""
    return PUNCTUATION.fullmatch(word) is None


@cache
def debian_pairs(root: str | None) -> dict[str, list[Pair]]:
    """By split: the first sentence of each description and its synopsis.

    The sentence is that of the first running text. Where several packages say the same first sentence, the first of
    them in the order of source package and package stands for all, so that no sentence is in two splits; the split of
    a source package is that of :func:`datamodules.debian.split_of`. Within a split the order is that of a hash of the
    sentence, so the first pairs are a fair sample of all.
    """
    steps, found, seen = text_steps(), {"train": [], "val": [], "test": []}, set()
    for record in read_debian(root):
        units = [unit for paragraph in record.en.paragraphs for unit in paragraph.split("\n") if not kind(unit)]
        article = " ".join(words_of(sentences(units[0])[0], steps)) if units else ""
        if not article or article in seen:
            continue
        seen.add(article)
        title = " ".join(words_of(record.en.synopsis, steps))
        found[split_of(record.source)].append(Pair(article, (title,)))
    for pairs in found.values():
        pairs.sort(key=lambda pair: sha256(pair.article.encode()).digest())
    return found


def read_lines(path: Path) -> list[str]:
    """The lines of a text file, or of the same with .gz; raises DataError that names it."""
    packed = path.with_name(path.name + ".gz")
    try:
        data = read_file(path) if path.exists() or not packed.exists() else gzip.decompress(read_file(packed))
        return data.decode().removesuffix("\n").split("\n")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: truncated or altered, not lines of text ({error})") from None


def title_files(articles: Path) -> list[Path]:
    """The files of titles that belong to a file of articles, in the layout in which Gigaword and DUC go round.

    ``train.article.txt`` has ``train.title.txt`` beside it; ``input.txt`` has ``task1_ref0.txt``, ``task1_ref1.txt``
    and so on.
    """
    if "article" in articles.name:
        return [articles.with_name(articles.name.replace("article", "title"))]
    every = articles.parent.glob("task1_ref*")
    found = sorted({path.with_suffix("") if path.suffix == ".gz" else path for path in every})
    return found or [articles.with_name("task1_ref0.txt")]


def file_pairs(articles: Path) -> Iterator[Pair]:
    """The pairs of a file of articles, a line each, and its files of titles.

    Raises:
        DataError: a file that is not there, or of another number of lines; one sentence.
    """
    steps, lines = line_steps(), read_lines(articles)
    titles = []
    for path in title_files(articles):
        titles.append(read_lines(path))
        if len(titles[-1]) != len(lines):
            raise DataError(f"{path}: has {len(titles[-1])} lines, and {articles.name} has {len(lines)}")
    for article, *references in zip(lines, *titles, strict=True):
        sides = [" ".join(UNKNOWN.get(w, w) for w in words_of(line, steps)) for line in (article, *references)]
        yield Pair(sides[0], tuple(sides[1:]))
