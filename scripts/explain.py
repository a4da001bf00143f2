"""How far attention explains what a model says: python scripts/explain.py name=<slug>.<row> [key=value ...]

The name may be a released folder. count=50 samples, spread evenly over the test split; and any key of the row's data,
such as data.root. One line of JSON: Kendall's tau between attention and two other accounts of each word or place,
gradients and leaving it out, and between these two; the mean over what is put out for a sample, then over samples. Of
explained.<row> it is a longer table, which also has what random orders of the weights, adversarial weights (steps=500
of their search) and removed weights change.
"""

import json
import sys
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from datamodules.sentences import Sentences
from zoo.commands.rows import data_of
from zoo.errors import check_whole, in_one_sentence
from zoo.looking.saliency import agreement, means
from zoo.models.explained.measures import of_batch, summary
from zoo.pipelines import Pipeline, pipeline
from zoo.registry import released

TOGETHER = 50  # texts at once, of explained


def spread(size: int, count: int) -> Tensor:
    """Positions in a split: (count,) or all of them."""
    return torch.linspace(0, size - 1, min(count, size)).round().long()


def samples(data: Any, count: int) -> Iterator[dict[str, Tensor]]:
    """Batches of one test sample, of sentences from the shortest to the longest."""
    if not isinstance(data, Sentences):
        yield from (data.batch("test", index[None]) for index in spread(data.size("test"), count))
        return
    loader = data.test_dataloader()
    items = list(loader.sampler)
    yield from (loader.dataset[items[index]] for index in spread(len(items), count))


def measure(name: str, count: int, steps: int, overrides: list[str]) -> dict[str, float]:
    """The table of released weights."""
    check_whole(1, count=count, steps=steps)
    pipe = pipeline(name)
    if type(pipe).instance is Pipeline.instance:
        pipe.instance({})  # says why not
    room, row = pipe.config["slug"], pipe.config["row"]
    fixed = [f"experiment={room}/{row}", f"data.tokenizer='{released(name)}'", "data.eval_batch_size=1"]
    data = data_of([*fixed, *overrides])
    if room == "explained":
        texts = data.split("test").texts
        chosen = spread(len(texts.length), count).split(TOGETHER)
        return summary(of_batch(pipe.network, texts.rows(index), steps) for index in chosen)
    return means(agreement(pipe.instance(batch)) for batch in samples(data, count))


def main() -> None:
    if {"-h", "--help"} & set(sys.argv) or not any(arg.startswith("name=") for arg in sys.argv):
        print(__doc__)
        return
    given = {"count": "50", "steps": "500"}
    own = [arg for arg in sys.argv[1:] if arg.split("=")[0] in ("name", "count", "steps")]
    given |= dict(arg.split("=", 1) for arg in own)
    with in_one_sentence():
        numbers = {key: int(given[key]) if given[key].isdecimal() else given[key] for key in ("count", "steps")}
        found = measure(given["name"], **numbers, overrides=[arg for arg in sys.argv[1:] if arg not in own])
    print(json.dumps(found))


if __name__ == "__main__":
    main()
