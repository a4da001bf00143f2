"""No option is dead: another value of any constructor argument or config key changes a loss, a rate or a score.

The rooms are found by their configs of conf/model. Another value is guessed: the other truth, a number nearby, a word
of the comment or the docstring. Where that does not do, OPTIONS in tests/papers/test_<slug>.py says, by config and
option, what must be set beside it (the option itself: the other value), or in a sentence why it changes nothing.
"""

import re
from collections.abc import Callable, Iterator
from hashlib import sha256
from inspect import Parameter, signature
from itertools import islice
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from hydra.errors import InstantiationException
from hydra.utils import get_class, instantiate
from omegaconf import OmegaConf

from datamodules.files import DataError
from tests import small
from tests.conftest import ROOT
from zoo.errors import ZooError
from zoo.text.search import EOS, UNK
from zoo.text.translator import LitTranslator
from zoo.training.module import ZooModule

STEPS = 3
OTHERS = {
    "attention": [None],
    "self_attention": [{"kind": "plain"}],
    "optimizer": [{"_target_": "torch.optim.SGD", "lr": 0.1}],
    "schedule": [
        {"_target_": "zoo.training.schedules.constant"},
        {"_target_": "zoo.training.schedules.linear_to_zero"},
    ],
}
LONG = {"normalise": "length", "alpha": 5.0}  # without, the shortest translation wins
OF_TRANSLATORS = {
    "beam": {**LONG, "beam": 1},
    "alpha": LONG,
    "normalise": {"alpha": 5.0},
    "extra": LONG,
    "ban_unknown": LONG,
}
FILES = {"corpus", "root", "subset", "train", "val", "test", "tokenizer", "dictionary", "source", "target"}
FILES |= {"alignments", "heads"}
OF_DATA = {  # as OPTIONS of a room, by key or by class and key; several values in a tuple
    "batch_tokens": {"batch_tokens": (12, 40), "batch_size": None},
    "bleu": "what scores are taken with",
    "clutter": {"canvas": 60, "clutter": 2},
    "digits": {"digits": 2, "canvas": 60, "clutter": 0},
    "exclude": {"exclude": ["p1"]},
    "filters": {"filters": (["paper"], ["release"])},
    "fresh": "the second epoch shows it; see test_distorted.py",
    "max_length": {"max_length": (5, 8, 12, 16, 24, 32)},
    "min_visits": "all users here have as many; see test_visits.py",
    "parts": {"parts": [60, 20, 20]},
    "piece": {"canvas": 60, "clutter": 2, "piece": 5},
    "pretokenised": "what the answers of a test are put together with",
    "scale": {"canvas": 60, "clutter": 0, "digits": 1, "scale": [0.5, 1.5]},
    "shorter": {"shorter": 100},
    "size": {"size": (24, 40)},
    "unknown": "what stands for an unknown word in a test",
    "vocabulary": {"vocabulary": (12, 30, 100, 200)},
    "workers": "other processes bring the same",
    "Addition.clutter": "digits that are added have none",
    "Addition.piece": "digits that are added have none",
    "Characters.parts": "of a file that is longer than what is read here",
    "Characters.size": "what the file must have",
    "Cloze.drop": "of files that are no questions; see test_cloze.py",
    "Cloze.max_tokens": {"max_tokens": (12, 16, 40)},
    "Cloze.permutations": {"permutations": (1, 2)},
    "Cloze.permute": "stories have no entities; see test_cloze.py",
    "Cloze.stories": "the tests read few of them; see test_cloze.py",
    "Cloze.task": "of stories; see test_cloze.py",
    "Cloze.vocabulary": {"vocabulary": (3, 12)},
    "TextClasses.lowercase": {"corpus": "debian", "root": None},  # stories have no capitals
    "WordWindows.negatives": {"negatives": (3, 9)},
    "WordWindows.power": {"power": (0.0, 1.0)},
    "WordWindows.subsample": {"subsample": 0.01},
    "WordWindows.tags": {"tags": "silver"},
    "WordWindows.vocabulary": {"vocabulary": (3, 5)},
    "WordWindows.window": {"window": (2, 3)},
    "WordWindows.min_count": {"min_count": (20, 50, 80)},
    "WordWindows.output": {"output": "tree"},
    "Captions.eval_batch_size": {"eval_batch_size": 1},
    "Captions.features": "files are made of it; see test_captions.py",
    "Captions.shorter": {"features": None, "shorter": 30},
    "Captions.size": {"features": None, "size": 16},
}
GROUPS = {  # and a row that takes it
    "attention": "bahdanau/debian_de_en",
    "estimator": "wake_sleep_ram/scaled100_wsq_c",
    "self_attention": "former/debian_characters",
}


def models() -> dict[str, str]:
    """Every config of conf/model that a row uses: the first of its rows."""
    found: dict[str, str] = {}
    for experiment in small.EXPERIMENTS:
        found.setdefault(small.read(experiment).groups["model"], experiment)
    return found


def accepted(kind: type) -> dict[str, Any]:
    """The arguments of a constructor and their defaults; what it passes on as **others is a base class's to name."""
    found: dict[str, Any] = {}
    for each in kind.__mro__:
        if each is ZooModule:  # who passes on to it has made the network
            return found | {"optimizer": None, "schedule": None}
        if "__init__" not in vars(each):
            continue
        parameters = list(signature(each.__init__).parameters.values())[1:]
        named = [p for p in parameters if p.kind not in (Parameter.VAR_KEYWORD, Parameter.VAR_POSITIONAL)]
        found = {p.name: p.default for p in named} | found
        if len(named) == len(parameters):
            break
    return found


def measured(kind: type[ZooModule], arguments: dict[str, Any], data: Any) -> Iterator[str]:
    """What a short training with those arguments shows, piece by piece: losses and rates, then scores."""
    torch.manual_seed(0)
    model = kind(**arguments)
    model.trainer = SimpleNamespace(
        estimated_stepping_batches=STEPS + 1, datamodule=data.module, world_size=1, current_epoch=0, global_step=0
    )
    made = model.configure_optimizers()
    optimizer, schedule = made["optimizer"], made["lr_scheduler"]["scheduler"]
    for step in range(STEPS):
        torch.manual_seed(step)
        terms = model.loss(fitted(data.train, arguments))
        optimizer.zero_grad()
        terms["loss"].backward()
        optimizer.step(), schedule.step()
        yield f"{ {name: value.item() for name, value in terms.items()} } {schedule.get_last_lr()}"
    model.eval()
    with torch.no_grad():
        for parameter in model.network.parameters():  # decided, as if it had learned: a search has something to find
            parameter.normal_(std=0.3)
        if isinstance(model, LitTranslator):
            model.network.step = eager(model.network.step)
        for stage in ("val", "test"):
            metrics = model.evaluate(fitted(getattr(data, stage), arguments), stage)
            scores = {name: metric.compute().tolist() for name, metric in metrics.items()}
            yield f"{scores} {getattr(model, 'written', None)}"  # the translations, where there are any


def eager(step: Callable) -> Callable:
    """The step of a translator that often ends and often writes the unknown word, so that a search has a choice."""

    def stepped(*arguments: Any) -> tuple:
        log_p, *rest = step(*arguments)
        log_p[..., [UNK, EOS]] += 3.0
        return log_p.log_softmax(-1), *rest

    return stepped


def fitted(batch: dict[str, torch.Tensor], arguments: dict[str, Any]) -> dict[str, torch.Tensor]:
    """The batch with pictures of as many channels, and of the size, as the arguments say."""
    image = batch.get("image")
    if image is not None and "channels" in arguments:
        image = image.repeat(1, arguments["channels"], 1, 1)[:, : arguments["channels"]]
    if image is not None and "size" in arguments:
        more = arguments["size"] - image.shape[-1]
        image = torch.nn.functional.pad(image, (0, more, 0, more))
    return batch if image is None else {**batch, "image": image}


def guesses(name: str, value: Any, words: dict[str, list[str]]) -> Iterator[Any]:
    """Other values that an option may take."""
    if name in OTHERS:
        yield from OTHERS[name]
    elif isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (value + 1, 2 * value, value - 1, 2)
    elif isinstance(value, float):
        yield from (2 * value, value / 2, 0.5, 0.0)
    elif value is None or isinstance(value, str):
        yield from (word for word in words.get(name, []) + words[""] if word != value)
        yield from (2, 3)


class Data:
    """One batch of each split."""

    def __init__(self, config: Any):
        self.module = instantiate(config)
        self.module.setup("fit")
        for stage in ("train", "val", "test"):
            batch = next(iter(getattr(self.module, f"{stage}_dataloader")()))
            setattr(self, stage, self.module.on_after_batch_transfer(batch, 0))


class Room:
    """A config of conf/model with a tiny network, and a row of it on a little data."""

    def __init__(self, composed, experiment: str, folder):
        self.slug, self.name = experiment.split("/")[0], small.read(experiment).groups["model"]
        cfg = composed(f"experiment={experiment}", *small.overrides(experiment, folder))
        self.data = Data(cfg.data)
        config = OmegaConf.to_container(cfg.model, resolve=True)
        self.kind = get_class(config["_target_"])
        self.arguments = {key: value for key, value in config.items() if not key.startswith("_")}
        self.arguments |= self.data.module.spec
        network = type(self.kind(**self.arguments).network)
        mine = accepted(self.kind)
        self.options = (accepted(network) if "network" not in mine else {}) | mine
        self.words = self._words(network)
        table = getattr(small.tests_of(self.slug), "OPTIONS", {}).get(self.name, {})
        self.beside = (OF_TRANSLATORS if issubclass(self.kind, LitTranslator) else {}) | table
        self._seen: dict[str, list[str]] = {}

    def _words(self, network: type) -> dict[str, list[str]]:
        """Those of the comment behind a key, and under "" all that the docstrings quote."""
        text = "".join(path.read_text() for path in sorted((ROOT / "conf/model").glob(f"{self.slug}*.yaml")))
        comments = dict(re.findall(r"^(\w+):.*?# (.*)$", text, re.MULTILINE))
        docs = "".join(each.__doc__ or "" for each in (*self.kind.__mro__, *network.__mro__))
        return {key: re.findall(r"\w+", value) for key, value in comments.items()} | {"": re.findall(r'"(\w+)"', docs)}

    def _plain(self, arguments: dict[str, Any]) -> list[str]:
        key = repr(arguments)
        if key not in self._seen:
            self._seen[key] = list(measured(self.kind, arguments, self.data))
        return self._seen[key]

    def matters(self, other: dict[str, Any], beside: dict[str, Any]) -> bool:
        """Whether the arguments `other` make a difference, all else equal."""
        plain = {**self.arguments, **beside}
        try:
            found = measured(self.kind, {**plain, **other}, self.data)
            return any(one != two for one, two in zip(self._plain(plain), found, strict=True))
        except (ZooError, KeyError, TypeError):  # no such choice, or a number where a word is meant
            return False

    def alive(self, name: str) -> bool:
        """Whether any other value of an option makes a difference."""
        beside = dict(self.beside.get(name, {}))
        others = [beside.pop(name)] if name in beside else []
        value = self.arguments.get(name, self.options[name])
        return any(self.matters({name: other}, beside) for other in others or guesses(name, value, self.words))


@pytest.mark.parametrize("model", models())
def test_no_argument_of_a_room_is_dead(model, composed, tmp_path):
    experiment = models()[model]
    if small.tests_of(experiment.split("/")[0]) is None:
        pytest.skip("a room whose tests are still to be written")
    room = Room(composed, experiment, tmp_path)
    assert not room.matters({}, {}), "what is measured differs from one time to the next"
    assert room.arguments.keys() <= room.options.keys() and room.beside.keys() <= {*room.options, *OF_TRANSLATORS}
    idle = {name for name, why in room.beside.items() if isinstance(why, str)}
    dead = [name for name in room.options if name not in idle and not room.alive(name)]
    assert not dead, f"{model}: no other value of {', '.join(dead)} changes a loss, a rate or a score"


@pytest.mark.parametrize("group", GROUPS)
def test_no_key_of_a_group_is_dead(group, composed, tmp_path):
    """Of attention the scores and scopes, of estimators the kinds, of self-attention the kinds and patterns."""
    room = Room(composed, GROUPS[group], tmp_path)
    files = {path.stem: yaml.safe_load(path.read_text()) for path in sorted((ROOT / "conf" / group).glob("*.yaml"))}
    words = [word for file in files.values() for value in file.values() for word in np.ravel(value).tolist()]
    dead = []
    for stem, file in files.items():
        for key, value in file.items():
            others = [word for word in dict.fromkeys(words) if isinstance(word, str) and word != value]
            others = others if isinstance(value, str | list) else guesses(key, value, {"": []})
            if not any(room.matters({group: {**file, key: other}}, {group: file}) for other in others):
                dead.append(f"{stem}.{key}")
    assert not dead, f"no other value of {', '.join(dead)} changes a loss, a rate or a score"


def kinds_of_data() -> dict[str, str]:
    """Every config of conf/data that a row uses: the first of its rows."""
    found: dict[str, str] = {}
    for experiment in small.EXPERIMENTS:
        found.setdefault(small.read(experiment).groups["data"], experiment)
    return found


def digest(batch: Any) -> str:
    """A short name of the numbers in a batch."""
    if isinstance(batch, dict):
        return " ".join(f"{key}:{digest(value)}" for key, value in batch.items())
    if isinstance(batch, torch.Tensor):
        return f"{tuple(batch.shape)} {sha256(batch.contiguous().numpy().tobytes()).hexdigest()}"
    return repr(batch)


def given_out(config: dict[str, Any]) -> Iterator[str]:
    """What data of a config gives out: what it says of itself, two epochs of training, and the other splits."""
    module = instantiate(config)
    module.setup("fit")
    yield repr(module.spec)
    for stage in ("train", "train", "val", "test"):
        loader = getattr(module, f"{stage}_dataloader")()
        yield " ".join(digest(module.on_after_batch_transfer(batch, 0)) for batch in islice(loader, 3))
    if hasattr(module, "references"):
        yield repr([module.detokenise([[4, 5, 6]]), module.references("test", [0]), module.sources("test", [0])])


@pytest.mark.parametrize("name", kinds_of_data())
def test_no_key_of_data_is_dead(name, composed, tmp_path):
    """Files are made for it; where they come from is tested with each data module."""
    experiment = kinds_of_data()[name]
    few = small.data(experiment.split("/")[0], name, tmp_path)
    config = OmegaConf.to_container(composed(f"experiment={experiment}", *few).data, resolve=True)
    config |= {key: 4 for key in ("batch_size", "eval_batch_size") if config.get(key)}
    text = "".join(path.read_text() for path in sorted((ROOT / "conf/data").glob("*.yaml")))
    kind, dead, seen = config["_target_"].split(".")[-1], [], {}
    for key, value in config.items():
        beside = OF_DATA.get(f"{kind}.{key}", OF_DATA.get(key, {}))
        if key in FILES or key.startswith("_") or isinstance(beside, str):
            continue
        beside = {each: other for each, other in beside.items() if each in config}
        others = beside.pop(key, None)
        if others is None:
            others = guesses(key, value, {key: words_of(text, key), "": []})
        elif not isinstance(others, tuple):
            others = [others]
        plain = {**config, **beside}
        if repr(plain) not in seen:
            seen[repr(plain)] = list(given_out(plain))
        if not any(differ(seen[repr(plain)], {**plain, key: other}) for other in others):
            dead.append(key)
    assert not dead, f"no other value of {', '.join(dead)} changes what data={name} gives out"


def words_of(text: str, key: str) -> list[str]:
    """Those of the comments behind a key."""
    return re.findall(r"\w+", " ".join(re.findall(rf"^{key}:.*?# (.*)$", text, re.MULTILINE)))


def differ(plain: list[str], config: dict[str, Any]) -> bool:
    """Whether data of that config gives out something else; what is refused does not count."""
    try:
        return any(one != two for one, two in zip(plain, given_out(config), strict=True))
    except (DataError, InstantiationException):
        return False
