"""A logger that fails or hangs never stops a training."""

import time

import pytest
from pytorch_lightning.loggers import CSVLogger

from tests.conftest import command, last_json
from zoo.training.loggers import guard


class Broken(CSVLogger):
    calls = 0

    def log_metrics(self, *args, **kwargs):
        self.calls += 1
        raise OSError("disk full")


class Hanging(CSVLogger):
    def log_metrics(self, *args, **kwargs):
        time.sleep(5)


class Unopened(CSVLogger):
    @property
    def experiment(self):
        raise RuntimeError("no server")


def test_a_failing_logger_is_silenced_after_its_first_failure(tmp_path):
    logger = guard(Broken(tmp_path))
    with pytest.warns(UserWarning, match="disk full"):
        logger.log_metrics({"a": 1.0}, 0)
    logger.log_metrics({"a": 1.0}, 1)
    assert logger.calls == 1


def test_a_hanging_logger_is_left_behind(tmp_path):
    logger = guard(Hanging(tmp_path), seconds=0.2)
    began = time.monotonic()
    with pytest.warns(UserWarning, match="no answer"):
        logger.log_metrics({"a": 1.0}, 0)
    logger.log_metrics({"a": 1.0}, 1)
    assert time.monotonic() - began < 2


def test_a_logger_that_cannot_be_opened_is_left_out(tmp_path):
    with pytest.warns(UserWarning, match="no server"):
        assert guard(Unopened(tmp_path)) is None


@pytest.mark.xdist_group("ddp")
def test_without_a_login_a_run_is_logged_offline_and_says_how_to_upload_it(tmp_path):
    """As on a fresh machine: no WANDB_MODE, no key, and a home without a netrc."""
    fast = ("debug=fast", "trainer.enable_progress_bar=false", "logger=wandb", f"runs={tmp_path}")
    done = command("train", *fast, WANDB_MODE=None, HOME=str(tmp_path), NETRC=str(tmp_path / "none"))
    assert "wandb sync" in done.stdout and last_json(done.stdout)["test/error"] >= 0
    assert len(list(tmp_path.glob("ram/mnist28_6/*/wandb/offline-run-*"))) == 1


@pytest.mark.xdist_group("ddp")
def test_online_without_a_login_the_training_goes_on(tmp_path):
    fast = ("debug=fast", "trainer.enable_progress_bar=false", "logger=wandb", "+logger.offline=false")
    done = command(
        "train", *fast, f"runs={tmp_path}", WANDB_MODE=None, HOME=str(tmp_path), NETRC=str(tmp_path / "none")
    )
    assert "switched off" in done.stderr and last_json(done.stdout)["test/error"] >= 0
