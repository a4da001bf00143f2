"""The comparison with other libraries: what is compared is the zoo's own step, and ratios are of the best rounds."""

from types import SimpleNamespace

import pytest
import torch

from scripts import peers


@pytest.mark.parametrize("room", peers.LENGTH)
@pytest.mark.parametrize("task", peers.STEPS)
def test_the_zoos_part_runs(room, task, monkeypatch, capsys):
    monkeypatch.setattr(peers, "WORDS", 60)
    monkeypatch.setattr(peers, "BATCH", 2)
    threads = torch.get_num_threads()
    peers.child(room, task, "zoo fp32")
    torch.set_num_threads(threads)
    assert float(capsys.readouterr().out) > 0


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
        ["zoo", "bf16", "2.000", "s"],
        ["torch", "bf16", "6.000", "s"],
    ]
    assert "3.00 x zoo bf16" in out and err.count("joey fp32: ModuleNotFoundError: joeynmt") == 1
