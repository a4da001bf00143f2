"""Pictures as people have them (files, arrays, tensors of any size, mode and range) as grey or coloured floats."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import Tensor

from zoo.errors import ZooError

FLAT = 0.01  # a range of brightness that is one colour
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as in PIL's mode "L"


class PictureError(ZooError):
    """Something that cannot be meant as a picture; the message says why."""


class Picture(NamedTuple):
    """A picture, and what was done to it in words."""

    grey: Tensor  # (height, width) float32 in [0, 1]
    told: list[str]


def read_picture(raw: Any) -> Picture:
    """Any picture as grey floats.

    Args:
        raw: the path of a file, a PIL image, or an array or tensor: (height, width), (height, width, channels) or
            (channels, height, width) with 1, 3 or 4 channels, of floats in 0..1, of floats or integers in 0..255, of
            16-bit integers or of booleans.

    Raises:
        PictureError: what cannot be meant; one sentence.
    """
    told: list[str] = []
    return Picture(torch.from_numpy(_to_grey(_read(raw, told), told)), told)


def read_colours(raw: Any) -> tuple[Tensor, list[str]]:
    """Any picture as (3, height, width) float32 in [0, 1], and what was done to it in words; see :func:`read_picture`.

    Transparent parts are made white.
    """
    told: list[str] = []
    array = _read(raw, told)
    if len(array) == 1:
        told.append("grey made colours")
        array = np.repeat(array, 3, 0)
    if len(array) == 4:
        alpha = array[3:]
        if alpha.max() == 0:
            raise PictureError("it is fully transparent")
        if alpha.min() < 1:
            told.append("transparent parts made white")
        array = array[:3] * alpha + (1 - alpha)
    return torch.from_numpy(np.ascontiguousarray(array)), told


def fit_colours(picture: Tensor, size: int, crop: bool, told: list[str]) -> Tensor:
    """Scales (3, height, width) to a square of `size` pixels, its aspect kept; adds to `told` what was done.

    Args:
        crop: the middle of the picture fills the square; otherwise all of it is there, and its edges are drawn out.
    """
    height, width = picture.shape[1:]
    if height == width == size:
        return picture
    scale = size / (min(height, width) if crop else max(height, width))
    new = max(1, round(height * scale)), max(1, round(width * scale))
    scaled = F.interpolate(picture[None], size=new, mode="bilinear", antialias=True).clamp(0, 1)
    told.append(f"resized from {width} x {height} to {new[1]} x {new[0]}")
    rows, columns = size - new[0], size - new[1]
    if rows or columns:
        told.append("the middle taken" if crop else f"edges drawn out to {size} x {size}")
    around = (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)
    return F.pad(scaled, around, mode="constant" if crop else "replicate")[0]


def _read(raw: Any, told: list[str]) -> np.ndarray:
    """(channels, height, width) float32 in [0, 1] with 1, 3 or 4 channels, the fourth opacity."""
    if isinstance(raw, str | Path):
        raw = _open(Path(raw))
    if isinstance(raw, Image.Image):
        array, last = _from_image(raw, told), True
    elif isinstance(raw, Tensor):
        raw = raw.detach().cpu()
        array, last = (raw.float() if raw.is_floating_point() else raw).numpy(), False
    elif isinstance(raw, np.ndarray):
        array, last = raw, True
    else:
        raise PictureError(f"expected a path, a PIL image, an array or a tensor, not {type(raw).__name__}")
    return _to_unit(_channels_first(array, last), told)


def fit(picture: Picture, size: int, content: int | None = None) -> Picture:
    """Scales a picture to a square of `size` pixels; its aspect is kept, and the rest of the square is black.

    Args:
        content: side of what the network knows on a larger square; a picture no larger than this keeps its scale.
    """
    grey, told = picture
    height, width = grey.shape
    if height == width == size:
        return picture
    done = []
    if max(height, width) > (content or 0) or content > size:
        scale = size / max(height, width)
        new = max(1, round(height * scale)), max(1, round(width * scale))
        grey = F.interpolate(grey[None, None], size=new, mode="bilinear", antialias=True)[0, 0].clamp(0, 1)
        done.append(f"resized from {width} x {height} to {new[1]} x {new[0]}")
    rows, columns = size - grey.shape[0], size - grey.shape[1]
    if rows or columns:
        grey = F.pad(grey, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))
        done.append(f"padded to {size} x {size}")
    return Picture(grey, [*told, " and ".join(done)])


def _open(path: Path) -> Image.Image:
    if path.is_dir():
        raise PictureError("it is a folder, not a picture")
    try:
        image = Image.open(path)
        image.load()
    except FileNotFoundError:
        raise PictureError("there is no such file") from None
    except Image.UnidentifiedImageError:
        raise PictureError("not an image file that Pillow can read") from None
    except Exception as error:  # decoders of broken files raise whatever they run into
        raise PictureError(f"cannot be read as a picture ({error})") from None
    return image


def _from_image(image: Image.Image, told: list[str]) -> np.ndarray:
    """(height, width) or (height, width, 3 or 4); modes of more than 8 bits keep their numbers."""
    if getattr(image, "n_frames", 1) > 1:
        told.append(f"the first of its {image.n_frames} frames used")
    if 0 in image.size:
        raise PictureError(f"it is empty ({image.width} x {image.height} pixels)")
    image = ImageOps.exif_transpose(image)
    if image.mode == "F" or image.mode.startswith("I"):
        array = np.asarray(image)
        return array.astype(array.dtype.newbyteorder("="))
    if "A" in image.getbands() or "transparency" in image.info:
        return np.asarray(image.convert("RGBA"))
    return np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB"))


def _channels_first(array: np.ndarray, prefers_last: bool) -> np.ndarray:
    """(channels, height, width) with 1, 3 or 4 channels."""
    shape = tuple(array.shape)
    if 0 in shape:
        raise PictureError(f"it is empty (shape {shape})")
    first, last = (array.ndim == 3 and shape[axis] in (1, 3, 4) for axis in (0, -1))
    if array.ndim == 2:
        return array[None]
    if last and (prefers_last or not first):
        return array.transpose(2, 0, 1)
    if first:
        return array
    raise PictureError(
        f"shape {shape} is not that of a picture; expected (height, width), or with 1, 3 or 4 channels first or last"
    )


def _to_unit(array: np.ndarray, told: list[str]) -> np.ndarray:
    """The same numbers in [0, 1], as float32."""
    if array.dtype.kind not in "buif":
        raise PictureError(f"its values are {array.dtype}, not numbers")
    if not np.isfinite(array).all():
        raise PictureError("it holds values that are not finite")
    low, high = float(array.min()), float(array.max())
    whole = array.dtype.kind != "f"
    natural = {"uint8": 255, "bool": 1, "uint16": 65535}.get(array.dtype.name, 255 if whole else 1)
    slack = 0.0 if whole else 1e-3  # a resize overshoots a little
    # a picture of few values may be darker than its type allows, so the smallest range that holds it is only a guess
    limits = [limit for limit in ((1, 255, 65535) if whole else (1, 255)) if high <= limit + slack]
    if low < -slack or not limits:
        raise PictureError(f"its values go from {low:.4g} to {high:.4g}; expected 0 to 1 or 0 to 255")
    limit = natural if high == 0 else limits[0]
    if limit != natural:
        told.append(
            f"values of 0 to {limit} scaled to 0 to 1" if limit > 1 else "values of 0 and 1 taken as black and white"
        )
    return (array.astype(np.float32) / limit).clip(0, 1)


def _to_grey(array: np.ndarray, told: list[str]) -> np.ndarray:
    """(height, width); transparent parts get the ground of what is opaque, or that which opaque ink stands out from."""
    if len(array) == 1:
        return np.ascontiguousarray(array[0])
    grey = np.tensordot(np.float32(LUMA), array[:3], 1)
    told.append("colours turned to grey")
    if len(array) == 4 and (alpha := array[3]).min() < 1:
        if alpha.max() == 0:
            raise PictureError("it is fully transparent")
        opaque = grey[alpha >= alpha.max() / 2]
        low, ground, high = np.quantile(opaque, (0.02, 0.5, 0.98))
        if high - low < FLAT or (opaque.size < 0.5 * grey.size and high - low < 0.15):  # ink of one colour, not a page
            ground = float((grey * alpha).sum() < 0.5 * alpha.sum())
        grey = (grey * alpha + np.float32(ground) * (1 - alpha)).astype(np.float32)
        told.append(f"transparent parts made {'white' if ground == 1 else 'black' if ground == 0 else 'as the page'}")
    return grey
