"""One checkpoint whose weights are the mean of several (Vaswani et al. 2017, section 6.1)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from zoo.errors import ZooError
from zoo.training.callbacks import AtomicCheckpointIO
from zoo.training.reading import CheckpointError, read_checkpoint

KEPT = ("pytorch-lightning_version", "epoch", "global_step", "hyper_parameters", "hparams_name")  # of the last one


class AveragingError(ZooError):
    """Checkpoints that cannot be averaged; names the file and says why."""


def average(paths: Sequence[str | Path], output: str | Path | None = None) -> Path:
    """Writes the mean of checkpoints of one training, for evaluation and release; it cannot be trained on.

    Args:
        paths: Lightning checkpoints of the same network.
        output: the file to write; None for average.ckpt beside the last of them, where the run's vocabulary is found.

    Returns:
        The file. Numbers that are not floating-point and the hyperparameters are those of the last checkpoint.

    Raises:
        AveragingError: one sentence.
    """
    if not paths:
        raise AveragingError("there is no checkpoint to average")
    target = Path(output) if output else Path(paths[-1]).with_name("average.ckpt")
    if target.is_dir():
        raise AveragingError(f"{target}: is a folder; expected the name of a file")
    total: dict[str, torch.Tensor] = {}
    for path in map(Path, paths):
        stored = _read(path)
        state = stored["state_dict"]
        if total and {key: x.shape for key, x in total.items()} != {key: x.shape for key, x in state.items()}:
            raise AveragingError(f"{path}: not of the same network as {paths[0]}")
        for key, value in state.items():
            if value.is_floating_point():  # float64, so that the order does not matter and nothing is lost
                total[key] = total.get(key, 0) + value.double()
            else:
                total[key] = value
    mean = {key: (x / len(paths)).to(state[key].dtype) if x.is_floating_point() else x for key, x in total.items()}
    averaged = {key: stored[key] for key in KEPT if key in stored} | {"state_dict": mean}
    AtomicCheckpointIO().save_checkpoint(averaged, str(target))
    return target


def _read(path: Path) -> dict[str, Any]:
    try:
        return read_checkpoint(path)
    except CheckpointError as error:
        raise AveragingError(str(error)) from None
