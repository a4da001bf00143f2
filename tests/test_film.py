"""Films: what stood on the canvas after each step, and the window of that step in red."""

import numpy as np
import pytest
import torch
from PIL import Image

from zoo.looking.attention import Attention
from zoo.looking.film import RED, SIDE, compose, film
from zoo.looking.plots import plot


def record(samples: int = 2, steps: int = 3, **fields) -> Attention:
    """Canvases of 8 x 8 that grow brighter, and a window that moves to the right, with a line of two pixels."""
    frames = torch.linspace(0, 1, steps).view(1, -1, 1, 1, 1).expand(samples, -1, 1, 8, 8)
    inner = torch.tensor([2.0, 2, 5, 6]) + torch.arange(steps)[:, None] * torch.tensor([1.0, 0, 1, 0])
    boxes = torch.stack((inner, inner + torch.tensor([-1.0, -1, 1, 1])), 1).expand(samples, -1, -1, -1)
    return Attention(**({"boxes": boxes, "frames": frames} | fields))


def test_the_line_reaches_from_the_finest_box_to_both_sides():
    sheets = compose(record(samples=1))
    scale = -(-SIDE // 9)
    assert len(sheets) == 3 and sheets[0].shape == (9 * scale, 9 * scale, 3)
    for step, sheet in enumerate(sheets):
        red = (sheet == RED).all(-1)[: 8 * scale, : 8 * scale].reshape(8, scale, 8, scale).all((1, 3))
        expected = np.zeros((8, 8), bool)
        expected[1:7, 1 + step : 6 + step] = True
        expected[3:5, 3 + step : 4 + step] = False
        np.testing.assert_array_equal(red, expected)
        grey = sheet[4 * scale, 3 * scale + scale // 2 + step * scale]  # within the window
        assert grey.tolist() == [round(255 * step / 2)] * 3


def test_a_film_has_a_frame_for_each_step_and_all_samples(tmp_path):
    film(record(samples=5), tmp_path / "new" / "film.gif")
    with Image.open(tmp_path / "new" / "film.gif") as shown:
        assert shown.n_frames == 3 and shown.width > shown.height, "three beside each other, in two rows"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["film.gif"]


def test_without_frames_the_window_moves_over_the_image(tmp_path):
    looked = record(frames=None, images=torch.rand(2, 3, 8, 8))
    assert len(compose(looked)) == 3
    plot(looked, tmp_path / "film.gif", index=1)
    assert Image.open(tmp_path / "film.gif").n_frames == 3
    with pytest.raises(ValueError, match="lacks them"):
        compose(record(frames=None))


@pytest.mark.parametrize("end", ["png", "gif"])
def test_a_painting_is_plotted(tmp_path, end):
    figure = plot(record(images=torch.rand(2, 1, 8, 8)), tmp_path / f"one.{end}", title="$1")
    assert len(figure.axes) == 4, "the image and three frames"
    assert len(plot(record(images=record().frames[:, -1])).axes) == 3, "a sample has no image but the last frame"
    assert Image.open(tmp_path / f"one.{end}").size[0] > 100


def test_frames_belong_to_the_steps():
    cut = record(outputs=[["a", "b"], ["a", "b", "c"]])
    assert cut[0].frames.shape == (1, 2, 1, 8, 8) and cut[1].frames.shape[1] == 3
    with pytest.raises(ValueError, match="frames is of 2 steps and boxes of 3"):
        record(frames=torch.zeros(2, 2, 1, 8, 8))
    with pytest.raises(ValueError, match="frames has the shape"):
        record(frames=torch.zeros(2, 3, 8, 8))
