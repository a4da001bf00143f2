"""How much an estimate of the gradient varies from draw to draw, the weights and pictures being the same."""

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from zoo.errors import ZooError, check_whole
from zoo.models.wake_sleep_ram.module import LitWakeSleepRAM


def policy_and_rest(lit: LitWakeSleepRAM) -> dict[str, list[Tensor]]:
    """The parameters of the policy's two heads, and all of theta; the inference network's are neither."""
    named = [(name, p) for name, p in lit.network.named_parameters() if not name.startswith("inference.")]
    return {
        "policy": [p for name, p in named if name.startswith(("locate.", "choose."))],
        "theta": [p for _, p in named],
    }


def gradient_variance(lit: LitWakeSleepRAM, batch: dict[str, Tensor], draws: int, seed: int = 0) -> dict[str, float]:
    """The variance of a parameter's gradient over redraws of all glimpses, mean over parameters; "policy" and "theta".

    Gradients are of the mean over the batch, without clipping.
    """
    check_whole(2, draws=draws)
    random = torch.Generator().manual_seed(seed)
    groups = policy_and_rest(lit)
    parameters = groups["theta"]
    mean, square = ([torch.zeros_like(p) for p in parameters] for _ in range(2))
    for k in range(draws):
        key = torch.randint(2**62, batch["key"].shape, generator=random).to(batch["key"].device)
        found = torch.autograd.grad(lit.loss({**batch, "key": key})["loss"], parameters)
        for m, s, g in zip(mean, square, found, strict=True):  # Welford's running sums
            before = g - m
            m += before / (k + 1)
            s += before * (g - m)
    spread = dict(zip(map(id, parameters), square, strict=True))
    return {
        name: float(torch.cat([spread[id(p)].flatten() for p in group]).mean()) / (draws - 1)
        for name, group in groups.items()
    }


class Variance(Callback):
    """Logs train/variance_policy and train/variance_theta, on the same validation pictures every time.

    Random numbers and gradients are left as they are.

    Args:
        every_n_steps: between two looks; the first is before the first update.
        draws: of all glimpses, for each look.
        samples: pictures of the batch.
    """

    def __init__(self, every_n_steps: int = 500, draws: int = 20, samples: int = 64):
        check_whole(1, every_n_steps=every_n_steps, samples=samples)
        check_whole(2, draws=draws)
        self.every_n_steps, self.draws, self.samples = every_n_steps, draws, samples

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not isinstance(pl_module, LitWakeSleepRAM):
            raise ZooError("callbacks=variance is of wake_sleep_ram's rows scaled100_*, whose glimpses are redrawn")

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step % self.every_n_steps or not trainer.loggers:
            return
        data = trainer.datamodule
        index = torch.arange(min(self.samples, data.size("val")), device=pl_module.device)
        with trainer.precision_plugin.forward_context():
            found = gradient_variance(pl_module, data.batch("val", index), self.draws)
        for logger in trainer.loggers:
            logger.log_metrics({f"train/variance_{name}": value for name, value in found.items()}, trainer.global_step)
