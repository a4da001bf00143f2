"""No option is dead: another value of any constructor argument or config key changes a loss, a rate or a score.

The rooms are found by their configs of conf/model. Another value is guessed: the other truth, a number nearby, a word
of the comment or the docstring. Where that does not do, OPTIONS in tests/papers/test_<slug>.py says, by config and
option, what must be set beside it (the option itself: the other value), or in a sentence why it changes nothing.
"""

import re
from collections.abc import Callable, Iterator
from inspect import Parameter, signature
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from hydra.utils import get_class, instantiate
from omegaconf import OmegaConf

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
GROUPS = {"attention": "bahdanau/debian_de_en", "self_attention": "former/debian_characters"}  # and a row that takes it


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
    """Of attention the scores and scopes, of self-attention the kinds and patterns."""
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
