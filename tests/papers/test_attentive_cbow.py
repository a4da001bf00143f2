"""Attentive CBOW and its baselines against loops over the formulas, hidden Markov models against enumeration."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from datamodules.windows import WordWindows
from zoo.errors import ZooError
from zoo.models.attentive_cbow.baselines import SkipNgram, WindowModel
from zoo.models.attentive_cbow.induction import PAD, UNKNOWN, GaussianHMM, fit, induce, v_measure
from zoo.models.attentive_cbow.module import LitVectors
from zoo.models.attentive_cbow.network import ATTEND, AttentiveCBOW, band, places
from zoo.models.attentive_cbow.output import hierarchical_softmax, negative_sampling

QUICK = {
    name: {"dim": 4, "starts": 1, "iterations": 2}
    for name in ("attentive_cbow", "attentive_cbow_skipgram", "attentive_cbow_window")
}  # see tests/small.py
ALIKE = ("model.attend", "data.shrink")
V, D = 9, 3


def words(folder) -> tuple[str, ...]:
    """A small text and a tagged one, in place of any corpus."""
    random = np.random.default_rng(0)
    kinds = ["the", "The", "word", "line", "fits", "Says", "more", "than", "it", "!"]
    lines = [" ".join(random.choice(kinds, random.integers(5, 30))) for _ in range(60)]
    (folder / "text.txt").write_text("\n".join(lines) + "\n")
    tagged = [[f"{i}\t{word}\t_\t{kinds.index(word) // 3}" for i, word in enumerate(line.split())] for line in lines]
    (folder / "tags.conllu").write_text("".join("\n".join(rows) + "\n\n" for rows in tagged[:20]))
    few = ("data.min_count=1", "data.length=8", "data.negatives=6", "data.window=4")
    return ("data.corpus=files", f"data.root={folder}/text.txt", f"data.tags={folder}/tags.conllu", *few)


FILES = dict.fromkeys(("debian_words", "sotu_words", "wikipedia_words"), words)
SAME = {
    **dict.fromkeys(("vocabulary", "states"), "the data say how many there are"),
    "window": "the data say how wide windows are",
    "method": "each has a config of its own, with its own arguments",
    "sparse": "the same gradients, with and without the rows that are zero; see below",
    "optimizer": {"optimizer": {"_target_": "torch.optim.SGD", "lr": 1.0}},
}
OPTIONS = {  # see tests/test_options.py
    "attentive_cbow": {**SAME, "update": {"optimizer": {"_target_": "torch.optim.SGD", "lr": 100.0}}},
    "attentive_cbow_skipgram": SAME,
    "attentive_cbow_window": SAME,
}


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    folder = tmp_path_factory.mktemp("words")
    words(folder)
    return folder


def make(kind=AttentiveCBOW, seed=0, **arguments):
    """A network in float64 with nothing left at zero."""
    torch.manual_seed(seed)
    network = kind(V, **({"window": 2, "dim": D} | arguments)).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_()
    return network


def stretch(length=5, window=2, batch=2, seed=0):
    """Any words, and slots that are there or not, some words having none."""
    torch.manual_seed(seed)
    here = torch.rand(batch, length, 2 * window) < 0.6
    here[0, 1 % length] = False
    return {"text": torch.randint(V, (batch, length + 2 * window)), "here": here}


def slots(window):
    return [i for i in range(-window, window + 1) if i]


def context(network, text, here, t):
    """c of the t-th word to predict, and its weights, by loops over the formulas."""
    b, W = network.window, network.W.weight.detach().numpy()
    K = network.K.weight.detach().numpy() if network.K is not None else np.zeros((V, 1))
    s = network.s.detach().numpy() if network.s is not None else np.zeros(2 * b)
    scores = {}
    for column, i in enumerate(slots(b)):
        if here[t, column]:
            word = text[t + b + i]
            scores[i] = K[word, column if K.shape[1] > 1 else 0] + s[column]
    total = sum(np.exp(score) for score in scores.values())
    a = {i: np.exp(score) / total for i, score in scores.items()}
    return sum((a[i] * W[text[t + b + i]] for i in a), np.zeros(W.shape[1])), a


@pytest.mark.parametrize("attend", ATTEND)
def test_contexts_and_weights_are_those_of_the_formulas(attend):
    network, batch = make(attend=attend), stretch()
    c, a = network(**batch)
    for n, t in itertools.product(range(2), range(5)):
        expected, weights = context(network, batch["text"][n].numpy(), batch["here"][n].numpy(), t)
        np.testing.assert_allclose(c[n, t].detach(), expected, atol=1e-12)
        found = dict(zip(slots(2), a[n, t].tolist(), strict=True))
        assert found == pytest.approx({i: weights.get(i, 0.0) for i in slots(2)})


@given(st.integers(1, 7), st.integers(1, 6), st.integers(1, 3), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_with_zeros_for_k_and_s_it_is_cbow_to_the_last_bit(length, window, batch, seed):
    given_ = stretch(length, window, batch, seed)
    torch.manual_seed(seed)
    attentive, cbow = AttentiveCBOW(V, window, 8), AttentiveCBOW(V, window, 8, attend="none")
    cbow.load_state_dict({name: value for name, value in attentive.state_dict().items() if name[0] in "WO"})
    (c, a), (expected, mean) = attentive(**given_), cbow(**given_)
    assert torch.equal(a, mean) and torch.equal(c, expected)


def test_scores_may_all_move_by_a_constant():
    network, batch = make(), stretch()
    before = network(**batch)[0]
    with torch.no_grad():
        network.s += 3.0
        network.K.weight += 1.5
    torch.testing.assert_close(network(**batch)[0], before)


def test_what_is_not_there_changes_nothing():
    network, batch = make(), stretch()
    before = network(**batch)[0].detach()
    for n, t, i in itertools.product(range(2), range(5), range(4)):
        if not batch["here"][n, t, i]:
            other = batch["text"].clone()
            other[n, places(5, 2)[t, i]] = (other[n, places(5, 2)[t, i]] + 1) % V
            torch.testing.assert_close(network(other, batch["here"])[0][n, t], before[n, t])


def test_a_stretch_of_one_word_is_a_window_of_a_long_one():
    network, batch = make(), stretch()
    c = network(**batch)[0]
    for t in range(5):
        alone = network(batch["text"][:, t : t + 5], batch["here"][:, t : t + 1])[0]
        torch.testing.assert_close(alone[:, 0], c[:, t])


def test_weights_by_slot_are_put_in_their_places():
    weights = torch.arange(1.0, 25).view(2, 3, 4)
    found = band(weights)
    for n, t in itertools.product(range(2), range(3)):
        expected = torch.zeros(7)
        for column, i in enumerate(slots(2)):
            expected[t + 2 + i] = weights[n, t, column]
        assert torch.equal(found[n, t], expected)


@pytest.mark.parametrize("attend", ATTEND)
def test_gradients_are_those_of_finite_differences(attend):
    network, batch = make(attend=attend), stretch(length=3)
    noise = torch.randint(V, (2, 4))
    parameters = dict(network.named_parameters())

    def cost(*values):
        state = dict(zip(parameters, values, strict=True))
        once = Functional(network, state)
        nats, valid = negative_sampling(once, {**batch, "noise": noise}, 3.0)
        return (nats * valid).sum()

    assert torch.autograd.gradcheck(cost, [p.detach().requires_grad_() for p in parameters.values()])


class Functional:
    """A network with other parameters; float64 stays float64."""

    def __init__(self, network, state):
        self.network, self.state, self.tables = network, state, network.tables
        self.O = lambda ids: state["O.weight"][ids]
        self.O.num_embeddings, self.O.weight = V, state["O.weight"]

    def predict(self, text, here):
        c, _ = torch.func.functional_call(self.network, self.state, (text, here))
        middle = torch.arange(here.shape[1]) + self.network.window
        return c[:, :, None], middle[:, None], here.any(-1, keepdim=True)


@pytest.mark.parametrize("attend", ["none", "both"])
def test_word2vecs_update_adds_the_undivided_error(attend):
    exact, quirk, batch = make(attend=attend), make(attend=attend, update="word2vec"), stretch(batch=1, length=1)
    batch["here"][:] = torch.tensor([True, True, False, True])
    error = torch.randn(1, 1, D, dtype=torch.float64)
    for network in (exact, quirk):
        c, a = network(**batch)
        (c * error).sum().backward()
    torch.testing.assert_close(exact(**batch)[0], quirk(**batch)[0], rtol=0, atol=0)
    torch.testing.assert_close(quirk.W.weight.grad, 3 * exact.W.weight.grad)
    expected = torch.zeros(V, D, dtype=torch.float64)
    for i, word in enumerate(batch["text"][0, [0, 1, 4]].tolist()):
        expected[word] += 3 * a[0, 0, [0, 1, 3][i]].detach() * error[0, 0]  # 1 times the error where a is 1 / 3
    torch.testing.assert_close(quirk.W.weight.grad, expected)
    if attend == "both":
        torch.testing.assert_close(quirk.K.weight.grad, exact.K.weight.grad)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def hidden_of(network, batch, n, t, i):
    """What stands for the prediction of word t (CBOW, window model) or of its slot i (Skip-ngram), by loops."""
    text, here, b = batch["text"][n].numpy(), batch["here"][n].numpy(), network.window
    W = network.W.weight.detach().numpy()
    if isinstance(network, AttentiveCBOW):
        return context(network, text, here, t)[0]
    if isinstance(network, SkipNgram):
        return W[text[t + b]]
    return np.concatenate([W[text[t + b + j]] * here[t, column] for column, j in enumerate(slots(b))])


NETWORKS = {
    "attentive": (AttentiveCBOW, {}),
    "skipgram": (SkipNgram, {}),
    "structured": (SkipNgram, {"structured": True}),
    "window": (WindowModel, {}),
}


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("name", NETWORKS)
def test_negative_sampling_is_its_formula(name, shared):
    kind, arguments = NETWORKS[name]
    network, batch = make(kind, **arguments), stretch()
    torch.manual_seed(1)
    batch["noise"] = torch.randint(V, (2, 6) if shared else (2, 5, 6))
    nats, valid = negative_sampling(network, batch, 4.0)
    out, b = network.O.weight.detach().numpy(), network.window
    skip = isinstance(network, SkipNgram)
    for n, t in itertools.product(range(2), range(5)):
        noise = batch["noise"][n].numpy() if shared else batch["noise"][n, t].numpy()
        for column, i in enumerate(slots(b) if skip else [0]):
            there = batch["here"][n, t, column] if skip else batch["here"][n, t].any()
            assert valid[n, t, column] == there
            table = V * column if network.tables > 1 else 0
            word, h = batch["text"][n, t + b + i].item(), hidden_of(network, batch, n, t, i)
            expected = -np.log(sigmoid(out[table + word] @ h))
            expected -= 4.0 / 6 * sum(np.log(sigmoid(-out[table + u] @ h)) for u in noise if u != word)
            assert nats[n, t, column].item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_hierarchical_softmax_sums_to_one_over_all_words(name, text):
    kind, arguments = NETWORKS[name]
    data = WordWindows("files", f"{text}/text.txt", min_count=1, window=2, length=5, output="tree", tags=None)
    size = len(data.lexicon.words)
    torch.manual_seed(0)
    network = kind(size, **({"window": 2, "dim": D} | arguments))
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter)
    batch = data.batch("train", torch.arange(1))
    middle, total = 2 + 2, 0.0  # the third word to predict, by every word in turn
    wide = slice(2, 7) if isinstance(network, SkipNgram) else slice(4, 5)
    for word in range(size):
        changed = {key: value.clone() for key, value in batch.items()}
        for name_, table in (("nodes", data.tree.nodes), ("signs", data.tree.signs)):
            changed[name_][:, wide] = torch.from_numpy(table[word])
        nats, _ = hierarchical_softmax(network, changed)
        total = total + (-nats[0, middle - 2]).exp()
    torch.testing.assert_close(total, torch.ones_like(total))


@pytest.mark.parametrize("name", NETWORKS)
def test_sparse_gradients_are_the_dense_ones_and_train_the_same(name):
    kind, arguments = NETWORKS[name]
    batch, found = {**stretch(), "noise": torch.arange(6).expand(2, -1)}, []
    for sparse in (False, True):
        lit = LitVectors(
            method="attentive" if kind is AttentiveCBOW else "skipgram" if kind is SkipNgram else "window",
            vocabulary=V,
            window=2,
            dim=D,
            sparse=sparse,
            **arguments,
        )
        lit.network.load_state_dict(make(kind, **arguments).state_dict())
        optimizer = torch.optim.Adagrad(lit.network.parameters(), 0.1)
        for _ in range(3):
            optimizer.zero_grad()
            lit.loss(batch)["loss"].backward()
            assert lit.network.W.weight.grad.is_sparse == sparse
            optimizer.step()
        found.append(lit.network.state_dict())
    torch.testing.assert_close(found[0], found[1])


@pytest.mark.parametrize("name", NETWORKS)
def test_a_batch_is_learned_and_every_parameter_takes_part(name, text):
    kind, arguments = NETWORKS[name]
    method = "attentive" if kind is AttentiveCBOW else "skipgram" if kind is SkipNgram else "window"
    data = WordWindows("files", f"{text}/text.txt", min_count=1, window=3, length=8, tags=None)
    torch.manual_seed(0)
    lit = LitVectors(method=method, vocabulary=len(data.lexicon.words), window=3, dim=32, **arguments)
    batch = data.batch("train", torch.arange(2))
    optimizer = torch.optim.Adam(lit.parameters(), 0.05)
    first = lit.loss(batch)["loss"].item()
    for _ in range(60):
        optimizer.zero_grad()
        lit.loss(batch)["loss"].backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in lit.parameters())
        optimizer.step()
    moved = [p.abs().sum() > 0 for p in lit.parameters()]
    assert lit.loss(batch)["loss"].item() < (0.9 if kind is SkipNgram else 0.4) * first and all(moved)


# Parts of speech without a teacher


def chain(states=3, seed=0):
    torch.manual_seed(seed)
    moves = torch.rand(states, states, dtype=torch.float64) + 0.1
    start = torch.rand(states, dtype=torch.float64) + 0.1
    means = torch.randn(states, 2, dtype=torch.float64)
    variances = torch.rand(states, 2, dtype=torch.float64) + 0.5
    return GaussianHMM((start / start.sum()).log(), (moves / moves.sum(1, keepdim=True)).log(), means, variances)


def test_posteriors_are_those_of_all_paths():
    model, vectors = chain(), torch.randn(5, 2, dtype=torch.float64)
    sentences = torch.tensor([[0, 3, UNKNOWN, 1], [4, 2, PAD, PAD], [UNKNOWN, PAD, PAD, PAD]])
    gamma, moves, nats = model.posteriors(vectors, sentences)
    density = torch.stack(
        [
            torch.distributions.Normal(model.means[k], model.variances[k].sqrt()).log_prob(vectors).sum(1)
            for k in range(3)
        ],
        1,
    )
    expected_moves = torch.zeros(3, 3, dtype=torch.float64)
    for n, sentence in enumerate(sentences):
        row = [word for word in sentence.tolist() if word != PAD]
        paths = {}
        for path in itertools.product(range(3), repeat=len(row)):
            score = model.start[path[0]] + sum(model.moves[i, j] for i, j in itertools.pairwise(path))
            paths[path] = (score + sum(density[w, k] for w, k in zip(row, path, strict=True) if w >= 0)).exp()
        total = sum(paths.values())
        assert nats[n] == pytest.approx(total.log().item())
        for t, k in itertools.product(range(len(row)), range(3)):
            share = sum(p for path, p in paths.items() if path[t] == k) / total
            assert gamma[n, t, k].item() == pytest.approx(share.item())
        assert gamma[n, len(row) :].abs().sum() == 0
        for path, p in paths.items():
            for i, j in itertools.pairwise(path):
                expected_moves[i, j] += p / total
    torch.testing.assert_close(moves, expected_moves)


@pytest.mark.parametrize("covariance", ["diagonal", "spherical"])
def test_the_likelihood_never_falls(covariance):
    torch.manual_seed(0)
    vectors = torch.randn(40, 4, dtype=torch.float64)
    sentences = torch.randint(-1, 40, (30, 9))
    sentences[::3, 6:] = PAD
    _, likelihoods = fit(vectors, sentences, 5, 15, covariance)
    assert all(after >= before - 1e-6 for before, after in itertools.pairwise(likelihoods))
    assert likelihoods[-1] > likelihoods[0] + 0.1


def test_states_that_are_far_apart_are_found():
    torch.manual_seed(0)
    kinds = torch.arange(30) % 3
    vectors = torch.nn.functional.one_hot(kinds, 3).double() * 5 + torch.randn(30, 3) * 0.3
    sentences = torch.randint(0, 30, (60, 8))
    assert max(induce(vectors, sentences, kinds[sentences], 3, starts=5)) > 99


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=40))
@settings(max_examples=60, deadline=None)
def test_v_measure_is_scikit_learns(pairs):
    from sklearn.metrics import v_measure_score

    found, truth = (torch.tensor(side) for side in zip(*pairs, strict=True))
    assert v_measure(found, truth) == pytest.approx(100 * v_measure_score(truth, found), abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dim": 0}, "dim is 0"),
        ({"window": 0}, "window is 0"),
        ({"attend": "all"}, "attend is 'all', not one of both"),
        ({"update": "wrong"}, "update is 'wrong'"),
        ({"sparse": 1}, "sparse is 1; expected true or false"),
        ({"method": "skip"}, "there is no method 'skip'; did you mean skipgram"),
        ({"negatives": 0}, "negatives is 0"),
        ({"covariance": "full"}, "covariance is 'full'"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(arguments, message):
    with pytest.raises(ZooError, match=message):
        LitVectors(**({"vocabulary": V, "window": 2} | arguments))
