"""Spatial Transformer Networks: the module, the networks of table 1, WarBean's, co-localisation, and the alarms."""

import itertools
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import yaml
from torch import nn

import zoo
from tests.conftest import ROOT
from tests.datamodules.test_colour import write_svhn
from tests.datamodules.test_cub import write_cub
from zoo import release
from zoo.errors import ZooError
from zoo.looking.attention import Attention
from zoo.models.spatial_transformer import alarms
from zoo.models.spatial_transformer.colocalisation import (
    Colocaliser,
    LitColocaliser,
    OfTheBest,
    Window,
    boxes_of,
    localisation,
    overlap,
    triplets,
)
from zoo.models.spatial_transformer.module import LitSpatialTransformer
from zoo.models.spatial_transformer.network import SpatialTransformer, SpatialTransformerNetwork, cnn, count, fcn
from zoo.models.spatial_transformer.warbean import WarBean
from zoo.nn.grid import GRIDS, make_grid, sample
from zoo.pipelines import InputError

BIRDS = {"backbone": "test_resnet", "crop": 64, "size": 64}
QUICK = {  # see tests/small.py
    "spatial_transformer": {"width": 8},
    "spatial_transformer_birds": BIRDS,
    "spatial_transformer_colocalisation": {"encoder_steps": 2, "width": 8},
    "spatial_transformer_numbers": {"filters": [4] * 8, "hidden": 16, "size": 32},
}
DESIGN = {"design": "says which network, and the arguments are its"}
OPTIONS = {  # see tests/test_options.py
    "spatial_transformer": {**DESIGN, "control": {"transformer": "tps"}, "budget": {"width": None}},
    "spatial_transformer_birds": {
        **DESIGN,
        "channels": "the backbones take colour",
        "weights": "needs a file; test_spatial_transformer_large.py has one",
        "dropout": {"dropout": 0.2},
        "backbone": {"backbone": "test_efficientnet"},
    },
    "spatial_transformer_colocalisation": {
        "sets": "as many as the data has",
        "encoder_steps": "comes before the steps that are measured",
        "least": "crops narrow while a run goes on; see test_crops_narrow_in_the_course_of_a_run",
        "narrowing": "crops narrow while a run goes on; see test_crops_narrow_in_the_course_of_a_run",
    },
    "spatial_transformer_numbers": {
        **DESIGN,
        "filters": {"filters": [5] * 8},
        "digits": "as many as the labels have",
        "localisation_rate": {"transformers": "single"},
    },
    "spatial_transformer_warbean": {**DESIGN, "channels": "the digits are grey"},
}
KINDS = ("affine", "projective", "tps")
QUICK = {  # arguments of tiny networks, by config of conf/model
    "spatial_transformer_colocalisation": {"width": 2, "encoder_steps": 2},
    "spatial_transformer_numbers": {"filters": "[2,2,2,2,2,2,2,2]", "hidden": 8},
    "spatial_transformer_birds": {"backbone": "test_resnet", "size": 32, "crop": 32},
}
# cells of one table, whose networks are tested here
ALIKE = ("model.classifier", "model.transformer", "model.transformers", "model.warp", "data.distortion")


def house_numbers(folder: Path) -> tuple[str, ...]:
    pytest.importorskip("h5py")
    for split, n in (("train", 24), ("test", 8)):
        write_svhn(folder / split, [[(5, 4, 10, 20)]] * n)
    return f"data.root={folder}", "data.validation=8"


def birds(folder: Path) -> tuple[str, ...]:
    write_cub(folder, 30)
    return f"data.root={folder}", "data.validation=8", "data.workers=0", "data.size=32"


FILES = {"house_numbers": house_numbers, "cub": birds}
ROWS = sorted(path.stem for path in (ROOT / "conf/experiment/spatial_transformer").glob("*.yaml"))


def make_batch(size: int = 4, side: int = 28, channels: int = 1, seed: int = 0) -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    return {
        "image": torch.rand(size, channels, side, side, generator=random),
        "label": torch.randint(10, (size,), generator=random),
        "key": torch.randint(2**62, (size,), generator=random),
    }


def make(seed: int = 0, **arguments) -> LitSpatialTransformer:
    torch.manual_seed(seed)
    return LitSpatialTransformer(**arguments)


def shake(network: nn.Module) -> nn.Module:
    """Gives the last layers of the localisations weights, which start at zero."""
    for module in network.modules():
        if isinstance(module, SpatialTransformer):
            nn.init.normal_(module.regress.weight, std=0.02)
    return network


# --- the module ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", GRIDS)
def test_a_transformer_starts_as_the_identity(kind):
    transformer = SpatialTransformer(nn.Flatten(), 2 * 6 * 5, kind, (6, 5))
    U = torch.rand(3, 2, 6, 5)
    warp = transformer(U)
    torch.testing.assert_close(warp.output, U, rtol=0, atol=1e-5)
    assert torch.equal(warp.theta, transformer.grid.identity.expand(3, -1))


def test_a_transformer_reads_where_its_localisation_says():
    """Against loops over pixels, with the sampling kernel as the paper writes it (equation 5)."""
    torch.manual_seed(1)
    transformer = shake(SpatialTransformer(nn.Flatten(), 2 * 5 * 7, "affine", (4, 3)))
    U, seen = torch.rand(2, 2, 5, 7), torch.rand(2, 2, 5, 7)
    warp = transformer(U, seen)
    regress = transformer.regress
    theta = (seen.flatten(1).double() @ regress.weight.double().mT + regress.bias.double()).view(2, 2, 3)
    for n, c, i, j in itertools.product(range(2), range(2), range(4), range(3)):
        x_t, y_t = 2 * j / 2 - 1, 2 * i / 3 - 1
        x_s, y_s = (theta[n] @ torch.tensor([x_t, y_t, 1.0], dtype=torch.float64)).tolist()
        x, y = (x_s + 1) / 2 * 6, (y_s + 1) / 2 * 4
        V = sum(
            U[n, c, row, column].item() * max(0, 1 - abs(x - column)) * max(0, 1 - abs(y - row))
            for row in range(5)
            for column in range(7)
        )
        assert warp.output[n, c, i, j].item() == pytest.approx(V, abs=1e-5)


def test_a_transformer_may_stand_on_a_feature_map_and_after_another():
    torch.manual_seed(0)
    first = shake(SpatialTransformer(nn.Flatten(), 64, "affine", (8, 8)))
    features = nn.Conv2d(1, 3, 3)
    second = shake(SpatialTransformer(nn.Flatten(), 3 * 36, "tps", (6, 6)))
    U = torch.rand(2, 1, 8, 8, requires_grad=True)
    second(features(first(U).output)).output.square().sum().backward()
    for part in (first, second):
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in part.parameters())
    assert U.grad.abs().sum() > 0


def test_bounded_parameters_stay_inside():
    network = shake(WarBean("bounded"))
    nn.init.normal_(network.transformer.regress.weight, std=50)
    theta = network.eval().transformer(torch.rand(3, 1, 28, 28)).theta
    assert theta.abs().max() <= 1 and theta.std() > 0.5
    with pytest.raises(ZooError, match="start inside"):
        SpatialTransformer(nn.Flatten(), 4, "tps", (2, 2), bounded=True)


# --- the networks ----------------------------------------------------------------------------------------------------


def budgets() -> dict[str, list[tuple[str, dict, int]]]:
    """For each column of the tables: the rows, their arguments and channels."""
    found: dict[str, list] = {}
    for row in ROWS:
        text = yaml.safe_load((ROOT / f"conf/experiment/spatial_transformer/{row}.yaml").read_text())
        if {"override /model": "spatial_transformer"} in text["defaults"]:
            channels = 2 if row.startswith("addition") else 1
            found.setdefault(row.split("_")[0], []).append((row, text["model"], channels))
    return found


@pytest.mark.parametrize("column", budgets())
def test_networks_of_a_column_have_as_many_parameters(column):
    counts = {}
    for row, arguments, channels in budgets()[column]:
        classes = 19 if column == "addition" else 10
        counts[row] = count(SpatialTransformerNetwork(**arguments, channels=channels, num_classes=classes))
    assert len(counts) >= 4 and max(counts.values()) <= 1.05 * min(counts.values()), counts
    readme = (ROOT / "zoo/models/spatial_transformer/README.md").read_text()
    assert all(f"{n:,}" in readme for n in (min(counts.values()), max(counts.values()))), f"{column}: {counts}"


def test_the_cnn_of_64_filters_has_the_counts_that_the_paper_implies():
    assert [count(cnn(1, size, 64, 10)) for size in (28, 42, 60)] == [
        81 * 64 + 64 + 49 * 64**2 + 64 + 64 * side**2 * 10 + 10 for side in (2, 6, 10)
    ]
    assert count(fcn(1, 28, 200, 10)) == 784 * 200 + 200 + 200 * 201 + 2010


@pytest.mark.parametrize("transformer", [None, *KINDS, "attention"])
@pytest.mark.parametrize("classifier", ["fcn", "cnn"])
@pytest.mark.parametrize("size", [28, 42, 60])
def test_shapes_and_gradients(classifier, transformer, size):
    pool = size > 28
    network = shake(SpatialTransformerNetwork(classifier, transformer, 2, size, pool, width=16, budget=1))
    answer = network(torch.rand(3, 1, size, size))
    n = 0 if transformer is None else 2
    assert answer.logits.shape == (3, 10) and answer.grids.shape == (3, n, size, size, 2)
    assert answer.outputs.shape == (3, n, 1, size, size)
    answer.logits.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    assert all(p.grad.abs().sum() > 0 for name, p in network.named_parameters() if "regress" in name)


@pytest.mark.parametrize("network", [{"width": 4}, {"design": "warbean"}, {"classifier": "fcn", "width": 4}])
def test_the_classifier_receives_the_warped_picture(network, monkeypatch):
    lit = make(**network).eval()
    image = make_batch()["image"]
    before = lit.network(image).logits
    where = "zoo.models.spatial_transformer.network.sample"
    monkeypatch.setattr(where, lambda image, grid: sample(image, grid) * 0)
    blank, other = lit.network(image).logits, lit.network(make_batch(seed=1)["image"]).logits
    assert not torch.allclose(blank, before)
    assert torch.equal(blank, other), "what is behind the transformer sees nothing else"


def test_two_transformers_see_and_warp_both_channels():
    network = shake(SpatialTransformerNetwork("fcn", "affine", 2, 42, True, width=8, channels=2, num_classes=19))
    image = torch.rand(2, 2, 42, 42)
    answer = network(image)
    for i, transformer in enumerate(network.transformers):
        torch.testing.assert_close(answer.outputs[:, i], transformer(image).output)
    assert network.classify[1].in_features == 4 * 21**2
    assert not torch.allclose(answer.grids[:, 0], answer.grids[:, 1])


def test_a_picture_turned_back_is_classified_as_the_upright_one():
    """A network whose localisation is replaced by the true angle gives the upright picture to its classifier."""
    network = SpatialTransformerNetwork("cnn", "affine", size=28, width=4).eval()
    y, x = torch.meshgrid(torch.linspace(-1, 1, 28), torch.linspace(-1, 1, 28), indexing="ij")
    upright = torch.exp(-((x / 0.12) ** 2) - ((y - 0.1) / 0.4) ** 2)[None, None]
    c, s = math.cos(0.7), math.sin(0.7)
    turned = sample(upright, F.affine_grid(torch.tensor([[[c, s, 0], [-s, c, 0]]]), [1, 1, 28, 28], align_corners=True))
    with torch.no_grad():
        network.transformers[0].regress.bias.copy_(torch.tensor([c, -s, 0, s, c, 0]))
        there = network(turned)
        reference = network.classify(upright)
    assert (there.outputs[0, 0] - upright[0]).abs().max() < 0.15 < (turned - upright).abs().max()
    torch.testing.assert_close(there.logits, reference, rtol=0, atol=0.05)


def test_warbeans_networks():
    """The sizes of its layers, and the spline's reach of 0.9."""
    network = WarBean("unbounded", control=3)
    assert count(network.classify) == 260 + 5020 + 16_050 + 510
    assert count(network.transformer) == 260 + 5020 + 16_050 + 51 * 18
    points = network.transformer.regress.bias.view(9, 2)
    assert points.abs().max().item() == pytest.approx(0.9) and points[1].tolist() == pytest.approx([0, -0.9])
    assert torch.equal(WarBean("bounded").transformer.regress.bias.tanh().abs().max() < 0.9001, torch.tensor(True))
    assert WarBean("none")(torch.rand(2, 1, 28, 28)).grids.shape == (2, 0, 28, 28, 2)


# --- training --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transformer", [None, *KINDS])
def test_overfits_one_batch(transformer):
    lit, batch = make(transformer=transformer, width=8), make_batch(8)
    optimizer = torch.optim.Adam(lit.parameter_groups(), lr=3e-3)
    for _ in range(60):
        loss = lit.loss(batch)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.1


def test_the_transformers_have_a_learning_rate_of_their_own():
    lit = make(localisation_rate=0.1, width=4)
    rest, slow = lit.parameter_groups()
    assert slow["lr"] == pytest.approx(1e-4) and "lr" not in rest
    inside = {id(p) for p in lit.network.transformers.parameters()}
    assert {id(p) for p in slow["params"]} == inside
    assert len(rest["params"]) + len(slow["params"]) == len(list(lit.parameters()))
    assert len(make(transformer=None, width=4).parameter_groups()) == 1


def test_a_straightened_task_is_learned():
    """Bars at one of two heights, turned by a random quarter to either side: the transformer helps to tell them."""

    def bars(seed):
        random = torch.Generator().manual_seed(seed)
        label, angle = torch.randint(2, (64,), generator=random), (torch.rand(64, generator=random) - 0.5) * 1.5
        upright = torch.zeros(64, 1, 28, 28)
        for i, up in enumerate(label):
            upright[i, 0, 6:22, 13:15] = 1
            upright[i, 0, 8 if up else 18, 9:19] = 1
        c, s, zero = angle.cos(), angle.sin(), torch.zeros(64)
        A = torch.stack([c, s, zero, -s, c, zero], 1).view(64, 2, 3)
        grid = F.affine_grid(A, [64, 1, 28, 28], align_corners=True)
        return {"image": sample(upright, grid), "label": label}

    lit = make(classifier="fcn", transformer="affine", width=16)
    optimizer = torch.optim.Adam(lit.parameter_groups(), lr=2e-3)
    for step in range(80):
        loss = lit.loss(bars(step))["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    answer = lit.network((held := bars(1000))["image"])
    assert (answer.logits.argmax(-1) == held["label"]).float().mean() > 0.95
    assert (answer.grids - lit.network.transformers[0].grid.points).abs().max() > 0.02, "it moved"


# --- the alarms ------------------------------------------------------------------------------------------------------


def test_the_signs_of_a_collapse():
    grid = make_grid("affine", 5, 4)
    theta = torch.tensor([[0.5, 0, 0, 0, 0.5, 0], [-1.0, 0, 0, 0, 2, 0], [1, 0, 2.5, 0, 1, 0]])
    grids = grid(theta)[:, None]
    assert alarms.determinant(grids[:1]).item() == pytest.approx(0.25)
    assert alarms.determinant(grids[1:2]).item() == pytest.approx(-2)
    assert alarms.outside(grids[:1]) == 0 and alarms.outside(grids[2:]) == 1
    rows = [abs(2 * y) > 1 for y in np.linspace(-1, 1, 5)]
    assert alarms.outside(grids[1:2]).item() == pytest.approx(np.mean(rows))
    outputs = torch.zeros(2, 2, 1, 3, 3)
    outputs[0, 1, 0, 2, 2] = 0.1
    assert alarms.blank(outputs) == 0.75
    assert alarms.signs(grids[:, :0], outputs[:, :0]) == {}


def test_a_run_whose_transformer_left_the_picture_says_so(composed):
    from zoo.training import running

    cfg = composed(
        "experiment=spatial_transformer/r_st_fcn_affine",
        *("debug=fast", "logger=none", "trainer.enable_progress_bar=false", "data.limit=32", "callbacks.figures=null"),
        "model.optimizer.lr=100",
    )
    with pytest.warns(UserWarning, match="reads .* of its points outside of the picture"):
        running.train(cfg)


# --- co-localisation -------------------------------------------------------------------------------------------------


def test_the_triplet_loss_is_the_sum_over_pairs():
    random = torch.Generator().manual_seed(0)
    e, e_random = (torch.randn(4, 2, 3, generator=random, dtype=torch.float64) for _ in range(2))
    total = [0.0, 0.0]
    for s in range(2):
        for n in range(4):
            for m in range(4):
                if m != n:
                    near, far = (e[n, s] - e[m, s]).square().sum(), (e[n, s] - e_random[n, s]).square().sum()
                    total[s] += max(0.0, (near - far + 1).item())
    assert triplets(e, e_random).tolist() == pytest.approx([each / 12 for each in total])
    e.requires_grad_()
    assert torch.autograd.gradcheck(lambda e: triplets(e, e_random), e)


def test_boxes_and_their_overlap():
    theta = torch.tensor([[1.0, 0, 0], [27 / 83, -1 + 27 / 83, 1 - 27 / 83]])
    assert boxes_of(theta, 84).tolist() == [pytest.approx([0, 0, 84, 84]), pytest.approx([0, 56, 28, 84], abs=1e-4)]
    one = torch.tensor([[0.0, 0, 2, 2], [0, 0, 2, 2], [0, 0, 1, 1]])
    other = torch.tensor([[0.0, 0, 2, 2], [1, 1, 3, 3], [2, 2, 3, 3]])
    assert overlap(one, other).tolist() == pytest.approx([1, 1 / 7, 0])


def test_a_crop_is_what_its_box_holds():
    lit = LitColocaliser(sets=2, width=2)
    image = torch.rand(3, 2, 84, 84)
    theta = torch.tensor([27 / 83, 2 * (10 + 13.5) / 83 - 1, 2 * (30 + 13.5) / 83 - 1]).expand(3, 2, 3)
    crop = lit.cut(image, theta)
    torch.testing.assert_close(crop[:, :, 0], image[:, :, 30:58, 10:38], rtol=0, atol=1e-4)
    assert boxes_of(theta, 84)[0, 0].tolist() == pytest.approx([10, 30, 38, 58], abs=1e-3)


def test_colocalisation_trains_the_localisers_alone():
    torch.manual_seed(0)
    lit = LitColocaliser(sets=2, width=2)
    batch = {"image": torch.rand(3, 2, 84, 84), "key": torch.arange(3)}
    lit.loss(batch)["loss"].backward()
    assert all(p.grad is None for p in lit.network.encoder.parameters())
    assert all(localiser.regress.weight.grad.abs().sum() > 0 for localiser in lit.network.localisers)
    assert count(Colocaliser(sets=1).localisers) == 8 * 81 + 8 + 648 * 8 + 8 + 72 + 27
    e = lit.network.encode(torch.rand(4, 1, 28, 28))
    assert e.shape == (4, 2 * 10 * 10 + 2 * 2 * 2 + 10)


def test_the_localiser_of_a_set_with_the_lowest_loss_is_its_own():
    """Found by hand from each localiser's loss and boxes; what the others find does not count."""
    torch.manual_seed(0)
    lit = LitColocaliser(sets=2, localisers=3, width=2)
    assert len(lit.network.localisers) == 6 and lit.network.chosen.tolist() == [0, 0]
    for localiser in lit.network.localisers:
        torch.nn.init.normal_(localiser.regress.weight)
    image, key = torch.rand(5, 2, 84, 84), torch.arange(5)
    crops = lit.network(image)
    for s, i in ((0, 2), (1, 0)):  # the second set's first one sees the second set's pictures
        alone = lit.network.localisers[3 * s + i](image[:, s, None])
        assert torch.equal(crops.output[:, s, i], alone.output)
    boxes = boxes_of(crops.theta, 84)
    loss = lit.losses({"image": image, "key": key}, crops)
    best = loss.argmin(1)
    assert loss.shape == (2, 3) and best.tolist() != [0, 0], "or the test could not fail"
    target = torch.stack([boxes[:, s, b] for s, b in enumerate(best)], 1)  # what the best ones find is right
    batch = {"image": image, "key": key, "box": target.detach()}
    metrics = lit.evaluate(batch, "val")
    assert metrics["error"].compute() == 0
    assert metrics["loss"].compute().item() == pytest.approx(loss.amin(1).mean().item(), rel=1e-5)
    lit.on_validation_epoch_end()
    assert torch.equal(lit.network.chosen, best)
    torch.testing.assert_close(lit.record(batch).boxes[:, 0, 0], target[:, 0])
    lit.network.chosen.copy_((best + 1) % 3)  # the test has the choice of validation, whatever is best there
    other = torch.stack([boxes[:, s, c] for s, c in enumerate(lit.network.chosen)], 1)
    wrong = other[:, 0] + 1000
    metrics = lit.evaluate(batch | {"box": torch.stack((wrong, other[:, 1]), 1).detach()}, "test")
    assert [metrics[name].compute().item() for name in ("error", "error_0", "error_1")] == [50, 100, 0]


def test_the_losses_of_localisers_are_those_of_one_that_has_the_same_random_crops():
    torch.manual_seed(0)
    lit = LitColocaliser(sets=1, localisers=2, width=2, freedom=0.0)  # all crops have one size
    for localiser in lit.network.localisers:
        torch.nn.init.normal_(localiser.regress.weight)
    batch = {"image": torch.rand(4, 1, 84, 84), "key": torch.arange(4)}
    loss = lit.losses(batch, lit.network(batch["image"]))
    for i in range(2):
        alone = LitColocaliser(sets=1, width=2, freedom=0.0)
        alone.network.encoder.load_state_dict(lit.network.encoder.state_dict())
        alone.network.localisers[0].load_state_dict(lit.network.localisers[i].state_dict())
        assert alone.loss(batch)["loss"].item() == pytest.approx(loss[0, i].item(), rel=1e-5)


def test_the_best_of_two_processes_is_that_of_all_samples():
    """A batch counts by its samples, and states are summed."""
    one, other, both = (OfTheBest(1, 2) for _ in range(3))
    rank, value = torch.tensor([[[1.0, 2]], [[4.0, 3]]]), torch.tensor([[[5.0, 7]], [[5.0, 7]], [[6.0, 9]]])
    for metric, i, rows in ((one, 0, value[:2]), (other, 1, value[2:]), (both, 0, value[:2]), (both, 1, value[2:])):
        metric.update(rank[i], rows)
    assert both.best().tolist() == [0] and both.compute() == pytest.approx(16 / 3)  # 1 * 2 + 4 and 2 * 2 + 3
    for name, reduced in one._reductions.items():
        summed = reduced(torch.stack((getattr(one, name), getattr(other, name))))
        assert torch.equal(summed, getattr(both, name))


def test_distances_are_not_those_of_half_precision():
    e = F.normalize(torch.randn(20, 3, 50, generator=torch.Generator().manual_seed(0)) * 0.01 + 1, dim=-1)
    e_random = F.normalize(torch.randn(20, 3, 50, generator=torch.Generator().manual_seed(1)), dim=-1)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(triplets(e, e_random), triplets(e.double(), e_random.double()).float())


def test_a_crop_stays_inside_the_picture():
    window = Window(28, 28, least=0.3, most=0.9, freedom=0.2)
    theta = 5 * torch.randn(100, 3, generator=torch.Generator().manual_seed(0))
    for share, bound in ((0, 0.9), (0.5, 0.27**0.5), (1, 0.3)):
        window.narrow(share)
        scale, place = window.bounded(theta).split((1, 2), 1)
        assert (scale <= bound + 1e-6).all() and (scale >= 0.8 * bound - 1e-6).all()
        assert (place.abs() + scale).max() <= 1 + 1e-6
        assert window(theta).abs().max() <= 1 + 1e-6
    with pytest.raises(ZooError, match=r"least is 0\.5 and most is 0\.4"):
        Window(28, 28, least=0.5, most=0.4)


def test_crops_narrow_in_the_course_of_a_run():
    lit = LitColocaliser(sets=2, width=2, least=0.3, most=0.9, narrowing=(0.2, 0.6))
    bounds = []
    for step in (0, 2, 4, 6, 9):
        lit.trainer = SimpleNamespace(estimated_stepping_batches=10, global_step=step)
        lit.on_train_batch_start({}, 0)
        bounds.append([localise.grid.bound.item() for localise in lit.network.localisers])
    assert bounds == [[pytest.approx(b)] * 2 for b in (0.9, 0.9, 0.27**0.5, 0.3, 0.3)]
    again = LitColocaliser(sets=2, width=2, least=0.3, most=0.9)
    again.load_state_dict(lit.state_dict())
    assert again.network.localisers[0].grid.bound == lit.network.localisers[0].grid.bound
    with pytest.raises(ZooError, match=r"narrowing is 0\.6 to 0\.2"):
        LitColocaliser(sets=2, width=2, narrowing=(0.6, 0.2))


def test_the_features_of_a_localisation_differ_between_pictures():
    """From torch's own initial weights they did not, by a tenth of their mean."""
    torch.manual_seed(0)
    image = torch.zeros(64, 1, 84, 84)
    for i, (x, y) in enumerate(torch.randint(56, (64, 2)).tolist()):
        image[i, 0, y + 4 : y + 24, x + 9 : x + 19] = 1
    features = localisation(84)[0](image)
    assert features.std(0).mean() > 0.5 * features.mean()


def test_the_encoder_is_trained_once(composed, monkeypatch):
    from zoo.models.spatial_transformer import colocalisation
    from zoo.training import running

    called = []
    monkeypatch.setattr(colocalisation, "train_encoder", lambda *a: called.append(len(a[1])))
    fast = ("debug=fast", "logger=none", "trainer.enable_progress_bar=false", "model.width=2", "data.count=16")
    running.train(composed("experiment=spatial_transformer/colocalisation_t", *fast))
    running.train(composed("experiment=spatial_transformer/colocalisation_t", *fast, "resume=auto"))
    assert called == [50_000]


# --- where it looks --------------------------------------------------------------------------------------------------


def test_the_record_is_the_lattice_in_pixels():
    lit = shake(make(width=4, transformer="tps")).eval()
    batch = make_batch(3)
    attention = lit.record(batch)
    answer = lit.network(batch["image"])
    assert attention.lattices.shape == (3, 1, 28, 28, 2) and torch.equal(attention.views, answer.outputs.clamp(0, 1))
    x, y = attention.lattices[1, 0, 5, 9].tolist()
    expected = (answer.grids[1, 0, 5, 9] + 1) / 2 * 27 + 0.5
    assert [x, y] == pytest.approx(expected.tolist(), abs=1e-4)
    left, top, right, bottom = attention.boxes[1, 0, 0].tolist()
    points = attention.lattices[1, 0].flatten(0, 1)
    assert [left, top] == points.amin(0).tolist() and [right, bottom] == points.amax(0).tolist()
    identity = make(width=4).record(batch)
    assert identity.lattices[0, 0, 0, 0].tolist() == pytest.approx([0.5, 0.5]), "the centre of the first pixel"
    with pytest.raises(ZooError, match="no spatial transformer"):
        make(transformer=None, width=4).record(batch)


def test_two_channels_are_shown_as_one():
    lit = make(classifier="fcn", transformers=2, channels=2, num_classes=19, width=4, size=42)
    attention = lit.record(make_batch(2, 42, channels=2))
    assert attention.images.shape == (2, 1, 42, 42) and attention.views.shape == (2, 2, 1, 42, 42)


@pytest.fixture
def pipe(tmp_path):
    torch.manual_seed(0)
    config = {"classifier": "cnn", "transformer": "tps", "width": 4}
    network = shake(SpatialTransformerNetwork(**config))
    folder = release.save(
        network, tmp_path / "weights", name="spatial_transformer.r_st_cnn_tps", config=config, preprocess={"size": 28}
    )
    return zoo.pipeline(folder)


def test_the_pipeline_straightens_and_draws_the_lattice(pipe, tmp_path):
    digit = np.zeros((28, 28), np.uint8)
    digit[6:22, 12:15] = 250
    result = pipe(digit)
    image = torch.from_numpy(digit)[None, None].float() / 255
    answer = pipe.network(image)
    assert result.label == answer.logits.argmax().item() and sum(result.probabilities) == pytest.approx(1, abs=1e-5)
    torch.testing.assert_close(result.straight, answer.outputs[0, 0, 0])
    assert not torch.allclose(result.straight, image[0, 0], atol=0.05)
    assert set(result.plain()) == {"label", "probabilities", "told"}
    result.plot(tmp_path / "lattice.png")
    assert (tmp_path / "lattice.png").stat().st_size > 3000
    several = pipe([digit, 255 - digit.T])
    assert len(several) == 2 and torch.equal(several[0].straight, result.straight)
    assert pipe.example(2)["image"].shape == (2, 1, 28, 28)


def test_a_plain_network_cannot_straighten(tmp_path):
    config = {"classifier": "fcn", "transformer": None, "width": 4}
    folder = release.save(
        SpatialTransformerNetwork(**config),
        tmp_path / "weights",
        name="spatial_transformer.r_fcn",
        config=config,
        preprocess={"size": 28},
    )
    with pytest.raises(InputError, match="no transformer"):
        zoo.pipeline(folder)(np.eye(28))


def test_a_lattice_is_drawn_where_it_reads():
    from zoo.looking.plots import plot

    points = torch.stack(torch.meshgrid(torch.arange(4.0), torch.arange(3.0) + 10, indexing="xy"), -1)[None, None]
    record = Attention(boxes=torch.tensor([[[[0.0, 10, 3, 12]]]]), images=torch.rand(1, 1, 20, 20), lattices=points)
    figure = plot(record)
    drawn = [c.get_segments() for c in figure.axes[0].collections]
    assert np.allclose(drawn[0][0], points[0, 0, 0].numpy()) and np.allclose(drawn[1][1], points[0, 0, -1].numpy())
    with pytest.raises(ValueError, match="lattices is of 1 steps and boxes of 2"):
        Attention(boxes=torch.zeros(1, 2, 1, 4), lattices=points)
    with pytest.raises(ValueError, match=r"expected \(x, y\)"):
        Attention(boxes=torch.zeros(1, 1, 1, 4), lattices=torch.zeros(1, 1, 2, 2, 3))


def test_a_training_leaves_a_film_of_lattices_and_means_of_classes(composed, tmp_path, monkeypatch):
    from PIL import Image

    from zoo.models.spatial_transformer.straightening import Straightening
    from zoo.training import running

    kept = []
    end = Straightening.on_train_end
    monkeypatch.setattr(Straightening, "on_train_end", lambda self, *given: (kept.append(self), end(self, *given)))
    running.train(
        composed(
            "experiment=spatial_transformer/r_st_fcn_tps",
            *("debug=fast", "logger=none", "trainer.enable_progress_bar=false", "data.limit=32"),
            *("callbacks=straightening", "callbacks.straightening.every_n_steps=1", "callbacks.figures=null"),
            "model.optimizer.lr=0.01",
        )
    )
    (callback,) = kept
    assert callback.steps == [0, 1, 2]
    assert callback.lattices[0][0, 0, 0].tolist() == pytest.approx([0.5, 0.5], abs=1e-4), "the identity at the start"
    assert (callback.lattices[2] - callback.lattices[0]).abs().max() > 0.01
    with Image.open(tmp_path / "run/figures/lattices.gif") as film:
        assert film.n_frames == 3
    assert (tmp_path / "run/figures/means.png").stat().st_size > 3000


def test_the_mean_of_a_class_is_of_its_pictures():
    from types import SimpleNamespace

    from zoo.models.spatial_transformer.straightening import Straightening

    lit, batch = make(transformer="affine", width=4), make_batch(6)
    batch["label"] = torch.tensor([0, 0, 1, 1, 1, 7])
    data = SimpleNamespace(size=lambda split: 6, batch=lambda split, index: batch)
    callback = Straightening(count=2)
    callback.look(SimpleNamespace(datamodule=data, global_step=5), lit)
    assert callback.steps == [5] and callback.lattices[0].shape == (2, 28, 28, 2)
    for label in (0, 1, 7):
        expected = batch["image"][batch["label"] == label].mean(0)[0]
        torch.testing.assert_close(callback.means[0][label], expected, rtol=0, atol=1e-5)
    assert callback.means[0][3].abs().max() == 0
