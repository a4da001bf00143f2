"""A recurrent network with attention writes the titles: a strong comparison, not in the paper."""

from typing import Any

from zoo.errors import OFTEN, check_whole
from zoo.models.luong.network import StackedLSTM
from zoo.models.rush.titles import Batch, LitLikelihood
from zoo.text.decoding import beam_search
from zoo.text.search import BOS, EOS, PAD, UNK


class LitRecurrent(LitLikelihood):
    """Trains :class:`zoo.models.luong.StackedLSTM` on titles, and scores it as ABS is scored.

    Args:
        length: N, words of every title that is written; as in ABS no unknown word is among them.
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
        super().__init__(StackedLSTM(**network), optimizer, schedule)
        self.save_hyperparameters()
        self.measure(bytes)
        self.length, self.beam = length, beam

    def lines(self, batch: Batch, stage: str) -> list[str]:
        source, network = batch["source"], self.network
        memory = network.encode(source, source != PAD)
        start = network.start(memory, self.beam)
        found = beam_search(network.step, start, memory, self.length, banned=(PAD, BOS, EOS, UNK))
        name = self.trainer.datamodule.tokenizers["target"].id_to_token
        return [" ".join(map(name, titles[0].tokens)) for titles in found]
