"""Words and the words around them: running text cut into stretches, thinned and with noise, made on the device."""

from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from datamodules.documents import read_documents
from datamodules.files import DataError, check_counts, check_flags
from datamodules.hashed import uniform
from datamodules.lexicon import Lexicon, Tree, count_words, huffman, read_lexicon, write_lexicon
from datamodules.sampling import generator
from datamodules.tagged import Tagged, read_conll, read_silver
from datamodules.tickets import ByTicket

SPLITS = ("train", "val", "test")
OUTPUTS = ("negatives", "tree")
SILVER = {"silver": False, "silver_fine": True}


class Text(NamedTuple):
    """Words one after the other, and the number of the document of each: both (words,) int64."""

    words: Tensor
    documents: Tensor


class WordWindows(ByTicket):
    """Stretches of `length` words to predict, with `window` words more on either side.

    A batch is a dict, with L = length and b = window:

    * ``text`` (batch, L + 2b) int64: the words; a place outside the text holds any word;
    * ``here`` (batch, L, 2b) bool: which slots -b .. -1, 1 .. b around each of the L words hold a word of its document
      that its window reaches; a word without any is not predicted, and neither is a place behind the end;
    * ``noise`` (batch, negatives) int64, words drawn for the whole stretch, or (batch, L, negatives), for each word;
    * or ``nodes`` (batch, L + 2b, depth) int64 and ``signs`` (batch, L + 2b, depth) int8, the way to each word in
      Huffman's tree.

    Words that are not in the vocabulary are taken out of the text first, as the word2vec tools do.

    Args:
        corpus, root, subset, lowercase: see :func:`datamodules.documents.read_documents`.
        tokenizer: folder with the words of finished weights; None: those of the training text.
        vocabulary: the most frequent so many words; None for all that occur `min_count` times.
        window: b.
        shrink: whether each word to predict draws its reach from 1 to b (word2vec); otherwise it is b.
        subsample: t, a word whose share of the text is f stays with the probability sqrt(t / f) + t / f; 0 keeps all.
        length: L.
        output: "negatives" or "tree", what the batches bring of the output.
        negatives: how many words of noise.
        shared: whether the words of a stretch share them.
        power: noise is drawn by count ** power.
        tags: what induction is tested on: "silver", universal tags, or "silver_fine", Penn's, both of a tagger, for
            sentences of Debian's descriptions; or a CoNLL-U file; None for none.
        batch_size, eval_batch_size: stretches.
        limit: only the first so many documents of each split.
    """

    def __init__(
        self,
        corpus: str = "debian",
        root: str | None = None,
        subset: str | None = None,
        lowercase: bool = True,
        tokenizer: str | None = None,
        vocabulary: int | None = None,
        min_count: int = 5,
        window: int = 20,
        shrink: bool = False,
        subsample: float = 0.0,
        length: int = 64,
        output: str = "negatives",
        negatives: int = 64,
        shared: bool = True,
        power: float = 0.75,
        tags: str | None = "silver",
        batch_size: int = 64,
        eval_batch_size: int = 64,
        seed: int = 0,
        limit: int | None = None,
    ):
        super().__init__()
        check_counts(min_count=min_count, window=window, length=length, negatives=negatives, limit=limit)
        check_counts(2, vocabulary=vocabulary)
        check_counts(batch_size=batch_size, eval_batch_size=eval_batch_size)
        check_counts(0, seed=seed)
        check_flags(lowercase=lowercase, shrink=shrink, shared=shared)
        if output not in OUTPUTS:
            raise DataError(f"output is {output!r}, not one of {', '.join(OUTPUTS)}")
        for name, value in (("subsample", subsample), ("power", power)):
            if not 0 <= value <= 1:
                raise DataError(f"{name} is {value!r}; expected a number from 0 to 1")
        self.corpus, self.root, self.subset, self.lowercase = corpus, root, subset, lowercase
        self.folder, self.vocabulary, self.min_count = tokenizer, vocabulary, min_count
        self.window, self.shrink, self.subsample, self.length = window, shrink, subsample, length
        self.output, self.negatives, self.shared, self.power = output, negatives, shared, power
        self.tags, self.seed, self.limit = tags, seed, limit
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size
        self._texts: dict[str, Text] = {}
        self._thin: tuple[int, Text] | None = None

    @property
    def spec(self) -> dict[str, int]:
        """What only the data know: how many words there are, how wide windows are, and how many tags."""
        tags = self.tagged("test").tags if self.tags else []
        kinds = len({tag for sentence in tags for tag in sentence})
        return {"vocabulary": len(self.lexicon.words), "window": self.window, "states": kinds}

    @cached_property
    def lexicon(self) -> Lexicon:
        """The words that have vectors."""
        if self.folder:
            return read_lexicon(Path(self.folder))
        return count_words(self._documents("train"), self.min_count, self.vocabulary)

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The number of each word."""
        return {word: number for number, word in enumerate(self.lexicon.words)}

    @cached_property
    def tree(self) -> Tree:
        return huffman(self.lexicon.counts)

    @cached_property
    def drawn_by(self) -> Tensor:
        """(words,) float64, cumulative shares of the noise."""
        share = torch.from_numpy(self.lexicon.counts.astype(np.float64) ** self.power).cumsum(0)
        return share / share[-1]

    def _documents(self, split: str) -> list[list[str]]:
        return read_documents(self.corpus, self.root, self.subset, self.lowercase)[split][: self.limit]

    def save(self, folder: Path) -> None:
        """Leaves what a pipeline must know of the data."""
        write_lexicon(self.lexicon, folder)

    def text(self, split: str) -> Text:
        """A split as numbers, without the words that have none."""
        if split not in self._texts:
            documents = [[self.numbers[w] for w in d if w in self.numbers] for d in self._documents(split)]
            lengths = torch.tensor([len(document) for document in documents])
            words = torch.tensor([word for document in documents for word in document], dtype=torch.int64)
            if not len(words):
                raise DataError(f"{split} holds no word of the vocabulary")
            self._texts[split] = Text(words, torch.arange(len(documents)).repeat_interleave(lengths))
        return self._texts[split]

    def tagged(self, split: str) -> Tagged:
        """Sentences with parts of speech; of a local file the same for every split."""
        if self.tags in SILVER:
            return read_silver(split, SILVER[self.tags])
        if self.tags is None:
            raise DataError("these data have no tags; data.tags=silver, or a CoNLL-U file")
        return read_conll(self.tags)

    @cached_property
    def _stays(self) -> Tensor:
        """(words,) float32, with which probability a word stays in the text."""
        counts = torch.from_numpy(self.lexicon.counts)
        ratio = self.subsample * counts.sum() / counts
        return (ratio.sqrt() + ratio).clamp(max=1).float()

    def size(self, split: str) -> int:
        """Number of stretches; of a thinned text as many as are to be expected."""
        words = self.text(split).words
        count = self._stays[words].sum().item() if split == "train" and self.subsample else len(words)
        return max(1, -(-int(count) // self.length))

    def _read(self, split: str, epoch: int) -> Text:
        """The text of an epoch; of training it is thinned anew in each."""
        text = self.text(split)
        if split != "train" or not self.subsample:
            return text
        if self._thin is None or self._thin[0] != epoch:
            number = torch.arange(len(text.words))
            kept = uniform(number + self._base("train", 6) + epoch * len(number), 1)[:, 0] < self._stays[text.words]
            self._thin = epoch, Text(text.words[kept], text.documents[kept])
        return self._thin[1]

    def _base(self, split: str, stream: int) -> int:
        seeds = (self.seed, stream) if split == "train" else (SPLITS.index(split), stream)
        return int(torch.randint(2**61, (), generator=generator(*seeds)))

    def batch(self, split: str, index: Tensor, epoch: int = 0) -> dict[str, Tensor]:
        """See the class; `index` says which stretches."""
        device, b, train = index.device, self.window, split == "train"
        words, documents = (each.to(device) for each in self._read(split, epoch))
        steps = torch.arange(self.length + 2 * b, device=device)
        at = index[:, None] * self.length - b + steps  # (batch, L + 2b), places in the text
        inside = (at >= 0) & (at < len(words))
        at = at.clamp(0, len(words) - 1)
        document = torch.where(inside, documents[at], -1)
        centre = torch.where(inside, document, -2)[:, b : b + self.length, None]  # outside is in no document's window
        around = document.unfold(1, 2 * b + 1, 1) == centre  # (batch, L, 2b + 1)
        here = torch.cat([around[..., :b], around[..., b + 1 :]], -1)
        key = index + (epoch * self.size(split) if train else 0)
        if train and self.shrink:
            reach = 1 + (uniform(key + self._base(split, 7), self.length) * b).long()
            steps = torch.arange(1, b + 1, device=device)
            here = here & (torch.cat([steps.flip(0), steps]) <= reach[..., None])
        return {"text": words[at], "here": here, **self._output(words[at], key + self._base(split, 8))}

    def _output(self, text: Tensor, key: Tensor) -> dict[str, Tensor]:
        """What the loss needs to know of the output; see the class."""
        if self.output == "tree":
            nodes, signs = (torch.from_numpy(each).to(text.device) for each in self.tree)
            return {"nodes": nodes[text], "signs": signs[text]}
        shape = (self.negatives,) if self.shared else (self.length, self.negatives)
        drawn = uniform(key, torch.Size(shape).numel())
        noise = torch.searchsorted(self.drawn_by.to(text.device, torch.float32), drawn, right=True)
        return {"noise": noise.clamp(max=len(self.lexicon.words) - 1).view(len(text), *shape)}

    def tagged_numbers(self, split: str) -> tuple[Tensor, Tensor]:
        """Sentences with parts of speech as numbers, both (sentences, longest) int64.

        Words that are not in the vocabulary are -1; behind the end of a sentence words and tags are -2.
        """
        words, tags = self.tagged(split)
        kinds = {tag: number for number, tag in enumerate(sorted({tag for row in tags for tag in row}))}
        shape = len(words), max(map(len, words))
        found = torch.full(shape, -2), torch.full(shape, -2)
        for i, (row, named) in enumerate(zip(words, tags, strict=True)):
            row = [word.lower() for word in row] if self.lowercase else row
            found[0][i, : len(row)] = torch.tensor([self.numbers.get(word, -1) for word in row])
            found[1][i, : len(row)] = torch.tensor([kinds[tag] for tag in named])
        return found
