"""What vectors are good for, beside induction: a window tagger, sentiment of sentences, word similarity."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import ZooError, check_least, check_whole

Rows = list[list[str]]


class Lookup:
    """Vectors by word, all of one length; a word without a vector has zeros and is marked as unknown.

    Args:
        words: each once.
        vectors: (words, dim).
        lowercase: whether words are lower-cased before they are looked up.
    """

    def __init__(self, words: list[str], vectors: Tensor, lowercase: bool = True):
        self.numbers, self.lowercase = {word: i for i, word in enumerate(words)}, lowercase
        scale = vectors.float().std().clamp(min=1e-12)
        self.table = torch.cat([vectors.float() / scale, vectors.new_zeros(1, vectors.shape[1]).float()])

    def ids(self, row: list[str]) -> list[int]:
        """The numbers of words; -1 is one without a vector."""
        return [self.numbers.get(word.lower() if self.lowercase else word, -1) for word in row]

    def known(self, rows: Rows) -> float:
        """The share of the words that have vectors; raises ZooError where none has."""
        found = [number >= 0 for row in rows for number in self.ids(row)]
        if not any(found):
            raise ZooError("none of the words that are tested has a vector: these are vectors of another vocabulary")
        return sum(found) / len(found)


def windows(lookup: Lookup, rows: Rows, reach: int) -> Tensor:
    """The numbers of each word and its neighbours, (words, 2 reach + 1) int64; -1 beyond the ends of its sentence."""
    found = []
    for row in rows:
        ids = [-1] * reach + lookup.ids(row) + [-1] * reach
        found += [ids[i : i + 2 * reach + 1] for i in range(len(row))]
    return torch.tensor(found)


class WindowTagger(nn.Module):
    """A word's tag from its vector and its neighbours', by one hidden layer (Collobert et al. 2011).

    Args:
        vectors: (words + 1, dim), the last one for unknown words; they stay as they are, so that they are what is
            measured.
        tags: how many.
        reach: neighbours to either side.
        hidden: units.
    """

    def __init__(self, vectors: Tensor, tags: int, reach: int = 2, hidden: int = 100):
        super().__init__()
        self.register_buffer("table", vectors)
        self.inner = nn.Linear((2 * reach + 1) * vectors.shape[1], hidden)
        self.outer = nn.Linear(hidden, tags)

    def forward(self, ids: Tensor) -> Tensor:
        """(batch, 2 reach + 1) int64 to logits (batch, tags)."""
        return self.outer(torch.tanh(self.inner(self.table[ids].flatten(1))))


def tagging(
    lookup: Lookup,
    train: tuple[Rows, Rows],
    test: tuple[Rows, Rows],
    seed: int = 0,
    epochs: int = 5,
    reach: int = 2,
    hidden: int = 100,
) -> float:
    """Accuracy in percent of a window tagger on words of `test`; all of them count, also unknown ones.

    Args:
        train, test: sentences of words, and of their tags.
    """
    check_whole(1, epochs=epochs, hidden=hidden)
    check_whole(0, reach=reach)
    lookup.known(train[0])
    kinds = {tag: i for i, tag in enumerate(sorted({tag for row in train[1] for tag in row}))}
    inputs, truth = windows(lookup, train[0], reach), torch.tensor([kinds[tag] for row in train[1] for tag in row])
    torch.manual_seed(seed)
    model = WindowTagger(lookup.table, len(kinds), reach, hidden)
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    for _ in range(epochs):
        for index in torch.randperm(len(truth)).split(128):
            loss = F.cross_entropy(model(inputs[index]), truth[index])
            optimizer.zero_grad(), loss.backward(), optimizer.step()
    with torch.no_grad():
        found = model(windows(lookup, test[0], reach)).argmax(-1)
    right = found == torch.tensor([kinds.get(tag, -1) for row in test[1] for tag in row])
    return 100 * right.float().mean().item()


def sentiment(
    lookup: Lookup, train: tuple[Rows, list[int]], test: tuple[Rows, list[int]], decay: float = 1e-3
) -> float:
    """Accuracy in percent of a logistic regression on the mean of a sentence's vectors.

    Args:
        train, test: sentences of words, and whether each is positive (1) or not (0).
        decay: of the weights, lambda / 2 |w|^2 beside the mean loss.
    """
    check_least(0, decay=decay)
    lookup.known(train[0])

    def means(rows: Rows) -> Tensor:
        picked = [lookup.table[[i for i in lookup.ids(row) if i >= 0] or [-1]].mean(0) for row in rows]
        return torch.stack(picked)

    x, y = means(train[0]), torch.tensor(train[1], dtype=torch.float32)
    middle, spread = x.mean(0), x.std(0).clamp(min=1e-6)
    x = (x - middle) / spread
    layer = nn.Linear(x.shape[1], 1)
    nn.init.zeros_(layer.weight), nn.init.zeros_(layer.bias)
    optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(layer(x)[:, 0], y) + decay / 2 * layer.weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    with torch.no_grad():
        found = layer((means(test[0]) - middle) / spread)[:, 0] > 0
    return 100 * (found == torch.tensor(test[1], dtype=torch.bool)).float().mean().item()


def similarity(lookup: Lookup, pairs: list[tuple[str, str, float]]) -> tuple[float, int]:
    """Spearman's correlation of cosines with what people said of pairs of words, and how many pairs have vectors."""
    kept = [(ids, said) for a, b, said in pairs if min(ids := lookup.ids([a, b])) >= 0]
    if len(kept) < 2:
        raise ZooError(f"{len(kept)} of {len(pairs)} pairs have vectors; two at least are wanted")
    index = torch.tensor([ids for ids, _ in kept])
    cosine = F.cosine_similarity(lookup.table[index[:, 0]], lookup.table[index[:, 1]]).double()
    a, b = ranks(cosine), ranks(torch.tensor([said for _, said in kept], dtype=torch.float64))
    return torch.corrcoef(torch.stack([a, b]))[0, 1].item(), len(kept)


def ranks(values: Tensor) -> Tensor:
    """The ranks of numbers, equal ones sharing their mean."""
    _, which, count = values.unique(return_inverse=True, return_counts=True)
    return (count.cumsum(0) - (count - 1) / 2).to(values.dtype)[which]
