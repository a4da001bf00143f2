"""Multirun with the launchers that install anywhere; Slurm's composes."""

import json

import pytest
import torch

from tests.conftest import command

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


def test_submitit_composes(tmp_path):
    shown = command("train", "--cfg", "hydra", *FAST[:2], "hydra/launcher=submitit_slurm", f"runs={tmp_path}").stdout
    assert "submitit" in shown
