"""The README's commands run, and its tables say what results.yaml says."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scripts.results import files, rendered
from tests.conftest import ROOT, called, command, last_json

TEXT = (ROOT / "README.md").read_text()
COMMANDS = [
    line.split("#")[0].strip()
    for block in re.findall(r"```bash\n(.*?)```", TEXT, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("python scripts/")
]
SHORT = {
    "train": ("debug=fast", "trainer.enable_progress_bar=false"),
    "benchmark": ("seconds=0.2", "warmup=1"),
    "evaluate": ("trainer.enable_progress_bar=false", "data.limit=500"),
}


def test_there_are_commands():
    assert len(COMMANDS) >= 6


@pytest.mark.xdist_group("ddp")
@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_the_readme_runs(line, tmp_path):
    _, script, *arguments = shlex.split(line)
    name = script.removeprefix("scripts/").removesuffix(".py")
    if name == "predict":
        digit = np.zeros((28, 28), np.uint8)
        digit[4:24, 13:16] = 255
        Image.fromarray(digit).save(tmp_path / "digit.png")
        arguments = [re.sub(r"\w+\.png$", lambda found: f"{tmp_path}/{found[0]}", each) for each in arguments]
    else:
        arguments = [*arguments, *SHORT[name], f"runs={tmp_path}"]
    if "sweep=ram" in arguments:
        arguments.append("hydra.sweeper.n_trials=1")
    # the first as the reader would, in a process of its own
    done = (command if line == COMMANDS[0] else called)(name, *arguments)
    if name == "predict":
        answer, picture = last_json(done.stdout), arguments[-1].removeprefix("output=")
        assert answer.get("label", 0) in range(10) and answer.get("text", "a game") and Path(picture).exists()
    elif name == "benchmark":
        assert "samples/s" in done.stdout
    elif "-m" not in arguments:
        assert 0 <= last_json(done.stdout)["test/error"] <= 100


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_tables_and_heads_are_what_make_results_writes(path):
    assert path.read_text() == rendered(path), "run `make results`"
