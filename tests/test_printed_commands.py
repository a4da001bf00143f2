"""The command that results.yaml prints for a row composes today what it composed at the commit that the row names."""

import io
import re
import shlex
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from tests.conftest import ROOT

READ = ("model", "data", "trainer", "seed", "monitor", "mode", "compile")  # of a config, what decides a number
SINCE = {  # keys that came later, and the value with which they change nothing; of others none, false or 0
    "model.attack": "at",
    "data.digits": 1,
    "data.test": "test",
    "data.stories": 10_000,
    "model.credit": "caption",  # of the captioner, where there is an estimator
    "model.localisers": 1,
    "model.reward": "correct",
    "model.std": 1.0,  # of the reader's words, as torch draws them
    "trainer.enable_progress_bar": True,
    "trainer.accumulate_grad_batches": 1,
    "trainer.max_steps": -1,
}
RENAMED = {"model.n_best": "model.listed"}  # the length of the lists that ABS+ is tuned on
OPEN = {
    "ram/translated60_8": "its commit gives 120 epochs, and it had 200",
    "ram/cluttered60_random8": "other keys of the policy, which random places do not read",
}  # to be run again


def measured() -> Iterator[Any]:
    """Every row that was measured by a training; those without weights take too long for every day."""
    for path in sorted(ROOT.glob("zoo/models/*/results.yaml")):
        for row, entry in yaml.safe_load(path.read_text()).items():
            ours = entry.get("ours") or {}
            if "scripts/train.py" in str(ours.get("command")) and ours.get("commit"):
                name = f"{path.parent.name}/{row}"
                marks = [] if entry["weights"] else [pytest.mark.slow]
                if name in OPEN:
                    marks.append(pytest.mark.xfail(reason=OPEN[name], strict=True))
                commit = str(ours["commit"]).split()[0].rstrip(";,")
                yield pytest.param(commit, ours["command"], id=name, marks=marks)


def overrides(command: str) -> list[str]:
    """Those of the first training that a command starts: of seeds the first, of files no matter which."""
    first = re.split(r", then| \(", re.sub(r"<(\d+)[^>]*>", r"\1", command))[0]
    words = [
        re.sub(r"<([^>]*)>", r"/\1", word).rstrip(",") for word in shlex.split(first.replace("`", "")) if "=" in word
    ]
    given = [word for word in words if not word.startswith(("hydra.", "sweep=", "runs="))]
    attention = [re.sub(r"^hydra\.sweeper\.params\.", "", w) for w in words if w.startswith("hydra.sweeper.params.")]
    sweep = [word for word in words if word.startswith("sweep=")]
    return ["logger=csv", *sweep, *given, *attention]


def flat(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from flat(value, f"{prefix}{key}.")
    else:
        yield prefix[:-1], node


def composed_from(conf: Path, words: list[str]) -> dict[str, Any]:
    """What decides a number, by dotted keys; classes have other places today."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf), version_base="1.3"):
        cfg = compose("train", overrides=words)
    parts = {key: OmegaConf.to_container(cfg, resolve=False).get(key) for key in READ}
    parts["model"] = OmegaConf.to_container(cfg.model, resolve=True)  # it refers to groups, in several spellings
    return {RENAMED.get(key, key): value for key, value in flat(parts) if not key.endswith("_target_")}


@pytest.fixture(scope="module")
def confs(tmp_path_factory) -> dict[str, Path]:
    return {"": tmp_path_factory.mktemp("conf")}


def conf_of(commit: str, confs: dict[str, Path]) -> Path:
    """The folder conf/ as it was at a commit; skips where the history is not there, as in a shallow clone."""
    if commit not in confs:
        done = subprocess.run(["git", "archive", commit, "conf"], cwd=ROOT, capture_output=True)
        if done.returncode:
            pytest.skip(f"no commit {commit} here")
        folder = confs[""] / commit
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
            archive.extractall(folder, filter="data")
        confs[commit] = folder / "conf"
    return confs[commit]


def changed(then: dict[str, Any], now: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What a command composed, and composes now, by the keys that are not the same."""

    def same(key: str) -> bool:
        if key in then:
            return then[key] == now.get(key)
        return now[key] == SINCE[key] if key in SINCE else not now[key]

    return {key: (then.get(key), now.get(key)) for key in then | now if not same(key)}


@pytest.mark.parametrize(("commit", "command"), measured())
def test_the_printed_command_is_what_was_run(commit, command, confs):
    words = overrides(command)
    then, now = composed_from(conf_of(commit, confs), words), composed_from(ROOT / "conf", words)
    assert changed(then, now) == {}


def test_a_changed_default_would_be_seen(confs):
    """With the share of unknown words that new runs have, a row of the time before is another one."""
    commit, command = next(each.values for each in measured() if each.id == "luong/debian_de_en")
    words = overrides(command)
    then, now = (
        composed_from(conf_of(commit, confs), words),
        composed_from(ROOT / "conf", [*words, "data.unknown=0.05"]),
    )
    assert changed(then, now) == {"data.unknown": (None, 0.05)}
    assert changed({"a": 1, "b": 2}, {"b": 3, "c": True, "d": False}) == {
        "a": (1, None),
        "b": (2, 3),
        "c": (None, True),
    }
