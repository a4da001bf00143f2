"""Links that open the gallery with an input: ``?name=...&text=...``, the first field of a model being the text."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from zoo.commands.gallery.fields import LONGEST

LETTERS = 2000  # of the texts that a link holds


def query_of(
    fields: Mapping[str, str], given: Mapping[str, Any], name: str, beside: str | None, options: str | None
) -> str:
    """The query that opens with this input; empty where it is a picture or too long, which no link holds.

    Args:
        fields: of the model, with their kinds.
        given: their values.
        name, beside: models.
        options: as they were typed.
    """
    texts = {field: str(given[field]) for field in fields if given.get(field) not in (None, "")}
    if sum(map(len, texts.values())) > LETTERS or set(fields.values()) & {"digit", "picture"}:
        return ""
    first, *others = fields
    query = {"name": name, "text": texts.get(first), **{other: texts.get(other) for other in others}}
    query |= {"beside": beside, "options": options}
    return "?" + urlencode({key: value for key, value in query.items() if value})


def given_by(fields: Mapping[str, str], query: Mapping[str, str]) -> dict[str, Any]:
    """The values of fields that a query names; nothing where it has no text."""
    if "text" not in query:
        return {}
    first, *others = fields
    texts = {first: query["text"], **{other: query[other] for other in others if other in query}}
    return {field: _value(text[:LONGEST], fields[field]) for field, text in texts.items()}


def _value(text: str, kind: str) -> Any:
    """The text itself; of a number that, or 1; of a picture nothing, since only who looks chooses one."""
    if kind in ("digit", "picture"):
        return None
    if kind == "number":
        return int(text) if text.isdecimal() and len(text) < 9 else 1
    return text
