"""Draws which positions look at each other in full, atrous, local and sparse self-attention, as matrices and as links.

python scripts/masks.py docs/former_masks.png [--length 16] [--k 4]
"""

import argparse
import sys

import torch
from matplotlib.figure import Figure

from zoo.errors import ZooError
from zoo.looking.plots import save
from zoo.nn.sparse import PATTERNS, pattern

INK, FAINT = "#0072B2", "#DDDDDD"  # the blue of Okabe and Ito's colours


def masks(length: int = 16, k: int = 4) -> Figure:
    """A column for each pattern: the matrix, the causal matrix, and the links, those of the middle place in colour."""
    figure = Figure(figsize=(2.6 * len(PATTERNS), 6.4), dpi=120, layout="constrained")
    axes = figure.subplots(3, len(PATTERNS), height_ratios=(3, 3, 1.4))
    for column, name in enumerate(PATTERNS):
        allowed = [pattern(name, length, k, causal) for causal in (False, True)]
        for ax, matrix in zip(axes[:2, column], allowed, strict=True):
            ax.imshow(matrix, cmap="Blues", vmin=0, vmax=1.3)
            ax.set_xticks(torch.arange(length + 1) - 0.5, minor=True)
            ax.set_yticks(torch.arange(length + 1) - 0.5, minor=True)
            ax.grid(which="minor", color="white", linewidth=1)
            ax.tick_params(which="both", length=0, labelleft=False, labelbottom=False)
            ax.set_xlabel(f"{int(matrix.sum())} of {length**2}", fontsize=9)
        axes[0, column].set_title(name if name == "full" else f"{name}, k = {k}", fontsize=11)
        links(axes[2, column], allowed[0])
    for ax, label in zip(axes[:, 0], ("looks at", "causal", "links"), strict=True):
        ax.set_ylabel(label)
    return figure


def links(ax, allowed: torch.Tensor) -> None:
    """Lines from the middle position (above) to those that it looks at (below)."""
    length = len(allowed)
    middle = length // 2
    for i in range(length):
        for j in allowed[i].nonzero()[:, 0].tolist():
            ax.plot([j, i], [0, 1], color=INK if i == middle else FAINT, linewidth=1.4 if i == middle else 0.5,
                    zorder=2 if i == middle else 1)  # fmt: skip
    for height in (0, 1):
        ax.plot(range(length), [height] * length, "o", color="0.3", markersize=3, zorder=3)
    ax.set_xticks([]), ax.set_yticks([])
    ax.spines[:].set_visible(False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output")
    parser.add_argument("--length", type=int, default=16)
    parser.add_argument("--k", type=int, default=4)
    given = parser.parse_args()
    if given.length < 1:
        parser.error(f"length is {given.length}; expected at least 1")
    try:
        save(masks(given.length, given.k), given.output)
        print(given.output)
    except (ZooError, ValueError, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
