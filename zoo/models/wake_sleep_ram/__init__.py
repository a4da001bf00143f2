"""Learning Wake-Sleep Recurrent Attention Models."""

from importlib import import_module

from zoo.models.wake_sleep_ram.network import WakeSleepRAM
from zoo.models.wake_sleep_ram.pipeline import Looks

NETWORK, PIPELINE = WakeSleepRAM, Looks

__all__ = ["NETWORK", "PIPELINE", "LitWakeSleepRAM", "Looks", "WakeSleepRAM"]


def __getattr__(name: str):
    """What trains is imported when it is asked for: who loads a network needs neither Lightning nor Hydra."""
    if name != "LitWakeSleepRAM":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module("zoo.models.wake_sleep_ram.module").LitWakeSleepRAM
