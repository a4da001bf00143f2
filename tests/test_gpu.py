"""What only a CUDA device can show: `make test-gpu` (skipped without one)."""

import copy
from contextlib import suppress
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hydra.utils import instantiate
from PIL import Image
from pytorch_lightning.callbacks import Callback
from torch.utils._pytree import tree_leaves, tree_map_only

import zoo
from tests.small import EXPERIMENTS, read
from tests.stops import differences
from zoo.errors import ZooError
from zoo.nn.kernels import LOGITS, cross_entropy
from zoo.training import benchmarking, running
from zoo.training.compiling import speed_up

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]

GPU = ("trainer=gpu", "trainer.accelerator=gpu", "trainer.enable_progress_bar=false", "logger=none")
SHORT = ("trainer.max_epochs=3", "trainer.enable_progress_bar=false", "logger=none")
SMALL = ("experiment=ram/mnist28_2", "data.limit=640", "data.batch_size=64", "model.test_starts=1", *SHORT)
FEW = ("data.limit=120", "data.vocabulary=200", "data.batch_tokens=150")
TEXT = ("experiment=luong/debian_de_en", *FEW, "model.embedding=8", "model.hidden=8", *SHORT)
FIRST = {read(experiment).groups["model"]: experiment for experiment in reversed(EXPERIMENTS)}
# the first row of every config of a model, and two that differ in more than numbers
OTHERS = ("ram/cluttered60_8", "draw/mnist_no_attention", "spatial_transformer/rts_st_fcn_affine")
ROOMS = sorted({*FIRST.values(), *OTHERS})
# whose batches are all of one shape: CUDA graphs
STATIC = (
    *("ram/mnist28_6", "ram/cluttered60_8", "draw/mnist", "draw/cluttered100_8"),
    *("spatial_transformer/r_st_cnn_tps", "wake_sleep_ram/scaled100_wsq_c", "wake_sleep_ram/scaled100_var"),
)
TRANSFORMER = (
    "experiment=transformer/debian_de_en",
    *FEW,
    *("model.d_model=16", "model.d_ff=16", "model.heads=2", "model.layers=1", "trainer.max_epochs=3"),
)


def on(device, cfg):
    """Model and the first training batch of a config on a device; the batch is made on the processor and here alike.

    Both get that of the processor: where pixels are rounded, one in many is another grey elsewhere.
    """
    torch.manual_seed(0)
    datamodule = instantiate(cfg.data)
    datamodule.setup("fit")
    model = instantiate(cfg.model, **datamodule.spec).eval()  # dropout is drawn differently on every device
    for module in model.modules():
        if isinstance(module, torch.nn.RNNBase):
            module.train()  # cuDNN has no backward pass in evaluation; these have no dropout
    ticket = next(iter(datamodule.train_dataloader()))
    batch = datamodule.on_after_batch_transfer(ticket, 0)
    made = datamodule.on_after_batch_transfer(datamodule.transfer_batch_to_device(ticket, torch.device(device), 0), 0)
    for one, other in zip(tree_leaves(batch), tree_leaves(made), strict=True):
        if isinstance(one, torch.Tensor):
            assert one.shape == other.shape and (one.float() - other.cpu().float()).abs().mean() < 1e-3
    model._trainer = SimpleNamespace(
        datamodule=datamodule, world_size=1, global_step=0
    )  # which knows the words of a record
    return model.to(device), tree_map_only(torch.Tensor, lambda x: x.to(device), batch)


def gradients(model):
    return {name: p.grad.detach().cpu() for name, p in model.network.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("experiment", ROOMS)
def test_forward_backward_and_record_equal_those_of_the_processor(experiment, composed, small, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    torch.set_float32_matmul_precision("highest")
    cfg = composed(f"experiment={experiment}", *small(experiment))
    losses, found, looked = [], [], []
    for device in ("cpu", "cuda"):
        model, batch = on(device, cfg)
        loss = model.loss(batch)["loss"]
        loss.backward()
        losses.append(loss.item()), found.append(gradients(model))
        with torch.no_grad(), suppress(ZooError, NotImplementedError):  # a baseline looks at nothing, and says so
            looked.append(model.record(batch))
    assert len(looked) != 1
    assert losses[0] == pytest.approx(losses[1], rel=1e-4, abs=1e-5)
    assert found[0].keys() == found[1].keys()
    for name, gradient in found[0].items():
        torch.testing.assert_close(found[1][name], gradient, rtol=1e-2, atol=1e-4 + 1e-3 * gradient.abs().max().item())
    for field in ("weights", "boxes") if looked else ():
        here, there = (getattr(record, field) for record in looked)
        if here is not None:
            torch.testing.assert_close(there.cpu(), here, rtol=1e-3, atol=1e-3)


class Interrupt(Callback):
    """Ctrl-C after so many steps."""

    def __init__(self, step):
        self.step = step

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == self.step:
            raise KeyboardInterrupt


def weights(folder):
    return torch.load(folder / "checkpoints/last.ckpt", weights_only=True)["state_dict"]


@pytest.mark.parametrize("overrides", [SMALL, TEXT, TRANSFORMER], ids=["ram", "luong", "transformer"])
def test_a_run_that_was_stopped_and_resumed_ends_as_an_undisturbed_one(overrides, composed, tmp_path, monkeypatch):
    overrides = (*overrides, *GPU)
    running.train(composed(*overrides))
    undisturbed = weights(tmp_path / "run")
    (tmp_path / "run").rename(tmp_path / "undisturbed")
    build = running.build

    def stopped(cfg, folder):
        datamodule, model, trainer = build(cfg, folder)
        trainer.callbacks.insert(0, Interrupt(5))
        return datamodule, model, trainer

    monkeypatch.setattr(running, "build", stopped)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        running.train(composed(*overrides))
    monkeypatch.setattr(running, "build", build)
    running.train(composed(*overrides, "resume=auto"))
    assert not differences(weights(tmp_path / "run"), undisturbed)


@pytest.mark.parametrize("experiment", STATIC)
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_replayed_graphs_give_the_loss_and_gradients_of_the_written_step(experiment, precision, composed, small):
    model, batch = on("cuda", composed(f"experiment={experiment}", *small(experiment)))
    model.train()
    replayed = copy.deepcopy(model)
    speed_up(replayed.network, "graph")
    written, calls = replayed.network.forward.eager, []
    replayed.network.forward.eager = lambda *args, **kwargs: calls.append(1) or written(*args, **kwargs)
    autocast = torch.autocast("cuda", torch.bfloat16, enabled=precision == "bf16-mixed")
    close = 1e-4 if precision == "32-true" else 2e-2
    for turn in range(3):  # captured once, replayed with other weights and other pictures
        results, captured = [], len(calls)
        batch = {**batch, "image": batch["image"].flip(-1)}
        for each in (model, replayed):
            each.zero_grad(set_to_none=True)
            with autocast:
                loss = each.loss(batch)["loss"]
            loss.backward()
            results.append((loss.item(), gradients(each)))
            with torch.no_grad():
                for parameter in each.network.parameters():
                    if parameter.grad is not None:
                        parameter -= 0.01 * parameter.grad
        assert calls and (turn == 0 or len(calls) == captured), "the step is not replayed"
        (loss, expected), (again, found) = results
        assert again == pytest.approx(loss, rel=close)
        for name, gradient in expected.items():
            scale = gradient.abs().max().item()
            torch.testing.assert_close(
                found[name], gradient, rtol=0, atol=(1e-4 if "32" in precision else 2e-2) * scale
            )


def test_a_batch_of_another_shape_is_computed_as_written(composed):
    model, batch = on("cuda", composed("experiment=ram/mnist28_6", "data.limit=64", "data.batch_size=32"))
    model.train()
    expected = model.loss({name: value[:7] for name, value in batch.items()})["loss"].item()
    speed_up(model.network, "graph")
    model.loss(batch)["loss"].backward()
    assert model.loss({name: value[:7] for name, value in batch.items()})["loss"].item() == pytest.approx(expected)


def test_every_setting_of_the_benchmark_runs(composed):
    names = "[fp32,bf16,bf16 compiled,bf16 graph,bf16 both]"
    cfg = composed("experiment=ram/mnist28_6", f"settings={names}", "seconds=1", *GPU, config="benchmark")
    report = benchmarking.benchmark(cfg)
    assert len(report) == 5 and all(row["samples/s"] > 0 for row in report.values())
    print({name: row["samples/s"] for name, row in report.items()})


@pytest.mark.parametrize("name", ["ram.mnist28_7", "ram.cluttered60_8"])
def test_a_pipeline_on_the_device_answers_as_on_the_processor(name):
    random = np.random.default_rng(0)
    picture = Image.fromarray((random.random((60, 60)) * 255).astype("uint8"))
    here, there = zoo.pipeline(name)(picture), zoo.pipeline(name, device="cuda")(picture)
    assert there.label == here.label
    np.testing.assert_allclose(there.probabilities, here.probabilities, atol=1e-3)


def test_a_translation_on_the_device_is_that_of_the_processor():
    sentence = "Dieses Paket enthält ein Spiel."
    for name in zoo.list_models("*.debian_de_en", pretrained=True):
        assert zoo.pipeline(name, device="cuda")(sentence).text == zoo.pipeline(name)(sentence).text


def test_cross_entropy_makes_no_copy_of_all_logits_in_float32():
    words, vocabulary = 4096, 37000
    logits = torch.randn(words, vocabulary, device="cuda", dtype=torch.bfloat16, requires_grad=True)
    labels = torch.randint(1, vocabulary, (words,), device="cuda")
    expected = F.cross_entropy(logits.detach().float(), labels, label_smoothing=0.1, reduction="sum")
    torch.cuda.synchronize(), torch.cuda.empty_cache(), torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    found = cross_entropy(logits, labels, 0, 0.1)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=0)
    # the gradient in bfloat16, and of a few rows at a time three arrays in float32
    assert torch.cuda.max_memory_allocated() - before < logits.nbytes + 4 * 4 * LOGITS
