"""Word vectors from a weighted context (Ling et al. 2015, Not All Contexts Are Created Equal), beside plain CBOW.

The paper's body could not be read again for this room; symbols and formulas are those by which it is known (see the
card). A window has the slots i = -b .. -1, 1 .. b, in this order. Texts come in stretches of L words to predict with b
words more on either side, as :class:`datamodules.windows.WordWindows` makes them: the windows of a stretch overlap, so
every word is looked up once, and one product of matrices sums all windows.
"""

import torch
from torch import Tensor, nn

from zoo.errors import check_choice, check_flag, check_whole
from zoo.nn.kernels import at_least_float32
from zoo.nn.scope import masked_softmax

ATTEND = ("both", "K", "s", "word", "none")  # what the weights depend on
UPDATES = ("exact", "word2vec")


def places(length: int, window: int, device: torch.device | None = None) -> Tensor:
    """(L, 2b) int64: where in a stretch the slots around each of its L words are."""
    steps = torch.arange(2 * window, device=device)
    return torch.arange(length, device=device)[:, None] + steps + (steps >= window)  # the word itself is no slot


def band(weights: Tensor) -> Tensor:
    """Weights by slot as weights by place: (batch, L, 2b) to (batch, L, L + 2b), zero where no slot is."""
    batch, length, slots = weights.shape
    place = places(length, slots // 2, weights.device).expand(batch, -1, -1)
    return weights.new_zeros(batch, length, length + slots).scatter(2, place, weights)


class AttentiveCBOW(nn.Module):
    """Predicts a word from a weighted sum of the vectors around it.

    W holds the vectors that are published, O those that the sum is held against.

    Args:
        vocabulary: |V|.
        window: b.
        dim: d.
        attend: what the weight of a slot depends on: "both", a_i proportional to exp(k_{w,i} + s_i); "K" or "s", one of
            the two alone; "word", a K with one column, the same in every slot; "none", nothing: plain CBOW.
        update: "exact" gradients, or those of "word2vec", which divides the sum of a context by the number of its
            words, but its gradient not: each vector's is n times as long, n being that number.
        sparse: whether gradients hold only the rows that occur in a batch; for large vocabularies, with SGD or Adagrad.
    """

    tables = 1  # of output vectors in O; the structured model has one for each slot

    def __init__(
        self,
        vocabulary: int,
        window: int = 20,
        dim: int = 50,
        attend: str = "both",
        update: str = "exact",
        sparse: bool = False,
    ):
        super().__init__()
        check_whole(2, vocabulary=vocabulary)
        check_whole(1, window=window, dim=dim)
        check_choice(ATTEND, attend=attend)
        check_choice(UPDATES, update=update)
        check_flag(sparse=sparse)
        self.attend, self.update, self.window = attend, update, window
        self.W = nn.Embedding(vocabulary, dim, sparse=sparse)
        self.O = nn.Embedding(vocabulary, dim, sparse=sparse)
        columns = {"both": 2 * window, "K": 2 * window, "word": 1}.get(attend)
        self.K = nn.Embedding(vocabulary, columns, sparse=sparse) if columns else None
        self.s = nn.Parameter(torch.zeros(2 * window)) if attend in ("both", "s") else None
        nn.init.uniform_(self.W.weight, -0.5 / dim, 0.5 / dim)  # as the word2vec tools start
        nn.init.zeros_(self.O.weight)
        if self.K is not None:
            nn.init.zeros_(self.K.weight)  # so that training starts as CBOW

    def weights(self, text: Tensor, here: Tensor) -> Tensor:
        """a_i(w_i) = exp(k_{w_i,i} + s_i) / sum over the slots j that are there of exp(k_{w_j,j} + s_j).

        Args:
            text: (batch, L + 2b) int64.
            here: (batch, L, 2b) bool.

        Returns:
            (batch, L, 2b), float32 at least; zero where nothing is there.
        """
        if self.attend == "none":
            seen = at_least_float32(here.to(self.W.weight.dtype))
            return seen / seen.sum(-1, keepdim=True).clamp(min=1)
        scores = self.W.weight.new_zeros(()) if self.s is None else self.s
        if self.K is not None:
            place = places(here.shape[1], self.window, text.device).expand(len(text), -1, -1)
            k = self.K(text).expand(-1, -1, 2 * self.window)  # (batch, L + 2b, 2b)
            scores = scores + k.gather(1, place)  # k_{w_i,i}: the row of the word in slot i, its column i
        return masked_softmax(scores.expand(here.shape), here)

    def forward(self, text: Tensor, here: Tensor) -> tuple[Tensor, Tensor]:
        """c = sum over i of a_i(w_i) w_i, of every word to predict.

        Args:
            text, here: see :meth:`weights`.

        Returns:
            c (batch, L, d), and a (batch, L, 2b).
        """
        a, w = self.weights(text, here), self.W(text)
        c = band(a).to(w.dtype) @ w
        if self.update == "word2vec" and torch.is_grad_enabled():
            once = band(a).detach().to(w.dtype) @ w
            more = here.sum(-1, keepdim=True) - 1  # n - 1
            c = c + more * (once - once.detach())  # the same c; the gradient of w is n times as long, that of a is not
        return c, a

    def predict(self, text: Tensor, here: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What each prediction is made from, where the word is that it is of, and whether there is one.

        Returns:
            hidden (batch, L, 1, d); places (L, m) int64 in the stretch, here its L words themselves, m = 1; and valid
            (batch, L, m) bool.
        """
        c, _ = self(text, here)
        middle = torch.arange(here.shape[1], device=text.device) + self.window
        return c[:, :, None], middle[:, None], here.any(-1, keepdim=True)
