"""Moses tokenisation, as the papers before 2016 used it, by sacremoses."""

from collections.abc import Iterable

from sacremoses import MosesDetokenizer, MosesTokenizer


def tokenise(lines: Iterable[str], language: str) -> list[str]:
    """Words with spaces between, without escapes."""
    moses = MosesTokenizer(lang=language)
    return [moses.tokenize(line, escape=False, return_str=True) for line in lines]


def detokenise(lines: Iterable[str], language: str) -> list[str]:
    """Text of words with spaces between."""
    moses = MosesDetokenizer(lang=language)
    return [moses.detokenize(line.split(), unescape=False) for line in lines]
