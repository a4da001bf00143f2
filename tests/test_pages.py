"""The static site: its links lead somewhere, its pages are those of the cards, and it asks for nothing outside."""

import functools
import http.server
import threading
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import torch

from scripts.pages import build, sources
from tests.browsing import READY, browser, visitor  # noqa: F401
from tests.conftest import ROOT, called
from tests.test_page import Elements, record_of
from zoo import list_models
from zoo.looking.attention import Attention
from zoo.looking.page import page as page_of

LOOKS = sorted((ROOT / "docs/looks").glob("*.html"))
ROOMS = sorted({name.split(".")[0] for name in list_models(pretrained=True)})
HOW = "run `python scripts/looks.py docs/looks`"


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    pytest.importorskip("markdown_it", reason="markdown-it-py is not installed (extra `docs`)")
    folder = tmp_path_factory.mktemp("made") / "site"
    build(folder)
    return folder


def test_every_room_has_a_saved_page_of_at_most_two_megabytes():
    assert [path.stem for path in LOOKS] == ROOMS, HOW
    assert all(path.stat().st_size <= 2 * 2**20 for path in LOOKS)


@pytest.mark.parametrize("path", LOOKS, ids=lambda path: path.stem)
def test_a_saved_page_is_made_by_the_scripts_of_today(path):
    today = Elements(page_of(Attention(weights=torch.ones(1, 1, 1, 1)))).scripts[1]
    assert Elements(path.read_text()).scripts[1] == today, HOW


def test_every_link_of_the_site_leads_somewhere(site):
    parsed = {path: Elements(path.read_text()).found for path in site.glob("*.html")}
    names = {path.name: {attributes.get("id") for _, attributes in found} for path, found in parsed.items()}
    followed = 0
    for path, found in parsed.items():
        for tag, attributes in found:
            for key in ("href", "src"):
                link = urlsplit(attributes.get(key, "data:"))
                if link.scheme:
                    assert tag == "a" or link.scheme == "data", f"{path.name} asks for {attributes[key]}"
                    continue
                target = site / unquote(link.path) if link.path else path
                assert target.is_file(), f"{path.name}: {attributes[key]}"
                assert not link.fragment or link.fragment in names[target.name], f"{path.name}: {attributes[key]}"
                followed += 1
    assert followed > 100


def test_the_site_has_every_card_with_its_look(site):
    for path, name in sources().items():
        text = (site / f"{name}.html").read_text()
        elements = Elements(text).found
        headings = [line[2:].strip("# ") for line in path.read_text().splitlines() if line.startswith("# ")]
        assert headings and all(heading.split("`")[0].split("*")[0] in text for heading in headings[:1])
        frames = [attributes["src"] for tag, attributes in elements if tag == "iframe"]
        assert frames == ([f"looks/{name}.html"] if name in ROOMS else [])
        assert text.count('aria-current="page"') == 1 and "<!--" not in text.split("<main>")[1]
    tables = (site / "ram.html").read_text()
    assert "<td>mnist28_7</td>" in tables.replace("<code>", "").replace("</code>", "")


def test_a_folder_that_is_no_site_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    failed = called("pages", str(tmp_path), check=False)
    assert failed.returncode == 1 and "something else than an older site" in failed.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


def test_the_command_makes_it_again(tmp_path):
    pytest.importorskip("markdown_it")
    for _ in range(2):
        assert "index.html: " in called("pages", str(tmp_path / "site")).stdout


def test_a_room_is_looked_at_again(tmp_path):
    assert called("looks", str(tmp_path), "st_rnn").stdout.startswith(str(tmp_path / "st_rnn.html"))
    again, kept = (record_of((folder / "st_rnn.html").read_text()) for folder in (tmp_path, ROOT / "docs/looks"))
    assert again["title"] == kept["title"] and again["samples"][0]["inputs"] == kept["samples"][0]["inputs"], HOW
    assert "nowhere has no released weights" in called("looks", str(tmp_path), "nowhere", check=False).stderr


@pytest.mark.slow
@pytest.mark.xdist_group("browser")
@pytest.mark.parametrize("width", [360, 1200])
def test_every_page_opens(browser, site, width):  # noqa: F811
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=site))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/"
    try:
        with visitor(browser, (address, "data:", "blob:"), viewport={"width": width, "height": 800}) as page:
            for name in sources().values():
                page.goto(f"{address}{name}.html")
                if name in ROOMS:
                    page.frame_locator("iframe").locator(READY).wait_for(state="attached")
                assert page.evaluate("document.documentElement.scrollWidth") <= width, name
            for path in LOOKS:
                page.goto(f"{address}looks/{path.name}")
                page.locator(READY).wait_for(state="attached")
                assert page.evaluate("document.documentElement.scrollWidth") <= width, name
    finally:
        server.shutdown()
        server.server_close()
