"""Word alignments of given translations, one line a sentence pair, and their error rate.

python scripts/align.py bahdanau.debian_de_en text.de text.en --gold text.gold
python scripts/align.py bahdanau.debian_de_en --gold debian --by gradient_norm

Gold links are a file, or "debian", those that were made by hand for some pairs and ship with the zoo: these pairs are
aligned where no text is given.
"""

import argparse
import json
import sys
from pathlib import Path

from datamodules.links import read_gold
from zoo.errors import ZooError
from zoo.pipelines import InputError, pipeline
from zoo.text.aligning import ACCOUNTS, align
from zoo.text.scoring import Links, alignment_error_rate, read_alignments
from zoo.text.translation import Translate

Gold = list[tuple[Links, Links]]


def read(pipe: Translate, given: argparse.Namespace) -> tuple[list[list[str]], Gold | None]:
    """Both sides of the text, and the sure and the possible links of each pair."""
    pairs = read_gold() if given.gold == "debian" else []
    gold = [(pair.sure, pair.possible) for pair in pairs] or None
    if given.gold and gold is None:
        gold = read_alignments(given.gold, given.first or 0)
    paths = (given.source, given.target)
    if paths == (None, None) and pairs:
        return [
            [" ".join(words) for words in side] for side in zip(*((p.source, p.target) for p in pairs), strict=True)
        ], gold
    if None in paths:
        raise InputError("say what to align: two files, of the source and of its translation; or --gold debian")
    sides = [pipe.read(path) for path in paths]
    for path, side in zip(paths, sides, strict=True):
        if isinstance(side, str):
            raise InputError(f"{path}: there is no such file")
    return sides, gold


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="<slug>.<row>, or a released folder")
    parser.add_argument("source", nargs="?", help="file with one tokenised sentence a line")
    parser.add_argument("target", nargs="?", help="its translation, line by line")
    parser.add_argument("--by", choices=ACCOUNTS, default="attention", help="what links a word to its heaviest word")
    parser.add_argument("--gold", help="file of gold alignments, see zoo.text.scoring.read_alignments; or debian")
    parser.add_argument("--first", type=int, help="number of a sentence's first word in a gold file; default: 0")
    parser.add_argument("--output", help="file for the links as source-target pairs; default: print them")
    given = parser.parse_args()
    try:
        if given.output and not Path(given.output).absolute().parent.is_dir():
            raise ZooError(f"{given.output}: there is no such folder")
        if given.output and Path(given.output).is_dir():
            raise ZooError(f"{given.output}: is a folder; expected the name of a file")
        if given.first is not None and given.gold in (None, "debian"):
            raise InputError("--first is of a file of gold alignments: --gold <file>")
        pipe = pipeline(given.name)
        if not isinstance(pipe, Translate):
            raise InputError(f"{given.name} does not translate")
        sides, gold = read(pipe, given)
        found = align(pipe, *sides, by=given.by)
        if gold is not None and len(gold) != len(found):
            raise InputError(f"{given.gold}: {len(gold)} sentences, expected {len(found)}")
        rate = None if gold is None else alignment_error_rate(found, *zip(*gold, strict=True))
    except ZooError as error:
        sys.exit(str(error))
    lines = "".join(" ".join(f"{s}-{t}" for s, t in sorted(links)) + "\n" for links in found)
    if given.output:
        Path(given.output).write_text(lines)
    else:
        print(lines, end="")
    if rate is not None:
        told = {"name": given.name, "by": given.by, "alignment error rate": rate, "sentences": len(found)}
        print(json.dumps(told))


if __name__ == "__main__":
    main()
