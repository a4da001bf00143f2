"""Visits: files as published, windows against their definition, and batches."""

import gzip
import lzma

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from datamodules.checkins import read_visits
from datamodules.files import DataError
from datamodules.visits import Visits, windows

CHECKINS = """\
7\t2010-10-19T23:55:27Z\t30.2359\t-97.7951\t22847
7\t2010-10-18T22:17:43Z\t30.2691\t-97.7494\t420315
7\t2010-10-17T23:42:03Z\t30.2557\t-97.7633\t22847
12\t2010-05-22T02:49:04Z\t40.6438\t-73.7828\t23261
"""
GTD = """\
eventid,iyear,imonth,iday,country_txt,provstate,latitude,longitude,gname
1,1970,7,2,Dominican Republic,National,18.45,-69.95,Left
2,1970,7,2,Dominican Republic,National,18.55,-69.85,Left
3,1971,0,0,Mexico,Federal,19.37,-99.08,Left
4,1971,3,5,Mexico,Unknown,19.37,-99.08,Left
5,1971,3,5,Mexico,Federal,,,Left
6,1971,3,5,Mexico,Federal,19.37,-99.08,Unknown
7,1971,3,6,Mexico,Federal,19.37,-99.08,Left
"""


@pytest.fixture
def checkins(tmp_path):
    path = tmp_path / "loc-gowalla_totalCheckins.txt"
    path.write_text(CHECKINS)
    return path


def test_check_ins_are_turned_round_and_numbered(checkins):
    found = read_visits("checkins", checkins)
    assert found.users == ["12", "7"] and found.places == ["22847", "23261", "420315"]
    assert found.user.tolist() == [0, 1, 1, 1] and found.place.tolist() == [1, 0, 2, 0]
    np.testing.assert_allclose(np.diff(found.hours[1:]), [22 + 35 / 60 + 40 / 3600, 25 + 37 / 60 + 44 / 3600])
    np.testing.assert_allclose(found.coordinates[0], [(30.2359 + 30.2557) / 2, (-97.7951 - 97.7633) / 2])


@pytest.mark.parametrize(("ending", "pack"), [(".gz", gzip.compress), (".xz", lzma.compress)])
def test_packed_files_are_the_same(ending, pack, checkins):
    packed = checkins.with_name(checkins.name + ending)
    packed.write_bytes(pack(checkins.read_bytes()))
    assert read_visits("checkins", packed).place.tolist() == read_visits("checkins", checkins).place.tolist()
    packed.write_bytes(pack(checkins.read_bytes())[:-9])
    with pytest.raises(DataError, match="truncated, altered or not text"):
        read_visits("checkins", packed)


def test_the_order_of_lines_does_not_matter_and_a_visit_counts_once(checkins):
    expected = read_visits("checkins", checkins)
    lines = CHECKINS.splitlines(keepends=True)
    checkins.write_text("".join([lines[2], lines[3], lines[0], lines[0], lines[1]]))
    found = read_visits("checkins", checkins)
    assert found.place.tolist() == expected.place.tolist() and found.hours.tolist() == expected.hours.tolist()


def test_brightkites_lines_without_a_place_are_left_out(checkins):
    checkins.write_text(CHECKINS + "9\t2010-05-22T02:49:04Z\t0.0\t0.0\t00000000000000000000000000000000\n")
    assert "9" not in read_visits("checkins", checkins).users


def test_incidents_with_a_day_an_organisation_and_a_province_are_visits(tmp_path):
    (tmp_path / "gtd.csv").write_text(GTD)
    found = read_visits("gtd", tmp_path / "gtd.csv")
    assert found.users == ["Left"] and found.places == ["Federal, Mexico", "National, Dominican Republic"]
    assert found.place.tolist() == [1, 1, 0]
    np.testing.assert_allclose(found.coordinates[1], [18.5, -69.9])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("7\t2010-10-19T23:55:27Z\t30.2\t-97.7\n", r"line 1: expected user, time, latitude, longitude and place"),
        ("7\t2010-10-19T23:55:27Z\tnorth\t-97.7\t3\n", "line 1: expected user"),
        ("7\t2010-10-19T23:55:27Z\t97.7\t30.2\t3\n", "is no latitude and longitude"),
        ("7\t2010-10-19T23:55:27Z\tnan\t30.2\t3\n", "is no latitude and longitude"),
        ("7\tyesterday\t30.2\t-97.7\t3\n", "expected times in ISO 8601"),
        ("", "no user has 1 visit in it"),
    ],
)
def test_a_malformed_file_is_one_sentence_with_its_name(line, message, checkins):
    checkins.write_text(line)
    with pytest.raises(DataError, match=message) as told:
        read_visits("checkins", checkins)
    assert str(checkins) in str(told.value) and "\n" not in str(told.value)


def test_the_flights_that_ship_are_as_counted():
    found = read_visits("flights")
    assert (len(found.users), len(found.places), len(found.user)) == (3149, 107, 643_505)


def by_definition(hours, width, strict):
    """Parent and window of every visit, from the text of section 4.2."""
    for k, t in enumerate(hours):
        if t - hours[0] < width:
            yield -1, list(range(k))
        else:
            parent = min(range(k), key=lambda j: (abs(hours[j] - (t - width)), j))
            yield parent, list(range(parent + strict, k))


@given(st.lists(st.integers(0, 60), min_size=1, max_size=25), st.integers(1, 30), st.booleans())
@settings(max_examples=200, deadline=None)
def test_windows_are_as_the_paper_defines_them(times, width, strict):
    hours = np.sort(np.array(times, float))
    found = windows(hours, width, strict)
    for k, (parent, window) in enumerate(by_definition(hours, width, strict)):
        assert found.parent[k] == parent and list(range(found.start[k], k)) == window
        assert found.depth[k] == (found.depth[parent] + 1 if parent >= 0 else 0)


@pytest.fixture
def data(tmp_path):
    random = np.random.default_rng(0)
    lines = []
    for user in range(4):
        for k, place in enumerate(random.integers(0, 6, 20 + 5 * user)):
            day, hour = f"2013-0{1 + k // 25}-{1 + k % 25:02d}", random.integers(24)
            lines.append(f"u{user}\t{day}T{hour:02d}:00:00Z\t{place}.0\t{2 * place}.0\tp{place}\n")
    (tmp_path / "visits.txt").write_text("".join(lines))
    return Visits(corpus="checkins", root=str(tmp_path / "visits.txt"), window_hours=50)


def test_each_part_is_scored_once_and_in_the_order_of_time(data):
    counts = np.diff(data.start)
    seen = {}
    for split in ("train", "val", "test"):
        batch = data.batch(split, [0, 1, 2, 3])
        users, positions = batch["user"][batch["scored"]], batch["position"][batch["scored"]]
        seen[split] = {(u, p) for u, p in zip(users.tolist(), positions.tolist(), strict=True)}
    assert not seen["train"] & seen["val"] and not seen["val"] & seen["test"] and not seen["train"] & seen["test"]
    assert set.union(*seen.values()) == {(u, p) for u in range(4) for p in range(counts[u])}
    for user, count in enumerate(counts):
        assert sorted(p for u, p in seen["train"] if u == user) == list(range(count * 70 // 100))
        assert max(p for u, p in seen["val"] if u == user) < min(p for u, p in seen["test"] if u == user)


def test_a_batch_says_what_the_trails_say(data):
    batch, trails = data.batch("test", [2, 0]), data.trails
    assert sum(batch["levels"]) == len(batch["user"]) and batch["lines"] == 2
    for k in range(len(batch["user"])):
        user, position = batch["user"][k].item(), batch["position"][k].item()
        row = data.start[user] + position
        assert batch["place"][k] == trails.place[row] and batch["line"][k] == [2, 0].index(user)
        found, parent = data.history(user), batch["parent"][k].item()
        assert (-1 if parent < 0 else batch["position"][parent].item()) == found.parent[position]
        edges = (batch["of"] == k).nonzero().squeeze(1)
        assert batch["position"][batch["saw"][edges]].tolist() == list(range(found.start[position], position))
        for edge in edges.tolist():
            other = data.start[user] + batch["position"][batch["saw"][edge]].item()
            assert batch["gap"][edge].item() == pytest.approx(trails.hours[row] - trails.hours[other], abs=1e-3)
        if position:
            last = batch["last"][k].item()
            assert batch["position"][last] == position - 1 and batch["user"][last] == user


def test_training_does_not_see_what_comes_later(data):
    batch = data.batch("train", [0, 1, 2, 3])
    assert len(batch["scored"]) == len(batch["user"]) == int(data.ends["train"].sum())


def test_keys_differ_between_epochs_in_training_alone(data):
    assert not torch.equal(data.batch("train", [0], 0)["key"], data.batch("train", [0], 1)["key"])
    assert torch.equal(data.batch("test", [0], 0)["key"], data.batch("test", [0], 0)["key"])


def test_weights_of_other_places_are_refused(data, tmp_path):
    data.save(tmp_path / "kept")
    how = {"corpus": "checkins", "root": str(tmp_path / "visits.txt"), "tokenizer": str(tmp_path / "kept")}
    Visits(**how)
    with pytest.raises(DataError, match="its places and users are not those of the data"):
        Visits(**how, exclude=["p0"])


def test_a_user_with_one_visit_and_a_visit_at_one_time(tmp_path):
    (tmp_path / "one.txt").write_text("a\t2013-01-01T00:00:00Z\t1.0\t1.0\tp\nb\t2013-01-01T00:00:00Z\t1.0\t1.0\tp\n")
    data = Visits(corpus="checkins", root=str(tmp_path / "one.txt"))
    assert len(data.batch("train", [0, 1])["user"]) == 0
    assert data.batch("test", [0, 1])["levels"] == [2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"parts": [70, 20, 20]}, "expected three percentages that make 100"),
        ({"window_hours": 0}, "window_hours is 0"),
        ({"corpus": "nowhere"}, "expected flights, checkins or gtd"),
        ({"corpus": "gtd"}, "say where the gtd are"),
        ({"min_visits": 0}, "min_visits is 0"),
        ({"min_visits": 10_000}, "no user has 10000 visits"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(arguments, message):
    with pytest.raises(DataError, match=message):
        Visits(**arguments)
