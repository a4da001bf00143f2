"""What an input has that the training text had not is told once, and what shows nothing changes no answer."""

import pytest
import torch

import zoo
from datamodules import debian
from datamodules.translation import Translation
from zoo import release
from zoo.models.bahdanau import RNNsearch
from zoo.text.codec import Text
from zoo.text.forms import Forms, count_sentences, encoded_twice

SIZES = {"embedding": 8, "hidden": 8, "maxout": 4, "attention": {"score": "additive"}}
SPOKEN = ["ein mann liest .", "zwei kinder spielen im park , es scheint .", "&quot; gut &quot; sagt sie .", "é ü"] * 9
RAW = ["Ein Mann liest.", "Zwei Kinder spielen im Park, es scheint.", "»Gut«, sagt sie (laut).", "Größe à 5 é ü"] * 9
FINE = (
    "Das ist z. B. gut.",
    "Dr. Mann liest am 3. Mai um 5.30 Uhr.",
    "Sie sagt: gut!",
    "",
    "GNU",
    "Das (vgl. Abb. 3) ist St. Mann.",
)


def made(folder, lines, **how) -> Translation:
    for split in ("train", "val", "test"):
        for side in ("de", "en"):
            (folder / f"{split}.{side}").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    data = Translation(corpus="files", root=str(folder), vocabulary=200, **how)
    data.save(folder / "tokenizer")
    return data


@pytest.fixture(scope="module")
def forms(tmp_path_factory):
    """For raw text, and for small letters with spaces between words."""
    found = {}
    for name, (lines, how) in {"raw": (RAW, {}), "spoken": (SPOKEN, {"pretokenised": True})}.items():
        folder = tmp_path_factory.mktemp(name)
        made(folder, lines, **how)
        found[name] = Forms(Text(folder / "tokenizer" / "source.json", "de"))
    return found


def seen(forms: Forms, line: str) -> list[str]:
    return forms.seen(line, forms.text.encode([line])[0])


@pytest.mark.parametrize(
    ("kind", "line", "told"),
    [
        ("raw", "Ein Ж Mann", "the vocabulary lacks 'Ж'"),
        ("raw", "Ein 語ЖД Mann spielt 語", "the vocabulary lacks '語ЖД', 'spielt 語'"),
        ("raw", "語 ЖД", "no word of it is known"),
        ("raw", "Мужчина читает", "it has Cyrillic letters, and the vocabulary is of Latin ones"),
        ("raw", "一个人在读书", "it has Chinese letters"),
        ("raw", "Ein Ma@@ nn li@@ est", "it has pieces of another vocabulary ('@@')"),
        ("raw", "▁Ein ▁Mann", "it has pieces of another vocabulary"),
        ("raw", "Ein ##Mann", "it has pieces of another vocabulary"),
        ("raw", "<b>Ein</b> Mann", "it has markup ('<b>')"),
        ("raw", "Ein Mann &amp; zwei", "it has markup ('&amp;')"),
        ("raw", "<s> Ein Mann </s>", "it has markup ('<s>')"),
        ("raw", "Ein **Mann** liest", "it has markup"),
        ("raw", "Gr\\u00f6\\u00dfe", "it has escaped characters"),
        ("raw", "Gr%C3%B6%C3%9Fe", "it has escaped characters"),
        ("raw", "Ein Mann liest .", "it has punctuation apart"),
        ("raw", "ein Mann @-@ gut", "it has punctuation apart"),
        ("raw", "EIN MANN LIEST IM PARK", "it is nothing but capitals"),
        ("raw", "GrÃ¶ÃŸe", "its bytes were read in another encoding"),
        ("raw", "Gr\ufffd\ufffde", "its bytes were read in another encoding"),
        ("raw", "Ein Mann liest. Die Sonne scheint. Gut.", "it has 3 sentences or lines"),
        ("raw", "Ein Mann liest\nDie Sonne", "it has 2 sentences or lines"),
        ("raw", "Gut gemacht! »Ein Mann« liest? Zwei lesen", "it has 3 sentences or lines"),
        ("raw", "Das ist alt. Die Sonne ist da. Er ist zu.", "it has 3 sentences or lines"),
        ("raw", "So... Ein Mann", "it has 2 sentences or lines"),
        ("raw", "Ein Mann\tA man", "it has columns"),
        ("raw", "Ein Mann ||| A man", "it has columns"),
        ("raw", '{"text": "Ein Mann"}', "it has markup"),
        ("raw", "Ein \\textbf{Mann}", "it has markup"),
        ("raw", "00:01 --> 00:02", "it has markup"),
        ("spoken", "Ein Mann liest .", "it has capitals, and the vocabulary is of small letters"),
        ("spoken", "ein mann liest.", "it has punctuation at words"),
        ("spoken", "zwei (kinder ) spielen", "it has punctuation at words"),
        ("spoken", "ein mann liest . die sonne scheint .", "it has 2 sentences or lines"),
    ],
)
def test_what_was_seen_is_named(forms, kind, line, told):
    found = seen(forms[kind], line)
    if told.startswith("the vocabulary lacks '語ЖД'"):
        assert any(clause.startswith("the vocabulary lacks") and "'語ЖД'" in clause for clause in found)
    else:
        assert any(clause.startswith(told) for clause in found), found


@pytest.mark.parametrize(
    ("kind", "line"),
    [*(("raw", line) for line in (*RAW[:4], *FINE)), *(("spoken", line) for line in SPOKEN[:4])],
)
def test_of_what_the_training_text_had_nothing_is_told(forms, kind, line):
    assert not [clause for clause in seen(forms[kind], line) if "lacks" not in clause]


def test_real_sentences_are_counted():
    """Sentences of Debian's descriptions, which are one each, alone and two in a line."""
    lines = [pair[0] for pair in debian.pairs("de", "en", "test")]
    ended = [line for line in lines if line.endswith(".") and line[0].isupper() and line[-5:-1].isalpha()]
    assert sum(count_sentences(line, False) > 1 for line in lines) < 0.005 * len(lines)
    pairs = [f"{a} {b}" for a, b in zip(ended[::2], ended[1::2], strict=False)]
    assert sum(count_sentences(line, False) == 2 for line in pairs) > 0.98 * len(pairs) > 200
    assert count_sentences("彼は本を読む。彼女は歌う。", False) == 2 and count_sentences("  \n ", False) == 0


def test_an_encoding_is_found_out():
    for line in ("Größe", "naïve Café", "5 €"):
        assert encoded_twice(line.encode().decode("cp1252", "replace")) or "\x9d" in line
        assert not encoded_twice(line) and not encoded_twice("plain") and not encoded_twice("Жд")


@pytest.fixture(scope="module")
def pipe(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pipe")
    data = made(folder, RAW)
    torch.manual_seed(0)
    config = {**data.spec, **SIZES}
    preprocess = {"source": "de", "target": "en", "moses": False, "reverse": False}
    files = sorted((folder / "tokenizer").glob("*"))
    how = {"name": "bahdanau.x", "config": config, "preprocess": preprocess, "files": files}
    return zoo.pipeline(release.save(RNNsearch(**config), folder / "weights", **how))


def test_one_warning_a_call_names_the_inputs(pipe):
    with pytest.warns(UserWarning) as told:
        answers = pipe(["Ein Mann", "Ein Ж", "Mann liest .", "", "Ein 語", "Zwei 語"])
    (message,) = (str(each.message) for each in told)
    assert message.startswith("sentence 1: the vocabulary lacks 'Ж' | sentence 2: it has punctuation apart")
    assert message.endswith("and 1 more inputs of another form") and told[0].filename == __file__
    assert [answer.unknown for answer in answers] == [[], ["Ж"], [], [], ["語"], ["語"]]
    assert [len(answer.warnings) for answer in answers][:2] == [0, 1]
    assert answers[1].plain()["warnings"] == ["the vocabulary lacks 'Ж'"]


def test_what_shows_nothing_changes_no_answer(pipe, recwarn):
    line = "Größe à 5, Zwei Kinder"
    for form in (
        "Grö\u00adße à 5, Zwei Kin\u200bder",
        "\ufeffGröße à 5,\u2060 Zwei Kinder\u200f",
        "Gro\u0308ße a\u0300 5, Zwei Kinder",
        "Größe\u00a0à 5,  Zwei\u3000Kinder\x00",
        "Gr\u200dö\ufeffße à 5\u200c, \u202dZwei\u202c Kinder",
    ):
        assert pipe(form).plain() == pipe(line).plain()
    assert not recwarn.list
