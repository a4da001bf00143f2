"""The README's commands run, and its tables say what results.yaml says."""

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.results import files, rendered
from tests.conftest import ROOT, called, command, last_json
from zoo.commands.arguments import options_added, spelled
from zoo.commands.cli import nearest

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
    "evaluate": ("data.limit=200", "trainer.enable_progress_bar=false"),
}
READMES = [ROOT / "README.md", *sorted((ROOT / "zoo/models").glob("*/README.md"))]
INLINE = [
    (path.parent.name, line)
    for path in READMES
    for line in re.findall(r"`(python scripts/[^`]+)`", " ".join(path.read_text().split()))
]


def test_there_are_commands():
    assert len(COMMANDS) >= 6 and len(INLINE) >= 10


@pytest.mark.xdist_group("ddp")
@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_the_readme_runs(line, tmp_path):
    _, script, *arguments = shlex.split(line)
    name = script.removeprefix("scripts/").removesuffix(".py")
    if name in SHORT:
        arguments = [*arguments, *SHORT[name], f"runs={tmp_path}"]
    arguments = [re.sub(r"^output=", f"output={tmp_path}/", each) for each in arguments]
    if "sweep=ram" in arguments:
        arguments.append("hydra.sweeper.n_trials=1")
    # the first as the reader would, in a process of its own
    done = (command if line == COMMANDS[0] else called)(name, *arguments)
    if name == "predict":
        answers = last_json(done.stdout)
        for answer in answers if isinstance(answers, list) else [answers]:
            assert answer.get("label", 7) == 7 and answer.get("text", "a") and Path(answer["output"]).exists()
    elif name == "list":
        assert "ram.mnist28_7" in done.stdout
    elif name == "benchmark":
        assert "samples/s" in done.stdout
    elif "-m" not in arguments:
        assert 0 <= last_json(done.stdout)["test/error"] <= 100
    else:
        assert "3 runs, the best by val/error first" in done.stderr


def test_the_python_of_the_readme_runs(tmp_path, monkeypatch, capsys):
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    exec(code, {})
    said = capsys.readouterr().out
    assert "7 {'7': " in said and "This library is used by other programs" in said and (tmp_path / "path.png").exists()


def test_commits_that_are_named_are_there():
    """A number of the past is told with its commit, which must be one; skips where the history is not whole."""

    def git(*words: str, given: str | None = None) -> str:
        done = subprocess.run(["git", *words], cwd=ROOT, input=given, capture_output=True, text=True)
        return done.stdout if not done.returncode else "true"

    if git("rev-parse", "--is-shallow-repository").strip() == "true":
        pytest.skip("the history is not whole here")
    text = " ".join(path.read_text() for path in [*READMES, *sorted((ROOT / "zoo/models").glob("*/*.yaml"))])
    named = {
        word for word in re.findall(r"\b[0-9a-f]{7,40}\b", text) if re.search("[a-f]", word) and re.search(r"\d", word)
    }
    kinds = git("cat-file", "--batch-check=%(objecttype)", given="\n".join(sorted(named))).splitlines()
    found = dict(zip(sorted(named), kinds, strict=True))
    assert len(found) > 20 and {name for name, kind in found.items() if kind != "commit"} == set()


@pytest.mark.parametrize(("where", "line"), INLINE)
def test_a_command_within_the_text_names_what_is_there(where, line):
    """What is left open in it, as <run>, apart."""
    _, script, *arguments = shlex.split(line.replace("...", ""))
    assert (ROOT / script).exists(), script
    name = script.removeprefix("scripts/").removesuffix(".py")
    given = [each for each in arguments if "=" in each and "<" not in each]
    if name == "evaluate":
        row = re.sub(
            r"^name=(\w+)\.", r"experiment=\1/", next((each for each in given if each.startswith("name=")), "")
        )
        given = [row or f"experiment={where}/debian_de_en", *given]
    if name in ("train", "evaluate", "predict", "benchmark"):
        assert nearest(options_added(spelled(given)), name) == []


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_tables_and_heads_are_what_make_results_writes(path):
    assert path.read_text() == rendered(path), "run `make results`"


def torchrun() -> list[str]:
    (line,) = re.findall(r"`(torchrun [^`]+)`", " ".join(TEXT.split()))
    return shlex.split(line)[1:]


def test_the_machines_of_torchrun_are_told_where_to_meet():
    """Without it each machine takes itself for the first and waits for the other."""
    words = torchrun()
    assert "--rdzv-backend=c10d" in words and any(word.startswith("--rdzv-endpoint=") for word in words)
    given = [word for word in words[words.index("scripts/train.py") + 1 :] if word != "trainer.num_nodes=2"]
    assert nearest(spelled(given), "train") == []


@pytest.mark.slow
@pytest.mark.xdist_group("ddp")
def test_two_machines_train_one_run(tmp_path):
    """The command of the README, with this machine for both and a process on each."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["--nproc-per-node=1" if word.startswith("--nproc-per-node") else word for word in torchrun()]
    words = [re.sub(r"--rdzv-endpoint=.*", f"--rdzv-endpoint=127.0.0.1:{port}", word) for word in words]
    short = ("trainer.accelerator=cpu", "trainer.devices=1", "debug=fast", "logger=none", f"runs={tmp_path}")
    line = [sys.executable, "-m", "torch.distributed.run", *words, *short]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    machines = [subprocess.Popen(line, cwd=ROOT, env=env, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for each in machines:
        _, said = each.communicate(timeout=280)
        assert each.returncode == 0, said
    (run,) = tmp_path.glob("ram/mnist28_7/*")
    assert "test/error" in json.loads((run / "metrics.json").read_text())
