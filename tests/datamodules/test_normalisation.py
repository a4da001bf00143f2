"""One normalisation for what is read, written, scored and looked up: a perfect model scores 100 in every form."""

import gzip
import unicodedata

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from datamodules import debian
from datamodules.tokens import UNK, make_normaliser, normalisation, normalise, read_tokenizer, train_tokenizer
from datamodules.translation import Translation
from zoo.text import scoring
from zoo.text.codec import Text

LINES = [
    "Größe, Übermaß und Äpfel: wie schön!",
    "der Hund läuft über die Straße .",
    "Naïve Café-Gäste (alle) zahlen 5 €.",
]
FORMS = {
    "composed": lambda line: unicodedata.normalize("NFC", line),
    "decomposed": lambda line: unicodedata.normalize("NFD", line),
    "soft hyphens": lambda line: line[:3] + "\u00ad" + line[3:],
    "zero width": lambda line: "\u200b" + line[:4] + "\u200d" + line[4:7] + "\u200c" + line[7:] + "\u200b",
    "direction marks": lambda line: "\u202a\u200f" + line + "\u202c",
    "word joiner": lambda line: line.replace(",", "\u2060,"),
    "byte-order mark in the middle": lambda line: line[:6] + "\ufeff" + line[6:],
    "control characters": lambda line: line[:2] + "\x00\x1b\x7f" + line[2:],
    "variation selector": lambda line: line[:5] + "\ufe0f" + line[5:],
    "accent after a joiner": lambda line: unicodedata.normalize("NFD", line).replace("\u0308", "\u034f\u0308"),
    "other spaces": lambda line: line.replace(" ", "\u00a0", 1).replace(" ", "\u2009\u3000"),
    "more spaces": lambda line: f" \t{line.replace(' ', '   ')} ",
    "line ends": lambda line: line + "\r",
}
KINDS = {
    "pieces": {},
    "pieces, small letters": {"lowercase": True},
    "pieces of words": {"pretokenised": True},
    "pieces of words, small letters": {"pretokenised": True, "lowercase": True},
    "words": {"tokens": "words"},
    "words, small letters": {"tokens": "words", "lowercase": True},
    "Moses": {"moses": True},
    "words of Moses, small letters": {"moses": True, "lowercase": True, "tokens": "words"},
}


def written(folder, train, test, **how) -> Translation:
    for name, lines in {"train": train, "val": test, "test": test}.items():
        for side in ("de", "en"):
            (folder / f"{name}.{side}.gz").write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode()))
    return Translation("en", "de", corpus="files", root=str(folder), vocabulary=400, **how)


def perfect(data: Translation, split: str = "test") -> tuple[list[str], list[str]]:
    """What a model writes that gets every token right, and the references."""
    found, index = data.split(split), list(range(len(data.split(split))))
    return data.detokenise([found.target[i][1:-1].tolist() for i in index]), data.references(split, index)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore:.*Moses does not give back")
def test_a_perfect_model_scores_100_in_every_form(kind, tmp_path):
    test = [form(line) for form in FORMS.values() for line in LINES]
    data = written(tmp_path, LINES, test, **KINDS[kind])
    assert not any((data.split("test").target.rows(torch.arange(len(test))) == UNK).flatten().tolist())
    hypotheses, references = perfect(data)
    assert hypotheses == references and references == references[:3] * len(FORMS)
    how = {**data.scored, "tokeniser": scoring.tokeniser(data.scored["language"], data.scored["tokeniser"])}
    del how["language"]
    score, signature = scoring.bleu(hypotheses, references, **how)
    small = "small" in kind
    assert score == pytest.approx(100) and f"case:{'lc' if small else 'mixed'}" in signature
    expected = "visible+lc+nfc+space" if small else "visible+nfc+space"
    assert signature.endswith(f"|norm:{expected}" + ("+moses" if "Moses" in kind else ""))


@pytest.mark.parametrize("kind", ["pieces", "pieces, small letters", "pieces of words", "words", "Moses"])
def test_the_pipeline_reads_every_form_as_the_training_does(kind, tmp_path):
    data = written(tmp_path, LINES, [form(line) for form in FORMS.values() for line in LINES], **KINDS[kind])
    data.save(tmp_path / "saved")
    text = Text(tmp_path / "saved" / "source.json", "en", moses=data.moses)
    lines = data.sources("test", list(range(len(FORMS) * 3)))
    ids = [data.split("test").source[i][:-1].tolist() for i in range(len(lines))]
    assert text.encode(lines) == ids == ids[:3] * len(FORMS)


@settings(deadline=None, max_examples=100, derandomize=True)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), st.booleans(), st.sampled_from([None, "▁"]))
def test_to_normalise_twice_is_to_normalise_once(line, lowercase, mark):
    normaliser = make_normaliser(lowercase, mark)
    once = normaliser.normalize_str(line)
    assert normaliser.normalize_str(once) == once == once.strip() and "  " not in once
    assert unicodedata.is_normalized("NFC", once) and not set(
        "\u00ad\u200b\u200e\u2060\ufeff\x00▁"[: 6 + bool(mark)]
    ) & {*once}


def test_keys_of_a_dictionary_may_have_any_form(tmp_path):
    """A key in capitals, decomposed, with a soft hyphen; its value too."""
    how = {"tokens": "words", "joint": False, "lowercase": True}
    data = written(tmp_path, ["a b"], ["a Größe", "a unbe\u00adkannt", "a CAFE\u0301"], **how)
    (tmp_path / "words").write_text("GRO\u0308ßE\tSize\u200b\ngröße\tother\nunbekannt\tUNKNOWN\n", encoding="utf-8")
    data = Translation("en", "de", "files", str(tmp_path), vocabulary=400, dictionary=str(tmp_path / "words"), **how)
    a = data.tokenizers["target"].token_to_id("a")
    assert data.replaced("test", [0, 1, 2], [[a, UNK]] * 3, [[1]] * 3) == ["a size", "a unknown", "a café"]


def test_moses_gives_back_what_can_be_given_back_and_tells_the_rest(tmp_path):
    lines = ["Das „Werkzeug“ – gut.", "siehe http://www.example.org/a_b"]
    data = written(tmp_path, lines, [*lines, "Das ist alles."], moses=True)
    with pytest.warns(UserWarning, match="test: Moses does not give back 2 of 3 target lines as they were"):
        hypotheses, references = perfect(data)
    assert hypotheses == references and references[::2] == ['Das "Werkzeug" - gut.', "Das ist alles."]
    french = Translation("en", "fr", "files", moses=True)
    assert french._tokenised(["L’outil d’un ami"], "target") == ["L' outil d' un ami"]


def test_a_perfect_model_scores_100_on_real_text_with_moses(tmp_path):
    lines = [pair[0] for pair in debian.pairs("fr", "en", "test")[:300]]
    for side in ("en", "fr"):
        (tmp_path / f"train.{side}").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    data = Translation("en", "fr", "files", str(tmp_path), test="train", vocabulary=2000, moses=True)
    with pytest.warns(UserWarning, match="Moses does not give back"):
        hypotheses, references = perfect(data)
    assert scoring.bleu(hypotheses, references)[0] == pytest.approx(100)
    assert sum(a == " ".join(b.replace("’", "'").split()) for a, b in zip(references, lines, strict=True)) > 220


def test_a_tokenizer_of_another_make_is_told_as_it_is(tmp_path):
    from tokenizers import models, normalizers

    tokenizer = train_tokenizer(["a b"], 9, "words")
    assert normalisation(tokenizer) == "visible+nfc+space" and normalise(tokenizer, ["A\u00ad  b"]) == ["A b"]
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.save(str(tmp_path / "other.json"))
    again = read_tokenizer(tmp_path / "other.json")
    assert normalisation(again) == "nfc+lc" and normalise(again, ["A\u00adb"]) == ["a\u00adb"]
    tokenizer.model = models.WordLevel(tokenizer.get_vocab(), unk_token="<unk>")
    tokenizer.normalizer = normalizers.NFC()
    assert normalisation(tokenizer) == "nfc"


@pytest.mark.parametrize(("how", "mark"), [({}, "▁"), ({"pretokenised": True}, "</w>")])
def test_the_mark_of_a_space_is_a_space_in_text_too(how, mark, tmp_path):
    data = written(tmp_path, ["a b c", f"a{mark}b{mark} {mark}c"], [f"a{mark}b{mark} {mark}c"], **how)
    assert perfect(data) == (["a b c"], ["a b c"])
