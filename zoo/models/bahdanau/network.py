"""Neural Machine Translation by Jointly Learning to Align and Translate (Bahdanau, Cho, Bengio; ICLR 2015).

The symbols are those of arXiv 1409.0473, appendix A. Biases, which the paper leaves out for brevity, are there.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from zoo.errors import WIDEST, check_choice, check_flag, check_whole
from zoo.nn.attend import Attend
from zoo.nn.gated import GatedUnit
from zoo.nn.kernels import Dropout
from zoo.nn.lengths import check_symbols
from zoo.nn.shared import loop, share


def scan(unit: GatedUnit, x: Tensor, mask: Tensor, reverse: bool = False) -> Tensor:
    """The states over a sentence: x (batch, S, inputs), mask (batch, S) -> (batch, S, hidden).

    Padding carries the state on, so that in reverse the first real step is at the last word.
    """
    h = unit.candidate.weight.new_zeros(len(mask), unit.candidate.in_features)  # float32 under autocast too
    x = unit.input(x).to(h.dtype).unbind(1)
    keep = mask[..., None].to(h.dtype).unbind(1)
    states = [h] * len(x)
    with loop(unit):
        for j in reversed(range(len(x))) if reverse else range(len(x)):
            h = unit(x[j], h, keep[j])
            states[j] = h
    return torch.stack(states, 1)


class Memory(NamedTuple):
    """What the decoder reads of a source sentence."""

    annotations: Tensor  # (batch, S, dim): h_j; without attention (batch, 1, hidden): the last forward state
    keys: Tensor  # (batch, S, align): U_a h_j; without attention (batch, 1, S): 1 at the last word
    mask: Tensor  # (batch, S)


class State(NamedTuple):
    """Where the decoder is, for K hypotheses of each sentence."""

    s: Tensor  # (batch, K, n): s_{i-1}
    step: Tensor  # (batch, K) int64: i, from 0


class RNNsearch(nn.Module):
    """Encodes a sentence into annotations and, for each word that it writes, searches them for what is relevant.

    Args:
        source_vocabulary, target_vocabulary: K_x and K_y, special symbols included.
        embedding: m.
        hidden: n, units of the decoder and of each direction of the encoder.
        maxout: l, units of the readout after the maximum.
        attention: the arguments of :class:`zoo.nn.attend.Attend` beside the dimensions; its hidden size n' is `hidden`
            unless it says so. None is RNNencdec, the baseline: a forward encoder whose last state is every c_i.
        readout: "previous" reads s_{i-1}, as the appendix and the authors' code do; "current" reads s_i.
        dropout: on embeddings, annotations and the readout (not in the paper, for small data).
        init: "paper" (B.1) or "torch", the defaults of the layers but for embeddings, uniform in +-0.1, which learns
            faster with Adam; torch's own N(0, 1) would leave rare words where they started.
        reverse: whether the data reverses the source words.
    """

    def __init__(
        self,
        source_vocabulary: int,
        target_vocabulary: int,
        embedding: int = 620,
        hidden: int = 1000,
        maxout: int = 500,
        attention: dict | None = None,
        readout: str = "previous",
        dropout: float = 0.0,
        init: str = "paper",
        reverse: bool = False,
    ):
        super().__init__()
        check_choice(("previous", "current"), readout=readout)
        check_choice(("paper", "torch"), init=init)
        check_whole(1, source_vocabulary=source_vocabulary, target_vocabulary=target_vocabulary)
        check_whole(1, WIDEST, embedding=embedding, hidden=hidden, maxout=maxout)
        check_flag(reverse=reverse)
        self.readout_state = readout
        # the weights of a step belong to the word that it writes; the baseline's are where its one vector was read
        self.alignment_shift = 0 if attention else None
        self.source = nn.Embedding(source_vocabulary, embedding, padding_idx=0)  # E of the source
        self.target = nn.Embedding(target_vocabulary, embedding, padding_idx=0)  # E of the target
        self.forwards = GatedUnit(embedding, hidden)
        self.backwards = GatedUnit(embedding, hidden) if attention else None
        dim = 2 * hidden if attention else hidden
        self.start_layer = nn.Linear(hidden, hidden)  # W_s
        self.attend = Attend(hidden, dim, reverse=reverse, **attention) if attention else None
        self.unit = GatedUnit(embedding, hidden, context=dim)
        self.readout = nn.Linear(hidden + embedding + dim, 2 * maxout)  # U_o, V_o, C_o
        self.out = nn.Linear(maxout, target_vocabulary)  # W_o
        self.dropout = Dropout(dropout)
        if init == "paper":
            self._init_as_paper()
        else:
            for table in (self.source, self.target):
                nn.init.uniform_(table.weight, -0.1, 0.1)

    @torch.no_grad()
    def _init_as_paper(self) -> None:
        """B.1: recurrent matrices orthogonal, W_a and U_a N(0, 0.001^2), v_a and biases zero, others N(0, 0.01^2)."""
        for name, parameter in self.named_parameters():
            if name.endswith("bias") or name == "attend.score.v_a":
                parameter.zero_()
            elif name.startswith("attend.score."):
                parameter.normal_(std=0.001)
            else:
                parameter.normal_(std=0.01)
        for unit in filter(None, (self.forwards, self.backwards, self.unit)):
            for square in (*unit.gates.weight.chunk(2), unit.candidate.weight):
                nn.init.orthogonal_(square)

    def encode(self, source: Tensor, mask: Tensor) -> Memory:
        """Annotations h_j = [forward_j; backward_j] of a source (batch, S), eos included (A.2.1)."""
        check_symbols(source=source)
        x = self.dropout(self.source(source))
        forwards = scan(self.forwards, x, mask)
        if self.attend is None:
            last = self.dropout(forwards[:, -1:])  # padding has carried the last state on
            is_last = mask & ~nn.functional.pad(mask[:, 1:], (0, 1))
            return Memory(last, is_last[:, None].to(last.dtype), mask)
        h = self.dropout(torch.cat([forwards, scan(self.backwards, x, mask, reverse=True)], -1))
        keys = self.attend.keys(h)
        return Memory(h.to(keys.dtype), keys, mask)  # under autocast cast once, not in every step

    def start(self, memory: Memory, beam: int = 1) -> State:
        """s_0 = tanh(W_s backward_1); the baseline starts from its c in the same way."""
        first = memory.annotations[:, 0, -self.start_layer.in_features :]
        s = self.start_layer(first).tanh().to(self.start_layer.weight.dtype)[:, None].expand(-1, beam, -1)
        return State(s, memory.mask.new_zeros(len(first), beam, dtype=torch.int64))

    def look(self, s: Tensor, memory: Memory, step: int | Tensor) -> tuple[Tensor, Tensor]:
        """c_i = sum_j alpha_ij h_j for s_{i-1} (batch, K, n): (batch, K, dim), and alpha (batch, K, S)."""
        if self.attend is None:
            return tuple(fixed.expand(-1, s.shape[1], -1) for fixed in (memory.annotations, memory.keys))
        return self.attend(s, memory.annotations, memory.keys, memory.mask, step)

    def speak(self, s: Tensor, y: Tensor, c: Tensor) -> Tensor:
        """The logits of y_i from t_i = maxout(U_o s + V_o E y_{i-1} + C_o c_i) (A.2.2)."""
        t = self.readout(torch.cat([s, y, c], -1)).unflatten(-1, (-1, 2)).max(-1).values
        return self.out(self.dropout(t))

    def forward(self, source: Tensor, mask: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Teacher forcing; target (batch, T) begins with bos. Gives logits (batch, T, K_y) and alpha (batch, T, S)."""
        check_symbols(target=target)
        memory = self.encode(source, mask)
        y = self.dropout(self.target(target))  # (batch, T, m)
        s = self.start(memory).s[:, 0]
        projected = self.unit.input(y).to(s.dtype).unbind(1)
        states, contexts, alphas = [s], [], []
        shared = memory._replace(annotations=share(memory.annotations.mT)) if self.attend else memory
        with loop(self.unit, self.attend):
            for i, x in enumerate(projected):
                c, alpha = self.look(s[:, None], shared, i)
                c = c[:, 0]
                s = self.unit(x + self.unit.context(c), s)
                states.append(s), contexts.append(c), alphas.append(alpha)
        read = states[:-1] if self.readout_state == "previous" else states[1:]
        return self.speak(torch.stack(read, 1), y, torch.stack(contexts, 1)), torch.cat(alphas, 1)

    def step(self, token: Tensor, state: State, memory: Memory) -> tuple[Tensor, State, Tensor]:
        """One output word for K hypotheses each: token (batch, K). Returns log p (batch, K, K_y), s_i and alpha."""
        y = self.target(token)
        c, alpha = self.look(state.s, memory, state.step)
        s = self.unit(self.unit.input(y) + self.unit.context(c), state.s)
        logits = self.speak(state.s if self.readout_state == "previous" else s, y, c)
        return logits.float().log_softmax(-1), State(s, state.step + 1), alpha
