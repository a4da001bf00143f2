"""The pictures of DRAW's card, from released weights or checkpoints.

python scripts/draw.py paint draw.mnist docs/draw      -> docs/draw_film.gif, docs/draw_samples.png,
                                                          docs/draw_reconstructions.png, docs/draw_kl.png
python scripts/draw.py look draw.cluttered100_8 docs/draw  -> docs/draw_glimpses.png, docs/draw_glimpses.gif
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from datamodules.mnist import MNIST
from zoo import create_model, pipeline
from zoo.looking.film import film
from zoo.looking.plots import painting, plot, save
from zoo.models.draw import DRAW
from zoo.models.draw.record import reading, writing
from zoo.nn.random import normal


def digits(network: DRAW, count: int) -> dict[str, Tensor]:
    """The first test pictures of the kind that a network was trained on."""
    how = {"binarise": "static"} if network.generates else {"clutter": 8}
    if network.generates and network.size > 28:
        how["digits"] = 2
    data = MNIST(canvas=network.size, **how)
    data.setup()
    return data.batch("test", torch.arange(count))


def kl_bars(kl: np.ndarray) -> Figure:
    """How many nats each step spends, the mean over pictures, and from which to which nine of ten lie: (batch, T)."""
    steps = np.arange(1, kl.shape[1] + 1)
    figure = Figure(figsize=(7, 2.4), dpi=150, layout="compressed")
    ax = figure.subplots()
    low, high = np.percentile(kl, (5, 95), 0)
    ax.bar(steps, kl.mean(0), width=0.8, color="#0072B2")
    ax.vlines(steps, low, high, color="0.3", linewidth=0.8)
    ax.set_xlabel("step"), ax.set_ylabel("KL, nats")
    ax.margins(x=0.01)
    return figure


def paint(name: str, out: str) -> None:
    """Samples, their film, reconstructions, and the KL of each step."""
    pipe, network = pipeline(name), create_model(name, pretrained=True)
    film(pipe(64).attention, f"{out}_film.gif")
    save(painting(pipe(8).attention, None), f"{out}_samples.png")
    batch = digits(network, 500)
    noise = normal(batch["key"], network.num_steps, network.latent)
    save(painting(writing(network, batch["image"][:6], noise[:6]), None), f"{out}_reconstructions.png")
    with torch.no_grad():
        save(kl_bars(network(batch["image"], noise).kl.numpy()), f"{out}_kl.png")


def look(name: str, out: str) -> None:
    """The windows of a classifier on one cluttered test scene, and a film of nine."""
    network = create_model(name, pretrained=True)
    record = reading(network, digits(network, 9)["image"])
    plot(record, f"{out}_glimpses.png")
    film(record, f"{out}_glimpses.gif")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["paint", "look"])
    parser.add_argument("name", help="<slug>.<row> or the folder of released weights")
    parser.add_argument("out", help="beginning of the files' names")
    given = parser.parse_args()
    name = Path(given.name) if Path(given.name).is_dir() else given.name
    {"paint": paint, "look": look}[given.what](name, given.out)


if __name__ == "__main__":
    main()
