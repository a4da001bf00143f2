"""Texts in; classes, or continuations, and where the network looked out."""

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from zoo.errors import OFTEN, check_number, check_whole
from zoo.looking.attention import Attention
from zoo.looking.saliency import Instance
from zoo.models.former.letters import letters
from zoo.pipelines import InputError, Pipeline, Result, check_text
from zoo.text.classification import Classified, Classifier, Texts
from zoo.text.codec import visible
from zoo.text.decoding import Hypothesis, sample
from zoo.text.search import real


@dataclass(frozen=True)
class Written(Result):
    """How one text goes on; the attention is that of the last bytes that were read, none of them to a later one.

    Args:
        text: what was written after the prompt.
        bits: per byte that was written, at temperature 1.
        others: further continuations, each drawn on its own.
    """

    text: str
    bits: float
    others: list[str]


class Reading(Pipeline):
    """What both pipelines of this room share: the heads of the blocks."""

    @classmethod
    def of(cls, network: dict[str, Any]) -> type[Pipeline]:
        """A network with classes classifies, one without writes."""
        return Write if network.get("num_classes") is None else Classify

    def _check_block(self, block: int | None) -> None:
        depth = len(self.network.blocks)
        if block is not None and (not isinstance(block, int) or isinstance(block, bool) or not -depth <= block < depth):
            raise InputError(f"block is {block!r}; the network has the blocks 0 to {depth - 1}, and null is all")

    def _layers(self, block: int | None) -> int:
        """Of how many blocks :meth:`_look` gives the heads."""
        return len(self.network.blocks) if block is None else 1

    def _look(self, block: int | None, symbols: Tensor, mask: Tensor | None = None) -> Tensor:
        """The weights of a block, or of all blocks, one after the other: (batch, heads, length, length)."""
        return torch.cat(self.network.look(symbols, mask, block), 1)


class Classify(Reading, Classifier):
    """A text to its class; see :class:`zoo.text.classification.Classifier`."""

    def answer(self, batch: list[Any], block: int | None = -1) -> list[Classified]:
        """One class for each text.

        Args:
            batch: strings.
            block: whose attention is recorded, from 0; -1 is the last, None all, the heads of the first block first.
        """
        self._check_block(block)
        rows, told = self._rows(batch)
        return self._together(rows, told, partial(self._classify, block=block))

    def _classify(self, rows: list[list[int]], told: list[dict[str, Any]], block: int | None) -> list[Classified]:
        text, length = self._pad(rows)
        mask = torch.arange(text.shape[1], device=self.device) < length[:, None]
        probabilities = self.network(text, mask).softmax(-1).tolist()
        found = []
        looks = self._look(block, text, mask)
        for row, more, weights, values in zip(rows, told, looks, probabilities, strict=True):
            pieces, size = [self.text.pieces(row)], len(row)
            weights = weights[None, :, :size, :size].clone()  # without the padding, which a view would keep
            found.append(
                Classified(
                    attention=Attention(weights=weights, inputs=pieces, outputs=pieces, layers=self._layers(block)),
                    label=self.classes[values.index(max(values))],
                    probabilities=dict(zip(self.classes, values, strict=True)),
                    **more,
                )
            )
        return found

    def instance(self, batch: dict[str, Tensor]) -> Instance:
        """A text and its class; the attention of a word is what the last block's heads give it, the mean over words."""

        def ask(text: Tensor) -> tuple[Tensor, Tensor]:
            x, (weights,) = self.network.encode(text, None, [len(self.network.blocks) - 1])
            return self.network.out(self.network.pool(x))[:, None], weights.mean((1, 2))[:, None]

        text = batch["text"][0]
        return Instance(text, real(text), ask, self.network.symbols)


class Write(Reading, Texts):
    """The start of a text to its continuation, drawn byte by byte; an empty start is a new line."""

    task = "text-generation"
    samples = ("This package contains",)

    def answer(
        self,
        batch: list[Any],
        length: int = 200,
        temperature: float = 0.5,
        top_k: int | None = None,
        count: int = 1,
        seed: int = 0,
        block: int | None = -1,
    ) -> list[Written]:
        """One continuation, or `count` of them, for each text; the same seed draws the same.

        Args:
            batch: strings; of a long one the end is read, and characters that show nothing are left out.
            length: bytes to write.
            temperature, top_k: see :func:`zoo.text.decoding.sample`.
            block: whose attention is recorded, from 0; -1 is the last, None all, the heads of the first block first.
        """
        check_whole(1, 100_000, length=length)
        check_whole(1, OFTEN, count=count)
        check_number(0, temperature=temperature)
        check_whole(0, 2**63 - 1, seed=seed)
        if top_k is not None:
            check_whole(1, top_k=top_k)
        self._check_block(block)
        check_text(batch, "text")
        rows = [list((visible(raw) or "\n").encode()) for raw in batch]
        # a row for each text: what is drawn for it does not depend on the others
        noise = torch.stack(
            [1 - torch.rand(count, length, generator=torch.Generator().manual_seed(seed)) for _ in rows]
        )
        found = sample(
            self.network.step,
            self.network.start(*self._pad(rows), count),
            (),
            max_length=length,
            temperature=temperature,
            top_k=top_k,
            noise=noise,
            banned=(),
            eos=-1,  # a byte has no end
        )
        return [self._written(row, hypotheses, block) for row, hypotheses in zip(rows, found, strict=True)]

    def _written(self, prompt: list[int], hypotheses: list[Hypothesis], block: int | None) -> Written:
        first = hypotheses[0]
        window = [*prompt, *first.tokens][-self.network.longest :]
        names = [letters(window)]
        weights = self._look(block, torch.tensor([window], device=self.device))
        texts = [bytes(each.tokens).decode(errors="replace") for each in hypotheses]
        return Written(
            attention=Attention(weights=weights, inputs=names, outputs=names, layers=self._layers(block)),
            text=texts[0],
            bits=-first.log_prob / len(first.tokens) / math.log(2),
            others=texts[1:],
        )

    def example(self, batch: int) -> dict[str, Tensor]:
        """Arguments of the network's forward by name: symbols (batch, length)."""
        size = min(8, self.network.longest)
        return {"symbols": torch.arange(97, 97 + size, device=self.device).expand(batch, -1).contiguous()}
