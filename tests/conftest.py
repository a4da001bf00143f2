"""What several test files use: composed configs, runs in this process, commands in another."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, open_dict

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


def last_json(text: str) -> dict:
    """The last line of what a script printed."""
    return json.loads(text.strip().splitlines()[-1])
