"""A Lightning checkpoint is looked at before it is believed; nothing is unpickled."""

from pathlib import Path
from typing import Any

import torch

from zoo.errors import ZooError


class CheckpointError(ZooError):
    """A checkpoint that is missing, truncated, altered, foreign or not finite; names the file and says why."""


def read_checkpoint(path: str | Path, resume: bool = False) -> dict[str, Any]:
    """The parts of a checkpoint of this project, on the CPU.

    Args:
        path: the file.
        resume: whether a training is to go on from it, for which it must hold the optimiser and the loops as well.

    Raises:
        CheckpointError: one sentence.
    """
    path = Path(path)
    if path.is_dir():
        raise CheckpointError(f"{path}: is a folder; expected a checkpoint, as checkpoints/best.ckpt of a run")
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: there is no such checkpoint") from None
    except Exception as error:  # a broken file raises whatever the reader runs into
        reason = " ".join((str(error).strip() or type(error).__name__).split())
        told = "it holds what only unpickling could read" if "weights_only" in reason.lower() else reason[:160]
        raise CheckpointError(f"{path}: truncated, altered or not a Lightning checkpoint ({told})") from None
    needed = {"state_dict": "weights", "hyper_parameters": "arguments of the model"}
    needed |= {"optimizer_states": "optimiser", "loops": "place in the training"} if resume else {}
    for key, what in needed.items():
        if not isinstance(stored, dict) or key not in stored:
            raise CheckpointError(f"{path}: not a whole checkpoint of this zoo, since it lacks the {what} ({key})")
    state = stored["state_dict"]
    if not isinstance(state, dict) or not state or not all(isinstance(x, torch.Tensor) for x in state.values()):
        raise CheckpointError(f"{path}: its state_dict does not hold tensors alone")
    check_finite(state, path)
    return stored


def check_finite(state: dict[str, torch.Tensor], path: str | Path) -> None:
    """Raises CheckpointError for weights that are not finite numbers."""
    for key, value in state.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise CheckpointError(f"{path}: {key} is not finite; its training failed, or the file was altered")
