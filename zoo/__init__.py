"""Attention models, from their papers: by name, with released weights, and from raw input to answer."""

import os
from importlib.metadata import PackageNotFoundError, version

# Before torch is loaded: threads that wait by spinning make a step many times slower where anything else runs.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from zoo.looking.attention import Attention
from zoo.pipelines import pipeline
from zoo.registry import create_model, list_models, model_card
from zoo.release import push_to_hf_hub

__all__ = ["Attention", "__version__", "create_model", "list_models", "model_card", "pipeline", "push_to_hf_hub"]


def __getattr__(name: str) -> str:
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return version("attention-zoo")
    except PackageNotFoundError:  # a source tree that was not installed
        return "0+unknown"
