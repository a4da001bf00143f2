"""Every YAML composes, every row of conf/experiment instantiates, and every kind of row runs two steps."""

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from tests.conftest import ROOT
from tests.small import EXPERIMENTS, FAST, data, different, read
from zoo.training import running


def plain(value) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and plain(entry) for key, entry in value.items())
    return (type(value) is list and all(map(plain, value))) or type(value) in (str, int, float, bool, type(None))


@pytest.mark.parametrize("experiment", different())
def test_every_kind_of_row_runs_two_steps_and_leaves_a_plain_checkpoint(experiment, composed, small, tmp_path):
    """A kind is a pair of model and data, and whatever else a row says but numbers, files and languages."""
    metric = running.train(composed(f"experiment={experiment}", *small(experiment)))
    assert metric is not None and metric >= 0
    checkpoint = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)
    assert checkpoint["hyper_parameters"] and plain(checkpoint["hyper_parameters"])


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_row_instantiates_at_its_full_size(experiment, composed, tmp_path):
    """All but its data, which is made small and is instantiated with it; weights take no memory here."""
    groups = read(experiment).groups
    cfg = composed(f"experiment={experiment}", *data(experiment.split("/")[0], groups["data"], tmp_path))
    assert OmegaConf.to_container(cfg, resolve=True)
    datamodule = instantiate(cfg.data)
    spec = datamodule.spec
    assert set(getattr(datamodule, "gives", spec)) == set(spec), "what is promised before any text is read"
    with torch.device("meta"):
        model = instantiate(cfg.model, **spec)
    assert sum(p.numel() for p in model.parameters()) > 0
    assert instantiate(cfg.trainer, logger=False).max_epochs == cfg.trainer.max_epochs
    cfg.monitor, cfg.mode = cfg.monitor or model.monitor, cfg.mode or model.mode  # as running.build does
    assert all(instantiate(callback) for callback in cfg.callbacks.values() if callback)
    optimizer = instantiate(model.optimizer, [torch.nn.Parameter(torch.zeros(1))])
    assert instantiate(model.schedule, optimizer, 100).get_last_lr()


@pytest.mark.parametrize(
    "group",
    ["trainer", "logger", "callbacks", "debug", "sweep", "data", "model", "attention", "estimator", "self_attention"],
)
def test_every_option_of_every_group_composes(group, composed):
    for path in sorted((ROOT / "conf" / group).glob("*.yaml")):
        assert composed(f"{group}={path.stem}") is not None


def test_finished_weights_of_characters_can_be_measured_on_validation(composed):
    assert composed("experiment=former/debian_characters", "data.test=val", config="evaluate").data.test == "val"


def test_a_baseline_takes_attention_and_others_do_without(composed):
    found = composed("experiment=bahdanau/debian_de_en_no_attention", "attention=dot")
    assert found.model.attention.score == "dot"
    assert composed("experiment=bahdanau/debian_de_en_no_attention").model.attention is None
    assert composed("experiment=bahdanau/debian_de_en", "~attention").model.attention is None


@pytest.mark.parametrize("logger", ["csv", "tensorboard", "wandb"])
def test_loggers_write_into_the_run_folder(logger, composed, tmp_path):
    running.train(composed("experiment=ram/mnist28_6", "debug=fast", *FAST[2:], "data.limit=32", f"logger={logger}"))
    pattern = {"csv": "metrics.csv", "tensorboard": "events.out*", "wandb": "wandb/offline-run-*"}[logger]
    assert list((tmp_path / "run").glob(pattern))


def test_compiled_keys_do_not_reach_a_checkpoint(composed, tmp_path):
    """module.compile() keeps the names of the parameters; torch.compile(module) would prefix them."""
    running.train(composed("experiment=ram/mnist28_6", *FAST))
    state = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)["state_dict"]
    assert state and not any("_orig_mod" in name for name in state)
