"""Texts with classes and windows of characters: what a batch holds, published formats, and what is wrong with files."""

import json
import sys
import types
import zipfile

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from datamodules import characters, debian, labelled
from datamodules.characters import Characters
from datamodules.files import DataError
from datamodules.labelled import read_folder, read_labelled, sections
from datamodules.text import TextClasses

relaxed = settings(deadline=None, max_examples=40, derandomize=True)


class Trainer:
    def __init__(self, rank, world):
        self.global_rank, self.world_size, self.overfit_batches = rank, world, 0
        progress = types.SimpleNamespace(current=types.SimpleNamespace(ready=0))
        self.fit_loop = types.SimpleNamespace(epoch_loop=types.SimpleNamespace(batch_progress=progress))


@pytest.fixture
def reviews(tmp_path):
    """A folder in IMDb's published format."""
    for split in ("train", "test"):
        for name in ("pos", "neg"):
            folder = tmp_path / split / name
            folder.mkdir(parents=True)
            for i in range(30):
                word = "good" if name == "pos" else "bad"
                (folder / f"{i}_7.txt").write_text(f"A {word} film, number {i}. " * (1 + i % 3), encoding="utf-8")
    (tmp_path / "train" / "unsup").mkdir()
    (tmp_path / "train" / "unsup" / "0_0.txt").write_text("no label")
    return tmp_path


def data(root, **arguments) -> TextClasses:
    return TextClasses(
        corpus="files", root=str(root), **{"tokens": "words", "vocabulary": 50, "batch_size": 4} | arguments
    )


def test_a_folder_is_split_by_names(reviews):
    train, val, test = (read_folder(reviews, split) for split in ("train", "val", "test"))
    assert train.classes == val.classes == test.classes == ["neg", "pos"]
    assert len(train.texts) + len(val.texts) == 60 == len(test.texts) and 4 <= len(val.texts) <= 20
    for part in (train, val, test):
        assert all(("good" in text) == bool(label) for text, label in zip(part.texts, part.labels, strict=True))
        assert 0 < sum(part.labels[:8]) < 8 or len(part.labels) < 8, "any part of it holds both classes"
    assert read_folder(reviews, "train") == train


def test_a_batch_of_texts_is_as_promised(reviews):
    module = data(reviews, max_length=6)
    texts, labels, _ = module.labelled("train")
    assert module.spec == {"vocabulary": module.tokenizer.get_vocab_size(), "num_classes": 2}
    seen = []
    for batch in module.train_dataloader():
        seen += batch["index"].tolist()
        assert batch["tokens"] == (batch["text"] != 0).sum() and batch["sentences"] == len(batch["label"])
        for row, i in enumerate(batch["index"].tolist()):
            assert module.pieces(batch["text"])[row] == texts[i].lower().split()[:6]
            assert batch["label"][row] == labels[i]
    assert sorted(seen) == list(range(len(texts)))


def test_an_empty_text_is_an_unknown_word_and_lengths_are_cut(reviews):
    (reviews / "test" / "pos" / "30_7.txt").write_text("")
    module = data(reviews, max_length=2)
    assert module.split("test").texts.length.tolist().count(1) == 1
    assert module.split("test").texts.length.max() == 2


def test_texts_are_shared_out_and_counted_once(reviews):
    seen, train = [], []
    for rank in range(2):
        module = data(reviews)
        module.trainer = Trainer(rank, 2)
        seen += [i for batch in module.test_dataloader() for i in batch["index"].tolist()]
        train.append(list(module.train_dataloader()))
    assert sorted(seen) == list(range(60))
    for one, other in zip(*train, strict=True):
        assert not set(one["index"].tolist()) & set(other["index"].tolist())
        assert one["sentences"] == other["sentences"] == (len(one["label"]) + len(other["label"])) / 2


def test_an_interrupted_epoch_of_texts_goes_on(reviews):
    module = data(reviews)
    whole = [batch["index"].tolist() for batch in module.train_dataloader()]
    module.trainer = Trainer(0, 1)
    module.trainer.fit_loop.epoch_loop.batch_progress.current.ready = 3
    assert [batch["index"].tolist() for batch in module.train_dataloader()] == whole[3:]


def test_the_sentiment_treebank_is_read_as_published(tmp_path):
    trees = [
        "(3 (2 It) (4 (4 (2 's) (4 (3 (2 a) (4 (3 lovely) (2 film))) (3 (2 -LRB-) (2 1\\/2)))) (2 .)))",
        "(2 (2 It) (2 (2 ends) (2 .)))",
        "",
        "(0 (0 (1 Dull)) (2 .))",
    ]
    for name in ("train", "dev", "test"):
        (tmp_path / f"{name}.txt").write_text("\n".join(trees) + "\n")
    for split in ("train", "val", "test"):
        found = read_labelled("treebank", split, tmp_path, None)
        assert found == (["It 's a lovely film ( 1/2 .", "Dull ."], [1, 0], ["negative", "positive"])
    for bad in ("3 good", "(3 (2 good)", "(5 (2 good))", "(3 )"):
        (tmp_path / "dev.txt").write_text(f"{trees[0]}\n{bad}\n")
        with pytest.raises(DataError, match=r"dev\.txt, line 2: no tree of the treebank"):
            read_labelled("treebank", "val", tmp_path, None)
    (tmp_path / "dev.txt").write_bytes(b"(3 (2 caf\xe9))\n")
    with pytest.raises(DataError, match=r"dev\.txt, line 1: not UTF-8"):
        read_labelled("treebank", "val", tmp_path, None)
    (tmp_path / "dev.txt").write_text(trees[1])
    with pytest.raises(DataError, match=r"dev\.txt: there is no positive or negative sentence"):
        read_labelled("treebank", "val", tmp_path, None)
    with pytest.raises(DataError, match="say where the treebank is"):
        read_labelled("treebank", "val", None, None)


def test_vocabulary_and_classes_travel(reviews, tmp_path):
    module = data(reviews)
    module.save(tmp_path / "tokenizer")
    again = data(reviews, tokenizer=str(tmp_path / "tokenizer"))
    assert again.spec == module.spec and again.classes == ["neg", "pos"]
    again.load_state_dict(module.state_dict())
    with pytest.raises(DataError, match="are not those of the checkpoint"):
        again.load_state_dict({"text": "{}", "classes": "[]"})
    (tmp_path / "tokenizer" / "classes.json").write_text(json.dumps(["a", "b"]))
    with pytest.raises(DataError, match="test has the classes neg, pos, expected a, b"):
        data(reviews, tokenizer=str(tmp_path / "tokenizer")).split("test")
    (tmp_path / "tokenizer" / "classes.json").write_text("[1")
    with pytest.raises(DataError, match=r"classes\.json: truncated or altered"):
        data(reviews, tokenizer=str(tmp_path / "tokenizer")).spec  # noqa: B018


def test_what_is_wrong_with_a_folder_is_told(reviews, tmp_path):
    with pytest.raises(DataError, match=r"say where the texts are: data\.root="):
        TextClasses(corpus="files").spec  # noqa: B018
    with pytest.raises(DataError, match="nowhere/train: there is no such folder"):
        read_folder(tmp_path / "nowhere", "train")
    (tmp_path / "one" / "test" / "pos").mkdir(parents=True)
    with pytest.raises(DataError, match="expected a folder for each of at least two classes"):
        read_folder(tmp_path / "one", "test")
    (reviews / "test" / "pos" / "0_7.txt").write_bytes(b"caf\xe9")
    with pytest.raises(DataError, match=r"0_7\.txt: not UTF-8"):
        read_folder(reviews, "test")
    (reviews / "test" / "pos" / "0_7.txt").write_bytes(b"\xef\xbb\xbfcaf\xc3\xa9")
    assert "café" in read_folder(reviews, "test").texts  # without the byte-order mark
    for path in (reviews / "test").glob("*/*.txt"):
        path.unlink()
    with pytest.raises(DataError, match="there are no texts for test"):
        read_folder(reviews, "test")


def test_sentences_of_reviews_are_shared_out_with_their_signs(tmp_path):
    rows = [f"{i}\t{1.5 - 3 * (i % 2)}\tFilm {i} isn't short." for i in range(500)]
    (tmp_path / "reviews.txt").write_text("\n".join([*rows, "500\t0\tNeither."]))
    splits = {
        split: read_labelled("reviews", split, tmp_path / "reviews.txt", None) for split in ("train", "val", "test")
    }
    sizes = {split: len(found.texts) for split, found in splits.items()}
    assert sum(sizes.values()) == 500 and 280 < sizes["train"] < 360 and 50 < sizes["val"] < 110
    assert 70 < sizes["test"] < 130
    for found in splits.values():
        assert found.classes == ["negative", "positive"]
        for text, label in zip(found.texts, found.labels, strict=True):
            number = int(text.split()[1])
            assert text == f"Film {number} isn't short ." and label == 1 - number % 2
    with pytest.raises(DataError, match="say where the reviews are"):
        read_labelled("reviews", "train", None, None)


def test_stories_are_answered_by_the_last_place_of_who_is_asked_for():
    module = TextClasses(corpus="stories", subset="1", tokens="words", vocabulary=100)
    found = module.labelled("val")
    assert module.spec["num_classes"] == 6 and len(found.texts) == 1000
    for text, label in zip(found.texts, found.labels, strict=True):
        *told, asked = text.split(" . ")
        who = asked.split()[0]
        assert asked == f"{who} is in the"
        last = next(sentence for sentence in reversed(told) if sentence.startswith(who))
        assert last.endswith(found.classes[label])
    assert not set(found.texts) & set(module.labelled("train").texts)
    with pytest.raises(DataError, match="subset is '4'"):
        read_labelled("stories", "train", None, "4")


def test_the_hub_is_asked_for_other_names(monkeypatch):
    class Rows(dict):
        features = {"label": types.SimpleNamespace(names=["neg", "pos"])}  # noqa: RUF012

    rows = Rows(text=[f"text {i}" for i in range(50)], label=[i % 2 for i in range(50)])
    fake = types.ModuleType("datasets")
    asked = []
    fake.load_dataset = lambda name, subset, split: asked.append((name, subset, split)) or rows
    monkeypatch.setitem(sys.modules, "datasets", fake)
    train, val, test = (labelled.read_hub("stanfordnlp/imdb", None, split) for split in ("train", "val", "test"))
    assert [split for *_, split in asked] == ["train", "train", "test"]
    assert sorted(train.texts + val.texts) == sorted(test.texts) and val.texts and not set(val.texts) & set(train.texts)
    assert all(int(text.split()[1]) % 2 == label for text, label in zip(train.texts, train.labels, strict=True))
    fake.load_dataset = lambda *_, **__: {}["no network"]
    with pytest.raises(DataError, match="stanfordnlp/imdb: the Hub did not give it"):
        labelled.read_hub("stanfordnlp/imdb", None, "train")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match="pip install datasets"):
        labelled.read_hub("stanfordnlp/imdb", None, "train")


@pytest.fixture
def packages(monkeypatch):
    """A small corpus of packages in place of Debian's."""
    records = []
    for i in range(400):
        section = "rare" if i % 50 == 2 else ("libs", "doc")[i % 2]
        text = debian.Text(f"synopsis {i}", ("a paragraph", "another"))
        records.append(debian.Description(f"p{i}", f"{'abc'[i % 3]}" * (i // 3 + 1), section, text, None, None))
    monkeypatch.setattr(debian, "read_debian", lambda root: records)
    for cached in (sections, characters.descriptions):
        cached.cache_clear()
    yield records
    for cached in (sections, characters.descriptions):
        cached.cache_clear()


def test_sections_of_packages_split_by_source_without_rare_ones(packages):
    found = sections(None)
    assert found["train"].classes == found["val"].classes == ["doc", "libs"], "8 packages are fewer than 100"
    kept = [record for record in packages if record.section != "rare"]
    assert sum(len(part.texts) for part in found.values()) == len(kept)
    for split, part in found.items():
        mine = [record for record in kept if debian.split_of(record.source) == split]
        assert part.texts == [f"{record.en.synopsis}\na paragraph\nanother" for record in mine]
        assert [part.classes[label] for label in part.labels] == [record.section for record in mine]


def test_the_descriptions_are_one_text_for_each_split(packages):
    found = characters.descriptions(None)
    assert sum(map(len, found.values())) == sum(len(f"{r.en.synopsis}\na paragraph\nanother\n\n") for r in packages)
    assert found["train"].startswith(b"synopsis ") and found["train"].endswith(b"another\n\n")


def text_file(tmp_path, size=400) -> str:
    path = tmp_path / "text"
    path.write_bytes(bytes(i % 251 for i in range(size)))
    return str(path)


def windows(path, **arguments) -> Characters:
    return Characters(corpus="files", root=path, **{"context": 8, "batch_size": 4, "val_bytes": None} | arguments)


def test_a_file_is_cut_into_ninety_five_and_five_percent(tmp_path):
    module = windows(text_file(tmp_path))
    whole = (tmp_path / "text").read_bytes()
    assert [module.text(split) for split in debian.SPLITS] == [whole[:360], whole[360:380], whole[380:]]
    assert windows(module.root, val_bytes=7).text("val") == whole[360:367]
    with zipfile.ZipFile(tmp_path / "text.zip", "w") as archive:
        archive.write(tmp_path / "text", "text")
    assert windows(f"{tmp_path}/text.zip").text("test") == whole[380:]


@relaxed
@given(st.integers(2, 60), st.integers(1, 12), st.data())
def test_every_byte_but_the_first_counts_exactly_once(size, context, drawn):
    stride = drawn.draw(st.integers(1, context))
    module = Characters(context=context, stride=stride, eval_batch_size=3)
    module._tensors["test"] = torch.arange(size, dtype=torch.uint8)
    counted = []
    for ticket in module.test_dataloader():
        batch = module.on_after_batch_transfer(ticket, 0)
        assert batch["text"].shape[1] == min(context, size - 1) + 1
        for row, scored in zip(batch["text"], batch["scored"], strict=True):
            assert torch.equal(row, row[0] + torch.arange(len(row)))
            before = row[1:] - row[0]  # bytes of the window before each
            assert (before[scored] > context - stride).all() or row[0] == 0 or (row[0] + len(row) == size)
            counted += row[1:][scored].tolist()
    assert sorted(counted) == list(range(1, size))


def test_windows_are_a_function_of_seed_epoch_and_index(tmp_path):
    path = text_file(tmp_path)
    index = torch.tensor([5, 0, 5, 7])
    batch = windows(path).batch("train", index, epoch=3)
    torch.testing.assert_close(windows(path).batch("train", index, epoch=3), batch)
    assert torch.equal(batch["text"][0], batch["text"][2]) and batch["scored"].all() and batch["tokens"] == 32
    for other in (windows(path, seed=1).batch("train", index, 3), windows(path).batch("train", index, 4)):
        assert not torch.equal(other["text"], batch["text"])
    assert windows(path).size("train") == 359 // 8 and windows(path, windows=1000).size("train") == 1000


def test_windows_are_shared_out_and_an_interrupted_epoch_goes_on(tmp_path):
    path = text_file(tmp_path)

    def epoch(rank, world, ready=0):
        module = windows(path, batch_size=4 // world)
        module.trainer = Trainer(rank, world)
        module.trainer.fit_loop.epoch_loop.batch_progress.current.ready = ready
        return [ticket.index.tolist() for ticket in module.train_dataloader()]

    one = epoch(0, 1)
    assert epoch(0, 1, ready=4) == one[4:]
    for joint, *parts in zip(one, epoch(0, 2), epoch(1, 2), strict=True):
        assert sorted(joint) == sorted(parts[0] + parts[1])


def test_what_is_wrong_with_a_file_of_characters_is_told(tmp_path):
    path = text_file(tmp_path)
    with pytest.raises(DataError, match=r"say where the text is: data\.root=<file>"):
        Characters(corpus="files").text("train")
    with pytest.raises(DataError, match="nowhere: cannot be read"):
        windows(f"{tmp_path}/nowhere").text("train")
    with pytest.raises(DataError, match="text: has 400 bytes, expected 100000000"):
        windows(path, size=100_000_000).text("train")
    (tmp_path / "marked").write_bytes(b"\xef\xbb\xbf" + b"text" * 100)  # a byte-order mark
    assert windows(f"{tmp_path}/marked", size=403).text("train") == b"text" * 90
    (tmp_path / "text.zip").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"text\.zip: truncated or altered"):
        windows(f"{tmp_path}/text.zip").text("train")
    with pytest.raises(DataError, match="val has 0 bytes, expected at least 2"):
        windows(text_file(tmp_path, 10)).size("val")
    for arguments in ({"stride": 0}, {"stride": 9}, {"parts": [50, 50, 0]}):
        with pytest.raises(ValueError, match=next(iter(arguments))):
            windows(path, **arguments)
    with pytest.raises(DataError, match="test is 'train', not 'test' or 'val'"):
        windows(path, test="train")
    path = text_file(tmp_path)
    assert windows(path, test="val").text("test") == windows(path).text("val") != windows(path).text("test")
    with pytest.raises(ValueError, match="corpus is 'enwik8'"):
        Characters(corpus="enwik8")
