"""Not All Contexts Are Created Equal: Better Word Representations with Variable Attention."""

from importlib import import_module

from zoo.models.attentive_cbow.network import AttentiveCBOW
from zoo.models.attentive_cbow.pipeline import Blank

NETWORK, PIPELINE = AttentiveCBOW, Blank

__all__ = ["NETWORK", "PIPELINE", "AttentiveCBOW", "Blank", "LitVectors"]


def __getattr__(name: str):
    """What trains is imported when it is asked for: who loads a network needs neither Lightning nor Hydra."""
    if name != "LitVectors":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module("zoo.models.attentive_cbow.module").LitVectors
