"""Word vectors in the formats of the word2vec tools, which gensim and others read and write.

Both start with a line "<words> <numbers of a vector>". In the text format each further line is a word and its numbers,
spaces between; in the binary one a word, a space and its numbers as little-endian float32, with a line break after it.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from zoo.errors import ZooError


def write_vectors(path: str | Path, words: list[str], vectors: Tensor, binary: bool = False) -> None:
    """Writes vectors (words, dim) of some words to a file.

    Raises:
        ZooError: another number of words than of vectors, or a word with a space in it; one sentence.
    """
    if len(words) != len(vectors):
        raise ZooError(f"{len(words)} words for {len(vectors)} vectors")
    bad = next((word for word in words if not word or any(letter.isspace() for letter in word)), None)
    if bad is not None:
        raise ZooError(f"{bad!r} is empty or has a space in it, and the format parts words by spaces")
    rows = vectors.detach().float().cpu().numpy()
    with open(path, "wb") as file:
        file.write(f"{len(words)} {vectors.shape[1]}\n".encode())
        for word, row in zip(words, rows, strict=True):
            text = row.astype("<f4").tobytes() if binary else " ".join(f"{x:.9g}" for x in row.tolist()).encode()
            file.write(word.encode() + b" " + text + b"\n")


def read_vectors(path: str | Path) -> tuple[list[str], Tensor]:
    """The words of a file in either format, and their vectors (words, dim) float32.

    Raises:
        ZooError: a file that is missing, truncated or of another format; one sentence.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ZooError(f"{path}: cannot be read ({error.strerror})") from None
    head, _, rest = data.partition(b"\n")
    try:
        count, dim = map(int, head.split())
        words, rows = _text(rest, dim) if _is_text(rest, dim) else _binary(rest, count, dim)
    except ValueError:
        raise ZooError(f"{path}: truncated, or neither word2vec's text nor its binary format") from None
    if len(words) != count:
        raise ZooError(f"{path}: {len(words)} words, and its first line says {count}")
    if not np.isfinite(rows).all():
        raise ZooError(f"{path}: a vector holds what is no finite number")
    return words, torch.from_numpy(rows)


def _is_text(rest: bytes, dim: int) -> bool:
    """Whether the first line is a word and as many numbers."""
    try:
        return len([float(x) for x in rest.partition(b"\n")[0].decode().split()[1:]]) == dim
    except ValueError:
        return False


def _text(rest: bytes, dim: int) -> tuple[list[str], np.ndarray]:
    words, rows = [], []
    if not rest.endswith(b"\n"):  # or a number that was cut would be read as another one
        raise ValueError
    for line in rest.decode("utf-8").removesuffix("\n").split("\n"):
        word, *numbers = line.split(" ")
        words.append(word), rows.append([float(x) for x in numbers if x])
        if len(rows[-1]) != dim:
            raise ValueError
    return words, np.array(rows, np.float32).reshape(len(words), dim)


def _binary(rest: bytes, count: int, dim: int) -> tuple[list[str], np.ndarray]:
    words, rows, at = [], np.empty((count, dim), np.float32), 0
    for i in range(count):
        end = rest.index(b" ", at)
        words.append(rest[at:end].lstrip(b"\n").decode("utf-8"))
        rows[i] = np.frombuffer(rest, "<f4", dim, end + 1)
        at = end + 1 + 4 * dim
    return words, rows
