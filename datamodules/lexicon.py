"""The words that have vectors: how often each occurs, what is drawn as noise, and the tree of hierarchical softmax."""

import heapq
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from datamodules.files import DataError, read_file

FILE = "words.tsv"  # what a run keeps: the words and their counts, the most frequent first


class Lexicon(NamedTuple):
    """Words in the order of their numbers, the most frequent first, and how often each occurs in the training text."""

    words: list[str]
    counts: np.ndarray  # (words,) int64


class Tree(NamedTuple):
    """Huffman's tree: of each word the inner nodes on the way from the root, and which way the path turns there."""

    nodes: np.ndarray  # (words, depth) int64
    signs: np.ndarray  # (words, depth) int8: 1 to the one side, -1 to the other, 0 behind the end of the path


def count_words(documents: list[list[str]], least: int, most: int | None) -> Lexicon:
    """Words that occur at least so often, and of them the most frequent; of equal counts in alphabetical order."""
    counter = Counter(word for document in documents for word in document)
    kept = sorted((-count, word) for word, count in counter.items() if count >= least)[:most]
    if len(kept) < 2:
        raise DataError(f"fewer than two words occur {least} times; data.min_count is too large for this text")
    return Lexicon([word for _, word in kept], np.array([-count for count, _ in kept]))


def write_lexicon(lexicon: Lexicon, folder: Path) -> None:
    """Leaves the words and counts in FILE."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = zip(lexicon.words, lexicon.counts.tolist(), strict=True)
    (folder / FILE).write_text("".join(f"{word}\t{count}\n" for word, count in rows))


def read_lexicon(folder: Path) -> Lexicon:
    """What :func:`write_lexicon` left; raises DataError, naming the file."""
    path = folder / FILE
    try:
        rows = [line.split("\t") for line in read_file(path).decode().split("\n")[:-1]]
        return Lexicon([word for word, _ in rows], np.array([int(count) for _, count in rows]))
    except ValueError as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: truncated or altered, not words and counts") from None


def huffman(counts: np.ndarray) -> Tree:
    """The binary tree in which frequent words have short paths; inner nodes are numbered as they are made."""
    words = len(counts)
    heap = [(int(count), word) for word, count in enumerate(counts)]
    heapq.heapify(heap)
    parent, side = np.zeros(2 * words - 1, np.int64), np.zeros(2 * words - 1, np.int8)
    for node in range(words, 2 * words - 1):
        (a, left), (b, right) = heapq.heappop(heap), heapq.heappop(heap)
        parent[[left, right]], side[[left, right]] = node, (1, -1)
        heapq.heappush(heap, (a + b, node))
    paths = []
    for word in range(words):
        path, node = [], word
        while node != 2 * words - 2:
            path.append((parent[node] - words, side[node]))
            node = parent[node]
        paths.append(path[::-1])
    depth = max(map(len, paths))
    nodes, signs = np.zeros((words, depth), np.int64), np.zeros((words, depth), np.int8)
    for word, path in enumerate(paths):
        nodes[word, : len(path)], signs[word, : len(path)] = zip(*path, strict=True)
    return Tree(nodes, signs)
