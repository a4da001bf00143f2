"""Scores of translations: BLEU and chrF by sacreBLEU, BLEU by source length, and the error rate of alignments."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import sacrebleu

from zoo.errors import ZooError

EDGES = (
    10,
    20,
    30,
    40,
    50,
)  # words of the source where one bin of figure 2 of Bahdanau et al. ends and the next begins

Links = set[tuple[int, int]]  # (source, target) positions, from 0


def bleu(hypotheses: Sequence[str], references: Sequence[str], tokenised: bool = False) -> tuple[float, str]:
    """Corpus BLEU in percent and sacreBLEU's signature; tokenised text is scored as it stands."""
    metric = sacrebleu.BLEU(tokenize="none" if tokenised else "13a", force=tokenised)
    score = metric.corpus_score(list(hypotheses), [list(references)]).score
    return score, metric.get_signature().format()


def chrf(hypotheses: Sequence[str], references: Sequence[str]) -> float:
    """Corpus chrF2 in percent."""
    return sacrebleu.CHRF().corpus_score(list(hypotheses), [list(references)]).score


def bleu_by_length(
    hypotheses: Sequence[str],
    references: Sequence[str],
    sources: Sequence[str],
    tokenised: bool = False,
    edges: Sequence[int] = EDGES,
) -> dict[str, tuple[float, int]]:
    """BLEU and number of sentences for each bin of source length in words, as in ``{"11-20": (34.1, 250)}``.

    A bin without sentences is left out.
    """
    scores = {}
    lower = 1
    for upper in (*edges, None):
        chosen = [i for i, s in enumerate(sources) if lower <= len(s.split()) <= (upper or len(s.split()))]
        if chosen:
            score, _ = bleu([hypotheses[i] for i in chosen], [references[i] for i in chosen], tokenised)
            scores[f"{lower}-{upper}" if upper else f"{lower}+"] = (score, len(chosen))
        lower = (upper or 0) + 1
    return scores


def alignment_error_rate(found: Iterable[Links], sure: Iterable[Links], possible: Iterable[Links]) -> float:
    """1 - (|A and S| + |A and P|) / (|A| + |S|) over a corpus (Och and Ney 2003); every sure link is possible too."""
    hits = total = 0
    for a, s, p in zip(found, sure, possible, strict=True):
        hits += len(a & s) + len(a & (p | s))
        total += len(a) + len(s)
    if not total:
        raise ValueError("there are no links to compare")
    return 1 - hits / total


def read_alignments(path: str | Path) -> list[tuple[Links, Links]]:
    """Gold alignments, sure and possible links of each sentence, from a file with one sentence a line.

    A line holds links from 0: ``1-2`` (or ``1S2``) is sure and ``1?2`` (or ``1P2``) is possible.

    Raises:
        ZooError: a line that is not of this form.
    """
    corpus = []
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), 1):
        sure, possible = set(), set()
        for link in line.split():
            mark = next((mark for mark in "-S?P" if mark in link), None)
            source, _, target = link.partition(mark) if mark else ("", "", "")
            if not (source.isdecimal() and target.isdecimal()):
                raise ZooError(f"{path}, line {number}: {link!r} is no link; expected 1-2 (sure) or 1?2 (possible)")
            (sure if mark in "-S" else possible).add((int(source), int(target)))
        corpus.append((sure, sure | possible))
    return corpus
