"""What a run says of itself: the metrics are those of the best checkpoint, and the last checkpoint is the last."""

import csv
import json

import pytest
import torch

from tests.stops import SMALL
from zoo.training import running
from zoo.training.loggers import CSV, WANDB_ID, wandb_logger


def validations(folder):
    with (folder / "metrics.csv").open() as file:
        return [float(row["val/error"]) for row in csv.DictReader(file) if row["val/error"]]


@pytest.mark.parametrize("every", [1, 2])
def test_metrics_are_of_the_best_checkpoint_and_the_last_one_is_the_last(every, composed, tmp_path):
    epochs = ("trainer.max_epochs=5", f"+trainer.check_val_every_n_epoch={every}", "model.optimizer.lr=0.05")
    found = running.train(composed(*SMALL, *epochs))
    metrics, errors = json.loads((tmp_path / "run/metrics.json").read_text()), validations(tmp_path / "run")
    assert len(errors) == 5 // every
    assert every == 2 or min(errors) < errors[-1], "a case in which they differ"
    assert metrics["val/error"] == found == pytest.approx(min(errors))
    assert metrics["last_val/error"] == pytest.approx(errors[-1])
    steps = {
        name: torch.load(tmp_path / f"run/checkpoints/{name}.ckpt", weights_only=True)["global_step"]
        for name in ("best", "last")
    }
    assert steps == {"best": 5 * every * (1 + errors.index(min(errors))), "last": 25}


def test_a_log_goes_on_after_the_rows_that_a_checkpoint_knows(tmp_path):
    first = CSV(tmp_path, "", "")
    for step in range(3):
        first.log_metrics({"a": step}, step)
    first.log_metrics({"b": 3}, 3)  # a column that the rows which are kept do not have
    first.save()
    again = CSV(tmp_path, "", "")
    again.keep(2)
    again.log_metrics({"a": 7}, 2)
    again.save()
    assert again.rows() == [{"a": a, "step": step} for a, step in (("0", "0"), ("1", "1"), ("7", "2"))]
    again.keep(0)
    assert again.rows() == []


def test_a_run_keeps_its_id_on_weights_and_biases(tmp_path):
    ids = {wandb_logger(str(tmp_path), "zoo", offline=True).version for _ in range(2)}
    assert ids == {(tmp_path / WANDB_ID).read_text()}
    assert wandb_logger(str(tmp_path / "other"), "zoo", offline=True).version not in ids
