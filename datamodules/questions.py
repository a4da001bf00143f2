"""Cloze questions: the published file format of CNN and Daily Mail (Hermann et al. 2015), and counts of a corpus."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from datamodules.files import DataError, read_file

FOLDERS = {"train": "training", "val": "validation", "test": "test"}
ENTITY = re.compile(r"@entity\d+")
PLACEHOLDER = "@placeholder"
BLOCKS = ("address", "document", "question", "answer", "names")


class Fault(DataError):
    """What makes a question one that cannot be asked."""


class Question(NamedTuple):
    """A document, a question with one hole, and what fills it. Entities are written @entity0, @entity1 and so on.

    document, question: tokens.
    candidates: what may be the answer, each once, in the order of the document.
    names: how an entity is written in the text.
    source: where it comes from: a file, a package.
    support: which tokens of the document the answer follows from, where that is known.
    """

    document: list[str]
    question: list[str]
    answer: str
    candidates: list[str]
    names: dict[str, str]
    source: str
    support: list[bool] | None = None


def entities(tokens: Iterable[str]) -> list[str]:
    """The entities among tokens, each once, in their order."""
    return list(dict.fromkeys(token for token in tokens if ENTITY.fullmatch(token)))


def parse_question(text: str, source: str) -> Question:
    """The text of a `.question` file: address, document, question, answer and names, with an empty line between.

    Raises:
        Fault: another form, or a question that cannot be answered; one sentence with the name of the source.
    """
    blocks = text.rstrip("\n").split("\n\n")
    if len(blocks) not in (4, 5):
        raise Fault(f"{source}: has {len(blocks)} blocks, expected {len(BLOCKS)}: {', '.join(BLOCKS)}")
    for name, block in zip(BLOCKS[:4], blocks, strict=False):
        if not block.strip() or "\n" in block:
            raise Fault(f"{source}: its {name} is {len(block.splitlines())} lines, expected one")
    document, question = blocks[1].split(" "), blocks[2].split(" ")
    names = {}
    for line in blocks[4].splitlines() if len(blocks) == 5 else []:
        entity, colon, name = line.partition(":")  # a name may hold colons
        if not colon or not ENTITY.fullmatch(entity):
            raise Fault(f"{source}: {line!r} names no entity, expected @entity<number>:<name>")
        names[entity] = name
    return check(Question(document, question, blocks[3], entities(document), names, source))


def check(asked: Question) -> Question:
    """The question; raises Fault, one sentence with its source, if it has no hole, or no answer in the document."""
    holes = asked.question.count(PLACEHOLDER)
    if holes != 1:
        raise Fault(f"{asked.source}: its question has {holes} {PLACEHOLDER}, expected one")
    if not asked.candidates:
        raise Fault(f"{asked.source}: its document has no entity")
    if asked.answer not in asked.candidates:
        raise Fault(f"{asked.source}: its answer {asked.answer} is not in the document")
    return asked


def read_questions(root: str | Path, split: str) -> Iterator[Question | Fault]:
    """The questions of a split in the folder `root`/training, validation or test, by the names of their files.

    A file that is no question gives the fault in its place.

    Raises:
        DataError: there is no such folder, or no question in it.
    """
    folder = Path(root) / FOLDERS[split]
    paths = sorted(folder.glob("*.question"))
    if not paths:
        raise DataError(f"{folder}: there is no .question file")
    for path in paths:
        try:
            yield parse_question(read_file(path).decode(), str(path))
        except UnicodeDecodeError as error:
            yield Fault(f"{path}: not UTF-8 (byte {error.start})")
        except Fault as fault:
            yield fault


def statistics(questions: Iterable[Question]) -> dict[str, float]:
    """Counts of a split, after the paper's tables 1 and 2.

    Returns:
        documents, questions, the largest number of candidates and the mean one, mean tokens of a document, different
        tokens (of the text without markers); and "top <N>": in percent how many answers are among the N most
        frequent candidates of their document (of equally frequent ones, those that come first).
    """
    documents, words, tops = set(), set(), Counter()
    count = candidates = tokens = most = 0
    for asked in questions:
        seen = Counter(asked.document)
        ranked = sorted(asked.candidates, key=lambda entity: -seen[entity])
        tops[ranked.index(asked.answer) + 1] += 1
        documents.add(tuple(asked.document))
        words.update(token for token in asked.document + asked.question if token not in asked.names)
        count, tokens = count + 1, tokens + len(asked.document)
        candidates, most = candidates + len(asked.candidates), max(most, len(asked.candidates))
    found = {
        "documents": len(documents),
        "questions": count,
        "most candidates": most,
        "candidates": round(candidates / count, 2),
        "tokens": round(tokens / count, 1),
        "vocabulary": len(words),
    }
    return found | {f"top {n}": round(100 * sum(tops[i + 1] for i in range(n)) / count, 1) for n in (1, 2, 3, 5, 10)}
