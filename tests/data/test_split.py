"""What is held out stays out."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitx.data.split import cut, hold_out

RANGES = st.lists(st.integers(0, 41), min_size=4, max_size=4, unique=True).map(sorted)


@given(RANGES)
def test_every_item_is_in_one_part_only_and_in_order(ends):
    a, b, c, d = ends
    items = [f"item {i}" for i in range(41)]
    split = hold_out(items, validation=[range(a, b)], test=[range(c, d)])
    assert split.validation == items[a:b]
    assert split.test == items[c:d]
    assert split.train == items[:a] + items[b:c] + items[d:]


def test_several_ranges():
    split = hold_out("abcdefghijk", validation=[range(1), range(4, 6)], test=[])
    assert split == (list("bcdghijk"), list("aef"), [])


def test_ranges_must_not_overlap():
    for validation, test in [(range(3, 7), range(6, 11)), (range(6, 11), range(3, 7))]:
        with pytest.raises(ValueError, match="must not overlap"):
            hold_out("abcdefghijk", validation=[validation], test=[test])


@pytest.mark.parametrize(("held", "got"), [(range(5, 12), "5 to 11"), (range(-1, 1), "-1 to 0")])
def test_ranges_must_lie_within(held, got):
    with pytest.raises(ValueError, match=f"must lie below 11, got {got}"):
        hold_out("abcdefghijk", validation=[], test=[held])


@given(st.lists(st.integers(), min_size=2), st.floats(0.01, 0.99))
def test_the_end_is_cut_off(items, share):
    try:
        train, validation = cut(items, share=share)
    except ValueError:
        assert round(len(items) * share) in (0, len(items))
    else:
        assert train + validation == items
        assert len(validation) == round(len(items) * share)


@pytest.mark.parametrize("share", [0.0, 0.04, 0.96, 1.0, 2.0, -1.0])
def test_no_part_may_be_empty(share):
    text = f"a share of {share} of 11 items leaves one part empty"
    with pytest.raises(ValueError, match=re.escape(text)):
        cut("abcdefghijk", share=share)
