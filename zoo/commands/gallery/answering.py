"""From what a browser sends to a raw input, and from that to a page; what cannot be answered is one sentence."""

import base64
import binascii
import html
import io
import threading
import traceback
import warnings
from functools import lru_cache
from typing import Any, NamedTuple

import yaml
from PIL import Image

from zoo import registry
from zoo.errors import ZooError, sentence
from zoo.looking.page import frame, height_of
from zoo.pipelines import InputError, Pipeline, Result, pipeline

LARGEST = 20 * 2**20  # bytes of a picture
PIXELS = 50_000_000  # of a picture
LONGEST = 100_000  # letters of a text
MOST = 64  # samples that are painted at once
FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF")
TEXTS = ("text", "line", "line?")
MANY = 8  # models that are kept in memory
LOADING = threading.Lock()


class Shown(NamedTuple):
    """What the page shows: a frame, or a sentence that says why there is none."""

    html: str
    answered: bool


def names() -> list[str]:
    """The models that can be looked at: rows whose weights are here."""
    return registry.list_models(pretrained=True)


@lru_cache(MANY)
def loaded(name: str) -> Pipeline:
    """The pipeline of a released row, which stays in memory; raises ZooError for another name."""
    if name not in names():
        registry.split(str(name))  # which raises, with the nearest names
        raise ZooError(f"{name} has no released weights here")
    with LOADING:
        return pipeline(name)


def asked(pipe: Pipeline) -> dict[str, str]:
    """The fields of a raw input and their kinds, of a pipeline that does not say so by its task."""
    if pipe.asks is not None:
        return dict(pipe.asks)
    return {"picture": "picture"} if pipe.task.startswith("image") else {"text": "text"}


def alike(name: str) -> list[str]:
    """The other models that take the same input: the same fields, and of sentences the same language."""

    def kind(of: str) -> tuple[Any, ...]:
        pipe = loaded(of)
        how = pipe.config.get("preprocess", {})
        return *asked(pipe).items(), how.get("source") if "source" in how else type(pipe)

    def near(of: str) -> bool:
        own, other = kind(name), kind(of)
        return own[:-1] == other[:-1] and ("digit" in asked(loaded(name)).values() or own[-1] == other[-1])

    return [other for other in names() if other != name and near(other)]


def first_sample(pipe: Pipeline) -> dict[str, Any]:
    """What the fields begin with, as a browser holds it; nothing of a field that begins empty."""
    if not len(pipe.samples):
        return {}
    raw, fields = pipe.samples[0], asked(pipe)
    given = raw if len(fields) > 1 else {next(iter(fields)): raw}
    return {name: _written(given[name]) for name in fields if name in given}


def _written(value: Any) -> Any:
    """A list of visits as lines; anything else as it is."""
    return "\n".join(" ".join(visit) for visit in value) if isinstance(value, list) else value


def gathered(pipe: Pipeline, given: dict[str, Any]) -> Any:
    """The raw input, from the fields as a browser sends them.

    Raises:
        InputError: one sentence.
    """
    fields, found = asked(pipe), {}
    for name, kind in fields.items():
        value = given.get(name)
        if kind == "line?" and not str(value or "").strip():
            continue
        found[name] = _read(name, kind, value)
    return found if len(fields) > 1 else found[next(iter(fields))]


def _read(name: str, kind: str, value: Any) -> Any:
    if kind in ("digit", "picture"):
        return read_picture(value)
    if kind == "number":
        if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value) or not 1 <= value <= MOST:
            raise InputError(f"{name} is {str(value)[:20]}; expected a whole number from 1 to {MOST}")
        return int(value)
    if not isinstance(value, str):
        raise InputError(f"{name} is missing")
    if len(value) > LONGEST:
        raise InputError(f"{name} has {len(value)} letters; at most {LONGEST} are read here")
    if kind == "visits":
        return [_visit(line) for line in value.splitlines() if line.strip()]
    return value


def _visit(line: str) -> tuple[str, str]:
    time, _, place = line.strip().partition(" ")
    if not place.strip():
        raise InputError(f"a visit is {line.strip()[:40]!r}; expected a time and a place, as in 2013-05-01T15:20 ORD")
    return time, place.strip()


def read_picture(value: Any) -> Image.Image:
    """A picture from a data URL.

    Raises:
        InputError: no picture, or one that is too large; one sentence.
    """
    if not value:
        raise InputError("there is no picture yet; draw one or choose a file")
    if not isinstance(value, str) or not value.startswith("data:") or ";base64," not in value[:100]:
        raise InputError("what was sent is not a picture")
    if len(value) > LARGEST * 4 / 3 + 100:
        raise InputError(f"the picture's file is larger than {LARGEST // 2**20} MB")
    try:
        image = Image.open(io.BytesIO(base64.b64decode(value.split(",", 1)[1], validate=True)), formats=FORMATS)
        if image.width * image.height > PIXELS:
            raise InputError(f"the picture has {image.width} x {image.height} pixels; at most {PIXELS} are read here")
        image.load()
    except InputError:
        raise
    except (binascii.Error, Exception) as error:  # decoders of broken files raise whatever they run into
        told = " ".join(str(error).split())[:100] if not isinstance(error, Image.UnidentifiedImageError) else ""
        raise InputError(f"the file is not a picture that can be read{f' ({told})' if told else ''}") from None
    return image


def read_options(text: str | None) -> dict[str, Any]:
    """Options of a pipeline from ``name=value`` words; raises InputError for what is no such word."""
    found = {}
    for word in (text or "").replace(",", " ").split():
        name, sign, value = word.partition("=")
        if not sign or not name.isidentifier() or len(value) > 100:
            raise InputError(f"{word[:40]!r} is no option; expected name=value, as in beam=3")
        try:
            found[name] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise InputError(f"{word[:40]!r} is no option; its value cannot be read") from None
    return found


def answered(name: str, given: dict[str, Any], options: str | None = None) -> Result:
    """What a model answers; raises ZooError with one sentence."""
    pipe = loaded(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the answer says the same
        return pipe(gathered(pipe, given), **read_options(options))


def shown(name: str, given: dict[str, Any], options: str | None = None) -> Shown:
    """An answer as a frame; or the sentence that says why there is none."""
    try:
        result = answered(name, given, options)
        return Shown(frame(result.page(name), height_of(result.attention), f"what {name} looked at"), True)
    except Exception as error:
        told = sentence(error)
        if told is None:
            traceback.print_exc()
            told = "the model failed on this input; the terminal says where"
        return Shown(f'<p role="alert" class="refused">{html.escape(told)}</p>', False)
