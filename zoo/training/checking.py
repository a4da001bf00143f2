"""What can be known before a training is checked before it, and refused in one sentence."""

import os
import re
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import Callback

from zoo.errors import (
    UnknownName,
    ZooError,
    check_choice,
    check_least,
    check_number,
    check_share,
    check_whole,
    suggest,
)
from zoo.training.overrides import key
from zoo.training.reading import CheckpointError, read_checkpoint

SCORED = {"val/f1": ("val/precision", "val/recall", "val/complete")}  # what only a whole validation measures
STEPS = {  # keys of the trainer that Lightning takes as they come
    "accumulate_grad_batches": partial(check_whole, 1),
    "gradient_clip_val": partial(check_least, 0),
    "val_check_interval": partial(check_number, 0),
}
READ_BY_MODELS = ("attention", "estimator", "self_attention")  # groups that a model's config refers to, or nobody reads


def check_config(cfg: DictConfig, overrides: Sequence[str]) -> None:
    """Checks the keys that this project reads itself, and that somebody reads the groups that were chosen.

    Args:
        cfg: of a training.
        overrides: of the command line.

    Raises:
        ZooError: one sentence.
    """
    check_whole(0, 2**32 - 1, seed=cfg.seed)
    check_choice(("min", "max", None), mode=cfg.mode)
    check_share(failures=cfg.failures)
    model = str(OmegaConf.to_container(cfg.model, resolve=False))
    for group in READ_BY_MODELS:
        named = any(key(each).split(".")[0] == group for each in overrides)
        if named and cfg.get(group) is not None and not re.search(rf"[{{:.]{group}[}}.,]", model):
            raise ZooError(f"{cfg.model.get('_target_')} reads no {group}, so {group}= would change nothing")
    trainer = cfg.trainer
    for name, check in STEPS.items():
        if (value := trainer.get(name)) is not None:
            check(**{f"trainer.{name}": value})
    if trainer.get("max_epochs") == -1:
        if trainer.get("max_steps", -1) == -1 and not trainer.get("max_time"):
            raise ZooError("trainer.max_epochs is -1, and neither trainer.max_steps nor trainer.max_time ends the run")
    elif trainer.get("max_epochs") is not None:
        check_whole(0, **{"trainer.max_epochs": trainer.max_epochs})
    processors = max(8, os.cpu_count() or 1)
    devices, accelerator = trainer.get("devices", 1), trainer.get("accelerator", "auto")
    missing = accelerator == "cuda" or (accelerator == "gpu" and not torch.backends.mps.is_available())
    if missing and not torch.cuda.is_available():
        raise ZooError(f"trainer.accelerator is {accelerator}, and torch finds no GPU here; trainer=cpu does without")
    on_cpu = accelerator == "cpu" or (accelerator == "auto" and not torch.cuda.is_available())
    if on_cpu and isinstance(devices, int) and devices > processors:
        raise ZooError(f"trainer.devices is {devices}; on this machine at most {processors} processes are started")


def make_data(cfg: DictConfig) -> pl.LightningDataModule:
    """The data of a config.

    Raises:
        ZooError: the config sets what data of another kind have; one sentence.
    """
    try:
        return instantiate(cfg.data)
    except InstantiationException as error:
        if refused := _refused("data", cfg, error, ()):
            raise refused from None
        raise


def model_for(cfg: DictConfig, datamodule: pl.LightningDataModule) -> pl.LightningModule:
    """The model of a config; of data that take long to read, that they fit is checked first (:func:`check_fits`)."""
    if hasattr(datamodule, "gives"):
        check_fits(cfg, datamodule.gives)
    return make_model(cfg, datamodule.spec)


def check_fits(cfg: DictConfig, names: Collection[str]) -> None:
    """Finds out whether a model takes what the data will say, without reading them: a model without numbers is made.

    Args:
        names: of the model's arguments that the data say.

    Raises:
        ZooError: the data are not of the kind that the model learns from; one sentence.
    """
    with torch.device("meta"), torch.random.fork_rng(devices=[]):
        try:
            instantiate(cfg.model, **dict.fromkeys(names, 64))
        except InstantiationException as error:
            if refused := _refused("model", cfg, error, names):
                raise refused from None
        except Exception:  # of the number that stands for what the data will say
            return


def make_model(cfg: DictConfig, spec: Mapping[str, Any]) -> pl.LightningModule:
    """The model of a config; `spec` is what only the data knows.

    Raises:
        ZooError: the data are not of the kind that the model learns from; one sentence.
    """
    for name in spec.keys() & cfg.model.keys():
        if cfg.model[name] != spec[name]:
            raise ZooError(f"model.{name} is {cfg.model[name]}, and the data say {spec[name]}; leave it out")
    try:
        return instantiate(cfg.model, **spec)
    except InstantiationException as error:
        if refused := _refused("model", cfg, error, spec):
            raise refused from None
        raise


def _refused(part: str, cfg: DictConfig, error: InstantiationException, given: Collection[str]) -> ZooError | None:
    """What to tell of a part of a config that does not take its arguments.

    Args:
        given: names of the arguments that another part says.
    """
    found = re.search(r"(unexpected keyword|missing \d+ required \S+) arguments?:? (.*)", str(error.__cause__))
    if not found or not isinstance(error.__cause__, TypeError):
        return None
    names, target = re.findall(r"'(\w+)'", found[2]), cfg[part].get("_target_")
    if part == "model" and (set(names) & set(given) or found[1].startswith("missing")):
        why = f"does not learn from {cfg.data.get('_target_')} ({', '.join(names)}); experiment= picks two that fit"
        return ZooError(f"{target} {why}")
    near = suggest(names[0], cfg[part].keys() - set(names)) or "; experiment= picks settings that fit"
    return UnknownName(f"{target} has no argument {', '.join(names)}{near}")


def check_built(cfg: DictConfig, datamodule: pl.LightningDataModule, model: pl.LightningModule) -> None:
    """Reads all splits, and holds their lengths against the positions that the network has learned.

    Raises:
        ZooError, datamodules' DataError: one sentence.
    """
    if not hasattr(datamodule, "split"):
        datamodule.setup("fit")
        for split in ("train", "val", "test") if hasattr(datamodule, "size") else ():
            datamodule.size(split)
        return
    longest = getattr(getattr(model.network, "positions", None), "longest", None)
    for split in ("train", "val", "test"):
        sizes = [int(side.max(initial=0)) for side in datamodule.split(split).lengths()]
        if longest is not None and max(sizes) > longest:
            places = f"the network has {longest} positions (model.longest)"
            raise ZooError(f"a sentence of the {split} split has {max(sizes)} tokens, and {places}")


def check_resume(path: str | Path, model: pl.LightningModule) -> None:
    """Raises CheckpointError for what this model cannot go on from, such as a checkpoint of another size."""
    state, own = read_checkpoint(path, resume=True)["state_dict"], model.state_dict()
    for name in sorted(own.keys() | state.keys()):
        if name not in state or name not in own:
            where = "the checkpoint" if name not in state else f"this {type(model).__name__}"
            raise CheckpointError(f"{path}: of another model, since {where} has no {name}")
        if state[name].shape != own[name].shape:
            sizes = f"{tuple(state[name].shape)} there and {tuple(own[name].shape)} here"
            raise CheckpointError(f"{path}: of another size, since {name} is {sizes}")


class KnownMonitor(Callback):
    """Ends a run before its first step if no validation measures what is to choose the best checkpoint."""

    def __init__(self, monitor: str):
        self.monitor = monitor

    def on_sanity_check_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        own = pl_module.monitor
        known = sorted({*trainer.callback_metrics, own, *SCORED.get(own, ())})
        if trainer.callback_metrics and self.monitor not in known and not self.monitor.startswith("train/"):
            near = suggest(self.monitor, known) or f"; monitor= one of {', '.join(known)}"
            raise UnknownName(f"there is no metric {self.monitor!r}{near}")
