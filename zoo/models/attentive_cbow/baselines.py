"""What the paper compares with: Skip-ngram, structured Skip-ngram and the window model (Ling et al., NAACL 2015)."""

import torch
from torch import Tensor, nn

from zoo.errors import check_flag, check_whole
from zoo.models.attentive_cbow.network import places


class SkipNgram(nn.Module):
    """Predicts each word of the window from the vector of its middle.

    Args:
        vocabulary, window, dim, sparse: see :class:`zoo.models.attentive_cbow.network.AttentiveCBOW`.
        structured: whether each slot has output vectors of its own; O holds the tables of the slots one after the
            other.
    """

    def __init__(self, vocabulary: int, window: int = 5, dim: int = 50, structured: bool = False, sparse: bool = False):
        super().__init__()
        check_whole(2, vocabulary=vocabulary)
        check_whole(1, window=window, dim=dim)
        check_flag(structured=structured, sparse=sparse)
        self.window, self.tables = window, 2 * window if structured else 1
        self.W = nn.Embedding(vocabulary, dim, sparse=sparse)
        self.O = nn.Embedding(self.tables * vocabulary, dim, sparse=sparse)
        nn.init.uniform_(self.W.weight, -0.5 / dim, 0.5 / dim)
        nn.init.zeros_(self.O.weight)

    def predict(self, text: Tensor, here: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See AttentiveCBOW; m = 2b, the slots."""
        hidden = self.W(text[:, self.window : -self.window])
        return hidden[:, :, None], places(here.shape[1], self.window, text.device), here

    forward = predict


class WindowModel(nn.Module):
    """Predicts a word from the vectors around it, one after the other as one long vector (CWINDOW).

    An empty slot is a vector of zeros.

    Args:
        vocabulary, window, dim, sparse: see :class:`zoo.models.attentive_cbow.network.AttentiveCBOW`.
    """

    tables = 1

    def __init__(self, vocabulary: int, window: int = 5, dim: int = 50, sparse: bool = False):
        super().__init__()
        check_whole(2, vocabulary=vocabulary)
        check_whole(1, window=window, dim=dim)
        check_flag(sparse=sparse)
        self.window = window
        self.W = nn.Embedding(vocabulary, dim, sparse=sparse)
        self.O = nn.Embedding(vocabulary, 2 * window * dim, sparse=sparse)
        nn.init.uniform_(self.W.weight, -0.5 / dim, 0.5 / dim)
        nn.init.zeros_(self.O.weight)

    def predict(self, text: Tensor, here: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See AttentiveCBOW; m = 1."""
        length = here.shape[1]
        around = self.W(text)[:, places(length, self.window, text.device)] * here[..., None]  # (batch, L, 2b, d)
        middle = torch.arange(length, device=text.device) + self.window
        return around.flatten(2)[:, :, None], middle[:, None], here.any(-1, keepdim=True)

    forward = predict


METHODS = {"skipgram": SkipNgram, "window": WindowModel}
