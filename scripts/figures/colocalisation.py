"""Draws what co-localisation found: of each set some pictures with the crop of its localiser and the true box.

python scripts/figures/colocalisation.py docs/spatial_transformer_colocalisation.png <run>/checkpoints/best.ckpt
"""

import argparse
import sys

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from datamodules.colocalised import Colocalised
from zoo.errors import ZooError
from zoo.looking.plots import save
from zoo.models.spatial_transformer.colocalisation import Colocaliser, boxes_of, overlap
from zoo.text.trained import weights_of


@torch.no_grad()
def picture(checkpoint: str, pictures: int, localisers: int, width: int) -> Figure:
    """A column for each set: its share of pictures that were found, and the first of them."""
    data = Colocalised(seed=0)
    data.setup()
    network = Colocaliser(data.canvas, localisers=localisers, width=width)
    network.load_state_dict(weights_of(checkpoint, network))
    batch = data.batch("test", torch.arange(data.size("test")))
    found = boxes_of(network.picked(network(batch["image"]).theta), data.canvas)  # (pictures, sets, 4)
    right = overlap(found, batch["box"]) > 0.5
    sets = found.shape[1]
    figure = Figure(figsize=(1.1 * sets, 1.1 * pictures + 0.3), dpi=100, layout="constrained")
    for (row, column), axes in np.ndenumerate(figure.subplots(pictures, sets, squeeze=False)):
        axes.imshow(batch["image"][row, column], cmap="gray", extent=(0, data.canvas, data.canvas, 0))
        for box, style in ((batch["box"], {"ls": "--", "ec": "white"}), (found, {"ec": "tab:orange", "lw": 2})):
            left, top, far, low = box[row, column].tolist()
            axes.add_patch(Rectangle((left, top), far - left, low - top, fill=False, **style))
        axes.set_axis_off()
        if not row:
            axes.set_title(f"{right[:, column].float().mean():.0%}", fontsize=9)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output")
    parser.add_argument("checkpoint")
    parser.add_argument("--pictures", type=int, default=4, help="of each set")
    parser.add_argument("--localisers", type=int, default=4, help="of each set, as in the run")
    parser.add_argument("--width", type=int, default=16, help="filters of the encoder, as in the run")
    given = parser.parse_args()
    try:
        save(picture(given.checkpoint, given.pictures, given.localisers, given.width), given.output)
    except (ValueError, OSError, ZooError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
