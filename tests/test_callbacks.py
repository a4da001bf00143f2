"""Callbacks: a loss that is not finite, a write that fails half way, dropout that follows from the step."""

import os
import signal
import types

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, ModelCheckpoint
from pytorch_lightning.utilities.exceptions import SIGTERMException
from torch import nn

from zoo.training.callbacks import AtomicCheckpointIO, NonFiniteLoss, Progress, StepSeed, StopOnNonFinite
from zoo.training.checkpoints import Last
from zoo.training.launching import own_signals

BATCHES = 4  # an epoch


class Toy(pl.LightningModule):
    """Learns ones through dropout. `events`: what goes wrong in which step, see `training_step`."""

    monitor = "val/loss"

    def __init__(self, events=None):
        super().__init__()
        self.weight, self.dropout = nn.Parameter(torch.zeros(8)), nn.Dropout(0.5)
        self.events, self.masks = events or {}, {}

    def training_step(self, batch, batch_idx):
        event = self.events.get(self.global_step, 1.0)
        if isinstance(event, BaseException):
            raise event
        self.masks[self.global_step] = self.dropout(torch.ones(8)).tolist()
        loss = (self.dropout(self.weight) - batch).square().mean()
        if event == "gradient":
            loss.register_hook(lambda gradient: gradient * torch.nan)
        else:
            loss = loss * event
        self.log("train/loss", loss)
        return loss

    def validation_step(self, batch, batch_idx):
        self.log("val/loss", (self.weight - batch).square().mean().nan_to_num())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)

    def train_dataloader(self):
        return torch.utils.data.DataLoader(torch.ones(BATCHES, 8))

    val_dataloader = train_dataloader


def fit(model, folder, *callbacks, epochs=4, **arguments):
    trainer = pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        default_root_dir=folder,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        callbacks=list(callbacks),
        plugins=[AtomicCheckpointIO()],
    )
    own_signals(trainer)
    trainer.fit(model, weights_only=True, **arguments)
    return trainer


def checkpoints(folder):
    """As in conf/callbacks/default.yaml."""
    common = {"dirpath": folder, "enable_version_counter": False}
    return ModelCheckpoint(filename="best", monitor="val/loss", **common), ModelCheckpoint(filename="last", **common)


def saved(path):
    state = torch.load(path, weights_only=True)
    return state["global_step"], state["state_dict"]["weight"]


# --- a loss that is not finite ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("every_n_steps", [1, 3, 50])
def test_a_loss_that_is_not_finite_stops_with_step_and_batch_and_keeps_the_checkpoint(tmp_path, value, every_n_steps):
    with pytest.raises(NonFiniteLoss) as stopped:
        fit(Toy({6: value}), tmp_path, StopOnNonFinite(every_n_steps), *checkpoints(tmp_path))
    assert "step 6 (epoch 1, batch 2)" in str(stopped.value) and str(value) in str(stopped.value)
    for name in ("best.ckpt", "last.ckpt"):
        step, weight = saved(tmp_path / name)
        assert step == BATCHES and weight.isfinite().all()
    assert not list(tmp_path.glob("*.partial"))


def test_the_kept_checkpoint_is_that_of_the_last_good_epoch(tmp_path):
    with pytest.raises(NonFiniteLoss):
        fit(Toy({6: torch.nan}), tmp_path / "bad", StepSeed(0), StopOnNonFinite(), *checkpoints(tmp_path / "bad"))
    fit(Toy(), tmp_path / "good", StepSeed(0), *checkpoints(tmp_path / "good"), epochs=1)
    assert torch.equal(saved(tmp_path / "bad" / "last.ckpt")[1], saved(tmp_path / "good" / "last.ckpt")[1])


def test_the_first_of_several_bad_losses_is_named(tmp_path):
    with pytest.raises(NonFiniteLoss, match=r"step 5 \(epoch 1, batch 1\)"):
        fit(Toy({5: torch.inf, 6: torch.nan}), tmp_path, StopOnNonFinite(), *checkpoints(tmp_path))


def test_weights_stay_finite_when_every_loss_is_looked_at(tmp_path):
    model = Toy({6: torch.nan})
    with pytest.raises(NonFiniteLoss):
        fit(model, tmp_path, StopOnNonFinite(1))
    assert model.weight.isfinite().all()


def test_finite_losses_stop_nothing(tmp_path):
    assert fit(Toy(), tmp_path, StopOnNonFinite(3)).global_step == 4 * BATCHES


class Tell(Callback):
    """What the system does before a step: SIGTERM."""

    def __init__(self, step):
        self.step = step

    def on_before_backward(self, trainer, *_):
        if trainer.global_step == self.step:
            os.kill(os.getpid(), signal.SIGTERM)


def test_sigterm_saves_after_the_step_in_which_it_comes(tmp_path):
    path, before = tmp_path / "last.ckpt", signal.getsignal(signal.SIGTERM)
    with pytest.raises(SIGTERMException):
        fit(Toy(), tmp_path, Tell(6), StopOnNonFinite(), Last(str(path)))
    step, weight = saved(path)
    assert step == 7 and weight.isfinite().all()
    assert signal.getsignal(signal.SIGTERM) == before


def test_sigterm_after_a_bad_loss_that_nobody_has_looked_at_keeps_the_good_checkpoint(tmp_path):
    path = tmp_path / "last.ckpt"
    with pytest.raises((SIGTERMException, NonFiniteLoss)):
        fit(Toy({5: torch.nan}), tmp_path, Tell(5), StopOnNonFinite(), Last(str(path)))
    step, weight = saved(path)
    assert step == BATCHES and weight.isfinite().all()


def test_a_bad_gradient_in_the_last_step_of_an_epoch_does_not_replace_the_good_checkpoint(tmp_path):
    """The loss of that step is finite, the weights after it are not, and the checkpoint is due."""
    with pytest.raises(NonFiniteLoss):
        fit(Toy({7: "gradient"}), tmp_path, StopOnNonFinite(), *checkpoints(tmp_path))
    assert saved(tmp_path / "last.ckpt")[1].isfinite().all()


# --- a write that fails -----------------------------------------------------------------------------------------------


def half_write(checkpoint, path):
    path.write_bytes(b"half")
    raise OSError("No space left on device")


def test_a_write_that_fails_half_way_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    path, io = tmp_path / "new" / "last.ckpt", AtomicCheckpointIO()
    io.save_checkpoint({"step": 1}, str(path))
    with monkeypatch.context() as patched:
        patched.setattr(torch, "save", half_write)
        with pytest.raises(OSError, match="No space"):
            io.save_checkpoint({"step": 2}, str(path))
    assert io.load_checkpoint(str(path), weights_only=True) == {"step": 1}
    io.save_checkpoint({"step": 3}, str(path))
    assert io.load_checkpoint(str(path), weights_only=True) == {"step": 3}
    assert [file.name for file in path.parent.iterdir()] == ["last.ckpt"]


def test_a_trainer_writes_through_it(tmp_path, monkeypatch):
    fit(Toy(), tmp_path, *checkpoints(tmp_path), epochs=1)
    before = (tmp_path / "last.ckpt").read_bytes()
    monkeypatch.setattr(torch, "save", half_write)
    with pytest.raises(OSError, match="No space"):
        fit(Toy(), tmp_path, *checkpoints(tmp_path), epochs=1)
    assert (tmp_path / "last.ckpt").read_bytes() == before


# --- dropout ----------------------------------------------------------------------------------------------------------


def masks(folder, seed, disturbed=0, **arguments):
    torch.manual_seed(disturbed)
    model = Toy()
    fit(model, folder, StepSeed(seed), *checkpoints(folder), **arguments)
    return model.masks, model.weight.detach()


def test_dropout_is_a_function_of_seed_and_step(tmp_path):
    first, weight = masks(tmp_path / "a", seed=3, disturbed=1)
    again, same = masks(tmp_path / "b", seed=3, disturbed=2)
    assert first == again and torch.equal(weight, same)
    other, _ = masks(tmp_path / "c", seed=4)
    assert first != other
    assert len({tuple(mask) for mask in first.values()}) > 12, "16 steps of 2^8 masks"


def test_dropout_goes_on_after_a_resume_as_if_undisturbed(tmp_path):
    whole, weight = masks(tmp_path / "whole", seed=0)
    masks(tmp_path / "part", seed=0, disturbed=5, epochs=2)
    rest, resumed = masks(tmp_path / "part", seed=0, disturbed=6, ckpt_path=tmp_path / "part" / "last.ckpt")
    assert rest == {step: whole[step] for step in range(2 * BATCHES, 4 * BATCHES)}
    assert torch.equal(resumed, weight)


def test_processes_and_steps_have_seeds_of_their_own():
    drawn = set()
    for step in range(5):
        for rank in range(3):
            for part in range(2):
                trainer = types.SimpleNamespace(
                    global_step=step, world_size=3, global_rank=rank, accumulate_grad_batches=2
                )
                StepSeed(1).on_train_batch_start(trainer, None, None, 2 * step + part)
                drawn.add(torch.rand(1).item())
    assert len(drawn) == 30


def test_progress_is_one_line_an_epoch(tmp_path, capsys):
    fit(Toy(), tmp_path, Progress(), epochs=3)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch")]
    assert [line.split()[1] for line in lines] == ["1/3", "2/3", "3/3"]
    assert all("train/loss" in line and "val/loss" in line and "min left" in line for line in lines)
