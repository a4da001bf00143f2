"""Attention: a score, a scope, and the mean of the inputs under the weights."""

from inspect import signature
from typing import Any

from torch import Tensor, nn

from zoo.errors import UnknownName, ZooError, suggest
from zoo.nn.scope import SCOPES
from zoo.nn.scores import SCORES
from zoo.nn.shared import Share


def make(kind: str, known: dict[str, type[nn.Module]], name: str, **options: Any) -> nn.Module:
    """The module of that name, with those of the options that it asks for."""
    if name not in known:
        raise UnknownName(f"{kind} is {name!r}, not one of {', '.join(known)}{suggest(name, known)}")
    wanted = signature(known[name]).parameters
    return known[name](**{key: value for key, value in options.items() if key in wanted})


def check_read(score: str, scope: str, **options: Any) -> None:
    """Raises ZooError for an option that has another value than its default, and that neither of the two reads."""
    read = {*signature(SCORES[score]).parameters, *signature(SCOPES[scope]).parameters}
    default = signature(Attend).parameters
    for name, value in options.items():
        if name not in read and value != default[name].default:
            why = f"which neither the score {score} nor the scope {scope} reads, so it would change nothing"
            raise ZooError(f"attention.{name} is {value!r}, {why}")


class Attend(nn.Module):
    """Soft attention with any score in any scope; stateless. What neither of the two reads may not be set.

    Args:
        query_dim, memory_dim: sizes of a query and of an input.
        score: a name of :data:`zoo.nn.scores.SCORES`.
        scope: a name of :data:`zoo.nn.scope.SCOPES`.
        hidden, bias: see :class:`zoo.nn.scores.Additive`.
        max_length: see :class:`zoo.nn.scores.Location`.
        window, reverse, renormalise: see :class:`zoo.nn.scope.LocalP`.
    """

    def __init__(
        self,
        query_dim: int,
        memory_dim: int,
        score: str = "additive",
        scope: str = "global",
        hidden: int | None = None,
        max_length: int = 51,
        bias: bool = False,
        window: int = 10,
        reverse: bool = False,
        renormalise: bool = False,
        **others: Any,
    ):
        super().__init__()
        if others:
            known = [key for key in signature(Attend).parameters if key != "others"]
            raise UnknownName(f"attention has no {', '.join(others)}{suggest(next(iter(others)), known)}")
        sizes = {"query_dim": query_dim, "memory_dim": memory_dim}
        self.score = make("score", SCORES, score, **sizes, hidden=hidden, max_length=max_length, bias=bias)
        self.scope = make("scope", SCOPES, scope, **sizes, window=window, reverse=reverse, renormalise=renormalise)
        own = {"hidden": hidden, "max_length": max_length, "bias": bias, "window": window, "renormalise": renormalise}
        check_read(score, scope, **own)  # `reverse` is of the data

    def keys(self, memory: Tensor) -> Tensor:
        """What the score makes of the inputs (batch, S, memory_dim), once for a sentence: (batch, S, ...)."""
        return self.score.keys(memory)

    def forward(
        self, query: Tensor, memory: Tensor | Share, keys: Tensor, mask: Tensor, step: int | Tensor
    ) -> tuple[Tensor, Tensor]:
        """Looks at the inputs.

        Args:
            query: (batch, Q, query_dim).
            memory: (batch, S, memory_dim), or its transpose shared by the steps of a loop.
            keys: from :meth:`keys`.
            mask: (batch, S) boolean, True = attend.
            step: of each query, from 0: an int, or a tensor that broadcasts to (batch, Q).

        Returns:
            The contexts (batch, Q, memory_dim) and the weights (batch, Q, S), zero where the mask is False.
        """
        weights = self.scope(self.score(query, keys), mask, query, step)
        return memory(weights) if isinstance(memory, Share) else weights.to(memory.dtype) @ memory, weights
