"""Recurrent Models of Visual Attention (Mnih, Heess, Graves, Kavukcuoglu; NIPS 2014; arXiv 1406.6247)."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from zoo.errors import WIDEST, ZooError, check_between, check_choice, check_flag, check_whole
from zoo.looking.attention import Attention
from zoo.nn.glimpse import integral_image, patch, pooled, retina, windows
from zoo.nn.glimpse_network import GlimpseNetwork, ReLUCore
from zoo.nn.kernels import at_least_float32


class Rollout(NamedTuple):
    """What one episode of T glimpses did."""

    logits: Tensor  # (batch, classes), from the last state
    locations: Tensor  # (batch, T, 2) as (x, y): where the retina was, in [-1, 1]
    samples: Tensor  # (batch, T, 2): the locations before they were clamped to the image
    means: Tensor  # (batch, T, 2): the policy's mu_t; the first is zero, since the first glimpse is random
    baselines: Tensor  # (batch, T): b_t, the return that state t expects


class LSTMCore(nn.Module):
    """f_h for control: LSTM cells (section 3.1); the first entry of the state is h_t."""

    def __init__(self, inputs: int, hidden: int):
        super().__init__()
        self.state_sizes = (hidden, hidden)
        self.recurrent = nn.Linear(hidden, 4 * hidden)
        self.input = nn.Linear(inputs, 4 * hidden)

    def forward(self, g: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        h, c = state
        i, f, o, candidate = (self.recurrent(h) + self.input(g)).to(c.dtype).chunk(4, dim=-1)
        c = f.sigmoid() * c + i.sigmoid() * candidate.tanh()
        return o.sigmoid() * c.tanh(), c


CORES = {"relu": ReLUCore, "lstm": LSTMCore}


class RAM(nn.Module):
    """Looks at an image through a few small glimpses and says what it shows.

    Args:
        num_glimpses: T.
        glimpse_size: side of a retina patch in cells.
        num_scales: retina patches, each twice as wide as the one before.
        channels: of the image.
        num_classes: that the action head tells apart.
        hidden: units of the core, and of g_t.
        core: "relu" (classification) or "lstm" (control).
        sigma: standard deviation of the location policy, in units of half an image.
        policy: "learned", or "random" for the control that looks at uniformly random places.
        detach_policy: whether policy gradients stop at the location head (the paper does not say).
    """

    def __init__(
        self,
        num_glimpses: int = 6,
        glimpse_size: int = 8,
        num_scales: int = 1,
        channels: int = 1,
        num_classes: int = 10,
        hidden: int = 256,
        core: str = "relu",
        sigma: float = 0.1,
        policy: str = "learned",
        detach_policy: bool = True,
    ):
        super().__init__()
        check_choice(sorted(CORES), core=core)
        check_choice(("learned", "random"), policy=policy)
        check_whole(1, 10_000, num_glimpses=num_glimpses)
        check_whole(1, 1024, glimpse_size=glimpse_size)
        check_whole(1, 12, num_scales=num_scales)
        check_whole(1, WIDEST, channels=channels, num_classes=num_classes, hidden=hidden)
        check_between(1e-4, 1e4, sigma=sigma)  # beyond, densities are no finite float32
        check_flag(detach_policy=detach_policy)
        if glimpse_size % 2:
            raise ZooError(f"glimpse_size is {glimpse_size}; the retina needs an even number of cells")
        self.num_glimpses, self.glimpse_size, self.num_scales = num_glimpses, glimpse_size, num_scales
        self.channels = channels
        self.sigma, self.policy, self.detach_policy = sigma, policy, detach_policy
        self.glimpse = GlimpseNetwork(num_scales * channels * glimpse_size**2, out=hidden)
        self.core = CORES[core](hidden, hidden)
        self.locate = nn.Linear(hidden, 2)  # f_l
        self.act = nn.Linear(hidden, num_classes)  # f_a
        self.expect = nn.Linear(hidden, 1)  # the baseline b_t
        # under DDP what learns must have a gradient
        self.locate.requires_grad_(policy == "learned" and num_glimpses > 1)

    def initial_state(self, batch: int) -> tuple[Tensor, ...]:
        """h_0 = 0: a tuple of (batch, hidden)."""
        return tuple(self.locate.weight.new_zeros(batch, size) for size in self.core.state_sizes)

    def surface(self, image: Tensor) -> Tensor:
        """What the retina reads of an image, made once: its integral image.

        For one scale, or where a gradient of the image is wanted, it is the image itself.
        """
        if image.ndim != 4 or image.shape[1] != self.channels or 0 in image.shape[2:]:
            expected = f"expected (batch, {self.channels}, height, width) with at least one pixel"
            raise ZooError(f"the image has the shape {tuple(image.shape)}; {expected}")
        return image if self.num_scales == 1 or image.requires_grad else integral_image(image)

    def look(self, surface: Tensor, location: Tensor) -> Tensor:
        """rho(x, l): (batch, scales * channels, size, size); see :func:`zoo.nn.glimpse.retina`."""
        if self.num_scales == 1:
            return patch(surface, location, self.glimpse_size)
        see = pooled if surface.is_floating_point() else retina
        return see(surface, location, self.glimpse_size, self.num_scales)

    def step(self, surface: Tensor, location: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """One glimpse: l_{t-1} and h_{t-1} to h_t."""
        rho = self.look(surface, location)
        return self.core(self.glimpse(rho.flatten(1), location), state)

    def next_mean(self, h: Tensor) -> Tensor:
        """mu_t = f_l(h_t): (batch, 2), float32 at least, as a place in half precision is off by pixels."""
        if self.policy == "random":
            return at_least_float32(h.new_zeros(len(h), 2))
        return at_least_float32(self.locate(h.detach() if self.detach_policy else h))

    def forward(self, image: Tensor, offsets: Tensor | None = None) -> Rollout:
        """One episode: l_t = mu_t + offset_t, with mu_1 = 0.

        Args:
            image: (batch, channels, height, width) in [0, 1], of any size.
            offsets: (batch, T, 2). The first is the random place where the episode starts; the others are the policy's
                exploration (sigma times a standard normal; for the random policy, uniform in [-1, 1]), or zero to
                follow the means. Without offsets a fresh random start is drawn and the means are followed.
        """
        batch, T = len(image), self.num_glimpses
        surface = self.surface(image)
        state = self.initial_state(batch)
        mean = at_least_float32(state[0].new_zeros(batch, 2))
        if offsets is None:
            offsets = mean.new_zeros(batch, T, 2)
            offsets[:, 0].uniform_(-1, 1)
        offsets = offsets.to(mean.dtype)
        hs, means, samples, locations = [], [], [], []
        for t in range(T):
            sample = mean.detach() + offsets[:, t]
            location = sample.clamp(-1, 1)
            state = self.step(surface, location, state)
            hs.append(state[0]), means.append(mean), samples.append(sample), locations.append(location)
            if t < T - 1:  # the place that the last state would choose is never looked at
                mean = self.next_mean(state[0])
        h = torch.stack(hs, 1)  # (batch, T, hidden)
        return Rollout(
            logits=at_least_float32(self.act(hs[-1])),
            locations=torch.stack(locations, 1),
            samples=torch.stack(samples, 1),
            means=torch.stack(means, 1),
            baselines=at_least_float32(self.expect(h.detach()).squeeze(-1)),
        )

    @torch.no_grad()
    def record(self, image: Tensor, offsets: Tensor | None = None) -> Attention:
        """The windows of every glimpse, finest first, and what the retina saw in them; see :meth:`forward`.

        The views are (batch, T, scales * channels, size, size), the channels of the finest window first.
        """
        locations = self.forward(image, offsets).locations  # not self(): a compiled network would compile once more
        surface = self.surface(image)
        return Attention(
            boxes=windows(locations, *image.shape[-2:], self.glimpse_size, self.num_scales),
            images=image,
            views=torch.stack([self.look(surface, location) for location in locations.unbind(1)], 1),
        )
