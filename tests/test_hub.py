"""What the Hugging Face Hub and torch.hub are given."""

import re

import huggingface_hub
import pytest
import torch
import yaml
from torch import nn

import hubconf
import zoo
from tests.conftest import ROOT
from zoo import registry, release
from zoo.errors import ZooError
from zoo.release import WeightsError
from zoo.release.cards import HUB_ID, read_metrics, write_card

CARDS = sorted((ROOT / "zoo/models").glob("*/weights/*/README.md"))
CONFIG = {"slug": "ram", "network": {"hidden": 8}}


@pytest.mark.parametrize("path", CARDS, ids=lambda path: f"{path.parts[-4]}.{path.parts[-2]}")
def test_a_released_card_says_what_the_hub_understands(path):
    front = yaml.safe_load(path.read_text().split("---\n")[1])
    types = [result["dataset"].get("type") for entry in front.get("model-index", []) for result in entry["results"]]
    for name in [*front.get("datasets", []), *types]:
        assert HUB_ID.fullmatch(name), f"{name!r} is no id of the Hub"
    if front["license"] == "other":
        assert re.fullmatch(r"[a-z0-9.-]+", front["license_name"]) and front["license_link"].startswith("http")
    if front["pipeline_tag"] in ("translation", "text-generation", "text-classification"):
        assert front["language"] and all(re.fullmatch("[a-z]{2}", language) for language in front["language"])
    elsewhere = ("attentive_cbow", "former", "st_rnn")  # a blog post, and conferences alone
    assert ("](https://arxiv.org/abs/" in path.read_text()) == (path.parts[-4] not in elsewhere)
    assert read_metrics(path.read_text())
    huggingface_hub.ModelCard.load(path)


def test_a_card_with_everything():
    card = write_card(
        "ram.x",
        "Title",
        "translation",
        {"BLEU": 34.8, "test error %, ten starts": 0.52},
        "Multi30k, lower-cased",
        "A note.",
        CONFIG,
        "other",
        license_name="research-only",
        license_link="https://example.org/terms",
        dataset="owner/multi30k",
        languages=("en", "de"),
        paper="1406.6247",
    )
    front = yaml.safe_load(card.split("---\n")[1])
    assert (front["license"], front["license_name"]) == ("other", "research-only")
    assert (front["license_link"], front["language"]) == ("https://example.org/terms", ["en", "de"])
    (result,) = front["model-index"][0]["results"]
    assert result["dataset"] == {"name": "Multi30k, lower-cased", "type": "owner/multi30k"}
    assert front["datasets"] == ["owner/multi30k"] and result["metrics"][0]["type"] == "bleu"
    assert "Title. Paper: [arXiv 1406.6247](https://arxiv.org/abs/1406.6247)." in card
    assert read_metrics(card) == {"BLEU": 34.8, "test error %, ten starts": 0.52}


def test_measures_on_data_that_the_hub_has_not_stand_in_the_table_only():
    card = write_card("ram.x", None, "other", {"BLEU": 34.8}, "Debian descriptions", None, CONFIG)
    front = yaml.safe_load(card.split("---\n")[1])
    assert "datasets" not in front and "model-index" not in front and read_metrics(card) == {"BLEU": 34.8}
    assert read_metrics(write_card("ram.x", None, "other", {}, None, None, CONFIG)) == {}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"license": "other"}, "needs a name and a link"),
        ({"license": "other", "license_name": "mine"}, "needs a name and a link"),
        ({"dataset": "mnist, cluttered"}, "no data set of the Hub"),
        ({"dataset": "mnist"}, "no data set of the Hub"),
    ],
)
def test_a_card_that_the_hub_would_refuse_leaves_the_folder_as_it_was(fields, message, tmp_path):
    network = nn.Linear(2, 2)
    folder = release.save(network, tmp_path / "w", name="ram.x", config={})
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(ZooError, match=message):
        release.save(network, folder, name="ram.x", config={"other": 1}, **fields)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["w"]


@pytest.fixture
def hub(monkeypatch):
    """Stands for the Hub: keeps what it is asked for."""
    asked = []

    class Api:
        def __init__(self, token=None):
            asked.append(("token", token))

        def create_repo(self, repo, **rest):
            if repo == "nobody/refused":
                raise OSError("403 Forbidden\nlong story")
            asked.append(("repo", repo, rest))
            return f"https://hub.example/{repo}"

        def create_branch(self, repo, **rest):
            asked.append(("branch", repo, rest))

        def upload_folder(self, **rest):
            asked.append(("upload", rest))

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    return asked


def test_a_released_folder_is_pushed(hub):
    folder = registry.released("ram.mnist28_7")
    assert zoo.push_to_hf_hub(folder, "me/ram") == "https://hub.example/me/ram"
    given = {"repo_id": "me/ram", "folder_path": folder, "revision": None, "commit_message": "ram.mnist28_7"}
    assert hub == [("token", None), ("repo", "me/ram", {"private": False, "exist_ok": True}), ("upload", given)]
    hub.clear()
    zoo.push_to_hf_hub(str(folder), "me/ram", private=True, revision="v2", message="Again", token="t")
    assert [each[0] for each in hub] == ["token", "repo", "branch", "upload"] and hub[0][1] == "t"
    assert hub[1][2]["private"] and hub[2][2] == {"branch": "v2", "exist_ok": True}
    assert (hub[3][1]["revision"], hub[3][1]["commit_message"]) == ("v2", "Again")


def test_what_cannot_be_pushed_is_said_in_one_sentence(hub, tmp_path):
    folder = release.save(nn.Linear(2, 2), tmp_path / "w", name="ram.x", config={})
    with pytest.raises(WeightsError, match=r"nobody/refused.*403 Forbidden\)$"):
        zoo.push_to_hf_hub(folder, "nobody/refused")
    hub.clear()
    (folder / "model.safetensors").write_bytes(b"altered")
    with pytest.raises(WeightsError, match="truncated or altered"):
        zoo.push_to_hf_hub(folder, "me/x")
    (folder / "SHA256SUMS").unlink()
    (folder / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"model\.safetensors: not there"):
        zoo.push_to_hf_hub(folder, "me/x")
    with pytest.raises(WeightsError, match="no such folder"):
        zoo.push_to_hf_hub(tmp_path / "none", "me/x")
    assert hub == [], "nothing was sent"


def test_torch_hub():
    assert all(callable(getattr(hubconf, name)) for name in (*registry.rooms(), "pipeline"))
    assert "row: of the room's results" in hubconf.ram.__doc__
    network = torch.hub.load(str(ROOT), "ram", row="mnist28_7", source="local")
    expected = zoo.create_model("ram.mnist28_7", pretrained=True).state_dict()
    assert not network.training and all(torch.equal(v, expected[k]) for k, v in network.state_dict().items())
    assert torch.hub.load(str(ROOT), "ram", source="local", num_glimpses=3).num_glimpses == 3
    assert not torch.equal(
        torch.hub.load(str(ROOT), "ram", row="mnist28_7", pretrained=False, source="local").locate.weight,
        expected["locate.weight"],
    )
    with pytest.raises(ZooError, match="did you mean"):
        torch.hub.load(str(ROOT), "ram", row="mnist28_77", source="local")
