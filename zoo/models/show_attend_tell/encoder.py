"""From a picture to annotation vectors: VGG-19 as published, or a small network that is trained with the decoder."""

from pathlib import Path

import torch
from torch import Tensor, nn

from zoo.errors import ZooError

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as timm's VGG-19 was trained


class Small(nn.Module):
    """Annotations of a picture of few and plain things: 14 x 14 of a picture of 112 x 112.

    Two further channels tell each pixel where it is. Groups are normalised, not batches, so that a picture's
    annotations do not depend on the others.

    Args:
        features: D.
    """

    stride = 8  # pixels between two annotations

    def __init__(self, features: int):
        super().__init__()
        if features % 8:
            raise ZooError(f"features is {features}; the small encoder needs a multiple of 8")
        half = max(8, features // 2 // 8 * 8)
        self.layers = nn.Sequential(
            nn.Conv2d(5, half, 4, stride=4),
            nn.ReLU(),
            nn.Conv2d(half, features, 2, stride=2),
            nn.GroupNorm(8, features),
            nn.ReLU(),
            *(
                layer
                for _ in range(3)
                for layer in (nn.Conv2d(features, features, 3, padding=1), nn.GroupNorm(8, features), nn.ReLU())
            ),
        )

    def forward(self, image: Tensor) -> Tensor:
        """(batch, 3, height, width) in [0, 1] to (batch, D, height / 8, width / 8)."""
        y, x = (torch.linspace(-1, 1, size, device=image.device) for size in image.shape[2:])
        where = torch.stack(torch.meshgrid(y, x, indexing="ij")).to(image.dtype).expand(len(image), -1, -1, -1)
        return self.layers(torch.cat([2 * image - 1, where], 1).contiguous(memory_format=torch.channels_last))


class VGG19(nn.Module):
    """The last convolutional layer of VGG-19 before its pooling: 14 x 14 x 512 of a picture of 224 x 224.

    It is never trained.

    Args:
        weights: a file of timm's vgg19 as safetensors; None: as they are drawn, for released weights to fill.
    """

    stride = 16  # pixels between two annotations

    def __init__(self, weights: str | None = None):
        super().__init__()
        import timm

        self.layers = timm.create_model("vgg19", pretrained=False).features[:-1]  # without the last pooling
        if weights is not None:
            self.layers.load_state_dict(read_weights(Path(weights)))
        self.requires_grad_(False)
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(STD)[:, None, None], persistent=False)

    @torch.no_grad()
    def forward(self, image: Tensor) -> Tensor:
        """(batch, 3, height, width) in [0, 1] to (batch, 512, height / 16, width / 16)."""
        return self.layers((image - self.mean) / self.std)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Those of the convolutions of timm's vgg19; raises ZooError, naming the file, where they are not there."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        whole = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ZooError(f"{path}: cannot be read as weights of VGG-19 ({error})") from None
    found = {name.removeprefix("features."): value for name, value in whole.items() if name.startswith("features.")}
    if len(found) != 32:
        raise ZooError(f"{path}: has {len(found)} tensors of convolutions, and VGG-19 has 32")
    return found


def make_encoder(kind: str | None, features: int, weights: str | None) -> nn.Module | None:
    """The encoder of that name; None where annotations come ready."""
    if kind == "vgg19" and features != 512:
        raise ZooError(f"features is {features}; VGG-19 has 512")
    if weights is not None and kind != "vgg19":
        raise ZooError(f"encoder_weights is {weights!r}, and only vgg19 reads any")
    return {"small": lambda: Small(features), "vgg19": lambda: VGG19(weights), None: lambda: None}[kind]()


def annotations(encoder: nn.Module | None, image: Tensor, features: int) -> Tensor:
    """a_1 to a_L, row by row: (batch, L, D) of pictures, or of maps that were made before (batch, D, rows, columns)."""
    if image.ndim != 4 or 0 in image.shape[2:] or (encoder is None and image.shape[1] != features):
        expected = "(batch, 3, height, width)" if encoder else f"(batch, {features}, rows, columns)"
        raise ZooError(f"the picture has the shape {tuple(image.shape)}; expected {expected}")
    if encoder is not None and min(image.shape[2:]) < encoder.stride:
        raise ZooError(
            f"the picture has {image.shape[3]} x {image.shape[2]} pixels; expected {encoder.stride} at least"
        )
    maps = image if encoder is None else encoder(image)
    return maps.flatten(2).mT
