"""The command line of a release."""

import argparse
import json

from zoo.commands.releasing import release_checkpoint
from zoo.errors import in_one_sentence
from zoo.release import DTYPES

HELP = """\
Writes the released weights of a row from a checkpoint of its training.

  python scripts/release.py <run>/checkpoints/best.ckpt ram.mnist28_7 --metric "test error %=0.98"
  python scripts/release.py <run>/checkpoints/best.ckpt ram.mnist28_7 --folder /tmp/weights --dtype bfloat16
  python scripts/release.py <run>/checkpoints/average.ckpt transformer.debian_de_en --metric BLEU=38.2 --data debian
"""


def pair(text: str) -> tuple[str, str]:
    key, sign, value = text.rpartition("=")
    if not sign:
        raise argparse.ArgumentTypeError(f"{text!r} is not name=value")
    return key, value


def number(text: str) -> tuple[str, float]:
    key, value = pair(text)
    return key, float(value)


def plain(text: str) -> tuple[str, object]:
    key, value = pair(text)
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def main() -> None:
    """The release command."""
    parser = argparse.ArgumentParser(description=HELP, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ckpt", help="a checkpoint of a run folder")
    parser.add_argument("name", help="<slug>.<row>")
    parser.add_argument("--folder", help="to write; default: zoo/models/<slug>/weights/<row>")
    parser.add_argument("--dtype", default="float32", choices=DTYPES)
    parser.add_argument("--metric", dest="metrics", type=number, action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--data", help="name of the data set that the metrics were measured on")
    parser.add_argument("--note", help="a paragraph for the card: terms of the data, what to know")
    parser.add_argument("--license", default="mit", help='of the weights; "other" where the data have terms')
    parser.add_argument("--license-name", help='a short name for a license that is "other"')
    parser.add_argument("--license-link", help='where the terms of a license that is "other" are')
    parser.add_argument("--dataset", metavar="OWNER/NAME", help="id of the data set on the Hub, where it is there")
    parser.add_argument(
        "--language", dest="languages", action="append", help="of the texts; a translator knows its own"
    )
    parser.add_argument(
        "--network", type=plain, action="append", default=[], metavar="KEY=VALUE", help="argument the checkpoint lacks"
    )
    parser.add_argument(
        "--preprocess", type=plain, action="append", metavar="KEY=VALUE", help="default: from the run's config"
    )
    given = vars(parser.parse_args())
    for key in ("metrics", "network", "preprocess"):
        given[key] = None if given[key] is None else dict(given[key])
    given = {key: value for key, value in given.items() if key != "languages" or value}
    with in_one_sentence():
        folder = release_checkpoint(given.pop("ckpt"), given.pop("name").replace("/", "."), **given)
    size = sum(file.stat().st_size for file in folder.iterdir())
    print(f"{folder}: {size / 2**20:.2f} MiB")
