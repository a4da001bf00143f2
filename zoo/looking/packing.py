"""An attention record as plain values for a page: weights as bytes, pictures as PNG, all of it text for JSON."""

import base64
import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from zoo.looking.attention import Attention
from zoo.looking.names import VISIBLE

LINES = 64  # rows and columns of a lattice that a page keeps


def packed(attention: Attention, places: Sequence[tuple[float, float]] = ()) -> list[dict[str, Any]]:
    """Each sample of a record as what the scripts of `zoo/looking/web` read.

    Args:
        places: (north, east) of each input of the first sample and then of its output, where inputs are places.

    Raises:
        ValueError: a picture of other than 1 or 3 channels.
    """
    samples = [_sample(attention[i]) for i in range(len(attention))]
    if places:
        samples[0]["places"] = [list(map(float, place)) for place in places]
    return samples


def _sample(one: Attention) -> dict[str, Any]:
    outputs, inputs = one._sizes()
    found: dict[str, Any] = {
        "axes": ["what is looked at", "what looks"] if one.inputs and one.inputs == one.outputs else _axes(one),
        "outputs": side(one.outputs, outputs),
    }
    if one.weights is not None:
        found["weights"] = pack_weights(one.weights[0], one.layers)
        found |= {"grid": list(one.grid)} if one.grid else {"inputs": side(one.inputs, inputs)}
    if one.images is not None:
        found["image"] = sheet(one.images)
    if one.boxes is not None:
        found["boxes"] = _array(one.boxes)[0].round(2).tolist()
    if one.views is not None:
        windows = one.boxes.shape[2]
        found["views"] = sheet(one.views[0].unflatten(1, (windows, -1)).flatten(0, 1))
    if one.frames is not None:
        found["frames"] = sheet(one.frames[0])
    if one.lattices is not None:
        kept = _thinned(_array(one.lattices)[0])
        found["lattices"] = {"shape": list(kept.shape[:3]), "data": _text(kept.astype("<f4"))}
    return found


def _axes(one: Attention) -> list[str]:
    """What inputs and outputs are called."""
    return ["what it reads", "what it says" if one.outputs else "steps"]


def side(names: list[list[str]], size: int) -> dict[str, Any]:
    """The names of one side as they are shown, and before which of them there is a gap.

    The marks of sub-words become gaps: ``▁`` at the start and ``</w>`` at the end of a word. Letters stand close.
    """
    row = names[0] if names else [str(i + 1) for i in range(size)]
    if any("▁" in name for name in row):
        gaps, row = [name.startswith("▁") for name in row], [name.replace("▁", " ").strip() or "␣" for name in row]
    elif any(name.endswith("</w>") for name in row):
        gaps = [True, *(name.endswith("</w>") for name in row[:-1])]
        row = [name.removesuffix("</w>") for name in row]
    else:
        gaps = [any(len(name) > 1 for name in row)] * len(row)
    return {"names": [name if name.strip() else name.translate(VISIBLE) for name in row], "gaps": gaps}


def pack_weights(weights: Tensor, layers: int = 1) -> dict[str, Any]:
    """Weights (heads, outputs, inputs) as a byte each, in 255ths of the largest of their row, which is a float32."""
    rows = np.nan_to_num(_array(weights)).clip(min=0)
    scales = rows.max(-1, initial=0)
    shares = rows / np.where(scales > 0, scales, 1)[..., None]
    data = (shares * 255).round().astype(np.uint8)
    return {"shape": list(rows.shape), "layers": layers, "scales": _text(scales.astype("<f4")), "data": _text(data)}


def sheet(pictures: Tensor) -> dict[str, Any]:
    """Pictures (count, channels, height, width) in [0, 1] as one PNG, row by row on a sheet about as wide as high."""
    count, channels, height, width = pictures.shape
    if channels not in (1, 3):
        raise ValueError(f"a picture of {channels} channels cannot be shown, only one of 1 or 3")
    columns = max(1, math.ceil(math.sqrt(count * height / max(width, 1))))
    rows = math.ceil(count / columns)
    pixels = (np.nan_to_num(_array(pictures)).clip(0, 1) * 255).round().astype(np.uint8)
    page = np.zeros((rows * columns, channels, height, width), np.uint8)
    page[:count] = pixels
    page = page.reshape(rows, columns, channels, height, width).transpose(0, 3, 1, 4, 2)
    page = page.reshape(rows * height, columns * width, channels)
    data = io.BytesIO()
    Image.fromarray(page[..., 0] if channels == 1 else page).save(data, format="PNG", optimize=True)
    return {"src": png(data.getvalue()), "width": width, "height": height, "columns": columns}


def png(data: bytes) -> str:
    """The bytes of a PNG as the address of a picture."""
    return "data:image/png;base64," + base64.b64encode(data).decode()


def _thinned(lattices: np.ndarray) -> np.ndarray:
    """(steps, rows, columns, 2) with at most LINES rows and columns, the outer ones among them."""
    for axis in (1, 2):
        kept = np.linspace(0, lattices.shape[axis] - 1, min(lattices.shape[axis], LINES)).round().astype(int)
        lattices = lattices.take(kept, axis)
    return lattices


def _text(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().float().cpu().numpy()
