"""Word alignment against the enumeration of all alignments, and links against cases counted by hand."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from datamodules.debian import pairs
from datamodules.files import DataError
from datamodules.links import affiliated, best, pharaoh, read_gold, read_heads, read_links, symmetrise
from datamodules.moses import tokenise
from datamodules.word_alignment import FARTHEST, MODELS, Aligner

SOURCE = [[4, 5, 6], [5, 6], [4, 6, 7, 4], [8], [], [4]]
TARGET = [[14, 15], [15, 16, 14], [16, 14, 17], [14], [15], []]


def table(aligner: Aligner, f: int, e: int) -> float:
    """t(e | f); f is a word or the empty word, whose number is that of the words."""
    place = (aligner.keys == f * aligner.words + e).nonzero()
    return aligner.t[place].item()


def joint(aligner: Aligner, f: list[int], e: list[int], a: tuple[int, ...]) -> float:
    """p(e, a | f): a_i is the place of a source word, or len(f) + the place that an empty word remembers."""
    width, here, total = len(f), None, 1.0
    for i, place in enumerate(a):
        j, empty = place % width, place >= width
        if aligner.model != "hmm":
            prior = 1 / width
            if aligner.model == "ibm2":
                weight = [math.exp(-aligner.tension * abs((i + 1) / len(e) - (k + 1) / width)) for k in range(width)]
                prior = weight[j] / sum(weight)
            # an empty word remembers nothing, so it is counted once for each place that it might
            total *= aligner.null / width if empty else (1 - aligner.null) * prior
        elif here is None:
            total *= (aligner.null if empty else 1 - aligner.null) / width
        elif empty:
            total *= aligner.null if j == here else 0
        else:
            jump = [aligner.jump[min(max(k - here, -FARTHEST), FARTHEST) + FARTHEST].item() for k in range(width)]
            total *= (1 - aligner.null) * jump[j] / sum(jump)
        total *= table(aligner, aligner.words if empty else f[j], e[i])
        here = j
    return total


@pytest.mark.parametrize("model", MODELS)
def test_posteriors_and_likelihood_are_those_of_all_alignments(model):
    aligner = Aligner(model, iterations=2)
    aligner.fit(SOURCE, TARGET)
    total = 0.0
    for f, e, (cells, ahead) in zip(SOURCE, TARGET, aligner.posteriors(SOURCE, TARGET), strict=True):
        if not (f and e):
            assert cells.shape == (len(e), len(f) + 1) and not cells.any() and len(ahead) == len(e) + 1
            continue
        width = len(f)
        expected, before = np.zeros((len(e), width + 1)), np.zeros((len(e), width))
        for a in itertools.product(range(2 * width), repeat=len(e)):
            p = joint(aligner, f, e, a)
            for i, place in enumerate(a):
                expected[i, place if place < width else width] += p
        for i in range(len(e)):  # from the words before, without the empty word
            for a in itertools.product(range(2 * width), repeat=i + 1):
                known = joint(aligner, f, e, a)
                if a[i] < width and known:
                    before[i, a[i]] += known / table(aligner, f[a[i]], e[i])
        total += math.log(expected[0].sum())
        np.testing.assert_allclose(cells, expected / expected.sum(1, keepdims=True), atol=1e-6)
        np.testing.assert_allclose(ahead[:-1], before / before.sum(1, keepdims=True), atol=1e-6)
    assert aligner._update(list(aligner._batches(SOURCE, TARGET)), model) == pytest.approx(total)


PAIRS = st.lists(
    st.tuples(
        st.lists(st.integers(0, 5), min_size=1, max_size=10), st.lists(st.integers(0, 5), min_size=1, max_size=10)
    ),
    min_size=1,
    max_size=8,
)


@given(PAIRS, st.sampled_from(MODELS))
@settings(max_examples=40, deadline=None)
def test_the_likelihood_never_falls(pairs, model):
    aligner = Aligner(model, iterations=4)
    history = aligner.fit([f for f, _ in pairs], [e for _, e in pairs])
    first, second = history[:4], history[4:]
    for part in (first, second):
        assert all(after >= before - 1e-9 for before, after in itertools.pairwise(part))
    f = aligner.keys // aligner.words
    for word in f.unique():
        assert aligner.t[:-1][f == word].sum().item() == pytest.approx(1)


def test_words_of_a_made_language_are_found():
    random = np.random.default_rng(0)
    source, target, gold = [], [], []
    for _ in range(300):
        words = random.choice(30, random.integers(3, 8), replace=False)
        order = np.arange(len(words))
        swap = random.integers(len(words) - 1)
        order[[swap, swap + 1]] = order[[swap + 1, swap]]
        source.append(words.tolist()), target.append([100 + words[i] for i in order])
        gold.append({(int(s), t) for t, s in enumerate(order)})
    for model in MODELS:
        aligner = Aligner(model)
        aligner.fit(source, target)
        found = [best(cells) for cells, _ in aligner.posteriors(source, target)]
        right = sum(len(one & other) for one, other in zip(found, gold, strict=True))
        assert right >= 0.98 * sum(map(len, gold)), model
    never = aligner.posteriors([[999, 3]], [[103, 777]])[0][0]  # the first and the last were never seen
    assert (1, 0) in best(never) and torch.allclose(never.sum(1), torch.ones(2))


def test_no_text_teaches_nothing_and_wrong_choices_are_said():
    aligner = Aligner("hmm", 1)
    assert aligner.fit([], []) == [0, 0]
    assert aligner.posteriors([[1]], [[2]])[0][0].sum() == pytest.approx(1)
    with pytest.raises(DataError, match="'hhm', not one of"):
        Aligner("hhm")
    with pytest.raises(DataError, match="iterations is 0"):
        Aligner("hmm", 0)


def test_symmetrise_by_hand():
    """ich habe ihn gesehen / i have seen him, with a wrong link each way."""
    forward = {(0, 0), (1, 1), (3, 2), (2, 3)}  # a source word for each target word
    backward = {(0, 0), (1, 1), (3, 2), (2, 1)}
    assert symmetrise(forward, backward, "intersection") == {(0, 0), (1, 1), (3, 2)}
    assert symmetrise(forward, backward, "union") == forward | backward
    assert symmetrise(forward, backward, "source") == forward and symmetrise(forward, backward, "target") == backward
    # (2, 1) is next to (1, 1), and source word 2 has no link yet; (2, 3) is next to (3, 2), and target word 3 has none
    assert symmetrise(forward, backward, "grow-diag") == {(0, 0), (1, 1), (3, 2), (2, 1), (2, 3)}


def test_the_last_step_by_hand():
    """Links far from all others: final takes what has one free word, final-and what has two."""
    forward = {(0, 0), (5, 3), (5, 4)}
    backward = {(0, 0), (3, 7)}
    assert symmetrise(forward, backward, "grow-diag") == {(0, 0)}
    assert symmetrise(forward, backward, "grow-diag-final") == {(0, 0), (5, 3), (5, 4), (3, 7)}
    assert symmetrise(forward, backward, "grow-diag-final-and") == {(0, 0), (5, 3), (3, 7)}
    with pytest.raises(DataError, match="symmetry is 'grow'"):
        symmetrise(forward, backward, "grow")


def test_affiliation_by_hand():
    """One link; several (the middle, of two the left); none (the nearest, of two the right)."""
    links = {(4, 1), (0, 3), (2, 3), (6, 3), (1, 5), (3, 5)}
    assert affiliated(links, 7, 7) == [4, 4, 2, 2, 1, 1, 1]
    assert affiliated(set(), 2, 4) == [0, 1, 1, 1]


def test_the_best_links_leave_out_what_comes_from_the_empty_word():
    posterior = torch.tensor([[0.2, 0.5, 0.3], [0.1, 0.2, 0.7]])
    assert best(posterior) == {(1, 0)} and best(torch.zeros(0, 3)) == set()


def test_links_in_pharaohs_form(tmp_path):
    corpus = [{(0, 0), (1, 2)}, set()]
    path = tmp_path / "train.align"
    path.write_text(pharaoh(corpus))
    assert path.read_text() == "0-0 1-2\n\n"
    assert read_links(path, [(2, 3), (1, 1)]) == corpus
    for text, lengths, said in (
        ("0-0\n", [(1, 1)] * 2, "1 lines for 2 pairs"),
        ("0-0 0:1\n", [(1, 2)], "'0:1' is no link"),
        ("0-2\n", [(1, 2)], "0-2 is beyond the 1 and 2 words"),
        ("-1-0\n", [(1, 2)], "is no link"),
    ):
        path.write_text(text)
        with pytest.raises(DataError, match=said):
            read_links(path, lengths)
    with pytest.raises(DataError, match="cannot be read"):
        read_links(tmp_path / "none", [])


def test_heads_in_conlls_forms(tmp_path):
    path = tmp_path / "train.conll"
    row = "{}\tw\t_\t_\t_\t_\t{}\tx\t_\t_\n"  # CoNLL-U
    path.write_text("# text\n" + row.format(1, 2) + row.format(2, 0) + "\n" + row.format(1, 0))
    assert read_heads(path, [2, 1]) == [[1, -1], [-1]]
    path.write_text("1 ein 2 det\n2 haus 0 root\n\n\n1 ja 0 root")
    assert read_heads(path, [2, 1]) == [[1, -1], [-1]]
    for text, said in (
        ("1 ein 2 det\n", "its sentences and words are not those"),
        ("1 ein x det\n2 haus 0 root\n", "line 1: 'x' is no number"),
        ("1 ein 9 det\n2 haus 0 root\n\n1 ja 0 root\n", "head of sentence 1 lies beyond"),
    ):
        path.write_text(text)
        with pytest.raises(DataError, match=said):
            read_heads(path, [2, 1])


def test_links_made_by_hand_are_of_test_pairs():
    gold = read_gold()
    assert len(gold) == 68 and sum(len(each.sure) for each in gold) == 470
    short = [pair for pair in pairs("de", "en", "test") if max(len(side.split()) for side in pair) <= 12][:200]
    sides = (tokenise([pair[side] for pair in short], language) for side, language in enumerate(("de", "en")))
    known = set(zip(*sides, strict=True))
    assert sum((" ".join(each.source), " ".join(each.target)) in known for each in gold) >= 10
    for each in gold:
        assert each.sure <= each.possible
        assert all(s < len(each.source) and t < len(each.target) for s, t in each.possible)
