"""An installed wheel finds its configs, data and weights from any folder."""

import os
import subprocess
import sys
import zipfile

import pytest

from tests.conftest import ROOT, last_json


@pytest.mark.xdist_group("ddp")
def test_a_wheel_works_from_a_folder_with_a_conf_of_its_own(tmp_path):
    wheels = tmp_path / "wheels"
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(wheels), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, timeout=200)
    (wheel,) = wheels.glob("attention_zoo-*.whl")
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    assert not (site / "scripts").exists() and not (site / "tests").exists()
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
