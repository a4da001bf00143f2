"""For torch.hub: ``torch.hub.load(<checkout>, "ram", row="mnist28_7", source="local")`` gives a released network.

Every room is an entry point, and so is ``pipeline``. Without a row the network is fresh, made from arguments.
"""

from collections.abc import Callable
from typing import Any

from torch import nn

import zoo as _zoo
from zoo.pipelines import pipeline  # noqa: F401
from zoo.registry import rooms as _rooms

dependencies = ["torch", "torchvision", "safetensors", "yaml", "numpy", "PIL", "tokenizers"]


def _entry(slug: str) -> Callable[..., nn.Module]:
    def create(row: str | None = None, pretrained: bool = True, **arguments: Any) -> nn.Module:
        if row is None:
            return _zoo.create_model(slug, **arguments)
        return _zoo.create_model(f"{slug}.{row}", pretrained=pretrained, **arguments)

    create.__name__ = slug
    create.__doc__ = (
        f"The network of zoo.models.{slug}.\n\n"
        "Args:\n"
        "    row: of the room's results, such as those of zoo.list_models(pretrained=True); None for fresh weights.\n"
        "    pretrained: whether a row gets its released weights.\n"
        "    arguments: of the network's constructor.\n"
    )
    return create


globals().update({slug: _entry(slug) for slug in _rooms()})
