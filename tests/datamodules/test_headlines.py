"""First sentences and titles: readers, words, filters, splits, batches."""

import gzip

import pytest

from datamodules.files import DataError
from datamodules.filters import sift
from datamodules.headlines import Headlines
from datamodules.reordering import Reordering
from datamodules.summaries import Pair, file_pairs, line_steps, text_steps, title_files, words_of

NOUNS = ("library", "game", "editor", "parser", "shell", "viewer", "server")


def write_files(folder) -> None:
    """Pairs in the layout in which Gigaword goes round; test has a word that training lacks."""
    for split, count in (("train", 20), ("val", 9), ("test", 9)):
        articles, titles = [], []
        for i in range(count):
            noun, other = NOUNS[i % 7], NOUNS[(3 * i + 1) % 7]
            extra = " zyx" if split == "test" else " once" if i == 4 else ""
            articles.append(f"this is a {noun}{extra} for every {other} in version {i} .")
            mark = "attention " if i == 6 else ""
            titles.append(f"{mark}{noun} for {other}{extra} {'x ' * (i % 3)}version {i}")
        (folder / f"{split}.article.txt").write_text("\n".join(articles) + "\n")
        (folder / f"{split}.title.txt").write_text("\n".join(titles) + "\n")


def test_text_becomes_words():
    said = "C++20 and GTK+ 3.0: an object-oriented libfoo-2.1 (e.g. “x”)."
    assert words_of(said, text_steps()) == [
        *(
            "c++##",
            "and",
            "gtk+",
            "#.#",
            ":",
            "an",
            "object-oriented",
            "libfoo-#.#",
            "(",
            "e.g",
            ".",
            "“",
            "x",
            "”",
            ")",
            ".",
        )
    ]
    assert words_of("US-led 12 <unk> 's", line_steps()) == ["us-led", "##", "<unk>", "'s"]


def test_debian_s_pairs_are_disjoint_in_sentences_and_source_packages():
    data = Headlines("debian", filters=["paper", "short"])
    report = data.report()
    assert report["pairs"] == {"train": 31015, "val": 1623, "test": 1632}
    assert report["test sentences in training"] == 0 and report["test titles in training"] == 7
    assert sum(report["dropped"]["test"].values()) == 198
    articles = [pair.article for split in ("train", "val", "test") for pair in data.pairs(split)]
    assert len(articles) == len(set(articles))


def test_files_of_gigaword_and_of_duc_are_read_packed_or_not(tmp_path):
    (tmp_path / "input.txt").write_text("UNK said 12 things .\nno title here\n")
    with gzip.open(tmp_path / "task1_ref0.txt.gz", "wt") as file:
        file.write("He said\nb\n")
    (tmp_path / "task1_ref1.txt").write_text("says 5\n\n")
    assert [path.name for path in title_files(tmp_path / "input.txt")] == ["task1_ref0.txt", "task1_ref1.txt"]
    assert list(file_pairs(tmp_path / "input.txt")) == [
        Pair("<unk> said ## things .", ("he said", "says #")),
        Pair("no title here", ("b", "")),
    ]
    (tmp_path / "task1_ref1.txt").write_text("one line\n")
    with pytest.raises(DataError, match=r"task1_ref1.txt: has 1 lines, and input.txt has 2"):
        list(file_pairs(tmp_path / "input.txt"))
    (tmp_path / "train.article.txt.gz").write_bytes(b"\x1f\x8bnot gzip")
    with pytest.raises(DataError, match=r"train.article.txt: truncated or altered"):
        list(file_pairs(tmp_path / "train.article.txt"))
    with pytest.raises(DataError, match=r"nowhere.article.txt: cannot be read"):
        list(file_pairs(tmp_path / "nowhere.article.txt"))


PAIRS = {
    "stays": ("a small fast library for reading many kinds of files .", "library for reading files"),
    "no shared word": ("a small fast library for reading many kinds of files .", "a game for you"),
    "marks": ("an attention to the library of many more small files here .", "attention library of files"),
    "question or colon": ("a small fast library for reading many kinds of files .", "library : for reading files"),
    "short": ("a small library .", "library for reading files"),
    "empty": ("", "library"),
}


@pytest.mark.parametrize("reason", PAIRS)
def test_the_paper_s_filters(reason):
    article, title = PAIRS[reason]
    kept, dropped = sift([Pair(article, (title,))], ["paper", "short"])
    assert [reason for reason, count in dropped.items() if count] == ([] if reason == "stays" else [reason])
    assert bool(kept) == (reason == "stays")


@pytest.mark.parametrize(
    ("reason", "article", "title"),
    [
        ("no full stop", "a small fast library for reading many kinds of files today", "library for reading files"),
        ("marks", "a small fast library for reading many kinds of files today .", "library updates for files"),
        ("marks", "a small fast library for reading many kinds of files today .", "library - reading files now"),
        ("lengths", "a small fast library for reading files .", "library for reading files"),
        ("no shared long word", "a small fast big for reading many kinds of cat things .", "a big cat for you"),
    ],
)
def test_the_release_s_filters(reason, article, title):
    _, dropped = sift([Pair(article, (title,))], ["release"])
    assert dropped[reason] == 1


def test_batches_say_what_copies_are(tmp_path):
    write_files(tmp_path)
    names = {split: f"{split}.article.txt" for split in ("train", "val", "test")}
    data = Headlines("files", str(tmp_path), **names, source_count=1, title_count=2)
    batch = next(iter(data.test_dataloader()))
    size, known = data.spec["target_vocabulary"], data.tokenizers["target"].get_vocab()
    for row, index in enumerate(batch["index"].tolist()):
        article = data.articles("test", [index])[0]
        for place, word in enumerate(article):
            expected = 0 if word == "." else known.get(word, size + article.index(word))
            assert batch["copy"][row, place] == expected
        assert not batch["copy"][row, len(article) :].any()
    assert batch["tokens"] == (batch["target"][:, 1:] != 0).sum()
    assert "zyx" not in known and "in" not in known and "version" in known
    tuned = Headlines("files", str(tmp_path), **names, source_count=1, title_count=2, learn="val")
    assert tuned.spec == data.spec and len(tuned.learned()) == 9
    tuned.learn_pairs = 4
    assert [pair.article for pair in tuned.learned().pairs] == [pair.article for pair in data.pairs("val")[:4]]


def test_what_data_cannot_be_is_told(tmp_path):
    write_files(tmp_path)
    for arguments, told in (
        ({"corpus": "gigaword"}, "corpus is 'gigaword'"),
        ({"corpus": "files"}, "root does not say"),
        ({"learn": "test"}, "learn is 'test'"),
        ({"title_count": 0}, "title_count is 0"),
        ({"limit": -1}, "limit is -1"),
    ):
        with pytest.raises(DataError, match=told):
            Headlines(**arguments)
    with pytest.raises(DataError, match="filters has 'papers'"):
        Headlines(filters=["papers"]).pairs("val")
    with pytest.raises(DataError, match="clauses of 5 to 3 words"):
        Reordering(shortest=5, longest=3)
