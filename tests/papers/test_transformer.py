"""The Transformer against torch.nn's layers and stacks, and decoding with a cache against the whole prefix."""

import math
import re

import pytest
import torch
from torch import nn

from datamodules.translation import Translation
from tests.conftest import ROOT, dropped
from zoo.errors import UnknownName, ZooError
from zoo.looking.attention import Attention
from zoo.models.transformer import LitTransformer
from zoo.models.transformer.network import DecoderLayer, EncoderLayer, Transformer
from zoo.nn.position import Sinusoidal
from zoo.registry import rows
from zoo.text.decoding import beam_search, greedy

SIZES = {"source_vocabulary": 13, "target_vocabulary": 13, "layers": 2, "d_model": 8, "d_ff": 10, "heads": 2}
KINDS = {
    "published": {},
    "pre": {"norm": "pre"},
    "learned": {"positions": "learned", "longest": 30},
    "untied": {"tied": False, "target_vocabulary": 17, "attention_bias": True},
    "d_k": {"key_dim": 3, "value_dim": 5},
}
TINY = {"layers": 1, "d_model": 8, "d_ff": 8, "heads": 2, "extra": 5}
QUICK = {"transformer": TINY, "transformer_parser": TINY}  # see tests/small.py
BESIDE = {
    "source_vocabulary": {"tied": False},
    "target_vocabulary": {"tied": False},
    "longest": {"positions": "learned"},
    "reverse": "the order of the source is the data's; positions tell it",
}
OPTIONS = {"transformer": BESIDE, "transformer_parser": BESIDE}  # see tests/test_options.py


def network(kind: str = "published", **arguments) -> Transformer:
    torch.manual_seed(0)
    made = Transformer(**{**SIZES, **KINDS[kind], **arguments}).double().eval()
    for name, parameter in made.named_parameters():  # biases and norms that matter
        if parameter.ndim == 1:
            nn.init.normal_(parameter, 1.0 if name.endswith("norm.weight") else 0.0, 0.3)
    return made


def sentences(lengths, seed=0, longest=None):
    generator = torch.Generator().manual_seed(seed)
    ids = torch.zeros(len(lengths), longest or max(lengths), dtype=torch.int64)
    for row, length in enumerate(lengths):
        ids[row, :length] = torch.randint(3, 13, (length,), generator=generator)
    return ids


@torch.no_grad()
def give_to_torchs(ours: EncoderLayer | DecoderLayer, theirs: nn.Module) -> nn.Module:
    """Copies weights into a layer of torch.nn."""
    attentions = [(ours.attend, theirs.self_attn)]
    if isinstance(ours, DecoderLayer):
        attentions.append((ours.look, theirs.multihead_attn))
    for mine, other in attentions:
        other.in_proj_weight.copy_(torch.cat([mine.query.weight, mine.key.weight, mine.value.weight]))
        other.in_proj_bias.zero_()
        other.out_proj.bias.zero_()
        other.out_proj.weight.copy_(mine.out.weight)
        if mine.out.bias is not None:
            other.in_proj_bias.copy_(torch.cat([mine.query.bias, mine.key.bias, mine.value.bias]))
            other.out_proj.bias.copy_(mine.out.bias)
    pairs = [(ours.feed.W_1, theirs.linear1), (ours.feed.W_2, theirs.linear2)]
    pairs += [(each.norm, getattr(theirs, f"norm{i}")) for i, each in enumerate(ours.around, 1)]
    for mine, other in pairs:
        other.load_state_dict(mine.state_dict())
    return theirs


def torchs(kind: type[nn.Module], net: Transformer, d_ff: int = 10) -> nn.Module:
    first = net.encoder[0].around[0]
    how = {"dropout": 0.0, "batch_first": True, "norm_first": first.pre, "dtype": torch.float64}
    return kind(8, 2, d_ff, **how).eval()


@pytest.mark.parametrize("kind", ["published", "pre", "untied"])
def test_layers_equal_torchs(kind):
    net = network(kind)
    x, y = torch.randn(2, 3, 5, 8, dtype=torch.float64)
    mask = torch.arange(5) < torch.tensor([[5], [3], [1]])
    later = torch.ones(5, 5, dtype=torch.bool).triu(1)
    theirs = give_to_torchs(net.encoder[0], torchs(nn.TransformerEncoderLayer, net))
    with torch.enable_grad():  # without, torch takes a fast path of its own for padding
        expected = theirs(x, src_key_padding_mask=~mask)
    torch.testing.assert_close(net.encoder[0](x, mask)[0], expected)
    layer = net.decoder[0]
    theirs = give_to_torchs(layer, torchs(nn.TransformerDecoderLayer, net))
    expected = theirs(y, x, tgt_mask=later, memory_key_padding_mask=~mask)
    for need in (False, True):
        torch.testing.assert_close(layer(y, layer.look.project(x), mask, need)[0], expected)


@pytest.mark.parametrize("kind", ["published", "pre", "untied"])
def test_the_whole_equals_torchs_stacks_between_scaled_embeddings_and_the_tied_matrix(kind):
    net = network(kind)
    source, target = sentences([6, 3, 1]), sentences([4, 4, 2], seed=1)
    mask, places = source != 0, Sinusoidal(8).double()
    x = net.source.weight[source] * math.sqrt(8) + places(6)
    for layer in net.encoder:
        x = give_to_torchs(layer, torchs(nn.TransformerEncoderLayer, net))(x, src_key_padding_mask=~mask)
    x = net.last[0](x)
    y = (net.source if kind != "untied" else net.target).weight[target] * math.sqrt(8) + places(4)
    later = torch.ones(4, 4, dtype=torch.bool).triu(1)
    for layer in net.decoder:
        theirs = give_to_torchs(layer, torchs(nn.TransformerDecoderLayer, net))
        y = theirs(y, x, tgt_mask=later, memory_key_padding_mask=~mask, tgt_key_padding_mask=target == 0)
    logits = net.last[1](y) @ (net.source.weight if kind != "untied" else net.out.weight).T
    valid = target != 0
    torch.testing.assert_close(net(source, mask, target)[0][valid], logits[valid])


@pytest.mark.parametrize("kind", KINDS)
def test_padding_changes_nothing_and_many_are_as_one_by_one(kind):
    net = network(kind)
    lengths, written = [6, 3, 1], [4, 2, 5]
    source, target = sentences(lengths, longest=9), sentences(written, seed=1, longest=7)
    logits, weights = net(source, source != 0, target, need_weights=True)
    for row, (s, t) in enumerate(zip(lengths, written, strict=True)):
        one = source[row, None, :s]
        alone, seen = net(one, one != 0, target[row, None, :t], need_weights=True)
        torch.testing.assert_close(logits[row, None, :t], alone)
        torch.testing.assert_close(weights[row, None, :, :t, :s], seen)
        assert not weights[row, :, :, s:].any()


@pytest.mark.parametrize("kind", KINDS)
def test_a_later_word_changes_no_earlier_logits(kind):
    net = network(kind)
    source, target = sentences([6]), sentences([5], seed=1)
    before, _ = net(source, source != 0, target)
    for t in range(1, 5):
        changed = target.clone()
        changed[0, t] = 3 + (target[0, t] - 2) % 10
        after, _ = net(source, source != 0, changed)
        torch.testing.assert_close(after[:, :t], before[:, :t], rtol=0, atol=0)
        assert not torch.allclose(after[:, t:], before[:, t:])


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_with_the_cache_equals_the_whole_prefix(kind):
    """Three different hypotheses of each of two sentences."""
    net = network(kind)
    source = sentences([6, 3])
    mask, target = source != 0, sentences([5] * 6, seed=1).view(2, 3, 5)
    memory = net.encode(source, mask)
    state = net.start(memory, beam=3)
    for t in range(5):
        log_p, state, weights = net.step(target[:, :, t], state, memory)
        assert log_p.dtype == torch.float32 and weights.shape == (2, 3, 6)
        for k in range(3):
            logits, seen = net(source, mask, target[:, k, : t + 1], need_weights=True)
            torch.testing.assert_close(log_p[:, k], logits[:, t].float().log_softmax(-1))
            torch.testing.assert_close(weights[:, k], seen[:, :, t].mean(1))


@pytest.mark.parametrize("kind", KINDS)
def test_weights_are_of_every_layer_and_head_and_only_where_asked_for(kind):
    net = network(kind)
    source, target = sentences([6, 3]), sentences([4, 4], seed=1)
    logits, nothing = net(source, source != 0, target)
    same, weights = net(source, source != 0, target, need_weights=True)
    assert nothing is None and weights.shape == (2, 4, 4, 6)
    torch.testing.assert_close(same, logits)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 4, 4, dtype=weights.dtype))
    memory = net.encode(source, source != 0)
    x = net.embed(net.target, target)
    first = net.decoder[0](x, memory.source[0], memory.mask, True)[2]
    torch.testing.assert_close(weights[:, :2], first)


@pytest.mark.parametrize("kind", ["published", "pre", "untied"])
def test_self_attention_is_that_of_torchs_layers(kind):
    """torch.nn's MultiheadAttention gives its weights if asked; here it reads what torch's layers pass on."""
    net = network(kind)
    source, target = sentences([6, 3]), sentences([4, 4], seed=1)
    looked = net.look(source, source != 0, target)
    torch.testing.assert_close(looked.cross, net(source, source != 0, target, need_weights=True)[1])
    later = torch.ones(4, 4, dtype=torch.bool).triu(1)
    x, y = net.embed(net.source, source), net.embed(net.target, target)
    stacks = (
        (net.encoder, nn.TransformerEncoderLayer, x, looked.encoder, {"key_padding_mask": source == 0}),
        (net.decoder, nn.TransformerDecoderLayer, y, looked.decoder, {"attn_mask": later}),
    )
    memory = net.encode(source, source != 0)
    for stack, theirs, z, weights, hidden in stacks:
        assert weights.shape == (2, 4, z.shape[1], z.shape[1])
        for i, layer in enumerate(stack):
            seen = layer.around[0].before(z)
            attend = give_to_torchs(layer, torchs(theirs, net)).self_attn
            _, expected = attend(seen, seen, seen, average_attn_weights=False, **hidden)
            torch.testing.assert_close(weights[:, 2 * i : 2 * i + 2], expected)
            z = layer(z, source != 0)[0] if stack is net.encoder else layer(z, memory.source[i], memory.mask)[0]


@pytest.mark.parametrize("tied", [True, False])
def test_starts_with_embeddings_of_length_one(tied):
    """N(0, 1 / d_model), so that times sqrt(d_model) each number is as large as a position's; padding is zero."""
    torch.manual_seed(0)
    net = Transformer(400, 400, layers=1, d_model=64, d_ff=8, heads=2, tied=tied)
    for table in {net.source, net.target}:
        assert table.weight[1:].std().item() == pytest.approx(64**-0.5, rel=0.02) and not table.weight[0].any()
    assert (net.out.weight is net.source.weight) == tied
    bound = math.sqrt(6 / (64 + 8))  # Xavier's, of the matrices
    assert 0.9 * bound < net.encoder[0].feed.W_1.weight.abs().max() <= bound
    assert not any(parameter.any() for name, parameter in net.named_parameters() if name.endswith("bias"))


def test_dropout_is_where_the_paper_has_it():
    """On the sums of embeddings and positions of both stacks, and on the output of every sub-layer (section 5.4)."""
    net = network(dropout=0.5)
    source, target = sentences([6, 6]), sentences([4, 4], seed=1)
    places = dropped(net, source, source != 0, target)
    assert places == {(2, 6, 8): 1 + 2 * 2, (2, 4, 8): 1 + 2 * 3}


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_reach_every_parameter(kind):
    net = network(kind)
    source, target = sentences([13] * 4, longest=13), sentences([13] * 4, seed=1)
    net(source, source != 0, target)[0].square().sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        assert parameter.grad.any() or name.endswith("key.bias"), name  # adds one number to all energies of a row


def slow_greedy(net, source, length):
    written = [1]
    for _ in range(length):
        logits = net(source, source != 0, torch.tensor([written]))[0][0, -1].float()
        logits[:2] = -torch.inf
        written.append(int(logits.argmax()))
        if written[-1] == 2:
            return written[1:-1]
    return written[1:]


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_decoding_finds_what_the_forward_pass_says(kind):
    """Greedy against a loop of forward passes, sentences leaving the batch at different times; the beam's log p too."""
    net = network(kind)
    net.out.weight[2] += 0.5  # some sentences end early
    lengths = torch.tensor([6, 3, 1, 4])
    source = sentences(lengths.tolist())
    memory = net.encode(source, source != 0)
    for row, (found,) in enumerate(greedy(net.step, net.start(memory), memory, max_length=2 * lengths)):
        alone = source[row, None, : lengths[row]]
        assert found.tokens == slow_greedy(net, alone, 2 * int(lengths[row]))
    options = {"max_length": 2 * lengths, "normalise": "gnmt", "alpha": 0.6, "n_best": 3}
    found = beam_search(net.step, net.start(memory, 4), memory, **options, coverage=0.1, source_mask=source != 0)
    for row, hypotheses in enumerate(found):
        for hypothesis in hypotheses:
            written = torch.tensor([[1, *hypothesis.tokens, *([2] if hypothesis.finished else [])]])
            logits, seen = net(source[row, None], source[row, None] != 0, written[:, :-1], need_weights=True)
            log_p = logits.log_softmax(-1).gather(-1, written[:, 1:, None]).sum()
            assert hypothesis.log_prob == pytest.approx(float(log_p), abs=1e-4)
            torch.testing.assert_close(hypothesis.weights, seen[0].mean(0))


@torch.no_grad()
def test_what_is_strange_stays_finite_or_is_refused():
    net = network()
    nothing = torch.zeros(2, 3, dtype=torch.int64)
    nothing[0, 0] = 5
    logits, weights = net(nothing, nothing != 0, torch.tensor([[1], [1]]), need_weights=True)
    assert logits.isfinite().all() and not weights[1].any()  # one token; and a source that is all padding
    torch.testing.assert_close(net(nothing, nothing != 0, torch.tensor([[1], [1]]))[0], logits)
    long = sentences([700])
    assert net(long, long != 0, long)[0].isfinite().all()
    learned = network("learned")
    with pytest.raises(ZooError, match=r"^the input has 700 positions and 30 were learned; [^\n]*$"):
        learned.encode(long, long != 0)
    lit = LitTransformer(**SIZES, positions="learned", longest=12)
    assert lit.longest(torch.tensor([1, 9])).tolist() == [12, 12]
    assert all(len(tokens) <= 12 for tokens in lit.eval().translate(sentences([9, 2]), 2))
    assert LitTransformer(**SIZES).longest(torch.tensor([1, 9])).tolist() == [51, 59]


def test_a_wrong_choice_is_named():
    with pytest.raises(UnknownName, match="norm is 'posts', not 'post' or 'pre'; did you mean post"):
        Transformer(**SIZES, norm="posts")
    with pytest.raises(ZooError, match="one vocabulary for both languages, not 13 and 14 entries; try tied=false"):
        Transformer(**SIZES | {"target_vocabulary": 14})
    with pytest.raises(ZooError, match="3 heads cannot share 8 dimensions"):
        Transformer(**SIZES | {"heads": 3})


COUNTED = {row: entry["about"] for row, entry in rows("transformer").items() if " M parameters" in entry["about"]}


@pytest.mark.parametrize("row", COUNTED)
def test_parameters_of_table_3(row, composed):
    """Of the printed count, what the stacks do not have is one embedding of about the paper's 37,000 entries."""
    cfg = composed(f"experiment=transformer/{row}").model
    arguments = {key: cfg[key] for key in ("layers", "d_model", "d_ff", "heads", "key_dim", "value_dim")}
    with torch.device("meta"):
        net = Transformer(100, 100, **arguments)
    stacks = sum(parameter.numel() for parameter in net.parameters()) - 100 * cfg.d_model
    printed = 1e6 * int(re.search(r"(\d+) M parameters", COUNTED[row])[1])
    assert 35_000 < (printed - stacks) / cfg.d_model < 43_000


@pytest.mark.parametrize(("row", "printed"), [("wmt14_en_de_base", 65e6), ("wmt14_en_de_big", 213e6)])
def test_base_and_big_have_the_published_size(row, printed, composed):
    cfg = composed(f"experiment=transformer/{row}").model
    with torch.device("meta"):
        net = Transformer(37_000, 37_000, d_model=cfg.d_model, d_ff=cfg.d_ff, heads=cfg.heads)
    assert sum(parameter.numel() for parameter in net.parameters()) == pytest.approx(printed, rel=0.04)


def test_every_row_has_the_rate_of_the_paper(composed):
    """The highest rate of eq. 3, (d_model warmup)^-0.5."""
    for path in sorted((ROOT / "conf/experiment/transformer").glob("[wt]*.yaml")):
        model = composed(f"experiment=transformer/{path.stem}").model
        assert model.optimizer.lr == pytest.approx((model.d_model * model.schedule.warmup) ** -0.5, rel=1e-6), path


@pytest.fixture
def data(tmp_path):
    """Six short sentences, some of which differ in one word only; the target is in another order."""
    lines = ["a b c", "a b d", "d c", "b a d c", "c", "d d a"]
    for split in ("train", "val", "test"):
        (tmp_path / f"{split}.de").write_text("\n".join(lines) + "\n")
        (tmp_path / f"{split}.en").write_text("\n".join(line[::-1].upper() for line in lines) + "\n")
    return Translation(corpus="files", root=str(tmp_path), tokens="words", vocabulary=20)


@pytest.mark.parametrize("norm", ["post", "pre"])
def test_a_batch_is_learned_by_heart_and_recorded(norm, data):
    torch.manual_seed(0)
    how = {"layers": 2, "d_model": 32, "d_ff": 64, "heads": 4, "dropout": 0.0, "norm": norm}
    model = LitTransformer(**data.spec, **how, label_smoothing=0.0)
    batch = next(iter(data.train_dataloader()))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(200):
        optimizer.zero_grad()
        loss = model.loss(batch)["loss"]
        loss.backward()
        optimizer.step()
    assert loss < 0.02
    model.eval()
    with torch.no_grad():
        for beam in (1, 4):
            written = data.detokenise(model.translate(batch["source"], beam))
            assert written == data.references("train", batch["index"].tolist())
        model.trainer = type("Trainer", (), {"datamodule": data})()
        record = model.record(batch)
    assert isinstance(record, Attention) and record.weights.shape[1] == 8
    one = record[0]
    torch.testing.assert_close(one.weights.sum(-1), torch.ones(one.weights.shape[:3]))
    assert one.outputs[0][-1] == one.inputs[0][-1] == "</s>"


def test_the_arguments_of_training_are_in_the_checkpoint():
    lit = LitTransformer(**SIZES, extra=300)
    assert lit.hparams["extra"] == 300 and lit.hparams["label_smoothing"] == 0.1 and lit.hparams["d_model"] == 8
    assert (lit.beam, lit.normalise, lit.alpha, lit.label_smoothing) == (4, "gnmt", 0.6, 0.1)
    again = LitTransformer(**lit.hparams)
    assert again.extra == 300 and again.network.state_dict().keys() == lit.network.state_dict().keys()
