"""The baselines that learn nothing (sections 3.1 and 4 of the paper), and two plainer ones.

All score the candidates of a question, (batch, C), so that the best is the answer. Candidates, documents and questions
are ids, padded with 0 at the end. Of equally good candidates the one that the document names first is the answer.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from zoo.errors import check_choice, check_whole

PLACEHOLDER = 4  # as datamodules.cloze numbers it
OUT = 1e4  # what is taken off the score of a candidate that a rule leaves out
LAST = 1e-6  # between candidates that a rule holds for equal


def frequency(document: Tensor, question: Tensor, candidates: Tensor) -> Tensor:
    """Maximum frequency: how often the document names each candidate."""
    return (document[:, None] == candidates[..., None]).sum(-1).float()


def asked(question: Tensor, candidates: Tensor) -> Tensor:
    """Which candidates the question names, (batch, C) bool."""
    return (question[:, None] == candidates[..., None]).any(-1)


def exclusive_frequency(document: Tensor, question: Tensor, candidates: Tensor) -> Tensor:
    """Exclusive frequency: likewise, but what the question names is no answer."""
    return frequency(document, question, candidates) - OUT * asked(question, candidates)


def first(document: Tensor, question: Tensor, candidates: Tensor) -> Tensor:
    """The candidate that the document names first; not in the paper."""
    return torch.zeros_like(candidates, dtype=torch.float32)


def first_not_asked(document: Tensor, question: Tensor, candidates: Tensor) -> Tensor:
    """The one that the document names first and the question does not; not in the paper."""
    return -OUT * asked(question, candidates).float()


def word_distance(document: Tensor, question: Tensor, candidates: Tensor, cap: int = 8) -> Tensor:
    """Word distance: minus the least cost of laying the question over the document, its hole on the candidate.

    Each word of the question costs how far it is from the nearest of its like in the document, at most `cap` (m).
    The paper prints no formula; here a word j words behind the hole should stand j words behind the candidate.
    """
    place = torch.arange(document.shape[1], device=document.device)
    hole = (question == PLACEHOLDER).int().argmax(1)  # (batch,)
    offset = torch.arange(question.shape[1], device=question.device) - hole[:, None]  # (batch, L)
    cost = torch.zeros_like(document)
    for word, shift in zip(question.unbind(1), offset.unbind(1), strict=True):
        same = document == word[:, None]  # (batch, T)
        expected = place + shift[:, None]  # where the word should stand, for the hole at each place
        away = (place[None, None] - expected[..., None]).abs()  # (batch, T of the hole, T of the word)
        nearest = away.masked_fill(~same[:, None], cap).amin(-1).clamp(max=cap)
        cost += nearest * ((word != 0) & (word != PLACEHOLDER))[:, None]
    named = document[:, None] == candidates[..., None]  # (batch, C, T)
    return -cost[:, None].expand_as(named).masked_fill(~named, int(OUT)).amin(-1).float()


RULES = {
    "max_frequency": frequency,
    "exclusive_frequency": exclusive_frequency,
    "first": first,
    "first_not_asked": first_not_asked,
    "word_distance": word_distance,
}


class Rules(nn.Module):
    """A rule in the place of a network.

    Args:
        rule: one of RULES.
        cap: m, of "word_distance".
        vocabulary: not read.
    """

    def __init__(self, rule: str = "exclusive_frequency", cap: int = 8, vocabulary: int = 0):
        super().__init__()
        check_choice(RULES, rule=rule)
        check_whole(1, cap=cap)
        self.rule, self.cap = rule, cap
        self.nothing = nn.Parameter(torch.zeros(()))  # so that an optimiser has something

    def forward(self, document: Tensor, question: Tensor, candidates: Tensor) -> Tensor:
        """Scores (batch, C); of equal ones the first is a little higher."""
        more = {"cap": self.cap} if self.rule == "word_distance" else {}
        scores = RULES[self.rule](document, question, candidates, **more)
        return scores - LAST * torch.arange(candidates.shape[1], device=scores.device)


Frame = tuple[str, str, str]  # e1, V, e2
HOLE, BE = "x", "be.01"


def by_frames(document: Iterable[Frame], question: Iterable[Frame]) -> tuple[str | None, int]:
    """The frame-semantic baseline over frames that a parser has found, and which of its rules gave the answer.

    The rules are tried in the order of the paper: 1 the same frame; 2 the same entity with "be.01"; 3 the right
    predicate with another entity beside the hole; 4 the two entities exchanged; 5 the same entity with any predicate.

    Args:
        document: triples (e1, V, e2) of the text.
        question: triples that hold the hole, written "x", in the place of e1 or e2.

    Returns:
        The answer and the number of its rule; (None, 6) where no rule applies, so that exclusive frequency is next.
    """
    document = list(document)
    for number in range(1, 6):
        for e1, verb, e2 in question:
            for a, predicate, b in document:
                hole_first = e1 == HOLE
                known = e2 if hole_first else e1
                beside, found = (b, a) if hole_first else (a, b)
                holds = {
                    1: predicate == verb and beside == known,
                    2: predicate == BE and beside == known,
                    3: predicate == verb and beside != known,
                    4: predicate == verb and found == known,
                    5: known in (a, b),
                }[number]
                if holds:
                    return (beside if number == 4 or (number == 5 and found == known) else found), number
    return None, 6
