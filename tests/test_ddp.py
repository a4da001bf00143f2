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
SENTENCES = (
    "experiment=bahdanau/debian_de_en",
    *COMMON[1:5],
    "data.limit=99",
    "data.vocabulary=200",
    "model.embedding=8",
    "model.hidden=8",
    "model.dropout=0",
)


def run_folder(path):
    (folder,) = path.glob("*/*/*/")
    return folder


@pytest.mark.parametrize(
    ("common", "batch", "metric", "rounding"),
    [
        (COMMON, ("data.batch_size", 128), "test/error", 0),
        (SENTENCES, ("data.batch_tokens", 400), "test/perplexity", 1e-5),  # a sum of logarithms in another order
    ],
    ids=["digits", "sentences"],
)
def test_two_processes_equal_one_on_the_joint_batch(common, batch, metric, rounding, tmp_path):
    """Plain SGD for a few steps turns equal gradients into equal weights; an odd test set does not divide by two."""
    sgd = "model.optimizer={_target_:torch.optim.SGD,lr:0.1}"
    name, size = batch
    command("train", *common, sgd, "trainer=cpu", f"{name}={size}", f"runs={tmp_path}/one")
    command("train", *common, sgd, "trainer=ddp_cpu", f"{name}={size // 2}", f"runs={tmp_path}/two")
    state_one, state_two = (
        torch.load(run_folder(tmp_path / name) / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
        for name in ("one", "two")
    )
    for name, value in state_one.items():
        torch.testing.assert_close(state_two[name], value, rtol=1e-4, atol=1e-6, msg=name)
    # one set of weights, evaluated by one process and by two: what is counted is equal to the last digit
    ckpt = f"ckpt={run_folder(tmp_path / 'one')}/checkpoints/last.ckpt"
    apart = [
        last_json(command("evaluate", ckpt, f"trainer={trainer}", f"runs={tmp_path}").stdout)
        for trainer in ("cpu", "ddp_cpu")
    ]
    metrics = [{name: value for name, value in result.items() if name.startswith("test/")} for result in apart]
    assert metrics[0] == pytest.approx(metrics[1], rel=rounding, abs=0) and metrics[0][metric] > 0


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
