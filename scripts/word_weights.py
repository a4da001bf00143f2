"""Draws where attentive CBOW looks: python scripts/word_weights.py <picture> <file> [--name attentive_cbow.<row>]

<picture> is one of

* sentences: sentences with a blank, each word around it the darker the more it weighs;
* words: the weight of some words by place, each among the words that stand there otherwise: exp(k_{w,i} + s_i) over the
  mean of that over the training words, beside how often the word occurs; above 1 it weighs more than others there;
* distances: the mean weight of each slot over the training words, and s alone.
"""

import argparse
import sys
from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

import zoo
from datamodules.lexicon import Lexicon, read_lexicon
from zoo.errors import ZooError, in_one_sentence
from zoo.looking.plots import save
from zoo.models.attentive_cbow import AttentiveCBOW, Blank
from zoo.registry import released

FUNCTION = ("the", "a", "of", "to", "in", "is", "and", ".", ",")
TOPICAL = ("provides", "contains", "image", "audio", "game", "python", "kernel", "music", "genome")
LETTERS = 104  # of a line of a sentence


def slots(network: AttentiveCBOW) -> list[int]:
    """-b .. -1, 1 .. b."""
    return [i for i in range(-network.window, network.window + 1) if i]


def strengths(network: AttentiveCBOW) -> Tensor:
    """exp(k_{w,i} + s_i) of every word and slot, (words, 2b); what a window's softmax makes weights of."""
    scores = torch.zeros(network.W.num_embeddings, 2 * network.window)
    if network.K is not None:
        scores = scores + network.K.weight.detach().float()
    if network.s is not None:
        scores = scores + network.s.detach().float()
    return (scores - scores.mean()).exp()


def shares(lexicon: Lexicon) -> Tensor:
    """How much of the training text each word is, (words,)."""
    counts = torch.from_numpy(lexicon.counts).float()
    return counts / counts.sum()


def sentences(fill: Blank) -> Figure:
    """See the top."""
    answers = [(raw, fill(raw)) for raw in fill.samples]
    figure = Figure(figsize=(9.6, 1.2 * len(answers)), dpi=120, layout="constrained")
    for axes, (raw, answer) in zip(figure.subplots(len(answers), 1, squeeze=False)[:, 0], answers, strict=True):
        before = sum(word in fill.numbers for word in fill.tokens(raw.split("___")[0]))
        words = [(word, weight) for word, weight in answer.weights]
        words.insert(min(before, fill.network.window), ("___", None))
        likeliest = ", ".join(f"{word} {p:.0%}" for word, p in list(answer.probabilities.items())[:4])
        shaded(axes, words, f"___: {likeliest}")
    return figure


def shaded(axes: Axes, words: list[tuple[str, float | None]], title: str) -> None:
    """Words one after the other, on lines of LETTERS letters, on a ground by weight."""
    most = max(weight for _, weight in words if weight is not None)
    x, line = 0, 0
    for word, weight in words:
        if x + len(word) > LETTERS:
            x, line = 0, line + 1
        dark = 0 if weight is None else weight / most
        axes.text(
            x,
            -line,
            word,
            family="monospace",
            fontsize=9,
            va="center",
            color="white" if dark > 0.6 else "black",
            weight="bold" if weight is None else "normal",
            bbox={"boxstyle": "round,pad=0.15", "facecolor": str(1 - 0.85 * dark), "edgecolor": "none"},
        )
        x += len(word) + 1
    axes.set(xlim=(0, LETTERS), ylim=(-line - 0.6, 0.6))
    axes.set_title(title, fontsize=9, loc="left")
    axes.axis("off")


def words(network: AttentiveCBOW, lexicon: Lexicon) -> Figure:
    """See the top."""
    number = {word: i for i, word in enumerate(lexicon.words)}
    shown = [word for word in (*FUNCTION, *TOPICAL) if word in number]
    if not shown:
        raise ZooError("these vectors know none of the words of the picture")
    strength = strengths(network)
    usual = shares(lexicon) @ strength  # (2b,)
    ratio = torch.stack([strength[number[word]] / usual for word in shown])
    figure = Figure(figsize=(9.6, 0.28 * len(shown) + 1.4), dpi=120, layout="constrained")
    axes = figure.subplots()
    drawn = axes.imshow(ratio.log2(), cmap="RdBu_r", vmin=-3, vmax=3, aspect="auto", interpolation="nearest")
    labels = [f"{word}  ({lexicon.counts[number[word]]:,})" for word in shown]
    axes.set_yticks(range(len(shown)), labels, fontsize=8)
    places = [i for i, slot in enumerate(slots(network)) if abs(slot) in (1, 5, 10, 15, 20)]
    axes.set_xticks(places, [f"{slots(network)[i]:+d}" for i in places], fontsize=8)
    axes.axvline(network.window - 0.5, color="black", linewidth=0.8)
    axes.set_xlabel("place of the word, as seen from the one to predict")
    bar = figure.colorbar(drawn, ax=axes, ticks=range(-3, 4))
    bar.ax.set_yticklabels(["1/8", "1/4", "1/2", "1", "2", "4", "8"])
    bar.set_label("weight over that of the words there on the mean", fontsize=8)
    return figure


def distances(network: AttentiveCBOW, lexicon: Lexicon) -> Figure:
    """See the top."""
    mean = shares(lexicon) @ strengths(network)
    alone = network.s.detach().float().exp() if network.s is not None else torch.ones(2 * network.window)
    figure = Figure(figsize=(7.2, 3.2), dpi=120, layout="constrained")
    axes = figure.subplots()
    for values, label in ((mean, "all words, as often as they occur"), (alone, "s alone")):
        axes.plot(slots(network), values / values.sum(), marker="o", markersize=3, label=label)
    axes.axhline(1 / (2 * network.window), color="grey", linewidth=0.8, linestyle="--", label="CBOW")
    axes.set(xlabel="place, as seen from the word to predict", ylabel="share of the weight", ylim=(0, None))
    axes.legend(fontsize=8)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", choices=["sentences", "words", "distances"])
    parser.add_argument("file")
    parser.add_argument("--name", default="attentive_cbow.debian_attentive")
    given = parser.parse_args()
    with in_one_sentence():
        fill = zoo.pipeline(given.name)
        if not isinstance(fill, Blank):
            raise ZooError(f"{given.name} is no model of attentive_cbow")
        folder = fill.folder if isinstance(fill.folder, Path) else released(given.name)
        lexicon = read_lexicon(folder)
        made = {
            "sentences": lambda: sentences(fill),
            "words": lambda: words(fill.network, lexicon),
            "distances": lambda: distances(fill.network, lexicon),
        }
        figure = made[given.picture]()
    try:
        save(figure, given.file)
    except (ValueError, OSError) as error:  # an ending that is no image format, a folder that cannot be written
        sys.exit(str(error))


if __name__ == "__main__":
    main()
