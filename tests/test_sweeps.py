"""Multirun with the launchers that install anywhere; Slurm's composes."""

import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys

import optuna
import pytest
import torch

import __main__
from tests.conftest import ROOT, command
from zoo.training.folders import sweep_folder
from zoo.training.starting import STARTED, remember, started

pytestmark = pytest.mark.xdist_group("ddp")
FAST = ("experiment=ram/mnist28_6", "debug=fast", "trainer.enable_progress_bar=false", "model.num_glimpses=2,4")
LINE = ["-c", "from zoo.commands.cli import train; train()"]


def test_a_sweep_logs_one_run_for_each_job(tmp_path):
    done = command("train", "-m", *FAST, "logger=wandb", f"runs={tmp_path}", WANDB_MODE="offline")
    assert "anonymous" not in done.stdout + done.stderr, "a warning of what Lightning hands on"
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
    whole = ("trainer.limit_train_batches=1.0", "data.limit=256", "data.batch_size=64")
    command("train", "-m", *FAST, "logger=none", *side_by_side, *whole, f"runs={tmp_path}")
    (sweep,) = tmp_path.glob("ram/mnist28_6/*")
    for job, glimpses in enumerate((2, 4)):
        saved = torch.load(sweep / str(job) / "checkpoints/last.ckpt", weights_only=True)
        assert saved["hyper_parameters"]["num_glimpses"] == glimpses
        assert saved["global_step"] == 2, "two processes share four batches"
        assert "test/error" in json.loads((sweep / str(job) / "metrics.json").read_text())


@pytest.mark.parametrize(
    ("spec", "file", "argument", "expected"),
    [
        (None, "", "scripts/train.py", [str(ROOT / "scripts/train.py")]),
        (importlib.util.find_spec("zoo.commands.cli"), "", "cli.py", ["-m", "zoo.commands.cli"]),
        (importlib.util.find_spec("pytest.__main__"), "", "pytest", ["-m", "pytest"]),
        (None, "", "-c", LINE),
        (None, "site-packages/ray/_private/workers/default_worker.py", "README.md", LINE),  # on another machine
    ],
    ids=["script", "module", "package", "line", "worker"],
)
def test_another_process_is_started_as_the_command_was(spec, file, argument, expected, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(__main__, "__spec__", spec)
    monkeypatch.setattr(__main__, "__file__", file or argument, raising=False)
    monkeypatch.setattr(sys, "argv", [argument])
    monkeypatch.setenv(STARTED, "null")
    monkeypatch.delenv(STARTED)
    assert started("train") == expected
    remember()
    # what a worker of a sweep sees: a __main__ and arguments of its own, and the environment of the command
    monkeypatch.setattr(__main__, "__spec__", importlib.util.find_spec("joblib"))
    monkeypatch.setattr(sys, "argv", ["worker.py"])
    assert started("train") == expected


def test_two_sweeps_of_one_second_have_folders_of_their_own(tmp_path):
    folders = [sweep_folder(str(tmp_path), "ram/mnist28_6", None, [], []) for _ in range(4)]
    assert len(set(folders)) == 4 and {str(path) for path in tmp_path.glob("ram/mnist28_6/*_sweep*")} == set(folders)


def test_a_study_is_stored(tmp_path):
    """With another SQLAlchemy than the pinned one Optuna 2.10 cannot make the tables."""
    storage = f"sqlite:///{tmp_path}/study.db"
    for value in (2.0, 1.0):  # the second time the study is there
        study = optuna.create_study(study_name="ram", storage=storage, load_if_exists=True)
        trial = study.ask()
        trial.suggest_float("sigma", 0.02, 0.3)
        study.tell(trial, value)
    assert [trial.value for trial in study.trials] == [2.0, 1.0]


@pytest.mark.slow
def test_two_processes_search_one_study(tmp_path):
    """The commands of docs/sweeps.md: one study, a sweep folder for each process, every trial in one of them."""
    storage = f"sqlite:///{tmp_path}/study.db"
    (block,) = re.findall(r"```bash\n(optuna.*?)```", (ROOT / "docs/sweeps.md").read_text(), re.DOTALL)
    create, search, _ = (shlex.split(line.replace("sqlite:///ram.db", storage)) for line in block.splitlines())
    run_optuna = "import sys; from optuna.cli import main; sys.exit(main())"
    subprocess.run([sys.executable, "-c", run_optuna, *create[1:]], check=True, capture_output=True)
    assert search[:3] == ["python", "scripts/train.py", "-m"]
    short = (*FAST[1:3], "hydra.sweeper.n_trials=3", "logger=none", f"runs={tmp_path}/runs")
    script = [sys.executable, *search[1:], *short]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    processes = [subprocess.Popen(script, cwd=ROOT, env=env, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for process in processes:
        _, said = process.communicate(timeout=280)
        assert process.returncode == 0, said
    trials = optuna.load_study(study_name="ram", storage=storage).trials
    assert [trial.number for trial in trials] == list(range(6))
    assert {trial.state for trial in trials} == {optuna.trial.TrialState.COMPLETE}
    assert len({json.dumps(trial.params, sort_keys=True) for trial in trials}) == 6, "each process draws its own"
    sweeps = list(tmp_path.glob("runs/ram/mnist28_6/*"))
    assert sorted(len(list(sweep.glob("*/metrics.json"))) for sweep in sweeps) == [3, 3]
    measured = sorted(json.loads(path.read_text())["val/error"] for path in tmp_path.rglob("metrics.json"))
    assert measured == sorted(trial.value for trial in trials)


def test_submitit_composes(tmp_path):
    shown = command("train", "--cfg", "hydra", *FAST[:2], "hydra/launcher=submitit_slurm", f"runs={tmp_path}").stdout
    assert "submitit" in shown
