"""A Neural Attention Model for Abstractive Sentence Summarization."""

from importlib import import_module

from zoo.models.rush.network import ABS
from zoo.models.rush.pipeline import Summarise

NETWORK, PIPELINE = ABS, Summarise

__all__ = [
    "ABS",
    "NETWORK",
    "PIPELINE",
    "LitABS",
    "LitBaseline",
    "LitKneserNey",
    "LitPlus",
    "LitRecurrent",
    "Summarise",
]
LAZY = {
    "LitABS": "module",
    "LitPlus": "plus",
    "LitRecurrent": "recurrent",
    "LitBaseline": "baselines",
    "LitKneserNey": "kneser_ney",
}


def __getattr__(name: str):
    """What trains is imported when it is asked for: who loads a network needs neither Lightning nor Hydra."""
    if name not in LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"zoo.models.rush.{LAZY[name]}"), name)
