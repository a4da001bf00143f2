"""Moses tokenisation, as the papers before 2016 used it, by sacremoses."""

from collections.abc import Iterable

from sacremoses import MosesDetokenizer, MosesPunctNormalizer, MosesTokenizer


def tokenise(lines: Iterable[str], language: str) -> list[str]:
    """Words with spaces between, without escapes; quotation marks, apostrophes and dashes become those of ASCII.

    Moses puts its own words together again only with these: of ``d’un`` it would make ``d ’ un``.
    """
    same = MosesPunctNormalizer(lang=language, norm_quote_commas=False, norm_numbers=False)
    moses = MosesTokenizer(lang=language)
    return [moses.tokenize(same.normalize(line), escape=False, return_str=True) for line in lines]


def detokenise(lines: Iterable[str], language: str) -> list[str]:
    """Text of words with spaces between."""
    moses = MosesDetokenizer(lang=language)
    return [moses.detokenize(line.split(), unescape=False) for line in lines]
