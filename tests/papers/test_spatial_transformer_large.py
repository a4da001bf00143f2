"""Spatial transformers for house numbers and birds: several after one another, and several side by side."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from zoo.errors import ZooError
from zoo.models.spatial_transformer.birds import STARTS, BirdNetwork
from zoo.models.spatial_transformer.module import LitSpatialTransformer
from zoo.models.spatial_transformer.network import count
from zoo.models.spatial_transformer.numbers import FILTERS, HouseNumberNetwork, looked
from zoo.nn.grid import Affine, sample

SMALL = {"filters": [4] * 8, "hidden": 16, "size": 32}
BIRD = {"backbone": "test_resnet", "crop": 64, "num_classes": 5}


def shake(network: nn.Module) -> nn.Module:
    for name, parameter in network.named_parameters():
        if name.endswith("regress.weight"):
            nn.init.normal_(parameter, std=0.05)
    return network


# --- house numbers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transformers", ["none", "single", "multi"])
def test_shapes_and_gradients_of_the_number_network(transformers):
    torch.manual_seed(0)
    network = shake(HouseNumberNetwork(transformers, **SMALL)).eval()
    answer = network(torch.rand(2, 3, 32, 32))
    n = {"none": 0, "single": 1, "multi": 4}[transformers]
    assert answer.logits.shape == (2, 5, 11)
    assert answer.grids.shape == (2, n, 16, 16, 2) and answer.outputs.shape == (2, n, 3, 16, 16)
    answer.logits.square().sum().backward()
    assert all(t.regress.weight.grad.abs().sum() > 0 for t in network.transformers) and len(network.transformers) == n
    assert all(p.grad is not None for p in network.parameters())


def test_eleven_hidden_layers_and_their_counts():
    """Eight convolutions and three fully connected layers; four poolings leave a sixteenth of the side."""
    with torch.device("meta"):
        plain, single = (HouseNumberNetwork(kind) for kind in ("none", "single"))
    channels = (3, *FILTERS)
    convolutions = sum(25 * a * b + b for a, b in itertools.pairwise(channels))
    joined = 192 * 16 * 3072 + 3072 + 2 * (3072**2 + 3072)
    assert count(plain) == convolutions + joined + 3072 * 55 + 55
    localisation = 25 * 3 * 32 + 32 + 25 * 32**2 + 32 + 32 * 32**2 * 32 + 32 + 32 * 33 + 33 * 6
    assert count(single) - count(plain) == localisation
    assert [type(m).__name__ for m in plain.joined][1:4] == ["Linear", "ReLU", "Dropout"]
    rates = [m.p for m in plain.modules() if isinstance(m, nn.Dropout)]
    assert rates == [0.0] + [0.5] * 10 and not [m for m in single.transformers.modules() if isinstance(m, nn.Dropout)]


def test_transformers_after_one_another_are_looked_through_together():
    """Reading a picture through two in turn is reading it once through their product."""
    torch.manual_seed(0)
    y, x = torch.meshgrid(torch.linspace(-1, 1, 65), torch.linspace(-1, 1, 65), indexing="ij")
    image = torch.exp(-(((x - 0.1) / 0.3) ** 2) - ((y + 0.2) / 0.4) ** 2).expand(2, 1, 65, 65)
    thetas = [torch.tensor([1.0, 0, 0, 0, 1, 0]) + 0.15 * torch.randn(2, 6) for _ in range(3)]
    grids, outputs = looked(image, thetas, 65)
    seen = image
    for i, theta in enumerate(thetas):
        seen = sample(seen, Affine(65, 65)(theta))
        inside = (grids[:, : i + 1].abs() < 0.95).all(-1).all(1)[:, None]
        assert ((outputs[:, i] - seen) * inside)[:, :, 8:-8, 8:-8].abs().max() < 0.03
    assert (outputs[:, 0] - image).abs().max() > 0.05
    torch.testing.assert_close(grids[:, 0], Affine(65, 65)(thetas[0]))


def test_the_loss_is_summed_over_digits_and_a_number_is_right_as_a_whole():
    torch.manual_seed(0)
    lit = LitSpatialTransformer(design="numbers", transformers="none", dropout=0.0, **SMALL)
    batch = {"image": torch.rand(3, 3, 32, 32), "label": torch.randint(11, (3, 5))}
    logits = lit.network(batch["image"]).logits
    expected = sum(F.cross_entropy(logits[:, i], batch["label"][:, i]) for i in range(5))
    torch.testing.assert_close(lit.loss(batch)["loss"], expected)
    right = logits.argmax(-1)
    right[1, 3] = (right[1, 3] + 1) % 11
    metric = lit.evaluate({**batch, "label": right}, "test")["error"]
    assert metric.compute().item() == pytest.approx(100 / 3)


def test_what_cannot_be_is_one_sentence():
    for arguments, message in (
        ({"transformers": "some"}, "expected one of none, single, multi"),
        ({"size": 60}, "a multiple of 16"),
        ({"filters": [3]}, "8 numbers"),
        ({"dropout": -0.1}, "dropout is -0.1; expected a number from 0 to 1"),
        ({"num_classes": 1}, "num_classes is 1; expected a whole number, at least 2"),
    ):
        with pytest.raises(ZooError, match=message):
            HouseNumberNetwork(**(SMALL | arguments))
    for arguments, message in (
        ({"crops": 3}, "crops is 3; expected 0, 1, 2, 4"),
        ({"backbone": "no_such"}, "timm has no backbone"),
        ({"weights": "/nowhere.safetensors"}, "cannot be had"),
        ({"channels": 1}, "colour pictures"),
        ({"dropout": 1.4}, "dropout is 1.4; expected a number from 0 to 1"),
    ):
        with pytest.raises(ZooError, match=message):
            BirdNetwork(**(BIRD | arguments))


# --- birds -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("crops", "size"), [(2, 64), (2, 128), (4, 128)])
def test_crops_tile_the_picture_at_the_start(crops, size):
    network = BirdNetwork(crops, size, **BIRD).eval()
    image = torch.rand(1, 3, size, size)
    answer = network(image)
    assert answer.outputs.shape == (1, crops, 3, 64, 64) and answer.logits.shape == (1, 5)
    for i, (x, y) in enumerate(STARTS[crops]):
        low, high = answer.grids[0, i].amin((0, 1)), answer.grids[0, i].amax((0, 1))
        assert low.tolist() == pytest.approx([x - 0.5, y - 0.5]) and high.tolist() == pytest.approx([x + 0.5, y + 0.5])
    if crops == 4:
        assert {(x, y) for x, y in STARTS[4]} == set(itertools.product((-0.5, 0.5), repeat=2))


def test_every_part_sees_its_crop_and_the_localisation_learns():
    torch.manual_seed(0)
    network = shake(BirdNetwork(2, 128, **BIRD)).eval()
    image = torch.rand(2, 3, 128, 128)
    answer = network(image)
    normal = (image - network.mean) / network.std
    features = [
        part(F.grid_sample(normal, answer.grids[:, i], align_corners=True)) for i, part in enumerate(network.parts)
    ]
    torch.testing.assert_close(answer.logits, network.classify(torch.cat(features, 1)), rtol=1e-3, atol=1e-3)
    answer.logits.square().sum().backward()
    assert network.localise.regress.weight.grad.abs().sum() > 0
    assert all(next(part.parameters()).grad.abs().sum() > 0 for part in network.parts)


def test_without_crops_it_is_the_backbone_with_a_classifier():
    network = BirdNetwork(0, 64, **BIRD).eval()
    image = torch.rand(2, 3, 64, 64)
    expected = network.classify(network.parts[0]((image - network.mean) / network.std))
    answer = network(image)
    torch.testing.assert_close(answer.logits, expected)
    assert answer.grids.shape[1] == 0 and len(network.parts) == 1 and not hasattr(network, "localise")


def test_backbones_start_from_a_file(tmp_path):
    import timm
    from safetensors.torch import save_file

    source = timm.create_model("test_resnet", pretrained=False)
    save_file(source.state_dict(), tmp_path / "weights.safetensors")
    network = BirdNetwork(2, 64, **BIRD, weights=str(tmp_path / "weights.safetensors"))
    for made in (*network.parts, network.localise.backbone):
        assert torch.equal(made.conv1[0].weight, source.conv1[0].weight)


def test_the_localisation_of_birds_learns_slowly():
    lit = LitSpatialTransformer(
        design="birds",
        crops=2,
        size=64,
        **BIRD,
        localisation_rate=1e-4,
        optimizer={"_target_": "torch.optim.SGD", "lr": 0.1},
    )
    _, slow = lit.parameter_groups()
    assert slow["lr"] == pytest.approx(1e-5)
    assert {id(p) for p in slow["params"]} == {id(p) for p in lit.network.localise.parameters()}
