"""The predict command: raw inputs to answers as one line of JSON, and where the model looked as a picture."""

import inspect
import json
import re
import sys
import warnings
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from zoo.errors import UnknownName, ZooError, suggest
from zoo.pipelines import Pipeline, Result, pipeline

PATHS = ("name", "input", "output")


def literal(arguments: list[str]) -> list[str]:
    """Quotes the values that are paths, so that Hydra takes ``input=digit (1).png`` as it stands.

    Lists and what is quoted already stay as they are.
    """
    words = []
    for argument in arguments:
        key, sign, value = argument.partition("=")
        if key in PATHS and sign and value not in ("", "null") and value[0] + value[1:][-1:] not in ("[]", "''", '""'):
            value = re.sub(r"(\\*)('|\Z)", lambda found: 2 * found[1] + found[2].replace("'", "\\'"), value)
            value = "'" + value.replace("${", "\\${") + "'"  # no interpolation
        words.append(key + sign + value)
    return words


def predict(cfg: DictConfig) -> None:
    """Prints the answer as one line of JSON, last; what went wrong as one sentence, with exit code 1."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", UserWarning)
        try:
            answer = _predict(OmegaConf.to_container(cfg, resolve=True))
        except ZooError as error:
            print(error, file=sys.stderr)
            sys.exit(1)
        finally:
            for warning in told:
                print(warning.message, file=sys.stderr)
    print(json.dumps(answer), flush=True)


def _predict(cfg: dict[str, Any]) -> dict[str, Any] | list[dict[str, Any]]:
    name, given, output, options = cfg["name"], cfg["input"], cfg["output"], cfg["options"]
    if not name:
        raise ZooError("say with what and of what: name=<slug>.<row> input=<path>")
    if output and not Path(output).absolute().parent.is_dir():
        raise ZooError(f"{output}: there is no folder {Path(output).parent}")
    pipe = pipeline(name)
    given = given or pipe.default
    if not given:
        raise ZooError("say with what and of what: name=<slug>.<row> input=<path>")
    _check(pipe, options)
    several = isinstance(given, list)
    raw = [pipe.read(str(each)) for each in given] if several else pipe.read(str(given))
    results = pipe(raw, **options)
    answers = []
    for i, result in enumerate(results if isinstance(results, list) else [results]):
        answers.append({"name": name, "input": given[i] if several else given, **result.plain()})
        if output:
            path = Path(output)
            path = path.with_stem(f"{path.stem}_{i}") if isinstance(results, list) else path
            _plot(result, path, cfg["lines"])
            answers[-1]["output"] = str(path)
    return answers if isinstance(results, list) else answers[0]


def _plot(result: Result, path: Path, lines: bool) -> None:
    try:
        result.plot(path, lines)
    except (OSError, ValueError) as error:  # an ending that is no image format, a folder that cannot be written
        raise ZooError(f"{path}: cannot be written ({error})") from None


def _check(pipe: Pipeline, options: dict[str, Any]) -> None:
    known = [name for name in inspect.signature(pipe.answer).parameters if name != "batch"]
    for key in options:
        if key not in known:
            raise UnknownName(f"{type(pipe).__name__} has no option {key!r}{suggest(key, known)}")
