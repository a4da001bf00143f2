"""Effective Approaches to Attention-based Neural Machine Translation."""

from importlib import import_module

from zoo.models.luong.network import StackedLSTM
from zoo.text.translation import Translate

NETWORK, PIPELINE = StackedLSTM, Translate

__all__ = ["NETWORK", "PIPELINE", "LitStackedLSTM", "StackedLSTM", "Translate"]


def __getattr__(name: str):
    """What trains is imported when it is asked for: who loads a network needs neither Lightning nor Hydra."""
    if name != "LitStackedLSTM":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module("zoo.models.luong.module").LitStackedLSTM
