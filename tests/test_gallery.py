"""The gallery without a browser: every room is on it, and what cannot be answered is one sentence."""

import base64
import html
import io
import json
import re
import time
import warnings

import numpy as np
import pytest
from PIL import Image

import zoo
from tests.conftest import ROOT, called
from tests.test_page import record_of
from zoo import registry
from zoo.commands.gallery import fields, models, parse
from zoo.commands.gallery.fields import KINDS, LARGEST, asked, first_sample, gathered, read_options, read_picture
from zoo.commands.gallery.models import about, alike, answered, loaded, names, reading, refused, shown
from zoo.errors import ZooError
from zoo.pipelines import InputError, Pipeline

ROOMS = sorted({name.split(".")[0] for name in names()})
ONE_OF_EACH = [next(name for name in names() if name.split(".")[0] == room) for room in ROOMS]
TEXTS = [name for name in names() if "text" in dict(reading(name)[:-1]).values()]


def sent(image: Image.Image, kind: str = "png") -> str:
    """A picture as a browser sends it."""
    data = io.BytesIO()
    image.save(data, kind)
    return f"data:image/{kind};base64,{base64.b64encode(data.getvalue()).decode()}"


def digit(mode: str = "RGBA") -> Image.Image:
    """A one as the pad draws it."""
    array = np.zeros((280, 280, 4), np.uint8)
    array[60:220, 130:152, :3] = 255
    array[..., 3] = 255
    return Image.fromarray(array).convert(mode)


def given_to(name: str) -> dict:
    """What the page would send for a model: its sample, or a digit."""
    found = first_sample(loaded(name))
    return found | {field: sent(digit()) for field, kind in asked(loaded(name)).items() if kind in ("digit", "picture")}


def shown_record(frame: str) -> dict:
    return record_of(html.unescape(re.search(r'srcdoc="([^"]*)"', frame)[1]))


def test_every_room_with_weights_is_there():
    with_weights = {path.parts[-4] for path in (ROOT / "zoo/models").glob("*/weights/*/config.json")}
    assert set(ROOMS) == with_weights


@pytest.mark.parametrize("name", names())
def test_a_model_says_what_it_reads_without_its_weights(name):
    wanted = dict(reading(name)[:-1])
    assert wanted and set(wanted.values()) <= set(KINDS)
    for other in alike(name):
        assert other != name and reading(other) == reading(name) and name in alike(other)
    assert len(about(name)) > 20


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_the_page_shows_what_the_pipeline_answers(name):
    given = given_to(name)
    raw = gathered(asked(loaded(name)), given)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = zoo.pipeline(name)(raw, **({"length": 20} if name == "former.debian_characters" else {}))
    options = "length=20" if name == "former.debian_characters" else ""
    found = shown_record(shown(name, given, options))
    assert found["title"] == expected.title and found["name"] == name
    assert json.dumps(found["samples"]) == json.dumps(record_of(expected.page())["samples"])
    begun = time.perf_counter()
    shown(name, given, options)
    assert time.perf_counter() - begun < 6, "two seconds on a machine that does nothing else"


def test_two_models_stand_side_by_side_where_they_read_the_same():
    assert {"luong.debian_de_en", "transformer.debian_de_en"} <= set(alike("bahdanau.debian_de_en"))
    assert not any("multi30k" in name or "fr_en" in name for name in alike("bahdanau.debian_de_en"))
    assert {"draw.cluttered100_8", "spatial_transformer.r_st_cnn_tps"} <= set(alike("ram.mnist28_7"))
    assert alike("st_rnn.flights_st_rnn") == [] and "draw.mnist_no_attention" in alike("draw.mnist")


def test_a_room_that_says_nothing_is_read_by_its_task():
    class Picture(Pipeline):
        task = "image-to-text"

    class Reader(Pipeline):
        asks = {"passage": "text", "question": "line"}  # noqa: RUF012

    assert asked(Picture) == {"picture": "picture"} and asked(Pipeline) == {"text": "text"}
    assert asked(Reader) == {"passage": "text", "question": "line"}
    raw = {"passage": "A b.", "question": "b?"}
    assert gathered(asked(Reader), raw) == raw
    with pytest.raises(InputError, match="question is missing"):
        gathered(asked(Reader), {"passage": "A b."})


def test_fields_become_raw_inputs():
    wanted = {"visits": "visits", "time": "line", "user": "line?"}
    given = {"visits": "2013-05-01T08:00 ORD\n\n 2013-05-02T08:00  BOS \n", "time": "2013-05-03T08:00", "user": " "}
    visits = [("2013-05-01T08:00", "ORD"), ("2013-05-02T08:00", "BOS")]
    assert gathered(wanted, given) == {"visits": visits, "time": "2013-05-03T08:00"}
    assert gathered({"how many": "number"}, {"how many": 3.0}) == 3
    assert gathered({"text": "text"}, {"text": ""}) == ""
    assert read_options("beam=3, attention=encoder block=null") == {"beam": 3, "attention": "encoder", "block": None}


def test_a_pad_is_grey_and_a_picture_keeps_its_colours():
    assert read_picture(sent(digit())).mode == "L" and read_picture(sent(digit("RGB"))).mode == "L"
    for mode, colour in (("RGB", (9, 9, 8)), ("RGBA", (9, 9, 9, 254))):
        assert read_picture(sent(Image.new(mode, (3, 3), colour))).mode == mode


def refusal(name: str, given: dict, options: str = "") -> str:
    """The sentence in place of an answer: one, in text and not in markup."""
    text = shown(name, given, options)
    told = html.unescape(re.fullmatch(r'<p role="alert" class="refused">([^<>]*)</p>', text)[1])
    assert "\n" not in told and "Traceback" not in told and 5 < len(told) < 400
    return told


HUGE = (
    "data:image/png;base64,"
    + base64.b64encode(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\xff\xff\0\0\xff\xff\x08\x02\0\0\0").decode()
)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, "there is no picture yet"),
        ("", "there is no picture yet"),
        ("x", "not a picture"),
        (3, "not a picture"),
        (["data:"], "not a picture"),
        ("data:text/html;base64,PHNjcmlwdD4=", "not a picture"),
        ("data:image/png;base64,!!!", "not a picture"),
        ("data:image/png;base64,", "not a picture"),
        ("data:image/svg+xml;base64," + base64.b64encode(b"<svg onload='alert(1)'/>").decode(), "not a picture"),
        (HUGE, "picture"),
        (sent(digit())[:600], "not a picture"),
        ("data:image/png;base64," + "A" * (LARGEST * 4 // 3 + 200), "larger than 20 MB"),
        (sent(Image.new("L", (8000, 7000))), "8000 x 7000 pixels"),
        (sent(Image.new("RGBA", (30, 30))), "fully transparent"),
    ],
)
def test_what_is_no_picture_is_refused_in_one_sentence(value, told):
    assert told in refusal("ram.mnist28_7", {"digit": value})


def test_a_picture_of_ten_megabytes_is_answered():
    noise = np.random.default_rng(0).integers(0, 60, (1800, 2000, 3), dtype=np.uint8)
    noise[400:1400, 950:1090] += 190
    picture = sent(Image.fromarray(noise))
    assert len(picture) > 10 * 2**20 * 0.75
    begun = time.perf_counter()
    assert shown_record(shown("ram.mnist28_7", {"digit": picture}))["title"].startswith("1")
    assert time.perf_counter() - begun < 20


@pytest.mark.parametrize("name", sorted({reading(name): name for name in TEXTS}.values()))
@pytest.mark.parametrize("text", ["Ein Spiel " * 1000, "x" * 10_000, "<script>alert(1)</script>", "\0", "\u202e", ""])
def test_any_text_is_answered_or_refused_in_one_sentence(name, text):
    (field,) = asked(loaded(name))
    options = "length=5" if name.endswith("characters") else ""
    found = shown(name, {field: text}, options)
    if found.startswith("<iframe"):
        assert "<script>alert" not in found and shown_record(found)["samples"]
    else:
        assert refusal(name, {field: text}, options)


@pytest.mark.parametrize(
    ("name", "given", "told"),
    [
        ("ram.mnist28_77", {}, "did you mean ram.mnist28_7"),
        ("ram", {}, "there is no model"),
        ("../../etc", {}, "there is no model"),
        (None, {}, "there is no model"),
        (["ram.mnist28_7"], {}, "there is no model"),
        ("draw.mnist", {"how many": 65}, "from 1 to 64"),
        ("draw.mnist", {"how many": 1.5}, "from 1 to 64"),
        ("draw.mnist", {"how many": None}, "from 1 to 64"),
        ("draw.mnist", {"how many": "<b>"}, "from 1 to 64"),
        ("st_rnn.flights_st_rnn", {"visits": "", "time": "2013-05-01T08:00"}, "there are no visits"),
        ("st_rnn.flights_st_rnn", {"visits": "2013-05-01T08:00", "time": "x"}, "expected a time and a place"),
        ("st_rnn.flights_st_rnn", {"visits": "yesterday ORD", "time": "2013-05-01T08:00"}, "no time in ISO 8601"),
        ("st_rnn.flights_st_rnn", {"visits": "2013-05-01T08:00 <b>", "time": "2013-05-02T08:00"}, "no place '<b>'"),
        ("bahdanau.debian_de_en", {"sentence": None}, "sentence is missing"),
        ("bahdanau.debian_de_en", {"sentence": "a" * 100_001}, "at most 100000"),
    ],
)
def test_what_cannot_be_meant_is_told(name, given, told):
    assert told in refusal(name, given)


@pytest.mark.parametrize(
    ("options", "told"),
    [("baem=3", "did you mean beam"), ("beam=0", "beam is 0"), ("beam", "is no option"), ("beam=[", "cannot be read")],
)
def test_options_are_checked(options, told):
    assert told in refusal("bahdanau.debian_de_en", {"sentence": "Ein Spiel."}, options)


def test_options_reach_the_model():
    given = {"sentence": "Dieses Paket enthält ein Spiel."}
    found = shown_record(shown("transformer.debian_de_en", given, "attention=encoder"))["samples"][0]
    assert found["inputs"] == found["outputs"]


def test_a_fault_of_ours_is_told_without_what_it_was(monkeypatch, capsys):
    def fail(*arguments):
        raise RuntimeError("a secret")

    monkeypatch.setattr(models, "answered", fail)
    assert "the model failed" in refusal("ram.mnist28_7", {}) and "secret" not in shown("ram.mnist28_7", {})
    assert "a secret" in capsys.readouterr().err


def test_a_sentence_of_refusal_is_no_markup():
    assert refused("<img src=x>").count("<") == 2


def test_nothing_is_kept_of_what_was_asked():
    answered("former.debian_sections", {"text": "a game"})
    assert models.loaded.cache_info().maxsize == models.MANY and not hasattr(models.answered, "cache_info")


def test_the_words_of_the_command():
    assert parse([]) is None and parse(["port=8000"]) == 8000
    for wrong in (["port=80"], ["port=x"], ["share=true"], ["8000"], ["port=99999"]):
        with pytest.raises(ZooError):
            parse(wrong)
    assert "port=8000" in called("gallery", "--help").stdout
    failed = called("gallery", "prot=1", check=False)
    assert failed.returncode == 1 and failed.stderr.count("\n") == 1


def test_formats_are_those_of_browsers():
    for kind in ("png", "jpeg", "gif", "webp", "bmp", "tiff"):
        assert read_picture(sent(digit("L").convert("RGB"), kind)).size == (280, 280)
    with pytest.raises(InputError):
        read_picture(sent(digit("L"), "ppm"))
    assert fields.PIXELS < Image.MAX_IMAGE_PIXELS
    assert registry.list_models(pretrained=True) == names()
