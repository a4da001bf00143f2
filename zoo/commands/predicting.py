"""The predict command: raw inputs to answers as one line of JSON, and where the model looked as a picture."""

import io
import sys
import tempfile
import warnings
from collections.abc import Iterator
from glob import glob
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from PIL import Image

from zoo.commands.arguments import literal
from zoo.commands.helping import say
from zoo.errors import ZooError, check_flag, in_one_sentence
from zoo.pipelines import InputError, Pipeline, Result, check_options, pipeline
from zoo.release.plain import to_json

__all__ = ["literal", "predict"]
STDIN, NAMED = "-", "the standard input"
TEXTS = (".txt", ".de", ".en", ".fr", ".md", ".text")  # endings that no sentence has


def predict(cfg: DictConfig) -> None:
    """Prints the answer as one line of JSON, last; what went wrong as one sentence, with exit code 1."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", UserWarning)
        try:
            with in_one_sentence():
                found = answers(OmegaConf.to_container(cfg, resolve=True))
        except SystemExit as stop:
            print(stop.code, file=sys.stderr)
            sys.exit(1)
        finally:
            for warning in told:
                print(warning.message, file=sys.stderr)
    say(to_json(found, ensure_ascii=False))


def answers(cfg: dict[str, Any]) -> dict[str, Any] | list[dict[str, Any]]:
    """What the command prints: of one input an answer, of several a list, each with its own input.

    Args:
        cfg: the keys of conf/predict.yaml.

    Raises:
        ZooError: one sentence.
    """
    name, given, output, options = cfg["name"], cfg["input"], cfg["output"], cfg["options"]
    if not name or given == []:
        raise ZooError("say with what and of what: name=<slug>.<row> input=<path>")
    if not isinstance(options, dict):
        raise ZooError(f"options is {options!r}; expected options.<name>=<value>")
    check_flag(lines=cfg["lines"])
    if cfg["lines"] and not output:
        raise ZooError("lines=true draws, so it needs output=<path>")
    if output and not Path(output).absolute().parent.is_dir():
        raise ZooError(f"{output}: there is no folder {Path(output).parent}")
    if output and Path(output).is_dir():
        raise ZooError(f"{output}: is a folder; expected the name of a picture, as {Path(output) / 'looks.png'}")
    pipe = pipeline(name)
    given = pipe.default if given is None else given
    if given is None:
        raise ZooError("say with what and of what: name=<slug>.<row> input=<path>")
    check_options(type(pipe), options)
    found = []
    for one in given if isinstance(given, list) else [given]:
        named = {} if isinstance(one, str) else {"input": one}  # a number, as the config has it
        found += [(label | named, raw) for label, raw in read(pipe, str(one))]
    several = isinstance(given, list) or len(found) > 1 or found[0][0].get("line") is not None
    results = pipe([raw for _, raw in found], **options)
    told = []
    for i, (result, (label, _)) in enumerate(zip(results, found, strict=True)):
        told.append({"name": name, **label, **_plain(result, cfg["top"])})
        if output:
            path = Path(output)
            path = path.with_stem(f"{path.stem}_{i}") if several else path
            _plot(result, path, cfg["lines"])
            told[-1]["output"] = str(path)
    return told if several else told[0]


def _plain(result: Result, top: int | None) -> dict[str, Any]:
    plain = result.plain()
    return plain if top is None else plain | {"probabilities": result.top(top)}


def read(pipe: Pipeline, given: str) -> Iterator[tuple[dict[str, Any], Any]]:
    """What an answer says of its input, and the raw input, for everything that a word of the command line stands for.

    Args:
        given: a file, a folder, a pattern of files, "-" for the standard input, or a text where the pipeline reads one.

    Raises:
        InputError: nothing is there; one sentence.
    """
    pictures = pipe.task.startswith("image")
    if given == STDIN:
        yield from _read_stdin(pipe)
        return
    path = Path(given).expanduser() if given.startswith("~") else Path(given)
    like_path = not any(letter.isspace() for letter in given) and (
        given.startswith(("/", "./", "../", "~")) or path.suffix.lower() in TEXTS
    )
    try:
        exists, is_folder = given != "" and path.exists(), path.is_dir()
    except (OSError, ValueError):  # a text too long for a file name, or with a zero in it
        exists = is_folder = False
    if is_folder and exists and (pictures or like_path):
        endings = set(Image.registered_extensions()) if pictures else set(TEXTS)
        files = sorted(file for file in path.iterdir() if file.is_file() and file.suffix.lower() in endings)
        if not files:
            raise InputError(f"{given}: a folder without {'pictures' if pictures else f'files in {TEXTS}'}")
    elif not exists and (pictures or like_path) and any(letter in given for letter in "*?["):
        files = [Path(name) for name in sorted(glob(str(path), recursive=True))]
        if not files:
            raise InputError(f"{given}: no file is of this pattern")
    elif not exists and like_path and not pictures:
        raise InputError(f"{given}: there is no such file")
    else:
        yield from _read(pipe, str(path) if exists else given, pictures)
        return
    for file in files:
        yield from _read(pipe, str(file), pictures)


def _read(pipe: Pipeline, given: str, pictures: bool) -> Iterator[tuple[dict[str, Any], Any]]:
    raw = pipe.read(given)
    if pictures or raw == given or not isinstance(raw, str | list):
        yield {"input": given}, raw
    elif isinstance(raw, list):
        if not raw:
            raise InputError(f"{given}: it is empty")
        for line, each in enumerate(raw, 1):
            yield {"input": each, "file": given, "line": line}, each
    else:
        yield {"input": raw, "file": given}, raw


def _read_stdin(pipe: Pipeline) -> Iterator[tuple[dict[str, Any], Any]]:
    """What a file of the same bytes would stand for."""
    data = sys.stdin.buffer.read()
    if not data:
        raise InputError(f"{NAMED} is empty")
    if pipe.task.startswith("image"):
        try:
            picture = Image.open(io.BytesIO(data))
            picture.load()
        except Exception as error:  # decoders of broken files raise whatever they run into
            raise InputError(f"{NAMED}: not a picture that Pillow can read ({error})") from None
        yield {"input": STDIN}, picture
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stdin"
        path.write_bytes(data)
        try:
            found = list(_read(pipe, str(path), pictures=False))
        except ZooError as error:
            raise InputError(str(error).replace(str(path), NAMED)) from None
    for label, raw in found:
        yield {**label, "file": STDIN}, raw


def _plot(result: Result, path: Path, lines: bool) -> None:
    try:
        result.save(path) if path.suffix.lower() in (".html", ".htm") else result.plot(path, lines)
    except (OSError, ValueError) as error:  # an ending that is no image format, a folder that cannot be written
        raise ZooError(f"{path}: cannot be written ({str(error).split(' (')[0]})") from None
