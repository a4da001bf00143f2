"""The list command: which models there are."""

import sys

from zoo import registry
from zoo.commands.helping import say
from zoo.errors import UnknownName, suggest

HELP = """\
Lists the rows of all papers: their names, what the papers print, what was measured here, and the minutes that it took.

  python scripts/list.py [pattern ...] [--weights]     (or zoo-list, where the package is installed)

  python scripts/list.py                    all rows
  python scripts/list.py 'ram.*' '*de_en'   those of these names; quote patterns, so that the shell leaves them
  python scripts/list.py --weights          those with weights to load
"""
COLUMNS = ("name", "metric", "paper", "here", "minutes", "weights")


def listing(patterns: list[str], pretrained: bool = False) -> str:
    """The table of the rows whose names fit one of the patterns, a line each; all rows without one.

    Raises:
        UnknownName: a pattern that no name fits; with the nearest names.
    """
    names: list[str] = []
    for pattern in patterns or ["*"]:
        found = registry.list_models(pattern) or registry.list_models(f"{pattern}.*")  # of a room
        if not found:
            known = [*registry.rooms(), *registry.list_models()]
            raise UnknownName(f"no model has a name like {pattern!r}{suggest(pattern, known)}")
        names += [name for name in found if name not in names]
    released = set(registry.list_models(pretrained=True))
    lines = [COLUMNS]
    for name in names:
        if pretrained and name not in released:
            continue
        row = registry.rows(name.split(".")[0])[name.split(".", 1)[1]]
        paper, ours = row.get("paper") or {}, row.get("ours") or {}
        lines.append(
            (
                name,
                str(ours.get("metric", paper.get("metric", ""))),
                f"{paper['value']:g}" if paper else "-",
                f"{ours['value']:g}" if ours else "-",
                f"{ours['minutes']:g}" if ours else "-",
                "yes" if name in released else "",
            )
        )
    widths = [max(len(line[i]) for line in lines) for i in range(len(COLUMNS))]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def main() -> None:
    """Prints the table, or one sentence with exit code 1."""
    words = sys.argv[1:]
    if {"-h", "--help"} & set(words):
        say(HELP.rstrip("\n"))
        return
    try:
        unknown = [word for word in words if word.startswith("-") and word != "--weights"]
        if unknown:
            raise UnknownName(f"there is no {unknown[0]}; expected patterns, or --weights")
        say(listing([word for word in words if word != "--weights"], "--weights" in words))
    except UnknownName as error:
        sys.exit(str(error))
