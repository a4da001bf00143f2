"""Annotations of VGG-19 for the pictures of Flickr8k, Flickr30k or COCO, once, into a file that training reads.

A picture takes 0.2 MB in half precision. Beside the file stands one that says which pictures these are.

Usage: python scripts/features.py <root> <corpus> <vgg19.safetensors> <features.npy> [--batch 16] [--device cuda]
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

from datamodules.captions import read_picture
from datamodules.files import DataError
from datamodules.karpathy import read_captions, write_features
from zoo.errors import ZooError
from zoo.models.show_attend_tell.encoder import VGG19, load_encoder

SIZE, SHORTER = 224, 256


@torch.no_grad()
def features(files: list[str], folder: Path, encoder: torch.nn.Module, batch: int, device: str) -> np.ndarray:
    """(pictures, D, rows, columns) float16, in the order of the files."""
    found, encoder = [], encoder.to(device).eval()
    for start in range(0, len(files), batch):
        some = [read_picture(folder / file, SIZE, SHORTER) for file in files[start : start + batch]]
        found.append(encoder(torch.stack(some).to(device).float() / 255).half().cpu().numpy())
        print(f"{start + len(some)} of {len(files)} pictures", file=sys.stderr)
    return np.concatenate(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="folder with dataset_<corpus>.json and the pictures")
    parser.add_argument("corpus")
    parser.add_argument("weights", help="timm's vgg19 as safetensors")
    parser.add_argument("output", type=Path)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    try:
        files = [each.file for each in read_captions(given.root / f"dataset_{given.corpus}.json")]
        encoder = VGG19()
        load_encoder(encoder, given.weights)
        folder = given.root / "images" if (given.root / "images" / files[0]).exists() else given.root
        write_features(given.output, features(files, folder, encoder, given.batch, given.device), files)
    except (DataError, ZooError) as error:
        sys.exit(str(error))
    print(given.output)


if __name__ == "__main__":
    main()
