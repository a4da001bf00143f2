"""How far the attention of a classifier explains it: python scripts/explain.py name=explained.<row> [key=value ...]

count=500 texts, spread evenly over the test split; steps=500 of the search for adversarial attention; and any key of
the row, such as data.root. One line of JSON: Kendall's tau between attention and other accounts of each word, what
random orders of the weights and adversarial weights change, and how many weights are removed before the answer changes.
"""

import json
import sys

import torch

from zoo.commands.rows import data_of
from zoo.errors import ZooError, check_whole, in_one_sentence
from zoo.models.explained.measures import of_batch, summary
from zoo.registry import create_model, released

TOGETHER = 50  # texts at once


def measure(name: str, count: int, steps: int, overrides: list[str]) -> dict[str, float]:
    """The table of released weights."""
    check_whole(1, count=count, steps=steps)
    if not name.startswith("explained."):
        raise ZooError(f"name is {name!r}; expected explained.<row>, whose attention is over the words of a text")
    folder = released(name)
    rows = [f"experiment={name.replace('.', '/')}", f"data.tokenizer='{folder}'"]
    texts = data_of([*rows, *overrides]).split("test")
    network = create_model(name, pretrained=True)
    chosen = torch.linspace(0, len(texts) - 1, min(count, len(texts))).round().long()
    return summary(of_batch(network, texts.texts.rows(index), steps) for index in chosen.split(TOGETHER))


def main() -> None:
    if {"-h", "--help"} & set(sys.argv) or not any(arg.startswith("name=") for arg in sys.argv):
        print(__doc__)
        return
    given = {"count": "500", "steps": "500"}
    own = [arg for arg in sys.argv[1:] if arg.split("=")[0] in ("name", "count", "steps")]
    given |= dict(arg.split("=", 1) for arg in own)
    with in_one_sentence():
        numbers = {key: int(given[key]) if given[key].isdecimal() else given[key] for key in ("count", "steps")}
        found = measure(given["name"], **numbers, overrides=[arg for arg in sys.argv[1:] if arg not in own])
    print(json.dumps(found))


if __name__ == "__main__":
    main()
