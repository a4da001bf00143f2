"""What an input has that the text of a network's training had not: the form of it that is told and not translated."""

import re
import unicodedata
import warnings
from collections import Counter
from collections.abc import Sequence
from functools import cached_property

from zoo.text.codec import Text
from zoo.text.sentences import split_sentences

SEVERAL = 3  # inputs that a warning describes; of the others it says how many they are
FOREIGN = 1 / 3  # of the letters of a line in a script from which on it is a line of that script
KNOWN = 0.01  # of the letters of a vocabulary in a script from which on it knows the script
CASED = 0.005  # of the entries with letters that have capitals from which on a vocabulary has them

JOINED = re.compile(r"\w{2,}[.,;:!?]+(?=\s|$)|[(\"„“«]\w")  # punctuation at a word
ENTITY = re.compile(r"&(?:#\d+|#x[0-9a-fA-F]+|[A-Za-z]{2,8});")
APART = re.compile(r"(?<=\w)\s[.,](?=\s|$)|@-@")  # punctuation with a space before it
PIECES = re.compile(r"@@(?=\s|$)|▁|</w>|(?:^|(?<=\s))##\w|Ġ")
MARKUP = re.compile(
    rf"</?[A-Za-z][^<>]*>|{ENTITY.pattern}|\x1b\[|\*\*\w|\[[^\]]+\]\(\w+:|\\[A-Za-z]+\{{|^\s*[\[{{]+\s*\"|\s-->\s"
)
COLUMNS = re.compile(r"\S\s*\t\s*\S+|\S+ \|\|\| \S+")
ESCAPED = re.compile(r"\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}|(?:%[0-9A-F]{2}){2}")


def script(letter: str) -> str:
    """As in "Cyrillic": the first word of the letter's name, which is that of its script."""
    return unicodedata.name(letter, "unnamed").split()[0].split("-")[0].capitalize().replace("Cjk", "Chinese")


def encoded_twice(line: str) -> bool:
    """Whether a line is UTF-8 that was read in an encoding of one byte a letter, as in "schÃ¶n"."""
    for encoding in ("cp1252", "latin-1"):
        try:
            return line.encode(encoding).decode() != line
        except UnicodeError:
            continue
    return False


def count_sentences(line: str, spaced: bool) -> int:
    """How many sentences an input holds; see :func:`zoo.text.sentences.split_sentences`."""
    return sum(map(len, split_sentences(line, spaced)))


class Forms:
    """Tells what one side of a model was not trained to read.

    Args:
        text: how lines become ids.
        sentences: whether an input is one sentence.
    """

    def __init__(self, text: Text, sentences: bool = True):
        self.text, self.sentences = text, sentences

    @cached_property
    def entries(self) -> list[str]:
        """The vocabulary without the marks of spaces and ends."""
        return [re.sub(r"▁|</w>$", "", entry) for entry in self.text.tokenizer.get_vocab() if entry[:1] != "<"]

    @cached_property
    def scripts(self) -> set[str]:
        """Those of the vocabulary's letters."""
        count = Counter(script(letter) for entry in self.entries for letter in entry if letter.isalpha())
        return {name for name, n in count.items() if n >= KNOWN * count.total()}

    @cached_property
    def small(self) -> bool:
        """Whether the vocabulary is of small letters, and its normaliser does not make them so."""
        written = [entry for entry in self.entries if entry.lower() != entry.upper()]
        capitals = sum(entry != entry.lower() for entry in written)
        return capitals < CASED * len(written) and not self.text.lowercases

    @cached_property
    def escaped(self) -> bool:
        """Whether the training text had entities for quotation marks, as Moses writes them."""
        return any("&quot;" in entry or "&apos;" in entry for entry in self.entries)

    @cached_property
    def spaced(self) -> bool:
        """Whether the training text was words with spaces between, punctuation among them."""
        if not self.text.splits_at_spaces or self.text.moses:
            return False
        joined = sum(bool(JOINED.search(entry)) for entry in self.entries) if self.text.of_words else 0
        return joined < CASED * len(self.entries)

    def seen(self, line: str, ids: Sequence[int]) -> list[str]:
        """A clause for everything about a line, which became these ids, that the network was not trained to read."""
        letters = [letter for letter in unicodedata.normalize("NFKC", line) if letter.isalpha()]
        capitals = sum(letter.isupper() for letter in letters)
        told = [*self._unknown(line, ids), *self._foreign(letters), *self._marked(line)]
        if self.small and capitals:
            told.append("it has capitals, and the vocabulary is of small letters")
        elif len(line.split()) > 2 and capitals == len(letters) > 9:
            told.append("it is nothing but capitals")
        if "\ufffd" in line or encoded_twice(line):
            told.append("its bytes were read in another encoding than they were written in")
        several = count_sentences(line, self.spaced) if self.sentences else 1
        if several > 1:
            told.append(
                f"it has {several} sentences or lines, of which some may be left out; split=True translates each"
            )
        return told

    def _unknown(self, line: str, ids: Sequence[int]) -> list[str]:
        """The characters that the vocabulary lacks; of whole words a vocabulary lacks many, and they are no news."""
        unknown = list(dict.fromkeys(self.text.unknown(line, ids)))
        if self.small:
            unknown = [word for word in unknown if word == word.lower()]
        if self.text.knows_nothing(ids):
            return ["no word of it is known"]
        if not unknown or self.text.of_words:
            return []
        shown = ", ".join(repr(word) for word in unknown[:5]) + (", ..." if len(unknown) > 5 else "")
        return [f"the vocabulary lacks {shown}"]

    def _foreign(self, letters: Sequence[str]) -> list[str]:
        """Scripts of a good part of the letters that the vocabulary has not."""
        known = " and ".join(sorted(self.scripts))
        return [
            f"it has {name} letters, and the vocabulary is of {known} ones"
            for name, n in Counter(map(script, letters)).items()
            if n >= max(2, FOREIGN * len(letters)) and name not in self.scripts
        ]

    def _marked(self, line: str) -> list[str]:
        """What stands in a line beside its words."""
        words = ENTITY.sub(" ", line)
        forms = {
            "pieces of another vocabulary": PIECES.search(line),
            "markup": MARKUP.search(line if not self.escaped else words),
            "escaped characters": ESCAPED.search(line),
            "columns": self.sentences and COLUMNS.search(line),
            "punctuation at words, which the training text had apart": self.spaced and JOINED.search(words),
            "punctuation apart, which the training text had at words": not self.text.splits_at_spaces
            and APART.search(line),
        }
        return [f"it has {form} ({found[0].strip()!r})" for form, found in forms.items() if found]


def tell(names: Sequence[str], seen: Sequence[Sequence[str]], stacklevel: int) -> None:
    """One warning for all inputs, by their names, of which there is something to tell."""
    found = [f"{name}: {'; '.join(clauses)}" for name, clauses in zip(names, seen, strict=True) if clauses]
    if found:
        rest = f" | and {len(found) - SEVERAL} more inputs of another form" if len(found) > SEVERAL else ""
        warnings.warn(" | ".join(found[:SEVERAL]) + rest, stacklevel=stacklevel + 1)
