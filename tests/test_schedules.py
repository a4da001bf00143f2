"""Learning rates against the papers' formulas."""

import pytest
import torch

from zoo.errors import ZooError
from zoo.training.schedules import halving, inverse_sqrt, steps, warmup_constant, warmup_linear


@pytest.mark.parametrize(("d_model", "warmup"), [(512, 40), (1024, 7), (128, 1)])
def test_the_rate_of_the_transformer(d_model, warmup):
    """Eq. 3 of Vaswani et al., steps counted from 1."""
    peak = (d_model * warmup) ** -0.5
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=peak)
    schedule = inverse_sqrt(optimizer, total_steps=100, warmup=warmup)
    for step in range(1, 101):
        expected = d_model**-0.5 * min(step**-0.5, step * warmup**-1.5)
        assert schedule.get_last_lr()[0] == pytest.approx(expected)
        assert expected <= peak * (1 + 1e-9)
        optimizer.step(), schedule.step()


def test_a_warm_up_from_zero_that_stays_up():
    """Bloem's code: the first step is at rate 0."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
    schedule = warmup_constant(optimizer, total_steps=9, steps=4)
    found = []
    for _ in range(7):
        found += schedule.get_last_lr()
        optimizer.step(), schedule.step()
    assert found == [0, 0.5, 1, 1.5, 2, 2, 2]


@pytest.mark.parametrize(
    ("schedule", "wrong"),
    [
        (warmup_constant, {"steps": 0}),
        (inverse_sqrt, {"warmup": 0}),
        (warmup_linear, {"warmup": 1.5}),
        (halving, {"hold": 2, "times": 4}),
        (halving, {"times": 0, "hold": 0.5}),
    ],
)
def test_a_schedule_that_there_cannot_be_is_told(schedule, wrong):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    name, value = next(iter(wrong.items()))
    with pytest.raises(ZooError, match=f"{name} is {value}; expected"):
        schedule(optimizer, 9, **wrong)


def test_steps_down_at_shares_of_the_training():
    """SVHN in Jaderberg et al. 2015: 0.01, a tenth of it every 80,000 of 400,000 steps; here of 10."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.01)
    schedule = steps(optimizer, total_steps=10, at=[0.2, 0.4, 0.6, 0.8])
    found = []
    for _ in range(10):
        found += schedule.get_last_lr()
        optimizer.step(), schedule.step()
    assert found == pytest.approx([0.01 * 0.1 ** (step // 2) for step in range(10)])
    with pytest.raises(ZooError, match=r"at\[1\] is 1\.5"):
        steps(optimizer, 10, at=[0.5, 1.5])
