"""Two rooms that nobody has written: one that says nothing of its input, which is a picture, and one of two fields."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from PIL import Image

import zoo.models
from zoo import release
from zoo.registry import room

NETWORK = """
from torch import nn

class {name}(nn.Module):
    def __init__(self, width: int = 1):
        super().__init__()
        self.layer = nn.Linear(width, width)
"""
CAPTIONS = '''
"""Made captions."""
from dataclasses import dataclass
import torch
from zoo.looking.attention import Attention
from zoo.looking.pictures import read_picture, fit
from zoo.pipelines import Pipeline, Result
from zoo.models.made_captions.network import MadeCaptions as NETWORK

@dataclass(frozen=True)
class Caption(Result):
    caption: str

    @property
    def title(self):
        return self.caption

class PIPELINE(Pipeline):
    task = "image-to-text"

    @property
    def samples(self):
        return [self.folder / "sample.png"]

    def answer(self, batch):
        return [self.one(fit(read_picture(raw), 32).grey) for raw in batch]

    def one(self, grey):
        light = grey.unflatten(0, (4, 8)).unflatten(2, (4, 8)).mean((1, 3)).flatten()
        weights = torch.stack((light, 1 - light)) + 1e-3
        weights = weights / weights.sum(-1, keepdim=True)
        images = grey[None, None]
        record = Attention(weights=weights[None, None], grid=(4, 4), images=images, outputs=[["bright", "dark"]])
        return Caption(record, f"{grey.mean():.3f} bright")
'''
READER = '''
"""A made reader."""
from dataclasses import dataclass
import torch
from zoo.looking.attention import Attention
from zoo.pipelines import Pipeline, Result
from zoo.models.made_reader.network import MadeReader as NETWORK

@dataclass(frozen=True)
class Answer(Result):
    answer: str

    @property
    def title(self):
        return self.answer

class PIPELINE(Pipeline):
    task = "question-answering"
    asks = {"document": "text", "question": "line", "note": "line?"}
    samples = [{"document": "Ada wrote a program", "question": "who wrote ?"}]

    def answer(self, batch):
        return [self.one(raw["document"].split(), raw["question"].split()) for raw in batch]

    def one(self, document, question):
        weights = torch.tensor([1.0 + 9 * (word not in question) for word in document])
        record = Attention(weights=(weights / weights.sum())[None, None, None], inputs=[document], outputs=[["answer"]])
        return Answer(record, document[int(weights.argmax())])
'''


@contextmanager
def made_rooms(folder: Path) -> Iterator[None]:
    """The two rooms, released, as long as the context lasts."""
    for slug, name, text in (("made_captions", "MadeCaptions", CAPTIONS), ("made_reader", "MadeReader", READER)):
        (folder / slug).mkdir(parents=True)
        (folder / slug / "__init__.py").write_text(text)
        (folder / slug / "network.py").write_text(NETWORK.format(name=name))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zoo.models, "__path__", [*zoo.models.__path__, str(folder)])
        for slug in ("made_captions", "made_reader"):
            target = folder / slug / "weights" / "tiny"
            release.save(room(slug).NETWORK(), target, name=f"{slug}.tiny", config={"width": 1})
        sample = torch.zeros(32, 32, dtype=torch.uint8)
        sample[:8, 24:] = 255
        Image.fromarray(sample.numpy()).save(folder / "made_captions/weights/tiny/sample.png")
        yield
    for module in [module for module in sys.modules if module.startswith("zoo.models.made_")]:
        del sys.modules[module]
