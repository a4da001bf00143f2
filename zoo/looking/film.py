"""Films of models that paint or look step by step: the picture after each step, the window of that step in red."""

import math
import os
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from zoo.looking.attention import Attention

RED = np.array([220, 30, 30], np.uint8)
SIDE = 480  # pixels that a film is at least high, where its pictures are so small
STEP, REST = 80, 2000  # milliseconds that a frame is shown, and the last one
GAP = 1  # pixels between pictures, before they are enlarged


def film(attention: Attention, path: str | Path) -> None:
    """Writes all samples of a record as one animated GIF; a kill leaves the old file or the new one.

    Raises:
        ValueError: a record without boxes or pictures.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    shown = [Image.fromarray(frame) for frame in compose(attention)]
    partial = path.with_name(f"{path.name}.partial")
    try:
        shown[0].save(
            partial,
            format="GIF",
            save_all=True,
            append_images=shown[1:],
            duration=[STEP] * (len(shown) - 1) + [REST],
            loop=0,
        )
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def compose(attention: Attention) -> list[np.ndarray]:
    """The frames of all samples side by side, one for each step: (height, width, 3) uint8 each.

    The line of a window reaches from its finest box, the same distance to both sides, to its next one; where there is
    one box it is as thin as can be.
    """
    if attention.boxes is None or (attention.frames is None and attention.images is None):
        raise ValueError("a film shows boxes over frames or images, and this record lacks them")
    boxes = _array(attention.boxes)  # (samples, steps, windows, 4)
    samples, steps = boxes.shape[:2]
    if attention.frames is None:
        frames = np.repeat(_array(attention.images)[:, None], steps, 1)
    else:
        frames = _array(attention.frames)  # (samples, steps, channels, height, width)
    columns = math.ceil(math.sqrt(samples))
    rows = math.ceil(samples / columns)
    height, width = frames.shape[-2:]
    scale = max(1, math.ceil(SIDE / (rows * (height + GAP))))
    shown = []
    for step in range(steps):
        sheet = np.zeros((rows * (height + GAP) * scale, columns * (width + GAP) * scale, 3), np.uint8)
        for sample in range(samples):
            row, column = divmod(sample, columns)
            top, left = row * (height + GAP) * scale, column * (width + GAP) * scale
            sheet[top : top + height * scale, left : left + width * scale] = _framed(
                frames[sample, step], boxes[sample, step], scale
            )
        shown.append(sheet)
    return shown


def _framed(frame: np.ndarray, windows: np.ndarray, scale: int) -> np.ndarray:
    """A picture (channels, height, width), enlarged, with the window (windows, 4) of its step."""
    shown = (frame.clip(0, 1) * 255).round().astype(np.uint8).transpose(1, 2, 0)
    shown = np.broadcast_to(shown, (*shown.shape[:2], 3)).repeat(scale, 0).repeat(scale, 1)
    finest, next_one = windows[0], windows[min(1, len(windows) - 1)]
    half = max((finest[0] - next_one[0]), 1 / scale)  # of the line, in pixels of the frame
    y, x = ((np.arange(size) + 0.5) / scale for size in shown.shape[:2])

    def inside(by: float) -> np.ndarray:
        """Which pixels are within the finest box, widened by so much."""
        left, top, right, bottom = finest + np.array([-by, -by, by, by])
        return ((y >= top) & (y < bottom))[:, None] & ((x >= left) & (x < right))

    shown[inside(half) & ~inside(-half)] = RED
    return shown


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().float().cpu().numpy()
