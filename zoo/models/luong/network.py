"""Effective Approaches to Attention-based Neural Machine Translation (Luong, Pham, Manning; EMNLP 2015).

The symbols are those of arXiv 1508.04025, section 3. As in the authors' code, nothing here has a bias.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from zoo.errors import WIDEST, ZooError, check_flag, check_least, check_whole
from zoo.nn.attend import Attend
from zoo.nn.hard import sample_categorical
from zoo.nn.kernels import Dropout, tanh
from zoo.nn.lengths import check_symbols
from zoo.nn.lstm import LSTM
from zoo.nn.shared import Linear, loop, share


class Memory(NamedTuple):
    """What the decoder reads of a source sentence."""

    states: Tensor  # (batch, S, d): h-bar_s of the top layer
    keys: Tensor  # (batch, S, d): what the score makes of them, once
    mask: Tensor  # (batch, S)
    h: Tensor  # (batch, layers, d): the last states, where the decoder starts
    c: Tensor  # (batch, layers, d)


class State(NamedTuple):
    """Where the decoder is, for K hypotheses of each sentence."""

    h: Tensor  # (batch, K, layers, d)
    c: Tensor  # (batch, K, layers, d)
    feed: Tensor  # (batch, K, d): h-tilde_{t-1}, zero at first
    step: Tensor  # (batch, K) int64: t, from 0


class Drawn(NamedTuple):
    """What the decoder says of each word after each of M places that it drew for it."""

    logits: Tensor  # (batch, M, T, words): p(y_t | a_t) before it is normalised
    log_p: Tensor  # (batch, M, T), float32 at least: log p(a_t)


class StackedLSTM(nn.Module):
    """Two stacks of LSTM layers with global or local attention between them and input feeding.

    Args:
        source_vocabulary, target_vocabulary: special symbols included.
        embedding, hidden: d (both 1000 in the paper).
        layers: L of each stack.
        attention: the arguments of :class:`zoo.nn.attend.Attend` beside the dimensions; None is the paper's base model.
        input_feeding: whether h-tilde_{t-1} joins the embedding of y_{t-1} (section 3.3).
        dropout: on the input vector of each layer, the fed-in part included.
        output_dropout: on h-tilde before the softmax (not in the paper, for small data).
        reverse: whether the data reverses the source words; local attention must know.
        hard: whether each target word is written after one source place, a latent choice whose probabilities are the
            weights (not in the paper; Deng, Kim, Chiu, Guo, Rush 2018). A word is then as probable as its mean over
            all places, sum_s a_ts p(y_t | s), which is exact, as without input feeding no choice reaches a later word.
        init: every weight starts uniform between -init and init (0.1 in the paper, section 4.1). What a layer passes on
            grows with init * sqrt(d), so a small d wants more: 0.2 at d = 256 is the paper's 0.1 at d = 1000.
    """

    def __init__(
        self,
        source_vocabulary: int,
        target_vocabulary: int,
        embedding: int = 1000,
        hidden: int = 1000,
        layers: int = 4,
        attention: dict | None = None,
        input_feeding: bool = True,
        dropout: float = 0.2,
        output_dropout: float = 0.0,
        reverse: bool = True,
        hard: bool = False,
        init: float = 0.1,
    ):
        super().__init__()
        check_whole(1, source_vocabulary=source_vocabulary, target_vocabulary=target_vocabulary)
        check_whole(1, WIDEST, embedding=embedding, hidden=hidden)
        check_whole(1, 1000, layers=layers)
        check_flag(input_feeding=input_feeding, reverse=reverse, hard=hard)
        check_least(0, init=init)
        if hard and not attention:
            raise ZooError("hard is true and attention is null; hard attention chooses by the weights of an attention")
        if hard and input_feeding:
            raise ZooError(
                "hard is true and input_feeding is true; of hard attention no choice is fed into later words"
            )
        if hard and attention.get("scope") == "local_p" and not attention.get("renormalise"):
            raise ZooError("hard is true and attention.scope local_p; its weights are probabilities with renormalise")
        self.input_feeding, self.hard = input_feeding, hard
        # which word the weights of a step belong to, None without attention. With the paper's reversed source it is the
        # predicted one for the location score and the one that was read for the others (a footnote). Of sources that
        # are not reversed the paper does not speak: the predicted one, as debian_de_en has it (multi30k_en_de has not)
        self.alignment_shift = int(reverse and attention.get("score") != "location") if attention else None
        self.source = nn.Embedding(source_vocabulary, embedding, padding_idx=0)
        self.target = nn.Embedding(target_vocabulary, embedding, padding_idx=0)
        fed = hidden if input_feeding else 0
        self.encoder = nn.ModuleList(LSTM(hidden if layer else embedding, hidden) for layer in range(layers))
        self.decoder = nn.ModuleList(LSTM(hidden if layer else embedding + fed, hidden) for layer in range(layers))
        self.attend = Attend(hidden, hidden, reverse=reverse, **attention) if attention else None
        self.join = Linear(2 * hidden, hidden, bias=False) if attention else None  # W_c
        self.out = nn.Linear(hidden, target_vocabulary, bias=False)  # W_s
        self.dropout, self.output_dropout = Dropout(dropout), Dropout(output_dropout)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -init, init)

    def encode(self, source: Tensor, mask: Tensor) -> Memory:
        """The top states and the last states of a source (batch, S), eos included."""
        check_symbols(source=source)
        x = self.source(source)
        h = c = x.new_zeros(len(x), self.out.in_features)  # float32 under autocast too
        last_h, last_c = [], []
        for layer in self.encoder:
            x, end_h, end_c = layer.scan(self.dropout(x), h, c, mask)
            last_h.append(end_h), last_c.append(end_c)
        keys = self.attend.keys(x) if self.attend else x
        return Memory(x.to(keys.dtype), keys, mask, torch.stack(last_h, 1), torch.stack(last_c, 1))

    def start(self, memory: Memory, beam: int = 1) -> State:
        """The encoder's last states, and nothing fed in."""
        h, c = (last[:, None].expand(-1, beam, -1, -1) for last in (memory.h, memory.c))
        feed = memory.h.new_zeros(len(h), beam, h.shape[-1])
        return State(h, c, feed, memory.mask.new_zeros(len(h), beam, dtype=torch.int64))

    def look(self, h: Tensor, memory: Memory, step: int | Tensor) -> tuple[Tensor, Tensor]:
        """h-tilde_t = tanh(W_c [c_t; h_t]) for the top states h_t (batch, Q, d), and a_t (batch, Q, S)."""
        if self.attend is None:
            is_last = memory.mask & ~nn.functional.pad(memory.mask[:, 1:], (0, 1))
            return h, is_last[:, None].expand(-1, h.shape[1], -1).to(h.dtype)
        c, weights = self.attend(h, memory.states, memory.keys, memory.mask, step)
        return tanh(self.join(torch.cat([c, h], -1))), weights

    def advance(self, x: Tensor, h: tuple[Tensor, ...], c: tuple[Tensor, ...]) -> tuple[tuple, tuple]:
        """One step of the decoder's stack: x (..., inputs), h and c of each layer (..., d)."""
        hs, cs = [], []
        for layer, h_l, c_l in zip(self.decoder, h, c, strict=True):
            x, c_l = layer(layer.input(self.dropout(x)), h_l, c_l)
            hs.append(x), cs.append(c_l)
        return tuple(hs), tuple(cs)

    def forward(self, source: Tensor, mask: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Teacher forcing: the target (batch, T) begins with bos. Returns logits (batch, T, words), a (batch, T, S)."""
        check_symbols(target=target)
        memory = self.encode(source, mask)
        if self.input_feeding:
            feeds, weights = self._with_feeding(self.target(target), memory)
        elif self.hard:
            return self.marginal(*self._read(target, memory), memory)
        else:
            h, step = self._read(target, memory)
            feeds, weights = self.look(h, memory, step)
        return self.out(self.output_dropout(feeds)), weights

    def _read(self, target: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Without feeding: the top states (batch, T, d) after each word of the target, and the steps (T,)."""
        x = self.target(target)
        for layer, h, c in zip(self.decoder, memory.h.unbind(1), memory.c.unbind(1), strict=True):
            x = layer.scan(self.dropout(x), h, c)[0]
        return x, torch.arange(target.shape[1], device=target.device)

    def say(self, c: Tensor, h: Tensor, kept: Tensor | float = 1.0) -> Tensor:
        """Logits of p(y_t | a_t) of hard attention: contexts and top states (..., d) to (..., words).

        Args:
            kept: the mask of dropout. The places of a word share it: were it drawn for each, a place would seem better
                than another by its mask.
        """
        return self.out(tanh(self.join(torch.cat([c, h.to(c.dtype)], -1))) * kept)

    def marginal(self, h: Tensor, step: int | Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """log sum_s a_ts p(y_t | s) (batch, Q, words), and a_t (batch, Q, S), of the top states h_t (batch, Q, d)."""
        weights = self.attend(h, memory.states, memory.keys, memory.mask, step)[1]
        kept, total = self.output_dropout.mask(h), weights.new_zeros(*h.shape[:2], self.out.out_features)
        for state, weight in zip(memory.states.unbind(1), weights.unbind(-1), strict=True):
            there = self.say(state[:, None].expand(-1, h.shape[1], -1), h, kept)
            total.addcmul_(there.softmax(-1, dtype=weights.dtype), weight[..., None])
        return self._log(total), weights

    @staticmethod
    def _log(p: Tensor) -> Tensor:
        """Of probabilities, which may be zero; finite."""
        return p.clamp(min=torch.finfo(p.dtype).tiny).log()

    def draw(self, source: Tensor, mask: Tensor, target: Tensor, noise: Tensor) -> Drawn:
        """Teacher forcing of hard attention with M places for each word, all in one batch.

        Args:
            source, mask, target: see :meth:`forward`.
            noise: (batch, M, T) uniform in (0, 1).
        """
        check_symbols(target=target)
        memory = self.encode(source, mask)
        h, step = self._read(target, memory)
        weights = self.attend(h, memory.states, memory.keys, mask, step)[1]
        log_a = self._log(weights)[:, None].expand(-1, noise.shape[1], -1, -1)
        place = sample_categorical(log_a.detach().flatten(0, 2), noise.flatten()).view(noise.shape)
        place = place.minimum(mask.sum(-1)[:, None, None] - 1)  # where rounding leaves the last places something
        where = place.flatten(1)[..., None].expand(-1, -1, memory.states.shape[-1])
        c = memory.states.gather(1, where).view(*noise.shape, -1)
        log_p = log_a.gather(-1, place[..., None]).squeeze(-1)
        kept = self.output_dropout.mask(h)[:, None]
        return Drawn(self.say(c, h[:, None].expand(-1, noise.shape[1], -1, -1), kept), log_p)

    def _with_feeding(self, y: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        h, c = memory.h.unbind(1), memory.c.unbind(1)
        feed = y.new_zeros(len(y), self.out.in_features)
        feeds, weights = [], []
        shared = memory._replace(states=share(memory.states.mT)) if self.attend else memory
        with loop(self.decoder, self.attend, self.join):
            for t, y_t in enumerate(y.unbind(1)):
                h, c = self.advance(torch.cat([y_t, feed.to(y_t.dtype)], -1), h, c)
                joined, a = self.look(h[-1][:, None], shared, t)
                feed = joined[:, 0]
                feeds.append(feed), weights.append(a)
        return torch.stack(feeds, 1), torch.cat(weights, 1)

    def step(self, token: Tensor, state: State, memory: Memory) -> tuple[Tensor, State, Tensor]:
        """One output word for K hypotheses each: token (batch, K). Returns log p (batch, K, words), state, a."""
        x = self.target(token)
        if self.input_feeding:
            x = torch.cat([x, state.feed.to(x.dtype)], -1)
        h, c = self.advance(x, state.h.unbind(2), state.c.unbind(2))
        if self.hard:
            feed, (log_p, weights) = state.feed, self.marginal(h[-1], state.step, memory)
        else:
            feed, weights = self.look(h[-1], memory, state.step)
            log_p = self.out(feed).float().log_softmax(-1)
        return log_p, State(torch.stack(h, 2), torch.stack(c, 2), feed, state.step + 1), weights
