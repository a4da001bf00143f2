"""Attention Is All You Need."""

from importlib import import_module

from zoo.models.transformer.network import Transformer
from zoo.models.transformer.pipeline import TranslateByHeads

NETWORK, PIPELINE = Transformer, TranslateByHeads

__all__ = ["NETWORK", "PIPELINE", "LitParser", "LitTransformer", "Transformer", "TranslateByHeads"]


def __getattr__(name: str):
    """What trains is imported when it is asked for: who loads a network needs neither Lightning nor Hydra."""
    if name not in ("LitParser", "LitTransformer"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("zoo.models.transformer.module"), name)
