"""The unknown word is taught to vocabularies of pieces, which know every letter of their training text.

A model that has never read or written <unk> spoils the sentence in which a name of another script stands. So in some
training pairs a word that stands on both sides, most often a name, is hidden on both, or a letter of it: what is
unknown is to be written as unknown, where the attention then finds the word to copy. Rare letters that are left out of
the vocabulary, and bytes in place of letters, taught a released Transformer nothing in a short training; this did.
"""

import re

import torch

from datamodules.sampling import generator

HIDDEN = "\U0010fffd"  # for private use: in no vocabulary
WORD = re.compile(r"[^\W\d_]{3,}")


def hide(sources: list[str], targets: list[str], share: float, seed: int) -> tuple[list[str], list[str]]:
    """Both sides with a word, or in half the cases a letter of it, hidden in a share of the lines.

    Lines without a word that stands once on either side stay as they are. What is drawn depends on the seed alone.
    """
    sources, targets = list(sources), list(targets)
    drawn = torch.rand(len(sources), 3, generator=generator(seed, 0, 6))
    for i in (drawn[:, 0] < share).nonzero().flatten().tolist():
        here, there = (WORD.findall(side[i]) for side in (sources, targets))
        shared = [word for word in here if here.count(word) == there.count(word) == 1]
        if not shared:
            continue
        word, place = shared[int(drawn[i, 1] * len(shared))], float(drawn[i, 2]) * 2
        letter = int((place - 1) * len(word))
        hidden = HIDDEN if place < 1 else word[:letter] + HIDDEN + word[letter + 1 :]
        for side in (sources, targets):
            side[i] = re.sub(rf"(?<![^\W\d_]){word}(?![^\W\d_])", hidden, side[i])
    return sources, targets
