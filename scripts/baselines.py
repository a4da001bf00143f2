"""What a row is measured beside: python scripts/baselines.py experiment=<slug>/<row> [key=value ...]

For the emoji of show_attend_tell: BLEU-4 and exact matches in % of the captions of the most alike training pictures.
For classes of former: the test error in % of the most frequent class and of a linear bag of words (needs the extra
`baselines`). For characters: the bits per byte of 5-grams and 7-grams, and of a compressor (xz) which reads the test
text alone, and which has read up to 20 MB of the training text before. One line of JSON.
"""

import json
import sys

import torch

from datamodules.emoji import Emoji
from zoo.commands.rows import data_of
from zoo.errors import ZooError, in_one_sentence
from zoo.models.former.baselines import NGrams, bag_of_words, compressed, majority
from zoo.models.show_attend_tell.baselines import coarse, nearest
from zoo.models.show_attend_tell.captioning import scores


def alike(data: Emoji) -> dict[str, float]:
    """Scores of the captions of the most alike pictures of the first training epoch."""
    seen, new = (
        torch.cat([coarse(data.batch(split, part)["image"]) for part in torch.arange(data.size(split)).split(500)])
        for split in ("train", "test")
    )
    captions = data.right("train", nearest(seen, new).tolist())
    return scores([line for (line,) in captions], data.right("test", list(range(len(new)))), whole=False)


def measure(data) -> dict[str, float]:
    """The baselines that fit a datamodule of emoji, of texts with classes or of characters."""
    if isinstance(data, Emoji):
        return {**alike(data), "pictures": data.size("test")}
    if hasattr(data, "labelled"):
        train, val, test = (data.labelled(split)[:2] for split in ("train", "val", "test"))
        words = {f"bag_of_words_{name}": value for name, value in bag_of_words(train, val, test).items()}
        return {"majority_error": majority(train, test), **words, "texts": len(test[0])}
    if not hasattr(data, "text"):
        raise ZooError("these data have no classes of texts, no characters and no emoji; name a row of former or emoji")
    train, test = data.text("train"), data.text("test")
    found = {}
    for order in (5, 7):
        grams = NGrams(train, order)
        found |= {f"{order}-gram_{split}_bits": grams.bits(data.text(split)) for split in ("val", "test")}
    found |= {"xz_test_bits": compressed(test), "xz_after_training_test_bits": compressed(test, train[-20_000_000:])}
    return {**found, "bytes": len(test)}


def main() -> None:
    if not sys.argv[1:] or {"-h", "--help"} & set(sys.argv):
        print(__doc__)
        return
    with in_one_sentence():
        found = measure(data_of(sys.argv[1:]))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
