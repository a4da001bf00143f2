"""The next word of a translation: pairs of sentences, and which source words each target word is aligned with."""

from pathlib import Path

import torch
from torch import Tensor

from datamodules.buckets import Share
from datamodules.files import DataError, check_counts
from datamodules.links import SYMMETRIES, Links, affiliated, best, read_heads, read_links, symmetrise
from datamodules.sentences import Side
from datamodules.tokens import BOS, EOS, encode
from datamodules.translation import SIDES, Split, Translation
from datamodules.word_alignment import MODELS, Aligner

PARTS = ("train", "val", "test")
AFFILIATIONS = ("reference", "expected")


class Aligned(Split):
    """A split in ids with links; an item is a batch."""

    links: Side  # of each pair the links as t * S + s, end symbols included
    center: Side  # of each target word and the end symbol the affiliated source word
    heads: Side | None  # of each source word and the end symbol its head, 1 more than its place; 0 for the root
    kept: list[int]  # of each pair its position in the text
    told: bool  # whether the network is told the links, or the affiliated word alone

    def __getitem__(self, share: Share) -> dict[str, Tensor]:
        batch = super().__getitem__(share)
        size, width = batch["source"].shape
        links = torch.zeros(size, batch["target"].shape[1] - 1, width, dtype=torch.bool)
        for row, i in enumerate(share.index.tolist()):
            place, length = self.links[i], int(self.source.length[i])
            links[row, place // length, place % length] = True
        center = self.center.rows(share.index)
        one = torch.nn.functional.one_hot(center, width).bool()  # zero beyond a target too, where it does no harm
        tags = torch.where(links.any(-1, keepdim=True), links, one) if self.told else one
        batch |= {"links": links, "tags": tags, "center": center}
        if self.heads is not None:
            batch["head"] = self.heads.rows(share.index) - 1
        return batch


class NextWords(Translation):
    """Batches of translation pairs with word alignments.

    Beside what :class:`datamodules.translation.Translation` gives, a batch holds `links` (batch, T, S) boolean, whether
    a target word (or the end symbol, which is linked with the end symbol) is linked with a source word; `tags`, of the
    same shape, what a network is told of that: the linked words, or the affiliated one where there are none; `center`
    (batch, T) int64, the source word that it is affiliated with; and where there are `heads`, `head` (batch, S) int64,
    the place of each source word's head, -1 for the root and for padding.

    Args:
        longest: pairs with more words on either side are in no split.
        aligner: one of :data:`datamodules.word_alignment.MODELS`, learned from the training pairs in both directions.
        iterations: of its EM.
        symmetry: how both directions become one; see :func:`datamodules.links.symmetrise`.
        alignments: folder with a file in Pharaoh's form for each split, <prefix>.align, in place of an aligner; its
            lines are those of the text.
        affiliation: "reference", from the links, which knew the word that is to be predicted, as a decoder does that
            aligns each word that it tries; or "expected", what the aligner expects after the words before it,
            which then is the only tag.
        heads: folder with the dependencies of the source, <prefix>.conll for each split; its sentences are the lines of
            the text and its words those of the text.
        source, target, corpus, root, subset, train, val, test, tokens, vocabulary, moses, lowercase, pretokenised,
            tokenizer, batch_tokens, batch_size, eval_batch_size, seed, limit: see
            :class:`datamodules.translation.Translation`; each language has a vocabulary of its own.
    """

    def __init__(
        self,
        longest: int = 40,
        aligner: str = "hmm",
        iterations: int = 5,
        symmetry: str = "grow-diag-final-and",
        alignments: str | None = None,
        affiliation: str = "reference",
        heads: str | None = None,
        tokens: str = "words",
        **translation,
    ):
        super().__init__(tokens=tokens, joint=False, unknown=0.0, **translation)
        check_counts(longest=longest, iterations=iterations)
        for name, value, known in (
            ("aligner", aligner, MODELS),
            ("symmetry", symmetry, SYMMETRIES),
            ("affiliation", affiliation, AFFILIATIONS),
        ):
            if value not in known:
                raise DataError(f"{name} is {value!r}, not one of {', '.join(known)}")
        if alignments and affiliation == "expected":
            raise DataError("affiliation is 'expected', which an aligner tells and a file does not: alignments=null")
        if affiliation == "expected" and aligner != "hmm":
            raise DataError(f"affiliation is 'expected', which {aligner} cannot tell without the whole target; hmm can")
        self.longest, self.aligner, self.iterations, self.symmetry = longest, aligner, iterations, symmetry
        self.alignments, self.affiliation, self.heads = alignments, affiliation, heads
        self._aligners: tuple[Aligner, Aligner] | None = None
        self._lines: dict[tuple[str, str], list[str]] = {}

    gives = ("source_vocabulary", "target_vocabulary")

    @property
    def spec(self) -> dict:
        """What only the data knows, for the model's constructor."""
        return {f"{side}_vocabulary": self.tokenizers[side].get_vocab_size() for side in SIDES}

    def _words(self, split: str, side: str) -> list[str]:
        """One side of a split as the tokenizer wants it; of pairs that are too long as they stand, an empty line.

        Moses only ever makes more words, and takes longer than all else here. Where files have links or heads, all
        lines count.
        """
        if (split, side) not in self._lines:
            pairs = self.pairs(split)
            if not (self.alignments or self.heads):
                pairs = [pair if max(len(x.split()) for x in pair) <= self.longest else ("", "") for pair in pairs]
            self._lines[split, side] = self._tokenised([pair[SIDES.index(side)] for pair in pairs], side)
        return self._lines[split, side]

    def split(self, split: str) -> Aligned:
        """A split in ids, made when it is asked for; of pairs with neither side empty nor too long."""
        if split not in self._splits:
            ids = [list(encode(self.tokenizers[side], self._words(split, side))) for side in SIDES]
            lengths = [(len(f), len(e)) for f, e in zip(*ids, strict=True)]
            kept = [i for i, pair in enumerate(lengths) if min(pair) and max(pair) <= self.longest]
            if not kept:
                raise DataError(f"{self.names[split]} has no pair of at most {self.longest} words on both sides")
            source, target = ([side[i] for i in kept] for side in ids)
            made = Aligned(
                [self.pairs(split)[i] for i in kept],
                Side([*f, EOS] for f in source),
                Side([BOS, *e, EOS] for e in target),
            )
            self.link(made, *self._linked(split, source, target, lengths, kept), source, target)
            made.kept = kept
            made.heads = self._headed(split, [f for f, _ in lengths], kept) if self.heads else None
            self._splits[split] = made
        return self._splits[split]

    def link(self, split: Aligned, links: list[Links], centers: list[list[int]], source: list, target: list) -> None:
        """Gives a split links, to which those of the end symbols are added, and affiliated words, which have them."""
        split.links = Side(
            [*(t * (len(f) + 1) + s for s, t in sorted(found)), (len(e) + 1) * (len(f) + 1) - 1]
            for found, f, e in zip(links, source, target, strict=True)
        )
        split.center = Side(centers)
        split.told, split.heads = self.affiliation == "reference", None

    def linked(self, split: str) -> dict[int, Links]:
        """The links of each kept pair of a split, without end symbols, by its position in the text."""
        made = self.split(split)
        found = {}
        for row, place in enumerate(made.kept):
            width = int(made.source.length[row])
            found[place] = {(code % width, code // width) for code in made.links[row].tolist()[:-1]}
        return found

    def _linked(
        self, split: str, source: list, target: list, lengths: list, kept: list[int]
    ) -> tuple[list[Links], list[list[int]]]:
        """Links of the kept pairs without end symbols, and affiliations with them."""
        if self.alignments:
            every = read_links(Path(self.alignments) / f"{self.names[split]}.align", lengths)
            links = [every[i] for i in kept]
            return links, _affiliated(links, source, target)
        return self.align(source, target)

    def align(self, source: list[list[int]], target: list[list[int]]) -> tuple[list[Links], list[list[int]]]:
        """Links of pairs of ids without end symbols, and the source word that each target word is affiliated with.

        The end symbol is the last of these words. It is affiliated with the source's end; but where the next word is
        not known, nobody knows that it is the end either, and it stands where another word would be expected.
        """
        forward, backward = self.aligners
        there, back = forward.posteriors(source, target), backward.posteriors(target, source)
        links = [
            symmetrise(best(one), {link[::-1] for link in best(other)}, self.symmetry)
            for (one, _), (other, _) in zip(there, back, strict=True)
        ]
        if self.affiliation == "expected":
            return links, [ahead.argmax(1).tolist() if ahead.shape[1] else [0] * len(ahead) for _, ahead in there]
        return links, _affiliated(links, source, target)

    @property
    def aligners(self) -> tuple[Aligner, Aligner]:
        """What generates the target from the source, and the source from the target, learned from the training text."""
        if self._aligners is None:
            sides = [list(encode(self.tokenizers[side], self._words("train", side))) for side in SIDES]
            pairs = [pair for pair in zip(*sides, strict=True) if all(pair) and max(map(len, pair)) <= self.longest]
            source, target = ([pair[side] for pair in pairs] for side in (0, 1))
            self._aligners = Aligner(self.aligner, self.iterations), Aligner(self.aligner, self.iterations)
            self._aligners[0].fit(source, target), self._aligners[1].fit(target, source)
        return self._aligners

    def _headed(self, split: str, lengths: list[int], kept: list[int]) -> Side:
        every = read_heads(Path(self.heads) / f"{self.names[split]}.conll", lengths)
        return Side([*(head + 1 for head in every[i]), 0] for i in kept)


def _affiliated(links: list[Links], source: list[list[int]], target: list[list[int]]) -> list[list[int]]:
    """Of each pair the affiliated word of each target word, and the source's end for the target's."""
    return [[*affiliated(found, len(f), len(e)), len(f)] for found, f, e in zip(links, source, target, strict=True)]
