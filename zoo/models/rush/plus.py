"""ABS+: the weights of five features, tuned by ROUGE on titles that were found for a set of their own (section 5)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from zoo.errors import ZooError, check_whole
from zoo.models.rush.decoding import Search, write
from zoo.models.rush.module import LitABS
from zoo.models.rush.rouge import cut, rouge
from zoo.models.rush.titles import Batch
from zoo.models.rush.tuning import Lists, tune
from zoo.text.trained import weights_of


class LitPlus(LitABS):
    """Tunes :attr:`zoo.models.rush.network.ABS.alpha`; nothing else of the network changes.

    An epoch is a round: titles are found for all inputs of the training loader with the weights that there are, join
    the lists of the rounds before, and line search finds new weights. The first round starts with plain ABS; the run
    ends when a round changes nothing. The training loader should give pairs that the network has not learned from
    (data.learn=val); the paper took DUC-2003.

    Args:
        start: whose network is tuned: a released row, a folder, or a checkpoint; None: a fresh one.
        listed: titles of each list.
        starts: random weights that line search starts from besides those of the round before.
        others: of :class:`LitABS`.
    """

    monitor, mode = "val/rouge1", "max"

    def __init__(self, start: str | None = None, listed: int = 100, starts: int = 8, **others: Any):
        check_whole(2, listed=listed)
        check_whole(0, starts=starts)
        super().__init__(longest=None, halve=False, **others)
        if self.search is None:
            raise ZooError("length is null; ABS+ is tuned on titles, which have a length")
        self.save_hyperparameters()
        self.start, self.listed, self.starts = start, listed, starts
        self.lists, self.new = Lists(), 0

    def setup(self, stage: str) -> None:
        if stage == "fit" and self.start is not None:
            self.network.load_state_dict(weights_of(self.start, self.network))

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Adds titles to the lists; there is nothing to learn by gradient, and the loss is 0."""
        if self.trainer.world_size > 1:
            raise ZooError("ABS+ is tuned by one process: trainer.devices=1")
        wide = Search(self.search.length, self.listed, self.search.extractive, self.search.copy_unknown)
        self.network.eval()  # without dropout
        found = write(self.network, batch["source"], batch["copy"], wide)
        data, index = self.trainer.datamodule, batch["index"].tolist()
        references = data.titles(data.learn, index)
        for row, (item, many) in enumerate(zip(index, references, strict=True)):
            kept = found.score[row].isfinite()
            words, features = found.words[row, kept], found.features[row, kept]
            lines = self.spell(words, data.articles(data.learn, [item])[0])
            scores = [self.rouge1(line, many) for line in lines]
            self.new += self.lists.add(item, list(map(tuple, words.tolist())), features.cpu().numpy(), scores)
        return {"loss": 0 * self.network.VW.bias.sum()}

    def rouge1(self, title: str, references: Sequence[str]) -> float:
        """What is tuned for: F1, or recall where so many bytes count."""
        if self.bytes is None:
            return rouge(title, references)[0]
        return rouge(cut(title, self.bytes), references, "recall")[0]

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self.trainer.is_last_batch:  # before the validation, which measures what was found
            self.end_round()

    def end_round(self) -> None:
        """Line search over all lists; ends the run where no title was new or the weights stay as they are."""
        before = self.network.alpha.cpu().numpy().astype(float)
        after = tune(before, *self.lists.arrays(), starts=self.starts, seed=self.trainer.current_epoch)
        self.network.alpha.copy_(torch.from_numpy(after))
        self.trainer.should_stop = not self.new or bool(np.allclose(before, after))
        self.new = 0
        print(f"weights {', '.join(f'{weight:.3f}' for weight in self.network.alpha.tolist())}", flush=True)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint["lists"], checkpoint["new"] = self.lists.found, self.new

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        self.lists.found, self.new = checkpoint["lists"], checkpoint["new"]

    def evaluate(self, batch: Batch, stage: str) -> dict[str, Metric]:
        return self.likelihood(batch, stage) | self.score(self.lines(batch, stage), batch, stage)
