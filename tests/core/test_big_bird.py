"""BigBird: Hugging Face's block-sparse attention, the rebuilt mask, typical mistakes."""

import re
from collections import Counter

import numpy as np
import pytest
import torch
from transformers.models.big_bird.configuration_big_bird import BigBirdConfig
from transformers.models.big_bird.modeling_big_bird import BigBirdBlockSparseAttention, BigBirdModel

from minitx.cores import BigBird, FullAttention
from minitx.cores.big_bird import random_blocks
from minitx.masks import NO_MASK, Mask, padding

from .patterns import EXACT, assert_dense_equals, attended, qkv

SIZE = 3
SETTINGS = [(2, 3, 2), (1, 5, 1), (0, 3, 0), (0, 1, 2), (3, 1, 0), (1, 3, 50)]  # g, w, r


def core(g, w, r, *, size=SIZE, seed=0):
    return BigBird(size, num_global_blocks=g, num_window_blocks=w, num_random_blocks=r, seed=seed)


def chosen(N, g, w, r, *, seed=0):
    """The random blocks of each block, as drawn with this seed."""
    return random_blocks(N, g, w // 2, core(g, w, r, seed=seed).coefficients)


def rule(g, w, r, T, *, seed=0):
    """Zaheer et al. 2020, §2, of blocks; the random ones are what the core drew."""
    drawn = chosen(-(-T // SIZE), g, w, r, seed=seed)

    def allowed(i, j):
        i, j = i // SIZE, j // SIZE
        return i < g or j < g or abs(i - j) <= w // 2 or j in drawn[i].tolist()

    return allowed


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
@pytest.mark.parametrize("T", [1, 3, 29, 36])
@pytest.mark.parametrize("padded", [False, True])
def test_equals_dense_attention_with_the_rebuilt_mask(setting, T, padded):
    mask = padding([max(T - 4, 0), T], max_len=T) if padded else NO_MASK
    assert_dense_equals(core(*setting), rule(*setting, T), T, T, mask)


def test_equals_hugging_face():
    """There the first and the last block are global; here the first two: roll by one block."""
    B, H, N, r, size, D = 2, 3, 13, 2, 5, 7
    torch.manual_seed(0)
    config = BigBirdConfig(
        hidden_size=H * D, num_attention_heads=H, block_size=size, num_random_blocks=r,
        max_position_embeddings=N * size,
    )  # fmt: skip
    theirs = BigBirdBlockSparseAttention(config, seed=0).double().eval()
    ours = core(2, 3, r, size=size, seed=5)
    # Theirs has rows for all but the first and the last block; its block b is our b + 1.
    drawn = ours.blocks(N)[2:, -r:] - 1
    assert (drawn >= 0).all()
    theirs._bigbird_block_rand_mask_with_head = lambda **_: [drawn.numpy().astype(np.int32)] * H

    x = torch.randn(B, N * size, H * D, dtype=torch.float64)
    real = torch.ones(B, N * size, dtype=torch.float64)
    real[0, -8 - size : -size] = 0  # at the end, once it is rolled
    blocked, band, rows, columns = BigBirdModel.create_masks_for_block_sparse_attn(real, size)
    want, _ = theirs(x, band, rows, columns, blocked, blocked)

    rolled = x.roll(size, dims=1)
    q, k, v = (
        project(rolled).view(B, N * size, H, D).transpose(1, 2)
        for project in (theirs.query, theirs.key, theirs.value)
    )
    keep = real.roll(size, dims=1)
    got = ours(q, k, v, mask=Mask(key_padding=keep.bool()))
    got = got.transpose(1, 2).flatten(2).roll(-size, dims=1)
    # Queries in the padding are zeros there; here they attend like others.
    torch.testing.assert_close(got * real[..., None], want * real[..., None], **EXACT)


def blocks_attended(core, N):
    seen = attended(core, N * SIZE, N * SIZE)
    return seen.view(N, SIZE, N, SIZE).transpose(1, 2)


def test_global_blocks_attend_to_all_and_all_to_them():
    seen = blocks_attended(core(1, 3, 1), 13)
    assert seen[0].all() and seen[:, 0].all()


def test_a_row_has_as_many_distinct_blocks_as_it_was_promised():
    seen = blocks_attended(core(2, 3, 2), 13)
    assert torch.equal(seen.all(dim=(2, 3)), seen.any(dim=(2, 3)))  # whole blocks
    counts = seen.any(dim=(2, 3)).sum(dim=1)
    assert counts[:2].tolist() == [13, 13]
    # Half of the window of block 2 is global, and that of block 12 ends.
    assert counts[2:].tolist() == [6, *[7] * 9, 6]


def test_without_random_and_global_blocks_it_is_the_band():
    """A window that wraps around would show here, and only here: block 0 hides it when global."""
    seen = blocks_attended(core(0, 3, 0), 13).any(dim=(2, 3))
    i = torch.arange(13)
    assert torch.equal(seen, (i - i[:, None]).abs() <= 1)


def test_random_blocks():
    drawn = chosen(40, 2, 3, 3)
    assert torch.equal(drawn, chosen(40, 2, 3, 3))
    assert not torch.equal(drawn, chosen(40, 2, 3, 3, seed=1))
    rows = [tuple(sorted(row)) for row in drawn[2:].tolist()]
    assert len(set(rows)) > 30  # 38 rows, each of some 7,000 sets: hardly two are equal
    for i, row in enumerate(rows, start=2):
        assert len(set(row)) == 3 and all(2 <= b < 40 and abs(b - i) > 1 for b in row)
    # Each block is drawn about equally often: 38 rows · 3 of 38 blocks, 3 on average.
    assert torch.bincount(drawn[2:].flatten(), minlength=40)[2:].max() <= 10


def test_every_set_of_blocks_is_equally_likely():
    """Block 3 of 9 has 5 others, of which 3 make 10 sets; over seeds, each is drawn as often."""
    counts = Counter(
        tuple(sorted(chosen(9, 1, 3, 3, seed=seed)[3].tolist())) for seed in range(2000)
    )
    assert len(counts) == 10 and not {0, 2, 3, 4} & {b for blocks in counts for b in blocks}
    # 200 each, with a standard deviation of √(2000 · 0.1 · 0.9) = 13.4; 5 of them.
    assert all(abs(count - 200) < 67 for count in counts.values()), counts


def test_where_fewer_are_left_than_are_asked_for_all_are_taken():
    drawn = chosen(7, 1, 3, 9)
    for i in range(1, 7):
        others = {b for b in range(1, 7) if abs(b - i) > 1}
        assert sorted(drawn[i].tolist()) == [-1] * (9 - len(others)) + sorted(others)


def test_the_same_result_in_every_call_and_after_loading():
    q, k, v = qkv(61, 61)
    torch.manual_seed(3)
    one, other = BigBird(SIZE), BigBird(SIZE)
    assert torch.equal(one(q, k, v), one(q, k, v))
    assert not torch.equal(one(q, k, v), other(q, k, v))
    other.load_state_dict(one.state_dict())
    assert torch.equal(one(q, k, v), other(q, k, v))
    torch.manual_seed(3)
    assert torch.equal(BigBird(SIZE)(q, k, v), one(q, k, v))


@pytest.mark.parametrize("setting", [(99, 1, 0), (0, 99, 0), (0, 1, 99), (4, 3, 20)], ids=str)
def test_blocks_that_cover_the_text_are_full_attention(setting):
    q, k, v = qkv(29, 29)
    mask = padding([25, 29])
    torch.testing.assert_close(
        core(*setting)(q, k, v, mask=mask), FullAttention()(q, k, v, mask=mask), **EXACT
    )


def in_blocks(question):
    return lambda i, j: question(i // SIZE, j // SIZE)


DRAWN = chosen(10, 1, 3, 1).tolist()
WRONG = {
    "global rows only": lambda i, j: i < 1 or abs(i - j) <= 1 or j in DRAWN[i],
    "global columns only": lambda i, j: j < 1 or abs(i - j) <= 1 or j in DRAWN[i],
    "random transposed": lambda i, j: i < 1 or j < 1 or abs(i - j) <= 1 or i in DRAWN[j],
    "window ignored": lambda i, j: i < 1 or j < 1 or i == j or j in DRAWN[i],
    "random the same everywhere": lambda i, j: i < 1 or j < 1 or abs(i - j) <= 1 or j in DRAWN[1],
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_pattern_is_noticed(wrong):
    with pytest.raises(AssertionError):
        assert_dense_equals(core(1, 3, 1), in_blocks(WRONG[wrong]), 29, 29)


def test_a_softmax_for_each_part_would_be_noticed():
    q, k, _ = qkv(29, 29)
    ones = torch.ones(2, 3, 29, 1, dtype=torch.float64)
    torch.testing.assert_close(core(1, 3, 2)(q, k, ones), ones, **EXACT)  # three of them: 3


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"block_size": 0}, "block_size must be at least 1, got 0"),
        (
            {"block_size": 1, "num_global_blocks": -1},
            "num_global_blocks and num_random_blocks must be at least 0, got -1 and 3",
        ),
        (
            {"block_size": 1, "num_random_blocks": -2},
            "num_global_blocks and num_random_blocks must be at least 0, got 2 and -2",
        ),
        (
            {"block_size": 1, "num_window_blocks": 2},
            "num_window_blocks must be odd, the middle is the query's own block; got 2",
        ),
    ],
)
def test_refusals(arguments, text, as_users_run):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        BigBird(**arguments)


def test_other_queries_than_keys_are_refused():
    with pytest.raises(ValueError, match=r"^BigBird needs T_q = T_k, got T_q=5 and T_k=7$"):
        BigBird(SIZE)(*qkv(5, 7))
