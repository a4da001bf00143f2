"""Parsing with the Transformer: trees are learned by heart, and a test leaves their F1."""

import json

import pytest
import pytorch_lightning as pl
import torch

from datamodules.trees import Trees, hide_tags
from zoo.models.transformer import LitParser, TranslateByHeads
from zoo.release import WeightsError

BANK = """
( (S (NP-SBJ (DT the) (NN cat)) (VP (VBZ sleeps)) (. .)))
( (S (NP-SBJ (DT the) (NN dog)) (VP (VBZ sees) (NP (DT the) (NN cat))) (. .)))
( (S (NP-SBJ (-NONE- *)) (VP (VB look) (PRT (RP up)))))
( (NP (NP (DT the) (NN dog)) (, ,) (NP (DT the) (NN cat))))
( (X (NN dog)))
"""


def test_trees_are_learned_by_heart_and_measured(tmp_path):
    (tmp_path / "trees.mrg").write_text(BANK)
    data = Trees(str(tmp_path), **dict.fromkeys(("train", "val", "test"), "trees.mrg"))
    torch.manual_seed(0)
    how = {"layers": 2, "d_model": 32, "d_ff": 64, "heads": 4, "dropout": 0.0, "label_smoothing": 0.0, "beam": 4}
    model = LitParser(**data.spec, **how)
    batch = next(iter(data.train_dataloader()))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(100):
        optimizer.zero_grad()
        loss = model.loss(batch)["loss"]
        loss.backward()
        optimizer.step()
    quiet = dict.fromkeys(("logger", "enable_progress_bar", "enable_model_summary", "enable_checkpointing"), False)
    trainer = pl.Trainer(accelerator="cpu", default_root_dir=tmp_path, use_distributed_sampler=False, **quiet)
    (metrics,) = trainer.test(model, datamodule=data, verbose=False)
    assert all(metrics[f"test/{name}"] == 100 for name in ("f1", "precision", "recall", "complete"))
    assert trainer.validate(model, datamodule=data, verbose=False)[0]["val/f1"] == 100
    report = json.loads((tmp_path / "scores.json").read_text())
    assert report["f1"] == 100 and report["beam"] == 4 and "labelled" in report["signature"]
    rows = [json.loads(line) for line in (tmp_path / "translations.jsonl").read_text().splitlines()]
    assert [row["source"] for row in rows] == [words for words, _ in data.pairs("test")]
    assert all(row["hypothesis"] == hide_tags(row["reference"]) for row in rows)


def test_the_search_is_the_papers(composed):
    model = composed("experiment=transformer/wsj_parsing").model
    sizes = {"source_vocabulary": 9, "target_vocabulary": 9, "layers": 1, "d_model": 8, "d_ff": 8, "heads": 2}
    lit = LitParser(**sizes)
    assert (lit.beam, lit.alpha, lit.extra, lit.normalise, lit.monitor, lit.mode) == (
        21,
        0.3,
        300,
        "gnmt",
        "val/f1",
        "max",
    )
    assert (model.layers, model.d_model, model.d_ff, model.heads) == (4, 1024, 2048, 8)
    assert all(model[name] == lit.hparams[name] for name in ("beam", "alpha", "extra", "ban_unknown"))
    assert lit.longest(torch.tensor([5])).item() == 305


def test_a_parser_has_no_pipeline(composed):
    with pytest.raises(WeightsError, match="no translation"):
        TranslateByHeads.preprocess(dict(composed("experiment=transformer/wsj_parsing").data))
