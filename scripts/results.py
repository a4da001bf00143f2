"""Writes the tables of the READMEs, and the first lines of the experiments, from zoo/models/<slug>/results.yaml; and
tables of one kind of number over many models, from zoo/models/<slug>/tables.yaml.

Usage: python scripts/results.py [--check]
"""

import argparse
import ast
import re
import sys
from pathlib import Path

import yaml

from zoo import registry

ROOT = Path(__file__).parent.parent
TABLE = re.compile(r"(<!-- results (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
# the rooms in the order of their papers; others follow
ORDER = [
    "ram",
    "bahdanau",
    "draw",
    "show_attend_tell",
    "spatial_transformer",
    "reader",
    "luong",
    "rush",
    "wake_sleep_ram",
    "source_cnn",
    "attentive_cbow",
    "st_rnn",
    "transformer",
    "former",
    "explained",
]
ROOMS = re.compile(r"(<!-- rooms -->\n).*?(<!-- end -->)", re.DOTALL)

OTHER = re.compile(r"(<!-- table (\S+) (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def read(slug: str) -> dict[str, dict]:
    """The rows of a room in the order of its results.yaml."""
    return registry.rows(slug)


def paper_says(row: dict, metric: str | None = None) -> str:
    """The paper's number, or a dash where it printed none; what it measures is said unless that is the metric."""
    paper = row.get("paper")
    if not paper:
        return "–"
    name = "" if metric in (None, paper["metric"]) else f"{paper['metric']} "
    return f"{name}{paper['value']:g}" + (" (recalled)" if paper.get("recalled") else "")


def ours_says(row: dict) -> str:
    """What was measured here, with the deviation over seeds."""
    ours = row.get("ours")
    if not ours:
        return row["status"]
    spread = f" ± {ours['std']:.2f}" if ours.get("std") is not None else ""
    return f"**{ours['value']:.2f}**{spread} ({ours['seeds']} seed{'s' if ours['seeds'] > 1 else ''})"


def weights_say(slug: str, name: str, row: dict) -> str:
    """The name of a row's released weights, and what they reach where that is another number than the row's."""
    if not row.get("weights"):
        return ""
    ours = row.get("ours") or {}
    released = ours.get("released", ours.get("value"))
    return f"`{slug}.{name}`" + (f" ({released:g})" if released != ours.get("value") else "")


def markdown(columns: list[str], rows: list[list[str]]) -> str:
    """A table; columns in which nothing stands are left out."""
    kept = [i for i in range(len(columns)) if any(row[i] for row in rows)]
    lines = [[columns[i] for i in kept], ["---"] * len(kept), *([row[i] for i in kept] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def table(slug: str) -> str:
    """The Markdown tables of one room, a number a cell: its rows; and below them what else was measured.

    Stand-in data has a column of its own.
    """
    rows = read(slug)
    metric = next((row["paper"]["metric"] for row in rows.values() if row.get("paper")), None)
    data = sorted({row["stand_in"]["data"] for row in rows.values() if row.get("stand_in")})
    columns = [
        "row",
        "paper",
        "here",
        "±",
        "seeds",
        *data,
        "verdict",
        "how",
        "minutes",
        "machine",
        "weights (and what they reach, if that is another number)",
    ]
    cells, more = [], []
    for name, row in rows.items():
        ours = row.get("ours") or {}
        here = f"**{ours['value']:.2f}**" if ours else row["status"]
        note = f"; {row['status']}" if ours and row["status"] != "measured" else ""
        stand_in = row.get("stand_in") or {}
        how = "; ".join(filter(None, (ours.get("how"), *(stand_in[key] for key in ("how",) if stand_in and not ours))))
        cells.append(
            [
                f"`{name}`",
                paper_says(row, metric),
                here,
                f"{ours['std']:.2f}" if ours.get("std") is not None else "",
                str(ours.get("seeds", "")),
                *(f"{stand_in['value']:.2f}" if stand_in.get("data") == one else "" for one in data),
                row.get("verdict") or "",
                f"{how}{note}",
                f"{ours['minutes']:g}" if ours else "",
                ours.get("machine", ""),
                weights_say(slug, name, row),
            ]
        )
        more += [[f"`{name}`", measure, f"{value:g}"] for measure, value in ours.get("also", {}).items()]
    also = f"\nWhat else was measured:\n\n{markdown(['row', 'measure', 'value'], more)}" if more else ""
    return markdown(columns, cells) + also


def other_table(slug: str, name: str) -> str:
    """A table of a room's tables.yaml: a line for each of its rows, and a column for each number; and the command."""
    known = yaml.safe_load((ROOT / "zoo/models" / slug / "tables.yaml").read_text())[name]
    columns = list(dict.fromkeys(column for row in known["rows"].values() for column in row))
    cells = [[line, *(str(row.get(column, "")) for column in columns)] for line, row in known["rows"].items()]
    return f"{markdown([known['of'], *columns], cells)}\n`{known['command']}`, commit {known['commit']}\n"


def headline(rows: dict[str, dict], which: str) -> str | None:
    """The row that stands for a room, for its "paper" or for what is "here": the one that results.yaml names so.

    Without one, the first with released weights, or else the first, that has such a number.
    """
    number = {"paper": "paper", "here": "ours"}[which]
    named = [name for name, row in rows.items() if row.get("headline") in (which, "both")]
    with_weights = [name for name, row in rows.items() if row.get("weights") and row.get(number)]
    return next(iter([*named, *with_weights, *(name for name, row in rows.items() if row.get(number))]), None)


def rooms() -> str:
    """The Markdown table of all rooms, a number a cell; what was measured on other data has a column of its own."""
    paper_columns = ["metric", "the paper's number", "of its row", "its row, measured here"]
    columns = [
        "room",
        "paper",
        *paper_columns,
        "on other data, not comparable",
        "which",
        "weights to load (and what they reach, if that is another number)",
    ]
    cells = []
    for slug in slugs():
        rows = read(slug)
        told, found = headline(rows, "paper"), headline(rows, "here")
        paper = rows[told]["paper"] if told else {}
        ours = rows[found].get("ours") or {} if found else {}
        title = ast.get_docstring(ast.parse((ROOT / "zoo/models" / slug / "__init__.py").read_text())) or slug
        own = ours.get("metric", paper.get("metric"))
        value = f"**{ours['value']:g}**" + (f" {own}" if own != paper.get("metric") else "") if ours else "not run"
        cells.append(
            [
                f"[{slug}](zoo/models/{slug}/README.md)",
                title.splitlines()[0].rstrip("."),
                paper.get("metric", ""),
                f"{paper['value']:g}{' (recalled)' * bool(paper.get('recalled'))}" if paper else "–",
                f"`{told}`" if told else "",
                value if told == found else "not run",
                *(("", "") if told == found else (value, ours.get("data", ""))),
                ", ".join(
                    weights_say(slug, name, row) if name == found else f"`{slug}.{name}`"
                    for name, row in rows.items()
                    if row.get("weights")
                )
                or "none yet",
            ]
        )
    return markdown(columns, cells)


def head(slug: str, name: str) -> str:
    """The first lines of an experiment: what the paper printed and what was measured here."""
    row = read(slug)[name]
    paper, ours = row.get("paper"), row.get("ours")
    said = f"{paper['source']}: {paper['metric']} {paper_says(row)}" if paper else "The paper prints no such row"
    lines = [f"# {said}. {row.get('about', '')}".rstrip()]
    if ours:
        lines.append(
            f"# Here: {ours_says(row).replace('*', '')}, {ours['how']}; {ours['minutes']:g} min, {ours['machine']}."
        )
    else:
        lines.append(f"# Here: {row['status']}.")
    return "\n".join(lines) + "\n"


def rendered(path: Path) -> str:
    """What a README or an experiment file should say."""
    text = path.read_text()
    if path.suffix == ".md":
        text = OTHER.sub(lambda found: found[1] + other_table(found[2], found[3]) + found[4], text)
        text = TABLE.sub(lambda found: found[1] + table(found[2]) + found[3], text)
        return ROOMS.sub(lambda found: found[1] + rooms() + found[2], text)
    package, *rest = text.splitlines(keepends=True)
    body = "".join(rest)
    return package + head(path.parent.name, path.stem) + re.sub(r"\A# .*\n# Here: .*\n", "", body)


def slugs() -> list[str]:
    """The rooms in the order of their papers."""
    found = sorted(path.parent.name for path in (ROOT / "zoo/models").glob("*/results.yaml"))
    return sorted(found, key=lambda slug: ORDER.index(slug) if slug in ORDER else len(ORDER))


def files() -> list[Path]:
    """All files that quote results."""
    readmes = [ROOT / "README.md", *(ROOT / "zoo/models" / slug / "README.md" for slug in slugs())]
    experiments = [ROOT / "conf" / "experiment" / slug / f"{row}.yaml" for slug in slugs() for row in read(slug)]
    return [path for path in readmes + experiments if path.exists()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; end with 1 if something would be written")
    given = parser.parse_args()
    old = [path for path in files() if rendered(path) != path.read_text()]
    for path in old:
        print(path.relative_to(ROOT))
        if not given.check:
            path.write_text(rendered(path))
    sys.exit(bool(old and given.check))


if __name__ == "__main__":
    main()
