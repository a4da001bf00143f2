"""A released network as a file for other programs: torch.export (.pt2) or ONNX, checked against the network itself."""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zoo.errors import UnknownName, ZooError, in_one_sentence, suggest
from zoo.pipelines import pipeline

TOLERANCE = 1e-4  # largest difference from the network, absolute
TRACED, CHECKED = 2, 5  # batch sizes; they differ, so that a batch size that was traced into the file is found out


class ExportError(ZooError):
    """An export that cannot be made, or that does not compute what the network computes."""


def export(name: str | Path, output: str | Path | None = None, format: str = "torch") -> tuple[Path, float]:
    """Writes the forward pass of a released model, with a free batch size and a fixed size of everything else.

    Args:
        name: ``slug.row``, a folder, or ``hf-hub:user/name``.
        output: the file; None for ``<slug>.<row>.pt2`` or ``.onnx`` in the current folder.
        format: "torch" or "onnx".

    Returns:
        The file, and the largest absolute difference of its outputs from the network's.

    Raises:
        ExportError: the difference is above 1e-4, and no file is left; or a package is missing.
    """
    if format not in FORMATS:
        raise UnknownName(f"there is no format {format!r}; expected one of {', '.join(FORMATS)}")
    pipe = pipeline(name)
    suffix, write, run = FORMATS[format]
    path = Path(output or f"{pipe.config['slug']}.{pipe.config['row']}{suffix}")
    if path.suffix != suffix:
        raise ExportError(f"{path}: expected a file name that ends in {suffix}")
    if not path.absolute().parent.is_dir():
        raise ExportError(f"{path}: there is no folder {path.parent}")
    inputs = pipe.example(CHECKED)
    with torch.no_grad(), tempfile.TemporaryDirectory() as scratch:
        partial = Path(scratch) / f"network{suffix}"
        expected = pipe.network(**inputs)
        names = list(getattr(expected, "_fields", ())) or None  # of the outputs
        outputs = [expected] if isinstance(expected, Tensor) else [each for each in expected if each is not None]
        write(trace(pipe.network, pipe.example(TRACED)), partial, pipe.example(TRACED), names)
        worst = difference(run(partial, inputs), outputs)
        if not worst <= TOLERANCE:
            raise ExportError(f"{path}: not written, since it differs from the network by {worst:.2g}")
        path.write_bytes(partial.read_bytes())
    return path, worst


class Plain(nn.Module):
    """A network whose outputs are a plain tuple of tensors, which any file format knows; None is left out."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, **inputs: Tensor) -> tuple[Tensor, ...]:
        outputs = self.network(**inputs)
        return (outputs,) if isinstance(outputs, Tensor) else tuple(each for each in outputs if each is not None)


def trace(network: nn.Module, inputs: dict[str, Tensor]) -> torch.export.ExportedProgram:
    """The graph of the network's forward, with a free batch size."""
    batch = torch.export.Dim("batch", min=1)
    shapes = {"inputs": {name: {0: batch} for name in inputs}}
    # strict: the tracer that reads Python code, for which len(tensor) is not yet a number
    return torch.export.export(Plain(network), (), dict(inputs), dynamic_shapes=shapes, strict=True)


def difference(found: list[Any], expected: list[Tensor]) -> float:
    """The largest absolute difference of two lists of arrays of the same shapes; infinite where they do not match."""
    pairs = [(np.asarray(one), other.numpy(force=True)) for one, other in zip(found, expected, strict=False)]
    if len(found) != len(expected) or any(one.shape != other.shape for one, other in pairs):
        return float("inf")
    return max(float(np.abs(one - other).max()) for one, other in pairs)


def _write_torch(
    program: torch.export.ExportedProgram, path: Path, inputs: dict[str, Tensor], outputs: list[str] | None
) -> None:
    torch.export.save(program, path)


def _run_torch(path: Path, inputs: dict[str, Tensor]) -> list[Any]:
    return [each.numpy(force=True) for each in torch.export.load(path).module()(**inputs)]


def _write_onnx(
    program: torch.export.ExportedProgram, path: Path, inputs: dict[str, Tensor], outputs: list[str] | None
) -> None:
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ExportError(f"ONNX needs the package {error.name}: pip install -e '.[export]' in the checkout") from None
    axes = {"inputs": {name: {0: "batch"} if i == 0 else None for i, name in enumerate(inputs)}}  # one names all
    torch.onnx.export(
        program,
        kwargs=inputs,
        output_names=outputs,
        dynamic_shapes=axes,
        dynamo=True,
        external_data=False,
        verbose=False,
    ).save(path)


def _run_onnx(path: Path, inputs: dict[str, Tensor]) -> list[Any]:
    from onnxruntime import InferenceSession, SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()  # its own default takes every core
    session = InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session.run(None, {name: value.numpy(force=True) for name, value in inputs.items()})


FORMATS: dict[str, tuple[str, Callable, Callable]] = {
    "torch": (".pt2", _write_torch, _run_torch),
    "onnx": (".onnx", _write_onnx, _run_onnx),
}
KEYS = ("name", "format", "output")


def parse(arguments: list[str]) -> dict[str, str]:
    """``key=value`` words to the arguments of :func:`export`."""
    given = {}
    for argument in arguments:
        key, sign, value = argument.partition("=")
        if key not in KEYS or not sign:
            raise UnknownName(f"there is no {key!r}{suggest(key, KEYS) or '; expected ' + ', '.join(KEYS)}")
        given[key] = value
    if "name" not in given:
        raise ZooError("say what to export: name=<slug>.<row> or name=<folder>")
    return given


HELP = """\
Writes a released network as a file for other programs, which takes batches of any size.

  python scripts/export.py name=<slug>.<row> | name=<folder> [format=torch|onnx] [output=<path>]

  python scripts/export.py name=ram.mnist28_7                               ram.mnist28_7.pt2, of torch.export
  python scripts/export.py name=ram.mnist28_7 format=onnx                   needs the extra: pip install -e '.[export]'
  python scripts/export.py name=bahdanau.debian_de_en output=network.pt2

The file is kept only if its outputs are those of the network.
"""


def main() -> None:
    """The export command."""
    if not sys.argv[1:] or {"-h", "--help"} & set(sys.argv):
        print(HELP, end="")
        return
    with in_one_sentence():
        path, worst = export(**parse(sys.argv[1:]))
        print(f"{path}: outputs differ from the network's by at most {worst:.2g}")
