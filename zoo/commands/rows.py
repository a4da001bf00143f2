"""The data of a row, for scripts that count or measure without a training."""

from collections.abc import Sequence
from typing import Any

from hydra import compose, initialize_config_module
from hydra.errors import HydraException
from hydra.utils import instantiate

from zoo.errors import ZooError
from zoo.training.folders import register


def data_of(overrides: Sequence[str]) -> Any:
    """The datamodule that overrides such as experiment=<slug>/<row> choose; raises ZooError for what Hydra refuses."""
    register()
    try:
        with initialize_config_module("conf", version_base="1.3"):
            cfg = compose("train", overrides=list(overrides))
    except HydraException as error:
        raise ZooError(str(error).splitlines()[0]) from None
    return instantiate(cfg.data)
