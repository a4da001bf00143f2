"""Released weights or a checkpoint on the test set of their row."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from zoo.registry import create_model, released
from zoo.release import TOKENIZER, WeightsError, read_config
from zoo.training import launching
from zoo.training.folders import output_folder
from zoo.training.running import build, commit, machine, write_metrics


def _overridden(cfg: DictConfig) -> dict[str, Any]:
    """The arguments of the model that the command line names; the checkpoint knows the others."""
    task = HydraConfig.get().overrides.task
    names = {o.split("=")[0].split(".")[1] for o in task if o.startswith("model.")}
    return {name: OmegaConf.to_container(cfg, resolve=True)["model"][name] for name in names}


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
    for key, value in spec.items():
        if weights.get(key, value) != value:
            raise WeightsError(f"the data do not fit the weights: {key} is {value}, expected {weights[key]}")


def evaluate(cfg: DictConfig) -> None:
    """Recomputes the test metrics of released weights (name) or of a checkpoint (ckpt) and writes metrics.json."""
    folder = output_folder()
    launching.install()
    with launching.job():
        cfg.logger = None
        cfg.callbacks = {}
        if "tokenizer" in cfg.data and cfg.data.tokenizer is None:
            cfg.data.tokenizer = str(_tokenizer(cfg))
        datamodule, model, trainer = build(cfg, folder)
        if cfg.ckpt:
            model = type(model).load_from_checkpoint(cfg.ckpt, weights_only=True, **_overridden(cfg))
            check_fit(datamodule.spec, model.hparams)
        else:
            check_fit(datamodule.spec, read_config(released(cfg.name))["network"])
            model.network = create_model(cfg.name, pretrained=True)
        metrics = trainer.test(model, datamodule=datamodule, verbose=False)[0]
        if trainer.is_global_zero:
            of = {"ckpt": cfg.ckpt} if cfg.ckpt else {"name": cfg.name}
            write_metrics(folder, {**of, **metrics, "machine": machine(), "commit": commit()})
