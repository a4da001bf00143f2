"""What users expect of commands and of Python: inputs of every form, results that show themselves."""

import io
import json
import os
import re
import sys
from importlib import import_module
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from hydra.utils import get_class, instantiate
from PIL import Image

import zoo
from scripts.results import headline
from tests.conftest import ROOT
from zoo import registry, release
from zoo.commands import arguments, cli, listing, predicting
from zoo.commands.helping import say, usage
from zoo.errors import UnknownName, ZooError, sentence
from zoo.models.ram import RAM
from zoo.training import tables

TINY = {"num_glimpses": 2, "hidden": 8}
BASE = {"name": None, "input": None, "output": None, "lines": False, "top": None, "options": {}}


def digit() -> np.ndarray:
    picture = np.zeros((28, 28), np.uint8)
    picture[6:22, 12:16] = 200
    return picture


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    how = {"name": "ram.mnist28_7", "config": TINY, "preprocess": {"size": 28, "digit": 28}}
    how |= {"metrics": {"test error %": 1.5}, "data": "mnist", "task": "image-classification"}
    return str(release.save(RAM(**TINY), tmp_path / "weights", **how))


@pytest.fixture
def files(tmp_path):
    """Two digits in a folder, beside a file that is no picture."""
    folder = tmp_path / "my digits, [all] = 2"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        Image.fromarray(digit()).save(folder / name)
    (folder / "notes.txt").write_text("ein Spiel\n\nDas Haus é\n", encoding="utf-8")
    return folder


def answered(**given):
    return predicting.answers({**BASE, **given})


class TestInputs:
    def test_a_folder_a_pattern_and_a_list_give_each_answer_its_own_input(self, weights, files):
        expected = [str(files / "a.png"), str(files / "b.png")]
        for given in (str(files), f"{str(files).replace('[', '?')}/*.png", expected):
            found = answered(name=weights, input=given)
            assert [each["input"] for each in found] == expected
        assert answered(name=weights, input=expected[0])["input"] == expected[0]

    def test_a_picture_and_lines_come_through_the_standard_input(self, weights, files, monkeypatch):
        alone = answered(name=weights, input=str(files / "a.png"))

        def typed(data: bytes):
            monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))

        typed((files / "a.png").read_bytes())
        found = answered(name=weights, input="-")
        assert found["input"] == "-" and found["probabilities"] == alone["probabilities"]
        for data, said in ((b"", "the standard input is empty"), (b"text", "the standard input: not a picture")):
            typed(data)
            with pytest.raises(ZooError, match=said):
                answered(name=weights, input="-")
        typed(b"ein Spiel\nDas Haus")
        found = answered(name="luong.debian_de_en", input="-", options={"beam": 1})
        assert [(each["input"], each["line"]) for each in found] == [("ein Spiel", 1), ("Das Haus", 2)]
        typed(b"\xff")
        with pytest.raises(ZooError, match="the standard input: not UTF-8"):
            answered(name="luong.debian_de_en", input="-")

    def test_lines_of_a_file_and_a_sentence(self, files):
        found = answered(name="luong.debian_de_en", input=str(files / "notes.txt"), options={"beam": 1})
        assert [each["input"] for each in found] == ["ein Spiel", "", "Das Haus é"]
        assert {each["file"] for each in found} == {str(files / "notes.txt")}
        alone = answered(name="luong.debian_de_en", input="ein Spiel", options={"beam": 1})
        assert alone["text"] == found[0]["text"] and alone["input"] == "ein Spiel" and "file" not in alone

    def test_top_keeps_the_best_classes_in_order(self, weights, files):
        whole = answered(name=weights, input=str(files / "a.png"))["probabilities"]
        best = answered(name=weights, input=str(files / "a.png"), top=3)["probabilities"]
        order = sorted(range(10), key=lambda i: -whole[i])[:3]
        assert list(best.items()) == [(str(i), whole[i]) for i in order]

    def test_letters_can_be_read_in_the_answer(self, capsys):
        from omegaconf import OmegaConf

        cfg = OmegaConf.create({**BASE, "name": "luong.debian_de_en", "input": "für", "options": {"beam": 1}})
        predicting.predict(cfg)
        assert '"input": "für"' in capsys.readouterr().out


class TestWords:
    def test_options_need_no_plus(self):
        assert arguments.options_added(["options.beam=3", "+options.beam=3", "x=1"]) == [
            "+options.beam=3",
            "+options.beam=3",
            "x=1",
        ]

    def test_a_row_has_two_spellings_everywhere(self):
        assert arguments.spelled(["experiment=ram.mnist28_7", "experiment=ram/mnist28_7,luong.debian_de_en"]) == [
            "experiment=ram/mnist28_7",
            "experiment=ram/mnist28_7,luong/debian_de_en",
        ]
        for name in ("ram.mnist28_7", "ram/mnist28_7"):
            assert arguments.evaluation_overrides([f"name={name}"]) == ["experiment=ram/mnist28_7", f"name={name}"]
            assert registry.split(name) == ("ram", "mnist28_7")
            assert zoo.pipeline(name).config["row"] == "mnist28_7" and "ram.mnist28_7" in zoo.model_card(name)
        assert zoo.list_models("ram/mnist28_?") == zoo.list_models("ram.mnist28_?") != []

    def test_a_glob_finds_rows_in_the_folder_of_a_room(self):
        (word,) = arguments.spelled(["experiment=glob([draw/mnist_t*,ram/mnist28_2],exclude=*_t1*)"])
        assert word == "experiment=draw/mnist_t32,draw/mnist_t4,ram/mnist28_2"
        assert arguments.spelled(["experiment=glob(ram.mnist28_2)"]) == ["experiment=ram/mnist28_2"]
        several = ("glob(ram/*),draw/mnist", "draw/mnist,glob(ram/*)", "glob(ram/*),glob(draw/*)")
        for wrong in map("experiment={}".format, ("glob(xyz)", "glob(ram/", "glob()", *several)):
            with pytest.raises(ZooError, match=re.escape(wrong)):
                arguments.spelled([wrong])

    def test_another_process_of_an_evaluation_gets_all_words_of_the_first(self):
        words = ["experiment=ram/mnist28_6", "trainer.max_epochs=3", "ckpt=x.ckpt", 'hydra.run.dir="y"']
        assert arguments.evaluation_overrides(words) == words

    def test_a_released_folder_is_evaluated_on_the_data_of_its_row(self, weights):
        assert arguments.evaluation_overrides([f"name={weights}"])[0] == "experiment=ram/mnist28_7"

    @pytest.mark.parametrize("path", ["a b", "a,b", "a=b", "a[1]", "it's", "ä {x} (1)", 'say "x"', "\\back", "语"])
    def test_paths_of_any_letters_are_taken_as_they_stand(self, path):
        from hydra.core.override_parser.overrides_parser import OverridesParser

        for command, keys in arguments.PATHS.items():
            for key in keys:
                (word,) = arguments.literal([f"{key}={path}"], keys)
                (override,) = OverridesParser.create().parse_overrides([word])
                assert override.value() == path, command
                assert arguments.unquoted(word.split("=", 1)[1]) == path
                assert arguments.literal([word], keys) == [word], "quoted already"

    def test_choices_of_a_sweep_stay_choices(self, tmp_path):
        assert arguments.literal(["-m", "data.root=a,b"], ["data.root"]) == ["-m", "data.root=a,b"]
        (tmp_path / "a,b").mkdir()
        assert arguments.literal(["-m", f"data.root={tmp_path}/a,b"], ["data.root"])[1] == f"data.root='{tmp_path}/a,b'"
        assert arguments.literal(["runs=${oc.env:HOME}/x"], ["runs"]) == ["runs=${oc.env:HOME}/x"]

    def test_the_overrides_of_a_checkpoint_are_found_beside_it(self, tmp_path):
        run = tmp_path / "my runs, 1=2"
        (run / ".hydra").mkdir(parents=True)
        (run / "checkpoints").mkdir()
        (run / "checkpoints/best.ckpt").write_bytes(b"x")
        stored = ["experiment=ram/mnist28_6", "model.hidden=8", "logger=csv", "logger.name=x", "+callbacks.y=null"]
        (run / ".hydra/overrides.yaml").write_text(json.dumps([*stored, "resume=auto"]))
        for quoted in (f"ckpt={run}/checkpoints/best.ckpt", f"ckpt='{run}/checkpoints/best.ckpt'"):
            found = arguments.evaluation_overrides([quoted])
            assert found == ["experiment=ram/mnist28_6", "model.hidden=8", quoted]


SCRIPTS = sorted(path.stem for path in (ROOT / "scripts").glob("*.py") if "__main__" in path.read_text())


class TestHelp:
    @pytest.mark.parametrize("script", SCRIPTS)
    def test_every_script_has_help_and_does_nothing_else(self, script, monkeypatch, capsys, tmp_path):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", [f"{script}.py", "--help"])
        module = import_module(f"scripts.{script}")
        try:
            getattr(module, "main", getattr(module, script, None))()
        except SystemExit as stop:
            assert not stop.code
        said = capsys.readouterr().out
        assert "scripts/" in said or "usage" in said
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("command", ["train", "evaluate", "benchmark", "predict"])
    def test_usage_has_examples_and_what_can_be_chosen(self, command, monkeypatch, capsys):
        monkeypatch.setattr(sys, "argv", [command, "--help"])
        getattr(cli, command)()
        said = capsys.readouterr().out
        assert said.count(f"python scripts/{command}.py") >= 4
        wanted = ["ram.mnist28_7", "starts=10", "beam="] if command == "predict" else ["local_p", "wandb", "trainer"]
        assert all(word in said for word in wanted)

    def test_the_options_of_one_model(self):
        said = usage("predict", ["--help", "name=former.debian_characters"])
        assert "temperature=0.5" in said and "beam" not in said.split("options of pipelines")[1]
        assert "did you mean ram.mnist28_7" in usage("predict", ["name=ram.mnist28_77"])

    def test_the_list_has_what_results_say(self):
        table = listing.listing(["ram.mnist28_?"])
        row = next(line.split() for line in table.splitlines() if line.startswith("ram.mnist28_7"))
        assert "1.07" in row and "0.95" in row and row[-1] == "yes"
        assert listing.listing(["ram"]).count("\n") == len(registry.rows("ram"))
        released = listing.listing([], pretrained=True).splitlines()[1:]
        assert [line.split()[0] for line in released] == zoo.list_models(pretrained=True)
        with pytest.raises(UnknownName, match="no model has a name like 'rma'; did you mean ram"):
            listing.listing(["rma"])

    def test_a_room_is_shown_by_the_row_that_results_name(self):
        rows = {
            "a": {"paper": {"value": 1}, "ours": None, "weights": None},
            "b": {"paper": {"value": 2}, "ours": {"value": 3}, "weights": "b"},
            "c": {"paper": None, "ours": {"value": 4}, "weights": None},
        }
        assert (headline(rows, "paper"), headline(rows, "here")) == ("b", "b")
        rows["a"]["headline"], rows["c"]["headline"] = "paper", "here"
        assert (headline(rows, "paper"), headline(rows, "here")) == ("a", "c")
        assert headline({"a": {"ours": None, "weights": None}}, "here") is None


class TestPython:
    def test_a_result_shows_its_picture_and_is_one_line(self, weights):
        result = zoo.pipeline(weights)(digit())
        with Image.open(io.BytesIO(result._repr_png_())) as picture:
            assert min(picture.size) > 100
        with Image.open(io.BytesIO(result.plot()._repr_png_())) as picture:
            assert min(picture.size) > 100
        assert repr(result.attention).startswith("Attention(boxes (1, 2, 1, 4), images (1, 1, 28, 28)")
        assert re.fullmatch(r"Label\(label=\d, probabilities=<10 of them>, told=\[.*\]\)", repr(result))

    def test_words_that_the_vocabulary_lacks_are_drawn_as_they_stand(self):
        for name in ("luong.debian_de_en", "transformer.debian_de_en"):
            result = zoo.pipeline(name)("שלום Haus", beam=1)
            (read,) = result.attention.inputs
            assert "<unk>" not in read and "שלום" in "".join(read) and len(read) == result.attention.weights.shape[3]

    def test_a_picture_of_self_attention_has_a_title_of_its_own(self):
        pipe = zoo.pipeline("transformer.multi30k_en_de")
        crossed, encoded = pipe("a man", beam=1), pipe("a man", beam=1, attention="encoder")
        assert crossed.title == crossed.text == encoded.text and encoded.title == "self-attention over: a man"

    def test_a_pipeline_says_what_it_is(self, weights):
        said = "ram.mnist28_7: image-classification, test error % 1.5; options starts=10, tidy=True"
        assert repr(zoo.pipeline(weights)) == said

    def test_a_pipeline_goes_to_a_device(self, weights):
        pipe = zoo.pipeline(weights, device="meta")
        assert pipe.device.type == "meta" and zoo.pipeline(weights).to("cpu").device.type == "cpu"
        with pytest.raises(ZooError, match="device is 'gpu', which this machine"):
            zoo.pipeline(weights, device="gpu")

    def test_another_number_of_classes_is_a_fresh_head_on_the_same_body(self, weights):
        whole = zoo.create_model(weights).state_dict()
        found = zoo.create_model(weights, num_classes=3).state_dict()
        assert found["act.weight"].shape == (3, 8) and found["act.bias"].shape == (3,)
        for name in whole.keys() - {"act.weight", "act.bias"}:
            assert torch.equal(whole[name], found[name]), name
        same = zoo.create_model(weights, num_classes=10).state_dict()
        assert all(torch.equal(whole[name], same[name]) for name in whole)
        former = zoo.create_model("former.debian_sections", pretrained=True, num_classes=2)
        assert former(torch.tensor([[5, 6]]), torch.ones(1, 2, dtype=torch.bool)).shape == (1, 2)

    def test_the_example_of_fine_tuning_runs(self):
        text = (ROOT / "zoo/models/ram/README.md").read_text()
        (code,) = re.findall(r"## Fine-tuning.*?```python\n(.*?)```", text, re.DOTALL)
        scope: dict = {}
        exec(code, scope)
        with torch.no_grad():
            batch = scope["digits"].batch("train", torch.arange(640))
            answers = scope["model"].probabilities(batch, explore=False, starts=1)[0].argmax(-1)
        right = (answers == batch["label"] % 2).float().mean()
        assert right > 0.8, "an epoch of ten steps is enough to tell odd from even with a trained body"


class TestSweeps:
    def test_the_table_has_the_best_first_and_names_what_failed(self, tmp_path):
        for job, error in (("0", 3.5), ("1", 1.25), ("2", None), ("10", 2.0)):
            folder = tmp_path / job / ".hydra"
            folder.mkdir(parents=True)
            (folder / "overrides.yaml").write_text(f"- model.hidden={job}\n")
            (folder / "config.yaml").write_text("monitor: null\nmode: null\n")
            if error is not None:
                (tmp_path / job / "metrics.json").write_text(json.dumps({"val/error": error, "test/error": 0}))
        lines = tables.table(tmp_path).splitlines()
        assert lines[0].endswith("3 runs, the best by val/error first")
        assert [line.split()[1] for line in lines[1:]] == ["1", "10", "0", "2"]
        assert lines[-1].split() == ["stopped", "2", "model.hidden=2"]
        (tmp_path / "2/failed.txt").write_text("why")
        assert tables.table(tmp_path).splitlines()[-1].split() == ["failed", "2", "model.hidden=2"]

    def test_of_bleu_more_is_better(self, tmp_path):
        for job, bleu in (("0", 3.5), ("1", 31.0)):
            (tmp_path / job / ".hydra").mkdir(parents=True)
            (tmp_path / job / ".hydra/config.yaml").write_text("monitor: null\nmode: null\n")
            (tmp_path / job / "metrics.json").write_text(json.dumps({"val/perplexity": 9 - bleu / 9, "val/bleu": bleu}))
        assert [line.split()[1] for line in tables.table(tmp_path).splitlines()[1:]] == ["1", "0"]
        assert "best by val/bleu" in tables.table(tmp_path)

    def test_a_search_that_goes_on_draws_the_same_and_processes_of_one_study_do_not(self, composed):
        from zoo.training.folders import search_seed

        assert search_seed(None, 3) == 3 and search_seed("sqlite:///ram.db", 3) is None
        sampler = yaml.safe_load((ROOT / "conf/sweep/ram.yaml").read_text())["hydra"]["sweeper"]["sampler"]
        assert sampler == {"seed": "${search_seed:${hydra.sweeper.storage},${seed}}"}

    def test_slurm_is_where_its_commands_are(self, monkeypatch):
        words = ["-m", "hydra/launcher=submitit_slurm", "seed=0,1"]
        monkeypatch.setattr("shutil.which", lambda name: None)
        with pytest.raises(ZooError, match=r"needs Slurm's srun, which is not here; .*submitit_local"):
            arguments.check_launcher(words)
        arguments.check_launcher(["-m", "hydra/launcher=joblib"])
        monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
        arguments.check_launcher(words)


class TestQuiet:
    def test_a_pipe_that_is_closed_ends_what_is_said(self, monkeypatch):
        reader, writer = os.pipe()
        os.close(reader)
        with os.fdopen(writer, "w") as closed:
            monkeypatch.setattr("sys.stdout", closed)
            say("to nobody")
            monkeypatch.undo()

    @pytest.mark.parametrize(
        ("kind", "mps", "refused"), [("gpu", False, True), ("cuda", True, True), ("gpu", True, False)]
    )
    def test_a_gpu_that_is_not_there_is_told_before_anything_is_read(self, composed, monkeypatch, kind, mps, refused):
        from zoo.training import checking

        monkeypatch.setattr("torch.cuda.is_available", lambda: False)
        monkeypatch.setattr("torch.backends.mps.is_available", lambda: mps)
        cfg = composed("experiment=ram/mnist28_6", "trainer=gpu", f"trainer.accelerator={kind}")
        if refused:
            with pytest.raises(
                ZooError, match=f"trainer.accelerator is {kind}, and torch finds no GPU here; trainer=cpu"
            ):
                checking.check_config(cfg, [])
        else:
            checking.check_config(cfg, [])

    def test_visits_are_given_as_json(self, tmp_path):
        asked = {"visits": [["2013-05-01T15:20", "ORD"], ["2013-05-02T01:10", "BOS"]], "time": "2013-05-02T14:00"}
        place = zoo.pipeline("st_rnn.flights_st_rnn")(asked).place
        (tmp_path / "visits.json").write_text(json.dumps([asked, asked]))
        told = predicting.answers(BASE | {"name": "st_rnn.flights_st_rnn", "input": json.dumps(asked)})
        assert told["place"] == place
        several = predicting.answers(BASE | {"name": "st_rnn.flights_st_rnn", "input": str(tmp_path / "visits.json")})
        assert [each["place"] for each in several] == [place, place]

    def test_what_was_trained_is_released_before_it_predicts(self, tmp_path):
        with pytest.raises(
            ZooError, match=r"`python scripts/release.py runs/x/best.ckpt <slug>.<row> --folder <folder>`"
        ):
            arguments.prediction_overrides(["ckpt=runs/x/best.ckpt", "input=a.png"])
        (tmp_path / "checkpoints").mkdir()
        with pytest.raises(
            ZooError, match=r"the folder is of a run, not of a released model; scripts/release.py makes"
        ):
            zoo.pipeline(tmp_path)

    def test_in_a_file_there_is_no_bar_and_w_and_b_can_be_off(self, composed, monkeypatch):
        cfg = composed("experiment=ram/mnist28_6", "logger=wandb")
        monkeypatch.setenv("WANDB_MODE", "disabled")
        cli.quiet(cfg)
        assert cfg.trainer.enable_progress_bar is False and cfg.logger is None
        monkeypatch.setenv("WANDB_MODE", "offline")
        for logger, kept in (("wandb", True), ("csv", True), ("none", False)):
            cfg = composed("experiment=ram/mnist28_6", f"logger={logger}")
            cli.quiet(cfg)
            assert bool(cfg.get("logger")) == kept

    def test_a_run_says_whether_it_goes_on(self, composed, tmp_path, capsys):
        cli.tell_where(composed("resume=auto"))
        assert "starts anew" in capsys.readouterr().err
        (tmp_path / "run/checkpoints").mkdir(parents=True)
        (tmp_path / "run/checkpoints/last.ckpt").write_bytes(b"x")
        cli.tell_where(composed("resume=auto"))
        assert f"{tmp_path}/run: goes on where it stopped" in capsys.readouterr().err
        cli.tell_where(composed())
        assert capsys.readouterr().err == f"{tmp_path}/run: begins\n"

    def test_a_launcher_that_is_not_installed_names_its_extra(self):
        assert "pip install -e '.[sweep]'" in cli.nearest(["hydra/launcher=joblib_x"], "train")[0]


class TestSentences:
    @pytest.mark.parametrize(
        ("error", "said"),
        [
            (OSError(28, "No space left on device", "/full/last.ckpt"), "/full/last.ckpt: No space left on device"),
            (PermissionError(13, "Permission denied", "/folder/x"), "/folder/x: Permission denied"),
            (OSError(30, "Read-only file system", "/ro/x"), "/ro/x: Read-only file system"),
            (
                RuntimeError("[enforce fail at alloc_cpu.cpp:1] DefaultCPUAllocator: can't allocate memory"),
                "the memory is",
            ),
            (ModuleNotFoundError("No module named 'onnx'", name="onnx"), "pip install -e '.[export]' in the checkout"),
            (
                ModuleNotFoundError("Neither `tensorboard` nor `tensorboardX` is available."),
                "pip install -e '.[tensorboard]'",
            ),
            (MemoryError(), "the memory is not enough"),
            (RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed"), "the disk is full"),
        ],
    )
    def test_what_the_machine_lacks_is_a_sentence(self, error, said):
        assert said in sentence(error) and "\n" not in sentence(error)

    def test_a_loss_that_is_not_finite_is_one(self):
        from zoo.training.callbacks import NonFiniteLoss

        assert sentence(NonFiniteLoss("the loss is nan at step 3")) == "the loss is nan at step 3"

    def test_an_error_of_ours_is_none(self):
        assert sentence(RuntimeError("shapes do not match")) is None and sentence(KeyError("x")) is None

    def test_lightning_s_and_hydra_s_own_are_sentences(self):
        from hydra.errors import InstantiationException
        from pytorch_lightning.utilities.exceptions import MisconfigurationException

        assert "the trainer cannot be made" in sentence(MisconfigurationException("No supported gpu\nbackend found!"))
        outer = InstantiationException("Error in call to target 'torch.optim.Adam':\nfull_key: model.optimizer")
        outer.__cause__ = ValueError("Invalid learning rate: -1")
        assert sentence(outer).startswith("model.optimizer cannot be made: Invalid learning rate: -1")

    def test_data_of_another_kind_is_named(self, composed):
        from zoo.training import checking

        cfg = composed("experiment=ram/mnist28_6")
        with pytest.raises(ZooError, match=r"LitRAM does not learn from datamodules\.mnist\.MNIST"):
            checking.make_model(cfg, {"source_vocabulary": 9, "target_vocabulary": 9})
        with pytest.raises(ZooError, match="LitStackedLSTM has no argument num_glimpses"):
            checking.make_model(composed("experiment=ram/mnist28_6", "model=luong"), {"num_classes": 10, "channels": 1})

    @pytest.mark.parametrize(
        ("row", "group", "names"),
        [
            ("ram/mnist28_7", "data=debian", "source_vocabulary"),
            ("ram/mnist28_6", "data=imdb", "vocabulary"),
        ],
    )
    def test_it_is_named_before_any_text_is_read(self, composed, monkeypatch, row, group, names):
        from zoo.training import checking

        def read(*_, **__):
            raise AssertionError("text was read")

        monkeypatch.setattr("datamodules.translation.read_pairs", read)
        monkeypatch.setattr("datamodules.text.read_labelled", read)
        cfg = composed(f"experiment={row}", group)
        with pytest.raises(ZooError, match=rf"does not learn from datamodules\.\w+\.\w+ \(.*{names}.*\); experiment="):
            checking.model_for(cfg, instantiate(cfg.data))

    def test_settings_of_other_data_are_named(self, composed):
        from zoo.training import checking

        with pytest.raises(ZooError, match=r"TextClasses has no argument unknown; experiment= picks settings that fit"):
            checking.make_data(composed("experiment=luong/debian_de_en", "data=debian_sections"))

    @pytest.mark.parametrize("row", ["luong/debian_de_en", "transformer/multi30k_en_de", "former/debian_sections"])
    def test_what_fits_is_not_refused_and_draws_nothing(self, composed, row):
        from zoo.training import checking

        cfg = composed(f"experiment={row}")
        before = torch.get_rng_state()
        checking.check_fits(cfg, get_class(cfg.data._target_).gives)
        assert torch.equal(before, torch.get_rng_state())

    def test_data_give_what_they_say(self, tmp_path):
        """The names that stand for what is not read yet are those of what is read."""
        from datamodules.text import TextClasses
        from datamodules.translation import Translation

        for made in (Translation(limit=200, vocabulary=200), TextClasses(limit=200, vocabulary=200)):
            assert tuple(made.spec) == made.gives
