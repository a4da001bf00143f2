"""Scores of translations: BLEU and chrF by sacreBLEU, BLEU by source length, and the error rate of alignments."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import sacrebleu

from zoo.errors import UnknownName, ZooError, suggest

EDGES = (
    10,
    20,
    30,
    40,
    50,
)  # words of the source where one bin of figure 2 of Bahdanau et al. ends and the next begins

Links = set[tuple[int, int]]  # (source, target) positions, from 0


LANGUAGES = {  # as sacreBLEU knows them
    **dict.fromkeys(("zh", "zho", "chi", "cmn", "yue", "cn", "chinese"), "zh"),
    **dict.fromkeys(("ja", "jpn", "jp", "japanese"), "ja"),
    **dict.fromkeys(("ko", "kor", "kr", "korean"), "ko"),
}


def tokeniser(language: str, given: str | None = None) -> str:
    """The name of the tokeniser that sacreBLEU takes for a language (13a for most), unless one is given.

    Args:
        language: a code such as "de", "zh-TW" or "jpn", or the end of a file's name with one in it, as "tok.zh".

    Raises:
        ZooError: sacreBLEU has none of that name, or cannot load it; one sentence.
    """
    parts = re.split(r"[-_.]", language.lower())
    code = next((LANGUAGES[part] for part in parts if part in LANGUAGES), language)
    name = given or sacrebleu.BLEU._TOKENIZER_MAP.get(code, sacrebleu.BLEU.TOKENIZER_DEFAULT)
    if name not in sacrebleu.BLEU.TOKENIZERS:
        known = ", ".join(sacrebleu.BLEU.TOKENIZERS)
        raise UnknownName(f"bleu is {name!r}, not one of {known}{suggest(name, sacrebleu.BLEU.TOKENIZERS)}")
    try:
        sacrebleu.BLEU(tokenize=name)
    except Exception as error:  # no MeCab, or a vocabulary that cannot be downloaded
        code = name.removesuffix("-mecab")
        more = f"pip install 'sacrebleu[{code}]'" if code != name else "it wants sentencepiece, and a network at first"
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ZooError(f"sacreBLEU cannot load {name} ({reason}); {more}, or data.bleu=char scores letters") from None
    return name


def bleu(
    hypotheses: Sequence[str],
    references: Sequence[str],
    tokeniser: str = "13a",
    lowercase: bool = False,
    normalisation: str | None = None,
) -> tuple[float, str]:
    """Corpus BLEU in percent and the signature with which it must be quoted.

    Where no translation has four words, as in a corpus of short targets, the shorter n-grams are counted alone
    (eff:yes): otherwise what is all right would score 0. Elsewhere eff:no and eff:yes are one number.

    Args:
        tokeniser: one of sacreBLEU's; "none" scores words with spaces between as they stand.
        lowercase: whether capitals are the same as small letters (case:lc).
        normalisation: what was done to both sides before; the signature ends in it.
    """
    metric = sacrebleu.BLEU(tokenize=tokeniser, lowercase=lowercase, force=tokeniser == "none", effective_order=True)
    found, signature = metric.corpus_score(list(hypotheses), [list(references)]), metric.get_signature()
    signature.info["eff"] = "no" if found.totals[-1] else "yes"
    return found.score, signature.format() + (f"|norm:{normalisation}" if normalisation else "")


def chrf(hypotheses: Sequence[str], references: Sequence[str], lowercase: bool = False) -> float:
    """Corpus chrF2 in percent."""
    return sacrebleu.CHRF(lowercase=lowercase).corpus_score(list(hypotheses), [list(references)]).score


def bleu_by_length(
    hypotheses: Sequence[str],
    references: Sequence[str],
    sources: Sequence[str],
    edges: Sequence[int] = EDGES,
    **how: Any,
) -> dict[str, tuple[float, int]]:
    """BLEU and number of sentences for each bin of source length in words, as in ``{"11-20": (34.1, 250)}``.

    A bin without sentences is left out.

    Args:
        how: of :func:`bleu`.
    """
    scores = {}
    lower = 1
    for upper in (*edges, None):
        chosen = [i for i, s in enumerate(sources) if lower <= len(s.split()) <= (upper or len(s.split()))]
        if chosen:
            score, _ = bleu([hypotheses[i] for i in chosen], [references[i] for i in chosen], **how)
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
        raise ZooError("there are no links to compare")
    return 1 - hits / total


def read_alignments(path: str | Path, first: int = 0) -> list[tuple[Links, Links]]:
    """Gold alignments: the sure and the possible links of each sentence, the sure ones among the possible.

    Two forms are read. One sentence a line: ``1-2`` (or ``1S2``) is sure and ``1?2`` (or ``1P2``, or ``1p2`` as talp
    files have it) possible. Or a line ``SENT: n`` before the links of each sentence, one a line as ``S 1 2`` or
    ``P 1 2``.

    Args:
        first: the number of a sentence's first word.

    Raises:
        ZooError: no such file, or a line that is of neither form.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ZooError(f"{path}: cannot be read as gold alignments ({error})") from None
    blocks = any(line.startswith("SENT:") for line in lines)
    corpus: list[tuple[Links, Links]] = []
    before = None  # the number of the last sentence
    for number, line in enumerate(lines, 1):
        if not blocks or line.startswith("SENT:"):
            corpus.append((set(), set()))
        if line.startswith("SENT:"):
            said = line.removeprefix("SENT:").strip()
            if not said.isdecimal() or (before is not None and int(said) != before + 1):
                raise ZooError(f"{path}, line {number}: {line!r}; expected the sentences one after the other")
            before = int(said)
            continue
        links = ["{1}{0}{2}".format(*line.split())] if blocks and len(line.split()) == 3 else line.split()
        for link in links:
            mark = next((mark for mark in "-S?Pp" if mark in link), None)
            source, _, target = link.partition(mark) if mark else ("", "", "")
            if not (corpus and source.isdecimal() and target.isdecimal()):
                raise ZooError(f"{path}, line {number}: {link!r} is no link; expected 1-2 (sure) or 1?2 (possible)")
            pair = (int(source) - first, int(target) - first)
            if min(pair) < 0:
                raise ZooError(f"{path}, line {number}: {link!r} lies before the first word, {first}")
            corpus[-1][1].add(pair)
            if mark in "-S":
                corpus[-1][0].add(pair)
    return corpus


def write_alignments(
    path: str | Path, corpus: Iterable[tuple[Links, Links]], first: int = 0, sure_alone: bool = False
) -> None:
    """Writes sure and possible links, a line for each sentence, as talp files have it: ``1-2`` and ``1p2``.

    Args:
        corpus: of each sentence the sure and the possible links; every sure link is possible too.
        first: the number of a sentence's first word (1 in the files of Europarl and Hansards).
        sure_alone: whether possible links are left out, which is Pharaoh's form.
    """
    lines = []
    for sure, possible in corpus:
        links = sorted(sure if sure_alone else sure | possible)
        marked = (f"{s + first}{'-' if (s, t) in sure else 'p'}{t + first}" for s, t in links)
        lines.append(" ".join(marked) + "\n")
    try:
        Path(path).write_text("".join(lines), encoding="utf-8")
    except OSError as error:
        raise ZooError(f"{path}: cannot be written ({error.strerror})") from None
