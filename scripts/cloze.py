"""Counts of cloze questions, as tables 1 and 2 of Hermann et al. have them.

Usage: python scripts/cloze.py experiment=reader/<row> [key=value ...]

One line of JSON: for each split the counts, and of Debian what was left out and why.
"""

import json
import sys

from hydra import compose, initialize_config_module
from hydra.errors import HydraException
from hydra.utils import instantiate

from datamodules.debian_cloze import describe
from datamodules.questions import statistics
from zoo.errors import ZooError, in_one_sentence
from zoo.training.folders import register


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
    register()
    try:
        with initialize_config_module("conf", version_base="1.3"):
            cfg = compose("train", overrides=sys.argv[1:])
    except HydraException as error:
        sys.exit(str(error).splitlines()[0])
    with in_one_sentence():
        found = count(instantiate(cfg.data))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
