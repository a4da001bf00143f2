"""ABS and ABS+ against loops over the paper's equations, exhaustive search, a grid, a hand count, other libraries."""

import inspect
import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

import zoo
from datamodules.headlines import Headlines, shortlist
from datamodules.reordering import Reordering
from datamodules.summaries import text_steps
from tests.datamodules.test_headlines import write_files
from zoo import release
from zoo.errors import ZooError
from zoo.models.luong.network import StackedLSTM
from zoo.models.rush.baselines import BM25, LitBaseline
from zoo.models.rush.decoding import Search, best, write
from zoo.models.rush.features import at_places, of_words
from zoo.models.rush.kneser_ney import KneserNey
from zoo.models.rush.module import LitABS
from zoo.models.rush.network import ABS, ENCODERS
from zoo.models.rush.pipeline import first_sentence
from zoo.models.rush.plus import LitPlus
from zoo.models.rush.recurrent import LitRecurrent
from zoo.models.rush.rouge import cut, rouge
from zoo.models.rush.tuning import Lists, chosen, search_line, tune
from zoo.pipelines import InputError
from zoo.text.search import BOS, EOS, PAD, UNK

TINY = {"dim": 4, "hidden": 8, "length": 3, "beam": 3}
QUICK = {  # see tests/small.py
    "rush": {"dim": 4, "hidden": 8, "length": 3},
    "rush_plus": {"dim": 4, "hidden": 8, "length": 3, "listed": 4, "start": "null", "starts": 1},
    "rush_recurrent": {"embedding": 4, "hidden": 8, "length": 3, "beam": 3},
    "rush_baseline": {"length": 3},
}


def files(folder) -> tuple[str, ...]:
    """Pairs in place of any corpus."""
    write_files(folder)
    names = [f"data.{split}={split}.article.txt" for split in ("train", "val", "test")]
    return (
        "data.corpus=files",
        f"data.root={folder}",
        *names,
        "data.filters=[]",
        "data.source_count=1",
        "data.title_count=1",
    )


FILES = {
    **dict.fromkeys(("debian_headlines", "gigaword", "duc"), files),
    "reordering": lambda folder: ("data.pairs=24", "data.held=8"),
}
ALIKE = ("model.start", "model.method", "model.halve", "trainer.precision")
TOLD = dict.fromkeys(("source_vocabulary", "target_vocabulary"), "the data say how many there are")
OF_CONVOLUTION = {key: {"encoder": "conv"} for key in ("layers", "depthwise")}
NOTHING = dict.fromkeys(("optimizer", "schedule"), "nothing is learned by gradient")
OPTIONS = {  # see tests/test_options.py
    "rush": {
        **TOLD,
        **OF_CONVOLUTION,
        "halve": "the end of an epoch shows it; see below",
        "longest": "the end of an epoch shows it; see below",
        "copy_unknown": {"length": 6, "extractive": True},
        "beam": {"beam": 1, "length": 8, "extractive": True},
        "bytes": {"bytes": 4},
    },
    "rush_plus": {
        **TOLD,
        **OF_CONVOLUTION,
        **NOTHING,
        "halve": "nothing is learned by gradient",
        "longest": "nothing is learned by gradient",
        "dropout": "nothing is learned by gradient",
        "start": "read before the first step; see below",
        "listed": "the lists that line search sees; see below",
        "starts": "where line search starts; see below",
        "bytes": {"bytes": 4},
        "copy_unknown": {"length": 6, "extractive": True},
        "beam": {"beam": 1, "length": 8, "extractive": True},
    },
    "rush_recurrent": {
        **TOLD,
        "beam": {"beam": 1, "length": 8},
        "bytes": {"bytes": 4},
        "reverse": "the data never reverses",
        "hard": "refused by the class, whose attention is soft",
    },
    "rush_baseline": {**TOLD, **NOTHING, "bytes": {"bytes": 4}, "length": {"method": "prefix"}},
    "rush_kn": {**TOLD, **NOTHING},
}
SIZES = {"source_vocabulary": 11, "target_vocabulary": 9, "dim": 3, "hidden": 6, "context": 3}
SOURCE = torch.tensor([[5, 4, 7, 4, 10, 6, 9], [8, 5, 9, 0, 0, 0, 0], [3, 4, 0, 0, 0, 0, 0]])
TARGET = torch.tensor([[1, 5, 6, 4, 8], [1, 7, 5, 3, 4], [1, 4, 4, 4, 4]])
COPY = torch.tensor([[5, 4, 7, 4, 13, 6, 15], [8, 5, 11, 0, 0, 0, 0], [9, 4, 0, 0, 0, 0, 0]])


def make(**arguments) -> ABS:
    torch.manual_seed(0)
    network = ABS(**(SIZES | arguments)).double().eval()
    for parameter in network.parameters():
        torch.nn.init.uniform_(parameter, -0.8, 0.8)
    return network


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def encoded(network, W, x, context, Q):
    """enc(x, y_c) of one input (M words) and one context, as section 3.2 prints it; and p."""
    x = W["F.weight"][x]  # x~, a row a word
    M = len(x)
    if network.encoder == "bow":
        return np.full(M, 1 / M) @ x, None
    if network.encoder == "conv":
        for layer in range(len(network.Q)):
            filters, made = W[f"Q.{layer}.weight"], np.zeros_like(x)
            for i in range(len(x)):
                for q in range(-Q, Q + 1):
                    if 0 <= i + q < len(x):
                        tap = filters[:, :, q + Q]
                        made[i] += tap[:, 0] * x[i + q] if network.Q[layer].groups > 1 else tap @ x[i + q]
            x = np.tanh(np.stack([made[i : i + 2].max(0) for i in range(0, len(made), 2)]))
        return x.max(0), None
    p = softmax(x @ W["P.weight"] @ W["G.weight"][context].ravel())
    smooth = np.zeros_like(x)
    for i in range(M):
        window = range(max(0, i - Q), min(M, i + Q + 1))
        smooth[i] = sum(x[q] for q in window) / (Q if network.smoothing == "paper" else len(window))
    return p @ smooth, p


def loops(network, source, target):
    """Log-probabilities (T, V) and p (T, M) of one input and title, one context at a time."""
    W = {name: p.detach().numpy() for name, p in network.named_parameters()}
    source, C = source[source != PAD].numpy(), network.context
    found, looked = [], []
    for i in range(len(target)):
        context = np.array([BOS] * max(0, C - 1 - i) + target[max(0, i - C + 1) : i + 1].tolist())
        h = np.tanh(W["U.weight"] @ W["E.weight"][context].ravel() + W["U.bias"])
        if network.encoder != "none":
            enc, p = encoded(network, W, source, context, network.window)
            h = np.concatenate([h, enc])
            looked.append(p)
        found.append(np.log(softmax(W["VW.weight"] @ h + W["VW.bias"])))
    return np.stack(found), looked


KINDS = [
    {"encoder": "none"},
    {"encoder": "bow"},
    {"encoder": "conv", "layers": 2},
    {"encoder": "conv", "layers": 3, "depthwise": False, "window": 1},
    {"encoder": "attention"},
    {"encoder": "attention", "smoothing": "mean", "window": 1},
    {"encoder": "attention", "context": 1, "window": 3},
]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_every_encoder_is_the_paper_s_and_padding_changes_nothing(kind):
    network = make(**kind)
    logits, p = network(SOURCE, SOURCE != PAD, TARGET)
    for row in range(len(SOURCE)):
        expected, looked = loops(network, SOURCE[row], TARGET[row])
        np.testing.assert_allclose(logits[row].log_softmax(-1).detach(), expected, atol=1e-6)
        if p is not None:
            words = int((SOURCE[row] != PAD).sum())
            np.testing.assert_allclose(p[row, :, :words].detach(), np.stack(looked), atol=1e-6)
            assert not p[row, :, words:].any()


@pytest.mark.parametrize("encoder", ENCODERS)
def test_gradients_reach_every_parameter(encoder):
    network = make(encoder=encoder)
    network(SOURCE, SOURCE != PAD, TARGET)[0].square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in network.parameters())


def test_renormalising_shortens_long_rows_of_all_tables_alone():
    network = make()
    with torch.no_grad():
        network.F.weight[4] *= 9 / network.F.weight[4].norm()
        network.G.weight[5] *= 0.3 / network.G.weight[5].norm()
    before = {name: p.clone() for name, p in network.named_parameters()}
    network.renormalise(1.0)
    for name, parameter in network.named_parameters():
        norms = before[name].norm(dim=-1, keepdim=True).clamp(min=1)
        expected = before[name] / norms if name.split(".")[0] in "EFG" else before[name]
        torch.testing.assert_close(parameter.detach(), expected)


def score_of(network, source, copy, title):
    """alpha . features of a title, word by word from Python lists."""
    words = network.VW.out_features
    x = [i for i in copy.tolist() if i != PAD]
    known = torch.tensor([BOS, *(UNK if i >= words else i for i in title)])
    log_p, _ = loops(network, source, known)
    features = np.zeros(5)
    previous = [BOS, BOS]
    for i, word in enumerate(title):
        a, b = previous[-2:]
        features += [
            log_p[i, UNK if word >= words else word],
            word in x,
            any(x[j : j + 2] == [b, word] for j in range(len(x))),
            any(x[j : j + 3] == [a, b, word] for j in range(len(x))),
            any(x[j] == word and x[k] == b for j in range(len(x)) for k in range(j + 1, len(x))),
        ]
        previous.append(word)
    features[0] += log_p[len(title), EOS]
    return features


@pytest.mark.parametrize("extracted", [False, True])
def test_a_wide_beam_is_exhaustive_search(extracted):
    network = make()
    network.alpha.copy_(torch.tensor([1.0, 0.7, 1.3, -0.4, -0.9]))
    search = Search(3, 400, extractive=extracted, copy_unknown=True)
    found = write(network, SOURCE, COPY, search)
    for row in range(len(SOURCE)):
        x = [i for i in COPY[row].tolist() if i != PAD]
        words = sorted({*x} if extracted else {*range(4, 9), *x})
        every = {t: score_of(network, SOURCE[row], COPY[row], t) for t in itertools.product(words, repeat=3)}
        ranked = sorted(every, key=lambda title: -every[title] @ network.alpha.numpy())
        kept = int(found.score[row].isfinite().sum())
        assert kept == min(len(ranked), 400)
        for place in range(min(kept, 30)):
            title = tuple(found.words[row, place].tolist())
            np.testing.assert_allclose(found.features[row, place], every[title], atol=1e-4)
            expected = every[ranked[place]] @ network.alpha.double().numpy()
            np.testing.assert_allclose(found.score[row, place], expected, atol=1e-4)


def test_titles_that_end_alike_are_one_and_the_best_stays():
    network = make(context=2)
    wide = write(network, SOURCE[:1], COPY[:1], Search(4, 1000))
    endings = [tuple(title[-2:]) for title in wide.words[0, wide.score[0].isfinite()].tolist()]
    assert len(endings) == len(set(endings)) == 25
    every = {t: score_of(network, SOURCE[0], COPY[0], t)[0] for t in itertools.product(range(4, 9), repeat=4)}
    for title, score in zip(wide.words[0].tolist(), wide.score[0].tolist(), strict=False):
        if score > -math.inf:
            assert score == pytest.approx(max(s for t, s in every.items() if t[-2:] == tuple(title[-2:])), abs=1e-4)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 999), beam=st.integers(1, 5))
def test_the_best_continuations_are_those_of_a_loop(seed, beam):
    random = np.random.default_rng(seed)
    score, last = random.normal(size=(2, 4, 5)).round(1), random.integers(0, 2, (2, 4, 1))
    score[random.random(score.shape) < 0.3] = -np.inf
    so_far = random.integers(-3, 3, (2, 4)).astype(float)
    found = best(torch.from_numpy(so_far), torch.from_numpy(score - so_far[:, :, None]), torch.from_numpy(last), beam)
    value, parent, word = (each.numpy() for each in found)
    for row in range(2):
        ends = {}
        for k, w in itertools.product(range(4), range(5)):
            end = (last[row, k, 0], w)
            ends[end] = max(ends.get(end, -np.inf), score[row, k, w])
        expected = sorted(ends.values(), reverse=True)[:beam]
        expected += [-np.inf] * (value.shape[1] - len(expected))
        np.testing.assert_allclose(value[row], expected)
        kept = np.isfinite(value[row])
        np.testing.assert_allclose(score[row, parent[row], word[row]][kept], value[row][kept])


def test_a_smaller_beam_never_writes_the_unknown_word_and_copies_only_if_told():
    network = make()
    for copies in (False, True):
        found = write(network, SOURCE, COPY, Search(5, 4, copy_unknown=copies)).words
        assert not ({PAD, BOS, EOS, UNK} & set(found.flatten().tolist()))
        assert copies or int(found.max()) < 9
    only = write(network, SOURCE, COPY, Search(5, 4, extractive=True)).words[0].flatten().tolist()
    assert set(only) <= {5, 4, 7, 6}


def test_features_are_those_of_lists():
    copy, mask = torch.tensor([[4, 5, 6, 5, 7, 0]]), torch.tensor([[True] * 5 + [False]])
    here = at_places(copy, mask, torch.tensor([[5]]), torch.tensor([[4]]))
    found = [[word for word in range(9) if of_words(here, copy, torch.tensor([[word]]))[0, 0, k]] for k in range(4)]
    assert found == [[4, 5, 6, 7], [6, 7], [6], [4, 5, 6]]


def random_lists(seed):
    random = np.random.default_rng(seed)
    return random.normal(size=(6, 8, 5)).round(2), random.random((6, 8)).round(3)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 999))
def test_line_search_is_at_least_a_grid(seed):
    features, scores = random_lists(seed)
    alpha, direction = np.array([1.0, 0.2, -0.3, 0.0, -0.1]), np.eye(5)[1 + seed % 4]
    step, found = search_line(alpha, direction, features, scores, -5.0, 5.0)
    assert -5 <= step <= 5 and found == pytest.approx(chosen(alpha + step * direction, features, scores))
    open_step, open_found = search_line(alpha, direction, features, scores, -np.inf, np.inf)
    assert open_found >= found - 1e-9
    assert open_found == pytest.approx(chosen(alpha + open_step * direction, features, scores))
    grid = [chosen(alpha + t * direction, features, scores) for t in np.linspace(-5, 5, 2001)]
    assert found >= max(grid) - 1e-9


def test_tuning_finds_the_features_that_matter_and_keeps_the_bounds():
    random = np.random.default_rng(0)
    features, scores = random.normal(size=(40, 30, 5)), np.zeros((40, 30))
    start = np.array([1.0, 0, 0, 0, 0])
    for wanted, least in (
        ((1, 2.0, 0.5, 1.0, -0.7), 0.6),
        ((1, 2.0, -0.5, -3.0, 0.7), 0.1),
        ((1, -3.0, 0.5, 1.0, -0.7), 0.1),
    ):
        scores[:] = 0
        scores[np.arange(40), (features @ np.array(wanted)).argmax(1)] = 1
        alpha = tune(start, features, scores)
        assert alpha[0] == 1 and (alpha[1:4] >= 0).all() and alpha[4] <= 0
        assert chosen(alpha, features, scores) > max(least, chosen(start, features, scores))


def test_lists_keep_a_title_once_and_short_ones_are_never_chosen_beyond_their_end():
    lists = Lists()
    assert lists.add(3, [(4, 5), (4, 6)], np.ones((2, 5)), [0.5, 0.7]) == 2
    assert lists.add(3, [(4, 6)], np.ones((1, 5)), [0.7]) == 0
    assert lists.add(1, [(9, 9)], np.zeros((1, 5)), [0.1]) == 1
    features, scores = lists.arrays()
    assert features.shape == (2, 2, 5) and chosen(np.array([1.0, 0, 0, 0, 0]), features, scores) == pytest.approx(0.3)


def test_rouge_is_a_hand_count_with_signs_that_the_package_deletes():
    one, two, longest = rouge("c++ library for #d", ["fast c++ library for ##d"])
    assert one == pytest.approx(100 * 2 * 3 / 9) and two == pytest.approx(100 * 2 * 2 / 7)
    assert longest == pytest.approx(100 * 2 * 3 / 9)
    assert rouge("a b", ["a b c d", "a"], "recall")[0] == pytest.approx(100 * (0.5 + 1) / 2)
    assert rouge("c", ["c++"])[0] == 0 and rouge("", ["a"])[0] == 0
    assert cut("é" * 40, 75) == "é" * 37


def test_kneser_ney_sums_to_one_and_agrees_with_nltk():
    from nltk.lm import KneserNeyInterpolated

    titles = [[4, 5, 6, 2], [4, 5, 2], [6, 4, 5, 6, 2], [5, 5, 2]]
    model = KneserNey(titles, 3, words=7)
    for before in ((1, 1), (4, 5), (6, 6), (5,), ()):
        assert sum(model.probability(word, before) for word in range(2, 9)) == pytest.approx(1)
    assert model.probability(8, (4, 5)) > 0
    model.discounts = [0.0, 0.6, 0.6]  # as nltk has them
    theirs = KneserNeyInterpolated(3, discount=0.6)
    grams = []
    for title in titles:
        padded = [*map(str, (1, 1, *title))]
        grams += [[tuple(padded[i - n + 1 : i + 1]) for n in (1, 2, 3)] for i in range(2, len(padded))]
    theirs.fit(grams, vocabulary_text=[*"12456"])
    for word, before in itertools.product((2, 4, 5, 6), ((1, 1), (4, 5), (1, 4), (5, 5))):
        assert model.probability(word, before) == pytest.approx(
            theirs.score(str(word), tuple(map(str, before))), abs=1e-9
        )


def test_bm25_is_its_formula():
    documents = [["a", "b", "a"], ["b", "c"], ["d", "d", "d", "c", "a"]]
    found = BM25(documents).scores(["a", "c", "zebra", "a"])
    for document, value in zip(documents, found, strict=True):
        expected = 0.0
        for word in ("a", "c"):
            n, f = sum(word in each for each in documents), document.count(word)
            idf = math.log(1 + (3 - n + 0.5) / (n + 0.5))
            expected += idf * f * 2.2 / (f + 1.2 * (0.25 + 0.75 * len(document) / (10 / 3)))
        assert value == pytest.approx(expected)


def test_rules_write_the_first_words_and_keywords():
    article = ["a", "fast", ",", "small", "c++", "library", "for", "reading", "files", ".", "it", "works"]
    data = SimpleNamespace(pairs=lambda split: [])
    make = lambda **how: LitBaseline(9, 9, **how)  # noqa: E731
    assert make(method="prefix", length=3).title(article) == "a fast small"
    assert make(method="prefix75").title(article) == "a fast small c++ library for reading files it works"
    assert make(method="prefix75").title(["x" * 40, "y" * 34, "z"]) == f"{'x' * 40} {'y' * 34}"
    keywords = make(method="keywords", length=4)
    keywords.trainer = SimpleNamespace(datamodule=data)
    keywords._index = SimpleNamespace(idf={"it": 0.1, "works": 0.2, "reading": 3.0, "for": 0.1, "small": 1.0})
    assert keywords.title([w for w in article if w not in ("c++", "library", "files")]) == "reading small a fast"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("headlines")
    write_files(folder)
    names = {split: f"{split}.article.txt" for split in ("train", "val", "test")}
    return Headlines("files", str(folder), **names, source_count=1, title_count=1, batch_size=8)


def lit(kind, data, **arguments):
    torch.manual_seed(0)
    model = kind(**data.spec, **(TINY | arguments))
    model.trainer = SimpleNamespace(datamodule=data, world_size=1, current_epoch=0, global_step=0, should_stop=False)
    return model


def test_one_batch_is_learned_by_heart(data):
    model, batch = lit(LitABS, data, hidden=16, dim=16), next(iter(data.train_dataloader()))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    for _ in range(60):
        loss = model.loss(batch)["loss"]
        optimizer.zero_grad(), loss.backward(), optimizer.step()
    assert loss < 0.05
    record = model.record(batch)
    rows = record.weights.sum(-1)
    torch.testing.assert_close(rows, torch.ones_like(rows))
    assert record.outputs[0][-1] == "</s>" and len(record.inputs[0]) == int((batch["source"][0] != 0).sum())


def test_the_rate_is_halved_after_an_epoch_that_is_no_better(data):
    model = lit(LitABS, data, halve=True)
    schedule = SimpleNamespace(base_lrs=[0.4])
    model.lr_schedulers = lambda: schedule
    model.trainer.sanity_checking, model.trainer.state = False, SimpleNamespace(fn="fit")
    for perplexity, rate in ((9.0, 0.4), (8.0, 0.4), (8.5, 0.2), (8.0, 0.1), (7.0, 0.1)):
        model.perplexity["val_perplexity"].compute = lambda p=perplexity: torch.tensor(p)
        model.on_validation_epoch_end()
        assert schedule.base_lrs == [pytest.approx(rate)]
    stored = {}
    model.on_save_checkpoint(stored)
    assert stored == {"lowest": 7.0}


def test_tables_are_shortened_before_the_validation_of_their_epoch(data):
    model = lit(LitABS, data, longest=0.5)
    model.trainer.is_last_batch = False
    model.on_train_batch_end(None, None, 0)
    assert model.network.E.weight.norm(dim=1).max() > 1
    model.trainer.is_last_batch = True
    model.on_train_batch_end(None, None, 1)
    assert model.network.E.weight.norm(dim=1).max() <= 0.5001


def test_tuning_writes_lists_and_moves_the_weights_alone(data):
    model = lit(LitPlus, data, listed=20, copy_unknown=True)
    before = {name: p.clone() for name, p in model.network.named_parameters()}
    for batch in data.train_dataloader():
        assert model.loss(batch)["loss"].item() == 0
    features, scores = model.lists.arrays()
    assert features.shape[1] <= 20 and (scores.max(1) > 0).any()
    plain, stored, again = chosen(np.eye(5)[0], features, scores), {}, lit(LitPlus, data)
    model.on_save_checkpoint(stored)
    again.on_load_checkpoint(stored)
    assert again.lists.found == model.lists.found and again.new == model.new > 0
    model.end_round()
    assert chosen(model.network.alpha.double().numpy(), features, scores) > plain
    assert all(torch.equal(before[name], p) for name, p in model.network.named_parameters())
    with pytest.raises(ZooError, match="length is null"):
        lit(LitPlus, data, length=None)


def test_tuning_starts_from_a_released_network_of_the_same_sizes(data, tmp_path):
    model = lit(LitABS, data)
    config = {**data.spec, "dim": 4, "hidden": 8}
    data.save(tmp_path / "tokenizer")
    files = sorted((tmp_path / "tokenizer").glob("*"))
    folder = release.save(model.network, tmp_path / "w", name="rush.debian_abs", config=config, files=files)
    plus = lit(LitPlus, data, start=str(folder))
    plus.setup("fit")
    torch.testing.assert_close(plus.network.state_dict(), model.network.state_dict())
    with pytest.raises(ZooError, match="not of the kind and sizes"):
        lit(LitPlus, data, start=str(folder), dim=5).setup("fit")


def test_perplexity_without_the_unknown_word_is_that_of_the_others(data):
    model, batch = lit(LitABS, data), next(iter(data.test_dataloader()))
    found = model.evaluate(batch, "test")
    logits, _ = model.network(batch["source"], batch["source"] != 0, batch["target"][:, :-1])
    log_p, labels = logits.log_softmax(-1), batch["target"][:, 1:]
    nats = -log_p.gather(-1, labels[..., None])[..., 0]
    assert (labels == UNK).any()
    for name, counted in (("perplexity", labels != PAD), ("known", (labels != PAD) & (labels != UNK))):
        assert float(found[name].compute()) == pytest.approx(nats[counted].mean().exp().item(), rel=1e-4)
    assert {"rouge1", "rouge2", "rougeL"} <= found.keys()


def test_the_recurrent_network_writes_the_likeliest_title_of_n_known_words(data):
    torch.manual_seed(0)
    words = data.spec["target_vocabulary"]
    model = LitRecurrent(
        **data.spec, embedding=4, hidden=6, layers=1, init=2.0, attention={"score": "general"}, length=2, beam=words
    )
    model.eval().trainer = SimpleNamespace(datamodule=data)
    batch = next(iter(data.test_dataloader()))
    source, free = batch["source"], range(UNK + 1, words)
    titles = torch.tensor(list(itertools.product(free, free)))
    name = data.tokenizers["target"].id_to_token
    found = model.lines(batch, "test")
    for i, line in enumerate(found):
        target = torch.cat([torch.full((len(titles), 1), BOS), titles], 1)
        logits, _ = model.network(source[i : i + 1].expand(len(titles), -1), source[i : i + 1] != PAD, target)
        labels = torch.cat([titles, torch.full((len(titles), 1), EOS)], 1)  # as of ABS, the end counts
        best = logits.log_softmax(-1).gather(-1, labels[:, :, None]).sum((1, 2)).argmax()
        assert line == " ".join(map(name, titles[best].tolist()))
    assert len(set(found)) > 1
    assert model.record(batch).outputs[0][-1] == "</s>"
    model.network.attend = None
    with pytest.raises(NotImplementedError, match="without attention"):
        model.record(batch)


def test_the_recurrent_network_of_debian_has_as_many_weights_as_abs(composed):
    sizes = {"source_vocabulary": 8690, "target_vocabulary": 7638}  # of debian_headlines with 25,000 pairs
    found = []
    for row, network in (("debian_abs_narrow", ABS), ("debian_recurrent", StackedLSTM)):
        model = OmegaConf.to_container(composed(f"experiment=rush/{row}").model, resolve=True)
        known = {key: value for key, value in model.items() if key in inspect.signature(network).parameters}
        found.append(sum(p.numel() for p in network(**sizes, **known).parameters()))
    assert found[1] == pytest.approx(found[0], rel=0.02)


def test_the_reordering_task_is_two_clauses_the_other_way_round():
    made = Reordering(pairs=50, held=5)
    for pair in made.pairs("train"):
        begin, *first, end = pair.article.split()
        cut = first.index("then")
        assert (begin, end) == ("begin", "end") and len(set(first)) == len(first)
        assert pair.titles[0].split() == [*first[cut + 1 :], "then", *first[:cut]]
    assert Reordering(pairs=50).pairs("train") == made.pairs("train") != Reordering(pairs=50, seed=1).pairs("train")


def released(folder, **how):
    """The pipeline of a tiny network, saved."""
    lines = ["this reads files quickly , a small library for games .", "library for games"]
    for side, line in zip(("source", "target"), lines, strict=True):
        shortlist([line], 1, text_steps()).save(str(folder / f"{side}.json"))
    torch.manual_seed(0)
    config = {"source_vocabulary": 15, "target_vocabulary": 7, "dim": 4, "hidden": 8}
    files = sorted(folder.glob("*.json"))
    how = {"name": "rush.debian_abs", "preprocess": {"max_length": 100}, **how}
    return zoo.pipeline(release.save(ABS(**config), folder / "weights", config=config, files=files, **how))


@pytest.fixture(scope="module")
def pipe(tmp_path_factory):
    return released(tmp_path_factory.mktemp("released"), options={"length": 3, "copy_unknown": True})


def test_a_description_becomes_a_headline_with_its_attention(pipe):
    result = pipe("Zyx 3.11 reads files quickly. It is small.", n_best=3)
    assert len(result.words) == 3 and len(result.others) == 2 and "Zyx" in result.unknown
    assert result.attention.inputs == [["Zyx", "3.11", "reads", "files", "quickly", "."]]
    assert result.attention.weights.shape == (1, 1, 3, 6)
    torch.testing.assert_close(result.attention.weights.sum(-1), torch.ones(1, 1, 3))
    many = pipe(["Zyx 3.11 reads files quickly.", "A game."])
    assert many[0].text == result.text and len(many) == 2
    assert not {".", ","} & {word for each in pipe("Zyx , . , quickly .", n_best=50).others for word in each.split()}
    only = pipe("Zyx 3.11", extractive=True, length=2)
    assert set(only.text.split()) <= {"zyx", "3.11"}
    with pytest.raises(InputError, match="no headline can be written"):
        pipe("Zyx 3.11", extractive=True, copy_unknown=False)
    assert pipe("A library for games.", beam=2, length=1).words[0] in ("library", "for", "games", "a")


@pytest.mark.parametrize("raw", ["", " \n ", "...", 3, None])
def test_what_is_no_text_is_refused_in_one_sentence(pipe, raw):
    with pytest.raises(InputError, match=r"no words|expected a string"):
        pipe(raw)


def test_a_first_sentence_ends_before_a_capital_letter():
    assert first_sentence(["It", "reads", "files", ".", "It", "is", "small", "."]) == 4
    assert first_sentence(["It", "reads", "e.g", ".", "Files", "or", "vs", ".", "that"]) == 4
    assert first_sentence(["It", "reads", "no", ".", "Files"]) == 5
