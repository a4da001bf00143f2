"""Which checkpoint is the best one, where the score that should say so does not."""

import warnings
from typing import Any

import pytorch_lightning as pl
from torch import Tensor

from zoo.training import checkpoints

PATIENCE = 3  # validations with one and the same score, after which it is told


class Best(checkpoints.Best):
    """Keeps the checkpoint with the best score, and of two with the same score the one with the lower perplexity.

    So a score that stays where it is (BLEU of 0, since nothing written is like a reference yet, or since its tokeniser
    finds no words in the language) does not make the first checkpoint the best. A warning tells of such a score, after
    three validations and at the end.

    Args:
        tie: the metric that decides then, where the model has it; low is good.
        others: of Lightning's ModelCheckpoint, with one checkpoint kept.
    """

    def __init__(self, tie: str = "val/perplexity", **others: Any):
        super().__init__(**others)
        self.tie = tie
        self.tied: float | None = None  # the other metric of the checkpoint that is kept
        self.scores: list[float] = []  # lowest and highest
        self.validations = 0

    def check_monitor_top_k(self, trainer: pl.Trainer, current: Tensor | None = None) -> bool:
        if current is None:
            return False
        self._count(trainer, float(current))
        other = trainer.callback_metrics.get(self.tie)
        same = self.best_model_score is not None and bool(current == self.best_model_score)
        if same and other is not None and self.tied is not None:
            better = trainer.strategy.reduce_boolean_decision(float(other) < self.tied)
        else:
            better = super().check_monitor_top_k(trainer, current)
        if better:
            self.tied = None if other is None else float(other)
        return better

    def _count(self, trainer: pl.Trainer, score: float) -> None:
        lowest, highest = self.scores or (score, score)
        self.scores = [min(score, lowest), max(score, highest)]
        self.validations += 1
        if self.validations == PATIENCE:
            self._tell(trainer)

    def _tell(self, trainer: pl.Trainer) -> None:
        """Warns of a score that has never moved."""
        if self.validations < 2 or self.scores[0] != self.scores[1] or not trainer.is_global_zero:
            return
        instead = f"{self.tie} chooses the checkpoint" if self.tied is not None else "the first checkpoint is kept"
        letters = "; if its language has no spaces between words, data.bleu=char scores letters"
        advice = letters if "bleu" in self.monitor else ""
        warnings.warn(
            f"{self.monitor} was {self.scores[0]:.2f} in each of {self.validations} validations, so {instead}{advice}",
            stacklevel=2,
        )

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.validations != PATIENCE:  # else it was told a moment ago
            self._tell(trainer)

    def state_dict(self) -> dict[str, Any]:
        own = {"tied": self.tied, "scores": self.scores, "validations": self.validations}
        return {**super().state_dict(), **own}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self.tied = state_dict.get("tied")
        self.scores, self.validations = state_dict.get("scores", []), state_dict.get("validations", 0)
