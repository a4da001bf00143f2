"""Names of inputs and outputs as they stand at the ticks of a plot."""

import unicodedata

VISIBLE = str.maketrans({" ": "␣", "\n": "⏎", "\t": "⇥"})


def ticked(names: list[list[str]], size: int) -> list[str]:
    """What stands at the ticks: names, spaces made visible and cut to 20 characters, or else numbers from 1.

    The mark at the end of a word, of vocabularies of sub-words, is left out.
    """
    row = names[0] if names else [str(i + 1) for i in range(size)]
    names = [left_to_right(name.removesuffix("</w>").translate(VISIBLE)) for name in row]
    return [name if len(name) <= 20 else name[:19] + "…" for name in names]


def labels(names: list[str], every: int, shown: bool) -> tuple[list[int], list[str]]:
    """Ticks and their labels, for every so many-th name."""
    ticks = list(range(0, len(names), every)) if shown else []
    return ticks, [names[i] for i in ticks]


def left_to_right(name: str) -> str:
    """A word of letters that are read from the right, as Hebrew ones, in the order in which they are drawn."""
    letters = [unicodedata.bidirectional(letter) for letter in name if letter.isalpha()]
    return name[::-1] if letters and set(letters) == {"R"} else name
