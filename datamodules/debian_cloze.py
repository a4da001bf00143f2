"""Cloze questions about Debian packages: the one-line synopsis with a name blanked, over the long description.

The recipe is that of Hermann et al. (2015), with a synopsis in place of a news article's bullet point. What a name is
is decided by capitals, since no tagger ships with the zoo.
"""

import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import NamedTuple

from datamodules.debian import ITEM, SPLITS, VERBATIM, Text, kind, read_debian, sentences, split_of
from datamodules.questions import PLACEHOLDER, Question

TOKEN = re.compile(r"[^\W_]+(?:[-+.'_/][^\W_]+)*[+#]*|[^\w\s]|_")
START = 40  # documents that agree in so many tokens, their names anonymised, are one
REASONS = ("no running text", "no name in both", "start of another document", "tokens", "entities")


class Corpus(NamedTuple):
    """Questions of each split, how many packages or questions were left out for which of REASONS, and the names."""

    questions: dict[str, list[Question]]
    dropped: dict[str, int]
    names: list[str]


def tokens(text: str) -> list[str]:
    """Words, with the signs that stand within them (C++, TCP/IP, isn't), and single other signs."""
    return TOKEN.findall(text)


def running(text: Text) -> list[list[str]]:
    """The sentences and items of lists of a description, in tokens."""
    lines = [line for paragraph in text.paragraphs for line in paragraph.split("\n") if kind(line) != VERBATIM]
    return [tokens(each) for line in lines for each in sentences(line.removeprefix(ITEM))]


def find_names(descriptions: list[list[list[str]]]) -> set[str]:
    """Words, in lower case, that have a capital more often than not where they do not start a sentence."""
    capital = Counter()
    for description in descriptions:
        for sentence in description:
            for token in sentence[1:]:
                capital[token.lower()] += 1 if token != token.lower() else -1
    return {word for word, balance in capital.items() if balance > 0}


def ask(document: list[str], synopsis: list[str], names: set[str], source: str) -> list[Question]:
    """A question for each name of a synopsis that is in the document: its first mention is the hole.

    Args:
        document, synopsis: tokens in lower case.
    """
    numbers: dict[str, str] = {}
    for token in [*document, *synopsis]:
        if token in names:
            numbers.setdefault(token, f"@entity{len(numbers)}")
    written = {entity: name for name, entity in numbers.items()}
    text = [numbers.get(token, token) for token in document]
    candidates = list(dict.fromkeys(token for token in text if token in written))
    found = []
    for entity in dict.fromkeys(numbers[token] for token in synopsis if token in names):
        if entity in candidates:
            question = [numbers.get(token, token) for token in synopsis]
            question[question.index(entity)] = PLACEHOLDER
            found.append(Question(text, question, entity, candidates, written, source))
    return found


@cache
def debian_questions(root: str | None, max_tokens: int, most: int) -> Corpus:
    """The questions on all packages, split by source package.

    Of documents with the same first 40 tokens, names being anonymised, one is kept, the first of the test split or else
    of the validation split or else of the training split, so that no document is in two splits.

    Args:
        root: folder that scripts/build_debian.py has written; None for the one that ships here.
        max_tokens: of a document; longer ones are left out.
        most: entities of a question; questions with more are left out.
    """
    records = read_debian(root)
    texts = [running(record.en) for record in records]
    names = find_names(texts)
    found: dict[str, list[Question]] = {split: [] for split in SPLITS}
    dropped, starts = Counter(dict.fromkeys(REASONS, 0)), set()
    order = sorted(range(len(records)), key=lambda i: -SPLITS.index(split_of(records[i].source)))  # stable
    for i in order:
        document = [token.lower() for sentence in texts[i] for token in sentence]
        if not document:
            dropped["no running text"] += 1
            continue
        synopsis = [token.lower() for token in tokens(records[i].en.synopsis)]
        asked = ask(document, synopsis, names, records[i].package)
        if not asked:
            dropped["no name in both"] += 1
        elif (start := tuple(asked[0].document[:START])) in starts:
            dropped["start of another document"] += len(asked)
        elif len(document) > max_tokens:
            dropped["tokens"] += len(asked)
        elif len(asked[0].names) > most:
            dropped["entities"] += len(asked)
        else:
            starts.add(start)
            found[split_of(records[i].source)] += asked
    return Corpus(found, dict(dropped), sorted(names))


def describe(root: str | Path | None, max_tokens: int, most: int) -> dict[str, int]:
    """What was left out, and how many test documents start as a training document does (none)."""
    corpus = debian_questions(root, max_tokens, most)
    starts = {split: {tuple(q.document[:START]) for q in corpus.questions[split]} for split in SPLITS}
    return {f"dropped: {why}": n for why, n in corpus.dropped.items()} | {
        "test documents in training": len(starts["test"] & starts["train"])
    }
