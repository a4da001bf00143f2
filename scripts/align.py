"""Word alignments of given translations, one line a sentence pair, and their error rate.

python scripts/align.py bahdanau.debian_de_en text.de text.en --gold text.gold
"""

import argparse
import json
import sys
from pathlib import Path

from zoo.errors import ZooError
from zoo.pipelines import InputError, pipeline
from zoo.text.aligning import align
from zoo.text.scoring import alignment_error_rate, read_alignments
from zoo.text.translation import Translate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="<slug>.<row>, or a released folder")
    parser.add_argument("source", help="file with one tokenised sentence a line")
    parser.add_argument("target", help="its translation, line by line")
    parser.add_argument("--gold", help="file of gold alignments; see zoo.text.scoring.read_alignments")
    parser.add_argument("--first", type=int, default=0, help="the number of a sentence's first word in the gold file")
    parser.add_argument("--output", help="file for the links as source-target pairs; default: print them")
    given = parser.parse_args()
    try:
        if given.output and not Path(given.output).absolute().parent.is_dir():
            raise ZooError(f"{given.output}: there is no such folder")
        if given.output and Path(given.output).is_dir():
            raise ZooError(f"{given.output}: is a folder; expected the name of a file")
        pipe = pipeline(given.name)
        if not isinstance(pipe, Translate):
            raise InputError(f"{given.name} does not translate")
        sides = [pipe.read(given.source), pipe.read(given.target)]
        for path, side in zip((given.source, given.target), sides, strict=True):
            if isinstance(side, str):
                raise InputError(f"{path}: there is no such file")
        found = align(pipe, *sides)
        gold = read_alignments(given.gold, given.first) if given.gold else None
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
        print(json.dumps({"name": given.name, "alignment error rate": rate, "sentences": len(found)}))


if __name__ == "__main__":
    main()
