"""A captioning decoder written plainly, in the shape of computation that the best known public one has.

As in sgrvinod/a-PyTorch-Tutorial-to-Image-Captioning: 196 annotations of 2048 numbers are projected again at every
word, the perceptron has a ReLU, the gate a number for each feature, the words come from the state alone, and captions
are sorted by length so that those that are done leave the batch.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIZE, FEATURES, PLACES, WORDS = 512, 2048, 196, 9490


class PlainCaptions(nn.Module):
    """Teacher forcing; the mean loss of a word with the penalty of the weights."""

    def __init__(self, words: int = WORDS, features: int = FEATURES, size: int = SIZE):
        super().__init__()
        self.project, self.query, self.energy = nn.Linear(features, size), nn.Linear(size, size), nn.Linear(size, 1)
        self.embed, self.cell = nn.Embedding(words, size), nn.LSTMCell(size + features, size)
        self.h, self.c = nn.Linear(features, size), nn.Linear(features, size)
        self.gate, self.out, self.dropout = nn.Linear(size, features), nn.Linear(size, words), nn.Dropout(0.5)

    def forward(self, annotations: Tensor, caption: Tensor) -> Tensor:
        """Annotations (batch, L, features) and captions (batch, T + 1) of one length."""
        mean = annotations.mean(1)
        h, c, words = self.h(mean), self.c(mean), self.embed(caption)
        said, looked = [], []
        for t in range(caption.shape[1] - 1):
            energy = self.energy((self.project(annotations) + self.query(h)[:, None]).relu()).squeeze(2)
            alpha = energy.softmax(1)
            seen = self.gate(h).sigmoid() * (annotations * alpha[..., None]).sum(1)
            h, c = self.cell(torch.cat([words[:, t], seen], 1), (h, c))
            said.append(self.out(self.dropout(h)))
            looked.append(alpha)
        loss = F.cross_entropy(torch.stack(said, 1).flatten(0, 1).float(), caption[:, 1:].flatten())
        return loss + (1 - torch.stack(looked, 1).sum(1)).square().mean()
