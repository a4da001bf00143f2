"""Show, Attend and Tell: Neural Image Caption Generation with Visual Attention."""

from importlib import import_module

from zoo.models.show_attend_tell.network import ShowAttendTell
from zoo.models.show_attend_tell.pipeline import Describe

NETWORK, PIPELINE = ShowAttendTell, Describe

__all__ = ["NETWORK", "PIPELINE", "Describe", "LitShowAttendTell", "ShowAttendTell"]


def __getattr__(name: str):
    """What trains is imported when it is asked for: who loads a network needs neither Lightning nor Hydra."""
    if name != "LitShowAttendTell":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module("zoo.models.show_attend_tell.module").LitShowAttendTell
