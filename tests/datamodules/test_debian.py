"""The Debian corpus: what ships, its splits, its translation pairs, and files that are not what they should be."""

import json
import lzma
import re
import shutil
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodules.debian import (
    FILE,
    LANGUAGES,
    REASONS,
    SPLITS,
    Text,
    align,
    aligned,
    fault,
    pairs,
    read_debian,
    sentences,
    split_of,
)
from datamodules.files import EMBEDDED, DataError

FOLDER = EMBEDDED / "debian"
FOREIGN = LANGUAGES[1:]
KNOWN = {
    "git": "train",
    "gcc-12": "train",
    "0ad": "val",
    "node-uniqid": "val",
    "stellarium": "test",
    "lmod": "test",
    "rust-unic-langid": "test",
}


@pytest.fixture(scope="module")
def corpus():
    return read_debian()


def table(heading: str) -> dict[str, list[int]]:
    """The rows of the README's table whose first heading is given."""
    lines = (FOLDER / "README.md").read_text().split(f"| {heading} |")[1].split("\n\n")[0].splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {name: [int(value.replace(",", "")) for value in values] for name, *values in cells}


# --- the corpus -------------------------------------------------------------------------------------------------------


def test_readme_counts_the_records(corpus):
    for language, counts in table("records").items():
        found = Counter(split_of(record.source) for record in corpus if getattr(record, language))
        assert [*(found[split] for split in SPLITS), found.total()] == counts


def test_records_are_what_the_file_says(corpus):
    with lzma.open(FOLDER / FILE, "rt", encoding="utf8") as file:
        records = [json.loads(line) for line in file]
    assert len(records) == len(corpus)
    for raw, record in zip(records, corpus, strict=True):
        assert (record.package, record.source, record.section) == (raw["package"], raw["source"], raw["section"])
        for language in LANGUAGES:
            text = getattr(record, language)
            assert (text and "\n\n".join((text.synopsis, *text.paragraphs))) == raw.get(language)


def test_records_are_distinct_sorted_and_whole(corpus):
    keys = [(record.source, record.package) for record in corpus]
    assert keys == sorted(set(keys))
    assert len({record.en for record in corpus}) == len(corpus)
    for record in corpus:
        assert record.section and record.en not in (record.de, record.fr)
        for text in filter(None, record[3:]):
            assert text.synopsis and "\n" not in text.synopsis and all(text.paragraphs)
            assert not any("\n\n" in paragraph for paragraph in text.paragraphs)


def test_a_known_record(corpus):
    (record,) = [record for record in corpus if record.package == "git"]
    assert (record.source, record.section) == ("git", "vcs")
    assert record.en.synopsis == "fast, scalable, distributed revision control system"
    assert record.de.synopsis == "Schnelles, skalierbares, verteiltes Versionskontrollsystem"
    assert record.fr.synopsis == "système de gestion de versions distribué, rapide et évolutif"
    assert record.en.paragraphs[0].startswith("Git is popular version control system designed to handle very large")
    assert len(record.en.paragraphs) == len(record.de.paragraphs) == len(record.fr.paragraphs) == 3


@pytest.mark.parametrize("change", ["truncated", "altered", "missing"])
def test_a_broken_file_is_named(tmp_path, change):
    folder = tmp_path / "debian"
    shutil.copytree(FOLDER, folder)
    data = (folder / FILE).read_bytes()
    if change == "missing":
        (folder / FILE).unlink()
    else:
        (folder / FILE).write_bytes(data[:-1000] if change == "truncated" else data[:-1] + bytes([data[-1] ^ 1]))
    expected = "cannot be read" if change == "missing" else "truncated or altered"
    with pytest.raises(DataError, match=f"{re.escape(str(folder / FILE))}: {expected}"):
        read_debian(folder)


# --- splits -----------------------------------------------------------------------------------------------------------


def test_the_hash_never_changes():
    assert [split_of(name) for name in KNOWN] == list(KNOWN.values())


@given(st.from_regex(r"[a-z][a-z+-]{1,12}", fullmatch=True), st.integers(0, 99), st.integers(0, 99))
def test_versions_of_a_source_are_on_one_side(name, one, other):
    assert split_of(f"{name}{one}") == split_of(f"{name}{other}.{one}") == split_of(name)


def test_no_source_straddles_and_the_shares_are_right(corpus):
    sides = {}
    for record in corpus:
        sides.setdefault(record.source, set()).add(split_of(record.source))
    assert all(len(found) == 1 for found in sides.values())
    shares = Counter(found.pop() for found in sides.values())
    assert shares["train"] / len(sides) == pytest.approx(0.9, abs=0.01)
    assert shares["val"] / len(sides) == pytest.approx(0.05, abs=0.005)
    assert shares["test"] / len(sides) == pytest.approx(0.05, abs=0.005)


# --- sentences --------------------------------------------------------------------------------------------------------

CUT = {
    "en": [
        "It needs e.g. Perl 5.36 or later. It runs on Linux, *BSD, etc. Others are untested.",
        "See www.debian.org for more. libfoo is not needed!",
        'This is "foo." It waits... and goes on (really). Does it?',
        "Written by J. Smith et al. for the U.S. Navy.",
        "Version 2.0. And 3.",
    ],
    "de": [
        "Das geht z. B. mit Perl, d.h. ab Version 5.36. Es läuft auf Linux, BSD usw. Anderes ist ungeprüft.",
        "Seit dem 19. Jahrhundert gibt es ca. 20 davon. Sie sind »alt.« Und gut.",
    ],
    "fr": ["Il est « libre ». Il marche, par ex. avec c.-à-d. Perl ! Pourquoi ? Parce que…"],
}
PIECES = {
    "en": [
        ["It needs e.g. Perl 5.36 or later.", "It runs on Linux, *BSD, etc.", "Others are untested."],
        ["See www.debian.org for more.", "libfoo is not needed!"],
        ['This is "foo."', "It waits... and goes on (really).", "Does it?"],
        ["Written by J. Smith et al. for the U.S. Navy."],
        ["Version 2.0.", "And 3."],
    ],
    "de": [
        ["Das geht z. B. mit Perl, d.h. ab Version 5.36.", "Es läuft auf Linux, BSD usw.", "Anderes ist ungeprüft."],
        ["Seit dem 19. Jahrhundert gibt es ca. 20 davon.", "Sie sind »alt.«", "Und gut."],
    ],
    "fr": [["Il est « libre ».", "Il marche, par ex. avec c.-à-d. Perl !", "Pourquoi ?", "Parce que…"]],
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_sentences(language):
    assert [sentences(text, language) for text in CUT[language]] == PIECES[language]


@given(st.text("ab A.!?»\"'1…("), st.sampled_from(LANGUAGES))
def test_sentences_lose_nothing(text, language):
    text = " ".join(text.split())
    assert " ".join(sentences(text, language)) == text


# --- pairs ------------------------------------------------------------------------------------------------------------


def test_align():
    german = Text("Ein Ding", ("Erstens. Zweitens.", "Liste:\n* eins\n  wie getippt\n* zwei. Und mehr ;"))
    english = Text("a thing", ("First. Second.", "List:\n* one\n  as typed\n* two. And more"))
    assert list(align(german, english, "de")) == [
        ("Ein Ding", "a thing"),
        ("Erstens.", "First."),
        ("Zweitens.", "Second."),
        ("Liste:", "List:"),
        ("eins", "one"),
        ("zwei.", "two."),
        ("Und mehr", "And more"),
    ]


@pytest.mark.parametrize(
    "paragraphs",
    [("Eins. Zwei.",), ("Eins. Zwei. Drei.", "Vier."), ("Eins und zwei.\n* Drei", "* Vier.")],
    ids=["paragraphs", "sentences", "lines"],
)
def test_what_does_not_match_is_left_out(paragraphs):
    english = Text("a thing", ("One. Two.", "Three. Four."))
    assert list(align(Text("Ding", paragraphs), english, "de")) == [("Ding", "a thing")]


def test_fault():
    assert fault("Xfce Desktop", "xfce desktop") == "identical"
    assert fault("1.2 – 3", "one to three") == "no letters" == fault("eins", "")
    assert fault("a" * 31, "b" * 10) == "ratio" == fault("b" * 10, "a" * 31)
    assert fault("a" * 30, "b" * 10) is None


@pytest.mark.parametrize("language", FOREIGN)
def test_readme_counts_the_pairs(language):
    found, removed = aligned(language, None)
    words = [sum(len(pair[side].split()) for pair in found["train"]) for side in (0, 1)]
    assert [*(len(found[split]) for split in SPLITS), *words] == table("pairs")[f"{language}-en"]
    assert [removed[reason] for reason in REASONS] == table("removed")[f"{language}-en"]


@pytest.mark.parametrize("language", FOREIGN)
def test_the_two_directions_are_the_same_pairs(language):
    for split in SPLITS:
        there, back = pairs(language, "en", split), pairs("en", language, split)
        assert [(b, a) for a, b in back] == there


@pytest.mark.parametrize("language", FOREIGN)
def test_pairs_are_clean(language):
    found = {split: pairs(language, "en", split) for split in SPLITS}
    for split in SPLITS:
        assert len(set(found[split])) == len(found[split])
        for pair in found[split]:
            assert all(side and side == " ".join(side.split()) for side in pair)
            assert fault(*pair) is None
    for side in (0, 1):
        train, val, test = ({pair[side].casefold() for pair in found[split]} for split in SPLITS)
        assert not (train & val or train & test or val & test)


def test_a_caller_cannot_spoil_the_pairs():
    expected = len(pairs("de", "en", "val"))
    pairs("de", "en", "val").clear()
    assert len(pairs("de", "en", "val")) == expected


@pytest.mark.parametrize("languages", [("de", "fr"), ("en", "en"), ("en", "es")])
def test_unknown_languages_are_named(languages):
    with pytest.raises(ValueError, match=f"{'-'.join(languages)}: expected en and one of de and fr"):
        pairs(*languages, "train")


def test_an_unknown_split_is_named():
    with pytest.raises(ValueError, match="split is dev; expected one of train, val, test"):
        pairs("de", "en", "dev")
