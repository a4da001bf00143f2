"""From a picture to annotation vectors: VGG-19 as published, or a small network for few and plain things."""

from pathlib import Path

import torch
from torch import Tensor, nn

from zoo.errors import ZooError

SHIPPED = {name: Path(__file__).with_name(f"{name}_encoder.safetensors") for name in ("emoji", "emoji_objects")}
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as timm's VGG-19 was trained


class Small(nn.Module):
    """Annotations of a picture of few and plain things: 14 x 14 of a picture of 112 x 112.

    Two numbers at the end of an annotation tell where it is. scripts/emoji_encoder.py trains the layers to name single
    emoji; they are never trained with the decoder, as the paper's VGG-19.

    Args:
        features: D, with the two for the place.
    """

    stride = 8  # pixels between two annotations

    def __init__(self, features: int):
        super().__init__()
        if features < 6:
            raise ZooError(f"features is {features}; the small encoder has at least 6")
        wide = features - 2
        sizes = ((3, wide // 4), (wide // 4, wide // 2), (wide // 2, wide))
        # four pixels by steps of two: what an annotation sees is centred on its place
        halving = (nn.Conv2d(*each, 4, stride=2, padding=1, bias=False) for each in sizes)
        layers = [*halving, nn.Conv2d(wide, wide, 1, bias=False)]  # of one place: an annotation sees 22 x 22 pixels
        self.layers = nn.Sequential(
            *(part for layer in layers for part in (layer, nn.BatchNorm2d(layer.out_channels), nn.ReLU()))
        )
        self.requires_grad_(False)

    def train(self, mode: bool = True) -> "Small":
        """Its means and deviations stay those of its own training."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, image: Tensor) -> Tensor:
        """(batch, 3, height, width) in [0, 1] to (batch, D, height / 8, width / 8)."""
        seen = self.layers(2 * image - 1)
        y, x = (torch.linspace(-1, 1, size, device=seen.device, dtype=seen.dtype) for size in seen.shape[2:])
        where = torch.stack(torch.meshgrid(x, y, indexing="xy")).expand(len(seen), -1, -1, -1)
        return torch.cat([seen, where], 1)


class VGG19(nn.Module):
    """The last convolutional layer of VGG-19 before its pooling: 14 x 14 x 512 of a picture of 224 x 224.

    It is never trained.
    """

    stride = 16  # pixels between two annotations

    def __init__(self):
        super().__init__()
        import timm

        self.layers = timm.create_model("vgg19", pretrained=False).features[:-1]  # without the last pooling
        self.requires_grad_(False)
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(STD)[:, None, None], persistent=False)

    @torch.no_grad()
    def forward(self, image: Tensor) -> Tensor:
        """(batch, 3, height, width) in [0, 1] to (batch, 512, height / 16, width / 16)."""
        return self.layers((image - self.mean) / self.std)


def load_encoder(encoder: nn.Module | None, weights: str) -> None:
    """Gives an encoder its weights.

    Args:
        weights: "emoji" or "emoji_objects" for those of Small that ship here (of 98 features; the second has never seen
            hands and people); or a safetensors file, of VGG-19 timm's.

    Raises:
        ZooError: the file cannot be read, or is of another network; one sentence.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = SHIPPED.get(weights) or Path(weights).expanduser()
    if encoder is None:
        raise ZooError(f"encoder_weights is {weights!r}, and encoder null has none")
    try:
        whole = load_file(path)
        wanted = encoder.layers.state_dict()
        found = {name: whole[f"features.{name}"].float() for name in wanted if "num_batches" not in name}
        encoder.layers.load_state_dict(found, strict=False, assign=True)
    except (OSError, SafetensorError, KeyError, RuntimeError) as error:
        reason = f"lacks {error}" if isinstance(error, KeyError) else " ".join(str(error).split())
        raise ZooError(f"{path}: not weights of {type(encoder).__name__} ({reason})") from None


def make_encoder(kind: str | None, features: int) -> nn.Module | None:
    """The encoder of that name; None where annotations come ready."""
    if kind == "vgg19" and features != 512:
        raise ZooError(f"features is {features}; VGG-19 has 512")
    return {"small": lambda: Small(features), "vgg19": VGG19, None: lambda: None}[kind]()


def annotations(encoder: nn.Module | None, image: Tensor, features: int) -> Tensor:
    """a_1 to a_L, row by row: (batch, L, D) of pictures, or of maps that were made before (batch, D, rows, columns)."""
    channels = features if encoder is None else 3
    if image.ndim != 4 or image.shape[1] != channels or 0 in image.shape[2:]:
        kind = "maps of annotations, which scripts/features.py makes" if encoder is None else "pictures"
        expected = f"(batch, {channels}, height, width): {kind}"
        raise ZooError(f"the picture has the shape {tuple(image.shape)}; expected {expected}")
    if encoder is not None and min(image.shape[2:]) < encoder.stride:
        found = f"{image.shape[3]} x {image.shape[2]} pixels"
        raise ZooError(f"the picture has {found}; expected {encoder.stride} x {encoder.stride} at least")
    maps = image if encoder is None else encoder(image)
    return maps.flatten(2).mT
