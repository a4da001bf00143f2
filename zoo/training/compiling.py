"""Fewer launches: a network that is compiled, or whose training passes are replayed as CUDA graphs, or both.

A small model on a GPU waits for its launches: a pass is hundreds of kernels of a few microseconds each. A CUDA graph
launches a whole pass at once; compiling joins kernels.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, is_tensor, nn
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

from zoo.errors import ZooError

HOW = (False, True, "graph", "both")
PLAIN = (type(None), bool, int, float, str)  # what may stand beside the tensors of a pass that is replayed


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

    The first batch of a training is captured. Whatever differs from it (another shape, another number, evaluation,
    arguments by name) is computed as written. What the network returns is overwritten by the next call.

    Args:
        network: takes tensors and plain values that stay the same, such as None or a temperature; returns tensors,
            waits for nothing, and makes no tensor from numbers of the host.
    """

    def __init__(self, network: nn.Module):
        self.network, self.eager = network, network.forward
        self.graphed: Callable | None = None
        self.captured: list[Any] = []
        network.forward = self

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        leaves, structure = tree_flatten(args)
        tensors = [leaf for leaf in leaves if is_tensor(leaf)]
        training = self.network.training and torch.is_grad_enabled() and not kwargs
        plain = all(is_tensor(leaf) or isinstance(leaf, PLAIN) for leaf in leaves)  # another may change and stay equal
        if not training or not plain or not tensors or not all(tensor.is_cuda for tensor in tensors):
            return self.eager(*args, **kwargs)
        mixed = torch.is_autocast_enabled("cuda"), torch.get_autocast_dtype("cuda")
        described = [mixed, structure, *map(describe, leaves)]
        if self.graphed is None:
            self.captured, self.graphed = described, self.capture(leaves, structure)
        return self.graphed(*tensors) if described == self.captured else self.eager(*args)

    def capture(self, leaves: list[Any], structure: TreeSpec) -> Callable:
        """The callable that takes the tensors and replays; the device's random numbers are left as they were."""
        place = object()  # of a tensor; the first batch itself is not kept
        layout = [place if is_tensor(leaf) else leaf for leaf in leaves]
        samples = [leaf.detach().clone().requires_grad_(leaf.requires_grad) for leaf in leaves if is_tensor(leaf)]
        uncached = torch.autocast(
            "cuda", torch.get_autocast_dtype("cuda"), torch.is_autocast_enabled("cuda"), cache_enabled=False
        )

        def within(*tensors: Tensor) -> Any:
            """The pass that is captured. It casts a weight once, and keeps no cast that another pass made."""
            given = iter(tensors)
            args = tree_unflatten([next(given) if leaf is place else leaf for leaf in layout], structure)
            torch.clear_autocast_cache()
            enabled = torch.is_autocast_enabled("cuda")
            with torch.autocast("cuda", torch.get_autocast_dtype("cuda"), enabled, cache_enabled=True):
                result = self.eager(*args)
            torch.clear_autocast_cache()
            return result

        self.network.forward = within
        try:
            with torch.random.fork_rng([samples[0].device]), uncached:
                # some rows leave a head without gradient: RAM's policy where the places are random
                torch.cuda.make_graphed_callables(self.network, tuple(samples), allow_unused_input=True)
            return self.network.forward
        finally:
            self.network.forward = self


def describe(leaf: Any) -> Any:
    """What must be the same for a graph to be replayed: a tensor's form, and the type and value of anything else."""
    return (leaf.shape, leaf.dtype, leaf.device, leaf.requires_grad) if is_tensor(leaf) else (type(leaf), leaf)
