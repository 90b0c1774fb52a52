"""Reformer against two implementations by others, and against the paper read pair by pair."""

import math
import re

import numpy as np
import pytest
import torch
from reformer_pytorch.reformer_pytorch import FullQKAttention, LSHAttention
from torch import Tensor
from torch.nn import functional as F
from transformers import ReformerConfig
from transformers.models.reformer.modeling_reformer import LSHSelfAttention

from minitx.cores import Reformer, UnsupportedMask, reformer
from minitx.cores.buckets import Buckets
from minitx.cores.chunks import in_chunks, with_neighbours
from minitx.masks import NO_MASK, Mask, causal, padding

from . import contract

B, H, D, D_v = 2, 3, 11, 13
# float64 sums over a few dozen keys; any mistake is far above.
EXACT = {"rtol": 1e-9, "atol": 1e-11}


def inputs(T: int, D_v: int = D_v, seed: int = 0) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    q = torch.randn(B, H, T, D, generator=random, dtype=torch.float64)
    return q, torch.randn(B, H, T, D_v, generator=random, dtype=torch.float64)


def made(T: int = 0, **settings) -> Reformer:
    torch.manual_seed(3)
    return Reformer(D, **settings).double()


# --- the paper, pair by pair ---------------------------------------------------------------------


def met(bucket: list[int], chunk_size: int, mask: Mask, real: list[bool], *, by_chunk: bool):
    """(T, T): whether i sees j in one round. `real` tokens are sorted before all padding."""
    T = len(bucket)
    line = sorted(range(T), key=lambda t: (not real[t], bucket[t], t))
    table = np.zeros((T, T), dtype=bool)
    for here, i in enumerate(line):
        for there, j in enumerate(line):
            if by_chunk:
                near = here // chunk_size - there // chunk_size in (0, 1)
            else:
                near = 0 <= here - there <= chunk_size
            if near and bucket[i] == bucket[j] and real[j] and not (mask.causal and j > i):
                table[i, j] = True
    return table


def by_loops(core: Reformer, q: Tensor, v: Tensor, mask: Mask = NO_MASK) -> Tensor:
    """The sums of Kitaev et al. 2020, §2 and appendix A, term by term."""
    T = q.size(2)
    buckets = core.hash(q)
    output = torch.zeros(B, H, T, v.size(3), dtype=torch.float64)
    for b, h in np.ndindex(B, H):
        real = [True] * T if mask.key_padding is None else mask.key_padding[b].tolist()
        rounds = [
            met(r.tolist(), min(core.chunk_size, T), mask, real, by_chunk=not mask.causal)
            for r in buckets[b, h]
        ]
        count = sum(r.astype(int) for r in rounds)
        for i in range(T):
            if not real[i]:
                continue
            weight = torch.zeros(T, dtype=torch.float64)
            for seen in rounds:
                for j in np.flatnonzero(seen[i]):
                    key = q[b, h, j] / q[b, h, j].norm()
                    m = 1e5 if i == j else math.log(count[i, j])
                    weight[j] += math.exp(float(q[b, h, i] @ key) / math.sqrt(D) - m)
            if weight.sum() == 0:  # every exp underflowed: there is nobody else
                weight[i] = 1.0
            output[b, h, i] = weight / weight.sum() @ v[b, h]
    return output


MASKS = {
    "none": lambda T: NO_MASK,
    "causal": lambda T: causal(),
    "padding": lambda T: padding([T - 6, T], max_len=T),
    "both": lambda T: causal() & padding([T - 6, T], max_len=T),
}


@pytest.mark.parametrize("num_rounds", [1, 3])
@pytest.mark.parametrize("rule", MASKS)
def test_the_paper_pair_by_pair(rule, num_rounds):
    T = 29
    q, v = inputs(T)
    mask = MASKS[rule](T)
    core = made(num_buckets=4, chunk_size=5, num_rounds=num_rounds)
    got = core(q, q, v, mask=mask)
    if mask.key_padding is not None:
        got = got * mask.key_padding[:, None, :, None]
    torch.testing.assert_close(got, by_loops(core, q, v, mask), **EXACT)


def test_every_head_may_have_its_own_rotations():
    q, v = inputs(29)
    core = made(num_buckets=4, chunk_size=5, num_heads=H)
    torch.testing.assert_close(core(q, q, v), by_loops(core, q, v), **EXACT)
    assert (core.hash(q[:, :1].expand_as(q))[:, 0] != core.hash(q[:, :1].expand_as(q))[:, 1]).any()


# --- wrong variants, each caught by the comparison above ------------------------------------------


def keys_not_normalised(patch):
    patch.setattr(F, "normalize", lambda x, dim: x)


def attends_to_itself(patch):
    patch.setattr(reformer, "ONLY_IF_ALONE", 0.0)


def not_unsorted(patch):
    patch.setattr(
        Buckets, "restored", lambda self, chunks: chunks.flatten(-3, -2)[..., : self.T, :]
    )


def no_chunk_before(patch):
    whole = Buckets.visible

    def visible(self, place=None):
        table = whole(self, place).clone()
        table[..., : self.size] = False
        return table

    patch.setattr(Buckets, "visible", visible)


def half_of_the_buckets(patch):
    def hash_without_negatives(self, x):
        rotated = (x @ self.rotations.flatten(2)).unflatten(-1, self.rotations.shape[2:])
        return rotated.transpose(2, 3).argmax(dim=-1)

    patch.setattr(Reformer, "hash", hash_without_negatives)


def any_bucket(patch):
    class Across(Buckets):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **{**kwargs, "across": True})

    patch.setattr(reformer, "Buckets", Across)


def pairs_count_in_every_round(patch):
    patch.setattr(Reformer, "_meetings", lambda self, buckets: torch.ones((), dtype=torch.uint8))


WRONG = [
    keys_not_normalised,
    attends_to_itself,
    not_unsorted,
    no_chunk_before,
    half_of_the_buckets,
    any_bucket,
    pairs_count_in_every_round,
]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda f: f.__name__)
def test_a_wrong_variant_is_seen(wrong, monkeypatch):
    q, v = inputs(29)
    core = made(num_buckets=4, chunk_size=5, num_rounds=2)
    wanted = by_loops(core, q, v)
    torch.testing.assert_close(core(q, q, v), wanted, **EXACT)
    wrong(monkeypatch)
    assert (core(q, q, v) - wanted).abs().max() > 1e-3


# --- reformer-pytorch ----------------------------------------------------------------------------


def lucidrains(core: Reformer, q: Tensor, v: Tensor, **settings) -> Tensor:
    """LSHAttention with the rotations of `core`, which it draws with a shape of the same order."""
    _, _, num_rounds, _ = core.rotations.shape
    layer = LSHAttention(
        bucket_size=core.chunk_size,
        n_hashes=num_rounds,
        attend_across_buckets=False,
        allow_duplicate_attention=False,
        **settings,
    )
    torch.manual_seed(5)
    output, _, _ = layer(q.flatten(0, 1), v.flatten(0, 1))
    torch.manual_seed(5)
    core.rotations.copy_(torch.randn(core.rotations.shape, dtype=q.dtype))
    return output.view_as(v)


@pytest.mark.parametrize("num_rounds", [2, 3])
def test_equals_reformer_pytorch(num_rounds):
    T, chunk_size = 48, 6
    q, v = inputs(T, D)
    core = made(num_buckets=T // chunk_size, chunk_size=chunk_size, num_rounds=num_rounds)
    wanted = lucidrains(core, q, v)
    # There 1e-9 is added to the number of meetings before its logarithm is taken.
    torch.testing.assert_close(core(q, q, v), wanted, rtol=1e-7, atol=1e-8)


class ChunksOfThePaper(Buckets):
    """Causal by position, but with the chunks of all tokens, later ones included."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **{**kwargs, "causal": False})

    def visible(self, place=None):
        position = in_chunks(self.order.unsqueeze(-1), self.size)
        return super().visible(place) & (with_neighbours(position).mT <= position)


def test_causal_with_the_papers_chunks_equals_reformer_pytorch(monkeypatch):
    T, chunk_size = 48, 6
    q, v = inputs(T, D)
    core = made(num_buckets=T // chunk_size, chunk_size=chunk_size, num_rounds=3)
    wanted = lucidrains(core, q, v, causal=True)
    assert (core(q, q, v, mask=causal()) - wanted).abs().max() > 1e-3
    monkeypatch.setattr(reformer, "Buckets", ChunksOfThePaper)
    torch.testing.assert_close(core(q, q, v, mask=causal()), wanted, rtol=1e-7, atol=1e-8)


def test_the_papers_chunks_let_the_future_in(monkeypatch):
    def make(T):
        torch.manual_seed(0)
        return Reformer(D, num_buckets=4, chunk_size=5)

    contract.check_the_future_is_not_seen(make)
    monkeypatch.setattr(reformer, "Buckets", ChunksOfThePaper)
    with pytest.raises(AssertionError):
        contract.check_the_future_is_not_seen(make)


@pytest.mark.parametrize("mask", [NO_MASK, causal()], ids=["none", "causal"])
@pytest.mark.parametrize("num_rounds", [1, 2, 3])
def test_one_bucket_equals_the_dense_layer_of_reformer_pytorch(num_rounds, mask):
    T = 23
    q, v = inputs(T, D)
    core = made(num_buckets=1, chunk_size=T, num_rounds=num_rounds)
    wanted, _, _ = FullQKAttention(causal=mask.causal)(q.flatten(0, 1), v.flatten(0, 1))
    torch.testing.assert_close(core(q, q, v, mask=mask), wanted.view_as(v), **EXACT)


# --- Hugging Face --------------------------------------------------------------------------------


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("num_rounds", [1, 2])
def test_equals_hugging_face(num_rounds, padded, monkeypatch):
    """Where no chunk looks back over the start, and with its own counting of pairs."""
    T, chunk_size, num_buckets, seed = 48, 6, 4, 7
    config = ReformerConfig(
        attn_layers=["lsh"],
        hidden_size=H * D,
        attention_head_size=D,
        num_attention_heads=H,
        lsh_attn_chunk_length=chunk_size,
        lsh_attention_probs_dropout_prob=0.0,
        num_hashes=num_rounds,
        num_buckets=num_buckets,
        hash_seed=seed,
        is_decoder=False,
    )
    torch.manual_seed(0)
    layer = LSHSelfAttention(config).double()
    x = torch.randn(B, T, H * D, dtype=torch.float64)
    mask = padding([T - 7, T - 1], max_len=T) if padded else NO_MASK
    wanted = layer(x, attention_mask=mask.key_padding).hidden_states

    torch.manual_seed(seed)
    rotations = torch.randn(H, D, num_rounds, num_buckets // 2, dtype=torch.float64)
    core = Reformer(
        D,
        num_buckets=num_buckets,
        chunk_size=chunk_size,
        num_rounds=num_rounds,
        num_heads=H,
        across_buckets=True,
        scale=1.0,
    ).double()
    core.rotations.copy_(rotations)
    pairs_count_in_every_round(monkeypatch)
    q, v = (p(x).view(B, T, H, D).transpose(1, 2) for p in (layer.query_key, layer.value))
    got = core(q, q, v, mask=mask)

    real = None if mask.key_padding is None else mask.key_padding[:, None, None, :]
    buckets = Buckets(core.hash(q), num_buckets, chunk_size, is_token=real)
    alike = (buckets.rank >= chunk_size).all(dim=2)
    if real is not None:
        alike = alike & mask.key_padding[:, None, :]
    assert alike.double().mean() > 0.6
    wanted = wanted.view(B, T, H, D).transpose(1, 2)
    # There 1e-6 is added to the mean square before a key is divided by it.
    torch.testing.assert_close(got[alike], wanted[alike], rtol=1e-5, atol=1e-5)


# --- what the paper says about single tokens ------------------------------------------------------


def test_the_hash_of_the_axes():
    core = made(num_buckets=2 * D, chunk_size=3)
    core.rotations.copy_(torch.eye(D).view(1, D, 1, D))
    axes = torch.eye(D, dtype=torch.float64).expand(1, 1, D, D)
    assert core.hash(axes).flatten().tolist() == list(range(D))
    assert core.hash(-axes).flatten().tolist() == list(range(D, 2 * D))


def test_the_first_token_has_only_itself():
    q, v = inputs(19)
    output = made(num_buckets=4, chunk_size=3, num_rounds=2)(q, q, v, mask=causal())
    torch.testing.assert_close(output[:, :, 0], v[:, :, 0], **EXACT)


def test_influence_only_inside_the_bucket():
    T = 31
    q, _ = inputs(T)
    core = made(num_buckets=6, chunk_size=7)
    weights = core(q, q, torch.eye(T).double().expand(B, H, T, T))
    bucket = core.hash(q)[:, :, 0]
    elsewhere = bucket.unsqueeze(-1) != bucket.unsqueeze(-2)
    assert (weights[elsewhere] == 0).all() and (weights[~elsewhere] > 0).any()


def test_the_keys_given_are_not_read():
    q, v = inputs(19)
    core = made(num_buckets=4, chunk_size=3)
    k = torch.full_like(q, torch.nan).requires_grad_()
    output = core(q.requires_grad_(), k, v)
    assert torch.equal(output, core(q, q, v))
    assert torch.autograd.grad(output.sum(), k, allow_unused=True) == (None,)


def test_redraw_gives_other_rotations_of_the_same_kind():
    core = made(num_buckets=4, chunk_size=3)
    before = core.rotations.clone()
    torch.manual_seed(11)
    core.redraw()
    first = core.rotations.clone()
    torch.manual_seed(11)
    core.redraw()
    assert torch.equal(core.rotations, first) and not torch.equal(first, before)


REFUSED = [
    ({"num_buckets": 5, "chunk_size": 3}, "num_buckets must be 1 or even, got 5"),
    ({"num_buckets": 0, "chunk_size": 3}, "num_buckets must be 1 or even, got 0"),
    ({"num_buckets": 4, "chunk_size": 0}, "chunk_size must be at least 1, got 0"),
    (
        {"num_buckets": 4, "chunk_size": 3, "num_rounds": 0},
        "num_rounds must be at least 1, got 0",
    ),
]


@pytest.mark.parametrize(("settings", "text"), REFUSED)
def test_settings_that_are_refused(settings, text):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        Reformer(D, **settings)


def test_inputs_that_are_refused():
    q, v = inputs(19)
    core = made(num_buckets=4, chunk_size=3)
    with pytest.raises(
        ValueError, match=r"^T_q \(5\) must equal T_k \(19\): queries are the keys$"
    ):
        core(q[:, :, :5], q, v)
    with pytest.raises(
        ValueError, match=r"^the core was made for 1 heads of width 11, got 3 of 7$"
    ):
        core(q[..., :7], q[..., :7], v)
    of_two = made(num_buckets=4, chunk_size=3, num_heads=2)
    with pytest.raises(
        ValueError, match=r"^the core was made for 2 heads of width 11, got 3 of 11"
    ):
        of_two(q, q, v)
    across = made(num_buckets=4, chunk_size=3, across_buckets=True)
    text = (
        "Reformer across buckets was asked for causal and cannot honour causal; "
        "it can honour key_padding"
    )
    with pytest.raises(UnsupportedMask, match=f"^{re.escape(text)}$"):
        across(q, q, v, mask=causal())
