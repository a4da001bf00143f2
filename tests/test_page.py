"""The page of a record: what it holds, that it holds nothing else, and that names stay names."""

import base64
import hashlib
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from PIL import Image

import zoo
from tests.conftest import ROOT, called, last_json
from tests.test_plots import alignment, path
from zoo.looking.attention import Attention
from zoo.looking.packing import LINES, pack_weights, packed, sheet, side
from zoo.looking.page import SANDBOX, as_data, frame, height_of, in_notebook, page, save
from zoo.pipelines import Label, Result

HOSTILE = ["</script><script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "<!--", "\u2028", "&lt;", "\ud800"]


class Elements(HTMLParser):
    """The elements of a page with their attributes, and the text of its scripts."""

    def __init__(self, text: str):
        super().__init__()
        self.found, self.scripts, self.within = [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self.within = tag == "script"
        self.scripts += [""] * self.within

    def handle_endtag(self, tag):
        self.within = False

    def handle_data(self, data):
        if self.within:
            self.scripts[-1] += data


def record_of(text: str) -> dict:
    return json.loads(Elements(text).scripts[0])


def grid(heads: int = 2, outputs: int = 3) -> Attention:
    """Weights over 3 x 4 cells of a coloured picture."""
    random = torch.Generator().manual_seed(0)
    weights = torch.rand(1, heads, outputs, 12, generator=random).softmax(-1)
    images = torch.rand(1, 3, 30, 40, generator=random)
    return Attention(weights=weights, grid=(3, 4), images=images, outputs=[["a", "red", "dog"][:outputs]])


def decoded(found: dict) -> np.ndarray:
    """Weights as the page's scripts read them."""
    data = np.frombuffer(base64.b64decode(found["data"]), np.uint8).reshape(found["shape"])
    scales = np.frombuffer(base64.b64decode(found["scales"]), "<f4").reshape(found["shape"][:2])
    return data / 255 * scales[..., None]


def picture(src: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(src.split(",")[1]))))


def test_a_weight_is_known_to_half_a_255th_of_the_largest_of_its_row():
    weights = torch.rand(3, 5, 7, generator=torch.Generator().manual_seed(0)).pow(6)
    weights[1, 2] = 0
    found = pack_weights(weights, 3)
    error = np.abs(decoded(found) - weights.numpy())
    assert found["layers"] == 3 and (error <= weights.numpy().max(-1, keepdims=True) / 510 + 1e-7).all()
    np.testing.assert_allclose(decoded(found).max(-1), weights.numpy().max(-1), rtol=1e-6)
    assert not decoded(found)[1, 2].any()


def test_weights_that_are_no_numbers_are_nothing():
    found = decoded(pack_weights(torch.tensor([[[torch.nan, 0.5]]])))
    assert found.tolist() == [[[0, 0.5]]]


@pytest.mark.parametrize(
    ("names", "shown", "gaps"),
    [
        (["▁Ein", "▁Sp", "iel", "."], ["Ein", "Sp", "iel", "."], [True, True, False, False]),
        (["Ein</w>", "Sp", "iel</w>", "."], ["Ein", "Sp", "iel", "."], [True, True, False, True]),
        (["one", "word"], ["one", "word"], [True, True]),
        (["a", " ", "\n"], ["a", "␣", "⏎"], [False] * 3),
        (["ORD, 9 h ago"], ["ORD, 9 h ago"], [True]),
    ],
)
def test_pieces_of_words_stand_close(names, shown, gaps):
    assert side([names], len(names)) == {"names": shown, "gaps": gaps}


def test_without_names_there_are_numbers():
    assert side([], 3)["names"] == ["1", "2", "3"]


@pytest.mark.parametrize(("count", "channels"), [(1, 3), (7, 1), (64, 1)])
def test_every_picture_of_a_sheet_is_where_the_scripts_look_for_it(count, channels):
    pictures = torch.rand(count, channels, 5, 6, generator=torch.Generator().manual_seed(count))
    found = sheet(pictures)
    pixels = picture(found["src"]).reshape(-1, found["columns"] * 6, channels)
    for index in range(count):
        row, column = divmod(index, found["columns"])
        tile = pixels[row * 5 : row * 5 + 5, column * 6 : column * 6 + 6].transpose(2, 0, 1)
        np.testing.assert_array_equal(tile, (pictures[index] * 255).round().to(torch.uint8).numpy())


def test_a_picture_of_two_channels_is_refused():
    with pytest.raises(ValueError, match="2 channels"):
        sheet(torch.rand(1, 2, 4, 4))


def test_a_record_is_kept_whole():
    (one,) = packed(replace(path(), outputs=[["x", "y", "z"]]))
    assert one["boxes"] == path().boxes[0].tolist() and one["outputs"]["names"] == ["x", "y", "z"]
    views = picture(one["views"]["src"])  # of step 1 the second window is tile 3
    column = one["views"]["columns"]
    tile = views[3 // column * 4 : 3 // column * 4 + 4, 3 % column * 4 : 3 % column * 4 + 4]
    np.testing.assert_array_equal(tile, (path().views[0, 1, 1] * 255).round().to(torch.uint8).numpy())
    first, second = packed(alignment())
    assert first["inputs"]["names"] == ["a"] and first["weights"]["shape"] == [1, 1, 1]
    np.testing.assert_allclose(decoded(second["weights"])[0], alignment().weights[1, 0, :2, :3], atol=2e-3)
    (seen,) = packed(grid())
    assert seen["grid"] == [3, 4] and "inputs" not in seen and picture(seen["image"]["src"]).shape == (30, 40, 3)


def test_a_large_lattice_keeps_its_border():
    lattices = torch.rand(1, 2, 100, 90, 2)
    record = Attention(boxes=torch.zeros(1, 2, 1, 4), images=torch.zeros(1, 1, 9, 9), lattices=lattices)
    (one,) = packed(record)
    assert one["lattices"]["shape"] == [2, LINES, LINES]
    kept = np.frombuffer(base64.b64decode(one["lattices"]["data"]), "<f4").reshape(2, LINES, LINES, 2)
    np.testing.assert_array_equal(kept[:, [0, -1]][:, :, [0, -1]], lattices[0].numpy()[:, [0, -1]][:, :, [0, -1]])


@pytest.mark.parametrize("record", [alignment(), path(3), grid()], ids=["words", "path", "grid"])
def test_a_page_asks_for_nothing(record):
    text = page(record, "an answer")
    elements = Elements(text)
    for tag, attributes in elements.found:
        assert tag not in ("img", "iframe", "object", "embed", "base", "form"), tag
        for name in ("src", "href", "action", "data", "srcset"):
            assert attributes.get(name, "data:").startswith("data:"), (tag, attributes)
    script = elements.scripts[1]
    assert not re.search(r"fetch\(|XMLHttpRequest|WebSocket|import\(|sendBeacon|localStorage|innerHTML|eval\(", script)
    assert set(re.findall(r"\w+://[^\s\"']*", text)) <= {"http://www.w3.org/2000/svg"}, "which is a name"
    assert "url(" not in text and "@import" not in text
    (policy,) = (a["content"] for t, a in elements.found if a.get("http-equiv") == "Content-Security-Policy")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.startswith("default-src 'none'") and f"script-src 'sha256-{digest}'" in policy


def test_names_and_answers_are_data_and_never_markup():
    weights = torch.full((1, 1, len(HOSTILE), len(HOSTILE)), 1 / len(HOSTILE))
    record = Attention(weights=weights, inputs=[HOSTILE], outputs=[HOSTILE])
    plain, text = page(record), page(record, HOSTILE[0], HOSTILE[1], {HOSTILE[0]: HOSTILE[1]}, {HOSTILE[1]: 0.5})
    assert [tag for tag, _ in Elements(plain).found] == [tag for tag, _ in Elements(text).found]
    found = record_of(text)
    assert found["samples"][0]["inputs"]["names"][:5] == HOSTILE[:5] and found["title"] == HOSTILE[0]
    text.encode()  # half a surrogate pair too


def test_data_is_json_that_ends_no_element():
    value = {"</script>": [*HOSTILE[:5], 1.5, None]}
    assert json.loads(as_data(value)) == value and not set("<>&\u2028") & set(as_data(value))


def test_pages_are_small():
    random = torch.Generator().manual_seed(0)
    weights = torch.rand(1, 48, 100, 100, generator=random).softmax(-1)
    assert len(page(Attention(weights=weights, layers=6))) < 1_000_000
    assert len(page(alignment())) - len(page(Attention(weights=torch.ones(1, 1, 1, 1)))) < 3000


def test_the_colours_can_be_read():
    """Contrasts of text by the formula of WCAG 2, at least 4.5 in the light and in the dark."""

    def luminance(colour):
        share = [value / 255 for value in colour]
        linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in share]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    def contrast(a, b):
        low, high = sorted((luminance(a), luminance(b)))
        return (high + 0.05) / (low + 0.05)

    css = (ROOT / "zoo/looking/web/page.css").read_text()
    for block in re.findall(r":root \{(.*?)\}", css, re.DOTALL):
        hexes = {k: [int(v[i : i + 2], 16) for i in (0, 2, 4)] for k, v in re.findall(r"--(\w+): #(\w{6})", block)}
        lit = [int(each) for each in re.search(r"--lit: ([\d, ]+)", block)[1].split(",")]
        for ink in ("ink", "quiet", "mark"):
            assert contrast(hexes[ink], hexes["ground"]) >= 4.5, ink
        for share in (0, 0.25, 0.5, 0.75, 1):
            word = [a * share + b * (1 - share) for a, b in zip(lit, hexes["ground"], strict=True)]
            assert contrast(hexes["ink"], word) >= 4.5, share


def result() -> Label:
    return Label(path(), 1, [0.25, 0.75], ["padded to 20 x 20"])


def test_a_result_is_saved_as_a_page(tmp_path):
    result().save(tmp_path / "look.html")
    found = record_of((tmp_path / "look.html").read_text())
    assert found["title"] == "1 (75.0%)" and found["bars"] == [["1", 0.75], ["0", 0.25]]
    assert found["facts"] == [["told", "padded to 20 x 20"]] and list(tmp_path.iterdir()) == [tmp_path / "look.html"]
    with pytest.raises(FileNotFoundError):
        result().save(tmp_path / "nowhere" / "look.html")


def test_a_save_that_fails_leaves_the_old_file(tmp_path):
    (tmp_path / "look.html").write_text("old")
    with pytest.raises(UnicodeEncodeError):
        save("\ud800", tmp_path / "look.html")
    assert [file.read_text() for file in tmp_path.iterdir()] == ["old"]


def test_a_notebook_shows_a_page_in_a_frame_after_a_folded_picture():
    html = result()._repr_html_()
    elements = Elements(html).found
    assert [tag for tag, _ in elements] == ["details", "summary", "img", "iframe"]
    attributes = elements[-1][1]
    assert attributes["sandbox"] == SANDBOX == "allow-scripts allow-downloads" and "open" not in elements[0][1]
    assert record_of(attributes["srcdoc"])["title"] == "1 (75.0%)"
    assert picture(elements[2][1]["src"]).ndim == 3
    assert frame('"><script>', 10).count("<") == 2 and "<img" not in in_notebook("", None, 10)


def test_a_record_that_cannot_be_shown_is_not():
    strange = replace(path(), images=torch.zeros(1, 2, 10, 20))
    assert Result(strange)._repr_html_() is None
    with pytest.raises(ValueError, match="2 channels"):
        Result(strange).page()


def test_heights_are_of_screens():
    assert 300 < height_of(alignment()) < 700 < height_of(path()) <= 1000
    assert height_of(Attention(weights=torch.rand(1, 1, 400, 400))) == 1000


def test_a_place_is_on_the_map():
    pipe = zoo.pipeline("st_rnn.flights_st_rnn")
    answer = pipe(pipe.samples[0])
    found = record_of(answer.page())["samples"][0]["places"]
    names = [name.split(",")[0] for name in answer.attention.inputs[0]] + [answer.place]
    assert found == [pytest.approx(pipe.coordinates[pipe.places[name]].tolist(), abs=1e-4) for name in names]


def test_the_command_writes_a_page(tmp_path):
    file = tmp_path / "look.html"
    done = called("predict", "name=ram.mnist28_7", "input=examples/digit.png", f"output={file}")
    assert last_json(done.stdout)["output"] == str(file)
    assert record_of(file.read_text())["title"].startswith("7 (")
