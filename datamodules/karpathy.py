"""Captions with their splits as Karpathy published them, dataset_<corpus>.json, and features of their pictures."""

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from datamodules.files import DataError, read_file

SPLITS = ("train", "restval", "val", "test")


class Described(NamedTuple):
    """A picture and its captions."""

    file: str  # below the folder of pictures, with slashes
    split: str  # one of SPLITS
    captions: tuple[tuple[str, ...], ...]  # words


def read_captions(path: Path) -> list[Described]:
    """The pictures of a published file, in its order.

    Raises:
        DataError: one sentence, with the name of the file.
    """
    try:
        whole = json.loads(read_file(path))
        found = [
            Described(
                "/".join(filter(None, (each.get("filepath"), each["filename"]))),
                each["split"],
                tuple(tuple(map(str, one["tokens"])) for one in each["sentences"] if one["tokens"]),
            )
            for each in whole["images"]
        ]
    except DataError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"lacks {error}" if isinstance(error, KeyError) else error
        raise DataError(f"{path}: truncated, or not captions as Karpathy published them ({reason})") from None
    for each in found:
        if each.split not in SPLITS or not each.captions:
            told = f"has the split {each.split!r}" if each.captions else "has no caption"
            raise DataError(f"{path}: {each.file} {told}; expected one of {', '.join(SPLITS)}, and a caption")
    return found


def pairing(files: list[str]) -> str:
    """The SHA-256 of the names of pictures in their order: that of the rows of features."""
    return hashlib.sha256("\n".join(files).encode()).hexdigest()


def write_features(path: Path, features: np.ndarray, files: list[str]) -> None:
    """Leaves features (pictures, D, rows, columns) and, beside them, what they belong to."""
    np.save(path, features)
    about = {"pairing": pairing(files), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    path.with_suffix(".json").write_text(json.dumps(about) + "\n")


def read_features(path: Path, files: list[str]) -> np.ndarray:
    """The features (pictures, D, rows, columns) of these pictures, mapped into memory.

    Raises:
        DataError: they are of other pictures, truncated or altered; one sentence.
    """
    try:
        about = json.loads(read_file(path.with_suffix(".json")))
        expected, mine = about["sha256"], about["pairing"]
        features = np.load(path, mmap_mode="r")
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: cannot be read as features ({error})") from None
    if mine != pairing(files) or features.ndim != 4 or len(features) != len(files):
        raise DataError(f"{path}: its features are not of these {len(files)} pictures in this order")
    digest = hashlib.sha256()
    with path.open("rb") as data:
        for block in iter(lambda: data.read(2**24), b""):
            digest.update(block)
    if digest.hexdigest() != expected:
        raise DataError(f"{path}: truncated or altered (SHA-256 is {digest.hexdigest()[:12]}...)")
    return features
