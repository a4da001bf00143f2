"""DRAW: A Recurrent Neural Network for Image Generation (Gregor, Danihelka, Graves, Rezende, Wierstra; ICML 2015)."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import ZooError, check_whole
from zoo.models.draw.filters import Filters
from zoo.models.draw.layers import Layer, linear
from zoo.nn.cell import lstm_cell
from zoo.nn.kernels import at_least_float32

Linears = dict[str, tuple[Tensor, Tensor]]  # name to weight (inputs, outputs) and biases (batch, outputs) of a step


class Bound(NamedTuple):
    """The two parts of L, the bound on -log p(x) in nats (equation 12)."""

    reconstruction: Tensor  # (batch,): L^x
    kl: Tensor  # (batch, T): the addends of L^z


class State(NamedTuple):
    """What one step passes on to the next."""

    canvas: Tensor  # (batch, size, channels, size): c_t
    said: Tensor  # (batch, n): what h_dec_t says about the windows and the patch
    encoder: tuple[Tensor, Tensor]  # h_enc_t and its cell, (batch, hidden) each
    decoder: tuple[Tensor, Tensor]  # h_dec_t and its cell


class Pass(NamedTuple):
    """A picture through all steps."""

    states: list[State]  # the last one, or all T + 1
    mean: Tensor  # (batch, T, latent): mu_t
    log_std: Tensor  # (batch, T, latent): log sigma_t
    z: Tensor  # (batch, T, latent)


class DRAW(nn.Module):
    """Paints a picture in T steps of an autoencoder that looks at, and paints on, a small window of its own choice.

    With `num_classes` it is the paper's classifier instead (section 4.1): an LSTM that looks at a picture through T
    windows and says what it shows.

    Args:
        size: A = B, side of the pictures.
        channels: of the pictures; all are read and written through the same filters.
        num_steps: T.
        hidden: units of each LSTM.
        latent: of z_t.
        read: N of the window that is read, or None for the whole picture (equation 17).
        write: N of the window that is written, or None for the whole picture (equation 18).
        learned_start: whether c_0, h_enc_0 and h_dec_0 are learned; False: they are zero.
        num_classes: None for a generator.
    """

    def __init__(
        self,
        size: int = 28,
        channels: int = 1,
        num_steps: int = 64,
        hidden: int = 256,
        latent: int = 100,
        read: int | None = 2,
        write: int | None = 5,
        learned_start: bool = True,
        num_classes: int | None = None,
    ):
        super().__init__()
        if num_classes is not None and read is None:
            raise ZooError("read is None; a classifier looks through a window of read x read filters")
        check_whole(1, size=size, channels=channels, num_steps=num_steps, hidden=hidden, latent=latent)
        check_whole(1, **{name: n for name, n in (("read", read), ("write", write)) if n is not None})
        self.size, self.channels, self.num_steps, self.hidden, self.latent = size, channels, num_steps, hidden, latent
        self.generates = num_classes is None
        self.read = None if read is None else Filters(read, size)
        self.write = None if write is None or not self.generates else Filters(write, size)
        self.reads = (2 if self.generates else 1) * channels * (read or size) ** 2
        patch = channels * write**2 if self.write else 0
        # the numbers of both windows and the patch come of h_dec, each by a matrix of its own: the rows of this one
        self.parts = [5 if self.read else 0, 5 if self.write else 0, patch]
        self.attend = nn.Linear(hidden, sum(self.parts)) if any(self.parts) else None
        self.encode = nn.Linear(self.reads + (2 if self.generates else 1) * hidden, 4 * hidden)
        self.encoder_start = self._start(learned_start, hidden)
        if self.generates:
            self.infer = nn.Linear(hidden, 2 * latent)  # W_mu, W_sigma
            self.decode = nn.Linear(latent + hidden, 4 * hidden)
            self.paint = None if self.write else nn.Linear(hidden, channels * size**2)
            self.decoder_start = self._start(learned_start, hidden)
            self.canvas_start = self._start(learned_start, size, channels, size)
        else:
            self.answer = nn.Linear(hidden, num_classes)
        self.quick = None  # a compiled step
        self._initialise()

    def _start(self, learned: bool, *shape: int) -> Tensor:
        return nn.Parameter(torch.zeros(shape)) if learned else nn.Buffer(torch.zeros(shape), persistent=False)

    def _initialise(self) -> None:
        """Zero biases, so that a fresh window is all but centred; forget gates that keep; inputs of a size.

        The paper does not say how filters start. With a variance of 1 those of a 2 x 2 window see four corners, which
        are black, and with a gamma of 1 a patch all but vanishes when it is spread over the picture. Here sigma is half
        the stride, so that a fresh window sees the whole picture; a constant patch paints its constant; and what is
        read, means of many pixels that differ little, is multiplied by e. Windows of a classifier start alike on all
        pictures: gradients that go from window to window explode where small changes of the state move them far.
        """
        for layer in (each for each in self.modules() if isinstance(each, nn.Linear)):
            nn.init.zeros_(layer.bias)
        lstms = [(self.encode, self.reads)] + ([(self.decode, self.latent)] if self.generates else [])
        for lstm, first in lstms:
            nn.init.ones_(lstm.bias.data[self.hidden : 2 * self.hidden])
            for inputs in lstm.weight.data.tensor_split([first], 1):  # what comes in and the states, each by its number
                nn.init.uniform_(inputs, -(inputs.shape[1] ** -0.5), inputs.shape[1] ** -0.5)
        for filters, start in ((self.read, 0), (self.write, self.parts[0])):
            if filters:
                stride = (self.size - 1) / max(filters.n - 1, 1)
                log_gamma = 2 * math.log(filters.n / self.size) if filters is self.write else 1.0
                numbers = torch.tensor([0, 0, 2 * math.log(max(stride, 2) / 2), 0, log_gamma])
                self.attend.bias.data[start : start + 5] = numbers
        if not self.generates:
            self.attend.weight.data.mul_(0.1)

    def compile(self, **options) -> None:
        """Compiles one step, and not the loop: seconds instead of minutes; for training, whose batches are alike."""
        self.quick = torch.compile(self.step if self.generates else self.glimpse, **({"dynamic": False} | options))

    def _step(self) -> Callable:
        """One step as this pass takes it."""
        plain = self.step if self.generates else self.glimpse
        return self.quick if self.quick and torch.is_grad_enabled() else plain

    # --- one step --------------------------------------------------------------------------------------------------

    def look(self, seen: Tensor, said: Tensor) -> Tensor:
        """r_t of pictures (batch, size, channels, size), through the window that the step before chose."""
        return self.read.read(seen, self.read.window(said[:, :5])).flatten(1)

    def step(
        self, picture: Tensor, noise: Tensor, state: State, linears: Linears
    ) -> tuple[State, Tensor, Tensor, dict[str, Tensor]]:
        """Equations 3 to 8 for one t.

        Args:
            picture: (batch, size, channels, size).
            noise: (batch, latent), standard normal.
            state: of the step before.
            linears: of this step; see :class:`zoo.models.draw.layers.Layer`.

        Returns:
            The state, [mu_t, log sigma_t], z_t, and what each linear layer was applied to.
        """
        painted = state.canvas.sigmoid()
        r = painted.flatten(1)  # equations 3 and 17 but for the part of x; see `_encoder`
        if self.read:
            r = self.look(torch.cat((picture, picture - painted), 2), state.said)  # equations 3 and 4
        h_enc, cell = state.encoder
        h_dec, _ = state.decoder
        used = {"encode": self._join("encode", linears, r, h_dec, h_enc)}
        encoder = lstm_cell(linear(used["encode"], *linears["encode"]), cell)  # equation 5
        used["infer"] = self._join("infer", linears, encoder[0])
        inferred = linear(used["infer"], *linears["infer"])  # equations 1 and 2
        mean, log_std = inferred.chunk(2, -1)
        z = torch.addcmul(mean, log_std.exp(), noise)  # equation 6
        painting, also = self.paint_step(z, state._replace(encoder=encoder), linears)
        return painting, inferred, z, used | also

    def paint_step(self, z: Tensor, state: State, linears: Linears) -> tuple[State, dict[str, Tensor]]:
        """Equations 7 and 8, which are all that a sample of the prior needs: z_t (batch, latent)."""
        h_dec, cell = state.decoder
        used = {"decode": self._join("decode", linears, z, h_dec)}
        h_dec, cell = lstm_cell(linear(used["decode"], *linears["decode"]), cell)  # equation 7
        said = state.said
        if self.attend:
            used["attend"] = h_dec
            said = linear(h_dec, *linears["attend"])  # equations 21 and 28
        if self.write:
            _, window, patch = said.split(self.parts, -1)
            patch = patch.unflatten(1, (self.write.n, self.channels, self.write.n))
            canvas = self.write.write(patch, self.write.window(window), state.canvas)  # equations 8 and 29
        else:
            used["paint"] = self._join("paint", linears, h_dec)
            canvas = state.canvas + linear(used["paint"], *linears["paint"]).view(state.canvas.shape)  # equation 18
        return State(canvas, said, state.encoder, (h_dec, cell)), used

    @staticmethod
    def _join(name: str, linears: Linears, *parts: Tensor) -> Tensor:
        """The input of a layer, in the type of its weight."""
        weight, _ = linears[name]
        return torch.cat([part.to(weight.dtype) for part in parts], -1)

    def glimpse(self, picture: Tensor, state: State, linears: Linears) -> tuple[State, dict[str, Tensor]]:
        """One step of the classifier, which has no decoder: its window comes of the state that has seen the others."""
        h, cell = state.encoder
        used = {"encode": self._join("encode", linears, self.look(picture, state.said), h)}
        encoder = lstm_cell(linear(used["encode"], *linears["encode"]), cell)
        used["attend"] = encoder[0]
        return state._replace(said=linear(encoder[0], *linears["attend"]), encoder=encoder), used

    # --- all steps -------------------------------------------------------------------------------------------------

    def _begin(self, batch: int) -> State:
        """c_0, h_enc_0 and h_dec_0 of each sample; the cells of both LSTMs start at zero."""

        def repeat(start: Tensor) -> Tensor:
            return start.expand(batch, *start.shape).contiguous()

        encoder = decoder = repeat(self.encoder_start), repeat(torch.zeros_like(self.encoder_start))
        canvas = encoder[0][:, :0]
        if self.generates:
            decoder, canvas = (repeat(self.decoder_start), encoder[1]), repeat(self.canvas_start)
        h, _ = decoder
        return State(canvas, self.attend(h) if self.attend else h[:, :0], encoder, decoder)

    def _encoder(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """Weight and bias of `encode` as the steps apply it.

        Without attention r_t = [x, x - sigmoid(c)] and so W r_t = (W_1 + W_2) x - W_2 sigmoid(c), whose first part is
        the same in every step.
        """
        weight, bias = self.encode.weight, self.encode.bias
        if self.read:
            return weight, bias
        whole = self.reads // 2
        of_x, of_error, rest = weight.split([whole, whole, weight.shape[1] - 2 * whole], 1)
        return torch.cat((-of_error, rest), 1), F.linear(picture.flatten(1), of_x + of_error, bias).to(bias.dtype)

    def _layers(self, batch: int, *names: str, **given: tuple[Tensor, Tensor]) -> dict[str, Layer]:
        steps = self.num_steps
        names = (*names, "attend") if self.attend else names
        layers = {name: (getattr(self, name).weight, getattr(self, name).bias) for name in names} | given
        return {name: Layer(*both, steps, batch, exact=name == "attend") for name, both in layers.items()}

    def infer_all(self, image: Tensor, noise: Tensor, keep: bool = False) -> Pass:
        """Equations 1 to 8 for all t.

        Args:
            image: (batch, channels, size, size) in [0, 1].
            noise: (batch, T, latent), standard normal.
            keep: all states, and not the last alone.
        """
        image, noise = (each.to(self.encode.weight.dtype) for each in (image, noise))
        picture = image.transpose(1, 2).contiguous()
        paints = () if self.write else ("paint",)
        layers = self._layers(len(image), "infer", "decode", *paints, encode=self._encoder(picture))
        with torch.autocast(image.device.type, enabled=False):  # products know their types, filters stay in float32
            states, inferred, zs, step = [self._begin(len(image))], [], [], self._step()
            for t, noise_t in enumerate(noise.unbind(1)):
                linears = {name: layer.at(t) for name, layer in layers.items()}
                state, each, z, used = step(picture, noise_t, states[-1], linears)
                for name, layer in layers.items():
                    layer.used(used[name])
                states = [*states, state] if keep else [state]
                inferred.append(each), zs.append(z)
            mean, log_std = torch.stack(inferred, 1).chunk(2, -1)
            return Pass(states, mean, log_std, torch.stack(zs, 1))

    def glimpse_all(self, image: Tensor, keep: bool = False) -> list[State]:
        """The states of a classifier, the last one or all T + 1; see :meth:`infer_all`."""
        picture = image.to(self.encode.weight.dtype).transpose(1, 2).contiguous()
        layers = self._layers(len(image), "encode")
        with torch.autocast(image.device.type, enabled=False):
            states, step = [self._begin(len(image))], self._step()
            for t in range(self.num_steps):
                state, used = step(picture, states[-1], {name: layer.at(t) for name, layer in layers.items()})
                for name, layer in layers.items():
                    layer.used(used[name])
                states = [*states, state] if keep else [state]
            return states

    def forward(self, image: Tensor, noise: Tensor | None = None) -> Bound | Tensor:
        """The bound of a generator, or the logits of a classifier, (batch, classes).

        Args:
            image: (batch, channels, size, size) in [0, 1].
            noise: (batch, T, latent), standard normal, of a generator; None: drawn here.
        """
        if not self.generates:
            return at_least_float32(self.answer(self.glimpse_all(image)[-1].encoder[0]))
        if noise is None:
            noise = torch.randn(len(image), self.num_steps, self.latent, device=image.device)
        done = self.infer_all(image, noise)
        return Bound(self.reconstruction(done, image), self.kl(done))

    @staticmethod
    def reconstruction(done: Pass, image: Tensor) -> Tensor:
        """L^x = -log D(x | c_T), summed over pixels (equation 9): (batch,)."""
        canvas = at_least_float32(done.states[-1].canvas.transpose(1, 2))
        return F.binary_cross_entropy_with_logits(canvas, image.to(canvas.dtype), reduction="none").flatten(1).sum(-1)

    @staticmethod
    def kl(done: Pass) -> Tensor:
        """KL(Q(Z_t | h_enc_t) || P(Z_t)), the addends of equation 10: (batch, T).

        Equation 11 subtracts T / 2; for a z of more than one dimension it is T dim(z) / 2.
        """
        mean, log_std = at_least_float32(done.mean), at_least_float32(done.log_std)
        return 0.5 * (mean.square() + (2 * log_std).exp() - 2 * log_std - 1).sum(-1)

    def log_weight(self, image: Tensor, noise: Tensor) -> Tensor:
        """log p(x, z) / q(z | x) of one sample: (batch,). The log of its mean over many estimates log p(x) from below.

        Not in the paper: the importance-weighted bound of Burda et al. 2016. See :meth:`forward` for the arguments.
        """
        done = self.infer_all(image, noise)
        log_q = -0.5 * noise.square() - done.log_std  # but for the constant that both share
        return -self.reconstruction(done, image) - (log_q + 0.5 * done.z.square()).sum((1, 2))

    def generate(self, z: Tensor) -> list[State]:
        """Equations 14 and 15: the T + 1 states of samples, from z (batch, T, latent) of the prior (equation 13)."""
        z = z.to(self.decode.weight.dtype)
        names = ("decode",) if self.write else ("decode", "paint")
        layers = self._layers(len(z), *names)
        with torch.autocast(z.device.type, enabled=False):
            states = [self._begin(len(z))]
            for t, z_t in enumerate(z.unbind(1)):
                linears = {name: layer.at(t) for name, layer in layers.items()}
                state, used = self.paint_step(z_t, states[-1], linears)
                for name, layer in layers.items():
                    layer.used(used[name])
                states.append(state)
            return states
