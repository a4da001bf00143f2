"""Pictures whose pixels are black or white: drawn once, drawn anew, or as Hugo Larochelle published them."""

from pathlib import Path

import torch
from torch import Tensor

from datamodules.files import DataError, read_file
from datamodules.sampling import generator

SEED = 20150216  # of the static draw, the same in every run
PIXELS = 28 * 28
FILES = {
    f"binarized_mnist_{name}.amat": count for name, count in (("train", 50_000), ("valid", 10_000), ("test", 10_000))
}

# the finaliser of MurmurHash3 (Appleby 2011), its constants as signed 64-bit integers
MIX_1 = 0xFF51AFD7ED558CCD - 2**64
MIX_2 = 0xC4CEB9FE1A85EC53 - 2**64


def static(images: Tensor) -> Tensor:
    """Each pixel 0 or 255, 255 with the probability that its grey means: (n, height, width) uint8 to the same.

    (Salakhutdinov and Murray 2008.) Drawn once; the sample of a picture depends on its place alone.
    """
    parts = []
    for number, part in enumerate(images.split(10_000)):
        uniform = torch.rand(part.shape, generator=generator(SEED, number, 1))
        parts.append((uniform * 255 < part).to(torch.uint8) * 255)
    return torch.cat(parts)


def dynamic(images: Tensor, key: Tensor) -> Tensor:
    """As :func:`static`, but a function of a picture's key (batch,) int64, on any device."""
    pixel = torch.arange(images[0].numel(), device=key.device)
    bits = key[:, None] + pixel * MIX_2
    for mix in (MIX_1, MIX_2):
        bits = (bits ^ ((bits >> 33) & (2**31 - 1))) * mix  # >> repeats the sign bit
    uniform = ((bits >> 33) & (2**24 - 1)).view(images.shape).float() / 2**24
    return (uniform * 255 < images).to(torch.uint8) * 255


def published(root: str | None) -> bool:
    """Whether a folder has Larochelle's files."""
    return root is not None and any((Path(root) / name).exists() for name in FILES)


def read_published(root: str) -> Tensor:
    """Larochelle's files: a line for each picture, its 784 pixels as 0 or 1 and a space between them.

    Returns:
        (70000, 28, 28) uint8, 0 or 255: training, validation and test pictures. They have no labels.
    """
    return torch.cat([parse_amat(read_file(Path(root) / name), f"{root}/{name}", n) for name, n in FILES.items()])


def parse_amat(data: bytes, name: str, count: int) -> Tensor:
    """The pictures of one file, (count, 28, 28) uint8."""
    digits = data.translate(None, b" \r\n\t")
    lines = data.count(b"\n") + (not data.endswith(b"\n"))
    if len(digits) != count * PIXELS or lines != count or digits.translate(None, b"01"):
        raise DataError(f"{name}: truncated or altered, expected {count} lines of {PIXELS} times 0 or 1")
    return (torch.frombuffer(bytearray(digits), dtype=torch.uint8) - ord("0")).view(count, 28, 28) * 255
