"""How long a run is: by epochs, steps or the clock, on a few batches, and on fewer samples than processes."""

import numpy as np
import pytest
import torch
from pytorch_lightning.callbacks import Callback
from torch.optim import SGD

from datamodules.buckets import Buckets
from datamodules.files import DataError
from datamodules.sampling import EpochBatches
from tests.stops import SMALL
from zoo.errors import ZooError
from zoo.training import running, schedules

BY_THE_CLOCK = ("trainer.max_epochs=-1", "+trainer.max_time=00:00:00:01")


class Seen(Callback):
    """The samples of every batch of training."""

    def __init__(self):
        self.keys = {}

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.keys.setdefault(trainer.current_epoch, []).append(batch["key"].tolist())


def test_a_few_batches_are_overfitted_the_same_in_every_epoch(composed, monkeypatch):
    build, seen = running.build, Seen()

    def with_seen(cfg, folder):
        datamodule, model, trainer = build(cfg, folder)
        trainer.callbacks.append(seen)
        return datamodule, model, trainer

    monkeypatch.setattr(running, "build", with_seen)
    running.train(composed(*SMALL, "+trainer.overfit_batches=2"))
    assert len(seen.keys) == 3 and len(seen.keys[0]) == 2
    assert seen.keys[0] == seen.keys[1] == seen.keys[2]


def test_a_run_that_the_clock_ends(composed, capsys):
    constant = "model.schedule={_target_:zoo.training.schedules.constant}"
    running.train(composed(*SMALL, *BY_THE_CLOCK, constant, "data.limit=320"))
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch ")]
    assert lines[0].startswith("epoch 1  train/loss") and lines[0].endswith(" min"), "nobody knows what is left"


@pytest.mark.parametrize("schedule", ["linear_to_zero", "warmup_linear", "halving"])
def test_a_schedule_that_needs_the_end_refuses_the_clock(schedule):
    more = {"hold": 0.5, "times": 2} if schedule == "halving" else {}
    optimizer = SGD([torch.zeros(1)], 0.1)
    with pytest.raises(ZooError, match="this schedule needs to know when training ends"):
        getattr(schedules, schedule)(optimizer, float("inf"), **more)


def test_the_time_that_is_left_counts_steps_where_these_end_the_run(composed, capsys):
    running.train(composed(*SMALL, "trainer.max_steps=8", "trainer.max_epochs=1"))
    running.train(composed(*SMALL, "trainer.max_steps=8", "trainer.max_epochs=9"))
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch ")]
    assert [line.split()[1] for line in lines] == ["1/1", "1/9", "2/9"]
    assert [line.endswith(" 0.0 min left") for line in lines[::2]] == [True, True]


@pytest.mark.parametrize("shuffle", [True, False])
def test_fewer_samples_than_processes_are_refused(shuffle):
    for rank in range(2):
        with pytest.raises(DataError, match="1 sample cannot be shared out to 2 processes"):
            EpochBatches(1, 4, shuffle=shuffle, rank=rank, world=2)
        with pytest.raises(DataError, match="1 sample cannot be shared out to 2 processes"):
            Buckets(np.array([3]), np.array([3]), batch_size=4, rank=rank, world=2)
