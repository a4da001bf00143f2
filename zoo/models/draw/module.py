"""Training DRAW: the bound of a generator, the cross-entropy of a classifier, and what is measured."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import Metric

from zoo.errors import check_whole
from zoo.looking.attention import Attention
from zoo.models.draw.network import DRAW
from zoo.models.draw.record import reading, writing
from zoo.nn.random import normal
from zoo.training.metrics import ErrorRate, Nats
from zoo.training.module import ZooModule

TOGETHER = 5000  # noises at once of the importance-weighted estimate, times pictures


class LitDRAW(ZooModule):
    """Trains a generator by its bound on -log p(x), with one fresh sample of every z_t for each picture.

    Measured in nats a picture: `val/bound` with one posterior sample; `test/bound` and its two parts, the mean over
    several posterior samples; and the importance-weighted estimate, which lies between the bound and -log p(x).

    Args:
        test_samples: posterior samples a picture of the test bound.
        importance_samples: k of the importance-weighted estimate; 0: without it.
        importance_pictures: that estimate is taken on the first so many test pictures.
        optimizer, schedule: see :class:`zoo.training.module.ZooModule`.
        network: the arguments of :class:`zoo.models.draw.DRAW`, but for `num_classes`.
    """

    monitor = "val/bound"

    def __init__(
        self,
        test_samples: int = 5,
        importance_samples: int = 50,
        importance_pictures: int = 1000,
        optimizer: dict | None = None,
        schedule: dict | None = None,
        **network,
    ):
        check_whole(1, test_samples=test_samples)
        check_whole(0, importance_samples=importance_samples, importance_pictures=importance_pictures)
        super().__init__(DRAW(**network), optimizer, schedule)
        self.save_hyperparameters()
        self.test_samples = test_samples
        self.importance_samples, self.importance_pictures = importance_samples, importance_pictures
        self.left = importance_pictures
        names = ("val_bound", "test_bound", "test_reconstruction", "test_kl", "test_importance")
        self.nats = nn.ModuleDict({name: Nats() for name in names})

    def noise(self, key: Tensor, stream: int = 0) -> Tensor:
        """(batch, T, latent) standard normal, a function of the keys; streams are independent."""
        return normal(key, self.network.num_steps, self.network.latent, stream=stream)

    def loss(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        reconstruction, kl = self.network(batch["image"], self.noise(batch["key"]))
        terms = {"reconstruction": reconstruction.mean(), "kl": kl.sum(-1).mean()}
        return {"loss": sum(terms.values()), **terms}  # equation 12

    def on_test_start(self) -> None:
        self.left = -(-self.importance_pictures // self.trainer.world_size)

    def evaluate(self, batch: dict[str, Tensor], stage: str) -> dict[str, Metric]:
        image, key = batch["image"], batch["key"]
        found: dict[str, list[Tensor]] = {"bound": [], "reconstruction": [], "kl": []}
        for stream in range(self.test_samples if stage == "test" else 1):
            reconstruction, kl = self.network(image, self.noise(key, stream))
            kl = kl.sum(-1)
            for name, value in (("bound", reconstruction + kl), ("reconstruction", reconstruction), ("kl", kl)):
                found[name].append(value)
        metrics = {name: self.nats[f"{stage}_{name}"] for name in found if f"{stage}_{name}" in self.nats}
        for name, metric in metrics.items():
            metric.update(torch.stack(found[name]).mean(0))
        if stage == "test" and self.importance_samples:
            first = slice(0, max(0, self.left))
            self.left -= len(image)
            metrics[f"importance_{self.importance_samples}"] = self.nats["test_importance"]
            if len(image[first]):
                self.nats["test_importance"].update(self.importance(image[first], key[first]))
        return metrics

    def importance(self, image: Tensor, key: Tensor) -> Tensor:
        """-log of the mean of k importance weights, in nats: (batch,)."""
        k, together = self.importance_samples, max(1, TOGETHER // len(image))
        weights = []
        for streams in torch.arange(k).split(together):
            noise = torch.stack([self.noise(key, self.test_samples + int(stream)) for stream in streams])
            many = image.expand(len(streams), *image.shape).flatten(0, 1)
            weights.append(self.network.log_weight(many, noise.flatten(0, 1)).view(len(streams), -1))
        return math.log(k) - torch.cat(weights).logsumexp(0)

    def record(self, batch: dict[str, Tensor]) -> Attention:
        """Where each step painted, and the canvas after it, while each picture was reconstructed."""
        return writing(self.network, batch["image"], self.noise(batch["key"]))


class LitClassifier(ZooModule):
    """Trains the attentive classifier, differentiable from its answer to its first window (section 4.1).

    Args:
        optimizer, schedule: see :class:`zoo.training.module.ZooModule`.
        network: the arguments of :class:`zoo.models.draw.DRAW`.
    """

    monitor = "val/error"

    def __init__(self, num_classes: int, optimizer: dict | None = None, schedule: dict | None = None, **network):
        super().__init__(DRAW(num_classes=num_classes, **network), optimizer, schedule)
        self.save_hyperparameters()
        self.errors = nn.ModuleDict({"val": ErrorRate(), "test": ErrorRate()})

    def loss(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"loss": F.cross_entropy(self.network(batch["image"]), batch["label"])}

    def evaluate(self, batch: dict[str, Tensor], stage: str) -> dict[str, Metric]:
        self.errors[stage].update(self.network(batch["image"]).argmax(-1), batch["label"])
        return {"error": self.errors[stage]}

    def record(self, batch: dict[str, Tensor]) -> Attention:
        """The window of every glimpse, and what was read through it."""
        return reading(self.network, batch["image"])
