"""Transformer-XL's positions: the picture of the shift, loops, and Hugging Face's XLNet."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from transformers import XLNetConfig
from transformers.models.xlnet.modeling_xlnet import XLNetModel, XLNetRelativeAttention

from minitx.positions import TransformerXL, positions_from, relative_shift
from minitx.positions.transformer_xl import follow_one_another

from . import oracles
from .oracles import EXACT

B, H, D, T_q, T_k = 2, 3, 4, 5, 7
C = H * D


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


# --- the shift -----------------------------------------------------------------------------------


def distances_as_columns(T, W):
    """Every row of the table says which distance its column is for: W - 1 … 0."""
    return torch.arange(W - 1, -1, -1).expand(T, W).double()


def shows_distances(shift, T, mem):
    """shifted[i, j] == i + mem - j wherever key j is not ahead of query i."""
    W = T + mem
    shifted = shift(distances_as_columns(T, W))
    return shifted.shape == (T, W) and all(
        shifted[i, j] == i + mem - j for i in range(T) for j in range(W) if j <= i + mem
    )


@pytest.mark.parametrize(("T", "mem"), [(3, 4), (5, 0), (1, 6), (2, 1), (7, 13)])
def test_a_column_is_its_distance(T, mem):
    assert shows_distances(relative_shift, T, mem)
    x = torch.randn(2, 3, T, T + mem)
    shifted = relative_shift(x)
    assert torch.equal(shifted[..., -1, :], x[..., -1, :])
    for i, j in np.ndindex(T, T + mem):
        if j <= i + mem:
            assert torch.equal(shifted[..., i, j], x[..., i, j + T - 1 - i])


def padded(x, left, right):
    return nn.functional.pad(x, (left, right))


WRONG_SHIFTS = {
    "none": lambda x: x,
    "zeros on the right": lambda x: (
        padded(x, 0, 1).flatten(-2)[..., x.size(-2) :].unflatten(-1, x.shape[-2:])
    ),
    "the last row dropped": lambda x: (
        padded(x, 1, 0).flatten(-2)[..., : -x.size(-2)].unflatten(-1, x.shape[-2:])
    ),
    "the other way": lambda x: relative_shift(x.flip(-1)).flip(-1),
    "the distances ascending": lambda x: relative_shift(x.flip(-1)),
    "distances off by one": lambda x: relative_shift(x + 1),
    "read as (W, T)": lambda x: (
        padded(x, 1, 0).flatten(-2)[..., x.size(-2) :].unflatten(-1, x.shape[:-3:-1]).mT
    ),
}


@pytest.mark.parametrize("name", WRONG_SHIFTS)
def test_the_picture_catches(name):
    assert not shows_distances(WRONG_SHIFTS[name], 3, 4)


# --- the bias ------------------------------------------------------------------------------------


def scheme():
    return oracles.randomise(TransformerXL(H, D))


def inputs(T_q=T_q, T_k=T_k, H_kv=H):
    q = torch.randn(B, H, T_q, D, dtype=torch.float64)
    return q, torch.randn(B, H_kv, T_k, D, dtype=torch.float64)


POSITIONS = {
    "self-attention": (positions_from(0, T_q), positions_from(0, T_q)),
    "a memory of 2": (positions_from(2, T_q), positions_from(0, T_k)),
    "one query, a cache": (positions_from(6, 1), positions_from(0, T_k)),
    "keys ahead": (positions_from(0, T_q), positions_from(3, T_k)),
    "padding on the left": (
        torch.tensor([[0, 0, 1, 2, 3], [0, 1, 2, 3, 4]]),
        torch.tensor([[0, 0, 0, 0, 1, 2, 3], [0, 0, 0, 1, 2, 3, 4]]),
    ),
    "each sample its own start": (
        torch.tensor([[9], [4]]) + positions_from(0, T_q),
        torch.tensor([[2], [3]]) + positions_from(0, T_k),
    ),
    "gaps": (torch.tensor([[0, 3, 4, 9, 1]]), torch.tensor([[5, 0, 0, 7, 100, 2, 1]])),
}


@pytest.mark.parametrize("name", POSITIONS)
@pytest.mark.parametrize("H_kv", [H, 1])
def test_the_bias_is_the_papers_pair_by_pair(name, H_kv):
    """Dai et al. 2019, §3.3: terms (b), (c) and (d), with a sinusoid written out here."""
    xl, (q_pos, k_pos) = scheme(), POSITIONS[name]
    q, k = inputs(q_pos.size(1), k_pos.size(1), H_kv)
    bias = xl.bias(q, k, q_pos, k_pos)
    W_R, u, v = (p.detach().numpy() for p in (xl.r_proj.weight, xl.u, xl.v))
    q_pos, k_pos = q_pos.expand(B, -1), k_pos.expand(B, -1)
    for b, h, i, j in np.ndindex(*bias.shape):
        distance = int(q_pos[b, i] - k_pos[b, j])
        angles = distance / 10_000 ** (2 * np.arange(C // 2) / C)
        encoding = np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(-1)
        r = (W_R @ encoding).reshape(H, D)[h]
        query, key = q[b, h, i].numpy(), k[b, h * H_kv // H, j].numpy()
        want = (query @ r + u[h] @ key + v[h] @ r) / math.sqrt(D)
        assert bias[b, h, i, j].item() == pytest.approx(want, rel=1e-9, abs=1e-11)


def test_which_positions_are_shifted_and_which_are_looked_up():
    shifted = {name for name, positions in POSITIONS.items() if follow_one_another(*positions)}
    assert shifted == {"self-attention", "a memory of 2", "one query, a cache", "keys ahead"}


def test_shifted_and_looked_up_are_the_same(monkeypatch):
    xl, (q, k) = scheme(), inputs()
    positions = POSITIONS["a memory of 2"]
    shifted = xl.bias(q, k, *positions)
    module = "minitx.positions.transformer_xl.follow_one_another"
    monkeypatch.setattr(module, lambda q_pos, k_pos: False)
    torch.testing.assert_close(xl.bias(q, k, *positions), shifted, **EXACT)


@pytest.mark.parametrize("mem", [0, 2])
def test_it_is_xlnets(mem):
    """Hugging Face has no Transformer-XL any more; XLNet's attention is the same."""
    xl, (q, k) = scheme(), inputs(T_q, T_q + mem)
    theirs = XLNetRelativeAttention(XLNetConfig(d_model=C, n_head=H, dropout=0.0)).double()
    inverse = 10_000 ** -(torch.arange(0, C, 2).double() / C)
    order = [*range(0, C, 2), *range(1, C, 2)]  # their sines come before their cosines
    with torch.no_grad():
        theirs.r.copy_(xl.r_proj.weight[:, order].T.unflatten(-1, (H, D)))
        theirs.r_w_bias.copy_(xl.u)
        theirs.r_r_bias.copy_(xl.v)
    distance = torch.arange(T_q + mem, -T_q, -1.0).double()
    encoding = XLNetModel.positional_embedding(distance, inverse, None)
    r = torch.einsum("ibh,hnd->ibnd", encoding.expand(-1, B, -1), theirs.r)

    heads = [x.permute(2, 0, 1, 3) for x in (q, k, torch.randn(B, H, T_q + mem, D).double())]
    _, want = theirs.rel_attn_core(*heads, r, output_attentions=True)
    scores = q @ k.mT / math.sqrt(D)
    bias = xl.bias(q, k, positions_from(mem, T_q), positions_from(0, T_q + mem))
    got = (scores + bias).softmax(dim=-1)
    torch.testing.assert_close(got, want.permute(2, 3, 0, 1), **EXACT)


def test_u_is_for_content_and_v_for_position():
    xl, (q, k) = scheme(), inputs()
    positions = POSITIONS["a memory of 2"]
    with torch.no_grad():
        xl.r_proj.weight.zero_()
    bias = xl.bias(q, k, *positions)
    want = torch.einsum("hd,bhjd->bhj", xl.u, k)[:, :, None] / math.sqrt(D)
    torch.testing.assert_close(bias, want.expand_as(bias), **EXACT)


def test_it_is_refused_like_other_sines():
    with pytest.raises(ValueError, match=r"^d_model must be even, sine and cosine come in pairs"):
        TransformerXL(3, 5)
    assert TransformerXL(3, 5, d_model=8).r_proj.weight.shape == (15, 8)
