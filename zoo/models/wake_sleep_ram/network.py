"""Learning Wake-Sleep Recurrent Attention Models (Ba, Grosse, Salakhutdinov, Frey; NIPS 2015; arXiv 1509.06812)."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import WIDEST, ZooError, check_between, check_flag, check_whole
from zoo.looking.attention import Attention
from zoo.nn.glimpse import integral_image, zoom_edges, zoomed
from zoo.nn.glimpse_network import GlimpseNetwork, ReLUCore
from zoo.nn.hard import gaussian_log_prob, sample_categorical
from zoo.nn.kernels import at_least_float32


class Glance(NamedTuple):
    """A distribution of where to look next: a Gaussian place and, independent of it, a multinomial scale."""

    mean: Tensor  # (batch, M, 2) as (x, y) in half images; as a head says it, before :meth:`WakeSleepRAM.bounded`
    logits: Tensor  # (batch, M, scales)


class Rollout(NamedTuple):
    """What M sequences of N glimpses at each picture did."""

    logits: Tensor  # (batch, M, classes), from the last state: log p(y|a, I) before it is normalised
    locations: Tensor  # (batch, M, N, 2) as (x, y): where the retina was, in [-1, 1]
    scales: Tensor  # (batch, M, N) int64: the glimpse was size * 2^scale pixels wide
    log_p: Tensor  # (batch, M): log p(a|I) of the sequence
    log_q: Tensor  # (batch, M): log q(a|y, I) where the label was given, else log p(a|I)
    log_r: Tensor  # (batch, M): log of what it was drawn with, which is q, or q at another temperature
    means: Tensor  # (batch, M, N, 2): the policy's
    choices: Tensor  # (batch, M, N, scales): the policy's log probabilities of the scales


class ContextNetwork(nn.Module):
    """What a coarse picture tells before the first glimpse: h_0, from pixels that are averaged to a small square."""

    def __init__(self, side: int, channels: int, hidden: int):
        super().__init__()
        self.side = side
        self.see = nn.Linear(channels * side**2, hidden)
        self.start = nn.Linear(hidden, hidden)

    def forward(self, image: Tensor) -> Tensor:
        """(batch, channels, height, width) to (batch, hidden)."""
        coarse = F.adaptive_avg_pool2d(image, self.side).flatten(1).to(self.see.weight.dtype)
        return self.start(self.see(coarse).relu()).relu()


class InferenceNetwork(nn.Module):
    """q(a_n|a_<n, y, I): like the policy, but it is told the answer; for training alone.

    u_n = ReLU(W_u u_{n-1} + W_i [h_{n-1}, e(y)] + b), where nothing flows back into the policy's state h. Its heads say
    what to add to what the policy's heads say, and start at zero, so that q starts as p and no weight is far from 1/M
    (our choice).
    """

    def __init__(self, hidden: int, num_classes: int, scales: int, embedding: int = 64):
        super().__init__()
        self.embed = nn.Embedding(num_classes, embedding)
        self.core = ReLUCore(hidden + embedding, hidden)
        self.shift = nn.Linear(hidden, 2)
        self.prefer = nn.Linear(hidden, scales)
        for head in (self.shift, self.prefer):
            nn.init.zeros_(head.weight), nn.init.zeros_(head.bias)

    def forward(self, h: Tensor, label: Tensor, u: Tensor | None, policy: Glance) -> tuple[Tensor, Glance]:
        """u_n and q's distribution.

        Args:
            h: (batch, M, hidden), the policy's state h_{n-1}.
            label: (batch,) int64, the answer y.
            u: (batch, M, hidden), u_{n-1}; None before the first glimpse.
            policy: p's distribution of the same glimpse.
        """
        known = self.embed(label)[:, None].expand(-1, h.shape[1], -1)
        given = torch.cat((h.detach(), known.to(h.dtype)), -1)
        (u,) = self.core(given, (h.new_zeros(()).expand_as(h) if u is None else u,))
        shift, prefer = at_least_float32(self.shift(u)), at_least_float32(self.prefer(u))
        return u, Glance(policy.mean.detach() + shift, policy.logits.detach() + prefer)


class WakeSleepRAM(nn.Module):
    """Looks at a picture through a few glimpses whose place and scale it chooses, and says what it shows.

    Args:
        num_glimpses: N.
        glimpse_size: side of a glimpse in cells, even.
        num_scales: a glimpse is `glimpse_size` times 1, 2, 4 ... pixels wide.
        context: side of the coarse picture that the state starts from.
        channels: of the picture.
        num_classes: of the answer.
        hidden: units of the core, of the context network and of the inference network.
        sigma: standard deviation of a place, p's and q's, in half images.
        inference: whether there is an inference network.
    """

    def __init__(
        self,
        num_glimpses: int = 4,
        glimpse_size: int = 12,
        num_scales: int = 3,
        context: int = 20,
        channels: int = 1,
        num_classes: int = 10,
        hidden: int = 256,
        sigma: float = 0.1,
        inference: bool = True,
    ):
        super().__init__()
        check_whole(1, 1000, num_glimpses=num_glimpses)
        check_whole(1, 1024, glimpse_size=glimpse_size, context=context)
        check_whole(1, 12, num_scales=num_scales)
        check_whole(1, WIDEST, channels=channels, num_classes=num_classes, hidden=hidden)
        check_between(1e-4, 1e4, sigma=sigma)
        check_flag(inference=inference)
        if glimpse_size % 2:
            raise ZooError(f"glimpse_size is {glimpse_size}; a glimpse needs an even number of cells")
        self.num_glimpses, self.glimpse_size, self.num_scales = num_glimpses, glimpse_size, num_scales
        self.channels, self.num_classes, self.sigma = channels, num_classes, sigma
        self.context = ContextNetwork(context, channels, hidden)
        self.glimpse = GlimpseNetwork(channels * glimpse_size**2, out=hidden, place=2 + num_scales)
        self.core = ReLUCore(hidden, hidden)
        self.locate = nn.Linear(hidden, 2)
        self.choose = nn.Linear(hidden, num_scales)
        self.act = nn.Linear(hidden, num_classes)
        self.inference = InferenceNetwork(hidden, num_classes, num_scales) if inference else None

    def policy(self, h: Tensor) -> Glance:
        """What the heads say of p(a_n|a_<n, I), from h_{n-1}, (batch, M, hidden); float32 at least."""
        return Glance(at_least_float32(self.locate(h)), at_least_float32(self.choose(h)))

    @staticmethod
    def bounded(glance: Glance) -> Glance:
        """Keeps the mean of a place within the picture by tanh (our choice).

        Outside of it all sequences see nothing and are equally good, so nothing would lead back.
        """
        return glance._replace(mean=glance.mean.tanh())

    def draw(self, glance: Glance, noise: Tensor | None, temperature: float = 1.0) -> tuple[Tensor, Tensor]:
        """A place (batch, M, 2), which is a constant, and a scale (batch, M); the likeliest without noise.

        Args:
            glance: bounded, as in :meth:`log_prob`.
            noise: (batch, M, 3): two standard normal numbers and one in (0, 1).
            temperature: see :meth:`forward`.
        """
        mean = glance.mean.detach()
        if noise is None:
            return mean, glance.logits.argmax(-1)
        logits = glance.logits.expand(*noise.shape[:2], -1).flatten(0, 1) / temperature
        scale = sample_categorical(logits, noise[..., 2].flatten()).view(noise.shape[:2])
        return mean + temperature * self.sigma * noise[..., :2], scale

    def log_prob(self, glance: Glance, place: Tensor, scale: Tensor, temperature: float = 1.0) -> Tensor:
        """log of the density of a place times the probability of a scale: (batch, M)."""
        log_scale = (glance.logits / temperature).log_softmax(-1).expand(*scale.shape, -1)
        chosen = log_scale.gather(-1, scale[..., None]).squeeze(-1)
        return gaussian_log_prob(place, glance.mean, temperature * self.sigma) + chosen

    def step(self, surface: Tensor, location: Tensor, scale: Tensor, h: Tensor) -> Tensor:
        """One glimpse: h_{n-1} to h_n, (batch, M, hidden)."""
        seen = zoomed(surface, location, scale, self.glimpse_size).flatten(2)
        where = torch.cat((location, F.one_hot(scale, self.num_scales).to(location.dtype)), -1)
        return self.core(self.glimpse(seen, where), (h,))[0]

    def forward(
        self,
        image: Tensor,
        noise: Tensor | None = None,
        label: Tensor | None = None,
        temperature: float = 1.0,
    ) -> Rollout:
        """M sequences of glimpses at each picture, drawn from p(a|I), or from q(a|y, I) where the label is given.

        Args:
            image: (batch, channels, height, width) in [0, 1], of any size.
            noise: (batch, M, N, 3), see :meth:`draw`; without it one sequence of the likeliest places and scales.
            label: (batch,) int64.
            temperature: of what is drawn from: deviations are multiplied and logits divided by it.
        """
        if image.ndim != 4 or image.shape[1] != self.channels or 0 in image.shape[2:]:
            expected = f"expected (batch, {self.channels}, height, width) with at least one pixel"
            raise ZooError(f"the image has the shape {tuple(image.shape)}; {expected}")
        if label is not None and self.inference is None:
            raise ZooError("this network has no inference network (inference=false), so a label changes nothing")
        surface = integral_image(image)
        samples = 1 if noise is None else noise.shape[1]
        h = self.context(image)[:, None]  # (batch, 1, hidden): all sequences start alike
        u, log_p, log_q, log_r = None, 0, 0, 0
        places, scales, means, choices = [], [], [], []
        for n in range(self.num_glimpses):
            p = q = self.policy(h)
            if label is not None:
                u, q = self.inference(h, label, u, p)
            p, q = self.bounded(p), self.bounded(q)
            place, scale = self.draw(q, None if noise is None else noise[:, :, n], temperature)
            log_p = log_p + self.log_prob(p, place, scale)
            log_q = log_q + self.log_prob(q, place, scale)
            log_r = log_r + self.log_prob(q, place, scale, temperature)
            h = self.step(surface, place.clamp(-1, 1), scale, h)
            places.append(place.clamp(-1, 1)), scales.append(scale)
            means.append(p.mean.expand(-1, samples, -1)), choices.append(p.logits.expand(-1, samples, -1))
        return Rollout(
            logits=at_least_float32(self.act(h)),
            locations=torch.stack(places, 2),
            scales=torch.stack(scales, 2),
            log_p=log_p,
            log_q=log_q,
            log_r=log_r,
            means=torch.stack(means, 2),
            choices=torch.stack(choices, 2).log_softmax(-1),
        )

    @torch.no_grad()
    def record(self, image: Tensor, noise: Tensor | None = None, label: Tensor | None = None) -> Attention:
        """The first sequence of glimpses at each picture: a window a step, as wide as was chosen, and what it showed.

        The arguments are those of :meth:`forward`; p's path without a label, q's with one.
        """
        rollout = self.forward(image, noise, label)  # not self(): a compiled network would compile once more
        location, scale = rollout.locations[:, 0], rollout.scales[:, 0]
        edges = zoom_edges(location, scale, *image.shape[-2:], self.glimpse_size)  # (batch, N, 2, size + 1)
        return Attention(
            boxes=torch.cat((edges[..., 0], edges[..., -1]), -1)[:, :, None].float(),
            images=image,
            views=zoomed(integral_image(image), location, scale, self.glimpse_size),
        )
