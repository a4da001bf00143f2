"""Names to models: a slug is a room, a folder of zoo.models, and ``slug.row`` is a row of its results.yaml."""

import os
from fnmatch import fnmatchcase
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml
from torch import nn

from zoo import models, release
from zoo.errors import UnknownName, suggest
from zoo.release import WeightsError

FASTEST = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's, where PyYAML was built with it
WEIGHTS_PACKAGE = "attention_zoo_weights"  # a distribution of its own, for what is too large for the wheel of the zoo


def rooms() -> dict[str, Path]:
    """Slug to folder of every room; a folder appended to ``zoo.models.__path__`` may hold rooms too."""
    found = {}
    for place in models.__path__:
        for folder in sorted(Path(place).glob("*/")):
            is_package = (folder / "__init__.py").exists() and (folder / "network.py").exists()
            if is_package or (folder / "results.yaml").exists():
                found.setdefault(folder.name, folder)
    return found


def room(slug: str) -> ModuleType:
    """The package of a room: it exports NETWORK and PIPELINE, the classes of its network and its pipeline."""
    _folder(slug)
    return import_module(f"zoo.models.{slug}")


def rows(slug: str) -> dict[str, dict[str, Any]]:
    """The rows of a room as its results.yaml holds them; without one, the rows that have weights."""
    path = _folder(slug) / "results.yaml"
    if path.exists():
        return _parse(path, path.stat().st_mtime_ns)
    return {folder.name: {"status": "released", "weights": folder.name} for folder in path.parent.glob("weights/*/")}


def weights_folder(slug: str, row: str) -> Path:
    """The folder of the room that the weights of a row are released to."""
    return _folder(slug) / "weights" / _weights_name(slug, row)


def find_weights(slug: str, row: str) -> Path | None:
    """Where the weights of a row are: in its room, or in the installed package of weights; None where in neither."""
    package = find_spec(WEIGHTS_PACKAGE)
    installed = package.submodule_search_locations if package else ()
    places = (weights_folder(slug, row), *(Path(place) / slug / _weights_name(slug, row) for place in installed))
    return next((place for place in places if (place / release.CONFIG).exists()), None)


def list_models(pattern: str = "*", pretrained: bool = False) -> list[str]:
    """The names of models, sorted.

    Args:
        pattern: of the whole name, with the wildcards of a shell, as in ``ram*`` or ``*.mnist28_?``.
        pretrained: only those with released weights.
    """
    _check(pattern)
    names = (f"{slug}.{row}" for slug in rooms() for row in rows(slug))
    pattern = str(pattern).replace("/", ".")
    return sorted(n for n in names if fnmatchcase(n, pattern) and (not pretrained or _has_weights(*n.split(".", 1))))


def create_model(name: str | Path, pretrained: bool = False, **arguments: Any) -> nn.Module:
    """The network of a model; neither Lightning nor Hydra is needed.

    Args:
        name: ``slug.row`` (or ``slug/row``) for a released row; ``slug`` for a fresh network from arguments alone; a
            released folder or ``hf-hub:user/name``, always with their weights.
        pretrained: whether ``slug.row`` gets its released weights, and eval mode; else it has only their arguments.
        arguments: of the network's constructor; for a released row they replace those of its config. With another
            ``num_classes`` the weights are loaded but for the head, which is fresh: the start of fine-tuning.

    Raises:
        UnknownName: a slug, row or argument that does not exist; names the nearest.
        WeightsError: a row that was not released, or files that are missing or altered.
    """
    _check(name)
    if _is_room(name) and not pretrained:
        return release.construct(room(name).NETWORK, arguments)
    if _is_row(name) and not pretrained and not _was_released(*split(name)):
        slug, row = split(name)
        fresh = f"zoo.create_model({slug!r}, ...) makes a network from arguments"
        raise WeightsError(
            f"{name} was not released, so its arguments are not known here; {fresh}, {_train(slug, row)}"
        )
    folder = released(name)
    network = room(release.read_config(folder)["slug"]).NETWORK
    release.check_arguments(network, arguments)
    make = release.load if pretrained or not _is_row(name) else release.build
    return make(folder, network, **arguments)


def model_card(name: str | Path) -> str:
    """Markdown: the card of released weights, the numbers of a row without them, or the README of a room."""
    _check(name)
    if _is_room(name):
        readme = _folder(name) / "README.md"
        return readme.read_text() if readme.exists() else f"# {name}\n\n{room(name).__doc__}\n"
    if _is_row(name) and not _was_released(*split(name)):
        slug, row = split(name)
        entry = rows(slug)[row]
        paper, ours = entry.get("paper"), entry.get("ours")
        said = f"{paper['metric']} {paper['value']:g} ({paper['source']})" if paper else "no such row"
        measured = f"{ours['value']:g} on {ours['data']} ({ours['command']})" if ours else entry["status"]
        return f"# {name}\n\n* The paper: {said}.\n* Here: {measured}.\n* No released weights; {_train(slug, row)}.\n"
    path = released(name) / release.CARD
    if not path.exists():
        raise WeightsError(f"{path}: there is no card")
    return path.read_text()


def measured(folder: Path) -> dict[str, float]:
    """What the card of released weights says that they were measured at, by metric; nothing without a card."""
    try:
        return release.read_metrics((folder / release.CARD).read_text(encoding="utf-8"))
    except OSError:
        return {}


def released(name: str | Path) -> Path:
    """The folder of released weights that a name, a folder or a Hub id stands for."""
    _check(name)
    if _is_row(name):
        slug, row = split(name)
        if not _was_released(slug, row):
            raise WeightsError(f"{name} has no released weights; {_released_rows(slug)}; {_train(slug, row)}")
        folder = find_weights(slug, row)
        if folder is None:
            raise WeightsError(
                f"the weights of {name} are not installed here: `pip install attention-zoo-weights` brings them, "
                f"and a checkout of the zoo has them in zoo/models/{slug}/weights"
            )
        return folder
    if isinstance(name, Path) or name.startswith(release.HUB) or os.sep in name or Path(name).is_dir():
        return release.locate(name)
    if _is_room(name):
        raise UnknownName(f"{name} is a room, and weights belong to a row of it; {_released_rows(name)}")
    return weights_folder(*split(name))  # which raises: it is not a row


def split(name: str) -> tuple[str, str]:
    """Slug and row of a name; raises UnknownName with the nearest names."""
    slug, row = _parts(name)
    if slug not in rooms() or row not in rows(slug):
        raise UnknownName(f"there is no model {name!r}{suggest(name, [*rooms(), *list_models()]) or _help()}")
    return slug, row


def _folder(slug: str) -> Path:
    known = rooms()
    if slug not in known:
        raise UnknownName(f"there is no room {slug!r}{suggest(slug, known) or _help()}")
    return known[slug]


def _is_room(name: str | Path) -> bool:
    return isinstance(name, str) and name in rooms()


def _is_row(name: str | Path) -> bool:
    slug, row = _parts(name) if isinstance(name, str) else ("", "")
    return slug in rooms() and row in rows(slug)


def _parts(name: str) -> tuple[str, str]:
    """Slug and row, of ram.mnist28_7 as of ram/mnist28_7."""
    slug, _, row = name.partition("." if "." in name else "/")
    return slug, row


def _check(name: object) -> None:
    """Raises UnknownName for what is no name at all."""
    if not isinstance(name, str | Path) or not str(name).strip():
        raise UnknownName(f"{name!r} names no model; expected <slug>.<row>, a released folder, or hf-hub:user/name")


@lru_cache
def _parse(path: Path, changed: int) -> dict[str, dict[str, Any]]:
    """A results.yaml, read once as long as it does not change; to be read only."""
    return yaml.load(path.read_text(), FASTEST) or {}


def _weights_name(slug: str, row: str) -> str:
    return (rows(slug).get(row) or {}).get("weights") or row


def _has_weights(slug: str, row: str) -> bool:
    return find_weights(slug, row) is not None


def _was_released(slug: str, row: str) -> bool:
    """Whether there are weights of a row, be they installed here or not."""
    return bool((rows(slug).get(row) or {}).get("weights")) or _has_weights(slug, row)


def _released_rows(slug: str) -> str:
    names = list_models(f"{slug}.*", pretrained=True)
    return f"rows of {slug} that have them: {', '.join(names) or 'none'}"


def _train(slug: str, row: str) -> str:
    return f"`python scripts/train.py experiment={slug}/{row}` trains it"


def _help() -> str:
    return "; zoo.list_models() names all"
