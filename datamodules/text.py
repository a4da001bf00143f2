"""Texts and the class of each."""

import json
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from datamodules.buckets import Share
from datamodules.files import DataError, check_counts, check_flags, read_file
from datamodules.labelled import Labelled, read_labelled
from datamodules.sentences import Bucketed, Sentences, Side
from datamodules.tokens import PAD, UNK, encode, read_tokenizer, train_tokenizer

TOKENS, CLASSES = "text.json", "classes.json"  # what travels with the weights


class Split(Bucketed):
    """A split in ids. An item is a batch."""

    def __init__(self, texts: Side, labels: Tensor):
        self.texts, self.labels = texts, labels

    def __len__(self) -> int:
        return len(self.labels)

    def lengths(self) -> tuple[np.ndarray, np.ndarray]:
        return self.texts.length, self.texts.length

    def __getitem__(self, share: Share) -> dict[str, Tensor]:
        return {
            "text": self.texts.rows(share.index),
            "label": self.labels[share.index],
            "index": share.index,
            "tokens": torch.tensor(share.tokens, dtype=torch.float32),
            "sentences": torch.tensor(share.sentences, dtype=torch.float32),
        }


class TextClasses(Sentences):
    """Batches of texts with a class each.

    A batch holds `text` (batch, length) int64, padded with 0 at the end; `label` (batch,) int64; `index` (batch,),
    positions in the split; and `tokens` and `sentences` (texts), how many the batches of all processes hold together,
    divided by the number of processes.

    Args:
        corpus: "debian", sections of packages, which ships with the zoo; "stories", whose question is answered by a
            place; "reviews", sentences of the sdist `root` of vaderSentiment; "treebank", those of the sentiment
            treebank in `root`; "files", folders as IMDb's in `root`; or the name of a Hugging Face data set.
        subset: of a Hugging Face data set; of stories the task, "1", "2" or "3".
        tokens: "bpe" or "words".
        vocabulary: entries.
        lowercase: whether text is lower-cased.
        tokenizer: a folder with text.json and classes.json, as released weights have it; then no vocabulary is made.
        max_length: of a longer text the first so many tokens are read.
        batch_size, eval_batch_size: texts of a batch for each process.
        limit: use only the first so many texts of each split.
    """

    def __init__(
        self,
        corpus: str = "debian",
        root: str | None = None,
        subset: str | None = None,
        tokens: str = "bpe",
        vocabulary: int = 8000,
        lowercase: bool = True,
        tokenizer: str | None = None,
        max_length: int = 512,
        batch_size: int = 32,
        eval_batch_size: int = 64,
        seed: int = 0,
        limit: int | None = None,
    ):
        super().__init__()
        check_counts(max_length=max_length, batch_size=batch_size, eval_batch_size=eval_batch_size, limit=limit)
        check_counts(4, vocabulary=vocabulary)  # the special symbols, and something
        check_counts(0, seed=seed)
        check_flags(lowercase=lowercase)
        if tokens not in ("bpe", "words"):
            raise DataError(f"tokens is {tokens!r}, not 'bpe' or 'words'")
        self.corpus, self.root, self.subset = corpus, root, subset
        self.tokens, self.vocabulary, self.lowercase = tokens, vocabulary, lowercase
        self.folder, self.max_length = tokenizer, max_length
        self.batch_size, self.eval_batch_size, self.seed, self.limit = batch_size, eval_batch_size, seed, limit
        self._read: dict[str, Labelled] = {}
        self._splits: dict[str, Split] = {}
        self._tokenizer: Tokenizer | None = None
        self._classes: list[str] | None = None

    gives = ("vocabulary", "num_classes")  # the keys of `spec`, for which all text is read

    @property
    def spec(self) -> dict:
        """What only the data knows, for the model's constructor."""
        return {"vocabulary": self.tokenizer.get_vocab_size(), "num_classes": len(self.classes)}

    def labelled(self, split: str) -> Labelled:
        """The texts of a split and their labels."""
        if split not in self._read:
            texts, labels, classes = read_labelled(self.corpus, split, self.root, self.subset)
            self._read[split] = Labelled(texts[: self.limit], labels[: self.limit], classes)
        return self._read[split]

    @property
    def classes(self) -> list[str]:
        """Names of the classes: read from the folder `tokenizer`, or those of the training texts."""
        if self._classes is None:
            path = Path(self.folder) / CLASSES if self.folder else None
            self._classes = _read_classes(path) if path else self.labelled("train").classes
        return self._classes

    @property
    def tokenizer(self) -> Tokenizer:
        """Read from the folder `tokenizer`, or made of the training texts."""
        if self._tokenizer is None:
            if self.folder:
                self._tokenizer = read_tokenizer(Path(self.folder) / TOKENS)
            else:
                texts = self.labelled("train").texts
                self._tokenizer = train_tokenizer(texts, self.vocabulary, self.tokens, lowercase=self.lowercase)
        return self._tokenizer

    def split(self, split: str) -> Split:
        """A split in ids, made when it is asked for. An empty text is one unknown word."""
        if split not in self._splits:
            classes = self.classes  # first: what is read later must have the same
            texts, labels, found = self.labelled(split)
            if found != classes:
                raise DataError(f"{split} has the classes {_some(found)}, expected {_some(classes)}")
            ids = (row[: self.max_length] or [UNK] for row in encode(self.tokenizer, texts))
            self._splits[split] = Split(Side(ids), torch.tensor(labels, dtype=torch.int64))
        return self._splits[split]

    def pieces(self, ids: Tensor) -> list[list[str]]:
        """The tokens of each row of ids (batch, length), without padding."""
        name = self.tokenizer.id_to_token
        return [[name(i) for i in row if i != PAD] for row in ids.tolist()]

    def save(self, folder: Path) -> None:
        """Writes what must travel with the weights: the vocabulary and the names of the classes."""
        folder.mkdir(parents=True, exist_ok=True)
        self.tokenizer.save(str(folder / TOKENS))
        (folder / CLASSES).write_text(json.dumps(self.classes) + "\n")

    def state_dict(self) -> dict[str, str]:
        return {"text": self.tokenizer.to_str(), "classes": json.dumps(self.classes)}

    def load_state_dict(self, state: dict[str, str]) -> None:
        if state != self.state_dict():
            raise DataError("the vocabulary or the classes are not those of the checkpoint; the texts have changed")


def _read_classes(path: Path) -> list[str]:
    try:
        classes = json.loads(read_file(path))
    except ValueError:
        classes = None
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise DataError(f"{path}: truncated or altered, expected a list of names")
    return classes


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
