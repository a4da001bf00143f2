"""First sentences and their titles, as batches for models that write headlines."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, models
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from datamodules.buckets import Share
from datamodules.files import DataError, check_counts
from datamodules.filters import sift
from datamodules.sentences import Bucketed, Sentences, Side
from datamodules.summaries import Pair, Steps, debian_pairs, file_pairs, has_letters, line_steps, text_steps
from datamodules.tokens import BOS, EOS, PAD, SPECIALS, UNK, read_tokenizer

SIDES = ("source", "target")
SPLITS = ("train", "val", "test")
CORPORA = ("debian", "files")


def shortlist(lines: Iterable[str], least: int, steps: Steps) -> Tokenizer:
    """A vocabulary of all words that occur at least so often, the most frequent first, after the special symbols."""
    counts = Counter(word for line in lines for word in line.split())
    kept = [word for word, n in counts.items() if n >= least and word not in SPECIALS]
    kept.sort(key=lambda word: (-counts[word], word))
    words = {word: i for i, word in enumerate([*SPECIALS, *kept])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = steps
    return tokenizer


class Titled(Bucketed):
    """A split in ids. An item is a batch."""

    def __init__(self, pairs: list[Pair], source: dict[str, int], target: dict[str, int]):
        self.pairs, self.known = pairs, target
        self.source = Side([source.get(word, UNK) for word in pair.article.split()] for pair in pairs)
        titles = [[target.get(word, UNK) for word in pair.titles[0].split()] for pair in pairs]
        self.target = Side([BOS, *title, EOS] for title in titles)

    def __len__(self) -> int:
        return len(self.pairs)

    def lengths(self) -> tuple[np.ndarray, np.ndarray]:
        return self.source.length, self.target.length - 1  # bos is no token

    def article(self, index: int) -> list[str]:
        """The words of a sentence."""
        return self.pairs[index].article.split()

    def copies(self, article: list[str]) -> list[int]:
        """What the decoder writes to copy each word: its title id, or the size of that vocabulary + its first place.

        Padding stands for punctuation, which titles do not have.
        """
        size = len(self.known)
        numbers = [self.known.get(word) or size + article.index(word) for word in article]
        return [i if has_letters(word) else PAD for i, word in zip(numbers, article, strict=True)]

    def __getitem__(self, share: Share) -> dict[str, Tensor]:
        index, tokens, _ = share
        copies = [torch.tensor(self.copies(self.article(i))) for i in index.tolist()]
        return {
            "source": self.source.rows(index),
            "target": self.target.rows(index),
            "copy": pad_sequence(copies, batch_first=True, padding_value=PAD),
            "index": index,
            "tokens": torch.tensor(tokens, dtype=torch.float32),
        }


class Headlines(Sentences):
    """Batches of first sentences and titles.

    A batch holds `source` (batch, S), the words of the sentences; `target` (batch, T + 1), bos, title and eos; `copy`
    (batch, S), for each word of the sentence its number among what a title may have (beyond the vocabulary of titles:
    a word that it lacks, by the place where the sentence has it first; 0: punctuation); all int64 and padded with 0;
    `index` (batch,), positions in the split; and `tokens`, how many words and eos the batches of all processes hold
    together, divided by the number of processes.

    Titles have no punctuation. Filters leave pairs out of every split of Debian and out of training alone elsewhere,
    whose test sets are what they are.

    Args:
        corpus: "debian", which ships with the zoo, or "files" in `root`, as Gigaword and DUC go round.
        root: folder of the files.
        train, val, test: files of articles below `root`; see :func:`datamodules.summaries.title_files`.
        filters: names of :data:`datamodules.filters.FILTERS`.
        source_count, title_count: how often a word of the training pairs must occur on a side to be in its vocabulary.
        pairs: of training, the first ones; None: all.
        learn: the split that the training loader gives; "val" is for tuning (ABS+). Vocabularies are those of train.
        learn_pairs: how many of that split it gives, the first ones; None: all.
        max_length: words of a sentence; what is beyond is cut off.
        tokenizer: a folder with source.json and target.json, as released weights have it; then no training text is
            needed to evaluate.
        batch_size, eval_batch_size: titles of a batch for each process.
        seed: of the shuffling.
        limit: only the first so many pairs of each split.
    """

    def __init__(
        self,
        corpus: str = "debian",
        root: str | None = None,
        train: str = "train/train.article.txt",
        val: str = "train/valid.article.filter.txt",
        test: str = "Giga/input.txt",
        filters: list[str] | None = None,
        source_count: int = 3,
        title_count: int = 2,
        pairs: int | None = None,
        learn: str = "train",
        learn_pairs: int | None = None,
        max_length: int = 100,
        tokenizer: str | None = None,
        batch_size: int = 64,
        eval_batch_size: int = 64,
        seed: int = 0,
        limit: int | None = None,
    ):
        super().__init__()
        if corpus not in CORPORA:
            raise DataError(f"corpus is {corpus!r}, not one of {', '.join(CORPORA)}")
        if corpus == "files" and root is None:
            raise DataError("corpus is files, and root does not say in which folder")
        if learn not in SPLITS[:2]:
            raise DataError(f"learn is {learn!r}, not one of train, val")
        check_counts(source_count=source_count, title_count=title_count, pairs=pairs, max_length=max_length)
        check_counts(batch_size=batch_size, eval_batch_size=eval_batch_size, limit=limit, learn_pairs=learn_pairs)
        self.corpus, self.root, self.filters = corpus, root, list(filters or ())
        self.learn, self.learn_pairs = learn, learn_pairs
        self.files = dict(zip(SPLITS, (train, val, test), strict=True))
        self.counts = (source_count, title_count)
        self.some, self.max_length, self.limit = pairs, max_length, limit
        self.batch_size, self.eval_batch_size, self.seed = batch_size, eval_batch_size, seed
        self.tokenizer = tokenizer
        self.dropped: dict[str, Counter] = {}
        self._pairs: dict[str, list[Pair]] = {}
        self._splits: dict[str, Titled] = {}
        self._tokenizers: dict[str, Tokenizer] = {}

    def read(self, split: str) -> Iterable[Pair]:
        """The pairs of a split as the corpus has them."""
        if self.corpus == "debian":
            return debian_pairs(self.root)[split]
        return file_pairs(Path(self.root) / self.files[split])

    def steps(self) -> Steps:
        """How raw text becomes words."""
        return text_steps() if self.corpus == "debian" else line_steps()

    def pairs(self, split: str) -> list[Pair]:
        """The pairs of a split that pass the filters, their titles without punctuation."""
        if split not in self._pairs:
            whole = self.corpus == "debian" or split == "train"
            kept, self.dropped[split] = sift(self.read(split), self.filters if whole else ())
            kept = kept[: self.limit][: self.some if split == "train" else None]
            if not kept:
                raise DataError(f"{split} has no pair that passes the filters {', '.join(self.filters) or '(none)'}")
            self._pairs[split] = [Pair(self._cut(pair.article), tuple(map(plain, pair.titles))) for pair in kept]
        return self._pairs[split]

    def _cut(self, article: str) -> str:
        return " ".join(article.split()[: self.max_length])

    @property
    def tokenizers(self) -> dict[str, Tokenizer]:
        """The vocabulary of each side: read from the folder `tokenizer`, or made of the training pairs."""
        if not self._tokenizers:
            if self.tokenizer is not None:
                self._tokenizers = {side: read_tokenizer(Path(self.tokenizer) / f"{side}.json") for side in SIDES}
            else:
                lines = zip(*((pair.article, pair.titles[0]) for pair in self.pairs("train")), strict=True)
                made = [shortlist(side, n, self.steps()) for side, n in zip(lines, self.counts, strict=True)]
                self._tokenizers = dict(zip(SIDES, made, strict=True))
        return self._tokenizers

    @property
    def spec(self) -> dict[str, int]:
        """What only the data know: the sizes of both vocabularies."""
        return {f"{side}_vocabulary": self.tokenizers[side].get_vocab_size() for side in SIDES}

    def split(self, split: str) -> Titled:
        """A split in ids, made when it is asked for."""
        if split not in self._splits:
            words = [self.tokenizers[side].get_vocab() for side in SIDES]
            self._splits[split] = Titled(self.pairs(split), *words)
        return self._splits[split]

    def learned(self) -> Titled:
        """The split that the training loader gives."""
        if self.learn_pairs is None:
            return self.split(self.learn)
        words = [self.tokenizers[side].get_vocab() for side in SIDES]
        return Titled(self.pairs(self.learn)[: self.learn_pairs], *words)

    def articles(self, split: str, index: list[int]) -> list[list[str]]:
        """The words of the sentences at positions of a split."""
        return [self.split(split).article(i) for i in index]

    def titles(self, split: str, index: list[int]) -> list[tuple[str, ...]]:
        """The titles of the same: each a line of words, several where the corpus has several references."""
        return [self.pairs(split)[i].titles for i in index]

    def pieces(self, ids: Tensor, side: str) -> list[list[str]]:
        """The words of each row of ids (batch, length), without padding."""
        name = self.tokenizers[side].id_to_token
        return [[name(i) for i in row if i != PAD] for row in ids.tolist()]

    def report(self) -> dict[str, object]:
        """How many pairs there are, how many each filter dropped, and how much of the test stands in training."""
        found = {split: self.pairs(split) for split in SPLITS}
        articles, titles = ({pair[side] for pair in found["train"]} for side in (0, 1))
        return {
            "pairs": {split: len(pairs) for split, pairs in found.items()},
            "dropped": {split: dict(counts) for split, counts in self.dropped.items()},
            "test sentences in training": sum(pair.article in articles for pair in found["test"]),
            "test titles in training": sum(pair.titles in titles for pair in found["test"]),
            "words of a sentence": mean(len(pair.article.split()) for pair in found["train"]),
            "words of a title": mean(len(pair.titles[0].split()) for pair in found["train"]),
            **self.spec,
        }

    def save(self, folder: Path) -> None:
        """Writes what must travel with the weights: source.json and target.json."""
        folder.mkdir(parents=True, exist_ok=True)
        for side, tokenizer in self.tokenizers.items():
            tokenizer.save(str(folder / f"{side}.json"))


def plain(title: str) -> str:
    """A title without punctuation."""
    return " ".join(filter(has_letters, title.split()))


def mean(numbers: Iterable[int]) -> float:
    """With two decimals."""
    return round(float(np.mean(list(numbers))), 2)
