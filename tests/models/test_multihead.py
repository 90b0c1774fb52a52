"""Multi-head attention against torch's, with the same weights; heads, caches, padding, errors."""

import re

import numpy as np
import pytest
import torch
from torch import nn

from minitx import numpy_core
from minitx.cache import KVCache
from minitx.cores import FullAttention, FusedAttention, Reformer
from minitx.masks import NO_MASK, Mask, causal, padding
from minitx.multihead import MultiHeadAttention
from minitx.positions import Rotary

from . import oracles
from .oracles import EXACT, IN_ATTENTION, ON_EMBEDDINGS

B, T, T_m, H, D = 2, 5, 7, 3, 4
C = H * D


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def torchs_masks(mask, T_q, T_k):
    """In torch's convention, where True means "may not attend", heads folded into the batch."""
    table = ~mask.dense(T_q, T_k, "cpu").expand(B, H, T_q, T_k)
    return {"attn_mask": table.reshape(B * H, T_q, T_k)} if mask.rules else {}


def masks(T_q, T_k):
    allowed = torch.rand(B, H, T_q, T_k) < 0.6
    allowed[..., 0] = True  # a row without a key is NaN in torch
    masks = {
        "none": NO_MASK,
        "causal": causal(),
        "padding": padding([T_k - 2, T_k], max_len=T_k),
        "causal and padding": causal() & padding([T_k - 2, T_k], max_len=T_k),
        "another table in every head": Mask(allowed=allowed),
    }
    if T_q > T_k:
        del masks["causal"], masks["causal and padding"]  # the first queries would have no key
    return masks


def gradients(output, upstream, leaves):
    return torch.autograd.grad((output * upstream).sum(), leaves)


@pytest.mark.parametrize("core", [FullAttention, FusedAttention])
@pytest.mark.parametrize(
    ("T_m", "rule"), [(T_m, rule) for T_m in (None, 7, 3) for rule in masks(T, T_m or T)]
)
def test_output_and_gradients_are_torchs(core, T_m, rule):
    theirs = nn.MultiheadAttention(C, H, batch_first=True, dtype=torch.float64)
    nn.init.normal_(theirs.in_proj_bias)  # torch starts them at 0
    nn.init.normal_(theirs.out_proj.bias)
    ours = oracles.attention(theirs, core=core())
    x, upstream = torch.randn(2, B, T, C, dtype=torch.float64)
    x.requires_grad_()
    memory = None
    if T_m is not None:
        memory = torch.randn(B, T_m, C, dtype=torch.float64, requires_grad=True)
    T_k = T if memory is None else T_m
    mask = masks(T, T_k)[rule]

    source = x if memory is None else memory
    want, _ = theirs(x, source, source, need_weights=False, **torchs_masks(mask, T, T_k))
    got = ours(x, memory, mask=mask)
    torch.testing.assert_close(got, want, **EXACT)

    inputs = [x] if memory is None else [x, memory]
    out = theirs.out_proj
    packed = [theirs.in_proj_weight, theirs.in_proj_bias, out.weight, out.bias]
    *of_inputs, weight, bias, out_weight, out_bias = gradients(want, upstream, [*inputs, *packed])
    parts = ("q_proj", "k_proj", "v_proj")
    names = [*(f"{part}.weight" for part in parts), *(f"{part}.bias" for part in parts)]
    parameters = [ours.get_parameter(name) for name in (*names, "out_proj.weight", "out_proj.bias")]
    torch.testing.assert_close(
        list(gradients(got, upstream, [*inputs, *parameters])),
        [*of_inputs, *weight.chunk(3), *bias.chunk(3), out_weight, out_bias],
        **EXACT,
    )


def test_it_is_the_formula_written_with_loops():
    layer = oracles.randomise(MultiHeadAttention(C, H, d_head=5, bias=False))
    x = torch.randn(1, T, C, dtype=torch.float64)
    W_q, W_k, W_v, W_o = (
        getattr(layer, f"{name}_proj").weight.detach().numpy() for name in ("q", "k", "v", "out")
    )
    tokens = x[0].numpy()
    heads = []
    for h in range(H):
        own = slice(5 * h, 5 * h + 5)
        q, k, v = (tokens @ W[own].T for W in (W_q, W_k, W_v))
        heads.append(numpy_core.attention(q, k, v))
    want = np.concatenate(heads, axis=1) @ W_o.T
    np.testing.assert_allclose(layer(x)[0].detach().numpy(), want, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("core", [FullAttention, FusedAttention])
@pytest.mark.parametrize("H_kv", [1, 2, 3])
def test_grouped_heads_are_repeated_heads(H_kv, core):
    H, group = 6, 6 // H_kv
    grouped = MultiHeadAttention(H * D, H, num_kv_heads=H_kv, core=core(), position=Rotary(D))
    oracles.randomise(grouped)
    full = MultiHeadAttention(H * D, H, position=Rotary(D)).double()
    weights = dict(grouped.state_dict())
    for name in ("k_proj.weight", "k_proj.bias", "v_proj.weight", "v_proj.bias"):
        heads = weights[name].unflatten(0, (H_kv, D))
        # Query heads 0 … group-1 share the first head of keys, the next ones the second.
        weights[name] = torch.cat([heads[h // group] for h in range(H)])
    full.load_state_dict(weights)

    x, upstream = torch.randn(2, B, T, H * D, dtype=torch.float64)
    got, want = grouped(x, mask=causal()), full(x, mask=causal())
    torch.testing.assert_close(got, want, **EXACT)
    got = gradients(got, upstream, [grouped.q_proj.weight, grouped.k_proj.weight])
    want = gradients(want, upstream, [full.q_proj.weight, full.k_proj.weight])
    shared = want[1].view(H_kv, group, D, H * D).sum(dim=1).flatten(0, 1)
    torch.testing.assert_close(got, (want[0], shared), **EXACT)


def test_sizes_of_the_projections():
    count = sum(p.numel() for p in MultiHeadAttention(C, H).parameters())
    assert count == 4 * C**2 + 4 * C
    layer = MultiHeadAttention(C, 6, num_kv_heads=2, d_head=5, bias=False)
    shapes = {name: tuple(p.shape) for name, p in layer.named_parameters()}
    assert shapes == {
        "q_proj.weight": (30, C),
        "k_proj.weight": (10, C),
        "v_proj.weight": (10, C),
        "out_proj.weight": (C, 30),
    }


def test_without_positions_permuting_the_tokens_permutes_the_outputs():
    layer = oracles.randomise(MultiHeadAttention(C, H))
    x, order = torch.randn(B, T, C, dtype=torch.float64), torch.tensor([3, 0, 4, 1, 2])
    torch.testing.assert_close(layer(x[:, order]), layer(x)[:, order], **EXACT)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype):
    layer = oracles.randomise(MultiHeadAttention(C, H, position=Rotary(D)))
    x = torch.randn(B, T, C, dtype=torch.float64)
    want = layer(x, mask=causal())
    got = layer.to(dtype)(x.to(dtype), mask=causal())
    assert got.dtype == dtype
    # Some roundings of half an epsilon each, on numbers of size one.
    assert (got - want).abs().max() < 8 * torch.finfo(dtype).eps


# --- caches --------------------------------------------------------------------------------------


def layer_with(scheme, **options):
    position = IN_ATTENTION[scheme](H, D)
    return oracles.randomise(MultiHeadAttention(C, H, position=position, **options))


@pytest.mark.parametrize("chunks", [[1] * 7, [7], [4, 1, 1, 1], [2, 3, 2]])
@pytest.mark.parametrize("H_kv", [1, 3])
@pytest.mark.parametrize("scheme", IN_ATTENTION)
def test_cached_self_attention_equals_the_whole_at_every_position(scheme, H_kv, chunks):
    layer = layer_with(scheme, num_kv_heads=H_kv)
    x = torch.randn(B, 7, C, dtype=torch.float64)
    want = layer(x, mask=causal())
    with torch.no_grad():
        cache = KVCache()
        outputs = [layer(part, mask=causal(), cache=cache) for part in x.split(chunks, dim=1)]
    assert len(cache) == 7
    assert cache.entries()[0].shape == (B, H_kv, 7, D)
    torch.testing.assert_close(torch.cat(outputs, dim=1), want, **EXACT)


def test_gradients_flow_through_a_cache():
    layer = layer_with("Rotary")
    x, upstream = torch.randn(2, B, 7, C, dtype=torch.float64)
    want = gradients(layer(x, mask=causal()), upstream, list(layer.parameters()))
    cache = KVCache()
    outputs = [layer(part, mask=causal(), cache=cache) for part in x.split([3, 1, 3], dim=1)]
    got = gradients(torch.cat(outputs, dim=1), upstream, list(layer.parameters()))
    torch.testing.assert_close(got, want, **EXACT)


@pytest.mark.parametrize("scheme", IN_ATTENTION)
def test_left_padding_changes_nothing(scheme):
    layer = layer_with(scheme)
    lengths = [4, 7]
    is_token, positions = oracles.left_padding(lengths)
    x = torch.randn(B, 7, C, dtype=torch.float64)
    mask = causal() & Mask(key_padding=is_token)
    whole = layer(x, mask=mask, positions=positions)
    cache, pieces = KVCache(), []
    for start, stop in [(0, 5), (5, 6), (6, 7)]:
        mask = causal() & Mask(key_padding=is_token[:, :stop])
        now = positions[:, start:stop]
        with torch.no_grad():
            pieces.append(layer(x[:, start:stop], mask=mask, cache=cache, positions=now))
    for b, length in enumerate(lengths):
        alone = layer(x[b : b + 1, 7 - length :], mask=causal())
        torch.testing.assert_close(whole[b : b + 1, 7 - length :], alone, **EXACT)
    torch.testing.assert_close(torch.cat(pieces, dim=1), whole, **EXACT)


@pytest.mark.parametrize("scheme", IN_ATTENTION)
def test_the_cache_of_a_cross_attention_is_filled_once(scheme):
    layer = layer_with(scheme)
    x = torch.randn(B, T, C, dtype=torch.float64)
    memory = torch.randn(B, T_m, C, dtype=torch.float64)
    mask = padding([T_m - 2, T_m], max_len=T_m)
    want = layer(x, memory, mask=mask)
    projected = []
    layer.k_proj.register_forward_hook(lambda *_: projected.append(1))
    cache, outputs = KVCache(), []
    for t, part in enumerate(x.split(1, dim=1)):
        now = torch.tensor([[t]])
        outputs.append(layer(part, memory, mask=mask, cache=cache, positions=now))
        assert len(cache) == T_m
    assert len(projected) == 1
    torch.testing.assert_close(torch.cat(outputs, dim=1), want, **EXACT)


# --- dropout, errors -----------------------------------------------------------------------------


def test_dropout_is_of_the_weights_and_in_training_only():
    layer = oracles.randomise(MultiHeadAttention(C, H, dropout=0.9))
    x = torch.randn(B, T, C, dtype=torch.float64)
    assert torch.equal(layer(x), layer(x))
    layer.train()
    assert not torch.equal(layer(x), layer(x))
    layer.core.dropout = 1.0
    everything_dropped = layer.out_proj.bias.expand(B, T, C)
    torch.testing.assert_close(layer(x), everything_dropped, **EXACT)


@pytest.mark.parametrize("core", [FullAttention, FusedAttention])
def test_dropout_of_a_core_keeps_the_mean(core):
    q, k, v = torch.randn(3, 1, 1, 7, D)
    v = v.expand(4001, 1, 7, D)
    q, k = q.expand(4001, 1, 7, D), k.expand(4001, 1, 7, D)
    want = core()(q, k, v)
    got = core(dropout=0.4)(q, k, v)
    # The mean of 4001 draws of deviation about one.
    assert (got.mean(dim=0) - want[0]).abs().max() < 5 / 4001**0.5
    assert torch.equal(core(dropout=0.4).eval()(q, k, v), want)


@pytest.mark.parametrize("core", [FullAttention, FusedAttention])
def test_scale_of_a_core(core):
    q, k, v = torch.randn(3, B, H, T, D, dtype=torch.float64)
    for mask in masks(T, T).values():
        want = core()(0.37 * D**0.5 * q, k, v, mask=mask)
        torch.testing.assert_close(core(scale=0.37)(q, k, v, mask=mask), want, **EXACT)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"d_model": 30, "num_heads": 4}, "d_model (30) must be divisible by num_heads (4)"),
        ({"d_model": 30, "num_heads": 0}, "d_model (30) must be divisible by num_heads (0)"),
        (
            {"d_model": 30, "num_heads": 6, "num_kv_heads": 4},
            "num_heads (6) must be divisible by num_kv_heads (4)",
        ),
        (
            {"d_model": 30, "num_heads": 6, "num_kv_heads": 0},
            "num_heads (6) must be divisible by num_kv_heads (0)",
        ),
        (
            {"d_model": 30, "num_heads": 6, "core": FullAttention(), "dropout": 0.1},
            "dropout (0.1) is for the default core; give it to the core you pass",
        ),
    ],
)
def test_what_it_refuses_to_be_made_of(options, text):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        MultiHeadAttention(**options)


@pytest.mark.parametrize("scheme", ON_EMBEDDINGS)
def test_a_scheme_of_embeddings_leaves_nothing_to_do(scheme):
    plain = oracles.randomise(MultiHeadAttention(C, H))
    marked = MultiHeadAttention(C, H, position=ON_EMBEDDINGS[scheme](C)).double()
    marked.load_state_dict(plain.state_dict())  # and has no parameters here
    x = torch.randn(B, T, C, dtype=torch.float64)
    assert torch.equal(marked(x, mask=causal()), plain(x, mask=causal()))


def test_what_it_refuses_to_read(as_users_run):
    layer = MultiHeadAttention(C, H)
    x, memory = torch.zeros(B, T, C), torch.zeros(B, T_m, C)
    cases = [
        ((x[0],), {}, f"x must have shape (B, T, C={C}), got (5, 12)"),
        ((x[..., 1:],), {}, f"x must have shape (B, T, C={C}), got (2, 5, 11)"),
        ((x, memory[..., 1:]), {}, f"memory must have shape (B, T, C={C}), got (2, 7, 11)"),
        (
            (x, memory[:1]),
            {},
            "k must have shape (B=2, H=3, T_k, D_k=4) like q, got (1, 3, 7, 4)",
        ),
    ]
    for arguments, options, text in cases:
        with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
            layer(*arguments, **options)


def test_a_cache_is_for_one_attention_and_one_memory():
    """Another memory of the same size has other keys, and nothing but the tensor tells."""
    layer = oracles.randomise(MultiHeadAttention(C, H))
    x, first, second = torch.randn(3, B, T, C, dtype=torch.float64)
    own, cross = KVCache(), KVCache()
    with torch.no_grad():
        layer(x, cache=own)
        want = layer(x, first, cache=cross)
        assert torch.equal(layer(x, first, cache=cross), want)
    another = "the cache holds the keys of another memory, (2, 5) positions, got one of (2, 5): "
    another += "every memory needs new caches"
    a_self = "the cache holds 5 positions of a self-attention, wanted the keys of a memory: "
    a_self += "give a cross-attention a cache of its own"
    a_memory = "the cache holds 5 positions of a memory, and the keys of a memory are kept alone: "
    a_memory += "give every attention a cache of its own"
    for arguments, cache, text in [
        ((x, second), cross, another),
        ((x, first.clone()), cross, another),
        ((x, first), own, a_self),
        ((x,), cross, a_memory),
    ]:
        with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
            layer(*arguments, cache=cache)
    assert torch.equal(layer(x, first, cache=cross), want)


def test_reordered_caches_go_with_the_memory_reordered_alike():
    layer = oracles.randomise(MultiHeadAttention(C, H))
    x, memory = torch.randn(2, B, T, C, dtype=torch.float64)
    cache, rows = KVCache(), torch.tensor([1, 0, 1])
    with torch.no_grad():
        layer(x, memory, cache=cache)
        cache.reorder(rows)
        new = memory[rows]
        torch.testing.assert_close(layer(x[rows], new, cache=cache), layer(x[rows], new), **EXACT)
    text = r"^the cache holds the keys of another memory, \(3, 5\) positions, got one of \(2, 5\): "
    with pytest.raises(ValueError, match=text):
        layer(x, memory, cache=cache)


def shared_qk(**settings):
    core = Reformer(D, num_buckets=1, chunk_size=T)
    return MultiHeadAttention(C, H, core=core, **settings)


def test_where_keys_are_queries_there_is_one_projection_and_it_is_trained():
    layer = shared_qk()
    assert layer.k_proj is layer.q_proj
    assert sum(p.numel() for p in layer.parameters()) == 3 * (C * C + C)
    layer(torch.randn(B, T, C)).square().sum().backward()
    assert all(p.grad is not None for p in layer.parameters())
    other = shared_qk()
    other.load_state_dict(layer.state_dict())
    x = torch.randn(B, T, C)
    torch.testing.assert_close(other(x), layer(x))


def test_where_keys_are_queries_there_is_neither_a_memory_nor_a_grouping(as_users_run):
    text = (
        "Reformer attends within one sequence, because its keys are its queries, and got a memory "
        "to attend to"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        shared_qk()(torch.zeros(B, T, C), torch.zeros(B, T, C))
    text = "num_kv_heads (1) must equal num_heads (3) for Reformer, whose keys are its queries"
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        shared_qk(num_kv_heads=1)
