"""The gallery in a real browser: each room is opened and used, and its answer is the pipeline's."""

import os
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import zoo
from tests.browsing import READY, browser, visitor  # noqa: F401
from zoo.commands.gallery.fields import asked, first_sample, gathered, read_picture
from zoo.commands.gallery.models import loaded, names

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser"), pytest.mark.timeout(900)]
SHOTS = os.environ.get("ZOO_SHOTS")  # a folder that screenshots are left in, to be looked at


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A gallery that runs, and leaves nothing behind."""
    pytest.importorskip("gradio", reason="gradio is not installed (extra `app`)")
    kept = tmp_path_factory.mktemp("kept")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
        patch.setenv("GRADIO_TEMP_DIR", str(kept))
        from zoo.commands.gallery.app import launch

        demo, found = launch(None, wait=False)
        yield found
        demo.close()
    assert [file for file in kept.rglob("*") if file.is_file()] == [], "nothing that was sent is stored"


@pytest.fixture
def visit(browser, address):  # noqa: F811
    """A function that opens the gallery for a visitor of their own, who asks for nothing outside."""

    def open_it(query: str = "", **context):
        return visitor(browser, (address, "data:", "blob:", "about:"), **context), f"{address}{query}"

    return open_it


def shot(page, name: str) -> None:
    if SHOTS:
        page.wait_for_timeout(400)
        page.screenshot(path=Path(SHOTS) / f"{name}.png", full_page=True)


def answer(page, place: int = 0):
    """The frame of an answer, when all of it is drawn."""
    found = page.frame_locator(f"#answer{place} iframe")
    found.locator(READY).wait_for(state="attached", timeout=60_000)
    return found


def title_of(name: str, raw, **options) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return zoo.pipeline(name)(raw, **options).title or "Where the model looked"


@pytest.mark.parametrize("name", names())
def test_a_model_is_opened_used_and_answers_as_its_pipeline(name, visit):
    page_of, url = visit(f"?name={name}")
    fields = asked(loaded(name))
    with page_of as page:
        page.goto(url)
        kinds = set(fields.values())
        if "digit" in kinds:
            page.locator("#digit canvas").wait_for()
            page.get_by_role("button", name="Example").click()
            page.get_by_text("An example of 7.").wait_for()
            raw = read_picture(page.locator("#digit canvas").evaluate("(canvas) => canvas.toDataURL('image/png')"))
        else:
            first = {"text": "#text0", "number": "#number", "visits": "#visits"}[next(iter(fields.values()))]
            page.locator(first).locator("textarea, input").first.wait_for()
            page.wait_for_function(
                "(at) => document.querySelector(at).value !== ''", arg=f"{first} textarea, {first} input"
            )
            raw = gathered(fields, first_sample(loaded(name)))
        page.locator("#look").click()
        assert answer(page).locator("h1").inner_text() == title_of(name, raw)
        assert answer(page).locator(".name").inner_text() == name
        shot(page, name)


def test_a_link_opens_with_its_input_and_two_models_side_by_side(visit):
    sentence = "Dieses Paket enthält ein Spiel."
    page_of, url = visit(f"?name=bahdanau.debian_de_en&text={sentence}&beside=transformer.debian_de_en")
    with page_of as page:
        page.goto(url)
        for place, name in enumerate(("bahdanau.debian_de_en", "transformer.debian_de_en")):
            assert answer(page, place).locator("h1").inner_text() == title_of(name, sentence)
            assert answer(page, place).locator(".name").inner_text() == name
        assert page.locator("#text0 textarea").input_value() == sentence
        href = page.get_by_role("link", name="link to this").get_attribute("href")
        shot(page, "two")
        page.goto(re.sub(r"\?.*", "", url) + href)
        assert answer(page, 1).locator(".name").inner_text() == "transformer.debian_de_en"


def test_a_link_to_what_is_not_there_says_so(visit):
    page_of, url = visit("?name=ram.mnist28_77&text=<b>x</b>")
    with page_of as page:
        page.goto(url)
        page.get_by_role("alert").get_by_text("did you mean ram.mnist28_7").wait_for()


def test_another_model_asks_for_its_own_input(visit):
    page_of, url = visit()
    with page_of as page:
        page.goto(url)
        page.locator("#digit canvas").wait_for()
        page.locator("#name input").click()
        page.get_by_role("option", name="former.debian_sections").click()
        page.get_by_label("text", exact=True).wait_for()
        page.locator("#digit canvas").wait_for(state="hidden")
        page.get_by_label("text", exact=True).fill("a game for children")
        page.locator("#look").click()
        assert answer(page).locator("h1").inner_text() == title_of("former.debian_sections", "a game for children")


def test_a_digit_is_drawn_with_the_pointer(visit):
    page_of, url = visit("?name=ram.mnist28_7")
    with page_of as page:
        page.goto(url)
        pad = page.locator("#digit canvas")
        pad.wait_for()
        page.wait_for_timeout(500)
        box = pad.bounding_box()
        page.mouse.move(box["x"] + 140, box["y"] + 50)
        page.mouse.down()
        page.mouse.move(box["x"] + 138, box["y"] + 230, steps=8)
        page.mouse.up()
        page.get_by_text("Drawn.").wait_for()
        page.locator("#look").click()
        assert answer(page).locator("h1").inner_text().startswith("1 (")


def test_files_are_answered_or_refused_and_nothing_of_them_runs(visit, tmp_path):
    noise = np.random.default_rng(0).integers(0, 60, (1800, 2000, 3), dtype=np.uint8)
    noise[400:1400, 950:1090] += 190
    Image.fromarray(noise).save(tmp_path / "large.png")
    (tmp_path / "broken.png").write_bytes((tmp_path / "large.png").read_bytes()[:5000])
    (tmp_path / "script.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>")
    (tmp_path / "too_large.png").write_bytes(bytes(21 * 2**20))
    assert (tmp_path / "large.png").stat().st_size > 7 * 2**20
    page_of, url = visit("?name=ram.mnist28_7")
    with page_of as page:
        page.goto(url)
        chooser = page.locator("#digit input[type=file]")
        chooser.wait_for()
        page.wait_for_timeout(500)
        for name, told in (("broken.png", "not a picture that can be read"), ("script.svg", "not a picture")):
            chooser.set_input_files(tmp_path / name)
            page.get_by_text(f"The file {name}.").wait_for()
            page.locator("#look").click()
            page.get_by_role("alert").get_by_text(told).wait_for()
        chooser.set_input_files(tmp_path / "too_large.png")
        page.get_by_text("larger than 20 MB").wait_for()
        chooser.set_input_files(tmp_path / "large.png")
        page.get_by_text("The file large.png.").wait_for()
        page.locator("#look").click()
        assert answer(page).locator("h1").inner_text().startswith("1 (")


def test_markup_in_a_sentence_stays_text(visit):
    sentence = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
    page_of, url = visit("?name=luong.debian_de_en")
    with page_of as page:
        page.goto(url)
        page.locator("#text0 textarea").wait_for()
        page.wait_for_timeout(800)
        page.locator("#text0 textarea").fill(sentence)
        page.locator("#look").click()
        found = answer(page)
        read = found.locator(".words").nth(1).get_by_role("button")
        assert "script" in "".join(read.evaluate_all("(words) => words.map((word) => word.firstChild.textContent)"))
        assert found.locator("main img").count() == 0
        page.locator("#text0 textarea").fill("Ein Spiel " * 1000)
        page.locator("#look").click()
        page.get_by_role("alert").get_by_text("at most 500").wait_for()


def test_two_visitors_at_once_get_their_own_answers(visit):
    (one_of, url), (other_of, _) = visit("?name=bahdanau.debian_de_en"), visit()
    sentences = {"one": "Dieses Paket enthält ein Spiel.", "other": "Werkzeuge für Entwickler"}
    with one_of as one, other_of as other:
        for page in (one, other):
            page.goto(url)
            page.locator("#text0 textarea").wait_for()
        one.wait_for_timeout(800)
        for page, sentence in zip((one, other), sentences.values(), strict=True):
            page.locator("#text0 textarea").fill(sentence)
        for page in (one, other):
            page.locator("#look").click()
        for page, sentence in zip((one, other), sentences.values(), strict=True):
            assert answer(page).locator("h1").inner_text() == title_of("bahdanau.debian_de_en", sentence)


def test_a_click_on_the_map_adds_a_visit(visit):
    page_of, url = visit("?name=st_rnn.flights_st_rnn")
    with page_of as page:
        page.goto(url)
        dots = page.locator("#visits circle")
        dots.first.wait_for()
        page.wait_for_function("document.querySelector('#visits textarea').value !== ''")
        before = page.locator("#visits textarea").input_value()
        dots.nth(60).click()
        added = page.locator("#visits textarea").input_value().removeprefix(before + "\n")
        time, place = added.split(" ")
        assert place in loaded("st_rnn.flights_st_rnn").places and time == "2013-05-03T08:00"
        page.locator("#look").click()
        assert place in answer(page).get_by_role("group", name="what it reads").inner_text()


@pytest.mark.parametrize("width", [360, 1100])
def test_it_fits_a_phone_in_the_dark(visit, width):
    page_of, url = visit("?name=transformer.debian_de_en&text=Ein Spiel.", color_scheme="dark",
                         viewport={"width": width, "height": 800})  # fmt: skip
    with page_of as page:
        page.goto(url)
        answer(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        shot(page, f"dark{width}")
