"""DRAW: the filters and equations beside loops, the bound beside enumeration, and what stays finite."""

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_module
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

import zoo
from scripts import draw as pictures
from tests.conftest import last_json
from zoo import release
from zoo.commands.predicting import predict
from zoo.commands.releasing import release_checkpoint
from zoo.errors import ZooError
from zoo.models.draw.filters import Filters
from zoo.models.draw.module import LitClassifier, LitDRAW
from zoo.models.draw.network import DRAW
from zoo.models.draw.record import reading, sampling
from zoo.pipelines import InputError
from zoo.training import running

TINY = {"size": 6, "num_steps": 3, "hidden": 7, "latent": 3, "read": 2, "write": 3}
QUICK = {  # see tests/small.py
    "draw": {"num_steps": 2, "hidden": 8, "latent": 3, "importance_samples": 2},
    "draw_classifier": {"num_steps": 2, "hidden": 8},
}
OPTIONS = {  # see tests/test_options.py
    "draw": {"num_classes": "a generator has none"},
    "draw_classifier": {"latent": "a classifier draws nothing", "write": "a classifier only reads"},
}
KINDS = {"both": {}, "read": {"write": None}, "write": {"read": None}, "none": {"read": None, "write": None}}


def make(seed: int = 0, **arguments) -> DRAW:
    """A small network whose weights, starts included, are all far from zero."""
    torch.manual_seed(seed)
    network = DRAW(**(TINY | arguments))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape) * 0.4)
    return network


def some(network: DRAW, batch: int = 2, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures of 0 and 1, and noise."""
    random = torch.Generator().manual_seed(seed)
    image = torch.rand(batch, network.channels, network.size, network.size, generator=random).round()
    return image, torch.randn(batch, network.num_steps, network.latent, generator=random)


def make_batch(network: DRAW, batch: int = 4) -> dict[str, torch.Tensor]:
    image, _ = some(network, batch)
    return {"image": image, "label": torch.arange(batch) % 3, "key": torch.arange(batch) + 5}


# --- the equations, number by number ----------------------------------------------------------------------------------


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def slow_filters(raw: np.ndarray, n: int, size: int) -> tuple[np.ndarray, np.ndarray, float]:
    """F_X and F_Y (n, size) and gamma as the paper has them: pixels and filters count from 1."""
    g_x, g_y = (size + 1) / 2 * (raw[0] + 1), (size + 1) / 2 * (raw[1] + 1)
    variance, delta = np.exp(raw[2]), (size - 1) / max(n - 1, 1) * np.exp(raw[3])
    filters = []
    for g in (g_x, g_y):
        f = np.zeros((n, size))
        for i in range(1, n + 1):
            mu = g + (i - n / 2 - 0.5) * delta
            for a in range(1, size + 1):
                f[i - 1, a - 1] = np.exp(-((a - mu) ** 2) / (2 * variance))
            f[i - 1] /= f[i - 1].sum()
        filters.append(f)
    return filters[0], filters[1], np.exp(raw[4])


def slow_lstm(gates: np.ndarray, cell: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    i, f, o, candidate = np.split(gates, 4)
    cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(candidate)
    return sigmoid(o) * np.tanh(cell), cell


def slow_draw(network: DRAW, image: np.ndarray, noise: np.ndarray) -> dict[str, np.ndarray]:
    """One picture (channels, size, size) through equations 1 to 11; a glimpse is written row, channel, column."""
    weights = {name: p.detach().double().numpy() for name, p in network.named_parameters()}
    n, m = network.read and network.read.n, network.write and network.write.n
    canvas = weights["canvas_start"].transpose(1, 0, 2)  # to (channels, size, size)
    (h_enc, cell_enc), (h_dec, cell_dec) = (
        (weights[f"{name}_start"], np.zeros(network.hidden)) for name in ("encoder", "decoder")
    )

    def linear(name, x):
        return weights[f"{name}.weight"] @ x + weights[f"{name}.bias"]

    def attend(h, part):
        start = sum(network.parts[:part])
        return linear("attend", h)[start : start + network.parts[part]]

    kl, zs, canvases = [], [], []
    for epsilon in noise:
        error = image - sigmoid(canvas)
        if n:
            f_x, f_y, gamma = slow_filters(attend(h_dec, 0), n, network.size)
            glimpses = [gamma * f_y @ plane @ f_x.T for plane in (*image, *error)]
            r = np.stack(glimpses).transpose(1, 0, 2).ravel()
        else:
            r = np.concatenate([image.transpose(1, 0, 2).ravel(), error.transpose(1, 0, 2).ravel()])
        h_enc, cell_enc = slow_lstm(linear("encode", np.concatenate([r, h_dec, h_enc])), cell_enc)
        mean, log_std = np.split(linear("infer", h_enc), 2)
        z = mean + np.exp(log_std) * epsilon
        kl.append(sum((mean**2 + np.exp(log_std) ** 2 - np.log(np.exp(log_std) ** 2) - 1) / 2))
        h_dec, cell_dec = slow_lstm(linear("decode", np.concatenate([z, h_dec])), cell_dec)
        if m:
            f_x, f_y, gamma = slow_filters(attend(h_dec, 1), m, network.size)
            patch = attend(h_dec, 2).reshape(m, network.channels, m)
            canvas = canvas + np.stack([f_y.T @ patch[:, c] @ f_x / gamma for c in range(network.channels)])
        else:
            size = network.size
            canvas = canvas + linear("paint", h_dec).reshape(size, network.channels, size).transpose(1, 0, 2)
        zs.append(z), canvases.append(canvas)
    p = sigmoid(canvas)
    reconstruction = -(image * np.log(p) + (1 - image) * np.log(1 - p)).sum()
    return {"kl": np.array(kl), "reconstruction": reconstruction, "z": np.array(zs), "canvases": np.array(canvases)}


@settings(deadline=None, max_examples=15, derandomize=True)
@given(st.integers(1, 5), st.integers(2, 9), st.integers(1, 3), st.integers(0, 99))
def test_filters_read_and_write_are_the_papers(n, size, channels, seed):
    random = torch.Generator().manual_seed(seed)
    raw, filters = torch.randn(3, 5, generator=random) * 0.7, Filters(n, size)
    picture = torch.rand(3, size, channels, size, generator=random)
    patch, canvas = torch.randn(3, n, channels, n, generator=random), torch.randn(picture.shape, generator=random)
    window = filters.window(raw)
    f_x, f_y = filters(window)
    read, written = filters.read(picture, window), filters.write(patch, window, canvas)
    torch.testing.assert_close(f_x.sum(-1), torch.ones(3, n))
    for i in range(3):
        slow_x, slow_y, gamma = slow_filters(raw[i].double().numpy(), n, size)
        np.testing.assert_allclose(f_x[i], slow_x, atol=1e-5)
        np.testing.assert_allclose(f_y[i], slow_y, atol=1e-5)
        for c in range(channels):
            seen = gamma * slow_y @ picture[i, :, c].double().numpy() @ slow_x.T
            np.testing.assert_allclose(read[i, :, c], seen, rtol=1e-5, atol=1e-5)
            painted = slow_y.T @ patch[i, :, c].double().numpy() @ slow_x / gamma
            np.testing.assert_allclose(written[i, :, c], canvas[i, :, c].numpy() + painted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("n", "size"), [(2, 28), (5, 28), (12, 100), (1, 7), (12, 54)])
def test_with_zero_parameters_the_window_is_centred_on_the_picture(n, size):
    filters = Filters(n, size)
    window = filters.window(torch.zeros(1, 5))
    assert window.centre.tolist() == [[(size - 1) / 2] * 2]
    f_x, f_y = filters(window)
    pixels = torch.arange(size).double()
    for f in (f_x, f_y):
        assert (f[0].double() @ pixels).mean().item() == pytest.approx((size - 1) / 2, abs=1e-6 * size)
        torch.testing.assert_close(f[0], f[0].flip(0, 1), rtol=0, atol=1e-6)  # the mirror image of itself
    if n > 1:
        assert filters.box(window).tolist() == [[0.5, 0.5, size - 0.5, size - 0.5]], "through the outermost pixels"


@pytest.mark.parametrize("raw", [[40.0, -40, 0, 0, 0], [0, 0, -99, 99, 0], [3, 3, -99, -99, 99], [0, 0, 99, 0, -99]])
def test_windows_outside_of_the_picture_and_extreme_ones_stay_finite(raw):
    filters, raw = Filters(3, 8), torch.tensor([raw]).float().requires_grad_()
    window = filters.window(raw)
    seen = filters.read(torch.rand(1, 8, 1, 8), window)
    painted = filters.write(torch.rand(1, 3, 1, 3), window, torch.zeros(1, 8, 1, 8))
    (seen.sum() + painted.sum()).backward()
    assert seen.isfinite().all() and painted.isfinite().all() and raw.grad.isfinite().all()
    torch.testing.assert_close(filters(window)[0].sum(-1), torch.ones(1, 3))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("steps", [1, 2])
def test_a_whole_forward_is_the_papers(kind, channels, steps):
    network = make(channels=channels, num_steps=steps, **KINDS[kind])
    image, noise = some(network)
    found, done = network(image, noise), network.infer_all(image, noise, keep=True)
    for i in range(2):
        slow = slow_draw(network, image[i].double().numpy(), noise[i].double().numpy())
        np.testing.assert_allclose(found.kl[i].detach(), slow["kl"], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(found.reconstruction[i].detach(), slow["reconstruction"], rtol=1e-5)
        np.testing.assert_allclose(done.z[i].detach(), slow["z"], rtol=1e-5, atol=1e-5)
        canvases = torch.stack([state.canvas[i].transpose(0, 1) for state in done.states[1:]])
        np.testing.assert_allclose(canvases.detach(), slow["canvases"], rtol=1e-5, atol=1e-5)


def test_the_number_of_parameters():
    for arguments, count in (({}, 960_763), ({"read": None, "write": None}, 2_750_696)):
        assert sum(p.numel() for p in DRAW(**arguments).parameters()) == count


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_finite_differences(kind):
    """The weights of the loop get theirs in one product, the cells in closed form."""
    network = make(num_steps=2, size=4, hidden=3, latent=2, **KINDS[kind]).double()
    image, noise = (each.double() for each in some(network))
    names, values = zip(*network.named_parameters(), strict=True)

    def bound(*given):
        found = torch.func.functional_call(network, dict(zip(names, given, strict=True)), (image, noise))
        return found.reconstruction + found.kl.sum(-1)

    assert torch.autograd.gradcheck(bound, values, eps=1e-6, atol=1e-6, fast_mode=True)


def test_the_classifier_is_the_papers():
    network = make(num_classes=4, channels=2, write=None)
    image, _ = some(network)
    weights = {name: p.detach().double().numpy() for name, p in network.named_parameters()}
    for i in range(2):
        h, cell = weights["encoder_start"], np.zeros(network.hidden)
        for _ in range(network.num_steps):
            raw = weights["attend.weight"] @ h + weights["attend.bias"]
            f_x, f_y, gamma = slow_filters(raw, 2, network.size)
            r = np.stack([gamma * f_y @ plane.double().numpy() @ f_x.T for plane in image[i]])
            x = np.concatenate([r.transpose(1, 0, 2).ravel(), h])
            h, cell = slow_lstm(weights["encode.weight"] @ x + weights["encode.bias"], cell)
        logits = weights["answer.weight"] @ h + weights["answer.bias"]
        np.testing.assert_allclose(network(image)[i].detach(), logits, rtol=1e-5, atol=1e-5)
    with pytest.raises(ZooError, match="read is None"):
        DRAW(num_classes=10, read=None)


# --- the bound --------------------------------------------------------------------------------------------------------


def toy() -> tuple[DRAW, torch.Tensor]:
    """One latent number a step, two steps, so that expectations over both are sums over a grid."""
    network = make(seed=3, num_steps=2, latent=1, size=3, hidden=4, read=2, write=2).double()
    return network, torch.tensor([[[1.0, 0, 1], [1, 1, 0], [0, 0, 1]]]).double()


def grid(count: int = 60) -> tuple[torch.Tensor, torch.Tensor]:
    """All pairs of standard normal numbers (n, 2, 1) and their weights (n,), by Gauss and Hermite."""
    points, weights = np.polynomial.hermite_e.hermegauss(count)
    pairs = np.stack(np.meshgrid(points, points, indexing="ij"), -1).reshape(-1, 2, 1)
    return torch.from_numpy(pairs), torch.from_numpy(np.outer(weights, weights).ravel() / weights.sum() ** 2)


@torch.no_grad()
def test_the_bound_is_in_the_mean_what_enumeration_gives():
    network, image = toy()
    noise, weight = grid()
    slow = [slow_draw(network, image.numpy(), each.numpy()) for each in noise]
    # L^z as the KL in closed form, against -log p(x, z) / q(z | x) written out with both densities
    expected = sum(w * (s["reconstruction"] + s["kl"].sum()) for w, s in zip(weight.numpy(), slow, strict=True))
    fresh = torch.randn(20_000, 2, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = network(image.expand(20_000, -1, -1, -1), fresh)
    bound = found.reconstruction + found.kl.sum(-1)
    assert (bound.mean() - expected).abs() < 4 * bound.std() / 20_000**0.5
    written_out = -network.log_weight(image.expand(20_000, -1, -1, -1), fresh)
    assert (written_out.mean() - expected).abs() < 4 * written_out.std() / 20_000**0.5


@torch.no_grad()
def test_importance_weights_average_to_the_probability_of_the_picture():
    network, image = toy()
    z, weight = grid()
    canvas = network.generate(z)[-1].canvas.transpose(1, 2)
    log_p = -nn.functional.binary_cross_entropy_with_logits(canvas, image.expand_as(canvas), reduction="none").sum(
        (1, 2, 3)
    )
    probability = (weight * log_p.exp()).sum()  # p(x), over all z of the prior
    noise = torch.randn(50_000, 2, 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    weights = network.log_weight(image.expand(50_000, -1, -1, -1), noise).exp()
    assert (weights.mean() - probability).abs() < 4 * weights.std() / 50_000**0.5
    bound = network(image.expand(50_000, -1, -1, -1), noise)
    assert (bound.reconstruction + bound.kl.sum(-1)).mean() > -probability.log()


def test_every_step_has_noise_of_its_own_and_streams_differ():
    lit = LitDRAW(**TINY)
    noise = lit.noise(torch.arange(3))
    assert len(noise.flatten().unique()) == noise.numel() == 3 * 3 * 3
    assert not torch.equal(noise, lit.noise(torch.arange(3), 1))
    assert torch.equal(noise[1:2], lit.noise(torch.arange(1, 2)))


# --- samples ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_samples_of_the_prior_do_not_touch_the_encoder(kind, monkeypatch):
    network = make(**KINDS[kind])
    z = some(network)[1]
    before = network.generate(z)[-1].canvas
    with torch.no_grad():
        for parameter in (*network.encode.parameters(), *network.infer.parameters()):
            parameter.fill_(torch.nan)
        monkeypatch.setattr(network, "step", None)
        assert torch.equal(network.generate(z)[-1].canvas, before)


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_inferred_is_painted_again(kind):
    network = make(**KINDS[kind])
    done = network.infer_all(*some(network))
    torch.testing.assert_close(network.generate(done.z)[-1].canvas, done.states[-1].canvas)


# --- what stays finite, compiled, and in bfloat16 ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments", [{}, {"num_steps": 1}, *KINDS.values(), {"channels": 3}, {"learned_start": False}]
)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_one_black_picture_in_any_precision_gives_a_finite_bound_and_gradient(arguments, precision):
    lit = LitDRAW(**(TINY | arguments))
    batch = {"image": torch.zeros(1, lit.network.channels, 6, 6), "key": torch.tensor([7])}
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        terms = lit.loss(batch)
    terms["loss"].backward()
    assert terms["loss"].isfinite() and terms["loss"].dtype == torch.float32 and terms["kl"] >= 0
    assert all(parameter.grad.isfinite().all() for parameter in lit.parameters() if parameter.grad is not None)


def test_bfloat16_keeps_windows_in_float32_and_the_bound(monkeypatch):
    torch.manual_seed(0)
    network, seen = DRAW(num_steps=4), []
    image, noise = some(network, 8)
    exact = network(image, noise)
    inner = Filters.window
    monkeypatch.setattr(Filters, "window", lambda self, raw: seen.append(raw.dtype) or inner(self, raw))
    with torch.autocast("cpu", torch.bfloat16):
        found = network(image, noise)
    assert set(seen) == {torch.float32}
    bounds = [(each.reconstruction + each.kl.sum(-1)).mean() for each in (exact, found)]
    assert not torch.equal(*bounds) and (bounds[0] - bounds[1]).abs() < 0.3


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_compiled_step_gives_the_same_bound_and_gradients(kind):
    plain, compiled = make(**KINDS[kind]), make(**KINDS[kind])
    compiled.compile()
    for network in (plain, compiled):
        found = network(*some(network))
        (found.reconstruction.sum() + found.kl.sum()).backward()
    for (name, one), other in zip(plain.named_parameters(), compiled.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-5, msg=name)


def test_the_step_of_a_classifier_is_compiled_and_not_its_loop(monkeypatch):
    compiled = []

    def compile(function, **_):
        def run(*arguments):
            compiled.append(function.__name__)
            return function(*arguments)

        return run

    monkeypatch.setattr(torch, "compile", compile)
    painter, classifier = make(), make(num_classes=3)
    painter.compile(), classifier.compile()
    image, noise = some(painter)
    painter(image, noise), classifier(image)
    assert compiled == ["step"] * 3 + ["glimpse"] * 3
    with torch.no_grad():  # batches of other sizes would be compiled anew
        painter(image, noise), classifier(image)
    assert len(compiled) == 6


# --- training and use -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_reach_every_parameter(kind):
    lit = LitDRAW(**(TINY | KINDS[kind]))
    lit.loss(make_batch(lit.network))["loss"].backward()
    assert [name for name, p in lit.network.named_parameters() if p.grad is None or not p.grad.any()] == []
    lit = LitClassifier(**{**TINY, "num_classes": 3, "latent": 1})
    lit.loss(make_batch(lit.network))["loss"].backward()
    assert [name for name, p in lit.network.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize("kind", ["both", "none"])
def test_overfits_one_batch(kind):
    """Two pictures are told apart by one bit: the bound falls to little more than log 2."""
    torch.manual_seed(0)
    lit = LitDRAW(**(TINY | {"hidden": 24, "num_steps": 4} | KINDS[kind]))
    image = torch.stack([torch.eye(6), torch.eye(6).flip(1)])[:, None].repeat(8, 1, 1, 1)
    optimizer = torch.optim.Adam(lit.parameters(), 2e-2)
    for step in range(300):
        optimizer.param_groups[0]["lr"] = 2e-2 * (1 - step / 300)
        loss = lit.loss({"image": image, "key": torch.arange(16) + 16 * step})["loss"]
        optimizer.zero_grad(), loss.backward()
        nn.utils.clip_grad_norm_(lit.parameters(), 5.0)
        optimizer.step()
    with torch.no_grad():
        loss = lit.loss({"image": image.repeat(200, 1, 1, 1), "key": torch.arange(3200)})["loss"]
    assert np.log(2) < loss < 2.0


def test_a_classifier_overfits_one_batch():
    torch.manual_seed(0)
    lit = LitClassifier(**{**TINY, "hidden": 24, "num_classes": 3})
    batch = make_batch(lit.network, 12)
    optimizer = torch.optim.Adam(lit.parameters(), 2e-2)
    for _ in range(150):
        loss = lit.loss(batch)["loss"]
        optimizer.zero_grad(), loss.backward(), optimizer.step()
    assert loss < 0.05
    error = lit.evaluate(batch, "test")["error"]
    assert error.compute() == 0


def test_a_batch_of_many_equals_one_by_one():
    network = make()
    image, noise = some(network, 5)
    together = network(image, noise)
    for i in range(5):
        alone = network(image[i : i + 1], noise[i : i + 1])
        for ours, one in zip(together, alone, strict=True):
            torch.testing.assert_close(ours[i : i + 1], one, rtol=1e-5, atol=1e-5)


def test_what_is_measured():
    lit = LitDRAW(**TINY, test_samples=3, importance_samples=40, importance_pictures=5)
    batch = make_batch(lit.network, 4)
    found = {name: metric.compute() for name, metric in lit.evaluate(batch, "val").items()}
    reconstruction, kl = lit.network(batch["image"], lit.noise(batch["key"]))
    torch.testing.assert_close(found, {"bound": (reconstruction + kl.sum(-1)).mean()})
    for metric in lit.nats.values():
        metric.reset()
    lit.evaluate(batch, "test")
    found = {name: metric.compute() for name, metric in lit.evaluate(batch, "test").items()}
    assert set(found) == {"bound", "reconstruction", "kl", "importance_40"}
    samples = [lit.network(batch["image"], lit.noise(batch["key"], stream)) for stream in range(3)]
    expected = sum((r + kl.sum(-1)).mean() for r, kl in samples) / 3
    torch.testing.assert_close(found["bound"], expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found["bound"], found["reconstruction"] + found["kl"], rtol=1e-5, atol=1e-5)
    assert lit.nats["test_importance"].total == 5, "four of the first batch and one of the second"
    noises = [lit.noise(batch["key"], 3 + stream) for stream in range(40)]
    log_weights = torch.stack([lit.network.log_weight(batch["image"], noise) for noise in noises])
    each = np.log(40) - log_weights.logsumexp(0)
    torch.testing.assert_close(found["importance_40"], (each.sum() + each[0]) / 5, rtol=1e-5, atol=1e-5)
    assert found["importance_40"] < found["bound"]


# --- where it looked --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_holds_windows_and_canvases(kind):
    lit = LitDRAW(**(TINY | KINDS[kind]))
    lit.network.load_state_dict(make(**KINDS[kind]).state_dict())
    batch = make_batch(lit.network, 2)
    record = lit.record(batch)
    assert record.boxes.shape == (2, 3, 2, 4) and record.frames.shape == (2, 3, 1, 6, 6)
    assert torch.equal(record.images, batch["image"]) and len(record[1].frames) == 1
    noise = lit.noise(batch["key"])
    torch.testing.assert_close(
        record.frames[:, -1], lit.network.infer_all(batch["image"], noise).states[-1].canvas.transpose(1, 2).sigmoid()
    )
    inner, outer = record.boxes.unbind(2)
    assert (outer[..., :2] <= inner[..., :2]).all() and (outer[..., 2:] >= inner[..., 2:]).all()
    if lit.network.write is None:
        assert (record.boxes == torch.tensor([0.0, 0, 6, 6])).all()
    drawn = sampling(lit.network, noise)
    assert torch.equal(drawn.images, drawn.frames[:, -1])


def test_the_box_is_where_ink_falls():
    """One bright filter grid, far to the right and above: what it paints lies within its box."""
    filters = Filters(3, 20)
    window = filters.window(torch.tensor([[0.5, -0.5, -3, -2, 0]]))
    painted = filters.write(torch.ones(1, 3, 1, 3), window, torch.zeros(1, 20, 1, 20))[0, :, 0]
    rows, columns = (painted > 0.05).nonzero().unbind(1)
    left, top, right, bottom = filters.box(window)[0].tolist()
    assert columns.min() + 0.5 == pytest.approx(left, abs=0.6) and columns.max() + 0.5 == pytest.approx(right, abs=0.6)
    assert rows.min() + 0.5 == pytest.approx(top, abs=0.6) and rows.max() + 0.5 == pytest.approx(bottom, abs=0.6)


def test_a_record_of_a_classifier_shows_what_it_read():
    network = make(num_classes=3, write=None)
    image, _ = some(network)
    record = reading(network, image)
    assert record.boxes.shape == (2, 3, 1, 4) and record.views.shape == (2, 3, 1, 2, 2)
    state = network.glimpse_all(image, keep=True)[1]
    window = network.read.window(state.said)
    f_x, f_y = network.read(window)
    torch.testing.assert_close(record.views[:, 1, 0], f_y @ image[:, 0] @ f_x.mT)
    torch.testing.assert_close(record.boxes[:, 1, 0], network.read.box(window))


# --- use --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    """A function from constructor arguments to a released folder with fresh weights."""

    def save(name: str, **arguments) -> str:
        torch.manual_seed(0)
        pre = {"size": TINY["size"], "digit": 28} if "num_classes" in arguments else {}
        config = TINY | arguments
        return str(release.save(DRAW(**config), tmp_path / name, name=f"draw.{name}", config=config, preprocess=pre))

    return save


def test_the_pipeline_paints_and_films(folder, tmp_path):
    pipe = zoo.pipeline(folder("mnist"))
    result = pipe(5, seed=3)
    assert result.plain() == {"samples": 5, "seed": 3} and result.images.shape == (5, 1, 6, 6)
    assert torch.equal(pipe(5, seed=3).images, result.images) and not torch.equal(pipe(5).images, result.images)
    torch.testing.assert_close(pipe(2, seed=3).images, result.images[:2])
    result.plot(tmp_path / "strip.png")
    result.plot(tmp_path / "film.gif")
    with Image.open(tmp_path / "film.gif") as film:
        assert film.n_frames == 3 and min(film.size) >= 400
    for wrong in (0, -1, 1.5, "3"):
        with pytest.raises(InputError, match="samples is"):
            pipe(wrong)
    with pytest.raises(InputError, match="seed is -1"):
        pipe(1, seed=-1)


def test_the_command_paints_without_an_input(folder, tmp_path, capsys):
    def run(*overrides: str) -> None:
        with initialize_config_module("conf", version_base="1.3"):
            predict(compose("predict", overrides=[f"name={folder('mnist')}", *overrides]))

    run(f"output={tmp_path}/film.gif")
    assert last_json(capsys.readouterr().out)["samples"] == 16 and (tmp_path / "film.gif").exists()
    run("input=3", "+options.seed=2")
    assert last_json(capsys.readouterr().out) | {"name": ""} == {"name": "", "input": 3, "samples": 3, "seed": 2}
    with pytest.raises(SystemExit):
        run("input=digit.png")
    assert "digit.png: expected how many" in capsys.readouterr().err


def test_the_classifiers_pipeline_looks(folder, tmp_path):
    pipe = zoo.pipeline(folder("cluttered100_8", num_classes=10))
    result = pipe(np.pad(np.full((2, 2), 255, np.uint8), 2))
    assert sum(result.probabilities) == pytest.approx(1, abs=1e-5) and result.attention.boxes.shape == (1, 3, 1, 4)
    result.plot(tmp_path / "path.png")
    result.plot(tmp_path / "path.gif")
    assert Image.open(tmp_path / "path.gif").n_frames == 3


def test_a_checkpoint_of_either_kind_becomes_a_release(composed, tmp_path):
    fast = ("debug=fast", "logger=none", "data.limit=16", "trainer.enable_progress_bar=false", "model.num_steps=2")
    for row, more in (("mnist", ("model.importance_samples=2",)), ("cluttered100_8", ())):
        running.train(composed(f"experiment=draw/{row}", *fast, *more))
        (tmp_path / "run/.hydra").mkdir(exist_ok=True)
        (tmp_path / "run/.hydra/config.yaml").write_text("data: {canvas: 100, limit: null}\n")
        checkpoint = tmp_path / "run/checkpoints/best.ckpt"
        made = release_checkpoint(checkpoint, f"draw.{row}", folder=tmp_path / row)
        network = zoo.create_model(made)
        assert network.generates == (row == "mnist") and network.num_steps == 2


def test_the_pictures_of_the_card(folder, tmp_path, monkeypatch):
    def some_digits(network: DRAW, count: int) -> dict[str, torch.Tensor]:
        return make_batch(network, min(count, 9))

    monkeypatch.setattr(pictures, "digits", some_digits)
    pictures.paint(folder("mnist"), str(tmp_path / "draw"))
    pictures.look(folder("cluttered100_8", num_classes=10), str(tmp_path / "draw"))
    written = sorted(path.name for path in tmp_path.glob("draw_*"))
    kinds = ("film.gif", "glimpses.gif", "glimpses.png", "kl.png", "reconstructions.png", "samples.png")
    assert written == [f"draw_{kind}" for kind in kinds]
