"""Training ABS by the likelihood of every title word (section 3.3), and tuning ABS+ by ROUGE (section 5)."""

import json
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from zoo.errors import check_flag, check_number, check_whole
from zoo.looking.attention import Attention
from zoo.models.rush.decoding import Search, write
from zoo.models.rush.network import ABS
from zoo.models.rush.rouge import KINDS, MeanScore, cut, rouge
from zoo.nn.kernels import cross_entropy
from zoo.text.search import PAD, UNK
from zoo.training.metrics import Perplexity
from zoo.training.module import ZooModule

STAGES = ("val", "test")
Batch = dict[str, Tensor]


class LitTitles(ZooModule):
    """What writes titles and is scored by ROUGE; a subclass calls :meth:`score_by` when it is made."""

    def score_by(self, bytes: int | None) -> None:
        """Makes the metrics.

        Args:
            bytes: how many of a title are scored, by recall, as DUC does; None: all, by F1.
        """
        if bytes is not None:
            check_whole(1, bytes=bytes)
        self.bytes = bytes
        self.rouge = nn.ModuleDict({f"{stage}_{kind}": MeanScore() for stage in STAGES for kind in KINDS})
        self.written: list[dict[str, Any]] = []

    def score(self, titles: list[str], batch: Batch, stage: str) -> dict[str, Metric]:
        """Updates ROUGE with the titles of a batch, lines of words."""
        references = self.trainer.datamodule.titles(stage, batch["index"].tolist())
        measure = "fmeasure" if self.bytes is None else "recall"
        scored = [title if self.bytes is None else cut(title, self.bytes) for title in titles]
        found = [rouge(title, many, measure) for title, many in zip(scored, references, strict=True)]
        metrics = {kind: self.rouge[f"{stage}_{kind}"] for kind in KINDS}
        for metric, values in zip(metrics.values(), torch.tensor(found).T, strict=True):
            metric.update(values.to(self.device))
        if stage == "test":
            rows = zip(batch["index"].tolist(), titles, references, strict=True)
            self.written += [{"index": i, "title": title, "references": list(many)} for i, title, many in rows]
        return metrics

    def on_test_epoch_start(self) -> None:
        self.written = []

    def on_test_epoch_end(self) -> None:
        """Leaves titles.jsonl in the run's folder, of each process its own."""
        if not self.written:
            return
        rank, folder = self.trainer.global_rank, Path(self.trainer.default_root_dir)
        folder.mkdir(parents=True, exist_ok=True)
        rows = sorted(self.written, key=lambda row: row["index"])
        name = "titles.jsonl" if self.trainer.world_size == 1 else f"titles.{rank}.jsonl"
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))


class LitABS(LitTitles):
    """Trains :class:`zoo.models.rush.network.ABS`; perplexity in validation, and ROUGE of beam search in the test.

    Perplexity is over title words and the end symbol; `known` is that of the words that are not unknown.

    Args:
        halve: whether the learning rate is halved after each epoch whose perplexity in validation is not the lowest yet
            (section 7.3).
        longest: L2 norm to which the rows of all tables are shortened after each epoch (section 7.3); None: never.
        length: N, words of every title that is written; None: none is written.
        beam, extractive, copy_unknown: see :class:`zoo.models.rush.decoding.Search`.
        bytes: see :meth:`LitTitles.score_by`.
        optimizer, schedule: see :class:`zoo.training.module.ZooModule`.
        network: the arguments of the network.
    """

    monitor, mode = "val/perplexity", "min"

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
        self.score_by(bytes)
        self.halve, self.longest, self.search = halve, longest, search if length is not None else None
        self.lowest = math.inf  # perplexity in validation so far
        names = ("perplexity", "known")
        self.perplexity = nn.ModuleDict({f"{stage}_{name}": Perplexity() for stage in STAGES for name in names})

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        logits, _ = self.network(batch["source"], batch["source"] != PAD, batch["target"][:, :-1])
        total = cross_entropy(logits.flatten(0, 1), batch["target"][:, 1:].flatten(), PAD)
        return {"loss": total / self.weight(batch)}

    def weight(self, batch: Batch) -> Tensor:
        return batch["tokens"]

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

    def likelihood(self, batch: Batch, stage: str) -> dict[str, Metric]:
        """Updates both perplexities."""
        logits, _ = self.network(batch["source"], batch["source"] != PAD, batch["target"][:, :-1])
        labels = batch["target"][:, 1:]
        metrics = {name: self.perplexity[f"{stage}_{name}"] for name in ("perplexity", "known")}
        metrics["perplexity"].update(logits, labels, PAD)
        metrics["known"].update(logits, labels.masked_fill(labels == UNK, PAD), PAD)
        return metrics

    def evaluate(self, batch: Batch, stage: str) -> dict[str, Metric]:
        metrics = self.likelihood(batch, stage)
        if self.search is None or stage == "val":
            return metrics
        return metrics | self.score(self.lines(batch, stage), batch, stage)

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
        """Over the input, at each word of the title and its end; of the attention alone."""
        weights = self.network(batch["source"], batch["source"] != PAD, batch["target"][:, :-1])[1]
        if weights is None:
            raise NotImplementedError(f"the encoder {self.network.encoder} looks at no word more than at another")
        data = self.trainer.datamodule
        return Attention(
            weights=weights[:, None],
            inputs=data.pieces(batch["source"], "source"),
            outputs=data.pieces(batch["target"][:, 1:], "target"),
        )
