"""Rebuilds datamodules/embedded/debian from Debian's package indexes, which apt fetches into a private folder.

Usage: python scripts/build_debian.py [target folder] [--sources FILE]

The machine's own configured sources are used, restricted to `main` of one release; `--sources` names another list of
sources (one-line style, or deb822 style if it ends in `.sources`). The state of the machine's apt is not touched.
"""

import argparse
import datetime
import hashlib
import json
import lzma
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from datamodules.debian import FILE, LANGUAGES, REASONS, SPLITS, Description, aligned, read_debian, split_of
from datamodules.files import EMBEDDED, DataError

RELEASE = "bookworm"
EXPECTED = {"Packages": 63_000, "en": 61_000, "de": 13_000, "fr": 19_500}  # records, about; see `check`
BULLET = re.compile(r"[-*+•–—‒‐−◦o] (?=\S)")
HANGING = re.compile(r"\w-$")  # a line that was broken after a hyphen
CONJUNCTION = re.compile(r"(?:and|or|to|und|oder|bzw\.|sowie|bis|et|ou)\b")  # "client- and server-side" keeps its space
FRENCH = str.maketrans("⋅·", "\u00a0\u00a0")  # stand for spaces that do not break in many of the French texts
INVISIBLE = str.maketrans("", "", "\u00ad\u200b\ufeff")
CONFIG = """\
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear APT::Architectures;
#clear Acquire::Languages;
APT::Architecture "amd64";
Acquire::Languages {{ {languages} }};
Acquire::GzipIndexes "false";
Dir::State "{folder}/state";
Dir::State::status "{folder}/state/status";
Dir::Cache "{folder}/cache";
Dir::Etc::sourcelist "{sources}";
Dir::Etc::sourceparts "{folder}/none";
"""
README = """\
# Debian

What {records:,} packages of Debian {release} (`main`, amd64) say about themselves: a synopsis and some paragraphs in
English, with the German and French translations that people of the Debian Description Translation Project made.

* Source: the index files `Packages`, `Translation-en`, `Translation-de` and `Translation-fr`, fetched through the apt
  client on {date} by `scripts/build_debian.py`, which rebuilds this folder. Joined by `Description-md5`, so a
  translation belongs to exactly that English text.
* Licence: a description is part of its package, so under the licence of that source package, as its `copyright` file
  in Debian says; all of `main` is free software by Debian's guidelines, but under many different licences. The index
  files state no licence for the translations, and none was found elsewhere.
* Form: `{file}` holds one JSON object a line, sorted by source package and package: `package`, `source`,
  `section`, `en`, and `de` and `fr` where there is a translation. A text is its synopsis, then its paragraphs, with an
  empty line between; lines that the maintainer wrapped are joined again. A line of a paragraph that starts with `* ` is
  an item of a list, one that starts with two spaces stands as it was typed.
* Left out: packages whose description is word for word another one's (the alphabetically first package keeps it), and
  translations equal to the English text ({same_de} German, {same_fr} French).
* Splits: a hash of the name of the source package, without digits, decides, so that what comes from one source (or
  from gcc-11 and gcc-12) is on one side.
* `SHA256SUMS` is checked whenever the file is read.

| records | train | val | test | all |
|---|---|---|---|---|
{record_rows}

A translation pair (`datamodules.debian.pairs`) is a synopsis, or a sentence, of running text or of an item of a list,
where paragraphs, lines and sentences are equally many on both sides. The words are those of the training pairs.

| pairs | train | val | test | words | English words |
|---|---|---|---|---|---|
{pair_rows}

What was removed from the pairs that this gives: sides that are equal, have no letters or differ more than threefold in
length; exact duplicates; and, from train and val, pairs of which a side also occurs in a later split.

| removed | identical | no letters | ratio | duplicate | in a later split |
|---|---|---|---|---|---|
{removed_rows}
"""


def stanzas(text: str) -> Iterator[dict[str, str]]:
    """The records of an index file; the value of a folded field keeps its line breaks and the spaces after them."""
    for block in text.split("\n\n"):
        fields, name = {}, None
        for line in block.split("\n"):
            if line.startswith((" ", "\t")):
                fields[name] += "\n" + line
            elif line.strip():
                name, _, value = line.partition(":")
                fields[name] = value.strip()
        if fields:
            yield fields


def unwrap(description: str) -> str:
    """A description as apt writes it, in the form of the shipped file: paragraphs and items are one line each.

    The first line is the synopsis; " ." separates paragraphs; a line that starts with two spaces is verbatim, or, with
    a bullet, an item of a list, which more indented lines continue.
    """
    synopsis, *lines = description.translate(INVISIBLE).split("\n")
    paragraphs, units, indent = [], [], None  # indent: of the open item; -1 in running text; None if neither
    for line in [*(line[1:].replace("\t", " ").rstrip() for line in lines), "."]:
        if line in ("", "."):
            if units:
                paragraphs.append("\n".join(units))
            units, indent = [], None
            continue
        depth, words = len(line) - len(line.lstrip()), " ".join(line.split())
        bullet = BULLET.match(words) if depth or indent != -1 or units[-1].endswith((":", ";", ".")) else None
        if bullet:
            units.append("* " + words[bullet.end() :])
            indent = depth
        elif units and indent is not None and continues(words, depth, indent):
            tight = HANGING.search(units[-1]) and not CONJUNCTION.match(words)
            units[-1] += words if tight else " " + words
        elif depth:
            units.append("  " + words)
            indent = None
        else:
            units.append(words)
            indent = -1
    return "\n\n".join([" ".join(synopsis.split()), *paragraphs])


def continues(words: str, depth: int, indent: int) -> bool:
    """Whether a line continues running text (indent -1) or the item that is open; see `unwrap`."""
    if depth == 0:
        return indent <= 0 or words[0].islower()
    return depth >= indent >= 0


def join(packages: str, translations: dict[str, str]) -> tuple[list[dict[str, str]], dict[str, int]]:
    """The records that ship, and how many translations of each language equalled the English text.

    Args:
        packages: the index file `Packages`.
        translations: the index files `Translation-<language>` by language.
    """
    tables = {
        language: {record["Description-md5"]: record[f"Description-{language}"] for record in stanzas(text)}
        for language, text in translations.items()
    }
    taken, records, same = set(), [], dict.fromkeys(LANGUAGES[1:], 0)
    for package in sorted(stanzas(packages), key=lambda record: record["Package"]):
        md5 = package.get("Description-md5")
        if md5 not in tables["en"]:
            continue
        english = unwrap(tables["en"][md5])
        if english in taken:
            continue
        taken.add(english)
        name = package["Package"]
        record = {
            "package": name,
            "source": package.get("Source", name).split()[0],
            "section": package["Section"],
            "en": english,
        }
        for language in LANGUAGES[1:]:
            if md5 in tables[language]:
                text = tables[language][md5]
                text = unwrap(text.translate(FRENCH) if language == "fr" else text)
                if text != english:
                    record[language] = text
                else:
                    same[language] += 1
        records.append(record)
    return sorted(records, key=lambda record: (record["source"], record["package"])), same


def check(name: str, found: int) -> None:
    """Refuses an index with far fewer records than there should be."""
    if found < 0.9 * EXPECTED[name]:
        file = name if name == "Packages" else f"Translation-{name}"
        raise DataError(f"{file}: only {found:,} records, expected about {EXPECTED[name]:,}; is the index truncated?")


def machine_sources() -> tuple[str, str]:
    """The machine's own source of the release, restricted to `main`, and the ending that tells apt its style."""
    listing = ["apt-get", "indextargets", "--no-release-info", "--format", "$(SOURCESENTRY)"]
    wanted = ["Created-By: Packages", f"Release: {RELEASE}", "Component: main"]
    found = subprocess.run([*listing, *wanted], check=True, capture_output=True, text=True).stdout.split()
    if not found:
        raise DataError(f"apt has no source with {RELEASE} main; name a list that has one with --sources")
    path, _, number = found[0].rpartition(":")
    text = Path(path).read_text()
    if path.endswith(".sources"):
        entry = [block for block in re.split(r"\n\s*\n", text) if re.search("^URIs:", block, re.M)][int(number) - 1]
        for field, value in (("Suites", RELEASE), ("Components", "main")):
            entry = re.sub(f"^{field}:.*", f"{field}: {value}", entry, flags=re.M)
        return entry + "\n", ".sources"
    entry = re.match(r"\s*deb\s+(?:\[.*?\]\s+)?\S+", text.splitlines()[int(number) - 1])
    return f"{entry[0]} {RELEASE} main\n", ".list"


def fetch(folder: Path, sources: str | None) -> dict[str, str]:
    """The texts of the four index files, by "Packages" or language, fetched by apt into the folder."""
    folder.chmod(0o755)  # apt fetches as another user
    for name in ("state/lists/partial", "cache/archives/partial", "none"):
        (folder / name).mkdir(parents=True)
    (folder / "state/status").touch()
    if sources is None:
        entry, ending = machine_sources()
        sources = folder / f"main{ending}"
        sources.write_text(entry)
    languages = " ".join(f'"{language}";' for language in LANGUAGES)
    config = folder / "apt.conf"
    config.write_text(CONFIG.format(folder=folder, sources=Path(sources).absolute(), languages=languages))
    subprocess.run(["apt-get", "-c", config, "update"], check=True)
    listing = ["apt-get", "-c", config, "indextargets", "--format", "$(CREATED_BY) $(LANGUAGE) $(FILENAME)"]
    texts = {}
    for line in subprocess.run(listing, check=True, capture_output=True, text=True).stdout.splitlines():
        kind, language, path = line.split()
        if kind in ("Packages", "Translations"):
            texts[kind if kind == "Packages" else language] = Path(path).read_text()
    for name in EXPECTED:
        check(name, len(re.findall("^Package:", texts.get(name, ""), re.M)))
    return texts


def row(*cells: object) -> str:
    return "| " + " | ".join(f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in cells) + " |"


def readme(root: Path, same: dict[str, int]) -> str:
    """The text of the folder, with counts of what stands in it."""
    descriptions = read_debian(root)

    def counts(records: list[Description]) -> list[int]:
        return [sum(split_of(record.source) == split for record in records) for split in SPLITS] + [len(records)]

    rows = [row(language, *counts([d for d in descriptions if getattr(d, language)])) for language in LANGUAGES]
    pair_rows, removed_rows = [], []
    for language in LANGUAGES[1:]:
        found, removed = aligned(language, root)
        removed_rows.append(row(f"{language}-en", *(removed[reason] for reason in REASONS)))
        words = [sum(len(pair[side].split()) for pair in found["train"]) for side in (0, 1)]
        pair_rows.append(row(f"{language}-en", *(len(found[split]) for split in SPLITS), *words))
    return README.format(
        records=len(descriptions),
        release=RELEASE,
        date=datetime.date.today().isoformat(),
        file=FILE,
        same_de=same["de"],
        same_fr=same["fr"],
        record_rows="\n".join(rows),
        pair_rows="\n".join(pair_rows),
        removed_rows="\n".join(removed_rows),
    )


def build(texts: dict[str, str], target: Path) -> None:
    """Writes the folder from the texts of the index files; the data file depends on nothing else."""
    records, same = join(texts["Packages"], {language: texts[language] for language in LANGUAGES})
    lines = "".join(json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n" for record in records)
    small = lzma.compress(lines.encode(), preset=9 | lzma.PRESET_EXTREME)
    target.mkdir(parents=True, exist_ok=True)
    (target / FILE).write_bytes(small)
    (target / "SHA256SUMS").write_text(f"{hashlib.sha256(small).hexdigest()}  {FILE}\n")
    (target / "README.md").write_text(readme(target, same))
    print(f"{target / FILE}: {len(records)} records, {len(lines.encode())} bytes, {len(small)} compressed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", nargs="?", type=Path, default=EMBEDDED / "debian", help="folder to write")
    parser.add_argument("--sources", help="list of apt sources instead of the machine's own")
    arguments = parser.parse_args()
    if arguments.sources and not Path(arguments.sources).is_file():
        sys.exit(f"{arguments.sources}: there is no such list of sources")
    with tempfile.TemporaryDirectory() as scratch:
        try:
            texts = fetch(Path(scratch), arguments.sources)
        except FileNotFoundError as error:
            sys.exit(f"this needs a Debian machine with apt: {error.filename} is missing")
        except subprocess.CalledProcessError as error:
            sys.exit(f"apt could not fetch the descriptions (exit code {error.returncode}); what it said stands above")
    build(texts, arguments.target)


if __name__ == "__main__":
    main()
