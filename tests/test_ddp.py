"""Two processes on one machine: the same gradient, the same metric, sweeps that end."""

import os
import re
import socket
import subprocess
import sys

import pytest
import torch

from tests.conftest import ROOT, command, last_json
from tests.small import EXPERIMENTS
from tests.stops import take
from zoo.models.ram import LitRAM

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
ALONE = re.compile("^rush/.*_abs_plus$|^st_rnn/.*_(markov|own|top)$")  # rows that one process counts or tunes
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


AGREE = "from zoo.training.folders import run_folder; print(run_folder({0!r}, 'a/b', None, []))"
STARTED = {
    "torchrun": {"TORCHELASTIC_RUN_ID": "x", "RANK": "{rank}", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "{port}"},
    "slurm": {
        "SLURM_NTASKS": "2",
        "SLURM_NTASKS_PER_NODE": "2",
        "SLURM_PROCID": "{rank}",
        "SLURM_LOCALID": "{rank}",
        "SLURM_NODEID": "0",
        "SLURM_JOB_ID": "{port}",
        "SLURM_JOB_NAME": "job",
        "SLURM_NODELIST": "127.0.0.1",
        "MASTER_PORT": "{port}",
    },
    "two nodes": {"NODE_RANK": "{rank}", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "{port}"},
}


@pytest.mark.parametrize("how", STARTED)
def test_processes_that_somebody_else_starts_share_a_folder(how, tmp_path):
    """Each asks for its folder; the second one begins when the first has decided, and the clock has moved on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = []
    for rank in range(2):
        given = {name: value.format(rank=rank, port=port) for name, value in STARTED[how].items()}
        code = AGREE.format(str(tmp_path)) + ("; import time; time.sleep(20)" if rank == 0 else "")
        processes.append(
            subprocess.Popen(
                [sys.executable, "-u", "-c", code],
                env={**os.environ, **given},
                cwd=ROOT,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
    said = [process.stdout.readline() for process in processes]
    processes[0].kill()
    assert said[0] and said[0] == said[1]
    assert len(list(tmp_path.glob("a/b/*"))) == 1


@pytest.mark.parametrize("policy", ["random", "learned"])
@pytest.mark.parametrize("num_glimpses", [1, 3])
def test_what_learns_has_a_gradient(policy, num_glimpses):
    """DDP ends with an error where a parameter that wants a gradient gets none."""
    model = LitRAM(num_glimpses=num_glimpses, hidden=8, policy=policy)
    batch = {"image": torch.rand(4, 1, 28, 28), "label": torch.arange(4), "key": torch.arange(4)}
    model.loss(batch)["loss"].backward()
    assert [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None] == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_experiment_takes_a_step_under_two_processes(small, tmp_path):
    """Their runs are started one after the other in two processes, which torchrun starts.

    What is counted or tuned by one process is refused, in a sentence.
    """
    runs = [[f"experiment={name}", *small(name), "trainer=ddp_cpu"] for name in EXPERIMENTS]
    take(tmp_path, [{"folder": f"run_{i}", "overrides": run} for i, run in enumerate(runs)])
    missing = [name for i, name in enumerate(EXPERIMENTS) if not (tmp_path / f"run_{i}/metrics.json").exists()]
    assert missing == [name for name in EXPERIMENTS if ALONE.search(name)]
    told = (tmp_path / "out_0").read_text()
    assert len(re.findall(r"zoo.errors.ZooError: .* by one process: trainer\.devices=1", told)) == len(missing)


@pytest.mark.slow
def test_torchrun_makes_one_folder_and_goes_on_in_it(tmp_path):
    fast = ("experiment=ram/mnist28_2", "debug=fast", "trainer=ddp_cpu", "logger=none", f"runs={tmp_path}")
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "scripts/train.py"]
    for more in ([], ["resume=auto"]):
        subprocess.run([*start, *fast, *more], cwd=ROOT, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        (folder,) = (tmp_path / "ram/mnist28_2").iterdir()
        (folder / "metrics.json").unlink()
