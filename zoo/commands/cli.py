"""The commands, as `python scripts/train.py` in a checkout or `zoo-train` where the package is installed."""

import sys
from collections.abc import Callable
from pathlib import Path

import hydra
import yaml
from hydra import compose, initialize_config_module
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from zoo.errors import in_one_sentence, suggest
from zoo.training.folders import register
from zoo.training.memory import keep_freed_memory
from zoo.training.starting import remember

register()


@hydra.main(version_base="1.3", config_path="pkg://conf", config_name="train")
def _train(cfg: DictConfig) -> float | None:
    from zoo.training import running

    if HydraConfig.get().mode == RunMode.MULTIRUN:  # a job that fails is told by zoo.training.sweeping
        return running.train(cfg)
    with in_one_sentence():
        return running.train(cfg)


@hydra.main(version_base="1.3", config_path="pkg://conf", config_name="evaluate")
def _evaluate(cfg: DictConfig) -> None:
    from zoo.commands import evaluating

    with in_one_sentence():
        evaluating.evaluate(cfg)


@hydra.main(version_base="1.3", config_path="pkg://conf", config_name="benchmark")
def _benchmark(cfg: DictConfig) -> None:
    from zoo.training import benchmarking

    with in_one_sentence():
        benchmarking.run(cfg)


@hydra.main(version_base="1.3", config_path="pkg://conf", config_name="predict")
def _predict(cfg: DictConfig) -> None:
    from zoo.commands import predicting

    predicting.predict(cfg)


def train() -> None:
    """Trains one row of a paper: experiment=<slug>/<row> [key=value ...]."""
    _run(_train, "train")


def evaluate() -> None:
    """Recomputes a row's test metrics: name=<slug>.<row> or ckpt=<path> [key=value ...]."""
    sys.argv[1:] = evaluation_overrides(sys.argv[1:])
    _run(_evaluate, "evaluate")


def benchmark() -> None:
    """Measures the speed of a row's training step: experiment=<slug>/<row> [key=value ...]."""
    _run(_benchmark, "benchmark")


def predict() -> None:
    """Answers to raw inputs: name=<slug>.<row> input=<path> [output=<path>]."""
    from zoo.commands.predicting import literal

    sys.argv[1:] = literal(sys.argv[1:])
    _run(_predict, "predict")


def evaluation_overrides(arguments: list[str]) -> list[str]:
    """Adds the row that a name stands for, or the overrides that the run of a checkpoint was trained with."""
    given = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    if "experiment" in given:
        return arguments
    if "name" in given:
        return [f"experiment={given['name'].replace('.', '/', 1)}", *arguments]
    if "ckpt" in given:
        stored = Path(given["ckpt"]).resolve().parents[1] / ".hydra" / "overrides.yaml"
        if not stored.exists():
            sys.exit(f"{stored}: not there; say which row the checkpoint is of with experiment=<slug>/<row>")
        overrides = yaml.safe_load(stored.read_text())
        return [o for o in overrides if o.split("=")[0] not in ("resume", "runs", "logger", "debug")] + arguments
    sys.exit("say what to evaluate: name=<slug>.<row> or ckpt=<path>")


def _run(main: Callable[[], None], config: str) -> None:
    """Runs a Hydra command; where Hydra refuses an override, names the nearest right ones after its message."""
    keep_freed_memory()
    remember()
    try:
        main()
    except SystemExit as stop:
        hints = nearest(sys.argv[1:], config) if stop.code else []
        if hints:
            print(*hints, sep="\n", file=sys.stderr)
        raise


def nearest(arguments: list[str], config: str) -> list[str]:
    """One sentence for each override whose group option or key does not exist, with the names it may have meant."""
    words = [argument for argument in arguments if "=" in argument and not argument.startswith("-")]
    GlobalHydra.instance().clear()
    with initialize_config_module("conf", version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        try:
            overrides = OverridesParser.create(loader).parse_overrides(words)
        except (HydraException, OmegaConfBaseException):
            return []
        right, hints, keys = [], [], []
        for override in overrides:
            if override.is_add() or override.is_delete():
                continue
            known = options(loader, override.key_or_group)
            if not known:
                keys.append(override.key_or_group)
            elif not isinstance(name := override.value(), str):
                continue
            elif name in known:
                right.append(override.input_line)
            else:
                hints.append(f"there is no {override.key_or_group} {name!r}{suggest(name, known)}")
        try:
            cfg = compose(config, overrides=[line for line in right if not line.startswith("hydra")])
        except (HydraException, OmegaConfBaseException):
            return hints
    known = dotted(cfg)
    for key in keys:
        if not key.startswith("hydra.") and key not in known:
            hints.append(f"there is no key {key!r}{suggest(key, known)}")
    return hints


def options(loader: ConfigLoader, group: str) -> list[str]:
    """All options of a config group, those of folders below it included, as in ram/mnist28_6."""
    found = list(loader.get_group_options(group, ObjectType.CONFIG))
    for folder in loader.get_group_options(group, ObjectType.GROUP):
        found += [f"{folder}/{option}" for option in options(loader, f"{group}/{folder}")]
    return found


def dotted(cfg: DictConfig, prefix: str = "") -> list[str]:
    """All keys of a config in dotted form, inner nodes included."""
    found = []
    for key in cfg:
        found.append(prefix + key)
        node = None if OmegaConf.is_missing(cfg, key) or OmegaConf.is_interpolation(cfg, key) else cfg[key]
        if isinstance(node, DictConfig):
            found += dotted(node, f"{prefix}{key}.")
    return found
