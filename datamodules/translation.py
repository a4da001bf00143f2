"""Sentences in one language and their translations in another."""

import warnings
from collections.abc import Iterable, Sequence
from numbers import Real
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from datamodules.buckets import Share
from datamodules.files import DataError, check_counts, check_flags
from datamodules.hiding import hide
from datamodules.moses import detokenise, tokenise
from datamodules.parallel import Pairs, read_dictionary, read_pairs
from datamodules.sentences import Bucketed, Sentences, Side
from datamodules.tokens import (
    BOS,
    END,
    EOS,
    PAD,
    UNK,
    clean,
    encode,
    join,
    normalisation,
    normalise,
    read_tokenizer,
    surface,
    train_tokenizer,
)

SIDES = ("source", "target")


class Split(Bucketed):
    """A split in ids: source with eos; target with bos and eos. An item is a batch."""

    def __init__(self, pairs: Pairs, source: Side, target: Side):
        self.pairs, self.source, self.target = pairs, source, target

    def __len__(self) -> int:
        return len(self.pairs)

    def lengths(self) -> tuple[np.ndarray, np.ndarray]:
        return self.source.length, self.target.length - 1  # bos is no token

    def __getitem__(self, share: Share) -> dict[str, Tensor]:
        index, tokens, sentences = share
        return {
            "source": self.source.rows(index),
            "target": self.target.rows(index),
            "index": index,
            "tokens": torch.tensor(tokens, dtype=torch.float32),
            "sentences": torch.tensor(sentences, dtype=torch.float32),
        }


class Translation(Sentences):
    """Batches of translation pairs.

    A batch holds `source` (batch, S), words and eos; `target` (batch, T + 1), bos, words and eos; both int64 and padded
    with 0 at the end; `index` (batch,), positions in the split; and `tokens` and `sentences`, how many (bos not
    counted) the batches of all processes hold together, divided by the number of processes.

    One normalisation (:func:`datamodules.tokens.make_normaliser`) stands before all else, so that what is read,
    written, scored and looked up has one form: `references` come in it, and so do the keys of `dictionary`.

    Args:
        source, target: languages, as in the names of files.
        corpus: "debian", which ships with the zoo; "files" in `root`; or the name of a Hugging Face data set.
        root: folder with <prefix>.<language>, or .gz, for each split.
        subset: of a Hugging Face data set, as de-en.
        train, val, test: the prefixes of files; for other corpora the names of their splits.
        tokens: "bpe" or "words".
        vocabulary: entries for each language, or for both together where it is `joint`.
        joint: whether both languages share one vocabulary.
        moses: whether Moses tokenisation comes first (words then are what the papers call words). References then are
            what is left of them when Moses has put its words together again, and a warning says how much that is.
        lowercase: whether text is lower-cased.
        pretokenised: whether the text is words with spaces between already; it is then scored as it stands.
        bleu: sacreBLEU's tokeniser, as "13a", "intl", "zh", "char" or "flores200"; None: none for words with spaces
            between, else the one that sacreBLEU takes for the target language.
        tokenizer: a folder with source.json and target.json, as released weights have it; then no vocabulary is made
            and no training text is needed to evaluate.
        dictionary: a file of lines, source word, tab, target word: what the test puts in place of unknown words, where
            null copies the source word.
        unknown: the share of training pairs in which pieces learn of the unknown word; see :mod:`datamodules.hiding`.
        max_length: longer training pairs (tokens of either side) are left out, as are those with an empty side.
        reverse: whether the words of the source are turned round; eos stays last.
        batch_tokens: target tokens, padding counted, of a batch for each process; unless
        batch_size: sentences of a batch for each process.
        eval_batch_size: sentences.
        limit: use only the first so many pairs of each split.
    """

    def __init__(
        self,
        source: str = "de",
        target: str = "en",
        corpus: str = "debian",
        root: str | None = None,
        subset: str | None = None,
        train: str = "train",
        val: str = "val",
        test: str = "test",
        tokens: str = "bpe",
        vocabulary: int = 8000,
        joint: bool = True,
        moses: bool = False,
        lowercase: bool = False,
        pretokenised: bool = False,
        bleu: str | None = None,
        tokenizer: str | None = None,
        dictionary: str | None = None,
        unknown: float = 0.05,
        max_length: int = 100,
        reverse: bool = False,
        batch_tokens: int = 4096,
        batch_size: int | None = None,
        eval_batch_size: int = 64,
        seed: int = 0,
        limit: int | None = None,
    ):
        super().__init__()
        self.languages = {"source": source, "target": target}
        self.corpus, self.root, self.subset = corpus, root, subset
        self.names = {"train": train, "val": val, "test": test}
        self.tokens, self.vocabulary, self.joint = tokens, vocabulary, joint
        self.moses, self.lowercase, self.pretokenised, self.bleu = moses, lowercase, pretokenised, bleu
        self.tokenizer, self.max_length, self.reverse = tokenizer, max_length, reverse
        check_counts(batch_tokens=batch_tokens, batch_size=batch_size, eval_batch_size=eval_batch_size)
        check_counts(max_length=max_length, limit=limit)
        check_counts(4, vocabulary=vocabulary)  # the special symbols, and something
        check_counts(0, seed=seed)
        check_flags(joint=joint, moses=moses, lowercase=lowercase, pretokenised=pretokenised, reverse=reverse)
        if tokens not in ("bpe", "words"):
            raise DataError(f"tokens is {tokens!r}, not 'bpe' or 'words'")
        self.batch_tokens, self.batch_size, self.eval_batch_size = batch_tokens, batch_size, eval_batch_size
        if not isinstance(unknown, Real) or isinstance(unknown, bool) or not 0 <= unknown <= 1:
            raise DataError(f"unknown is {unknown!r}; expected a share of the training pairs, from 0 to 1")
        self.seed, self.limit, self.unknown = seed, limit, unknown
        self.dictionary = read_dictionary(Path(dictionary)) if dictionary else {}
        self._pairs: dict[str, Pairs] = {}
        self._splits: dict[str, Split] = {}
        self._tokenizers: dict[str, Tokenizer] = {}
        self._references: dict[str, list[str]] = {}

    gives = ("source_vocabulary", "target_vocabulary", "reverse")  # the keys of `spec`, for which all text is read

    @property
    def spec(self) -> dict:
        """What only the data knows, for the model's constructor."""
        sizes = {f"{side}_vocabulary": self.tokenizers[side].get_vocab_size() for side in SIDES}
        return {**sizes, "reverse": self.reverse}

    @property
    def scored(self) -> dict:
        """How translations are scored: the arguments of :func:`zoo.text.scoring.bleu` as plain values."""
        return {
            "tokeniser": self.bleu or ("none" if self.pretokenised else None),
            "language": self.languages["target"],
            "lowercase": self.lowercase,
            "normalisation": normalisation(self.tokenizers["target"]) + ("+moses" if self.moses else ""),
        }

    def pairs(self, split: str) -> Pairs:
        """The pairs of a split as text."""
        if split not in self._pairs:
            found = read_pairs(self.corpus, self.names[split], *self.languages.values(), self.root, self.subset)
            if split == "train":
                found = [(a, b) for a, b in found if a.strip() and b.strip()]
            self._pairs[split] = found[: self.limit]
        return self._pairs[split]

    def _words(self, split: str, side: str) -> list[str]:
        """One side of a split, as the tokenizer wants it."""
        return self._tokenised([pair[SIDES.index(side)] for pair in self.pairs(split)], side)

    def _tokenised(self, lines: list[str], side: str) -> list[str]:
        return tokenise(clean(lines), self.languages[side]) if self.moses else lines

    @property
    def tokenizers(self) -> dict[str, Tokenizer]:
        """The tokenizer of each side: read from the folder `tokenizer`, or made of the training text."""
        if not self._tokenizers:
            if self.tokenizer is not None:
                self._tokenizers = {side: read_tokenizer(Path(self.tokenizer) / f"{side}.json") for side in SIDES}
            else:
                text = {side: self._words("train", side) for side in SIDES}
                how = {"lowercase": self.lowercase, "pretokenised": self.pretokenised or self.moses}
                if self.joint:
                    both = train_tokenizer(text["source"] + text["target"], self.vocabulary, self.tokens, **how)
                    self._tokenizers = dict.fromkeys(SIDES, both)
                else:
                    self._tokenizers = {
                        side: train_tokenizer(text[side], self.vocabulary, self.tokens, **how) for side in SIDES
                    }
        return self._tokenizers

    def split(self, split: str) -> Split:
        """A split in ids, made when it is asked for."""
        if split not in self._splits:
            lines = [self._words(split, side) for side in SIDES]
            if split == "train" and self.tokens == "bpe" and self.unknown:
                lines = hide(*lines, self.unknown, self.seed)
            ids = [encode(self.tokenizers[side], words) for side, words in zip(SIDES, lines, strict=True)]
            pairs, source, target = [], Side(), Side()
            for pair, a, b in zip(self.pairs(split), *ids, strict=True):
                if split == "train" and not (a and b and max(len(a), len(b)) <= self.max_length):
                    continue
                pairs.append(pair)
                source.append([*(a[::-1] if self.reverse else a), EOS])
                target.append([BOS, *b, EOS])
            if not pairs:
                limits = f" of at most {self.max_length} tokens on both sides" if split == "train" else ""
                raise DataError(f"{self.names[split]} has no pair{limits}")
            self._splits[split] = Split(pairs, source, target)
        return self._splits[split]

    def sources(self, split: str, index: list[int]) -> list[str]:
        """The source sentences at positions of a split."""
        return [self.split(split).pairs[i][0] for i in index]

    def references(self, split: str, index: list[int]) -> list[str]:
        """The target sentences at positions of a split, in the form in which a model can write them."""
        if split not in self._references:
            given = [target for _, target in self.split(split).pairs]
            self._references[split] = self._written(split, given) if self.moses else self._normalised(given, "target")
        return [self._references[split][i] for i in index]

    def _normalised(self, lines: Iterable[str], side: str) -> list[str]:
        return normalise(self.tokenizers[side], lines)

    def _written(self, split: str, lines: list[str]) -> list[str]:
        """The target lines as Moses puts their words together again."""
        words = self._normalised(self._tokenised(lines, "target"), "target")
        back = detokenise(words, self.languages["target"])
        given = self._normalised(lines, "target")
        lost = [pair for pair in zip(given, back, strict=True) if pair[0] != pair[1]]
        if lost:
            warnings.warn(
                f"{self.names[split]}: Moses does not give back {len(lost)} of {len(lines)} target lines as they were, "
                f"and scores are against what it gives back, for instance {lost[0][1]!r} for {lost[0][0]!r}",
                stacklevel=3,
            )
        return back

    def detokenise(self, ids: list[list[int]]) -> list[str]:
        """Text of target ids, as the references are written."""
        words = self.tokenizers["target"].decode_batch(ids, skip_special_tokens=False)
        return detokenise(words, self.languages["target"]) if self.moses else words

    def known(self, split: str, index: list[int]) -> list[bool]:
        """Whether neither side of a pair has a word that the vocabularies lack, for positions of a split."""
        sides = self.split(split).source, self.split(split).target
        return [not any((side[i] == UNK).any() for side in sides) for i in index]

    def replaced(
        self, split: str, index: list[int], ids: Sequence[list[int]], looked: Sequence[list[int]]
    ) -> list[str]:
        """Text of target ids, with the translation of a source word, or that word itself, for each unknown word.

        Args:
            index: positions of the split.
            looked: for each sentence, the place of a source word for each unknown word among the ids.
        """
        source, target = self.tokenizers.values()
        sources = self._normalised(self._tokenised(self.sources(split, index), "source"), "source")
        dictionary, lines = self._dictionary(), []
        for line, row, places in zip(sources, ids, looked, strict=True):
            words = surface(source, line)
            words = words[::-1] if self.reverse else words
            found = (self._copied(dictionary, words[place]) for place in places)
            lines.append(join(target, [next(found, "<unk>") if i == UNK else target.id_to_token(i) for i in row]))
        return detokenise(lines, self.languages["target"]) if self.moses else lines

    def _dictionary(self) -> dict[str, str]:
        """The dictionary in the form of the text; of two words that it makes one the first counts."""
        sources = self._normalised(self.dictionary, "source")
        targets = self._normalised(self.dictionary.values(), "target")
        return dict(reversed(list(zip(sources, targets, strict=True))))

    @staticmethod
    def _copied(dictionary: dict[str, str], written: str) -> str:
        """What stands for an unknown word whose source is written so, perhaps with the mark of a word's end."""
        word = written.removesuffix(END)
        return dictionary.get(word, word) + written[len(word) :]

    def pieces(self, ids: Tensor, side: str) -> list[list[str]]:
        """The tokens of each row of ids (batch, length), without padding."""
        name = self.tokenizers[side].id_to_token
        return [[name(i) for i in row if i != PAD] for row in ids.tolist()]

    def save(self, folder: Path) -> None:
        """Writes what must travel with the weights: source.json and target.json."""
        folder.mkdir(parents=True, exist_ok=True)
        for side, tokenizer in self.tokenizers.items():
            tokenizer.save(str(folder / f"{side}.json"))

    def state_dict(self) -> dict[str, str]:
        return {side: tokenizer.to_str() for side, tokenizer in self.tokenizers.items()}

    def load_state_dict(self, state: dict[str, str]) -> None:
        for side, tokenizer in self.tokenizers.items():
            if state[side] != tokenizer.to_str():
                raise DataError(f"the {side} vocabulary is not that of the checkpoint; the text has changed")
