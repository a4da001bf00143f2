"""Translation data: vocabularies, buckets, files in the published formats, and what is wrong with them."""

import gzip
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from datamodules.buckets import Buckets
from datamodules.files import DataError
from datamodules.tokens import SPECIALS, UNK, encode, read_tokenizer, train_tokenizer
from datamodules.translation import Translation
from zoo.text.codec import Text

relaxed = settings(deadline=None, max_examples=40, derandomize=True)
DE = ["ein Hund läuft .", "zwei Hunde laufen schnell .", "eine Katze schläft .", "der Hund sieht die Katze .", ""]
EN = ["a dog runs .", "two dogs run fast .", "a cat sleeps .", "the dog sees the cat .", "nothing"]


@pytest.fixture
def root(tmp_path):
    for name, (de, en) in {"train": (DE, EN), "val": (DE[:3], EN[:3]), "test": (DE[1:], EN[1:])}.items():
        (tmp_path / f"{name}.de").write_text("\n".join(de) + "\n", encoding="utf-8")
        (tmp_path / f"{name}.en.gz").write_bytes(gzip.compress(("\n".join(en) + "\n").encode()))
    return tmp_path


def data(root, **arguments) -> Translation:
    return Translation(corpus="files", root=str(root), **{"vocabulary": 60, "eval_batch_size": 2} | arguments)


@relaxed
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Cf", "Zl", "Zp"])), max_size=4))
def test_pieces_of_raw_text_give_the_text_back(lines):
    lines = [line.replace("▁", "") for line in lines]
    tokenizer = train_tokenizer([*lines, "ein Hund . läuft"], 500)
    ids = list(encode(tokenizer, lines))
    import unicodedata

    expected = [" ".join(unicodedata.normalize("NFC", line).split()) for line in lines]
    assert [" ".join(text.split()) for text in tokenizer.decode_batch(ids, skip_special_tokens=False)] == expected


def test_a_shortlist_is_the_most_frequent_words_and_the_rest_is_unknown():
    lines = ["a b b c c c d d d d", "d c"]
    tokenizer = train_tokenizer(lines, 3, "words")
    common = {word for word, _ in Counter(" ".join(lines).split()).most_common(3)}
    assert set(tokenizer.get_vocab()) == {*SPECIALS, *common}
    assert [tokenizer.token_to_id(symbol) for symbol in SPECIALS] == [0, 1, 2, 3]
    assert list(encode(tokenizer, ["a d"])) == [[3, tokenizer.token_to_id("d")]]
    assert list(encode(tokenizer, ["<s> </s> d"])) == [[3, 3, tokenizer.token_to_id("d")]]


def test_ids_do_not_depend_on_how_many_lines_are_read_at_a_time(monkeypatch):
    tokenizer = train_tokenizer(EN, 100)
    expected = list(encode(tokenizer, EN))
    monkeypatch.setattr("datamodules.tokens.LINES", 3)
    assert list(encode(tokenizer, EN)) == expected and len(expected) == len(EN) > 3


@pytest.mark.parametrize("pretokenised", [True, False])
def test_lower_case_is_in_the_tokenizer(pretokenised):
    tokenizer = train_tokenizer(EN, 100, lowercase=True, pretokenised=pretokenised)
    assert list(encode(tokenizer, ["A DOG"])) == list(encode(tokenizer, ["a dog"]))
    assert tokenizer.decode(next(encode(tokenizer, ["The dog ."])), skip_special_tokens=False).strip() == "the dog ."


def test_a_batch_is_as_promised(root):
    module = data(root, limit=4)
    (batch,) = module.train_dataloader()
    tokenizer = module.tokenizers["source"]
    assert module.spec == {
        "source_vocabulary": tokenizer.get_vocab_size(),
        "target_vocabulary": tokenizer.get_vocab_size(),
        "reverse": False,
    }
    for row, index in enumerate(batch["index"].tolist()):
        source = [i for i in batch["source"][row].tolist() if i]
        target = [i for i in batch["target"][row].tolist() if i]
        assert source[-1] == target[-1] == 2 and target[0] == 1
        assert tokenizer.decode(source[:-1], skip_special_tokens=False) == DE[index]
        assert module.detokenise([target[1:-1]]) == [EN[index]] == module.references("train", [index])
    assert batch["tokens"] == (batch["target"][:, 1:] != 0).sum() and batch["sentences"] == 4


def test_an_empty_line_is_dropped_in_training_and_kept_in_the_test(root):
    module = data(root)
    assert len(module.split("train")) == 4 and len(module.split("test")) == 4
    assert sorted(torch.cat([batch["index"] for batch in module.test_dataloader()]).tolist()) == [0, 1, 2, 3]


def test_reversed_words_and_long_pairs(root):
    plain, turned = data(root), data(root, reverse=True, max_length=12)
    a, b = (module.split("val").source[0].tolist() for module in (plain, turned))
    assert b == [*a[:-1][::-1], 2] and turned.spec["reverse"]
    lengths = [
        max(len(s), len(t))
        for s, t in zip(*(encode(plain.tokenizers[x], y[:4]) for x, y in (("source", DE), ("target", EN))), strict=True)
    ]
    assert len(turned.split("train")) == sum(length <= 12 for length in lengths)
    with pytest.raises(DataError, match="train has no pair of at most 1 tokens"):
        data(root, max_length=1).split("train")


def test_moses_words(root):
    module = data(root, moses=True, tokens="words", joint=False)
    (root / "test.de").write_text("Hunde laufen.\n" * 4, encoding="utf-8")
    words = module.pieces(module.split("test").source.rows(torch.tensor([0])), "source")
    assert words == [["<unk>", "<unk>", ".", "</s>"]] or words[0][-2:] == [".", "</s>"]
    ids = [module.tokenizers["target"].token_to_id(word) for word in ("a", "dog", "runs", ".")]
    assert module.detokenise([ids]) == ["a dog runs."]


@pytest.mark.parametrize("reverse", [False, True])
def test_unknown_words_are_found_and_replaced(tmp_path, reverse):
    (tmp_path / "train.de").write_text("das ist ein Haus\n" * 3)
    (tmp_path / "train.en").write_text("this is a house\n" * 3)
    (tmp_path / "test.de").write_text("das ist ein Haus\ndas ist Zug Orlando\n\n")
    (tmp_path / "test.en").write_text("this is a house\nthis is train Orlando\nnothing\n")
    (tmp_path / "dictionary").write_text("Zug\ttrain\nZug\tpull\n")
    how = {"tokens": "words", "joint": False, "vocabulary": 9, "reverse": reverse}
    module = data(tmp_path, **how, dictionary=str(tmp_path / "dictionary"))
    assert module.known("test", [0, 1, 2]) == [True, False, False]
    this, is_ = (module.tokenizers["target"].token_to_id(word) for word in ("this", "is"))
    places = [1, 0] if reverse else [2, 3]  # in reading order
    assert module.replaced("test", [1, 2], [[this, is_, UNK, UNK], [UNK]], [places, []]) == [
        "this is train Orlando",
        "<unk>",
    ]
    (tmp_path / "dictionary").write_text("Zug\ttrain\nOrlando\n")
    with pytest.raises(DataError, match="dictionary, line 2: expected a source word, a tab and a target word"):
        data(tmp_path, **how, dictionary=str(tmp_path / "dictionary"))


@pytest.mark.parametrize("lowercase", [False, True])
def test_an_unknown_letter_keeps_the_end_of_its_word(tmp_path, lowercase):
    for split in ("train", "val", "test"):
        for side in ("de", "en"):
            line = "a dog runs" if split == "train" else "a Ж runs"
            (tmp_path / f"{split}.{side}").write_text(f"{line}\n" * 3)
    module = data(tmp_path, pretokenised=True, vocabulary=40, lowercase=lowercase)
    ids = module.split("test").target.rows(torch.tensor([0]))[0, 1:-1].tolist()
    (place,) = (i for i, token in enumerate(module.split("test").source[0].tolist()) if token == UNK)
    expected = "a ж runs" if lowercase else "a Ж runs"
    assert module.replaced("test", [0], [ids], [[place]]) == [expected]
    module.dictionary = {"Ж": "zh"}
    assert module.replaced("test", [0], [ids], [[place]]) == ["a zh runs"]
    module.save(tmp_path / "tokenizer")
    text = Text(tmp_path / "tokenizer" / "source.json", "de")
    assert text.join(text.words("a Ж runs")) == "a Ж runs"


def test_a_tokenizer_travels(root, tmp_path):
    module = data(root, joint=False)
    module.save(tmp_path / "tokenizer")
    (root / "train.de").unlink()
    again = data(root, tokenizer=str(tmp_path / "tokenizer"))
    assert again.spec == module.spec
    assert again.split("test").source.ids == module.split("test").source.ids
    again.load_state_dict(module.state_dict())
    other = data(root, train="val", joint=False, vocabulary=40)
    (root / "val.en.gz").write_bytes(gzip.compress(b"other\nwords\nhere\n"))
    with pytest.raises(DataError, match="the target vocabulary is not that of the checkpoint"):
        other.load_state_dict({"source": other.tokenizers["source"].to_str(), "target": "{}"})


@relaxed
@given(
    lengths=st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), min_size=4, max_size=60),
    tokens=st.integers(30, 90),
    world=st.integers(1, 3),
)
def test_buckets_hold_every_sentence_once_on_any_number_of_processes(lengths, tokens, world):
    source, target = np.array(lengths).T
    joint = list(Buckets(source, target, batch_tokens=tokens * world))
    ranks = [list(Buckets(source, target, batch_tokens=tokens, rank=r, world=world)) for r in range(world)]
    assert len({len(batches) for batches in ranks}) == 1
    seen = []
    for shares in zip(*ranks, strict=True):
        together = torch.cat([share.index for share in shares]).tolist()
        seen += together
        assert sum(len(share.index) for share in shares) == round(shares[0].sentences * world)
        assert abs(shares[0].tokens * world - target[together].sum()) < 1e-6
        but_the_rest = np.sort(target[together])[: len(together) - world + 1]  # fewer than `world` join the last batch
        assert len(but_the_rest) * but_the_rest[-1] <= tokens * world or len(together) < 2 * world
        assert all(len(share.index) > 0 for share in shares)
    assert sorted(seen) == list(range(len(lengths)))
    if world == 1:
        assert len(joint) == len(ranks[0])


def test_an_epoch_is_a_function_of_seed_and_number_and_can_be_entered_in_the_middle():
    source, target = np.random.default_rng(0).integers(1, 20, (2, 200))

    def epoch(number, **options):
        batches = Buckets(source, target, batch_tokens=100, **options)
        batches.set_epoch(number)
        return [share.index.tolist() for share in batches]

    assert epoch(3) == epoch(3) != epoch(4) and epoch(3) != epoch(3, seed=1)
    assert epoch(3, skip=lambda: 5) == epoch(3)[5:]
    assert len(epoch(3)) == len(epoch(4)) == len(Buckets(source, target, batch_tokens=100))
    assert {len(rows) for rows in Buckets(source, target, batch_size=7)} == {3}


def test_evaluation_shares_out_every_sentence(root):
    class Trainer:
        world_size = 2

    seen = []
    for rank in range(2):
        module = data(root)
        module.trainer = Trainer()
        module.trainer.global_rank = rank
        seen += [i for batch in module.test_dataloader() for i in batch["index"].tolist()]
    assert sorted(seen) == [0, 1, 2, 3]


def test_what_is_wrong_with_files_is_told(root):
    with pytest.raises(DataError, match=r"say where the files are: data\.root=<folder>"):
        Translation(corpus="files").spec  # noqa: B018
    with pytest.raises(DataError, match=r"dev\.de: there is no such file, nor with \.gz"):
        data(root, val="dev").split("val")
    for side in ("de", "en"):
        (root / f"none.{side}").write_text("")
    with pytest.raises(DataError, match="none has no pair"):
        data(root, val="none").split("val")
    with pytest.raises(DataError, match="give one of batch_tokens and batch_size"):
        data(root, batch_tokens=None, batch_size=None).train_dataloader()
    (root / "val.de").write_text("one\ntwo\n")
    with pytest.raises(DataError, match=r"val\.de has 2 lines and .*val\.en\.gz has 3"):
        data(root).split("val")
    (root / "val.de").write_bytes(b"\xef\xbb\xbfgut\r\nschlecht\nso\n")
    assert [pair[0] for pair in data(root).pairs("val")] == ["gut", "schlecht", "so"]  # no byte-order mark
    (root / "val.de").write_bytes(b"gut\nschlecht \xff\nso\n")
    with pytest.raises(DataError, match=r"val\.de, line 2: not UTF-8"):
        data(root).split("val")
    (root / "test.en.gz").write_bytes((root / "test.en.gz").read_bytes()[:20])
    with pytest.raises(DataError, match=r"test\.en\.gz: truncated or altered"):
        data(root).split("test")


def test_what_is_wrong_with_a_tokenizer_is_told(root, tmp_path):
    path = tmp_path / "source.json"
    with pytest.raises(DataError, match="cannot be read"):
        read_tokenizer(path)
    path.write_text("{}")
    with pytest.raises(DataError, match=r"source\.json: truncated or altered"):
        read_tokenizer(path)
    from tokenizers import Tokenizer, models

    Tokenizer(models.WordLevel({"<unk>": 0}, unk_token="<unk>")).save(str(path))
    with pytest.raises(DataError, match=r"source\.json: <pad> is None, expected 0"):
        read_tokenizer(path)


def test_the_hub_is_asked_for_other_names(monkeypatch):
    import sys
    import types

    fake = types.ModuleType("datasets")
    asked = []

    def load_dataset(name, subset, split):
        asked.append((name, subset, split))
        return {"translation": [{"de": d, "en": e} for d, e in zip(DE, EN, strict=True)]}

    fake.load_dataset = load_dataset
    monkeypatch.setitem(sys.modules, "datasets", fake)
    module = Translation(corpus="wmt/wmt14", subset="de-en", vocabulary=50)
    assert len(module.split("val")) == 5
    assert sorted(asked) == [("wmt/wmt14", "de-en", "train"), ("wmt/wmt14", "de-en", "validation")]

    with pytest.raises(DataError, match=r"wmt/wmt14: has no language 'cs', but de, en"):
        Translation(corpus="wmt/wmt14", source="cs").split("val")

    def unreachable(name, subset, split):
        raise ConnectionError("no network")

    fake.load_dataset = unreachable
    with pytest.raises(DataError, match="wmt/wmt14: the Hub did not give it"):
        Translation(corpus="wmt/wmt14").split("val")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match="pip install datasets"):
        Translation(corpus="wmt/wmt14").split("val")
