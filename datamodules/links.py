"""Links between the words of a sentence and of its translation: both directions made one, files, affiliation."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from datamodules.files import EMBEDDED, DataError, read_checked
from datamodules.parallel import read_lines

Links = set[tuple[int, int]]  # (source, target) positions, from 0

NEIGHBOURS = ((-1, 0), (0, -1), (1, 0), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1))
SYMMETRIES = ("source", "target", "intersection", "union", "grow-diag", "grow-diag-final", "grow-diag-final-and")


class Gold(NamedTuple):
    """A pair whose links were made by hand."""

    source: list[str]
    target: list[str]
    sure: Links
    possible: Links  # the sure ones among them


def read_gold(root: str | Path | None = None) -> list[Gold]:
    """Some test pairs of the Debian corpus, German and English words, with links.

    Args:
        root: folder with debian_de_en.txt and SHA256SUMS; None for the one that ships here.
    """
    path = Path(root or EMBEDDED / "alignments") / "debian_de_en.txt"
    made = []
    for line in read_checked(path).decode().splitlines():
        source, target, links = (part.split() for part in line.split(" ||| "))
        pairs = [(tuple(int(place) for place in link.replace("p", "-").split("-")), "p" in link) for link in links]
        possible = {link for link, _ in pairs}
        made.append(Gold(source, target, {link for link, maybe in pairs if not maybe}, possible))
    return made


def best(posterior: Tensor) -> Links:
    """The likeliest source word of each target word, none where the empty word is likelier.

    Args:
        posterior: (T, S + 1), the empty word last.
    """
    width = posterior.shape[1] - 1
    return {(j, i) for i, j in enumerate(posterior.argmax(1).tolist()) if j < width} if len(posterior) else set()


def symmetrise(forward: Links, backward: Links, how: str = "grow-diag-final-and") -> Links:
    """One set of links from those of two directions (Koehn, Och and Marcu 2003; Och and Ney 2003).

    Args:
        forward: at most one source word for each target word.
        backward: at most one target word for each source word, as (source, target) too.
        how: "source" is `forward` alone, "target" `backward`. "grow-diag" begins with the links of both and adds
            neighbours, diagonal ones too, that one direction has and of which a word is without a link; "final" adds
            what else either direction has for a word without a link, "final-and" only where both words are without.

    Raises:
        DataError: no such way.
    """
    if how not in SYMMETRIES:
        raise DataError(f"symmetry is {how!r}, not one of {', '.join(SYMMETRIES)}")
    simple = {"source": forward, "target": backward, "intersection": forward & backward, "union": forward | backward}
    if how in simple:
        return set(simple[how])
    links, union = set(forward & backward), forward | backward
    sources, targets = {s for s, _ in links}, {t for _, t in links}

    def add(link: tuple[int, int]) -> None:
        links.add(link), sources.add(link[0]), targets.add(link[1])

    grown = True
    while grown:
        grown = False
        for s, t in sorted(links, key=lambda link: link[::-1]):
            for right, down in NEIGHBOURS:
                new = (s + right, t + down)
                if new in union and new not in links and (new[0] not in sources or new[1] not in targets):
                    add(new)
                    grown = True
    if how != "grow-diag":
        both = how.endswith("and")
        for direction in (forward, backward):
            for s, t in sorted(direction, key=lambda link: link[::-1]):
                free = (s not in sources, t not in targets)
                if all(free) if both else any(free):
                    add((s, t))
    return links


def affiliated(links: Links, source: int, target: int) -> list[int]:
    """The one source word of each target word (Devlin et al. 2014, section 2.1).

    Of several linked words it is the middle one, the left of two; a word without a link takes that of the nearest word
    that has one, the right of two equally near. Without any link, words are affiliated in the order of the sentences.

    Args:
        source, target: numbers of words; the source has at least one.
    """
    linked: dict[int, list[int]] = {}
    for s, t in sorted(links):
        linked.setdefault(t, []).append(s)
    own = {t: found[(len(found) - 1) // 2] for t, found in linked.items()}
    if not own:
        return [min(t, source - 1) for t in range(target)]
    return [own[min(own, key=lambda other: (abs(other - t), -other))] for t in range(target)]


def read_links(path: Path, lengths: Sequence[tuple[int, int]]) -> list[Links]:
    """A file in Pharaoh's form, a line for each pair, such as ``0-0 1-2``, counted from 0.

    Args:
        lengths: words of the two sides of each pair.

    Raises:
        DataError: another number of lines, what is no link, or a link to a word that the pair has not.
    """
    lines = read_lines(path)
    if len(lines) != len(lengths):
        raise DataError(f"{path}: {len(lines)} lines for {len(lengths)} pairs")
    corpus = []
    for number, (line, (source, target)) in enumerate(zip(lines, lengths, strict=True), 1):
        found: Links = set()
        for word in line.split():
            s, dash, t = word.partition("-")
            if not (dash and s.isdecimal() and t.isdecimal()):
                raise DataError(f"{path}, line {number}: {word!r} is no link, such as 0-2")
            if int(s) >= source or int(t) >= target:
                raise DataError(f"{path}, line {number}: {word} is beyond the {source} and {target} words of the pair")
            found.add((int(s), int(t)))
        corpus.append(found)
    return corpus


def pharaoh(corpus: Iterable[Links]) -> str:
    """The text of such a file."""
    return "".join(" ".join(f"{s}-{t}" for s, t in sorted(links)) + "\n" for links in corpus)


def read_heads(path: Path, lengths: Sequence[int]) -> list[list[int]]:
    """The head of each word, from 0, -1 for the root, from a file in CoNLL's form.

    A line is a word: its number from 1 stands in the first column, its head in the seventh of ten (CoNLL-X, CoNLL-U) or
    in the last but one of fewer; an empty line ends a sentence. Comments, and words of several numbers, are passed by.

    Args:
        lengths: words of each sentence.

    Raises:
        DataError: another number of sentences or words, or a head that is no word of the sentence.
    """
    sentences: list[list[int]] = [[]]
    for number, line in enumerate([*read_lines(path), ""], 1):
        columns = line.split("\t") if "\t" in line else line.split()
        if not columns:
            if sentences[-1]:
                sentences.append([])
        elif columns[0].isdecimal():
            head = columns[6] if len(columns) >= 8 else columns[-2] if len(columns) > 2 else ""
            if not head.isdecimal():
                raise DataError(f"{path}, line {number}: {head!r} is no number of a head")
            sentences[-1].append(int(head) - 1)
    sentences = [sentence for sentence in sentences if sentence]
    if [len(sentence) for sentence in sentences] != list(lengths):
        raise DataError(f"{path}: its sentences and words are not those of the source ({len(sentences)} sentences)")
    for number, sentence in enumerate(sentences, 1):
        if max(sentence) >= len(sentence):
            raise DataError(f"{path}: a head of sentence {number} lies beyond its {len(sentence)} words")
    return sentences
