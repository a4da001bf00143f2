"""Pictures while training: they appear, go to the loggers, change nothing and stop nothing."""

import random
import warnings
from typing import NamedTuple

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image
from pytorch_lightning.loggers import Logger, TensorBoardLogger
from torch.utils.data import DataLoader

from zoo.looking.attention import Attention
from zoo.looking.figures import Figures, first
from zoo.models.ram.module import LitRAM


class Noisy(LitRAM):
    """Uses every random state when it is asked where it looked."""

    def record(self, batch) -> Attention:
        assert not self.training and not torch.is_grad_enabled() and len(batch["image"]) <= 2
        torch.rand(3), np.random.rand(3), random.random()
        return super().record(batch)


class Pictures(Logger):
    """Remembers the pictures that it is given, or fails."""

    name, version = "pictures", "0"

    def __init__(self, fail: bool = False):
        super().__init__()
        self.fail, self.seen = fail, []

    def log_metrics(self, metrics, step=None) -> None: ...

    def log_hyperparams(self, params, *args, **kwargs) -> None: ...

    def log_image(self, key, images, step=None) -> None:
        if self.fail:
            raise ConnectionError("no network")
        self.seen.append((key, Image.open(images[0]).size, step))


def run(folder, *callbacks, epochs: int = 3, kind=Noisy, logger=False, test: bool = False) -> LitRAM:
    pl.seed_everything(0, verbose=False)
    lit = kind(num_glimpses=2, glimpse_size=4, hidden=8, test_starts=1)
    data = [{"image": torch.rand(1, 12, 12), "label": i % 10, "key": i} for i in range(12)]
    train, val = DataLoader(data, batch_size=4, shuffle=True), DataLoader(data, batch_size=4)
    trainer = pl.Trainer(
        max_epochs=epochs, accelerator="cpu", default_root_dir=folder, logger=logger, callbacks=list(callbacks),
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False, log_every_n_steps=1,
    )  # fmt: skip
    trainer.fit(lit, train, val)
    if test:
        trainer.test(lit, val, verbose=False)
    return lit


def files(folder) -> list[str]:
    return sorted(path.name for path in (folder / "figures").iterdir()) if (folder / "figures").exists() else []


def test_training_is_bit_for_bit_the_same(tmp_path):
    without = run(tmp_path)
    after = torch.rand(1), np.random.rand(), random.random()
    assert not files(tmp_path)
    drawn = run(tmp_path, Figures(every_n_epochs=1, count=1))
    assert files(tmp_path) and after == (torch.rand(1), np.random.rand(), random.random())
    for name, value in without.state_dict().items():
        assert torch.equal(value, drawn.state_dict()[name]), name


def test_every_second_epoch_the_last_one_and_the_test_are_drawn(tmp_path):
    logger = Pictures()
    run(tmp_path, Figures(every_n_epochs=2, count=2), epochs=4, logger=logger, test=True)
    names = ["epoch_000", "epoch_002", "epoch_003", "test"]
    assert files(tmp_path) == [f"{name}_{i}.png" for name in names for i in range(2)]
    keys = [f"attention/{stage}_{i}" for stage in ("val", "val", "val", "test") for i in range(2)]
    assert [key for key, _, _ in logger.seen] == keys
    assert [step for _, _, step in logger.seen] == [3, 3, 9, 9, 12, 12, 12, 12]


def test_tensorboard_gets_the_pictures(tmp_path):
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run(tmp_path, Figures(count=1), epochs=1, logger=TensorBoardLogger(tmp_path, name="tb"))
    events = event_accumulator.EventAccumulator(str(next((tmp_path / "tb").iterdir())))
    events.Reload()
    assert events.Tags()["images"] == ["attention/val_0"]


def test_a_failing_logger_stops_nothing_and_is_told_once(tmp_path):
    with pytest.warns(UserWarning, match="the run goes on.*no network") as told:
        run(tmp_path, Figures(every_n_epochs=1, count=2), logger=Pictures(fail=True))
    assert sum("the run goes on" in str(warning.message) for warning in told) == 1
    assert len(files(tmp_path)) == 6


def test_a_failing_plot_or_record_stops_nothing(tmp_path, monkeypatch):
    class Broken(LitRAM):
        def record(self, batch):
            return Attention(weights=torch.zeros(1))

    with pytest.warns(UserWarning, match="expected.*heads"):
        run(tmp_path, Figures(), epochs=1, kind=Broken)
    (tmp_path / "figures").write_text("a file where the folder should be")
    with pytest.warns(UserWarning, match="the run goes on"):
        run(tmp_path, Figures(count=1), epochs=1)


def test_a_model_without_a_record_is_skipped(tmp_path):
    class Silent(LitRAM):
        def record(self, batch):
            raise NotImplementedError

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        run(tmp_path, Figures(), epochs=1, kind=Silent, test=True)
    assert not files(tmp_path) and not any("figure" in str(warning.message) for warning in told)


def test_settings_are_checked():
    with pytest.raises(ValueError, match="at least 1"):
        Figures(every_n_epochs=0)


class Pair(NamedTuple):
    source: torch.Tensor
    words: list[list[str]]


def test_first_cuts_every_kind_of_batch():
    x, words = torch.arange(6).view(3, 2), [["a"], ["b", "c"], []]
    assert first({"x": x, "n": torch.tensor(7), "words": words, "name": "a"}, 2).keys() == {"x", "n", "words", "name"}
    pair = first(Pair(x, words), 2)
    assert isinstance(pair, Pair) and pair.source.tolist() == [[0, 1], [2, 3]] and pair.words == words[:2]
    assert [part.tolist() for part in first([x, x[:, 0]], 1)] == [[[0, 1]], [0]]  # as torch collates tuples
    assert first((x, 5), 1)[1] == 5 and first([], 1) == [] and first(torch.tensor(7), 1) == 7
