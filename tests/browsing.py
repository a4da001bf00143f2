"""Debian's Chromium, driven by Playwright, and what it may not do: ask for anything outside, or fail."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
READY = "body[data-ready=yes]"
READ = "willReadFrequently"  # what Chromium says of a canvas whose pixels a test reads


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A fresh browser without a window; the test is skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra `dev`)")
    if CHROMIUM is None:
        pytest.skip("there is no chromium; `apt-get install chromium` brings it")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


@contextmanager
def visitor(browser: Any, allowed: tuple[str, ...] = ("data:", "blob:", "about:"), **context: Any) -> Iterator[Any]:
    """A page of a visitor of their own; at the end nothing outside was asked for, and nothing went wrong on it."""
    context = browser.new_context(**{"viewport": {"width": 1100, "height": 900}, **context})
    page, wrong = context.new_page(), []
    page.on("request", lambda asked: None if asked.url.startswith(allowed) else wrong.append(f"asked for {asked.url}"))
    page.on(
        "console",
        lambda said: wrong.append(said.text) if said.type in ("error", "warning") and READ not in said.text else None,
    )
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: (wrong.append("a dialog"), dialog.dismiss()))
    try:
        yield page
        assert not wrong, wrong
    finally:
        context.close()


@contextmanager
def opened(browser: Any, file: Path, **context: Any) -> Iterator[Any]:
    """A saved page, when all of it is drawn."""
    with visitor(browser, ("data:", "blob:", file.as_uri()), **context) as page:
        page.goto(file.as_uri())
        page.locator(READY).wait_for(state="attached")
        yield page
