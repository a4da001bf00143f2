"""Training, testing and translating as Apple's MPS would have to compute them, held against torch's own list.

There is no such device here, but torch says of each of its operations which devices have it, in the file that its
kernels are generated from. A training step runs on the meta device, which is no CPU either, so that the code takes the
way that it would take there.
"""

import re
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
import torchgen
from hydra.utils import instantiate
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from tests.test_precision import ROOMS

COMPOSITE = {"CompositeExplicitAutograd", "CompositeExplicitAutogradNonFunctional", "CompositeImplicitAutograd"}


def available() -> dict[str, bool]:
    """Whether MPS has an operation, for every operation of torch by its name and overload."""
    text = (Path(torchgen.__file__).parent / "packaged/ATen/native/native_functions.yaml").read_text()
    found, delegates = {}, {}
    for entry in re.split(r"^- func: ", text, flags=re.MULTILINE)[1:]:
        name = entry.split("(", 1)[0]
        lines = re.findall(r"^    ([A-Za-z, ]+):", entry, flags=re.MULTILINE)
        keys = {key.strip() for line in lines for key in line.split(",")}
        found[name] = "MPS" in keys or bool(keys & COMPOSITE) or not keys
        if (delegate := re.search(r"^  structured_delegate: (\S+)", entry, flags=re.MULTILINE)) and "MPS" not in keys:
            delegates[name] = delegate[1]
    return found | {name: found[out] for name, out in delegates.items()}


def failing() -> set[str]:
    """What torch's own tests on MPS expect to be missing for every type."""
    text = (Path(torch.__file__).parent / "testing/_internal/common_mps.py").read_text()
    begin = text.index("UNIMPLEMENTED_XFAILLIST: ")
    text = text[begin : text.index("\n        }", begin)]
    listed = re.findall(r'^            "([\w.]+)": None', text, flags=re.MULTILINE)
    return {name.removeprefix("nn.functional.").replace(".", "_") for name in listed}


class Watched(TorchDispatchMode):
    """Collects the operations that run, and whether one makes a float64."""

    def __init__(self):
        super().__init__()
        self.names, self.doubles = set(), set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        schema = function._schema
        name = schema.name.removeprefix("aten::") + (f".{schema.overload_name}" if schema.overload_name else "")
        if schema.name.startswith("aten::"):
            self.names.add(name)
        if any(
            isinstance(x, torch.Tensor) and x.dtype in (torch.float64, torch.complex128) for x in tree_leaves(result)
        ):
            self.doubles.add(name)
        return result


AVAILABLE, FAILING = available(), failing()


def missing(watched: Watched) -> set[str]:
    # for_cpu: kernels that a composite operation chooses by the device
    lacks = {name for name in watched.names if not AVAILABLE.get(name, True) and "for_cpu" not in name}
    return lacks | {name for name in watched.names if name.split(".")[0].rstrip("_") in FAILING}


def test_the_list_says_what_is_known():
    assert not AVAILABLE["special_ndtri"] and not AVAILABLE["special_ndtri.out"] and {"frexp", "take"} <= FAILING
    assert AVAILABLE["erfinv"] and AVAILABLE["mm"] and AVAILABLE["add.Tensor"] and AVAILABLE["cumsum"]
    with Watched() as watched:
        torch.special.ndtri(torch.rand(3).double())
    assert missing(watched) == {"special_ndtri"} and watched.doubles


@pytest.mark.parametrize("experiment", ROOMS)
def test_no_step_needs_what_mps_lacks(experiment, composed, small, monkeypatch):
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # there is none for the meta device
    cfg = composed(f"experiment={experiment}", *small(experiment), "data.batch_size=8")
    datamodule = instantiate(cfg.data)
    datamodule.setup("fit")
    model = instantiate(cfg.model, **datamodule.spec)
    ticket = next(iter(datamodule.train_dataloader()))
    with Watched() as made:
        batch = datamodule.on_after_batch_transfer(ticket, 0)
    device = "cpu" if "st_rnn" in experiment else "meta"  # what is done there depends on the numbers
    there = tree_map(lambda x: x.to(device) if isinstance(x, torch.Tensor) else x, batch)
    with Watched() as trained:
        model.to(device)
        model.loss(there)["loss"].backward()
    assert len(trained.names) > 10
    with Watched() as tested, torch.no_grad():  # what is done there depends on the numbers
        model.to_empty(device="cpu")
        for parameter in model.parameters():
            parameter.normal_(std=0.1)
        model.eval()
        for metric in model.evaluate(batch, "test").values():
            metric.compute()
    for watched in (made, trained, tested):
        assert not missing(watched) and not watched.doubles
    assert all(state.dtype != torch.float64 for state in (*model.buffers(), *model.parameters()))
