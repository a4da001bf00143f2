"""Attention is not Explanation, and what was said against it."""

from importlib import import_module

from zoo.models.explained.network import AttentionClassifier
from zoo.models.explained.pipeline import Explain

NETWORK, PIPELINE = AttentionClassifier, Explain

__all__ = ["NETWORK", "PIPELINE", "AttentionClassifier", "Explain", "LitAdversary", "LitExplained"]

_TRAINERS = {"LitAdversary": "adversary", "LitExplained": "module"}


def __getattr__(name: str):
    """What trains is imported when it is asked for: who loads a network needs neither Lightning nor Hydra."""
    if name not in _TRAINERS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"zoo.models.explained.{_TRAINERS[name]}"), name)
