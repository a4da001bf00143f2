"""Multirun with the launchers that install anywhere; Slurm's composes."""

import importlib.util
import json
import sys

import pytest
import torch

import __main__
from tests.conftest import ROOT, command
from zoo.training.starting import STARTED, remember, started

pytestmark = pytest.mark.xdist_group("ddp")
FAST = ("experiment=ram/mnist28_6", "debug=fast", "trainer.enable_progress_bar=false", "model.num_glimpses=2,4")


def test_a_sweep_logs_one_run_for_each_job(tmp_path):
    command("train", "-m", *FAST, "logger=wandb", f"runs={tmp_path}", WANDB_MODE="offline")
    (sweep,) = tmp_path.glob("ram/mnist28_6/*_sweep")
    for job, glimpses in enumerate((2, 4)):
        folder = sweep / str(job)
        assert len(list(folder.glob("wandb/offline-run-*"))) == 1
        assert "test/error" in json.loads((folder / "metrics.json").read_text())
        saved = torch.load(folder / "checkpoints/last.ckpt", weights_only=True)
        assert saved["hyper_parameters"]["num_glimpses"] == glimpses


def test_joblib_runs_jobs_in_parallel(tmp_path):
    command("train", "-m", *FAST, "logger=none", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", f"runs={tmp_path}")
    assert len(list(tmp_path.glob("ram/mnist28_6/*_sweep/*/metrics.json"))) == 2


@pytest.mark.slow
def test_joblib_runs_jobs_of_two_processes_each(tmp_path):
    """In a worker of joblib __main__ is joblib's own; a second process must be started as the command was."""
    side_by_side = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "trainer=ddp_cpu")
    done = command("train", "-m", *FAST, "logger=none", *side_by_side, f"runs={tmp_path}")
    assert (done.stdout + done.stderr).count("MEMBER: 2/2") >= 2
    (sweep,) = tmp_path.glob("ram/mnist28_6/*")
    for job, glimpses in enumerate((2, 4)):
        saved = torch.load(sweep / str(job) / "checkpoints/last.ckpt", weights_only=True)
        assert saved["hyper_parameters"]["num_glimpses"] == glimpses
        assert "test/error" in json.loads((sweep / str(job) / "metrics.json").read_text())


@pytest.mark.parametrize(
    ("spec", "argument", "expected"),
    [
        (None, "scripts/train.py", [str(ROOT / "scripts/train.py")]),
        (importlib.util.find_spec("zoo.commands.cli"), "cli.py", ["-m", "zoo.commands.cli"]),
        (importlib.util.find_spec("pytest.__main__"), "pytest", ["-m", "pytest"]),
        (None, "-c", ["-c", "from zoo.commands.cli import train; train()"]),
    ],
    ids=["script", "module", "package", "line"],
)
def test_another_process_is_started_as_the_command_was(spec, argument, expected, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(__main__, "__spec__", spec)
    monkeypatch.setattr(sys, "argv", [argument])
    monkeypatch.setenv(STARTED, "null")
    monkeypatch.delenv(STARTED)
    assert started("train") == expected
    remember()
    # what a worker of a sweep sees: a __main__ and arguments of its own, and the environment of the command
    monkeypatch.setattr(__main__, "__spec__", importlib.util.find_spec("joblib"))
    monkeypatch.setattr(sys, "argv", ["worker.py"])
    assert started("train") == expected


def test_submitit_composes(tmp_path):
    shown = command("train", "--cfg", "hydra", *FAST[:2], "hydra/launcher=submitit_slurm", f"runs={tmp_path}").stdout
    assert "submitit" in shown
