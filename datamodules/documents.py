"""Plain text as documents of words: descriptions of Debian's packages, local files, or a data set of the Hub."""

import hashlib
import re
from functools import cache
from pathlib import Path

from datamodules import debian
from datamodules.files import DataError, read_file

TOKEN = re.compile(r"\w+(?:[-'’._]\w+)*(?:\+\+)?|[^\w\s]")  # a word, with what joins its parts, or any other sign
CORPORA = ("debian", "files", "lines")

Documents = dict[str, list[list[str]]]  # split -> documents, of words


def tokenise(text: str, lowercase: bool = False) -> list[str]:
    """The words of a text; every sign that joins no words is one of its own."""
    return TOKEN.findall(text.lower() if lowercase else text)


def read_documents(corpus: str, root: str | None, subset: str | None, lowercase: bool) -> Documents:
    """The documents of each split.

    Args:
        corpus: "debian", which ships with the zoo; "files", a text file, or a folder whose ``*.txt`` are documents;
            "lines", a text file with a document in each line, its words between spaces, as the word2vec tools read it;
            or the name of a Hugging Face data set with a column ``text``.
        root: the file or folder.
        subset: of a Hugging Face data set.
        lowercase: whether text is lower-cased.

    Raises:
        DataError: files that are missing, not UTF-8 or empty; one sentence.
    """
    if corpus not in ("debian", "files", "lines") and "/" not in corpus:
        raise DataError(
            f"corpus is {corpus!r}, not one of {', '.join(CORPORA)}, or owner/name of a data set of the Hub"
        )
    if corpus == "debian":
        return _debian(root, lowercase)
    if corpus in ("files", "lines"):
        if root is None:
            raise DataError("say where the text is: data.root=<a text file, or a folder with *.txt>")
        return _files(root, corpus == "lines", lowercase)
    return _shared_out(_hub(corpus, subset), lowercase)


@cache
def _debian(root: str | None, lowercase: bool) -> Documents:
    """A description is a document; a paragraph that stood in an earlier one of its split is left out."""
    found: Documents = {split: [] for split in debian.SPLITS}
    seen: dict[str, set[str]] = {split: set() for split in debian.SPLITS}
    for record in debian.read_debian(root):
        split = debian.split_of(record.source)
        new = [part for part in (record.en.synopsis, *record.en.paragraphs) if part not in seen[split]]
        seen[split].update(new)
        found[split].append([word for part in new for word in tokenise(part, lowercase)])
    return {split: [words for words in documents if words] for split, documents in found.items()}


@cache
def _files(root: str, lines: bool, lowercase: bool) -> Documents:
    path = Path(root)
    files = sorted(path.glob("*.txt")) if path.is_dir() else [path]
    if not files:
        raise DataError(f"{path}: there is no *.txt in this folder")
    texts = []
    for file in files:
        try:
            text = read_file(file).decode("utf-8-sig")
        except UnicodeDecodeError:
            raise DataError(f"{file}: not UTF-8") from None
        texts += text.splitlines() if lines or not path.is_dir() else [text]
    return _shared_out(texts, lowercase, at_spaces=lines)


@cache
def _hub(name: str, subset: str | None) -> list[str]:
    try:
        from datasets import load_dataset
    except ImportError:
        raise DataError(f"{name}: pip install datasets, or data.corpus=files data.root=<file>") from None
    try:
        return list(load_dataset(name, subset, split="train")["text"])
    except Exception as error:  # no network, no such set, no such column: one sentence for all
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(f"{name}: the Hub did not give it ({reason}); data.corpus=files reads local files") from None


def _shared_out(texts: list[str], lowercase: bool, at_spaces: bool = False) -> Documents:
    """Texts to splits, 90, 5 and 5 percent of them by a hash of the text; a split that gets none has all of them."""
    found: Documents = {split: [] for split in debian.SPLITS}
    for text in texts:
        words = (text.lower() if lowercase else text).split() if at_spaces else tokenise(text, lowercase)
        if words:
            number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) % 100
            found["test" if number < 5 else "val" if number < 10 else "train"].append(words)
    if not any(found.values()):
        raise DataError("there is no word in the text")
    everything = [document for split in debian.SPLITS for document in found[split]]
    return {split: documents or everything for split, documents in found.items()}
