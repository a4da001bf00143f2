"""What a visitor of the gallery may send, by its page or past it."""

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from zoo.commands.gallery import parse
from zoo.commands.gallery.fields import LARGEST, LONGEST, gathered, read_options, read_picture
from zoo.commands.gallery.models import answered

SVG = "data:image/svg+xml;base64," + base64.b64encode(b"<svg onload='alert(1)'/>").decode()
VISITS = {"visits": "visits", "time": "line", "user": "line?"}


def visitors(tmp: Path) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Pictures, texts, visits, numbers, options and models as a browser sends them, and words of the command."""
    for value in (None, "", 3, [], "x", "data:,", "data:image/png;base64,!!!", "data:image/png;base64,AAAA", SVG):
        yield f"picture {str(value)[:40]!r}", lambda value=value: read_picture(value)
    yield "picture of 21 MB", lambda: read_picture("data:image/png;base64," + "A" * (LARGEST * 4 // 3 + 200))
    for value in (None, 0, 65, 1.5, "7", True, float("nan"), float("inf"), []):
        yield f"number {value!r}", lambda value=value: gathered({"how many": "number"}, {"how many": value})
    for value in (None, 3, [], "x" * (LONGEST + 1)):
        yield f"text {str(value)[:9]!r}", lambda value=value: gathered({"text": "text"}, {"text": value})
    for value in ("2013-05-01T08:00", "ORD", "<script> ", None):
        given = {"visits": value, "time": "2013-05-02T08:00"}
        yield f"visits {value!r}", lambda given=given: gathered(VISITS, given)
    for value in ("beam", "=3", "beam=[", "a b=", "x=" + "1" * 200, "<b>=1", "beam==3"):
        yield f"options {value[:20]!r}", lambda value=value: read_options(value)
    for name in (None, [], "", "ram", "../../etc/passwd", "ram.mnist28_77", "<script>"):
        yield f"model {name!r}", lambda name=name: answered(name, {"digit": None})
    for words in (["port=80"], ["port=x"], ["port="], ["share=true"], ["8000"], ["port=99999"], ["port=-1"]):
        yield f"gallery {words}", lambda words=words: parse(words)
