"""Recurrent Models of Visual Attention."""

from zoo.ram.baselines import LitBaseline
from zoo.ram.module import LitRAM
from zoo.ram.network import RAM

__all__ = ["RAM", "LitBaseline", "LitRAM"]
