"""Encoding Source Language with Convolutional Neural Network for Machine Translation (Meng, Lu, Wang, Li, Jiang, Liu;
ACL 2015, arXiv 1503.01838): p(e_n | e_{n-k} .. e_{n-1}, phi(S)), a joint model whose source vector phi is made by
convolution and gating under the guidance of the target.

Layers are numbered as in the paper: 0 words, 1 convolution, 2 local gating, 3 convolution, 4 global gating, 5 phi. All
target words of a sentence are computed at once: where the target guides nothing below a layer, that layer is computed
once for a sentence, and its axis of target words has the length 1.
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import WIDEST, ZooError, check_choice, check_whole
from zoo.nn.kernels import Dropout
from zoo.nn.kernels import tanh as quick_tanh
from zoo.nn.lengths import check_symbols
from zoo.nn.scope import masked_softmax
from zoo.text.search import BOS, PAD

WIDTH = 3  # words of a convolution's window
ENCODERS = {"cnn": (0, False), "tag": (1, False), "tag_head": (2, False), "in": (0, True)}  # bits, guided by history
ACTIVATIONS = {"relu": torch.relu, "tanh": quick_tanh, "sigmoid": torch.sigmoid}


class Guide(NamedTuple):
    """What a decoder knows of the words that it is about to write, beside those that it has written."""

    tags: Tensor | None = None  # (batch, T, S) boolean: the source words that each word is affiliated with
    center: Tensor | None = None  # (batch, T) int64: the middle one of these (Devlin et al. 2014)
    head: Tensor | None = None  # (batch, S) int64: the head of each source word, -1 for none


def windows(x: Tensor, width: int, left: int, right: int, step: int = 1) -> Tensor:
    """Entries of neighbouring places side by side, zeros beyond the ends: (..., S, d) -> (..., places, width * d)."""
    return F.pad(x, (0, 0, left, right)).unfold(-2, width, step).transpose(-1, -2).flatten(-2)


class Encoder(nn.Module):
    """phi: layers 1 to 5.

    Args:
        embedding: d, without the bits.
        features: F, feature maps of both convolutions.
        summary: the length of phi.
        bits: that are appended to the embedding of each source word: 0, 1 (tagCNN: it is aligned with the word to be
            predicted) or 2 (tagCNN-dep: it is the head of one that is).
        history: the length of the embeddings of the words before, side by side, which guide layer 3 (inCNN); 0: they do
            not.
        local: layer 2: "gate", or "max" over `pool` neighbouring windows.
        overall: layer 4: "gate", or "max" over all places.
        activation: a name of :data:`ACTIVATIONS`.
    """

    def __init__(
        self,
        embedding: int,
        features: int,
        summary: int,
        bits: int,
        history: int,
        local: str,
        pool: int,
        overall: str,
        activation: str,
    ):
        super().__init__()
        self.act, self.local, self.pool, self.overall = ACTIVATIONS[activation], local, pool, overall
        self.w1 = nn.Linear(WIDTH * embedding, features)
        self.w3 = nn.Linear(WIDTH * features, features)
        self.phi = nn.Linear(features, summary)
        if bits:
            self.w1_bits = nn.Linear(WIDTH * bits, features, bias=False)
        if local == "gate":
            self.g = nn.Linear((WIDTH + 1) * embedding, 1)
            if bits:
                self.g_bits = nn.Linear((WIDTH + 1) * bits, 1, bias=False)
        if history:
            self.h = nn.Linear(history, features)
            self.u = nn.Linear(features, features, bias=False)
        if overall == "gate":
            self.W_g = nn.Linear(features, 1, bias=False)
        self.bits, self.guided = bits, bool(history)

    def forward(self, x: Tensor, mask: Tensor, bits: Tensor | None, history: Tensor) -> tuple[Tensor, Tensor | None]:
        """phi and where the gates look.

        Args:
            x: (batch, S, d), zero at padding.
            mask: (batch, S), True at words.
            bits: (batch, T, S, bits) or None.
            history: (batch, T, k * d).

        Returns:
            phi (batch, T or 1, summary), and weights (batch, T or 1, S), which sum to one; None without a global gate.
            The weight of a place of layer 4 belongs to the words in the middle of what it has seen: to the two
            between which the local gate chose, in that proportion.
        """
        z1 = self.w1(windows(x, WIDTH, 1, 1))[:, None]  # (batch, 1, S, F)
        if self.bits:
            z1 = z1 + self.w1_bits(windows(bits.to(x.dtype), WIDTH, 1, 1))
        z1 = self.act(z1) * mask[:, None, :, None]  # where there is no word, a bias may not act
        z2, valid, share = self.layer_2(z1, x, mask, bits)
        z3 = self.w3(windows(z2, WIDTH, 1, 1))
        if self.guided:
            z3 = z3 + self.u(self.act(self.h(history)))[:, :, None]  # the same at every place
        z3 = self.act(z3)  # (batch, T or 1, places, F)
        if self.overall == "max":
            lowest = torch.finfo(z3.dtype).min
            return self.act(self.phi(z3.masked_fill(~valid[:, None, :, None], lowest).amax(-2))), None
        omega = masked_softmax(self.W_g(z3).squeeze(-1), valid[:, None])  # layer 4: (batch, T or 1, places)
        found = (omega.to(z3.dtype)[..., None, :] @ z3).squeeze(-2)
        weights = (omega[..., None] * share).flatten(-2)[..., : x.shape[1]]
        return self.act(self.phi(found)), weights

    def layer_2(self, z1: Tensor, x: Tensor, mask: Tensor, bits: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Neighbouring windows made one.

        Returns:
            z2 (batch, T or 1, places, F), zero where there is no word; which places have one (batch, places); and the
            shares of the windows in each place (batch, T or 1, places, pool), which sum to one there.
        """
        more = -x.shape[1] % self.pool  # of an odd length the last window has no partner
        z = F.pad(z1, (0, 0, 0, more)).unflatten(-2, (-1, self.pool))
        there = F.pad(mask, (0, more)).unflatten(-1, (-1, self.pool))  # (batch, places, pool)
        valid = there.any(-1)
        if self.local == "max":
            lowest = torch.finfo(z.dtype).min
            z2 = z.masked_fill(~there[:, None, ..., None], lowest).amax(-2).masked_fill(~valid[:, None, :, None], 0)
            return z2, valid, (there / there.sum(-1, keepdim=True).clamp(min=1))[:, None]
        score = self.g(windows(x, WIDTH + 1, 1, 1 + more, 2))[:, None]  # of the words that both windows cover
        if self.bits:
            score = score + self.g_bits(windows(bits.to(x.dtype), WIDTH + 1, 1, 1 + more, 2))
        g = torch.where(there[:, None, :, 1:], score.sigmoid(), there[:, None, :, :1].to(score.dtype))
        share = torch.cat([g, (1 - g) * there[:, None, :, 1:]], -1)  # g and 1 - g, or 1 where there is one window alone
        return (share[..., None] * z).sum(-2), valid, share.float()


class SourceCNN(nn.Module):
    """Predicts each target word from the words before it, vectors of the whole source, and a window of source words.

    Args:
        source_vocabulary, target_vocabulary: special symbols included.
        embedding: d of both languages.
        features: F, feature maps of each encoder's convolutions.
        summary: the length of each phi.
        encoders: names of :data:`ENCODERS`, whose phi stand side by side: "cnn" (generic), "tag" (tagCNN), "tag_head"
            (tagCNN-dep), "in" (inCNN). None of them and a window make the model of Devlin et al. (2014).
        window: source words around the affiliated one whose embeddings are read (11 in that model); 0 for none.
        history: k, target words that are read.
        hidden: sizes of the hidden layers.
        local, pool, overall: see :class:`Encoder`.
        activation: a name of :data:`ACTIVATIONS`, throughout.
        dropout: on what each hidden layer and the softmax read (not in the paper, for small data).
    """

    def __init__(
        self,
        source_vocabulary: int,
        target_vocabulary: int,
        embedding: int = 100,
        features: int = 100,
        summary: int = 100,
        encoders: Sequence[str] = ("in",),
        window: int = 0,
        history: int = 3,
        hidden: Sequence[int] = (512, 512),
        local: str = "gate",
        pool: int = 2,
        overall: str = "gate",
        activation: str = "relu",
        dropout: float = 0.0,
    ):
        super().__init__()
        check_whole(1, source_vocabulary=source_vocabulary, target_vocabulary=target_vocabulary)
        check_whole(1, WIDEST, embedding=embedding, features=features, summary=summary)
        check_whole(0, 1000, window=window)
        check_whole(1, 1000, history=history, pool=pool)
        for name, names in {"encoders": encoders, "hidden": hidden}.items():
            if isinstance(names, str) or not isinstance(names, Sequence):
                raise ZooError(f"{name} is {names!r}; expected a list")
        for name in encoders:
            check_choice(ENCODERS, encoders=name)
        for size in hidden:
            check_whole(1, WIDEST, hidden=size)
        check_choice(("gate", "max"), local=local)
        check_choice(("gate", "max"), overall=overall)
        check_choice(ACTIVATIONS, activation=activation)
        if local == "gate" and pool != 2:
            raise ZooError(f"pool is {pool}, and a local gate chooses between two windows; local=max takes any number")
        self.encoder_names, self.window, self.history = tuple(encoders), window, history
        self.tagged = any(ENCODERS[name][0] for name in encoders)  # whether tags must be known
        self.headed = any(ENCODERS[name][0] > 1 for name in encoders)
        self.act = ACTIVATIONS[activation]
        self.source = nn.Embedding(source_vocabulary, embedding, padding_idx=PAD) if encoders or window else None
        self.target = nn.Embedding(target_vocabulary, embedding, padding_idx=PAD)
        for table in filter(None, (self.source, self.target)):
            nn.init.normal_(table.weight, std=embedding**-0.5)
            nn.init.zeros_(table.weight[PAD])
        how = {"local": local, "pool": pool, "overall": overall, "activation": activation}
        self.encoders = nn.ModuleList(
            Encoder(embedding, features, summary, bits, history * embedding if guided else 0, **how)
            for bits, guided in (ENCODERS[name] for name in encoders)
        )
        read = len(encoders) * summary + (history + window) * embedding
        sizes = [read, *hidden, target_vocabulary]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))
        self.dropout = Dropout(dropout)

    @property
    def guided(self) -> bool:
        """Whether the alignment of the word to be predicted must be known."""
        return self.tagged or self.window > 0

    def read_history(self, target: Tensor) -> Tensor:
        """The embeddings of the last k words up to each word of a target (batch, T): (batch, T, k * d)."""
        before = F.pad(target, (self.history - 1, 0), value=BOS).unfold(1, self.history, 1)  # (batch, T, k)
        return self.target(before).flatten(-2)

    def read_window(self, source: Tensor, center: Tensor) -> Tensor:
        """Embeddings of the source words around each affiliated one: (batch, T, window * d), zero beyond the ends."""
        place = center[..., None] + torch.arange(self.window, device=center.device) - (self.window - 1) // 2
        inside = (place >= 0) & (place < source.shape[1])
        words = source[:, None].expand(-1, center.shape[1], -1).gather(2, place.clamp(0, source.shape[1] - 1))
        return self.source(torch.where(inside, words, PAD)).flatten(-2)

    def read_bits(self, guide: Guide) -> Tensor:
        """(batch, T, S, 1 or 2): whether a source word has a tag, and whether it is the head of one that has."""
        tags = guide.tags
        if not self.headed:
            return tags[..., None]
        ruled = (guide.head >= 0)[:, None] & tags
        to = guide.head.clamp(min=0)[:, None].expand_as(tags)
        heads = torch.zeros(tags.shape, device=tags.device).scatter_add(2, to, ruled.float()) > 0
        return torch.stack([tags, heads], -1)

    def forward(
        self,
        source: Tensor,
        mask: Tensor,
        target: Tensor,
        tags: Tensor | None = None,
        center: Tensor | None = None,
        head: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Scores of every word in every place of a target.

        Args:
            source: (batch, S), eos included.
            mask: (batch, S), True = a word.
            target: (batch, T), beginning with bos; place n is predicted from the words up to target n.
            tags, center, head: see :class:`Guide`; of the words to be predicted.

        Returns:
            Logits (batch, T, words), and where the gates look (batch, gates, T, S), None where there is none.

        Raises:
            ZooError: something that the network reads is missing.
        """
        check_symbols(source=source, target=target)
        guide = Guide(tags, center, head)
        self._check(guide)
        history = self.read_history(target)
        read, looks = [history], []
        if self.source is not None:
            x = self.source(source.masked_fill(~mask, PAD))
        bits = self.read_bits(guide) if self.tagged else None
        for encoder in self.encoders:
            phi, weights = encoder(x, mask, bits[..., : encoder.bits] if encoder.bits else None, history)
            read.append(phi.expand(-1, target.shape[1], -1))
            if weights is not None:
                looks.append(weights.expand(-1, target.shape[1], -1))
        if self.window:
            read.append(self.read_window(source, center))
        x = torch.cat([each.to(history.dtype) for each in read], -1)
        for layer in self.layers[:-1]:
            x = self.act(layer(self.dropout(x)))
        return self.layers[-1](self.dropout(x)), torch.stack(looks, 1) if looks else None

    def _check(self, guide: Guide) -> None:
        needed = {"tags": self.tagged, "center": self.window > 0, "head": self.headed}
        for name, wanted in needed.items():
            if wanted and getattr(guide, name) is None:
                what = "heads of the source words: data.heads=<folder>" if name == "head" else "word alignments"
                raise ZooError(f"there is no {name}, and the network reads {what}")
