"""The best checkpoint: the best score, then the lower perplexity; a score that never moves is told."""

from types import SimpleNamespace

import pytest
import torch

from zoo.training.choosing import Best


class Trainer(SimpleNamespace):
    """What the callback asks of a trainer."""

    is_global_zero = True
    strategy = SimpleNamespace(reduce_boolean_decision=bool)


def run(best: Best, epochs: list[tuple[float, float]], start: int = 0) -> int:
    """The epoch whose checkpoint is kept after validations with so much BLEU and perplexity."""
    kept = -1
    for epoch, (bleu, perplexity) in enumerate(epochs, start):
        metrics = {"val/bleu": torch.tensor(bleu), "val/perplexity": torch.tensor(perplexity)}
        trainer = Trainer(callback_metrics=metrics)
        if best.check_monitor_top_k(trainer, metrics["val/bleu"]):
            kept, path = epoch, f"{epoch}.ckpt"
            best.best_k_models = {path: metrics["val/bleu"]}
            best.best_model_path = best.kth_best_model_path = path
            best.best_model_score = metrics["val/bleu"]
    return kept


def callback() -> Best:
    return Best(monitor="val/bleu", mode="max", filename="best")


@pytest.mark.filterwarnings("ignore:val/bleu was")
@pytest.mark.parametrize(
    ("epochs", "kept"),
    [
        ([(0.0, 90.0), (0.0, 40.0), (0.0, 30.0), (0.0, 35.0)], 2),  # constant: perplexity
        ([(1.0, 90.0), (5.0, 40.0), (5.0, 30.0), (4.0, 20.0)], 2),  # a tie at the top
        ([(5.0, 30.0), (5.0, 40.0), (4.0, 20.0)], 0),  # a tie with a higher perplexity
        ([(1.0, 10.0), (2.0, 90.0), (1.0, 9.0)], 1),  # the score comes first
        ([(0.0, 9.0), (0.0, 8.0), (3.0, 99.0), (0.0, 1.0), (3.0, 98.0)], 4),  # of the best score only
        ([(0.0, float("nan")), (0.0, 8.0)], 0),
    ],
)
def test_a_tie_is_decided_by_perplexity(epochs, kept):
    assert run(callback(), epochs) == kept


def test_a_score_that_never_moves_is_told():
    best = callback()
    with pytest.warns(
        UserWarning, match="val/bleu was 0.00 in each of 3 validations, so val/perplexity chooses"
    ) as told:
        run(best, [(0.0, 9.0), (0.0, 8.0), (0.0, 7.0)])
    assert len(told) == 1 and "data.bleu=char" in str(told[0].message)
    with pytest.warns(UserWarning, match="in each of 5 validations"):
        run(best, [(0.0, 9.0), (0.0, 8.0)])
        best.on_fit_end(Trainer(callback_metrics={}), None)


def test_a_score_that_moves_is_not_told(recwarn):
    best = callback()
    run(best, [(0.0, 9.0), (0.1, 8.0), (0.0, 7.0)])
    best.on_fit_end(Trainer(callback_metrics={}), None)
    one = callback()
    run(one, [(0.0, 9.0)])
    one.on_fit_end(Trainer(callback_metrics={}), None)
    assert not [each for each in recwarn if "validations" in str(each.message)]


@pytest.mark.filterwarnings("ignore:val/bleu was")
def test_a_resumed_run_chooses_as_an_undisturbed_one():
    epochs = [(0.0, 9.0), (0.0, 8.0), (0.0, 8.5), (0.0, 7.0)]
    first, second = callback(), callback()
    run(first, epochs[:2])
    second.load_state_dict(first.state_dict())
    assert run(second, epochs[2:], start=2) == run(callback(), epochs) == 3
    old = {key: value for key, value in first.state_dict().items() if key not in ("tied", "scores", "validations")}
    callback().load_state_dict(old)  # of a checkpoint from before
