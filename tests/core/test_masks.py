"""Masks: what each rule allows, and what is refused in which words."""

import dataclasses
import re

import numpy as np
import pytest
import torch

from minitx.masks import NO_MASK, Mask, causal, padding


def test_no_mask_allows_everything_and_has_no_rules():
    assert NO_MASK.dense(3, 5, "cpu").all()
    assert NO_MASK.rules == frozenset()


def test_a_mask_names_its_rules():
    pairs = torch.ones(1, 1, 3, 5, dtype=torch.bool)
    assert causal().rules == {"causal"}
    assert padding([3, 5]).rules == {"key_padding"}
    assert Mask(allowed=pairs).rules == {"pairwise"}
    assert (causal() & padding([3, 5]) & Mask(allowed=pairs)).rules == {
        "causal",
        "key_padding",
        "pairwise",
    }


@pytest.mark.parametrize(
    ("T_q", "T_k", "want"),
    [
        (3, 3, ["100", "110", "111"]),
        (2, 5, ["11110", "11111"]),
        (1, 5, ["11111"]),
        (3, 2, ["00", "10", "11"]),
    ],
)
def test_causal_is_aligned_bottom_right(T_q, T_k, want):
    table = causal().dense(T_q, T_k, "cpu")
    assert table.shape == (1, 1, T_q, T_k)
    assert ["".join(map(str, row)) for row in table[0, 0].int().tolist()] == want


def test_causal_does_not_remember_the_first_length():
    mask = causal()
    assert mask.dense(7, 7, "cpu").sum() == 28
    assert mask.dense(3, 3, "cpu").sum() == 6


def test_padding_hides_the_keys_after_each_length():
    mask = padding(torch.tensor([2, 0, 5]), max_len=5)
    assert mask.key_padding.int().tolist() == [[1, 1, 0, 0, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]]
    table = mask.dense(2, 5, "cpu")
    assert table.shape == (3, 1, 2, 5)
    assert torch.equal(table, mask.key_padding[:, None, None, :].expand(3, 1, 2, 5))


def test_padding_takes_the_longest_as_length():
    assert padding([2, 3]).key_padding.shape == (2, 3)


def test_all_rules_must_allow_a_pair():
    pairs = torch.ones(1, 3, 2, 5, dtype=torch.bool)
    pairs[0, 1, 0, 0] = False
    table = (causal() & padding([3, 5]) & Mask(allowed=pairs)).dense(2, 5, "cpu").int()
    assert table.shape == (2, 3, 2, 5)
    assert table[0, 0].tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 0, 0]]
    assert table[0, 1].tolist() == [[0, 1, 1, 0, 0], [1, 1, 1, 0, 0]]
    assert table[1, 1].tolist() == [[0, 1, 1, 1, 0], [1, 1, 1, 1, 1]]


def test_two_masks_of_one_kind_are_both_kept_to():
    both = padding([2, 3], max_len=5) & padding([3, 1], max_len=5)
    assert both.key_padding.sum(dim=1).tolist() == [2, 1]
    left, right = (torch.tensor([row]).view(1, 1, 1, 3).bool() for row in ([1, 1, 0], [0, 1, 1]))
    both = Mask(allowed=left) & Mask(allowed=right)
    assert both.allowed.flatten().tolist() == [False, True, False]


def test_padding_is_cleaned_whatever_stands_there():
    mask = padding([1, 2])
    x = torch.tensor([[1.0, torch.nan], [torch.inf, 2.0]]).view(2, 1, 2, 1)
    assert mask.zero_padding(x).flatten().tolist() == [1.0, 0.0, torch.inf, 2.0]
    assert causal().zero_padding(x) is x
    assert mask.is_token(2, "cpu").tolist() == [[True, False], [True, True]]
    assert causal().is_token(2, "cpu").tolist() == [[True, True]]


def test_a_mask_moves_with_all_its_tables():
    pairs = torch.ones(1, 1, 3, 5, dtype=torch.bool)
    moved = (causal() & padding([3, 5]) & Mask(allowed=pairs)).to("meta")
    assert moved.causal
    assert moved.key_padding.device == moved.allowed.device == torch.device("meta")
    assert causal().to("meta").rules == {"causal"}


def test_masks_are_frozen_and_compared_by_identity():
    with pytest.raises(dataclasses.FrozenInstanceError):
        NO_MASK.causal = True
    assert causal() != causal()
    assert len({NO_MASK, causal()}) == 2


BOOLS = torch.ones(2, 7, dtype=torch.bool)
PAIRS = torch.ones(2, 3, 5, 7, dtype=torch.bool)
WRONG = [
    (
        lambda: Mask(key_padding=BOOLS.int()),
        TypeError,
        "key_padding must be a bool tensor (True = may attend), got torch.int32",
    ),
    (
        lambda: Mask(allowed=np.ones((2, 3, 5, 7), dtype=bool)),
        TypeError,
        "allowed must be a bool tensor (True = may attend), got ndarray",
    ),
    (
        lambda: Mask(key_padding=BOOLS[:, None]),
        ValueError,
        "key_padding must have shape (B, T_k), got (2, 1, 7)",
    ),
    (
        lambda: Mask(allowed=PAIRS[0]),
        ValueError,
        "allowed must have shape (B, H, T_q, T_k), got (3, 5, 7)",
    ),
    (
        lambda: Mask(key_padding=BOOLS).dense(5, 11, "cpu"),
        ValueError,
        "key_padding must have shape (B, T_k=11), got (2, 7)",
    ),
    (
        lambda: Mask(key_padding=BOOLS[:, :1]).dense(5, 7, "cpu"),
        ValueError,
        "key_padding must have shape (B, T_k=7), got (2, 1)",
    ),
    (
        lambda: Mask(allowed=PAIRS).dense(7, 5, "cpu"),
        ValueError,
        "allowed must have shape (B, H, T_q=7, T_k=5), got (2, 3, 5, 7)",
    ),
    (
        lambda: Mask(allowed=PAIRS[:, :, :1]).dense(5, 7, "cpu"),
        ValueError,
        "allowed must have shape (B, H, T_q=5, T_k=7), got (2, 3, 1, 7)",
    ),
    (
        lambda: padding(torch.tensor([1.0, 2.0])),
        TypeError,
        "lengths must be integers, got torch.float32",
    ),
    (
        lambda: padding(torch.tensor([True, False])),
        TypeError,
        "lengths must be integers, got torch.bool",
    ),
    (
        lambda: padding(torch.tensor([[1, 2]])),
        ValueError,
        "lengths must have shape (B,) with B ≥ 1, got (1, 2)",
    ),
    (
        lambda: padding(torch.tensor([], dtype=torch.long)),
        ValueError,
        "lengths must have shape (B,) with B ≥ 1, got (0,)",
    ),
    (
        lambda: padding([2, 7], max_len=5),
        ValueError,
        "lengths must lie between 0 and max_len (5), got [2, 7]",
    ),
    (
        lambda: padding([2, -1]),
        ValueError,
        "lengths must lie between 0 and max_len (2), got [2, -1]",
    ),
]


@pytest.mark.parametrize(("call", "error", "text"), WRONG, ids=[text for *_, text in WRONG])
def test_refusals_say_what_got_and_wanted(call, error, text, as_users_run):
    with pytest.raises(error, match=f"^{re.escape(text)}$"):
        call()


def test_sizes_of_one_fit_every_batch_and_head():
    Mask(allowed=PAIRS[:1, :1]).require_sizes(2, 3, 5, 7)
