"""Trains the small encoder of Show, Attend and Tell to name single emoji, and writes its weights.

A picture is one emoji of any size somewhere on a coloured ground of 48 x 48 pixels; the mean of the annotations goes
through one layer to the names. No box is told. It takes one or two minutes of a core. `emoji` has seen objects, hands
and people; `emoji_objects` objects alone, so that the hands and people of `emoji_names_soft` are new to it.

Usage: python scripts/emoji_encoder.py [emoji | emoji_objects] [--steps 2000] [--output <file>]
"""

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from datamodules.emoji import read_sheet
from datamodules.pasting import SIZES, scaled
from datamodules.sampling import generator
from datamodules.scenes import below
from zoo.models.show_attend_tell.encoder import SHIPPED, Small

SIDE, BATCH, FEATURES = 48, 64, 98
SEEN = {"emoji": ("objects", "people"), "emoji_objects": ("objects",)}  # sheets that an encoder is trained on


def crops(pictures: torch.Tensor, count: int, random: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures (count, 3, SIDE, SIDE) of one emoji each, partly cut off at most by a quarter, and which it is."""
    u = torch.rand(count, 7, generator=random)
    size, which = below(u[:, 0], len(SIZES)), below(u[:, 1], pictures.shape[1])
    side = torch.tensor(SIZES)[size]
    left, top = (((SIDE - side / 2) * u[:, i] - side / 4).floor() for i in (2, 3))
    # the largest size fills its tile from the corner: the tile is moved by whole pixels
    tile = pictures[size, which]
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    places = torch.stack([x - left[:, None, None], y - top[:, None, None]], -1)
    grid = (2 * places + 1) / pictures.shape[-1] - 1
    moved = F.grid_sample(tile, grid, mode="nearest", align_corners=False)
    return moved[:, :3] + (0.35 + 0.65 * u[:, 4:, None, None]) * (1 - moved[:, 3:]), which


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=SEEN, nargs="?", default="emoji")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    torch.manual_seed(0)
    random = generator(0, 11)
    pictures = torch.cat([scaled(read_sheet(name)[0]) for name in SEEN[given.name]], 1)
    encoder, name = Small(FEATURES), torch.nn.Linear(FEATURES - 2, pictures.shape[1])
    layers = encoder.layers.requires_grad_().train()
    optimizer = torch.optim.Adam([*layers.parameters(), *name.parameters()], 3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=given.steps)
    right = 0.0
    for step in range(1, given.steps + 1):
        image, which = crops(pictures, BATCH, random)
        with torch.autocast("cpu", torch.bfloat16):
            logits = name(layers((2 * image - 1).contiguous(memory_format=torch.channels_last)).mean((2, 3)))
        loss = F.cross_entropy(logits.float(), which)
        optimizer.zero_grad(), loss.backward(), optimizer.step(), schedule.step()
        right += (logits.argmax(-1) == which).float().mean().item()
        if step % 100 == 0:
            print(f"step {step}  loss {loss.item():.3f}  right {right:.1f} %", flush=True)
            right = 0.0
    kept = {f"features.{key}": value for key, value in layers.state_dict().items() if "num_batches" not in key}
    output = given.output or SHIPPED[given.name]
    save_file({key: value.half().contiguous() for key, value in kept.items()}, output)
    print(output)


if __name__ == "__main__":
    main()
