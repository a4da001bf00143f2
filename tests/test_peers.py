"""The comparison with other libraries: what is compared is the zoo's own step, and ratios are of the best rounds."""

import sys
from types import SimpleNamespace

import pytest
import torch

from scripts import peers
from scripts.plain_captions import PlainCaptions
from scripts.plain_draw import PlainDRAW
from scripts.plain_st_rnn import PlainSTRNN, trails
from scripts.plain_tps import PlainTPS, turned
from tests.conftest import ROOT
from zoo.models.draw import DRAW
from zoo.models.spatial_transformer.warbean import WarBean
from zoo.models.st_rnn import LitNext


@pytest.mark.parametrize("room", peers.LENGTH)
@pytest.mark.parametrize("task", peers.CONTENDERS)
def test_the_zoos_part_runs(room, task, monkeypatch, capsys):
    monkeypatch.setattr(peers, "WORDS", 60)
    monkeypatch.setattr(peers, "BATCH", 2)
    threads = torch.get_num_threads()
    peers.child(room, task, "zoo fp32")
    torch.set_num_threads(threads)
    assert float(capsys.readouterr().out) > 0


@pytest.mark.parametrize(("task", "contender"), [("warp", "zoo fp32"), ("step", "zoo bf16"), ("step", "plain fp32")])
def test_spatial_transformers_parts_run(task, contender, monkeypatch, capsys):
    monkeypatch.setattr("sys.path", [str(ROOT / "scripts"), *sys.path])
    monkeypatch.setattr(peers, "BATCH", 3)
    threads = torch.get_num_threads()
    peers.child("spatial_transformer", task, contender)
    torch.set_num_threads(threads)
    assert float(capsys.readouterr().out) > 0


def test_the_plain_transformer_computes_what_the_zoos_does():
    plain, ours = PlainTPS().eval(), WarBean(control=4).eval()
    torch.nn.init.normal_(plain.localise[-1].weight, std=0.02)
    for theirs, mine in (
        (plain.localise, [*ours.transformer.localise, ours.transformer.regress]),
        (plain.classify, ours.classify),
    ):
        for one, other in zip(theirs, mine, strict=True):
            other.load_state_dict(one.state_dict())
    image, label = turned(torch.randint(256, (5, 28, 28), dtype=torch.uint8)), torch.arange(5)
    assert image.shape == (5, 1, 28, 28) and image.max() <= 1
    expected = torch.nn.functional.cross_entropy(ours(image).logits, label)
    torch.testing.assert_close(plain(image, label), expected, rtol=1e-4, atol=1e-4)


def test_the_plain_form_of_st_rnn_is_the_zoos():
    """A matrix for each score: also an oracle of the network, on longer trails than those of its own tests."""
    how = {"users": 3, "places": 7, "dim": 8, "time_bounds": [0.0, 2, 6], "distance_bounds": [0.0, 500, 1500, 4000]}
    plain, ours, batch = PlainSTRNN(**how), LitNext(**how, negatives="all", decay=0), trails(3, 12, 7)
    ours.network.load_state_dict(plain.state_dict())
    torch.testing.assert_close(plain(batch), ours.network(batch, batch["scored"]))
    torch.testing.assert_close(plain.loss(batch), ours.loss(batch)["loss"])


@pytest.mark.parametrize("contender", ["zoo fp32", "plain fp32"])
def test_st_rnns_parts_run(contender, monkeypatch, capsys):
    monkeypatch.setattr("sys.path", [str(ROOT / "scripts"), *sys.path])
    monkeypatch.setattr(peers, "VISITS", 7)
    threads = torch.get_num_threads()
    peers.child("st_rnn", "rank", contender)
    torch.set_num_threads(threads)
    assert float(capsys.readouterr().out) > 0


@pytest.mark.parametrize("contender", ["zoo bf16", "plain fp32"])
def test_captioners_parts_run(contender, monkeypatch, capsys):
    monkeypatch.setattr("sys.path", [str(ROOT / "scripts"), *sys.path])
    monkeypatch.setattr("plain_captions.FEATURES", 16)
    monkeypatch.setattr("plain_captions.WORDS", 30)
    monkeypatch.setattr(peers, "CAPTIONS", (2, 3))
    threads = torch.get_num_threads()
    peers.child("show_attend_tell", "train", contender)
    torch.set_num_threads(threads)
    assert float(capsys.readouterr().out) > 0


def test_the_plain_captioner_attends():
    """Its loss is that of the same words one at a time, so the same work is compared."""
    torch.manual_seed(0)
    plain = PlainCaptions(words=11, features=6, size=5).eval()
    annotations, caption = torch.randn(2, 4, 6), torch.randint(11, (2, 4))
    alone = [plain(annotations[i : i + 1], caption[i : i + 1]) for i in range(2)]
    torch.testing.assert_close(plain(annotations, caption), sum(alone) / 2)
    changed = annotations.clone()
    changed[:, 2] += 1
    assert not torch.allclose(plain(changed, caption), plain(annotations, caption))


@pytest.mark.parametrize("contender", ["zoo fp32", "plain fp32"])
def test_draws_parts_run_and_compute_the_same(contender, monkeypatch):
    monkeypatch.setattr("sys.path", [str(ROOT / "scripts"), *sys.path])
    monkeypatch.setattr(peers, "DIGITS", 3)
    losses = []
    monkeypatch.setattr(peers, "training", lambda model, loss, half: losses.append(loss().item()))
    monkeypatch.setattr("plain_draw.STEPS", 2)
    peers.of_draw(contender.split()[0], half=False, compiled=False)
    assert 400 < losses[0] < 700, "784 log 2 and a little for the codes"


def test_plain_draw_is_the_zoos(monkeypatch):
    """The same weights and noise give the same bound, so the same work is compared."""
    torch.manual_seed(0)
    plain, ours = PlainDRAW(steps=3), DRAW(num_steps=3, learned_start=False)
    image, noise = torch.rand(4, 1, 28, 28).round(), torch.randn(4, 3, 100)
    order = torch.cat([torch.arange(1024).view(4, 256)[i] for i in (0, 1, 3, 2)])  # torch has the candidate third
    with torch.no_grad():
        for cell, inputs, mine in ((plain.encoder, 264, ours.encode), (plain.decoder, 100, ours.decode)):
            weight, bias = mine.weight[order], mine.bias[order]
            cell.weight_ih.copy_(weight[:, :inputs]), cell.weight_hh.copy_(weight[:, inputs:])
            cell.bias_ih.copy_(bias), cell.bias_hh.zero_()
        for theirs, mine in (
            (plain.read_window, slice(0, 5)),
            (plain.write_window, slice(5, 10)),
            (plain.patch, slice(10, 35)),
        ):
            theirs.weight.copy_(ours.attend.weight[mine]), theirs.bias.copy_(ours.attend.bias[mine])
        for theirs, mine in ((plain.mean, slice(0, 100)), (plain.log_std, slice(100, 200))):
            theirs.weight.copy_(ours.infer.weight[mine]), theirs.bias.copy_(ours.infer.bias[mine])
        # a glimpse is [x, error] there, and row, channel, column here
        columns = plain.encoder.weight_ih[:, :8].clone().view(-1, 2, 2, 2)  # rows, channels, columns
        plain.encoder.weight_ih[:, :8] = columns.transpose(1, 2).reshape(-1, 8)
        drawn = iter(noise.unbind(1))
        monkeypatch.setattr(torch, "randn_like", lambda x: next(drawn))
        found = ours(image, noise)
        torch.testing.assert_close(plain(image[:, 0]), (found.reconstruction + found.kl.sum(1)).mean())


def test_torchs_part_learns(monkeypatch):
    monkeypatch.setattr(peers, "WORDS", 60)
    monkeypatch.setattr(peers, "BATCH", 2)
    losses, seen = [], []

    def training(model, loss, half):
        losses.append(loss().item())
        seen.append(loss)
        return peers_training(model, loss, half)

    peers_training = peers.training
    monkeypatch.setattr(peers, "training", training)
    monkeypatch.setitem(peers.LENGTH, "transformer", 5)
    step = peers.of_torch("transformer", "train", False)
    for _ in range(200):
        step()
    assert seen[0]().item() < losses[0] - 0.1


def test_ratios_are_of_the_best_rounds_and_what_fails_is_told(monkeypatch, capsys):
    seconds = {"zoo bf16": iter("234"), "torch bf16": iter("867")}

    def run(command, **options):
        name = command[command.index("--contender") + 1]
        if name.startswith("joey"):
            return SimpleNamespace(returncode=1, stdout="", stderr="Traceback\nModuleNotFoundError: joeynmt")
        return SimpleNamespace(returncode=0, stdout=f"noise\n{next(seconds[name])}\n", stderr="")

    monkeypatch.setattr(peers.subprocess, "run", run)
    monkeypatch.setattr("sys.argv", ["peers", "transformer", "--task", "train", "--joey", peers.sys.executable])
    peers.main()
    out, err = capsys.readouterr()
    assert [line.split()[1:5] for line in out.splitlines()] == [
        ["zoo", "bf16", "2.0000", "s"],
        ["torch", "bf16", "6.0000", "s"],
    ]
    assert "3.00 x zoo bf16" in out and err.count("joey fp32: ModuleNotFoundError: joeynmt") == 1
