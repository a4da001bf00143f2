"""Sentences of movie reviews with the mean of twenty ratings each (Hutto and Gilbert 2014), from the sdist of
vaderSentiment. The package is MIT; the sentences are of Rotten Tomatoes, so they do not ship with the zoo."""

import hashlib
import io
import tarfile
from pathlib import Path

from datamodules.documents import tokenise
from datamodules.files import DataError, read_file

INNER = "hutto_ICWSM_2014.tar.gz"
FILE = "movieReviewSnippets_GroundTruth.txt"


def read_reviews(path: str | Path) -> tuple[list[list[str]], list[int]]:
    """Sentences of words, and whether each is positive (1) or negative (0); those rated exactly 0 are left out.

    Args:
        path: vaderSentiment-3.3.2.tar.gz as `pip download --no-deps --no-binary :all: vaderSentiment==3.3.2` brings it,
            or the file of the sentences in it: number, mean rating, sentence, with tabs between.

    Raises:
        DataError: a file that is missing, or is neither.
    """
    data, path = read_file(Path(path)), Path(path)
    if path.name.endswith((".tar.gz", ".tgz")):
        data = _member(_member(data, INNER, path), FILE, path)
    rows = [line.split("\t", 2) for line in data.decode("utf-8", "replace").splitlines() if line.strip()]
    try:
        rated = [(text, float(rating)) for _, rating, text in rows]
    except ValueError:
        raise DataError(f"{path}: expected number, rating and sentence in a line, with tabs between") from None
    kept = [(tokenise(text), int(rating > 0)) for text, rating in rated if rating]
    if not kept:
        raise DataError(f"{path}: there is no rated sentence")
    return [words for words, _ in kept], [label for _, label in kept]


def shared_out(rows: list[list[str]], labels: list[int]) -> dict[str, tuple[list[list[str]], list[int]]]:
    """Sentences to train (80 percent) and test, by a hash of the sentence."""
    found = {"train": ([], []), "test": ([], [])}
    for row, label in zip(rows, labels, strict=True):
        number = int.from_bytes(hashlib.sha256(" ".join(row).encode()).digest()[:8]) % 100
        side = found["test" if number < 20 else "train"]
        side[0].append(row), side[1].append(label)
    return found


def _member(data: bytes, name: str, path: Path) -> bytes:
    """A file of a packed tar archive."""
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as packed:
            found = next(each for each in packed.getnames() if each.endswith(f"/{name}") or each == name)
            return packed.extractfile(found).read()
    except (tarfile.TarError, OSError, EOFError, StopIteration):
        raise DataError(f"{path}: not the sdist of vaderSentiment, which holds {INNER} and in it {FILE}") from None
