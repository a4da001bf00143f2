"""What is done with word vectors: files, tests of them, and sentences with a blank."""

import io
import tarfile

import numpy as np
import pytest
import torch

import zoo
from datamodules import documents, reviews
from datamodules.files import DataError
from datamodules.lexicon import huffman
from datamodules.tagged import parse_conll, read_conll, read_silver
from datamodules.windows import WordWindows
from tests.papers.test_attentive_cbow import words
from zoo import release
from zoo.errors import ZooError
from zoo.models.attentive_cbow import AttentiveCBOW, Blank
from zoo.models.attentive_cbow.pipeline import TOKEN
from zoo.models.attentive_cbow.tasks import Lookup, ranks, sentiment, similarity, tagging
from zoo.models.attentive_cbow.vectors import read_vectors, write_vectors
from zoo.pipelines import InputError

SPOKEN = ["the", "c++", "naïve", "user's", "…", "e-mail"]


@pytest.fixture
def data(tmp_path):
    return make(tmp_path)


def make(folder, **arguments):
    words(folder)
    plain = {"min_count": 1, "window": 4, "length": 8, "negatives": 6, "tags": f"{folder}/tags.conllu"}
    return WordWindows("files", f"{folder}/text.txt", **(plain | arguments))


# Files of vectors


@pytest.mark.parametrize("binary", [False, True])
def test_gensim_reads_what_we_write_and_we_read_what_gensim_writes(binary, tmp_path):
    gensim = pytest.importorskip("gensim.models")
    torch.manual_seed(0)
    vectors, path = torch.randn(len(SPOKEN), 5), tmp_path / "vectors"
    write_vectors(path, SPOKEN, vectors, binary)
    theirs = gensim.KeyedVectors.load_word2vec_format(path, binary=binary)
    assert list(theirs.index_to_key) == SPOKEN
    np.testing.assert_array_equal(theirs.vectors, vectors.numpy())
    theirs.save_word2vec_format(tmp_path / "theirs", binary=binary)
    found, again = read_vectors(tmp_path / "theirs")
    assert found == SPOKEN and torch.equal(again, vectors)


@pytest.mark.parametrize("binary", [False, True])
def test_a_file_of_vectors_that_is_cut_is_one_sentence(binary, tmp_path):
    path = tmp_path / "vectors"
    write_vectors(path, SPOKEN, torch.randn(len(SPOKEN), 5), binary)
    whole = path.read_bytes()
    for part in (0, 3, len(whole) // 2, len(whole) - 12):
        path.write_bytes(whole[:part])
        with pytest.raises(ZooError, match=r"truncated|first line says"):
            read_vectors(path)


def test_words_that_the_format_cannot_hold_are_refused(tmp_path):
    with pytest.raises(ZooError, match="'two words' is empty or has a space"):
        write_vectors(tmp_path / "v", ["two words"], torch.zeros(1, 2))
    with pytest.raises(ZooError, match="1 words for 2 vectors"):
        write_vectors(tmp_path / "v", ["one"], torch.zeros(2, 2))
    with pytest.raises(ZooError, match="no finite number"):
        write_vectors(tmp_path / "v", ["one"], torch.full((1, 2), torch.nan))
        read_vectors(tmp_path / "v")
    with pytest.raises(ZooError, match="cannot be read"):
        read_vectors(tmp_path / "none")


# Text


def stretches(data, split="train", epoch=0):
    """Every word to predict of a split with its slots, as words, in order."""
    batch, names, b = data.batch(split, torch.arange(data.size(split)), epoch), data.lexicon.words, data.window
    for text, here in zip(batch["text"].tolist(), batch["here"], strict=True):
        for t in range(data.length):
            slots = [i for i in range(-b, b + 1) if i]
            yield names[text[t + b]], {i: names[text[t + b + i]] for i, one in zip(slots, here[t], strict=True) if one}


def test_windows_are_those_of_a_loop_over_documents(data):
    found = list(stretches(data))
    expected = []
    for document in documents.read_documents(data.corpus, data.root, None, True)["train"]:
        for t, word in enumerate(document):
            reach = [i for i in range(-4, 5) if i and 0 <= t + i < len(document)]
            expected.append((word, {i: document[t + i] for i in reach}))
    assert found[: len(expected)] == expected
    assert not any(around for _, around in found[len(expected) :])


def test_a_shrunken_window_keeps_the_places_of_its_slots(tmp_path):
    full, shrunk = make(tmp_path), make(tmp_path, shrink=True)
    widths = set()
    for (word, around), (same, fewer) in zip(stretches(full), stretches(shrunk), strict=True):
        assert word == same and fewer.items() <= around.items()
        if around:
            reach = max(abs(i) for i in fewer)
            assert fewer == {i: other for i, other in around.items() if abs(i) <= reach}
            widths.add(reach)
    assert widths == {1, 2, 3, 4}
    assert list(stretches(shrunk)) != list(stretches(shrunk, epoch=1))
    assert list(stretches(shrunk, "val")) == list(stretches(full, "val"))


def test_frequent_words_are_thinned_as_often_as_the_formula_says(tmp_path):
    data = make(tmp_path, subsample=0.02)
    counts = data.lexicon.counts
    kept = np.zeros(len(counts))
    for epoch in range(30):
        kept += np.bincount(data._read("train", epoch).words, minlength=len(counts))
    share = counts / counts.sum()
    expected = np.minimum(1, np.sqrt(0.02 / share) + 0.02 / share)
    np.testing.assert_allclose(kept / 30 / counts, expected, atol=0.06)
    assert data.size("train") == -(-int((expected * counts).sum()) // data.length)


def test_noise_is_drawn_by_a_power_of_the_counts(tmp_path):
    data = make(tmp_path, negatives=5000, power=0.75)
    noise = torch.cat([data.batch("train", torch.arange(8), epoch)["noise"] for epoch in range(3)])
    expected = data.lexicon.counts**0.75
    np.testing.assert_allclose(noise.flatten().bincount() / noise.numel(), expected / expected.sum(), atol=0.005)
    own = make(tmp_path, shared=False).batch("train", torch.arange(2))["noise"]
    assert own.shape == (2, 8, 6) and len(own.unique()) > 3


def test_a_stretch_is_the_same_in_any_batch(tmp_path):
    data = make(tmp_path, shrink=True, subsample=0.05)
    together = data.batch("train", torch.tensor([3, 1, 0]), 2)
    for row, index in enumerate((3, 1, 0)):
        alone = data.batch("train", torch.tensor([index]), 2)
        assert all(torch.equal(alone[key][0], together[key][row]) for key in together)


def test_huffmans_code_is_the_shortest():
    counts = np.array([50, 20, 20, 5, 3, 2])
    tree = huffman(counts)
    lengths = (tree.signs != 0).sum(1)
    assert (counts * lengths).sum() == 50 + 2 * 20 + 3 * 20 + 4 * 5 + 5 * 5  # by hand
    codes = {tuple(signs[signs != 0]) for signs in tree.signs}
    assert not any(a != b and b[: len(a)] == a for a in codes for b in codes)


def test_lines_keep_their_words_and_files_are_cut_into_words(tmp_path):
    (tmp_path / "a.txt").write_text("It's C++, e.g.\nfine\n")
    cut = documents.read_documents("files", str(tmp_path / "a.txt"), None, False)
    assert cut["train"] == [["It's", "C++", ",", "e.g", "."], ["fine"]] or sum(map(len, cut.values())) >= 2
    kept = documents.read_documents("lines", str(tmp_path / "a.txt"), None, True)
    assert ["it's", "c++,", "e.g."] in [row for rows in kept.values() for row in rows]
    whole = documents.read_documents("files", str(tmp_path), None, True)
    assert next(row for rows in whole.values() for row in rows)[-1] == "fine"
    assert documents.TOKEN.pattern == TOKEN.pattern  # the pipeline reads as the data do


def test_silver_tags_are_there():
    for split, count in (("train", 4000), ("val", 1000), ("test", 4000)):
        found = read_silver(split)
        assert len(found.words) == len(found.tags) == count
        assert len({tag for row in read_silver(split, fine=True).tags for tag in row}) > 40
        assert all(len(a) == len(b) for a, b in zip(*found, strict=True))
    assert "NOUN" in {tag for row in found.tags for tag in row}
    assert not {tuple(row) for row in read_silver("train").words} & {tuple(row) for row in found.words}


def test_conll_u_is_read_without_what_is_no_word(tmp_path):
    text = "# a remark\n1-2\tdon't\t_\t_\n1\tdo\tdo\tAUX\n2\tn't\tnot\tPART\n2.1\tx\tx\tX\n\n\n1\tGo\tgo\tVERB\n"
    (tmp_path / "a.conllu").write_text(text)
    found = read_conll(tmp_path / "a.conllu")
    assert found.words == [["do", "n't"], ["Go"]] and found.tags == [["AUX", "PART"], ["VERB"]]
    with pytest.raises(DataError, match="line 1 has 2 columns, expected at least 4"):
        parse_conll("1\tword\n", "it")
    with pytest.raises(DataError, match="there is no sentence"):
        parse_conll("# nothing\n\n", "it")


def test_reviews_are_read_from_the_archive_and_the_file(tmp_path):
    rows = "1\t2.26\tA fine film .\n2\t-0.6\tToo tepid\n3\t0.0\tWell\n"
    inner = packed(tmp_path / reviews.INNER, {f"x/{reviews.FILE}": rows.encode()})
    sdist = packed(tmp_path / "vaderSentiment-3.3.2.tar.gz", {f"v/additional/{reviews.INNER}": inner.read_bytes()})
    (tmp_path / "plain.txt").write_text(rows)
    for path in (sdist, tmp_path / "plain.txt"):
        assert reviews.read_reviews(path) == ([["A", "fine", "film", "."], ["Too", "tepid"]], [1, 0])
    with pytest.raises(DataError, match="not the sdist of vaderSentiment"):
        reviews.read_reviews(inner)
    sides = reviews.shared_out([[str(i)] for i in range(500)], [i % 2 for i in range(500)])
    assert 60 < len(sides["test"][0]) < 140 and len(sides["test"][0]) + len(sides["train"][0]) == 500


def packed(path, members):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


# Tests of vectors


@pytest.fixture(scope="module")
def lookup():
    """Words a0 .. a9 and b0 .. b9, the vectors of the two kinds far apart."""
    torch.manual_seed(0)
    names = [f"{kind}{i}" for kind in "ab" for i in range(10)]
    kinds = torch.arange(2).repeat_interleave(10)
    return Lookup(names, torch.stack([2.0 * kinds - 1, torch.zeros(20)], 1) + 0.1 * torch.randn(20, 2))


def test_a_tagger_and_a_classifier_learn_what_the_vectors_know(lookup):
    random = np.random.default_rng(0)
    rows = [[f"{random.choice(['a', 'b'])}{random.integers(10)}" for _ in range(6)] for _ in range(300)]
    tags = [[word[0] for word in row] for row in rows]
    assert tagging(lookup, (rows[:200], tags[:200]), (rows[200:], tags[200:])) > 98
    labels = [int(sum(word[0] == "b" for word in row) > 3) for row in rows]
    # with a third of the words unknown it is worse, and half of them say nothing
    assert sentiment(lookup, (rows[:200], labels[:200]), (rows[200:], labels[200:])) > 90
    strange = Lookup(["x"], torch.randn(1, 2))
    with pytest.raises(ZooError, match="vectors of another vocabulary"):
        tagging(strange, (rows, tags), (rows, tags))


def test_the_classifier_is_scikit_learns(lookup):
    from sklearn.linear_model import LogisticRegression

    random = np.random.default_rng(1)
    rows = [[f"{random.choice(['a', 'b'])}{random.integers(10)}" for _ in range(4)] for _ in range(300)]
    labels = [int(sum(word[0] == "b" for word in row) + random.normal() > 2) for row in rows]
    x = np.stack([lookup.table[lookup.ids(row)].mean(0).numpy() for row in rows])
    x = (x - x[:200].mean(0)) / x[:200].std(0, ddof=1)
    theirs = LogisticRegression(C=1 / (1e-3 * 200)).fit(x[:200], labels[:200]).score(x[200:], labels[200:])
    found = sentiment(lookup, (rows[:200], labels[:200]), (rows[200:], labels[200:]))
    assert found == pytest.approx(100 * theirs, abs=1.01)


def test_similarity_is_scipys(lookup):
    from scipy.stats import spearmanr

    random = np.random.default_rng(0)
    pairs = [(f"a{random.integers(10)}", f"b{random.integers(10)}", float(random.integers(4))) for _ in range(30)]
    table = lookup.table
    cosines = [torch.cosine_similarity(*table[lookup.ids([a, b])].split(1)).item() for a, b, _ in pairs]
    found, count = similarity(lookup, [*pairs, ("a1", "unheard", 3.0)])
    assert count == 30 and found == pytest.approx(spearmanr(cosines, [said for *_, said in pairs])[0], abs=1e-6)
    assert ranks(torch.tensor([3.0, 1.0, 3.0])).tolist() == [2.5, 1.0, 2.5]
    with pytest.raises(ZooError, match="0 of 1 pairs have vectors"):
        similarity(lookup, [("c", "d", 1.0)])


# Sentences with a blank


@pytest.fixture(scope="module")
def fill(tmp_path_factory):
    folder = tmp_path_factory.mktemp("released")
    data = make(folder)
    data.save(folder / "tokenizer")
    torch.manual_seed(0)
    arguments = {"vocabulary": len(data.lexicon.words), "window": 4, "dim": 6}
    network = AttentiveCBOW(**arguments)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter)
    preprocess = Blank.preprocess({"lowercase": True, "power": 0.75})
    how = {"name": "attentive_cbow.debian_attentive", "config": arguments, "preprocess": preprocess}
    files = sorted((folder / "tokenizer").iterdir())
    return zoo.pipeline(release.save(network, folder / "weights", files=files, **how)), data


def test_the_pipeline_answers_as_the_network_does(fill):
    look, data = fill
    document = documents.read_documents("files", data.root, None, True)["train"][0]
    result = look(" ".join([*document[:3], "___", *document[4:]]), top=len(data.lexicon.words))
    batch = data.batch("train", torch.tensor([0]))
    c, a = look.network(batch["text"], batch["here"])
    scores = c[0, 3] @ look.network.O.weight.T + 0.75 * torch.tensor(data.lexicon.counts).log()
    for i, p in enumerate(scores.softmax(-1).tolist()):
        assert result.probabilities[data.lexicon.words[i]] == pytest.approx(p, abs=1e-4)
    assert [word for word, _ in result.weights] == [*document[:3], *document[4:8]]
    here = batch["here"][0, 3]
    assert [weight for _, weight in result.weights] == pytest.approx(a[0, 3][here].tolist(), abs=1e-4)
    assert result.word == max(result.probabilities, key=result.probabilities.get) and result.unknown == []
    assert result.attention.weights.sum().item() == pytest.approx(1, abs=1e-5)


def test_one_word_unknown_words_and_a_long_sentence_are_answered(fill):
    look, _ = fill
    assert look("word _").weights == [("word", 1.0)]
    found = look("Strange the ___ unheard-of line !")
    assert found.unknown == ["strange", "unheard-of"] and [w for w, _ in found.weights] == ["the", "line", "!"]
    assert len(look("the word " * 50 + "___" + " line fits" * 50).weights) == 8
    assert len(look(["the _", "_ word"])) == 2


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("", "has 0 blanks; expected one, written as ___"),
        ("the word", "has 0 blanks"),
        ("_ word _", "has 2 blanks"),
        ("___", "no word beside its blank that the model knows"),
        ("xylophone ___", "no word beside its blank"),
        (3, "is int; expected a string"),
    ],
)
def test_a_sentence_that_cannot_be_meant_is_one_sentence(raw, message, fill):
    with pytest.raises(InputError, match=message):
        fill[0](raw)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"corpus": "debain"}, "corpus is 'debain', not one of debian, files, lines"),
        ({"root": None}, "say where the text is"),
        ({"root": "/no/such.txt"}, "/no/such.txt: cannot be read"),
        ({"min_count": 10_000}, "data.min_count is too large"),
        ({"output": "softmax"}, "output is 'softmax'"),
        ({"subsample": 2}, "subsample is 2"),
        ({"window": 0}, "window is 0"),
        ({"shrink": 1}, "shrink is 1; expected true or false"),
    ],
)
def test_data_that_cannot_be_meant_are_one_sentence(arguments, message, tmp_path):
    words(tmp_path)
    with pytest.raises(DataError, match=message):
        data = WordWindows(**({"corpus": "files", "root": f"{tmp_path}/text.txt", "tags": None} | arguments))
        data.batch("train", torch.arange(1))


def test_an_empty_text_is_one_sentence(tmp_path):
    (tmp_path / "empty.txt").write_text("\n \n")
    with pytest.raises(DataError, match="there is no word in the text"):
        _ = WordWindows("files", str(tmp_path / "empty.txt"), tags=None).spec


def test_a_window_wider_than_the_text_and_documents_of_one_word_are_read(tmp_path):
    (tmp_path / "short.txt").write_text("one two one\nalone\n" * 5)
    data = WordWindows("lines", str(tmp_path / "short.txt"), window=50, min_count=1, tags=None)
    found = [around for word, around in stretches(data) if around]
    assert {len(around) for around in found} == {2}
    lone = [around for word, around in stretches(data) if word == "alone"]
    assert not any(lone)
