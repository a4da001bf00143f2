"""Training ABS by the likelihood of every title word (section 3.3)."""

import math
from typing import Any

from torch import Tensor

from zoo.errors import check_flag, check_number
from zoo.looking.attention import Attention
from zoo.models.rush.decoding import Search, write
from zoo.models.rush.network import ABS
from zoo.models.rush.titles import Batch, LitLikelihood
from zoo.text.search import UNK


class LitABS(LitLikelihood):
    """Trains :class:`zoo.models.rush.network.ABS`; perplexity in validation, and ROUGE of beam search in the test.

    Args:
        halve: whether the learning rate is halved after each epoch whose perplexity in validation is not the lowest yet
            (section 7.3).
        longest: L2 norm to which the rows of all tables are shortened after each epoch (section 7.3); None: never.
        length: N, words of every title that is written; None: none is written.
        beam, extractive, copy_unknown: see :class:`zoo.models.rush.decoding.Search`.
        bytes: see :meth:`zoo.models.rush.titles.LitTitles.score_by`.
        optimizer, schedule: see :class:`zoo.training.module.ZooModule`.
        network: the arguments of the network.
    """

    def __init__(
        self,
        halve: bool = False,
        longest: float | None = 1.0,
        length: int | None = 8,
        beam: int = 10,
        extractive: bool = False,
        copy_unknown: bool = False,
        bytes: int | None = None,
        optimizer: dict | None = None,
        schedule: dict | None = None,
        **network: Any,
    ):
        check_flag(halve=halve)
        if longest is not None:
            check_number(0, longest=longest)
        search = Search(length or 1, beam, extractive, copy_unknown)
        super().__init__(ABS(**network), optimizer, schedule)
        self.save_hyperparameters()
        self.measure(bytes, writes=length is not None)
        self.halve, self.longest, self.search = halve, longest, search if length is not None else None
        self.lowest = math.inf  # perplexity in validation so far

    def on_fit_start(self) -> None:
        if self.longest is not None and not self.trainer.global_step:
            self.network.renormalise(self.longest)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self.longest is not None and self.trainer.is_last_batch:  # what is validated is what is saved
            self.network.renormalise(self.longest)

    def on_validation_epoch_end(self) -> None:
        if self.trainer.sanity_checking or self.trainer.state.fn != "fit":
            return
        found = float(self.perplexity["val_perplexity"].compute())
        if self.halve and found >= self.lowest:
            schedule = self.lr_schedulers()
            schedule.base_lrs = [rate / 2 for rate in schedule.base_lrs]
        self.lowest = min(found, self.lowest)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["lowest"] = self.lowest

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.lowest = checkpoint.get("lowest", math.inf)

    def lines(self, batch: Batch, stage: str) -> list[str]:
        """The best title of each input, a line of words."""
        best = write(self.network, batch["source"], batch["copy"], self.search).words[:, 0]
        articles = self.trainer.datamodule.articles(stage, batch["index"].tolist())
        return [self.spell(words[None], article)[0] for words, article in zip(best, articles, strict=True)]

    def spell(self, titles: Tensor, article: list[str]) -> list[str]:
        """Titles of one input (n, N) as lines; numbers beyond the vocabulary are words of the input."""
        known = self.network.VW.out_features
        spelt = self.trainer.datamodule.pieces(titles.masked_fill(titles >= known, UNK), "target")
        return [
            " ".join(article[i - known] if i >= known else word for i, word in zip(row, words, strict=True))
            for row, words in zip(titles.tolist(), spelt, strict=True)
        ]

    def record(self, batch: Batch) -> Attention:
        """Of the attention alone; see :meth:`zoo.models.rush.titles.LitLikelihood.record`."""
        if self.network.encoder != "attention":
            raise NotImplementedError(f"the encoder {self.network.encoder} looks at no word more than at another")
        return super().record(batch)
