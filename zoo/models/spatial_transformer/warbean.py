"""The networks of WarBean/tps_stn_pytorch, the thin plate spline that most people know: no, bounded and unbounded."""

import torch
from torch import Tensor, nn

from zoo.errors import ZooError
from zoo.models.spatial_transformer.network import Answer, SpatialTransformer, answer
from zoo.nn.grid import TPS


def trunk(outputs: int) -> nn.Module:
    """The example network for MNIST of PyTorch; pictures of 28 pixels."""
    return nn.Sequential(
        *(nn.Conv2d(1, 10, 5), nn.MaxPool2d(2), nn.ReLU()),
        *(nn.Conv2d(10, 20, 5), nn.Dropout2d(), nn.MaxPool2d(2), nn.ReLU()),
        nn.Flatten(),
        *(nn.Linear(320, 50), nn.ReLU(), nn.Dropout()),
        *((nn.Linear(50, outputs),) if outputs else ()),
    )


class WarBean(nn.Module):
    """A classifier behind a thin plate spline, or alone.

    Args:
        warp: "none", "bounded" (control points are read inside the picture: a tanh) or "unbounded".
        control: control points a side, 2 to 5 in the source.
        channels, num_classes: of the data.
    """

    def __init__(self, warp: str = "unbounded", control: int = 4, channels: int = 1, num_classes: int = 10):
        super().__init__()
        if warp not in ("none", "bounded", "unbounded") or channels != 1:
            raise ZooError(f"warp is {warp!r} and channels {channels}; expected none, bounded or unbounded, and 1")
        self.transformer = None
        if warp != "none":
            grid = TPS(28, 28, control, reach=0.9)
            self.transformer = SpatialTransformer(trunk(0), 50, grid, (28, 28), bounded=warp == "bounded")
        self.classify = trunk(num_classes)
        self.to(memory_format=torch.channels_last)  # a step on a processor is a tenth faster

    def forward(self, image: Tensor) -> Answer:
        """image: (batch, 1, 28, 28)."""
        warps = [] if self.transformer is None else [self.transformer(image)]
        return answer(self.classify(warps[0].output if warps else image), image, warps)
