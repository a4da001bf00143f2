"""The joint model against its layers written out in NumPy, one place at a time."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

import zoo
from tests.small import sentences
from zoo import release
from zoo.errors import ZooError
from zoo.models.source_cnn import NextWord, SourceCNN
from zoo.models.source_cnn.module import LitSourceCNN
from zoo.nn.scope import masked_softmax
from zoo.pipelines import InputError
from zoo.release import WeightsError

SIZES = {"embedding": 8, "features": 8, "summary": 8, "hidden": [8]}
QUICK = {"source_cnn": SIZES}  # see tests/small.py


def corpus(folder: Path) -> tuple[str, ...]:
    """Files of three splits with words that may be aligned, and dependencies of their sources."""
    random = np.random.default_rng(0)
    files = sentences(folder)
    for name, count in (("train", 40), ("val", 12), ("test", 12), ("mt03", 12), ("mt04", 12)):
        lines = {"zh": [], "en": [], "de": []}
        heads = []
        for _ in range(count):
            words = random.integers(0, 20, random.integers(2, 9))
            order = random.permutation(len(words)) if random.random() < 0.5 else np.arange(len(words))
            lines["zh"].append(" ".join(f"s{word}" for word in words))
            lines["en"].append("Also, " + " ".join(f"t{words[i]}" for i in order if random.random() < 0.8))
            rows = [f"{i + 1}\tw\t_\t_\t_\t_\t{random.integers(0, i + 1)}\t_\t_\t_" for i in range(len(words))]
            heads.append("\n".join(rows) + "\n")
        lines["de"] = lines["zh"]
        for language, rows in lines.items():
            (folder / f"{name}.{language}").write_text("\n".join(rows) + "\n")
        (folder / f"{name}.conll").write_text("\n".join(heads))
    return files[0], f"data.root={folder}", "data.train=train", "data.limit=40"


def three(folder: Path) -> tuple[str, ...]:
    return (*corpus(folder), "data.val=val", "data.test=test")


FILES = {
    "next_words": three,
    "debian_next_words": lambda folder: ("data.limit=60",),
    "multi30k_next_words": three,
    "nist_next_words": corpus,
}
ALIKE = ("model.encoders", "model.hidden", "model.local")  # each has a test here
OPTIONS = {  # see tests/test_options.py
    "source_cnn": {
        **dict.fromkeys(("source_vocabulary", "target_vocabulary"), "the data say how many there are"),
        "encoders": {"encoders": ["tag"]},
        "window": {"window": 3},
        "hidden": {"hidden": [4]},
        "history": {"history": 2},
        "pool": {"local": "max", "pool": 3},
    }
}
WORDS = {"source_vocabulary": 11, "target_vocabulary": 13}
KINDS = (["cnn"], ["tag"], ["tag_head"], ["in"], ["in", "tag_head"], [])


def network(**arguments) -> SourceCNN:
    torch.manual_seed(0)
    given = {"embedding": 4, "features": 5, "summary": 3, "hidden": [6, 7], "activation": "tanh"} | arguments
    made = SourceCNN(**WORDS, **given).double().eval()
    for name, parameter in made.named_parameters():
        torch.nn.init.uniform_(parameter, -0.8, 0.8)
        if name in ("source.weight", "target.weight"):
            with torch.no_grad():
                parameter[0] = 0
    return made


def example(lengths=((5, 4), (1, 2), (6, 3), (2, 1)), seed=0) -> dict[str, torch.Tensor]:
    """Sentences of odd, even and smallest lengths, with what guides; padding is full of links that must not count."""
    random = torch.Generator().manual_seed(seed)
    size, width, length = len(lengths), max(s for s, _ in lengths), max(t for _, t in lengths)
    source, target = torch.zeros(size, width, dtype=torch.int64), torch.zeros(size, length, dtype=torch.int64)
    tags = torch.rand(size, length, width, generator=random) < 0.4
    head, center = torch.full((size, width), -1), torch.zeros(size, length, dtype=torch.int64)
    for row, (s, t) in enumerate(lengths):
        source[row, :s] = torch.randint(3, 11, (s,), generator=random)
        target[row, :t] = torch.randint(3, 13, (t,), generator=random)
        target[row, 0] = 1
        tags[row, :, s:] = False
        head[row, :s] = torch.randint(-1, s, (s,), generator=random)
        center[row, :t] = torch.randint(0, s, (t,), generator=random)
    return {"source": source, "mask": source != 0, "target": target, "tags": tags, "center": center, "head": head}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class Oracle:
    """One sentence and one target word at a time, without padding: the layers as the paper's figure has them."""

    def __init__(self, net: SourceCNN):
        self.net, self.p = net, {name: value.numpy() for name, value in net.state_dict().items()}

    def at(self, rows, i):
        """What stands at place i, zeros beyond the ends."""
        return rows[i] if 0 <= i < len(rows) else np.zeros_like(rows[0])

    def encoder(self, k, x, tagged, headed, history):
        p = {name.removeprefix(f"encoders.{k}."): v for name, v in self.p.items() if name.startswith(f"encoders.{k}.")}
        bits = {"cnn": [], "tag": [tagged], "tag_head": [tagged, headed], "in": []}[self.net.encoder_names[k]]
        x = [np.concatenate([word, [float(bit[i]) for bit in bits]]) for i, word in enumerate(x)]  # [x; bit], layer 0
        d, more = len(x[0]) - len(bits), len(bits)

        def weights(name, width):
            """The matrix over windows of [x; bit], from those over x and over the bits."""
            whole = p[f"{name}.weight"].reshape(-1, width, d)
            return np.concatenate([whole, p[f"{name}_bits.weight"].reshape(-1, width, more)], 2) if more else whole

        z1 = []  # layer 1
        for i in range(len(x)):
            z1.append(p["w1.bias"] + sum(weights("w1", 3)[:, j] @ self.at(x, i - 1 + j) for j in range(3)))
        z1 = np.tanh(z1)
        z2, gates = [], []  # layer 2
        for i in range(0, len(x), 2):
            g = 1.0
            if i + 1 < len(x):
                covered = [self.at(x, i - 1 + j) for j in range(4)]  # of the words, not of what was composed
                g = sigmoid(p["g.bias"][0] + sum(weights("g", 4)[0, j] @ covered[j] for j in range(4)))
            z2.append(g * z1[i] + (1 - g) * self.at(z1, i + 1))
            gates.append(g)
        z3 = []  # layer 3
        for i in range(len(z2)):
            a = p["w3.bias"] + sum(
                p["w3.weight"].reshape(-1, 3, len(z2[0]))[:, j] @ self.at(z2, i - 1 + j) for j in range(3)
            )
            if self.net.encoder_names[k] == "in":
                a = a + p["u.weight"] @ np.tanh(p["h.weight"] @ history + p["h.bias"])
            z3.append(np.tanh(a))
        energy = np.array([p["W_g.weight"][0] @ z for z in z3])  # layer 4
        omega = np.exp(energy - energy.max()) / np.exp(energy - energy.max()).sum()
        phi = np.tanh(p["phi.weight"] @ sum(o * z for o, z in zip(omega, z3, strict=True)) + p["phi.bias"])  # layer 5
        shared = [share for o, g in zip(omega, gates, strict=True) for share in (o * g, o * (1 - g))]
        return phi, np.array(shared[: len(x)])

    def __call__(self, source, target, n, tags, center, head):
        words = [*[1] * 10, *target[: n + 1]][-self.net.history :]
        history = np.concatenate([self.p["target.weight"][word] for word in words])
        read, looks = [history], []
        if self.net.encoder_names or self.net.window:
            x = self.p["source.weight"][source]
        heads = [any(tags[j] and head[j] == i for j in range(len(source))) for i in range(len(source))]
        for k in range(len(self.net.encoder_names)):
            phi, weights = self.encoder(k, x, tags, heads, history)
            read.append(phi), looks.append(weights)
        left = (self.net.window - 1) // 2
        read += [self.at(x, center - left + j) for j in range(self.net.window)]
        value = np.concatenate(read)
        count = len(self.net.layers)
        for i in range(count):
            value = self.p[f"layers.{i}.weight"] @ value + self.p[f"layers.{i}.bias"]
            value = np.tanh(value) if i < count - 1 else value
        return value, looks


@pytest.mark.parametrize("window", [0, 3, 4])
@pytest.mark.parametrize("encoders", KINDS, ids=str)
def test_the_network_is_its_layers_written_out(encoders, window):
    net, batch = network(encoders=encoders, window=window), example()
    with torch.no_grad():
        logits, weights = net(**batch)
    oracle = Oracle(net)
    for row, (s, t) in enumerate(((5, 4), (1, 2), (6, 3), (2, 1))):
        plain = {name: value[row].numpy() for name, value in batch.items()}
        for n in range(t):
            given = plain["source"][:s], plain["target"], n, plain["tags"][n][:s], plain["center"][n], plain["head"][:s]
            expected, looks = oracle(*given)
            np.testing.assert_allclose(logits[row, n], expected, atol=1e-10)
            for gate, look in enumerate(looks):
                np.testing.assert_allclose(weights[row, gate, n, :s], look, atol=1e-6)
                assert weights[row, gate, n, s:].eq(0).all() and look.sum() == pytest.approx(1)
    assert (weights is None) == (not encoders)


@pytest.mark.parametrize("local", ["gate", "max"])
@pytest.mark.parametrize("overall", ["gate", "max"])
@pytest.mark.parametrize("encoders", (["tag_head"], ["in"]), ids=str)
def test_padding_changes_nothing(encoders, local, overall):
    net = network(encoders=encoders, window=3, local=local, pool=2 if local == "gate" else 3, overall=overall)
    batch = example()
    with torch.no_grad():
        together, _ = net(**batch)
        for row, (s, t) in enumerate(((5, 4), (1, 2), (6, 3), (2, 1))):
            one = {name: value[row : row + 1] for name, value in batch.items()}
            one |= {"source": one["source"][:, :s], "mask": one["mask"][:, :s], "head": one["head"][:, :s]}
            one["tags"] = one["tags"][..., :s]
            torch.testing.assert_close(net(**one)[0][0, :t], together[row, :t])


@pytest.mark.parametrize("pool", [2, 3])
def test_pooling_takes_the_largest_of_neighbouring_windows(pool):
    net, batch = network(encoders=["cnn"], local="max", pool=pool), example()
    encoder, x = net.encoders[0], net.source(batch["source"])
    z1 = torch.randn(4, 1, 6, 5, dtype=torch.float64) * batch["mask"][:, None, :, None]
    z2, valid, share = encoder.layer_2(z1, x, batch["mask"], None)
    for row, s in enumerate((5, 1, 6, 2)):
        for place in range(z2.shape[2]):
            part = z1[row, 0, pool * place : min(pool * (place + 1), s)]
            assert valid[row, place] == (len(part) > 0)
            if len(part):
                torch.testing.assert_close(z2[row, 0, place], part.amax(0))
                assert share[row, 0, place].sum() == pytest.approx(1)
            else:
                assert z2[row, 0, place].eq(0).all() and share[row, 0, place].eq(0).all()


def test_the_global_gate_is_the_shared_softmax(monkeypatch):
    seen = []

    def watched(energies, mask):
        seen.append(mask)
        return masked_softmax(energies, mask)

    monkeypatch.setattr("zoo.models.source_cnn.network.masked_softmax", watched)
    network(encoders=["in", "tag"])(**example())
    assert len(seen) == 2


def test_who_is_not_told_does_not_know():
    """The generic CNN and inCNN read no alignment; tagCNN's history guides nothing; NNJM reads its window alone."""
    batch = example()
    other = batch | {"tags": ~batch["tags"] & batch["mask"][:, None], "center": batch["center"].flip(1)}
    for encoders, same in ((["cnn"], True), (["in"], True), (["tag"], False)):
        net = network(encoders=encoders)
        assert torch.equal(net(**batch)[0], net(**other)[0]) == same
    weights = network(encoders=["cnn"])(**batch)[1]
    assert torch.equal(weights[:, :, :1].expand_as(weights), weights)  # one look for the whole sentence
    guided = network(encoders=["in"])(**batch)[1][0, 0]
    assert not torch.allclose(guided[0], guided[1])
    net = network(encoders=[], window=3)
    moved = batch | {"source": batch["source"].clone()}
    moved["source"][0, 4] = 3 + (moved["source"][0, 4] + 1) % 8
    near = (batch["center"][0] >= 3)[: batch["target"].shape[1]]
    changed = (net(**moved)[0] != net(**batch)[0]).any(-1)
    assert torch.equal(changed[0], near) and not changed[1:].any()


def test_a_word_is_predicted_from_the_words_before_it_alone():
    net, batch = network(encoders=["in"], history=2), example()
    later = batch | {"target": batch["target"].clone()}
    later["target"][0, 2] = 3 + (later["target"][0, 2] + 1) % 9
    same = (net(**batch)[0] == net(**later)[0]).all(-1)[0]
    assert same.tolist() == [True, True, False, False]  # with k = 2, words 2 and 3 read it


def test_gradients_are_those_of_finite_differences():
    net, batch = network(encoders=["in", "tag_head"], window=3, hidden=[4]), example(((3, 2), (4, 3)))
    # of the tables the row of padding is zero and learns nothing, which finite differences do not know
    given = {name: p.detach().clone().requires_grad_() for name, p in net.named_parameters() if "." in name[7:]}
    assert "layers.0.weight" in given and "encoders.0.u.weight" in given and "source.weight" not in given

    def loss(*values):
        return torch.func.functional_call(net, dict(zip(given, values, strict=True)), (), batch)[0].sin().sum()

    assert torch.autograd.gradcheck(loss, tuple(given.values()), atol=1e-6, fast_mode=True)


def lit(**arguments) -> LitSourceCNN:
    torch.manual_seed(0)
    return LitSourceCNN(**WORDS, **SIZES, **arguments)


def training_batch() -> dict[str, torch.Tensor]:
    batch = example()
    batch["target"] = torch.nn.functional.pad(batch["target"], (0, 1))
    for row, (_, t) in enumerate(((5, 4), (1, 2), (6, 3), (2, 1))):
        batch["target"][row, t] = 2
    del batch["mask"]
    return batch | {"links": batch["tags"], "tokens": torch.tensor(10.0), "sentences": torch.tensor(4.0)}


@pytest.mark.parametrize("encoders", KINDS, ids=str)
def test_a_batch_is_learned_and_every_parameter_takes_part(encoders):
    model, batch = lit(encoders=encoders, window=0 if encoders else 3), training_batch()
    optimizer = torch.optim.Adam(model.parameters(), 0.03)
    first = model.loss(batch)["loss"].item()
    for step in range(80):
        optimizer.zero_grad()
        model.loss(batch)["loss"].backward()
        if not step:
            assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
        optimizer.step()
    assert model.loss(batch)["loss"].item() < 0.3 * first


def test_the_loss_is_the_mean_over_words_with_the_penalty_of_their_normalisers():
    batch = training_batch()
    model = lit(self_normalisation=0.1, encoders=["tag"])
    logits, _ = model.read(batch)
    total = 0.0
    for row, (_, t) in enumerate(((5, 4), (1, 2), (6, 3), (2, 1))):
        for n in range(t):
            values = [math.exp(x) for x in logits[row, n].tolist()]
            z = sum(values)
            total += -math.log(values[batch["target"][row, n + 1]] / z) + 0.1 * math.log(z) ** 2
    assert model.loss(batch)["loss"].item() == pytest.approx(total / 10, rel=1e-5)


def test_mass_is_the_share_on_linked_words_without_end_symbols():
    batch = {"target": torch.tensor([[1, 5, 6, 2, 0], [1, 7, 2, 0, 0]])}
    links = torch.zeros(2, 4, 3, dtype=torch.bool)
    links[0, 0, 0] = links[0, 2, 2] = links[1, 0, :2] = links[1, 1, 2] = True  # 5, the end, 7, the end; 6 has no link
    weights = torch.tensor([0.2, 0.3, 0.5]).expand(2, 1, 4, 3)
    found = LitSourceCNN.linked(weights, batch | {"links": links})
    torch.testing.assert_close(found, torch.tensor([0.2, 0.5]))
    model = lit(encoders=["cnn"])
    model.mass["val_"].update(found)
    assert model.mass["val_"].compute().item() == pytest.approx(35, abs=1e-4)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"encoders": ["tga"]}, "did you mean tag"),
        ({"encoders": "in"}, "expected a list"),
        ({"hidden": [0]}, "hidden is 0"),
        ({"pool": 4}, "local=max takes any number"),
        ({"local": "mean"}, "local is 'mean'"),
        ({"overall": "sum"}, "overall is 'sum'"),
        ({"activation": "gelu"}, "activation is 'gelu'"),
        ({"history": 0}, "history is 0"),
        ({"window": -1}, "window is -1"),
    ],
)
def test_what_cannot_be_built_is_said(given, said):
    with pytest.raises(ZooError, match=said):
        SourceCNN(**WORDS, **given)


@pytest.mark.parametrize(
    ("encoders", "window", "lacks"), [(["tag"], 0, "tags"), ([], 3, "center"), (["tag_head"], 0, "head")]
)
def test_guides_that_are_missing_are_named(encoders, window, lacks):
    batch = example()
    del batch[lacks]
    with pytest.raises(ZooError, match=f"there is no {lacks}"):
        network(encoders=encoders, window=window)(**batch)


def released(folder: Path, **arguments) -> NextWord:
    """A tiny released network that knows a few words."""
    for side, words in (("source", "das ist ein haus ."), ("target", "this is a house .")):
        known = ["<pad>", "<s>", "</s>", "<unk>", *words.split()]
        tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(known)}, unk_token="<unk>"))
        tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.WhitespaceSplit()
        tokenizer.save(str(folder / f"{side}.json"))
    config = {"source_vocabulary": 9, "target_vocabulary": 9, **SIZES, **arguments}
    torch.manual_seed(0)
    how = {"source": "de", "target": "en", "moses": False}
    files = [folder / "source.json", folder / "target.json"]
    made = release.save(
        SourceCNN(**config), folder / "w", name="source_cnn.debian_incnn", config=config, preprocess=how, files=files
    )
    return zoo.pipeline(str(made))


def test_the_next_word_and_where_the_gates_looked(tmp_path):
    pipe = released(tmp_path)
    answer = pipe({"source": "Das ist ein Haus .", "history": "This is"}, top=3)
    assert answer.history == ["this", "is"] and len(answer.probabilities) == 3
    assert answer.word == max(answer.probabilities, key=answer.probabilities.get)
    record = answer.attention
    assert record.weights.shape == (1, 1, 3, 6) and record.outputs == [["this", "is", f"→{answer.word}"]]
    assert record.inputs[0][-1] == "</s>" and len(record.inputs[0]) == 6
    torch.testing.assert_close(record.weights.sum(-1), torch.ones(1, 1, 3))
    logits, _ = pipe.network(torch.tensor([[4, 5, 6, 7, 8, 2]]), torch.ones(1, 6).bool(), torch.tensor([[1, 4, 5]]))
    assert answer.probabilities[answer.word] == pytest.approx(_without_ends(logits[0, -1]).max().item())
    first = pipe([{"source": "Haus"}, pipe.read("Haus ||| ")])
    assert first[0].probabilities == first[1].probabilities and first[0].history == []
    assert sum(pipe({"source": "haus"}, top=100).probabilities.values()) == pytest.approx(1)


def _without_ends(logits):
    return logits.index_fill(0, torch.tensor([0, 1]), -torch.inf).softmax(-1)


def test_a_network_that_is_told_alignments_asks_for_them(tmp_path):
    pipe = released(tmp_path, encoders=["tag"], window=3)
    source = "das ist ein haus ."
    answer = pipe({"source": source, "history": "this is a", "aligned": [3]})
    assert answer.attention.weights.shape == (1, 1, 1, 6) and answer.attention.outputs == [[f"→{answer.word}"]]
    other = pipe({"source": source, "history": "this is a", "aligned": [0]})
    assert other.probabilities != answer.probabilities
    for aligned in (None, [], [7], [-1], "3", [1.5]):
        with pytest.raises(InputError, match="told which of the 5 source words"):
            pipe({"source": source, "aligned": aligned})


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ("ein haus", "no dict with source"),
        ({"history": "a"}, "no dict with source"),
        ({"source": "", "history": "a"}, "is empty"),
        ({"source": 3}, "expected a string"),
        ({"source": "haus", "history": None}, "expected a string"),
        ({"source": "haus " * 600}, "more than 500 words"),
        ({"source": "haus", "aligned": [0]}, "does not read it"),
        ({"source": "haus", "target": "house"}, "no dict with source"),
    ],
)
def test_inputs_that_cannot_be_meant(tmp_path, raw, said):
    with pytest.raises(InputError, match=said):
        released(tmp_path)(raw)


def test_unknown_words_are_told_and_heads_are_refused(tmp_path):
    pipe = released(tmp_path)
    with pytest.warns(UserWarning, match="no word of it is known"):
        assert pipe({"source": "Quux"}).unknown == ["Quux"]
    with pytest.raises(WeightsError, match="no parser"):
        (tmp_path / "other").mkdir()
        released(tmp_path / "other", encoders=["tag_head"])
