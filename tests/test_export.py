"""An exported network computes what the network computes, for batches of any size."""

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import numpy as np
import pytest
import torch

import zoo
from tests.conftest import called
from zoo import release
from zoo.commands import exporting
from zoo.commands.exporting import ExportError, difference, export, parse
from zoo.errors import UnknownName, ZooError
from zoo.models.ram import RAM
from zoo.release import WeightsError


def saved(tmp_path, **config) -> str:
    torch.manual_seed(0)
    network = RAM(**config)
    with torch.no_grad():
        network.locate.weight.mul_(20)  # so that glimpses move about, and some leave the picture
    folder = tmp_path / "weights"
    return str(release.save(network, folder, name="ram.mnist28_3", config=config, preprocess={"size": 28, "digit": 28}))


@pytest.fixture
def folder(tmp_path):
    return saved(tmp_path, num_glimpses=3, hidden=8, num_scales=2)


def test_torch_export(folder, tmp_path):
    path, worst = export(folder, tmp_path / "ram.pt2")
    assert path == tmp_path / "ram.pt2" and worst <= 1e-4
    program = torch.export.load(path).module()
    pipe = zoo.pipeline(folder)
    for batch in (1, 2, 7):
        inputs = pipe.example(batch)
        with torch.no_grad():
            expected = pipe.network(**inputs)
        for one, other in zip(program(**inputs), expected, strict=True):
            assert torch.allclose(one, other, atol=1e-4)


@pytest.mark.parametrize("config", [{"num_scales": 2}, {"core": "lstm", "policy": "random"}])
def test_onnx(config, tmp_path):
    import onnx
    import onnxruntime

    folder = saved(tmp_path, num_glimpses=3, hidden=8, **config)
    path, worst = export(folder, tmp_path / "ram.onnx", format="onnx")
    assert worst <= 1e-4
    onnx.checker.check_model(str(path))
    graph = onnx.load(path).graph
    session = onnxruntime.InferenceSession(path)
    assert [each.name for each in graph.input] == ["image", "offsets"]
    assert [each.type.tensor_type.shape.dim[0].dim_param for each in graph.input] == ["batch", "batch"]
    assert [each.name for each in graph.output] == ["logits", "locations", "samples", "means", "baselines"]
    pipe = zoo.pipeline(folder)
    generator = torch.Generator().manual_seed(1)
    for batch in (1, 4):
        inputs = {
            "image": torch.rand(batch, 1, 28, 28, generator=generator),
            "offsets": torch.rand(batch, 3, 2, generator=generator) * 4 - 2,
        }
        found = session.run(None, {name: value.numpy() for name, value in inputs.items()})
        with torch.no_grad():
            assert difference(found, list(pipe.network(**inputs))) <= 1e-4


@pytest.mark.parametrize("package", ["onnx", "onnxruntime", "onnxscript"])
def test_onnx_needs_its_extra(package, folder, tmp_path, monkeypatch):
    for name in ("onnx", "onnxruntime", "onnxscript"):  # the others are taken to be there
        there = ModuleType(name)
        there.__spec__ = ModuleSpec(name, None)  # which other packages ask for
        monkeypatch.setitem(sys.modules, name, None if name == package else there)
    with pytest.raises(ExportError, match=rf"the package {package}: pip install -e '\.\[export\]'"):
        export(folder, tmp_path / "ram.onnx", format="onnx")
    assert not (tmp_path / "ram.onnx").exists()


def test_a_file_that_differs_is_not_left(folder, tmp_path, monkeypatch):
    suffix, write, run = exporting.FORMATS["torch"]

    def wrong(path, inputs):
        first, *rest = run(path, inputs)
        return [first + 2e-4, *rest]

    monkeypatch.setitem(exporting.FORMATS, "torch", (suffix, write, wrong))
    with pytest.raises(ExportError, match=r"differs from the network by 0\.0002"):
        export(folder, tmp_path / "ram.pt2")
    assert not (tmp_path / "ram.pt2").exists()


def test_difference():
    one, two = torch.zeros(2, 3), torch.zeros(2, 3)
    two[1, 1] = 0.5
    assert difference([one.numpy()], [two]) == 0.5 and difference([one.numpy()], [one]) == 0
    assert difference([], [one]) == difference([np.zeros((1, 3))], [one]) == float("inf")
    assert not difference([np.full((2, 3), np.nan)], [one]) <= 1e-4


def test_what_cannot_be_exported_is_said_in_one_sentence(folder, tmp_path):
    with pytest.raises(UnknownName, match="torch, onnx"):
        export(folder, format="onxn")
    with pytest.raises(ExportError, match=r"ends in \.pt2"):
        export(folder, tmp_path / "ram.onnx")
    with pytest.raises(ExportError, match="there is no folder"):
        export(folder, tmp_path / "none" / "ram.pt2")
    with pytest.raises(WeightsError, match="no such folder"):
        export(tmp_path / "none")
    with pytest.raises(UnknownName, match="did you mean format"):
        parse(["name=x", "fromat=onnx"])
    with pytest.raises(ZooError, match="say what to export"):
        parse(["format=onnx"])


def test_the_script(folder, tmp_path):
    done = called("export", f"name={folder}", f"output={tmp_path / 'ram.pt2'}")
    assert str(tmp_path / "ram.pt2") in done.stdout and "at most" in done.stdout and (tmp_path / "ram.pt2").exists()


def test_the_script_fails_without_a_traceback():
    failed = called("export", "name=ram.mnist28_77", check=False)
    assert failed.returncode == 1 and failed.stderr.count("\n") == 1 and "did you mean ram.mnist28_7" in failed.stderr
