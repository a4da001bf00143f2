"""How a transformer learns: a film of its lattices over the steps, and the mean of what it makes of each class."""

from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from PIL import Image
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from zoo.errors import check_whole
from zoo.models.spatial_transformer.looks import in_pixels

FRAME, REST = 120, 2000  # milliseconds that a frame of the film is shown, and the last one


class Straightening(Callback):
    """Leaves figures/lattices.gif and figures/means.png of the first transformer, on the first validation pictures.

    A run that goes on from a checkpoint shows what followed. Random numbers are left as they are.

    Args:
        every_n_steps: between two looks.
        count: pictures in the film.
        samples: pictures that the means are over.
        rows: times shown in the picture of the means, evenly spread.
    """

    def __init__(self, every_n_steps: int = 200, count: int = 4, samples: int = 1000, rows: int = 6):
        check_whole(1, every_n_steps=every_n_steps, count=count, samples=samples, rows=rows)
        self.every_n_steps, self.count, self.samples, self.rows = every_n_steps, count, samples, rows
        self.steps: list[int] = []
        self.lattices: list[Tensor] = []  # (count, rows, columns, 2) each, in pixels
        self.means: list[Tensor] = []  # (classes, height, width) each
        self.pictures: Tensor | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.look(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step % self.every_n_steps == 0 and trainer.global_step not in self.steps:
            self.look(trainer, pl_module)

    @torch.no_grad()
    def look(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keeps the lattices and means of this moment."""
        data = trainer.datamodule
        index = torch.arange(min(self.samples, data.size("val")), device=pl_module.device)
        batch = data.batch("val", index)
        training = pl_module.network.training
        pl_module.network.eval()
        answer = pl_module.network(batch["image"])
        pl_module.network.train(training)
        if not answer.grids.shape[1]:
            return
        seen, label = answer.outputs[:, 0, 0].float(), batch["label"]  # (n, height, width)
        member = torch.nn.functional.one_hot(label, answer.logits.shape[-1]).float()
        sums = torch.einsum("nc,nhw->chw", member, seen)
        self.steps.append(trainer.global_step)
        self.means.append((sums / member.sum(0).clamp(min=1)[:, None, None]).cpu())
        self.lattices.append(in_pixels(answer.grids[: self.count, 0], *batch["image"].shape[-2:]).cpu())
        self.pictures = batch["image"][: self.count, 0].cpu()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.global_step not in self.steps:
            self.look(trainer, pl_module)
        if self.steps and trainer.is_global_zero:
            folder = Path(trainer.default_root_dir) / "figures"
            folder.mkdir(parents=True, exist_ok=True)
            film(self.pictures, self.lattices, self.steps, folder / "lattices.gif")
            shown = np.unique(np.linspace(0, len(self.steps) - 1, self.rows).round().astype(int)).tolist()
            means([self.means[i] for i in shown], [self.steps[i] for i in shown], folder / "means.png")


def film(pictures: Tensor, lattices: list[Tensor], steps: list[int], path: Path) -> None:
    """An animated GIF of lattices (count, rows, columns, 2) over pictures (count, height, width), a frame a step."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from zoo.looking.plots import draw_lattice, show

    frames = []
    for lattice, step in zip(lattices, steps, strict=True):
        figure = Figure(figsize=(1.8 * len(pictures), 2.1), dpi=80, layout="compressed")
        figure.suptitle(f"step {step}", fontsize=9)
        axes = figure.subplots(1, len(pictures), squeeze=False)[0]
        for ax, picture, points in zip(axes, pictures, lattice, strict=True):
            show(ax, picture[None].numpy())
            ax.set_facecolor("0.25")
            size = np.array(picture.shape[::-1])
            draw_lattice(ax, points.numpy(), picture.shape[::-1])
            ax.set_xlim(-0.3 * size[0], 1.3 * size[0]), ax.set_ylim(1.3 * size[1], -0.3 * size[1])  # of all frames
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        frames.append(Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy()))
    durations = [FRAME] * (len(frames) - 1) + [REST]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=durations, loop=0)


def means(values: list[Tensor], steps: list[int], path: Path) -> None:
    """The mean output of each class (classes, height, width), a row for each of some steps."""
    from matplotlib.figure import Figure

    from zoo.looking.plots import save, show

    classes = len(values[0])
    figure = Figure(figsize=(0.8 * classes + 0.4, 0.85 * len(values) + 0.3), dpi=150, layout="compressed")
    for row, value, step in zip(figure.subplots(len(values), classes, squeeze=False), values, steps, strict=True):
        for label, (ax, mean) in enumerate(zip(row, value, strict=True)):
            show(ax, mean[None].numpy())
            if value is values[0]:
                ax.set_title(str(label), fontsize=8)
        row[0].set_ylabel(f"step {step}", fontsize=7)
    save(figure, path)
