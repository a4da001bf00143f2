"""Draws a sample of an attention record: an alignment matrix, a glimpse path, a painting, or maps over an image."""

import io
import math
import os
from pathlib import Path

import matplotlib
import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from torch import Tensor

from zoo.looking.attention import Attention
from zoo.looking.film import film
from zoo.looking.names import labels, ticked

MOST = 13.0  # inches that a figure is at most wide or high
FAINTEST = 0.05  # weights below are not drawn as lines
PATH = "#56B4E9"  # sky blue of Okabe and Ito's colours for all kinds of colour vision
MARKED = 9  # points of the words at panels
OUTLINE = [withStroke(linewidth=2.5, foreground="black", alpha=0.7)]  # lines show on white ink as on a black ground


class Shown(Figure):
    """A figure that a notebook shows where a cell ends with it, whatever backend is chosen."""

    def _repr_png_(self) -> bytes:
        data = io.BytesIO()
        self.savefig(data, format="png")
        return data.getvalue()


def plot(
    attention: Attention,
    path: str | Path | None = None,
    index: int = 0,
    title: str | None = None,
    lines: bool = False,
) -> Figure:
    """Draws one sample in the way that fits what the record holds: boxes, weights over a grid, or weights over names.

    Args:
        path: where to save, in the format of its ending (png without one); a kill leaves the old file or the new one.
            Boxes are saved as a film where it ends in .gif.
        lines: whether weights over names are drawn as lines between them, and not as matrices.

    Raises:
        ValueError: an image is missing or cannot be drawn, lines where there are no names, or the file's ending is of
            no known format.
    """
    kind = heat_maps if attention.grid else alignment_matrix
    if attention.boxes is not None:
        kind = glimpse_path if attention.frames is None else painting
        if attention.lattices is not None:
            kind = bent_lattice
    if lines and kind is not alignment_matrix:
        raise ValueError("lines are drawn between names, and this record is of an image")
    figure = (head_lines if lines else kind)(attention, index, title)
    if path is not None and attention.boxes is not None and Path(path).suffix.lower() == ".gif":
        film(attention[index], path)
    elif path is not None:
        save(figure, path)
    return figure


def save(figure: Figure, path: str | Path) -> None:
    """Writes a figure beside its file and renames; the folder must be there.

    Raises:
        OSError, ValueError: there is no such folder, or the ending is of no known format.
    """
    path = Path(path)
    partial = path.with_name(f"{path.name}.partial")
    try:
        figure.savefig(partial, format=path.suffix[1:] or "png")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def alignment_matrix(attention: Attention, index: int = 0, title: str | None = None) -> Figure:
    """Inputs on x, outputs on y; black is 0, white the largest weight, which the scale beside it shows.

    One panel for each head, a row for each of several layers.
    """
    one = attention[index]
    weights = _array(one.weights)[0]  # (heads, outputs, inputs)
    heads, outputs, inputs = weights.shape
    inputs, outputs = ticked(one.inputs, inputs), ticked(one.outputs, outputs)
    axis_names = _axis_names(one)
    columns = heads // one.layers if one.layers > 1 else math.ceil(math.sqrt(heads))
    rows = math.ceil(heads / columns)
    cell = min(0.32, MOST / max(columns * len(inputs), 1), MOST / max(rows * len(outputs), 1))
    font = min(max(cell * 72 * 0.65, 4.0), 10.0)
    every = math.ceil(font * 1.1 / (cell * 72))  # label only so many that they do not touch
    wide, high = (max(map(len, names), default=1) * font / 72 * 0.62 + 0.2 for names in (outputs, inputs))
    bar = 0.9  # inches for the scale
    width = columns * max(cell * len(inputs), 0.8) + wide + 0.25 * columns + bar
    height = rows * (max(cell * len(outputs), 0.8) + 0.3) + high + (0.3 if title else 0)
    figure = _figure(width + 0.3, height + 0.3, title)
    axes = figure.subplots(rows, columns, squeeze=False)
    colours = ScalarMappable(Normalize(0, _largest(weights)), "gray")
    panel = max(cell * len(inputs), 0.8)
    for head, ax in enumerate(axes.flat):
        if head >= heads or not weights[head].size:
            ax.set_axis_off()
            continue
        ax.imshow(weights[head], cmap=colours.cmap, norm=colours.norm, interpolation="nearest")
        ax.set_xticks(np.arange(len(inputs) + 1) - 0.5, minor=True)
        ax.set_yticks(np.arange(len(outputs) + 1) - 0.5, minor=True)
        if every == 1:
            ax.grid(which="minor", color="0.3", linewidth=0.4)
        ax.tick_params(which="both", length=0)
        ax.xaxis.tick_top()
        top, left = head < columns, head % columns == 0
        ax.set_xticks(*labels(inputs, every, top), rotation=90, fontsize=font, parse_math=False)
        ax.set_yticks(*labels(outputs, every, left), fontsize=font, parse_math=False)
        if heads > 1:
            layer, within = divmod(head, heads // one.layers)
            where = f"layer {layer + 1}, " if one.layers > 1 else ""
            name = f"{where}head {within + 1}"
            ax.set_xlabel(name, fontsize=_fitting(panel, name))
    figure.supxlabel(axis_names[0], fontsize=10), figure.supylabel(axis_names[1], fontsize=10)
    _scale(figure, colours, axes)
    return figure


def head_lines(attention: Attention, index: int = 0, title: str | None = None) -> Figure:
    """Lines from each output (left) to the inputs (right), a colour for each head, as strong as the weight.

    The strongest line is of the largest weight, which is told below. A panel for each layer; after figures 3 to 5 of
    Vaswani et al. 2017.
    """
    one = attention[index]
    weights = _array(one.weights)[0]  # (heads, outputs, inputs)
    layers = weights.reshape(one.layers, -1, *weights.shape[1:])
    sides = [ticked(names, size) for names, size in zip((one.outputs, one.inputs), weights.shape[1:], strict=True)]
    most_weight = _largest(weights)
    longest, most = max(map(len, sides)), max((len(name) for side in sides for name in side), default=1)
    wide = most * 0.08
    colours = matplotlib.colormaps["tab10" if layers.shape[1] <= 10 else "tab20"].colors
    shifts = np.linspace(-0.25, 0.25, layers.shape[1]) if layers.shape[1] > 1 else [0]  # heads do not hide each other
    width = one.layers * (1.4 + 2 * wide)
    figure = _figure(width, min(0.2 * longest + 0.5, MOST) + (0.3 if title else 0), title)
    axes = figure.subplots(1, one.layers, squeeze=False)[0]
    for layer, (ax, heads) in enumerate(zip(axes, layers, strict=True)):
        for head, (matrix, shift) in enumerate(zip(heads, shifts, strict=True)):
            rows, columns = np.nonzero(matrix > FAINTEST * most_weight)
            ends = [((0, row + shift), (1, column + shift)) for row, column in zip(rows, columns, strict=True)]
            alpha = (matrix[rows, columns] / most_weight).clip(0, 1)
            ax.add_collection(LineCollection(ends, colors=colours[head % len(colours)], alpha=alpha, linewidths=1.5))
        for x, names, align in ((-0.04, sides[0], "right"), (1.04, sides[1], "left")):
            for place, name in enumerate(names):
                ax.text(x, place, name, ha=align, va="center", fontsize=8, parse_math=False)
        ax.set_xlim(0, 1), ax.set_ylim(longest - 0.5, -0.5)
        ax.set_axis_off()
        if one.layers > 1:
            ax.set_title(f"layer {layer + 1}", fontsize=9)
    inputs, outputs = _axis_names(one)
    told = f"{outputs} on the left, {inputs} on the right; the strongest line is {most_weight:.2g}"
    if layers.shape[1] > 1:
        keys = [Line2D([], [], color=colours[head % len(colours)]) for head in range(layers.shape[1])]
        names = [f"head {head + 1}" for head in range(len(keys))]
        where = {"loc": "outside lower center", "ncols": 8, "fontsize": 8, "title_fontsize": 8}
        figure.legend(keys, names, title=told, frameon=False, **where)
    else:
        figure.supxlabel(told, fontsize=8)
    return figure


def glimpse_path(attention: Attention, index: int = 0, title: str | None = None) -> Figure:
    """The image with the path (filled circle at the start, open circle at the end) and the windows of each step.

    All pictures of one size of image and window are of one scale.

    Beside it what was seen at each step, one row for each window; the colour of a step is that of its windows.
    """
    one = attention[index]
    image, boxes = _image(one), _array(one.boxes)[0]  # (steps, windows, 4)
    steps, windows = boxes.shape[:2]
    names = ticked(one.outputs, steps)
    seen = np.unique(np.linspace(0, steps - 1, min(steps, 16)).round().astype(int)) if one.views is not None else []
    side = 4.2
    cell = min(1.2, 8 / max(len(seen), 1), (side - 0.3) / windows - 0.1)
    beside = (cell + 0.08) * len(seen) + 0.5 if len(seen) else 0
    figure = _figure(side + beside, side + (0.4 if title else 0), title)
    scene, strip = figure.subfigures(1, 2, width_ratios=(side, beside)) if beside else (figure, None)
    colours = matplotlib.colormaps["plasma"](np.linspace(0.42, 0.97, max(steps, 1)))
    _draw_path(scene.subplots(), image, boxes, colours)
    if strip is not None:
        views = _array(one.views)[0]  # (steps, windows * channels, size, size)
        views = views.reshape(steps, windows, -1, *views.shape[2:])
        axes = strip.subplots(windows, len(seen), squeeze=False)
        width = boxes[..., 2] - boxes[..., 0]  # (steps, windows)
        one_width = (width == width[:1]).all(0)
        for (window, column), ax in np.ndenumerate(axes):
            step = seen[column]
            show(ax, views[step, window])
            for spine in ax.spines.values():
                spine.set(color=colours[step], linewidth=2)
            if window == 0:
                ax.set_title(names[step], fontsize=_fitting(cell, *names), parse_math=False)
            if column == 0 and one_width[window]:
                ax.set_ylabel(f"{width[0, window]:.3g} px", fontsize=9)
            elif not one_width[window]:
                ax.set_xlabel(f"{width[step, window]:.3g} px", fontsize=_fitting(cell, "000 px"))
    return figure


def bent_lattice(attention: Attention, index: int = 0, title: str | None = None) -> Figure:
    """The image with the lattice of each step drawn on it, its border thick, and beside it what was read along it."""
    one = attention[index]
    image, lattices = _image(one), _array(one.lattices)[0]  # (steps, rows, columns, 2)
    steps = len(lattices)
    views = None if one.views is None else _array(one.views)[0]
    names, side = ticked(one.outputs, steps), 3.2
    columns = 1 if views is None else 2
    figure = _figure(side * columns, side * steps + (0.4 if title else 0), title)
    axes = figure.subplots(steps, columns, squeeze=False)
    for step, (row, lattice) in enumerate(zip(axes, lattices, strict=True)):
        show(row[0], image)
        row[0].set_facecolor("0.25")  # what is outside the image
        draw_lattice(row[0], lattice, image.shape[:0:-1])
        if views is not None:
            show(row[1], views[step])
        if steps > 1:
            row[0].set_ylabel(names[step], fontsize=9, parse_math=False)
    return figure


def draw_lattice(ax: Axes, lattice: np.ndarray, size: tuple[int, ...], lines: int = 8) -> None:
    """About so many lines of a lattice (rows, columns, 2) each way, in view as far as twice the image's size (x, y)."""
    for points in (lattice, lattice.swapaxes(0, 1)):
        shown = np.unique(np.linspace(0, len(points) - 1, min(lines, len(points))).round().astype(int))
        ax.add_collection(LineCollection(list(points[shown]), colors=PATH, linewidths=0.7, alpha=0.9))
        edges = [points[0], points[-1]]
        ax.add_collection(LineCollection(edges, colors="red", linewidths=1.6))
    size = np.array(size)
    low = np.minimum(lattice.min((0, 1)), 0).clip(-size / 2) - 0.5
    high = np.maximum(lattice.max((0, 1)), size).clip(max=1.5 * size) + 0.5
    ax.set_xlim(low[0], high[0]), ax.set_ylim(high[1], low[1])


def painting(attention: Attention, index: int | None = 0, title: str | None = None) -> Figure:
    """About ten frames from the first to the last, the window of each as a red square; before them the image.

    After figures 1 and 6 of Gregor et al. 2015.

    Args:
        index: of a sample, or None for a row of frames for each.
    """
    samples = range(len(attention)) if index is None else [index]
    steps = attention.boxes.shape[1]
    seen = np.unique(np.linspace(0, steps - 1, min(steps, 10)).round().astype(int))
    given = attention.images is not None and not torch.equal(attention.images, attention.frames[:, -1])
    columns, cell = len(seen) + given, min(1.1, (MOST - 1) / len(samples))
    figure = _figure(columns * cell + 0.3, len(samples) * cell + (0.6 if title else 0.3), title)
    axes = figure.subplots(len(samples), columns, squeeze=False)
    for row, sample in zip(axes, samples, strict=True):
        one = attention[sample]
        names, boxes, frames = ticked(one.outputs, steps), _array(one.boxes)[0], _array(one.frames)[0]
        if given:
            show(row[0], _image(one))
        for step, ax in zip(seen, row[given:], strict=True):
            show(ax, frames[step])
            left, top, right, bottom = boxes[step, 0]
            ax.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, color="red", linewidth=1.2))
            if sample == samples[0]:
                ax.set_title(names[step], fontsize=8, parse_math=False)
    return figure


def heat_maps(attention: Attention, index: int = 0, title: str | None = None) -> Figure:
    """The image and, for each output, the weights over it; the heads are rows, and all panels share one scale."""
    one = attention[index]
    image, weights = _image(one), one.weights.float()
    heads, outputs = weights.shape[1:3]
    names = ticked(one.outputs, outputs)
    maps = weights[0].unflatten(-1, one.grid)  # (heads, outputs, rows, columns)
    smooth = _array(F.interpolate(maps, size=image.shape[1:], mode="bicubic").clamp(min=0))
    grey = np.broadcast_to(image.mean(0, keepdims=True), (1, *image.shape[1:]))
    columns = outputs + 1 if heads > 1 else min(outputs + 1, max(5, math.ceil(math.sqrt(2 * (outputs + 1)))))
    rows = heads if heads > 1 else math.ceil((outputs + 1) / columns)
    cell = min(1.7, (MOST - 1) / columns, (MOST - 1) / (rows + 0.2))
    figure = _figure(columns * cell + 1, rows * (cell + 0.25) + (0.4 if title else 0), title)
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax in axes.flat:
        ax.set_axis_off()
    most = max(float(_array(weights).max(initial=0)), 1e-6)
    colours = ScalarMappable(Normalize(0, most), "inferno")
    panels = [(head, output) for head in range(heads) for output in range(-1, outputs)]  # -1: the image alone
    for (head, output), ax in zip(panels, axes.flat, strict=False):
        show(ax, image if output < 0 else grey)
        ax.set_axis_off()
        if output < 0:
            ax.set_title(f"head {head + 1}" if heads > 1 else "", fontsize=9)
            continue
        if head == 0:
            ax.set_title(names[output], fontsize=_fitting(cell, *names), parse_math=False)
        extent = (0, image.shape[2], image.shape[1], 0)
        share = (smooth[head, output] / most).clip(0, 1)
        ax.imshow(
            smooth[head, output], cmap=colours.cmap, norm=colours.norm, alpha=0.2 + 0.5 * share**0.5, extent=extent
        )
    _scale(figure, colours, axes)
    return figure


def _figure(width: float, height: float, title: str | None) -> Figure:
    figure = Shown(figsize=(max(width, 2), max(height, 1.5)), dpi=150, layout="compressed")
    if title:
        figure.suptitle(title, fontsize=11, parse_math=False)
    return figure


def _fitting(width: float, *names: str) -> float:
    """Points of a font in which the longest of the names is no wider than its panel, in inches."""
    return min(MARKED, max(4.0, width * 72 / (0.62 * max(map(len, names), default=1))))


def _largest(weights: np.ndarray) -> float:
    """The largest weight, which is drawn brightest."""
    most = float(weights.max(initial=0))
    return most if math.isfinite(most) and most > 0 else 1.0


def _axis_names(one: Attention) -> tuple[str, str]:
    """What the inputs and the outputs of weights over names are."""
    itself = bool(one.inputs) and one.inputs == one.outputs
    return ("what is looked at", "what looks") if itself else ("source", "target")


def _scale(figure: Figure, shown: ScalarMappable, axes: np.ndarray) -> None:
    bar = figure.colorbar(shown, ax=axes, fraction=0.03, aspect=30, shrink=0.8, pad=0.02)
    bar.set_label("weight", fontsize=9)
    bar.ax.tick_params(labelsize=8)


def _draw_path(ax: Axes, image: np.ndarray, boxes: np.ndarray, colours: np.ndarray) -> None:
    show(ax, image)
    ax.set_facecolor("0.25")  # what is outside the image
    for step, colour in reversed(list(zip(boxes, colours, strict=True))):
        for window, (left, top, right, bottom) in enumerate(step):
            style = {"linewidth": 1.6} if window == 0 else {"linewidth": 0.8, "alpha": 0.75}
            ax.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, color=colour, **style))
    # the image and all finest windows are in view, the wider ones are cut off; a window at any place of the image fits
    half = (boxes[:, 0, 2:] - boxes[:, 0, :2]).max(0, initial=0) / 2
    low = np.minimum(boxes[:, 0, :2].min(0, initial=0), -half) - 0.5
    high = np.maximum(boxes[:, 0, 2:].max(0, initial=0), image.shape[:0:-1] + half) + 0.5
    ax.set_xlim(low[0], high[0]), ax.set_ylim(high[1], low[1])
    centres = (boxes[:, 0, :2] + boxes[:, 0, 2:]) / 2  # (steps, 2)
    ax.plot(*centres.T, color=PATH, linewidth=1.6, path_effects=OUTLINE)
    for name, centre, face in (("start", centres[:1], PATH), ("end", centres[-1:], "none")):
        ax.plot(
            *centre.T, "o", markersize=8, color=PATH, markerfacecolor=face, markeredgewidth=1.8, path_effects=OUTLINE
        )
        for x, y in centre:
            side = 1 if x < sum(ax.get_xlim()) / 2 else -1  # towards the middle, where there is room
            ax.annotate(
                *(name, (x, y), (7 * side, 7)),
                textcoords="offset points",
                ha="left" if side > 0 else "right",
                color="white",
                fontsize=MARKED,
                path_effects=OUTLINE,
            )


def show(ax: Axes, image: np.ndarray) -> None:
    """(channels, height, width); the corners between its pixels are whole numbers, as those of boxes."""
    height, width = image.shape[1:]
    shown = image.transpose(1, 2, 0).clip(0, 1)
    shown = shown[..., 0] if shown.shape[-1] == 1 else shown
    ax.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="nearest", extent=(0, width, height, 0))
    ax.set_xticks([]), ax.set_yticks([])


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().float().cpu().numpy()


def _image(one: Attention) -> np.ndarray:
    """(channels, height, width) of the only sample."""
    if one.images is None:
        raise ValueError("boxes and grids are drawn over images, and this record has none")
    if one.images.shape[1] not in (1, 3):
        raise ValueError(f"an image of {one.images.shape[1]} channels cannot be drawn, only one of 1 or 3")
    return _array(one.images)[0]
