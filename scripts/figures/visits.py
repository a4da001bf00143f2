"""Draws what ST-RNN has learned of time and distance, and a prediction: its window on a map, and what each visit adds.

python scripts/figures/visits.py docs/st_rnn.png [--user N10575]

The prediction is that of an aircraft's last flight from New York in 2013, which is of the test part.
"""

import argparse
import datetime
import sys

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import zoo
from datamodules.visits import Visits
from zoo.errors import ZooError
from zoo.looking.plots import save
from zoo.models.st_rnn.bins import between, locate
from zoo.models.st_rnn.network import STRNN

NAME = "st_rnn.flights_st_rnn"


@torch.no_grad()
def weights(network: STRNN, hours: torch.Tensor, kilometres: torch.Tensor) -> torch.Tensor:
    """The mean over all places of |S T q|, what a visit of so long ago and so far away adds: (hours, kilometres)."""
    turned = torch.einsum("tde,ke->ktd", network.T, network.q.weight)  # (places, bounds, d)
    gap = [each.expand(len(turned), -1) for each in locate(hours, network.time_bounds)]
    z = between(turned, *gap)  # (places, hours, d)
    carried = torch.einsum("sde,khe->khsd", network.S, z).flatten(0, 1)
    far = [each.expand(len(carried), -1) for each in locate(kilometres, network.distance_bounds)]
    return between(carried, *far).norm(dim=-1).view(len(turned), len(hours), -1).mean(0)


def surface(axes: Axes, network: STRNN) -> None:
    hours, kilometres = torch.linspace(0, 96, 97), torch.linspace(0, 4000, 101)
    size = weights(network, hours, kilometres)
    drawn = axes.imshow(size.T, origin="lower", aspect="auto", extent=(0, 96, 0, 4000), vmin=0)
    axes.set(xlabel="hours since the visit", ylabel="km from the visit to the candidate", title="How much a visit adds")
    axes.figure.colorbar(drawn, ax=axes, label="mean of |S T q| over all places")


def bars(axes: Axes, result: zoo.pipelines.Result) -> None:
    labels = result.attention.inputs[0]
    axes.barh(range(len(labels)), result.contributions, color="tab:blue")
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.set(xlabel="|S T q|", title=f"What each visit adds to {result.place}")


def chart(axes: Axes, look: zoo.pipelines.Pipeline, seen: list[str], truth: str, result: zoo.pipelines.Result) -> None:
    """Places by longitude and latitude, the visits of the window in order, the ten best places and the true one."""
    where = {name: tuple(reversed(look.coordinates[i].tolist())) for name, i in look.places.items()}
    axes.scatter(*zip(*where.values(), strict=True), s=6, color="0.8", label="a place")
    axes.plot(*zip(*(where[name] for name in seen), strict=True), "-o", color="0.3", ms=4, lw=0.8, label="the window")
    best = list(result.probabilities)
    sizes = [600 * result.probabilities[name] + 10 for name in best]
    axes.scatter(*zip(*(where[name] for name in best), strict=True), s=sizes, alpha=0.6, label="the ten best")
    axes.scatter(*where[truth], marker="*", s=120, color="tab:red", label="where it went", zorder=3)
    for name in {*best[:5], truth}:
        axes.annotate(name, where[name], textcoords="offset points", xytext=(4, 4), fontsize=8)
    x, y = zip(*(where[name] for name in {*best, *seen, truth}), strict=True)
    axes.set(xlim=(min(x) - 4, max(x) + 4), ylim=(min(y) - 3, max(y) + 3))
    axes.set(xlabel="degrees of longitude", ylabel="degrees of latitude", title="The best places, as large as likely")
    axes.legend(fontsize=8)


def picture(user: str) -> Figure:
    """Three panels: the surface, the contributions, the map."""
    look = zoo.pipeline(NAME)
    data = Visits(exclude=["EWR", "JFK", "LGA"])
    if user not in look.users:
        raise ZooError(f"there is no aircraft {user!r} in the data")
    mine = data.trails.user == look.users[user]
    start = datetime.datetime(1970, 1, 1)
    times = [(start + datetime.timedelta(hours=float(hour))).isoformat() for hour in data.trails.hours[mine]]
    names = [data.trails.places[place] for place in data.trails.place[mine]]
    result = look({"visits": list(zip(times, names, strict=True))[:-1], "time": times[-1], "user": user})
    figure = Figure(figsize=(15, 4.4), dpi=110, layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=[1.1, 0.8, 1.4])
    surface(left, look.network)
    bars(middle, result)
    chart(right, look, names[-1 - len(result.contributions) : -1], names[-1], result)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output")
    parser.add_argument("--user", default="N10575", help="an aircraft's tail number")
    given = parser.parse_args()
    try:
        save(picture(given.user), given.output)
    except (ValueError, OSError, ZooError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
