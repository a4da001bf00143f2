"""What a corpus of headlines holds: python scripts/headlines.py data=debian_headlines [data.filters=[release]]

Prints how many pairs each split has, how many each filter dropped, how many sentences and titles of the test stand in
training, the mean lengths, and the sizes of the vocabularies, as one line of JSON.
"""

import json
import sys

from datamodules.headlines import Headlines
from zoo.commands.rows import data_of
from zoo.errors import ZooError, in_one_sentence


def main() -> None:
    if not sys.argv[1:] or {"-h", "--help"} & set(sys.argv):
        print(__doc__)
        return
    with in_one_sentence():
        data = data_of(sys.argv[1:])
        if not isinstance(data, Headlines):
            raise ZooError(f"{type(data).__name__} has no headlines; try data=debian_headlines")
        print(json.dumps(data.report()))


if __name__ == "__main__":
    main()
