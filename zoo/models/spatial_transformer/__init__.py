"""Spatial Transformer Networks."""

from importlib import import_module

from zoo.models.spatial_transformer.network import SpatialTransformerNetwork
from zoo.models.spatial_transformer.pipeline import Straighten

NETWORK, PIPELINE = SpatialTransformerNetwork, Straighten

__all__ = ["NETWORK", "PIPELINE", "LitColocaliser", "LitSpatialTransformer", "SpatialTransformerNetwork", "Straighten"]

_TRAINERS = {"LitColocaliser": "colocalisation", "LitSpatialTransformer": "module"}


def __getattr__(name: str):
    """What trains is imported when it is asked for: who loads a network needs neither Lightning nor Hydra."""
    if name not in _TRAINERS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"zoo.models.spatial_transformer.{_TRAINERS[name]}"), name)
