"""Neural Machine Translation by Jointly Learning to Align and Translate."""

from importlib import import_module

from zoo.models.bahdanau.network import RNNsearch
from zoo.text.translation import Translate

NETWORK, PIPELINE = RNNsearch, Translate

__all__ = ["NETWORK", "PIPELINE", "LitRNNsearch", "RNNsearch", "Translate"]


def __getattr__(name: str):
    """What trains is imported when it is asked for: who loads a network needs neither Lightning nor Hydra."""
    if name != "LitRNNsearch":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module("zoo.models.bahdanau.module").LitRNNsearch
