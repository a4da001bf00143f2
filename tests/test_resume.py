"""Killed at any moment and started again, a run ends with bit for bit the weights of an undisturbed one."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.utilities.exceptions import SIGTERMException

from tests.conftest import ROOT
from zoo.training import running
from zoo.training.folders import run_folder

SMALL = (
    "experiment=ram/mnist28_2",
    "data.limit=640",
    "data.batch_size=64",
    "trainer.max_epochs=3",
    "trainer.enable_progress_bar=false",
    "logger=none",
    "model.test_starts=1",
)
TEXT = (
    "experiment=luong/debian_de_en",
    "data.limit=120",
    "data.vocabulary=200",
    "data.batch_tokens=150",
    "model.embedding=8",
    "model.hidden=8",
    *SMALL[3:6],
)


def weights(folder):
    return torch.load(folder / "checkpoints/last.ckpt", weights_only=True)["state_dict"]


def assert_same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


class Terminate(Callback):
    """What the signal handler of SIGTERM does, after a given number of steps."""

    def __init__(self, step):
        self.step = step

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == self.step:
            trainer._signal_connector.received_sigterm = True


@pytest.mark.parametrize(("small", "step"), [(SMALL, 1), (SMALL, 13), (SMALL, 20), (TEXT, 5)])
def test_terminated_in_the_middle_of_an_epoch(small, step, composed, tmp_path, monkeypatch):
    running.train(composed(*small))
    undisturbed = weights(tmp_path / "run")
    (tmp_path / "run").rename(tmp_path / "undisturbed")

    build = running.build

    def with_terminate(cfg, folder):
        datamodule, model, trainer = build(cfg, folder)
        trainer.callbacks.insert(0, Terminate(step))
        return datamodule, model, trainer

    monkeypatch.setattr(running, "build", with_terminate)
    with pytest.raises((SIGTERMException, KeyboardInterrupt, SystemExit)):
        running.train(composed(*small))
    saved = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)
    assert saved["global_step"] == step
    monkeypatch.setattr(running, "build", build)
    running.train(composed(*small, "resume=auto"))
    assert_same(weights(tmp_path / "run"), undisturbed)


def start(folder, *arguments):
    return subprocess.Popen(
        [sys.executable, str(ROOT / "scripts/train.py"), *SMALL, f"runs={folder}", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def test_kill_9_and_resume_auto(tmp_path):
    slower = ("data.limit=6400", "model.num_glimpses=6")
    undisturbed = start(tmp_path / "a", *slower)
    killed = start(tmp_path / "b", *slower)
    for line in killed.stdout:
        if line.startswith("epoch 1/3"):
            break
    time.sleep(0.4)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert undisturbed.wait(200) == 0
    (run,) = (tmp_path / "b/ram/mnist28_2").iterdir()
    assert not (run / "metrics.json").exists()
    again = start(tmp_path / "b", *slower, "resume=auto")
    assert again.wait(200) == 0
    assert [run] == list((tmp_path / "b/ram/mnist28_2").iterdir()), "resume=auto goes on in the same folder"
    (other,) = (tmp_path / "a/ram/mnist28_2").iterdir()
    assert_same(weights(run), weights(other))


def test_sigterm_saves_first(tmp_path):
    run = start(tmp_path, "data.limit=6400", "trainer.max_epochs=50")
    for line in run.stdout:
        if line.startswith("epoch 1/"):
            break
    time.sleep(0.4)
    run.send_signal(signal.SIGTERM)
    run.stdout.read()
    assert run.wait(60) != 0
    (folder,) = (tmp_path / "ram/mnist28_2").iterdir()
    saved = torch.load(folder / "checkpoints/last.ckpt", weights_only=True)
    assert saved["global_step"] % 100 != 0, "saved in the middle of an epoch"


def test_runs_of_one_second_have_folders_of_their_own(tmp_path):
    folders = {run_folder(str(tmp_path), "ram/mnist28_2", None, []) for _ in range(20)}
    assert len(folders) == 20
