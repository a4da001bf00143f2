"""The pictures of the wake-sleep room.

Usage: python scripts/figures/wake_sleep.py curves <run folder> ... [--output docs/wake_sleep_ram_curves.png]
       python scripts/figures/wake_sleep.py paths <name> [--pictures 4] [--output docs/wake_sleep_ram_paths.png]

`curves` draws training error, gradient variance and effective sample size against updates, of runs with logger=csv and
callbacks=variance. `paths` draws where p looks, and below it where q looks, which knows the answer, at the same digit.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
import torch
import yaml
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

import zoo
from datamodules.mnist import MNIST
from zoo.looking.plots import save, show
from zoo.models.wake_sleep_ram.noise import draw_noise
from zoo.release import read_config

COLOURS = {"var": "#D55E00", "wake_p": "#0072B2", "wake_q": "#009E73", "vimco": "#CC79A7"}  # Okabe and Ito's
PANELS = {
    "train/error": "training error, %",
    "train/variance_policy": "variance of the policy's gradient",
    "train/ess": "effective samples / M",
}
WINDOW = 10  # logged points that a point of the curve is a mean over


def read(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps and values of what a run logged under a name."""
    (path,) = folder.rglob("metrics.csv")
    rows = [row for row in csv.DictReader(path.open()) if row.get(name)]
    return np.array([int(row["step"]) for row in rows]), np.array([float(row[name]) for row in rows])


def smooth(values: np.ndarray) -> np.ndarray:
    """A mean over the last points, as many as there are at first."""
    sums = np.concatenate(([0.0], values.cumsum()))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - WINDOW, 0)
    return (sums[ends] - sums[starts]) / (ends - starts)


def curves(folders: list[Path], output: Path) -> None:
    """Three panels, a line for each run: solid with control variates, dashed without."""
    figure = Figure(figsize=(11, 3.4), dpi=150, layout="compressed")
    axes = figure.subplots(1, 3)
    for folder in sorted(folders):
        config = yaml.safe_load((folder / ".hydra/config.yaml").read_text())["estimator"]
        style = {"color": COLOURS[config["kind"]], "linestyle": "-" if config["control"] else "--", "linewidth": 1.4}
        label = f"{config['kind']}{', control variate' if config['control'] else ''}"
        for ax, name in zip(axes, PANELS, strict=True):
            steps, values = read(folder, name)
            values = values / config["samples"] if name == "train/ess" else values
            values = values if "variance" in name else smooth(values)
            ax.plot(steps, values, label=label, **style)
    for ax, title in zip(axes, PANELS.values(), strict=True):
        ax.set_title(title, fontsize=10), ax.set_xlabel("updates", fontsize=9)
        ax.tick_params(labelsize=8), ax.grid(alpha=0.3)
    axes[1].set_yscale("log")
    axes[0].legend(fontsize=8)
    save(figure, output)


def paths(name: str, count: int, output: Path) -> None:
    """A row of test digits with the glimpses that p draws, and below it with those that q draws."""
    config, network = read_config(zoo.registry.released(name)), zoo.create_model(name, pretrained=True)
    data = MNIST(canvas=config["preprocess"]["size"], scale=[0.5, 1.5])
    data.setup()
    batch = data.batch("test", torch.arange(count))
    noise = draw_noise(batch["key"], 1, network.num_glimpses)
    figure = Figure(figsize=(2.1 * count + 0.3, 4.7), dpi=150, layout="compressed")
    axes = figure.subplots(2, count, squeeze=False)
    for row, label, who in ((0, None, "p"), (1, batch["label"], "q")):
        with torch.no_grad():
            answers = network(batch["image"], noise, label).logits[:, 0].argmax(-1)
        boxes = network.record(batch["image"], noise, label).boxes[:, :, 0]
        for ax, image, seen, answer, truth in zip(
            axes[row], batch["image"], boxes, answers.tolist(), batch["label"].tolist(), strict=True
        ):
            draw(ax, image.numpy(), seen.numpy())
            told = f"truth {truth}, answer {answer}" if who == "p" else f"told {truth}"
            ax.set_title(f"{who}: {told}", fontsize=8)
    save(figure, output)


def draw(ax, image: np.ndarray, boxes: np.ndarray) -> None:
    """A picture with the windows (N, 4) of its glimpses, numbered, and the path of their centres."""
    show(ax, image)
    ax.set_facecolor("0.25")
    colours = np.array([[0.34, 0.71, 0.91], [0.0, 0.62, 0.45], [0.94, 0.89, 0.26], [0.84, 0.37, 0.0]])
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    ax.plot(*centres.T, color="white", linewidth=0.8)
    for n, (left, top, right, bottom) in enumerate(boxes):
        colour = colours[n % len(colours)]
        ax.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, color=colour, linewidth=1.4))
        ax.text(left + 1, top + 1, str(n + 1), color=colour, fontsize=8, va="top")
    size = image.shape[-1]
    ax.set_xlim(-24, size + 24), ax.set_ylim(size + 24, -24)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    for kind, argument in (("curves", "folders"), ("paths", "name")):
        sub = kinds.add_parser(kind)
        sub.add_argument(argument, nargs="+" if kind == "curves" else None, type=Path if kind == "curves" else str)
        sub.add_argument("--output", type=Path, default=Path(f"docs/wake_sleep_ram_{kind}.png"))
        if kind == "paths":
            sub.add_argument("--pictures", type=int, default=4)
    given = parser.parse_args()
    if given.kind == "curves":
        curves(given.folders, given.output)
    else:
        paths(given.name, given.pictures, given.output)


if __name__ == "__main__":
    main()
