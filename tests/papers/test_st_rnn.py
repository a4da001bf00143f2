"""ST-RNN against loops over the paper's equations."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import zoo
from datamodules.visits import Visits
from zoo import release
from zoo.errors import ZooError
from zoo.models.st_rnn import network as network_of_st_rnn
from zoo.models.st_rnn.baselines import METHODS
from zoo.models.st_rnn.bins import between, distance, locate
from zoo.models.st_rnn.module import LitNext
from zoo.models.st_rnn.network import STRNN
from zoo.models.st_rnn.pipeline import NextPlace, windows
from zoo.models.st_rnn.ranking import CANDIDATES, MeanOfRanks, allowed, ranks
from zoo.pipelines import InputError

QUICK = {"st_rnn": {"dim": 4, "time_bounds": [0, 30], "distance_bounds": [0, 700], "decay": 0.5}} | {
    f"st_rnn_{name}": {"dim": 4, "decay": 0.5} for name in ("counts", "mf", "fpmc", "prme", "recurrent")
}  # see tests/small.py


def visits(folder) -> tuple[str, ...]:
    """Some users at some places, as check-ins, in place of any corpus."""
    random = np.random.default_rng(0)
    lines = [
        f"u{user}\t2013-01-{1 + k:02d}T{random.integers(24):02d}:00:00Z\t{place}.0\t{9 * place}.0\tp{place}\n"
        for user in range(8)
        for k, place in enumerate(random.integers(0, 12, 20))
    ]
    (folder / "visits.txt").write_text("".join(lines))
    return ("data.corpus=checkins", f"data.root={folder}/visits.txt", "data.exclude=null", "data.window_hours=48")


FILES = dict.fromkeys(("flights", "gowalla", "gtd"), visits)
RANKED = {  # what ranks alone, and what the data say
    "negatives": {"negatives": "all"},
    "candidates": {"candidates": "sampled", "sampled": 3},
    "sampled": {"candidates": "sampled", "sampled": 3},
    "radius_km": {"candidates": "radius"},
    **dict.fromkeys(("users", "places"), "the data say how many there are"),
    "method": "each has a config of its own, with its own arguments",
}
COUNTED = dict.fromkeys(("dim", "negatives", "decay", "optimizer", "visits"), "counts have nothing to learn")
OPTIONS = {  # see tests/test_options.py
    "st_rnn": {**RANKED, "time_bounds": {"time_bounds": [0]}, "distance_bounds": {"distance_bounds": [0]}},
    "st_rnn_counts": {**RANKED, **COUNTED},
    "st_rnn_mf": {**RANKED, "method": {"method": "fpmc"}},
    "st_rnn_fpmc": {**RANKED, "region_km": {"region_km": 500}},
    "st_rnn_prme": {**RANKED, "hours": {"hours": 30}},
    "st_rnn_recurrent": RANKED,
}
TIMES, DISTANCES = (0.0, 5.0, 20.0, 60.0), (0.0, 100.0, 700.0)
USERS, PLACES = 3, 7


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Three users at seven places, with equal times, long gaps and first visits."""
    random, lines = np.random.default_rng(1), []
    for user in range(USERS):
        hours = np.cumsum(random.choice([0, 1, 7, 30, 90], 15 + user))
        for hour in hours:
            place = random.integers(PLACES)
            day, hour = divmod(int(hour), 24)
            when = f"2013-{1 + day // 28:02d}-{1 + day % 28:02d}T{hour:02d}:00:00Z"
            lines.append(f"u{user}\t{when}\t{10 + place}.0\t{20 + 2 * (place % 3)}.0\tp{place}\n")
    lines += [f"u0\t2012-12-3{i}T00:00:00Z\t{10 + i}.0\t{20 + 2 * (i % 3)}.0\tp{i}\n" for i in range(2)]
    path = tmp_path_factory.mktemp("visits") / "visits.txt"
    path.write_text("".join(lines))
    return Visits(corpus="checkins", root=str(path), window_hours=24)


def make(**arguments) -> STRNN:
    torch.manual_seed(0)
    return STRNN(USERS, PLACES, **({"dim": 4, "time_bounds": TIMES, "distance_bounds": DISTANCES} | arguments)).double()


def batch_of(data, split="test", users=(0, 1, 2)):
    batch = data.batch(split, list(users))
    return {k: v.double() if isinstance(v, torch.Tensor) and v.is_floating_point() else v for k, v in batch.items()}


def matrix(matrices, bounds, x):
    """Equations 7 and 8; beyond the last bound the last matrix."""
    x = min(max(x, bounds[0]), bounds[-1])
    for low, high, W_low, W_high in zip(bounds, bounds[1:], matrices, matrices[1:], strict=False):
        if low <= x <= high:
            return (W_low * (high - x) + W_high * (x - low)) / ((high - x) + (x - low))
    return matrices[0]


def kilometres(a, b):
    """The spherical law of cosines, not the haversine formula."""
    a, b = np.radians(a), np.radians(b)
    cosine = math.sin(a[0]) * math.sin(b[0]) + math.cos(a[0]) * math.cos(b[0]) * math.cos(a[1] - b[1])
    return 6371.0 * math.acos(min(1.0, cosine))


def loops(network, data, user, end):
    """States and, for every visit and candidate, the score, by the equations as they are printed."""
    W = {name: p.detach().numpy() for name, p in network.named_parameters()}
    q, p = W["q.weight"], W["p.weight"]
    rows = slice(data.start[user], data.start[user] + end)
    place, hours, where = data.trails.place[rows], data.trails.hours[rows], data.trails.coordinates
    found, states, scores = data.history(user), [], []

    def state(k, v):
        total = np.zeros(network.q.embedding_dim)
        for i in range(found.start[k], k):
            S = matrix(W["S"], network.distance_bounds.tolist(), kilometres(where[v], where[place[i]]))
            T = matrix(W["T"], network.time_bounds.tolist(), hours[k] - hours[i])
            total += S @ T @ q[place[i]]
        before = states[found.parent[k]] if found.parent[k] >= 0 else W["h_0"]
        total += W["C"] @ before
        return 1 / (1 + np.exp(-total))  # equations 3 and 5

    for k in range(end):
        scores.append([(state(k, v) + p[user]) @ q[v] for v in range(PLACES)])  # equation 6
        states.append(state(k, place[k]))
    return np.array(states), np.array(scores)


def test_states_and_scores_are_those_of_the_equations(data):
    network, batch = make(), batch_of(data)
    rows = torch.arange(len(batch["user"]))
    scores = network(batch, rows).detach().numpy()
    states, _ = network.states(batch, network.carried(batch))
    for user in range(USERS):
        expected_states, expected = loops(network, data, user, int(np.diff(data.start)[user]))
        mine = (batch["user"] == user).nonzero().squeeze(1)
        positions = batch["position"][mine].numpy()
        np.testing.assert_allclose(scores[mine], expected[positions], atol=1e-5)
        np.testing.assert_allclose(states[mine].detach().numpy(), expected_states[positions], atol=1e-5)


def test_candidates_one_by_one_are_all_candidates(data):
    network, batch = make(), batch_of(data)
    rows = batch["scored"]
    everything = network(batch, rows)
    for v in range(PLACES):
        one = network(batch, rows, torch.full((len(rows), 1), v))
        torch.testing.assert_close(one[:, 0], everything[:, v])


def test_places_are_ranked_a_few_at_a_time(data, monkeypatch):
    """A million places and the visits of a window would take 70 MB for each of them and vector."""
    network, batch = make(), batch_of(data)
    everything, shapes = network(batch, batch["scored"]), []
    between = network_of_st_rnn.between
    monkeypatch.setattr(network_of_st_rnn, "PAIRS", 60)
    monkeypatch.setattr(network_of_st_rnn, "between", lambda *args: shapes.append(args[1].shape) or between(*args))
    with torch.no_grad():
        torch.testing.assert_close(network(batch, batch["scored"][:9]), everything[:9])
    assert len(shapes) > 3 and all(shape[0] * shape[1] <= 60 for shape in shapes if len(shape) == 2 and shape[1] > 1)


@pytest.mark.parametrize("method", ["st_rnn", "mf", "fpmc", "prme", "recurrent", "counts"])
def test_the_true_place_does_not_leak_into_the_scores(method, data):
    lit = LitNext(method, users=USERS, places=PLACES, dim=4).double()
    batch = batch_of(data)
    if method == "counts":
        lit.network.count(batch_of(data, "train"), batch_of(data, "train")["scored"])
    last = torch.stack(
        [(batch["line"] == i).nonzero()[:, 0][batch["position"][batch["line"] == i].argmax()] for i in range(3)]
    )
    before = lit.network(batch, last)
    batch["place"] = batch["place"].clone()
    batch["place"][last] = (batch["place"][last] + 3) % PLACES  # the last visits' own places
    torch.testing.assert_close(lit.network(batch, last), before)


def test_users_together_are_users_alone(data):
    network = make()
    together = batch_of(data)
    scores = network(together, together["scored"])
    for user in range(USERS):
        alone = batch_of(data, users=[user])
        mine = together["user"][together["scored"]] == user
        order = together["position"][together["scored"]][mine].argsort()
        single = network(alone, alone["scored"])[alone["position"][alone["scored"]].argsort()]
        torch.testing.assert_close(scores[mine][order], single)


@given(st.lists(st.floats(-50, 5000), min_size=1, max_size=8), st.integers(1, 5))
@settings(max_examples=50, deadline=None)
def test_lines_between_bounds_are_numpys(values, count):
    bounds = np.cumsum([3.0, 10.0, 200.0, 1000.0, 2000.0])[:count]
    at = np.random.default_rng(0).normal(size=(count, 2))
    x = torch.tensor(values, dtype=torch.float64)
    low, share = locate(x, torch.from_numpy(bounds))
    found = between(torch.from_numpy(at)[None].expand(len(x), -1, -1), low[:, None], share[:, None])[:, 0]
    expected = np.stack([np.interp(values, bounds, column) for column in at.T], -1)
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_distances_are_those_of_known_cities():
    paris, new_york = torch.tensor([48.8566, 2.3522]), torch.tensor([40.7128, -74.0060])
    assert distance(paris, new_york).item() == pytest.approx(5837, abs=5)
    assert distance(paris, paris).item() == 0


def test_ranks_are_those_of_a_sort():
    torch.manual_seed(0)
    scores, true = torch.randn(50, 9), torch.randint(9, (50,))
    mask = torch.rand(50, 9) < 0.7
    mask[torch.arange(50), true] = True
    rank, count = ranks(scores, true, mask)
    for i in range(50):
        order = sorted((j for j in range(9) if mask[i, j]), key=lambda j: -scores[i, j])
        assert rank[i] == 1 + order.index(true[i].item()) and count[i] == len(order)


def test_equal_scores_share_their_ranks():
    rank, _ = ranks(torch.tensor([[1.0, 1.0, 1.0, 0.0]]), torch.tensor([1]), torch.ones(1, 4, dtype=torch.bool))
    assert rank.item() == 2


def test_the_measures_of_table_1():
    found = {}
    for name in ("recall@1", "recall@5", "f1@5", "map", "auc"):
        metric = MeanOfRanks(name)
        metric.update(torch.tensor([1.0, 4.0, 10.0]), torch.tensor([10.0, 10.0, 10.0]))
        found[name] = metric.compute().item() / 100
    assert found["recall@1"] == pytest.approx(1 / 3) and found["recall@5"] == pytest.approx(2 / 3)
    assert found["f1@5"] == pytest.approx(2 * found["recall@5"] / 6)
    assert found["map"] == pytest.approx((1 + 1 / 4 + 1 / 10) / 3)
    assert found["auc"] == pytest.approx((9 + 6 + 0) / 27)
    assert pytest.approx(0.0508, abs=1e-4) == 2 * 0.1524 / 6  # ST-RNN on Gowalla, as printed


@pytest.mark.parametrize("kind", CANDIDATES)
def test_candidates_hold_the_true_place_and_what_they_promise(kind, data):
    batch = data.batch("test", [0, 1, 2])
    rows = batch["scored"]
    mask = allowed(kind, batch, rows, PLACES, 3, 200.0)
    assert mask[torch.arange(len(rows)), batch["place"][rows]].all()
    for i, row in enumerate(rows.tolist()):
        user, position = batch["user"][row].item(), batch["position"][row].item()
        before = set(data.trails.place[data.start[user] : data.start[user] + position].tolist())
        true, where = batch["place"][row].item(), data.trails.coordinates
        expected = {
            "all": set(range(PLACES)),
            "unvisited": (set(range(PLACES)) - before) | {true},
            "radius": {v for v in range(PLACES) if kilometres(where[v], where[_last(data, user, position)]) <= 200}
            | {true},
        }
        if kind in expected:
            assert set(mask[i].nonzero().squeeze(1).tolist()) == expected[kind]
        else:
            assert 3 <= mask[i].sum() <= 4


def _last(data, user, position):
    return data.trails.place[data.start[user] + position - 1]


def test_counts_are_counted(data):
    batch = data.batch("train", [0, 1, 2])
    networks = {kind: METHODS["counts"](USERS, PLACES, kind=kind) for kind in ("top", "own", "markov")}
    top, own, pair = np.zeros(PLACES), np.zeros((USERS, PLACES)), np.zeros((PLACES + 1, PLACES))
    for user in range(USERS):
        last = PLACES
        for place in data.trails.place[data.start[user] : data.start[user] + data.ends["train"][user]]:
            top[place] += 1
            own[user, place] += 1
            pair[last, place] += 1
            last = place
    for kind, expected in (("top", top[None]), ("own", own), ("markov", pair)):
        networks[kind].count(batch, batch["scored"])
        np.testing.assert_array_equal(networks[kind].seen, expected)


def test_negatives_are_never_the_visited_place(data):
    batch = data.batch("train", [0, 1, 2])
    for negatives in (1, 5, "all"):
        lit = LitNext(users=USERS, places=PLACES, dim=4, negatives=negatives)
        drawn = lit.drawn(batch, batch["scored"])
        assert (drawn[:, 1:] != drawn[:, :1]).all() and drawn.min() >= 0 and drawn.max() < PLACES
    assert drawn.sort(1).values.eq(torch.arange(PLACES)).all()


def test_the_loss_is_equation_10(data):
    batch = batch_of(data, "train")
    lit = LitNext(users=USERS, places=PLACES, dim=4, negatives=1, visits=10, decay=0.01).double()
    rows = batch["scored"]
    o = lit.network(batch, rows, lit.drawn(batch, rows)).detach()
    theta = sum((p.detach() ** 2).sum() for p in lit.network.parameters())
    expected = torch.log(1 + torch.exp(-(o[:, 0] - o[:, 1]))).mean() + 0.01 / 2 * theta / 10
    torch.testing.assert_close(lit.loss(batch)["loss"].detach(), expected)


@pytest.mark.parametrize("method", ["st_rnn", "mf", "fpmc", "prme", "recurrent"])
def test_a_batch_is_learned_and_every_parameter_takes_part(method, data):
    torch.manual_seed(0)
    lit = LitNext(method, users=USERS, places=PLACES, dim=8, negatives="all", decay=0.0)
    batch = data.batch("train", [0, 1, 2])
    optimizer = torch.optim.Adam(lit.parameters(), 0.05)
    first = lit.loss(batch)["loss"].item()
    for _ in range(60):
        optimizer.zero_grad()
        lit.loss(batch)["loss"].backward()
        assert all(p.grad is not None for p in lit.parameters())
        optimizer.step()
    # a user and a place are all that MF knows, so it cannot tell one visit of a user from another
    assert lit.loss(batch)["loss"].item() < (0.85 if method == "mf" else 0.6) * first


def test_ablations_are_single_matrices(data):
    batch = batch_of(data)
    network = make(time_bounds=[0], distance_bounds=[0])
    assert network.T.shape[0] == network.S.shape[0] == 1
    moved = batch | {"coordinates": batch["coordinates"].flip(0), "gap": 2 * batch["gap"]}
    torch.testing.assert_close(network(batch, batch["scored"]), network(moved, batch["scored"]))
    full = make()
    assert not torch.allclose(full(batch, batch["scored"]), full(moved, batch["scored"]))


def test_looks_are_the_addends_of_a_state(data):
    network, batch = make(), batch_of(data)
    rows = batch["scored"]
    size, inside = network.looks(batch, rows, batch["place"][rows])
    carried = network.carried(batch)
    for i, row in enumerate(rows.tolist()):
        edges = (batch["of"] == row).nonzero().squeeze(1)
        added = network.contributions(
            carried[edges], batch["saw"][edges], batch, batch["place"][row].expand(len(edges), 1)
        )[:, 0]
        assert inside[i].sum() == len(edges)
        torch.testing.assert_close(size[i][inside[i]], added.norm(dim=-1))


@given(st.lists(st.integers(0, 60), min_size=1, max_size=12), st.integers(1, 30), st.booleans())
@settings(max_examples=50, deadline=None)
def test_the_pipelines_windows_are_the_datas(times, width, strict):
    from datamodules.visits import windows as of_data

    hours = sorted(map(float, times))
    expected = of_data(np.array(hours), width, strict)
    for found, other in zip(
        windows(hours, width, strict), (expected.parent, expected.start, expected.depth), strict=True
    ):
        assert list(found) == other.tolist()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dim": 0}, "dim is 0"),
        ({"time_bounds": [0, 3, 3]}, "time_bounds is"),
        ({"distance_bounds": []}, "distance_bounds is"),
        ({"activation": "relu"}, "activation is 'relu'"),
        ({"negatives": 0}, "negatives is 0"),
        ({"method": "strnn"}, "did you mean st_rnn"),
        ({"candidates": "some"}, "candidates is 'some'"),
        ({"decay": -1}, "decay is -1"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(arguments, message):
    with pytest.raises(ZooError, match=message):
        LitNext(users=USERS, places=PLACES, **arguments)


@pytest.fixture(scope="module")
def look(data, tmp_path_factory):
    """The pipeline of a released network for the data of this file."""
    folder = tmp_path_factory.mktemp("released")
    data.save(folder / "tokenizer")
    bounds = {"time_bounds": list(TIMES), "distance_bounds": list(DISTANCES)}
    arguments = {"users": USERS, "places": PLACES, "dim": 4, **bounds}
    torch.manual_seed(0)
    preprocess = NextPlace.preprocess({"window_hours": data.window_hours, "strict": data.strict})
    files = sorted((folder / "tokenizer").iterdir())
    how = {"name": "st_rnn.flights_st_rnn", "config": arguments, "preprocess": preprocess, "files": files}
    return zoo.pipeline(release.save(STRNN(**arguments), folder / "weights", **how))


def asked(data, user, position):
    """The visits of a user before one of them, as the pipeline wants them, in no order."""
    rows = slice(data.start[user], data.start[user] + position + 1)
    times = [str(np.datetime64(round(hour * 3600), "s")) for hour in data.trails.hours[rows]]
    places = [data.trails.places[place] for place in data.trails.place[rows]]
    visits = list(zip(times, places, strict=True))
    return {"visits": visits[:-1][::-1], "time": times[-1], "user": data.trails.users[user]}


@pytest.mark.parametrize(("user", "position"), [(0, 3), (1, 10), (2, 14)])
def test_the_pipeline_answers_as_the_network_does(user, position, data, look):
    batch = data.batch("test", [user])
    row = (batch["position"] == position).nonzero()[:, 0]
    scores = look.network(batch, row)[0].softmax(-1)
    result = look(asked(data, user, position), top=PLACES)
    for place, probability in result.probabilities.items():
        assert probability == pytest.approx(scores[data.trails.places.index(place)].item(), rel=1e-3)
    assert result.place == max(result.probabilities, key=result.probabilities.get)
    window = (batch["of"] == row).sum()
    assert len(result.contributions) == window and result.attention.weights.sum() == pytest.approx(1, abs=1e-5)


def test_an_unknown_user_has_no_vector(data, look):
    known = asked(data, 1, 9)
    unknown = {key: value for key, value in known.items() if key != "user"}
    before = look(unknown, top=PLACES).probabilities
    with torch.no_grad():
        look.network.p.weight[data.trails.users.index(known["user"])] += 1
    assert look(unknown, top=PLACES).probabilities == before
    assert look(known, top=PLACES).probabilities != before


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"visits": [], "time": "2013-01-01"}, "there are no visits"),
        ({"visits": [("2013-01-02", "p0")], "time": "2013-01-01"}, "later than 2013-01-01"),
        ({"visits": [("2013-01-01", "p9")], "time": "2013-01-02"}, "no place 'p9' in the data; did you mean p"),
        ({"visits": [("noon", "p0")], "time": "2013-01-02"}, "'noon' is no time in ISO 8601"),
        ({"visits": [("2013-01-01", "p0")], "time": "2013-01-02", "user": "x"}, "no user 'x'"),
        ({"visits": [("2013-01-01", "p0")]}, "expected a dict with visits, time"),
        ({"visits": ["p0"], "time": "2013-01-02"}, "a visit is 'p0'; expected a time and a place"),
        ("BOS", "expected a dict with visits, time"),
    ],
)
def test_an_input_that_cannot_be_meant_is_one_sentence(raw, message, look):
    with pytest.raises(InputError, match=message):
        look(raw)


def test_one_visit_and_two_at_one_time_are_answered(look):
    assert look({"visits": [("2013-01-01", "p0")], "time": "2013-01-01"}).place
    assert look({"visits": [("2013-01-01", "p0"), ("2013-01-01", "p1")], "time": "2014-01-01"}).place
