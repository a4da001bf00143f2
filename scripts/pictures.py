"""Draws the pictures of the READMEs again, from released weights.

python scripts/pictures.py docs [name ...]
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image

from datamodules.mnist import MNIST
from zoo import pipeline
from zoo.errors import ZooError
from zoo.looking.plots import plot

LADDER = "a man in a blue shirt is standing on a ladder cleaning a window ."
BUSHES = "two young , white males are outside near many bushes ."
KERNEL = "Werkzeuge für Entwickler, die mit dem Kernel arbeiten"
LIBRARY = "Diese Bibliothek wird von anderen Programmen für die Anzeige von Bildern verwendet."


def ram_glimpses(path: Path) -> None:
    """The paths on two test digits, one above the other."""
    _digits(path, "ram.mnist28_7", MNIST(limit=50), (1, 3))


def ram_cluttered(path: Path) -> None:
    """The path on a test scene among clutter."""
    _digits(path, "ram.cluttered60_8", MNIST(canvas=60, clutter=4, limit=50), (8,))


def _digits(path: Path, name: str, data: MNIST, which: tuple[int, ...]) -> None:
    data.setup()
    batch = data.batch("test", torch.tensor(which))
    parts = []
    for i, result in enumerate(pipeline(name)(list(batch["image"][:, 0]))):
        part = path.with_stem(f"{path.stem}_{i}")
        result.plot(part, truth=int(batch["label"][i]))
        with Image.open(part) as drawn:
            parts.append(drawn.convert("RGB"))
        part.unlink()
    whole = Image.new("RGB", (max(part.width for part in parts), sum(part.height for part in parts)), "white")
    for i, part in enumerate(parts):
        whole.paste(part, (0, sum(each.height for each in parts[:i])))
    whole.save(path, optimize=True)


def bahdanau_debian(path: Path) -> None:
    """Where RNNsearch looks while it translates."""
    pipeline("bahdanau.debian_de_en")(LIBRARY).plot(path)


def bahdanau_alignment(path: Path) -> None:
    """The same of words of Multi30k."""
    pipeline("bahdanau.multi30k_en_de")(BUSHES).plot(path)


def luong_alignment(path: Path) -> None:
    """A verb that stands at the end."""
    pipeline("luong.debian_de_en")(KERNEL).plot(path)


def transformer_heads(path: Path) -> None:
    """Where all heads of the decoder look in the source."""
    pipeline("transformer.multi30k_en_de")(LADDER).plot(path)


def transformer_encoder(path: Path) -> None:
    """Where all heads of the encoder look, as lines."""
    pipeline("transformer.multi30k_en_de")(LADDER, attention="encoder").plot(path, lines=True)


def former_heads(path: Path) -> None:
    """Where the heads of the generator's last block look in what was read and written."""
    result = pipeline("former.debian_characters")("The library ", length=12)
    plot(result.attention, path, title=f"The library {result.text}")


PICTURES: dict[str, Callable[[Path], None]] = {
    function.__name__: function
    for function in (
        *(ram_glimpses, ram_cluttered, bahdanau_debian, bahdanau_alignment, luong_alignment),
        *(transformer_heads, transformer_encoder, former_heads),
    )
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(PICTURES)}; default: all")
    given = parser.parse_args()
    for name in given.names or PICTURES:
        if name not in PICTURES:
            sys.exit(f"there is no picture {name!r}; expected {', '.join(PICTURES)}")
        try:
            PICTURES[name](given.folder / f"{name}.png")
        except (ZooError, OSError) as error:
            sys.exit(str(error))
        print(given.folder / f"{name}.png")


if __name__ == "__main__":
    main()
