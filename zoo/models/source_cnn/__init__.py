"""Encoding Source Language with Convolutional Neural Network for Machine Translation."""

from importlib import import_module

from zoo.models.source_cnn.network import SourceCNN
from zoo.models.source_cnn.pipeline import NextWord

NETWORK, PIPELINE = SourceCNN, NextWord

__all__ = ["NETWORK", "PIPELINE", "LitSourceCNN", "NextWord", "SourceCNN"]


def __getattr__(name: str):
    """What trains is imported when it is asked for: who loads a network needs neither Lightning nor Hydra."""
    if name != "LitSourceCNN":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module("zoo.models.source_cnn.module").LitSourceCNN
