"""Training a translator: it learns a batch by heart, writes its scores, and stops at what it cannot do."""

import json
from functools import partial
from types import SimpleNamespace

import pytest
import sacrebleu
import torch

from datamodules.translation import Translation
from tests.conftest import called
from zoo.errors import ZooError
from zoo.models.bahdanau import LitRNNsearch
from zoo.models.luong import LitStackedLSTM
from zoo.models.transformer import LitTransformer
from zoo.text.decoding import beam_search, greedy
from zoo.text.search import BOS, EOS, PAD, UNK, Hypothesis
from zoo.text.translator import Lines
from zoo.training.schedules import halving

SIZES = {"embedding": 32, "hidden": 32}
SCORED = {"tokeniser": "none", "language": "de", "lowercase": False, "normalisation": "nfc"}
VOCABULARIES = {"source_vocabulary": 9, "target_vocabulary": 9}
ROOMS = {
    "bahdanau": (LitRNNsearch, {"maxout": 16, "attention": {"score": "additive"}}),
    "bahdanau without attention": (LitRNNsearch, {"maxout": 16, "attention": None}),
    "luong": (LitStackedLSTM, {"layers": 2, "dropout": 0.0, "attention": {"score": "dot", "scope": "local_p"}}),
    "luong without attention": (LitStackedLSTM, {"layers": 1, "dropout": 0.0, "attention": None}),
}


@pytest.mark.parametrize("room", ROOMS)
def test_a_batch_is_learned_by_heart_and_translated_so(room, tmp_path):
    """Six short sentences, some of which differ in one word only; the target is in another order."""
    lines = ["a b c", "a b d", "d c", "b a d c", "c", "d d a"]
    for split in ("train", "val", "test"):
        (tmp_path / f"{split}.de").write_text("\n".join(lines) + "\n")
        (tmp_path / f"{split}.en").write_text("\n".join(line[::-1].upper() for line in lines) + "\n")
    data = Translation(corpus="files", root=str(tmp_path), tokens="words", vocabulary=20)
    torch.manual_seed(0)
    make, arguments = ROOMS[room]
    model = make(**data.spec, **SIZES, **arguments)
    batch = next(iter(data.train_dataloader()))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(400):
        optimizer.zero_grad()
        loss = model.loss(batch)["loss"]
        loss.backward()
        optimizer.step()
    assert loss < 0.02
    model.eval()
    with torch.no_grad():
        for beam in (1, 3):
            written = data.detokenise(model.translate(batch["source"], beam))
            assert written == data.references("train", batch["index"].tolist())


@pytest.fixture(scope="module")
def data():
    return Translation(limit=6, vocabulary=100)


SOME = {  # of each room
    "bahdanau": (LitRNNsearch, {**SIZES, "maxout": 4, "attention": None}),
    "luong": (LitStackedLSTM, {**SIZES, "layers": 1, "dropout": 0.0}),
    "transformer": (LitTransformer, {"layers": 1, "d_model": 8, "d_ff": 8, "heads": 2, "dropout": 0.0}),
}


def some(room, data, **arguments):
    """A small model whose logits are far apart: of even ones no label smoothing changes anything."""
    torch.manual_seed(0)
    make, sizes = SOME[room]
    model = make(**data.spec, **sizes, **arguments)
    with torch.no_grad():
        for parameter in model.network.parameters():
            parameter.normal_(std=0.3)
    return model


@pytest.mark.parametrize("per", ["token", "sentence"])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("room", SOME)
def test_the_loss_is_torchs_cross_entropy(room, per, training, data):
    model = some(room, data, loss_per=per, label_smoothing=0.2).train(training)
    batch = next(iter(data.train_dataloader()))
    target = batch["target"]
    logits, _ = model.network(batch["source"], batch["source"] != 0, target[:, :-1])
    valid = target[:, 1:] != 0
    plain, expected = (
        torch.nn.functional.cross_entropy(logits[valid], target[:, 1:][valid], label_smoothing=epsilon, reduction="sum")
        / (valid.sum() if per == "token" else len(target))
        for epsilon in (0.0, 0.2)
    )
    torch.testing.assert_close(model.loss(batch)["loss"], expected)
    assert (plain - expected).abs() > 1e-3


@pytest.mark.parametrize("room", SOME)
def test_a_test_searches_with_the_beam_and_the_score_that_were_asked_for(room, data):
    """Against zoo.text.decoding itself; what the options change is changed by each of them."""
    batch = next(iter(data.test_dataloader()))
    source = batch["source"]
    asked = {"normalise": "length", "alpha": 3.0, "beam": 4, "ban_unknown": True}
    kinds = [asked, {**asked, "alpha": 0.0}, {**asked, "normalise": "none"}, {**asked, "beam": 1}]
    kinds += [{**asked, "ban_unknown": False}, {**asked, "normalise": "gnmt", "alpha": 9.0}]
    found = []
    for options in kinds:
        model = some(room, data, **options).eval()
        step = model.network.step

        def eager(token, state, memory, step=step):  # often ends, and often writes the unknown word
            log_p, *rest = step(token, state, memory)
            log_p[..., [UNK, EOS]] += 3.0
            return log_p.log_softmax(-1), *rest

        model.network.step = eager
        with torch.no_grad():
            model.evaluate(batch, "test")
            (written,) = (part for _, part in model.written)
            memory = model.network.encode(source, source != 0)
            how = {key: value for key, value in options.items() if key in ("normalise", "alpha")}
            banned = (PAD, BOS, UNK) if options["ban_unknown"] else (PAD, BOS)
            longest = model.longest((source != 0).sum(1))
            if options["beam"] == 1:
                search = partial(greedy, eager, model.network.start(memory, 1), memory)
            else:
                search = partial(beam_search, eager, model.network.start(memory, options["beam"]), memory, **how)
            expected = search(max_length=longest, banned=banned)
        tokens = [each.tokens for each in written]
        assert tokens == [hypotheses[0].tokens for hypotheses in expected]
        found.append(tokens)
    assert all(other != found[0] for other in found[1:5])


def test_a_run_leaves_its_scores_and_every_translation(tmp_path):
    small = ("data.limit=40", "data.vocabulary=100", "model.embedding=8", "model.hidden=8", "trainer.max_epochs=1")
    done = called("train", "experiment=luong/debian_de_en", *small, "logger=none", f"runs={tmp_path}")
    (folder,) = tmp_path.glob("luong/debian_de_en/*")
    report = json.loads((folder / "scores.json").read_text())
    assert report["beam"] == 5 and "tok:13a" in report["signature"] and report["signature"] in done.stdout
    rows = [json.loads(line) for line in (folder / "translations.jsonl").read_text().splitlines()]
    assert len(rows) == 40 and {"source", "reference", "hypothesis"} <= set(rows[0])
    assert sum(each["sentences"] for each in report["bleu by source length"].values()) == 40
    assert (folder / "tokenizer" / "source.json").exists()
    again = called("evaluate", f"ckpt={folder}/checkpoints/best.ckpt", f"runs={tmp_path}/again")
    metrics, first = (json.loads(each.stdout.splitlines()[-1]) for each in (again, done))
    assert metrics["test/bleu"] == first["test/bleu"] and metrics["test/chrf"] == first["test/chrf"]
    called("evaluate", f"ckpt={folder}/checkpoints/best.ckpt", f"runs={tmp_path}/greedy", "model.beam=1")
    (greedy,) = (tmp_path / "greedy").rglob("scores.json")
    assert json.loads(greedy.read_text())["beam"] == 1


def test_a_resumed_run_keeps_its_vocabulary_and_refuses_other_text(tmp_path):
    for split, lines in {"train": 40, "val": 4, "test": 4}.items():
        (tmp_path / f"{split}.de").write_text("das ist ein Haus\n" * lines)
        (tmp_path / f"{split}.en").write_text("this is a house\n" * lines)
    files = ("data.corpus=files", f"data.root={tmp_path}", "data.source=de", "data.target=en", "data.tokens=words")
    small = ("model.embedding=8", "model.hidden=8", "data.batch_tokens=64", f"runs={tmp_path}/runs", "logger=none")
    given = ("experiment=luong/debian_de_en", *files, *small, "trainer.max_epochs=1")
    called("train", *given)
    (run,) = (tmp_path / "runs/luong/debian_de_en").iterdir()
    vocabulary = (run / "tokenizer" / "source.json").read_text()
    (run / "metrics.json").unlink()  # as if it had been killed
    (tmp_path / "train.de").write_text("das ist kein Haus\n" * 40)
    refused = called("train", *given, "resume=auto", check=False)
    assert refused.returncode == 1 and "Traceback" not in refused.stderr
    assert "source vocabulary is not that of the checkpoint; the text has changed" in refused.stderr.splitlines()[-1]
    assert (run / "tokenizer" / "source.json").read_text() == vocabulary
    (tmp_path / "train.de").write_text("das ist ein Haus\n" * 40)
    called("train", *given, "resume=auto")
    assert (run / "metrics.json").exists()


def test_a_run_on_words_replaces_the_unknown_ones(tmp_path):
    """With 30 words nearly every word is unknown, and a little training writes little else."""
    small = ("data.limit=200", "data.vocabulary=30", "model.embedding=8", "model.hidden=8", "trainer.max_epochs=3")
    words = ("data.tokens=words", "data.joint=false", "model.optimizer.lr=0.03")
    called("train", "experiment=luong/debian_de_en", *small, *words, "logger=none", f"runs={tmp_path}")
    (folder,) = tmp_path.glob("luong/debian_de_en/*")
    report = json.loads((folder / "scores.json").read_text())
    rows = [json.loads(line) for line in (folder / "translations.jsonl").read_text().splitlines()]
    assert any("<unk>" in row["hypothesis"] for row in rows)
    for row in rows:
        for written, replaced in zip(row["hypothesis"].split(), row["replaced"].split(), strict=True):
            assert replaced == written if written != "<unk>" else replaced in row["source"]
    assert report["bleu after replacing unknown words"] > report["bleu"]


def test_the_papers_columns_about_unknown_words():
    model = LitStackedLSTM(**VOCABULARIES, **SIZES, layers=1)
    model.trainer = SimpleNamespace(datamodule=SimpleNamespace(scored=SCORED))
    references = ["a b c d e f", "g h i j k l"]
    hypotheses = ["a b c d e f", "g h <unk> j k l"]
    scores, more = model.score("test", Lines(["s", "s"], references, hypotheses, references, [True, False]))
    assert scores["bleu"] < 90 and more["bleu after replacing unknown words"] == pytest.approx(100)
    assert more["bleu of sentences without unknown words"] == {"bleu": pytest.approx(100), "sentences": 1}
    _, more = model.score("test", Lines(["s", "s"], references, hypotheses, None, [True, True]))
    assert not [name for name in more if "unknown" in name]


def test_a_chinese_target_is_scored_by_its_letters_and_a_missing_tokeniser_is_told_at_once(tmp_path):
    """Right in all but one letter; 13a, which takes the line for one word, would give 0 and 0 again."""
    for split in ("train", "val", "test"):
        (tmp_path / f"{split}.en").write_text("a cat\n" * 3)
        for side in ("zh", "ja"):
            (tmp_path / f"{split}.{side}").write_text("我喜欢很多小猫和狗\n" * 3, encoding="utf-8")
    how = {"corpus": "files", "root": str(tmp_path), "source": "en", "vocabulary": 40}
    data = Translation(target="zh", **how)
    model = LitRNNsearch(**data.spec, **SIZES, maxout=4)
    model.trainer = SimpleNamespace(datamodule=data)
    model.setup("fit")
    references = data.references("val", [0, 1, 2])
    worse = [line.replace("狗", "鸟") for line in references]
    scores = [model.score("val", Lines([], lines, references, None, []))[0]["bleu"] for lines in (worse, references)]
    assert 80 < scores[0] < scores[1] == pytest.approx(100)
    _, more = model.score("test", Lines(["a cat"] * 3, references, references, None, [True] * 3))
    assert "tok:zh" in more["signature"] and more["signature"].endswith("norm:visible+nfc+space")
    model.trainer = SimpleNamespace(datamodule=Translation(target="zh", bleu="char", **how))
    assert model.scored["tokeniser"] == "char"
    for target, bleu, told in (
        ("zh", "13b", "bleu is '13b', not one of"),
        ("ja", None, r"data\.bleu=char scores letters"),
    ):
        model.trainer = SimpleNamespace(datamodule=Translation(target=target, bleu=bleu, **how))
        if target == "ja" and tokeniser_is_there("ja-mecab"):
            continue
        with pytest.raises(ZooError, match=told):
            model.setup("fit")


def tokeniser_is_there(name):
    try:
        return sacrebleu.BLEU(tokenize=name)
    except (ImportError, RuntimeError):
        return None


@pytest.mark.parametrize(("reverse", "places"), [(False, [2, 0]), (True, [1, 1])])
def test_an_unknown_word_is_looked_for_in_the_step_that_belongs_to_it(reverse, places):
    """Luong's content scores with the source reversed: in the step that reads the word, which is the next one."""
    model = LitStackedLSTM(**VOCABULARIES, **SIZES, layers=1, attention={"score": "dot"}, reverse=reverse)
    weights = torch.tensor([[0.1, 0.2, 0.7, 0.0], [0.1, 0.6, 0.1, 0.2], [0.4, 0.3, 0.1, 0.2], [0.2, 0.3, 0.1, 0.4]])
    written = model._written(Hypothesis([UNK, 7, UNK], -1.0, -1.0, True, weights), words=3)
    assert written == ([UNK, 7, UNK], places)


def test_what_looks_nowhere_replaces_nothing():
    model = LitStackedLSTM(**VOCABULARIES, **SIZES, layers=1, attention=None)
    assert model._written(Hypothesis([UNK], -1.0, -1.0, True, None), words=3) == ([UNK], [])
    seen = torch.eye(4)[[3, 3]]  # as the baselines say it: what they read is the last state
    for make, more in ((LitStackedLSTM, {"layers": 1}), (LitRNNsearch, {"maxout": 4})):
        model = make(**VOCABULARIES, **SIZES, **more, attention=None)
        assert model._written(Hypothesis([UNK], -1.0, -1.0, True, seen), words=3) == ([UNK], [])


def test_an_empty_line_has_an_empty_translation(tmp_path):
    for split, line in (("train", "a b"), ("val", "a"), ("test", "")):
        (tmp_path / f"{split}.de").write_text(f"{line}\n" * 3)
        (tmp_path / f"{split}.en").write_text("A B\n" * 3)
    data = Translation(corpus="files", root=str(tmp_path), tokens="words", vocabulary=9)
    torch.manual_seed(0)
    model = LitRNNsearch(**data.spec, **SIZES, maxout=4, attention={"score": "additive"}).eval()
    batch = next(iter(data.test_dataloader()))
    with torch.no_grad():
        assert any(model.translate(batch["source"], 1))
        model.evaluate(batch, "test")
    assert [written.tokens for _, part in model.written for written in part] == [[], [], []]


def test_the_rate_is_halved_as_published():
    """Rate 1 for 8 of 12 epochs, then halved every epoch."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = halving(optimizer, total_steps=120, hold=8 / 12, times=4)
    rates = []
    for _ in range(120):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step(), schedule.step()
    assert [rates[10 * epoch + 5] for epoch in range(12)] == [1.0] * 8 + [0.5, 0.25, 0.125, 0.0625]


def test_a_wrong_choice_is_named():
    with pytest.raises(ValueError, match="loss_per is 'word', not 'token' or 'sentence'"):
        LitRNNsearch(source_vocabulary=9, target_vocabulary=9, loss_per="word")
    for make in (LitRNNsearch, LitTransformer):  # before the training and not after it, in the test
        for wrong in (
            {"beam": 0},
            {"beam": 2.5},
            {"beam": None},
            {"alpha": None},
            {"alpha": -0.1},
            {"alpha": "x"},
            {"normalise": "sum"},
            {"label_smoothing": 1.5},
            {"label_smoothing": float("nan")},
            {"dropout": 1.5},
        ):
            ((name, value),) = wrong.items()
            with pytest.raises(ZooError, match=f"{name} is {value!r}"):
                make(**VOCABULARIES, **wrong)
    for wrong in ("extra", "d_model", "layers", "key_dim", "attention_dropout"):
        for value in (-1, 1.5):
            with pytest.raises(ZooError, match=f"{wrong} is {value}; expected"):
                LitTransformer(**VOCABULARIES, **{wrong: value})
