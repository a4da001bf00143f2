"""Recurrent Models of Visual Attention."""

from importlib import import_module

from zoo.models.ram.network import RAM
from zoo.models.ram.pipeline import Glimpses

NETWORK, PIPELINE = RAM, Glimpses

__all__ = ["NETWORK", "PIPELINE", "RAM", "Glimpses", "LitBaseline", "LitCatch", "LitRAM"]

_TRAINERS = {"LitBaseline": "baselines", "LitCatch": "control", "LitRAM": "module"}


def __getattr__(name: str):
    """What trains is imported when it is asked for: who loads a network needs neither Lightning nor Hydra."""
    if name not in _TRAINERS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"zoo.models.ram.{_TRAINERS[name]}"), name)
