"""Training by the log-probability of the answer, and how the answers are measured."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import check_choice
from zoo.looking.attention import Attention
from zoo.models.reader.measures import Percent, PrecisionAtRecall
from zoo.models.reader.network import PAD, Reader
from zoo.models.reader.symbolic import Rules
from zoo.nn.kernels import at_least_float32
from zoo.training.module import ZooModule

Batch = dict[str, Tensor]
METHODS = {"reader": Reader, "rule": Rules}


class LitReader(ZooModule):
    """Trains a reader; measures the answers to questions of at least two candidates.

    * accuracy: the likeliest candidate of the document is right, %; accuracy_4 of those with at least four candidates;
    * open: the likeliest id of the whole vocabulary is right, %, as the paper has it;
    * precision: of the surest half of the answers, %, confidence being the share of the answer among the candidates;
    * mass: attention on the words that the answer follows from, where these are known and the answer is right, %.

    Args:
        method: "reader", or "rule" for what learns nothing.
        softmax: of the loss, over the "vocabulary", as in the paper, or over the "candidates".
        optimizer, schedule: see :class:`zoo.training.module.ZooModule`.
        network: the arguments of the network.
    """

    monitor, mode = "val/accuracy", "max"

    def __init__(
        self,
        method: str = "reader",
        softmax: str = "vocabulary",
        optimizer: dict | None = None,
        schedule: dict | None = None,
        **network: Any,
    ):
        check_choice(METHODS, method=method)
        check_choice(("vocabulary", "candidates"), softmax=softmax)
        super().__init__(METHODS[method](**network), optimizer, schedule)
        self.save_hyperparameters()
        self.softmax = softmax
        self.measures = nn.ModuleDict()
        for stage in ("val", "test"):
            for name in ("accuracy", "accuracy_4", "open", "mass"):
                self.measures[f"{stage}_{name}"] = Percent()
            self.measures[f"{stage}_precision"] = PrecisionAtRecall(50)

    def scores(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Of the candidates, (batch, C) with -inf where there is none, and logits of all ids, (batch, vocabulary)."""
        candidates, logits = batch["candidates"], None
        if isinstance(self.network, Rules):
            found = self.network(batch["document"], batch["question"], candidates)
        else:
            logits = at_least_float32(self.network(batch["document"], batch["question"]))
            found = logits.gather(1, candidates)
        return found.masked_fill(candidates == PAD, -torch.inf), logits

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        if isinstance(self.network, Rules):
            return {"loss": 0 * self.network.nothing}
        among, logits = self.scores(batch)
        if self.softmax == "vocabulary":
            nats = F.cross_entropy(logits, batch["answer"], reduction="sum")
        else:
            right = (batch["candidates"] == batch["answer"][:, None]).int().argmax(1)
            nats = F.cross_entropy(among, right, reduction="sum")
        return {"loss": nats / self.weight(batch)}

    def weight(self, batch: Batch) -> Tensor:
        return batch["sentences"]

    def evaluate(self, batch: Batch, stage: str) -> dict[str, Percent | PrecisionAtRecall]:
        among, logits = self.scores(batch)
        answer, count = batch["answer"], (batch["candidates"] != PAD).sum(1)
        confidence, best = among.softmax(1).max(1)
        right = batch["candidates"].gather(1, best[:, None])[:, 0] == answer
        names = ["accuracy", "accuracy_4", "precision"]
        found = {name: self.measures[f"{stage}_{name}"] for name in names}
        found["accuracy"].update(right, count >= 2)
        found["accuracy_4"].update(right, count >= 4)
        found["precision"].update(confidence, right, count >= 2)
        if logits is not None:
            found["open"] = self.measures[f"{stage}_open"]
            found["open"].update(logits.argmax(1) == answer, count >= 2)
        if "support" in batch and (mass := self._mass(batch)) is not None:
            found["mass"] = self.measures[f"{stage}_mass"]
            found["mass"].update(mass, right & (count >= 2))
        return found

    def _look(self, batch: Batch) -> Tensor | None:
        """The attention of the last look, (batch, 1 or L, T); None of what has no attention."""
        return None if isinstance(self.network, Rules) else self.network.look(batch["document"], batch["question"])

    def _mass(self, batch: Batch) -> Tensor | None:
        """The share of the last look at the document that lies on what the answer follows from, (batch,)."""
        looks = self._look(batch)
        if looks is None:
            return None
        last = ((batch["question"] != PAD).sum(1) - 1).clamp(max=looks.shape[1] - 1)
        final = looks[torch.arange(len(looks), device=looks.device), last]  # (batch, T)
        return (final * batch["support"]).sum(1).clamp(0, 1)

    def record(self, batch: Batch) -> Attention:
        """Where each document was read: once, or at each word of the question."""
        looks = self._look(batch)
        if looks is None:
            raise NotImplementedError("rules and the Deep LSTM Reader have no attention")
        pieces = self.trainer.datamodule.pieces
        document, question = pieces(batch["document"]), pieces(batch["question"])
        answers = pieces(batch["answer"][:, None])
        return Attention(weights=looks[:, None], inputs=document, outputs=question if looks.shape[1] > 1 else answers)

    def titles(self, batch: Batch) -> list[str]:
        """The questions, with their answers."""
        pieces, answers = self.trainer.datamodule.pieces, self.trainer.datamodule.pieces(batch["answer"][:, None])
        return [f"{' '.join(q)}: {a[0]}" for q, a in zip(pieces(batch["question"]), answers, strict=True)]
