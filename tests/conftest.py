"""What several test files use: composed configs, and commands in this process or in another."""

import io
import itertools
import json
import logging
import os
import runpy
import subprocess
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

import pytest
import torch
from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, open_dict
from torch import nn

ROOT = Path(__file__).parent.parent
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    """No test reaches a server, and none writes into the checkout."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("WANDB_MODE", "offline")


def compose_run(folder: Path, *overrides: str, config: str = "train") -> DictConfig:
    """The config that a script would get, of a run in the given folder."""
    GlobalHydra.instance().clear()
    fixed = [f"hydra.runtime.output_dir={folder}", f"runs={folder.parent}", "trainer.accelerator=cpu"]
    with initialize_config_module("conf", version_base="1.3"):
        cfg = compose(config, overrides=[*fixed, *overrides], return_hydra_config=True)
    HydraConfig.instance().set_config(cfg)
    with open_dict(cfg):
        del cfg["hydra"]
    return cfg


@pytest.fixture
def composed(tmp_path):
    """A function from overrides to the config that a script would get, writing into a temporary folder."""

    def build(*overrides: str, config: str = "train") -> DictConfig:
        return compose_run(tmp_path / "run", *overrides, config=config)

    yield build
    GlobalHydra.instance().clear()


@pytest.fixture
def small(tmp_path):
    """A function from an experiment to overrides that let it run in a second; see tests/small.py."""
    from tests.small import overrides

    counter = itertools.count()

    def build(experiment: str) -> tuple[str, ...]:
        folder = tmp_path / f"small_{next(counter)}"
        folder.mkdir()
        return overrides(experiment, folder)

    return build


def command(script: str, *arguments: str, check: bool = True, **environment: str | None) -> subprocess.CompletedProcess:
    """Runs a script of the project as a user would; an environment variable given as None is taken away."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", "HYDRA_FULL_ERROR": "0", **environment}
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / f"{script}.py"), *arguments],
        capture_output=True,
        text=True,
        env={name: value for name, value in env.items() if value is not None},
        cwd=ROOT,
        timeout=280,
    )
    if check and done.returncode:
        pytest.fail(f"{script} {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done


def called(script: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess:
    """As :func:`command`, but in this process, which spares the imports: not for what starts or ends processes."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    path = str(ROOT / "scripts" / f"{script}.py")
    with _as_a_process([path, *arguments]), redirect_stdout(out), redirect_stderr(err):
        try:
            runpy.run_path(path, run_name="__main__")
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
            if isinstance(stop.code, str):
                print(stop.code, file=sys.stderr)
        except Exception:
            code = 1
            traceback.print_exc()
    if check and code:
        pytest.fail(f"{script} {' '.join(arguments)} ended with {code}:\n{out.getvalue()}\n{err.getvalue()}")
    return subprocess.CompletedProcess([script, *arguments], code, out.getvalue(), err.getvalue())


@contextmanager
def _as_a_process(argv: list[str]) -> Iterator[None]:
    """Its own arguments, environment, warnings and logging, and Hydra as if nobody had used it."""

    def show(message, category, filename, lineno, file=None, line=None):
        sys.stderr.write(warnings.formatwarning(message, category, filename, lineno, line))

    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    GlobalHydra.instance().clear()
    # Hydra shuts all known handlers down, and that of absl, which rouge-score brings, would close pytest's own stderr
    apart = mock.patch.object(logging, "_handlerList", [])
    try:
        with (
            mock.patch.object(sys, "argv", argv),
            mock.patch.dict(os.environ),
            chdir(ROOT),
            apart,
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("default")
            warnings.showwarning = show
            yield
    finally:
        GlobalHydra.instance().clear()
        root.handlers[:], root.level = handlers, level


def dropped(network: nn.Module, *arguments: torch.Tensor) -> Counter:
    """How often a forward pass in training drops part of a tensor of which shape; each is checked to have lost half."""
    found: Counter = Counter()

    def look(module: nn.Module, given: tuple[torch.Tensor], made: torch.Tensor) -> None:
        lost = (made == 0) & (given[0] != 0)
        assert lost.any() and not lost.all()
        found[tuple(made.shape)] += 1

    hooks = [module.register_forward_hook(look) for module in network.modules() if isinstance(module, nn.Dropout)]
    network.train()(*arguments)
    for hook in hooks:
        hook.remove()
    return found


def last_json(text: str) -> dict:
    """The last line of what a script printed."""
    return json.loads(text.strip().splitlines()[-1])
