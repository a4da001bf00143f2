"""The text classifier of Attention is not Explanation (Jain and Wallace, NAACL 2019, arXiv 1902.10186), section 2.

The symbols are the paper's: x_e the words' vectors, h what the encoder makes of them, alpha the attention, theta the
output. Ids are 0 for padding, which stands at the end of a row.
"""

import torch
from torch import Tensor, nn

from zoo.errors import WIDEST, ZooError, check_choice, check_whole
from zoo.nn.kernels import Dropout, at_least_float32
from zoo.nn.lengths import check_symbols
from zoo.nn.scope import masked_softmax

ENCODERS = ("bilstm", "cnn", "average")
SCORES = ("additive", "dot")
WIDTHS = (1, 3, 5, 7)  # of the convolution


class BiLSTM(nn.Module):
    """h_t, what a forward and a backward LSTM say at a word."""

    def __init__(self, inputs: int, hidden: int):
        super().__init__()
        self.forwards, self.backwards = (nn.LSTM(inputs, hidden, batch_first=True) for _ in range(2))
        self.size = 2 * hidden

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        place = torch.arange(x.shape[1], device=x.device)
        turned = (mask.sum(1, keepdim=True) - 1 - place).clamp(min=0)[..., None]  # the words of a row, the last first
        back = self.backwards(x.gather(1, turned.expand_as(x)))[0]
        return torch.cat([self.forwards(x)[0], back.gather(1, turned.expand_as(back))], -1)


class CNN(nn.Module):
    """h_t, the rectified filters of four widths around a word, as many of each."""

    def __init__(self, inputs: int, hidden: int):
        super().__init__()
        if 2 * hidden % len(WIDTHS):
            raise ZooError(f"hidden is {hidden}; a convolution of {len(WIDTHS)} widths needs an even number")
        self.filters = nn.ModuleList(
            nn.Conv1d(inputs, 2 * hidden // len(WIDTHS), width, padding="same") for width in WIDTHS
        )
        self.size = 2 * hidden

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = (x * mask[..., None]).mT
        return torch.cat([filters(x) for filters in self.filters], 1).relu().mT


class Average(nn.Module):
    """h_t = ReLU(W x_t + b): a word knows nothing of the others, so the answer is of their weighted average."""

    def __init__(self, inputs: int, hidden: int):
        super().__init__()
        self.project = nn.Linear(inputs, 2 * hidden)
        self.size = 2 * hidden

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return self.project(x).relu()


class AttentionClassifier(nn.Module):
    """The class of a text, from the mean of its words under attention: y = softmax(theta sum_t alpha_t h_t).

    Args:
        vocabulary: ids of words and special symbols.
        num_classes: of the answer.
        encoder: "bilstm", "cnn", or "average".
        score: "additive", v . tanh(W h_t + b), or "dot", h_t . q / sqrt(size of h) with a learned query q.
        embedding: of a word.
        hidden: half the size of h, and units of an additive score.
        dropout: of the words' vectors and of their mean.
    """

    def __init__(
        self,
        vocabulary: int,
        num_classes: int,
        encoder: str = "bilstm",
        score: str = "additive",
        embedding: int = 300,
        hidden: int = 128,
        dropout: float = 0.0,
    ):
        super().__init__()
        check_whole(1, vocabulary=vocabulary, num_classes=num_classes)
        check_whole(1, WIDEST, embedding=embedding, hidden=hidden)
        check_choice(ENCODERS, encoder=encoder)
        check_choice(SCORES, score=score)
        self.words = nn.Embedding(vocabulary, embedding, padding_idx=0)
        self.encoder = {"bilstm": BiLSTM, "cnn": CNN, "average": Average}[encoder](embedding, hidden)
        size = self.encoder.size
        if score == "additive":
            self.energy = nn.Sequential(nn.Linear(size, hidden), nn.Tanh(), nn.Linear(hidden, 1, bias=False))
        else:
            self.energy = nn.Linear(size, 1, bias=False)
        self.scale = size**-0.5 if score == "dot" else 1.0
        self.theta = nn.Linear(size, num_classes)
        self.dropout = Dropout(dropout)

    def scores(self, h: Tensor) -> Tensor:
        """What the softmax of attention is of: h (batch, T, size) -> (batch, T), float32 at least."""
        return at_least_float32(self.energy(h).squeeze(-1)) * self.scale

    def answer(self, h: Tensor, alpha: Tensor) -> Tensor:
        """theta sum_t alpha_t h_t: (batch, T, size) and (batch, T) -> logits (batch, classes), float32 at least."""
        mean = (alpha[:, None].to(h.dtype) @ h).squeeze(1)
        return at_least_float32(self.theta(self.dropout(mean)))

    def look(self, x: Tensor, mask: Tensor, fixed: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Logits (batch, classes), alpha (batch, T) and h (batch, T, size) of the words' vectors (batch, T, embedding).

        Args:
            mask: (batch, T) bool, True where a word is; at the start of a row.
            fixed: attention that takes the place of alpha, through which no gradient flows.
        """
        h = self.encoder(x, mask)
        alpha = masked_softmax(self.scores(h), mask) if fixed is None else fixed
        return self.answer(h, alpha), alpha, h

    def forward(self, symbols: Tensor, mask: Tensor) -> Tensor:
        """Logits (batch, classes) of ids (batch, T) and where they are words."""
        check_symbols(text=symbols)
        return self.look(self.dropout(self.words(symbols)), mask)[0]
