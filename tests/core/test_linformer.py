"""Linformer against the package `linformer`, and against its formula written out."""

import re

import pytest
import torch
from linformer import LinformerSelfAttention
from torch import Tensor

from minitx.cores import Linformer
from minitx.masks import NO_MASK, padding

B, H, D, D_v = 2, 3, 11, 13
MAX_LEN, RANK = 29, 7
# float64 sums over a few dozen keys; any mistake is far above.
EXACT = {"rtol": 1e-10, "atol": 1e-12}


def inputs(T: int, T_q: int | None = None) -> tuple[Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(0)
    shapes = (B, H, T_q or T, D), (B, H, T, D), (B, H, T, D_v)
    q, k, v = (torch.randn(s, generator=random, dtype=torch.float64) for s in shapes)
    return q, k, v


def made(**settings) -> Linformer:
    torch.manual_seed(3)
    return Linformer(MAX_LEN, RANK, **settings).double()


@pytest.mark.parametrize("share_kv", [False, True])
@pytest.mark.parametrize("T", [MAX_LEN, 23])
def test_equals_the_package(T, share_kv):
    torch.manual_seed(0)
    layer = LinformerSelfAttention(H * D, MAX_LEN, k=RANK, heads=H, share_kv=share_kv).double()
    core = made(share_kv=share_kv)
    x = torch.randn(B, T, H * D, dtype=torch.float64)
    to_v = layer.to_k if share_kv else layer.to_v
    q, k, v = (p(x).view(B, T, H, D).transpose(1, 2) for p in (layer.to_q, layer.to_k, to_v))
    with torch.no_grad():
        core.E.copy_(layer.proj_k.T)
        core.F.copy_(layer.proj_k.T if share_kv else layer.proj_v.T)
    got = layer.to_out(core(q, k, v).transpose(1, 2).flatten(-2))
    torch.testing.assert_close(got, layer(x), **EXACT)


def by_loops(core: Linformer, q: Tensor, k: Tensor, v: Tensor, lengths: list[int]) -> Tensor:
    """Equation 7 for one head of one sample after another, without its padding."""
    output = torch.empty(*q.shape[:3], v.size(3), dtype=q.dtype)
    for b, n in enumerate(lengths):
        for h in range(H):
            E, F = (m[h if len(m) > 1 else 0, :, :n] for m in (core.E, core.F))
            weights = (q[b, h] @ (E @ k[b, h, :n]).T / D**0.5).softmax(dim=-1)
            output[b, h] = weights @ (F @ v[b, h, :n])
    return output.detach()


@pytest.mark.parametrize("num_heads", [1, H])
@pytest.mark.parametrize(("T", "lengths"), [(29, None), (23, None), (23, [17, 22])])
def test_the_formula(T, lengths, num_heads):
    q, k, v = inputs(T, T_q=5)
    core = made(num_heads=num_heads)
    mask = NO_MASK if lengths is None else padding(lengths, max_len=T)
    wanted = by_loops(core, q, k, v, lengths or [T, T])
    torch.testing.assert_close(core(q, k, v, mask=mask), wanted, **EXACT)


# --- wrong variants, each of which differs from the formula ---------------------------------------


def dense(scores, values):
    return (scores / D**0.5).softmax(dim=-1) @ values


T = 23  # below MAX_LEN, padded to it from 17 and 22
WRONG = {
    "E used for V": lambda E, F, q, k, v, real: dense(q @ (E @ (k * real)).mT, E @ (v * real)),
    "scaled by the rank": lambda E, F, q, k, v, real: (
        (q @ (E @ (k * real)).mT / RANK**0.5).softmax(-1) @ (F @ (v * real))
    ),
    "padding mixed in": lambda E, F, q, k, v, real: dense(q @ (E @ k).mT, F @ v),
    "softmax on E": lambda E, F, q, k, v, real: dense(
        q @ (E.softmax(-1) @ (k * real)).mT, F @ (v * real)
    ),
    "a mean in place of E": lambda E, F, q, k, v, real: dense(
        q @ (torch.ones_like(E) / T @ (k * real)).mT, F @ (v * real)
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_variant_is_seen(wrong):
    q, k, v = inputs(T)
    core, mask = made(), padding([17, 22], max_len=T)
    E, F = (m.detach()[:, :, :T] for m in (core.E, core.F))
    got = WRONG[wrong](E, F, q, k, v, mask.key_padding[:, None, :, None])
    assert (got - by_loops(core, q, k, v, [17, 22])).abs().max() > 1e-3


def test_segments_start_as_means():
    core = Linformer(7, 3, start="segments")
    wanted = [[1 / 3] * 3 + [0] * 4, [0] * 3 + [1 / 2] * 2 + [0] * 2, [0] * 5 + [1 / 2] * 2]
    torch.testing.assert_close(core.E[0], torch.tensor(wanted))
    assert torch.equal(core.E, core.F) and core.E is not core.F
    assert torch.equal(Linformer(7, 7, start="segments").E[0], torch.eye(7))


def test_what_is_shared():
    count = lambda core: sum(p.numel() for p in core.parameters())  # noqa: E731
    assert count(made()) == 2 * RANK * MAX_LEN
    assert count(made(share_kv=True)) == RANK * MAX_LEN
    assert count(made(num_heads=H)) == 2 * H * RANK * MAX_LEN


def test_what_is_refused():
    q, k, v = inputs(MAX_LEN + 2)
    with pytest.raises(ValueError, match=r"^keys \(31\) must not outnumber max_len \(29\)$"):
        made()(q, k, v)
    q, k, v = inputs(MAX_LEN)
    with pytest.raises(ValueError, match=r"^the core was made for 2 heads, got 3$"):
        made(num_heads=2)(q, k, v)
    for rank in (0, 8):
        text = f"rank ({rank}) must lie between 1 and max_len (7)"
        with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
            Linformer(7, rank)


def test_a_start_that_is_none(as_users_run):
    text = 'start must be "normal" or "segments", got \'zeros\''
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        Linformer(7, 3, start="zeros")
