"""TiledAttention: PyTorch's fused attention, tiles of every size, mistakes of the two passes."""

import re
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from minitx.cores import FullAttention, TiledAttention
from minitx.cores import tiled as module
from minitx.cores.tiles import spans, tile_of
from minitx.functional import online_softmax
from minitx.masks import NO_MASK, Mask, causal, padding

from .patterns import EXACT, qkv

MASKS = {
    "none": lambda T_q, T_k: NO_MASK,
    "causal": lambda T_q, T_k: causal(),
    "padding": lambda T_q, T_k: padding([0, T_k - 3], max_len=T_k),
    "pairwise": lambda T_q, T_k: Mask(
        allowed=torch.rand(1, 3, T_q, T_k, generator=torch.Generator().manual_seed(3)) < 0.3
    ),
}
BLOCKS = [(3, 5), (5, 3), (7, 64), (64, 7), (64, 64)]
LENGTHS = [(29, 29), (7, 29), (29, 7), (1, 29)]


def outputs_and_gradients(core, leaves, mask, bias):
    output = core(*leaves, mask=mask, bias=bias)
    wanted = leaves if bias is None else [*leaves, bias]
    random = torch.Generator().manual_seed(1)
    upstream = torch.randn(output.shape, generator=random, dtype=output.dtype)
    return [output, *torch.autograd.grad(output, wanted, upstream)]


@pytest.mark.parametrize("blocks", BLOCKS, ids=str)
@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
def test_equals_full_attention_forward_and_backward(blocks, lengths):
    core = TiledAttention(block_q=blocks[0], block_k=blocks[1])
    masks = [make(*lengths) for make in MASKS.values()]
    for mask in [*masks, masks[1] & masks[2] & masks[3]]:
        for shape in (None, (2, 3), (1, 1)):
            leaves = [x.requires_grad_() for x in qkv(*lengths)]
            bias = None
            if shape is not None:
                bias = torch.randn(*shape, *lengths, dtype=torch.float64, requires_grad=True)
            got = outputs_and_gradients(core, leaves, mask, bias)
            want = outputs_and_gradients(FullAttention(), leaves, mask, bias)
            torch.testing.assert_close(got, want, **EXACT)


@pytest.mark.parametrize("is_causal", [False, True])
def test_equals_pytorchs(is_causal):
    leaves = [x.requires_grad_() for x in qkv(29, 29)]
    got = outputs_and_gradients(
        TiledAttention(block_q=8, block_k=8), leaves, causal() if is_causal else NO_MASK, None
    )
    theirs = F.scaled_dot_product_attention(*leaves, is_causal=is_causal)
    random = torch.Generator().manual_seed(1)
    upstream = torch.randn(theirs.shape, generator=random, dtype=theirs.dtype)
    torch.testing.assert_close(
        got, [theirs, *torch.autograd.grad(theirs, leaves, upstream)], **EXACT
    )


@pytest.mark.parametrize("size", [-500.0, 500.0, 1e3])
def test_scores_of_some_hundreds(size):
    """All far below 0, or rising from block to block, or both."""
    q, k, v = qkv(29, 29)
    bias = size + torch.arange(29.0).double().expand(1, 1, 29, 29) * abs(size) / 29
    for b in (bias, bias.flip(-1)):
        got = TiledAttention(block_q=8, block_k=8)(q, k, v, bias=b)
        torch.testing.assert_close(got, FullAttention()(q, k, v, bias=b), **EXACT)


def test_only_the_gradients_that_are_asked_for():
    q, k, v = qkv(13, 29)
    bias = torch.randn(1, 1, 13, 29).double()
    for i in range(4):
        leaves = [q, k, v, bias]
        leaves[i] = leaves[i].clone().requires_grad_()
        got, want = (
            torch.autograd.grad(core(*leaves[:3], bias=leaves[3]).square().sum(), leaves[i])
            for core in (TiledAttention(block_q=4, block_k=4), FullAttention())
        )
        torch.testing.assert_close(got, want, **EXACT)


def test_equal_upstream_gradients_and_equal_values_move_no_query_and_no_key():
    """The weights of a query sum to 1 whatever its scores are: dS must sum to 0."""
    q, k, v = (x.requires_grad_() for x in qkv(13, 29))
    output = TiledAttention(block_q=4, block_k=4)(q, k, torch.ones_like(v))
    for gradient in torch.autograd.grad(output.sum(), [q, k]):
        assert gradient.abs().max() < 1e-12


def test_tiles_of_the_future_are_not_computed(monkeypatch):
    asked = []

    def counting(q, k, *rest):
        asked.append((q.size(2), k.size(2)))
        return scores(q, k, *rest)

    scores = module.attention_scores
    monkeypatch.setattr(module, "attention_scores", counting)
    q, k, v = (x.requires_grad_() for x in qkv(32, 32))
    TiledAttention(block_q=8, block_k=8)(q, k, v, mask=causal()).sum().backward()
    assert asked == 2 * [(8, 8)] * (4 + 3 + 2 + 1)


def test_what_is_kept_grows_with_the_length():
    kept = []

    def note(x):
        kept.append(x.numel())
        return x

    for T in (64, 128):
        q, k, v = (torch.randn(1, 1, T, 8, requires_grad=True) for _ in range(3))
        with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
            TiledAttention(block_q=16, block_k=16)(q, k, v)
    assert kept == [64 * 8] * 4 + [64] + [128 * 8] * 4 + [128]  # q, k, v, output, log-sum-exp


def test_the_gradient_of_a_gradient_is_refused():
    q, k, v = (x.requires_grad_() for x in qkv(5, 7))
    gradient = torch.autograd.grad(TiledAttention()(q, k, v).sum(), q, create_graph=True)
    text = "TiledAttention has no gradient of its gradient; use FullAttention where one is needed"
    with pytest.raises(NotImplementedError, match=f"^{re.escape(text)}$"):
        torch.autograd.grad(gradient[0].sum(), q)


def test_functional_and_batched_gradients():
    q, k, v = qkv(5, 7)
    bias = torch.randn(1, 3, 5, 7).double()
    core, full = TiledAttention(block_q=2, block_k=3), FullAttention()
    got, want = (
        (
            torch.func.grad(lambda b, c=c: c(q, k, v, mask=causal(), bias=b).square().sum())(bias),
            torch.func.jacrev(lambda x, c=c: c(x, k, v, mask=causal()).sum(dim=3))(q),
        )
        for c in (core, full)
    )
    torch.testing.assert_close(got, want, **EXACT)
    leaves = [x.requires_grad_() for x in (q, k, v, bias)]
    outputs = [c(*leaves[:3], mask=causal(), bias=leaves[3]) for c in (core, full)]
    upstream = torch.randn(4, *outputs[0].shape).double()
    got, want = (torch.autograd.grad(y, leaves, upstream, is_grads_batched=True) for y in outputs)
    torch.testing.assert_close(got, want, **EXACT)


def test_mapping_over_a_call_is_refused():
    q, k, v = qkv(5, 7)
    text = (
        "TiledAttention cannot be mapped over by torch.vmap; put what is mapped over into B, or "
        "use FullAttention"
    )
    with pytest.raises(NotImplementedError, match=f"^{re.escape(text)}$"):
        torch.func.vmap(TiledAttention())(*(torch.stack([x, x]) for x in (q, k, v)))


def test_autocast_changes_neither_pass():
    leaves = [x.bfloat16().requires_grad_() for x in qkv(29, 29)]
    plain = outputs_and_gradients(TiledAttention(block_q=8, block_k=8), leaves, causal(), None)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = outputs_and_gradients(TiledAttention(block_q=8, block_k=8), leaves, causal(), None)
    torch.testing.assert_close(cast[0], plain[0], rtol=0, atol=0)


def test_log_sum_exp():
    torch.manual_seed(0)
    scores, values = torch.randn(3, 5, 11).double(), torch.randn(3, 11, 7).double()
    scores[1, 2] = -torch.inf
    blocks = zip(scores.split(4, dim=-1), values.split(4, dim=-2), strict=True)
    output, lse = online_softmax(blocks, return_log_sum_exp=True)
    torch.testing.assert_close(lse, scores.logsumexp(dim=-1), **EXACT)
    assert lse[1, 2] == -torch.inf and (output[1, 2] == 0).all()


# --- typical mistakes, planted ------------------------------------------------------------------

PLANTED = {
    "D left out of dS": (" - D[:, :, rows])", ")"),
    "1/√D_k missing in dQ": ("+= scale * (d_S @", "+= (d_S @"),
    "1/√D_k missing in dK": ("+= scale * (d_S.tr", "+= (d_S.tr"),
    "the mask not applied again": ("mask, rows, keys) - lse", "Mask(), rows, keys) - lse"),
    "dQ overwritten by the last tile": ("d_q[:, :, rows] +=", "d_q[:, :, rows] ="),
    "dK overwritten by the last tile": ("d_k[:, :, keys] +=", "d_k[:, :, keys] ="),
    "causality aligned at the top left": ("T_k - T_q + rows.stop", "rows.stop"),
    "bias of the wrong tile": ("scores + bias[:, :, rows", "scores + bias[:, :, :1"),
    "empty rows": (".clamp(min=torch.finfo(q.dtype).min)", ""),
}


@pytest.mark.parametrize("mistake", PLANTED)
def test_a_planted_mistake_is_noticed(mistake):
    old, new = PLANTED[mistake]
    source = Path(module.__file__).read_text(encoding="utf-8")
    assert source.count(old) == 1
    broken = {"__name__": "broken"}
    exec(compile(source.replace(old, new), "broken", "exec"), broken)
    core = broken["TiledAttention"](block_q=3, block_k=5)
    mask = causal() & padding([0, 26], max_len=29)
    leaves = [x.requires_grad_() for x in qkv(13, 29)]
    bias = torch.randn(1, 3, 13, 29, dtype=torch.float64, requires_grad=True)
    want = outputs_and_gradients(FullAttention(), leaves, mask, bias)
    got = outputs_and_gradients(core, leaves, mask, bias)
    with pytest.raises(AssertionError):
        torch.testing.assert_close(got, want, **EXACT)


def test_every_tile_is_part_of_the_table():
    masks = [make(13, 29) for make in MASKS.values()]
    for mask in [*masks, masks[1] & masks[2] & masks[3]]:
        whole = mask.dense(13, 29, "cpu")
        for rows in spans(13, 4):
            for keys in spans(29, 5):
                tile = tile_of(mask, rows, keys, 29 - 13, torch.device("cpu"))
                want = whole[:, :, rows, keys]
                assert want.all() if tile is None else torch.equal(tile.expand_as(want), want)


@pytest.mark.parametrize("name", ["block_q", "block_k"])
def test_refusals(name, as_users_run):
    with pytest.raises(ValueError, match=f"^{re.escape(f'{name} must be at least 1, got 0')}$"):
        TiledAttention(**{name: 0})
