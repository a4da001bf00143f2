"""Every YAML instantiates and every experiment runs two steps."""

import pytest
import torch

from tests.conftest import ROOT
from tests.datamodules.test_colour import write_svhn
from tests.datamodules.test_cub import write_cub
from zoo.training import running

EXPERIMENTS = sorted(
    str(path.relative_to(ROOT / "conf/experiment").with_suffix(""))
    for path in (ROOT / "conf/experiment").rglob("*.yaml")
)
FAST = ("debug=fast", "logger=none", "trainer.enable_progress_bar=false")
RECURRENT = ("model.embedding=8", "model.hidden=8")
TEXT = {
    "bahdanau": RECURRENT,
    "luong": RECURRENT,
    "transformer": ("model.d_model=8", "model.d_ff=8", "model.heads=2", "model.layers=1", "model.extra=5"),
}
LITTLE = ("data.vocabulary=60", "data.limit=40")
TREE = "( (S (NP-SBJ (DT a) (NN line{}))\n  (VP (VBZ ends) (NP (-NONE- *))) (. .)) )\n"
DRAW = ("model.num_steps=2", "model.hidden=8", "callbacks.figures.count=1", "data.limit=16")
FORMER = ("model.dim=8", "model.depth=1", "self_attention.heads=2", "callbacks.figures.count=1", "data.limit=40")
# of rows that differ in a word or two, those that are run with the others; `make test-slow` runs all
ALIKE, RUN = "spatial_transformer/", ("r_st_cnn_tps", "rts_st_fcn_affine", "tc_cnn", "addition_2st_fcn_projective")
RUN += ("warbean60_bounded2", "colocalisation_tc", "svhn64_st_multi", "cub448_2st")


def alike(experiment: str) -> bool:
    return experiment.startswith(ALIKE) and experiment.removeprefix(ALIKE) not in RUN


@pytest.fixture
def small(tmp_path):
    """A function from an experiment to overrides that let it run in a second: for text, a tiny corpus as files."""

    def former(row: str) -> tuple[str, ...]:
        if row == "enwik8":
            (tmp_path / "enwik8").write_bytes(b"a text of some bytes, " * 100)
            return (f"data.root={tmp_path}/enwik8", "data.size=null", "data.context=16")
        if row == "imdb":
            for i in range(60):
                path = tmp_path / ("train", "test")[i % 2] / ("neg", "pos")[i // 30] / f"{i}_1.txt"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(f"review number {i}")
            return (f"data.root={tmp_path}", "data.vocabulary=60")
        return ("data.vocabulary=60", "data.max_length=16") if row == "debian_sections" else ("data.context=16",)

    def draw(row: str) -> tuple[str, ...]:
        if row.startswith("cluttered"):
            return ()
        some = ("model.latent=3", "model.importance_samples=2")
        if row == "cifar10":
            for name in (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"):
                (tmp_path / name).write_bytes(bytes(3073 * 8))
            return (*some, f"data.root={tmp_path}", "data.validation=8")
        if row == "svhn54":
            pytest.importorskip("h5py")
            for folder, count in (("train", 24), ("test", 8)):
                write_svhn(tmp_path / folder, [[(5, 4, 10, 20)]] * count)
            return (*some, f"data.root={tmp_path}", "data.validation=8")
        return some

    def transformers(row: str) -> tuple[str, ...]:
        files = (f"data.root={tmp_path}", "data.validation=8", "callbacks.figures.count=1")
        if row.startswith("svhn"):
            pytest.importorskip("h5py")
            for folder, count in (("train", 24), ("test", 8)):
                write_svhn(tmp_path / folder, [[(5, 4, 10, 20)]] * count)
            return (*files, "model.filters=[2,2,2,2,2,2,2,2]", "model.hidden=8")
        if row.startswith("cub"):
            write_cub(tmp_path, 30)
            small = 2 if row.startswith("cub448") else 1
            sizes = ("model.crop=32", f"model.size={32 * small}", f"data.size={32 * small}", "data.workers=0")
            return (*files, "model.backbone=test_resnet", *sizes)
        return ("model.width=2", "model.encoder_steps=2") if row.startswith("coloc") else ("data.limit=32",)

    def overrides(experiment: str) -> tuple[str, ...]:
        slug = experiment.split("/")[0]
        if slug == "spatial_transformer":
            return (*FAST, *transformers(experiment.removeprefix("spatial_transformer/")))
        if slug == "draw":
            return (*FAST, *DRAW, *draw(experiment.removeprefix("draw/")))
        if slug == "former":
            return (*FAST, *FORMER, *former(experiment.removeprefix("former/")))
        if slug not in TEXT:
            return FAST if "catch" in experiment else (*FAST, "data.limit=32")
        if "/debian" in experiment:
            return (*FAST, *TEXT[slug], *LITTLE)
        if "/wsj" in experiment:
            (tmp_path / "wsj.mrg").write_text("".join(TREE.format(i % 7) for i in range(20)))
            splits = [f"data.{split}=wsj.mrg" for split in ("train", "val", "test")]
            return (*FAST, *TEXT[slug], *LITTLE, f"data.root={tmp_path}", *splits)
        for split in ("train", "val", "test"):
            for language in ("de", "en", "fr"):
                lines = [f"{language} {i} line {i % 7} ." for i in range(20)]
                (tmp_path / f"{split}.{language}").write_text("\n".join(lines) + "\n")
        files = ("data.corpus=files", f"data.root={tmp_path}", "data.train=train", "data.val=val", "data.test=test")
        return (*FAST, *TEXT[slug], *LITTLE, *files)

    return overrides


def plain(value) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and plain(entry) for key, entry in value.items())
    return (type(value) is list and all(map(plain, value))) or type(value) in (str, int, float, bool, type(None))


@pytest.mark.parametrize(
    "experiment", [pytest.param(e, marks=pytest.mark.slow) if alike(e) else e for e in EXPERIMENTS]
)
def test_every_experiment_runs_two_steps_and_leaves_a_plain_checkpoint(experiment, composed, small, tmp_path):
    metric = running.train(composed(f"experiment={experiment}", *small(experiment)))
    assert metric is not None and metric >= 0
    checkpoint = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)
    assert checkpoint["hyper_parameters"] and plain(checkpoint["hyper_parameters"])


@pytest.mark.parametrize(
    "group", ["trainer", "logger", "callbacks", "debug", "sweep", "data", "model", "attention", "self_attention"]
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
    running.train(composed("experiment=ram/mnist28_6", *FAST[:1], *FAST[2:], f"logger={logger}"))
    pattern = {"csv": "metrics.csv", "tensorboard": "events.out*", "wandb": "wandb/offline-run-*"}[logger]
    assert list((tmp_path / "run").glob(pattern))


def test_compiled_keys_do_not_reach_a_checkpoint(composed, tmp_path):
    """module.compile() keeps the names of the parameters; torch.compile(module) would prefix them."""
    running.train(composed("experiment=ram/mnist28_6", *FAST))
    state = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)["state_dict"]
    assert state and not any("_orig_mod" in name for name in state)
