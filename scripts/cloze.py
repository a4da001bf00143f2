"""Counts of cloze questions, as tables 1 and 2 of Hermann et al. have them.

Usage: python scripts/cloze.py experiment=reader/<row> [key=value ...]

One line of JSON: for each split the counts, and of Debian what was left out and why.
"""

import json
import sys

from datamodules.debian_cloze import describe
from datamodules.questions import statistics
from zoo.commands.rows import data_of
from zoo.errors import ZooError, in_one_sentence


def count(data) -> dict[str, dict[str, float]]:
    """The counts of a datamodule of cloze questions."""
    if not hasattr(data, "questions"):
        raise ZooError("these data are no cloze questions; name a row of reader")
    found = {split: statistics(data.questions(split)) for split in ("train", "val", "test")}
    return found | ({"left out": describe(data.root, data.max_tokens, data.markers)} if data.corpus == "debian" else {})


def main() -> None:
    if not sys.argv[1:] or {"-h", "--help"} & set(sys.argv):
        print(__doc__)
        return
    with in_one_sentence():
        found = count(data_of(sys.argv[1:]))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
