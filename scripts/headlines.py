"""What a corpus of headlines holds: python scripts/headlines.py data=debian_headlines [data.filters=[release]]

Prints how many pairs each split has, how many each filter dropped, how many sentences and titles of the test stand in
training, the mean lengths, and the sizes of the vocabularies, as one line of JSON.
"""

import json
import sys

from hydra import compose, initialize_config_module
from hydra.errors import HydraException
from hydra.utils import instantiate

from datamodules.headlines import Headlines
from zoo.errors import ZooError, in_one_sentence
from zoo.training.folders import register


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
        data = instantiate(cfg.data)
        if not isinstance(data, Headlines):
            raise ZooError(f"{type(data).__name__} has no headlines; try data=debian_headlines")
        print(json.dumps(data.report()))


if __name__ == "__main__":
    main()
