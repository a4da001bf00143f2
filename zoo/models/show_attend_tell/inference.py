"""q(a_t | a_<t, y, a), an inference network that knows the word which is to be written; for training alone."""

import torch
from torch import Tensor, nn

from zoo.nn.kernels import at_least_float32


class InferenceNetwork(nn.Module):
    """Where to look for a word that is known already (Ba, Grosse, Salakhutdinov, Frey 2015; the form is our choice).

    log q(a_t = i) = log softmax_i(log alpha_ti + a_i . V tanh(W [h_{t-1}, e(y_t)] + b)). Nothing flows back into the
    policy. V starts at zero, so that q starts as the policy and no weight is far from 1/M.
    """

    def __init__(self, vocabulary: int, state: int, features: int, embedding: int = 64):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, embedding, padding_idx=0)
        self.join = nn.Linear(state + embedding, embedding)
        self.prefer = nn.Linear(embedding, features, bias=False)
        nn.init.zeros_(self.prefer.weight)

    def forward(self, h: Tensor, word: Tensor, a: Tensor, log_alpha: Tensor) -> Tensor:
        """log q of the places: (batch, M, L), float32 at least.

        Args:
            h: (batch, M, n), h_{t-1}, which knows where was looked before.
            word: (batch,) int64, y_t.
            a: (batch, L, D), the annotations.
            log_alpha: (batch, M, L), the policy's.
        """
        known = self.embed(word)[:, None].expand(-1, h.shape[1], -1)
        wanted = self.prefer(self.join(torch.cat([h.detach(), known.to(h.dtype)], -1)).tanh())  # (batch, M, D)
        return (log_alpha.detach() + at_least_float32(wanted @ a.to(wanted.dtype).mT)).log_softmax(-1)
