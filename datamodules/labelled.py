"""Texts with a label: Debian's packages and their sections, sentences of reviews and of the sentiment treebank, stories
whose question a place answers, reviews from a folder, or a data set of the Hub."""

import hashlib
from collections import Counter
from functools import cache
from pathlib import Path
from typing import NamedTuple

from datamodules import debian
from datamodules.files import DataError, read_file
from datamodules.reviews import read_reviews, shared_out
from datamodules.sentiment import read_treebank
from datamodules.stories import PLACES, stories

LEAST = 100  # training packages of a section; the packages of smaller sections are left out of every split
VALIDATION = 20  # percent of the training texts, where the data set has no validation split
UNLABELLED = "unsup"  # a folder of IMDb's that is not a class
STORIES = {"test": 1000, "val": 1000, "train": 10_000}


class Labelled(NamedTuple):
    """Texts, the number of the class of each, and the names of all classes."""

    texts: list[str]
    labels: list[int]
    classes: list[str]


def described(text: debian.Text) -> str:
    """A description as one string: synopsis and paragraphs, a line each."""
    return "\n".join([text.synopsis, *text.paragraphs])


@cache
def sections(root: str | Path | None) -> dict[str, Labelled]:
    """Every split of the English descriptions with the section of their package; see LEAST."""
    found = {split: [] for split in debian.SPLITS}
    for record in debian.read_debian(root):
        found[debian.split_of(record.source)].append((described(record.en), record.section))
    count = Counter(section for _, section in found["train"])
    classes = sorted(section for section in count if count[section] >= LEAST)
    if not classes:
        raise DataError(f"{root}: no section has {LEAST} packages")
    number = {name: i for i, name in enumerate(classes)}
    kept = {split: [(text, number[name]) for text, name in rows if name in number] for split, rows in found.items()}
    return {
        split: Labelled([text for text, _ in rows], [label for _, label in rows], classes)
        for split, rows in kept.items()
    }


def share(name: str) -> tuple[bool, str]:
    """Whether a training text of that name is for validation, and what it is sorted by: both from a hash of it."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    return int(digest[:8], 16) % 100 < VALIDATION, digest


@cache
def sentences(root: str | Path | None) -> dict[str, Labelled]:
    """Every split of the sentences of reviews that :mod:`datamodules.reviews` reads, words between spaces.

    Validation sentences are VALIDATION percent of the training sentences, by a hash of them.
    """
    if root is None:
        raise DataError(
            "say where the reviews are: data.root=<vaderSentiment-3.3.2.tar.gz>, which "
            "pip download --no-deps --no-binary :all: vaderSentiment==3.3.2 brings"
        )
    found = {split: Labelled([], [], ["negative", "positive"]) for split in ("train", "val", "test")}
    for side, (rows, labels) in shared_out(*read_reviews(root)).items():
        for text, label in zip(map(" ".join, rows), labels, strict=True):
            split = found["val" if side == "train" and share(text)[0] else side]
            split.texts.append(text), split.labels.append(label)
    return found


@cache
def answered_stories(task: int) -> dict[str, Labelled]:
    """Stories of a task of :mod:`datamodules.stories`, the question after the story; the class is the place.

    The question is read without its blank, which is its last word.
    """
    return {
        split: Labelled(
            [" ".join([*each.document, *each.question[:-1]]) for each in asked],
            [PLACES.index(each.answer) for each in asked],
            list(PLACES),
        )
        for split, asked in stories(task, STORIES).items()
    }


def read_folder(root: str | Path | None, split: str) -> Labelled:
    """IMDb's format: <root>/train/<class>/*.txt and <root>/test/<class>/*.txt, a text each; `unsup` is left out.

    Validation texts are VALIDATION percent of the training texts. Texts are in the order of a hash of their names, so
    that the classes are mixed.
    """
    if root is None:
        raise DataError("say where the texts are: data.root=<folder with train/pos, train/neg, test/pos, test/neg>")
    folder = Path(root) / ("test" if split == "test" else "train")
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder")
    classes = sorted(path.name for path in folder.iterdir() if path.is_dir() and path.name != UNLABELLED)
    if len(classes) < 2:
        raise DataError(f"{folder}: expected a folder for each of at least two classes, as pos and neg")
    rows = []
    for label, name in enumerate(classes):
        for path in (folder / name).glob("*.txt"):
            validation, digest = share(f"{name}/{path.name}")
            if split == "test" or validation == (split == "val"):
                rows.append((digest, label, path))
    if not rows:
        raise DataError(f"{folder}: there are no texts for {split}; expected <class>/*.txt")
    rows.sort()
    return Labelled([_text(path) for _, _, path in rows], [label for _, label, _ in rows], classes)


def _text(path: Path) -> str:
    try:
        return read_file(path).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{path}: not UTF-8") from None


def read_hub(name: str, subset: str | None, split: str) -> Labelled:
    """A Hugging Face data set with columns `text` and `label`, as stanfordnlp/imdb has them.

    Validation texts are VALIDATION percent of its training texts, by a hash of their positions.
    """
    try:
        from datasets import load_dataset
    except ImportError:
        raise DataError(f"{name}: pip install datasets, or data.corpus=files data.root=<folder>") from None
    try:
        rows = load_dataset(name, subset, split="test" if split == "test" else "train")
        texts, labels = list(rows["text"]), [int(label) for label in rows["label"]]
        classes = getattr(rows.features["label"], "names", None) or [str(i) for i in range(max(labels) + 1)]
    except Exception as error:  # no network, no such set, no such column: one sentence for all
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(f"{name}: the Hub did not give it ({reason}); data.corpus=files reads local files") from None
    order = sorted((share(str(i))[1], i) for i in range(len(texts)))
    kept = [i for _, i in order if split == "test" or share(str(i))[0] == (split == "val")]
    return Labelled([texts[i] for i in kept], [labels[i] for i in kept], list(classes))


def read_labelled(corpus: str, split: str, root: str | Path | None, subset: str | None) -> Labelled:
    """A split of a corpus.

    Args:
        corpus: "debian", "reviews", "stories", "treebank", "files", or the name of a Hugging Face data set.
        split: train, val or test.
        subset: of a Hugging Face data set; of stories the task, "1" if it is not said.
    """
    if corpus == "debian":
        return sections(root)[split]
    if corpus == "reviews":
        return sentences(root)[split]
    if corpus == "stories":
        if subset not in (None, "1", "2", "3"):
            raise DataError(f"subset is {subset!r}; expected the task of the stories, '1', '2' or '3'")
        return answered_stories(int(subset or 1))[split]
    if corpus == "treebank":
        return Labelled(*read_treebank(root, split), ["negative", "positive"])
    return read_folder(root, split) if corpus == "files" else read_hub(corpus, subset, split)
