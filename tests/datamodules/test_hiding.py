"""<unk> is taught to vocabularies of pieces: a word of both sides is hidden on both."""

import re

from datamodules.hiding import HIDDEN, hide
from datamodules.tokens import UNK
from datamodules.translation import Translation

DE = ["der Autor heißt Miller", "Miller und Miller", "Debian, das beste", "nichts gemein"] * 300
EN = ["the author is Miller", "Miller and Miller", "the best is Debian", "all different"] * 300


def test_a_shared_word_or_a_letter_of_it_is_hidden_on_both_sides():
    sources, targets = hide(DE, EN, 0.5, seed=0)
    pairs = list(zip(DE, EN, sources, targets, strict=True))
    changed = [pair for pair in pairs if HIDDEN in pair[2]]
    assert {pair[0] for pair in changed} == {DE[0], DE[2]}  # a word that stands twice has no one place
    assert 0.2 < len(changed) / len(pairs) < 0.3  # half of the half that has such a word
    whole = 0
    for source, target, read, written in changed:
        (a,), (b,) = (re.findall(rf"\w*{HIDDEN}\w*", side) for side in (read, written))
        assert a == b
        word = next(word for word in ("Miller", "Debian") if word in source)
        assert source.replace(word, a) == read and target.replace(word, b) == written
        whole += a == HIDDEN
        assert a == HIDDEN or (len(a) == len(word) and sum(x != y for x, y in zip(a, word, strict=True)) == 1)
    assert 0.4 < whole / len(changed) < 0.6
    assert all(pair[:2] == pair[2:] for pair in pairs if HIDDEN not in pair[2] + pair[3])


def test_it_depends_on_the_seed_alone():
    assert hide(DE, EN, 0.1, 3) == hide(DE, EN, 0.1, 3) != hide(DE, EN, 0.1, 4)
    assert hide(DE, EN, 0.0, 3) == (DE, EN)


def test_training_alone_sees_it_and_the_vocabulary_never(tmp_path):
    for split in ("train", "val", "test"):
        for side, lines in {"de": DE, "en": EN}.items():
            (tmp_path / f"{split}.{side}").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    how = {"corpus": "files", "root": str(tmp_path), "vocabulary": 60, "unknown": 0.5}
    for kind in ({}, {"pretokenised": True}, {"moses": True}):
        data = Translation(**how, **kind)
        unknown = {split: sum(i == UNK for i in data.split(split).target.ids) for split in ("train", "val")}
        hidden = sum(UNK in data.split("train").target[i] for i in range(len(DE)))
        assert unknown["val"] == 0 and 0.2 < hidden / len(DE) < 0.3
        assert HIDDEN not in str(data.tokenizers["source"].get_vocab())
        assert not any(HIDDEN in line for line in data.sources("train", range(len(DE))))
    data = Translation(**how, tokens="words")  # whose rare words are unknown anyway
    assert UNK not in data.split("train").target.ids
