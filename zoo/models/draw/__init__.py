"""DRAW: a recurrent neural network for image generation."""

from importlib import import_module

from zoo.models.draw.network import DRAW
from zoo.models.draw.pipeline import Look, Paint, Pictures

NETWORK, PIPELINE = DRAW, Pictures

__all__ = ["DRAW", "NETWORK", "PIPELINE", "LitClassifier", "LitDRAW", "Look", "Paint", "Pictures"]


def __getattr__(name: str):
    """What trains is imported when it is asked for: who loads a network needs neither Lightning nor Hydra."""
    if name not in ("LitClassifier", "LitDRAW"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("zoo.models.draw.module"), name)
