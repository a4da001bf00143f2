"""Texts in; classes, the attention of each word, and what else says which words counted out."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from zoo.looking.attention import Attention
from zoo.looking.explain import gradient_times_input, leave_one_out
from zoo.looking.saliency import Instance
from zoo.models.explained.readings import Readings
from zoo.text.classification import Classified, Classifier
from zoo.text.search import PAD, real


@dataclass(frozen=True)
class Explained(Classified):
    """The class of one text, and which words counted by three accounts.

    Args:
        gradient: |x_t . dy / dx_t| of each word, y the probability of the answer and the attention held constant.
        leave_one_out: total variation between the answer and the answer without each word.
    """

    gradient: list[float]
    leave_one_out: list[float]

    @property
    def accounts(self) -> dict[str, Attention]:
        """The other two, to stand on the page beside the attention."""
        return {name.replace("_", " "): self.account(name) for name in ("gradient", "leave_one_out")}

    def account(self, name: str) -> Attention:
        """A record of "gradient" or "leave_one_out" in the place of the attention, scaled to sum to one."""
        values = torch.tensor(getattr(self, name)).abs()
        share = values / values.sum() if values.sum() > 0 else torch.ones(len(values)) / len(values)
        return Attention(weights=share[None, None, None], inputs=self.attention.inputs, outputs=self.attention.outputs)


class Explain(Classifier):
    """A text to its class; see :class:`zoo.text.classification.Classifier`."""

    def answer(self, batch: list[Any]) -> list[Explained]:
        """One class for each text, and which words counted."""
        rows, told = self._rows(batch)
        return self._together(rows, told, self._classify)

    def _classify(self, rows: list[list[int]], told: list[dict[str, Any]]) -> list[Explained]:
        text, _ = self._pad(rows)
        readings = Readings(self.network, text)
        importance = gradient_times_input(readings.score, readings.x).abs()
        missing = leave_one_out(readings.read, readings.mask)
        found = []
        for i, (row, more) in enumerate(zip(rows, told, strict=True)):
            values = readings.probabilities[i].tolist()
            label, size = self.classes[values.index(max(values))], len(row)
            weights = readings.alpha[i, :size].clone()[None, None, None]
            found.append(
                Explained(
                    attention=Attention(weights=weights, inputs=[self.text.pieces(row)], outputs=[[label]]),
                    label=label,
                    probabilities=dict(zip(self.classes, values, strict=True)),
                    gradient=importance[i, :size].tolist(),
                    leave_one_out=missing[i, :size].tolist(),
                    **more,
                )
            )
        return found

    def instance(self, batch: dict[str, Tensor]) -> Instance:
        """A text and its class; see :class:`zoo.pipelines.Pipeline`."""

        def ask(text: Tensor) -> tuple[Tensor, Tensor]:
            logits, alpha, _ = self.network.look(self.network.words(text), text != PAD)
            return logits[:, None], alpha[:, None]

        text = batch["text"][0]
        return Instance(text, real(text), ask, self.network.words)
