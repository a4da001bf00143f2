"""The models of the gallery: what they read, which of them read the same, and what they answer."""

import html
import threading
import traceback
import warnings
from functools import lru_cache
from typing import Any

from zoo import registry, release
from zoo.commands.gallery.fields import TEXTS, asked, gathered, read_options
from zoo.errors import ZooError, sentence
from zoo.looking.page import frame, height_of
from zoo.pipelines import Pipeline, Result, pipeline

MANY = 8  # models that are kept in memory
LOADING = threading.Lock()


def names() -> list[str]:
    """The models that can be looked at: rows whose weights are here."""
    return registry.list_models(pretrained=True)


@lru_cache(MANY)
def loaded(name: str) -> Pipeline:
    """The pipeline of a released row, which stays in memory; raises ZooError for another name."""
    if name not in names():
        registry.split(name)  # which raises, with the nearest names
        raise ZooError(f"{name} has no released weights here")
    with LOADING:
        return pipeline(name)


@lru_cache(None)
def reading(name: str) -> tuple[Any, ...]:
    """What a model reads: its fields and, of texts, their language or room. Loads no weights."""
    config = release.read_config(registry.released(name))
    fields = asked(registry.room(config["slug"]).PIPELINE.of(config["network"]))
    of_texts = set(fields.values()) & set(TEXTS)
    return (*fields.items(), config["preprocess"].get("source", config["slug"]) if of_texts else None)


def alike(name: str) -> list[str]:
    """The other models that read the same."""
    return [other for other in names() if other != name and reading(other) == reading(name)]


def about(name: str) -> str:
    """Of which paper a model is, and at what it was measured."""
    paper = (registry.room(name.split(".")[0]).__doc__ or name).strip().splitlines()[0]
    numbers = registry.measured(registry.released(name)).items()
    return f"{paper} Measured: {', '.join(f'{metric} {value:g}' for metric, value in numbers)}." if numbers else paper


def answered(name: str, given: dict[str, Any], options: str | None = None) -> Result:
    """What a model answers to fields as a browser sends them; raises ZooError with one sentence."""
    pipe = loaded(str(name))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the answer says the same
        return pipe(gathered(asked(pipe), given), **read_options(options))


def shown(name: str, given: dict[str, Any], options: str | None = None) -> str:
    """An answer as a frame; or the sentence that says why there is none."""
    try:
        result = answered(name, given, options)
        return frame(result.page(name), height_of(result.attention), f"what {name} looked at")
    except Exception as error:
        told = sentence(error)
        if told is None:
            traceback.print_exc()
        return refused(told or "the model failed on this input; the terminal says where")


def refused(told: str) -> str:
    """A sentence that stands in the place of an answer."""
    return f'<p role="alert" class="refused">{html.escape(told)}</p>'
