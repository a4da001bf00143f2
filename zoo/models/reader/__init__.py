"""Teaching Machines to Read and Comprehend."""

from importlib import import_module

from zoo.models.reader.network import Reader
from zoo.models.reader.pipeline import Answering

NETWORK, PIPELINE = Reader, Answering

__all__ = ["NETWORK", "PIPELINE", "Answering", "LitReader", "Reader"]


def __getattr__(name: str):
    """What trains is imported when it is asked for: who loads a network needs neither Lightning nor Hydra."""
    if name != "LitReader":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module("zoo.models.reader.module").LitReader
