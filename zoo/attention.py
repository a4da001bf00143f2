"""The attention record: the one format in which every model says where it looked."""

from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class Attention:
    """Where a model looked, for a batch of samples.

    A model that weighs its inputs fills `weights`; one that cuts windows out of an image fills `boxes`; one may fill
    both. Texts name inputs and outputs; images are shown behind weights and boxes.

    Args:
        weights: (batch, heads, outputs, inputs), each row over the valid inputs sums to one (models of one head: heads = 1).
            For images the inputs are the cells of `grid`, row by row.
        boxes: (batch, steps, windows, 4) as (left, top, right, bottom) in pixels of `images`; windows of one step are nested.
        images: (batch, channels, height, width) in [0, 1].
        grid: (rows, columns) of the cells that `weights` is over, for images.
        inputs: for each sample the input names, as many as are valid.
        outputs: for each sample the names of the outputs or steps.
        views: (batch, steps, windows, size, size), what the model saw through each box.
    """

    weights: Tensor | None = None
    boxes: Tensor | None = None
    images: Tensor | None = None
    grid: tuple[int, int] | None = None
    inputs: list[list[str]] = field(default_factory=list)
    outputs: list[list[str]] = field(default_factory=list)
    views: Tensor | None = None
