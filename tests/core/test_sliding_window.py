"""SlidingWindow: the paper's rule pair by pair, local-attention, influence, edges, decoding."""

import re

import pytest
import torch
from local_attention import LocalAttention

from minitx.cores import FullAttention, SlidingWindow
from minitx.cores import sliding_window as module
from minitx.masks import NO_MASK, Mask, causal, padding
from minitx.models.gpt import GPT, GPTConfig

from .patterns import EXACT, assert_dense_equals, attended, qkv, table

MASKS = {
    "none": lambda T: NO_MASK,
    "causal": lambda T: causal(),
    "padding": lambda T: padding([T - 3, T], max_len=T),
    "both": lambda T: causal() & padding([T - 3, T], max_len=T),
}


@pytest.fixture(params=[3, 64])
def smallest_chunk(request, monkeypatch):
    """Many small chunks, or few as they are."""
    monkeypatch.setattr(module, "SMALLEST_CHUNK", request.param)


def rule(radius, dilation=1, global_tokens=()):
    """Beltagy et al. 2020, §3.1, as a question about one pair."""

    def allowed(i, j):
        in_window = abs(i - j) <= radius * dilation and (i - j) % dilation == 0
        return in_window or i in global_tokens or j in global_tokens

    return allowed


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("dilation", [1, 2, 5])
@pytest.mark.parametrize("global_tokens", [(), (0,), (17, 3, 28)])
@pytest.mark.parametrize("lengths", [(29, 29), (7, 29), (1, 29)])
def test_equals_dense_attention_with_the_rebuilt_mask(
    lengths, global_tokens, dilation, mask, smallest_chunk
):
    for radius in (0, 4):
        core = SlidingWindow(radius, dilation=dilation, global_tokens=global_tokens)
        allowed = rule(radius, dilation, global_tokens)
        assert_dense_equals(core, allowed, *lengths, MASKS[mask](lengths[1]))


@pytest.mark.parametrize("mask", ["none", "causal"])
def test_more_queries_than_keys(mask, smallest_chunk):
    core = SlidingWindow(4, global_tokens=(2,))
    assert_dense_equals(core, rule(4, 1, (2,)), 29, 13, MASKS[mask](13))


@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize("padded", [False, True])
def test_equals_local_attention(is_causal, padded):
    radius, T = 5, 35
    peer = LocalAttention(
        radius, causal=is_causal, exact_windowsize=True, use_rotary_pos_emb=False, autopad=True
    )
    q, k, v = qkv(T, T)
    mask = padding([T - 3, T]) if padded else NO_MASK
    want = peer(q, k, v, mask=mask.key_padding)
    got = SlidingWindow(radius)(q, k, v, mask=mask & causal() if is_causal else mask)
    real = 1 if mask.key_padding is None else mask.key_padding[:, None, :, None]
    # What stands in padding is nobody's: the peer spreads a query without keys over all of them.
    torch.testing.assert_close(got * real, want * real, **EXACT)


def test_the_band():
    """|i - j| ≤ 2 of 7 positions, written out."""
    assert attended(SlidingWindow(2), 7, 7).int().tolist() == [
        [1, 1, 1, 0, 0, 0, 0],
        [1, 1, 1, 1, 0, 0, 0],
        [1, 1, 1, 1, 1, 0, 0],
        [0, 1, 1, 1, 1, 1, 0],
        [0, 0, 1, 1, 1, 1, 1],
        [0, 0, 0, 1, 1, 1, 1],
        [0, 0, 0, 0, 1, 1, 1],
    ]


def test_a_global_token_attends_and_is_attended_to(smallest_chunk):
    seen = attended(SlidingWindow(1, global_tokens=[4]), 11, 11)
    assert seen[4].all() and seen[:, 4].all()
    others = seen.clone()
    others[4], others[:, 4] = False, False
    assert others.sum() == 11 * 3 - 2 - 5  # the band, less what it has of row and column 4


def test_a_global_token_does_not_see_the_future(smallest_chunk):
    seen = attended(SlidingWindow(1, global_tokens=[4]), 11, 11, causal())
    assert not seen.triu(1).any()
    assert seen[4, :5].all() and seen[4:, 4].all()


@pytest.mark.parametrize("radius", [28, 29, 100])
def test_a_window_of_everything_is_full_attention(radius):
    q, k, v = qkv(29, 29)
    for mask in (m(29) for m in MASKS.values()):
        torch.testing.assert_close(
            SlidingWindow(radius)(q, k, v, mask=mask), FullAttention()(q, k, v, mask=mask), **EXACT
        )


def test_a_key_outside_the_window_has_no_influence_however_large():
    q, k, v = qkv(31, 31)
    k2, v2 = k.clone(), v.clone()
    k2[:, :, 9] *= 1e3
    v2[:, :, 9] = 1e6
    core = SlidingWindow(3)
    changed = (core(q, k, v) != core(q, k2, v2)).any(dim=-1).any(dim=0).any(dim=0)
    assert changed.nonzero().flatten().tolist() == [6, 7, 8, 9, 10, 11, 12]


# --- mistakes: each pattern differs from the rule's ----------------------------------------------

WRONG = {
    "narrower by one": lambda i, j: abs(i - j) < 4,
    "past only": lambda i, j: 0 <= i - j <= 4,
    "future only": lambda i, j: 0 <= j - i <= 4,
    "no absolute value": lambda i, j: j - i <= 4,
    "chunks without neighbours": lambda i, j: i // 4 == j // 4,
    "no window": lambda i, j: True,
    "wrapped around": lambda i, j: min((i - j) % 29, (j - i) % 29) <= 4,
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_pattern_is_noticed(wrong):
    with pytest.raises(AssertionError):
        assert_dense_equals(SlidingWindow(4), WRONG[wrong], 29, 29)


HALF_GLOBAL = {
    "attends, is not attended to": lambda i, j: abs(i - j) <= 4 or i == 17,
    "is attended to, does not attend": lambda i, j: abs(i - j) <= 4 or j == 17,
}


@pytest.mark.parametrize("wrong", HALF_GLOBAL)
def test_a_half_global_token_is_noticed(wrong):
    with pytest.raises(AssertionError):
        assert_dense_equals(SlidingWindow(4, global_tokens=[17]), HALF_GLOBAL[wrong], 29, 29)


def test_edges_filled_with_zeros_would_be_noticed(monkeypatch):
    """What fills up the first and the last chunk must get no weight: rows would sum to less."""
    q, k, _ = qkv(29, 29, B=1, H=1)
    monkeypatch.setattr(module, "SMALLEST_CHUNK", 3)
    ones = torch.ones(1, 1, 29, 1, dtype=torch.float64)
    core = SlidingWindow(4)
    torch.testing.assert_close(core(q, k, ones), ones, **EXACT)
    monkeypatch.setattr(module, "fused_attention", lambda q, k, v, mask: FullAttention()(q, k, v))
    assert (core(q, k, ones) < 0.99).any()


# --- in a model --------------------------------------------------------------------------------


def test_decoding_with_a_cache_equals_reading_at_once():
    torch.manual_seed(0)
    config = GPTConfig(
        vocab_size=11, max_len=31, d_model=6, num_heads=2, num_layers=2, dropout=0.0,
        core=lambda: SlidingWindow(3, dilation=2, global_tokens=[0]),
    )  # fmt: skip
    model = GPT(config).double().eval()
    token_ids = torch.randint(11, (2, 31))
    caches = model.new_caches()
    with torch.no_grad():
        steps = [model(part, caches=caches) for part in token_ids.split([5, 1, 1, 7, 1, 16], dim=1)]
        torch.testing.assert_close(torch.cat(steps, dim=1), model(token_ids), **EXACT)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"radius": -1}, "radius must be at least 0, got -1"),
        ({"radius": 1, "dilation": 0}, "dilation must be at least 1, got 0"),
        (
            {"radius": 1, "global_tokens": [3, 3]},
            "global_tokens must be different positions from 0 on, got (3, 3)",
        ),
        (
            {"radius": 1, "global_tokens": [-1]},
            "global_tokens must be different positions from 0 on, got (-1,)",
        ),
    ],
)
def test_refusals(arguments, text, as_users_run):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        SlidingWindow(**arguments)


def test_a_global_token_beyond_the_keys_is_refused():
    with pytest.raises(ValueError, match=r"^global_tokens must lie below T_k \(7\), got 7$"):
        SlidingWindow(1, global_tokens=[7, 0])(*qkv(7, 7))


def test_global_tokens_behind_padding_are_refused():
    """The first key would be padding for one sample, and its first word for another."""
    mask = Mask(key_padding=torch.arange(7).expand(2, -1) >= torch.tensor([[2], [0]]))
    text = (
        "SlidingWindow with global_tokens can honour key_padding at the end of a sequence only, "
        "and got some before a word; pad on the right, or use FusedAttention"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        SlidingWindow(1, global_tokens=[0])(*qkv(7, 7), mask=mask)
    assert SlidingWindow(1)(*qkv(7, 7), mask=mask).isfinite().all()


def test_the_rebuilt_mask_is_bottom_right():
    assert table(lambda i, j: i == j, 2, 5).int().tolist() == [[0, 0, 0, 1, 0], [0, 0, 0, 0, 1]]
