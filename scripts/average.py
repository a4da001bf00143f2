"""Writes a checkpoint whose weights are the mean of several, for evaluate.py and release.py.

python scripts/average.py runs/transformer/wmt14_en_de_base/<time>/checkpoints/step_*.ckpt
"""

import argparse
import sys

from zoo.errors import ZooError
from zoo.training.averaging import average


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ckpts", nargs="+", help="checkpoints of one run")
    parser.add_argument("--output", help="to write; default: average.ckpt beside the last of them")
    given = parser.parse_args()
    try:
        print(f"{average(given.ckpts, given.output)}: the mean of {len(given.ckpts)} checkpoints")
    except ZooError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
