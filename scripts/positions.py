"""Draws the sinusoidal encodings of positions, and how alike those of two positions are.

python scripts/positions.py docs/transformer_positions.png [--length 100] [--dim 128]
"""

import argparse
import sys

from matplotlib.figure import Figure

from zoo.looking.plots import save
from zoo.nn.position import Sinusoidal


def positions(length: int = 100, dim: int = 128) -> Figure:
    """The encodings, a row for each position, and their dot products over dim / 2, so that each with itself is 1."""
    encodings = Sinusoidal(dim)(length)
    figure = Figure(figsize=(9.6, 4.2), dpi=120, layout="constrained")
    left, right = figure.subplots(1, 2)
    drawn = left.imshow(encodings, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto", interpolation="nearest")
    left.set(xlabel="dimension", ylabel="position", title="PE: sine and cosine in turn")
    figure.colorbar(drawn, ax=left)
    alike = encodings @ encodings.T / (dim / 2)
    drawn = right.imshow(alike, cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
    right.set(xlabel="position", ylabel="position", title="dot products: the distance alone counts")
    figure.colorbar(drawn, ax=right)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output")
    parser.add_argument("--length", type=int, default=100)
    parser.add_argument("--dim", type=int, default=128)
    given = parser.parse_args()
    if given.length < 1 or given.dim < 1:
        parser.error(f"length is {given.length} and dim {given.dim}; expected at least 1")
    try:
        save(positions(given.length, given.dim), given.output)
        print(given.output)
    except (ValueError, OSError) as error:  # an ending that is no image format, a folder that cannot be written
        sys.exit(str(error))


if __name__ == "__main__":
    main()
