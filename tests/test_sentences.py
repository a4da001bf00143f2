"""A text is cut where its sentences end, loses no letter, and is translated sentence by sentence."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datamodules import debian
from zoo.text.sentences import split_sentences

TEXT = st.lists(
    st.sampled_from(
        ["Ein", "mann", "Dr", "z.B", "3", "12", ".", ". ", "! ", "? ", "…", " ", "\n", "»", "“ ", "。", "本", "ist"]
    )
).map("".join)


@pytest.mark.parametrize(
    ("text", "spaced", "found"),
    [
        ("Ein Mann liest. Die Sonne scheint.", False, [["Ein Mann liest.", "Die Sonne scheint."]]),
        ("Gut gemacht! »Ein Mann« liest? Zwei", False, [["Gut gemacht!", "»Ein Mann« liest?", "Zwei"]]),
        ("Eins.\n\n Zwei. Drei.\r\n", False, [["Eins."], ["Zwei.", "Drei."]]),
        ("Das ist z. B. gut. Dr. Mann liest am 3. Mai.", False, [["Das ist z. B. gut.", "Dr. Mann liest am 3. Mai."]]),
        ("彼は本を読む。彼女は歌う。", False, [["彼は本を読む。", "彼女は歌う。"]]),
        ("ein mann liest . dr . mann ist da .", True, [["ein mann liest .", "dr . mann ist da ."]]),
        ("ein mann liest . die sonne scheint", False, [["ein mann liest . die sonne scheint"]]),
        ("", False, []),
        (" \n\t", True, []),
    ],
)
def test_a_text_is_cut_where_its_sentences_end(text, spaced, found):
    assert split_sentences(text, spaced) == found


@settings(deadline=None, max_examples=200)
@given(TEXT, st.booleans())
def test_no_letter_is_lost_and_a_sentence_stays_one(text, spaced):
    sentences = [each for line in split_sentences(text, spaced) for each in line]
    assert "".join("".join(sentences).split()) == "".join(text.split())
    assert all(sentences)


def test_real_sentences_come_back():
    """Two of Debian's sentences in a line are the two again."""
    lines = [pair[0] for pair in debian.pairs("de", "en", "test")]
    ended = [line for line in lines if line.endswith(".") and line[0].isupper() and line[-5:-1].isalpha()]
    pairs = list(zip(ended[::2], ended[1::2], strict=False))
    right = sum(split_sentences(f"{a} {b}", False) == [[a, b]] for a, b in pairs)
    assert right > 0.98 * len(pairs) > 200
