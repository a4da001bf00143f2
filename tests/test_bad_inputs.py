"""Bad inputs get one sentence each, the one that tests/bad_inputs/log.jsonl has; and random inputs an answer or one.

After a change of what is told, `python -m tests.bad_inputs.record` writes the log again; read what changed.
"""

import contextlib
import json
import string
import warnings

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import zoo
from tests.bad_inputs.cases import TINY, all_cases
from tests.bad_inputs.record import LOG, told
from zoo import release
from zoo.errors import ZooError
from zoo.models.ram import RAM
from zoo.pipelines import InputError

LOGGED = [json.loads(line) for line in LOG.read_text().splitlines()]
FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def test_the_log_has_many_inputs_and_no_traceback():
    assert len({each["input"] for each in LOGGED}) >= 450
    assert not any("TRACEBACK" in each["told"] for each in LOGGED)


def test_every_bad_input_is_told_what_the_log_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wrong, found = [], []
    expected = {each["input"]: each["told"] for each in LOGGED}
    for case in all_cases(tmp_path):
        name = case[0].replace(str(tmp_path), "<tmp>")
        found.append(name)
        said = told(case, tmp_path)
        if "\n" in said or said != expected.get(name):
            wrong.append(f"{name}\n    told      {said}\n    expected  {expected.get(name)}")
    assert not wrong, "\n".join(wrong)
    assert sorted(found) == sorted(each["input"] for each in LOGGED)


@pytest.fixture(scope="module")
def look(tmp_path_factory):
    torch.manual_seed(0)
    how = {"name": "ram.mnist28_7", "config": TINY, "preprocess": {"size": 28, "digit": 28}}
    return zoo.pipeline(release.save(RAM(**TINY), tmp_path_factory.mktemp("ram") / "weights", **how))


@pytest.fixture(scope="module")
def texts():
    names = ("luong.debian_de_en", "transformer.multi30k_en_de", "former.debian_sections", "former.debian_characters")
    return {name: zoo.pipeline(name) for name in names}


SHAPES = st.lists(st.integers(0, 40), min_size=0, max_size=4).map(tuple)
KINDS = st.sampled_from([np.uint8, np.int16, np.int64, np.uint16, np.float16, np.float32, np.float64, bool])


@FEW
@given(data=st.data())
def test_any_array_is_a_picture_or_is_refused(look, data):
    raw = data.draw(arrays.arrays(data.draw(KINDS), data.draw(SHAPES)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = look(raw, starts=1)
        except InputError as error:
            assert "\n" not in str(error)
            return
    for result in found if isinstance(found, list) else [found]:
        assert sum(result.probabilities) == pytest.approx(1, abs=1e-4) and 0 <= result.label < 10
        seen = result.attention.images
        assert seen.isfinite().all() and float(seen.min()) >= 0 and float(seen.max()) <= 1


TEXT = (
    st.text(max_size=40)
    | st.text(string.printable, max_size=40)
    | st.text(" \u200b\u00ad\u202e\ufeff\x00\n\t", max_size=9)
)


@settings(FEW, max_examples=25)
@given(raw=TEXT)
def test_any_text_is_answered_or_refused(texts, raw):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, pipe in texts.items():
            options = {"length": 3} if name.endswith("characters") else {} if "sections" in name else {"beam": 1}
            try:
                result = pipe(raw, **options)
            except InputError as error:
                assert "\n" not in str(error) or "\n" in raw
                continue
            assert json.loads(json.dumps(result.plain(), allow_nan=False))
            rows = result.attention.weights.sum(-1)
            torch.testing.assert_close(rows, torch.ones_like(rows), atol=1e-3, rtol=0)
            assert "\n" not in repr(result)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@FEW
@given(
    value=ANYTHING, key=st.sampled_from(["starts", "beam", "length", "temperature", "top_k", "count", "seed", "block"])
)
def test_any_value_of_an_option_is_taken_or_refused(look, texts, value, key):
    pipe, raw = {"starts": (look, np.eye(28)), "beam": (texts["luong.debian_de_en"], "a")}.get(
        key, (texts["former.debian_characters"], "a")
    )
    if isinstance(value, int) and not isinstance(value, bool) and 20 < value <= 100_000:
        value = 20  # what is asked for is done, and takes its time
    others = {"length": 2} if pipe is texts["former.debian_characters"] and key != "length" else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            pipe(raw, **{key: value}, **others)
        except ZooError as error:
            assert key in str(error)


@FEW
@given(value=ANYTHING)
def test_any_value_is_a_name_or_is_refused(value):
    with contextlib.suppress(ZooError):
        zoo.pipeline(value)


@FEW
@given(value=ANYTHING, key=st.sampled_from(list(RAM.__init__.__annotations__)))
def test_any_argument_makes_a_network_or_is_refused(value, key):
    if isinstance(value, int) and not isinstance(value, bool) and value > 64:
        value = 64
    try:
        RAM(**{key: value})
    except ZooError as error:
        assert key in str(error)
