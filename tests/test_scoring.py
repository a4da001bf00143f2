"""Scores of translations against sacreBLEU's own figures and counts by hand."""

import math

import pytest
import sacrebleu
import torch

from zoo.errors import ZooError
from zoo.text import scoring
from zoo.training.metrics import Perplexity

REFERENCES = ["the dog runs fast today .", "a cat sleeps on the mat .", "it rains ."]
HYPOTHESES = ["the dog runs fast now .", "a cat sleeps on a mat .", "it rains ."]


def test_bleu_is_sacrebleus():
    score, signature = scoring.bleu(HYPOTHESES, REFERENCES)
    assert score == pytest.approx(sacrebleu.corpus_bleu(HYPOTHESES, [REFERENCES]).score)
    assert "tok:13a" in signature and "version:" in signature
    tokenised, signature = scoring.bleu(HYPOTHESES, REFERENCES, tokeniser="none")
    assert tokenised == pytest.approx(sacrebleu.corpus_bleu(HYPOTHESES, [REFERENCES], tokenize="none").score)
    assert "tok:none" in signature
    assert scoring.chrf(HYPOTHESES, REFERENCES) == pytest.approx(sacrebleu.corpus_chrf(HYPOTHESES, [REFERENCES]).score)


def test_the_tokeniser_is_the_one_that_sacrebleu_takes_for_the_language():
    """Of the Chinese line all is right but one letter of nine: one word of 13a, which has no four words to compare."""
    written, reference = ["我喜欢很多小猫和狗"], ["我喜欢很多小猫和鸟"]
    assert scoring.bleu(written, reference)[0] == 0
    for language in ("zh", "zh-TW", "zh_CN", "zho", "cmn", "ZH", "cn", "tok.zh"):
        score, signature = scoring.bleu(written, reference, scoring.tokeniser(language))
        assert (
            score == pytest.approx(sacrebleu.BLEU(trg_lang="zh").corpus_score(written, [reference]).score)
            and score > 80
        )
        assert "tok:zh" in signature
    assert [scoring.tokeniser(language) for language in ("de", "en", "trees", "")] == ["13a"] * 4
    assert scoring.tokeniser("ja", "char") == "char" and scoring.tokeniser("zh", "none") == "none"
    with pytest.raises(ZooError, match=r"bleu is '13b', not one of .*; did you mean 13a"):
        scoring.tokeniser("de", "13b")


def test_a_tokeniser_that_cannot_be_loaded_is_told(monkeypatch):
    def broken(name):
        raise RuntimeError("no such library\nand more")

    monkeypatch.setattr("sacrebleu.metrics.bleu._get_tokenizer", broken)
    with pytest.raises(
        ZooError, match=r"cannot load ja-mecab \(no such library\); pip install 'sacrebleu\[ja\]', or data"
    ):
        scoring.tokeniser("ja")
    with pytest.raises(
        ZooError, match=r"flores200 \(no such library\); it wants sentencepiece, and a network at first"
    ):
        scoring.tokeniser("de", "flores200")


def test_what_is_all_right_scores_100_however_short_it_is():
    """60 targets of one to three words; sacreBLEU alone gives 0, since no four words are right together."""
    lines = [" ".join(["ja", "gut", "so"][: 1 + i % 3]) for i in range(60)]
    assert sacrebleu.corpus_bleu(lines, [lines]).score == 0
    score, signature = scoring.bleu(lines, lines)
    assert score == pytest.approx(100) and "eff:yes" in signature
    longer = [*lines, "one of four words"]
    score, signature = scoring.bleu([*lines, "one of four"], longer)  # right in all but a word
    assert 95 < score < 100 and "eff:yes" in signature
    score, signature = scoring.bleu([*lines, "one of four lines"], longer)
    assert score == pytest.approx(sacrebleu.corpus_bleu([*lines, "one of four lines"], [longer]).score)
    assert "eff:no" in signature and scoring.bleu([""], [""])[0] == 0


def test_the_signature_tells_what_was_done_before():
    score, signature = scoring.bleu(["Das Haus am See"], ["das haus am see"], lowercase=True, normalisation="nfc+lc")
    assert score == pytest.approx(100) and "case:lc" in signature and signature.endswith("|norm:nfc+lc")
    assert scoring.chrf(["Das Haus"], ["das haus"], lowercase=True) == pytest.approx(100)
    assert "norm" not in scoring.bleu(HYPOTHESES, REFERENCES)[1]


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
    path.write_bytes(b"\xef\xbb\xbf0-0\n")  # a byte-order mark
    assert scoring.read_alignments(path) == [({(0, 0)}, {(0, 0)})]
    path.write_text("0-0\n0:1\n")
    with pytest.raises(ZooError, match=r"gold, line 2: '0:1' is no link"):
        scoring.read_alignments(path)


def test_alignments_are_written_as_they_are_read(tmp_path):
    corpus = [({(0, 0), (3, 1)}, {(0, 0), (3, 1), (1, 2)}), (set(), set())]
    path = tmp_path / "gold.talp"
    scoring.write_alignments(path, corpus, first=1)
    assert path.read_text() == "1-1 2p3 4-2\n\n" and scoring.read_alignments(path, first=1) == corpus
    scoring.write_alignments(path, corpus, sure_alone=True)
    assert path.read_text() == "0-0 3-1\n\n"
    with pytest.raises(ZooError, match=r"cannot be written"):
        scoring.write_alignments(tmp_path / "none" / "gold", corpus)


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


def test_perplexity_is_that_of_all_labels_and_stays_finite():
    """Against the mean over both batches by hand; one token of probability e^-200 does not make it infinite."""
    torch.manual_seed(0)
    logits, labels = torch.randn(2, 3, 5, 7), torch.randint(1, 7, (2, 3, 5))
    labels[:, :, 4] = 0
    metric, nats, count = Perplexity(), 0.0, 0
    for batch, right in zip(logits, labels, strict=True):
        metric.update(batch, right, 0)
        for row, label in zip(batch.flatten(0, 1).double(), right.flatten(), strict=True):
            if label:
                nats, count = nats + (row.exp().sum().log() - row[label]).item(), count + 1
    assert metric.compute().item() == pytest.approx(math.exp(nats / count), rel=1e-5) and count == 24
    unlikely = torch.tensor([[0.0, 0.0, 200.0]])
    for _ in range(9):
        metric.update(unlikely, torch.tensor([2]), 0)
    metric.update(unlikely, torch.tensor([1]), 0)
    assert metric.compute().item() == pytest.approx(math.exp((nats + 200) / (count + 10)), rel=1e-4)
    metric.reset()
    metric.update(unlikely, torch.tensor([1]), 0)
    assert math.isfinite(metric.compute())  # e^200 is more than float32 has
    metric.update(torch.tensor([[0.0, float("nan"), 0.0]]), torch.tensor([2]), 0)
    assert not math.isfinite(metric.compute())
