"""Scores of translations against sacreBLEU's own figures and counts by hand."""

import pytest
import sacrebleu

from zoo.errors import ZooError
from zoo.text import scoring

REFERENCES = ["the dog runs fast today .", "a cat sleeps on the mat .", "it rains ."]
HYPOTHESES = ["the dog runs fast now .", "a cat sleeps on a mat .", "it rains ."]


def test_bleu_is_sacrebleus():
    score, signature = scoring.bleu(HYPOTHESES, REFERENCES)
    assert score == pytest.approx(sacrebleu.corpus_bleu(HYPOTHESES, [REFERENCES]).score)
    assert "tok:13a" in signature and "version:" in signature
    tokenised, signature = scoring.bleu(HYPOTHESES, REFERENCES, tokenised=True)
    assert tokenised == pytest.approx(sacrebleu.corpus_bleu(HYPOTHESES, [REFERENCES], tokenize="none").score)
    assert "tok:none" in signature
    assert scoring.chrf(HYPOTHESES, REFERENCES) == pytest.approx(sacrebleu.corpus_chrf(HYPOTHESES, [REFERENCES]).score)


def test_bins_hold_every_sentence_once():
    sources = ["w " * n for n in (1, 10, 11, 50, 51, 80)]
    lines = [f"line {n} of this text" for n in range(6)]
    scores = scoring.bleu_by_length(lines, lines, sources)
    assert {words: count for words, (_, count) in scores.items()} == {"1-10": 2, "11-20": 1, "41-50": 1, "51+": 2}
    assert all(score == pytest.approx(100) for score, _ in scores.values())


def test_alignment_error_rate_by_hand():
    """Och and Ney: 1 - (|A n S| + |A n P|) / (|A| + |S|), P with S in it."""
    found = [{(0, 0), (1, 1), (2, 1)}]
    sure, possible = [{(0, 0), (1, 2)}], [{(1, 1)}]
    assert scoring.alignment_error_rate(found, sure, possible) == pytest.approx(1 - (1 + 2) / (3 + 2))
    assert scoring.alignment_error_rate(sure, sure, possible) == 0
    with pytest.raises(ValueError, match="no links"):
        scoring.alignment_error_rate([set()], [set()], [set()])


def test_gold_alignments_are_read(tmp_path):
    path = tmp_path / "gold"
    path.write_text("0-0 1?2\n\n3S1 4P4\n")
    assert scoring.read_alignments(path) == [
        ({(0, 0)}, {(0, 0), (1, 2)}),
        (set(), set()),
        ({(3, 1)}, {(3, 1), (4, 4)}),
    ]
    path.write_text("0-0\n0:1\n")
    with pytest.raises(ZooError, match=r"gold, line 2: '0:1' is no link"):
        scoring.read_alignments(path)


def test_gold_alignments_in_blocks_are_read(tmp_path):
    path = tmp_path / "gold"
    path.write_text("SENT: 0\nS 1 1\nP 2 3\n\nSENT: 1\nSENT: 2\nP 4 4\n")
    assert scoring.read_alignments(path, first=1) == [
        ({(0, 0)}, {(0, 0), (1, 2)}),
        (set(), set()),
        (set(), {(3, 3)}),
    ]
    for text in ("SENT: 0\nS 1 1\nSENT: 2\n", "SENT: x\n"):
        path.write_text(text)
        with pytest.raises(ZooError, match=r"gold, line .: 'SENT: .'; expected the sentences one after the other"):
            scoring.read_alignments(path)
    path.write_text("SENT: 0\nS 0 1\n")
    with pytest.raises(ZooError, match="gold2: cannot be read"):
        scoring.read_alignments(tmp_path / "gold2")
    with pytest.raises(ZooError, match="before the first word"):
        scoring.read_alignments(path, first=1)
