"""The commands, as `python scripts/train.py` in a checkout or `zoo-train` where the package is installed."""

import logging
import os
import sys
import warnings
from collections.abc import Callable

import hydra
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

from zoo.commands.arguments import (
    PATHS,
    benchmark_overrides,
    check_launcher,
    check_runs,
    evaluation_overrides,
    literal,
    prediction_overrides,
    spelled,
)
from zoo.commands.helping import say, usage
from zoo.errors import EXTRAS, in_one_sentence, suggest
from zoo.training.folders import output_folder, register
from zoo.training.memory import keep_freed_memory
from zoo.training.starting import remember
from zoo.training.tables import tell_unfinished

UNASKED = (  # advice of Lightning's that a run of this zoo cannot use: it makes batches on the device
    "The '.*dataloader' does not have many workers",
    "The number of training batches .* is smaller than the logging interval",
    "Checkpoint directory .* exists and is not empty",
    "Trainer already configured with model summary callbacks",
    "`isinstance.treespec, LeafSpec.` is deprecated",
)
register()


@hydra.main(version_base="1.3", config_path="pkg://conf", config_name="train")
def _train(cfg: DictConfig) -> float | None:
    from zoo.training import checking, running

    with in_one_sentence(ends=not goes_on(cfg)):
        checking.check_config(cfg, HydraConfig.get().overrides.task)
        tell_where(cfg)
        quiet(cfg)
        return running.train(cfg)


@hydra.main(version_base="1.3", config_path="pkg://conf", config_name="evaluate")
def _evaluate(cfg: DictConfig) -> None:
    from zoo.commands import evaluating
    from zoo.training import checking

    with in_one_sentence():
        checking.check_config(cfg, HydraConfig.get().overrides.task)
        quiet(cfg)
        evaluating.evaluate(cfg)


@hydra.main(version_base="1.3", config_path="pkg://conf", config_name="benchmark")
def _benchmark(cfg: DictConfig) -> None:
    from zoo.training import benchmarking, checking

    with in_one_sentence():
        checking.check_config(cfg, HydraConfig.get().overrides.task)
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
    _run(_evaluate, "evaluate", evaluation_overrides)


def benchmark() -> None:
    """Measures the speed of a row's training step: experiment=<slug>/<row> [key=value ...]."""
    _run(_benchmark, "benchmark", benchmark_overrides)


def predict() -> None:
    """Answers to raw inputs: name=<slug>.<row> input=<path> [output=<path>]."""
    _run(_predict, "predict", prediction_overrides)


def goes_on(cfg: DictConfig) -> bool:
    """Whether this is a job of a sweep that goes on without those that fail, so that an error must reach Hydra."""
    return HydraConfig.get().mode == RunMode.MULTIRUN and "failures" in cfg


def tell_where(cfg: DictConfig) -> None:
    """Says where a run writes, and whether resume=auto found one to go on with."""
    if os.environ.get("LOCAL_RANK", "0") != "0":
        return
    folder = output_folder()
    if cfg.resume != "auto":  # else a run may be gone on with
        print(f"{folder}: begins", file=sys.stderr)
    elif (folder / "checkpoints" / "last.ckpt").exists():
        print(f"{folder}: goes on where it stopped", file=sys.stderr)
    else:
        print(f"{folder}: starts anew, since no unfinished run of this command has a checkpoint", file=sys.stderr)


def quiet(cfg: DictConfig) -> None:
    """Leaves out what Lightning says of itself, the bar that would fill a file, and a W&B that is switched off."""
    if os.environ.get("WANDB_MODE") == "disabled" and "wandb" in (cfg.logger or {}).get("_target_", ""):
        cfg.logger = None
    for name in ("pytorch_lightning", "lightning_fabric", "lightning"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for category in (DeprecationWarning, PendingDeprecationWarning, FutureWarning):
        warnings.simplefilter("ignore", category)
    for message in UNASKED:
        warnings.filterwarnings("ignore", message=message)
    if not (sys.stdout.isatty() and sys.stderr.isatty()):
        cfg.trainer.enable_progress_bar = False


def _run(main: Callable[[], None], config: str, prepare: Callable[[list[str]], list[str]] = list) -> None:
    """Runs a Hydra command; where Hydra refuses an override, names the nearest right ones after its message.

    Args:
        prepare: what the command does to its arguments first.
    """
    if {"-h", "--help"} & set(sys.argv[1:]):
        say(usage(config, sys.argv[1:]))
        return
    keep_freed_memory()
    remember()
    with in_one_sentence():
        if config != "predict":  # which leaves no run
            check_runs(sys.argv[1:])
            check_launcher(sys.argv[1:])
        sys.argv[1:] = literal(prepare(spelled(sys.argv[1:])), PATHS[config])
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("ended by Ctrl-C; the same command with resume=auto goes on with a training")
    except SystemExit as stop:
        hints = nearest(sys.argv[1:], config) if stop.code else []
        if hints:
            print(*hints, sep="\n", file=sys.stderr)
        raise
    finally:
        tell_unfinished()


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
            key = override.key_or_group
            known = options(loader, key)
            if not known:
                keys.append(override.key_or_group)
            elif not isinstance(name := override.value(), str):
                continue
            elif name in known:
                right.append(override.input_line)
            elif package := next((each for each in EXTRAS if each in name and key.startswith("hydra/")), None):
                hints.append(f"{key}={name} needs an extra: pip install -e '.[{EXTRAS[package]}]' in the checkout")
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
