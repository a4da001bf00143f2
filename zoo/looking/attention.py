"""The attention record: the one format in which every model says where it looked."""

from dataclasses import dataclass, field, fields, replace

import torch
from torch import Tensor

SHAPES = {  # the axes of each tensor
    "weights": ("batch", "heads", "outputs", "inputs"),
    "boxes": ("batch", "steps", "windows", "4"),
    "images": ("batch", "channels", "height", "width"),
    "views": ("batch", "steps", "windows * channels", "size", "size"),
    "frames": ("batch", "steps", "channels", "height", "width"),
    "lattices": ("batch", "steps", "rows", "columns", "2"),
}


@dataclass(frozen=True, eq=False)
class Attention:
    """Where a model looked, for a batch of samples.

    A model that weighs its inputs fills `weights`; one that cuts windows out of an image fills `boxes`; one may fill
    both. Texts name inputs and outputs; images are shown behind weights and boxes.

    ``len(attention)`` is the number of samples, and ``attention[i]`` is the record of one of them.

    Args:
        weights: (batch, heads, outputs, inputs), each row over the valid inputs sums to one (models of one head:
            heads = 1). For images the inputs are the cells of `grid`, row by row.
        boxes: (batch, steps, windows, 4) as (left, top, right, bottom) in pixels of `images`, (0, 0) being the corner
            of the top-left pixel; the windows of one step are nested, the finest first, and may reach beyond the image.
        images: (batch, channels, height, width) in [0, 1].
        grid: (rows, columns) of the cells that `weights` is over, for images.
        inputs: for each sample the input names, as many as are valid; without names all are valid.
        outputs: for each sample the names of the outputs or steps, as many as are valid; without names all are valid.
        views: (batch, steps, windows * channels, size, size), what the model saw through each box, the channels of the
            finest window first.
        frames: (batch, steps, channels, height, width) in [0, 1], what a model that paints had painted after each step;
            boxes are in pixels of these.
        lattices: (batch, steps, rows, columns, 2), of a model that reads an image along a bent lattice: the place of
            each of its points as (x, y), in pixels as boxes are; a step's box holds its lattice.
        layers: of how many layers the heads are, those of the first layer first.

    Raises:
        ValueError: fields that do not belong together; one sentence.
    """

    weights: Tensor | None = None
    boxes: Tensor | None = None
    images: Tensor | None = None
    grid: tuple[int, int] | None = None
    inputs: list[list[str]] = field(default_factory=list)
    outputs: list[list[str]] = field(default_factory=list)
    views: Tensor | None = None
    frames: Tensor | None = None
    lattices: Tensor | None = None
    layers: int = 1

    def __post_init__(self) -> None:
        if self.weights is None and self.boxes is None:
            raise ValueError("an attention record needs weights or boxes")
        for name, axes in SHAPES.items():
            value = getattr(self, name)
            if value is None:
                continue
            if value.ndim != len(axes) or (name == "boxes" and (value.shape[3] != 4 or value.shape[2] == 0)):
                raise ValueError(f"{name} has the shape {tuple(value.shape)}, expected ({', '.join(axes)})")
        for name in (*SHAPES, "inputs", "outputs"):
            value = getattr(self, name)
            unset = value is None or (isinstance(value, list) and not value)
            if not unset and len(value) != len(self):
                raise ValueError(f"{name} is for {len(value)} samples and the record for {len(self)}")
        if self.weights is not None and self.boxes is not None and self.weights.shape[2] != self.boxes.shape[1]:
            raise ValueError(f"weights has {self.weights.shape[2]} outputs and boxes has {self.boxes.shape[1]} steps")
        if self.layers != 1 and (self.weights is None or self.layers < 1 or self.weights.shape[1] % self.layers):
            heads = 0 if self.weights is None else self.weights.shape[1]
            raise ValueError(f"{heads} heads cannot be those of {self.layers} layers")
        self._check_grid()
        self._check_names("outputs", self._sizes()[0])
        self._check_names("inputs", self._sizes()[1])
        self._check_views()
        for name in ("frames", "lattices"):
            value, steps = getattr(self, name), 0 if self.boxes is None else self.boxes.shape[1]
            if value is not None and value.shape[1] != steps:
                raise ValueError(f"{name} is of {value.shape[1]} steps and boxes of {steps}")
        if self.lattices is not None and self.lattices.shape[-1] != 2:
            raise ValueError(f"lattices hold {self.lattices.shape[-1]} numbers for a point, expected (x, y)")

    def __repr__(self) -> str:
        """One line: the shapes of what it holds."""
        held = {name: value for name in SHAPES if (value := getattr(self, name)) is not None}
        return f"Attention({', '.join(f'{name} {tuple(value.shape)}' for name, value in held.items())})"

    def _sizes(self) -> tuple[int, int]:
        """Number of outputs or steps and of inputs, with those that are not valid; without weights no inputs."""
        if self.weights is None:
            return self.boxes.shape[1], 0
        return self.weights.shape[2], self.weights.shape[3]

    def _check_grid(self) -> None:
        if self.grid is None:
            return
        if self.weights is None or self.inputs:
            raise ValueError(
                f"grid is for weights over the cells of an image, not for {'names' if self.inputs else 'boxes'}"
            )
        rows, columns = self.grid
        if rows * columns != self.weights.shape[3]:
            raise ValueError(
                f"a grid of {rows} x {columns} cells does not fit weights over {self.weights.shape[3]} inputs"
            )

    def _check_names(self, name: str, size: int) -> None:
        if name == "inputs" and self.inputs and self.weights is None:
            raise ValueError("inputs names what weights is over, and there are no weights")
        for sample, names in enumerate(getattr(self, name)):
            if isinstance(names, str) or len(names) > size:
                told = "one string" if isinstance(names, str) else f"{len(names)} names"
                raise ValueError(f"{name} of sample {sample} is {told}, expected a list of at most {size} names")

    def _check_views(self) -> None:
        if self.views is None:
            return
        if self.boxes is None:
            raise ValueError("views shows what was seen through boxes, and there are no boxes")
        steps, windows = self.boxes.shape[1:3]
        if self.views.shape[1] != steps or self.views.shape[2] % windows or not self.views.shape[2]:
            seen = tuple(self.views.shape[1:3])
            raise ValueError(f"views is of {seen} steps and windows * channels, and boxes of {(steps, windows)}")

    def __len__(self) -> int:
        return len(self.boxes if self.weights is None else self.weights)

    def __getitem__(self, index: int) -> "Attention":
        """The record of one sample, as a batch of one, without the outputs and inputs that are not valid."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"sample {index} of a record of {len(self)}")
        one = slice(index % len(self), index % len(self) + 1)
        cut = {f.name: value[one] for f in fields(self) if isinstance(value := getattr(self, f.name), Tensor | list)}
        outputs = len(cut["outputs"][0]) if self.outputs else None
        inputs = len(cut["inputs"][0]) if self.inputs else None
        if self.weights is not None:
            cut["weights"] = cut["weights"][:, :, :outputs, :inputs]
        cut |= {name: cut[name][:, :outputs] for name in ("boxes", "views", "frames", "lattices") if name in cut}
        return replace(self, **cut)

    def valid(self) -> tuple[Tensor, Tensor]:
        """Which outputs or steps and which inputs a sample has: (batch, outputs) and (batch, inputs), boolean."""
        device = (self.boxes if self.weights is None else self.weights).device
        masks = []
        for names, size in zip((self.outputs, self.inputs), self._sizes(), strict=True):
            lengths = torch.tensor([len(row) for row in names] or [size] * len(self), device=device)
            masks.append(torch.arange(size, device=device) < lengths[:, None])
        return masks[0], masks[1]

    def entropy(self) -> Tensor:
        """How widely the weights are spread: (batch, heads, outputs) float32 in nats; NaN where there is no output."""
        outputs, weights = self._valid_weights("entropy")
        return -torch.xlogy(weights, weights).sum(-1).masked_fill(~outputs[:, None], torch.nan)

    def change(self) -> Tensor:
        """How far the attention moved from each output to the next, NaN where there is no next.

        Of weights the total variation distance, half the sum of absolute differences, in [0, 1]:
        (batch, heads, outputs - 1) float32. Without weights, the distance between the centres of the finest windows in
        pixels: (batch, steps - 1) float32.
        """
        if self.weights is not None:
            outputs, weights = self._valid_weights("change")
            return (weights.diff(dim=2).abs().sum(-1) / 2).masked_fill(~outputs[:, None, 1:], torch.nan)
        centres = self.boxes[:, :, 0].float().unflatten(-1, (2, 2)).mean(-2)  # (batch, steps, 2)
        return centres.diff(dim=1).norm(dim=-1).masked_fill(~self.valid()[0][:, 1:], torch.nan)

    def mass_on(self, truth: Tensor) -> Tensor:
        """How much of the attention is where it should be, NaN where there is no output.

        Args:
            truth: for weights (batch, inputs) boolean, True where they should be; for boxes (batch, 4) numbers, the
                true box in pixels.

        Returns:
            The share of the weights on the mask: (batch, heads, outputs) float32. Or the share of the true box that the
            finest window covers: (batch, steps) float32.

        Raises:
            ValueError: a truth that does not fit the record, or a true box without area.
        """
        if truth.dtype == torch.bool:
            outputs, weights = self._valid_weights("a boolean truth")
            if truth.shape != (len(self), weights.shape[-1]):
                raise ValueError(f"truth has the shape {tuple(truth.shape)}, expected {(len(self), weights.shape[-1])}")
            return (weights * truth[:, None, None]).sum(-1).masked_fill(~outputs[:, None], torch.nan)
        if self.boxes is None:
            raise ValueError(f"truth is {truth.dtype}, and for weights it is a boolean mask over the inputs")
        if truth.shape != (len(self), 4):
            raise ValueError(f"truth has the shape {tuple(truth.shape)}, expected {(len(self), 4)}")
        truth = truth[:, None].float()  # (batch, 1, 4)
        area = (truth[..., 2:] - truth[..., :2]).clamp(min=0).prod(-1)  # (batch, 1)
        if not area.all():
            raise ValueError(f"the true box of sample {int(area[:, 0].argmin())} has no area")
        finest = self.boxes[:, :, 0].float()  # (batch, steps, 4)
        low, high = finest[..., :2].maximum(truth[..., :2]), finest[..., 2:].minimum(truth[..., 2:])
        return ((high - low).clamp(min=0).prod(-1) / area).masked_fill(~self.valid()[0], torch.nan)

    def _valid_weights(self, what: str) -> tuple[Tensor, Tensor]:
        """Which outputs are valid, and float32 weights that are zero on inputs that are not."""
        if self.weights is None:
            raise ValueError(f"{what} needs weights, and this record has boxes alone")
        outputs, inputs = self.valid()
        return outputs, self.weights.float().masked_fill(~inputs[:, None, None], 0)
