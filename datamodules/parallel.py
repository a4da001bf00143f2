"""Parallel text: the same sentences in two languages, from files, from the zoo's own corpus, or from the Hub."""

import gzip
import zlib
from pathlib import Path

from datamodules import debian
from datamodules.files import DataError, read_file

Pairs = list[tuple[str, str]]


def read_lines(path: Path) -> list[str]:
    """The lines of a UTF-8 file; raises DataError with its name, and the line that is not UTF-8."""
    data = read_file(path)
    if path.suffix == ".gz":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{path}: truncated or altered, not a gzip file ({error})") from None
    lines = data.removeprefix(b"\xef\xbb\xbf").split(b"\n")  # without a byte-order mark
    if lines and not lines[-1]:
        lines.pop()
    decoded = []
    for number, line in enumerate(lines, 1):
        try:
            decoded.append(line.decode().rstrip("\r"))
        except UnicodeDecodeError:
            raise DataError(f"{path}, line {number}: not UTF-8") from None
    return decoded


def read_dictionary(path: Path) -> dict[str, str]:
    """Lines of a source word, a tab and a target word; of a word that comes twice the first."""
    words: dict[str, str] = {}
    for number, line in enumerate(read_lines(path), 1):
        source, tab, target = line.partition("\t")
        if not (tab and source and target):
            raise DataError(f"{path}, line {number}: expected a source word, a tab and a target word")
        words.setdefault(source, target)
    return words


def find(root: Path, prefix: str, language: str) -> Path:
    """<root>/<prefix>.<language>, or with .gz."""
    path = root / f"{prefix}.{language}"
    packed = path.with_name(path.name + ".gz")
    if path.exists() or packed.exists():
        return path if path.exists() else packed
    raise DataError(f"{path}: there is no such file, nor with .gz")


def read_files(root: str | Path | None, prefix: str, source: str, target: str) -> Pairs:
    """The pairs of two files with as many lines, <root>/<prefix>.<source> and .<target>."""
    if root is None:
        raise DataError("say where the files are: data.root=<folder>")
    paths = [find(Path(root), prefix, language) for language in (source, target)]
    sides = [read_lines(path) for path in paths]
    if len(sides[0]) != len(sides[1]):
        raise DataError(f"{paths[0]} has {len(sides[0])} lines and {paths[1]} has {len(sides[1])}; expected as many")
    return list(zip(*sides, strict=True))


def read_hub(name: str, subset: str | None, split: str, source: str, target: str) -> Pairs:
    """The pairs of a Hugging Face data set with a column `translation`, as wmt/wmt14 has it."""
    try:
        from datasets import load_dataset
    except ImportError:
        raise DataError(f"{name}: pip install datasets, or data.corpus=files data.root=<folder>") from None
    try:
        rows = load_dataset(name, subset, split=split)["translation"]
    except Exception as error:  # no network, no such set, no such split: one sentence for all
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(f"{name}: the Hub did not give it ({reason}); data.corpus=files reads local files") from None
    try:
        return [(row[source], row[target]) for row in rows]
    except KeyError as error:
        raise DataError(f"{name}: has no language {error}, but {', '.join(rows[0])}") from None


def read_pairs(corpus: str, split: str, source: str, target: str, root: str | Path | None, subset: str | None) -> Pairs:
    """The pairs of a split of a corpus.

    Args:
        corpus: "debian", "files", or the name of a Hugging Face data set.
        split: train, val or test; for files their prefix.
    """
    if corpus == "debian":
        return debian.pairs(source, target, split, root)
    if corpus == "files":
        return read_files(root, split, source, target)
    return read_hub(corpus, subset, {"val": "validation"}.get(split, split), source, target)
