"""A slug stands in the same five places under the same name, and arrows between packages point one way."""

import ast
import re

import pytest
import yaml

from tests.conftest import ROOT

SLUGS = sorted(path.parent.name for path in (ROOT / "zoo/models").glob("*/network.py"))


def test_the_five_lists_are_equal():
    models = {path.stem for path in (ROOT / "conf/model").glob("*.yaml")}
    assert sorted(m for m in models if m in SLUGS) == SLUGS
    assert all(any(m == s or m.startswith(f"{s}_") for s in SLUGS) for m in models), (
        "a variant is named <slug>_<variant>"
    )
    assert sorted(path.name for path in (ROOT / "conf/experiment").iterdir()) == SLUGS
    tests = {path.stem.removeprefix("test_") for path in (ROOT / "tests/papers").glob("test_*.py")}
    assert sorted(t for t in tests if t in SLUGS) == SLUGS
    linked = re.findall(r"\]\(zoo/models/(\w+)/README\.md\)", (ROOT / "README.md").read_text())
    assert sorted(set(linked)) == SLUGS


@pytest.mark.parametrize("slug", SLUGS)
def test_a_room_has_the_same_files_and_a_row_for_every_experiment(slug):
    room = ROOT / "zoo/models" / slug
    for name in ("__init__.py", "network.py", "module.py", "README.md", "results.yaml"):
        assert (room / name).exists(), f"{room / name} is missing"
    rows = yaml.safe_load((room / "results.yaml").read_text())
    assert sorted(rows) == sorted(path.stem for path in (ROOT / "conf/experiment" / slug).glob("*.yaml"))
    released = sorted(path.name for path in (room / "weights").glob("*/")) if (room / "weights").exists() else []
    assert sorted(name for name, row in rows.items() if row["weights"]) == released


@pytest.mark.parametrize("slug", SLUGS)
def test_a_measured_number_says_how_it_came_about(slug):
    rows = yaml.safe_load((ROOT / "zoo/models" / slug / "results.yaml").read_text())
    for name, row in rows.items():
        for measured in filter(None, (row.get("ours"), row.get("stand_in"))):
            missing = {"value", "data", "how", "seeds", "minutes", "machine", "commit", "command"} - measured.keys()
            assert not missing, f"{slug}.{name} lacks {missing}"


@pytest.mark.parametrize("slug", SLUGS)
def test_a_claim_that_was_measured_has_a_verdict(slug):
    """Of the paper's number or order; toy: shown on stand-in data, which can neither verify nor falsify a number."""
    rows = yaml.safe_load((ROOT / "zoo/models" / slug / "results.yaml").read_text())
    for name, row in rows.items():
        verdict, measured = row.get("verdict"), row.get("ours")
        assert verdict in (None, "verified", "falsified", "toy", "inconclusive"), f"{slug}.{name}: {verdict}"
        assert measured or not verdict, f"{slug}.{name} was not measured"
        assert verdict or not (measured and row.get("paper")), f"{slug}.{name} says nothing of the paper's number"
        if verdict in ("verified", "falsified"):
            assert row.get("paper"), f"{slug}.{name}: the paper prints no such number"
        if verdict == "verified" and "error" in row["paper"]["metric"]:
            assert measured["value"] <= row["paper"]["value"], f"{slug}.{name} is short of the paper"


def imports(path) -> set[str]:
    tree = ast.parse(path.read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return names | {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}


def test_zoo_and_datamodules_do_not_import_each_other():
    for path in (ROOT / "zoo").rglob("*.py"):
        assert not any(name.split(".")[0] in ("datamodules", "scripts", "tests") for name in imports(path)), path
    for path in (ROOT / "datamodules").rglob("*.py"):
        assert not any(name.split(".")[0] in ("zoo", "conf", "scripts", "tests") for name in imports(path)), path


@pytest.mark.parametrize("slug", SLUGS)
def test_a_room_imports_no_other_room_and_its_network_no_trainer(slug):
    others = {f"zoo.models.{other}" for other in SLUGS if other != slug}
    for path in (ROOT / "zoo/models" / slug).rglob("*.py"):
        assert not any(".".join(name.split(".")[:3]) in others for name in imports(path)), path
    banned = {"pytorch_lightning", "hydra", "omegaconf", "wandb"}
    assert not {name.split(".")[0] for name in imports(ROOT / "zoo/models" / slug / "network.py")} & banned


def test_files_are_small():
    for folder in ("zoo", "datamodules", "scripts"):
        for path in (ROOT / folder).rglob("*.py"):
            assert len(path.read_text().splitlines()) <= 400, f"{path} holds more than one idea"
    assert len((ROOT / "zoo/training/module.py").read_text().splitlines()) <= 150
