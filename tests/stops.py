"""Runs that are stopped at any moment, and what is compared with a run that was not.

`python -m tests.stops <plan>` is one process of several, as torchrun starts them, that takes the runs of a plan.
"""

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import traceback
from contextlib import suppress
from pathlib import Path

import torch
from pytorch_lightning.callbacks import Callback

from tests.conftest import ROOT, compose_run
from zoo.training import running

SMALL = (
    "experiment=ram/mnist28_2",
    "data.limit=80",
    "data.batch_size=16",
    "data.eval_batch_size=32",
    "model.hidden=8",
    "model.test_starts=1",
    "model.optimizer.lr=0.02",
    "trainer.max_epochs=3",
    "trainer.log_every_n_steps=2",
    "trainer.enable_progress_bar=false",
    "callbacks.figures=null",
    "logger=csv",
)
CASES = {
    "plain": (),
    "accumulated": ("trainer.accumulate_grad_batches=3",),
    "validated within an epoch": ("+trainer.val_check_interval=0.4",),
    "validated every other epoch": ("+trainer.check_val_every_n_epoch=2",),
    "so many steps": ("trainer.max_steps=13", "trainer.accumulate_grad_batches=2", "trainer.max_epochs=9"),
}

HOOKS = (
    "on_train_batch_start",
    "on_before_backward",
    "on_before_optimizer_step",
    "on_train_batch_end",
    "on_validation_start",
    "on_validation_batch_start",
    "on_validation_batch_end",
    "on_validation_end",
    "on_train_epoch_end",
    "on_save_checkpoint",
    "on_test_batch_start",
    "on_test_batch_end",
    "on_test_end",
)


class Killed(BaseException):
    """What stands for kill -9: nothing is saved any more."""


class Moments(Callback):
    """Counts the moments of a run, and at one of them ends it.

    Args:
        at: the number of the moment; None never.
        sort: "told", by SIGTERM; or "killed".
    """

    def __init__(self, at: int | None = None, sort: str = "told"):
        self.at, self.sort, self.names = at, sort, []

    def happen(self, name: str) -> None:
        self.names.append(name)
        if len(self.names) - 1 == self.at:
            if self.sort == "killed":
                raise Killed
            os.kill(os.getpid(), signal.SIGTERM)


def moment(name):
    def happen(self, *args, **kwargs):
        self.happen(name)

    return happen


for hook in HOOKS:
    setattr(Moments, hook, moment(hook))


def train(cfg, moments=None) -> list[str]:
    """A run in this process. Returns the names of its moments."""
    moments, build = moments or Moments(), running.build

    def with_moments(cfg, folder):
        datamodule, model, trainer = build(cfg, folder)
        trainer.callbacks.insert(0, moments)
        return datamodule, model, trainer

    running.build = with_moments
    try:
        running.train(cfg)
    finally:
        running.build = build
    return moments.names


def left(folder: Path) -> dict:
    """All that a run leaves behind: checkpoints with the state of the optimiser, metrics and logs."""
    found = {}
    for name in ("best", "last"):
        saved = torch.load(folder / f"checkpoints/{name}.ckpt", weights_only=True)
        found[name] = {key: saved[key] for key in ("state_dict", "optimizer_states", "lr_schedulers", "global_step")}
        (best,) = (state for key, state in saved["callbacks"].items() if key.startswith("Best"))
        found[name]["best"] = {key: best[key] for key in ("best_model_score", "metrics", "last_metrics")}
    found["loops"] = saved["loops"]["fit_loop"]["epoch_progress"]
    metrics = json.loads((folder / "metrics.json").read_text())
    found["metrics"] = {key: value for key, value in metrics.items() if key not in ("minutes", "commit")}
    if (folder / "metrics.csv").exists():
        with (folder / "metrics.csv").open() as file:
            found["log"] = list(csv.DictReader(file))
    return found


def differences(a, b, where: str = "") -> list[str]:
    """Where two nests of dicts, lists, tensors and numbers differ, to the last bit."""
    if isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        return [each for key in a for each in differences(a[key], b[key], f"{where}/{key}")]
    if isinstance(a, list | tuple) and isinstance(b, list | tuple) and len(a) == len(b):
        return [each for i, pair in enumerate(zip(a, b, strict=True)) for each in differences(*pair, f"{where}/{i}")]
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        return [] if torch.equal(a, b) else [f"{where}: tensors differ by {(a - b).abs().max():.2e}"]
    return [] if a == b else [f"{where}: {a} is not {b}"]


def stopped(folder: Path, overrides: tuple[str, ...], *stops: Moments) -> dict:
    """What a run leaves that is stopped at a moment, goes on, is perhaps stopped once more, and then goes on."""
    for moments in (*stops, Moments()):
        with suppress(SystemExit, Killed):
            train(compose_run(folder, *overrides, "resume=auto"), moments)
    return left(folder)


def ports(count):
    """So many free ports, and as many free ones after each of them."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    found = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return found


def take(folder: Path, plan: list[dict]) -> None:
    """Starts two processes, as torchrun does, that take the runs of a plan in turn.

    Args:
        plan: of each run the name of its `folder`, its `overrides` and, if it is stopped, in which `rank` after which
            `share` of its moments.
    """
    runs = [
        {"share": 0, "rank": None, **run, "folder": str(folder / run["folder"]), "port": port}
        for run, port in zip(plan, ports(len(plan)), strict=True)
    ]
    (folder / "plan.json").write_text(json.dumps(runs))
    common = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "TORCHELASTIC_RUN_ID": "test"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.stops", str(folder / "plan.json")],
            cwd=ROOT,
            env={**os.environ, **common, "RANK": str(rank), "LOCAL_RANK": str(rank), "GROUP_RANK": "0"},
            stdout=(folder / f"out_{rank}").open("w"),
            stderr=subprocess.STDOUT,
        )
        for rank in range(2)
    ]
    try:
        for rank, process in enumerate(processes):
            assert process.wait(60 + 30 * len(plan)) == 0, (folder / f"out_{rank}").read_text()[-3000:]
    finally:
        for process in processes:
            process.kill()


def main() -> None:
    """Takes the runs of a plan in turn, of which this process is told to end some after a share of their moments."""
    plan, rank, moments = json.loads(Path(sys.argv[1]).read_text()), int(os.environ["RANK"]), 0
    for run in plan:
        os.environ["MASTER_PORT"] = str(run["port"])
        at = int(run["share"] * moments) if run["rank"] == rank else None
        try:
            moments = len(train(compose_run(Path(run["folder"]), *run["overrides"]), Moments(at))) or moments
        except SystemExit:
            pass
        except Exception:  # which leaves no metrics.json
            traceback.print_exc()


if __name__ == "__main__":
    main()
