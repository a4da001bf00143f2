"""A layer of LSTM over whole sentences in one call, as devices have it (cuDNN); a loop launches 25 kernels a word."""

import torch
from torch import Tensor


def lstm(
    x: Tensor,
    h: Tensor,
    c: Tensor,
    input_weight: Tensor,
    recurrent_weight: Tensor,
    mask: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Equal to :meth:`zoo.nn.lstm.LSTM.scan`.

    Args:
        x: (batch, S, inputs).
        h, c: (batch, hidden), where it starts; zero where there is a mask.
        input_weight, recurrent_weight: (4 * hidden, inputs) and (4 * hidden, hidden); input, forget, output, candidate.
        mask: (batch, S) bool, True for words; padding comes last, and carries the state on.

    Returns:
        All states (batch, S, hidden), and the last h and c, in the type of `h` and `c`.
    """
    kind, positions = h.dtype, torch.arange(x.shape[1], device=x.device)
    if mask is not None:
        # a layer without biases that starts at zero stays at zero while it reads zeros: padding moves to the front
        padding = (~mask).sum(1, keepdim=True)
        reads = positions - padding  # the word that each step reads, negative: none
        x = x.gather(1, reads.clamp(min=0)[..., None].expand_as(x)) * (reads >= 0)[..., None]
    weights = [_regrouped(input_weight), _regrouped(recurrent_weight)]
    states, h, c = torch.lstm(x, (h[None], c[None]), weights, False, 1, 0.0, torch.is_grad_enabled(), False, True)
    if mask is not None:
        read_at = (positions + padding).clamp(max=x.shape[1] - 1)
        states = states.gather(1, read_at[..., None].expand_as(states))
    return states.to(kind), h[0].to(kind), c[0].to(kind)


def _regrouped(weight: Tensor) -> Tensor:
    """Input, forget, candidate, output: the order of torch and cuDNN."""
    i, f, o, g = weight.chunk(4)
    return torch.cat((i, f, g, o))
