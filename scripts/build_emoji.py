"""Rebuilds datamodules/embedded/emoji from two packages of npm: pictures and their names.

Usage: python scripts/build_emoji.py
"""

import argparse
import hashlib
import io
import json
import subprocess
import tarfile
import tempfile
from pathlib import Path

from PIL import Image

from datamodules.files import EMBEDDED

PICTURES, NAMES = "emoji-datasource-google@16.0.0", "cldr-annotations-full@48.2.0"
SIDE = 48  # pixels of a picture
OBJECTS = (  # eight rows of eight; rows and columns say which pairs are held out, so like things stand together nowhere
    "🐵🍇🚌🎸🐻🍕⚽🌹",
    "🎺🐶🍉🚲🌻🦊🍔🏀",
    "🍌🎾🐱🚀🎻🌵🦁🍩",
    "🚁🍍🔑🐯🍎⛵🍄🐴",
    "🐮🔔🍏🏠🐷🎂🚕🍀",
    "⛄🐸🎈🍓🚜🐼🍅👑",
    "🥕🚂🐔💡🍋🎁🐧🌽",
    "🦉🍞📷🐢⚓🥦🐙☂",
)
PEOPLE = "👋👍👎✊👏👐🙏💪👂👃👶👧👦👩👨👵👴👮👷💂🎅👸🏃🚶"  # each in five tones of skin
TONES = "🏻🏼🏽🏾🏿"
README = """\
# Emoji

Pictures of emoji and their names, of which scenes are drawn with captions.

* Source: pictures from the npm package `{pictures}`: Google's Noto Emoji, Apache License 2.0. Names from the npm
  package `{names}`: the English names of Unicode CLDR, Unicode License V3. `scripts/build_emoji.py` rebuilds this
  folder; fetched on {date}.
* `objects.png` holds {objects} things, eight in a row, and `people.png` {people} hands and people, one in a row, in
  five tones of skin; each picture is {side} x {side} pixels with transparency, scaled down from 64. The texts beside
  them name the pictures, row by row; of people the name of the tone follows, as CLDR composes names.
* The licences are in `LICENSES.md`.
* `SHA256SUMS` is checked whenever the files are read.
"""
LICENSES = """\
# Licences

The pictures are part of Noto Emoji, copyright Google Inc., licensed under the Apache License, Version 2.0
(https://www.apache.org/licenses/LICENSE-2.0). They were scaled and put together here.

The names are part of Unicode CLDR, under the following licence.

{unicode}
"""


def fetch(package: str, folder: Path) -> tarfile.TarFile:
    """A package of npm."""
    done = subprocess.run(["npm", "pack", "--silent", package], cwd=folder, check=True, capture_output=True, text=True)
    return tarfile.open(folder / done.stdout.split()[-1])


def sheet(files: list[bytes], columns: int) -> bytes:
    """The pictures, row by row, as one PNG."""
    rows = -(-len(files) // columns)
    whole = Image.new("RGBA", (columns * SIDE, rows * SIDE))
    for i, data in enumerate(files):
        picture = Image.open(io.BytesIO(data)).convert("RGBA").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
        whole.paste(picture, (i % columns * SIDE, i // columns * SIDE))
    out = io.BytesIO()
    whole.save(out, "png", optimize=True)
    return out.getvalue()


def code(emoji: str) -> str:
    """A character as emoji-datasource writes it."""
    return "-".join(f"{ord(letter):04X}" for letter in emoji)


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        pictures, names = (fetch(package, Path(scratch)) for package in (PICTURES, NAMES))
        told = json.load(names.extractfile("package/annotations/en/annotations.json"))["annotations"]["annotations"]
        listed = json.load(pictures.extractfile("package/emoji.json"))
        known = {one["unified"].removesuffix("-FE0F"): one for one in listed}

        def picture(entry: dict) -> bytes:
            return pictures.extractfile(f"package/img/google/64/{entry['image']}").read()

        def name(emoji: str) -> str:
            return told[emoji]["tts"][0].lower()

        objects = "".join(OBJECTS)
        people = [(each, tone) for each in PEOPLE for tone in TONES]
        files = {
            "objects.png": sheet([picture(known[code(each)]) for each in objects], 8),
            "objects.txt": "".join(f"{name(each)}\n" for each in objects).encode(),
            "people.png": sheet([picture(known[code(e)]["skin_variations"][code(t)]) for e, t in people], len(TONES)),
            "people.txt": "".join(f"{name(each)}: {name(tone)}\n" for each, tone in people).encode(),
        }
        license = names.extractfile("package/LICENSE").read().decode()
    folder = EMBEDDED / "emoji"
    folder.mkdir(exist_ok=True)
    for file, data in files.items():
        (folder / file).write_bytes(data)
    sums = "".join(f"{hashlib.sha256(data).hexdigest()}  {file}\n" for file, data in files.items())
    (folder / "SHA256SUMS").write_text(sums)
    counts = {"objects": len(objects), "people": len(PEOPLE), "side": SIDE}
    readme = README.format(pictures=PICTURES, names=NAMES, date="2026-11-26", **counts)
    (folder / "README.md").write_text(readme)
    (folder / "LICENSES.md").write_text(LICENSES.format(unicode=license.strip()))
    print(counts, {file: len(data) for file, data in files.items()})


if __name__ == "__main__":
    main()
