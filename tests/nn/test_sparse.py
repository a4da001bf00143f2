"""The patterns of sparse self-attention against their definitions, written out as loops."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.errors import UnknownName, ZooError
from zoo.nn.sparse import PATTERNS, pattern

relaxed = settings(deadline=None, max_examples=60, derandomize=True)
DEFINITIONS = {
    "full": lambda i, j, k: True,
    "atrous": lambda i, j, k: (i - j) % k == 0,
    "local": lambda i, j, k: abs(i - j) <= k,
    "sparse": lambda i, j, k: abs(i - j) <= k or (i - j) % k == 0,
}


@relaxed
@given(st.sampled_from(sorted(PATTERNS)), st.integers(0, 40), st.integers(1, 12), st.booleans())
def test_equals_its_definition_on_every_length(name, length, k, causal):
    found = pattern(name, length, k, causal)
    assert found.dtype == torch.bool and found.shape == (length, length)
    places = range(length)
    expected = [[DEFINITIONS[name](i, j, k) and (j <= i or not causal) for j in places] for i in places]
    assert found.tolist() == expected
    assert found.diagonal().all(), "a position always looks at itself"


def test_counts_of_nine_positions_with_k_three():
    rows = {name: pattern(name, 9, 3).sum(1).tolist() for name in PATTERNS}
    assert rows["full"] == [9] * 9
    assert rows["atrous"] == [3] * 9
    assert rows["local"] == [4, 5, 6, 7, 7, 7, 6, 5, 4]
    assert rows["sparse"] == [5, 6, 7, 7, 7, 7, 7, 6, 5]


@pytest.mark.parametrize("length", [1, 2, 7, 16])
def test_where_they_are_full(length):
    for causal in (False, True):
        full = pattern("full", length, causal=causal)
        assert torch.equal(pattern("atrous", length, 1, causal), full)
        assert torch.equal(pattern("local", length, length - 1, causal), full)
        assert torch.equal(pattern("sparse", length, max(1, length - 1), causal), full)
    assert torch.equal(pattern("local", length, 0), torch.eye(length, dtype=torch.bool))


def test_local_and_atrous_in_turns_connect_everything():
    """A neighbour k steps away at most stands at every rest of k."""
    local, atrous = (pattern(name, 40, 4).float() for name in ("local", "atrous"))
    assert ((atrous @ local) > 0).all()
    assert not ((local @ local) > 0).all() and not ((atrous @ atrous) > 0).all()


def test_what_there_is_not_is_told():
    with pytest.raises(UnknownName, match=r"scope is 'spars'.*did you mean sparse"):
        pattern("spars", 3)
    for name in ("atrous", "sparse"):
        with pytest.raises(ZooError, match=f"k is 0; {name} self-attention needs a whole number, at least 1"):
            pattern(name, 3, 0)
        for k in (1.5, None):
            with pytest.raises(ZooError, match=f"k is {k}; {name} self-attention needs a whole number"):
                pattern(name, 3, k)
    with pytest.raises(ZooError, match="k is -1; local"):
        pattern("local", 3, -1)


def test_on_the_device_that_is_asked_for():
    assert pattern("sparse", 4, 2, device=torch.device("meta")).device.type == "meta"
