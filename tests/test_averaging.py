"""The mean of checkpoints, and what cannot be averaged."""

import json

import pytest
import torch

from tests.conftest import called
from zoo.commands import evaluating
from zoo.commands.releasing import release_checkpoint
from zoo.models.transformer import LitTransformer
from zoo.training import running
from zoo.training.averaging import AveragingError, average

SIZES = {"source_vocabulary": 9, "target_vocabulary": 9, "layers": 1, "d_model": 8, "d_ff": 8, "heads": 2}


def checkpoints(folder, count=3, **arguments):
    paths = []
    for seed in range(count):
        torch.manual_seed(seed)
        lit = LitTransformer(**{**SIZES, **arguments})
        for parameter in lit.parameters():  # biases too: those that start at zero are a mean of anything
            torch.nn.init.normal_(parameter)
        state = {**lit.state_dict(), "steps": torch.tensor(seed)}
        stored = {"state_dict": state, "hyper_parameters": dict(lit.hparams), "global_step": seed}
        stored["optimizer_states"] = []
        paths.append(folder / f"step_{seed}.ckpt")
        torch.save(stored, paths[-1])
    return paths


def test_weights_are_the_mean_and_the_rest_is_the_last_ones(tmp_path):
    paths = checkpoints(tmp_path)
    written = average(paths)
    assert written == tmp_path / "average.ckpt"
    states = [torch.load(path, weights_only=True)["state_dict"] for path in paths]
    found = torch.load(written, weights_only=True)
    assert found["hyper_parameters"]["d_model"] == 8 and "optimizer_states" not in found
    assert found["state_dict"].keys() == states[0].keys() and found["state_dict"]["steps"] == found["global_step"] == 2
    for key, value in found["state_dict"].items():
        assert value.dtype == states[0][key].dtype
        if value.is_floating_point():
            torch.testing.assert_close(value, torch.stack([state[key] for state in states]).mean(0))
    assert not list(tmp_path.glob("*.partial"))
    assert average(paths[::-1], tmp_path / "other.ckpt") == tmp_path / "other.ckpt"


def test_it_is_released_like_any_other(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    paths = checkpoints(tmp_path / "checkpoints")
    folder = release_checkpoint(average(paths), "transformer.table3_base", folder=tmp_path / "w", preprocess={})
    assert (folder / "model.safetensors").exists()


def test_what_cannot_be_averaged_is_told(tmp_path):
    paths = checkpoints(tmp_path)
    with pytest.raises(AveragingError, match="there is no checkpoint to average"):
        average([])
    with pytest.raises(AveragingError, match="is a folder; expected the name of a file"):
        average(paths, tmp_path)
    assert not list(tmp_path.parent.glob("*.partial"))
    with pytest.raises(AveragingError, match=r"step_9\.ckpt: there is no such checkpoint"):
        average([tmp_path / "step_9.ckpt"])
    (tmp_path / "b").mkdir()
    (other,) = checkpoints(tmp_path / "b", 1, d_ff=9)
    with pytest.raises(AveragingError, match=r"step_0\.ckpt: not of the same network as .*step_0\.ckpt"):
        average([paths[0], other])
    stored = torch.load(paths[1], weights_only=True)
    stored["state_dict"]["network.out.weight"][0, 0] = torch.nan
    torch.save(stored, paths[1])
    with pytest.raises(AveragingError, match=r"step_1\.ckpt: network\.\S+ is not finite"):
        average(paths)
    paths[2].write_bytes(paths[2].read_bytes()[:500])
    with pytest.raises(AveragingError, match=r"step_2\.ckpt: truncated, altered or not a Lightning checkpoint"):
        average(paths[2:])


def test_a_run_keeps_its_last_checkpoints_and_their_mean_is_evaluated(composed, tmp_path):
    small = (
        "experiment=transformer/debian_de_en",
        "callbacks=averaging",
        "callbacks.recent.every_n_train_steps=1",
        "callbacks.recent.save_top_k=3",
        "data.limit=40",
        "data.vocabulary=100",
        "data.batch_tokens=200",
        "trainer.max_epochs=1",
        "trainer.enable_progress_bar=false",
        "logger=none",
        "model.d_model=8",
        "model.d_ff=8",
        "model.layers=1",
        "model.extra=5",
    )
    running.train(composed(*small))
    folder = tmp_path / "run/checkpoints"
    kept = sorted(folder.glob("step_*.ckpt"))
    steps = [torch.load(path, weights_only=True)["global_step"] for path in kept]
    last = torch.load(folder / "last.ckpt", weights_only=True)["global_step"]
    assert steps == [last - 2, last - 1, last] and (folder / "best.ckpt").exists()
    done = called("average", *map(str, kept))
    assert "the mean of 3 checkpoints" in done.stdout
    average_of = f"ckpt={folder}/average.ckpt"
    evaluating.evaluate(composed(*small[:1], "data.limit=40", average_of, "logger=none", config="evaluate"))
    assert json.loads((tmp_path / "run/metrics.json").read_text())["test/bleu"] >= 0
