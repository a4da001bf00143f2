"""Bad inputs of every kind: each is a name and a function that gives what was answered, or raises what was told."""

# ruff: noqa: E501

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra import compose, initialize_config_module
from PIL import Image

import zoo
from datamodules.captions import Captions
from datamodules.catch import Catch
from datamodules.characters import Characters
from datamodules.cloze import Cloze
from datamodules.emoji import Emoji
from datamodules.headlines import Headlines
from datamodules.mnist import MNIST
from datamodules.next_words import NextWords
from datamodules.reordering import Reordering
from datamodules.text import TextClasses
from datamodules.translation import Translation
from datamodules.windows import WordWindows
from tests.bad_inputs.visitors import visitors
from zoo import release
from zoo.commands import arguments, exporting, listing, predicting
from zoo.models.attentive_cbow import AttentiveCBOW, LitVectors
from zoo.models.attentive_cbow.vectors import read_vectors
from zoo.models.bahdanau import RNNsearch
from zoo.models.explained import LitExplained
from zoo.models.former import Former
from zoo.models.luong import LitStackedLSTM, StackedLSTM
from zoo.models.ram import RAM, LitBaseline, LitCatch, LitRAM
from zoo.models.reader import LitReader, Reader
from zoo.models.rush import ABS
from zoo.models.show_attend_tell import Describe, LitShowAttendTell, ShowAttendTell
from zoo.models.source_cnn import SourceCNN
from zoo.models.spatial_transformer.birds import BirdNetwork
from zoo.models.spatial_transformer.numbers import HouseNumberNetwork
from zoo.models.transformer import Transformer
from zoo.models.wake_sleep_ram import LitWakeSleepRAM, WakeSleepRAM
from zoo.training import checking, reading

Case = tuple[str, Callable[[], Any]]
NAN, INF = float("nan"), float("inf")
TINY = {"num_glimpses": 2, "hidden": 8}
WORDS = {"source_vocabulary": 9, "target_vocabulary": 9}


def all_cases(tmp: Path) -> Iterator[Case]:
    """Every case, with files in an empty folder."""
    of_all = (names, constructors, data, pictures, sentences, visits, options, folders, checkpoints, overrides)
    of_rooms = (headlines, questions, described, words)
    for kind in (*of_all, prepared, predictions, *of_rooms, visitors):
        for name, function in kind(tmp):
            yield f"{kind.__name__}: {name}", function


def names(tmp: Path) -> Iterator[Case]:
    """What is no model."""
    wrong = [None, 3, 1.5, True, "", " ", [], {}, b"ram.mnist28_7", "ram", "ram.", ".mnist28_7", "ram.mnist28_77"]
    wrong += ["RAM.mnist28_7", "ram-mnist28_7", "ram.mnist28_6", "ram mnist28_7", "/no/such/folder", "./ram", "hf-hub:"]
    wrong += [
        "ram.mnist28_7.x",
        "../../nowhere_at_all",
        "bahdanau.debian_de",
        "transfomer.debian_de_en",
        "resnet50",
        "gpt2",
    ]
    for name in wrong:
        yield f"pipeline({name!r})", lambda name=name: zoo.pipeline(name)
    for name in wrong[:14]:
        yield f"create_model({name!r})", lambda name=name: zoo.create_model(name, pretrained=True)
        yield f"model_card({name!r})", lambda name=name: len(zoo.model_card(name)) > 100
    for pattern in (None, 3, "", "rma*", "[", "ram.[x"):
        yield f"list_models({pattern!r})", lambda pattern=pattern: zoo.list_models(pattern)
        yield f"zoo-list {pattern!r}", lambda pattern=pattern: listing.listing([pattern])
    for given in ({"num_glimpse": 3}, {"num_glimpses": -3}, {"hidden": 16}, {"num_classes": 0}, {"core": "gru"}):
        yield f"create_model('ram.mnist28_7', {given})", lambda g=given: zoo.create_model("ram.mnist28_7", True, **g)
    for device in ("gpu", "cuda:99", "tpu", "", 3.5, "cpu:x"):
        yield f"pipeline(device={device!r})", lambda device=device: zoo.pipeline("ram.mnist28_7", device=device)
    for words in (["nmae=x"], ["name=ram.mnist28_7", "format=tflite"], ["name=ram.mnist28_7", "output=x.onnx"], ["x"],
                  ["name=ram.mnist28_7", "output=/no/such/folder/x.pt2"], ["format=onnx"]):  # fmt: skip
        yield f"export {words}", lambda words=words: exporting.export(**exporting.parse(words))


def constructors(tmp: Path) -> Iterator[Case]:
    """Numbers and choices of networks and of what trains them."""
    numbers = {
        RAM: ({}, ["num_glimpses", "glimpse_size", "num_scales", "hidden", "num_classes", "channels", "sigma"]),
        LitRAM: ({}, ["episodes", "test_starts", "policy_weight"]),
        LitCatch: ({"num_classes": 3}, ["size", "width", "entropy_weight"]),
        LitBaseline: ({"network": "fc", "size": 28}, ["size", "hidden"]),
        RNNsearch: (WORDS, ["embedding", "hidden", "maxout", "source_vocabulary", "dropout"]),
        StackedLSTM: (WORDS, ["layers", "embedding", "target_vocabulary", "init", "output_dropout"]),
        Transformer: (WORDS, ["layers", "d_model", "d_ff", "heads", "key_dim", "longest", "dropout"]),
        SourceCNN: (WORDS, ["embedding", "features", "summary", "history", "window", "pool", "dropout"]),
        Former: ({"vocabulary": 9}, ["dim", "depth", "hidden", "longest", "vocabulary", "std", "dropout"]),
    }
    for made, (given, keys) in numbers.items():
        for key in keys:
            for value in (-3, NAN, "many"):
                yield f"{made.__name__}({key}={value!r})", lambda m=made, g=given, k=key, v=value: m(**{**g, k: v})
    for made, given in (
        (RAM, {"core": "grru"}), (RAM, {"policy": "lerned"}), (RAM, {"glimpse_size": 7}), (RAM, {"glimpse_size": 0}),
        (RAM, {"num_glimpses": 10**9}), (RAM, {"hidden": 10**9}), (RAM, {"detach_policy": "maybe"}),
        (RAM, {"num_glimpses": True}), (RAM, {"num_glimpses": 2.5}), (RAM, {"sigma": 0}), (RAM, {"sigma": INF}),
        (LitRAM, {"estimator": {"kind": "wake_q"}}), (LitRAM, {"estimator": {"kind": "var", "entropy": 0.1}}),
        (LitWakeSleepRAM, {"estimator": {"kind": "wake_r"}}), (LitWakeSleepRAM, {"estimator": {"kinds": "var"}}),
        (LitWakeSleepRAM, {"estimator": {"kind": "var", "samples": 1}}), (LitWakeSleepRAM, {"inference": False}),
        (LitWakeSleepRAM, {"estimator": "var"}), (LitWakeSleepRAM, {"estimator": {"temperature": 1e20}}),
        (LitRAM, {"estimator": {"kind": "var"}, "episodes": 5}),
        (WakeSleepRAM, {"glimpse_size": 5}), (WakeSleepRAM, {"context": 0}), (WakeSleepRAM, {"sigma": NAN}),
        (LitRAM, {"reward": "sure"}), (LitRAM, {"hybrid": "no"}), (LitBaseline, {"network": "mlp", "size": 28}),
        (RNNsearch, {**WORDS, "readout": "next"}), (RNNsearch, {**WORDS, "attention": {"score": "dott"}}),
        (RNNsearch, {**WORDS, "attention": {"scope": "global", "score": "additive", "windw": 3}}),
        (StackedLSTM, {**WORDS, "attention": {"score": "dot", "scope": "local_p", "window": 0}}),
        (StackedLSTM, {**WORDS, "hard": True}), (StackedLSTM, {**WORDS, "hard": True, "attention": {"score": "dot"}}),
        (LitStackedLSTM, {**WORDS, "estimator": {"kind": "var"}}),
        (StackedLSTM, {**WORDS, "input_feeding": 1}), (Transformer, {**WORDS, "norm": "middle"}),
        (Transformer, {**WORDS, "positions": "rotary"}), (Transformer, {**WORDS, "d_model": 10, "heads": 3}),
        (Transformer, {**WORDS, "target_vocabulary": 8}), (Former, {"vocabulary": 9, "pooling": "sum"}),
        (Former, {"vocabulary": 9, "self_attention": {"kind": "wid"}}), (Former, {"vocabulary": 9, "num_classes": 0}),
        (Former, {"vocabulary": 9, "self_attention": {"scope": []}}), (SourceCNN, {**WORDS, "encoders": ["tga"]}),
        (SourceCNN, {**WORDS, "encoders": "in"}), (SourceCNN, {**WORDS, "hidden": [0]}), (SourceCNN, {**WORDS, "pool": 4}),
        (SourceCNN, {**WORDS, "local": "mean"}), (SourceCNN, {**WORDS, "activation": "gelu"}),
        (Former, {"vocabulary": 9, "self_attention": {"scope": []}}),
        (StackedLSTM, {**WORDS, "attention": {"score": "general", "scope": "global", "window": 3}}),
        (RNNsearch, {**WORDS, "attention": {"score": "dot", "bias": True}}),
        (BirdNetwork, {"dropout": 1.4}), (HouseNumberNetwork, {"dropout": "x"}),
    ):  # fmt: skip
        said = ", ".join(f"{key}={value!r}" for key, value in given.items() if key not in WORDS or value != 9)
        yield f"{made.__name__}({said})", lambda m=made, g=given: m(**g)


def data(tmp: Path) -> Iterator[Case]:
    """Numbers, choices and folders of datamodules."""
    for made, keys in (
        (MNIST, ["batch_size", "eval_batch_size", "limit", "canvas", "clutter", "piece", "seed"]),
        (Catch, ["episodes", "batch_size", "seed"]),
        (Characters, ["context", "stride", "windows", "val_bytes", "limit"]),
        (TextClasses, ["vocabulary", "max_length", "batch_size"]),
        (Translation, ["vocabulary", "batch_tokens", "max_length", "limit", "eval_batch_size"]),
        (NextWords, ["longest", "iterations"]),
    ):
        for key in keys:
            for value in (-3, 1.5, "many"):
                yield f"{made.__name__}({key}={value!r})", lambda m=made, k=key, v=value: m(**{k: v})
    for made, given in (
        (MNIST, {"canvas": 27}), (MNIST, {"piece": 29}), (MNIST, {"piece": 0}), (MNIST, {"canvas": 10**6}),
        (MNIST, {"scale": 3}), (MNIST, {"scale": [1.5, 0.5]}), (MNIST, {"scale": [0.5, 1.5], "canvas": 40}),
        (Characters, {"corpus": "wiki"}), (Characters, {"parts": [50, 50]}), (Characters, {"test": "train"}),
        (Translation, {"unknown": True}), (Translation, {"unknown": "x"}), (Translation, {"unknown": NAN}),
        (Translation, {"tokens": "letters"}), (Translation, {"joint": "yes"}), (TextClasses, {"tokens": "bytes"}),
        (NextWords, {"aligner": "giza"}), (NextWords, {"symmetry": "grow"}), (NextWords, {"affiliation": "none"}),
        (NextWords, {"affiliation": "expected", "alignments": "links"}),
    ):  # fmt: skip
        yield f"{made.__name__}({given})", lambda m=made, g=given: m(**g)
    for given in (
        {"corpus": "reviews"},
        {"corpus": "stories", "subset": "4"},
        {"corpus": "reviews", "root": "/no/such"},
        {"corpus": "treebank"},
        {"corpus": "treebank", "root": "/no/such"},
    ):
        yield f"TextClasses({given}).spec", lambda g=given: TextClasses(**g).spec
    yield "LitExplained(attack='vat')", lambda: LitExplained(attack="vat", vocabulary=9, num_classes=2)
    (tmp / "digits").mkdir(exist_ok=True)
    (tmp / "digits/train-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03" + b"\0" * 9)
    for root in ("/no/such/folder", str(tmp / "digits")):
        yield f"MNIST(root={Path(root).name}).setup", lambda root=root: MNIST(root=root).setup()


def _digit(size: int = 28) -> np.ndarray:
    picture = np.zeros((size, size), np.uint8)
    picture[size // 4 : -size // 4, size // 3 : size // 2] = 200
    return picture


def _ram(tmp: Path) -> str:
    """A released folder of a tiny RAM; made once."""
    folder = tmp / "tiny_ram"
    if not folder.exists():
        torch.manual_seed(0)
        how = {"name": "ram.mnist28_7", "config": TINY, "preprocess": {"size": 28, "digit": 28}}
        release.save(RAM(**TINY), folder, **how)
    return str(folder)


def pictures(tmp: Path) -> Iterator[Case]:
    """What is no picture."""
    pipe = zoo.pipeline(_ram(tmp))
    (tmp / "text.png").write_text("no pixels")
    (tmp / "empty.png").write_bytes(b"")
    Image.fromarray(_digit(300)).save(tmp / "whole.png")
    (tmp / "cut.png").write_bytes((tmp / "whole.png").read_bytes()[:120])
    wrong = {
        "None": None, "7": 7, "{}": {}, "[]": [], "()": (), "True": True, "b''": b"", "object": object(), "nan": NAN,
        "a set": {1}, "a folder": tmp, "no file": tmp / "none.png", "text": tmp / "text.png", "empty": tmp / "empty.png",
        "cut": tmp / "cut.png", "0 x 28": np.zeros((0, 28)), "1-d": np.zeros(28), "5-d": np.zeros((1, 1, 1, 28, 28)),
        "10 channels": np.zeros((10, 28, 28)), "2 channels": np.zeros((28, 28, 2)), "NaN": np.full((28, 28), NAN),
        "infinite": torch.full((28, 28), INF), "negative": -np.ones((28, 28)), "1000": np.full((28, 28), 1000.0),
        "letters": np.array([["a"]]), "complex": np.zeros((28, 28), complex), "transparent": Image.new("RGBA", (9, 9)),
        "0 x 5": Image.new("L", (0, 5)), "[None]": [None], "[digit, None]": [_digit(), None], "''": "", "\\0": "a\0b",
        "long name": "x" * 5000,
    }  # fmt: skip
    for name, raw in wrong.items():
        yield name, lambda raw=raw: pipe(raw)


def sentences(tmp: Path) -> Iterator[Case]:
    """What is no sentence."""
    pipe = zoo.pipeline("luong.debian_de_en")
    wrong = {
        "None": None, "7": 7, "1.5": 1.5, "True": True, "{}": {}, "[]": [], "b'Haus'": b"Haus", "[None]": [None],
        "['a', 3]": ["a", 3], "[['a']]": [["a"]], "half a pair": "\ud83d", "array": np.zeros(3), "object": object(),
        "too long": "Haus " * 900,
    }  # fmt: skip
    for name, raw in wrong.items():
        yield name, lambda raw=raw: pipe(raw, beam=1)
    for name, raw in {"empty": "", "spaces": "   ", "[empty]": [""]}.items():
        yield name, lambda raw=raw: [each.text for each in pipe([raw] if isinstance(raw, str) else raw, beam=1)]
    write = zoo.pipeline("former.debian_characters")
    for name, raw in {"None": None, "7": 7, "[]": [], "b''": b"x"}.items():
        yield f"continued {name}", lambda raw=raw: write(raw, length=1)
    classify = zoo.pipeline("former.debian_sections")
    for name, raw in {"None": None, "empty": "", "spaces": "  ", "['', 'a']": ["", "a"]}.items():
        yield f"classified {name}", lambda raw=raw: classify(raw)


def visits(tmp: Path) -> Iterator[Case]:
    """What is no history of visits."""
    pipe, seen = zoo.pipeline("st_rnn.flights_st_rnn"), [("2013-05-01T15:20", "ORD")]
    (tmp / "visits.json").write_text('{"visits": ')
    asked = {"visits": seen, "time": "2013-05-02T14:00"}
    for name, raw in {
        "None": None, "visits 3": {**asked, "visits": 3}, "visits 'ORD'": {**asked, "visits": "ORD"},
        "place []": {**asked, "visits": [("2013-05-01", ["ORD"])]}, "place 3": {**asked, "visits": [("2013-05-01", 3)]},
        "user []": {**asked, "user": []}, "user 3": {**asked, "user": 3}, "no time": {"visits": seen},
        "time 3": {**asked, "time": 3}, "an earlier time": {**asked, "time": "2012-01-01"}, "a key": {**asked, "usr": 1},
    }.items():  # fmt: skip
        yield name, lambda raw=raw: pipe(raw)
    for top in (0, -1, 1.5, "all"):
        yield f"top={top!r}", lambda top=top: pipe(asked, top=top)
    for given in ("ORD, BOS", "{}", str(tmp / "visits.json"), "none.json", "[1, 2]", "[]"):
        base = {"name": "st_rnn.flights_st_rnn", "output": None, "lines": False, "top": None, "options": {}}
        yield f"predict {given}", lambda given=given, base=base: predicting.answers({**base, "input": given})


def options(tmp: Path) -> Iterator[Case]:
    """Options of pipelines."""
    look, translate = zoo.pipeline(_ram(tmp)), zoo.pipeline("luong.debian_de_en")
    write, classify = zoo.pipeline("former.debian_characters"), zoo.pipeline("former.debian_sections")
    heads = zoo.pipeline("transformer.multi30k_en_de")
    for pipe, raw, wrong in (
        (look, _digit(), [{"starts": 0}, {"starts": 1.5}, {"starts": "x"}, {"starts": True}, {"starts": 10**9},
                          {"strats": 3}, {"beam": 3}, {"starts": None}, {"tidy": "no"}, {"tidy": None}, {"tidy": 1}]),
        (translate, "Haus", [{"beam": 0}, {"beam": 10**6}, {"beam": 2.0}, {"n_best": 0}, 
                             {"normalise": "size"}, {"alpha": -1}, {"alpha": NAN}, {"alpha": "x"}, {"coverage": INF},
                             {"copy_unknown": "yes"}, {"split": "no"}, {"split": None}, {"beem": 3}, {"attention": "encoder"}]),
        (write, "a", [{"length": 0}, {"length": 10**9}, {"temperature": 0}, {"temperature": NAN}, {"temperature": "hot"},
                      {"top_k": 0}, {"top_k": 1.5}, {"count": -1}, {"seed": -1}, {"seed": 1.5}, {"block": 99},
                      {"block": "last"}, {"topk": 3}]),
        (classify, "a game", [{"block": 99}, {"block": 1.5}, {"blok": 1}]),
        (heads, "a man", [{"attention": "encoderr"}, {"attention": None}, {"beam": -1}]),
    ):  # fmt: skip
        for given in wrong:
            yield f"{type(pipe).__name__} {given}", lambda pipe=pipe, raw=raw, given=given: pipe(raw, **given)
    for count in (0, -1, 1.5, "all"):
        yield f"top({count!r})", lambda count=count: look(_digit()).top(count)
    yield "top of a translation", lambda: translate("Haus", beam=1).top(3)


def folders(tmp: Path) -> Iterator[Case]:
    """Released folders that were edited, cut or are of something else."""

    def edited(**changes: Any) -> Path:
        folder = _copy(tmp)
        config = json.loads((folder / "config.json").read_text())
        for path, value in changes.items():
            part, _, key = path.rpartition("__")
            (config[part] if part else config)[key] = value
        (folder / "config.json").write_text(json.dumps(config))
        return folder

    for changes in (
        {"format": 99}, {"format": "1"}, {"slug": "rma"}, {"slug": 3}, {"row": None}, {"network": []}, {"network": {}},
        {"network__hidden": 9}, {"network__hidden": -1}, {"network__hiden": 8}, {"network__core": "gru"},
        {"network__num_glimpses": "two"}, {"preprocess": 3}, {"preprocess__size": "large"}, {"preprocess__size": -5},
        {"preprocess__size": 10**9}, {"options": {"strats": 3}}, {"options": [1]},
    ):  # fmt: skip
        yield f"config.json {changes}", lambda changes=changes: zoo.pipeline(edited(**changes))
    yield "options {'starts': 0}", lambda: zoo.pipeline(edited(options={"starts": 0}))(_digit())

    def written(name: str, content: bytes | None, sums: bool = False) -> Path:
        folder = _copy(tmp, sums)
        if content is None:
            (folder / name).unlink()
        else:
            (folder / name).write_bytes(content)
        return folder

    for name, content in (
        ("config.json", b""), ("config.json", b"{"), ("config.json", b"[]"), ("config.json", b"\xff\xfe"),
        ("config.json", None), ("model.safetensors", b""), ("model.safetensors", b"x" * 99), ("model.safetensors", None),
        ("SHA256SUMS", b"nonsense"), ("SHA256SUMS", b"00  model.safetensors"), ("SHA256SUMS", b"00  ../../x"),
    ):  # fmt: skip
        said = f"{name} is {'gone' if content is None else content[:12]!r}"
        yield said, lambda name=name, content=content: zoo.pipeline(written(name, content))

    def altered() -> Path:
        folder = _copy(tmp, sums=True)
        path = folder / "model.safetensors"
        path.write_bytes(path.read_bytes()[:-1] + b"\x01")
        return folder

    yield "one byte of the weights", lambda: zoo.pipeline(altered())
    yield "an empty folder", lambda: zoo.pipeline(_empty(tmp))


def _copy(tmp: Path, sums: bool = False) -> Path:
    folder = tmp / "copy"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(_ram(tmp), folder)
    if not sums:
        (folder / "SHA256SUMS").unlink()
    return folder


def _empty(tmp: Path) -> Path:
    (tmp / "hollow").mkdir(exist_ok=True)
    return tmp / "hollow"


def checkpoints(tmp: Path) -> Iterator[Case]:
    """What is no checkpoint, or one that cannot be gone on with."""
    model = LitRAM(**TINY)
    whole = {"state_dict": model.state_dict(), "hyper_parameters": dict(model.hparams)}
    whole |= {"optimizer_states": [], "loops": {}}

    def saved(content: Any) -> Path:
        path = tmp / "x.ckpt"
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            torch.save(content, path)
        return path

    wrong = {"empty": b"", "text": b"these are no weights", "a list": [1], "a number": 3, "a tensor": torch.ones(3),
             "no weights": {**whole, "state_dict": {}}, "numbers": {**whole, "state_dict": {"a": 1}},
             "an object": {**whole, "model": Path("x")}, "a module": model}  # fmt: skip
    wrong |= {f"without {key}": {k: v for k, v in whole.items() if k != key} for key in whole}
    wrong["NaN"] = {**whole, "state_dict": {**whole["state_dict"], "network.act.bias": torch.full((10,), NAN)}}
    for name, content in wrong.items():
        yield name, lambda content=content: reading.read_checkpoint(saved(content), resume=True)
    yield "a folder", lambda: reading.read_checkpoint(tmp)
    yield "no file", lambda: reading.read_checkpoint(tmp / "none.ckpt")
    yield "another size", lambda: checking.check_resume(saved(whole), LitRAM(num_glimpses=2, hidden=9))
    yield "another kind", lambda: checking.check_resume(saved(whole), LitBaseline(network="fc", size=28))


def overrides(tmp: Path) -> Iterator[Case]:
    """What commands are told."""
    for words in (
        [], ["trainer=cpu"], ["name=ram"], ["name=ram.mnist28_77"], ["name=ram.mnist28_6"], ["name=/no/such"], ["name="],
        ["name=ram.mnist28_7", "ckpt=x"], ["ckpt=/no/such.ckpt"], ["name=ram.mnist28_7", "logger=csv"], ["name='ram'"],
        ["name=ram.mnist28_7", "resume=auto"], ["name=ram.mnist28_7", "callbacks=default"], ["name=ram", "ckpt=ram"],
        ["name=ram.mnist28_7", "++trainer.max_steps=3"], ["name=ram.mnist28_7", "~model.optimizer"],
        ["name=ram.mnist28_7", "sweep=ram"], ["name=ram.mnist28_7", "monitor=x"],
    ):  # fmt: skip
        yield f"evaluate {words}", lambda words=words: arguments.evaluation_overrides(words)
    for words in (["compile=true"], ["trainer.precision=16"], ["logger=none"], ["resume=x"], ["+callbacks.x=1"]):
        yield f"benchmark {words}", lambda words=words: arguments.benchmark_overrides(words)
    (tmp / "file").write_text("")
    for runs in (tmp / "file", tmp / "file" / "below"):
        yield f"runs={Path(runs).name}", lambda runs=runs: arguments.check_runs([f"runs={runs}"])

    def checked(*words: str) -> None:
        with initialize_config_module("conf", version_base="1.3"):
            cfg = compose("train", overrides=list(words))
        checking.check_config(cfg, words)

    for words in (
        ["seed=abc"], ["seed=-1"], ["seed=1.5"], ["seed=null"], ["seed=true"], ["seed=99999999999"], ["mode=best"],
        ["trainer.max_epochs=-1"], ["trainer.max_epochs=-2"], ["trainer.max_epochs=x"], ["trainer.max_epochs=1.5"],
        ["attention=dot"], ["self_attention=wide"], ["failures=2"], ["failures=x"], ["failures=null"],
        ["trainer.accumulate_grad_batches=0"], ["trainer.accumulate_grad_batches=1.5"],
        ["+trainer.gradient_clip_val=-1"], ["+trainer.val_check_interval=0"],
        ["attention=local_p", "model=ram_baseline"],
    ):  # fmt: skip
        yield f"train {words}", lambda words=words: checked(*words)


def prepared(tmp: Path) -> Iterator[Case]:
    """What predict is told before Hydra reads it."""
    for words in (["ckpt=x.ckpt", "input=a.png"], ["name=ram.mnist28_7", "+ckpt=runs/x/checkpoints/best.ckpt"]):
        yield f"predict {words}", lambda words=words: arguments.prediction_overrides(words)
    (tmp / "a_run" / "checkpoints").mkdir(parents=True, exist_ok=True)
    yield "pipeline(a run)", lambda: zoo.pipeline(tmp / "a_run")


def predictions(tmp: Path) -> Iterator[Case]:
    """The predict command."""
    (tmp / "no_pictures").mkdir(exist_ok=True)
    Image.fromarray(_digit()).save(tmp / "digit.png")
    (tmp / "bytes.txt").write_bytes(b"\xff\xfe\xfa")
    (tmp / "nothing.txt").write_bytes(b"")
    ram, digit = _ram(tmp), tmp / "digit.png"
    text = "former.debian_sections"
    for given in (
        {}, {"name": ram}, {"input": "x"}, {"name": ram, "input": []}, {"name": ram, "input": "/no/such.png"},
        {"name": ram, "input": str(tmp / "no_pictures")}, {"name": ram, "input": str(tmp / "none*.png")},
        {"name": ram, "input": str(tmp / "bytes.txt")}, {"name": ram, "input": digit, "output": "/no/such/x.png"},
        {"name": ram, "input": digit, "output": f"{tmp}/x.nonsense"}, {"name": ram, "input": digit, "lines": True},
        {"name": ram, "input": digit, "lines": "maybe", "output": f"{tmp}/x.png"}, {"name": ram, "input": digit, "output": str(tmp)},
        {"name": ram, "input": digit, "lines": True, "output": f"{tmp}/x.png"}, {"name": ram, "input": digit, "top": 0},
        {"name": ram, "input": digit, "top": "all"}, {"name": ram, "input": digit, "options": {"strats": 1}},
        {"name": ram, "input": digit, "options": {"starts": "x"}}, {"name": ram, "input": digit, "options": 3},
        {"name": text, "input": "/no/such.txt"}, {"name": text, "input": "./none.txt"}, {"name": text, "input": "a.txt"},
        {"name": text, "input": str(tmp / "bytes.txt")}, {"name": text, "input": str(tmp / "nothing.txt")},
        {"name": text, "input": str(tmp / "no_pictures")}, {"name": text, "input": "a game", "top": -1},
        {"name": "ram.mnist28_77", "input": digit}, {"name": "/no/such", "input": digit},
    ):  # fmt: skip
        base = {"name": None, "input": None, "output": None, "lines": False, "top": None, "options": {}}
        plain = {key: str(value) if isinstance(value, Path) else value for key, value in given.items()}
        yield f"{plain}", lambda plain=plain, base=base: predicting.answers(base | plain)


def headlines(tmp: Path) -> Iterator[Case]:
    """What has no headline, and options, files and networks of headlines."""
    from tests.papers.test_rush import released

    (tmp / "headlines").mkdir(exist_ok=True)
    pipe = released(tmp / "headlines")
    for name, raw in {
        "None": None,
        "7": 7,
        "empty": "",
        "spaces": " \n ",
        "stops": "...",
        "[]": [],
        "['', 'a']": ["", "a"],
    }.items():
        yield f"summarised {name}", lambda raw=raw: pipe(raw)
    for given in ({"length": 0}, {"length": 1.5}, {"beam": 0}, {"beam": "x"}, {"n_best": -1}, {"extractive": "yes"},
                  {"copy_unknown": 1}, {"lenght": 3}):  # fmt: skip
        yield f"summarised {given}", lambda given=given: pipe("A library for games.", **given)
    words = {"source_vocabulary": 9, "target_vocabulary": 9}
    for given in ({"encoder": "lstm"}, {"smoothing": "sum"}, {"window": 0}, {"context": 0}, {"dim": 1.5}, {"dropout": 2},
                  {"depthwise": 1}, {"source_vocabulary": 3}):  # fmt: skip
        yield f"ABS({given})", lambda given=given: ABS(**words | given)
    for given in ({"corpus": "gigaword"}, {"corpus": "files"}, {"learn": "test"}, {"title_count": 0}, {"limit": 1.5}):
        yield f"Headlines({given})", lambda given=given: Headlines(**given)
    one = {"corpus": "files", "root": str(tmp / "headlines"), "train": "train.article.txt"}
    (tmp / "headlines/train.article.txt").write_text("a sentence\nanother\n")
    yield "no titles", lambda: Headlines(**one).spec
    (tmp / "headlines/train.title.txt").write_text("a title\n")
    yield "a title too few", lambda: Headlines(**one).spec
    yield "no articles", lambda: Headlines(**one | {"train": "empty.article.txt"}).spec
    yield "Reordering", lambda: Reordering(shortest=4, longest=2)


def questions(tmp: Path) -> Iterator[Case]:
    """What cannot be asked, or not be read for an answer."""
    good = (
        "http://x\n\n@entity1 saw @entity2 .\n\n@placeholder saw @entity2\n\n@entity1\n\n@entity1:Ann\n@entity2:Bob\n"
    )
    files = {
        "empty": b"", "no text": b"\xff\xfe", "three blocks": b"http://x\n\na b\n\nc\n", "nul": b"\0" * 40,
        "no answer in it": good.replace("\n\n@entity1\n\n", "\n\n@entity3\n\n").encode(),
        "no names": good.replace("@entity1 saw @entity2 .", "nobody .").encode(),
        "no hole": good.replace("@placeholder", "who").encode(), "names cut": good[:-8].encode()[:-5] + b"\n@enti",
        "two holes": good.replace("saw @entity2\n\n@", "saw @placeholder\n\n@").encode(),
        "many names": good.replace(".", " ".join(f"@entity{i}" for i in range(3, 30))).encode(),
    }  # fmt: skip
    for name, content in files.items():
        folder = tmp / f"asked {name}"
        (folder / "training").mkdir(parents=True, exist_ok=True)
        (folder / "training" / "0.question").write_bytes(content)
        yield f"a .question file: {name}", lambda f=folder: len(Cloze("files", str(f), markers=20).split("train"))
    for given in ({"corpus": "files"}, {"corpus": "files", "root": "/no/such/folder"}, {"corpus": "cnn"}, {"task": 4},
                  {"stories": 0}, {"markers": 0}, {"max_tokens": -1}, {"permutations": 1.5}, {"drop": "yes"}):  # fmt: skip
        yield f"Cloze({given})", lambda g=given: list(Cloze(**g).questions("train"))
    for given in ({"reader": "attentiv"}, {"hidden": 0}, {"depth": 1.5}, {"cell": "lstm"}, {"order": "qc"},
                  {"literal_forget_gate": "no"}, {"vocabulary": 3}, {"dropout": 2}):  # fmt: skip
        yield f"Reader({given})", lambda g=given: Reader(**{"vocabulary": 9} | g)
    for given in ({"method": "rules"}, {"method": "rule", "rule": "frequency"}, {"softmax": "all"}):
        yield f"LitReader({given})", lambda g=given: LitReader(**{"vocabulary": 9} | g)


def described(tmp: Path) -> Iterator[Case]:
    """Pictures with captions: what trains on them, their files, and pictures to describe."""
    small = {"vocabulary": 9, "encoder": None, "features": 8}
    for key in ("features", "embedding", "hidden", "attention_hidden", "penalty", "expected", "beam", "max_length"):
        for value in (-3, NAN, "many"):
            name = f"LitShowAttendTell({key}={value!r})"
            yield name, lambda k=key, v=value: LitShowAttendTell(**{**small, k: v})
    for given in (
        {"attention": "sott"}, {"encoder": "vgg16"}, {"encoder": "vgg19"}, {"output": "softmax"}, {"gate": 1},
        {"decode": "mean"}, {"encoder_weights": "emoji"}, {"encoder": "small", "encoder_weights": "/no/such.safetensors"},
        {"normalise": "words"}, {"hard_scaling": "batch"}, {"penalty_scaling": "batch"}, {"credit": "sentence"},
        {"estimator": {"kind": "var"}}, {"inference": True}, {"attention": "hard", "estimator": {"kind": "wake_q"}},
        {"attention": "hard", "estimator": {"kind": "wake_p", "coverage": 0.1}},
    ):  # fmt: skip
        yield f"LitShowAttendTell({given})", lambda given=given: LitShowAttendTell(**{**small, **given})
    for given in ({"kind": "faces"}, {"scenes": 0}, {"seed": -1}, {"tokenizer": "/no/such"}):
        yield f"Emoji({given})", lambda given=given: Emoji(**given)
    for name, text in (
        ("broken", "{"), ("other", '{"pictures": []}'), ("empty", '{"images": []}'),
        ("split", '{"images": [{"filename": "a.jpg", "split": "dev", "sentences": [{"tokens": ["a"]}]}]}'),
        ("none", '{"images": [{"filename": "a.jpg", "split": "val", "sentences": []}]}'),
        ("missing", json.dumps({"images": [{"filename": f"{split}.jpg", "split": split, "sentences": [{"tokens": ["a"]}]}
                                           for split in ("train", "val", "test")]})),
    ):  # fmt: skip
        (tmp / name).mkdir(exist_ok=True)
        (tmp / name / "dataset_flickr8k.json").write_text(text)
        yield f"Captions({name})", lambda name=name: Captions(root=str(tmp / name))
    for given in (
        {},
        {"corpus": "flickr"},
        {"root": "/no/such"},
        {"root": "/", "shorter": 10},
        {"root": "/", "each": 0},
    ):
        yield f"Captions({given})", lambda given=given: Captions(**given)
    Emoji().save(tmp / "words")
    tiny = {
        "vocabulary": Emoji().spec["vocabulary"],
        "features": 10,
        "embedding": 4,
        "hidden": 4,
        "attention_hidden": 4,
    }
    how = {"config": tiny, "preprocess": Describe.preprocess({}), "files": [tmp / "words" / "captions.json"]}
    torch.manual_seed(0)
    folder = release.save(ShowAttendTell(**tiny), tmp / "describe", name="show_attend_tell.emoji_soft", **how)
    describe = zoo.pipeline(folder)
    (tmp / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    for raw in (None, 3, "", "/no/such.png", str(tmp), str(tmp / "broken.png"), [], np.zeros((0, 3)), np.zeros(5)):
        yield f"describe({raw!r})", lambda raw=raw: describe(raw)
    for name, raw in (
        ("transparent", Image.new("RGBA", (9, 9))),
        ("nan", np.full((5, 5, 3), NAN)),
        ("dark", -np.ones((5, 5))),
    ):
        yield f"describe({name})", lambda raw=raw: describe(raw)
    for given in ({"beam": 0}, {"decode": "mean"}, {"max_length": "x"}, {"normalise": "x"}, {"width": 3}):
        yield f"describe({given})", lambda given=given: describe(_digit(), **given)


def words(tmp: Path) -> Iterator[Case]:
    """Texts, vectors and sentences with a blank."""
    tmp = tmp / "words"
    tmp.mkdir(exist_ok=True)
    (tmp / "text.txt").write_text("the first line\nanother line of the text\n" * 5)
    (tmp / "blank.txt").write_text("\n \n")
    plain = {"corpus": "files", "root": str(tmp / "text.txt"), "tags": None, "min_count": 1}
    for given in (
        {"root": None}, {"root": "/no/such.txt"}, {"root": str(tmp / "blank.txt")}, {"corpus": "debain"},
        {"window": 0}, {"window": 1.5}, {"length": 0}, {"negatives": 0}, {"min_count": 99}, {"vocabulary": 1},
        {"subsample": -1}, {"subsample": 2}, {"power": NAN}, {"output": "softmax"}, {"shrink": 1}, {"seed": -1},
        {"tags": "/no/such.conllu"}, {"tags": str(tmp / "text.txt")}, {"tokenizer": "/no/such"},
    ):  # fmt: skip
        told = {
            key: value.replace(str(tmp), "<tmp>") if isinstance(value, str) else value for key, value in given.items()
        }
        yield f"WordWindows({told})", lambda given=given: WordWindows(**{**plain, **given}).spec
    for given in (
        {"dim": 0}, {"window": -1}, {"attend": "all"}, {"update": None}, {"sparse": "yes"}, {"method": "skip"},
        {"negatives": 0}, {"starts": 0}, {"iterations": 1.5}, {"covariance": "full"}, {"vocabulary": 1},
    ):  # fmt: skip
        yield f"LitVectors({given})", lambda given=given: LitVectors(**{"vocabulary": 9, **given})
    for name, content in (
        ("empty", b""), ("no_head", b"the 1 2\n"), ("short", b"2 2\nthe 1 2\n"), ("cut", b"1 2\nthe 1 2"),
        ("wide", b"1 2\nthe 1 2 3\n"), ("nan", b"1 2\nthe 1 nan\n"), ("binary_cut", b"1 2\nthe \0\0\0\0"),
    ):  # fmt: skip
        (tmp / name).write_bytes(content)
        yield f"read_vectors({name})", lambda name=name: read_vectors(tmp / name)
    yield "read_vectors(none)", lambda: read_vectors("/no/such/vectors")
    (tmp / "words.tsv").write_text("the\t9\nline\t5\nof\t3\n")
    torch.manual_seed(0)
    arguments, preprocess = {"vocabulary": 3, "window": 2, "dim": 4}, {"lowercase": True, "power": 0.75}
    how = {"name": "attentive_cbow.debian_attentive", "config": arguments, "preprocess": preprocess}
    folder = release.save(AttentiveCBOW(**arguments), tmp / "blanks", files=[tmp / "words.tsv"], **how)
    for raw in ("", "the line", "_ the _", "___", "xylophone ___", "the\ud800 _", 3, None, [], ["the _", ""]):
        yield f"a blank in {raw!r}", lambda raw=raw: zoo.pipeline(folder)(raw).word
    yield "a blank, top=0", lambda: zoo.pipeline(folder)("the _", top=0).word
    yield "a blank, tops=3", lambda: zoo.pipeline(folder)("the _", tops=3).word

    def edited() -> None:
        other = tmp / "other_words"
        shutil.copytree(folder, other, dirs_exist_ok=True)
        (other / "words.tsv").write_text("the\t9\n")
        zoo.pipeline(other)

    yield "words of another vocabulary", edited
