"""A recurrent network with attention writes the titles: a strong comparison, not in the paper."""

from typing import Any

import torch
from torch import Tensor

from zoo import registry
from zoo.errors import OFTEN, check_whole
from zoo.looking.attention import Attention
from zoo.models.rush.titles import Batch, LitLikelihood
from zoo.text.decoding import beam_search
from zoo.text.search import BOS, EOS, PAD, UNK


class LitRecurrent(LitLikelihood):
    """Trains the network of the room luong, StackedLSTM, on titles, and scores it as ABS is scored.

    Sources are not reversed, and attention is soft.

    Args:
        length: N, words of every title that is written; as in ABS no unknown word is among them, and the end symbol's
            log-probability counts after them.
        beam: K.
        bytes: see :meth:`zoo.models.rush.titles.LitTitles.score_by`.
        optimizer, schedule: see :class:`zoo.training.module.ZooModule`.
        network: the arguments of the network.
    """

    def __init__(
        self,
        length: int = 8,
        beam: int = 10,
        bytes: int | None = None,
        optimizer: dict | None = None,
        schedule: dict | None = None,
        **network: Any,
    ):
        check_whole(1, OFTEN, length=length, beam=beam)
        writer = registry.room("luong").NETWORK(**network, reverse=False, hard=False)
        super().__init__(writer, optimizer, schedule)
        self.save_hyperparameters()
        self.measure(bytes)
        self.length, self.beam = length, beam

    def lines(self, batch: Batch, stage: str) -> list[str]:
        source, steps = batch["source"], self.length + 1
        memory = self.network.encode(source, source != PAD)
        start = self.network.start(memory, self.beam)
        found = beam_search(self.step, start, memory, steps, steps, banned=(PAD, BOS, UNK))
        name = self.trainer.datamodule.tokenizers["target"].id_to_token
        return [" ".join(map(name, titles[0].tokens)) for titles in found]

    def step(self, token: Tensor, state: Any, memory: Any) -> tuple[Tensor, Any, Tensor]:
        """The network's; after N words there is nothing but the end."""
        log_p, following, weights = self.network.step(token, state, memory)
        others = torch.arange(log_p.shape[-1], device=log_p.device) != EOS
        over = (state.step == self.length)[:, :, None]
        return log_p.masked_fill(over & others, -torch.inf), following, weights

    def record(self, batch: Batch) -> Attention:
        """See :meth:`zoo.models.rush.titles.LitLikelihood.record`."""
        if self.network.attend is None:
            raise NotImplementedError("without attention no word is looked at more than another")
        return super().record(batch)
