"""The formers against NumPy loops and torch's own layers, and what they are measured beside against counts by hand."""

import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.conftest import dropped
from zoo.errors import UnknownName, ZooError
from zoo.models.former.baselines import NGrams, bag_of_words, compressed, majority
from zoo.models.former.letters import letters
from zoo.models.former.network import Former, PlainAttention
from zoo.nn.sparse import pattern
from zoo.text.decoding import greedy
from zoo.training.metrics import BitsPerSymbol

relaxed = settings(deadline=None, max_examples=30, derandomize=True)
SMALL = {"vocabulary": 11, "dim": 8, "depth": 2, "longest": 9}
TINY = {"dim": 8, "depth": 2}
QUICK = {"former": TINY, "former_generator": TINY}  # see tests/small.py
OPTIONS = {  # see tests/test_options.py
    "former_generator": {"num_classes": "a generator has none", "pooling": "a generator says something at every place"}
}
KINDS = [
    {"kind": "plain"},
    {"kind": "narrow", "heads": 2},
    {"kind": "wide", "heads": 2},
    {"kind": "narrow", "heads": 2, "scope": "atrous", "k": 3},
    {"kind": "narrow", "heads": 2, "scope": "local", "k": 1},
    {"kind": "plain", "scope": "sparse", "k": 3},
    {"kind": "narrow", "heads": 2, "scope": ["local", "atrous"], "k": 2},
]
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(map(str, kind.values())))


def network(kind=None, **arguments) -> Former:
    torch.manual_seed(0)
    return Former(**{**SMALL, "self_attention": kind or KINDS[1], **arguments}).double().eval()


def classifier(kind=None, **arguments) -> Former:
    return network(kind, num_classes=3, **arguments)


def symbols(*shape, seed=0):
    return torch.randint(1, 11, shape, generator=torch.Generator().manual_seed(seed))


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


@relaxed
@given(st.integers(1, 7), st.integers(1, 5), st.integers(0, 99), st.booleans(), st.data())
def test_plain_self_attention_is_two_products_and_a_softmax(length, dim, seed, causal, data):
    x = np.random.default_rng(seed).normal(size=(length, dim))
    allowed = np.array(data.draw(st.lists(st.booleans(), min_size=length, max_size=length)))
    y, weights = PlainAttention()(*[torch.from_numpy(x)[None]] * 2, torch.from_numpy(allowed), causal, True)
    for i in range(length):
        seen = [j for j in range(length) if allowed[j] and (j <= i or not causal)]
        expected = np.zeros(length)
        if seen:
            expected[seen] = softmax(np.array([x[i] @ x[j] for j in seen]))
        np.testing.assert_allclose(weights[0, 0, i], expected, atol=1e-10)
        np.testing.assert_allclose(y[0, i], expected @ x, atol=1e-10)


@relaxed
@given(st.permutations(range(6)), st.integers(0, 99))
def test_permuting_the_input_permutes_the_output_of_plain_self_attention(order, seed):
    x = torch.randn(2, 6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    y, _ = PlainAttention()(x, x, None)
    again, _ = PlainAttention()(x[:, order], x[:, order], None)
    torch.testing.assert_close(again, y[:, order])


@pytest.mark.parametrize("kind", KINDS[:3], ids=lambda kind: kind["kind"])
def test_without_positions_a_classifier_sees_a_bag_and_with_them_an_order(kind):
    text = symbols(2, 6)
    bag, ordered = classifier(kind, positions="none"), classifier(kind)
    torch.testing.assert_close(bag(text.flip(1)), bag(text))
    assert (ordered(text.flip(1)) - ordered(text)).abs().max() > 1e-3
    local = classifier({**kind, "scope": "local", "k": 1}, positions="none")
    assert (local(text[:, [3, 0, 2, 5, 1, 4]]) - local(text)).abs().max() > 1e-6


@pytest.mark.parametrize("kind", ["narrow", "wide"])
def test_a_block_is_what_the_post_says(kind):
    """LN(attention + x), LN(ff + x), with heads cut from one map, or of the full width each; one output bias."""
    made = network({"kind": kind, "heads": 2}, depth=1)
    p = {name.removeprefix("blocks.0."): value.detach().numpy() for name, value in made.named_parameters()}
    d = 4 if kind == "narrow" else 8
    assert p["attend.query.weight"].shape == p["attend.key.weight"].shape == (2 * d, 8)
    assert sum(v.size for k, v in p.items() if k.startswith("attend")) == 4 * 8 * 2 * d + 8
    x = np.random.default_rng(0).normal(size=(5, 8))

    def norm(x, name):
        z = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
        return z * p[f"{name}.weight"] + p[f"{name}.bias"]

    q, k, v = (x @ p[f"attend.{name}.weight"].T for name in ("query", "key", "value"))
    heads = []
    for h in range(2):
        part = slice(h * d, h * d + d)
        rows = [softmax(q[i, part] @ k[:, part].T / math.sqrt(d)) for i in range(5)]
        heads.append(np.stack(rows) @ v[:, part])
    x1 = norm(np.concatenate(heads, 1) @ p["attend.out.weight"].T + p["attend.out.bias"] + x, "norm_1")
    hidden = np.maximum(x1 @ p["feed.0.weight"].T + p["feed.0.bias"], 0)
    expected = norm(hidden @ p["feed.2.weight"].T + p["feed.2.bias"] + x1, "norm_2")
    found, _ = made.blocks[0](torch.from_numpy(x)[None], None, False)
    np.testing.assert_allclose(found[0].detach(), expected, atol=1e-10)


@pytest.mark.parametrize("causal", [False, True])
def test_narrow_blocks_are_torchs_post_norm_layer(causal):
    made = network({"kind": "narrow", "heads": 2}, depth=1)
    block, theirs = made.blocks[0], nn.TransformerEncoderLayer(8, 2, 32, 0.0, batch_first=True).double()
    attend = block.attend
    with torch.no_grad():
        theirs.self_attn.in_proj_weight.copy_(torch.cat([m.weight for m in (attend.query, attend.key, attend.value)]))
        theirs.self_attn.in_proj_bias.zero_()
    theirs.self_attn.out_proj.load_state_dict(attend.out.state_dict())
    pairs = ((theirs.linear1, block.feed[0]), (theirs.linear2, block.feed[2]))
    for one, other in (*pairs, (theirs.norm1, block.norm_1), (theirs.norm2, block.norm_2)):
        one.load_state_dict(other.state_dict())
    x = torch.randn(2, 6, 8, dtype=torch.float64)
    hidden = ~pattern("full", 6, causal=True) if causal else None
    torch.testing.assert_close(block(x, None, causal)[0], theirs(x, src_mask=hidden))


@every_kind
@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_padding_changes_nothing(kind, pooling):
    made, text = classifier(kind, pooling=pooling), symbols(2, 6)
    mask = torch.arange(6) < torch.tensor([[6], [3]])
    padded = text.masked_fill(~mask, 0)
    torch.testing.assert_close(made(padded, mask)[1:], made(text[1:, :3]))
    torch.testing.assert_close(made(padded, mask)[1:], made(text, mask)[1:])


@every_kind
def test_weights_are_rows_over_what_may_be_looked_at(kind):
    made, text = classifier(kind), symbols(2, 6)
    mask = torch.arange(6) < torch.tensor([[6], [4]])
    for weights, scope in zip(made.look(text, mask), made.scopes, strict=True):
        allowed = pattern(scope, 6, made.k) & mask[:, None, None]
        assert not weights[~allowed.expand_as(weights)].any()
        # row 5 of the second text is padding, and in some patterns it sees nothing
        torch.testing.assert_close(weights.sum(-1), allowed.any(-1).expand(weights.shape[:3]).to(weights.dtype))


@every_kind
def test_a_fused_forward_equals_the_one_with_weights(kind):
    made, text = network(kind), symbols(2, 6)
    torch.testing.assert_close(made.encode(text)[0], made.encode(text, looked=range(9))[0])
    last = made.look(text, block=-1)
    assert len(last) == 1
    torch.testing.assert_close(last[0], made.look(text)[-1])


@every_kind
def test_a_generator_sees_no_later_symbol_and_only_its_pattern(kind):
    made = network(kind, depth=1)
    x = torch.randn(1, 7, 8, dtype=torch.float64, requires_grad=True)
    scope = made.scopes[0]
    y, _ = made.blocks[0](x, *made._allowed(scope, 7, None))
    allowed = pattern(scope, 7, made.k, causal=True)
    for i in range(7):
        (gradient,) = torch.autograd.grad(y[0, i, 0], x, retain_graph=True)
        assert torch.equal(gradient[0].abs().sum(-1) > 0, allowed[i])


@every_kind
def test_writing_equals_reading(kind):
    """Each step's log p is that of the window read at once; after the window is full it moves on."""
    made = network(kind)
    prompt, length = torch.tensor([[3, 4, 5, 0], [6, 0, 0, 0]]), torch.tensor([3, 1])
    state = made.start(prompt, length, count=2)
    texts = [[3, 4, 5], [6]]
    token = torch.full((2, 2), 1)
    for t in range(10):
        log_p, state, _ = made.step(token, state)
        for row, text in enumerate(texts):
            expected = made(torch.tensor([text[-9:]]))[0, -1].log_softmax(-1).float()
            torch.testing.assert_close(log_p[row], expected.expand(2, -1))
            text.append(2 + (3 * t + row) % 8)
        token = torch.tensor([[text[-1]] * 2 for text in texts])


def test_a_long_prompt_is_read_from_its_end():
    made, text = network(), symbols(1, 30)
    log_p, _, _ = made.step(torch.zeros(1, 1, dtype=torch.int64), made.start(text, torch.tensor([30])))
    torch.testing.assert_close(log_p[0, 0], made(text[:, -9:])[0, -1].log_softmax(-1).float())
    found = greedy(made.step, made.start(text, torch.tensor([30])), (), 4, banned=(), eos=-1)
    assert len(found[0][0].tokens) == 4


@every_kind
@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_the_edges_stay_finite(kind, pooling):
    made = classifier(kind, pooling=pooling)
    nothing = torch.zeros(2, 5, dtype=torch.bool)
    for text, mask in ((symbols(2, 5), nothing), (symbols(2, 1), None), (symbols(2, 1), nothing[:, :1])):
        logits = made(text, mask)
        logits.sum().backward()
        assert logits.isfinite().all()
        assert all(p.grad is None or p.grad.isfinite().all() for p in made.parameters())
    assert network(kind)(symbols(2, 1)).isfinite().all()


@every_kind
def test_more_symbols_than_positions_are_refused_or_finite(kind):
    for made in (classifier(kind), network(kind)):
        with pytest.raises(ZooError, match="the input has 10 positions and 9 were learned"):
            made(symbols(1, 10))
    for positions in ("sinusoidal", "none"):
        assert network(kind, positions=positions)(symbols(1, 40)).isfinite().all()


@every_kind
@pytest.mark.parametrize("num_classes", [None, 3])
def test_gradients_reach_every_parameter(kind, num_classes):
    made = network(kind, num_classes=num_classes)
    made(torch.arange(9).repeat(2, 1)).square().sum().backward()
    for name, parameter in made.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), name


@pytest.mark.parametrize("kind", [*KINDS[:3], KINDS[-1]], ids=lambda kind: "-".join(map(str, kind.values())))
@pytest.mark.parametrize("num_classes", [None, 3])
def test_overfits_one_batch(kind, num_classes):
    torch.manual_seed(0)
    made = Former(**SMALL, num_classes=num_classes, self_attention=kind)
    text = symbols(4, 8)
    target = text.roll(-1, 1).flatten() if num_classes is None else torch.tensor([0, 1, 2, 1])
    optimizer = torch.optim.Adam(made.parameters(), 2e-2)
    for _ in range(80):
        loss = nn.functional.cross_entropy(made(text).flatten(0, -2), target)
        optimizer.zero_grad(), loss.backward(), optimizer.step()
    assert loss < 0.3


@pytest.mark.parametrize("make", [network, classifier])
def test_dropout_is_on_embeddings_and_after_each_layer_norm(make):
    net = make(dropout=0.5)
    assert dropped(net, symbols(3, 7)) == {(3, 7, 8): 1 + 2 * 2}


def test_starts_as_in_the_source():
    made = Former(vocabulary=500, longest=200)
    for table in (made.symbols.weight, made.positions.table):
        assert table.std().item() == pytest.approx(1, abs=0.02)
    assert len(made.blocks) == 6 and made.blocks[0].feed[0].out_features == 512


def test_what_there_is_not_is_told():
    for arguments, message in (
        ({"self_attention": {"kind": "narow"}}, r"self_attention\.kind is 'narow'.*did you mean narrow"),
        ({"self_attention": {"scope": "loca"}}, "did you mean local"),
        ({"self_attention": {"widht": 1}}, "self_attention has no widht"),
        ({"self_attention": {"scope": []}}, "empty list"),
        ({"self_attention": {"heads": 3}}, "3 heads cannot share 8 dimensions"),
        ({"positions": "learnt"}, "did you mean learned"),
        ({"pooling": "men"}, "did you mean mean"),
    ):
        with pytest.raises((UnknownName, ZooError), match=message):
            Former(**{**SMALL, **arguments})


def test_bits_per_symbol_by_hand():
    metric = BitsPerSymbol()
    p = torch.tensor([[0.5, 0.25], [0.125, 0.9]])
    metric.update(-p.log(), torch.tensor([[True, True], [True, False]]))
    metric.update(-torch.tensor([[0.5]]).log(), torch.tensor([[True]]))
    assert metric.compute().item() == pytest.approx((1 + 2 + 3 + 1) / 4)


def witten_bell(train: bytes, history: bytes, byte: int) -> float:
    """The rule as a recursion over counts by hand."""
    n = len(history) + 1
    counts = Counter(train[i : i + n] for i in range(len(train) - n + 1))
    after = {gram[-1]: count for gram, count in counts.items() if gram[:-1] == history}
    shorter = witten_bell(train, history[1:], byte) if history else 1 / 256
    if not after:
        return shorter
    return (after.get(byte, 0) + len(after) * shorter) / (sum(after.values()) + len(after))


def test_a_compressor_knows_what_it_has_read():
    """What was just read costs next to nothing; random bytes cost eight bits each and a header."""
    noise = np.random.default_rng(0).integers(256, size=20_000, dtype=np.uint8).tobytes()
    assert 8 < compressed(noise) < 8.1 and compressed(noise, noise) < 0.2 and compressed(b"ab" * 5000) < 0.15


@relaxed
@given(st.text("abc", min_size=5, max_size=40), st.text("abcd", min_size=2, max_size=20), st.integers(1, 5))
def test_five_grams_equal_a_count_by_hand(train, text, order):
    train, text = train.encode(), text.encode()
    grams = NGrams(train, order)
    expected = [witten_bell(train, text[max(0, i - order + 1) : i], text[i]) for i in range(1, len(text))]
    np.testing.assert_allclose(grams.probabilities(text), expected, rtol=1e-12)
    assert grams.bits(text) == pytest.approx(-np.log2(expected).mean())


def test_five_grams_sum_to_one_and_are_counted_by_hand():
    grams = NGrams(b"abracadabra")
    after = [grams.probabilities(b"abra" + bytes([i]))[-1] for i in range(256)]
    assert sum(after) == pytest.approx(1)
    assert NGrams(b"aab", 1).probabilities(b"ab")[0] == pytest.approx((1 + 2 / 256) / (3 + 2))
    with pytest.raises(ZooError, match="order is 8"):
        NGrams(b"abracadabra", 8)
    with pytest.raises(ZooError, match="has 2 bytes, expected at least 5"):
        NGrams(b"ab")


def test_the_most_frequent_class_and_a_bag_of_words():
    texts = [f"{'red green' if i % 3 else 'blue'} thing {i % 5}" for i in range(30)]
    rows = (texts, [int(i % 3 > 0) for i in range(30)])
    assert majority(rows, rows) == pytest.approx(100 / 3)
    pytest.importorskip("sklearn")
    assert bag_of_words(rows, rows, rows)["error"] == 0


def test_letters():
    assert letters("aé\n".encode()) == ["a", "c3", "a9", "\n"]
