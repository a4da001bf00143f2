"""Labelled bracketing F1 by hand, and what is made of malformed trees."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.text.bracketing import Bracketing, read, score

GOLD = "(S (NP DT NN )NP , (VP VBD (PRT RP )PRT (PP IN (NP NN )NP )PP )VP . )S"  # 8 words, 6 brackets
HIDDEN = "(S (NP XX XX )NP XX (VP XX (PRT XX )PRT (PP XX (NP XX )NP )PP )VP XX )S"


@pytest.mark.parametrize(
    ("written", "right", "found"),
    [
        (HIDDEN, 6, 6),
        (HIDDEN.replace("PRT", "ADVP"), 6, 6),
        (HIDDEN.replace("(NP XX )NP", "(QP XX )QP"), 5, 6),
        ("(S (NP XX XX XX )NP (VP XX (PRT XX )PRT (PP XX (NP XX )NP )PP XX )VP )S", 6, 6),  # commas may hang anywhere
        (HIDDEN.replace(")NP XX (VP", ")NP (PRN XX )PRN (VP"), 6, 6),  # a bracket over nothing but punctuation
        (f"(TOP {HIDDEN} )TOP", 6, 6),
        (f"(S {HIDDEN} )S", 6, 7),  # matched once
        (HIDDEN.replace("(NP XX XX )NP", "XX (NP XX )NP"), 5, 6),
        ("XX " * 8, 0, 0),
        ("", 0, 0),
        (HIDDEN + " XX", 0, 6),  # nine words: nothing is right
        (HIDDEN.replace("(PRT XX", "(PRT"), 0, 5),  # (PRT )PRT holds no word
        (HIDDEN.replace(" )S", ""), 6, 6),  # closed at the end
        (HIDDEN + " )S )VP", 6, 6),
        (HIDDEN.replace("(NP XX )NP )PP )VP", "(NP XX )VP"), 6, 6),  # )VP closes NP and PP too
        (HIDDEN.replace(" )PP )VP", " )QP )VP"), 6, 6),  # )QP is nothing
    ],
)
def test_brackets_counted_by_hand(written, right, found):
    precision, recall = 100 * right / found if found else 0, 100 * right / 6
    f1 = 2 * precision * recall / (precision + recall) if right else 0
    expected = Bracketing(f1, precision, recall, 100 * (right == found == 6))
    assert tuple(score([written], [GOLD])) == pytest.approx(tuple(expected))


def test_a_corpus_is_counted_as_one():
    gold = [GOLD, "(NP NN )NP", "(X . '' )X", "(S (S VB )S `` )S", "JJ"]
    written = [HIDDEN, "(VP XX )VP", "", "(S XX XX )S", "XX"]
    # right 6 + 0 + - + 1 + 0, found 6 + 1 + - + 1 + 0, expected 6 + 1 + - + 2 + 0: the third has no word that counts;
    # the first and the last are complete
    expected = Bracketing(100 * 2 * 7 / 17, 100 * 7 / 8, 100 * 7 / 9, 50.0)
    assert tuple(score(written, gold)) == pytest.approx(tuple(expected))
    assert score([], []) == Bracketing(0.0, 0.0, 0.0, 0.0)
    with pytest.raises(ValueError, match="argument 2 is longer"):
        score(written[:-1], gold)


symbols = st.sampled_from(["XX", "(S", ")S", "(NP", ")NP", "(VP", ")VP", "(", ")", "<unk>"])


@settings(deadline=None, max_examples=40, derandomize=True)
@given(st.lists(symbols, max_size=25))
def test_whatever_is_written_its_brackets_are_nested(line):
    tree = read(" ".join(line))
    assert len(tree.words) == sum(symbol in ("XX", "<unk>") for symbol in line)
    for _, first, end in tree.brackets:
        assert 0 <= first < end <= len(tree.words)
        assert not any(first < other < end < last for _, other, last in tree.brackets)
    assert len(tree.brackets) <= sum(symbol.startswith("(") for symbol in line)
