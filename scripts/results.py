"""Writes the tables of the READMEs, and the first lines of the experiments, from zoo/models/<slug>/results.yaml.

Usage: python scripts/results.py
"""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
TABLE = re.compile(r"(<!-- results (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def read(slug: str) -> dict[str, dict]:
    """The rows of a room in the order of its results.yaml."""
    return yaml.safe_load((ROOT / "zoo/models" / slug / "results.yaml").read_text())


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


def stand_in_says(row: dict) -> str:
    """What was measured on data that stands in for the paper's, which its number cannot be compared with."""
    found = row.get("stand_in")
    return f"{found['value']:.2f} ({found['how']})" if found else ""


def table(slug: str) -> str:
    """The Markdown table of one room; stand-in data has a column of its own."""
    rows = read(slug)
    metric = next((row["paper"]["metric"] for row in rows.values() if row.get("paper")), None)
    data = sorted({row["stand_in"]["data"] for row in rows.values() if row.get("stand_in")})
    columns = ["row", "paper", "here", *data, "how", "other measures", "weights"]
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for name, row in rows.items():
        ours = row.get("ours") or {}
        how = f"{ours['how']}; {ours['minutes']:g} min a run, {ours['machine']}" if ours else ""
        other = "; ".join(f"{key} {value:g}" for key, value in ours.get("also", {}).items())
        weights = f"`{slug}.{name}`" if row.get("weights") else ""
        note = "" if row["status"] == "measured" or not ours else f" – {row['status']}"
        cells = [f"`{name}`", paper_says(row, metric), f"{ours_says(row)}{note}"]
        cells += [stand_in_says(row) if row.get("stand_in", {}).get("data") == one else "" for one in data]
        lines.append(f"| {' | '.join([*cells, how, other, weights])} |")
    return "\n".join(lines) + "\n"


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
        return TABLE.sub(lambda found: found[1] + table(found[2]) + found[3], text)
    package, *rest = text.splitlines(keepends=True)
    body = "".join(rest)
    return package + head(path.parent.name, path.stem) + re.sub(r"\A# .*\n# Here: .*\n", "", body)


def files() -> list[Path]:
    """All files that quote results."""
    slugs = [path.parent.name for path in sorted((ROOT / "zoo/models").glob("*/results.yaml"))]
    readmes = [ROOT / "README.md", *(ROOT / "zoo/models" / slug / "README.md" for slug in slugs)]
    experiments = [ROOT / "conf" / "experiment" / slug / f"{row}.yaml" for slug in slugs for row in read(slug)]
    return [path for path in readmes + experiments if path.exists()]


def main() -> None:
    for path in files():
        text = rendered(path)
        if text != path.read_text():
            path.write_text(text)
            print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
