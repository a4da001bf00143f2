"""Between a training and its number: the checkpoint that is tested."""

import json

import pytest
import torch
from pytorch_lightning.callbacks import Callback

from zoo.commands import evaluating
from zoo.training import running

SMALL = (
    "experiment=ram/mnist28_fc256",
    "data.limit=640",
    "data.batch_size=64",
    "trainer.max_epochs=2",
    "trainer.enable_progress_bar=false",
    "logger=none",
    "callbacks.figures=null",
)
STEPS = 10  # of an epoch


class Spoil(Callback):
    """Loses all that was learned in the last step of the training."""

    def on_train_batch_end(self, trainer, module, *_):
        if trainer.global_step == 2 * STEPS:
            for parameter in module.parameters():
                torch.nn.init.zeros_(parameter)


@pytest.mark.parametrize(("mode", "step"), [("null", STEPS), ("max", 2 * STEPS)])
def test_the_best_checkpoint_is_tested_and_not_the_last(mode, step, composed, tmp_path, monkeypatch):
    """Best is the lowest error unless the run says otherwise: then it is the spoilt one."""
    build = running.build

    def spoilt(cfg, folder):
        datamodule, model, trainer = build(cfg, folder)
        trainer.callbacks.insert(0, Spoil())
        return datamodule, model, trainer

    monkeypatch.setattr(running, "build", spoilt)
    running.train(composed(*SMALL, f"mode={mode}"))
    printed = json.loads((tmp_path / "run/metrics.json").read_text())["test/error"]
    monkeypatch.setattr(running, "build", build)
    errors = {}
    for name in ("best", "last"):
        checkpoint = tmp_path / f"run/checkpoints/{name}.ckpt"
        given = ("data.limit=640", "logger=none", "trainer.enable_progress_bar=false", f"ckpt={checkpoint}")
        evaluating.evaluate(composed(SMALL[0], *given, config="evaluate"))
        errors[name] = json.loads((tmp_path / "run/metrics.json").read_text())["test/error"]
    assert torch.load(tmp_path / "run/checkpoints/best.ckpt", weights_only=True)["global_step"] == step
    assert printed == errors["best"] and errors["last"] > 80
    assert (printed < errors["last"] - 20) == (mode == "null")
