"""Transformers from scratch."""

from importlib import import_module

from zoo.models.former.network import Former
from zoo.models.former.pipeline import Classify, Reading, Write

NETWORK, PIPELINE = Former, Reading

__all__ = ["NETWORK", "PIPELINE", "Classify", "Former", "LitClassifier", "LitGenerator", "Reading", "Write"]


def __getattr__(name: str):
    """What trains is imported when it is asked for: who loads a network needs neither Lightning nor Hydra."""
    if name not in ("LitClassifier", "LitGenerator"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("zoo.models.former.module"), name)
