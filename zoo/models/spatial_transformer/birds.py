"""Fine-grained classes through parallel transformers (section 4.3, appendix A.6): each cuts out a part of the bird."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import ZooError, check_share, check_whole
from zoo.models.spatial_transformer.network import Answer, Warp, answer
from zoo.nn.grid import Attention, sample

SCALE = 0.5  # of every crop: half the picture's side
STARTS = {  # where crops of half the side tile the picture, or its middle row: (x, y)
    1: [(0.0, 0.0)],
    2: [(-0.5, 0.0), (0.5, 0.0)],
    4: [(-0.5, -0.5), (0.5, -0.5), (-0.5, 0.5), (0.5, 0.5)],
}


def make_backbone(name: str, weights: str | None) -> tuple[nn.Module, dict]:
    """A timm network without its classifier, and how its pictures are normalised.

    Args:
        weights: None for fresh ones, "hub" for timm's pre-trained ones, or a file with them.
    """
    import timm  # which takes a second to import

    if not timm.is_model(name):
        raise ZooError(f"timm has no backbone {name!r}")
    local = {"pretrained_cfg_overlay": {"file": weights}} if weights not in (None, "hub") else {}
    try:
        made = timm.create_model(name, pretrained=weights is not None, num_classes=0, **local)
    except Exception as error:  # no network, no such file, weights of another network: one sentence for all
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ZooError(f"the weights {weights} of {name} cannot be had ({reason})") from None
    return made, {name: made.pretrained_cfg[name] for name in ("mean", "std")}


class Localisation(nn.Module):
    """The backbone up to its last map, a 1 x 1 convolution of 128, and a layer of 128 before the N places.

    The last layer starts with zero weights and the places that tile the picture.
    """

    def __init__(self, backbone: nn.Module, features: int, side: int, crops: int):
        super().__init__()
        self.backbone = backbone
        self.reduce = nn.Conv2d(features, 128, 1)
        self.hidden = nn.Linear(128 * side**2, 128)
        self.regress = nn.Linear(128, 2 * crops)
        nn.init.zeros_(self.regress.weight)
        with torch.no_grad():
            self.regress.bias.copy_(torch.tensor(STARTS[crops]).flatten())

    def forward(self, image: Tensor) -> Tensor:
        """(batch, channels, size, size) -> (batch, crops, 2)."""
        maps = self.reduce(self.backbone.forward_features(image)).relu()
        return self.regress(self.hidden(maps.flatten(1)).relu()).float().view(len(image), -1, 2)


class BirdNetwork(nn.Module):
    """N crops of half the picture's side, each seen by a network of its own; their features are classified together.

    Args:
        crops: N: 2 or 4; 0 for the network alone on the whole picture.
        size: of the square picture in pixels: 224, or 448 with crops.
        crop: side of what each network sees, in pixels.
        backbone: a name of timm; the paper has an Inception with batch normalisation.
        weights: of the backbones: null, "hub", or a file.
        dropout: before the classifier.
        num_classes, channels: of the data.
    """

    def __init__(
        self,
        crops: int = 4,
        size: int = 448,
        crop: int = 224,
        backbone: str = "inception_v3",
        weights: str | None = None,
        dropout: float = 0.7,
        num_classes: int = 200,
        channels: int = 3,
    ):
        super().__init__()
        check_whole(1, size=size, crop=crop, num_classes=num_classes)
        check_share(dropout=dropout)
        if crops and crops not in STARTS:
            raise ZooError(f"crops is {crops}; expected 0, {', '.join(map(str, STARTS))}")
        if channels != 3:
            raise ZooError(f"the backbones take colour pictures, not {channels} channels")
        self.crops, self.shrink = crops, max(1, size // crop) if crops else 1
        self.parts = nn.ModuleList(make_backbone(backbone, weights)[0] for _ in range(max(1, crops)))
        network, normal = make_backbone(backbone, weights)
        features = network.num_features
        if crops:
            with torch.no_grad():
                seen = torch.zeros(1, 3, size // self.shrink, size // self.shrink)
                side = network.eval().forward_features(seen).shape[-1]
            self.localise = Localisation(network, features, side, crops)
            self.grid = Attention(crop, crop)
        for name, value in normal.items():
            self.register_buffer(name, torch.tensor(value).view(3, 1, 1), persistent=False)
        self.dropout = nn.Dropout(dropout)
        self.classify = nn.Linear(len(self.parts) * features, num_classes)

    def forward(self, image: Tensor) -> Answer:
        """image: (batch, 3, size, size) in [0, 1]."""
        x = (image - self.mean) / self.std
        if not self.crops:
            return answer(self.classify(self.dropout(self.parts[0](x))), image, [])
        places = self.localise(F.avg_pool2d(x, self.shrink))
        grids = [self.grid(F.pad(place, (1, 0), value=SCALE)) for place in places.unbind(1)]
        seen = [part(sample(x, grid)) for part, grid in zip(self.parts, grids, strict=True)]
        logits = self.classify(self.dropout(torch.cat(seen, 1)))
        with torch.no_grad():
            warps = [
                Warp(sample(image, grid.detach()), grid, place)
                for grid, place in zip(grids, places.unbind(1), strict=True)
            ]
        return answer(logits, image, warps)
