"""Spatial Transformer Networks (Jaderberg, Simonyan, Zisserman, Kavukcuoglu; NIPS 2015; arXiv 1506.02025)."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from zoo.errors import ZooError, check_whole
from zoo.nn.grid import Grid, make_grid, sample
from zoo.nn.kernels import at_least_float32


class Warp(NamedTuple):
    """What a transformer did."""

    output: Tensor  # V: (batch, channels, height', width')
    grid: Tensor  # T_theta(G): (batch, height', width', 2) as (x, y) in [-1, 1] of the input
    theta: Tensor  # (batch, P)


class SpatialTransformer(nn.Module):
    """Localisation network, grid generator and sampler (section 3), for a picture or a feature map.

    The last layer of the localisation starts with zero weights and the identity as its bias (appendix A.4).

    Args:
        localise: U to features (batch, features).
        features: that the localisation ends in.
        grid: "affine", "attention", "projective" or "tps", or a grid.
        size: (height', width') of the output.
        bounded: the parameters are the tanh of what the localisation says (after WarBean's code, for "tps").
        start: (P,) where the parameters start; None for the identity.
    """

    def __init__(
        self,
        localise: nn.Module,
        features: int,
        grid: str | Grid,
        size: tuple[int, int],
        bounded: bool = False,
        start: Tensor | None = None,
    ):
        super().__init__()
        self.localise = localise
        self.grid = make_grid(grid, *size) if isinstance(grid, str) else grid
        self.bounded = bounded
        start = self.grid.identity if start is None else start
        if bounded and not start.abs().max() < 1:
            raise ZooError("bounded parameters start inside (-1, 1); a TPS of reach 0.9 does")
        self.regress = nn.Linear(features, len(start))
        nn.init.zeros_(self.regress.weight)
        with torch.no_grad():
            self.regress.bias.copy_(start.atanh() if bounded else start)

    def forward(self, U: Tensor, seen: Tensor | None = None) -> Warp:
        """U: (batch, channels, height, width). What the localisation sees may be another picture than U."""
        seen = (U if seen is None else seen).to(self.regress.weight.dtype)
        theta = at_least_float32(self.regress(self.localise(seen)))
        theta = theta.tanh() if self.bounded else theta
        grid = self.grid(theta)
        return Warp(sample(U, grid), grid, theta)


def fully_connected_localisation(channels: int, size: int) -> tuple[nn.Module, int]:
    """Of ST-FCN: three hidden layers of 32 (appendix A.4)."""
    return nn.Sequential(
        nn.Flatten(),
        *(nn.Linear(channels * size**2, 32), nn.ReLU()),
        *(nn.Linear(32, 32), nn.ReLU()),
        *(nn.Linear(32, 32), nn.ReLU()),
    ), 32


def convolutional_localisation(channels: int, size: int) -> tuple[nn.Module, int]:
    """Of ST-CNN: on a picture of half the size, two convolutions of 20 filters of 5 x 5 and a layer of 20 (A.4)."""
    side = (size // 2 - 4) // 2 - 4
    if side < 1:
        raise ZooError(f"a picture of {size} pixels is too small for the convolutional localisation; it needs 28")
    return nn.Sequential(
        nn.AvgPool2d(2),
        *(nn.Conv2d(channels, 20, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(20, 20, 5), nn.ReLU()),
        nn.Flatten(),
        *(nn.Linear(20 * side**2, 20), nn.ReLU()),
    ), 20


def fcn(channels: int, size: int, width: int, num_classes: int) -> nn.Module:
    """Two hidden layers (A.4)."""
    return nn.Sequential(
        nn.Flatten(),
        *(nn.Linear(channels * size**2, width), nn.ReLU()),
        *(nn.Linear(width, width), nn.ReLU()),
        nn.Linear(width, num_classes),
    )


def cnn(channels: int, size: int, width: int, num_classes: int) -> nn.Module:
    """9 x 9 and 7 x 7 convolutions without padding, each with 2 x 2 max pooling (A.4).

    The pooling rounds up: halved to 21 pixels, the second convolution has room for one place only with 7 of them.
    """
    side = math.ceil((math.ceil((size - 8) / 2) - 6) / 2)
    return nn.Sequential(
        *(nn.Conv2d(channels, width, 9), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True)),
        *(nn.Conv2d(width, width, 7), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True)),
        nn.Flatten(),
        nn.Linear(width * side**2, num_classes),
    )


CLASSIFIERS: dict[str, Callable[[int, int, int, int], nn.Module]] = {"fcn": fcn, "cnn": cnn}
LOCALISATIONS = {"fcn": fully_connected_localisation, "cnn": convolutional_localisation}


def count(module: nn.Module) -> int:
    """Its parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


def widest(make: Callable[[int], nn.Module], budget: int) -> int:
    """The largest width whose network has at most so many parameters."""
    with torch.device("meta"):
        low, high = 1, 4096
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if count(make(middle)) <= budget else (low, middle - 1)
    return low


class Answer(NamedTuple):
    """What the network says, and how its N transformers saw the picture (N = 0 without), which is for looking alone."""

    logits: Tensor  # (batch, classes)
    grids: Tensor  # (batch, N, height', width', 2), without gradient
    outputs: Tensor  # (batch, N, channels, height', width'), without gradient


def answer(logits: Tensor, image: Tensor, warps: list[Warp]) -> Answer:
    """The answer of a network whose transformers made these warps of the image (batch, channels, height, width)."""
    if not warps:
        batch, channels, height, width = image.shape
        return Answer(
            at_least_float32(logits),
            image.new_zeros(batch, 0, height, width, 2),
            image.new_zeros(batch, 0, channels, height, width),
        )
    grids, outputs = (torch.stack([getattr(warp, name).detach() for warp in warps], 1) for name in ("grid", "output"))
    return Answer(at_least_float32(logits), grids, outputs)


class SpatialTransformerNetwork(nn.Module):
    """A classifier of distorted digits, with transformers at its input or without (section 4.1, appendices A.2, A.4).

    All models of a column of table 1 have about as many parameters: the classifier is as wide as the budget allows.

    Args:
        classifier: "fcn" or "cnn"; it also says which localisation the transformers have.
        transformer: "affine", "attention", "projective", "tps", or None for the plain classifier.
        transformers: how many, side by side; each sees and warps all channels (A.2), and the classifier reads them all.
        size: of the square picture in pixels.
        pool: whether the classifier sees the warped picture at half its size (RTS and TC in the paper).
        budget: parameters of the whole network; the default is what the CNN has with 64 filters on 28 pixels.
        width: of the classifier's layers; None for as many as the budget allows.
        control: points a side, of "tps".
        channels, num_classes: of the data.
    """

    def __init__(
        self,
        classifier: str = "cnn",
        transformer: str | None = "affine",
        transformers: int = 1,
        size: int = 28,
        pool: bool = False,
        budget: int = 208_600,
        width: int | None = None,
        control: int = 4,
        channels: int = 1,
        num_classes: int = 10,
    ):
        super().__init__()
        if classifier not in CLASSIFIERS:
            raise ZooError(f"classifier is {classifier!r}; expected one of {', '.join(CLASSIFIERS)}")
        check_whole(1, transformers=transformers, size=size, budget=budget, channels=channels, num_classes=num_classes)
        self.transformers = nn.ModuleList()
        for _ in range(transformers if transformer else 0):
            localise, features = LOCALISATIONS[classifier](channels, size)
            options = {"control": control} if transformer == "tps" else {}
            grid = make_grid(transformer, size, size, **options)
            self.transformers.append(SpatialTransformer(localise, features, grid, (size, size)))
        self.pool = nn.AvgPool2d(2) if pool and transformer else nn.Identity()
        inner = size // 2 if pool and transformer else size
        seen = channels * max(1, len(self.transformers))
        left = budget - count(self.transformers)
        self.width = width or widest(lambda w: CLASSIFIERS[classifier](seen, inner, w, num_classes), left)
        self.classify = CLASSIFIERS[classifier](seen, inner, self.width, num_classes)

    def forward(self, image: Tensor) -> Answer:
        """image: (batch, channels, size, size)."""
        warps = [transformer(image) for transformer in self.transformers]
        seen = self.pool(torch.cat([warp.output for warp in warps], 1)) if warps else image
        return answer(self.classify(seen.to(next(self.classify.parameters()).dtype)), image, warps)
