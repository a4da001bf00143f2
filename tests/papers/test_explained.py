"""The classifier of Jain and Wallace against torch's own layers and NumPy, and what is read off it."""

from functools import partial

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.utils.data import DataLoader

from tests.conftest import dropped
from zoo.errors import ZooError
from zoo.looking import explain
from zoo.models.explained.adversary import LitAdversary
from zoo.models.explained.measures import of_batch, summary
from zoo.models.explained.module import ATTACKS, LitExplained, differences
from zoo.models.explained.network import ENCODERS, SCORES, WIDTHS, AttentionClassifier
from zoo.models.explained.readings import Readings

QUICK = {  # see tests/small.py
    "explained": {"embedding": 8, "hidden": 4},
    "explained_adversary": {"embedding": 8, "hidden": 4, "base": "null"},
}
OPTIONS = {  # see tests/test_options.py
    "explained": {"epsilon": {"adversarial": 1.0}, "attack": {"adversarial": 1.0}},
    "explained_adversary": dict.fromkeys(("base", "warm"), "read before the first step; see below"),
}
TEXT = torch.tensor([[3, 4, 5, 6, 7], [8, 9, 3, 0, 0], [5, 0, 0, 0, 0]])
MASK = TEXT != 0
every_kind = pytest.mark.parametrize("encoder", ENCODERS)


def make(encoder="bilstm", score="additive", **more) -> AttentionClassifier:
    torch.manual_seed(0)
    return AttentionClassifier(10, 3, encoder, score, embedding=6, hidden=4, **more).double().eval()


def encoded(network, row):
    """h of one text without padding, by other means."""
    x = network.words.weight[row].detach()
    kind = network.encoder
    if hasattr(kind, "forwards"):
        both = nn.LSTM(6, 4, bidirectional=True, batch_first=True).double()
        for name, p in kind.forwards.state_dict().items():
            both.get_parameter(name).data = p
        for name, p in kind.backwards.state_dict().items():
            both.get_parameter(f"{name}_reverse").data = p
        packed = pack_padded_sequence(x[None], [len(row)], batch_first=True)
        return pad_packed_sequence(both(packed)[0], batch_first=True)[0][0].detach().numpy()
    x = x.numpy()
    if hasattr(kind, "project"):
        W, b = (p.detach().numpy() for p in (kind.project.weight, kind.project.bias))
        return np.maximum(x @ W.T + b, 0)
    columns = []
    for width, filters in zip(WIDTHS, kind.filters, strict=True):
        W, b = filters.weight.detach().numpy(), filters.bias.detach().numpy()
        padded = np.pad(x, ((width // 2, width // 2), (0, 0)))
        columns.append([b + sum(W[:, :, k] @ padded[t + k] for k in range(width)) for t in range(len(row))])
    return np.maximum(np.concatenate(columns, 1), 0)


@every_kind
@pytest.mark.parametrize("score", SCORES)
def test_every_encoder_and_score_is_the_papers(encoder, score):
    network = make(encoder, score)
    logits, alpha, _ = network.look(network.words(TEXT), MASK)
    theta, b = (p.detach().numpy() for p in (network.theta.weight, network.theta.bias))
    for i, mask in enumerate(MASK):
        h = encoded(network, TEXT[i][mask].tolist())
        if score == "dot":
            energy = h @ network.energy.weight[0].detach().numpy() / np.sqrt(h.shape[1])
        else:
            W, c, v = (p.detach().numpy() for p in network.energy.parameters())
            energy = np.tanh(h @ W.T + c) @ v[0]
        weights = np.exp(energy - energy.max())
        weights /= weights.sum()
        np.testing.assert_allclose(alpha[i, : len(h)].detach().numpy(), weights, atol=1e-9)
        np.testing.assert_allclose(logits[i].detach().numpy(), theta @ (weights @ h) + b, atol=1e-9)
    assert (alpha[~MASK] == 0).all()


@every_kind
def test_padding_changes_nothing(encoder):
    network = make(encoder)
    longer = torch.cat([TEXT, torch.zeros(3, 4, dtype=torch.int64)], 1)
    torch.testing.assert_close(network(longer, longer != 0), network(TEXT, MASK))


@every_kind
def test_a_batch_is_learned_and_every_parameter_takes_part(encoder):
    torch.manual_seed(0)
    model = LitExplained(vocabulary=10, num_classes=3, encoder=encoder, embedding=6, hidden=4)
    batch = {"text": TEXT, "label": torch.tensor([0, 1, 2]), "sentences": torch.tensor(3.0)}
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    model.loss(batch)["loss"].backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
    for _ in range(60):
        optimizer.zero_grad()
        loss = model.loss(batch)["loss"]
        loss.backward()
        optimizer.step()
    assert loss < 0.1


def test_dropout_is_where_the_docstring_says():
    assert dropped(make(dropout=0.5), TEXT, MASK) == {(3, 5, 6): 1, (3, 8): 1}


def test_the_perturbation_of_attention_raises_the_loss_most():
    """Of a thousand random steps of that length none raises the loss of a text more, to the first order."""
    torch.manual_seed(0)
    network = make()
    lit = LitExplained(vocabulary=10, num_classes=3, embedding=6, hidden=4, adversarial=1.0, epsilon=1e-4)
    lit.network = network
    with torch.no_grad():
        h = network.encoder(network.words(TEXT), MASK)
    label = torch.tensor([0, 1, 2])

    def losses(scores):
        alpha = scores.masked_fill(~MASK, -1e9).softmax(-1)
        return nn.functional.cross_entropy(network.answer(h, alpha), label, reduction="none")

    scores = network.scores(h).detach().requires_grad_()
    r = lit.worst(losses(scores).sum(), scores, MASK)
    torch.testing.assert_close(r.norm(dim=1)[:2], torch.full((2,), 1e-4, dtype=torch.float64))
    assert (r[~MASK] == 0).all() and not r.requires_grad
    with torch.no_grad():
        best, plain = losses(scores + r), losses(scores)
        for _ in range(1000):
            other = nn.functional.normalize(torch.randn_like(scores) * MASK, dim=1) * 1e-4
            assert (losses(scores + other) <= best + 1e-10).all()
        assert (best[:2] > plain[:2]).all()


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_perturbation_is_that_of_finite_differences(attack):
    """r = epsilon B a / |B a| with a the slope of L(scores + B a) at 0: B is the identity, or a loop's differences."""
    torch.manual_seed(0)
    network = make()
    lit = LitExplained(vocabulary=10, num_classes=3, embedding=6, hidden=4, attack=attack, epsilon=0.3)
    with torch.no_grad():
        h = network.encoder(network.words(TEXT), MASK)
    scores = network.scores(h).detach().requires_grad_()

    def losses(scores):
        alpha = scores.masked_fill(~MASK, -1e9).softmax(-1)
        return nn.functional.cross_entropy(network.answer(h, alpha), torch.tensor([0, 1, 2]), reduction="none")

    r = lit.worst(losses(scores).sum(), scores, MASK)
    assert (r[~MASK] == 0).all() and (r[2] == 0).all() and not r.requires_grad, "one word alone always weighs one"
    for i, length in enumerate((5, 3)):
        of = scores[i, :length].detach().numpy()
        d = np.array([[of[t] - of[k] for k in range(length)] for t in range(length)])
        d /= np.sqrt((d**2).sum())
        np.testing.assert_allclose(differences(scores, MASK)[i, :length, :length].detach().numpy(), d, atol=1e-12)
        B = np.eye(length)
        if attack == "iat":  # row t has d_tk at the columns (t, k)
            B = np.stack([np.where(np.arange(length)[:, None] == t, d, 0).ravel() for t in range(length)])

        def moved(a, i=i, length=length, B=B):
            shifted = scores.detach().clone()
            shifted[i, :length] += torch.from_numpy(B @ a)
            return losses(shifted)[i].item()

        steps = 1e-5 * np.eye(B.shape[1])
        expected = B @ np.array([(moved(step) - moved(-step)) / 2e-5 for step in steps])
        expected *= 0.3 / np.linalg.norm(expected)
        np.testing.assert_allclose(r[i, :length].numpy(), expected, atol=1e-6)
        assert losses(scores + r)[i] > losses(scores)[i]


def test_differences_scaled_by_the_word_would_restrict_nothing():
    """Why they are scaled by the text: with each word's of norm one, the sum of their squares is one for all words."""
    scores = torch.randn(1, 6, dtype=torch.float64)
    d = differences(scores, torch.ones(1, 6).bool())
    assert d.square().sum().item() == pytest.approx(1)
    by_word = nn.functional.normalize(d, dim=-1)
    torch.testing.assert_close(by_word.square().sum(-1), torch.ones_like(scores))
    assert d.square().sum(-1).std() > 0.01


@pytest.mark.parametrize("attack", ATTACKS)
def test_adversarial_training_adds_the_loss_of_the_perturbed_attention(attack):
    torch.manual_seed(0)
    arguments = {"vocabulary": 10, "num_classes": 3, "embedding": 6, "hidden": 4}
    plain, attacked = LitExplained(**arguments), LitExplained(**arguments, adversarial=2.0, attack=attack, epsilon=1.0)
    attacked.network = plain.network
    batch = {"text": TEXT, "label": torch.tensor([0, 1, 2]), "sentences": torch.tensor(3.0)}
    terms, expected = attacked.loss(batch), plain.loss(batch)["loss"]
    torch.testing.assert_close(terms["plain"], expected)
    assert terms["attacked"] > terms["plain"]
    torch.testing.assert_close(terms["loss"], expected + 2 * terms["attacked"])


@every_kind
def test_readings_are_those_of_the_network(encoder):
    network = make(encoder)
    readings = Readings(network, TEXT)
    torch.testing.assert_close(readings.read(MASK), readings.probabilities)
    torch.testing.assert_close(readings.answer(readings.alpha), readings.probabilities)
    torch.testing.assert_close(readings.score(readings.x), readings.probabilities.amax(1))
    keep = MASK.clone()
    keep[0, 1] = keep[1, 0] = False
    expected = [network(torch.tensor([row]), torch.ones(1, len(row)).bool()) for row in ([3, 5, 6, 7], [9, 3], [5])]
    torch.testing.assert_close(readings.read(keep), torch.cat(expected).softmax(-1))
    keep[2] = False  # nothing is left, so the first word stays
    torch.testing.assert_close(readings.read(keep)[2], readings.probabilities[2])


def test_attention_is_held_constant_or_moves():
    network = make("average")
    fixed, moving = Readings(network, TEXT), Readings(network, TEXT, fixed=False)
    assert not torch.allclose(explain.gradient(fixed.score, fixed.x), explain.gradient(moving.score, moving.x))
    # with attention held constant the logit at a word moves by its weight times what its own projection moves
    x = network.words(TEXT)[0, 2].detach().requires_grad_()
    label = fixed.label[0]
    logit = fixed.alpha[0, 2] * network.theta.weight[label] @ network.encoder(x[None, None], MASK[:1, :1])[0, 0]
    (alone,) = torch.autograd.grad(logit, x)

    def answered(vectors):
        return network.look(vectors, MASK, fixed.alpha)[0][:, label]

    torch.testing.assert_close(explain.gradient(answered, fixed.x)[0, 2], alone)


@every_kind
def test_the_table_of_a_batch(encoder):
    network = make(encoder).float()
    found = summary([of_batch(network, TEXT, steps=3), of_batch(network, TEXT, steps=3)])
    assert found["texts"] == 4, "texts of one word are left out"
    assert all(-1 <= value <= 1 for name, value in found.items() if name.startswith("tau") and name[-3:] != "std")
    assert 0 <= found["adversaries_found"] <= 1 and 0 < found["removed_by_random"] <= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"encoder": "lstm"}, "encoder"), ({"score": "concat"}, "score"), ({"hidden": 0}, "hidden")],
)
def test_what_cannot_be_meant_is_one_sentence(arguments, message):
    with pytest.raises(ZooError, match=message):
        AttentionClassifier(10, 3, **arguments)
    with pytest.raises(ZooError, match="even"):
        AttentionClassifier(10, 3, encoder="cnn", hidden=3)


SGD = {"_target_": "torch.optim.SGD"}
SIZES = {"vocabulary": 10, "num_classes": 3, "embedding": 6, "hidden": 4}
BATCH = {"text": TEXT, "label": torch.tensor([0, 1, 2]), "sentences": torch.tensor(3.0)}


def make_adversary(**more):
    torch.manual_seed(0)
    return LitAdversary(**SIZES, **more).double()


def test_the_adversarys_loss_is_variation_less_divergence():
    model = make_adversary(divergence=0.3)
    y, alpha, wanted, usual = (each.detach().numpy() for each in model.compared(TEXT))
    variation = np.abs(y - wanted).sum(1) / 2
    kl = [sum(p * np.log(p / q) for p, q in zip(a, b, strict=True) if p > 0) for a, b in zip(alpha, usual, strict=True)]
    terms = model.loss(BATCH)
    assert terms["variation"].item() == pytest.approx(variation.mean())
    assert terms["kl"].item() == pytest.approx(np.mean(kl))
    assert terms["loss"].item() == pytest.approx((variation - 0.3 * np.array(kl)).mean())
    found = {name: metric.compute().item() for name, metric in model.evaluate(BATCH, "val").items()}
    m = (alpha + usual) / 2
    js = [sum(p * np.log(p / m_) / 2 for w in (a, b) for p, m_ in zip(w, row, strict=True) if p > 0)
          for a, b, row in zip(alpha, usual, m, strict=True)]  # fmt: skip
    assert found["divergence"] == pytest.approx(np.mean(js), rel=1e-5)
    assert found["loss"] == pytest.approx(terms["loss"].item(), rel=1e-5)
    assert found["error"] == pytest.approx(100 * (y.argmax(1) != BATCH["label"].numpy()).mean())


def test_the_base_of_an_adversary_stays_as_it_is(tmp_path):
    base = AttentionClassifier(**SIZES)
    torch.save({"state_dict": {f"network.{k}": v for k, v in base.state_dict().items()}, "hyper_parameters": {}},
               tmp_path / "base.ckpt")  # fmt: skip
    model = make_adversary(base=str(tmp_path / "base.ckpt"), dropout=0.5)
    model.read_base()
    torch.testing.assert_close(dict(model.base.state_dict()), {k: v.double() for k, v in base.state_dict().items()})
    model.loss(BATCH)["loss"].backward()
    assert all(p.grad is None for p in model.base.parameters())
    trained = {id(p) for group in model.parameter_groups() for p in group["params"]}
    assert trained == {id(p) for p in model.network.parameters()}
    torch.testing.assert_close(model.compared(TEXT)[2:], model.compared(TEXT)[2:])
    with pytest.raises(ZooError, match="not of the kind and sizes"):
        LitAdversary(**SIZES | {"hidden": 8}, base=str(tmp_path / "base.ckpt")).read_base()


def test_the_base_is_read_before_the_first_batch_and_not_again(tmp_path):
    base = AttentionClassifier(**SIZES)
    state = {f"network.{name}": value for name, value in base.state_dict().items()}
    path = tmp_path / "base.ckpt"
    torch.save({"state_dict": state, "hyper_parameters": {}}, path)
    off = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = partial(pl.Trainer, accelerator="cpu", max_steps=2, **off)
    for use in ("fit", "test"):  # the latter as of released weights, which hold the adversary alone
        model = LitAdversary(**SIZES, base=str(path), dropout=0.5, warm=True, optimizer={**SGD, "lr": 0.0})
        getattr(trainer(), use)(model, DataLoader([BATCH], batch_size=None))
        torch.testing.assert_close(dict(model.base.state_dict()), dict(base.state_dict()))
        assert torch.equal(model.network.theta.weight, base.theta.weight) == (use == "fit"), "a warm start is of a fit"
    stored = {"state_dict": model.state_dict(), "hyper_parameters": {}}
    path.unlink()
    again = LitAdversary(**SIZES, base=str(path))
    with pytest.raises(ZooError, match="no such checkpoint"):
        again.read_base()
    again.on_load_checkpoint(stored)
    again.load_state_dict(stored["state_dict"])
    again.read_base()
    torch.testing.assert_close(dict(again.base.state_dict()), dict(base.state_dict()))


def test_an_adversary_finds_other_words_for_the_same_answers():
    torch.manual_seed(1)
    text = torch.randint(1, 10, (16, 6))
    batch = {"text": text, "label": torch.zeros(16, dtype=torch.int64), "sentences": torch.tensor(16.0)}
    model = make_adversary(divergence=0.05)
    model.base.energy[0].weight.data.mul_(3)
    model.base.theta.weight.data.mul_(3)
    optimizer = torch.optim.Adam(model.parameter_groups(), lr=2e-2)
    for _ in range(150):
        optimizer.zero_grad()
        model.loss(batch)["loss"].backward()
        optimizer.step()
    found = {name: metric.compute().item() for name, metric in model.evaluate(batch, "test").items()}
    assert found["variation"] < 0.05 and found["divergence"] > 0.3
