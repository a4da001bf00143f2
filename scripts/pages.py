"""Makes the static site: the README, the cards of all rooms with their pages to look at attention, and docs/*.md.

python scripts/pages.py [folder]     (site/ without one; needs the extra `docs`)
"""

import argparse
import ast
import html
import re
import shutil
import sys
from pathlib import Path
from string import Template

from zoo.errors import in_one_sentence

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
FRAMES = ROOT / "zoo/commands/gallery/web/frames.js"  # which makes a frame as high as its page
LOOK = """\
<h2 id="look">Where it looks</h2>
<p><a href="looks/{room}.html">On a page of its own</a></p>
<iframe src="looks/{room}.html" title="where {room} looked" sandbox="allow-scripts allow-downloads"></iframe>
"""


def sources() -> dict[Path, str]:
    """The Markdown files of the site, in the order of its links: the name of each one's page."""
    cards = sorted((ROOT / "zoo/models").glob("*/README.md"), key=order)
    found = {ROOT / "README.md": "index"} | {card: card.parent.name for card in cards}
    return found | {path: path.stem for path in (*sorted(DOCS.glob("*.md")), ROOT / "CONTRIBUTING.md")}


def order(card: Path) -> int:
    """The place of a room in the table of the README."""
    place = (ROOT / "README.md").read_text(encoding="utf-8").find(f"zoo/models/{card.parent.name}/README.md")
    return place if place >= 0 else sys.maxsize


def rendered(path: Path, pages: dict[Path, str], wanted: dict[Path, str]) -> str:
    """A Markdown file as HTML, whose links are those of the site; the pictures that it shows are added to `wanted`.

    A link to a file that is on no page becomes its text.
    """
    from markdown_it import MarkdownIt

    tokens = (parser := MarkdownIt("commonmark").enable("table")).parse(_without_comments(path))
    for token in tokens:
        if token.type == "heading_open":
            text = tokens[tokens.index(token) + 1].content
            token.attrSet("id", re.sub(r"[^\w]+", "-", text.lower()).strip("-"))
        dropped = []
        for child in token.children or []:
            if child.type == "image":
                target = (path.parent / child.attrGet("src")).resolve()
                wanted[target] = f"pictures/{target.name}"
                child.attrSet("src", wanted[target])
            elif child.type == "link_open":
                href = _href(str(child.attrGet("href")), path, pages)
                dropped.append(href is None)
                child.attrSet("href", href or "")
                child.hidden = href is None
            elif child.type == "link_close":
                child.hidden = dropped.pop()
        token.children = [child for child in token.children if not child.hidden] if token.children else token.children
    text = parser.renderer.render(tokens, parser.options, {})
    return text.replace("<table>", '<div class="scroll" tabindex="0"><table>').replace("</table>", "</table></div>")


def _without_comments(path: Path) -> str:
    return re.sub(r"<!--.*?-->\n?", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)


def _href(href: str, path: Path, pages: dict[Path, str]) -> str | None:
    if re.match(r"https?://|#|mailto:", href):
        return href
    name, _, part = href.partition("#")
    page = pages.get((path.parent / name).resolve())
    return None if page is None else f"{page}.html{'#' + part if part else ''}"


def build(folder: Path) -> list[Path]:
    """Writes the site into a folder, which is emptied of an older one; returns its pages.

    Raises:
        OSError: a picture that a card shows is missing.
        FileExistsError: the folder holds something else than an older site.
    """
    mark = folder / "style.css"
    if folder.exists() and any(folder.iterdir()) and not mark.exists():
        raise FileExistsError(17, "holds something else than an older site", str(folder))
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "pictures").mkdir(parents=True)
    shutil.copytree(DOCS / "looks", folder / "looks")
    shutil.copy(DOCS / "site/style.css", folder)
    (folder / "frames.js").write_text(f"({FRAMES.read_text(encoding='utf-8').strip()})();\n", encoding="utf-8")
    template = Template((DOCS / "site/page.html").read_text(encoding="utf-8"))
    pages, wanted, written = sources(), {}, []
    for path, name in pages.items():
        links = "\n".join(
            _link(other, "start" if other == "index" else other, other == name) for other in pages.values()
        )
        look = LOOK.format(room=name) if (DOCS / "looks" / f"{name}.html").exists() else ""
        body = rendered(path, pages, wanted).replace("</h1>\n", f"</h1>\n{look}", 1)
        title = html.escape(_title(path, name))
        written.append(folder / f"{name}.html")
        text = template.substitute(title=title, links=links, body=body)
        written[-1].write_text(text, encoding="utf-8")
    for picture, place in wanted.items():
        shutil.copy(picture, folder / place)
    return written


def _title(path: Path, name: str) -> str:
    room = path.parent / "__init__.py"
    return (ast.get_docstring(ast.parse(room.read_text())) or name).splitlines()[0] if room.exists() else name


def _link(name: str, text: str, here: bool) -> str:
    current = ' aria-current="page"' if here else ""
    return f'<li><a href="{name}.html"{current}>{html.escape(text)}</a></li>'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("site"))
    given = parser.parse_args()
    with in_one_sentence():
        pages = build(given.folder)
    size = sum(file.stat().st_size for file in given.folder.rglob("*") if file.is_file())
    print(f"{given.folder / 'index.html'}: {len(pages)} pages, {size / 2**20:.1f} MB")


if __name__ == "__main__":
    main()
