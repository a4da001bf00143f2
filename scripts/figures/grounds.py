"""The test errors of a row on digits as people bring them: grounds, contrasts, sizes and places.

python scripts/figures/grounds.py [--name ram.mnist28_7] [--count 1000] [--pictures grounds.png]

Prints a table in Markdown: the error in percent with the picture left alone but for its size (scaled), as it was until
November 2026 (a bright border inverts), and as it is tidied now.
"""

import argparse
import warnings

import torch
import torch.nn.functional as F
from torch import Tensor

import zoo
from datamodules.mnist import read_mnist
from zoo.looking.pictures import Picture, fit

torch.set_num_threads(1)


def page(digit: Tensor, side: int, scale: float, place: tuple[float, float]) -> Tensor:
    """A digit (28, 28) of so many times its size on a larger black page, at a place in [0, 1] of what is free."""
    new = round(28 * scale)
    digit = F.interpolate(digit[None, None], size=(new, new), mode="bilinear", antialias=True)[0, 0].clamp(0, 1)
    top, left = (round(p * (side - new)) for p in place)
    return F.pad(digit, (left, side - new - left, top, side - new - top))


def paint(ink: Tensor, ground: float, of_ink: float) -> Tensor:
    """Brightness of 0 to 255 for the ground and the ink, as [0, 1]."""
    return (ground + (of_ink - ground) * ink) / 255


def shadow(picture: Tensor, soft: bool) -> Tensor:
    """Light that falls from 1 to 0.4 across the page, or at an edge over an eighth of it."""
    across = torch.linspace(0, 1, picture.shape[1])
    light = 1 - 0.6 * (across if soft else ((across - 0.45) * 8).clamp(0, 1))
    return picture * light


def noisy(picture: Tensor, sigma: float = 0.02) -> Tensor:
    return (picture + sigma * torch.randn(picture.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)


def margin(picture: Tensor) -> Tensor:
    """RGBA with one transparent pixel around: (height + 2, width + 2, 4)."""
    colour = F.pad(picture, (1, 1, 1, 1))[..., None].expand(-1, -1, 3)
    alpha = F.pad(torch.ones_like(picture), (1, 1, 1, 1))[..., None]
    return torch.cat((colour, alpha), -1)


def cut_out(picture: Tensor, of_ink: float) -> Tensor:
    """RGBA: the ink of one colour, all else transparent."""
    return torch.cat((torch.full((*picture.shape, 3), of_ink / 255), picture[..., None]), -1)


MIDDLE = (0.5, 0.5)
CONDITIONS = {
    "as in MNIST": lambda x: x,
    "white paper, black ink": lambda x: paint(x, 255, 0),
    "paper 225, ink 30": lambda x: paint(x, 225, 30),
    "paper 200, ink 40": lambda x: paint(x, 200, 40),
    "paper 150, ink 100": lambda x: paint(x, 150, 100),
    "paper 225, faint ink 195": lambda x: paint(x, 225, 195),
    "slate 64, chalk 200": lambda x: paint(x, 64, 200),
    "slate 110, chalk 235": lambda x: paint(x, 110, 235),
    "slate 64, faint chalk 90": lambda x: paint(x, 64, 90),
    "black, faint 60": lambda x: paint(x, 0, 60),
    "paper, shadow across": lambda x: shadow(paint(x, 225, 30), True),
    "paper, edge of a shadow": lambda x: shadow(paint(x, 225, 30), False),
    "slate, shadow across": lambda x: shadow(paint(x, 80, 220), True),
    "paper 225, ink 30, noise": lambda x: noisy(paint(x, 225, 30)),
    "faint ink 150 on 225, noise": lambda x: noisy(paint(x, 225, 150)),
    "white page, transparent margin": lambda x: margin(paint(x, 255, 0)),
    "paper 225, transparent margin": lambda x: margin(paint(x, 225, 30)),
    "slate 64, transparent margin": lambda x: margin(paint(x, 64, 200)),
    "black ink on transparent": lambda x: cut_out(x, 0),
    "white ink on transparent": lambda x: cut_out(x, 255),
    "MNIST twice as large": lambda x: page(x, 56, 2, MIDDLE),
    "28 on white 112, middle": lambda x: paint(page(x, 112, 1, MIDDLE), 255, 0),
    "28 on white 112, corner": lambda x: paint(page(x, 112, 1, (0.1, 0.9)), 255, 0),
    "28 on paper 112, corner": lambda x: paint(page(x, 112, 1, (0.9, 0.1)), 225, 30),
    "14 on white 56, corner": lambda x: paint(page(x, 56, 0.5, (0.1, 0.2)), 255, 0),
    "56 on slate 112, side": lambda x: paint(page(x, 112, 2, (0.5, 0.05)), 64, 200),
    "84 on paper 400 x 400, corner": lambda x: paint(page(x, 400, 3, (0.85, 0.9)), 225, 30),
    "56 on paper 800 x 800": lambda x: paint(page(x, 800, 2, (0.2, 0.7)), 225, 30),
    "112 on paper 300, shadow, noise": lambda x: noisy(shadow(paint(page(x, 300, 4, (0.3, 0.4)), 225, 30), True)),
    "tight: 20 x 20 cut out, white": lambda x: paint(x[4:24, 4:24], 255, 0),
}


def old(picture: Tensor) -> Tensor:
    """What was done until November 2026; transparent parts were made white or black by the mean of the others."""
    if picture.ndim == 3:
        grey, alpha = picture[..., 0], picture[..., 3]
        ground = float((grey * alpha).sum() < 0.5 * alpha.sum())
        picture = grey * alpha + ground * (1 - alpha)
    border = torch.cat((picture[0], picture[-1], picture[:, 0], picture[:, -1]))
    return fit(Picture(1 - picture if border.median() > 0.5 else picture, []), 28, 28).grey


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", default="ram.mnist28_7")
    parser.add_argument("--count", type=int, default=1000, help="test digits")
    parser.add_argument("--only", default="", help="conditions whose name holds this")
    parser.add_argument("--pictures", help="a file for one digit in every condition, as it comes and as it is read")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    images, labels = read_mnist()
    images, labels = images[-10_000:][: given.count].float() / 255, labels[-10_000:][: given.count].tolist()
    pipe = zoo.pipeline(given.name)

    print("| | left alone | before | now |", "|---|---|---|---|", sep="\n")
    shown = {}
    for name, change in CONDITIONS.items():
        if given.only not in name:
            continue
        wrong = [0, 0, 0]
        for part in torch.arange(len(labels)).split(50):  # pictures may be large
            raw = [change(images[i]).numpy() for i in part]
            before = [old(torch.from_numpy(picture)).numpy() for picture in raw]
            for way, answers in enumerate((pipe(raw, tidy=False), pipe(before, tidy=False), pipe(raw))):
                wrong[way] += sum(answer.label != labels[i] for i, answer in zip(part, answers, strict=True))
        print(f"| {name} | " + " | ".join(f"{100 * n / len(labels):.1f}" for n in wrong) + " |", flush=True)
        shown[name] = change(images[0]).numpy(), pipe.prepare(change(images[0]).numpy(), 0, 1)[0]
    if given.pictures:
        draw(shown, given.pictures)


def draw(shown: dict, path: str) -> None:
    import matplotlib.pyplot as plt

    columns = 10
    rows = -(-len(shown) // columns)
    figure, axes = plt.subplots(2 * rows, columns, figsize=(1.5 * columns, 3.6 * rows), squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for i, (name, (raw, read)) in enumerate(shown.items()):
        row, column = 2 * (i // columns), i % columns
        axes[row, column].set_facecolor("pink")
        axes[row, column].imshow(raw, cmap="gray", vmin=0, vmax=1)
        axes[row, column].set_title(name.replace(", ", ",\n"), fontsize=7)
        axes[row + 1, column].imshow(read, cmap="gray", vmin=0, vmax=1)
    figure.tight_layout()
    figure.savefig(path, dpi=80)


if __name__ == "__main__":
    main()
