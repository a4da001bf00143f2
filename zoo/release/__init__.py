"""Released models: folders in Hugging Face Hub layout, saved and loaded without pickle."""

from zoo.release.cards import read_metrics
from zoo.release.folder import (
    CARD,
    CONFIG,
    DTYPES,
    HUB,
    LIMIT,
    LIMIT_ALL,
    SUMS,
    TOKENIZER,
    WEIGHTS,
    WeightsError,
    build,
    check_arguments,
    construct,
    load,
    locate,
    parameters,
    read_config,
    save,
)
from zoo.release.hub import push_to_hf_hub

__all__ = [
    "CARD",
    "CONFIG",
    "DTYPES",
    "HUB",
    "LIMIT",
    "LIMIT_ALL",
    "SUMS",
    "TOKENIZER",
    "WEIGHTS",
    "WeightsError",
    "build",
    "check_arguments",
    "construct",
    "load",
    "locate",
    "parameters",
    "push_to_hf_hub",
    "read_config",
    "read_metrics",
    "save",
]
