"""Show, Attend and Tell (Xu, Ba, Kiros, Cho, Courville, Salakhutdinov, Zemel, Bengio; ICML 2015; arXiv 1502.03044).

The symbols are those of sections 3 and 4 of version 3.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import WIDEST, ZooError, check_choice, check_flag, check_whole
from zoo.models.show_attend_tell.encoder import annotations, make_encoder
from zoo.models.show_attend_tell.inference import InferenceNetwork
from zoo.models.show_attend_tell.perceptron import Perceptron
from zoo.nn.cell import lstm_cell
from zoo.nn.hard import sample_categorical
from zoo.nn.kernels import Dropout, at_least_float32
from zoo.nn.lengths import check_symbols
from zoo.nn.shared import Linear, Share, loop, share

ATTENTIONS = ("soft", "hard", "mean")
DECODINGS = ("expectation", "argmax", "sample")


class Memory(NamedTuple):
    """What the decoder reads of a picture, made once."""

    a: Tensor | Share  # (batch, L, D): the annotation vectors; in training their transpose, which the steps share
    keys: Tensor  # (batch, L, n): the part of f_att that depends on the picture alone
    mean: Tensor  # (batch, D)
    noise: Tensor | None  # (batch, T) uniform in (0, 1), where decoding samples


class State(NamedTuple):
    """Where the decoder is, for K hypotheses of each picture."""

    h: Tensor  # (batch, K, n)
    c: Tensor  # (batch, K, n)
    step: Tensor  # (batch, K) int64: t, from 0


class Told(NamedTuple):
    """What the decoder says while it is told the words; of M samples a picture, those of one stand together."""

    logits: Tensor  # (batch * M, T, words)
    alpha: Tensor  # (batch * M, T, L) float32
    log_s: Tensor  # (batch * M, T) float32: log p(s_t), zero where the expectation was taken
    log_r: Tensor  # (batch * M, T) float32: log of what s_t was drawn with, the inference network's or p(s_t)


def repeated(x: Tensor, samples: int) -> Tensor:
    """Each row `samples` times, one after the other: (batch, ...) to (batch * samples, ...)."""
    return x[:, None].expand(-1, samples, *x.shape[1:]).flatten(0, 1)


class ShowAttendTell(nn.Module):
    """Writes a caption word by word, and looks at a part of the picture before each word.

    Args:
        vocabulary: K, words with the four special ones.
        encoder: "small" (see :class:`zoo.models.show_attend_tell.encoder.Small`), "vgg19" (as published), or None:
            annotations come ready, as maps (batch, D, rows, columns). None is ever trained here.
        features: D, of an annotation vector.
        embedding: m.
        hidden: n, of the LSTM.
        attention: "soft" (section 4.2), "hard" (section 4.1), or "mean", the control: the annotations are averaged
            before anything is looked at, so that there is one place, and all else is as in "soft".
        attention_hidden: units of the perceptron f_att.
        attention_layers: 1, or 2 as in the authors' code for COCO: tanh of two affine maps of a_i joins the state.
        gate: whether the scalar beta_t multiplies the context (section 4.2.1).
        output: "deep" (equation 7), "tanh" (the same with tanh before L_o, as in the authors' code), or "state" (the
            words from h_t alone).
        dropout: on the mean of the annotations before the start, on h_t and on what L_o reads.
        inference: whether there is an inference network, which hard attention can learn with (not in the paper).
    """

    def __init__(
        self,
        vocabulary: int,
        encoder: str | None = "small",
        features: int = 512,
        embedding: int = 512,
        hidden: int = 1800,
        attention: str = "soft",
        attention_hidden: int = 512,
        attention_layers: int = 1,
        gate: bool = True,
        output: str = "deep",
        dropout: float = 0.5,
        inference: bool = False,
    ):
        super().__init__()
        check_choice(("small", "vgg19", None), encoder=encoder)
        check_choice(ATTENTIONS, attention=attention)
        check_choice(("deep", "tanh", "state"), output=output)
        check_whole(1, vocabulary=vocabulary)
        check_whole(1, 2, attention_layers=attention_layers)
        check_whole(1, WIDEST, features=features, embedding=embedding, hidden=hidden, attention_hidden=attention_hidden)
        check_flag(gate=gate, inference=inference)
        if inference and attention != "hard":
            raise ZooError(f"inference is true and attention is {attention}; places of hard attention alone are drawn")
        self.attention, self.output, self.features = attention, output, features
        self.encoder = make_encoder(encoder, features)
        D, m, n = features, embedding, hidden
        self.E = nn.Embedding(vocabulary, m, padding_idx=0)
        self.f_att = Perceptron(n, D, attention_hidden, attention_layers)
        self.f_beta = Linear(n, 1) if gate else None
        self.f_init_h, self.f_init_c = nn.Linear(D, n), nn.Linear(D, n)
        self.from_word = nn.Linear(m, 4 * n)  # of the gates: input, forget, output, candidate
        self.from_state = Linear(n, 4 * n, bias=False)
        self.from_context = Linear(D, 4 * n, bias=False)
        self.L_h = nn.Linear(n, m)
        self.L_z = nn.Linear(D, m, bias=False) if output != "state" else None
        self.L_o = nn.Linear(m, vocabulary)
        self.dropout = Dropout(dropout)
        self.inference = InferenceNetwork(vocabulary, n, D) if inference else None

    def encode(self, image: Tensor, noise: Tensor | None = None) -> Memory:
        """Looks at pictures (batch, 3, height, width) in [0, 1], or takes maps of annotations.

        Args:
            noise: (batch, T) uniform in (0, 1), a number for each word, where decoding samples.
        """
        a = annotations(self.encoder, image, self.features)
        mean = a.mean(1)
        if self.attention == "mean":
            a = mean[:, None]
        return Memory(a, self.f_att.keys(a), mean, noise)

    def grid(self, image: Tensor) -> tuple[int, int]:
        """Rows and columns of the places that alpha is over, of pictures or maps as :meth:`encode` takes them."""
        height, width = image.shape[2:]
        if self.attention == "mean":
            return 1, 1
        if self.encoder is None:
            return height, width
        stride = self.encoder.stride
        return height // stride, width // stride

    def start(self, memory: Memory, beam: int = 1) -> State:
        """h_0 = f_init,h(mean of a), c_0 = f_init,c(mean of a) (section 3.1.2); tanh, as in the authors' code."""
        mean = self.dropout(memory.mean)
        h, c = (at_least_float32(f(mean)).tanh()[:, None].expand(-1, beam, -1) for f in (self.f_init_h, self.f_init_c))
        return State(h, c, torch.zeros(h.shape[:2], dtype=torch.int64, device=h.device))

    def look(self, h: Tensor, memory: Memory) -> Tensor:
        """log alpha_ti of h_{t-1} (batch, K, n): (batch, K, L) float32.

        e_ti = f_att(a_i, h_{t-1}) (equation 4); alpha_t = softmax(e_t) (equation 5).
        """
        return at_least_float32(self.f_att(h, memory.keys)).log_softmax(-1)

    def context(self, s: Tensor, h: Tensor, memory: Memory) -> Tensor:
        """z_t = beta_t sum_i s_ti a_i (equations 9 and 13), of h_{t-1}; beta_t = sigmoid(f_beta(h_{t-1})).

        Args:
            s: (batch, K, L): alpha_t, or 1 at the place that was chosen.
            h: (batch, K, n).
        """
        z = memory.a(s) if isinstance(memory.a, Share) else s.to(memory.a.dtype) @ memory.a
        return z if self.f_beta is None else self.f_beta(h).sigmoid() * z

    def advance(self, from_word: Tensor, z: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """The LSTM (equations 1 to 3): what E y_{t-1} adds to the gates, z_t, h_{t-1}, c_{t-1}; (rows, ...) each."""
        gates = from_word + self.from_state(h) + self.from_context(z)
        return lstm_cell(gates.to(c.dtype), c)

    def words(self, Ey: Tensor, h: Tensor, z: Tensor, samples: int = 1) -> Tensor:
        """Logits of p(y_t | a, y_{1:t-1}) = softmax(L_o (E y_{t-1} + L_h h_t + L_z z_t)) (equation 7).

        Args:
            samples: so many rows that follow each other are of one picture. They share the masks of dropout: were these
                drawn for each, a place would seem better than another by its mask.
        """

        def dropped(x: Tensor) -> Tensor:
            return self.dropout(x) if samples == 1 else x * repeated(self.dropout.mask(x[::samples]), samples)

        joined = self.L_h(dropped(h))
        if self.output != "state":
            joined = Ey + joined + self.L_z(z)
        return self.L_o(dropped(joined.tanh() if self.output == "tanh" else joined))

    def forward(
        self,
        image: Tensor,
        caption: Tensor,
        noise: Tensor | None = None,
        expect: Tensor | None = None,
        following: Tensor | None = None,
    ) -> Told:
        """Teacher forcing.

        Args:
            image: see :meth:`encode`.
            caption: (batch, T) int64, the words y_0 to y_{T-1}, of which y_0 is bos.
            noise: (batch, T) uniform in (0, 1), of hard attention, or (batch, M, T) for M samples of each picture, all
                in one batch; without it the expectation is taken.
            expect: (batch,) bool, of which pictures hard attention takes the expectation, in all their samples alike;
                None: of none.
            following: (batch, T) int64, the words y_1 to y_T, with which the inference network draws; None: the policy
                draws.
        """
        check_symbols(caption=caption)
        if following is not None and self.inference is None:
            raise ZooError("this network has no inference network (inference=false), so following words draw nothing")
        memory = self.encode(image)
        if noise is not None and noise.ndim == 2:
            noise = noise[:, None]
        M = 1 if noise is None else noise.shape[1]
        Ey = self.E(caption)
        from_word = self.from_word(Ey).unbind(1)
        h, c = (repeated(each[:, 0], M) for each in self.start(memory)[:2])
        shared = memory._replace(a=share(memory.a.mT))
        alphas, chosen, drawn, zs, hs = [], [], [], [], []
        with loop(self.f_att, self.f_beta, self.from_state, self.from_context):
            for t, x in enumerate(from_word):
                each = h.unflatten(0, (-1, M))  # (batch, M, n)
                log_alpha = self.look(each, shared)
                alpha = s = log_alpha.exp()
                if self.attention == "hard" and noise is not None:
                    log_r = log_alpha
                    if following is not None:
                        log_r = self.inference(each, following[:, t], memory.a, log_alpha)
                    place = sample_categorical(log_r.detach().flatten(0, 1), noise[:, :, t].flatten())
                    place = place.view(*log_r.shape[:2], 1)
                    one = torch.zeros_like(alpha).scatter_(2, place, 1.0)
                    s = one if expect is None else torch.where(expect[:, None, None], alpha, one)
                    chosen.append(log_alpha.gather(2, place)), drawn.append(log_r.gather(2, place))
                # a view of its own: gradients of one sample are then added up in the order of the published rows
                z = self.context(s, h.unflatten(0, (-1, M)), shared).flatten(0, 1)
                h, c = self.advance(repeated(x, M), z, h, c)
                alphas.append(alpha), zs.append(z), hs.append(h)
        alpha = torch.stack(alphas, 2).flatten(0, 1)
        log_s, log_r = (self._sampled(each, expect, alpha) for each in (chosen, drawn))
        return Told(self.words(repeated(Ey, M), torch.stack(hs, 1), torch.stack(zs, 1), M), alpha, log_s, log_r)

    @staticmethod
    def _sampled(steps: list[Tensor], expect: Tensor | None, alpha: Tensor) -> Tensor:
        """Log probabilities of all steps, (batch * M, T), from each one's (batch, M, 1); zero where none was drawn."""
        if not steps:
            return alpha.new_zeros(alpha.shape[:2])
        found = torch.cat(steps, 2)
        return (found if expect is None else found.masked_fill(expect[:, None, None], 0)).flatten(0, 1)

    def step(
        self, token: Tensor, state: State, memory: Memory, decode: str = "expectation"
    ) -> tuple[Tensor, State, Tensor]:
        """One word for K hypotheses of each picture, as zoo.text.decoding wants it.

        Args:
            token: (batch, K), y_{t-1}.
            decode: what is taken of hard attention: "expectation" (the authors' default), "argmax" or "sample".

        Returns:
            log p (batch, K, words), the new state, and s_t (batch, K, L): where it looked, which is alpha_t where the
            expectation is taken.
        """
        log_alpha = self.look(state.h, memory)
        s = self.choose(log_alpha, decode, state.step, memory.noise)
        z = self.context(s, state.h, memory)
        Ey = self.E(token)
        flat = [x.flatten(0, 1) for x in (self.from_word(Ey), z, state.h, state.c)]
        h, c = (x.unflatten(0, token.shape) for x in self.advance(*flat))
        log_p = self.words(Ey, h, z).float().log_softmax(-1)
        return log_p, State(h, c, state.step + 1), s

    def choose(self, log_alpha: Tensor, decode: str, step: Tensor, noise: Tensor | None) -> Tensor:
        """What a step of decoding takes of the places: (batch, K, L)."""
        if self.attention != "hard" or decode == "expectation":
            return log_alpha.exp()
        if decode == "argmax":
            place = log_alpha.argmax(-1)
        else:
            drawn = noise.gather(1, step)  # one number for all hypotheses of a picture and word
            place = sample_categorical(log_alpha.flatten(0, 1), drawn.flatten()).view(drawn.shape)
        return F.one_hot(place, log_alpha.shape[-1]).to(log_alpha.dtype)
