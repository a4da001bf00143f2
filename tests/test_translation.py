"""From a training run to a pipeline: release, translate, evaluate; and what is wrong with an input."""

import json
from itertools import product

import pytest
import torch

import zoo
from datamodules.translation import Translation
from tests.conftest import called, last_json
from zoo import release
from zoo.commands.evaluating import check_fit
from zoo.errors import UnknownName, ZooError
from zoo.looking.saliency import gradients
from zoo.models.bahdanau import RNNsearch
from zoo.models.luong import StackedLSTM
from zoo.models.transformer import Transformer
from zoo.pipelines import InputError
from zoo.release import WeightsError
from zoo.text.aligning import ACCOUNTS, align, split_words
from zoo.text.codec import with_eos

SIZES = {"embedding": 8, "hidden": 8}
NETWORKS = {
    "bahdanau": (RNNsearch, {**SIZES, "maxout": 4, "attention": {"score": "additive", "scope": "global"}}),
    "luong": (StackedLSTM, {**SIZES, "layers": 1, "attention": {"score": "general", "scope": "local_p"}}),
    "transformer": (Transformer, {"d_model": 8, "d_ff": 8, "heads": 2, "layers": 2}),
}


@pytest.fixture(params=NETWORKS)
def folder(request, tmp_path):
    data = Translation(limit=300, vocabulary=300, reverse=request.param == "luong")
    make, arguments = NETWORKS[request.param]
    torch.manual_seed(0)
    network = make(**data.spec, **arguments)
    data.save(tmp_path / "tokenizer")
    return release.save(
        network,
        tmp_path / "weights",
        name=f"{request.param}.debian_de_en",
        config={**data.spec, **arguments},
        preprocess={"source": "de", "target": "en", "moses": False, "reverse": data.reverse},
        files=sorted((tmp_path / "tokenizer").glob("*")),
    )


def test_a_sentence_is_translated_and_aligned(folder, tmp_path):
    pipe = zoo.pipeline(folder)
    one = pipe("Werkzeuge für Entwickler")
    assert isinstance(one.text, str) and one.log_probability < 0
    outputs, inputs = one.alignment.shape
    assert one.attention.inputs[0][-1] == "</s>" and len(one.attention.inputs[0]) == inputs
    assert outputs - len(one.tokens) in (0, 1)
    one.plot(tmp_path / "alignment.png")
    assert (tmp_path / "alignment.png").stat().st_size > 1000


@pytest.mark.parametrize("reverse", [False, True])
def test_an_unknown_word_is_copied_as_it_stands_in_the_line(reverse, tmp_path):
    """A network that writes <unk> while it looks at the fourth word of the line."""
    lines = ["der mann heisst so"] * 9
    for split, side in ((split, side) for split in ("train", "val", "test") for side in ("de", "en")):
        (tmp_path / f"{split}.{side}").write_text("\n".join(lines) + "\n")
    data = Translation(corpus="files", root=str(tmp_path), tokens="words", vocabulary=9, reverse=reverse)
    make, arguments = NETWORKS["bahdanau"]
    network = make(**data.spec, **arguments)
    data.save(tmp_path / "tokenizer")
    preprocess = {"source": "de", "target": "en", "moses": False, "reverse": reverse}
    files = sorted((tmp_path / "tokenizer").glob("*"))
    config = {**data.spec, **arguments}
    folder = tmp_path / "weights"
    release.save(network, folder, name="bahdanau.x", config=config, preprocess=preprocess, files=files)
    pipe = zoo.pipeline(folder)
    place = 0 if reverse else 3

    def step(token, state, memory):
        log_p = torch.full((*token.shape, len(pipe.target)), -9.0)
        log_p[..., 3 if int(state.step.max()) == 0 else 2] = 0.0  # <unk>, then the end
        weights = torch.zeros(*token.shape, memory.mask.shape[1])
        weights[..., place] = 1.0
        return log_p, state._replace(step=state.step + 1), weights

    pipe.network.step = step
    assert pipe("der mann heisst Zyxwv").text == "Zyxwv"
    assert pipe("der mann heisst Zyxwv", copy_unknown=False).text == "<unk>"


@pytest.mark.parametrize(("slug", "make"), [("bahdanau", RNNsearch), ("luong", StackedLSTM)])
def test_without_attention_no_word_is_copied_and_none_aligned(slug, make, tmp_path):
    data = Translation(limit=50, tokens="words", vocabulary=9)
    config = {**data.spec, **SIZES, "attention": None}
    torch.manual_seed(0)
    network = make(**config)
    data.save(tmp_path / "tokenizer")
    preprocess = {"source": "de", "target": "en", "moses": False, "reverse": False}
    files = sorted((tmp_path / "tokenizer").glob("*"))
    saved = release.save(network, tmp_path / "w", name=f"{slug}.x", config=config, preprocess=preprocess, files=files)
    pipe = zoo.pipeline(saved)
    forward = pipe.network.step

    def step(token, state, memory):  # the network, which may write nothing but <unk> and the end
        log_p, *rest = forward(token, state, memory)
        log_p[..., 3], log_p[..., 4:] = 0.0, -99.0
        return log_p, *rest

    pipe.network.step = step
    assert set(pipe("Zyxwv Uts").text.split()) == {"<unk>"}
    with pytest.raises(InputError, match="no attention to align words by"):
        align(pipe, ["a"], ["b"])


def test_alignment_does_not_depend_on_what_came_before(folder):
    """A special symbol that stands in a line is text."""
    pipe = zoo.pipeline(folder)
    fresh = split_words(pipe.source, "a </s> <pad> b")
    pipe("a sentence")
    assert split_words(pipe.source, "a </s> <pad> b") == fresh and min(fresh[0]) >= 3


def test_many_at_once_are_as_one_by_one(folder, monkeypatch):
    monkeypatch.setattr("zoo.text.translation.TOGETHER", 3)
    pipe = zoo.pipeline(folder)
    lines = ["Werkzeuge", "", "Eine Bibliothek für Entwickler und andere Leute", "語 語"]
    together = pipe(lines, beam=3)
    for line, result in zip(lines, together, strict=True):
        alone = pipe(line, beam=3)
        assert (alone.text, alone.tokens) == (result.text, result.tokens)
        torch.testing.assert_close(alone.alignment, result.alignment, atol=1e-5, rtol=0)
    assert (together[1].text, together[1].log_probability, together[1].alignment.tolist()) == ("", 0, [[1]])


def test_a_text_of_several_sentences_is_translated_one_by_one(folder, tmp_path, recwarn):
    """All that is said of the text is what is said of its sentences, and each keeps where it was looked."""
    pipe = zoo.pipeline(folder)
    text, alone = "Eine Bibliothek. Werkzeuge für Dr. Mann!\nDas ist Text.", []
    for sentence in ("Eine Bibliothek.", "Werkzeuge für Dr. Mann!", "Das ist Text."):
        alone.append(pipe(sentence, beam=3, n_best=2))
    whole, empty = pipe([text, ""], beam=3, n_best=2)
    a, b, c = (each.text for each in alone)
    assert whole.text == f"{a} {b}\n{c}" and whole.plain()["sentences"] == [a, b, c]
    assert whole.tokens == [token for each in alone for token in each.tokens]
    assert whole.log_probability == pytest.approx(sum(each.log_probability for each in alone), abs=1e-4)
    a, b, c = (each.others[0] for each in alone)
    assert whole.others == [f"{a} {b}\n{c}"]
    assert empty.text == "" and empty.sentences == [] == alone[0].sentences
    row = column = 0
    for each, kept in zip(alone, whole.sentences, strict=True):
        rows, columns = each.alignment.shape
        torch.testing.assert_close(kept.alignment, each.alignment, atol=1e-5, rtol=0)
        block = whole.alignment[row : row + rows]
        torch.testing.assert_close(block[:, column : column + columns], each.alignment, atol=1e-5, rtol=0)
        assert block.count_nonzero() == kept.alignment.count_nonzero()
        row, column = row + rows, column + columns
    assert whole.alignment.shape == (row, column)
    whole.plot(tmp_path / "whole.png")
    assert not recwarn.list or "lacks" in str(recwarn.list[0].message)


def test_a_text_may_be_left_whole(folder):
    pipe = zoo.pipeline(folder)
    with pytest.warns(UserWarning, match="it has 2 sentences or lines, of which some may be left out; split=True"):
        whole = pipe("Eine Bibliothek. Werkzeuge für Kinder.", split=False)
    assert whole.sentences == [] and whole.attention.inputs[0].count("</s>") == 1
    with pytest.raises(InputError, match="split is 'no'; expected true or false"):
        pipe("Haus", split="no")
    with pytest.raises(InputError, match=r"a sentence of the sentence has \d+ tokens; at most 500"):
        pipe("Das ist gut. " + "Haus " * 2000)


def test_n_best_and_options(folder):
    pipe = zoo.pipeline(folder)
    assert len(pipe("Werkzeuge", beam=4, n_best=3).others) == 2
    with pytest.raises(InputError, match="beam is 0; expected a whole number, from 1 to 1000"):
        pipe("Werkzeuge", beam=0)


def test_a_row_is_searched_as_it_was_measured(folder, tmp_path):
    """The options of a released config are the defaults of its pipeline, and a caller may say otherwise."""
    config = release.read_config(folder)
    files = [folder / "source.json", folder / "target.json"]
    make = NETWORKS[config["slug"]][0]
    how = {"config": config["network"], "preprocess": config["preprocess"], "files": files}
    name, options = f"{config['slug']}.{config['row']}", {"n_best": 3, "beam": 6, "alpha": 0.2}
    pipe = zoo.pipeline(release.save(release.load(folder, make), tmp_path / "other", name=name, options=options, **how))
    plain = zoo.pipeline(folder)("Werkzeuge", **options)
    assert len(plain.others) == 2 and plain.plain() == pipe("Werkzeuge").plain()
    assert pipe("Werkzeuge", n_best=1).others == []


@pytest.mark.parametrize("folder", ["transformer"], indirect=True)
def test_self_attention_is_recorded_where_it_is_asked_for(folder):
    pipe = zoo.pipeline(folder)
    line = "Werkzeuge für Entwickler"
    cross, encoder, decoder = (pipe(line, attention=kind) for kind in ("cross", "encoder", "decoder"))
    assert cross.plain() == encoder.plain() == decoder.plain() == pipe(line).plain()
    inputs, outputs = cross.attention.inputs[0], cross.attention.outputs[0]
    assert encoder.attention.inputs == encoder.attention.outputs == [inputs]
    assert decoder.attention.inputs == decoder.attention.outputs == [["<s>", *cross.tokens][: len(outputs)]]
    for record in (encoder.attention, decoder.attention):
        size = len(record.inputs[0])
        assert record.weights.shape == (1, 4, size, size) and record.layers == 2
        torch.testing.assert_close(record.weights.sum(-1), torch.ones(1, 4, size))
    assert not decoder.attention.weights.triu(1).any() and encoder.attention.weights.triu(1).any()
    with pytest.raises(UnknownName, match="attention is 'decode', not one of encoder, decoder, cross; did you mean"):
        pipe(line, attention="decode")
    with pytest.raises(UnknownName, match="attention is 3, not one of"):
        pipe(line, attention=3)


def test_a_wrong_input_is_told(folder):
    pipe = zoo.pipeline(folder)
    with pytest.raises(InputError, match=r"the sentence has \d+ tokens; at most 500"):
        pipe("Haus " * 2000)
    with pytest.raises(InputError, match="sentence 1 is int; expected a string"):
        pipe(["Haus", 3])
    with pytest.raises(InputError, match="the sentence holds what is no character"):
        pipe("gut \udcff")
    for name in ("alpha", "coverage"):
        for value in (-1, "x", float("nan"), float("inf"), None):
            with pytest.raises(ZooError, match=f"{name} is {value!r}; expected a number, at least 0"):
                pipe("Haus", **{name: value})
    with pytest.warns(UserWarning, match="no word of it is known"):
        pipe("語語")


def test_the_pipeline_reads_as_the_training_does(folder):
    pipe = zoo.pipeline(folder)
    data = Translation(limit=300, reverse=pipe.source.reverse, tokenizer=str(folder))
    lines = data.sources("test", list(range(20)))
    ids = [data.split("test").source[i].tolist() for i in range(20)]
    assert [[*row, 2] for row in pipe.source.encode(lines)] == ids


def test_the_command_translates_a_file_line_by_line(folder, tmp_path):
    path = tmp_path / "lines.txt"
    path.write_text("Werkzeuge\n\nEine Bibliothek\n", encoding="utf-8")
    done = called("predict", f"name={folder}", f"input={path}", f"output={tmp_path / 'a.png'}")
    answers = json.loads(done.stdout.splitlines()[-1])
    assert len(answers) == 3 and all("text" in answer for answer in answers)
    assert (tmp_path / "a_2.png").exists()
    path.write_bytes(b"gut \xff\n")
    failed = called("predict", f"name={folder}", f"input={path}", check=False)
    assert failed.returncode == 1 and "not UTF-8" in failed.stderr


def test_an_altered_tokenizer_is_told(folder):
    (folder / release.SUMS).unlink()
    (folder / "source.json").write_text("{}")
    with pytest.raises(zoo.release.WeightsError, match=r"source\.json: cannot be read as a tokenizer"):
        zoo.pipeline(folder)


def test_a_vocabulary_of_another_size_is_told(folder, tmp_path):
    other = Translation(limit=300, vocabulary=200)
    other.save(tmp_path / "other")
    (folder / release.SUMS).unlink()
    (folder / "target.json").write_text((tmp_path / "other" / "target.json").read_text())
    with pytest.raises(WeightsError, match=r"target\.json: has 204 entries, the weights expect 304"):
        zoo.pipeline(folder)
    with pytest.raises(WeightsError, match="source_vocabulary is 204, expected 304"):
        check_fit(other.spec, release.read_config(folder)["network"])


def test_words_are_aligned_by_forced_decoding(folder, tmp_path):
    """Against the pipeline's network run on one pair, words put together in loops."""
    pipe = zoo.pipeline(folder)
    sources, targets = ["Werkzeuge für Entwickler", "", "Bibliothek"], ["tools for developers", "x", ""]
    found = align(pipe, sources, targets, batch_size=2)
    assert found[1:] == [set(), set()]
    read, of = split_words(pipe.source, sources[0])
    write, to = split_words(pipe.target, targets[0])
    assert read == pipe.source.encode([sources[0]])[0] and len(set(of)) == 3
    source, target = with_eos([read], pipe.device), torch.tensor([[1, *write]])
    with torch.no_grad():
        how = {"need_weights": True} if isinstance(pipe.network, Transformer) else {}
        _, weights = pipe.network(source, source != 0, target, **how)
        weights = weights.mean(1) if weights.ndim == 4 else weights  # over heads
    shift = pipe.network.alignment_shift
    for word in range(3):
        share = [0.0] * 3
        for t in range(len(write)):
            for s in range(len(read)):
                if to[t] == word:
                    share[of[s]] += weights[0, t + shift, s].item()
        assert (share.index(max(share)), word) in found[0]
    assert len(found[0]) == 3


@pytest.mark.parametrize("by", ACCOUNTS[1:])
def test_words_are_aligned_by_gradients(folder, by):
    """Words put together in loops, of the gradients of the words that are written."""
    pipe = zoo.pipeline(folder)
    sources, targets = ["Werkzeuge für Entwickler", "", "Bibliothek"], ["tools for developers", "x", ""]
    found = align(pipe, sources, targets, by=by)
    assert found[1:] == [set(), set()]
    read, of = split_words(pipe.source, sources[0])
    write, to = split_words(pipe.target, targets[0])
    batch = {"source": with_eos([read], pipe.device), "target": with_eos([[1, *write]], pipe.device)}
    rows = gradients(pipe.instance(batch), torch.tensor([*write, 2]))[by]
    for word in range(3):
        share = [0.0] * 3
        for t, s in product(range(len(write)), range(len(read))):
            share[of[s]] += rows[t, s].item() * (to[t] == word)
        assert (share.index(max(share)), word) in found[0]
    with pytest.raises(ZooError, match="by is 'weight'"):
        align(pipe, sources, targets, by="weight")


def test_the_command_aligns_the_pairs_that_ship():
    found = called("align", "luong.debian_de_en", "--gold", "debian").stdout.splitlines()
    assert len(found) == 69 and json.loads(found[-1])["alignment error rate"] == pytest.approx(0.195, abs=0.005)
    refused = called("align", "luong.debian_de_en", check=False)
    assert refused.returncode and refused.stderr.startswith("say what to align")


def test_the_command_scores_alignments(folder, tmp_path):
    for name, text in {
        "a.de": "Werkzeuge für\nBibliothek\n",
        "a.en": "tools for\nlibrary\n",
        "gold": "0-0\n0-0\n",
    }.items():
        (tmp_path / name).write_text(text)
    paths = [str(tmp_path / name) for name in ("a.de", "a.en")]
    out = called("align", str(folder), *paths, "--gold", str(tmp_path / "gold"))
    assert out.stdout.splitlines()[1] == "0-0"
    assert 0 <= last_json(out.stdout)["alignment error rate"] <= 0.5
    (tmp_path / "gold").write_text("0-0\n")
    out = called("align", str(folder), *paths, "--gold", str(tmp_path / "gold"), check=False)
    assert out.returncode == 1 and "1 sentences, expected 2" in out.stderr
    (tmp_path / "gold").write_text("")
    out = called("align", str(folder), *paths, "--gold", str(tmp_path / "gold"), check=False)
    assert out.returncode == 1 and "0 sentences, expected 2" in out.stderr
    out = called("align", str(folder), *paths, "--output", str(tmp_path / "none" / "links"), check=False)
    assert out.returncode == 1 and "there is no such folder" in out.stderr and "Traceback" not in out.stderr
