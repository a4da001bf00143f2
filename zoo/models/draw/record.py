"""Where DRAW read and wrote, as records of attention."""

import torch
from torch import Tensor

from zoo.looking.attention import Attention
from zoo.models.draw.filters import Filters
from zoo.models.draw.network import DRAW, State


def boxes(filters: Filters | None, size: int, said: list[Tensor]) -> Tensor:
    """(batch, steps, 2, 4): the square through the outermost filters of each step, and how far their lines reach.

    The second is wider by sigma, half of it on each side: the thickness of the line in the paper's pictures. Without
    attention both are the whole picture.

    Args:
        said: of each step the five numbers of its window, (batch, 5).
    """
    if filters is None:
        whole = said[0].new_tensor([0, 0, size, size])
        return whole.expand(len(said[0]), len(said), 2, 4)
    windows = [filters.window(each) for each in said]
    inner = torch.stack([filters.box(window) for window in windows], 1)  # (batch, steps, 4)
    half = torch.stack([window.variance.sqrt() / 2 for window in windows], 1)  # (batch, steps, 1)
    return torch.stack((inner, inner + half * half.new_tensor([-1, -1, 1, 1])), 2)


@torch.no_grad()
def writing(network: DRAW, image: Tensor, noise: Tensor) -> Attention:
    """The window that each step wrote through and the canvas after it, of pictures that are reconstructed.

    Args:
        image: (batch, channels, size, size).
        noise: (batch, T, latent).
    """
    return _painted(network, network.infer_all(image, noise, keep=True).states[1:], image)


@torch.no_grad()
def sampling(network: DRAW, z: Tensor) -> Attention:
    """The same of samples from the prior, z (batch, T, latent); their pictures are the means of the last canvas."""
    return _painted(network, network.generate(z)[1:], None)


def _painted(network: DRAW, states: list[State], image: Tensor | None) -> Attention:
    frames = torch.stack([state.canvas.transpose(1, 2).sigmoid() for state in states], 1)
    said = [state.said.split(network.parts, -1)[1] for state in states]
    where = boxes(network.write, network.size, said)
    return Attention(boxes=where, images=frames[:, -1] if image is None else image, frames=frames)


@torch.no_grad()
def reading(network: DRAW, image: Tensor) -> Attention:
    """The window of each glimpse of a classifier, and what was read through it but for its factor gamma."""
    states = network.glimpse_all(image, keep=True)[:-1]  # the window that the last state would choose is not used
    picture = image.transpose(1, 2)
    windows = [network.read.window(state.said[:, :5]) for state in states]
    plain = [window._replace(intensity=torch.ones_like(window.intensity)) for window in windows]
    views = [network.read.read(picture, window).transpose(1, 2) for window in plain]  # (batch, channels, N, N)
    inner = torch.stack([network.read.box(window) for window in windows], 1)
    return Attention(boxes=inner[:, :, None], images=image, views=torch.stack(views, 1))
