"""Pictures in, captions and where the network looked at each word out."""

import warnings
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zoo.errors import OFTEN, check_choice, check_whole
from zoo.looking.attention import Attention
from zoo.looking.pictures import PictureError, fit_colours, read_colours
from zoo.looking.saliency import Instance
from zoo.models.show_attend_tell.network import DECODINGS, Memory
from zoo.nn.random import uniform
from zoo.pipelines import InputError, Pipeline, Result, _name
from zoo.release import WeightsError
from zoo.text.codec import Text
from zoo.text.decoding import beam_search
from zoo.text.search import BOS, EOS, PAD, Hypothesis

SAMPLE = Path(__file__).with_name("scene.png")  # a scene of the test
CAPTIONS = "captions.json"  # as the data leave it with a run


@dataclass(frozen=True)
class Captioned(Result):
    """The caption of one picture.

    Args:
        caption: the words with spaces between.
        words: as they were written.
        log_probability: of the words and the end of the caption.
        told: what was done to the picture before the network saw it, in words.
    """

    caption: str
    words: list[str]
    log_probability: float
    told: list[str]

    @property
    def maps(self) -> Tensor:
        """Where it looked at each word, (words, rows, columns); each map sums to one."""
        return self.attention.weights[0, 0, : len(self.words)].unflatten(-1, self.attention.grid)

    @property
    def title(self) -> str:
        return self.caption


class Describe(Pipeline):
    """A picture to its caption, and where the network looked at each word.

    A picture of another size, mode or range is made what the network knows; a warning and the answer tell. No answer
    depends on the other pictures of a batch.
    """

    task = "image-to-text"
    asks = {"picture": "picture"}  # noqa: RUF012
    samples = [str(SAMPLE)]  # noqa: RUF012

    def __init__(self, network: nn.Module, config: dict[str, Any], folder: Path | None = None):
        super().__init__(network, config, folder)
        if network.encoder is None:
            raise WeightsError(f"{folder}: these weights want annotations that VGG-19 makes, and hold no encoder")
        self.text = Text(folder / CAPTIONS, "en")
        if len(self.text) != config["network"]["vocabulary"]:
            expected = config["network"]["vocabulary"]
            raise WeightsError(f"{folder / CAPTIONS}: has {len(self.text)} entries, the weights expect {expected}")

    @staticmethod
    def preprocess(data: dict[str, Any]) -> dict[str, Any]:
        """Side of the pictures in pixels, and whether their middle is cut out."""
        return {"size": data.get("size", 112), "crop": "size" in data}

    def unpack(self, raw: Any) -> list[Any] | None:
        """A batch is a list, or an array or tensor of four axes, pictures first."""
        return list(raw) if isinstance(raw, np.ndarray | Tensor) and raw.ndim == 4 else super().unpack(raw)

    def prepare(self, batch: list[Any]) -> tuple[Tensor, list[list[str]]]:
        """(batch, 3, size, size) on the device of the network, and what was done to each; a warning tells too."""
        how, pictures, every = self.config["preprocess"], [], []
        for i, raw in enumerate(batch):
            name = _name(raw, i, len(batch))
            try:
                picture, told = read_colours(raw)
                pictures.append(fit_colours(picture, how["size"], how["crop"], told))
            except PictureError as error:
                raise InputError(f"{name}: {error}") from None
            if told:
                warnings.warn(f"{name}: {', '.join(told)}", stacklevel=6)  # the line that called the pipeline
            every.append(told)
        return torch.stack(pictures).to(self.device), every

    def answer(
        self,
        batch: list[Any],
        beam: int = 5,
        normalise: str = "none",
        alpha: float = 1.0,
        decode: str = "expectation",
        max_length: int = 50,
    ) -> list[Captioned]:
        """One caption for each picture.

        Args:
            batch: see :func:`zoo.looking.pictures.read_picture`.
            beam: width of the search.
            normalise, alpha: of the score of a hypothesis; see :func:`zoo.text.decoding.beam_search`.
            decode: of hard attention "expectation", "argmax" or "sample" (the same samples for every picture and call).
            max_length: of a caption, in words.
        """
        check_whole(1, OFTEN, beam=beam, max_length=max_length)
        check_choice(DECODINGS, decode=decode)
        image, told = self.prepare(batch)
        noise = uniform(torch.zeros(len(batch), dtype=torch.int64, device=self.device), max_length, stream=3)
        memory = self.network.encode(image, noise)
        found = beam_search(
            partial(self.network.step, decode=decode),
            self.network.start(memory, beam),
            memory,
            max_length,
            banned=(PAD, BOS),
            normalise=normalise,
            alpha=alpha,
        )
        rows = zip(image, found, told, strict=True)
        return [self._result(one, best, said) for one, (best, *_), said in rows]

    def _result(self, image: Tensor, best: Hypothesis, told: list[str]) -> Captioned:
        words = self.text.pieces(best.tokens)
        names = [*words, *self.text.pieces([EOS] * best.finished)]
        grid = self.network.grid(image[None])
        record = Attention(weights=best.weights[None, None].float(), images=image[None], grid=grid, outputs=[names])
        return Captioned(record, self.text.join(words), words, best.log_prob, told)

    def instance(self, batch: dict[str, Tensor]) -> Instance:
        """A picture whose caption is the data's, its places as vectors; of hard attention the expectation is taken."""
        if self.network.attention == "mean":
            return super().instance(batch)
        words = batch["caption"][0, :-1]

        def ask(places: Tensor) -> tuple[Tensor, Tensor]:
            memory = Memory(places, self.network.f_att.keys(places), places.mean(1), None)
            state, found = self.network.start(memory), []
            for word in words:
                log_p, state, alpha = self.network.step(word.expand(len(places), 1), state, memory)
                found.append((log_p, alpha))
            log_p, alpha = zip(*found, strict=True)
            return torch.cat(log_p, 1), torch.cat(alpha, 1)

        with torch.no_grad():
            places = self.network.encode(batch["image"]).a[0]
        return Instance(places, torch.arange(len(places), device=places.device), ask)

    def example(self, batch: int) -> dict[str, Tensor]:
        """Noise as pictures (batch, 3, size, size), and the start of a caption (batch, 6)."""
        size = self.config["preprocess"]["size"]
        image = torch.rand(batch, 3, size, size, generator=torch.Generator().manual_seed(0))
        return {
            "image": image.to(self.device),
            "caption": torch.full((batch, 6), BOS, dtype=torch.int64, device=self.device),
        }
