"""Draws BLEU by the length of the source, figure 2 of Bahdanau et al. (2015), from the scores of finished runs.

python scripts/lengths.py attention=<run>/scores.json "no attention"=<run>/scores.json --output docs/lengths.png
"""

import argparse
import json
import sys
from pathlib import Path

from matplotlib.figure import Figure

from zoo.looking.plots import save

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe and Ito's
MARKS = "osD^vP"


def lengths(scores: dict[str, dict]) -> Figure:
    """One line for each model; the bins and their sentences on x.

    Args:
        scores: label to what a run leaves in scores.json.
    """
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    ax = figure.add_subplot()
    bins = list(dict.fromkeys(name for one in scores.values() for name in one["bleu by source length"]))
    for (label, one), colour, mark in zip(scores.items(), COLOURS, MARKS, strict=False):
        found = one["bleu by source length"]
        at = [i for i, name in enumerate(bins) if name in found]
        ax.plot(
            at, [found[bins[i]]["bleu"] for i in at], color=colour, marker=mark, label=f"{label} ({one['bleu']:.1f})"
        )
    count = next(iter(scores.values()))["bleu by source length"]
    ax.set_xticks(range(len(bins)), [f"{name}\n{count.get(name, {}).get('sentences', 0)}" for name in bins])
    ax.set_xlabel("words of the source, and sentences of that length")
    ax.set_ylabel("BLEU")
    ax.set_ylim(bottom=0)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", help="label=path of a scores.json; at most six")
    parser.add_argument("--output", required=True)
    given = parser.parse_args()
    scores = {}
    for run in given.runs:
        label, sign, path = run.rpartition("=")
        try:
            scores[label] = json.loads(Path(path).read_text())
            scores[label]["bleu by source length"]
        except (OSError, ValueError, KeyError) as error:
            sys.exit(f"{path}: not the scores of a translation run ({error!r})")
        if not sign:
            sys.exit(f"{run}: expected label=path")
    save(lengths(scores), given.output)


if __name__ == "__main__":
    main()
