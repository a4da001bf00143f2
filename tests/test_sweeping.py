"""A sweep outlives jobs that fail, up to a share, and goes on where it was stopped."""

import json
from pathlib import Path

import pytest
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import RunMode
from omegaconf import OmegaConf

from tests.conftest import command
from zoo.training.folders import job_folder, sweep_folder
from zoo.training.sweeping import Sweep

FAST = ("experiment=ram/mnist28_2", "debug=fast", "trainer.enable_progress_bar=false", "logger=none", "data.limit=32")


def end(sweep, folder, number, error=None, n_trials=None):
    """A job ends, with an error or without."""
    job = folder / str(number)
    (job / ".hydra").mkdir(parents=True, exist_ok=True)
    inner = {
        "mode": RunMode.MULTIRUN,
        "runtime": {"output_dir": str(job)},
        "overrides": {"task": ["x=1"]},
        "job": {"num": number},
        "sweeper": {"n_trials": n_trials},
        "sweep": {"dir": str(folder)},
    }
    result = JobReturn(status=JobStatus.FAILED if error else JobStatus.COMPLETED)
    result.return_value = error or 1.0
    if not error:
        (job / "metrics.json").write_text("{}")
    config = OmegaConf.create({"hydra": inner})
    sweep.on_job_end(config, result)
    return config, result


def test_failed_jobs_are_told_and_the_sweep_goes_on(tmp_path, capsys):
    sweep = Sweep(0.5)
    end(sweep, tmp_path, 0)
    config, result = end(sweep, tmp_path, 1, RuntimeError("the loss is nan"))
    assert result.return_value is None, "the sweeper goes on, and a search takes it for a trial that failed"
    assert "job 1 failed (x=1): the loss is nan" in capsys.readouterr().err
    assert "RuntimeError: the loss is nan" in (tmp_path / "1/failed.txt").read_text()
    sweep.on_multirun_end(config)
    assert json.loads((tmp_path / "sweep.json").read_text()) == {"jobs": 2, "failed": ["1"]}
    end(sweep, tmp_path, 1)
    sweep.on_multirun_end(config)
    assert json.loads((tmp_path / "sweep.json").read_text())["failed"] == []


def test_too_many_failed_jobs_end_a_sweep_with_an_error(tmp_path):
    sweep = Sweep(0.2)
    for number in range(3):
        config, _ = end(sweep, tmp_path, number, ValueError("no") if number == 1 else None)
    with pytest.raises(SystemExit, match="1 of 3 jobs failed"):
        sweep.on_multirun_end(config)
    assert not (tmp_path / "sweep.json").exists()


def test_a_search_ends_as_soon_as_too_many_trials_have_failed(tmp_path):
    sweep = Sweep(0.2)
    for number in range(2):
        end(sweep, tmp_path, number, ValueError("no"), n_trials=10)
    with pytest.raises(SystemExit, match="3 of 10 jobs failed"):
        end(sweep, tmp_path, 2, ValueError("no"), n_trials=10)


@pytest.mark.parametrize(
    ("task", "row"),
    [
        ([], "ram/mnist28_6"),
        (["experiment=ram/mnist28_6", "seed=0,1"], "ram/mnist28_6"),
        (["experiment=ram/mnist28_2,ram/mnist28_3"], "ram"),
        (["experiment=choice(ram/mnist28_2,draw/mnist)"], "several"),
    ],
)
def test_a_sweep_over_experiments_is_not_kept_below_another_row(task, row, tmp_path):
    """Hydra composes the sweep itself without what is swept: with the experiment that is chosen by default."""
    assert Path(sweep_folder(str(tmp_path), "ram/mnist28_6", None, task, [])).parent == tmp_path / row


def test_a_sweep_finds_its_folder_and_a_job_its_own_again(tmp_path):
    started = (["x=1,2"], ["hydra.sweeper.n_trials=3"])
    folder = sweep_folder(str(tmp_path), "ram/row", "auto", *started)
    assert folder == sweep_folder(str(tmp_path), "ram/row", "auto", ["x=1,2", "resume=auto"], started[1])
    assert folder != sweep_folder(str(tmp_path), "ram/row", "auto", ["x=1,3"], started[1])
    assert folder != sweep_folder(str(tmp_path), "ram/row", None, *started)
    for number, task in enumerate((["x=1"], ["x=2"])):
        assert job_folder(folder, number, None, task) == str(number)
        stored = tmp_path / folder / str(number) / ".hydra"
        stored.mkdir()
        OmegaConf.save(OmegaConf.create(task), stored / "overrides.yaml")
    assert job_folder(folder, 0, "auto", ["x=2"]) == "1", "a job is known by what it does, not by its number"
    assert job_folder(folder, 0, "auto", ["x=3"]) == "0_2", "another one gets a folder of its own"


@pytest.mark.xdist_group("ddp")
def test_a_sweep_goes_on_where_it_stopped(tmp_path):
    sweep = (*FAST, f"runs={tmp_path}", "failures=0.4", "model.num_glimpses=2,-1,3")
    done = command("train", "-m", *sweep)
    assert "job 1 failed" in done.stderr
    (folder,) = (tmp_path / "ram/mnist28_2").iterdir()
    kept = (folder / "0/metrics.json").read_text()
    other = json.loads((folder / "2/metrics.json").read_text())
    (folder / "2/metrics.json").unlink()  # as if it had been stopped in the test of the last job
    (folder / "sweep.json").unlink()
    command("train", "-m", *sweep, "resume=auto")
    assert [folder] == list((tmp_path / "ram/mnist28_2").iterdir())
    assert (folder / "0/metrics.json").read_text() == kept, "the minutes too: it was not run again"
    again = json.loads((folder / "2/metrics.json").read_text())
    assert {**again, "minutes": 0} == {**other, "minutes": 0}
    assert json.loads((folder / "sweep.json").read_text()) == {"jobs": 3, "failed": ["1"]}
    assert sorted(path.name for path in folder.glob("[0-9]*")) == ["0", "1", "2"]
