"""Two processes on one machine: the same gradient, the same metric, sweeps that end."""

import pytest
import torch

from tests.conftest import command, last_json

pytestmark = [pytest.mark.ddp, pytest.mark.xdist_group("ddp")]
COMMON = (
    "experiment=ram/mnist28_2",
    "logger=none",
    "trainer.enable_progress_bar=false",
    "trainer.max_epochs=1",
    "trainer.precision=32-true",
    "data.limit=1001",
    "model.test_starts=2",
)


def run_folder(path):
    (folder,) = path.glob("ram/mnist28_2/*/")
    return folder


def test_two_processes_equal_one_on_the_joint_batch(tmp_path):
    """Plain SGD for a few steps turns equal gradients into equal weights; 1,001 test digits do not divide by two."""
    sgd = "model.optimizer={_target_:torch.optim.SGD,lr:0.1}"
    command("train", *COMMON, sgd, "trainer=cpu", "data.batch_size=128", f"runs={tmp_path}/one")
    command("train", *COMMON, sgd, "trainer=ddp_cpu", "data.batch_size=64", f"runs={tmp_path}/two")
    state_one, state_two = (
        torch.load(run_folder(tmp_path / name) / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
        for name in ("one", "two")
    )
    for name, value in state_one.items():
        torch.testing.assert_close(state_two[name], value, rtol=1e-4, atol=1e-6, msg=name)
    # one set of weights, evaluated by one process and by two: equal to the last digit
    ckpt = f"ckpt={run_folder(tmp_path / 'one')}/checkpoints/last.ckpt"
    apart = [
        last_json(command("evaluate", ckpt, f"trainer={trainer}", f"runs={tmp_path}").stdout)
        for trainer in ("cpu", "ddp_cpu")
    ]
    metrics = [{name: value for name, value in result.items() if name.startswith("test/")} for result in apart]
    assert metrics[0] == metrics[1] and metrics[0]["test/error"] > 0


def test_an_optuna_search_with_two_processes(tmp_path):
    command(
        "train",
        "-m",
        *COMMON,
        "trainer=ddp_cpu",
        "hydra/sweeper=optuna",
        "hydra.sweeper.n_trials=2",
        "hydra.sweeper.n_jobs=1",
        "model.hidden=choice(16,24)",
        f"runs={tmp_path}",
    )
    sweeps = list(tmp_path.glob("ram/mnist28_2/*"))
    assert len(sweeps) == 1, f"a child process started a sweep of its own: {sweeps}"
    assert sorted(path.parent.name for path in sweeps[0].glob("*/metrics.json")) == ["0", "1"]
