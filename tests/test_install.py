"""Installed wheels find configs, data and weights from any folder."""

import os
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT, last_json

pytestmark = pytest.mark.xdist_group("ddp")


def wheel(project: Path, folder: Path) -> Path:
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(project)]
    subprocess.run(build, check=True, capture_output=True, timeout=200)
    (path,) = folder.glob("*.whl")
    return path


def test_a_wheel_works_from_a_folder_with_a_conf_of_its_own(tmp_path):
    path = wheel(ROOT, tmp_path / "wheels")
    assert path.name.startswith("attention_zoo-") and path.stat().st_size <= 30 * 2**20
    site = tmp_path / "site"
    with zipfile.ZipFile(path) as archive:
        archive.extractall(site)
    assert not (site / "scripts").exists() and not (site / "tests").exists()
    rows = {"/".join(folder.parts[-3:]) for folder in site.glob("zoo/models/*/weights/*/")}
    small = {
        "/".join(folder.parts[-3:])
        for folder in (ROOT / "zoo/models").glob("*/weights/*/")
        if sum(file.stat().st_size for file in folder.iterdir()) < 2**20
    }
    assert rows == small != set()
    decoy = tmp_path / "elsewhere"
    (decoy / "conf").mkdir(parents=True)
    (decoy / "conf" / "train.yaml").write_text("seed: 999\n")
    env = {**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}
    # as the console script does: the folder it is called from is not on the path
    program = (
        "import sys; sys.path = [p for p in sys.path if p]; from zoo.commands import cli; "
        "print(cli.__file__); cli.train()"
    )
    arguments = ["debug=fast", "logger=none", "trainer.enable_progress_bar=false", f"runs={tmp_path}/runs"]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=decoy, env=env, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(site)) and last_json(done.stdout)["seed"] == 0


@pytest.mark.slow
def test_both_wheels_in_a_new_environment(tmp_path):
    """The zoo alone names the package that has its large weights, and with it answers with them."""
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    (site,) = (tmp_path / "env" / "lib").glob("*/site-packages")
    # the packages that the zoo needs, without installing them again
    (site / "installed.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [str(python), *arguments], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=200
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def install(path: Path) -> None:
        run("-m", "pip", "install", "-q", "--no-index", "--no-deps", str(path))

    ask = f"""
import pathlib, sys, zoo
from zoo.errors import ZooError
assert pathlib.Path(zoo.__file__).is_relative_to({str(tmp_path)!r}), zoo.__file__
for name in ("ram.mnist28_7", "bahdanau.debian_de_en"):
    try:
        print(sum(p.numel() for p in zoo.create_model(name, pretrained=True).parameters()))
    except ZooError as error:
        print(error)
print(len(zoo.list_models(pretrained=True)))
"""
    install(wheel(ROOT, tmp_path / "zoo"))
    digits, refusal, few = run("-c", ask).splitlines()
    assert int(digits) > 100_000
    assert refusal.startswith("the weights of bahdanau.debian_de_en are not") and "attention-zoo-weights" in refusal
    weights = wheel(ROOT / "weights", tmp_path / "weights")
    assert weights.stat().st_size <= 160 * 2**20
    install(weights)
    digits, words, all_ = run("-c", ask).splitlines()
    assert int(words) > 1_000_000 and int(few) < int(all_) == len(list((ROOT / "zoo/models").glob("*/weights/*/")))
    translate = "import zoo; print(zoo.pipeline('bahdanau.debian_de_en')('Dieses Paket enthält ein Spiel.').text)"
    assert "game" in run("-c", translate)
    run("-m", "pip", "uninstall", "-q", "-y", "attention-zoo-weights")
    assert run("-c", ask).splitlines()[1] == refusal


def test_both_distributions_have_one_version():
    zoo, weights = (tomllib.loads((ROOT / path / "pyproject.toml").read_text())["project"] for path in (".", "weights"))
    assert weights["version"] == zoo["version"] and weights["dependencies"] == [f"{zoo['name']}=={zoo['version']}"]
    assert weights["requires-python"] == zoo["requires-python"]
