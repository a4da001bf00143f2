"""How much of its weight a model puts on the source words that a target word is aligned with, for several models.

python scripts/gates.py <run> [<run> ...] [--translators luong.debian_de_en] [--gold text.gold] [--output gates.json]

A run is the folder of a finished training of source_cnn. Links are those of the aligner of its data, and gold ones: a
line for each pair of the test split, of which those without links are left out; or "debian", those that were made by
hand for some pairs and ship with the zoo. Beside the models stand even weights and weights on the diagonal alone. Only
pairs count whose words can be found among the pieces of each translator.
"""

import argparse
import json
from itertools import pairwise
from pathlib import Path

import torch
from hydra.utils import instantiate
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from datamodules.buckets import Share
from datamodules.links import read_gold
from datamodules.next_words import NextWords
from zoo.errors import ZooError, in_one_sentence
from zoo.looking.plots import save
from zoo.models.source_cnn import LitSourceCNN
from zoo.pipelines import pipeline
from zoo.text.aligning import by_words, places
from zoo.text.codec import BOS, PAD, with_eos
from zoo.text.scoring import Links, alignment_error_rate, read_alignments
from zoo.text.translation import TOGETHER, Translate

PLAIN, FRAME = ("even", "diagonal"), "#D55E00"  # baselines; the red of Okabe and Ito's colours
Looks = dict[int, Tensor]  # of each test pair (target words, source words), end symbols left out


class Words:
    """The test pairs as words, with links."""

    def __init__(self, data: NextWords, gold: str | None):
        self.data, self.split = data, data.split("test")
        self.size = [(int(t) - 2, int(s) - 1) for t, s in zip(*(self._lengths()), strict=True)]
        self.found = [self._links(i) for i in range(len(self.split))]
        self.links = {"aligner": [(links, links) for links in self.found]}  # sure and possible ones
        if gold is not None:
            self.links["gold"] = self._read(gold)
            if len(self.links["gold"]) != len(self.split):
                count = len(self.links["gold"])
                raise ZooError(f"{gold}: {count} sentences for the {len(self.split)} pairs of the test split")

    def _read(self, gold: str) -> list[tuple[Links, Links]]:
        if gold != "debian":
            return read_alignments(gold)
        known = {(*pair.source, "|||", *pair.target): (pair.sure, pair.possible) for pair in read_gold()}
        lines = zip(self.lines(0), self.lines(1), strict=True)
        return [known.get((*source, "|||", *target), (set(), set())) for source, target in lines]

    def _lengths(self) -> tuple:
        return self.split.target.length, self.split.source.length

    def _links(self, i: int) -> Links:
        length = int(self.split.source.length[i])
        return {(c % length, c // length) for c in self.split.links[i].tolist()[:-1]}  # the last is that of the ends

    def lines(self, side: int) -> list[list[str]]:
        """The words of one side, 0 the source and 1 the target, with their capitals."""
        name = ("source", "target")[side]
        texts = self.data._tokenised([pair[side] for pair in self.split.pairs], name)
        return [text.split() for text in texts]


@torch.no_grad()
def gates(model: LitSourceCNN, words: Words) -> Looks:
    """Where the gates of a run look, the mean of several; nothing where there is none."""
    found: Looks = {}
    bounds = [*range(0, len(words.split), TOGETHER), len(words.split)]
    for start, end in pairwise(bounds):
        _, weights = model.read(words.split[Share(torch.arange(start, end), 1.0, 1.0)])
        if weights is None:
            return {}
        for i, rows in zip(range(start, end), weights.mean(1), strict=True):
            target, source = words.size[i]
            found[i] = rows[:target, :source]
    return found


@torch.no_grad()
def attention(pipe: Translate, words: Words) -> Looks:
    """Where a translator looks while it is made to write the reference."""
    if pipe.network.alignment_shift is None:
        raise ZooError(f"{pipe.config['slug']}.{pipe.config['row']} has no attention")
    sides, lines = (pipe.source, pipe.target), [words.lines(0), words.lines(1)]
    found: Looks = {}
    for start, end in pairwise([*range(0, len(words.split), TOGETHER), len(words.split)]):
        pairs = words.split.pairs[start:end]
        ids = [text.encode([pair[side] for pair in pairs]) for side, text in enumerate(sides)]
        source = with_eos(ids[0], pipe.device)
        target = with_eos([[BOS, *row] for row in ids[1]], pipe.device)[:, :-1]
        weights = pipe.told(source, source != PAD, target)[1]
        weights = weights.mean(1) if weights.ndim == 4 else weights
        for i, rows in zip(range(start, end), weights, strict=True):
            of, to = (places(text, words.split.pairs[i][k], lines[k][i]) for k, text in enumerate(sides))
            if of is None or to is None or (len(of), len(to)) != (len(ids[0][i - start]), len(ids[1][i - start])):
                continue
            of = of[::-1] if pipe.source.reverse else of
            made = by_words(rows[pipe.network.alignment_shift :], of, to)
            if made.shape == words.size[i]:
                found[i] = made
    return found


def measure(looks: Looks, links: list[tuple[Links, Links]], kept: list[int]) -> dict[str, float]:
    """Mass on links and the share of words whose heaviest source word is linked, in percent, and the error rate."""
    mass, right, count, found = 0.0, 0, 0, []
    for i in kept:
        linked: dict[int, list[int]] = {}
        for s, t in links[i][0]:
            linked.setdefault(t, []).append(s)
        best = looks[i].argmax(1).tolist()
        found.append({(s, t) for t, s in enumerate(best)})
        for t, sources in linked.items():
            mass += looks[i][t, sources].sum().item()
            right += best[t] in sources
            count += 1
    error = alignment_error_rate(found, *zip(*(links[i] for i in kept), strict=True))
    return {
        "mass %": 100 * mass / count,
        "heaviest linked %": 100 * right / count,
        "AER %": 100 * error,
        "words": count,
    }


def baselines(words: Words) -> dict[str, Looks]:
    """Even weights, and all weight on the place that is as far along."""
    even, diagonal = {}, {}
    for i, (target, source) in enumerate(words.size):
        even[i] = torch.full((target, source), 1 / (source + 1))  # the end symbol has its share
        place = ((torch.arange(target) + 0.5) * source / target).long().clamp(max=source - 1)
        diagonal[i] = torch.nn.functional.one_hot(place, source).float()
    return {"even": even, "diagonal": diagonal}


def draw(looks: dict[str, Looks], words: Words, pair: int) -> Figure:
    """A matrix for each model, target words down and source words across, links framed."""
    source, target = words.lines(0)[pair], words.lines(1)[pair]
    width, height = 0.45 * len(source) + 0.6, 0.4 * len(target) + 2.2  # words below and above
    figure = Figure(figsize=(width * len(looks) + 1.2, height), dpi=120, layout="constrained")
    axes = figure.subplots(1, len(looks), sharey=True, squeeze=False)[0]
    for ax, (name, found) in zip(axes, looks.items(), strict=True):
        ax.imshow(found[pair], cmap="Blues", vmin=0, vmax=1)
        for s, t in words.links.get("gold", words.links["aligner"])[pair][0]:
            ax.add_patch(Rectangle((s - 0.5, t - 0.5), 1, 1, fill=False, edgecolor=FRAME, linewidth=1.5))
        ax.set_xticks(range(len(source)), source, rotation=60, ha="right", rotation_mode="anchor")
        ax.set_yticks(range(len(target)), target)
        ax.set_title(name, fontsize=10)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="folders of finished runs, trained on the same data")
    parser.add_argument("--translators", nargs="*", default=[], help="<slug>.<row>, or released folders")
    parser.add_argument("--gold", help='file of gold alignments (see zoo.text.scoring.read_alignments), or "debian"')
    parser.add_argument("--output", type=Path, help="JSON file")
    parser.add_argument("--picture", type=Path, help="PNG or PDF file of one pair")
    parser.add_argument("--pair", type=int, help="which of the test split; default: the first that counts")
    given = parser.parse_args()
    with in_one_sentence():
        models, configs = zip(*(LitSourceCNN.of_run(run) for run in given.runs), strict=True)
        words = Words(instantiate({**configs[0], "affiliation": "reference"}), given.gold)
        looks = {f"{run.parent.name}": gates(model, words) for run, model in zip(given.runs, models, strict=True)}
        looks |= {name: attention(pipeline(name), words) for name in given.translators} | baselines(words)
        looks = {name: found for name, found in looks.items() if found}
        common = set.intersection(*({*found} for found in looks.values()))
        told = {}
        for name, links in words.links.items():
            kept = sorted(i for i in common if links[i][1])
            if not kept:
                raise ZooError(f"no pair of the test split has links ({name}), or is found among the pieces")
            told[name] = {"sentences": len(kept)} | {each: measure(found, links, kept) for each, found in looks.items()}
        if given.gold:
            error = alignment_error_rate([words.found[i] for i in kept], *zip(*(links[i] for i in kept), strict=True))
            told["gold"][f"aligner {words.data.aligner}"] = {"AER %": 100 * error}
        if given.picture:
            pair = kept[0] if given.pair is None else given.pair
            if pair not in kept:
                raise ZooError(f"pair is {pair}; those that count are {', '.join(map(str, kept))[:300]}")
            save(draw({name: found for name, found in looks.items() if name not in PLAIN}, words, pair), given.picture)
    text = json.dumps(told, indent=2)
    if given.output:
        given.output.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
