"""Overrides with which any row of conf/experiment runs in a second: a tiny network, few samples, files made for it.

The arguments of a tiny network stand in QUICK of a room's tests/papers/test_<slug>.py, by config of conf/model. What
data needs stands here, by config of conf/data; a room that is alone with its data may have it in FILES of its tests.
ALIKE there names keys whose words make no new kind of row.
"""

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
import yaml

from tests.conftest import ROOT

ROWS = ROOT / "conf/experiment"
EXPERIMENTS = sorted(str(path.relative_to(ROWS).with_suffix("")) for path in ROWS.rglob("*.yaml"))
FAST = ("debug=fast", "logger=none", "trainer.enable_progress_bar=false", "callbacks.figures.count=1")
REPLACED = {"corpus", "subset", "source", "target", "root", "train", "val", "test"}  # by the files that are made here
TREE = "( (S (NP-SBJ (DT a) (NN line{}))\n  (VP (VBZ ends){} (NP (-NONE- *))) (. .)) )\n"


def sentences(folder: Path) -> tuple[str, ...]:
    for split in ("train", "val", "test"):
        for language in ("de", "en", "fr"):
            lines = [f"{language} {i} Line {i % 7} {'x ' * (i % 5)}." for i in range(20)]
            (folder / f"{split}.{language}").write_text("\n".join(lines) + "\n")
    files = ("data.corpus=files", f"data.root={folder}", "data.train=train", "data.val=val", "data.test=test")
    return (*files, "data.vocabulary=60", "data.limit=40")


def trees(folder: Path) -> tuple[str, ...]:
    (folder / "wsj.mrg").write_text("".join(TREE.format(i % 7, " (ADVP (RB so))" * (i % 3)) for i in range(20)))
    splits = [f"data.{split}=wsj.mrg" for split in ("train", "val", "test")]
    return ("data.vocabulary=60", "data.limit=40", f"data.root={folder}", *splits)


def reviews(folder: Path) -> tuple[str, ...]:
    for i in range(60):
        path = folder / ("train", "test")[i % 2] / ("neg", "pos")[i // 30] / f"{i}_1.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"Review number {i}, which says a little more than {i - 1}")
    return (f"data.root={folder}", "data.vocabulary=60", "data.limit=40")


def sentences_of_reviews(folder: Path) -> tuple[str, ...]:
    lines = [
        f"{i}\t{1.5 - 3 * (i % 2)}\tFilm {i} is {('bad', 'good')[i % 2]}, or so {'they say ' * (i % 4)}in town."
        for i in range(80)
    ]
    (folder / "reviews.txt").write_text("\n".join(lines))
    return (f"data.root={folder}/reviews.txt", "data.vocabulary=60", "data.limit=40")


def treebank(folder: Path) -> tuple[str, ...]:
    for name in ("train", "dev", "test"):
        trees = [
            f"({i % 2 * 4} (2 Film) (2 {i}) ({i % 2 * 4} {('bad', 'good')[i % 2]}){' (2 they) (2 say)' * (i % 12)})"
            for i in range(80)
        ]
        (folder / f"{name}.txt").write_text("\n".join(trees))
    return (f"data.root={folder}", "data.vocabulary=60", "data.limit=40")


def book(folder: Path) -> tuple[str, ...]:
    (folder / "enwik8").write_bytes(b"a text of some bytes, " * 100)
    return (f"data.root={folder}/enwik8", "data.size=null", "data.context=16", "data.limit=40")


def cifar(folder: Path) -> tuple[str, ...]:
    for name in (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"):
        (folder / name).write_bytes(bytes(3073 * 8))
    return (f"data.root={folder}", "data.validation=8", "data.limit=16")


def numbers(folder: Path) -> tuple[str, ...]:
    pytest.importorskip("h5py")
    from tests.datamodules.test_colour import write_svhn

    for split, count in (("train", 24), ("test", 8)):
        write_svhn(folder / split, [[(5, 4, 10, 20)]] * count)
    return (f"data.root={folder}", "data.validation=8", "data.limit=16")


def birds(folder: Path) -> tuple[str, ...]:
    from tests.datamodules.test_cub import write_cub

    write_cub(folder / "birds", pictures=36)
    few = ("data.size=64", "data.validation=8", "data.limit=16", "data.workers=0")
    return (f"data.root={folder}/birds", *few)


Files = Callable[[Path], tuple[str, ...]]  # makes files in a folder and returns the overrides that name them
DATA: dict[str, Files] = {
    "answered_stories": lambda folder: ("data.limit=40",),
    "cifar10": cifar,
    "cub": birds,
    "house_numbers": lambda folder: (*numbers(folder), "data.size=32"),
    "svhn": numbers,
    "debian": lambda folder: ("data.vocabulary=60", "data.limit=40"),
    "debian_characters": lambda folder: ("data.context=16", "data.limit=40"),
    "debian_sections": lambda folder: ("data.vocabulary=60", "data.max_length=16", "data.limit=40"),
    "enwik8": book,
    "imdb": reviews,
    "reviews": sentences_of_reviews,
    "sst": treebank,
    "multi30k": sentences,
    "multi30k_raw": sentences,
    "translation": sentences,
    "trees": trees,
}


class Row(NamedTuple):
    """What the file of an experiment says, and the files that it builds on."""

    groups: dict[str, str]  # model, data, attention and so on
    words: dict[str, Any]  # every key whose value is not a number


def read(experiment: str) -> Row:
    """A row without composing it."""
    raw = yaml.safe_load((ROWS / f"{experiment}.yaml").read_text())
    groups, words = {"model": "ram", "data": "mnist"}, {}
    for entry in raw.pop("defaults", []):
        if isinstance(entry, dict):
            groups |= {key.removeprefix("override /"): value for key, value in entry.items()}
        elif entry != "_self_":
            before = read(entry.removeprefix("/experiment/"))
            groups, words = groups | before.groups, words | before.words

    def walk(node: Any, *path: str) -> None:
        if isinstance(node, dict):
            for key, value in node.items():
                walk(value, *path, key)
        elif (isinstance(node, bool) or not isinstance(node, int | float)) and not is_file(path):
            words[".".join(path)] = node

    def is_file(path: tuple[str, ...]) -> bool:
        return path[0] == "data" and path[1] in REPLACED

    walk(raw)
    return Row(groups, words)


def different() -> list[str]:
    """One row of each set that differs in numbers, names of files and languages alone."""
    kinds: dict[str, str] = {}
    for experiment in EXPERIMENTS:
        groups, words = read(experiment)
        alike = getattr(tests_of(experiment.split("/")[0]), "ALIKE", ())
        words = {key: word for key, word in words.items() if key not in alike}
        kinds.setdefault(repr([sorted(groups.items()), sorted(words.items())]), experiment)
    return list(kinds.values())


def tests_of(slug: str) -> ModuleType | None:
    """The tests of a room."""
    name = f"tests.papers.test_{slug}"
    return import_module(name) if find_spec(name) else None


def network(slug: str, model: str) -> dict[str, Any]:
    """The arguments of a tiny network."""
    return getattr(tests_of(slug), "QUICK", {}).get(model, {})


def data(slug: str, name: str, folder: Path) -> tuple[str, ...]:
    """Overrides for data of a config of conf/data; without any of its own, a limit where it takes one."""
    known = DATA | getattr(tests_of(slug), "FILES", {})
    if name in known:
        return known[name](folder)
    return ("data.limit=32",) if "limit" in yaml.safe_load((ROOT / f"conf/data/{name}.yaml").read_text()) else ()


def overrides(experiment: str, folder: Path) -> tuple[str, ...]:
    """That let a row run in a second; files that it needs are made in the folder."""
    groups = read(experiment).groups
    slug = experiment.split("/")[0]
    sizes = (f"model.{key}={value}" for key, value in network(slug, groups["model"]).items())
    return (*FAST, *sizes, *data(slug, groups["data"], folder))
