"""A room of twenty lines is added by writing its five places and touching nothing else."""

import os
import shutil
import subprocess
import sys

from tests.conftest import ROOT, last_json

NETWORK = '''
import torch
from torch import nn

class RowAttention(nn.Module):
    """Weighs the rows of a picture and classifies their mean."""
    def __init__(self, width: int = 28, num_classes: int = 10, channels: int = 1):
        super().__init__()
        self.score, self.classify = nn.Linear(width, 1), nn.Linear(width, num_classes)

    def forward(self, image):
        rows = image[:, 0]  # (batch, rows, width)
        weights = self.score(rows).softmax(1)  # (batch, rows, 1)
        return self.classify((weights * rows).sum(1)), weights.transpose(1, 2)
'''
MODULE = """
import torch.nn.functional as F
from zoo.training.metrics import ErrorRate
from zoo.training.module import ZooModule
from zoo.models.row_attention.network import RowAttention

class LitRowAttention(ZooModule):
    monitor = "val/error"
    def __init__(self, optimizer=None, schedule=None, **network):
        super().__init__(RowAttention(**network), optimizer, schedule)
        self.save_hyperparameters()
        self.val_error, self.test_error = ErrorRate(), ErrorRate()

    def loss(self, batch):
        return {"loss": F.cross_entropy(self.network(batch["image"])[0], batch["label"])}

    def evaluate(self, batch, stage):
        metric = self.val_error if stage == "val" else self.test_error
        metric.update(self.network(batch["image"])[0].argmax(-1), batch["label"])
        return {"error": metric}
"""
PLACES = {
    "zoo/models/row_attention/__init__.py": "from zoo.models.row_attention.network import RowAttention as NETWORK\n",
    "zoo/models/row_attention/network.py": NETWORK,
    "zoo/models/row_attention/module.py": MODULE,
    "zoo/models/row_attention/results.yaml": "tiny: {paper: null, ours: null, status: not run, weights: null}\n",
    "conf/model/row_attention.yaml": "_target_: zoo.models.row_attention.module.LitRowAttention\n_recursive_: false\n"
    "_convert_: all\nwidth: 28\n",
    "conf/experiment/row_attention/tiny.yaml": "# @package _global_\ndefaults:\n  - override /model: row_attention\n",
}


def test_a_new_room_touches_only_its_own_files(tmp_path):
    for package in ("zoo", "conf", "datamodules", "scripts"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", "weights"))
    for place, text in PLACES.items():
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    env = {**os.environ, "PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"}

    def python(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=200
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    arguments = ("experiment=row_attention/tiny", "debug=fast", "logger=none", "trainer.enable_progress_bar=false")
    assert 0 <= last_json(python("scripts/train.py", *arguments))["test/error"] <= 100
    use = "import zoo; print(zoo.list_models('row*')); print(zoo.create_model('row_attention', width=20))"
    shown = python("-c", use)
    assert "['row_attention.tiny']" in shown and "RowAttention" in shown
