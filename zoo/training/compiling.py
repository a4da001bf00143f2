"""Fewer launches: a network that is compiled, or whose training passes are replayed as CUDA graphs, or both.

A small model on a GPU waits for its launches: a pass is hundreds of kernels of a few microseconds each. A CUDA graph
launches a whole pass at once; compiling joins kernels.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from zoo.errors import ZooError

HOW = (False, True, "graph", "both")


def speed_up(network: nn.Module, how: bool | str) -> None:
    """Makes a network faster in place; the names of its parameters stay.

    Args:
        network: one that has a ``compile`` of its own says what of it is compiled, such as one step of a loop.
        how: False: as it is; True: compiled; "graph": CUDA graphs of forward and backward; "both".

    Raises:
        ZooError: another `how`, or graphs without CUDA.
    """
    if how not in HOW:
        raise ZooError(f"compile is {how!r}; expected one of false, true, graph, both")
    if how in ("graph", "both") and not torch.cuda.is_available():
        raise ZooError(f"compile={how} needs a CUDA device; compile=true works without one")
    if how is True or how == "both":
        # nn.Module.compile would compile the call around the graph and not within it
        whole = type(network).compile is nn.Module.compile and how == "both"
        if whole:
            network.forward = torch.compile(network.forward)
        else:
            network.compile()
    if how in ("graph", "both"):
        Replayed(network)


def set_matmul(precision: str) -> None:
    """How exact products of float32 matrices are on a device: "highest", or "high" for TF32 where there is such a unit.

    Raises:
        ZooError: another word.
    """
    if precision not in ("highest", "high", "medium"):
        raise ZooError(f"float32_matmul is {precision!r}; expected highest, high or medium")
    torch.set_float32_matmul_precision(precision)


class Replayed:
    """Stands for a network's ``forward``, and replays it and its backward in training as CUDA graphs.

    The first batch of a training is captured. Whatever differs from it (another shape, evaluation, arguments by name)
    is computed as written. What the network returns is overwritten by the next call.

    Args:
        network: takes tensors and returns tensors, waits for nothing, and makes no tensor from numbers of the host.
    """

    def __init__(self, network: nn.Module):
        self.network, self.eager = network, network.forward
        self.graphed: Callable | None = None
        self.captured: list[tuple] = []
        network.forward = self

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        leaves = tree_leaves(args)
        training = self.network.training and torch.is_grad_enabled() and not kwargs
        if not training or not all(isinstance(leaf, Tensor) and leaf.is_cuda for leaf in leaves):
            return self.eager(*args, **kwargs)
        described = [(leaf.shape, leaf.dtype, leaf.requires_grad) for leaf in leaves]
        if self.graphed is None:
            self.captured, self.graphed = described, self.capture(args)
        return self.graphed(*args) if described == self.captured else self.eager(*args)

    def capture(self, args: tuple) -> Callable:
        """The callable that replays; the device's random numbers are left as they were."""
        device = tree_leaves(args)[0].device
        samples = tuple(arg.detach().clone().requires_grad_(arg.requires_grad) for arg in args)
        uncached = torch.autocast(
            "cuda", torch.get_autocast_dtype("cuda"), torch.is_autocast_enabled("cuda"), cache_enabled=False
        )
        self.network.forward = self.within
        try:
            with torch.random.fork_rng([device]), uncached:
                # some rows leave a head without gradient: RAM's policy where the places are random
                torch.cuda.make_graphed_callables(self.network, samples, allow_unused_input=True)
            return self.network.forward
        finally:
            self.network.forward = self

    def within(self, *args: Tensor) -> Any:
        """The pass that is captured. It casts a weight once, and keeps no cast that another pass made."""
        torch.clear_autocast_cache()
        enabled = torch.is_autocast_enabled("cuda")
        with torch.autocast("cuda", torch.get_autocast_dtype("cuda"), enabled, cache_enabled=True):
            result = self.eager(*args)
        torch.clear_autocast_cache()
        return result
