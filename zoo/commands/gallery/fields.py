"""The fields of a model: which there are, with what they begin, and from what a browser sends to a raw input."""

import base64
import io
from collections.abc import Mapping
from typing import Any

import yaml
from PIL import Image, ImageChops

from zoo.pipelines import InputError, Pipeline

LARGEST = 20 * 2**20  # bytes of a picture
PIXELS = 50_000_000  # of a picture
LONGEST = 100_000  # letters of a text
MOST = 64  # of a number
FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF")
TEXTS = ("text", "line", "line?")  # kinds that are typed into a box
KINDS = (*TEXTS, "digit", "picture", "visits", "number")


def asked(pipe: Pipeline | type[Pipeline]) -> dict[str, str]:
    """The fields of a raw input and their kinds; of a pipeline that does not say, by its task."""
    if pipe.asks is not None:
        return dict(pipe.asks)
    return {"picture": "picture"} if pipe.task.startswith("image") else {"text": "text"}


def first_sample(pipe: Pipeline) -> dict[str, Any]:
    """What the fields begin with, as a browser holds it; nothing of a field that begins empty."""
    samples, fields = list(pipe.samples), asked(pipe)
    if not samples or set(fields.values()) & {"digit", "picture"}:
        return {}
    given = samples[0] if len(fields) > 1 else {next(iter(fields)): samples[0]}
    return {name: _written(given[name], kind) for name, kind in fields.items() if name in given}


def _written(value: Any, kind: str) -> Any:
    return "\n".join(" ".join(visit) for visit in value) if kind == "visits" else value


def gathered(fields: Mapping[str, str], given: Mapping[str, Any]) -> Any:
    """The raw input.

    Args:
        fields: their names and kinds.
        given: their values as a browser sends them: strings, of pictures data URLs; or numbers.

    Raises:
        InputError: one sentence.
    """
    found = {
        name: _read(name, kind, given.get(name))
        for name, kind in fields.items()
        if kind != "line?" or str(given.get(name) or "").strip()
    }
    return found if len(fields) > 1 else found[next(iter(fields))]


def _read(name: str, kind: str, value: Any) -> Any:
    if kind in ("digit", "picture"):
        return read_picture(value)
    if kind == "number":
        if isinstance(value, bool) or not isinstance(value, int | float) or value not in range(1, MOST + 1):
            raise InputError(f"{name} is {str(value)[:20]}; expected a whole number from 1 to {MOST}")
        return int(value)
    if not isinstance(value, str):
        raise InputError(f"{name} is missing")
    if len(value) > LONGEST:
        raise InputError(f"{name} has {len(value)} letters; at most {LONGEST} are read here")
    if kind == "visits":
        return [_visit(line.strip()) for line in value.splitlines() if line.strip()]
    return value


def _visit(line: str) -> tuple[str, str]:
    time, _, place = line.partition(" ")
    if not place.strip():
        raise InputError(f"a visit is {line[:40]!r}; expected a time and a place, as in 2013-05-01T15:20 ORD")
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
    except Exception as error:  # decoders of broken files raise whatever they run into
        told = "" if isinstance(error, Image.UnidentifiedImageError) else f" ({' '.join(str(error).split())[:100]})"
        raise InputError(f"the file is not a picture that can be read{told}") from None
    return image.convert("L") if _is_grey(image) else image


def _is_grey(image: Image.Image) -> bool:
    """Whether a picture of three or four channels is opaque and without colour, as a pad sends it."""
    if image.mode not in ("RGB", "RGBA"):
        return False
    red, green, blue, *alpha = image.split()
    coloured = any(ImageChops.difference(red, other).getextrema()[1] for other in (green, blue))
    return not coloured and all(each.getextrema()[0] == 255 for each in alpha)


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
