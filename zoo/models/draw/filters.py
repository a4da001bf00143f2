"""Selective attention: a grid of N x N Gaussian filters, through which DRAW reads and writes (section 3.2)."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

LIMIT = 10.0  # of the logarithms of variance, stride and intensity, so that all of them stay finite


class Window(NamedTuple):
    """Where the grid lies on each picture, in pixels: the centre of the top-left pixel is (0, 0)."""

    centre: Tensor  # (batch, 2) as (x, y): g_X, g_Y
    stride: Tensor  # (batch, 1): delta, from filter to filter
    variance: Tensor  # (batch, 1): sigma^2 of the filters
    intensity: Tensor  # (batch, 1): gamma


class Filters(nn.Module):
    """The filterbank of a grid.

    Pictures are (batch, rows, channels, columns), so that both products of a read or write are plain batched ones.

    Args:
        n: N, filters in each direction.
        size: A = B, side of the picture.
    """

    def __init__(self, n: int, size: int):
        super().__init__()
        self.n, self.size = n, size
        self.register_buffer("offsets", torch.arange(n) - n / 2 + 0.5, persistent=False)  # the paper's i counts from 1
        self.register_buffer("pixels", torch.arange(size).float(), persistent=False)

    def window(self, raw: Tensor) -> Window:
        """From the five numbers of equation 21, (batch, 5) as (g~_X, g~_Y, log sigma^2, log delta~, log gamma)."""
        variance, stride, intensity = raw[:, 2:].clamp(-LIMIT, LIMIT).exp().split(1, -1)
        centre = (self.size + 1) / 2 * (raw[:, :2] + 1) - 1  # equations 22 and 23; - 1: pixels count from 0
        return Window(centre, (self.size - 1) / max(self.n - 1, 1) * stride, variance, intensity)  # equation 24

    def forward(self, window: Window) -> tuple[Tensor, Tensor]:
        """F_X and F_Y: (batch, N, size) each, whose rows sum to one."""
        mean = window.centre[..., None] + window.stride[..., None] * self.offsets  # equations 19 and 20, (batch, 2, N)
        distance = self.pixels - mean[..., None]  # (batch, 2, N, size)
        # exp(-d^2 / 2 sigma^2) / Z, equations 25 and 26: softmax is just that, and its Z cannot vanish
        f = (distance.square() * (-0.5 / window.variance)[..., None, None]).softmax(-1)
        return f[:, 0], f[:, 1]

    def read(self, picture: Tensor, window: Window) -> Tensor:
        """gamma F_Y x F_X^T (equation 27): (batch, size, channels, size) -> (batch, N, channels, N)."""
        f_x, f_y = self(window)
        rows = (f_y @ picture.flatten(2)).view(len(picture), -1, self.size)  # (batch, N * channels, size)
        return window.intensity[..., None, None] * (rows @ f_x.mT).view(len(picture), self.n, -1, self.n)

    def write(self, patch: Tensor, window: Window, canvas: Tensor) -> Tensor:
        """The canvas plus F_Y^T w F_X / gamma (equation 29), for w (batch, N, channels, N)."""
        f_x, f_y = self(window)
        columns = f_y.mT @ (patch / window.intensity[..., None, None]).flatten(2)  # (batch, size, channels * N)
        columns = columns.view(len(patch), -1, self.n)
        return torch.baddbmm(canvas.flatten(1, 2), columns, f_x).view(canvas.shape)

    def box(self, window: Window) -> Tensor:
        """The square through the outermost centres, (batch, 4) as (left, top, right, bottom).

        As :class:`zoo.looking.attention.Attention` counts pixels: (0, 0) is the corner of the top-left one.
        """
        half = (self.n - 1) / 2 * window.stride
        return torch.cat((window.centre + 0.5 - half, window.centre + 0.5 + half), -1)
