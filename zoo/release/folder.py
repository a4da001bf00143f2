"""A released model: a folder in Hugging Face Hub layout, saved and loaded without pickle.

config.json         {"format": 1, "slug", "row", "network": {constructor arguments}, "preprocess": {...},
                    "options": {of the pipeline, as the row was measured}}
model.safetensors   the weights, in float32, bfloat16 or float16
...                 what else the pipeline reads, such as a tokenizer
SHA256SUMS          of all that stands above, which is read for an answer; checked on load where it is there
README.md           the card, with the metrics in its front matter
curve.csv           the validations of the training, where they were logged
"""

import hashlib
import inspect
import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse_safetensors
from safetensors.torch import save as format_safetensors
from torch import Tensor, nn

from zoo.errors import UnknownName, ZooError, suggest
from zoo.release.cards import write_card

FORMAT = 1
CONFIG, WEIGHTS, CARD, SUMS = "config.json", "model.safetensors", "README.md", "SHA256SUMS"
CURVE = "curve.csv"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
TOKENIZER = "tokenizer"  # the folder of a run with the files of its vocabulary
HUB = "hf-hub:"
LIMIT = 16 * 2**20  # bytes of the folder of a row: it goes into the history of the project
LIMIT_ALL = 160 * 2**20  # bytes of the folders of all rows


class WeightsError(ZooError):
    """Released files that are missing, altered or of another network; names the file and what was expected."""


def save(
    network: nn.Module,
    folder: str | Path,
    *,
    name: str,
    config: dict[str, Any],
    preprocess: dict[str, Any] | None = None,
    options: dict[str, Any] | None = None,
    dtype: str = "float32",
    files: Iterable[str | Path] = (),
    curve: str | None = None,
    title: str | None = None,
    task: str = "other",
    metrics: Mapping[str, float] | None = None,
    data: str | None = None,
    note: str | None = None,
    license: str = "mit",
    license_name: str | None = None,
    license_link: str | None = None,
    dataset: str | None = None,
    languages: Iterable[str] = (),
    paper: str | None = None,
) -> Path:
    """Writes a released model; a folder that is there already is replaced.

    Args:
        network: with the weights to write.
        name: ``slug.row``.
        config: the constructor arguments of the network, plain values.
        preprocess: what the pipeline must know of the data, plain values.
        options: of the pipeline's answer, with which the row was measured; they are its defaults then.
        dtype: float32, bfloat16 or float16; whole numbers stay as they are.
        files: further files to copy.
        curve: the validations of the training, as lines of CSV.
        title: of the card.
        task: one of the Hub's pipeline tags.
        metrics: name to value, as measured with these weights.
        data: name of the data set that they were measured on.
        note: a paragraph of the card: terms of the data, what to know.
        license: of the weights, as the Hub names it; "other" where the data's terms bind them, which the note says.
        license_name: a short name for a license that is "other".
        license_link: where its terms are.
        dataset: the id of the data set on the Hub, ``owner/name``; None where it is not there.
        languages: of the data, as two-letter codes.
        paper: its number on arXiv.

    Returns:
        The folder.

    Raises:
        WeightsError, UnknownName, ZooError: one sentence, and what was in the folder stays.
    """
    if dtype not in DTYPES:
        raise UnknownName(f"there is no dtype {dtype!r}; expected one of {', '.join(DTYPES)}")
    slug, _, row = name.partition(".")
    folder = Path(folder)
    described = {"format": FORMAT, "slug": slug, "row": row, "network": config, "preprocess": preprocess or {}}
    described |= {"options": options} if options else {}
    card = write_card(
        name,
        title,
        task,
        dict(metrics or {}),
        data,
        note,
        described,
        license,
        license_name=license_name,
        license_link=license_link,
        dataset=dataset,
        languages=languages,
        paper=paper,
    )
    tensors = {key: _cast(value, DTYPES[dtype], key) for key, value in _tensors(network).items()}
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    (partial / CONFIG).write_text(json.dumps(described, indent=2) + "\n")
    (partial / WEIGHTS).write_bytes(format_safetensors(tensors))  # save_file would make it readable by its owner alone
    for file in map(Path, files):
        shutil.copyfile(file, partial / file.name)
    sums = [f"{_sha256(path.read_bytes())}  {path.name}\n" for path in sorted(partial.iterdir())]
    (partial / SUMS).write_text("".join(sums))
    (partial / CARD).write_text(card)
    if curve is not None:
        (partial / CURVE).write_text(curve)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return folder


def load(source: str | Path, network_class: type[nn.Module], **arguments: Any) -> nn.Module:
    """The network of a released folder in eval mode, with float32 weights.

    Args:
        source: a folder, or ``hf-hub:user/name``, with ``@revision`` if need be.
        arguments: constructor arguments that replace those of the config; with another ``num_classes`` the layers that
            depend on it are fresh, for fine-tuning.

    Raises:
        WeightsError: one sentence that names the file and what was expected.
    """
    folder = locate(source)
    network = build(folder, network_class, **arguments)
    path = folder / WEIGHTS
    data = _read(path)
    try:
        found = parse_safetensors(data)
    except (SafetensorError, ValueError, KeyError) as error:
        raise WeightsError(f"{path}: truncated or altered, not a safetensors file ({error})") from None
    expected = _tensors(network)
    name = network_class.__name__
    if missing := sorted(expected.keys() - found.keys()):
        raise WeightsError(f"{path}: lacks {_some(missing)}, which {name} expects")
    if unknown := sorted(found.keys() - expected.keys()):
        raise WeightsError(f"{path}: holds {_some(unknown)}, which {name} does not have")
    default = parameters(network_class) or {}
    classes = read_config(folder)["network"].get("num_classes", getattr(default.get("num_classes"), "default", None))
    fresh = arguments.get("num_classes", classes) != classes
    for key, tensor in expected.items():
        if found[key].shape != tensor.shape:
            if fresh and found[key].shape == (classes, *tensor.shape[1:]):
                found[key] = tensor  # of the head, which had an output for each class
                continue
            shapes = f"{tuple(found[key].shape)} and {name} expects {tuple(tensor.shape)}"
            raise WeightsError(f"{path}: {key} has the shape {shapes}")
        if found[key].is_floating_point() != tensor.is_floating_point():
            raise WeightsError(f"{path}: {key} holds {found[key].dtype} and {name} expects {tensor.dtype}")
        if not found[key].isfinite().all():
            raise WeightsError(f"{path}: {key} holds values that are not finite numbers")
    with torch.no_grad():
        for key, tensor in expected.items():
            tensor.copy_(found[key])
    return network.eval()


def build(source: str | Path, network_class: type[nn.Module], **arguments: Any) -> nn.Module:
    """A network with the arguments of a released folder and fresh weights; see :func:`load`."""
    folder = locate(source)
    config = read_config(folder)
    try:
        with torch.random.fork_rng(devices=[]):  # loading draws nothing from the caller's random numbers
            return construct(network_class, config["network"] | arguments)
    except (TypeError, ValueError, RuntimeError) as error:
        raise WeightsError(f"{folder / CONFIG}: {error}") from None


def construct(network_class: type[nn.Module], arguments: dict[str, Any]) -> nn.Module:
    """The network; an argument that it does not have raises UnknownName with the nearest that it has."""
    check_arguments(network_class, arguments)
    return network_class(**arguments)


def check_arguments(network_class: type[nn.Module], arguments: Iterable[str]) -> None:
    """Raises UnknownName for an argument that the constructor does not have, with the nearest that it has."""
    known = parameters(network_class)
    for key in arguments:
        if known is not None and key not in known:
            raise UnknownName(f"{network_class.__name__} has no argument {key!r}{suggest(key, known)}")


def parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter] | None:
    """The parameters of a function, or of a class's constructor, by name; None where it takes any."""
    known = inspect.signature(function).parameters
    return None if any(p.kind is p.VAR_KEYWORD for p in known.values()) else dict(known)


def locate(source: str | Path) -> Path:
    """The local folder of a source; a Hub id is downloaded, or found in the cache."""
    if not str(source).startswith(HUB):
        folder = Path(source)
        if not folder.is_dir():
            raise WeightsError(f"{folder}: there is no such folder; expected one with {CONFIG} and {WEIGHTS}")
        return folder
    from huggingface_hub import snapshot_download

    name, _, revision = str(source).removeprefix(HUB).partition("@")
    try:
        return Path(snapshot_download(name, revision=revision or None))
    except Exception as error:  # no network, no such repository, no access, a bad id: one sentence for all
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise WeightsError(f"{source}: not in the local cache, and the Hub did not give it ({reason})") from None


def read_config(folder: Path) -> dict[str, Any]:
    """The config of a released folder, after the checksums of its files."""
    _check_sums(folder)
    path = folder / CONFIG
    data = _read(path)
    try:
        config = json.loads(data)
    except ValueError as error:
        raise WeightsError(f"{path}: truncated or altered, not JSON ({error})") from None
    kinds = {"format": int, "slug": str, "row": str, "network": dict, "preprocess": dict}
    if not isinstance(config, dict):
        raise WeightsError(f"{path}: expected an object with {', '.join(kinds)}")
    kinds |= {"options": dict} if "options" in config else {}
    for key, kind in kinds.items():
        if not isinstance(config.get(key), kind):
            raise WeightsError(f"{path}: {key!r} is {config.get(key)!r}, expected {kind.__name__}")
    if config["format"] != FORMAT:
        raise WeightsError(
            f"{path}: format is {config['format']}, expected {FORMAT}; a newer attention-zoo may read it"
        )
    return config


def _tensors(network: nn.Module) -> dict[str, Tensor]:
    """Parameters and persistent buffers by name; one that has several names, by its first."""
    named: dict[int, tuple[str, Tensor]] = {}
    for key, tensor in network.state_dict(keep_vars=True).items():
        named.setdefault(id(tensor), (key, tensor))
    return dict(named.values())


def _cast(tensor: Tensor, dtype: torch.dtype, key: str) -> Tensor:
    cast = tensor.detach().cpu().to(dtype if tensor.is_floating_point() else tensor.dtype).contiguous()
    if tensor.is_floating_point() and not cast.isfinite().all():
        raise WeightsError(f"{key}: holds values that are not finite in {dtype}")
    return cast


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        if (path.parent / "checkpoints").is_dir():
            what = "of a run, not of a released model; scripts/release.py makes one of a checkpoint"
            raise WeightsError(f"{path.parent}: the folder is {what}") from None
        raise WeightsError(f"{path}: cannot be read ({error.strerror}); expected a released model") from None


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _check_sums(folder: Path) -> None:
    path = folder / SUMS
    if not path.exists():
        return
    for line in _read(path).decode(errors="replace").splitlines():
        expected, _, name = line.partition("  ")
        if not name or "/" in name:
            raise WeightsError(f"{path}: truncated or altered, expected a SHA-256 and a file name on every line")
        if name == CARD:  # of a release from before November 2026; who edits a card changes no weights
            continue
        found = _sha256(_read(folder / name))
        if found != expected:
            raise WeightsError(
                f"{folder / name}: truncated or altered (SHA-256 is {found[:12]}..., expected {expected[:12]}...)"
            )


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
