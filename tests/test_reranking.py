"""Re-ranking against sacreBLEU on whole corpora, and against every order of small lists."""

import itertools

import numpy as np
import pytest
import sacrebleu

import zoo
from zoo.errors import ZooError
from zoo.text.reranking import bleu_of, bootstrap, chosen, counts, n_best, stack, sums_of, tune

REFERENCES = ["this package contains the games of the year", "it is a small tool", "a library for C", "plain text"]
LISTS = [
    ["this package has games of the year", "this package contains the games of a year", "it has games"],
    ["it is small", "it is a small tool"],
    ["a library for C"],
    ["text that is plain", "plain text", "plain texts", "text"],
]


def lists(features):
    counted = [[counts(h, r) for h in hypotheses] for hypotheses, r in zip(LISTS, REFERENCES, strict=True)]
    return stack(features, counted)


def test_sums_of_counts_have_the_bleu_of_the_corpus():
    for choice in itertools.product(*(range(len(each)) for each in LISTS)):
        written = [each[i] for each, i in zip(LISTS, choice, strict=True)]
        made = lists([[[0.0]] * len(each) for each in LISTS])
        expected = sacrebleu.corpus_bleu(written, [REFERENCES]).score
        assert bleu_of(sums_of(made, np.array(choice)).sum(0)) == pytest.approx(expected)


def test_the_best_weights_are_those_that_choose_the_best_translations():
    """The second feature knows which are right; the translator's score says the contrary."""
    right = [1, 1, 0, 1]
    features = [
        [[-0.1 * i, 1.0 if i == best else 0.0, 0.0] for i in range(len(each))]
        for each, best in zip(LISTS, right, strict=True)
    ]
    made = lists(features)
    assert chosen(made, [0.0, 0.0]).tolist() == [0, 0, 0, 0]
    weights, score = tune(made, [(0.0, 0.05, 0.2), (-0.1, 0.0, 0.1)])
    assert weights[0] == 0.2 and chosen(made, weights).tolist() == right
    assert score == pytest.approx(bleu_of(sums_of(made, np.array(right)).sum(0)))
    useless = lists([[[-0.1 * i, 0.0, 0.0] for i in range(len(each))] for each in LISTS])
    assert tune(useless, [(0.0, 0.5), (0.0, 0.5)])[0] == [0.0, 0.0]


def test_a_list_that_is_filled_up_wins_by_no_weight():
    made = lists([[[-1.0, -5.0]] * len(each) for each in LISTS])
    assert all(i < len(each) for i, each in zip(chosen(made, [2.0]), LISTS, strict=True))
    assert all(i < len(each) for i, each in zip(chosen(made, [-2.0]), LISTS, strict=True))


def test_a_gain_everywhere_is_no_chance_and_no_gain_is():
    before = np.tile(counts("it is small", "it is a small tool"), (30, 1))
    after = np.tile(counts("it is a small tool", "it is a small tool"), (30, 1))
    sure = bootstrap(before, after, samples=100)
    assert sure["p"] == pytest.approx(1 / 101) and sure["low"] > 0
    assert bootstrap(before, before, samples=100)["p"] == 1
    back = bootstrap(after, before, samples=100)
    assert back["p"] == 1 and back["high"] < 0


def test_n_best_lists_of_a_released_translator():
    pipe = zoo.pipeline("luong.debian_de_en")
    sentences = ["Dieses Paket enthält Spiele.", "Dokumentation"]
    found = n_best(pipe, sentences, 4)
    for raw, candidates in zip(sentences, found, strict=True):
        answer = pipe(raw, beam=4, n_best=4, copy_unknown=False)
        assert [c.text for c in candidates][:1] == [answer.text]
        assert {c.text for c in candidates} == {answer.text, *answer.others}
        assert [c.score for c in candidates] == sorted((c.score for c in candidates), reverse=True)
    with pytest.raises(ZooError, match="a source is empty"):
        n_best(pipe, ["Haus", ""], 2)
    with pytest.raises(ZooError, match="size is 0"):
        n_best(pipe, ["Haus"], 0)
