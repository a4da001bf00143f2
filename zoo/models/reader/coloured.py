"""A document whose words stand on a ground as dark as they were read, after figure 3 of the paper."""

from html import escape
from pathlib import Path

from matplotlib.figure import Figure

from zoo.looking.plots import save

WIDE = 92  # letters of a line
LETTER, LINE = 0.078, 0.24  # inches, of a letter in 9 points and of a line
GROUND = (0.84, 0.37, 0.0)  # vermilion of Okabe and Ito's colours


def strength(weights: list[float]) -> list[float]:
    """From 0 to 1: each weight beside the largest."""
    most = max(weights, default=0.0)
    return [weight / most if most > 0 else 0.0 for weight in weights]


def lines(words: list[str], width: int = WIDE) -> list[list[int]]:
    """Which words stand in which line of at most so many letters; a longer word has a line of its own."""
    found: list[list[int]] = [[]]
    used = 0
    for i, word in enumerate(words):
        if found[-1] and used + len(word) > width:
            found.append([])
            used = 0
        found[-1].append(i)
        used += len(word) + 1
    return found


def figure(words: list[str], weights: list[float], names: list[str], below: str, path: str | Path | None) -> Figure:
    """Words and weights as coloured text, names in italics, the question and its answer below.

    Args:
        path: where to save, in the format of its ending.
    """
    rows, grounds = lines(words), strength(weights)
    foot = lines(below.split())
    height = LINE * (len(rows) + len(foot) + 1.5)
    made = Figure(figsize=(LETTER * WIDE + 0.3, height))
    axes = made.add_axes((0, 0, 1, 1))
    axes.set_xlim(-2, WIDE + 2), axes.set_ylim(height / LINE, -0.25)
    axes.set_axis_off()
    font = {"family": "monospace", "fontsize": 9, "va": "center", "parse_math": False}
    for y, row in enumerate(rows):
        x = 0
        for i in row:
            box = {"facecolor": (*GROUND, 0.85 * grounds[i]), "edgecolor": "none", "pad": 1.5}
            style = "italic" if words[i] in names else "normal"
            axes.text(x, y + 0.5, words[i], bbox=box, style=style, **font)
            x += len(words[i]) + 1
    for y, row in enumerate(foot, len(rows) + 1):
        axes.text(0, y + 0.5, " ".join(below.split()[i] for i in row), weight="bold", **font)
    if path is not None:
        save(made, path)
    return made


def html(words: list[str], weights: list[float], names: list[str], below: str) -> str:
    """The same as a piece of HTML."""
    red, green, blue = (round(255 * part) for part in GROUND)
    parts = []
    for word, ground, weight in zip(words, strength(weights), weights, strict=True):
        text = f"<i>{escape(word)}</i>" if word in names else escape(word)
        colour = f"rgba({red}, {green}, {blue}, {0.85 * ground:.3f})"
        parts.append(f'<span style="background: {colour}" title="{weight:.3f}">{text}</span>')
    return f"<p>{' '.join(parts)}</p>\n<p><b>{escape(below)}</b></p>\n"
