"""The formers from training to use: losses by hand, runs, released weights, pipelines, exports, and wrong inputs."""

import json
import math

import pytest
import torch

import zoo
from datamodules.text import TextClasses
from tests.conftest import last_json
from zoo import release
from zoo.commands import evaluating, exporting
from zoo.commands.releasing import release_checkpoint
from zoo.errors import ZooError
from zoo.models.former import Classify, Former, LitClassifier, LitGenerator, Write
from zoo.pipelines import InputError
from zoo.release import WeightsError
from zoo.training import running

SIZES = {"dim": 8, "depth": 2, "self_attention": {"heads": 2, "scope": ["full", "local"]}}
FAST = ("debug=fast", "logger=none", "trainer.enable_progress_bar=false", "callbacks.figures.count=1")
TINY = ("model.dim=8", "model.depth=1", "self_attention.heads=2")


@pytest.fixture
def reviews(tmp_path):
    """A folder in IMDb's published format."""
    for split in ("train", "test"):
        for name in ("neg", "pos"):
            folder = tmp_path / "reviews" / split / name
            folder.mkdir(parents=True)
            for i in range(20):
                (folder / f"{i}_7.txt").write_text(f"a {'good' if name == 'pos' else 'bad'} film of {i} hours")
    return ("experiment=former/imdb", f"data.root={tmp_path}/reviews", "data.vocabulary=60")


@pytest.fixture
def book(tmp_path):
    """A file of characters."""
    (tmp_path / "book").write_bytes("Für den Text reicht ein Satz. ".encode() * 60)
    return ("experiment=former/enwik8", f"data.root={tmp_path}/book", "data.size=null", "data.context=12")


@pytest.fixture
def classify(reviews, tmp_path) -> Classify:
    data = TextClasses(corpus="files", root=f"{tmp_path}/reviews", tokens="words", vocabulary=60)
    data.save(tmp_path / "tokenizer")
    torch.manual_seed(0)
    config = {**SIZES, **data.spec}
    folder = release.save(
        Former(**config),
        tmp_path / "weights",
        name="former.imdb",
        config=config,
        preprocess=Classify.preprocess({"max_length": 6, "root": None}),
        files=sorted((tmp_path / "tokenizer").glob("*")),
    )
    return zoo.pipeline(folder)


@pytest.fixture
def write(tmp_path) -> Write:
    torch.manual_seed(0)
    config = {**SIZES, "vocabulary": 256, "longest": 12}
    folder = release.save(Former(**config), tmp_path / "weights", name="former.enwik8", config=config)
    return zoo.pipeline(folder)


def test_the_losses_are_torchs_cross_entropies():
    torch.manual_seed(0)
    text = torch.randint(1, 11, (3, 7))
    generator = LitGenerator(vocabulary=11, **SIZES)
    log_p = generator.network(text[:, :-1]).log_softmax(-1)
    nats = -torch.stack([log_p[b, t, text[b, t + 1]] for b in range(3) for t in range(6)]).mean()
    found = generator.loss({"text": text})
    torch.testing.assert_close(found["loss"], nats)
    torch.testing.assert_close(found["bits"], nats / math.log(2))
    classifier = LitClassifier(vocabulary=11, num_classes=3, **SIZES)
    text[1, 4:] = 0
    batch = {"text": text, "label": torch.tensor([2, 0, 1]), "sentences": torch.tensor(3.0)}
    log_p = torch.stack([classifier.network(row[row != 0][None])[0] for row in text]).log_softmax(-1)
    expected = -(log_p[0, 2] + log_p[1, 0] + log_p[2, 1]) / 3
    torch.testing.assert_close(classifier.loss(batch)["loss"], expected)
    classifier.eval()
    error = classifier.evaluate(batch, "test")["error"].compute()
    assert error == pytest.approx(100 * (log_p.argmax(-1) != batch["label"]).float().mean())


def test_a_network_is_trained_for_what_it_is():
    with pytest.raises(ZooError, match="a classifier needs data with classes"):
        LitClassifier(vocabulary=11)
    with pytest.raises(ZooError, match="a generator needs data without classes"):
        LitGenerator(vocabulary=11, num_classes=2)


def run(composed, tmp_path, experiment: tuple[str, ...], preprocess: dict):
    """Two steps in this process, evaluated again: the metrics, and the pipeline of the released weights."""
    running.train(composed(*experiment, *FAST, *TINY))
    metrics = json.loads((tmp_path / "run/metrics.json").read_text())
    assert list((tmp_path / "run/figures").glob("test_0.png"))
    ckpt = tmp_path / "run/checkpoints/best.ckpt"
    evaluating.evaluate(composed(*experiment, *FAST, *TINY, f"ckpt={ckpt}", config="evaluate"))
    again = json.loads((tmp_path / "run/metrics.json").read_text())
    assert all(again[name] == value for name, value in metrics.items() if name.startswith("test/"))
    name = experiment[0].removeprefix("experiment=").replace("/", ".")
    return metrics, zoo.pipeline(release_checkpoint(ckpt, name, folder=tmp_path / "w", preprocess=preprocess))


def test_a_classifier_from_a_run_to_an_answer(composed, reviews, tmp_path):
    metrics, pipe = run(composed, tmp_path, reviews, {"max_length": 512})
    assert 0 <= metrics["test/error"] <= 100 and isinstance(pipe, Classify)
    assert pipe("a good film").label in ("neg", "pos")


def test_a_generator_from_a_run_to_a_text(composed, book, tmp_path):
    metrics, pipe = run(composed, tmp_path, book, {})
    assert 5 < metrics["test/bits"] < 16 and metrics["val/bits"] > 5 and isinstance(pipe, Write)
    assert len(pipe("Für", length=5).text) in range(1, 6)


def test_a_text_is_classified_and_shows_where_it_looked(classify, tmp_path):
    result = classify("A good film")
    assert isinstance(classify, Classify) and list(result.probabilities) == ["neg", "pos"]
    assert sum(result.probabilities.values()) == pytest.approx(1)
    assert result.label == max(result.probabilities, key=result.probabilities.get)
    assert result.attention.inputs == result.attention.outputs == [["a", "good", "film"]]
    torch.testing.assert_close(result.attention.weights.sum(-1), torch.ones(1, 2, 3))
    result.plot(tmp_path / "look.png")
    assert result.title.startswith(result.label) and (tmp_path / "look.png").stat().st_size > 1000
    json.dumps(result.plain())


def test_many_texts_at_once_are_as_one_by_one(classify, tmp_path):
    texts = ["good", "a bad film of hours", "film a film"]
    for text, result in zip(texts, classify(texts), strict=True):
        alone = classify(text)
        assert alone.probabilities == pytest.approx(result.probabilities, abs=1e-6)
        torch.testing.assert_close(alone.attention.weights, result.attention.weights, atol=1e-6, rtol=0)
    path = tmp_path / "review.txt"
    path.write_text(texts[1])
    many = classify([texts[i % 3] for i in range(70)])  # more than are read together
    assert [each.label for each in many] == [many[i % 3].label for i in range(70)]
    assert all(each.attention.weights.untyped_storage().size() == each.attention.weights.nbytes for each in many)
    assert classify.read(str(path)) == texts[1] and classify.read("x" * 5000) == "x" * 5000
    path.write_bytes(b"\xff")
    with pytest.raises(InputError, match="not UTF-8"):
        classify.read(str(path))


def test_what_is_wrong_with_a_text_is_told(classify):
    for text in ("", " \n "):
        with pytest.raises(InputError, match="the text is empty"):
            classify(text)
    with pytest.raises(InputError, match="text 1 is int; expected a string"):
        classify(["good", 3])
    with pytest.raises(InputError, match="holds what is no character"):
        classify("\ud800")
    with pytest.raises(InputError, match="block is 2; the network has the blocks 0 to 1"):
        classify("good", block=2)
    with pytest.warns(UserWarning, match="no word of it is known") as told:
        classify("語語")
    assert told[0].filename == __file__
    with pytest.warns(UserWarning, match="the text has 7 tokens; the first 6 are read"):
        cut = classify("a good film of bad hours film")
    assert cut.probabilities == classify("a good film of bad hours").probabilities


def test_files_that_do_not_fit_the_weights_are_told(classify):
    (classify.folder / release.SUMS).unlink()
    path = classify.folder / "classes.json"
    path.write_text('["one"]')
    with pytest.raises(WeightsError, match=r"classes\.json: has 1 entries, the weights expect 2"):
        zoo.pipeline(classify.folder)
    path.write_text("[")
    with pytest.raises(WeightsError, match=r"classes\.json: cannot be read"):
        zoo.pipeline(classify.folder)


def test_what_is_written_is_drawn_from_the_model(write):
    """Each byte again by hand: the first whose sum of probabilities reaches the noise."""
    prompt, length, temperature = "Text 12345 über", 9, 0.7  # longer than the window
    result = write(prompt, length=length, temperature=temperature, seed=3)
    noise = 1 - torch.rand(1, length, generator=torch.Generator().manual_seed(3))[0]
    text, bits = list(prompt.encode()), 0.0
    for u in noise:
        with torch.no_grad():
            log_p = write.network(torch.tensor([text[-12:]]))[0, -1].log_softmax(-1)
        total = (log_p / temperature).softmax(-1).cumsum(-1)
        byte = int((total < u * total[-1]).sum())
        bits -= float(log_p[byte]) / math.log(2)
        text.append(byte)
    assert result.text == bytes(text[-length:]).decode(errors="replace")
    assert result.bits == pytest.approx(bits / length, rel=1e-5)
    weights = result.attention.weights
    assert weights.shape == (1, 2, 12, 12) and not weights.triu(1).any()


def test_writing_is_repeatable_and_does_not_depend_on_the_others(write):
    together = write(["ab", "", "a longer start"], length=6, count=3)
    for prompt, result in zip(["ab", "\n", "a longer start"], together, strict=True):
        alone = write(prompt, length=6, count=3)
        assert (alone.text, alone.others) == (result.text, result.others) and len(alone.others) == 2
    assert write("ab", length=30, seed=1).text != write("ab", length=30, seed=2).text
    cold = write("ab", length=8, temperature=1e-4).text
    assert cold == write("ab", length=8, temperature=1e-4, seed=5).text == write("ab", length=8, top_k=1).text
    assert write("ab", length=3, block=None).attention.weights.shape[1] == 4, "two heads of two blocks"


def test_what_cannot_be_written_is_told(write):
    for options, message in (
        ({"length": 0}, "length is 0; expected a whole number, from 1"),
        ({"count": 1.5}, r"count is 1\.5; expected a whole number"),
        ({"temperature": 0}, "temperature is 0; expected a number above 0"),
        ({"temperature": float("nan")}, "temperature is nan; expected a number above 0"),
        ({"seed": "x"}, "seed is 'x'; expected a whole number, at least 0"),
        ({"top_k": 0}, "top_k is 0; expected a whole number, at least 1"),
        ({"block": 2}, "block is 2; the network has the blocks 0 to 1"),
    ):
        with pytest.raises(InputError, match=message):
            write("a", **options)


@pytest.mark.parametrize("num_classes", [None, 3])
def test_an_exported_former_computes_the_same(num_classes, tmp_path, write):
    pipe = write
    if num_classes:
        pipe.network = Former(vocabulary=256, num_classes=num_classes, **SIZES).eval()
        pipe.example = lambda batch: {
            "symbols": torch.arange(6).expand(batch, -1),
            "mask": (torch.arange(6) < 5).expand(batch, -1).contiguous(),
        }
    program = exporting.trace(pipe.network, pipe.example(2))
    inputs = pipe.example(5)
    with torch.no_grad():
        torch.testing.assert_close(program.module()(**inputs)[0], pipe.network(**inputs))


def test_the_command_measures_the_baselines_of_characters(book, capsys, monkeypatch):
    from scripts import baselines

    monkeypatch.setattr("sys.argv", ["baselines", *book])
    baselines.main()
    found = last_json(capsys.readouterr().out)
    assert found["bytes"] == 93 and 0 < found["5-gram_test_bits"] < 1
    monkeypatch.setattr("sys.argv", ["baselines", "experiment=former/enwik8"])
    with pytest.raises(SystemExit, match="say where the text is"):
        baselines.main()


def test_the_masks_are_drawn(tmp_path, monkeypatch):
    from scripts import masks

    monkeypatch.setattr("sys.argv", ["masks", str(tmp_path / "masks.png"), "--length", "6", "--k", "2"])
    masks.main()
    assert (tmp_path / "masks.png").stat().st_size > 1000
    monkeypatch.setattr("sys.argv", ["masks", str(tmp_path / "masks.png"), "--k", "0"])
    with pytest.raises(SystemExit, match="k is 0; atrous self-attention needs a whole number, at least 1"):
        masks.main()
    monkeypatch.setattr("sys.argv", ["masks", str(tmp_path / "masks.text")])
    with pytest.raises(SystemExit, match="'text' is not supported"):
        masks.main()
