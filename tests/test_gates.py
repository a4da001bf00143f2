"""Weights between words from those between pieces, and the scripts that measure gates and re-rank lists."""

import json

import pytest
import torch
import yaml

import zoo
from datamodules.next_words import NextWords
from tests.conftest import called
from zoo.models.source_cnn import LitSourceCNN
from zoo.text.aligning import by_words, places

DATA = {"vocabulary": 200, "longest": 7, "limit": 80}


def test_weights_of_pieces_become_those_of_words():
    weights = torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.4, 0.0, 0.5, 0.1], [0.0, 0.5, 0.5, 0.0], [1.0, 0.0, 0.0, 0.0]])
    found = by_words(weights, source=[0, 1, 1], target=[0, 0, 1])  # the last row and column are those of the ends
    torch.testing.assert_close(found, torch.tensor([[0.25, 0.5], [0.0, 1.0]]))
    assert by_words(weights, [], [0]).shape == (1, 0)


def test_pieces_find_their_words():
    text = zoo.pipeline("luong.debian_de_en").source
    line = "Diese Bibliothek, (libfoo) ist frei."
    words = ["diese", "bibliothek", ",", "(", "libfoo", ")", "ist", "frei", "."]
    found, pieces = places(text, line, words), text.words(line)
    assert len(found) == len(pieces) and found == sorted(found) and set(found) == set(range(9))
    for word, expected in enumerate(words):
        written = "".join(piece for piece, of in zip(pieces, found, strict=True) if of == word)
        assert written.replace("▁", "").lower() == expected
    assert places(text, line, words[:-1]) is None and places(text, "", []) == []


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """What a training leaves, without one."""
    folder = tmp_path_factory.mktemp("runs") / "debian_incnn" / "now"
    data = NextWords(**DATA)
    torch.manual_seed(0)
    arguments = {**data.spec, "embedding": 8, "features": 8, "summary": 8, "hidden": [8], "encoders": ["in", "tag"]}
    model = LitSourceCNN(**arguments)
    (folder / "checkpoints").mkdir(parents=True), (folder / ".hydra").mkdir()
    torch.save({"state_dict": model.state_dict(), "hyper_parameters": arguments}, folder / "checkpoints/best.ckpt")
    config = {"_target_": "datamodules.next_words.NextWords", "seed": "${seed}", **DATA}
    (folder / ".hydra/config.yaml").write_text(yaml.safe_dump({"seed": 0, "data": config}))
    return folder


def test_the_mass_of_gates_and_of_a_translator(run, tmp_path):
    files = ("--output", str(tmp_path / "gates.json"), "--picture", str(tmp_path / "gates.png"))
    done = called("gates", str(run), "--translators", "luong.debian_de_en", *files)
    assert (tmp_path / "gates.png").stat().st_size > 5000
    told = json.loads((tmp_path / "gates.json").read_text())
    assert json.loads(done.stdout) == told and told.keys() == {"aligner"}
    models = told["aligner"]
    assert models.pop("sentences") > 5
    assert set(models) == {"debian_incnn", "luong.debian_de_en", "even", "diagonal"}
    assert len({each["words"] for each in models.values()}) == 1
    # a trained translator finds the words better than what has learned nothing, by links that it never saw
    assert models["luong.debian_de_en"]["mass %"] > 1.5 * models["even"]["mass %"] > 0
    model, config = LitSourceCNN.of_run(run)
    data = NextWords(**{k: v for k, v in config.items() if k != "_target_"})
    for batch in data.test_dataloader():
        metric = model.evaluate(batch, "test")["mass"]
    assert metric.compute() == pytest.approx(models["debian_incnn"]["mass %"], rel=0.2)  # some pairs are left out


def test_lists_are_put_into_another_order(run):
    told = json.loads(called("rerank", "luong.debian_de_en", str(run), "--size", "3").stdout)
    systems = told["systems"]
    assert [each["models"] for each in systems] == [[], ["debian_incnn"]] and told["sentences"] > 5
    assert len({each["test"]["before"] for each in systems}) == 1
    for each in systems:
        assert each["val"]["after"] >= each["val"]["before"] and 0 < each["bootstrap"]["p"] <= 1
        assert len(each["weights"]) == len(each["models"]) + 1


def test_what_is_no_run_is_said(run, tmp_path):
    for script, arguments in (("gates", []), ("rerank", ["luong.debian_de_en"])):
        done = called(script, *arguments, str(tmp_path), check=False)
        assert done.returncode and "there is no such checkpoint" in done.stderr
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints/best.ckpt").write_bytes((run / "checkpoints/best.ckpt").read_bytes())
    done = called("gates", str(tmp_path), check=False)
    assert done.returncode and "not the folder of a finished run" in done.stderr
    (tmp_path / "gold").write_text("0-0\n")
    done = called("gates", str(run), "--gold", str(tmp_path / "gold"), check=False)
    assert done.returncode and "1 sentences for the" in done.stderr


def test_links_are_written_and_read_again(tmp_path):
    given = ("experiment=source_cnn/debian_incnn", *(f"data.{key}={value}" for key, value in DATA.items()))
    done = called("align_words", *given, "--output", str(tmp_path), "--gold", "debian")
    told = json.loads(done.stdout)
    assert told["aligner"] == "hmm" and all(0 < rate < 100 for rate in told["AER %"].values())
    again = NextWords(**DATA, alignments=str(tmp_path), lowercase=True, moses=True)
    learned = NextWords(**DATA, lowercase=True, moses=True)
    for split in ("train", "val", "test"):
        assert len((tmp_path / f"{split}.align").read_text().splitlines()) == len(again.pairs(split))
        assert list(learned.linked(split).values()) == list(again.linked(split).values())
    done = called("align_words", "experiment=luong/debian_de_en", "--gold", "debian", check=False)
    assert done.returncode and "no word alignments" in done.stderr
    done = called("align_words", *given, "data.aligner=giza", "--gold", "debian", check=False)
    assert done.returncode and "aligner is 'giza'" in done.stderr
