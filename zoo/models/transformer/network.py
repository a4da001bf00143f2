"""Attention Is All You Need (Vaswani et al.; NeurIPS 2017).

The symbols are those of arXiv 1706.03762, section 3.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from zoo.errors import WIDEST, UnknownName, ZooError, check_flag, check_whole, suggest
from zoo.nn.kernels import Dropout, lower
from zoo.nn.lengths import check_symbols
from zoo.nn.multihead import MultiHeadAttention, Projected
from zoo.nn.position import make_positions


class Residual(nn.Module):
    """What is around every sub-layer: LayerNorm(x + Dropout(Sublayer(x))) (sections 3.1 and 5.4).

    With norm="pre" it is x + Dropout(Sublayer(LayerNorm(x))), which is not the paper's.
    """

    def __init__(self, d_model: int, dropout: float, norm: str):
        super().__init__()
        self.norm, self.dropout, self.pre = nn.LayerNorm(d_model), Dropout(dropout), norm == "pre"

    def before(self, x: Tensor) -> Tensor:
        """What the sub-layer reads."""
        return self.norm(x) if self.pre else x

    def after(self, x: Tensor, found: Tensor) -> Tensor:
        """x together with what the sub-layer made of it."""
        x = x + self.dropout(found)
        return x if self.pre else self.norm(x)


class FeedForward(nn.Module):
    """max(0, x W_1 + b_1) W_2 + b_2 (eq. 2)."""

    def __init__(self, d_model: int, d_ff: int):
        super().__init__()
        self.W_1, self.W_2 = nn.Linear(d_model, d_ff), nn.Linear(d_ff, d_model)

    def forward(self, x: Tensor) -> Tensor:
        return self.W_2(self.W_1(x).relu_())


class EncoderLayer(nn.Module):
    """Self-attention and a feed-forward network, each in its residual.

    Args:
        d_model, d_ff, dropout, norm: see :class:`Transformer`.
        attention: the arguments of :class:`zoo.nn.multihead.MultiHeadAttention`.
    """

    def __init__(self, d_model: int, d_ff: int, dropout: float, norm: str, attention: dict):
        super().__init__()
        self.attend = MultiHeadAttention(d_model, **attention)
        self.feed = FeedForward(d_model, d_ff)
        self.around = nn.ModuleList(Residual(d_model, dropout, norm) for _ in range(2))

    def forward(self, x: Tensor, mask: Tensor, need_weights: bool = False) -> tuple[Tensor, Tensor | None]:
        """x (batch, S, d_model), mask (batch, S). Weights (batch, heads, S, S) or None."""
        attend, feed = self.around
        y = attend.before(x)
        found, weights = self.attend(y, y, mask[:, None, None], need_weights=need_weights)
        x = attend.after(x, found)
        return feed.after(x, self.feed(feed.before(x))), weights


class DecoderLayer(nn.Module):
    """Self-attention over what was written, attention over the source, and a feed-forward network."""

    def __init__(self, d_model: int, d_ff: int, dropout: float, norm: str, attention: dict):
        super().__init__()
        self.attend = MultiHeadAttention(d_model, **attention)
        self.look = MultiHeadAttention(d_model, **attention)
        self.feed = FeedForward(d_model, d_ff)
        self.around = nn.ModuleList(Residual(d_model, dropout, norm) for _ in range(3))

    def forward(
        self, x: Tensor, source: Projected, mask: Tensor, need_weights: bool = False
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """All positions at once: x (batch, T, d_model), mask (batch, S).

        Weights over what was written (batch, heads, T, T) and over the source (batch, heads, T, S), or None twice.
        Padding of the target comes last, so what hides the future hides it too.
        """
        y = self.around[0].before(x)
        found, written = self.attend(y, y, causal=True, need_weights=need_weights)
        x, read = self._read(self.around[0].after(x, found), source, mask, need_weights)
        return x, written, read

    def step(self, x: Tensor, past: Projected, source: Projected, mask: Tensor) -> tuple[Tensor, Projected, Tensor]:
        """One position of K hypotheses: x (batch, K, d_model), past (batch, K, heads, t, d). The new past is longer."""
        batch = x.shape[:2]
        y = self.around[0].before(x).flatten(0, 1)[:, None]  # (batch * K, 1, d_model)
        new = self.attend.project(y)
        past = past.extended(Projected(*(each.unflatten(0, batch) for each in new)))
        found, _ = self.attend(y, Projected(*(each.flatten(0, 1) for each in past)))
        x, weights = self._read(self.around[0].after(x, found.view_as(x)), source, mask, True)
        return x, past, weights

    def _read(self, x: Tensor, source: Projected, mask: Tensor, need_weights: bool) -> tuple[Tensor, Tensor | None]:
        _, look, feed = self.around
        found, weights = self.look(look.before(x), source, mask[:, None, None], need_weights=need_weights)
        x = look.after(x, found)
        return feed.after(x, self.feed(feed.before(x))), weights


class Memory(NamedTuple):
    """What the decoder reads of a source sentence."""

    source: tuple[Projected, ...]  # for each decoder layer (batch, heads, S, d_k) and (batch, heads, S, d_v)
    mask: Tensor  # (batch, S)


class State(NamedTuple):
    """What each of K hypotheses has written, as every decoder layer sees it."""

    past: tuple[Projected, ...]  # for each layer (batch, K, heads, t, d_k) and (batch, K, heads, t, d_v)


class Looked(NamedTuple):
    """The weights of all heads, those of the first layer first, of the three kinds of section 3.2.3."""

    encoder: Tensor  # source words over source words: (batch, layers * heads, S, S)
    decoder: Tensor  # words that are written over those before: (batch, layers * heads, T, T)
    cross: Tensor  # words that are written over the source: (batch, layers * heads, T, S)


class Transformer(nn.Module):
    """A stack of self-attention layers that reads, and one that also looks at the first and writes.

    Args:
        source_vocabulary, target_vocabulary: special symbols included.
        layers: N of each stack.
        d_model: width of embeddings and of every sub-layer.
        d_ff: of the feed-forward networks.
        heads: h.
        key_dim, value_dim: d_k and d_v of a head; None is d_model / h.
        dropout: on sub-layer outputs and on the sums of embeddings and positions.
        attention_dropout: on the weights (not in the paper).
        norm: "post", as published, or "pre", with one more at the end of each stack.
        positions: "sinusoidal" or "learned" (table 3, E).
        longest: how many positions are learned.
        tied: whether one matrix embeds source and target and gives the logits; it needs one vocabulary for both.
        attention_bias: whether the projections of attention have biases; the paper shows none.
        reverse: whether the data reverses the source words; nothing here depends on it.
    """

    alignment_shift = 0  # the weights of a step are taken for the word that it writes

    def __init__(
        self,
        source_vocabulary: int,
        target_vocabulary: int,
        layers: int = 6,
        d_model: int = 512,
        d_ff: int = 2048,
        heads: int = 8,
        key_dim: int | None = None,
        value_dim: int | None = None,
        dropout: float = 0.1,
        attention_dropout: float = 0.0,
        norm: str = "post",
        positions: str = "sinusoidal",
        longest: int = 512,
        tied: bool = True,
        attention_bias: bool = False,
        reverse: bool = False,
    ):
        super().__init__()
        if norm not in ("post", "pre"):
            raise UnknownName(f"norm is {norm!r}, not 'post' or 'pre'{suggest(norm, ('post', 'pre'))}")
        check_whole(1, source_vocabulary=source_vocabulary, target_vocabulary=target_vocabulary, longest=longest)
        check_whole(1, WIDEST, d_model=d_model, d_ff=d_ff)
        check_whole(1, 1000, layers=layers)
        check_flag(tied=tied, attention_bias=attention_bias, reverse=reverse)
        if tied and source_vocabulary != target_vocabulary:
            sizes = f"{source_vocabulary} and {target_vocabulary} entries"
            raise ZooError(f"tied embeddings need one vocabulary for both languages, not {sizes}; try tied=false")
        self.source = nn.Embedding(source_vocabulary, d_model, padding_idx=0)
        self.target = self.source if tied else nn.Embedding(target_vocabulary, d_model, padding_idx=0)
        self.positions = make_positions(positions, d_model, longest)
        attention = {"heads": heads, "key_dim": key_dim, "value_dim": value_dim}
        attention |= {"bias": attention_bias, "dropout": attention_dropout}
        made = {"d_model": d_model, "d_ff": d_ff, "dropout": dropout, "norm": norm, "attention": attention}
        self.encoder = nn.ModuleList(EncoderLayer(**made) for _ in range(layers))
        self.decoder = nn.ModuleList(DecoderLayer(**made) for _ in range(layers))
        self.last = nn.ModuleList(nn.LayerNorm(d_model) if norm == "pre" else nn.Identity() for _ in range(2))
        self.out = nn.Linear(d_model, target_vocabulary, bias=False)
        self.dropout = Dropout(dropout)
        self._init()
        if tied:
            self.out.weight = self.source.weight  # section 3.4

    @torch.no_grad()
    def _init(self) -> None:
        """Not in the paper: Xavier for matrices, N(0, 1 / d_model) for embeddings, biases zero."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    module.bias.zero_()
            elif isinstance(module, nn.Embedding):
                module.weight.normal_(std=module.embedding_dim**-0.5)
                module.weight[0].zero_()

    def embed(self, embedding: nn.Embedding, ids: Tensor, start: int = 0) -> Tensor:
        """Embeddings times sqrt(d_model), plus positions from `start`: ids (batch, length) -> (..., d_model)."""
        x = embedding(ids) * math.sqrt(embedding.embedding_dim)
        return self.dropout(x + self.positions(ids.shape[1], start).to(x.dtype))

    def at_most(self, lengths: Tensor) -> Tensor:
        """The lengths, but no more than there are positions."""
        return lengths if self.positions.longest is None else lengths.clamp(max=self.positions.longest)

    def encode(self, source: Tensor, mask: Tensor) -> Memory:
        """What every decoder layer will look at of a source (batch, S), eos included."""
        return self._encode(source, mask)[0]

    def _encode(self, source: Tensor, mask: Tensor, need_weights: bool = False) -> tuple[Memory, list[Tensor | None]]:
        check_symbols(source=source)
        x, seen = self.embed(self.source, source), []
        for layer in self.encoder:
            x, weights = layer(x, mask, need_weights)
            seen.append(weights)
        x = lower(self.last[0](x))
        return Memory(tuple(layer.look.project(x) for layer in self.decoder), mask), seen

    def start(self, memory: Memory, beam: int = 1) -> State:
        """Nothing was written yet."""

        def nothing(x: Tensor) -> Tensor:
            return x.new_zeros(len(x), beam, x.shape[1], 0, x.shape[3])

        return State(tuple(Projected(*map(nothing, source)) for source in memory.source))

    def forward(
        self, source: Tensor, mask: Tensor, target: Tensor, need_weights: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Teacher forcing: the target (batch, T) begins with bos.

        Returns logits (batch, T, words) and, if they are asked for, the weights over the source of all heads of the
        first decoder layer, then of the second, and so on: (batch, layers * heads, T, S).
        """
        logits, _, read = self._decode(self.encode(source, mask), target, need_weights)
        return logits, torch.cat(read, 1) if need_weights else None

    def look(self, source: Tensor, mask: Tensor, target: Tensor) -> Looked:
        """Where all heads look under teacher forcing; the arguments are those of :meth:`forward`."""
        memory, encoder = self._encode(source, mask, need_weights=True)
        _, written, read = self._decode(memory, target, need_weights=True)
        return Looked(*(torch.cat(weights, 1) for weights in (encoder, written, read)))

    def _decode(
        self, memory: Memory, target: Tensor, need_weights: bool
    ) -> tuple[Tensor, list[Tensor | None], list[Tensor | None]]:
        check_symbols(target=target)
        x, written, read = self.embed(self.target, target), [], []
        for layer, source in zip(self.decoder, memory.source, strict=True):
            x, *weights = layer(x, source, memory.mask, need_weights)
            written.append(weights[0]), read.append(weights[1])
        return self.out(self.last[1](x)), written, read

    def step(self, token: Tensor, state: State, memory: Memory) -> tuple[Tensor, State, Tensor]:
        """One output word for K hypotheses each: token (batch, K).

        Returns log p (batch, K, words), the state, and the mean of all layers' and heads' weights (batch, K, S).
        """
        place = state.past[0].keys.shape[-2]  # how many words are written
        x = self.embed(self.target, token.flatten()[:, None], place).view(*token.shape, -1)
        pasts, seen = [], []
        for layer, past, source in zip(self.decoder, state.past, memory.source, strict=True):
            x, past, weights = layer.step(x, past, source, memory.mask)
            pasts.append(past), seen.append(weights)
        log_p = self.out(self.last[1](x)).float().log_softmax(-1)
        return log_p, State(tuple(pasts)), torch.cat(seen, 1).mean(1)
