"""From the checkpoint of a run to the released weights of a row."""

import csv
import io
import re
import shutil
from pathlib import Path
from typing import Any

import yaml

from zoo import registry
from zoo.release import LIMIT, TOKENIZER, WeightsError, construct, parameters, save
from zoo.training.reading import CheckpointError, read_checkpoint

METRICS = "metrics.csv"  # what logger=csv leaves in a run


def release_checkpoint(
    ckpt: str | Path,
    name: str,
    *,
    folder: str | Path | None = None,
    network: dict[str, Any] | None = None,
    preprocess: dict[str, Any] | None = None,
    **fields: Any,
) -> Path:
    """Writes the network of a Lightning checkpoint as the released weights of a row.

    The constructor arguments are those of the checkpoint's hyperparameters that the network names, and the pipeline's
    options those that it names; what it must know of the data comes from the config that the run left beside the
    checkpoint. Where the run was logged with logger=csv, its validations ship too, as curve.csv.

    Args:
        ckpt: of a run folder.
        name: ``slug.row``.
        folder: to write; None for that of the row, ``zoo/models/<slug>/weights/<row>``.
        network: constructor arguments that the hyperparameters lack.
        preprocess: replaces what the run's config says.
        fields: see :func:`zoo.release.save`; the languages of a translator and the paper of a room are found.

    Raises:
        WeightsError, UnknownName: one sentence.
    """
    slug, row = registry.split(name)
    room = registry.room(slug)
    path = Path(ckpt)
    try:
        stored = read_checkpoint(path)
    except CheckpointError as error:
        raise WeightsError(str(error)) from None
    hyperparameters, state = stored["hyper_parameters"], stored["state_dict"]
    known = parameters(room.NETWORK) or {}
    # defaults are written out too, so that a later change of them does not change what was released
    config = {key: parameter.default for key, parameter in known.items() if parameter.default is not parameter.empty}
    config |= {key: value for key, value in hyperparameters.items() if key in known} | (network or {})
    model = construct(room.NETWORK, config)
    try:
        model.load_state_dict({k.removeprefix("network."): v for k, v in state.items() if k.startswith("network.")})
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise WeightsError(f"{path}: not the weights of {room.NETWORK.__name__} ({reason})") from None
    pipeline = room.PIPELINE.of(config)
    preprocess = _preprocess(path, pipeline) if preprocess is None else preprocess
    fields = {"languages": _languages(preprocess), "paper": _paper(slug)} | fields
    options = {key: hyperparameters[key] for key in parameters(pipeline.answer) or () if key in hyperparameters}
    run = path.resolve().parents[1]
    written = save(
        model,
        folder or registry.weights_folder(slug, row),
        name=name,
        config=config,
        preprocess=preprocess,
        options=options,
        title=(room.__doc__ or name).strip().splitlines()[0].rstrip("."),
        task=pipeline.task,
        files=sorted((run / TOKENIZER).glob("*")),
        curve=read_curve(run),
        **fields,
    )
    size = sum(file.stat().st_size for file in written.iterdir())
    if folder is None and size > LIMIT:
        shutil.rmtree(written)
        raise WeightsError(
            f"{written}: {size / 2**20:.1f} MiB, expected at most {LIMIT / 2**20:.0f}; try dtype bfloat16"
        )
    return written


def read_curve(run: Path) -> str | None:
    """The validations of a run as lines of CSV, one each; None where logger=csv left none.

    Raises:
        WeightsError: a file that logger=csv did not write; one sentence.
    """
    path = run / METRICS
    if not path.exists():
        return None
    try:
        rows = list(csv.DictReader(path.read_text().splitlines()))
    except (UnicodeDecodeError, csv.Error) as error:
        raise WeightsError(f"{path}: not what logger=csv writes ({error})") from None
    names = [name for name in rows[0] if name and name.startswith("val/")] if rows else []
    validations = [row for row in rows if any(row[name] for name in names)]
    if not validations:
        return None
    if not {"epoch", "step"} <= rows[0].keys():
        raise WeightsError(f"{path}: not what logger=csv writes (expected the columns epoch and step)")
    text = io.StringIO()
    writer = csv.DictWriter(text, ["epoch", "step", *names], extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(validations)
    return text.getvalue()


def _languages(preprocess: dict[str, Any]) -> list[str]:
    """Those of a translator; other texts say theirs with the argument."""
    return [preprocess[side] for side in ("source", "target") if side in preprocess]


def _paper(slug: str) -> str | None:
    """The first number on arXiv in the README of a room, which is that of its paper."""
    found = re.search(r"arXiv (\d{4}\.\d{4,5})", registry.model_card(slug))
    return found and found[1]


def _preprocess(ckpt: Path, pipeline: type) -> dict[str, Any]:
    path = ckpt.resolve().parents[1] / ".hydra" / "config.yaml"
    if not path.exists():
        raise WeightsError(f"{path}: not there; say what the pipeline must know of the data with preprocess")
    return pipeline.preprocess(yaml.safe_load(path.read_text())["data"])
