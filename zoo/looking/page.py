"""One HTML file on which anyone looks at an attention record: self-contained, without a request to anywhere.

The scripts, styles and the template are files of `zoo/looking/web`. Names and answers are data of the page, never its
markup, and its Content-Security-Policy runs no script but the page's own, by its hash.
"""

import base64
import hashlib
import html
import json
import os
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from zoo.looking.attention import Attention
from zoo.looking.packing import packed, png

SCRIPTS = ("data", "tables", "words", "player", "heat", "path", "lattice", "map", "main")  # in this order
SANDBOX = "allow-scripts allow-downloads"  # of the frame of a page in a page: no origin, no forms, no navigation


def page(
    attention: Attention,
    title: str | None = None,
    name: str | None = None,
    facts: Mapping[str, str] | None = None,
    bars: Mapping[str, float] | None = None,
    places: Sequence[tuple[float, float]] = (),
) -> str:
    """The page of a record: HTML, complete in itself.

    Args:
        title: the answer.
        name: of the model.
        facts: what else is said, by what it is.
        bars: probabilities by class, the best first.
        places: see :func:`zoo.looking.packing.packed`.

    Raises:
        ValueError: a picture that cannot be shown.
    """
    record = {
        "title": title,
        "name": name,
        "facts": [[key, value] for key, value in (facts or {}).items()],
        "bars": [[key, round(float(value), 4)] for key, value in (bars or {}).items()],
        "samples": packed(attention, places),
    }
    web = files("zoo.looking") / "web"
    parts = "\n".join((web / f"{part}.js").read_text(encoding="utf-8") for part in SCRIPTS)
    script = f'\n"use strict";\n(() => {{\n{parts}}})();\n'
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return Template((web / "page.html").read_text(encoding="utf-8")).substitute(
        title=html.escape(title or "Where the model looked"),
        style=(web / "page.css").read_text(encoding="utf-8"),
        record=as_data(record),
        script=script,
        hash=f"sha256-{digest}",
    )


def as_data(value: Any) -> str:
    """JSON in which no text ends or opens an element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text.encode("utf-8", "backslashreplace").decode()  # half a surrogate pair, which UTF-8 lacks


def save(text: str, path: str | Path) -> None:
    """Writes a page; a kill leaves the old file or the new one."""
    path = Path(path)
    partial = path.with_name(f"{path.name}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def frame(text: str, height: int, title: str = "where the model looked") -> str:
    """A page within another one, which its styles and scripts do not touch, and which cannot touch the other."""
    return (
        f'<iframe title="{html.escape(title, quote=True)}" srcdoc="{html.escape(text, quote=True)}" '
        f'sandbox="{SANDBOX}" style="width:100%;height:{height}px;border:0"></iframe>'
    )


def in_notebook(text: str, picture: bytes | None, height: int) -> str:
    """What a notebook shows: the page, and before it, folded, a picture for where pages in pages are taken out."""
    folded = ""
    if picture is not None:
        folded = f'<details><summary>as a picture</summary><img alt="where the model looked" src="{png(picture)}">'
        folded += "</details>"
    return folded + frame(text, height)


def height_of(attention: Attention) -> int:
    """About how many pixels high the page of a record is on a screen, for its frame; it scrolls beyond."""
    height = 260
    if attention.weights is not None and not attention.grid:
        heads, outputs, inputs = attention.weights.shape[1:]
        letters = sum(len(word) + 2 for names in (attention.inputs[:1] + attention.outputs[:1]) for word in names)
        lines = 2 + (letters or 4 * (outputs + inputs)) // 90
        height += 56 * lines + min(640, 22 * outputs) + (75 * attention.layers + 40 if heads > 1 else 0)
    else:
        height += 620
    return min(height, 1000)
