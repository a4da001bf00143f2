"""Puts the n-best lists of a translator into another order by joint models, and measures what that changes.

python scripts/rerank.py luong.debian_de_en <run> [<run> ...] [--size 10] [--output rerank.json]

A run is the folder of a finished training of source_cnn. The features are the translator's score, each model's log p
for a word, and the number of words; their weights are chosen on the validation split, and BLEU before and after is that
of the test split. The number of words is tried without a model too. Only pairs that the runs' data keep are translated.
"""

import argparse
import json
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import torch
from hydra.utils import instantiate
from torch import Tensor

from datamodules.buckets import Share
from datamodules.next_words import Aligned, NextWords
from datamodules.sentences import Side
from datamodules.tokens import BOS, EOS, encode
from zoo.errors import ZooError, in_one_sentence
from zoo.models.source_cnn import LitSourceCNN
from zoo.pipelines import pipeline
from zoo.text.reranking import GRID, Candidate, Lists, bleu_of, bootstrap, chosen, counts, n_best, stack, sums_of, tune
from zoo.text.search import PAD
from zoo.text.translation import Translate

LENGTHS = tuple(round(0.005 * i, 3) for i in range(-10, 11))  # weights of a word that are tried
BATCH = 128


def hypotheses(data: NextWords, sources: list[str], lists: list[list[Candidate]]) -> Aligned:
    """All candidates as a split in ids, with their own word alignments."""
    lines = [[candidate.text for candidate in each] for each in lists]
    counted = [len(each) for each in lines]
    sides = []
    for side, texts in (("source", sources), ("target", [text for each in lines for text in each])):
        sides.append(list(encode(data.tokenizers[side], data._tokenised(texts, side))))
    source = [f for f, n in zip(sides[0], counted, strict=True) for _ in range(n)]
    split = Aligned([], Side([*f, EOS] for f in source), Side([BOS, *e, EOS] for e in sides[1]))
    data.link(split, *data.align(source, sides[1]), source, sides[1])
    return split


@torch.no_grad()
def score(model: LitSourceCNN, split: Aligned) -> Tensor:
    """log p of each hypothesis, the end symbol included, for a symbol: (hypotheses,)."""
    lengths = torch.from_numpy(split.target.length)
    order, found = lengths.argsort(stable=True), torch.zeros(len(lengths))
    for start, end in pairwise([*range(0, len(order), BATCH), len(order)]):
        index = order[start:end]
        batch = split[Share(index, 1.0, 1.0)]
        logits, _ = model.read(batch)
        labels = batch["target"][:, 1:]
        log_p = logits.float().log_softmax(-1).gather(2, labels[..., None]).squeeze(-1)
        found[index] = (log_p * (labels != PAD)).sum(1) / (labels != PAD).sum(1)
    return found


class Scored(NamedTuple):
    """The n-best lists of a split with everything that a re-ranker may look at."""

    lists: list[list[Candidate]]
    words: list[int]  # of each hypothesis, one list after the other
    scores: list[Tensor]  # of each model, likewise
    counted: list[list]  # of each sentence, of each hypothesis

    def columns(self, models: list[int]) -> Lists:
        """The features of some of the models beside the translator's score and the number of words."""
        flat = [[*(self.scores[m][i].item() for m in models), words] for i, words in enumerate(self.words)]
        rows = iter(flat)
        return stack([[[c.score, *next(rows)] for c in each] for each in self.lists], self.counted)


def read(pipe: Translate, models: list[LitSourceCNN], data: NextWords, name: str, size: int) -> Scored:
    """Translates a split and scores what was found."""
    pairs = data.split(name).pairs
    sources = [source for source, _ in pairs]
    lists = n_best(pipe, sources, size)
    split = hypotheses(data, sources, lists)
    references = [pipe.target.clean.normalize_str(reference) for _, reference in pairs]
    counted = [[counts(c.text, ref) for c in each] for each, ref in zip(lists, references, strict=True)]
    return Scored(lists, (split.target.length - 2).tolist(), [score(model, split) for model in models], counted)


def measure(names: list[str], models: list[int], val: Scored, test: Scored) -> dict:
    """BLEU of the first-best and of the new order, with the weights that are best on validation."""
    val, test = val.columns(models), test.columns(models)
    grid = GRID if len(models) < 2 else GRID[::4]
    weights, best = tune(val, [*[grid] * len(models), LENGTHS])
    plain = [0.0] * len(weights)
    first, new = (sums_of(test, chosen(test, each)) for each in (plain, weights))
    return {
        "models": names,
        "weights": weights,
        "val": {"before": float(bleu_of(sums_of(val, chosen(val, plain)).sum(0))), "after": best},
        "test": {"before": float(bleu_of(first.sum(0))), "after": float(bleu_of(new.sum(0)))},
        "bootstrap": bootstrap(first, new),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("translator", help="<slug>.<row>, or a released folder")
    parser.add_argument("runs", nargs="+", type=Path, help="folders of finished runs, trained on the same data")
    parser.add_argument("--size", type=int, default=10, help="hypotheses of a sentence")
    parser.add_argument("--output", type=Path, help="JSON file")
    given = parser.parse_args()
    with in_one_sentence():
        pipe = pipeline(given.translator)
        if not isinstance(pipe, Translate):
            raise ZooError(f"{given.translator} does not translate")
        models, configs = zip(*(LitSourceCNN.of_run(run) for run in given.runs), strict=True)
        names = [run.parent.name for run in given.runs]
        data = instantiate({**configs[0], "affiliation": "reference"})
        val, test = (read(pipe, models, data, name, given.size) for name in ("val", "test"))
        every = [*range(len(models))]
        systems = [[], *([m] for m in every), *([every] if 1 < len(every) < 4 else [])]
        found = [measure([names[m] for m in each], each, val, test) for each in systems]
    told = {"translator": given.translator, "size": given.size, "sentences": len(test.lists), "systems": found}
    text = json.dumps(told, indent=2)
    if given.output:
        given.output.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
