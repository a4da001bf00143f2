"""Predicting the Next Location: A Recurrent Model with Spatial and Temporal Contexts."""

from importlib import import_module

from zoo.models.st_rnn.network import STRNN
from zoo.models.st_rnn.pipeline import NextPlace

NETWORK, PIPELINE = STRNN, NextPlace

__all__ = ["NETWORK", "PIPELINE", "STRNN", "LitNext", "NextPlace"]


def __getattr__(name: str):
    """What trains is imported when it is asked for: who loads a network needs neither Lightning nor Hydra."""
    if name != "LitNext":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module("zoo.models.st_rnn.module").LitNext
