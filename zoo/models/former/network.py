"""Transformers from scratch (Peter Bloem, blog post of 2019): self-attention from its simplest form to a generator.

The source is a post with code, and changed over the years; what is exact is said in the README of this room.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from zoo.errors import WIDEST, UnknownName, ZooError, check_least, check_whole, suggest
from zoo.nn.kernels import Dropout, lower
from zoo.nn.multihead import MultiHeadAttention, dot_product
from zoo.nn.position import make_positions
from zoo.nn.sparse import check_pattern, pattern

KINDS = ("plain", "narrow", "wide")


class PlainAttention(nn.Module):
    """y_i = sum_j w_ij x_j with w_i = softmax_j(x_i . x_j): two products and a softmax, and nothing to learn."""

    def forward(
        self, query: Tensor, memory: Tensor, mask: Tensor | None, causal: bool = False, need_weights: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """As :class:`zoo.nn.multihead.MultiHeadAttention`, with one head."""
        memory, query = (lower(query),) * 2 if memory is query else (lower(memory), lower(query))
        q, x = query[:, None], memory[:, None]  # one head
        found, weights = dot_product(q, x, x, mask, causal, need_weights, scale=1.0)
        return found[:, 0], weights


def make_attention(kind: str, dim: int, heads: int) -> nn.Module:
    """Self-attention of a kind.

    Args:
        kind: "plain"; "narrow", whose heads share the width: maps of dim to dim, cut into heads; or "wide", where each
            head has the full width: maps of dim to heads * dim.
    """
    if kind not in KINDS:
        raise UnknownName(f"self_attention.kind is {kind!r}, not one of {', '.join(KINDS)}{suggest(kind, KINDS)}")
    if kind == "plain":
        return PlainAttention()
    size = dim if kind == "wide" else None
    attend = MultiHeadAttention(dim, heads, key_dim=size, value_dim=size)
    attend.out = nn.Linear(attend.out.in_features, dim)  # "unify heads": of the four maps the only one with a bias
    return attend


class Block(nn.Module):
    """Self-attention and a feed-forward network, a layer norm after each residual, then dropout."""

    def __init__(self, dim: int, hidden: int, dropout: float, kind: str, heads: int):
        super().__init__()
        self.attend = make_attention(kind, dim, heads)
        self.feed = nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, dim))
        self.norm_1, self.norm_2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.dropout = Dropout(dropout)

    def forward(
        self, x: Tensor, mask: Tensor | None, causal: bool, need_weights: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """x (batch, length, dim); the mask broadcasts to (batch, heads, length, length)."""
        found, weights = self.attend(x, x, mask, causal=causal, need_weights=need_weights)
        x = self.dropout(self.norm_1(found + x))
        x = self.dropout(self.norm_2(self.feed(x) + x))
        return x, weights


class State(NamedTuple):
    """What a generator has read and written, for K continuations of each text."""

    window: Tensor  # (batch, K, longest): the last symbols, from the left
    length: Tensor  # (batch, K): how many they are
    fresh: Tensor  # (batch, K) boolean: nothing has been written yet


class Former(nn.Module):
    """Embeddings and positions, blocks, and one linear layer: a classifier of texts, or a generator of symbols.

    Args:
        vocabulary: symbols.
        num_classes: of a text; None makes a generator, which sees no later symbol and predicts the next one.
        dim: width k; `depth` blocks, `hidden` units in the feed-forward network of each (None: 4 * dim).
        longest: positions that are learned, and the window that a generator writes with.
        self_attention: `kind` (plain, narrow, wide), `heads`, `scope` (full, atrous, local, sparse; a list is taken in
            turns by the blocks) and `k`, the rate and number of neighbours; None is narrow and full with 8 heads.
        positions: "learned", "sinusoidal", or "none", without which a classifier sees a bag of symbols.
        pooling: of a classifier, over what is not padding: "mean" or "max".
        dropout: after embeddings, and after each layer norm of a block.
        std: of the embeddings of symbols and positions at the start; 1 is what torch makes of them.
    """

    def __init__(
        self,
        vocabulary: int,
        num_classes: int | None = None,
        dim: int = 128,
        depth: int = 6,
        hidden: int | None = None,
        longest: int = 512,
        self_attention: dict | None = None,
        positions: str = "learned",
        pooling: str = "mean",
        dropout: float = 0.0,
        std: float = 1.0,
    ):
        super().__init__()
        if pooling not in ("mean", "max"):
            raise UnknownName(f"pooling is {pooling!r}, not 'mean' or 'max'{suggest(pooling, ('mean', 'max'))}")
        check_whole(1, vocabulary=vocabulary)
        check_whole(1, WIDEST, dim=dim, num_classes=1 if num_classes is None else num_classes)
        check_least(0, std=std)
        hidden = 4 * dim if hidden is None else hidden
        check_whole(1, WIDEST, hidden=hidden)
        check_whole(1, 1000, depth=depth)
        check_whole(1, longest=longest)
        how = {"kind": "narrow", "heads": 8, "scope": "full", "k": 1} | (self_attention or {})
        if extra := how.keys() - {"kind", "heads", "scope", "k"}:
            raise UnknownName(f"self_attention has no {', '.join(sorted(extra))}; it has kind, heads, scope and k")
        self.causal, self.longest, self.pooling, self.k = num_classes is None, longest, pooling, how["k"]
        scopes = [how["scope"]] if isinstance(how["scope"], str) else how["scope"]
        if not scopes:
            raise ZooError("self_attention.scope is an empty list; name at least one")
        for scope in scopes:
            check_pattern(scope, self.k)
        self.scopes = [scopes[layer % len(scopes)] for layer in range(depth)]
        self.symbols = nn.Embedding(vocabulary, dim)
        self.positions = None if positions == "none" else make_positions(positions, dim, longest)
        self.blocks = nn.ModuleList(Block(dim, hidden, dropout, how["kind"], how["heads"]) for _ in range(depth))
        self.out = nn.Linear(dim, vocabulary if num_classes is None else num_classes)
        self.dropout = Dropout(dropout)
        nn.init.normal_(self.symbols.weight, std=std)
        if positions == "learned":
            nn.init.normal_(self.positions.table, std=std)

    def _allowed(self, scope: str, length: int, mask: Tensor | None) -> tuple[Tensor | None, bool]:
        """What a block of that scope may look at, None for everything, and whether it must hide the future itself."""
        seen = None if mask is None else mask[:, None, None]  # (batch, 1, 1, length)
        if scope == "full":
            return seen, self.causal
        allowed = pattern(scope, length, self.k, self.causal, self.symbols.weight.device)
        return (allowed if seen is None else allowed & seen), False

    def encode(
        self, symbols: Tensor, mask: Tensor | None = None, looked: Sequence[int] = ()
    ) -> tuple[Tensor, list[Tensor]]:
        """What the last block says, (batch, length, dim), and weights of blocks, (batch, heads, length, length) each.

        Args:
            symbols: (batch, length) int64.
            mask: (batch, length), True where a symbol is, False for padding; None: no padding.
            looked: of which blocks, from 0.
        """
        length = symbols.shape[1]
        x = self.symbols(symbols)
        if self.positions is not None:
            x = x + self.positions(length).to(x.dtype)
        x = self.dropout(x)
        allowed = {scope: self._allowed(scope, length, mask) for scope in dict.fromkeys(self.scopes)}
        weights = []
        for number, (scope, block) in enumerate(zip(self.scopes, self.blocks, strict=True)):
            x, w = block(x, *allowed[scope], number in looked)
            weights += [] if w is None else [w]
        return x, weights

    def pool(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Mean or maximum over what is not padding, (batch, length, dim) -> (batch, dim); zero where all is."""
        if not x.shape[1]:
            raise ZooError("a text without symbols has no class; give it one, such as the unknown word")
        if mask is None:
            return x.mean(1) if self.pooling == "mean" else x.amax(1)
        if self.pooling == "mean":
            return x.masked_fill(~mask[..., None], 0).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)
        highest = x.masked_fill(~mask[..., None], torch.finfo(x.dtype).min).amax(1)
        return highest.masked_fill(~mask.any(1, keepdim=True), 0)

    def forward(self, symbols: Tensor, mask: Tensor | None = None) -> Tensor:
        """Logits: of a classifier (batch, num_classes), of a generator (batch, length, vocabulary)."""
        x, _ = self.encode(symbols, mask)
        return self.out(x if self.causal else self.pool(x, mask))

    def look(self, symbols: Tensor, mask: Tensor | None = None, block: int | None = None) -> list[Tensor]:
        """The weights of each block, or of one (from 0; negative: from the end): (batch, heads, length, length)."""
        every = range(len(self.blocks))
        return self.encode(symbols, mask, every if block is None else [every[block]])[1]

    def start(self, prompt: Tensor, length: Tensor, count: int = 1) -> State:
        """Before the first symbol is written: the prompt (batch, width), padded at the end, has `length` (batch,).

        At least one symbol each; of a prompt that is longer than the window its end is read.
        """
        keep = length.clamp(max=self.longest)
        place = torch.arange(self.longest, device=prompt.device)
        index = ((length - keep)[:, None] + place).clamp(max=prompt.shape[1] - 1)  # (batch, longest)
        window = prompt.gather(1, index)[:, None].expand(-1, count, -1)
        length = keep[:, None].expand(-1, count)
        return State(window, length, torch.ones_like(length, dtype=torch.bool))

    def step(self, token: Tensor, state: State, memory: None = None) -> tuple[Tensor, State, None]:
        """One more symbol for K continuations each, as zoo.text.decoding wants it: token (batch, K), just written.

        The last `longest` symbols are read anew for each that is written, as in the source: in a window that moves on,
        every symbol has a new position. What is given as the first token is not looked at.
        """
        window, length, fresh = state
        full = ~fresh & (length == self.longest)
        window = torch.where(full[..., None], window.roll(-1, -1), window)
        length = torch.where(fresh | full, length, length + 1)
        last = (length - 1)[..., None]
        window = window.scatter(-1, last, torch.where(fresh, window.gather(-1, last)[..., 0], token)[..., None])
        width = int(length.max())
        x, _ = self.encode(window[..., :width].flatten(0, 1))  # what stands after the last symbol is in its future
        x = x.unflatten(0, token.shape).take_along_dim(last[..., None], 2)[:, :, 0]  # (batch, K, dim)
        log_p = self.out(x).float().log_softmax(-1)
        return log_p, State(window, length, torch.zeros_like(fresh)), None
