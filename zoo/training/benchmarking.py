"""How fast a training step is: samples a second for each part of it, and settings compared as ratios in one run.

Of sentences the samples are target tokens.
"""

import resource
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig

from zoo.errors import UnknownName, suggest
from zoo.training import checking
from zoo.training.compiling import speed_up
from zoo.training.running import machine

SETTINGS = {
    "fp32": {"precision": "32-true", "compile": False},
    "bf16": {"precision": "bf16-mixed", "compile": False},
    "fp32 compiled": {"precision": "32-true", "compile": True},
    "bf16 compiled": {"precision": "bf16-mixed", "compile": True},
    "fp32 graph": {"precision": "32-true", "compile": "graph"},
    "bf16 graph": {"precision": "bf16-mixed", "compile": "graph"},
    "bf16 both": {"precision": "bf16-mixed", "compile": "both"},
}
PARTS = ("data", "forward", "backward", "optimiser")


class Step:
    """One training step of a config, taken apart: data, forward with the loss, backward, optimiser."""

    def __init__(self, cfg: DictConfig, precision: str, compile: bool | str):
        torch.manual_seed(cfg.seed)
        self.device = torch.device("cuda" if torch.cuda.is_available() and cfg.trainer.accelerator != "cpu" else "cpu")
        self.datamodule = checking.make_data(cfg)
        self.model = checking.model_for(cfg, self.datamodule).to(self.device)
        self.datamodule.setup("fit")
        self.optimizer = instantiate(self.model.optimizer, self.model.parameters())
        self.autocast = torch.autocast(self.device.type, torch.bfloat16, enabled=precision == "bf16-mixed")
        speed_up(self.model.network, compile)
        self.batches = iter(())
        self.samples = 0

    def _wait(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    def _batch(self):
        ticket = next(self.batches, None)
        if ticket is None:
            self.batches = iter(self.datamodule.train_dataloader())
            ticket = next(self.batches)
        ticket = self.datamodule.transfer_batch_to_device(ticket, self.device, 0)
        return self.datamodule.on_after_batch_transfer(ticket, 0)

    def __call__(self, seconds: dict[str, float]) -> None:
        """Takes one step and adds the time of each part."""
        marks = [self._wait()]

        def timed(part: Callable):
            result = part()
            marks.append(self._wait())
            return result

        def forward():
            with self.autocast:
                return self.model.loss(batch)["loss"]

        batch = timed(self._batch)
        loss = timed(forward)
        timed(loss.backward)
        timed(lambda: (self.optimizer.step(), self.optimizer.zero_grad(set_to_none=True)))
        for name, start, end in zip(PARTS, marks[:-1], marks[1:], strict=True):
            seconds[name] += end - start
        self.samples += int(batch["tokens"]) if "tokens" in batch else len(next(iter(batch.values())))


def benchmark(cfg: DictConfig) -> dict[str, dict[str, float]]:
    """Measures the chosen settings in turns, so that what else the machine does falls on all of them alike.

    Returns:
        For each setting: samples a second of the whole step and of each part.
    """
    for name in cfg.settings:
        if name not in SETTINGS:
            raise UnknownName(f"there is no setting {name!r}{suggest(name, SETTINGS)}")
    steps = {name: Step(cfg, **SETTINGS[name]) for name in cfg.settings}
    for step in steps.values():
        for _ in range(cfg.warmup):
            step(defaultdict(float))
        step.samples = 0
    seconds = {name: defaultdict(float) for name in steps}
    began = time.monotonic()
    while time.monotonic() - began < cfg.seconds * len(steps):
        for name, step in steps.items():
            for _ in range(10):
                step(seconds[name])
    report = {}
    for name, step in steps.items():
        total = step.samples / sum(seconds[name].values())
        report[name] = {"samples/s": round(total)} | {
            f"{part}/s": round(step.samples / seconds[name][part]) for part in PARTS
        }
    return report


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Keeps so many processes busy meanwhile."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def run(cfg: DictConfig) -> None:
    """Prints the report as a table with ratios to its first row, and peak memory."""
    report = benchmark(cfg)
    if cfg.busy:
        with busy(cfg.busy):
            report |= {f"{name} +{cfg.busy}": row for name, row in benchmark(cfg).items()}
    first = next(iter(report.values()))["samples/s"]
    for row in report.values():
        row["ratio"] = round(row["samples/s"] / first, 2)
    columns = list(next(iter(report.values())))
    print(f"{'':<16}" + "".join(f"{column:>14}" for column in columns))
    for name, row in report.items():
        print(f"{name:<16}" + "".join(f"{row[column]:>14}" for column in columns))
    if torch.cuda.is_available():
        print(f"peak memory on the device: {torch.cuda.max_memory_allocated() / 2**20:.0f} MiB")
    print(f"peak memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10:.0f} MiB")
    size = cfg.data.get("batch_size") or f"of {cfg.data.batch_tokens} target tokens"
    print(f"{machine()}, batch {size}")
