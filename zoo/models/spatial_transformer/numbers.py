"""The networks that read whole house numbers (section 4.2, appendix A.5): no transformer, one, or four."""

import torch
from torch import Tensor, nn

from zoo.errors import ZooError, check_share, check_whole
from zoo.models.spatial_transformer.network import Answer, SpatialTransformer
from zoo.nn.grid import sample

FILTERS = (48, 64, 128, 160, 192, 192, 192, 192)  # of the eight convolutions
POOLED = (0, 2, 4, 6)  # those that a 2 x 2 pooling follows
STRENGTHS = ("none", "single", "multi")


def single_localisation(channels: int, size: int) -> tuple[nn.Module, int]:
    """Of the transformer at the input: two convolutions of 32 filters and two layers of 32."""
    return nn.Sequential(
        *(nn.Conv2d(channels, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 32, 5, padding=2), nn.ReLU()),
        nn.Flatten(),
        *(nn.Linear(32 * (size // 2) ** 2, 32), nn.ReLU()),
        *(nn.Linear(32, 32), nn.ReLU()),
    ), 32


def multi_localisation(channels: int, size: int) -> tuple[nn.Module, int]:
    """Of each of the four transformers: two layers of 32."""
    return nn.Sequential(
        nn.Flatten(), *(nn.Linear(channels * size**2, 32), nn.ReLU()), *(nn.Linear(32, 32), nn.ReLU())
    ), 32


class HouseNumberNetwork(nn.Module):
    """Eleven hidden layers, and a classifier for each digit of a number.

    Args:
        transformers: "none", "single" (at the input), or "multi" (before each of the first four convolutions).
        size: of the square picture in pixels, 64 or 128 in the paper; a multiple of 16.
        filters: of the eight convolutions.
        hidden: units of the fully connected layers.
        fully_connected: how many; the paper counts eleven hidden layers, which makes three, and some notes list two.
        dropout: after every hidden layer but the first, and nowhere in the localisations.
        digits: that a number has at most.
        num_classes: of a digit, with the one for its absence.
        channels: of the picture.
    """

    def __init__(
        self,
        transformers: str = "single",
        size: int = 64,
        filters: list[int] | tuple[int, ...] = FILTERS,
        hidden: int = 3072,
        fully_connected: int = 3,
        dropout: float = 0.5,
        digits: int = 5,
        num_classes: int = 11,
        channels: int = 3,
    ):
        super().__init__()
        check_whole(1, size=size, hidden=hidden, fully_connected=fully_connected, digits=digits, channels=channels)
        check_whole(2, num_classes=num_classes)
        check_share(dropout=dropout)
        if transformers not in STRENGTHS:
            raise ZooError(f"transformers is {transformers!r}; expected one of {', '.join(STRENGTHS)}")
        if size % 16 or len(filters) != len(FILTERS):
            raise ZooError(f"size is {size} with {len(filters)} filters; expected a multiple of 16, and 8 numbers")
        self.size, self.digits, self.num_classes = size, digits, num_classes
        self.warps = {"none": 0, "single": 1, "multi": 4}[transformers]
        self.transformers, self.convolutions = nn.ModuleList(), nn.ModuleList()
        make = single_localisation if transformers == "single" else multi_localisation
        side, before = size, channels
        for i, after in enumerate(filters):
            if i < self.warps:
                self.transformers.append(SpatialTransformer(*make(before, side), "affine", (side, side)))
            pool = i in POOLED
            self.convolutions.append(
                nn.Sequential(
                    *(nn.Conv2d(before, after, 5, padding=2), nn.ReLU()),
                    nn.MaxPool2d(2) if pool else nn.Identity(),
                    nn.Dropout(dropout if i else 0.0),
                )
            )
            side, before = side // 2 if pool else side, after
        widths = [before * side**2] + [hidden] * fully_connected
        self.joined = nn.Sequential(
            nn.Flatten(),
            *(
                layer
                for i in range(fully_connected)
                for layer in (nn.Linear(widths[i], hidden), nn.ReLU(), nn.Dropout(dropout))
            ),
        )
        self.classify = nn.Linear(hidden, digits * num_classes)  # five layers side by side

    def forward(self, image: Tensor) -> Answer:
        """image: (batch, channels, size, size). The logits are (batch, digits, classes).

        Of each transformer the grid and output are those of all up to it together, at half the size of the picture: a
        point of a later feature map is read through every transformer before it.
        """
        x, thetas = image, []
        for i, convolve in enumerate(self.convolutions):
            if i < self.warps:
                warp = self.transformers[i](x)
                thetas.append(warp.theta.detach())
                x = warp.output
            x = convolve(x)
        logits = self.classify(self.joined(x)).view(-1, self.digits, self.num_classes).float()
        return Answer(logits, *looked(image, thetas, self.size // 2))


def looked(image: Tensor, thetas: list[Tensor], size: int) -> tuple[Tensor, Tensor]:
    """Where affine transformers after one another read a picture, and what they see: of 1, 2, ... of them.

    Args:
        image: (batch, channels, height, width).
        thetas: (batch, 6) of each, the first at the input.
        size: side of the lattice.

    Returns:
        (batch, N, size, size, 2) and (batch, N, channels, size, size), without gradient.
    """
    batch, channels = image.shape[:2]
    if not thetas:
        return image.new_zeros(batch, 0, size, size, 2), image.new_zeros(batch, 0, channels, size, size)
    line = torch.linspace(-1, 1, size, device=image.device)
    y, x = torch.meshgrid(line, line, indexing="ij")
    points = torch.stack((x, y, torch.ones_like(x)), -1).flatten(0, 1)  # (size * size, 3)
    grids, whole = [], None
    for theta in thetas:
        A = theta.float().view(-1, 2, 3)
        if whole is not None:  # a point goes first through this transformer, then through those before it
            linear, shift = whole.split((2, 1), -1)
            A = torch.cat((linear @ A[..., :2], linear @ A[..., 2:] + shift), -1)
        whole = A
        grids.append((points @ whole.mT).view(batch, size, size, 2))
    with torch.no_grad():
        outputs = [sample(image.detach(), grid) for grid in grids]
    return torch.stack(grids, 1), torch.stack(outputs, 1)
