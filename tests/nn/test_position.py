"""Positions against the formula of section 3.5 in loops, and what a learned table refuses."""

import math

import numpy as np
import pytest
import torch

from zoo.errors import UnknownName, ZooError
from zoo.nn.position import Learned, Sinusoidal, make_positions


@pytest.mark.parametrize("dim", [1, 2, 6, 7, 512])
def test_sinusoids_are_those_of_the_paper(dim):
    expected = np.zeros((40, dim))
    for p in range(40):
        for k in range(dim):
            angle = p / 10000 ** (2 * (k // 2) / dim)
            expected[p, k] = math.cos(angle) if k % 2 else math.sin(angle)
    np.testing.assert_allclose(Sinusoidal(dim)(40), expected, atol=1e-5)


def test_any_length_and_any_start():
    positions = Sinusoidal(8)
    long = positions(20000)
    assert long.shape == (20000, 8) and long.isfinite().all() and long.abs().max() <= 1
    torch.testing.assert_close(positions(3, 19990), long[19990:19993])
    assert positions(0).shape == (0, 8)
    np.testing.assert_allclose(long[19999, :2], [math.sin(19999), math.cos(19999)], atol=1e-5)


def test_nothing_of_them_is_in_the_weights():
    assert not Sinusoidal(8).state_dict() and not list(Sinusoidal(8).parameters())


def test_an_offset_is_a_rotation():
    """Why the paper chose them: PE(p + k) is one linear function of PE(p) for all p."""
    x = Sinusoidal(6)(30).double().numpy()
    turn = np.linalg.lstsq(x[:20], x[5:25], rcond=None)[0]
    np.testing.assert_allclose(x[20:25] @ turn, x[25:30], atol=1e-5)


def test_a_cast_of_the_module_does_not_round_them():
    expected = Sinusoidal(64)(600)
    torch.testing.assert_close(Sinusoidal(64).bfloat16()(600), expected)


def test_learned_positions_refuse_what_they_have_not_learned():
    positions = Learned(4, 10)
    torch.testing.assert_close(positions(3, 7), positions.table[7:])
    with pytest.raises(ZooError, match=r"the input has 11 positions and 10 were learned; sinusoidal") as caught:
        positions(1, 10)
    assert "\n" not in str(caught.value)


def test_a_wrong_kind_is_named():
    with pytest.raises(UnknownName, match="positions is 'sinusoid', not 'sinusoidal' or 'learned'; did you mean sinu"):
        make_positions("sinusoid", 4, 10)


def test_they_are_drawn(tmp_path, monkeypatch):
    from scripts import positions

    picture = tmp_path / "positions.png"
    monkeypatch.setattr("sys.argv", ["positions", str(picture), "--length", "5", "--dim", "8"])
    positions.main()
    assert picture.stat().st_size > 1000
    monkeypatch.setattr("sys.argv", ["positions", str(tmp_path / "positions.text")])
    with pytest.raises(SystemExit, match="'text' is not supported"):
        positions.main()
