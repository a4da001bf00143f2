"""Stopped at any moment and started again, a run ends with bit for bit what an undisturbed one leaves."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from tests.conftest import ROOT, compose_run
from tests.stops import CASES, SMALL, Moments, differences, left, stopped, take, train
from zoo.training.folders import new_folder, run_folder, sweep_folder

TEXT = (
    "experiment=luong/debian_de_en",
    "data.limit=120",
    "data.vocabulary=200",
    "data.batch_tokens=150",
    "model.embedding=8",
    "model.hidden=8",
    "trainer.max_epochs=2",
    *SMALL[8:],
)
FAST = {  # of each case: which time of which hook, and whether the run is told to end or killed
    "plain": [
        ("on_train_batch_start", 7, "told"),
        ("on_validation_batch_start", 4, "told"),
        ("on_save_checkpoint", -1, "killed"),
        ("on_test_batch_start", 0, "told"),
    ],
    "accumulated": [("on_before_backward", 7, "told"), ("on_train_batch_end", 3, "told")],
    "validated within an epoch": [("on_validation_batch_start", 3, "told"), ("on_train_batch_start", 8, "killed")],
    "validated every other epoch": [("on_train_batch_end", -2, "told"), ("on_train_batch_end", 11, "killed")],
    "so many steps": [("on_train_batch_end", 11, "told"), ("on_train_batch_start", -1, "killed")],
}


def nth(names, hook, number):
    """Where a hook comes for so many times."""
    return [i for i, name in enumerate(names) if name == hook][number]


@pytest.mark.parametrize("case", CASES)
def test_stopped_and_resumed(case, tmp_path):
    overrides = (*SMALL, *CASES[case])
    names = train(compose_run(tmp_path / "truth", *overrides))
    truth = left(tmp_path / "truth")
    for hook, number, sort in FAST[case]:
        folder = tmp_path / f"{hook} {number}".replace(" ", "_")
        found = stopped(folder, overrides, Moments(nth(names, hook, number), sort))
        assert not differences(found, truth), f"{hook}, {number}, {sort}"


def test_a_translator_is_stopped_and_resumed(tmp_path):
    names = train(compose_run(tmp_path / "truth", *TEXT))
    truth = left(tmp_path / "truth")
    for hook, number in (("on_before_backward", 5), ("on_validation_batch_start", -1)):
        found = stopped(tmp_path / f"{hook}_{number}", TEXT, Moments(nth(names, hook, number)))
        assert not differences(found, truth), hook


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_fifty_random_stops(tmp_path):
    """At any moment of any case, told to end or killed, some of them twice."""
    draw, truths = random.Random(0), {}
    for number in range(50):
        case = draw.choice(list(CASES))
        overrides = (*SMALL, *CASES[case], f"data.batch_size={draw.choice([8, 16])}")
        if overrides not in truths:
            folder = tmp_path / f"truth_{number}"
            names = train(compose_run(folder, *overrides))
            truths[overrides] = left(folder), len(names)
        truth, moments = truths[overrides]
        stops = [Moments(draw.randrange(moments), draw.choice(["told", "killed"])) for _ in range(draw.choice([1, 2]))]
        found = stopped(tmp_path / str(number), overrides, *stops)
        assert not differences(found, truth), (case, [(stop.at, stop.sort) for stop in stops])


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
    """A process of its own, killed by the system somewhere in its second epoch."""
    slower = ("data.limit=1600",)
    killed = start(tmp_path / "b", *slower)
    for line in killed.stdout:
        if line.startswith("epoch 1/3"):
            break
    time.sleep(0.2)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    (run,) = (tmp_path / "b/ram/mnist28_2").iterdir()
    assert not (run / "metrics.json").exists()
    again = start(tmp_path / "b", *slower, "resume=auto")
    train(compose_run(tmp_path / "truth", *SMALL, *slower))
    assert again.wait(200) == 0, again.stdout.read()
    assert [run] == list((tmp_path / "b/ram/mnist28_2").iterdir()), "resume=auto goes on in the same folder"
    assert not differences(left(run), left(tmp_path / "truth"))


def test_runs_of_one_second_have_folders_of_their_own(tmp_path):
    """Runs, sweeps, and whatever else names its folder by the time."""
    folders = {run_folder(str(tmp_path), "ram/mnist28_2", None, []) for _ in range(9)}
    folders |= {sweep_folder(str(tmp_path), "ram/mnist28_2", None, [], []) for _ in range(9)}
    folders |= {new_folder(f"{tmp_path}/ram/mnist28_2") for _ in range(9)}
    assert len(folders) == 27


# --- two processes ----------------------------------------------------------------------------------------------------


def two(tmp_path, stops, *overrides):
    """Stops runs of two processes, each in one of them after a share of its moments; a list of what differs."""
    given = [*SMALL, "trainer=ddp_cpu", *overrides]
    plan = [{"folder": "truth", "overrides": given}]
    for number, (share, rank) in enumerate(stops):
        plan.append({"folder": str(number), "overrides": given, "share": share, "rank": rank})
        plan.append({"folder": str(number), "overrides": [*given, "resume=auto"]})
    take(tmp_path, plan)
    truth = left(tmp_path / "truth")
    return [each for number in range(len(stops)) for each in differences(left(tmp_path / str(number)), truth)]


@pytest.mark.ddp
@pytest.mark.xdist_group("ddp")
def test_two_processes_stop_together_whichever_is_told(tmp_path):
    assert not two(tmp_path, [(0.2, 1), (0.95, 0)], "data.limit=79", "trainer.accumulate_grad_batches=2")


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("case", CASES)
def test_ten_random_stops_of_two_processes(case, tmp_path):
    draw = random.Random(case)
    stops = [(draw.random(), draw.randrange(2)) for _ in range(10)]
    assert not two(tmp_path, stops, *CASES[case], "data.limit=79", "data.batch_size=8", "data.eval_batch_size=13")
