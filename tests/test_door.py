"""What is given is applied or refused, and weights are looked at before they are believed."""

import functools
import json

import pytest
import torch
from hydra.core.hydra_config import HydraConfig

import zoo
from datamodules import mnist
from datamodules.mnist import MNIST
from zoo import release
from zoo.commands import arguments, evaluating
from zoo.errors import UnknownName, ZooError, sentence
from zoo.models.ram import RAM, LitRAM
from zoo.models.ram.offsets import draw_offsets
from zoo.release.plain import to_json
from zoo.training import checking, reading, running

TINY = {"num_glimpses": 2, "hidden": 8}
READ = functools.cache(mnist.read_mnist)
FAST = ("debug=fast", "logger=none", "data.limit=16", "trainer.enable_progress_bar=false")


@pytest.fixture
def weights(tmp_path):
    """A released folder of a tiny RAM."""
    torch.manual_seed(0)
    how = {"name": "ram.mnist28_7", "config": TINY, "preprocess": {"size": 28, "digit": 28}}
    return release.save(RAM(**TINY), tmp_path / "weights", **how)


@pytest.fixture(autouse=True)
def read_once(monkeypatch):
    monkeypatch.setattr("datamodules.mnist.read_mnist", READ)


@pytest.fixture
def run(tmp_path):
    """What Lightning saves of a tiny RAM, as far as somebody reads it."""
    model = LitRAM(**TINY)
    path = tmp_path / "checkpoints/best.ckpt"
    path.parent.mkdir()
    stored = {"state_dict": model.state_dict(), "hyper_parameters": dict(model.hparams), "hparams_name": "kwargs"}
    loops = {"optimizer_states": [], "loops": {}, "pytorch-lightning_version": "2.6.0", "epoch": 0, "global_step": 0}
    torch.save(stored | loops, path)
    return path


def evaluated(composed, tmp_path, *overrides: str) -> dict:
    evaluating.evaluate(composed("experiment=ram/mnist28_6", *FAST[2:], *overrides, config="evaluate"))
    return json.loads((tmp_path / "run/metrics.json").read_text())


class TestOverrides:
    def test_those_of_the_network_reach_released_weights(self, composed, tmp_path):
        """The oracle is the network itself, made with the argument and given the same weights."""
        found = {}
        for glimpses in (1, 7):
            words = ("name=ram.mnist28_7", f"model.num_glimpses={glimpses}", "data.limit=300", "model.test_starts=1")
            found[glimpses] = evaluated(composed, tmp_path, *words)["test/error"]
            network = zoo.create_model("ram.mnist28_7", pretrained=True, num_glimpses=glimpses)
            data = MNIST(limit=300)
            data.setup()
            batch = data.batch("test", torch.arange(300))
            with torch.no_grad():
                logits = network(batch["image"], draw_offsets(network, batch["key"], explore=False)).logits
            wrong = (logits.argmax(-1) != batch["label"]).float().mean()
            assert found[glimpses] == pytest.approx(100 * float(wrong), abs=0.4)  # a digit, by the order of sums
        assert found[7] < 10 < found[1]

    def test_those_of_testing_do_too(self, composed, tmp_path, weights):
        assert "test/error_3_starts" in evaluated(composed, tmp_path, f"name={weights}", "model.test_starts=3")

    @pytest.mark.parametrize(
        ("overrides", "said"),
        [
            (["model.hidden=16"], r"has the shape .* and RAM expects"),
            (["+model.num_classes=3"], "model.num_classes is 3, and the data say 10"),
            (["model=ram_baseline"], "LitBaseline has no argument num_glimpses"),
        ],
    )
    def test_what_cannot_be_applied_is_refused(self, composed, tmp_path, weights, overrides, said):
        with pytest.raises(ZooError, match=said):
            evaluated(composed, tmp_path, f"name={weights}", *overrides)

    def test_they_reach_a_checkpoint(self, composed, tmp_path, run):
        for steps in (1, 5):
            evaluated(composed, tmp_path, f"ckpt={run}", f"model.test_starts={steps}")
            assert f"test/error_{steps}_starts" in json.loads((tmp_path / "run/metrics.json").read_text())
        with pytest.raises(ZooError, match=r"best\.ckpt: not of this LitRAM.*size mismatch"):
            evaluated(composed, tmp_path, f"ckpt={run}", "model.hidden=9")

    @pytest.mark.parametrize(
        ("overrides", "said"),
        [
            (["attention=dot"], r"LitRAM reads no attention, so attention= would change nothing"),
            (["self_attention=wide"], "reads no self_attention"),
            (["seed=abc"], "seed is 'abc'; expected a whole number"),
            (["seed=-1"], "seed is -1"),
            (["seed=1.5"], "seed is 1.5"),
            (["mode=best"], "mode is 'best', not one of min, max"),
            (["trainer.max_epochs=-1"], "neither trainer.max_steps nor trainer.max_time ends the run"),
            (["trainer.max_epochs=many"], "trainer.max_epochs is 'many'"),
            (["trainer.max_epochs=-7"], "trainer.max_epochs is -7"),
            (["trainer=cpu", "trainer.devices=1000"], "trainer.devices is 1000; on this machine at most"),
        ],
    )
    def test_what_nobody_reads_or_can_mean_is_refused_before_a_training(self, composed, overrides, said):
        cfg = composed("experiment=ram/mnist28_6", *overrides)
        with pytest.raises(ZooError, match=said):
            checking.check_config(cfg, HydraConfig.get().overrides.task)

    def test_a_group_that_is_read_is_fine(self, composed):
        for experiment in ("bahdanau/debian_de_en_no_attention", "luong/debian_de_en"):
            cfg = composed(f"experiment={experiment}", "attention=dot")
            checking.check_config(cfg, HydraConfig.get().overrides.task)
        cfg = composed("experiment=former/debian_sections", "self_attention=wide")
        checking.check_config(cfg, HydraConfig.get().overrides.task)

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["name=ram.mnist28_7", "ckpt=x.ckpt"], "are two sets of weights"),
            (["name=ram.mnist28_7", "logger=csv"], "logger is of the training, so here it would change nothing"),
            (["name=ram.mnist28_7", "+callbacks.x=1"], "callbacks.x is of the training"),
            (["name=ram.mnist28_7", "model.optimizer.lr=1"], "model.optimizer.lr is of the training"),
            (["name=ram.mnist28_7", "trainer.max_epochs=3"], "trainer.max_epochs is of the training"),
            (["name=ram.mnist28_77"], "did you mean ram.mnist28_7"),
            (["name=ram"], "ram is a room, and weights belong to a row of it"),
            (["ckpt=/no/such.ckpt"], "/no/such.ckpt: there is no such checkpoint"),
            (["trainer=cpu"], "say what to evaluate"),
        ],
    )
    def test_an_evaluation_says_what_it_does_not_read(self, words, said):
        with pytest.raises(ZooError, match=said):
            arguments.evaluation_overrides(words)

    def test_a_benchmark_says_what_it_does_not_read(self):
        for word in ("compile=true", "logger=csv", "trainer.precision=bf16-mixed", "resume=auto"):
            with pytest.raises(ZooError, match="is of the training"):
                arguments.benchmark_overrides(["experiment=ram/mnist28_7", word])
        assert arguments.benchmark_overrides(["model.hidden=8", "seconds=1"]) == ["model.hidden=8", "seconds=1"]

    def test_a_monitor_that_nobody_measures_ends_the_run_before_its_first_step(self, composed):
        fit = [each for each in FAST if each != "debug=fast"]
        with pytest.raises(UnknownName, match="there is no metric 'val/eror'; did you mean val/error"):
            running.train(composed("experiment=ram/mnist28_6", *fit, "model.hidden=8", "monitor=val/eror"))


class TestWeights:
    def altered(self, weights, value: float):
        path = weights / release.WEIGHTS
        from safetensors.torch import load_file, save_file

        state = load_file(path)
        state["act.bias"][0] = value
        save_file(state, path)
        (weights / release.SUMS).unlink()
        return weights

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
    def test_released_weights_that_are_not_finite_are_refused(self, weights, value):
        with pytest.raises(release.WeightsError, match=r"act\.bias holds values that are not finite"):
            zoo.pipeline(self.altered(weights, value))

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (
                lambda stored: stored["state_dict"]["network.act.bias"].fill_(float("nan")),
                "network.act.bias is not finite",
            ),
            (lambda stored: stored.pop("hyper_parameters"), "lacks the arguments of the model"),
            (lambda stored: stored.pop("state_dict"), "lacks the weights"),
            (lambda stored: stored.update(state_dict={}), "does not hold tensors alone"),
            (lambda stored: stored.update(state_dict={"a": 1}), "does not hold tensors alone"),
        ],
    )
    def test_a_checkpoint_is_looked_at(self, run, change, said):
        stored = torch.load(run, weights_only=True)
        change(stored)
        torch.save(stored, run)
        with pytest.raises(reading.CheckpointError, match=said):
            reading.read_checkpoint(run)

    def test_what_is_no_checkpoint_is_named(self, run, tmp_path):
        (tmp_path / "empty.ckpt").write_bytes(b"")
        (tmp_path / "text.ckpt").write_text("these are no weights")
        (tmp_path / "cut.ckpt").write_bytes(run.read_bytes()[:700])
        torch.save([1, 2], tmp_path / "list.ckpt")
        torch.save({"state_dict": {}, "model": RAM(**TINY)}, tmp_path / "pickled.ckpt")
        for name in ("empty", "text", "cut", "list", "pickled", "missing"):
            with pytest.raises(reading.CheckpointError, match=rf"{name}\.ckpt: ") as caught:
                reading.read_checkpoint(tmp_path / f"{name}.ckpt")
            assert "\n" not in str(caught.value)
        with pytest.raises(reading.CheckpointError, match="is a folder"):
            reading.read_checkpoint(tmp_path)

    def test_a_training_goes_on_only_from_its_own_kind(self, composed, run):
        _, model, _ = running.build(composed("experiment=ram/mnist28_6", *FAST, "model.hidden=9"), run.parent)
        with pytest.raises(reading.CheckpointError, match="of another size, since network"):
            checking.check_resume(run, model)
        stored = torch.load(run, weights_only=True)
        stored["state_dict"].pop("network.act.bias")
        torch.save(stored, run)
        with pytest.raises(reading.CheckpointError, match=r"the checkpoint has no network\.act\.bias"):
            checking.check_resume(run, model)
        del stored["optimizer_states"]
        torch.save(stored, run)
        with pytest.raises(reading.CheckpointError, match="lacks the optimiser"):
            checking.check_resume(run, model)

    def test_json_is_valid(self):
        value = {"a": float("nan"), "b": [float("inf"), 1.5], "c": {"d": -float("inf")}, "e": "ä"}
        assert json.loads(to_json(value), parse_constant=pytest.fail) == {
            "a": None, "b": [None, 1.5], "c": {"d": None}, "e": "ä",
        }  # fmt: skip


class TestBeforeTheTraining:
    """All splits are read, and held against the network, before the first step."""

    SMALL = ("model.d_model=8", "model.d_ff=8", "model.layers=1", "model.heads=2", "data.vocabulary=40")

    def built(self, composed, tmp_path, *overrides: str, test: bytes | None = b"ein haus\n" * 9) -> None:
        for split in ("train", "val", "test"):
            for side in ("de", "en"):
                (tmp_path / f"{split}.{side}").write_bytes(b"ein haus\n" * 9)
        (tmp_path / "test.de").unlink()
        if test is not None:
            (tmp_path / "test.de").write_bytes(test)
        files = (*self.SMALL, "data.corpus=files", f"data.root={tmp_path}", "logger=none", "callbacks.figures=null")
        running.train(composed("experiment=transformer/debian_de_en", "debug=fast", *files, *overrides))

    @pytest.mark.parametrize(
        ("test", "said"),
        [
            (None, r"test\.de"),
            (b"ein haus\n" * 8, "lines"),
            (b"\xff\xfe haus\n" * 9, "UTF-8"),
            (b"", "test"),
        ],
    )
    def test_test_files_that_are_missing_short_or_in_another_encoding(self, composed, tmp_path, test, said):
        with pytest.raises(ValueError, match=said) as caught:
            self.built(composed, tmp_path, test=test)
        assert sentence(caught.value) == str(caught.value) and "\n" not in str(caught.value)
        assert not (tmp_path / "run/checkpoints").exists(), "nothing was trained"

    def test_sentences_longer_than_the_learned_positions(self, composed, tmp_path):
        learned = ("model.positions=learned", "model.longest=4")
        with pytest.raises(ZooError, match="of the test split has 10 tokens, and the network has 4 positions"):
            self.built(composed, tmp_path, "data.tokens=words", *learned, test=b"a b c d e f g h i\n" * 9)

    def test_bytes_that_are_missing(self, composed, tmp_path):
        cfg = composed("experiment=former/enwik8", f"data.root={tmp_path}/none.zip", "data.size=null")
        with pytest.raises(ValueError, match=r"none\.zip"):
            running.train(cfg)
        assert not (tmp_path / "run/checkpoints").exists()
