"""A thin plate spline network written plainly, in the shape of computation that its public code has.

As in WarBean/tps_stn_pytorch, the control points' distances to every pixel are known, but the spline of a sample is
found by a product with the inverse of a matrix of k * k + 3 rows, and its grid by another with a matrix that is
repeated for the batch; the digits are turned one after the other by the loader, each as a picture of its own.
"""

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn


def trunk(outputs: int) -> nn.Sequential:
    return nn.Sequential(
        *(nn.Conv2d(1, 10, 5), nn.MaxPool2d(2), nn.ReLU()),
        *(nn.Conv2d(10, 20, 5), nn.Dropout2d(), nn.MaxPool2d(2), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(320, 50), nn.ReLU(), nn.Dropout(), nn.Linear(50, outputs)),
    )


def kernel(points: Tensor, control: Tensor) -> Tensor:
    square = (points[:, None] - control[None]).square().sum(-1)
    return torch.nan_to_num(0.5 * square * square.log(), nan=0.0)


class PlainTPS(nn.Module):
    """28 x 28 digits, k x k control points over [-0.9, 0.9]^2, unbounded."""

    def __init__(self, k: int = 4):
        super().__init__()
        line = torch.linspace(-0.9, 0.9, k)
        control = torch.cartesian_prod(line, line).flip(-1)
        n = k * k
        forward = torch.zeros(n + 3, n + 3)
        forward[:n, :n] = kernel(control, control)
        forward[:n, n], forward[n, :n] = 1, 1
        forward[:n, n + 1 :], forward[n + 1 :, :n] = control, control.T
        line = torch.linspace(-1, 1, 28)
        pixels = torch.cartesian_prod(line, line).flip(-1)
        self.register_buffer("inverse", torch.inverse(forward))
        self.register_buffer("at", torch.cat([kernel(pixels, control), torch.ones(784, 1), pixels], 1))
        self.localise, self.classify = trunk(2 * n), trunk(10)
        nn.init.zeros_(self.localise[-1].weight)
        self.localise[-1].bias.data.copy_(control.flatten())

    def forward(self, image: Tensor, label: Tensor) -> Tensor:
        batch = len(image)
        sources = self.localise(image).view(batch, -1, 2)
        padded = torch.cat([sources, torch.zeros(batch, 3, 2)], 1)
        mapping = self.inverse.expand(batch, -1, -1) @ padded
        grid = (self.at.expand(batch, -1, -1) @ mapping).view(batch, 28, 28, 2)
        return F.cross_entropy(self.classify(F.grid_sample(image, grid, align_corners=True)), label)


def turned(digits: Tensor, degrees: float = 90.0) -> Tensor:
    """Each digit of a batch (batch, 28, 28) uint8 as a picture, turned by a random angle: (batch, 1, 28, 28)."""
    found = []
    for digit in digits:
        angle = (2 * torch.rand(()).item() - 1) * degrees
        picture = Image.fromarray(digit.numpy()).rotate(angle)
        found.append(torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8).view(1, 28, 28).float() / 255)
    return torch.stack(found)
