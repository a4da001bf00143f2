"""ABS's training step with one softmax a context, as n-gram models are usually written, for scripts/peers.py."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

DIM, HIDDEN, CONTEXT, WINDOW = 200, 400, 5, 2


class PlainABS(nn.Module):
    """Attention over the input for one context at a time: its own copy of the input, scores, smoothing and softmax."""

    def __init__(self, source_words: int, title_words: int):
        super().__init__()
        self.E, self.G = nn.Embedding(title_words, DIM), nn.Embedding(title_words, DIM)
        self.F = nn.Embedding(source_words, HIDDEN)
        self.U, self.P = nn.Linear(CONTEXT * DIM, HIDDEN), nn.Linear(CONTEXT * DIM, HIDDEN, bias=False)
        self.V, self.W = nn.Linear(HIDDEN, title_words), nn.Linear(HIDDEN, title_words, bias=False)

    def one(self, source: Tensor, context: Tensor) -> Tensor:
        """Log-probabilities (batch, V) after one context (batch, C) of each input (batch, S)."""
        x = self.F(source)
        h = torch.tanh(self.U(self.E(context).flatten(1)))
        p = (x @ self.P(self.G(context).flatten(1))[:, :, None]).softmax(1)
        padded = F.pad(x, (0, 0, WINDOW, WINDOW))
        smooth = sum(padded[:, q : q + x.shape[1]] for q in range(2 * WINDOW + 1)) / WINDOW
        return (self.V(h) + self.W((p.mT @ smooth).squeeze(1))).float().log_softmax(-1)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """The mean of -log p over all words of the titles; target (batch, T + 1) has bos and nothing padded."""
        fed = F.pad(target, (CONTEXT - 1, 0), value=1)
        steps = range(target.shape[1] - 1)
        nats = [F.nll_loss(self.one(source, fed[:, t : t + CONTEXT]), target[:, t + 1]) for t in steps]
        return torch.stack(nats).mean()
