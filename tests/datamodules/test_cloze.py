"""Cloze questions: the published format, Debian's, stories, and the permutation of markers."""

import random
from collections import Counter

import numpy as np
import pytest
import torch

from datamodules import debian_cloze
from datamodules.cloze import FIRST, Cloze, permutation
from datamodules.debian_cloze import ask, find_names, tokens
from datamodules.files import DataError
from datamodules.questions import FOLDERS, Fault, Question, parse_question, read_questions, statistics
from datamodules.stories import LENGTHS, PLACES, THINGS, stories

FILE = """http://web.archive.org/a

@entity3 met @entity1 in @entity7 . @entity1 left

@placeholder met @entity1

@entity3

@entity1:Ann: the first
@entity3:Bob
@entity7:Paris
"""


def write_questions(folder, count=12):
    """Some files in the published form."""
    draw = random.Random(0)
    for name in FOLDERS.values():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            who = [f"@entity{n}" for n in draw.sample(range(100), 4)]
            words = " ".join(f"{one} w{draw.randrange(9)} ." for one in who * draw.randrange(1, 3))
            lines = "\n".join(f"{one}:Name {one[7:]}" for one in who)
            text = f"http://x/{i}\n\n{words}\n\n@placeholder w1 {who[1]}\n\n{who[i % 4]}\n\n{lines}\n"
            (folder / name / f"{i:040x}.question").write_text(text)


def test_a_file_is_read_as_published():
    found = parse_question(FILE, "x")
    assert found.document == ["@entity3", "met", "@entity1", "in", "@entity7", ".", "@entity1", "left"]
    assert found.question == ["@placeholder", "met", "@entity1"] and found.answer == "@entity3"
    assert found.candidates == ["@entity3", "@entity1", "@entity7"]
    assert found.names == {"@entity1": "Ann: the first", "@entity3": "Bob", "@entity7": "Paris"}


@pytest.mark.parametrize(
    "old, new, told",
    [
        ("\n\n@entity3\n\n", "\n\n@entity9\n\n", "its answer @entity9 is not in the document"),
        ("@placeholder", "somebody", "has 0 @placeholder"),
        ("met @entity1\n\n@", "met @placeholder\n\n@", "has 2 @placeholder"),
        ("@entity3 met @entity1 in @entity7 . @entity1 left", "nobody", "its document has no entity"),
        ("\n\n@entity3\n\n", "\n\n", "its answer is 3 lines"),
        ("@entity7:Paris", "Paris", "names no entity"),
        ("http://web.archive.org/a\n\n", "", "its answer is 3 lines"),
        ("\n\n@placeholder", "\nmore\n\n@placeholder", "its document is 2 lines"),
    ],
)
def test_what_is_no_question_is_told_with_its_file(old, new, told, tmp_path):
    write_questions(tmp_path)
    bad = tmp_path / "training" / "bad.question"
    bad.write_text(FILE.replace(old, new, 1))
    with pytest.raises(DataError, match="bad.question".replace(".", r"\.")) as error:
        list(Cloze("files", str(tmp_path)).questions("train"))
    assert told in str(error.value)
    with pytest.warns(UserWarning, match=r"1 files of the train split are left out.*bad.question"):
        kept = list(Cloze("files", str(tmp_path), drop=True).questions("train"))
    assert len(kept) == 12


def test_files_that_are_no_text_or_not_there(tmp_path):
    with pytest.raises(DataError, match=r"no \.question file"):
        list(read_questions(tmp_path, "train"))
    write_questions(tmp_path)
    (tmp_path / "training" / "a.question").write_bytes(b"\xff")
    assert any(isinstance(each, Fault) and "not UTF-8" in str(each) for each in read_questions(tmp_path, "train"))


def test_more_entities_than_markers_are_refused(tmp_path):
    write_questions(tmp_path)
    with pytest.raises(DataError, match=r"\.question: has 4 entities, and there are 3 markers"):
        Cloze("files", str(tmp_path), markers=3).split("train")


def test_long_documents_are_left_out(tmp_path):
    write_questions(tmp_path)
    assert {len(q.document) for q in Cloze("files", str(tmp_path)).questions("train")} == {12, 24}
    assert {len(q.document) for q in Cloze("files", str(tmp_path), max_tokens=12).questions("train")} == {12}
    with pytest.raises(DataError, match="at most 3 tokens"):
        list(Cloze("files", str(tmp_path), max_tokens=3).questions("train"))


def test_statistics_are_those_of_a_count():
    asked = [
        Question(
            ["@entity0", "a", "@entity1", "@entity1"],
            ["@placeholder"],
            "@entity1",
            ["@entity0", "@entity1"],
            {"@entity0": "", "@entity1": ""},
            "x",
        ),
        Question(
            ["@entity0", "a", "@entity1", "@entity1"],
            ["@placeholder"],
            "@entity0",
            ["@entity0", "@entity1"],
            {"@entity0": "", "@entity1": ""},
            "x",
        ),
        Question(["b", "@entity0"], ["is", "@placeholder"], "@entity0", ["@entity0"], {"@entity0": ""}, "y"),
    ]
    found = statistics(asked)
    assert (found["documents"], found["questions"], found["most candidates"]) == (2, 3, 2)
    assert found["candidates"] == round(5 / 3, 2) and found["tokens"] == round(10 / 3, 1)
    assert found["vocabulary"] == 4  # a, b, is and the placeholder
    assert found["top 1"] == round(200 / 3, 1) and found["top 2"] == found["top 10"] == 100


def read_back(data, batch, row, split, index):
    """A row of a batch must be its question with some renaming of the entities."""
    asked = list(data.questions(split))[index]
    seen: dict[str, int] = {}
    ids = data.tokenizer.get_vocab()
    for side in ("document", "question"):
        found = [i for i in batch[side][row].tolist() if i]
        for word, i in zip(getattr(asked, side), found, strict=True):
            if word in asked.names:
                assert seen.setdefault(word, i) == i and FIRST <= i < FIRST + data.markers
            else:
                assert i == ids.get(word, 3)
    assert len(set(seen.values())) == len(seen)
    assert batch["answer"][row] == seen[asked.answer]
    assert [i for i in batch["candidates"][row].tolist() if i] == [seen[word] for word in asked.candidates]
    return seen


def test_markers_are_drawn_anew_and_are_a_function_of_seed_epoch_and_index(tmp_path):
    write_questions(tmp_path)
    data = Cloze("files", str(tmp_path), markers=9, batch_size=5, permutations=3)
    epochs = []
    for epoch in (0, 1, 0):
        loader = data.train_dataloader()
        loader.sampler.set_epoch(epoch)
        found = {}
        for batch in loader:
            for row, index in enumerate(batch["index"].tolist()):
                found[index] = read_back(data, batch, row, "train", index)
        epochs.append(found)
    assert epochs[0] == epochs[2] and sorted(epochs[0]) == sorted(epochs[1])
    assert sum(epochs[0][i] != epochs[1][i] for i in epochs[0]) > len(epochs[0]) / 2
    again = Cloze("files", str(tmp_path), markers=9, batch_size=2)  # other batches, the same markers
    for batch in again.train_dataloader():
        for row, index in enumerate(batch["index"].tolist()):
            assert read_back(again, batch, row, "train", index) == epochs[0][index]


def test_each_test_question_is_read_with_several_permutations(tmp_path):
    write_questions(tmp_path)
    data = Cloze("files", str(tmp_path), markers=9, permutations=3)
    seen = {}
    for batch in data.test_dataloader():
        for row, index in enumerate(batch["index"].tolist()):
            seen.setdefault(index, []).append(tuple(read_back(data, batch, row, "test", index).values()))
    assert len(seen) == 12 and all(len(found) == 3 for found in seen.values())
    assert sum(len(set(found)) > 1 for found in seen.values()) > 6
    fixed = Cloze("files", str(tmp_path), markers=9, permute=False, permutations=1)
    (batch,) = fixed.test_dataloader()
    assert all(row[0] == FIRST for row in batch["document"].tolist())


def test_permutations_are_even():
    found = Counter(tuple(permutation(0, 0, epoch, index, 3)) for epoch in range(20) for index in range(60))
    assert len(found) == 6 and max(found.values()) < 1.3 * min(found.values())
    assert not np.array_equal(permutation(0, 0, 0, 0, 50), permutation(0, 1, 0, 0, 50))


def test_names_are_found_by_capitals():
    sentences = [["Foo", "runs", "Bar", "files"], ["It", "uses", "bar", "and", "Bar"], ["Files", "of", "GNU"]]
    assert find_names([sentences]) == {"bar", "gnu"}
    assert tokens("GNU C++, isn't TCP/IP.") == ["GNU", "C++", ",", "isn't", "TCP/IP", "."]


def test_each_name_of_a_synopsis_is_asked_for():
    synopsis = ["xml", "and", "perl", "in", "xml", "for", "gtk"]
    asked = ask(["perl", "reads", "xml", "for", "perl"], synopsis, {"perl", "xml", "gtk"}, "p")
    assert [each.answer for each in asked] == ["@entity1", "@entity0"]
    assert asked[0].document == ["@entity0", "reads", "@entity1", "for", "@entity0"]
    assert asked[0].question == ["@placeholder", "and", "@entity0", "in", "@entity1", "for", "@entity2"]
    assert asked[0].candidates == ["@entity0", "@entity1"] and asked[0].names["@entity2"] == "gtk"


def test_no_document_is_in_two_splits(tmp_path):
    from tests.papers.test_reader import debian

    debian(tmp_path)
    corpus = debian_cloze.debian_questions(str(tmp_path), 300, 8)
    assert all(corpus.questions[split] for split in ("train", "val", "test"))
    assert debian_cloze.describe(str(tmp_path), 300, 8)["test documents in training"] == 0
    documents = [{tuple(q.document) for q in corpus.questions[split]} for split in ("train", "val", "test")]
    assert not (documents[0] & documents[1] or documents[0] & documents[2] or documents[1] & documents[2])
    assert corpus.dropped["start of another document"] > 0


def follow(sentences, task, question):
    """The answer by a simulation of its own: where people and things are after each sentence."""
    at, held, path = {}, {}, {thing: [] for thing in THINGS}
    for words in sentences:
        who, last = words[0], words[-2]
        if last in PLACES:
            at[who] = last
        elif words[1] in ("took", "got", "picked", "grabbed"):
            held[last] = who
        else:
            held.pop(last)
        for thing, person in held.items():
            if not path[thing] or path[thing][-1] != at[person]:
                path[thing].append(at[person])
    if task == 1:
        return at[question[0]]
    return path[question[1]][-1] if task == 2 else path[question[4]][-2]


@pytest.mark.parametrize("task", [1, 2, 3])
def test_stories_are_true_and_their_support_is_enough(task):
    found = stories(task, {"test": 60, "train": 200})
    keys = [(tuple(q.document), tuple(q.question)) for split in found.values() for q in split]
    assert len(keys) == len(set(keys)) == 260
    for asked in found["train"]:
        sentences, told = [[]], [[]]
        for word, support in zip(asked.document, asked.support, strict=True):
            sentences[-1].append(word), told[-1].append(support)
            if word == ".":
                sentences.append([]), told.append([])
        sentences, told = sentences[:-1], told[:-1]
        low, high = LENGTHS[task]
        assert low <= len(sentences) <= high and all(len(set(each)) == 1 for each in told)
        assert follow(sentences, task, asked.question) == asked.answer
        decisive = [sentence for sentence, (first, *_) in zip(sentences, told, strict=True) if first]
        assert 1 <= len(decisive) <= task + (task == 3)  # a thing may have had two holders
        assert any(asked.answer in sentence for sentence in decisive)
        if task == 1:
            assert decisive == [[s for s in sentences if s[0] == asked.question[0]][-1]]


def test_more_stories_of_training_change_no_other_split():
    few, many = (Cloze("stories", markers=1, stories=stories) for stories in (30, 50))
    assert [len(list(each.questions("train"))) for each in (few, many)] == [30, 50]
    for split in ("val", "test"):
        assert list(few.questions(split)) == list(many.questions(split))


def test_support_stands_where_the_document_says_so():
    data = Cloze("stories", task=2, markers=1, limit=20, permutations=1)
    (batch,) = data.test_dataloader()
    assert batch["support"].shape == batch["document"].shape
    assert not (batch["support"] & (batch["document"] == 0)).any() and batch["support"].any(1).all()
    pieces = data.pieces(torch.where(batch["support"], batch["document"], 0))
    answers = data.pieces(batch["answer"][:, None])
    assert all(answer[0] in words for words, answer in zip(pieces, answers, strict=True))


def test_a_vocabulary_travels(tmp_path):
    write_questions(tmp_path)
    data = Cloze("files", str(tmp_path), markers=9)
    data.save(tmp_path / "kept")
    again = Cloze("files", str(tmp_path), markers=9, tokenizer=str(tmp_path / "kept"))
    assert again.spec == data.spec and again.tokenizer.get_vocab() == data.tokenizer.get_vocab()
    with pytest.raises(DataError, match="does not have 8 markers"):
        Cloze("files", str(tmp_path), markers=8, tokenizer=str(tmp_path / "kept")).spec  # noqa: B018
    again.load_state_dict(data.state_dict())
    with pytest.raises(DataError, match="the questions have changed"):
        Cloze("stories", markers=9).load_state_dict(data.state_dict())


@pytest.mark.parametrize(
    "wrong", [{"corpus": "cnn"}, {"corpus": "files"}, {"task": 4}, {"stories": 0}, {"markers": 0}, {"permute": 1}]
)
def test_what_cannot_be_is_told(wrong):
    with pytest.raises(DataError, match=next(iter(wrong))):
        Cloze(**wrong)
