"""Bytes and how they are written."""

from collections.abc import Iterable


def letters(symbols: Iterable[int]) -> list[str]:
    """A name for each byte: its letter, or two hexadecimal digits for what is none, or a part of one."""
    return [chr(i) if 32 <= i < 127 or i in (9, 10) else f"{i:02x}" for i in symbols]
