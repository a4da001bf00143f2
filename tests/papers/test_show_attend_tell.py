"""Show, Attend and Tell against its equations in NumPy, a word at a time, and against enumeration of where to look."""

import itertools
import json
import shutil
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

import zoo
from datamodules.emoji import CAPTIONS, Emoji
from tests.conftest import dropped
from tests.datamodules.test_captions import write_captions, write_maps
from zoo import release
from zoo.errors import ZooError
from zoo.models.show_attend_tell import Describe, ShowAttendTell
from zoo.models.show_attend_tell.baselines import coarse, nearest
from zoo.models.show_attend_tell.captioning import bleu, exact, scores
from zoo.models.show_attend_tell.encoder import SHIPPED, Small, load_encoder
from zoo.models.show_attend_tell.module import LitShowAttendTell
from zoo.models.show_attend_tell.pointing import inside, looks, named
from zoo.nn.kernels import plain_autograd
from zoo.pipelines import InputError
from zoo.text.search import EOS

TINY = {"features": 10, "embedding": 4, "hidden": 8, "attention_hidden": 4}
QUICK = {  # see tests/small.py
    "show_attend_tell": {**TINY, "encoder_weights": "null"},
    "show_attend_tell_vgg": {**TINY, "max_length": 8, "meteor": "false"},
}
OF_HARD = ("reward_weight", "entropy_weight", "expected", "hard_scaling", "expected_of", "decode")
IDLE = {
    "encoder": "the data bring what it makes",
    "encoder_weights": "of what is tiny there is no file",
    "vocabulary": "the data say how many there are",
    "meteor": "what the end of a test computes",
    "attention": {"attention": "mean"},
    "expected": {"attention": "hard", "expected": 1.0},
    **{name: {"attention": "hard"} for name in OF_HARD if name != "expected"},
    "estimator": {"attention": "hard", "estimator": {"kind": "wake_p", "samples": 3}},
    "credit": {"attention": "hard", "estimator": {"kind": "wake_p", "samples": 3}},
    "inference": "a network that nobody asks draws nothing; see test_show_attend_tell_estimators.py",
}
FEW = "seen where the words are few enough for a search to end: in show_attend_tell_vgg"
OPTIONS = {  # see tests/test_options.py
    "show_attend_tell": {**IDLE, "alpha": FEW, "normalise": FEW},
    "show_attend_tell_vgg": {
        **IDLE,
        "features": "as many as the data bring",
        "alpha": {"beam": 10, "normalise": "length", "alpha": 0.0},
        "normalise": {"beam": 10, "alpha": 3.0},
    },
}


def captions(corpus: str, folder) -> tuple[str, ...]:
    """Tiny pictures in Karpathy's format, their features, and the overrides that name them."""
    write_maps(folder / "maps.npy", write_captions(folder, corpus), features=10)
    few = ("data.vocabulary=8", "data.size=24", "data.shorter=24", "data.workers=0")
    return (f"data.root={folder}", f"data.features={folder}/maps.npy", *few)


FILES = {corpus: partial(captions, corpus) for corpus in ("flickr8k", "flickr30k", "coco")}
WORDS, L = 11, 6


def network(**arguments) -> ShowAttendTell:
    torch.manual_seed(0)
    arguments = {"encoder": None, "dropout": 0.0, **TINY, **arguments}
    made = ShowAttendTell(WORDS, **arguments).double().eval()
    for parameter in made.parameters():
        torch.nn.init.uniform_(parameter, -0.7, 0.7)
    return made


def lit(**arguments) -> LitShowAttendTell:
    torch.manual_seed(0)
    arguments = {"encoder": None, "dropout": 0.0, "max_length": 7, **TINY, **arguments}
    made = LitShowAttendTell(vocabulary=WORDS, **arguments).double()
    for parameter in made.parameters():
        torch.nn.init.uniform_(parameter, -0.7, 0.7)
    return made


def batch_of(lengths=(4, 2, 5), places=(2, 3), features=10):
    """Maps and captions of so many words between bos and eos."""
    random = torch.Generator().manual_seed(0)
    caption = torch.zeros(len(lengths), max(lengths) + 2, dtype=torch.int64)
    for row, length in enumerate(lengths):
        words = torch.randint(3, WORDS, (length,), generator=random)
        caption[row, : length + 2] = torch.cat([torch.tensor([1]), words, torch.tensor([2])])
    image = torch.randn(len(lengths), features, *places, generator=random, dtype=torch.float64)
    return {"image": image, "caption": caption, "key": torch.arange(len(lengths)), "index": torch.arange(len(lengths))}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class Oracle:
    """One picture, one word at a time."""

    def __init__(self, net: ShowAttendTell):
        self.p = {name: value.numpy() for name, value in net.state_dict().items()}
        self.net = net

    def affine(self, name, x):
        return self.p[f"{name}.weight"] @ x + self.p.get(f"{name}.bias", 0)

    def begin(self, maps):
        self.a = maps.reshape(len(maps), -1).T
        mean = self.a.mean(0)
        if self.net.attention == "mean":
            self.a = mean[None]
        self.h, self.c = np.tanh(self.affine("f_init_h", mean)), np.tanh(self.affine("f_init_c", mean))

    def alpha(self):
        e = []
        for a in self.a:
            seen = self.affine("f_att.U_a", a if "f_att.P.weight" not in self.p else self.affine("f_att.P", a))
            if "f_att.b_2" in self.p:  # two affine maps with nothing between, and tanh, as in the authors' code
                seen = np.tanh(seen + self.p["f_att.b_2"])
            hidden = np.tanh(self.affine("f_att.W_a", self.h) + seen)
            e.append(self.p["f_att.v_a"] @ hidden)
        e = np.exp(np.array(e) - max(e))
        return e / e.sum()

    def write(self, word, place=None):
        """The logits after a word, and alpha; a place is taken instead of the expectation."""
        alpha = self.alpha()
        z = alpha @ self.a if place is None else self.a[place]
        if "f_beta.weight" in self.p:
            z = z * sigmoid(self.affine("f_beta", self.h))
        Ey = self.p["E.weight"][word]
        gates = self.affine("from_word", Ey) + self.affine("from_state", self.h) + self.affine("from_context", z)
        i, f, o, g = np.split(gates, 4)
        self.c = sigmoid(f) * self.c + sigmoid(i) * np.tanh(g)
        self.h = sigmoid(o) * np.tanh(self.c)
        out = self.affine("L_h", self.h)
        if self.net.output != "state":
            out = out + Ey + self.affine("L_z", z)
        return self.affine("L_o", np.tanh(out) if self.net.output == "tanh" else out), alpha


def log_softmax(x):
    return x - x.max() - np.log(np.exp(x - x.max()).sum())


VARIANTS = [
    {},
    {"attention_layers": 2, "output": "tanh"},
    {"gate": False, "output": "state"},
    {"attention": "mean"},
    {"attention": "hard"},
]


@pytest.mark.parametrize("arguments", VARIANTS)
def test_attention_gate_and_a_step_are_those_of_the_equations(arguments):
    net, batch = network(**arguments), batch_of()
    told = net(batch["image"], batch["caption"])
    for row in range(3):
        oracle = Oracle(net)
        oracle.begin(batch["image"][row].numpy())
        for t, word in enumerate(batch["caption"][row].tolist()):
            logits, alpha = oracle.write(word)
            np.testing.assert_allclose(told.logits[row, t].detach(), logits, atol=1e-10)
            np.testing.assert_allclose(told.alpha[row, t].detach(), alpha, atol=1e-6)
    assert told.alpha.sum(-1).sub(1).abs().max() < 1e-6


@pytest.mark.parametrize("arguments", VARIANTS)
def test_decoding_steps_are_teacher_forcing(arguments):
    net, batch = network(**arguments), batch_of()
    told = net(batch["image"], batch["caption"])
    memory = net.encode(batch["image"])
    state = net.start(memory, 2)
    for t in range(batch["caption"].shape[1]):
        token = batch["caption"][:, t, None].expand(-1, 2)
        log_p, state, alpha = net.step(token, state, memory)
        for k in range(2):
            expected = told.logits[:, t].log_softmax(-1)
            torch.testing.assert_close(log_p[:, k].double(), expected, atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(alpha[:, k], told.alpha[:, t])


@pytest.mark.parametrize("decode", ["argmax", "sample"])
def test_hard_decoding_looks_at_one_place(decode):
    net, batch = network(attention="hard"), batch_of()
    noise = torch.rand(3, 4, generator=torch.Generator().manual_seed(1))
    memory = net.encode(batch["image"], noise)
    state, oracles = net.start(memory, 1), []
    for row in range(3):
        oracles.append(Oracle(net))
        oracles[-1].begin(batch["image"][row].numpy())
    for t in range(4):
        log_p, state, s = net.step(batch["caption"][:, t, None], state, memory, decode=decode)
        assert s.sum(-1).eq(1).all() and s.amax(-1).eq(1).all()
        for row, oracle in enumerate(oracles):
            alpha = oracle.alpha()
            drawn = int((noise[row, t].item() > np.cumsum(alpha)[:-1]).sum())
            place = int(alpha.argmax()) if decode == "argmax" else drawn
            logits, _ = oracle.write(batch["caption"][row, t].item(), place)
            assert s[row, 0].argmax() == place
            np.testing.assert_allclose(log_p[row, 0].detach(), log_softmax(logits), atol=1e-5)


@pytest.mark.parametrize("scaling", ["caption", "authors", "word"])
def test_the_loss_is_equation_14_in_each_reading(scaling):
    model, batch = lit(penalty=0.7, penalty_scaling=scaling), batch_of()
    found = model.loss(batch)
    nll, penalty, words = 0.0, 0.0, 0
    for row in range(3):
        oracle, coverage = Oracle(model.network), np.zeros(L)
        oracle.begin(batch["image"][row].numpy())
        caption = [i for i in batch["caption"][row].tolist() if i]
        for word, following in itertools.pairwise(caption):
            logits, alpha = oracle.write(word)
            nll -= log_softmax(logits)[following]
            coverage += alpha
            words += 1
        penalty += ((1 - coverage) ** 2).sum()
    factor = {"caption": 1, "authors": 3 / L, "word": words / 3 / L}[scaling]
    assert found["nll"].item() == pytest.approx(nll / 3, rel=1e-6)
    assert found["penalty"].item() == pytest.approx(0.7 * factor * penalty / 3, rel=1e-5)
    assert found["loss"].item() == pytest.approx(found["nll"].item() + found["penalty"].item(), rel=1e-6)


@pytest.mark.parametrize("attention", ["soft", "hard"])
def test_padding_changes_nothing(attention):
    model = lit(attention=attention, expected=0.0)
    short, long = batch_of((3, 3)), batch_of((3, 3))
    long["caption"] = torch.nn.functional.pad(long["caption"], (0, 4))
    gradients = []
    for batch in (short, long):
        model.zero_grad()
        model.baseline.zero_(), model.updates.zero_()
        noise = torch.rand(2, 12, generator=torch.Generator().manual_seed(3))
        told = model.network(batch["image"], batch["caption"][:, :-1], noise[:, : batch["caption"].shape[1] - 1])
        model.tell = lambda _, told=told: told
        terms = model.loss(batch)
        terms["loss"].backward()
        grown = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
        gradients.append(({name: value.item() for name, value in terms.items()}, grown))
    assert gradients[0][0] == pytest.approx(gradients[1][0], rel=1e-6)
    for name, gradient in gradients[0][1].items():
        torch.testing.assert_close(gradient, gradients[1][1][name], atol=1e-6, rtol=1e-5)


def enumerated(model, batch):
    """L_s of equation 10 and its parts over all ways to look at four places in three steps: probabilities, values."""
    net, caption = model.network, batch["caption"]
    steps = caption.shape[1] - 1
    paths = list(itertools.product(range(4), repeat=steps))
    log_s, log_y = [], []
    for path in paths:
        memory = net.encode(batch["image"])
        h, c = (each[:, 0] for each in net.start(memory)[:2])
        chosen, right = 0.0, 0.0
        for t, place in enumerate(path):
            log_alpha = net.look(h[:, None], memory)
            chosen = chosen + log_alpha[0, 0, place]
            one = torch.nn.functional.one_hot(torch.tensor([[place]]), 4).double()
            z = net.context(one, h[:, None], memory)[:, 0]
            Ey = net.E(caption[:, t])
            h, c = net.advance(net.from_word(Ey), z, h, c)
            right = right + net.words(Ey, h, z).log_softmax(-1)[0, caption[0, t + 1]]
        log_s.append(chosen), log_y.append(right)
    return torch.stack(log_s), torch.stack(log_y)


def test_the_hard_estimator_is_the_gradient_of_the_bound():
    """The mean of the estimator over all paths, by their probabilities, with lambda_r = 1 and no entropy."""
    model = lit(attention="hard", expected=0.0, reward_weight=1.0, entropy_weight=0.0, penalty=0.0)
    batch = batch_of((2,), places=(2, 2))
    net, parameters = model.network, dict(model.network.named_parameters())
    with plain_autograd():
        log_s, log_y = enumerated(model, batch)
        bound = (log_s.exp() * log_y).sum()
        expected = torch.autograd.grad(-bound, parameters.values(), allow_unused=True)
    assert log_s.exp().sum().item() == pytest.approx(1, abs=1e-6)
    mean = [torch.zeros_like(p) for p in parameters.values()]
    model.eval()  # so that the baseline stays
    model.baseline.fill_(-3.0)
    for path, probability in zip(itertools.product(range(4), repeat=3), log_s.exp().tolist(), strict=True):
        noise = torch.zeros(1, 3, dtype=torch.float64)
        with torch.no_grad():  # the number that draws each place of the path
            for t, place in enumerate(path):
                alpha = net(batch["image"], batch["caption"][:, : t + 1], noise[:, : t + 1]).alpha[0, t].double()
                noise[0, t] = alpha[:place].sum() + alpha[place] / 2
        told = net(batch["image"], batch["caption"][:, :-1], noise)
        model.tell = lambda _, told=told: told
        found = torch.autograd.grad(model.loss(batch)["loss"], parameters.values(), allow_unused=True)
        for total, gradient in zip(mean, found, strict=True):
            total += probability * (0 if gradient is None else gradient)
    for name, found, right in zip(parameters, mean, expected, strict=True):
        right = torch.zeros_like(found) if right is None else right
        torch.testing.assert_close(found, right, atol=2e-5, rtol=1e-4, msg=name)
    assert mean[list(parameters).index("f_att.v_a")].abs().max() > 1e-3


def test_the_entropy_and_the_authors_scaling():
    batch = batch_of((3, 3))
    plain = lit(attention="hard", expected=0.0, reward_weight=0.1, entropy_weight=0.5, penalty=0.0)
    theirs = lit(
        attention="hard", expected=0.0, reward_weight=0.1, entropy_weight=0.5, penalty=0.0, hard_scaling="authors"
    )
    plain.eval(), theirs.eval()
    theirs.network.load_state_dict(plain.network.state_dict())
    noise = torch.rand(2, 4, generator=torch.Generator().manual_seed(0))
    told = plain.network(batch["image"], batch["caption"][:, :-1], noise)
    for model in (plain, theirs):
        model.tell = lambda _: told
    one, other = plain.loss(batch), theirs.loss(batch)
    alpha, label = told.alpha.detach(), batch["caption"][:, 1:]
    entropy = -(alpha * alpha.log()).sum(-1).sum(1).mean().item()
    assert one["entropy"].item() == pytest.approx(-0.5 * entropy, rel=1e-5)
    assert other["entropy"].item() == pytest.approx(-0.5 * entropy * 2, rel=1e-5)
    log_y = told.logits.log_softmax(-1).gather(2, label[..., None])[..., 0].sum(1)
    log_s = told.log_s.double().sum(1)
    assert one["policy"].item() == pytest.approx(-0.1 * (log_y * log_s).mean().item(), rel=1e-5)
    assert other["policy"].item() == pytest.approx(-0.1 * 2 * (log_y / 4 * log_s).mean().item(), rel=1e-5)


def test_the_baseline_is_a_moving_average_and_half_the_pictures_take_the_expectation():
    model, batch = lit(attention="hard", expected=0.5).train(), batch_of((3,) * 40)
    rewards = []
    model.follow = lambda reward: (rewards.append(reward.mean().item()), LitShowAttendTell.follow(model, reward))
    for _ in range(3):
        model.loss(batch)
    expected = rewards[0]
    for reward in rewards[1:]:
        expected = 0.9 * expected + 0.1 * reward
    assert model.baseline.item() == pytest.approx(expected, rel=1e-5)
    soft = (model.tell(batch).log_s == 0).all(1)
    assert 8 < soft.sum() < 32
    whole = lit(attention="hard", expected=0.5, expected_of="batch").train()
    assert len(set((whole.tell(batch).log_s == 0).all(1).tolist())) == 1


@pytest.mark.parametrize("attention", ["soft", "hard"])
def test_the_penalty_teaches_where_to_look(attention):
    """In the authors' code the policy gradient takes its place, on our reading."""
    model = lit(attention=attention, expected=0.0, penalty=1.0, reward_weight=0.0, entropy_weight=0.0).train()
    model.loss(batch_of())["penalty"].backward()
    assert model.network.f_att.v_a.grad.abs().max() > 1e-6


def test_even_weights_say_what_the_mean_says():
    """So the row without attention is the row of uniform weights."""
    soft, mean = network(attention="soft"), network(attention="mean")
    torch.nn.init.zeros_(soft.f_att.v_a)
    batch = batch_of()
    told = [net(batch["image"], batch["caption"][:, :-1]) for net in (soft, mean)]
    assert torch.allclose(told[0].alpha, torch.full_like(told[0].alpha, 1 / L))
    torch.testing.assert_close(told[0].logits, told[1].logits)


def test_the_most_alike_picture_is_found():
    seen = torch.rand(30, 3, 56, 56, generator=torch.Generator().manual_seed(0))
    order = torch.tensor([7, 0, 29, 7])
    assert nearest(coarse(seen), coarse(seen[order] + 0.01)).tolist() == order.tolist()
    known = seen.view(30, 3, 28, 2, 28, 2).mean((3, 5)).flatten(1).numpy()
    new = torch.rand(5, 3, 56, 56, generator=torch.Generator().manual_seed(1))
    rows = new.view(5, 3, 28, 2, 28, 2).mean((3, 5)).flatten(1).numpy()
    found = nearest(coarse(seen), coarse(new)).tolist()
    assert found == [int(((known - row) ** 2).sum(1).argmin()) for row in rows]


def test_gradients_in_closed_form_are_autograds():
    model, batch = lit(penalty=0.3), batch_of()
    found = torch.autograd.grad(model.loss(batch)["loss"], model.network.parameters())
    with plain_autograd():
        expected = torch.autograd.grad(model.loss(batch)["loss"], model.network.parameters())
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


def test_annotations_are_projected_once_for_a_picture():
    net, batch, calls = network(), batch_of(), []
    net.f_att.U_a.register_forward_hook(lambda *_: calls.append(1))
    net(batch["image"], batch["caption"])
    memory = net.encode(batch["image"])
    state = net.start(memory, 3)
    for _ in range(5):
        _, state, _ = net.step(torch.ones(3, 3, dtype=torch.int64), state, memory)
    assert len(calls) == 2


def test_a_batch_is_learned_and_every_parameter_takes_part():
    torch.manual_seed(0)
    for attention in ("soft", "hard", "mean"):
        model = LitShowAttendTell(
            vocabulary=WORDS, encoder=None, attention=attention, dropout=0.0, penalty=0.01, **TINY
        )
        batch = batch_of((3, 4, 2))
        batch["image"] = batch["image"].float()
        optimizer = torch.optim.Adam(model.parameters(), 0.02)
        first = model.loss(batch)["nll"].item()
        for _ in range(80):
            optimizer.zero_grad()
            model.loss(batch)["loss"].backward()
            assert all(p.grad is not None for p in model.parameters())
            optimizer.step()
        assert model.loss(batch)["nll"].item() < 0.5 * first


def test_dropout_is_where_the_card_says():
    net = network(dropout=0.5)
    found = dropped(net.float(), batch_of()["image"].float(), batch_of()["caption"])
    assert found == {(3, 10): 1, (3, 7, 8): 1, (3, 7, 4): 1}


def test_the_answer_does_not_depend_on_the_others_nor_on_the_reference():
    model, batch = lit().eval(), batch_of((4, 2, 5, 3))
    together = model.search(batch["image"], batch["key"], 3, "expectation")
    for i, one in enumerate(together):
        alone = model.search(batch["image"][i : i + 1], batch["key"][i : i + 1], 3, "expectation")[0]
        assert alone.tokens == one.tokens and alone.log_prob == pytest.approx(one.log_prob, abs=1e-5)
    other = {**batch, "caption": batch["caption"].flip(1).clamp(min=3)}
    lines = []
    for each in (batch, other):
        model.written = {}
        model.evaluate(each, "test")
        lines.append(model.written)
    assert lines[0] == lines[1]


def test_where_nothing_ended_the_best_unfinished_caption_is_the_answer():
    model, batch = lit().eval(), batch_of()
    with torch.no_grad():
        model.network.L_o.bias[EOS] = -1e9
    for best in model.search(batch["image"], batch["key"], 3, "expectation"):
        assert len(best.tokens) == 7 and not best.finished and len(best.weights) == 7


# metrics


LINES = ["a cat left of a dog", "a red apple", "dog", "the the the", ""]
TRUE = [["a cat left of a dog", "a dog"], ["a green apple", "red apple"], ["a dog"], ["the cat is on the mat"], ["a b"]]


def test_bleu_is_that_of_sacrebleu_and_pycocoevalcap():
    import sacrebleu

    plain, penalty = bleu(LINES, TRUE)
    for n in (1, 2, 3, 4):
        refs = [[other[i] if i < len(other) else None for other in TRUE] for i in range(2)]
        right = sacrebleu.BLEU(tokenize="none", smooth_method="none", max_ngram_order=n).corpus_score(LINES, refs)
        assert penalty * plain[n - 1] == pytest.approx(right.score, abs=1e-6)
    coco = pytest.importorskip("pycocoevalcap.bleu.bleu").Bleu(4)
    long = ["a cat left of a dog and more words here", *LINES[1:4]]
    found = coco.compute_score(dict(enumerate(TRUE[:4])), {i: [line] for i, line in enumerate(long)}, verbose=0)[0]
    plain, penalty = bleu(long, TRUE[:4])
    assert [penalty * each / 100 for each in plain] == pytest.approx(found, abs=1e-6)


def test_scores_of_what_is_right_and_of_what_is_wrong():
    lines = ["a cat left of a dog", "a tree above a house now", "one two three four"]
    found = scores(lines, [[line] for line in lines], whole=True)
    assert found["bleu"] == found["exact"] == found["bleu_1"] == found["bleu_4_brevity"] == pytest.approx(100)
    assert found["bleu_shuffled"] < 20 and bleu(["x"], [["y"]])[0] == [0, 0, 0, 0] and bleu([""], [["y"]])[1] == 0
    assert exact(["a", "b"], [["a", "c"], ["c"]]) == 50


@pytest.mark.slow
def test_meteor_is_what_the_others_are_not():
    if not shutil.which("java"):
        pytest.skip("there is no Java")
    found = scores(["a cat runs", "a big dog"], [["a cat is running"], ["a large dog"]], whole=True, meteor=True)
    assert 30 < found["meteor"] < 90 and found["exact"] == 0


def test_names_are_found_as_a_whole_and_boxes_are_cells():
    assert named([7, 5, 6, 9, 5], [[5, 6], [9], [8], []]) == [(1, 0), (3, 1)]
    mask = inside(torch.tensor([[4.0, 8.0, 12.0, 16.0]]), 16, 16, (4, 4))[0].view(4, 4)
    assert mask.nonzero().tolist() == [[2, 1], [2, 2], [3, 1], [3, 2]]
    weights = torch.tensor([[0.5, 0.5, 0, 0], [0.1, 0.2, 0.7, 0], [0.25, 0.25, 0.25, 0.25]])
    masks = torch.tensor([[False, False, True, True], [True, False, False, False]])
    found = looks([5, 6, 2], weights, [[6], [5]], masks)
    assert found.pointed.tolist() == [1, 1] and found.mass.tolist() == pytest.approx([0.5, 0.7])
    assert found.chance.tolist() == [0.25, 0.5] and found.change.tolist() == pytest.approx([0.7, 0.45])
    assert found.entropy.tolist() == pytest.approx([np.log(2), 0.8018, np.log(4)], abs=1e-3)
    none = looks([5], weights[:1], [], None)
    assert none.pointed.numel() == 0 and none.entropy.numel() == 1


# encoder and pipeline


def test_the_small_encoder_keeps_its_numbers_and_tells_where():
    encoder = Small(10).train()
    load_encoder(made := Small(98), "emoji")
    assert not any(module.training for module in encoder.modules() if isinstance(module, torch.nn.BatchNorm2d))
    a = made(torch.rand(2, 3, 112, 96))
    assert a.shape == (2, 98, 14, 12) and not a.requires_grad
    assert a[0, 96, 0].tolist() == pytest.approx(np.linspace(-1, 1, 12).tolist())
    assert a[0, 97, :, 0].tolist() == pytest.approx(np.linspace(-1, 1, 14).tolist())
    with pytest.raises(ZooError, match="not weights of Small"):
        load_encoder(Small(10), "emoji")
    with pytest.raises(ZooError, match=r"no\.safetensors: not weights of Small"):
        load_encoder(Small(10), "/no.safetensors")


def test_an_encoder_that_ships_has_numbers_of_its_own():
    loaded = [Small(98), Small(98)]
    for encoder, name in zip(loaded, SHIPPED, strict=True):
        load_encoder(encoder, name)
    maps = [encoder(torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))) for encoder in loaded]
    assert all(each.isfinite().all() for each in maps) and not torch.equal(*maps)


def test_vgg_19_is_the_last_layer_before_its_pooling():
    with torch.device("meta"):
        net = ShowAttendTell(20, encoder="vgg19", features=512, embedding=8, hidden=8, attention_hidden=8)
        a = net.encode(torch.rand(1, 3, 224, 224)).a
    convolutions = [m for m in net.encoder.layers if isinstance(m, torch.nn.Conv2d)]
    assert a.shape == (1, 196, 512) and net.grid(torch.rand(1, 3, 224, 224)) == (14, 14)
    assert len(convolutions) == 16 and isinstance(net.encoder.layers[-1], torch.nn.ReLU)
    assert not any(p.requires_grad for p in net.encoder.parameters())


@pytest.fixture(scope="module")
def describe(tmp_path_factory) -> Describe:
    """The pipeline of a tiny network that knows the words of the emoji."""
    folder, data = tmp_path_factory.mktemp("released"), Emoji()
    data.save(folder / "tokenizer")
    arguments = {**TINY, **data.spec}
    torch.manual_seed(0)
    how = {"preprocess": Describe.preprocess({}), "files": [folder / "tokenizer" / CAPTIONS]}
    path = release.save(
        ShowAttendTell(**arguments), folder / "w", name="show_attend_tell.emoji_soft", config=arguments, **how
    )
    return zoo.pipeline(path)


def test_the_pipeline_says_what_the_network_says(describe):
    batch = Emoji().batch("test", torch.arange(3))
    model = LitShowAttendTell(beam=3, max_length=9, **TINY, **Emoji().spec).eval()
    model.network = describe.network
    expected = model.search(batch["image"], batch["key"], 3, "expectation")
    for result, right in zip(describe(batch["image"], beam=3, max_length=9), expected, strict=True):
        assert result.caption == Emoji().detokenise([right.tokens])[0] and len(result.words) == len(right.tokens)
        assert result.maps.shape == (len(result.words), 14, 14)
        assert result.maps.sum((1, 2)).sub(1).abs().max() < 1e-4
        assert json.loads(json.dumps(result.plain()))["caption"] == result.caption
        assert result.log_probability == pytest.approx(right.log_prob, abs=1e-3)


def scene() -> Image.Image:
    array = (Emoji().batch("test", torch.arange(1))["image"][0].permute(1, 2, 0).numpy() * 255).round()
    return Image.fromarray(array.astype(np.uint8))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda image: image.convert("L"), ["grey made colours"]),
        (lambda image: image.convert("RGBA").resize((224, 224)), ["resized from 224 x 224 to 112 x 112"]),
        (lambda image: Image.new("RGBA", (112, 112), (255, 0, 0, 100)), ["transparent parts made white"]),
        (
            lambda image: image.resize((4000, 1000)),
            ["resized from 4000 x 1000 to 112 x 28", "edges drawn out to 112 x 112"],
        ),
        (lambda image: image.resize((1, 1)), ["resized from 1 x 1 to 112 x 112"]),
        (lambda image: image.convert("P"), []),
    ],
)
def test_pictures_of_any_kind_are_answered_and_what_was_done_is_told(change, told, describe, recwarn):
    result = describe(change(scene()), beam=1, max_length=4)
    assert result.told == told and len(recwarn) == bool(told)
    assert result.attention.images.shape == (1, 3, 112, 112)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("/no/such.png", "/no/such.png: there is no such file"),
        (Image.new("RGBA", (9, 9)), "fully transparent"),
        (np.full((5, 5, 3), np.nan), "not finite"),
        (3, "expected a path"),
    ],
)
def test_what_is_no_picture_is_refused_in_one_sentence(raw, message, describe):
    with pytest.raises(InputError, match=message):
        describe(raw)


def test_a_broken_file_is_refused_by_its_name(describe, tmp_path):
    scene().save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:900])
    with pytest.raises(InputError, match=r"b\.png: cannot be read as a picture"):
        describe([tmp_path / "a.png", tmp_path / "b.png"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"attention": "sott"}, "did you mean soft"),
        ({"encoder": "vgg16"}, "encoder is 'vgg16'"),
        ({"encoder": "vgg19", "features": 98}, "VGG-19 has 512"),
        ({"features": 4, "encoder": "small"}, "features is 4"),
        ({"output": "deeper"}, "did you mean deep"),
        ({"penalty_scaling": "batch"}, "penalty_scaling is 'batch'"),
        ({"hard_scaling": "word"}, "hard_scaling is 'word'"),
        ({"expected": 2}, "expected is 2"),
        ({"decode": "mean"}, "decode is 'mean'"),
        ({"penalty": -1}, "penalty is -1"),
        ({"attention_layers": 3}, "attention_layers is 3"),
        ({"encoder_weights": "emoji", "encoder": None}, "encoder null has none"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(arguments, message):
    with pytest.raises(ZooError, match=message):
        LitShowAttendTell(vocabulary=WORDS, **{**TINY, "encoder": None, **arguments})


def test_pictures_that_the_network_does_not_take_are_one_sentence():
    with pytest.raises(ZooError, match=r"expected \(batch, 10, height, width\): maps of annotations"):
        network()(torch.rand(1, 3, 8, 8), torch.ones(1, 2, dtype=torch.int64))
    with pytest.raises(ZooError, match="4 x 4 pixels; expected 8 x 8 at least"):
        ShowAttendTell(9, **TINY)(torch.rand(1, 3, 4, 4), torch.ones(1, 2, dtype=torch.int64))
