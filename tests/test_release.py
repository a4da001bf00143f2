"""A released folder gives back what was saved, or one sentence that names the file."""

import hashlib
import inspect
import json

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from torch import nn

import zoo
from zoo import release
from zoo.commands.releasing import release_checkpoint
from zoo.errors import UnknownName
from zoo.models.ram import RAM
from zoo.release import WeightsError

CONFIG = {"num_glimpses": 2, "hidden": 8}


@pytest.fixture
def network():
    torch.manual_seed(0)
    return RAM(**CONFIG)


@pytest.fixture
def folder(network, tmp_path):
    return release.save(
        network, tmp_path / "w", name="ram.mnist28_2", config=CONFIG, preprocess={"size": 28, "digit": 28}
    )


def unsigned(folder):
    """Without checksums, as a folder that somebody made by hand."""
    (folder / "SHA256SUMS").unlink()
    return folder


def refusal(folder, network_class=RAM) -> str:
    with pytest.raises(WeightsError) as caught:
        release.load(folder, network_class)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_weights_come_back(network, tmp_path, dtype):
    folder = release.save(network, tmp_path / "w", name="ram.mnist28_2", config=CONFIG, dtype=dtype)
    assert {str(t.dtype) for t in load_file(folder / "model.safetensors").values()} == {f"torch.{dtype}"}
    loaded = release.load(folder, RAM)
    assert not loaded.training
    kind = getattr(torch, dtype)
    for name, value in network.state_dict().items():
        found = loaded.state_dict()[name]
        assert found.dtype == torch.float32 and torch.equal(found, value.to(kind).float()), name


def test_the_layout(folder):
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "SHA256SUMS",
        "config.json",
        "model.safetensors",
    ]
    config = json.loads((folder / "config.json").read_text())
    assert config == {
        "format": 1,
        "slug": "ram",
        "row": "mnist28_2",
        "network": CONFIG,
        "preprocess": {"size": 28, "digit": 28},
    }
    for line in (folder / "SHA256SUMS").read_text().splitlines():
        sum_, name = line.split("  ")
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == sum_
    assert len((folder / "SHA256SUMS").read_text().splitlines()) == 2
    assert len({path.stat().st_mode for path in folder.iterdir()}) == 1, "as readable as any other file"


def test_further_files_travel_along(network, tmp_path):
    (tmp_path / "tokenizer.json").write_text("{}")
    files = [tmp_path / "tokenizer.json"]
    folder = release.save(network, tmp_path / "w", name="ram.mnist28_2", config=CONFIG, files=files)
    assert (folder / "tokenizer.json").read_text() == "{}"
    (folder / "tokenizer.json").write_text("[]")
    assert f"{folder / 'tokenizer.json'}: truncated or altered" in refusal(folder)


def test_the_card_says_what_was_measured(network, tmp_path):
    folder = release.save(
        network,
        tmp_path / "w",
        name="ram.mnist28_2",
        config=CONFIG,
        title="Recurrent Models of Visual Attention",
        task="image-classification",
        metrics={"test error %": 0.98},
        data="mnist",
        dataset="ylecun/mnist",
        note="From ten starts.",
    )
    _, front, body = (folder / "README.md").read_text().split("---\n", 2)
    front = yaml.safe_load(front)
    assert (front["license"], front["library_name"], front["datasets"]) == ("mit", "attention-zoo", ["ylecun/mnist"])
    (result,) = front["model-index"][0]["results"]
    assert front["model-index"][0]["name"] == "ram.mnist28_2" and result["dataset"]["name"] == "mnist"
    assert result["metrics"] == [{"type": "test error %", "value": 0.98, "name": "test error %"}]
    assert "Recurrent Models" in body and "From ten starts." in body and "| test error % | 0.98 |" in body


def test_saving_again_replaces(network, folder):
    (folder / "stray").write_text("")
    release.save(network, folder, name="ram.mnist28_2", config=CONFIG)
    assert not (folder / "stray").exists() and not folder.with_name("w.partial").exists()
    release.load(folder, RAM)


def test_tied_weights_and_buffers(tmp_path):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.out = nn.Embedding(5, 3), nn.Linear(3, 5, bias=False)
            self.out.weight = self.embed.weight
            self.register_buffer("count", torch.tensor([1, 2]))

    network = Tied()
    network.count += 40
    folder = release.save(network, tmp_path / "w", name="ram.tied", config={}, dtype="bfloat16")
    assert sorted(load_file(folder / "model.safetensors")) == ["count", "embed.weight"]
    loaded = release.load(folder, Tied)
    assert loaded.out.weight is loaded.embed.weight and loaded.count.tolist() == [41, 42]
    assert torch.equal(loaded.out.weight, network.out.weight.bfloat16().float())


def test_loading_leaves_the_random_numbers_alone(folder):
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    release.load(folder, RAM)
    assert torch.equal(torch.rand(4), expected)


def test_values_that_a_type_cannot_hold_are_refused(network, tmp_path):
    with torch.no_grad():
        network.locate.bias.fill_(1e6)
    with pytest.raises(WeightsError, match=r"locate\.bias.*float16"):
        release.save(network, tmp_path / "w", name="ram.mnist28_2", config=CONFIG, dtype="float16")
    with pytest.raises(UnknownName, match="bfloat16"):
        release.save(network, tmp_path / "w", name="ram.mnist28_2", config=CONFIG, dtype="int8")


def test_a_missing_folder(tmp_path):
    assert f"{tmp_path / 'none'}: there is no such folder" in refusal(tmp_path / "none")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    assert str(folder / name) in refusal(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named_without_checksums(folder, name):
    (unsigned(folder) / name).unlink()
    assert f"{folder / name}: cannot be read" in refusal(folder)


@pytest.mark.parametrize("listed", [False, True])
def test_a_card_may_be_edited_or_taken_away(folder, listed):
    """Also where the sums of an older release still list it."""
    card = folder / "README.md"
    if listed:
        sums = folder / "SHA256SUMS"
        sums.write_text(f"{hashlib.sha256(card.read_bytes()).hexdigest()}  README.md\n" + sums.read_text())
    card.write_text(card.read_text() + "\nMeasured again by me.\n")
    assert zoo.create_model(folder) is not None and "again by me" in zoo.model_card(folder)
    card.unlink()
    assert zoo.create_model(folder) is not None


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_one_altered_bit_is_found(folder, name):
    data = bytearray((folder / name).read_bytes())
    data[-5] ^= 1
    (folder / name).write_bytes(data)
    assert f"{folder / name}: truncated or altered (SHA-256 is" in refusal(folder)


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_truncated_weights_without_checksums(folder, keep):
    path = unsigned(folder) / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    assert f"{path}: truncated or altered" in refusal(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '"x"', "\xff"])
def test_a_broken_config_without_checksums(folder, text):
    (unsigned(folder) / "config.json").write_bytes(text.encode("latin-1"))
    assert f"{folder / 'config.json'}: " in refusal(folder)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"format": 2}, "format is 2, expected 1"),
        ({"network": {"num_glimpse": 2}}, "RAM has no argument 'num_glimpse'; did you mean num_glimpses"),
        ({"network": {"core": "gru"}}, "core is 'gru'"),
        ({"network": {"hidden": "8"}}, "config.json"),
        ({"network": [8]}, "'network' is [8], expected dict"),
        ({"slug": None}, "'slug' is None, expected str"),
    ],
)
def test_a_wrong_config_is_explained(folder, change, expected):
    path = unsigned(folder) / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    message = refusal(folder)
    assert str(path) in message and expected in message


def test_another_shape_is_explained(folder):
    path = unsigned(folder) / "config.json"
    path.write_text(path.read_text().replace('"hidden": 8', '"hidden": 16'))
    message = refusal(folder)
    assert f"{folder / 'model.safetensors'}: " in message and "has the shape (" in message and "expects (" in message


@pytest.mark.parametrize("strange", ["renamed", "missing", "integer"])
def test_other_weights_are_explained(folder, strange):
    path = unsigned(folder) / "model.safetensors"
    tensors = load_file(path)
    bias = tensors.pop("act.bias")
    if strange == "renamed":
        tensors = {**tensors, "act.bias": bias, "act.bais": bias.clone()}
    elif strange == "integer":
        tensors["act.bias"] = bias.long()
    save_file(tensors, path)
    expected = {
        "renamed": "holds act.bais, which RAM",
        "missing": "lacks act.bias",
        "integer": "act.bias holds torch.int64",
    }
    assert f"{path}: {expected[strange]}" in refusal(folder)


def test_checksums_that_are_cut_off(folder):
    path = folder / "SHA256SUMS"
    path.write_text(path.read_text()[:30])
    assert f"{path}: truncated or altered" in refusal(folder)


def test_a_hub_id_is_one_sentence_offline():
    message = refusal("hf-hub:nobody/nothing-at-all")
    assert message.startswith("hf-hub:nobody/nothing-at-all: ")
    assert refusal("hf-hub:not a name").startswith("hf-hub:not a name: ")


def test_a_hub_id_is_downloaded(folder, monkeypatch):
    asked = []

    def snapshot_download(name, revision):
        asked.append((name, revision))
        return str(folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    assert isinstance(release.load("hf-hub:someone/ram@v2", RAM), RAM) and asked == [("someone/ram", "v2")]


class TestReleaseCheckpoint:
    @pytest.fixture
    def ckpt(self, tmp_path):
        """What a training of LitRAM leaves: a checkpoint, and the run's config in the folder above."""
        import pytorch_lightning as pl

        from zoo.models.ram import LitRAM

        run = tmp_path / "run"
        (run / ".hydra").mkdir(parents=True)
        (run / ".hydra" / "config.yaml").write_text("data: {canvas: 60, clutter: 4, seed: '${seed}'}\n")
        torch.manual_seed(1)
        module = LitRAM(num_glimpses=3, hidden=8, channels=1, num_classes=10, episodes=2, test_starts=4)
        trainer = pl.Trainer(logger=False, barebones=False, enable_progress_bar=False, accelerator="cpu")
        trainer.strategy.connect(module)
        trainer.save_checkpoint(run / "checkpoints" / "best.ckpt")
        return run / "checkpoints" / "best.ckpt", module

    def test_the_network_comes_out(self, ckpt, tmp_path):
        path, module = ckpt
        folder = release_checkpoint(
            path,
            "ram.mnist28_3",
            folder=tmp_path / "w",
            dtype="float32",
            metrics={"error": 1},
            data="mnist",
            note="A note.",
        )
        config = release.read_config(folder)
        given = {"num_glimpses": 3, "hidden": 8, "channels": 1, "num_classes": 10}
        defaults = {name: p.default for name, p in inspect.signature(RAM).parameters.items()}
        assert config["network"] == defaults | given
        assert config["preprocess"] == {"size": 60, "digit": 28}
        loaded = release.load(folder, RAM)
        for name, value in module.network.state_dict().items():
            assert torch.equal(loaded.state_dict()[name], value)
        card = (folder / "README.md").read_text()
        assert "pipeline_tag: image-classification" in card and "Recurrent Models of Visual Attention." in card

    def test_its_validations_ship_beside_it(self, ckpt, tmp_path):
        run = ckpt[0].parents[1]
        assert not (release_checkpoint(ckpt[0], "ram.mnist28_3", folder=tmp_path / "w") / "curve.csv").exists()
        rows = [
            "epoch,step,train/loss,val/error,val/loss",
            "0,9,2.5,,",
            "0,9,,50.0,1.5",
            "1,19,1.5,,",
            "1,19,,40.0,1.0",
            "2,20,,,",
        ]
        (run / "metrics.csv").write_text("\n".join(rows) + "\n")
        folder = release_checkpoint(ckpt[0], "ram.mnist28_3", folder=tmp_path / "w")
        told = "epoch,step,val/error,val/loss\n0,9,50.0,1.5\n1,19,40.0,1.0\n"
        assert (folder / "curve.csv").read_text() == told
        (folder / "curve.csv").unlink()
        release.load(folder, RAM)  # who loads weights needs no curve
        for nothing in ("", "epoch,step,train/loss\n0,9,2.5\n"):
            (run / "metrics.csv").write_text(nothing)
            folder = release_checkpoint(ckpt[0], "ram.mnist28_3", folder=tmp_path / "w")
            assert not (folder / "curve.csv").exists()
        for other in (b"val/error\n1\n", b"epoch,step,val/error\n\xff,1,1\n"):
            (run / "metrics.csv").write_bytes(other)
            with pytest.raises(release.WeightsError, match="not what logger=csv writes"):
                release_checkpoint(ckpt[0], "ram.mnist28_3", folder=tmp_path / "w")
        (run / "metrics.csv").unlink()

    def test_it_goes_to_the_room(self, ckpt, tmp_path, monkeypatch):
        monkeypatch.setattr("zoo.registry.weights_folder", lambda slug, row: tmp_path / slug / row)
        assert release_checkpoint(ckpt[0], "ram.mnist28_3") == tmp_path / "ram" / "mnist28_3"

    def test_the_script(self, ckpt, tmp_path):
        from tests.conftest import called

        arguments = ["--folder", str(tmp_path / "w"), "--dtype", "bfloat16", "--metric", "test error %=0.98"]
        arguments += ["--language", "en", "--license", "other", "--license-name", "mine", "--license-link", "TERMS"]
        called("release", str(ckpt[0]), "ram.mnist28_3", *arguments, "--preprocess", "size=28")
        assert release.read_config(tmp_path / "w")["preprocess"] == {"size": 28}
        card = (tmp_path / "w" / "README.md").read_text()
        assert "| test error % | 0.98 |" in card and "license_name: mine\nlicense_link: TERMS\n" in card
        assert "language:\n- en\n" in card and "https://arxiv.org/abs/1406.6247" in card
        failed = called("release", str(ckpt[0]), "ram.mnist28_33", *arguments, check=False)
        assert failed.returncode == 1 and "did you mean ram.mnist28_3" in failed.stderr
        assert "Traceback" not in failed.stderr

    def test_what_is_no_checkpoint(self, ckpt, tmp_path):
        path = ckpt[0]
        with pytest.raises(WeightsError, match="no such checkpoint"):
            release_checkpoint(tmp_path / "none.ckpt", "ram.mnist28_3")
        path.write_bytes(path.read_bytes()[:1000])
        with pytest.raises(WeightsError, match=r"best\.ckpt: truncated") as caught:
            release_checkpoint(path, "ram.mnist28_3")
        assert "\n" not in str(caught.value)

    def test_a_pickle_is_not_run(self, tmp_path):
        class Evil:
            def __reduce__(self):
                return (open, (str(tmp_path / "owned"), "w"))

        torch.save({"state_dict": {}, "hyper_parameters": Evil()}, tmp_path / "evil.ckpt")
        with pytest.raises(WeightsError):
            release_checkpoint(tmp_path / "evil.ckpt", "ram.mnist28_3")
        assert not (tmp_path / "owned").exists()

    def test_a_run_without_config_must_say_what_the_pipeline_needs(self, ckpt, tmp_path):
        (tmp_path / "run/.hydra/config.yaml").unlink()
        with pytest.raises(WeightsError, match=r"config\.yaml: not there"):
            release_checkpoint(ckpt[0], "ram.mnist28_3", folder=tmp_path / "w")
