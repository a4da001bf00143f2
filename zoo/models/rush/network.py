"""ABS: a feed-forward language model with an encoder of the input (Rush, Chopra and Weston 2015, section 3)."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import WIDEST, check_choice, check_flag, check_whole
from zoo.nn.kernels import Dropout, tanh
from zoo.text.search import BOS

ENCODERS = ("none", "bow", "conv", "attention")
SMOOTHING = ("paper", "mean")
FEATURES = 5  # of section 5; the first is the network's own log-probability


class Memory(NamedTuple):
    """What the encoder keeps of an input; batch first."""

    x: Tensor  # (batch, S, H), x~ = [F x_1, ..., F x_M]; of the other encoders (batch, 1, H), their output
    smooth: Tensor  # (batch, S, H), x^- of the attention; the same as x for the others
    mask: Tensor  # (batch, S) boolean


class ABS(nn.Module):
    """p(y_{i+1} | y_c, x) = softmax(V h + W enc(x, y_c)), where y_c are the last C words (section 3.1).

    All positions of a title are computed at once: their contexts y_c are the windows of the title, unfolded, and each
    position has one softmax.

    Args:
        source_vocabulary, target_vocabulary: words, special ones included; each side has a table of its own.
        encoder: "none" (the language model alone), "bow" (enc1), "conv" (enc2) or "attention" (enc3), section 3.2.
        dim: D, of the embeddings of titles.
        hidden: H, of h and of the embeddings of the input.
        context: C, words that the next one depends on.
        window: Q; enc2 has filters of 2 Q + 1 words, and enc3 smooths over as many.
        smoothing: of enc3, "paper" divides the sum over the window by Q, "mean" by the words that it holds.
        layers: L, of enc2; each halves the number of words.
        depthwise: whether a filter of enc2 is of one channel, as the paper's L x H x (2 Q + 1) numbers are read
            literally; else of all channels, as in the authors' release.
        dropout: on [h; enc] before the softmax; the paper has none.
    """

    alpha: Tensor

    def __init__(
        self,
        source_vocabulary: int,
        target_vocabulary: int,
        encoder: str = "attention",
        dim: int = 200,
        hidden: int = 400,
        context: int = 5,
        window: int = 2,
        smoothing: str = "paper",
        layers: int = 3,
        depthwise: bool = True,
        dropout: float = 0.0,
    ):
        super().__init__()
        check_choice(ENCODERS, encoder=encoder)
        check_choice(SMOOTHING, smoothing=smoothing)
        check_whole(4, source_vocabulary=source_vocabulary, target_vocabulary=target_vocabulary)
        check_whole(1, WIDEST, dim=dim, hidden=hidden, context=context, layers=layers)
        check_whole(1 if smoothing == "paper" else 0, WIDEST, window=window)
        check_flag(depthwise=depthwise)
        self.encoder, self.context, self.window, self.smoothing = encoder, context, window, smoothing
        self.E = nn.Embedding(target_vocabulary, dim)
        self.U = nn.Linear(context * dim, hidden)
        self.dropout = Dropout(dropout)
        # [V W]; the bias is the sum of theirs
        self.VW = nn.Linear(hidden if encoder == "none" else 2 * hidden, target_vocabulary)
        if encoder != "none":
            self.F = nn.Embedding(source_vocabulary, hidden)
        if encoder == "conv":
            how = {"padding": window, "groups": hidden if depthwise else 1, "bias": False}
            self.Q = nn.ModuleList(nn.Conv1d(hidden, hidden, 2 * window + 1, **how) for _ in range(layers))
        if encoder == "attention":
            self.G = nn.Embedding(target_vocabulary, dim)
            self.P = nn.Linear(context * dim, hidden, bias=False)
        # of the five features of ABS+, which are tuned without a gradient; these are plain ABS
        self.register_buffer("alpha", torch.eye(1, FEATURES)[0])

    def forward(self, source: Tensor, mask: Tensor, target: Tensor) -> tuple[Tensor, Tensor | None]:
        """The next word after each word of the title.

        Args:
            source: (batch, S) int64.
            mask: (batch, S) boolean, True = a word.
            target: (batch, T) int64, bos and the title.

        Returns:
            Logits (batch, T, target_vocabulary), and of the attention p (batch, T, S); None of the other encoders.
        """
        return self.next(self.contexts(target), self.encode(source, mask))

    def contexts(self, target: Tensor) -> Tensor:
        """y_c at every position: (batch, T) to (batch, T, C); before bos there is more of it."""
        return F.pad(target, (self.context - 1, 0), value=BOS).unfold(1, self.context, 1)

    def next(self, contexts: Tensor, memory: Memory | None) -> tuple[Tensor, Tensor | None]:
        """Logits (batch, T, V) and p (batch, T, S) after each of the contexts (batch, T, C)."""
        h = tanh(self.U(self.E(contexts).flatten(2)))  # y~_c = [E y_{i-C+1}, ..., E y_i]
        if memory is None:
            return self.VW(self.dropout(h)), None
        enc, p = self.attend(contexts, memory) if self.encoder == "attention" else (memory.x.expand_as(h), None)
        return self.VW(self.dropout(torch.cat([h, enc.to(h.dtype)], -1))), p

    def attend(self, contexts: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """enc3 (batch, T, H) = p^T x^-, and p (batch, T, S) = softmax(x~ P y~'_c)."""
        context = self.P(self.G(contexts).flatten(2))  # P y~'_c (batch, T, H)
        scores = (context @ memory.x.mT).float().masked_fill(~memory.mask[:, None], torch.finfo(torch.float32).min)
        p = scores.softmax(-1)
        return p.to(memory.smooth.dtype) @ memory.smooth, p

    def encode(self, source: Tensor, mask: Tensor) -> Memory | None:
        """What of enc does not depend on the context; see :meth:`forward`."""
        if self.encoder == "none":
            return None
        x = self.F(source) * mask[:, :, None]
        if self.encoder == "attention":
            return Memory(x, self.smooth(x, mask), mask)
        enc = self.bag(x, mask) if self.encoder == "bow" else self.convolve(x, mask)
        return Memory(enc[:, None], enc[:, None], mask)

    @staticmethod
    def bag(x: Tensor, mask: Tensor) -> Tensor:
        """enc1 = p^T x~ with p = [1/M, ..., 1/M]: (batch, S, H) to (batch, H)."""
        return x.sum(1) / mask.sum(1, keepdim=True).clamp(min=1)

    def convolve(self, x: Tensor, mask: Tensor) -> Tensor:
        """enc2: (batch, S, H) to (batch, H); a last word that has no partner is its own maximum."""
        x = x.mT
        for filters in self.Q:
            x = filters(x).masked_fill(~mask[:, None], -torch.inf)
            if odd := x.shape[2] % 2:
                x, mask = F.pad(x, (0, odd), value=-torch.inf), F.pad(mask, (0, odd))
            mask = mask.unflatten(1, (-1, 2)).any(-1)
            x = x.unflatten(2, (-1, 2)).amax(-1).masked_fill(~mask[:, None], 0)
            x = tanh(x)  # tanh(max(x_{2i-1}, x_{2i}))
        return x.masked_fill(~mask[:, None], -torch.inf).amax(2).masked_fill(~mask.any(1, keepdim=True), 0)

    def smooth(self, x: Tensor, mask: Tensor) -> Tensor:
        """x^-_i, the sum of x~_{i-Q}, ..., x~_{i+Q} over Q, or their mean: (batch, S, H), x with zeros as padding."""
        summed = self.around(x)
        if self.smoothing == "paper":
            return summed / self.window
        return summed / self.around(mask[:, :, None].to(x.dtype)).clamp(min=1)

    def around(self, x: Tensor) -> Tensor:
        """The sum of each row of x (batch, S, n) and Q rows on both sides, as far as there are any."""
        width = 2 * self.window + 1
        return width * F.avg_pool1d(x.mT, width, 1, self.window).mT

    def step(self, context: Tensor, memory: Memory | None) -> tuple[Tensor, Tensor | None]:
        """Log-probabilities (batch, K, V) float32 and p (batch, K, S) after contexts (batch, K, C) of K hypotheses."""
        logits, p = self.next(context, memory)
        return logits.float().log_softmax(-1), p

    @torch.no_grad()
    def renormalise(self, longest: float) -> None:
        """Shortens the rows of all tables that are longer, to that L2 norm (section 7.3)."""
        for table in (module for module in self.modules() if isinstance(module, nn.Embedding)):
            norms = table.weight.norm(dim=1, keepdim=True)
            table.weight.mul_(longest / norms.clamp(min=longest))
