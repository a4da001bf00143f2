"""The builder of the Debian corpus, on tiny index files in apt's format, and on a repository that apt reads."""

import hashlib
import json
import lzma
import shutil
import subprocess
from pathlib import Path

import pytest

from datamodules.debian import FILE, Text, pairs, read_debian
from datamodules.files import DataError
from scripts import build_debian
from scripts.build_debian import build, check, fetch, join, machine_sources, stanzas, unwrap

ENGLISH = {
    "libfoo1": "foo library\n Foo does this\n and that. It is fast.\n .\n This package holds the library.",
    "libfoo-dev": "foo library - headers\n Foo has:\n  * one,\n    two;\n  - three.\n .\n Use it.",
    "bar": "bar\n Nothing.",
}
GERMAN = {"libfoo1": "Foo-Bibliothek\n Foo tut dies und\n das. Sie ist schnell.\n .\n Dies ist die Bibliothek."}
FRENCH = {
    "libfoo-dev": "bibliothèque foo\n Foo a\u00a0:\n  –⋅un, deux ;\n  —⋅trois.\n .\n À utiliser.",
    "bar": ENGLISH["bar"],
}


def md5(name: str) -> str:
    """As Debian computes it: of the English description with a line break at the end."""
    return hashlib.md5((ENGLISH[name] + "\n").encode()).hexdigest()


def package(name: str, same: str | None = None, **fields: str) -> str:
    first = ENGLISH[same or name].split("\n")[0]
    lines = [f"Package: {name}", "Version: 1.0-1", "Architecture: amd64", f"Description: {first}"]
    lines += [f"Description-md5: {md5(same or name)}", "Tag: role::program,\n works-with::file", "Section: libs"]
    lines += ["Filename: pool/x.deb", "Size: 3", "SHA256: " + "0" * 64]
    return "\n".join(lines + [f"{key}: {value}" for key, value in fields.items()]) + "\n\n"


def translation(language: str, texts: dict[str, str]) -> str:
    return "".join(
        f"Package: {name}\nDescription-md5: {md5(name)}\nDescription-{language}: {text}\n\n"
        for name, text in texts.items()
    )


PACKAGES = (
    package("libfoo1", Source="foo (1.0)")
    + package("zzz", same="bar")
    + package("libfoo-dev", Source="foo")
    + package("bar")
)
TRANSLATIONS = {
    "en": translation("en", ENGLISH),
    "de": translation("de", GERMAN),
    "fr": translation("fr", FRENCH),
}


def test_stanzas():
    libfoo, zzz, *_ = stanzas(PACKAGES)
    assert libfoo["Source"] == "foo (1.0)" and libfoo["Tag"] == "role::program,\n works-with::file"
    assert zzz["Package"] == "zzz" and "Source" not in zzz
    assert [record["Description-en"] for record in stanzas(TRANSLATIONS["en"])] == list(ENGLISH.values())


@pytest.mark.parametrize(
    "wrapped, expected",
    [
        ("a  thing", "a thing"),
        ("a\n One\n line.\n .\n Another.", "a\n\nOne line.\n\nAnother."),
        ("a\n Has:\n  * one\n    more\n  - two\n Then.", "a\n\nHas:\n* one more\n* two\nThen."),
        ("a\n Has:\n  * one\n  more\n * two\n three", "a\n\nHas:\n* one more\n* two three"),
        ("a\n Type:\n   ls  -l\n   cd\n to see.", "a\n\nType:\n  ls -l\n  cd\nto see."),
        ("a\n This is\n - as they say - so.", "a\n\nThis is - as they say - so."),
        ("a\n A user-\n friendly client-\n and server-side.", "a\n\nA user-friendly client- and server-side."),
        ("a\n Soft\u00adly\u200b.\n .\n .\n\u0020", "a\n\nSoftly."),
    ],
    ids=["synopsis", "paragraphs", "items", "hanging items", "verbatim", "dash", "hyphens", "odd spaces"],
)
def test_unwrap(wrapped, expected):
    assert unwrap(wrapped) == expected


def test_join():
    records, same = join(PACKAGES, TRANSLATIONS)
    assert [(r["source"], r["package"], r["section"]) for r in records] == [
        ("bar", "bar", "libs"),  # zzz says the same and comes later
        ("foo", "libfoo-dev", "libs"),
        ("foo", "libfoo1", "libs"),
    ]
    assert same == {"de": 0, "fr": 1}
    assert [sorted(set(r) & {"de", "fr"}) for r in records] == [[], ["fr"], ["de"]]
    assert records[1]["fr"] == "bibliothèque foo\n\nFoo a :\n* un, deux ;\n* trois.\n\nÀ utiliser."


def test_build_gives_the_same_bytes_and_what_the_reader_reads(tmp_path):
    texts = {"Packages": PACKAGES, **TRANSLATIONS}
    build(texts, tmp_path / "one")
    build(texts, tmp_path / "two")
    data = (tmp_path / "one" / FILE).read_bytes()
    assert data == (tmp_path / "two" / FILE).read_bytes()
    assert (tmp_path / "one/SHA256SUMS").read_text() == f"{hashlib.sha256(data).hexdigest()}  {FILE}\n"
    assert [json.loads(line)["package"] for line in lzma.decompress(data).decode().splitlines()] == [
        "bar",
        "libfoo-dev",
        "libfoo1",
    ]
    record = read_debian(tmp_path / "one")[2]
    assert record.en == Text("foo library", ("Foo does this and that. It is fast.", "This package holds the library."))
    assert record.fr is None
    found = [pair for split in ("train", "val", "test") for pair in pairs("de", "en", split, tmp_path / "one")]
    assert found == [
        ("Foo-Bibliothek", "foo library"),
        ("Foo tut dies und das.", "Foo does this and that."),
        ("Sie ist schnell.", "It is fast."),
        ("Dies ist die Bibliothek.", "This package holds the library."),
    ]
    readme = (tmp_path / "one/README.md").read_text()
    assert "| en | 3 | 0 | 0 | 3 |" in readme and "| fr | 1 | 0 | 0 | 1 |" in readme
    assert "| de-en | 4 | 0 | 0 | 13 | 15 |" in readme and "| fr-en | 5 | 0 | 0 | 10 | 11 |" in readme


@pytest.mark.parametrize("name, file", [("Packages", "Packages"), ("de", "Translation-de")])
def test_a_truncated_index_is_refused(name, file):
    check(name, build_debian.EXPECTED[name])
    with pytest.raises(DataError, match=f"{file}: only 1,234 records, expected about .*truncated"):
        check(name, 1234)


# --- apt --------------------------------------------------------------------------------------------------------------

DEB822 = """\
Types: deb
URIs: file:/first
Suites: other
Components: main

# a remark
Types: deb
URIs: file:/second
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /some/key.gpg
"""
ONE_LINE = "deb file:/first other main\n\ndeb [arch=amd64 signed-by=/some/key.gpg] file:/second bookworm main contrib\n"


@pytest.mark.parametrize(
    "name, content, number, expected",
    [
        (
            "a.sources",
            DEB822,
            2,
            "# a remark\nTypes: deb\nURIs: file:/second\nSuites: bookworm\nComponents: main\nSigned-By: /some/key.gpg",
        ),
        ("a.list", ONE_LINE, 3, "deb [arch=amd64 signed-by=/some/key.gpg] file:/second bookworm main"),
    ],
)
def test_the_machine_s_own_source_is_restricted(tmp_path, monkeypatch, name, content, number, expected):
    (tmp_path / name).write_text(content)
    answer = subprocess.CompletedProcess([], 0, f"{tmp_path / name}:{number}\n")
    monkeypatch.setattr(build_debian.subprocess, "run", lambda *_, **__: answer)
    entry, ending = machine_sources()
    assert entry.strip() == expected and name.endswith(ending)


def test_a_machine_without_a_source_says_so(monkeypatch):
    monkeypatch.setattr(build_debian.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0, ""))
    with pytest.raises(DataError, match="no source with bookworm main; name a list that has one with --sources"):
        machine_sources()


@pytest.mark.skipif(not shutil.which("apt-get"), reason="apt is not installed")
def test_apt_reads_a_repository_into_a_private_folder(tmp_path, monkeypatch):
    files = {"binary-amd64/Packages": PACKAGES}
    files |= {f"i18n/Translation-{language}": text for language, text in TRANSLATIONS.items()}
    root = tmp_path / "repository/dists/bookworm"
    sums = []
    for name, text in files.items():
        path = root / "main" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        sums.append(f" {hashlib.sha256(text.encode()).hexdigest()} {len(text.encode())} main/{name}\n")
    head = "Origin: Test\nSuite: bookworm\nCodename: bookworm\nArchitectures: amd64\nComponents: main\n"
    (root / "Release").write_text(head + "Date: Sat, 10 Jun 2023 00:00:00 UTC\nSHA256:\n" + "".join(sums))
    sources = tmp_path / "test.list"
    sources.write_text(f"deb [trusted=yes] file:{tmp_path}/repository bookworm main\n")
    lists = Path("/var/lib/apt/lists")
    before = sorted(lists.iterdir()) if lists.exists() else None
    monkeypatch.setattr(build_debian, "EXPECTED", {"Packages": 4, "en": 3, "de": 1, "fr": 2})
    (tmp_path / "private").mkdir()
    assert fetch(tmp_path / "private", str(sources)) == {"Packages": PACKAGES, **TRANSLATIONS}
    assert before == (sorted(lists.iterdir()) if lists.exists() else None)
    monkeypatch.setattr(build_debian, "EXPECTED", {"Packages": 4, "en": 3, "de": 10, "fr": 2})
    (tmp_path / "again").mkdir()
    with pytest.raises(DataError, match="Translation-de: only 1 records"):
        fetch(tmp_path / "again", str(sources))
