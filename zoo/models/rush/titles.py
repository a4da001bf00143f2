"""What all that writes titles shares: ROUGE, and the likelihood of every title word (section 3.3)."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from zoo.errors import check_whole
from zoo.looking.attention import Attention
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


class LitLikelihood(LitTitles):
    """What learns the likelihood of title words; perplexity, and in the test ROUGE of what it writes.

    Perplexity is over title words and the end symbol; `known` is that of the words that are not unknown. A subclass
    calls :meth:`measure` when it is made, and has :meth:`lines`. Its network gives the logits and the weights of a
    batch as :meth:`zoo.models.rush.network.ABS.forward` does.
    """

    monitor, mode = "val/perplexity", "min"

    def measure(self, bytes: int | None, writes: bool = True) -> None:
        """Makes the metrics.

        Args:
            bytes: see :meth:`LitTitles.score_by`.
            writes: whether titles are written in the test.
        """
        self.score_by(bytes)
        self.writes = writes
        names = ("perplexity", "known")
        self.perplexity = nn.ModuleDict({f"{stage}_{name}": Perplexity() for stage in STAGES for name in names})

    def lines(self, batch: Batch, stage: str) -> list[str]:
        """The best title of each input, a line of words."""
        raise NotImplementedError

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        logits, _ = self.network(batch["source"], batch["source"] != PAD, batch["target"][:, :-1])
        total = cross_entropy(logits.flatten(0, 1), batch["target"][:, 1:].flatten(), PAD)
        return {"loss": total / self.weight(batch)}

    def weight(self, batch: Batch) -> Tensor:
        return batch["tokens"]

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
        if not self.writes or stage == "val":
            return metrics
        return metrics | self.score(self.lines(batch, stage), batch, stage)

    def record(self, batch: Batch) -> Attention:
        """Over the input, at each word of the title and its end."""
        weights = self.network(batch["source"], batch["source"] != PAD, batch["target"][:, :-1])[1]
        data = self.trainer.datamodule
        return Attention(
            weights=weights[:, None],
            inputs=data.pieces(batch["source"], "source"),
            outputs=data.pieces(batch["target"][:, 1:], "target"),
        )
