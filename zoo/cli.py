"""The commands, as `python scripts/train.py` in a checkout or `zoo-train` where the package is installed."""

import hydra
from omegaconf import DictConfig

from zoo import running


@hydra.main(version_base="1.3", config_path="pkg://conf", config_name="train")
def train(cfg: DictConfig) -> float | None:
    """Trains one row of a paper: experiment=<slug>/<row> [key=value ...]."""
    return running.train(cfg)
