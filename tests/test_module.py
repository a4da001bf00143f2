"""What ZooModule adds to Lightning."""

import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from zoo.training.module import ZooModule


class Line(ZooModule):
    def __init__(self):
        super().__init__(nn.Linear(3, 1), {"_target_": "torch.optim.SGD", "lr": 1.0, "fused": True})

    def loss(self, batch):
        return {"loss": 100 * self(batch).sum()}


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_gradients_are_clipped_beside_a_fused_optimiser(precision):
    model = Line()
    before = nn.utils.parameters_to_vector(model.parameters()).detach().clone()
    trainer = pl.Trainer(
        max_steps=1,
        precision=precision,
        gradient_clip_val=0.5,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, torch.utils.data.DataLoader(torch.ones(4, 3), batch_size=4))
    step = nn.utils.parameters_to_vector(model.parameters()) - before
    torch.testing.assert_close(step.norm(), torch.tensor(0.5), rtol=1e-3, atol=0)


def test_the_rate_changes_with_every_step_and_ends_with_the_last():
    """Two epochs of three batches; the schedule is built for the steps of the whole training."""
    rates = []

    class Rates(pl.Callback):
        def on_train_batch_start(self, trainer, *_):
            rates.append(trainer.optimizers[0].param_groups[0]["lr"])

    model = Line()
    model.schedule = {"_target_": "zoo.training.schedules.linear_to_zero"}
    trainer = pl.Trainer(
        max_epochs=2,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[Rates()],
    )
    trainer.fit(model, torch.utils.data.DataLoader(torch.ones(3, 3)))
    assert rates == pytest.approx([1 - step / 6 for step in range(6)])
