"""Finding the object that a set of pictures has in common, without labels (appendix A.3)."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import Metric

from zoo.errors import ZooError, check_share, check_whole
from zoo.looking.attention import Attention
from zoo.models.spatial_transformer.network import SpatialTransformer, cnn
from zoo.nn.grid import Attention as AttentionGrid
from zoo.nn.grid import sample
from zoo.nn.kernels import at_least_float32
from zoo.nn.random import uniform
from zoo.training.module import ZooModule
from zoo.training.schedules import known

CROP = 28  # side of what is cut out, and of the digits that the encoder knows


class Window(AttentionGrid):
    """A transformer in attention form whose crop stays inside the picture, and its scale just below a common bound.

    The paper says nothing of either. The bound falls in the course of training: while a crop is nearly the whole
    picture it cannot leave its object, so that being alike means to have the object at the same place. Where crops were
    small from the start, or chose their scale, they went to black instead, which all pictures have in common too.

    Args:
        height, width: of the output in pixels.
        least, most: the bound at the end and at the start.
        freedom: share of the bound that a scale may stay below it.
    """

    bound: Tensor  # ()

    def __init__(self, height: int, width: int, least: float, most: float, freedom: float = 0.15):
        if not 0 < least <= most <= 1:
            raise ZooError(f"least is {least} and most is {most}; expected 0 < least <= most <= 1")
        check_share(freedom=freedom)
        super().__init__(height, width)
        self.identity.zero_()
        self.least, self.most, self.freedom = least, most, freedom
        self.register_buffer("bound", torch.tensor(most))

    def narrow(self, share: float) -> None:
        """Sets the bound to where it is after a share of its way, by the same factor in equal steps."""
        self.bound.fill_(self.most * (self.least / self.most) ** share)

    def bounded(self, theta: Tensor) -> Tensor:
        """What the localisation says (batch, 3) to scale and centre, (s, t_x, t_y)."""
        scale = self.bound * (1 - self.freedom * theta[:, :1].sigmoid())
        return torch.cat((scale, theta[:, 1:].tanh() * (1 - scale)), 1)

    def transform(self, theta: Tensor) -> Tensor:
        return super().transform(self.bounded(theta))


class Crops(NamedTuple):
    """What each localiser of each set cut out of a picture."""

    output: Tensor  # (batch, sets, localisers, 1, 28, 28)
    theta: Tensor  # (batch, sets, localisers, 3): scale and centre (x, y)


def localisation(size: int) -> tuple[nn.Module, int]:
    """8 filters of 9 x 9 with stride 4, pooling, and two layers of 8.

    They start as He et al. (2015) say: from torch's smaller weights the features of all pictures were the same within a
    tenth, so that all crops moved together before any followed its picture.
    """
    side = ((size - 9) // 4 + 1) // 2
    layers = nn.Sequential(
        *(nn.Conv2d(1, 8, 9, stride=4), nn.MaxPool2d(2), nn.ReLU()),
        nn.Flatten(),
        *(nn.Linear(8 * side**2, 8), nn.ReLU()),
        *(nn.Linear(8, 8), nn.ReLU()),
    )
    for layer in layers:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    return layers, 8


class Colocaliser(nn.Module):
    """Transformers in attention form for each of several sets of pictures, and the encoder that compares crops.

    Args:
        size: of the pictures in pixels.
        sets: of pictures, each with an object in common; they share nothing but the encoder.
        localisers: of a set, each with a start of its own; the one with the lowest loss on validation is the set's. The
            paper has one.
        width: filters of the encoder, the CNN of section 4.1.
        least, most, freedom: of the scale of a crop, see :class:`Window`.
        normalise: whether the activations of each layer of the encoder are counted from those of a blank crop, and then
            have length 1; the paper does not say. As they are, crops are the more alike the less they show.
    """

    def __init__(
        self,
        size: int = 84,
        sets: int = 10,
        localisers: int = 1,
        width: int = 64,
        least: float = 0.36,
        most: float = 0.9,
        freedom: float = 0.15,
        normalise: bool = True,
    ):
        super().__init__()
        self.normalise = normalise
        check_whole(CROP, size=size)
        check_whole(1, sets=sets, localisers=localisers, width=width)
        self.localisers = nn.ModuleList(  # those of the first set first
            SpatialTransformer(*localisation(size), Window(CROP, CROP, least, most, freedom), (CROP, CROP))
            for _ in range(sets * localisers)
        )
        self.encoder = cnn(1, CROP, width, 10)
        self.register_buffer("trained", torch.tensor(False))  # whether the encoder is
        self.register_buffer("chosen", torch.zeros(sets, dtype=torch.long))  # which localiser of each set

    def forward(self, image: Tensor) -> Crops:
        """image: (batch, sets, size, size)."""
        sets = len(self.chosen)
        images = image.repeat_interleave(len(self.localisers) // sets, 1).unbind(1)
        warps = [localise(each[:, None]) for localise, each in zip(self.localisers, images, strict=True)]
        windows = [localise.grid.bounded(warp.theta) for localise, warp in zip(self.localisers, warps, strict=True)]
        output, theta = torch.stack([warp.output for warp in warps], 1), torch.stack(windows, 1)
        return Crops(output.unflatten(1, (sets, -1)), theta.unflatten(1, (sets, -1)))

    def picked(self, each: Tensor) -> Tensor:
        """What the chosen localiser of each set has: (batch, sets, localisers, ...) to (batch, sets, ...)."""
        return each[:, torch.arange(len(self.chosen), device=each.device), self.chosen]

    def encode(self, crop: Tensor) -> Tensor:
        """e: the activations of the encoder's two hidden layers and its logits, side by side: (n, 1, 28, 28).

        Each of the three has length 1, see `normalise`.
        """
        activations = self.activations(crop)
        if self.normalise:
            blank = self.activations(torch.zeros_like(crop[:1]))
            activations = [F.normalize(a - none, eps=0.1) for a, none in zip(activations, blank, strict=True)]
        return torch.cat(activations, 1)

    def activations(self, crop: Tensor) -> list[Tensor]:
        """Those of each layer: (n, features)."""
        activations = []
        for layer in self.encoder:
            crop = layer(crop)
            if isinstance(layer, nn.MaxPool2d | nn.Linear):
                activations.append(crop.flatten(1))
        return activations


def triplets(e: Tensor, e_random: Tensor, margin: float = 1.0) -> Tensor:
    """The sum over pairs n, m of max(0, |e_n - e_m|^2 - |e_n - e_n^rand|^2 + margin), its mean over n and m.

    Args:
        e, e_random: (batch, ..., features) of the crops and of random crops of the same pictures.

    Returns:
        (...), of each set and localiser.
    """
    e, e_random = (at_least_float32(each.movedim(0, -2)) for each in (e, e_random))  # (..., batch, features)
    size = e.square().sum(-1)
    with torch.autocast(e.device.type, enabled=False):  # a difference of nearly equal numbers
        between = (size[..., None] + size[..., None, :] - 2 * e @ e.mT).relu()  # (..., batch, batch)
    to_random = (e - e_random).square().sum(-1)  # (..., batch)
    hinge = (between - to_random[..., None] + margin).relu()
    count = e.shape[-2]
    others = ~torch.eye(count, dtype=torch.bool, device=e.device)
    return (hinge * others).sum((-1, -2)) / max(1, count * (count - 1))


def nearest(e: Tensor, candidates: Tensor) -> Tensor:
    """Of several random crops the one that is most like the crop: (..., features), (..., K, features)."""
    distance = (e.detach()[..., None, :] - candidates).square().sum(-1)
    index = distance.argmin(-1)[..., None, None].expand(*distance.shape[:-1], 1, e.shape[-1])
    return candidates.gather(-2, index).squeeze(-2)


def boxes_of(theta: Tensor, size: int) -> Tensor:
    """What a scale and a centre cut out: (..., 3) -> (..., 4) as (left, top, right, bottom) in pixels.

    The centres of the border pixels are at -1 and 1, so that a crop of k pixels has the scale (k - 1) / (size - 1).
    """
    half = (theta[..., :1].abs() * (size - 1) + 1) / 2
    centre = (theta[..., 1:] + 1) / 2 * (size - 1) + 0.5
    return torch.cat((centre - half, centre + half), -1)


def overlap(one: Tensor, other: Tensor) -> Tensor:
    """Intersection over union of boxes (..., 4)."""
    low, high = one[..., :2].maximum(other[..., :2]), one[..., 2:].minimum(other[..., 2:])
    common = (high - low).clamp(min=0).prod(-1)
    area = sum((box[..., 2:] - box[..., :2]).prod(-1) for box in (one, other))
    return common / (area - common)


class OfTheBest(Metric):
    """The mean over samples and sets of what the localiser with the lowest rank has: its loss, or which was chosen."""

    full_state_update = False

    def __init__(self, sets: int, localisers: int):
        super().__init__()
        for name in ("rank", "value"):
            self.add_state(name, torch.zeros(sets, localisers), dist_reduce_fx="sum")
        self.add_state("total", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, rank: Tensor, value: Tensor) -> None:
        """The rank of each localiser (sets, localisers), and what it has for each sample (batch, sets, localisers)."""
        self.rank += rank * len(value)
        self.value += value.sum(0)
        self.total += len(value)

    def best(self) -> Tensor:
        """The localiser of each set: (sets,) int64."""
        return self.rank.argmin(1)

    def compute(self) -> Tensor:
        return self.value.gather(1, self.best()[:, None]).mean() / self.total


class LitColocaliser(ZooModule):
    """Pulls the crops of one set together and pushes each away from a random crop of its own picture.

    The encoder is trained first, on plain digits, and then left alone. Pictures are never labelled; the true boxes
    are for measuring: a crop is right if it overlaps the digit by more than a half.

    Args:
        margin: alpha.
        randoms: random crops of a picture, of which the one that is most like the crop counts. The paper has one; then
            a black crop is worth its while, since the random one often is not black.
        narrowing: the shares of the run at which crops begin to narrow and have done so.
        encoder_steps: of training the encoder, 128 digits each.
        optimizer, schedule: see :class:`zoo.training.module.ZooModule`.
        network: the arguments of :class:`Colocaliser`.
    """

    monitor = "val/loss"  # which knows no boxes: validation has the pictures of the training

    def __init__(
        self,
        margin: float = 1.0,
        randoms: int = 3,
        narrowing: tuple[float, float] = (0.2, 0.9),
        encoder_steps: int = 1000,
        optimizer: dict | None = None,
        schedule: dict | None = None,
        **network,
    ):
        super().__init__(Colocaliser(**network), optimizer, schedule)
        self.save_hyperparameters()
        begin, end = narrowing
        if not 0 <= begin < end <= 1:
            raise ZooError(f"narrowing is {begin} to {end}; expected 0 <= the first < the second <= 1")
        self.margin, self.randoms, self.encoder_steps, self.narrowing = margin, randoms, encoder_steps, (begin, end)
        self.network.encoder.requires_grad_(False)
        sets = len(self.network.chosen)
        localisers = len(self.network.localisers) // sets
        kinds = {"loss": sets, "error": sets, **{f"error_{i}": 1 for i in range(sets)}}
        self.found = nn.ModuleDict(
            {f"{stage}_{kind}": OfTheBest(n, localisers) for stage in ("val", "test") for kind, n in kinds.items()}
        )

    def on_fit_start(self) -> None:
        """Trains the encoder, unless a checkpoint brought it."""
        if not self.network.trained:
            train_encoder(self.network.encoder, *self.trainer.datamodule.digits(), self.encoder_steps)
            self.network.trained.fill_(True)

    def on_train_batch_start(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        done = self.global_step / known(self.trainer.estimated_stepping_batches)
        begin, end = self.narrowing
        for localise in self.network.localisers:
            localise.grid.narrow(min(1.0, max(0.0, (done - begin) / (end - begin))))

    def parameter_groups(self) -> list[dict]:
        return [{"params": list(self.network.localisers.parameters())}]

    def loss(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"loss": self.losses(batch, self.network(batch["image"])).mean()}

    def losses(self, batch: dict[str, Tensor], crops: Crops) -> Tensor:
        """Of each localiser: (sets, localisers)."""
        image, shape = batch["image"], crops.theta.shape[:3]
        scale = crops.theta[..., :1].detach().mean(2)  # the localisers of a set share the random crops
        e = self.network.encode(crops.output.flatten(0, 2)).view(*shape, -1)
        negatives = []
        for k in range(self.randoms):  # crops of their mean size, in the middle of which a digit could be
            place = (2 * uniform(batch["key"], shape[1], 2, stream=k) - 1) * (1 - (CROP - 1) / (image.shape[-1] - 1))
            negatives.append(self.network.encode(self.cut(image, torch.cat((scale, place), -1)).flatten(0, 1)))
        candidates = torch.stack(negatives, 1).view(*shape[:2], 1, self.randoms, -1)
        return triplets(e, nearest(e, candidates.expand(-1, -1, shape[2], -1, -1)), self.margin)

    def cut(self, image: Tensor, theta: Tensor) -> Tensor:
        """Crops of (batch, sets, size, size) by (batch, sets, 3): (batch, sets, 1, 28, 28)."""
        grid = AttentionGrid.transform(self.network.localisers[0].grid, theta.flatten(0, 1))
        found = sample(image.flatten(0, 1)[:, None], grid)
        return found.view(*image.shape[:2], 1, CROP, CROP)

    def evaluate(self, batch: dict[str, Tensor], stage: str) -> dict[str, Metric]:
        crops = self.network(batch["image"])
        found = boxes_of(crops.theta, batch["image"].shape[-1])
        wrong = 100.0 * (overlap(found, batch["box"][:, :, None]) <= 0.5)  # (batch, sets, localisers)
        loss = self.losses(batch, crops)
        rank = loss if stage == "val" else -F.one_hot(self.network.chosen, loss.shape[1]).float()
        values = {"loss": (rank, loss.expand_as(wrong)), "error": (rank, wrong)}
        if stage == "test":
            values |= {f"error_{i}": (rank[i : i + 1], wrong[:, i : i + 1]) for i in range(len(loss))}
        metrics = {name: self.found[f"{stage}_{name}"] for name in values}
        for name, metric in metrics.items():
            metric.update(*values[name])
        return metrics

    def on_validation_epoch_end(self) -> None:
        with self.found["val_loss"].sync_context():
            self.network.chosen.copy_(self.found["val_loss"].best())

    def record(self, batch: dict[str, Tensor]) -> Attention:
        """The crop of each picture of the first set, by the localiser that was chosen."""
        image, crops = batch["image"], self.network(batch["image"])
        output, theta = (self.network.picked(each)[:, :1] for each in crops)
        boxes = boxes_of(theta, image.shape[-1])[:, :, None]
        return Attention(boxes=boxes, images=image[:, :1].clamp(0, 1), views=output.clamp(0, 1))


@torch.enable_grad()
def train_encoder(encoder: nn.Module, images: Tensor, labels: Tensor, steps: int, batch_size: int = 128) -> None:
    """Adam, its rate decayed to 0; images (n, 28, 28) uint8. The random numbers of the process are left alone."""
    device = next(encoder.parameters()).device
    images, labels = images.to(device), labels.to(device)
    encoder.requires_grad_(True)
    optimizer = torch.optim.Adam(encoder.parameters(), lr=1e-3)
    random = torch.Generator().manual_seed(0)
    for step in range(steps):
        index = torch.randint(len(images), (batch_size,), generator=random).to(device)
        optimizer.param_groups[0]["lr"] = 1e-3 * (1 - step / steps)
        loss = F.cross_entropy(encoder(images[index, None].float() / 255), labels[index])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    encoder.requires_grad_(False)
