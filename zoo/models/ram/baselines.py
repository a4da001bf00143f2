"""The networks that RAM is compared with in its tables: fully connected and convolutional."""

import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import WIDEST, ZooError, check_choice, check_whole
from zoo.nn.kernels import at_least_float32
from zoo.training.metrics import ErrorRate
from zoo.training.module import ZooModule


def fully_connected(size: int, hidden: int, num_classes: int = 10) -> nn.Sequential:
    """FC, 2 layers: two hidden ReLU layers of 64 or 256 units."""
    return nn.Sequential(
        nn.Flatten(),
        *(nn.Linear(size**2, hidden), nn.ReLU()),
        *(nn.Linear(hidden, hidden), nn.ReLU()),
        nn.Linear(hidden, num_classes),
    )


def convolutional(size: int, filters: int = 8, hidden: int = 256, num_classes: int = 10) -> nn.Sequential:
    """Convolutional, 2 layers: 8 filters of 10 x 10 with stride 5, then 256 ReLU units."""
    side = (size - 10) // 5 + 1
    return nn.Sequential(
        *(nn.Conv2d(1, filters, kernel_size=10, stride=5), nn.ReLU()),
        nn.Flatten(),
        *(nn.Linear(filters * side**2, hidden), nn.ReLU()),
        nn.Linear(hidden, num_classes),
    )


NETWORKS = {"fc": fully_connected, "conv": convolutional}


class LitBaseline(ZooModule):
    """Trains a baseline by cross-entropy.

    Args:
        network: "fc" or "conv".
        size: side of the picture.
        hidden: units of the hidden layers.
        channels: of the picture; the baselines take one.
    """

    monitor = "val/error"

    def __init__(
        self,
        network: str,
        size: int,
        hidden: int = 256,
        num_classes: int = 10,
        channels: int = 1,
        optimizer: dict | None = None,
        schedule: dict | None = None,
    ):
        check_choice(sorted(NETWORKS), network=network)
        check_whole(16, 4096, size=size)
        check_whole(1, WIDEST, hidden=hidden, num_classes=num_classes)
        if channels != 1:
            raise ZooError(f"the baselines take grey pictures, not {channels} channels")
        super().__init__(NETWORKS[network](size, hidden=hidden, num_classes=num_classes), optimizer, schedule)
        self.save_hyperparameters()
        self.errors = nn.ModuleDict({"val": ErrorRate(), "test": ErrorRate()})

    def logits(self, image: Tensor) -> Tensor:
        """(batch, num_classes), float32 at least, of pictures of any float type."""
        return at_least_float32(self.network(image.to(next(self.network.parameters()).dtype)))

    def loss(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"loss": F.cross_entropy(self.logits(batch["image"]), batch["label"])}

    def evaluate(self, batch: dict[str, Tensor], stage: str) -> dict[str, ErrorRate]:
        self.errors[stage].update(self.logits(batch["image"]).argmax(-1), batch["label"])
        return {"error": self.errors[stage]}
