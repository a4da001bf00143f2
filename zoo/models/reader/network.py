"""Teaching Machines to Read and Comprehend (Hermann et al., NIPS 2015, arXiv 1506.03340), section 3.2.

The symbols are the paper's: x a word's vector, y what an LSTM says of it, u the question, r what was read, g both.
Ids are 0 for padding, which stands at the end of a row; masks are True where a word is.
"""

import torch
from torch import Tensor, nn

from zoo.errors import WIDEST, check_choice, check_flag, check_least, check_whole
from zoo.models.reader.attention import AttentiveRead, ImpatientRead, UniformRead
from zoo.models.reader.cell import CELLS, Fused, Peephole, flipped, make_layer, step
from zoo.nn.kernels import Dropout
from zoo.nn.lengths import check_symbols

PAD = 0
SEPARATOR = 5  # |||, as datamodules.cloze numbers it
READERS = ("attentive", "impatient", "uniform", "deep_lstm")
ORDERS = ("qca", "cqa")  # question first, document first


class DeepLSTM(nn.Module):
    """K layers with skips from the input to each layer, and from each layer to the output.

    x'(t, k) = x(t) || y'(t, k-1), y'(t, k) = W_y h(t, k) + b_y, y(t) = y'(t, 1) || ... || y'(t, K).

    Args:
        inputs: of x(t).
        cell, literal_forget_gate: see :class:`Reader`.
    """

    def __init__(self, inputs: int, hidden: int, depth: int, cell: str, literal_forget_gate: bool = False):
        super().__init__()
        raw = inputs if literal_forget_gate else 0
        sizes = [inputs + (hidden if k else 0) for k in range(depth)]
        self.layers = nn.ModuleList(make_layer(cell, size, hidden, raw) for size in sizes)
        self.outputs = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(depth))  # W_y, b_y

    def forward(self, x: Tensor) -> Tensor:
        """x (batch, T, inputs) -> y (batch, T, depth * hidden)."""
        y: list[Tensor] = []
        for layer, output in zip(self.layers, self.outputs, strict=True):
            y.append(output(layer(torch.cat([x.to(y[-1].dtype), y[-1]], -1) if y else x)))
        return torch.cat(y, -1)


class Bidirectional(nn.Module):
    """One layer in each direction, whose outputs at a word stand side by side."""

    def __init__(self, inputs: int, hidden: int, cell: str, literal_forget_gate: bool):
        super().__init__()
        self.forwards = DeepLSTM(inputs, hidden, 1, cell, literal_forget_gate)
        self.backwards = DeepLSTM(inputs, hidden, 1, cell, literal_forget_gate)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """x (batch, T, inputs) -> y_fwd(t) and y_bwd(t) of each word t: (batch, T, hidden) each."""
        return self.forwards(x), flipped(self.backwards(flipped(x, lengths)), lengths)


class AttentionReader(nn.Module):
    """What the Attentive, Impatient and Uniform readers share: y_d(t), y_q(i), and then the kind of reading."""

    def __init__(self, embedding: int, hidden: int, dropout: float, read: nn.Module, cell: str, literal: bool):
        super().__init__()
        self.document = Bidirectional(embedding, hidden, cell, literal)
        self.question = Bidirectional(embedding, hidden, cell, literal)
        self.read, self.dropout = read, Dropout(dropout)

    def forward(self, d: Tensor, q: Tensor, inside: Tensor, asked: Tensor, look: bool) -> tuple[Tensor, Tensor | None]:
        """g (batch, G), and where it looked, (batch, steps, T), if asked for.

        Args:
            d, q: vectors of the words, (batch, T, embedding) and (batch, L, embedding).
            inside, asked: which of them are words, (batch, T) and (batch, L) bool.
        """
        y_d = self.dropout(torch.cat(self.document(d, inside.sum(1)), -1))  # (batch, T, 2H)
        lengths = asked.sum(1)
        forwards, backwards = self.question(q, lengths)
        last = forwards[torch.arange(len(q), device=q.device), lengths - 1]
        u = self.dropout(torch.cat([last, backwards[:, 0]], -1))  # u = y_fwd(|q|) || y_bwd(1)
        y_q = self.dropout(torch.cat([forwards, backwards], -1)) if self.read.rereads else None
        return self.read(y_d, u, y_q, inside, asked, look)


class DeepLSTMReader(nn.Module):
    """One sequence of question, separator and document (qca) or document, separator and question (cqa); g = y(last)."""

    def __init__(self, embedding: int, hidden: int, dropout: float, depth: int, order: str, cell: str, literal: bool):
        super().__init__()
        self.lstm = DeepLSTM(embedding, hidden, depth, cell, literal)
        self.order, self.dropout = order, Dropout(dropout)

    def joined(self, d: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
        """Ids of one sequence without padding inside, (batch, T + L + 1), and its lengths."""
        one, other = (q, d) if self.order == "qca" else (d, q)
        first, second = (one != PAD).sum(1, keepdim=True), (other != PAD).sum(1, keepdim=True)
        place = torch.arange(one.shape[1] + other.shape[1] + 1, device=d.device)
        left = one.gather(1, place.clamp(max=one.shape[1] - 1).expand(len(one), -1))
        right = other.gather(1, (place - first - 1).clamp(0, other.shape[1] - 1))
        ids = torch.where(place < first, left, torch.where(place > first, right, SEPARATOR))
        lengths = first + 1 + second
        return torch.where(place < lengths, ids, PAD), lengths[:, 0]

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """x (batch, S, embedding) -> g (batch, depth * hidden)."""
        y = self.lstm(x)
        return self.dropout(y[torch.arange(len(y), device=y.device), lengths - 1])


class Reader(nn.Module):
    """p(a | d, q) over the vocabulary, proportional to exp(W(a) g(d, q)).

    Args:
        vocabulary: ids of words, markers and special symbols.
        reader: "attentive", "impatient", "uniform" or "deep_lstm".
        embedding: of a word; the paper does not say.
        hidden: H, units of a layer and direction.
        attention: A, units of m(t); None is 2 H. The paper does not say.
        output: G, units of g of the attention readers; None is 2 H. The paper does not say.
        depth: K, layers of "deep_lstm".
        order: of "deep_lstm", "qca" or "cqa".
        cell: "peephole", with diagonal peepholes; "full_peephole", with matrices, as the equations are printed; or
            "fused", torch's own, which has none.
        literal_forget_gate: whether the forget gate reads x(t) as printed, where the other gates read x'(t, k); the
            two differ from the second layer on, so it is a choice of "deep_lstm".
        recompute: whether "impatient" computes each m(i, t) again in the backward pass, and keeps none.
        std: of the words' vectors at the start.
        forget_bias: of the forget gates at the start; the paper does not say. At 0 half of what a cell knows is gone
            with each word.
        dropout: of the words' vectors and of what the LSTMs say.
    """

    def __init__(
        self,
        vocabulary: int,
        reader: str = "attentive",
        embedding: int = 200,
        hidden: int = 256,
        attention: int | None = None,
        output: int | None = None,
        depth: int = 2,
        order: str = "qca",
        cell: str = "peephole",
        literal_forget_gate: bool = False,
        recompute: bool = True,
        std: float = 1.0,
        forget_bias: float = 1.0,
        dropout: float = 0.2,
    ):
        super().__init__()
        check_whole(SEPARATOR + 1, vocabulary=vocabulary)
        attention, output = (2 * hidden if size is None else size for size in (attention, output))
        check_whole(1, WIDEST, embedding=embedding, hidden=hidden, attention=attention, output=output)
        check_whole(1, 100, depth=depth)
        check_choice(READERS, reader=reader)
        check_choice(ORDERS, order=order)
        check_choice(CELLS, cell=cell)
        check_least(0, std=std, forget_bias=forget_bias)
        check_flag(literal_forget_gate=literal_forget_gate, recompute=recompute)
        self.words = nn.Embedding(vocabulary, embedding)
        self.words.weight.data.mul_(std)
        self.dropout = Dropout(dropout)
        if reader == "deep_lstm":
            self.reader = DeepLSTMReader(embedding, hidden, dropout, depth, order, cell, literal_forget_gate)
            output = depth * hidden
        else:
            kind = {"attentive": AttentiveRead, "uniform": UniformRead, "impatient": ImpatientRead}[reader]
            more = {"recompute": recompute} if reader == "impatient" else {}
            read = kind(2 * hidden, attention, output, **more)
            self.reader = AttentionReader(embedding, hidden, dropout, read, cell, literal_forget_gate)
        self.answers = nn.Linear(output, vocabulary, bias=False)  # W
        for module in self.modules():
            if isinstance(module, Peephole | Fused):
                module.remember(forget_bias)

    def g(self, document: Tensor, question: Tensor, look: bool = False) -> tuple[Tensor, Tensor | None]:
        """g(d, q), (batch, G), and where it looked, (batch, steps, T), if asked for and there is attention."""
        check_symbols(document=document, question=question)
        if isinstance(self.reader, DeepLSTMReader):
            ids, lengths = self.reader.joined(document, question)
            return self.reader(self.dropout(self.words(ids)), lengths), None
        d, q = (self.dropout(self.words(ids)) for ids in (document, question))
        return self.reader(d, q, document != PAD, question != PAD, look)

    def forward(self, document: Tensor, question: Tensor) -> Tensor:
        """Logits W(a) g(d, q) of every id, (batch, vocabulary), for ids (batch, T) and (batch, L)."""
        return self.answers(self.g(document, question)[0])

    @torch.no_grad()
    def look(self, document: Tensor, question: Tensor) -> Tensor | None:
        """s: (batch, 1, T) of "attentive" and "uniform", (batch, L, T) of "impatient", None of "deep_lstm"."""
        return self.g(document, question, look=True)[1]

    def compile(self) -> None:
        """Compiles one step of the layers with peepholes: the loop over a document would be compiled for minutes."""
        compiled = torch.compile(step)
        for module in self.modules():
            if isinstance(module, Peephole):
                module.compiled = compiled
