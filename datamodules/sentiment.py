"""The Stanford Sentiment Treebank (Socher et al. 2013) from its published trees: positive and negative sentences."""

import re
from pathlib import Path

from datamodules.files import DataError
from datamodules.parallel import read_lines

FILES = {"train": "train.txt", "val": "dev.txt", "test": "test.txt"}
TREE = re.compile(r"\s*\(([0-4]) ")
LEAF = re.compile(r"\([0-4] ([^()\s]+)\)")
ESCAPED = (("-LRB-", "("), ("-RRB-", ")"), ("\\/", "/"), ("\\*", "*"))


def read_treebank(root: str | Path | None, split: str) -> tuple[list[str], list[int]]:
    """Sentences, words between spaces, and whether each is positive (1) or negative (0).

    The label of a sentence is that of the root of its tree, 0 to 4; neutral sentences (2) are left out, as is usual.

    Args:
        root: the folder `trees` with train.txt, dev.txt and test.txt, a tree a line: ``(3 (2 A) (3 film))``.
        split: train, val or test.

    Raises:
        DataError: a file that is missing, or a line that is no tree or not UTF-8; names it.
    """
    if root is None:
        raise DataError("say where the treebank is: data.root=<folder with train.txt, dev.txt and test.txt>")
    path, texts, labels = Path(root) / FILES[split], [], []
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        label, words = TREE.match(line), LEAF.findall(line)
        if not label or not words or line.count("(") != line.count(")"):
            raise DataError(f"{path}, line {number}: no tree of the treebank, expected as (3 (2 A) (3 film))")
        if label[1] != "2":
            text = " ".join(words)
            for escaped, meant in ESCAPED:
                text = text.replace(escaped, meant)
            texts.append(text), labels.append(int(label[1] > "2"))
    if not texts:
        raise DataError(f"{path}: there is no positive or negative sentence")
    return texts, labels
