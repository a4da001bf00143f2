"""Released weights or a checkpoint on the test set of their row."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from zoo.errors import ZooError
from zoo.registry import create_model, released
from zoo.release import TOKENIZER, WeightsError, parameters, read_config
from zoo.training import launching
from zoo.training.compiling import speed_up
from zoo.training.folders import output_folder
from zoo.training.module import ZooModule
from zoo.training.overrides import key
from zoo.training.reading import CheckpointError, read_checkpoint
from zoo.training.running import build, commit, machine, write_metrics

NOT_OF_MODELS = ("_target_", "_recursive_", "_convert_", "optimizer", "schedule")


def overridden(cfg: DictConfig) -> dict[str, Any]:
    """The arguments of the model that the command line names, by whatever path; the weights know the others."""
    model = OmegaConf.to_container(cfg, resolve=True)["model"]
    names: list[str] = []
    for override in HydraConfig.get().overrides.task:
        group, _, rest = key(override).partition(".")
        if group == "model" and not rest:
            names += model
        elif group == "model":
            names.append(rest.split(".")[0])
        elif group in ("attention", "estimator", "self_attention"):
            names.append(group)
    return {name: model.get(name) for name in names if name not in NOT_OF_MODELS}


def check_choice(cfg: DictConfig) -> None:
    """Raises ZooError where the config does not say which weights, or says it twice."""
    if bool(cfg.name) == bool(cfg.ckpt):
        both = f"name={cfg.name} and ckpt={cfg.ckpt} are two sets of weights; " if cfg.name else ""
        raise ZooError(f"{both}say which to evaluate: name=<slug>.<row>, name=<folder> or ckpt=<path>")


def _tokenizer(cfg: DictConfig) -> Path:
    """The folder with the vocabulary of the weights that are evaluated."""
    if cfg.ckpt:
        return Path(cfg.ckpt).resolve().parents[1] / TOKENIZER
    return released(cfg.name)


def check_fit(spec: Mapping[str, Any], weights: Mapping[str, Any]) -> None:
    """Refuses data that are not of the kind that the weights were trained on, such as another vocabulary.

    Raises:
        WeightsError: one sentence.
    """
    for name, value in spec.items():
        if weights.get(name, value) != value:
            raise WeightsError(f"the data do not fit the weights: {name} is {value}, expected {weights[name]}")


def evaluate(cfg: DictConfig) -> None:
    """Recomputes the test metrics of released weights (name) or of a checkpoint (ckpt) and writes metrics.json."""
    check_choice(cfg)
    weights = read_checkpoint(cfg.ckpt)["hyper_parameters"] if cfg.ckpt else read_config(released(cfg.name))["network"]
    folder = output_folder()
    launching.install()
    with launching.job():
        cfg.logger = None
        cfg.callbacks = {}
        if "tokenizer" in cfg.data and cfg.data.tokenizer is None:
            cfg.data.tokenizer = str(_tokenizer(cfg))
        datamodule, model, trainer = build(cfg, folder)
        check_fit(datamodule.spec, weights)
        model = _from_checkpoint(cfg, model) if cfg.ckpt else _released(cfg, model)
        speed_up(model.network, cfg.compile)
        metrics = trainer.test(model, datamodule=datamodule, verbose=False)[0]
        if trainer.is_global_zero:
            of = {"ckpt": cfg.ckpt} if cfg.ckpt else {"name": cfg.name}
            write_metrics(folder, {**of, **metrics, "machine": machine(), "commit": commit()})


def _from_checkpoint(cfg: DictConfig, model: ZooModule) -> ZooModule:
    try:
        return type(model).load_from_checkpoint(cfg.ckpt, weights_only=True, map_location="cpu", **overridden(cfg))
    except (RuntimeError, TypeError) as error:
        raise CheckpointError(
            f"{cfg.ckpt}: not of this {type(model).__name__}; {' '.join(str(error).split())}"
        ) from None


def _released(cfg: DictConfig, model: ZooModule) -> ZooModule:
    """The model, which has what the command line says of decoding and testing, with the network of the release."""
    known = parameters(type(model.network)) or {}
    network = create_model(cfg.name, pretrained=True, **{k: v for k, v in overridden(cfg).items() if k in known})
    if not isinstance(network, type(model.network)):
        kinds = f"of {type(network).__name__}, and the config makes {type(model.network).__name__}"
        raise WeightsError(f"{cfg.name}: its weights are {kinds}; leave out experiment= and model=")
    model.network = network
    return model
