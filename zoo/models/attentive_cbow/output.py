"""What a prediction costs: negative sampling and hierarchical softmax (Mikolov et al. 2013), both in nats.

A network has the output vectors O, `tables` times |V| of them, and a method `predict`; see
:class:`zoo.models.attentive_cbow.network.AttentiveCBOW`. With several tables the m-th prediction of a word reads the
m-th of them.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.nn.kernels import at_least_float32


def offsets(network: nn.Module) -> Tensor:
    """(tables,) int64: where in O the rows of each table start."""
    size = network.O.num_embeddings // network.tables
    return torch.arange(network.tables, device=network.O.weight.device) * size


def negative_sampling(network: nn.Module, batch: dict[str, Tensor], negatives: float) -> tuple[Tensor, Tensor]:
    """-log sigma(O_v h) - n E_u[log sigma(-O_u h)], the mean being over the noise u of the batch that is not v.

    Args:
        batch: with ``text``, ``here`` and ``noise``; see :class:`datamodules.windows.WordWindows`.
        negatives: n.

    Returns:
        nats (batch, L, m), and which of them count.
    """
    hidden, places, valid = network.predict(batch["text"], batch["here"])  # (batch, L, 1, D)
    words, noise = batch["text"][:, places], batch["noise"]
    hit = (hidden * network.O(words + offsets(network))).sum(-1)  # (batch, L, m)
    if noise.ndim == 2:  # shared by the stretch: one product of matrices for all of its words
        rows = network.O(noise[:, None] + offsets(network)[:, None])  # (batch, tables, P, D)
        missed = (hidden.transpose(1, 2) @ rows.mT).transpose(1, 2)  # (batch, L, tables, P)
        noise = noise[:, None, None]
    else:
        rows = network.O(noise[:, :, None] + offsets(network)[:, None])  # (batch, L, tables, P, D)
        missed = (rows @ hidden[..., None]).squeeze(-1)
        noise = noise[:, :, None]
    missed = at_least_float32(missed).masked_fill(noise == words[..., None], -torch.inf)  # (batch, L, m, P)
    noise_nats = F.softplus(missed).sum(-1) * (negatives / noise.shape[-1])
    return F.softplus(-at_least_float32(hit)) + noise_nats, valid


def hierarchical_softmax(network: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """-log p(v) = -sum over the inner nodes of v's path of log sigma(sign O_node h).

    Args:
        batch: with ``text``, ``here``, ``nodes`` and ``signs``.

    Returns:
        nats (batch, L, m), and which of them count.
    """
    hidden, places, valid = network.predict(batch["text"], batch["here"])
    nodes, signs = batch["nodes"][:, places], batch["signs"][:, places]  # (batch, L, m, depth)
    rows = network.O(nodes + offsets(network)[:, None])  # (batch, L, m, depth, D)
    scores = at_least_float32((rows @ hidden[..., None]).squeeze(-1))
    return (F.softplus(-signs * scores) * signs.abs()).sum(-1), valid
