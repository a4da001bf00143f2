"""Pairs with word alignments: what a batch holds, and files that do not fit."""

import pytest
import torch

from datamodules.files import DataError
from datamodules.next_words import NextWords

GERMAN = ["das haus", "das alte haus ist alt", "haus", "ein sehr langer satz mit vielen worten", ""]
ENGLISH = ["the house", "the old house is old", "house", "a very long sentence of many words", "nothing"]


@pytest.fixture
def folder(tmp_path):
    for split in ("train", "val", "test"):
        (tmp_path / f"{split}.de").write_text("\n".join(GERMAN) + "\n")
        (tmp_path / f"{split}.en").write_text("\n".join(ENGLISH) + "\n")
        links = ["0-0 1-1", "0-0 1-1 2-2 4-4", "0-0", "0-0", ""]
        (tmp_path / f"{split}.align").write_text("\n".join(links) + "\n")
        heads = [[2, 0], [3, 3, 4, 0, 4], [0], [0, 1, 1, 1, 1, 1, 1]]
        blocks = ["".join(f"{i} w {head} x\n" for i, head in enumerate(rows, 1)) for rows in heads]
        (tmp_path / f"{split}.conll").write_text("\n".join(blocks))
    return tmp_path


def made(folder, **options) -> NextWords:
    given = {"corpus": "files", "root": str(folder), "longest": 6, "moses": False, "pretokenised": True} | options
    return NextWords(vocabulary=30, eval_batch_size=4, **given)


def test_a_batch_with_links_of_a_file(folder):
    data = made(folder, alignments=str(folder))
    split = data.split("test")
    assert [pair[0] for pair in split.pairs] == GERMAN[:3]  # without the long and the empty one
    batch = next(iter(data.test_dataloader()))
    assert batch["index"].tolist() == [2, 0, 1]
    for row, expected in enumerate(
        ({(0, 0), (1, 1)}, {(0, 0), (1, 1), (2, 2)}, {(0, 0), (1, 1), (2, 2), (4, 4), (5, 5)})
    ):  # the ends of both sides are linked
        assert {tuple(link) for link in batch["links"][row].nonzero().tolist()} == expected
    assert batch["center"].tolist() == [[0, 1, 0, 0, 0, 0], [0, 1, 2, 0, 0, 0], [0, 1, 2, 4, 4, 5]]
    told = batch["tags"][2].nonzero().tolist()
    assert told == [[0, 0], [1, 1], [2, 2], [3, 4], [4, 4], [5, 5]]  # "is" has no link and takes that of the right
    assert "head" not in batch and batch["links"].shape == (3, 6, 6)
    assert batch["tokens"] == 11 and batch["target"].shape == (3, 7)


def test_heads_are_places_in_the_source(folder):
    data = made(folder, alignments=str(folder), heads=str(folder))
    with pytest.raises(DataError, match="its sentences and words are not those"):
        data.split("test")  # an empty line has no sentence in the file
    for split in ("train", "val", "test"):
        (folder / f"{split}.de").write_text("\n".join(GERMAN[:4]) + "\n")
        (folder / f"{split}.en").write_text("\n".join(ENGLISH[:4]) + "\n")
        (folder / f"{split}.align").write_text("0-0\n" * 4)
    batch = next(iter(made(folder, alignments=str(folder), heads=str(folder)).test_dataloader()))
    assert batch["head"].tolist() == [[-1, -1, -1, -1, -1, -1], [1, -1, -1, -1, -1, -1], [2, 2, 3, -1, 3, -1]]


def test_an_aligner_is_learned_from_the_training_text_alone(folder):
    (folder / "test.de").write_text("haus das\n")
    (folder / "test.en").write_text("house the\n")
    data = made(folder)
    batch = data.split("test")[next(iter(data.test_dataloader().sampler))]
    assert batch["links"][0].nonzero().tolist() == [[0, 0], [1, 1], [2, 2]]
    for options in ({"aligner": "ibm1"}, {"symmetry": "intersection"}, {"aligner": "ibm2", "iterations": 2}):
        other = made(folder, **options).split("test")
        assert other.links[0].max() == 8


def test_what_is_expected_before_a_word_does_not_know_it(folder):
    """The affiliation of a word stays the same, whatever the word is."""
    centers = []
    for last in (" the", " house", ""):
        (folder / "test.de").write_text("haus das alte\n")
        (folder / "test.en").write_text(f"house old{last}\n")
        data = made(folder, affiliation="expected")
        batch = data.split("test")[next(iter(data.test_dataloader().sampler))]
        centers.append(batch["center"][0].tolist())
        assert torch.equal(batch["tags"], torch.nn.functional.one_hot(batch["center"], 4).bool())
    assert centers[0][:3] == centers[1][:3] == centers[2]  # whether it is a word or the end, nobody knows before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"aligner": "giza"}, "aligner is 'giza', not one of"),
        ({"symmetry": "final"}, "symmetry is 'final'"),
        ({"affiliation": "none"}, "affiliation is 'none'"),
        ({"affiliation": "expected", "alignments": "x"}, "alignments=null"),
        ({"affiliation": "expected", "aligner": "ibm2"}, "without the whole target"),
        ({"longest": 0}, "longest is 0"),
        ({"iterations": 0}, "iterations is 0"),
    ],
)
def test_choices_that_there_are_not(folder, options, said):
    with pytest.raises(DataError, match=said):
        made(folder, **options)


def test_files_that_do_not_fit_are_said(folder):
    with pytest.raises(DataError, match="no pair of at most 1 words"):
        (folder / "val.de").write_text("das haus\n" * 5)
        made(folder, longest=1, alignments=str(folder)).split("val")
    (folder / "test.align").write_text("0-0\n")
    with pytest.raises(DataError, match=r"test\.align: 1 lines for 5 pairs"):
        made(folder, alignments=str(folder)).split("test")
    (folder / "test.align").write_text("0-0\n0-0\n0-7\n\n\n")
    with pytest.raises(DataError, match=r"line 3: 0-7 is beyond the 1 and 1 words"):
        made(folder, alignments=str(folder)).split("test")
