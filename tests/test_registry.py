"""Names lead to networks; wrong ones to the nearest right ones."""

import subprocess
import sys

import pytest
import torch
import yaml

import zoo
from zoo import registry, release
from zoo.errors import UnknownName, suggest
from zoo.release import WeightsError

INIT = '''
"""A toy paper."""
from zoo.models.toy.network import Toy
from zoo.pipelines import Pipeline
NETWORK, PIPELINE = Toy, Pipeline
'''
NETWORK = """
from torch import nn
class Toy(nn.Module):
    def __init__(self, width: int = 3, bias: bool = True):
        super().__init__()
        self.layer = nn.Linear(width, 2, bias=bias)
"""
ROWS = {
    "small_3": {
        "paper": {"metric": "test error %", "value": 1.5, "source": "table 1"},
        "ours": None,
        "status": "not run",
        "weights": None,
    },
    "small_4": {"paper": None, "ours": None, "status": "measured", "weights": "small_4"},
}


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A room outside the package, with two rows, one of them released."""
    folder = tmp_path / "toy"
    folder.mkdir()
    (folder / "__init__.py").write_text(INIT)
    (folder / "network.py").write_text(NETWORK)
    (folder / "results.yaml").write_text(yaml.safe_dump(ROWS))
    monkeypatch.setattr(zoo.models, "__path__", [*zoo.models.__path__, str(tmp_path)])
    network = registry.room("toy").NETWORK(width=4)
    release.save(
        network, folder / "weights" / "small_4", name="toy.small_4", config={"width": 4}, metrics={"error": 1.0}
    )
    yield network
    for name in [name for name in sys.modules if name.split(".")[:3] == ["zoo", "models", "toy"]]:
        del sys.modules[name]
    del zoo.models.toy


def test_the_public_names():
    called = {"list_models", "create_model", "pipeline", "model_card", "push_to_hf_hub"}
    assert set(zoo.__all__) == {"Attention", "__version__", *called}
    assert zoo.__version__[0].isdigit()


def test_a_near_miss_is_named():
    assert suggest("ram.mnist28_66", ["ram.mnist28_6", "ram.catch"]) == "; did you mean ram.mnist28_6?"
    assert suggest("zzz", ["ram.mnist28_6"]) == ""


def test_listing_follows_the_folders(toy):
    assert zoo.list_models("toy*") == ["toy.small_3", "toy.small_4"]
    assert zoo.list_models("toy*", pretrained=True) == ["toy.small_4"]
    assert zoo.list_models("*.small_[3]") == ["toy.small_3"]
    assert zoo.list_models("nothing*") == []
    assert zoo.list_models() == sorted(zoo.list_models())


def test_every_row_of_ram_is_listed():
    rows = registry.rows("ram")
    assert zoo.list_models("ram*") == sorted(f"ram.{row}" for row in rows)


def test_released_weights_come_in_eval_mode(toy):
    network = zoo.create_model("toy.small_4", pretrained=True)
    assert not network.training
    assert torch.equal(network.layer.weight, toy.layer.weight) and torch.equal(network.layer.bias, toy.layer.bias)


def test_without_pretrained_a_row_gives_its_arguments_only(toy):
    network = zoo.create_model("toy.small_4")
    assert network.layer.weight.shape == (2, 4) and not torch.equal(network.layer.weight, toy.layer.weight)


def test_arguments_replace_those_of_the_row(toy):
    assert zoo.create_model("toy.small_4", bias=False).layer.bias is None
    with pytest.raises(WeightsError, match=r"layer\.bias.*does not have"):
        zoo.create_model("toy.small_4", pretrained=True, bias=False)


def test_a_slug_gives_a_fresh_network(toy):
    assert zoo.create_model("toy", width=7).layer.in_features == 7
    assert zoo.create_model("ram", num_glimpses=3).num_glimpses == 3


def test_a_folder_always_has_its_weights(toy, tmp_path):
    folder = tmp_path / "toy" / "weights" / "small_4"
    for name in (folder, str(folder)):
        assert torch.equal(zoo.create_model(name).layer.weight, toy.layer.weight)


def test_the_room_of_a_folder_must_be_known(toy, tmp_path):
    release.save(toy, tmp_path / "far", name="tyo.small_4", config={"width": 4})
    with pytest.raises(UnknownName, match=r"no room 'tyo'; did you mean toy"):
        zoo.create_model(tmp_path / "far")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: zoo.create_model("rma.mnist28_6"), r"no model 'rma\.mnist28_6'; did you mean ram\.mnist28_6"),
        (lambda: zoo.create_model("toy.small_5"), r"did you mean toy\.small_[34]"),
        (lambda: zoo.create_model("toy.small"), r"did you mean toy\.small_[34]"),
        (lambda: zoo.create_model("xyzzy"), r"no model 'xyzzy'; zoo\.list_models\(\) names all"),
        (lambda: zoo.create_model("toy", widht=3), r"Toy has no argument 'widht'; did you mean width\?"),
        (lambda: zoo.create_model("toy.small_4", widht=3), r"Toy has no argument 'widht'; did you mean width\?"),
        (lambda: zoo.create_model("toy", pretrained=True), r"toy is a room.*toy\.small_4"),
        (lambda: zoo.pipeline("toy.smal_4"), r"did you mean toy\.small_"),
        (lambda: zoo.model_card("toy.smal_4"), r"did you mean toy\.small_"),
    ],
)
def test_wrong_names_are_answered_with_the_nearest(toy, call, message):
    with pytest.raises(UnknownName, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_a_row_without_weights_names_those_that_have_them(toy):
    with pytest.raises(WeightsError) as caught:
        zoo.create_model("toy.small_3", pretrained=True)
    assert "toy.small_4" in str(caught.value) and "scripts/train.py experiment=toy/small_3" in str(caught.value)
    with pytest.raises(WeightsError, match=r"create_model\('toy'"):
        zoo.create_model("toy.small_3")


def test_weights_of_another_package_are_found(toy, tmp_path, monkeypatch):
    """As where attention-zoo-weights is installed; those of the room come first."""
    monkeypatch.syspath_prepend(tmp_path / "site")
    package = tmp_path / "site" / "attention_zoo_weights" / "toy" / "small_4"
    package.parent.mkdir(parents=True)
    (tmp_path / "toy" / "weights" / "small_4").rename(package)
    (tmp_path / "site" / "attention_zoo_weights" / "__init__.py").touch()
    assert zoo.list_models("toy*", pretrained=True) == ["toy.small_4"]
    assert registry.released("toy.small_4") == package
    assert torch.equal(zoo.create_model("toy.small_4", pretrained=True).layer.weight, toy.layer.weight)
    assert zoo.create_model("toy.small_4", bias=False).layer.weight.shape == (2, 4)
    assert "# toy.small_4" in zoo.model_card("toy.small_4")
    own = release.save(toy, tmp_path / "toy" / "weights" / "small_4", name="toy.small_4", config={"width": 4})
    assert registry.released("toy.small_4") == registry.weights_folder("toy", "small_4") == own


def test_weights_that_are_not_installed_are_said_to_be_elsewhere(toy, tmp_path):
    (tmp_path / "toy" / "weights" / "small_4").rename(tmp_path / "away")
    assert zoo.list_models("toy*", pretrained=True) == []
    for call in (
        lambda: zoo.create_model("toy.small_4", pretrained=True),
        lambda: zoo.create_model("toy.small_4"),
        lambda: zoo.pipeline("toy.small_4"),
        lambda: zoo.model_card("toy.small_4"),
    ):
        with pytest.raises(
            WeightsError, match=r"toy\.small_4 are not .*attention-zoo-weights.*zoo/models/toy/"
        ) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_cards(toy):
    assert zoo.model_card("toy.small_4").startswith("---\n") and "# toy.small_4" in zoo.model_card("toy.small_4")
    assert "test error % 1.5 (table 1)" in zoo.model_card("toy.small_3")
    assert "A toy paper." in zoo.model_card("toy")


def test_a_room_without_results_lists_what_it_released(toy, tmp_path):
    (tmp_path / "toy" / "results.yaml").unlink()
    assert zoo.list_models("toy*") == ["toy.small_4"]


def test_a_network_needs_neither_hydra_nor_lightning(tmp_path):
    """In another process, from which this one's imports are absent."""
    code = """
import sys, warnings
import zoo
from zoo import registry, release
network = zoo.create_model("ram", num_glimpses=2, hidden=8)
config = dict(num_glimpses=2, hidden=8)
folder = release.save(network, sys.argv[1], name="ram.mnist28_2", config=config, preprocess={"size": 28})
zoo.create_model(folder), zoo.pipeline(folder), zoo.list_models()
loaded = {name.split(".")[0] for name in sys.modules}
assert not loaded & {"hydra", "omegaconf", "pytorch_lightning", "datamodules", "wandb", "matplotlib"}, loaded
from zoo.models.ram import LitRAM
assert "pytorch_lightning" in sys.modules and LitRAM.__name__ == "LitRAM"
try:
    zoo.models.ram.LitRAMM
except AttributeError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "weights")], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "no attribute 'LitRAMM'" in done.stdout
