"""Learns word alignments of parallel text, writes them in Pharaoh's form, and gives their error rate.

python scripts/align_words.py experiment=source_cnn/debian_incnn [data.aligner=ibm2] [--output folder] [--gold debian]

The text is that of a row's data; every key of its data can be set. With --output each split's links are written to
<folder>/<prefix>.align, which data.alignments=<folder> reads; pairs that the data leave out have an empty line. Gold
links are those that ship with the zoo.
"""

import argparse
import json
from pathlib import Path

from datamodules.links import SYMMETRIES, best, pharaoh, read_gold, symmetrise
from datamodules.next_words import NextWords
from datamodules.tokens import encode
from zoo.commands.rows import data_of
from zoo.errors import ZooError, in_one_sentence
from zoo.text.scoring import alignment_error_rate


def error_rates(data: NextWords) -> dict[str, float]:
    """Of both directions and of every way to make them one, in percent."""
    gold = read_gold()
    sides = []
    for name, words in (("source", [each.source for each in gold]), ("target", [each.target for each in gold])):
        sides.append([list(ids) for ids in encode(data.tokenizers[name], [" ".join(each) for each in words])])
    if [len(ids) for ids in sides[0]] != [len(each.source) for each in gold]:
        raise ZooError("the gold links are between words, and the data have pieces of them: data.tokens=words")
    forward, backward = data.aligners
    there, back = forward.posteriors(*sides), backward.posteriors(*sides[::-1])
    found: dict[str, float] = {}
    for how in SYMMETRIES:
        links = [
            symmetrise(best(one), {link[::-1] for link in best(other)}, how)
            for (one, _), (other, _) in zip(there, back, strict=True)
        ]
        rate = alignment_error_rate(links, [each.sure for each in gold], [each.possible for each in gold])
        found[how] = round(100 * rate, 2)
    return found


def write(data: NextWords, folder: Path) -> None:
    """A file for each split, with a line for each pair of the text."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, prefix in data.names.items():
        lines = [set() for _ in data.pairs(split)]
        for place, links in data.linked(split).items():
            lines[place] = links
        (folder / f"{prefix}.align").write_text(pharaoh(lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="+", help="experiment=<slug>/<row>, and keys of its data")
    parser.add_argument("--output", type=Path, help="folder for the links")
    parser.add_argument("--gold", choices=["debian"], help="prints the error rate on these links")
    given = parser.parse_args()
    with in_one_sentence():
        data = data_of(given.overrides)
        if not isinstance(data, NextWords):
            raise ZooError("the row's data have no word alignments: experiment=source_cnn/debian_incnn has")
        if given.output:
            write(data, given.output)
        if given.gold:
            print(json.dumps({"aligner": data.aligner, "AER %": error_rates(data)}))


if __name__ == "__main__":
    main()
