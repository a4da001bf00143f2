"""Gradients and leaving out, of every output: against closed forms, finite differences, and the rooms' own forward."""

import json
import math

import numpy as np
import pytest
import torch
from captum.attr import InputXGradient
from scipy.stats import kendalltau
from torch import nn

import zoo
from tests.conftest import called
from zoo.looking import saliency
from zoo.looking.saliency import Instance
from zoo.pipelines import InputError

RELEASED = [
    "luong.debian_de_en",
    "bahdanau.debian_de_en",
    "transformer.debian_de_en",
    "rush.debian_abs",
    "reader.debian_attentive",
    "source_cnn.debian_incnn",
    "former.debian_sections",
    "explained.sections_bilstm",
    "show_attend_tell.emoji_soft",
    "attentive_cbow.debian_attentive",
]
IDS = torch.tensor([[9, 24, 31, 12, 40, 2]])  # of five words and the end
WRITTEN = torch.tensor([[1, 17, 8, 33, 2]])
BATCH = {"source": IDS, "target": WRITTEN, "text": IDS[:, :5], "document": 20 + IDS[:, :5], "caption": WRITTEN}
BATCH |= {"question": torch.tensor([[30, 4]]), "candidates": torch.tensor([[29, 44]])}


class Toy(nn.Module):
    """Weights 1/S, 2/S, ... over words; logits of two outputs are linear in the weighted mean of their vectors."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Embedding(9, 3).double()
        self.W = torch.randn(2, 4, 3, dtype=torch.float64)

    def forward(self, ids):
        x = self.table(ids)
        self.table(ids.flip(0))  # a second call, as of a table that two sides share, is left alone
        weights = torch.arange(1.0, 1 + ids.shape[1], dtype=torch.float64) / ids.shape[1]
        mean = (weights[:, None] * x).sum(1)
        return torch.einsum("tvd,bd->btv", self.W, mean), weights.expand(len(ids), 2, -1)


TOY = Toy()
TEXT = Instance(torch.tensor([3, 5, 7, 4]), torch.tensor([0, 1, 3]), TOY, TOY.table)


def test_gradients_of_a_linear_network_are_those_of_its_softmax():
    """d log p_v / d x_s = a_s (W_v - sum_u p_u W_u)."""
    found = saliency.gradients(TEXT)
    logits, weights = TOY(TEXT.inputs[None])
    assert torch.equal(found["attention"], weights[0][:, TEXT.places])
    x = TOY.table.weight[TEXT.inputs].detach()
    for t in range(2):
        p = logits[0, t].softmax(-1)
        slope = TOY.W[t, p.argmax()] - p @ TOY.W[t]
        for n, s in enumerate(TEXT.places.tolist()):
            g = (weights[0, t, s] * slope).detach()
            assert found["gradient_norm"][t, n].item() == pytest.approx(g.norm().item())
            assert found["gradient_times_input"][t, n].item() == pytest.approx((g @ x[s]).abs().item())
    other = saliency.gradients(TEXT, torch.tensor([2, 0]))
    expected = InputXGradient(lambda x: logits_of(x)[:, 0, 2]).attribute(x[None].requires_grad_()).sum(-1).abs()
    torch.testing.assert_close(other["gradient_times_input"][0], expected[0, TEXT.places].detach())


def logits_of(x):
    weights = torch.arange(1.0, 5, dtype=torch.float64)[:, None] / 4
    return torch.einsum("tvd,bd->btv", TOY.W, (weights * x).sum(1)).log_softmax(-1)


def test_leaving_out_is_the_network_without_the_word():
    found = saliency.left_out(TEXT)
    whole = TOY(TEXT.inputs[None])[0].softmax(-1)[0]
    for n, s in enumerate(TEXT.places.tolist()):
        rest = [word for place, word in enumerate(TEXT.inputs.tolist()) if place != s]
        without = TOY(torch.tensor([rest]))[0].softmax(-1)[0]
        torch.testing.assert_close(found[:, n], (without - whole).abs().sum(-1) / 2)


def test_vectors_need_no_table():
    x = TOY.table.weight[TEXT.inputs].detach()
    vectors = Instance(x, TEXT.places, lambda x: (logits_of(x), torch.ones(len(x), 2, x.shape[1])))
    for name, values in saliency.gradients(vectors).items():
        if name != "attention":
            torch.testing.assert_close(values, saliency.gradients(TEXT)[name])


def test_agreement_is_the_mean_of_scipys_taus():
    accounts, missing = saliency.gradients(TEXT), saliency.left_out(TEXT)
    found = saliency.agreement(TEXT)
    pairs = {"tau_gradient": accounts["gradient_times_input"], "tau_leave_one_out": missing}
    for name, other in pairs.items():
        taus = [kendalltau(a, b).statistic for a, b in zip(accounts["attention"], other, strict=True)]
        assert found[name].item() == pytest.approx(np.mean(taus))


def test_means_leave_out_what_is_not_defined():
    rows = [{"tau": torch.tensor(value)} for value in (0.5, math.nan, 0.1)]
    assert saliency.means(rows) == pytest.approx({"tau": 0.3, "tau_std": math.sqrt(0.08), "samples": 3})
    assert math.isnan(saliency.means(rows[1:2])["tau"])


@pytest.mark.parametrize("name", RELEASED)
def test_the_gradients_of_a_room_are_finite_differences(name):
    pipe = zoo.pipeline(name)
    network = pipe.network.double()
    image = torch.rand(1, 3, 112, 112, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    batch = {**BATCH, "image": image}
    if name.startswith("attentive_cbow"):
        batch |= {"text": torch.arange(200, 241)[None], "here": (torch.arange(40) % 7 < 3)[None, None]}
    instance = pipe.instance(batch)
    found = saliency.gradients(instance)
    logits, weights = (each[0] for each in instance.ask(instance.inputs[None]))
    torch.testing.assert_close(found["attention"], weights[:, instance.places].detach(), check_dtype=False)
    assert (weights.sum(-1) - 1).abs().max() < 1e-5 and (found["gradient_norm"] > 0).any()
    label = logits.argmax(-1)
    s = instance.places[2].item()

    def moved(step):
        """log p where the vector of one input is longer by a step: x . g is the slope."""
        inputs = instance.inputs[None].clone()
        if instance.table is None:
            inputs[0, s] *= 1 + step
            return told(inputs)
        calls = []

        def longer(_, __, x):
            calls.append(x)
            if len(calls) > 1:
                return x
            scale = torch.ones(x.shape[1], 1, dtype=x.dtype)
            scale[s] += step
            return x * scale

        hook = instance.table.register_forward_hook(longer)
        try:
            return told(inputs)
        finally:
            hook.remove()

    @torch.no_grad()
    def told(inputs):
        return instance.ask(inputs)[0][0].log_softmax(-1).gather(1, label[:, None])[:, 0]

    slope = (moved(1e-3) - moved(-1e-3)) / 2e-3  # parts of some networks are float32
    torch.testing.assert_close(
        found["gradient_times_input"][:, 2], slope.abs(), rtol=2e-3, atol=3e-4, check_dtype=False
    )
    assert next(network.parameters()).grad is None


def test_a_word_of_a_context_is_left_out_of_its_slot():
    pipe = zoo.pipeline("attentive_cbow.debian_attentive")
    text, here = torch.arange(200, 241)[None], (torch.arange(40) % 7 < 3)[None, None]
    found = saliency.left_out(pipe.instance({"text": text, "here": here}))[0]

    @torch.no_grad()
    def p(here):
        return (pipe.network(text, here)[0][0, 0] @ pipe.network.O.weight.T + pipe.prior).softmax(-1)

    for n, slot in enumerate(here[0, 0].nonzero()[:, 0].tolist()):
        without = here.clone()
        without[0, 0, slot] = False
        assert found[n].item() == pytest.approx((p(without) - p(here)).abs().sum().item() / 2, abs=1e-6)


@pytest.mark.parametrize("name", ["ram.mnist28_7", "draw.mnist_no_attention", "st_rnn.flights_st_rnn"])
def test_other_rooms_are_refused_in_a_sentence(name):
    with pytest.raises(InputError, match=f"{name} has no attention over words or places"):
        zoo.pipeline(name).instance({})


def test_the_script_prints_a_line():
    found = called("explain", "name=show_attend_tell.emoji_soft", "count=2")
    assert '"samples": 2' in found.stdout and -1 <= json.loads(found.stdout)["tau_gradient"] <= 1
    refused = called("explain", "name=ram.mnist28_7", check=False)
    assert refused.returncode and "no attention over words or places" in refused.stderr
