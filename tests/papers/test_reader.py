"""The readers against loops over the paper's equations, and the baselines against hand counts."""

import hashlib
import json
import lzma

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import zoo
from datamodules.cloze import FIRST, Cloze
from tests.datamodules.test_cloze import write_questions
from zoo import release
from zoo.errors import ZooError
from zoo.models.reader.attention import AttentiveRead, ImpatientRead, UniformRead
from zoo.models.reader.cell import CELLS, Fused, Peephole, Step, flipped, step
from zoo.models.reader.coloured import figure, html, lines
from zoo.models.reader.measures import Percent, PrecisionAtRecall
from zoo.models.reader.module import LitReader
from zoo.models.reader.network import READERS, Bidirectional, DeepLSTM, Reader
from zoo.models.reader.pipeline import Answering
from zoo.models.reader.symbolic import OUT, RULES, Rules, by_frames
from zoo.nn.kernels import plain_autograd
from zoo.pipelines import InputError

QUICK = {"reader": {"embedding": 6, "hidden": 5, "dropout": 0.1}}  # see tests/small.py
QUICK["reader_rule"] = {"cap": 3}


def debian(folder) -> tuple[str, ...]:
    """A few packages in the form of the corpus that ships."""
    records = []
    for i in range(400):  # enough for some in each split
        names = [f"Name{(i * k) % 37}" for k in (1, 5, 11)]
        end = f"files no. {i % 70} with {names[2]}{' too' * (i % 7)}."
        text = f"Tool {i} for {names[0]}\n\nIt reads {names[1]} and {names[0]} {end}"
        records.append(
            {"package": f"p{i}", "source": f"s{chr(97 + i % 26)}{chr(97 + i // 26)}", "section": "x", "en": text}
        )
    data = lzma.compress("\n".join(json.dumps(record) for record in records).encode())
    (folder / "descriptions.jsonl.xz").write_bytes(data)
    (folder / "SHA256SUMS").write_text(f"{hashlib.sha256(data).hexdigest()}  descriptions.jsonl.xz\n")
    return (f"data.root={folder}", "data.markers=8", "data.limit=40")


def articles(folder) -> tuple[str, ...]:
    write_questions(folder)
    return (f"data.root={folder}", "data.markers=8", "data.vocabulary=60", "data.limit=40")


FILES = {
    "cnn": articles,
    "daily_mail": articles,
    "debian_cloze": debian,
    "stories": lambda folder: ("data.limit=40",),
}
DEEP = {"reader": "deep_lstm"}
SAME = "computes the same with less memory"
OPTIONS = {  # see tests/test_options.py
    "reader": {
        "method": "each has a config of its own, with its own arguments",
        "vocabulary": "the data say how many there are",
        "depth": DEEP,
        "order": DEEP,
        "literal_forget_gate": {**DEEP, "cell": "peephole"},
        "attention": {"attention": 3},
        "recompute": SAME,
    },
    "reader_rule": {
        "method": "each has a config of its own, with its own arguments",
        "vocabulary": "rules read no vocabulary",
        "cap": {"rule": "word_distance"},
        **dict.fromkeys(("softmax", "optimizer", "schedule"), "rules have nothing to learn"),
    },
}
ALIKE = ("model.optimizer._target_",)
V, T, L = 20, 7, 5


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def arrays(module) -> dict[str, np.ndarray]:
    return {name: p.detach().numpy() for name, p in module.named_parameters()}


def cell(W, x, raw=None):
    """A layer with peepholes, word by word, as the equations are printed; raw: x(t), which the forget gate reads."""
    n = W["recurrent.weight"].shape[1]
    h = c = np.zeros(n)
    peep = [np.diag(w) if w.ndim == 1 else w for w in W["peepholes"]]
    W_h, found = W["recurrent.weight"], []
    for t in range(len(x)):
        if raw is None:
            s_i, s_f, s_o, s_c = np.split(W["input.weight"] @ x[t] + W["input.bias"], 4)
        else:
            s_i, s_o, s_c = np.split(W["input.weight"] @ x[t] + W["input.bias"], 3)
            s_f = W["forget.weight"] @ raw[t] + W["forget.bias"]
        i = sigmoid(s_i + W_h[:n] @ h + peep[0] @ c)
        f = sigmoid(s_f + W_h[n : 2 * n] @ h + peep[1] @ c)
        new = f * c + i * np.tanh(s_c + W_h[3 * n :] @ h)
        o = sigmoid(s_o + W_h[2 * n : 3 * n] @ h + peep[2] @ new)
        h, c = o * np.tanh(new), new
        found.append(h)
    return np.array(found)


def deep(module: DeepLSTM, x: np.ndarray, literal: bool = False) -> np.ndarray:
    """y(1) ... y(T) of a Deep LSTM."""
    y = []
    for layer, output in zip(module.layers, module.outputs, strict=True):
        inner = np.concatenate([x, y[-1]], -1) if y else x
        h = cell(arrays(layer), inner, x if literal else None)
        W = arrays(output)
        y.append(h @ W["weight"].T + W["bias"])
    return np.concatenate(y, -1)


def both(module: Bidirectional, x: np.ndarray) -> np.ndarray:
    return np.concatenate([deep(module.forwards, x), deep(module.backwards, x[::-1])[::-1]], -1)


def reading(module, kind, y_d, y_q, u):
    """g and the weights of each look."""
    W = {name.removesuffix(".weight"): value for name, value in arrays(module).items()}

    def look(m):
        s = np.exp(m @ W["w_ms"][0])
        return s / s.sum()

    if kind == "uniform":
        s = np.full(len(y_d), 1 / len(y_d))
        return np.tanh(W["W_rg"] @ (s @ y_d) + W["W_ug"] @ u), [s]
    if kind == "attentive":
        s = look(np.array([np.tanh(W["W_ym"] @ y + W["W_um"] @ u) for y in y_d]))
        return np.tanh(W["W_rg"] @ (s @ y_d) + W["W_ug"] @ u), [s]
    r, looks = W["r_0"], []
    for q in y_q:
        s = look(np.array([np.tanh(W["W_dm"] @ y + W["W_rm"] @ r + W["W_qm"] @ q) for y in y_d]))
        r = s @ y_d + np.tanh(W["W_rr"] @ r)
        looks.append(s)
    return np.tanh(W["W_rg"] @ r + W["W_qg"] @ u), looks


def make(reader, **arguments) -> Reader:
    torch.manual_seed(0)
    made = Reader(V, **({"reader": reader, "embedding": 4, "hidden": 3, "attention": 5, "output": 6} | arguments))
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(std=0.5)
    return made.double().eval()


def ids(seed=0, batch=4):
    """Documents and questions of different lengths, padded."""
    random = torch.Generator().manual_seed(seed)
    document, question = (
        torch.randint(4, V, (batch, T), generator=random),
        torch.randint(4, V, (batch, L), generator=random),
    )
    for row in range(1, batch):
        document[row, T - row :] = 0
        question[row, L - row :] = 0
    return document, question


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("reader", ["attentive", "impatient", "uniform"])
def test_attention_readers_are_those_of_the_equations(reader, full):
    network = make(reader, cell="full_peephole" if full else "peephole")
    document, question = ids()
    logits, looks = network(document, question).detach().numpy(), network.look(document, question).numpy()
    W, words = arrays(network.answers)["weight"], arrays(network.words)["weight"]
    for i, (d, q) in enumerate(zip(document, question, strict=True)):
        d, q = d[d != 0].numpy(), q[q != 0].numpy()
        y_d, y_q = both(network.reader.document, words[d]), both(network.reader.question, words[q])
        n = y_q.shape[1] // 2
        u = np.concatenate([y_q[-1, :n], y_q[0, n:]])
        g, expected = reading(network.reader.read, reader, y_d, y_q, u)
        np.testing.assert_allclose(logits[i], W @ g, atol=1e-6)
        for j, s in enumerate(expected):
            np.testing.assert_allclose(looks[i, j, : len(d)], s, atol=1e-6)
        assert (looks[i, :, len(d) :] == 0).all()
    np.testing.assert_allclose(looks.sum(-1), 1)


@pytest.mark.parametrize("literal", [False, True])
@pytest.mark.parametrize("order", ["qca", "cqa"])
def test_the_deep_lstm_reader_is_that_of_the_equations(order, literal):
    network = make("deep_lstm", order=order, literal_forget_gate=literal, depth=3)
    document, question = ids()
    logits = network(document, question).detach().numpy()
    words = arrays(network.words)["weight"]
    for i, (d, q) in enumerate(zip(document, question, strict=True)):
        d, q = d[d != 0].tolist(), q[q != 0].tolist()
        one = [*q, 5, *d] if order == "qca" else [*d, 5, *q]
        y = deep(network.reader.lstm, words[one], literal)
        np.testing.assert_allclose(logits[i], arrays(network.answers)["weight"] @ y[-1], atol=1e-6)


def test_the_fused_layer_is_the_one_with_peepholes_that_are_zero():
    torch.manual_seed(0)
    fused, own = Fused(4, 3), Peephole(4, 3)
    order = torch.cat([torch.arange(6), torch.arange(9, 12), torch.arange(6, 9)])  # torch has i, f, c, o
    with torch.no_grad():
        own.input.weight.copy_(fused.weight_ih_l0[order])
        own.input.bias.copy_((fused.bias_ih_l0 + fused.bias_hh_l0)[order])
        own.recurrent.weight.copy_(fused.weight_hh_l0[order])
        own.peepholes.zero_()
    x = torch.randn(2, 6, 4)
    torch.testing.assert_close(own(x), fused(x))


def test_the_step_in_closed_form_has_the_gradient_of_the_formula():
    torch.manual_seed(0)
    values = [torch.randn(2, 12), torch.randn(2, 3), *torch.randn(3, 3)]
    values = [value.double().requires_grad_() for value in values]
    assert torch.autograd.gradcheck(lambda *v: Step.apply(*v), values)
    for mine, theirs in zip(Step.apply(*values), step(*values), strict=True):
        torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize("reader", READERS)
def test_gradients_are_those_of_plain_autograd(reader):
    document, question = ids()
    found = []
    for recompute in (True, False):
        network = make(reader, recompute=recompute)
        network(document, question).square().sum().backward()
        found.append([p.grad for p in network.parameters()])
        assert all(grad is not None and grad.abs().sum() > 0 for grad in found[-1])
    network = make(reader)
    with plain_autograd():
        network(document, question).square().sum().backward()
    found.append([p.grad for p in network.parameters()])
    for one, other, plain in zip(*found, strict=True):
        torch.testing.assert_close(one, plain)
        torch.testing.assert_close(other, plain)


def test_the_impatient_reader_gives_the_same_gradients_twice():
    document, question = ids()
    network = make("impatient")
    loss = network(document, question).square().sum()
    first = torch.autograd.grad(loss, list(network.parameters()), retain_graph=True)
    for one, other in zip(first, torch.autograd.grad(loss, list(network.parameters())), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("cell_", CELLS)
@pytest.mark.parametrize("reader", READERS)
def test_padding_changes_nothing(reader, cell_):
    network = make(reader, cell=cell_)
    document, question = ids(batch=2)
    pad = torch.nn.functional.pad
    torch.testing.assert_close(network(pad(document, (0, 3)), pad(question, (0, 4))), network(document, question))
    alone = network(document[1:, : T - 1], question[1:, : L - 1])
    torch.testing.assert_close(alone, network(document, question)[1:])


@pytest.mark.slow
@pytest.mark.parametrize("reader", ["attentive", "deep_lstm"])
def test_a_compiled_step_computes_the_same(reader):
    document, question = ids()
    network = make(reader).float()
    expected = network(document, question)
    expected.square().sum().backward()
    gradients = [p.grad for p in network.parameters()]
    network.zero_grad()
    network.compile()
    found = network(document, question)
    found.square().sum().backward()
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    for parameter, gradient in zip(network.parameters(), gradients, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, atol=1e-3, rtol=1e-3)


def test_a_document_backwards_swaps_the_directions():
    torch.manual_seed(0)
    module = Bidirectional(4, 3, "peephole", False)
    module.backwards.load_state_dict(module.forwards.state_dict())
    x, lengths = torch.randn(2, 6, 4), torch.tensor([6, 4])
    forwards, backwards = module(x, lengths)
    again = module(flipped(x, lengths), lengths)
    for i, n in enumerate(lengths):
        torch.testing.assert_close(again[0][i, :n], backwards[i, :n].flip(0))
        torch.testing.assert_close(again[1][i, :n], forwards[i, :n].flip(0))


@pytest.mark.parametrize("reader", READERS)
def test_permuting_the_markers_permutes_the_answer_and_nothing_else(reader):
    network = make(reader)
    document, question = ids()
    order = torch.arange(V)
    order[6:12] = 6 + torch.randperm(6, generator=torch.Generator().manual_seed(1))
    before = network(document, question)
    with torch.no_grad():  # what a marker means moves with it
        network.words.weight[order] = network.words.weight.clone()
        network.answers.weight[order] = network.answers.weight.clone()
    torch.testing.assert_close(network(order[document], order[question])[:, order], before)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("softmax", ["vocabulary", "candidates"])
def test_a_batch_is_learned(reader, softmax):
    data = Cloze("stories", markers=1, limit=16, batch_size=16, permutations=1)
    torch.manual_seed(0)
    lit = LitReader(softmax=softmax, reader=reader, embedding=16, hidden=16, cell="fused", dropout=0.0, **data.spec)
    (batch,) = data.train_dataloader()
    optimizer = torch.optim.Adam(lit.parameters(), 0.02)
    first = lit.loss(batch)["loss"].item()
    for _ in range(80):
        optimizer.zero_grad()
        loss = lit.loss(batch)["loss"]
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.5 * first


def test_the_loss_is_minus_the_log_of_the_answer():
    lit = LitReader(reader="attentive", vocabulary=V, embedding=4, hidden=3, dropout=0.0)
    document, question = ids()
    batch = {"document": document, "question": question, "sentences": torch.tensor(4.0)}
    batch |= {"candidates": document[:, :3], "answer": document[:, 1]}
    logits = lit.network(document, question).detach().numpy().astype(float)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    expected = -np.log(p[np.arange(4), document[:, 1]]).mean()
    assert lit.loss(batch)["loss"].item() == pytest.approx(expected, rel=1e-5)


def test_only_several_candidates_count():
    lit = LitReader("rule", rule="first", vocabulary=V)
    batch = {
        "document": torch.tensor([[6, 1, 7], [6, 1, 1], [6, 7, 8]]),
        "question": torch.tensor([[4], [4], [4]]),
        "candidates": torch.tensor([[6, 7, 0, 0], [6, 0, 0, 0], [6, 7, 8, 9]]),
        "answer": torch.tensor([6, 6, 7]),
    }
    found = {name: measure.compute().item() for name, measure in lit.evaluate(batch, "val").items()}
    assert found["accuracy"] == 50 and found["accuracy_4"] == 0 and "open" not in found


def test_rules_are_those_of_a_hand_count():
    # "6 wrote 7 . 8 and 7 read 6 6" and "7 met x", where x is the hole
    document = torch.tensor([[6, 11, 7, 12, 8, 13, 7, 14, 6, 6]])
    question, candidates = torch.tensor([[7, 15, 4]]), torch.tensor([[6, 7, 8]])
    given = (document, question, candidates)
    assert RULES["max_frequency"](*given).tolist() == [[3, 2, 1]]
    assert RULES["exclusive_frequency"](*given).tolist() == [[3, 2 - OUT, 1]]
    assert RULES["first_not_asked"](*given).argmax() == 0
    # the 7 of the question is two words before the hole, and word 15 is nowhere: 8 at place 4 has a 7 at place 2
    costs = -RULES["word_distance"](*given, cap=8)
    assert costs.tolist() == [[8, 10, 8]]  # 6 at place 8 has its 7 at place 6; of 7 the nearest such place is 2 away
    assert RULES["word_distance"](*given, cap=1).tolist() == [[-1, -2, -1]]


@given(st.lists(st.integers(6, 9), min_size=1, max_size=8), st.lists(st.integers(4, 9), max_size=5), st.integers(1, 9))
@settings(max_examples=40, deadline=None)
def test_word_distance_is_that_of_loops(document, question, cap):
    question = [word for word in question if word != 4]
    hole = len(question) // 2
    question.insert(hole, 4)
    candidates = list(dict.fromkeys(document))
    found = Rules("word_distance", cap)(*(torch.tensor([row]) for row in (document, question, candidates)))[0]
    for candidate, score in zip(candidates, found.tolist(), strict=True):
        costs = []
        for p, word in enumerate(document):
            if word == candidate:
                each = 0
                for j, asked in enumerate(question):
                    if asked != 4:
                        away = [abs(i - p - (j - hole)) for i, other in enumerate(document) if other == asked]
                        each += min([cap, *away])
                costs.append(each)
        assert -score == pytest.approx(min(costs), abs=1e-4)


def test_frames_are_tried_in_order():
    text = [("mary", "love.01", "fred"), ("sue", "be.01", "tall"), ("ann", "see.01", "bob")]
    assert by_frames(text, [("x", "love.01", "fred")]) == ("mary", 1)
    assert by_frames(text, [("sue", "seem.01", "x")]) == ("tall", 2)
    assert by_frames(text, [("x", "see.01", "tom")]) == ("ann", 3)
    assert by_frames([("fred", "love.01", "mary")], [("x", "love.01", "fred")])[1] <= 4
    assert by_frames(text, [("x", "hate.01", "bob")]) == ("ann", 5)
    assert by_frames(text, [("x", "hate.01", "tom")]) == (None, 6)


def test_measures_count():
    percent = Percent()
    percent.update(torch.tensor([1.0, 0.5, 1.0]), torch.tensor([True, True, False]))
    assert percent.compute() == 75
    measure = PrecisionAtRecall(50)
    sure, right = torch.tensor([0.9, 0.8, 0.3, 0.2, 1.0]), torch.tensor([True, False, True, False, True])
    measure.update(sure, right, torch.tensor([True, True, True, True, False]))
    assert measure.compute() == 50
    recall, precision = measure.curve()
    by_hand = [(25, 100), (50, 50), (75, 200 / 3), (100, 50)]
    steps = torch.unique(torch.stack([recall, precision], 1), dim=0).tolist()
    np.testing.assert_allclose([s for s in steps if s[0] > 0], by_hand, rtol=1e-5)


def test_mass_is_that_of_the_last_look():
    data = Cloze("stories", markers=1, limit=8, permutations=1)
    lit = LitReader(reader="impatient", embedding=4, hidden=3, **data.spec).eval()
    (batch,) = data.test_dataloader()
    looks = lit.network.look(batch["document"], batch["question"])
    for i, mass in enumerate(lit._mass(batch)):
        last = int((batch["question"][i] != 0).sum()) - 1
        assert mass.item() == pytest.approx(looks[i, last][batch["support"][i]].sum().item(), abs=1e-6)


@pytest.mark.parametrize(
    "wrong", [{"reader": "atentive"}, {"hidden": 0}, {"order": "q"}, {"cell": "gru"}, {"depth": 0}]
)
def test_what_cannot_be_is_told_in_a_sentence(wrong):
    with pytest.raises(ZooError, match=next(iter(wrong))):
        Reader(V, **wrong)
    with pytest.raises(ZooError, match="at least one symbol"):
        make("attentive")(torch.zeros(1, 0, dtype=torch.int64), torch.zeros(1, 2, dtype=torch.int64))


def test_a_coloured_text_names_its_words(tmp_path):
    words = [f"word{i}" for i in range(40)]
    assert [i for line in lines(words, 20) for i in line] == list(range(40))
    figure(words, [i / 40 for i in range(40)], ["word3"], "who is @placeholder: word3", tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    text = html(["<b>", "x"], [0.5, 1.0], ["x"], "a & b")
    assert "&lt;b&gt;" in text and "<i>x</i>" in text and "a &amp; b" in text


def test_reads_have_the_arguments_of_each_other():
    for kind in (AttentiveRead, UniformRead, ImpatientRead):
        assert kind(4, 3, 5)(
            torch.randn(2, 3, 4),
            torch.randn(2, 4),
            torch.randn(2, 2, 4),
            torch.ones(2, 3) > 0,
            torch.ones(2, 2) > 0,
            True,
        )[0].shape == (2, 5)
    assert FIRST == 6  # as zoo.models.reader.pipeline has it


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """The pipeline of a small network for a little corpus."""
    folder = tmp_path_factory.mktemp("released")
    root, _, _ = (each.partition("=")[2] for each in debian(folder))
    data = Cloze("debian", root, max_tokens=30, markers=8)
    data.save(folder / "tokenizer")
    arguments = {**data.spec, "reader": "impatient", "embedding": 8, "hidden": 6}
    torch.manual_seed(0)
    preprocess = Answering.preprocess({"markers": 8, "max_tokens": 30, "batch_size": 3})
    files = sorted((folder / "tokenizer").iterdir())
    how = {"name": "reader.debian_impatient", "config": arguments, "preprocess": preprocess, "files": files}
    network = Reader(**arguments)
    torch.nn.init.normal_(network.answers.weight)
    return zoo.pipeline(release.save(network, folder / "weights", **how)), data


def test_the_pipeline_answers_as_the_network_does(read):
    pipe, data = read
    asked = list(data.questions("train"))[50]
    written = {entity: name.capitalize() for entity, name in asked.names.items()}
    document = " ".join(written.get(word, word) for word in asked.document)
    question = " ".join(written.get(word, word) for word in asked.question)
    found = pipe({"document": document, "question": question}, permutations=1, seed=3)
    index = list(data.questions("train")).index(asked)
    split = data.split("train")
    order = torch.from_numpy(np.random.default_rng(3).permutation(8))
    ids = [
        torch.tensor([FIRST + order[-1 - i] if i < 0 else i for i in side[index].tolist()])[None]
        for side in (split.document, split.question, split.candidates)
    ]
    p = pipe.network(*ids[:2]).gather(1, ids[2]).softmax(1)[0]
    for entity, probability in zip(asked.candidates, p.tolist(), strict=True):
        assert found.probabilities[written[entity]] == pytest.approx(probability, rel=1e-3)
    assert found.answer == max(found.probabilities, key=found.probabilities.get)
    looks = pipe.network.look(*ids[:2])
    torch.testing.assert_close(found.attention.weights[:, 0], looks, atol=1e-5, rtol=1e-4)
    assert found.attention.inputs == [document.split()] and found.read[0][1] == pytest.approx(looks[0, -1].max().item())


def test_the_pipeline_finds_names_and_shows_what_it_read(read, tmp_path):
    pipe, _ = read
    found = pipe("It reads Name3 files with Xylo and name4. Quux is new. ||| Tool for ____ and Name3")
    assert set(found.probabilities) == {"Name3", "Xylo", "name4"}  # a capital that starts a sentence says nothing
    assert sum(found.probabilities.values()) == pytest.approx(1, abs=1e-5) and "quux" in found.unknown
    found.plot(tmp_path / "a.png"), found.plot(tmp_path / "a.html"), found.plot(tmp_path / "lines.png", lines=True)
    assert (tmp_path / "a.html").read_text().count("<span") == len(found.attention.inputs[0])
    chosen = pipe({"document": "one two three", "question": "___ is two", "names": ["One", "two"]})
    assert set(chosen.probabilities) == {"one", "two"}
    assert len(pipe(["Name1 with Name2 ||| ___ with", {"document": "Name1", "question": "___"}])) == 2


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("no separator", "expected a passage and a question"),
        ({"document": "Name1"}, "expected a passage and a question"),
        ({"document": 3, "question": "___"}, "text 0 is int"),
        (" ||| ___ is", "the document is empty"),
        ("Name1 is ||| who is it", "the question has 0 holes"),
        ("Name1 is ||| ___ is ___", "the question has 2 holes"),
        ("nothing here ||| ___ is", "the document has no name"),
        ("Name1 " * 31 + "||| ___ is", "has 31 words, and the network was trained on at most 30"),
        (" ".join(f"Name{i}" for i in range(9)) + " ||| ___ is", "there are 9 names, and the network knows 8"),
    ],
)
def test_an_input_that_cannot_be_meant_is_one_sentence(raw, message, read):
    with pytest.raises(InputError, match=message):
        read[0](raw)
