"""Several batches of an update are one larger batch: the same gradient, whatever their sizes and how many are left."""

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch.utils.data import DataLoader

from zoo.models.bahdanau import LitRNNsearch
from zoo.models.former import LitClassifier, LitGenerator
from zoo.models.luong import LitStackedLSTM
from zoo.models.ram import LitBaseline, LitCatch, LitRAM
from zoo.models.transformer import LitTransformer

LENGTHS = (7, 6, 2, 5, 1, 4, 3, 7, 2)  # target tokens of each sentence
PARTS = ((0, 3), (3, 4), (4, 8), (8, 9))  # sentences of each batch: three of an update and one that is left over
SGD = {"_target_": "torch.optim.SGD", "lr": 0.0}
WORDS = {"source_vocabulary": 9, "target_vocabulary": 9, "optimizer": SGD}
RECURRENT = {**WORDS, "embedding": 8, "hidden": 8, "dropout": 0.0}
FORMER = {"vocabulary": 9, "dim": 8, "depth": 1, "dropout": 0.0, "self_attention": {"heads": 2}, "optimizer": SGD}


def sentences(start, end):
    ids = torch.randint(4, 9, (len(LENGTHS), 8), generator=torch.Generator().manual_seed(0))
    padding = torch.arange(7) >= torch.tensor(LENGTHS)[:, None]
    return {
        "source": ids[start:end],
        "target": torch.cat((ids[:, :1], ids[:, 1:].masked_fill(padding, 0)), 1)[start:end],
        "tokens": torch.tensor(float(sum(LENGTHS[start:end]))),
        "sentences": torch.tensor(float(end - start)),
    }


def texts(start, end):
    ids = sentences(start, end)["source"]
    return {"text": ids, "label": ids[:, 0] % 3, "sentences": torch.tensor(float(len(ids)))}


def digits(start, end):
    image = torch.rand(len(LENGTHS), 1, 28, 28, generator=torch.Generator().manual_seed(0))[start:end]
    return {"image": image, "label": torch.arange(start, end), "key": torch.arange(start, end)}


def games(start, end):
    return {"key": torch.arange(start, end)}


ROOMS = {
    "bahdanau": (lambda: LitRNNsearch(**RECURRENT, maxout=4, attention=None), sentences),
    "luong": (lambda: LitStackedLSTM(**RECURRENT, layers=1, attention=None, loss_per="sentence"), sentences),
    "transformer": (lambda: LitTransformer(**WORDS, d_model=8, d_ff=8, heads=2, layers=1, dropout=0.0), sentences),
    "former": (lambda: LitClassifier(**FORMER, num_classes=3, longest=8), texts),
    "generator": (lambda: LitGenerator(**FORMER, longest=8), texts),
    "ram": (lambda: LitRAM(num_glimpses=2, hidden=8, optimizer=SGD), digits),
    "baseline": (lambda: LitBaseline("fc", 28, hidden=8, optimizer=SGD), digits),
    "catch": (lambda: LitCatch(num_classes=3, hidden=8, core="lstm", optimizer=SGD), games),
}


class Gradients(Callback):
    """Keeps the gradient of every update."""

    def __init__(self):
        self.found = []

    def on_before_zero_grad(self, trainer, pl_module, optimizer):  # hence after the update and all hooks before it
        if trainer.global_step > len(self.found):
            self.found.append(gradient(pl_module))


def gradient(model):
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def updates(model, batches, accumulate):
    """The gradient of every update of one epoch."""
    kept = Gradients()
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=1,
        accumulate_grad_batches=accumulate,
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[kept],
    )
    trainer.fit(model, DataLoader(batches, batch_size=None))
    return [*kept.found, gradient(model)]


@pytest.mark.parametrize("room", ROOMS)
def test_an_update_of_several_batches_is_that_of_the_larger_batch(room):
    make, batch = ROOMS[room]
    torch.manual_seed(0)
    model = make()
    found = updates(model, [batch(start, end) for start, end in PARTS], accumulate=3)
    expected = []
    for start, end in ((0, 8), (8, 9)):
        model.zero_grad()
        model.loss(batch(start, end))["loss"].backward()
        expected.append(gradient(model))
    assert len(found) == 2
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
