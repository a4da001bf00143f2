"""The pictures of the wake-sleep room.

Usage: python scripts/figures/wake_sleep.py curves <run folder> ... [--output docs/wake_sleep_ram_curves.png]
       python scripts/figures/wake_sleep.py paths <name> [--pictures 4] [--output docs/wake_sleep_ram_paths.png]
       python scripts/figures/wake_sleep.py posterior [--output docs/wake_sleep_ram_posterior.png]

`curves` draws training error, gradient variance and effective sample size against updates, of runs with logger=csv and
callbacks=variance. `paths` draws where p looks, and below it where q looks, which knows the answer, at the same digit.
`posterior` draws, for a problem of three places and two glimpses, the policy, the exact posterior of its glimpses given
the answer, and what importance weights of 2, 5 and 50 samples of the policy make of it on average.
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
from zoo.nn.estimators import importance_weights
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
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(folders), fontsize=8)
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


def posterior(output: Path, draws: int = 4000) -> None:
    """Heat maps over the first place (rows) and the second (columns)."""
    random = torch.Generator().manual_seed(4)
    log_p = torch.randn(3, 3, generator=random).flatten().log_softmax(0)  # of the nine paths
    log_y = torch.randn(3, 3, generator=random).mul(1.5).flatten() - 3  # log p(y|a) of one answer
    panels = {"p(a)": log_p.exp(), "p(a|y), exact": (log_p + log_y).softmax(0)}
    for samples in (2, 5, 50):
        drawn = torch.multinomial(log_p.exp(), draws * samples, replacement=True, generator=random).view(draws, samples)
        weights = importance_weights(log_y[drawn], log_p[drawn], log_p[drawn])
        panels[f"weights, M = {samples}"] = torch.zeros(9).index_add(0, drawn.flatten(), weights.flatten()) / draws
    figure = Figure(figsize=(2.1 * len(panels), 2.5), dpi=150, layout="compressed")
    most = max(float(each.max()) for each in panels.values())
    for ax, (title, values) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
        ax.imshow(values.view(3, 3), cmap="inferno", vmin=0, vmax=most)
        for place, value in enumerate(values.tolist()):
            ax.text(
                place % 3, place // 3, f"{value:.2f}", color="white" if value < 0.6 * most else "black", ha="center"
            )
        ax.set_title(title, fontsize=9), ax.set_xticks(range(3)), ax.set_yticks(range(3))
        ax.set_xlabel("second place", fontsize=8)
    figure.axes[0].set_ylabel("first place", fontsize=8)
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
    made = {kind: kinds.add_parser(kind) for kind in ("curves", "paths", "posterior")}
    made["curves"].add_argument("folders", nargs="+", type=Path)
    made["paths"].add_argument("name")
    made["paths"].add_argument("--pictures", type=int, default=4)
    for kind, sub in made.items():
        sub.add_argument("--output", type=Path, default=Path(f"docs/wake_sleep_ram_{kind}.png"))
    given = parser.parse_args()
    if given.kind == "curves":
        curves(given.folders, given.output)
    elif given.kind == "paths":
        paths(given.name, given.pictures, given.output)
    else:
        posterior(given.output)


if __name__ == "__main__":
    main()
