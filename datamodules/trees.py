"""Sentences and their constituency trees, from local files in the brackets of the Penn Treebank.

A tree is written as a line of symbols, ``(S (NP XX XX )NP (VP XX )VP )S``: for every bracket its label where it opens
and where it closes, and for every word XX or its tag (Vinyals et al. 2015). Words begin with no bracket.
"""

import re
from dataclasses import dataclass, field
from glob import glob
from pathlib import Path

from datamodules.files import DataError
from datamodules.parallel import Pairs, read_lines
from datamodules.translation import Translation

TOKEN = re.compile(r"[()]|[^()\s]+", re.ASCII)  # a no-break space is part of a word
CATEGORY = re.compile(r"[^-=]+|.+")  # of NP-SBJ or NP=2 what is before the function; all of -LRB- and -NONE-
ROOTS = ("TOP", "ROOT", "S1")  # how parsers label the bracket around a tree, which has no label in the treebank


@dataclass
class Bracket:
    """What was read of a bracket that is still open."""

    line: int
    label: str | None = None
    word: str | None = None  # if the label is a tag
    inner: bool = False  # whether there are brackets in it, traces too
    words: list[str] = field(default_factory=list)
    tree: list[str] = field(default_factory=list)

    def holds_another(self) -> None:
        """A bracket opens inside."""
        if self.word is not None:
            raise DataError(f"a bracket beside the word {self.word!r}, expected ) after it")
        self.label, self.inner = self.label or "", True

    def holds(self, token: str) -> None:
        """Its label, or a word of which that is the tag."""
        if self.label is None:
            self.label = token
        elif self.word is None and not self.inner:
            self.word = token
        else:
            raise DataError(f"the word {token!r} has no tag of its own, expected (tag {token})")

    def closed(self, root: bool) -> tuple[list[str], list[str]]:
        """Its words and its symbols; none where it holds nothing but traces."""
        name = CATEGORY.match(self.label)[0] if self.label else ""
        if self.word is not None:
            return ([], []) if name == "-NONE-" else ([self.word], [name])
        if name and not self.inner:
            raise DataError(f"({self.label}) holds neither a word nor brackets")
        if not self.words or not name or (root and name in ROOTS):
            return self.words, self.tree
        return self.words, [f"({name}", *self.tree, f"){name}"]


def read_trees(path: Path) -> Pairs:
    """The sentences of a file, or .gz, each with its tree as a line of symbols in which words are their tags.

    Traces (-NONE-), brackets that hold nothing else, function tags, brackets without a label, and the one around a tree
    that is labelled TOP, ROOT or S1 are left out, as is a tree without words.

    Raises:
        DataError: one sentence with the line, where brackets do not match, a bracket holds both words and brackets or
            nothing at all, or something stands outside of trees; or if there are no trees.
    """
    pairs: Pairs = []
    stack: list[Bracket] = []
    for number, line in enumerate(read_lines(path), 1):
        for token in TOKEN.findall(line):
            try:
                if token == "(":
                    if stack:
                        stack[-1].holds_another()
                    stack.append(Bracket(number))
                elif not stack:
                    raise DataError(f"{token!r} stands outside of a tree")
                elif token != ")":
                    stack[-1].holds(token)
                else:
                    words, tree = stack.pop().closed(root=not stack)
                    if stack:
                        stack[-1].words += words
                        stack[-1].tree += tree
                    elif words:
                        pairs.append((" ".join(words), " ".join(tree)))
            except DataError as error:
                raise DataError(f"{path}, line {number}: {error}") from None
    if stack:
        raise DataError(f"{path}, line {stack[0].line}: the tree that begins here is never closed")
    if not pairs:
        raise DataError(f"{path}: holds no trees")
    return pairs


def find(root: str | Path | None, patterns: str | list[str]) -> list[Path]:
    """The files below a folder that the patterns name, those of each pattern sorted."""
    if root is None:
        raise DataError("say where the treebank is: data.root=<folder>")
    found = []
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        names = sorted(glob(pattern, root_dir=root, recursive=True))
        if not names:
            raise DataError(f"{Path(root) / pattern}: there is no such file")
        found += [Path(root) / name for name in names]
    return found


def hide_tags(tree: str) -> str:
    """XX for every word of a tree."""
    return " ".join(symbol if symbol[0] in "()" else "XX" for symbol in tree.split())


class Trees(Translation):
    """Batches as :class:`datamodules.translation.Translation` has them: from a sentence to its tree.

    `references` are trees with tags, from which a score knows the punctuation.

    Args:
        root: folder of the treebank.
        train, val, test: files below it, .gz or not; a pattern such as "22/*.mrg", or several. What two patterns name
            is read twice.
        tags: whether the tag of a word is written; otherwise XX.
        vocabulary: words, and symbols of trees; of both together where it is `joint`.
        max_length: training pairs with a tree of more symbols are left out.
        batch_tokens: symbols of trees, padding counted, of a batch for each process; unless
        others: see :class:`datamodules.translation.Translation`.
    """

    def __init__(
        self,
        root: str | None = None,
        train: str | list[str] = "train.mrg",
        val: str | list[str] = "val.mrg",
        test: str | list[str] = "test.mrg",
        tags: bool = False,
        tokens: str = "words",
        vocabulary: int = 16000,
        joint: bool = True,
        tokenizer: str | None = None,
        max_length: int = 512,
        reverse: bool = False,
        batch_tokens: int = 4096,
        batch_size: int | None = None,
        eval_batch_size: int = 16,
        seed: int = 0,
        limit: int | None = None,
    ):
        super().__init__(
            source="words",
            target="trees",
            corpus="files",
            root=root,
            tokens=tokens,
            vocabulary=vocabulary,
            joint=joint,
            pretokenised=True,
            tokenizer=tokenizer,
            unknown=0.0,
            max_length=max_length,
            reverse=reverse,
            batch_tokens=batch_tokens,
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            seed=seed,
            limit=limit,
        )
        self.names, self.tags = {"train": train, "val": val, "test": test}, tags

    def pairs(self, split: str) -> Pairs:
        """The sentences of a split with their trees, words as tags."""
        if split not in self._pairs:
            files = find(self.root, self.names[split])
            self._pairs[split] = [pair for path in files for pair in read_trees(path)][: self.limit]
        return self._pairs[split]

    def _words(self, split: str, side: str) -> list[str]:
        lines = super()._words(split, side)
        return lines if side == "source" or self.tags else [hide_tags(tree) for tree in lines]
