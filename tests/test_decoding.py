"""Decoding against exhaustive search and a naive beam in plain Python, on a model whose every output depends on all
that was written before."""

import itertools
import math
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import zoo.text.decoding
from zoo.nn.random import uniform
from zoo.text.decoding import beam_search, ensemble, greedy, sample
from zoo.text.search import History, best_words, tree_map
from zoo.text.unknown import replace_unknown

PAD, BOS, EOS, UNK = range(4)
PLACES = 101  # rows of the toy's table

relaxed = settings(deadline=None, max_examples=40, derandomize=True)


class Memory(NamedTuple):
    log_probs: torch.Tensor  # (batch, PLACES, V)
    weights: torch.Tensor  # (batch, PLACES, S)


class Toy:
    """Looks its output up in a random table, at a place that is a hash of all symbols so far: batching cannot change a
    bit of it, and whoever mixes up states, memories or histories gets other numbers."""

    def __init__(self, batch, words, seed, spread=2.0, source=4):
        random = torch.Generator().manual_seed(seed)
        self.words = words
        logits = torch.randn(batch, PLACES, words, generator=random) * spread
        weights = torch.randn(batch, PLACES, source, generator=random)
        self.mask = torch.rand(batch, source, generator=random) < 0.7
        self.mask[:, 0] = True
        weights = weights.masked_fill(~self.mask[:, None], -torch.inf).softmax(-1)
        self.memory = Memory(logits.log_softmax(-1), weights)
        self.batches = []  # sizes that step saw

    def start(self, beam):
        place = torch.zeros(len(self.mask), beam, dtype=torch.int64)
        return {"place": place, "unused": [None, place.float()[..., None].expand(-1, -1, 3)]}

    def step(self, token, state, memory):
        self.batches.append(len(token))
        place = (state["place"] * 7 + token + 1) % PLACES
        at = torch.arange(len(token))[:, None]
        return memory.log_probs[at, place], {**state, "place": place}, memory.weights[at, place]

    def of(self, sentences):
        """The same model for some of the sentences."""
        other = object.__new__(Toy)
        other.words, other.mask, other.batches = self.words, self.mask[sentences], []
        other.memory = Memory(*(x[sentences] for x in self.memory))
        return other

    def force(self, b, symbols):
        """Log-probability in float32, summed in the order of the symbols, and the weights, without the step."""
        log_probs, weights = (x[b].detach().numpy() for x in self.memory)
        place, total, rows = self.place((0, BOS)), np.float32(0), []
        for symbol in symbols:
            total, place, row = total + log_probs[place, symbol], self.place((place, symbol)), weights[place]
            rows.append(row)
        return total, np.array(rows)

    @staticmethod
    def place(symbols):
        """Where the table is read after a place and symbols."""
        place, *symbols = symbols
        for symbol in symbols:
            place = (place * 7 + symbol + 1) % PLACES
        return place


def naive_score(toy, b, symbols, normalise="none", alpha=1.0, coverage=0.0):
    log_prob, weights = toy.force(b, symbols)
    n = len(symbols)
    penalty = {"none": 1.0, "length": n**alpha, "gnmt": (5 + n) ** alpha / 6**alpha}[normalise]
    cover = sum(math.log(min(weights[:, j].sum(), 1.0)) for j in range(weights.shape[1]) if toy.mask[b, j])
    return log_prob / penalty + coverage * cover


def allowed(toy, banned, length, shortest):
    return [w for w in range(toy.words) if w not in banned and (w != EOS or length >= shortest)]


def exhaustive(toy, b, longest, shortest, banned, **scoring):
    """All finished sequences of symbols, or, if there are none, all of the full length; best first."""
    done, live = [], [()]
    for length in range(1, longest + 1):
        grown = [(*s, w) for s in live for w in allowed(toy, banned, length, shortest)]
        done += [s for s in grown if s[-1] == EOS]
        live = [s for s in grown if s[-1] != EOS]
    return sorted(((naive_score(toy, b, s, **scoring), s) for s in done or live), reverse=True)


def naive_beam(toy, b, beam, longest, shortest, banned, **scoring):
    """The same with K live sequences; never stops early."""
    log_probs = toy.memory.log_probs[b].numpy()
    done, live = [], [((), np.float32(0))]
    for length in range(1, longest + 1):
        words = allowed(toy, banned, length, shortest)
        grown = [((*s, w), p + log_probs[toy.place((0, BOS, *s)), w]) for s, p in live for w in words]
        grown.sort(key=lambda pair: pair[1], reverse=True)
        done += [s for s, _ in grown[:beam] if s[-1] == EOS]
        live = [(s, p) for s, p in grown if s[-1] != EOS][:beam]
    return sorted(((naive_score(toy, b, s, **scoring), s) for s in done or [s for s, _ in live]), reverse=True)


def symbols(hypothesis):
    return (*hypothesis.tokens, *([EOS] if hypothesis.finished else []))


def check(toy, b, hypotheses, expected):
    """Same sequences, same order; log-probabilities to the bit; weights those of the sequence itself."""
    assert [symbols(h) for h in hypotheses] == [s for _, s in expected]
    for h, (score, s) in zip(hypotheses, expected, strict=True):
        log_prob, weights = toy.force(b, s)
        assert h.log_prob == log_prob.item()
        assert h.score == pytest.approx(score, rel=1e-5, abs=1e-5)
        np.testing.assert_array_equal(h.weights.numpy(), weights)


def same(one, other):
    for x, y in zip(one, other, strict=True):
        assert [(h.tokens, h.log_prob, h.score, h.finished) for h in x] == [
            (h.tokens, h.log_prob, h.score, h.finished) for h in y
        ]
        for h, g in zip(x, y, strict=True):
            assert torch.equal(h.weights, g.weights)


lengths = st.lists(st.integers(1, 4), min_size=1, max_size=4)
scorings = st.fixed_dictionaries(
    {
        "normalise": st.sampled_from(["none", "length", "gnmt"]),
        "alpha": st.sampled_from([0.0, 0.3, 0.6, 1.0, 2.0]),
        "coverage": st.sampled_from([0.0, 0.2, 3.0]),
    }
)
bans = st.sampled_from([(), (PAD, BOS), (UNK,), (PAD, UNK)])


@relaxed
@given(lengths, st.integers(3, 4), st.integers(0, 5), bans, scorings, st.integers(1, 40), st.integers(0, 999))
def test_a_beam_as_wide_as_the_tree_is_exhaustive_search(longest, words, shortest, banned, scoring, n_best, seed):
    toy = Toy(len(longest), words, seed)
    banned = [w for w in banned if w < words]
    limits = {"max_length": torch.tensor(longest), "min_length": shortest, "banned": banned}
    wide = words ** max(longest)
    found = beam_search(toy.step, toy.start(wide), toy.memory, **limits, n_best=n_best, source_mask=toy.mask, **scoring)
    for b, hypotheses in enumerate(found):
        hypotheses = [h for h in hypotheses if h.log_prob > -math.inf]  # else no word is possible
        check(toy, b, hypotheses, exhaustive(toy, b, longest[b], shortest, banned, **scoring)[:n_best])


@relaxed
@given(
    st.integers(1, 6),
    st.sampled_from([6, 70, 333]),
    st.integers(1, 5),
    st.integers(0, 7),
    scorings,
    st.integers(0, 999),
)
def test_a_narrow_beam_is_the_naive_one(beam, words, n_best, shortest, scoring, seed):
    """With 70 and 333 words the best are found by blocks."""
    longest = [9, 1, 6, 8]
    toy = Toy(len(longest), words, seed, spread=3.0)
    toy.memory.log_probs[..., EOS] = -1 - 3 * torch.rand(len(longest), PLACES)
    found = beam_search(
        toy.step,
        toy.start(beam),
        toy.memory,
        torch.tensor(longest),
        shortest,
        n_best=n_best,
        source_mask=toy.mask,
        **scoring,
    )
    for b, hypotheses in enumerate(found):
        expected = naive_beam(toy, b, beam, longest[b], shortest, (PAD, BOS), **scoring)
        check(toy, b, hypotheses, expected[:n_best])


@relaxed
@given(st.integers(1, 4), st.sampled_from([1, 5, 64, 100, 200]), st.integers(1, 10), st.booleans(), st.integers(0, 99))
def test_best_words_are_those_of_a_sort(beam, words, n, dead, seed):
    random = torch.Generator().manual_seed(seed)
    score, log_probs = torch.randn(3, beam, generator=random), torch.randn(3, beam, words, generator=random)
    if dead:
        score[1, 1:] = -torch.inf
    n = min(n, beam * words)
    value, parent, word = best_words(score, log_probs, n)
    every = (score[:, :, None] + log_probs).numpy()
    np.testing.assert_array_equal(value.numpy(), -np.sort(-every.reshape(3, -1), 1)[:, :n])
    np.testing.assert_array_equal(value.numpy(), every[np.arange(3)[:, None], parent.numpy(), word.numpy()])


@relaxed
@given(lengths, scorings, st.integers(1, 5), st.integers(0, 999))
def test_a_batch_is_its_sentences_one_by_one(longest, scoring, beam, seed):
    toy, longest = Toy(len(longest), 20, seed), torch.tensor(longest) * 3
    shortest = longest // 2

    def all_ways(toy, index):
        limits = {"max_length": longest[index], "min_length": shortest[index]}
        options = {"n_best": 3, "source_mask": toy.mask, **scoring}
        noise = uniform(index, 2, 12)
        return (
            beam_search(toy.step, toy.start(beam), toy.memory, **limits, **options),
            greedy(toy.step, toy.start(1), toy.memory, **limits),
            sample(toy.step, toy.start(2), toy.memory, **limits, noise=noise),
        )

    whole = all_ways(toy, torch.arange(len(longest)))
    for b in range(len(longest)):
        index = torch.tensor([b])
        for batched, single in zip(whole, all_ways(toy.of(index), index), strict=True):
            same([batched[b]], single)


@relaxed
@given(st.integers(0, 999), st.integers(1, 9), st.sampled_from([5, 20, 90]))
def test_a_beam_of_one_is_greedy_and_greedy_takes_the_best_symbol(seed, longest, words):
    toy = Toy(3, words, seed)
    found = greedy(toy.step, toy.start(1), toy.memory, longest)
    same(found, beam_search(toy.step, toy.start(1), toy.memory, longest))
    for b, (hypothesis,) in enumerate(found):
        written = []
        while len(written) < longest and EOS not in written:
            place = toy.place((0, BOS, *written))
            written.append(2 + toy.memory.log_probs[b, place, 2:].argmax().item())  # pad and bos are banned by default
        check(toy, b, [hypothesis], [(toy.force(b, written)[0], tuple(written))])


@relaxed
@given(scorings, st.integers(1, 6), st.integers(0, 999))
def test_more_hypotheses_never_change_the_best_ones(scoring, beam, seed):
    toy = Toy(4, 30, seed)
    by_count = [
        beam_search(toy.step, toy.start(beam), toy.memory, 12, n_best=n, source_mask=toy.mask, **scoring)
        for n in (1, 3, 12)
    ]
    for few, more in itertools.pairwise(by_count):
        same(few, [y[: len(x)] for x, y in zip(few, more, strict=True)])
    for hypotheses in by_count[-1]:
        scores = [h.score for h in hypotheses]
        assert scores == sorted(scores, reverse=True)
        assert len({symbols(h) for h in hypotheses}) == len(hypotheses)


@pytest.mark.parametrize("every", [2, 5, 100])
@pytest.mark.parametrize("normalise", ["none", "gnmt"])
def test_when_sentences_are_dropped_changes_nothing(monkeypatch, every, normalise):
    """On other devices than the CPU the search looks every few steps only, not to wait for the device."""

    def all_ways():
        toy = Toy(20, 12, seed=1)
        longest = torch.arange(20) % 9 + 1
        yield beam_search(toy.step, toy.start(3), toy.memory, longest, n_best=2, normalise=normalise, alpha=0.6)
        yield greedy(toy.step, toy.start(1), toy.memory, longest)
        yield toy.batches

    class Rarely(History):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            self.every = every

    *expected, batches = all_ways()
    monkeypatch.setattr(zoo.text.decoding, "History", Rarely)
    *found, rarely = all_ways()
    for one, other in zip(expected, found, strict=True):
        same(one, other)
    assert sum(rarely) > sum(batches)


def test_the_work_shrinks_with_the_batch():
    toy = Toy(16, 10, seed=0)
    toy.memory.log_probs[:, :, EOS] = -50  # never chosen
    found = beam_search(toy.step, toy.start(4), toy.memory, torch.arange(1, 17))
    assert [len(h[0].tokens) for h in found] == list(range(1, 17))
    assert len(toy.batches) == 16 and toy.batches[-1] == 1
    assert all(size <= (16 - step) / (1 - 1 / 8) for step, size in enumerate(toy.batches))


def test_a_search_stops_when_nothing_can_be_better():
    toy = Toy(5, 10, seed=0)
    toy.memory.log_probs[:, :, EOS] = -1e-3
    found = beam_search(toy.step, toy.start(4), toy.memory, 50)
    assert [h[0].tokens for h in found] == [[]] * 5 and len(toy.batches) == 1
    beam_search(toy.step, toy.start(4), toy.memory, 50, n_best=4)
    assert 2 < len(toy.batches) < 8


@pytest.mark.parametrize("ways", [beam_search, greedy])
def test_a_model_that_never_ends_stops_at_max_length(ways):
    toy = Toy(3, 9, seed=4)
    toy.memory.log_probs[:, :, EOS] = -torch.inf
    found = ways(toy.step, toy.start(2), toy.memory, torch.tensor([2, 7, 4]))
    for hypotheses, length in zip(found, [2, 7, 4], strict=True):
        assert not hypotheses[0].finished
        assert len(hypotheses[0].tokens) == len(hypotheses[0].weights) == length


@pytest.mark.parametrize("ways", [beam_search, greedy, sample])
def test_a_model_without_a_possible_word_gives_an_empty_unfinished_hypothesis(ways):
    for impossible in (-torch.inf, torch.nan):
        toy = Toy(2, 6, seed=4)
        toy.memory.log_probs[0] = impossible
        broken, fine = ways(toy.step, toy.start(3), toy.memory, 5)
        assert broken[0].tokens == [] and broken[0].log_prob == -math.inf and not broken[0].finished
        assert fine[0].log_prob > -math.inf


def test_models_without_weights_and_empty_batches():
    toy = Toy(2, 6, seed=0)

    def blind(*arguments):
        log_probs, state, _ = toy.step(*arguments)
        return log_probs, state, None

    for way in (beam_search, greedy, sample):
        assert all(h[0].weights is None for h in way(blind, toy.start(2), toy.memory, 6))
        none = toy.of(slice(0, 0))
        assert way(none.step, none.start(2), none.memory, torch.zeros(0, dtype=torch.int64)) == []


def test_nothing_is_differentiated():
    toy = Toy(2, 6, seed=0)
    toy.memory.weights.requires_grad_()
    for way in (beam_search, greedy, sample):
        assert not way(toy.step, toy.start(2), toy.memory, 6)[0][0].weights.requires_grad


def test_an_ensemble_of_equals_is_one_of_them():
    toy = Toy(4, 25, seed=2)
    alone = beam_search(toy.step, toy.start(3), toy.memory, 10, n_best=3)
    together = beam_search(ensemble([toy.step] * 4), (toy.start(3),) * 4, (toy.memory,) * 4, 10, n_best=3)
    for x, y in zip(alone, together, strict=True):
        assert [h.tokens for h in x] == [h.tokens for h in y]
        for h, g in zip(x, y, strict=True):
            assert h.log_prob == pytest.approx(g.log_prob, abs=1e-4)
            torch.testing.assert_close(h.weights, g.weights)


def test_an_ensemble_has_the_mean_probability():
    toys = [Toy(3, 8, seed) for seed in (0, 1)]
    states, memories = tuple(t.start(2) for t in toys), tuple(t.memory for t in toys)
    (hypothesis, *_), *_ = beam_search(ensemble([t.step for t in toys]), states, memories, 6)
    expected, prefix = 0.0, ()
    for symbol in symbols(hypothesis):
        parts = [t.force(0, (*prefix, symbol))[0] - t.force(0, prefix)[0] for t in toys]
        expected += math.log(sum(math.exp(p) for p in parts) / 2)
        prefix = (*prefix, symbol)
    assert hypothesis.log_prob == pytest.approx(expected, abs=1e-5)
    weights = [t.force(0, prefix)[1] for t in toys]
    np.testing.assert_allclose(hypothesis.weights.numpy(), (weights[0] + weights[1]) / 2, rtol=1e-6)

    def blind(*arguments):
        return *toys[1].step(*arguments)[:2], None

    assert beam_search(ensemble([toys[0].step, blind]), states, memories, 6)[0][0].weights is None


@pytest.mark.parametrize("temperature", [1e-20, 1e-38, 1e-45, 5e-324])
@pytest.mark.parametrize("top_k", [None, 2])
def test_of_a_temperature_near_zero_greedy_is_the_limit(temperature, top_k):
    """The most probable word, whatever the noise, also where float32 has no such number to divide by."""

    def step(token, state, memory):
        log_p = torch.tensor([-torch.inf, -torch.inf, -40.0, -1.5, -0.9, -0.8, -torch.inf]).log_softmax(-1)
        return log_p.expand(*token.shape, -1).clone(), state, None

    found = sample(step, torch.zeros(1, 9, 1), (), 3, temperature=temperature, top_k=top_k, banned=())
    assert [each.tokens for each in found[0]] == [[5, 5, 5]] * 9


@pytest.mark.parametrize(("temperature", "top_k"), [(1.0, None), (0.6, None), (2.0, 3), (1.0, 99)])
def test_samples_have_the_frequencies_of_the_model(temperature, top_k):
    """All sequences of at most two symbols, by chi-square."""
    toy, n = Toy(2, 6, seed=3, spread=1.0), 8_000
    random = torch.Generator().manual_seed(0)
    options = {"temperature": temperature, "top_k": top_k, "banned": (PAD, BOS)}
    found = sample(toy.step, toy.start(n), toy.memory, 2, generator=random, **options)

    def distribution(b, prefix):
        p = np.exp(toy.memory.log_probs[b, toy.place((0, BOS, *prefix))].double().numpy() / temperature)
        p[[PAD, BOS]] = 0
        if top_k:
            p[np.argsort(-p)[top_k:]] = 0
        return p / p.sum()

    for b in range(2):
        expected = {}
        for first, p in enumerate(distribution(b, ())):
            if first == EOS:
                expected[(first,)] = p
                continue
            expected |= {(first, second): p * q for second, q in enumerate(distribution(b, (first,)))}
        drawn = [symbols(h) for h in found[b]]
        expected = {s: p for s, p in expected.items() if p > 0}
        assert len(drawn) == n and set(drawn) <= set(expected)
        counts = [drawn.count(s) for s in expected]
        assert stats.chisquare(counts, n * np.array(list(expected.values()))).pvalue > 0.01
        for hypothesis in found[b][:50]:
            assert hypothesis.log_prob == toy.force(b, symbols(hypothesis))[0].item()


def test_extreme_noise_never_draws_an_impossible_word():
    toy = Toy(2, 300, seed=0)
    toy.memory.log_probs[..., 290:] = -torch.inf
    noise = torch.tensor([2.0**-30, 1 - 2.0**-24, 1.0, 0.5]).view(1, 4, 1).expand(2, -1, 5)
    found = sample(toy.step, toy.start(4), toy.memory, 5, noise=noise)
    assert all(len(h) == 4 and max(symbols(g)) < 290 and min(symbols(g)) >= 2 for h in found for g in h)


def test_wrong_arguments_are_named():
    toy = Toy(2, 6, seed=0)
    common = (toy.step, toy.start(2), toy.memory)
    with pytest.raises(ValueError, match="max_length is 0"):
        beam_search(*common, torch.tensor([4, 0]))
    with pytest.raises(ValueError, match="'sum'"):
        beam_search(*common, 4, normalise="sum")
    with pytest.raises(ValueError, match="source_mask"):
        beam_search(*common, 4, coverage=0.1)
    with pytest.raises(ValueError, match="returns weights"):
        beam_search(lambda *a: (*toy.step(*a)[:2], None), *common[1:], 4, coverage=0.1, source_mask=toy.mask)
    with pytest.raises(ValueError, match="alpha is -1"):
        beam_search(*common, 4, normalise="length", alpha=-1)
    with pytest.raises(ValueError, match="n_best is 0"):
        beam_search(*common, 4, n_best=0)
    for temperature in (0, -1, math.nan, math.inf):
        with pytest.raises(ValueError, match=f"temperature is {temperature}"):
            sample(*common, 4, temperature=temperature)
    with pytest.raises(ValueError, match=r"\(2, 2, steps\)"):
        sample(*common, 4, noise=torch.rand(2, 3, 4))
    with pytest.raises(ValueError, match="no tensor"):
        greedy(toy.step, None, toy.memory, 4)
    with pytest.raises(TypeError, match="a state or memory holds a set"):
        tree_map(lambda x: x, ({1},))


SOURCE = ["Zofia", "Novak", "und", "Emeka", "Okafor", "backen", "gern", "Brot"]
WRITTEN = ["<unk>", "<unk>", "and", "<unk>", "<unk>", "like", "to", "bake", "bread"]
ALIGNED = [0, 1, 2, 3, 4, 6, 6, 5, 7]  # the source word of each written one
NAMED = ["Zofia", "Novak", "and", "Emeka", "Okafor", "like", "to", "bake", "bread"]


def rows_of(aligned):
    weights = torch.full((len(aligned), len(SOURCE) + 2), 0.02)  # eos and padding beyond the words
    weights[torch.arange(len(aligned)), torch.tensor(aligned)] = 0.8
    return weights


END = len(SOURCE)


def test_unknown_names_are_copied_from_where_their_own_step_looked():
    for aligned in (ALIGNED, [*ALIGNED, END]):
        assert replace_unknown(WRITTEN, rows_of(aligned), SOURCE) == NAMED


def test_with_a_shift_the_step_that_read_the_word_says_where_it_is_from():
    """The step that writes word t + 1 has just read word t, and looks at what word t came from."""
    weights = rows_of([END, *ALIGNED])
    assert replace_unknown(WRITTEN, weights, SOURCE, shift=1) == NAMED
    assert replace_unknown(WRITTEN, weights, SOURCE)[:5] != NAMED[:5]


def test_the_last_word_of_an_unfinished_translation_has_no_next_step():
    words = ["and", "<unk>"]
    assert replace_unknown(words, rows_of([2, 3]), SOURCE, shift=1) == ["and", "Emeka"]
    assert replace_unknown(words, rows_of([END, 2, 3]), SOURCE, shift=1) == ["and", "Emeka"]


def test_a_dictionary_is_asked_before_a_word_is_copied():
    dictionary = {"und": "and", "gern": "gladly"}
    words = ["<unk>", "<unk>", "<unk>"]
    assert replace_unknown(words, rows_of([3, 2, 6]), SOURCE, dictionary) == ["Emeka", "and", "gladly"]
    assert replace_unknown(["UNK"], rows_of([3]), SOURCE, unknown="UNK") == ["Emeka"]


def test_eos_and_padding_are_never_copied_and_nothing_comes_from_nothing():
    weights = rows_of([END])
    weights[0, 4] = 0.1
    assert replace_unknown(["<unk>"], weights, SOURCE) == ["Okafor"]
    assert replace_unknown(["<unk>"], weights, []) == ["<unk>"]
    assert replace_unknown([], weights, SOURCE) == []
    with pytest.raises(ValueError, match=r"\(1, 10\)"):
        replace_unknown(["a", "b"], weights, SOURCE)
