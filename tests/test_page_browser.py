"""The page of a record in a real browser: what it shows are the record's numbers, by pointer, keys and table."""

import json
import time

import numpy as np
import pytest
import torch
from PIL import Image

import zoo
from tests.browsing import browser, opened, visitor  # noqa: F401
from tests.test_page import HOSTILE, grid
from tests.test_plots import path
from zoo.looking.attention import Attention
from zoo.looking.page import page, save
from zoo.models.draw.pipeline import Paintings
from zoo.pipelines import Label

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]


def words(heads: int = 6, outputs: int = 4, inputs: int = 5, layers: int = 2) -> Attention:
    weights = torch.rand(1, heads, outputs, inputs, generator=torch.Generator().manual_seed(0)).pow(3)
    names = [f"read{i}" for i in range(inputs)], [f"said{o}" for o in range(outputs)]
    weights = weights / weights.sum(-1, keepdim=True)
    return Attention(weights=weights, inputs=[names[0]], outputs=[names[1]], layers=layers)


@pytest.fixture
def file(tmp_path):
    """A function from a record, or a result, to the file of its page."""

    def write(shown) -> object:
        save(
            page(shown, "an answer", "a model") if isinstance(shown, Attention) else shown.page(),
            tmp_path / "look.html",
        )
        return tmp_path / "look.html"

    return write


def group(look, label: str):
    """The words of one side."""
    return look.get_by_role("group", name=label, exact=True).get_by_role("button")


def numbers(words) -> list[float]:
    return [float(text) for text in words.locator("small").all_inner_texts() if text]


def pixels(look, canvas: int) -> np.ndarray:
    """(height, width, 4) of a canvas, by its place on the page."""
    found = (
        look.locator("canvas")
        .nth(canvas)
        .evaluate("(c) => [c.width, c.height, ...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]")
    )
    return np.array(found[2:]).reshape(found[1], found[0], 4)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1100])
def test_every_kind_of_record_opens_in_light_and_dark_on_a_phone_and_a_screen(browser, file, scheme, width):  # noqa: F811
    for record in (words(), words(1, layers=1), grid(), grid(1), path(3), draw(2), lattice().attention):
        with opened(
            browser, file(record), color_scheme=scheme, viewport={"width": width, "height": 700}, has_touch=width < 400
        ) as look:
            assert look.evaluate("document.documentElement.scrollWidth") <= width
            assert look.locator("h1").inner_text() == "an answer"
            unnamed = look.evaluate(
                "Array.from(document.querySelectorAll('button, select, input, canvas, svg, [role=group], [role=img]'))"
                ".filter((e) => !(e.ariaLabel || e.textContent.trim() || e.ariaHidden === 'true')).length"
            )
            assert unnamed == 0, "what a screen reader could not name"


def test_pointing_at_a_word_shows_the_weights_of_its_row_and_column(browser, file):  # noqa: F811
    record = words()
    mean = record.weights[0].mean(0)
    with opened(browser, file(record)) as look:
        said, read = group(look, "what it says"), group(look, "what it reads")
        for output in (2, 0, 3):
            said.nth(output).hover()
            assert numbers(read) == pytest.approx(mean[output].tolist(), abs=0.008) and not numbers(said)
            best = int(mean[output].argmax())
            assert look.get_by_role("status").inner_text().startswith(f"said{output} looks at: read{best} ")
            lit = [
                float(each) for each in read.evaluate_all("(e) => e.map((w) => w.style.getPropertyValue('--share'))")
            ]
            assert lit == pytest.approx((mean[output] / mean[output].max()).tolist(), abs=0.01)
        read.nth(1).hover()
        assert numbers(said) == pytest.approx(mean[:, 1].tolist(), abs=0.008) and not numbers(read)


def test_layers_and_heads_are_chosen(browser, file):  # noqa: F811
    record = words()
    with opened(browser, file(record)) as look:
        look.get_by_role("button", name="layer 2, head 2").click()
        assert look.locator(".heads [aria-pressed=true]").inner_text() == "layer 2, head 2"
        group(look, "what it says").nth(1).hover()
        assert numbers(group(look, "what it reads")) == pytest.approx(record.weights[0, 4, 1].tolist(), abs=0.008)


def test_the_keys_move_through_words_and_keep_one(browser, file):  # noqa: F811
    record = words(1, layers=1)
    with opened(browser, file(record)) as look:
        said, read = group(look, "what it says"), group(look, "what it reads")
        focused = "document.activeElement.firstChild.textContent"
        look.keyboard.press("Tab")
        found = [look.evaluate(focused)]
        for _ in range(8):
            look.keyboard.press("Tab")
            found.append(look.evaluate(focused))
        assert found == record.outputs[0] + record.inputs[0]
        said.nth(0).focus()
        look.keyboard.press("ArrowRight")
        assert look.evaluate(focused) == "said1"
        assert numbers(read) == pytest.approx(record.weights[0, 0, 1].tolist(), abs=0.008)
        look.keyboard.press("Enter")
        said.nth(3).hover()
        assert numbers(read) == pytest.approx(record.weights[0, 0, 1].tolist(), abs=0.008), "it stays"
        look.keyboard.press("Escape")
        said.nth(2).hover()
        assert numbers(read) == pytest.approx(record.weights[0, 0, 2].tolist(), abs=0.008)


def test_the_matrix_answers_to_the_pointer(browser, file):  # noqa: F811
    record = words(1, layers=1)
    with opened(browser, file(record)) as look:
        canvas = look.get_by_role("img", name="the alignment as a matrix")
        box = canvas.bounding_box()
        look.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] * 2.5 / 4)
        assert look.get_by_role("status").inner_text().startswith("said2 looks at")
        shares = pixels(look, 0)[..., 3] / 255
        np.testing.assert_allclose(shares**2, record.weights[0, 0] / record.weights.max(), atol=0.02)


@pytest.mark.parametrize("size", [5, 80])
def test_a_table_behind_it_has_the_numbers(browser, file, size):  # noqa: F811
    record = words(1, 4, size, 1) if size == 5 else words(1, 80, 80, 1)
    with opened(browser, file(record)) as look:
        assert look.locator("td").count() == 0, "which is made when it is opened"
        look.get_by_text("Table of the weights").click()
        look.locator("td").first.wait_for()
        rows = look.evaluate(
            "Array.from(document.querySelectorAll('tbody tr'), (r) => Array.from(r.cells, (c) => c.textContent))"
        )
        weights = record.weights[0, 0]
        assert [row[0] for row in rows] == record.outputs[0]
        if size == 5:
            assert [list(map(float, row[1:])) for row in rows] == [
                pytest.approx(w.tolist(), abs=0.008) for w in weights
            ]
        else:
            best = weights.topk(5)
            assert [float(row[1].split()[1]) for row in rows] == pytest.approx(best.values[:, 0].tolist(), abs=0.001)
            assert rows[3][1].split()[0] == f"read{int(best.indices[3, 0])}"


def test_markup_in_words_stays_text(browser, file):  # noqa: F811
    names = HOSTILE[:5]
    record = Attention(weights=torch.full((1, 1, 5, 5), 0.2), inputs=[names], outputs=[names])
    with opened(browser, file(record)) as look:
        found = look.evaluate("Array.from(document.querySelectorAll('.word'), (each) => each.firstChild.textContent)")
        assert found == 2 * names and look.locator("img").count() == 0


def test_four_hundred_words_open_in_under_two_seconds(browser, file):  # noqa: F811
    names = [f"word{i}" for i in range(400)]
    weights = torch.rand(1, 1, 400, 400, generator=torch.Generator().manual_seed(0)).softmax(-1)
    written = file(Attention(weights=weights, inputs=[names], outputs=[names]))
    begun = time.perf_counter()
    with opened(browser, written) as look:
        assert time.perf_counter() - begun < 2
        look.get_by_role("button", name="word7", exact=True).first.focus()
        assert numbers(group(look, "what is looked at")) == pytest.approx(weights[0, 0, 7].tolist(), abs=1e-4)


def test_a_picture_shows_where_a_word_looked_and_a_place_which_words_looked_there(browser, file):  # noqa: F811
    record = grid(1)
    with opened(browser, file(record)) as look:
        said = group(look, "what it says")
        assert said.evaluate_all("(e) => e.map((w) => w.firstChild.textContent)") == ["a", "red", "dog"]
        said.nth(2).hover()
        cell = int(record.weights[0, 0, 2].argmax())
        place = f"dog looks most at row {cell // 4 + 1} of 3, column {cell % 4 + 1} of 4: "
        assert look.get_by_role("status").inner_text().startswith(place)
        box = look.get_by_role("img", name="the picture, lit").bounding_box()
        look.mouse.move(box["x"] + box["width"] * 1.5 / 4, box["y"] + box["height"] * 2.5 / 3)
        assert numbers(said) == pytest.approx(record.weights[0, 0, :, 9].tolist(), abs=0.008)
        look.get_by_role("slider").press("Home")
        assert look.get_by_role("slider").get_attribute("aria-valuetext") == "1 of 3: a"


def test_a_path_plays_step_by_step_with_what_was_seen(browser, file):  # noqa: F811
    record = path()
    with opened(browser, file(Label(record, 1, [0.2, 0.8]))) as look:
        slider = look.get_by_role("slider")
        assert slider.get_attribute("aria-valuetext") == "step 3 of 3"
        slider.press("Home")
        for step in range(3):
            for window in range(2):
                seen = pixels(look, 1 + window)[..., 0]
                np.testing.assert_allclose(seen, record.views[0, step, window] * 255, atol=0.51)
            slider.press("ArrowRight")
        look.locator(".strip button").nth(1).click()
        assert look.locator("[aria-current=step]").inner_text() == "2" and slider.input_value() == "1"
        slider.press("Home")
        look.get_by_role("button", name="Play").click()
        look.locator("[aria-current=step]", has_text="3").wait_for()
        look.get_by_role("button", name="Play").wait_for()
        look.get_by_text("Table of the windows").click()
        cells = look.locator("tbody tr").nth(1).locator("td").all_inner_texts()
        assert list(map(float, cells)) == pytest.approx(record.boxes[0, 1, 0].tolist(), abs=0.05)


def draw(count: int) -> Attention:
    random = torch.Generator().manual_seed(0)
    frames = torch.rand(count, 5, 1, 8, 8, generator=random)
    boxes = torch.tensor([2.0, 2, 6, 6]).expand(count, 5, 1, 4)
    return Attention(boxes=boxes, frames=frames, images=frames[:, -1])


def test_paintings_play_together(browser, file):  # noqa: F811
    record = draw(3)
    with opened(browser, file(Paintings(record, 3, 0))) as look:
        look.get_by_role("slider").press("Home")
        look.get_by_role("slider").press("ArrowRight")
        for sample in range(3):
            shown = pixels(look, sample)
            side = shown.shape[0] / 8
            assert shown[int(side / 2), int(side / 2), 0] == pytest.approx(
                255 * float(record.frames[sample, 1, 0, 0, 0]), abs=1
            )
            assert tuple(shown[int(2 * side), int(4 * side), :3]) == (255, 106, 61), "the window's line"


def lattice():
    digit = torch.zeros(42, 42)
    digit[8:34, 18:24] = 1
    digit[8:12, 10:24] = 1
    return zoo.pipeline("spatial_transformer.rts_st_cnn_tps")(digit.numpy(), tidy=False)


def test_a_lattice_bends_and_what_is_read_along_it_is_what_the_network_read(browser, file):  # noqa: F811
    result = lattice()
    with opened(browser, file(result)) as look:
        assert look.get_by_role("slider").get_attribute("aria-valuetext") == "bent by 100 %"
        np.testing.assert_allclose(pixels(look, 1)[..., 0], result.attention.views[0, 0, 0] * 255, atol=2)
        look.get_by_role("slider").press("Home")
        np.testing.assert_allclose(pixels(look, 1)[..., 0], result.attention.images[0, 0] * 255, atol=2)


def test_the_page_keeps_itself(browser, file):  # noqa: F811
    written = file(words())
    with opened(browser, written) as look:
        with look.expect_download() as download:
            look.get_by_role("button", name="Save this page").click()
        kept = download.value.path()
        again = written.with_name("again.html")
        again.write_bytes(kept.read_bytes())
        record = json.loads(look.locator("#record").text_content())
    with opened(browser, again) as look:
        assert json.loads(look.locator("#record").text_content()) == record


def test_a_notebook_does_not_change_it_and_it_does_not_change_the_notebook(browser, tmp_path):  # noqa: F811
    around = "<style>button { display: none } p { color: red }</style><p id=mine>mine</p>"
    shown = Label(path(), 1, [0.2, 0.8])._repr_html_()
    (tmp_path / "notebook.html").write_text(f"<!doctype html><meta charset=utf-8>{around}{shown}")
    url = (tmp_path / "notebook.html").as_uri()
    with visitor(browser, ("data:", "blob:", "about:", url)) as notebook:
        notebook.goto(url)
        inner = notebook.frame_locator("iframe")
        inner.get_by_role("button", name="Play").click()
        assert not notebook.locator("img").is_visible()
        notebook.get_by_text("as a picture").click()
        notebook.locator("img").wait_for(state="visible")
        notebook.screenshot(path=tmp_path / "notebook.png")
        assert min(Image.open(tmp_path / "notebook.png").size) > 500
        assert (
            inner.locator("body").evaluate("() => { try { return parent.document.title } catch { return 'no' } }")
            == "no"
        )
