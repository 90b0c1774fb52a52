"""Each scheme against the closed form of its paper."""

import math
import re

import numpy as np
import pytest
import torch
from transformers import LlamaConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb
from transformers.models.t5.modeling_t5 import T5Attention

from minitx.positions import (
    ALiBi,
    Learned,
    NoPosition,
    Position,
    Rotary,
    Shaw,
    Sinusoidal,
    T5Bias,
    YaRN,
    distances,
    ntk_base,
    positions_from,
)

from .oracles import EXACT, IN_ATTENTION, ON_EMBEDDINGS

B, H, T_q, T_k, D, C = 2, 3, 5, 7, 4, 12


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def queries_and_keys(dtype=torch.float64):
    q, k = torch.randn(B, H, T_q, D, dtype=dtype), torch.randn(B, H, T_k, D, dtype=dtype)
    q_pos = torch.tensor([[6, 7, 8, 9, 10], [0, 0, 1, 2, 3]])  # as a cache, as left padding
    k_pos = torch.tensor([[4, 5, 6, 7, 8, 9, 10], [0, 0, 0, 0, 1, 2, 3]])
    return q, k, q_pos, k_pos


# --- sinusoids -----------------------------------------------------------------------------------


def test_sinusoids_are_the_papers_formula_entry_by_entry():
    table = Sinusoidal(C).table(torch.arange(20)[None])[0]
    for p in range(20):
        for i in range(C // 2):
            angle = p / 10_000 ** (2 * i / C)
            assert table[p, 2 * i] == pytest.approx(math.sin(angle), abs=1e-12)
            assert table[p, 2 * i + 1] == pytest.approx(math.cos(angle), abs=1e-12)
    assert table[0].tolist() == [0, 1] * (C // 2)


def test_wavelengths_of_sinusoids_grow_from_two_pi_towards_the_base():
    table = Sinusoidal(64, base=100.0)
    for i in (0, 16, 31):
        wavelength = 2 * math.pi * 100 ** (2 * i / 64)
        # The row closest to one whole turn, and closer to the start than any half turn is.
        after_a_turn = table.table(torch.tensor([round(wavelength)]))[0, 2 * i : 2 * i + 2]
        start = torch.tensor([0.0, 1.0], dtype=torch.float64)
        assert (after_a_turn - start).norm() <= 0.5 * 2 * math.pi / wavelength


def test_moving_a_sinusoid_by_k_is_a_rotation_that_does_not_depend_on_p():
    scheme, k = Sinusoidal(C), 13
    rotation = torch.zeros(C, C, dtype=torch.float64)
    for i in range(C // 2):
        angle = k / 10_000 ** (2 * i / C)
        turn = [[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]
        rotation[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = torch.tensor(turn, dtype=torch.float64)
    p = torch.arange(100)
    torch.testing.assert_close(scheme.table(p) @ rotation.T, scheme.table(p + k), **EXACT)
    products = (scheme.table(p) * scheme.table(p + k)).sum(dim=-1)
    torch.testing.assert_close(products, products[0].expand(100), **EXACT)


def test_sinusoids_are_right_far_away():
    angle = 1_000_003 / 10_000 ** (2 / C)
    got = Sinusoidal(C).table(torch.tensor([1_000_003]))[0, 2:4]
    assert got.tolist() == pytest.approx([math.sin(angle), math.cos(angle)], abs=1e-9)


# --- learned -------------------------------------------------------------------------------------


def test_learned_positions_are_rows_of_a_table():
    scheme, x = Learned(11, C), torch.randn(B, 3, C)
    pos = torch.tensor([[0, 0, 1], [8, 9, 10]])
    got = scheme.embed(x, pos)
    for b in range(B):
        for t in range(3):
            assert torch.equal(got[b, t], x[b, t] + scheme.table.weight[pos[b, t]])


@pytest.mark.parametrize("pos", [[[9, 10, 11]], [[-1, 0, 1]]])
def test_learned_positions_end(pos):
    text = (
        f"learned positions run from 0 to 10, got {pos[0][0]} to {pos[0][-1]}: "
        "give a shorter text or a larger max_len"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        Learned(11, C).embed(torch.zeros(1, 3, C), torch.tensor(pos))


# --- Shaw ----------------------------------------------------------------------------------------


def test_shaw_is_the_papers_score_pair_by_pair():
    scheme = Shaw(D, max_distance=3).double()
    a = scheme.table.weight.detach().numpy()
    q, k, q_pos, k_pos = queries_and_keys()
    scores = q @ k.transpose(-2, -1) / math.sqrt(D) + scheme.bias(q, k, q_pos, k_pos)
    for b, h, i, j in np.ndindex(B, H, T_q, T_k):
        distance = min(max(int(k_pos[b, j] - q_pos[b, i]), -3), 3)
        key = k[b, h, j].numpy() + a[distance + 3]
        want = q[b, h, i].numpy() @ key / math.sqrt(D)
        assert scores[b, h, i, j].item() == pytest.approx(want, rel=1e-10)


# --- T5 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize(("num_buckets", "max_distance"), [(32, 128), (8, 20), (6, 11), (5, 7)])
def test_buckets_are_those_of_hugging_face(num_buckets, max_distance, bidirectional):
    scheme = T5Bias(
        H, num_buckets=num_buckets, max_distance=max_distance, bidirectional=bidirectional
    )
    distance = torch.arange(-300, 301)
    want = T5Attention._relative_position_bucket(
        distance,
        bidirectional=bidirectional,
        num_buckets=num_buckets,
        max_distance=max_distance,
    )
    assert torch.equal(scheme.bucket(distance), want)


def test_buckets_of_the_paper():
    """32 buckets: 8 single distances a side, then up to 128; beyond, all is one (§2.1)."""
    scheme = T5Bias(H)
    assert scheme.bucket(-torch.arange(8)).tolist() == list(range(8))
    assert scheme.bucket(torch.arange(1, 8)).tolist() == list(range(17, 24))
    assert scheme.bucket(torch.tensor([-127, -128, -10_000])).tolist() == [15] * 3
    assert scheme.bucket(torch.tensor([127, 128, 10_000])).tolist() == [31] * 3
    one_way = T5Bias(H, bidirectional=False)
    assert one_way.bucket(torch.tensor([0, 1, 50])).tolist() == [0] * 3
    assert one_way.bucket(-torch.arange(16)).tolist() == list(range(16))


def test_t5_bias_is_looked_up_pair_by_pair():
    scheme = T5Bias(H, num_buckets=8, max_distance=6)
    q, k, q_pos, k_pos = queries_and_keys(torch.float32)
    bias = scheme.bias(q, k, q_pos, k_pos)
    for b, h, i, j in np.ndindex(B, H, T_q, T_k):
        bucket = scheme.bucket(k_pos[b, j] - q_pos[b, i])
        assert bias[b, h, i, j] == scheme.table.weight[bucket, h]


# --- ALiBi ---------------------------------------------------------------------------------------


def test_alibi_slopes_of_the_paper():
    assert ALiBi(8).slopes().tolist() == [2.0**-n for n in range(1, 9)]
    assert ALiBi(16).slopes().tolist() == pytest.approx([2 ** (-n / 2) for n in range(1, 17)])
    assert ALiBi(1).slopes().tolist() == [2.0**-8]
    # §3 and the authors' code for 12 heads: those of 8, then the 1st, 3rd, 5th and 7th of 16.
    between = [2**-0.5, 2**-1.5, 2**-2.5, 2**-3.5]
    want = [2.0**-n for n in range(1, 9)] + between
    assert ALiBi(12).slopes().tolist() == pytest.approx(want, rel=1e-14)


def test_alibi_punishes_distance():
    q, k, q_pos, k_pos = queries_and_keys()
    q, k = q[:, :2], k[:, :2]
    bias = ALiBi(2).bias(q, k, q_pos, k_pos)
    assert (bias <= 0).all()
    for b, h, i, j in np.ndindex(B, 2, T_q, T_k):
        far = abs(int(k_pos[b, j] - q_pos[b, i]))
        assert bias[b, h, i, j].item() == -far * [2.0**-4, 2.0**-8][h]


def test_alibi_in_half_precision_is_rounded_once():
    q, k = torch.zeros(1, 12, 1, D).bfloat16(), torch.zeros(1, 12, 1500, D).bfloat16()
    bias = ALiBi(12).bias(q, k, torch.tensor([[1499]]), torch.arange(1500)[None])
    assert bias.dtype == torch.bfloat16
    exact = -ALiBi(12).slopes()[:, None] * torch.arange(1499, -1, -1)
    # Half an epsilon; slope and distance rounded before their product would make it three halves.
    torch.testing.assert_close(bias[0, :, 0].double(), exact, rtol=2**-8, atol=0)


# --- rotary --------------------------------------------------------------------------------------


def test_rotary_is_multiplication_by_a_complex_number():
    q, k, q_pos, k_pos = queries_and_keys()
    both = Rotary(D).rotate(q, k, q_pos, k_pos)
    for x, pos, turned in zip((q, k), (q_pos, k_pos), both, strict=True):
        numbers = torch.view_as_complex(x.unflatten(-1, (D // 2, 2)))
        theta = torch.tensor([10_000 ** (-2 * i / D) for i in range(D // 2)], dtype=torch.float64)
        angles = pos[:, None, :, None] * theta
        want = torch.view_as_real(numbers * torch.exp(1j * angles)).flatten(-2)
        torch.testing.assert_close(turned, want, **EXACT)


def test_rotary_is_hugging_faces_with_the_features_in_another_order():
    q, k, q_pos, _ = queries_and_keys()
    k = k[:, :, :T_q]
    theta = 10_000.0 ** (-torch.arange(0, D, 2).double() / D)
    angles = (q_pos[..., None] * theta).repeat(1, 1, 2)
    order = [*range(0, D, 2), *range(1, D, 2)]
    want = apply_rotary_pos_emb(q[..., order], k[..., order], angles.cos(), angles.sin())
    got = Rotary(D).rotate(q, k, q_pos, q_pos)
    torch.testing.assert_close(tuple(x[..., order] for x in got), want, **EXACT)


def test_rotary_scores_depend_on_distance_only():
    q, k, q_pos, k_pos = queries_and_keys()
    scheme = Rotary(D)

    def scores(shift):
        turned_q, turned_k = scheme.rotate(q, k, q_pos + shift, k_pos + shift)
        return turned_q @ turned_k.transpose(-2, -1)

    torch.testing.assert_close(scores(1009), scores(0), rtol=1e-9, atol=1e-9)
    assert (scores(0) - q @ k.transpose(-2, -1)).abs().max() > 0.1
    turned, _ = scheme.rotate(q, k, q_pos, k_pos)
    torch.testing.assert_close(turned.norm(dim=-1), q.norm(dim=-1), **EXACT)


# --- rotary positions for longer texts ----------------------------------------------------------


def theirs(kind, seq_len=None, **settings):
    """Frequencies and the factor on cosines and sines, by Hugging Face; D_k = 64, 512 tokens."""
    config = LlamaConfig(hidden_size=64, num_attention_heads=1, max_position_embeddings=512)
    config.rope_parameters = {"rope_type": kind, "rope_theta": 10_000.0, **settings}
    return ROPE_INIT_FUNCTIONS[kind](config, torch.device("cpu"), seq_len=seq_len)


def radians(scheme):
    return scheme.frequencies.double() * (2 * math.pi / 2.0**64)


def test_position_interpolation_is_hugging_faces_linear_scaling():
    want, _ = theirs("linear", factor=4.0)
    torch.testing.assert_close(radians(Rotary(64, stretch=4)), want.double(), rtol=1e-6, atol=0)
    q, k, q_pos, k_pos = queries_and_keys()
    four_times = Rotary(D, stretch=4).rotate(q, k, 4 * q_pos, 4 * k_pos)
    torch.testing.assert_close(four_times, Rotary(D).rotate(q, k, q_pos, k_pos), **EXACT)


def test_the_ntk_base_is_hugging_faces_and_leaves_the_fastest_pair_alone():
    want, _ = theirs("dynamic", factor=1.0, seq_len=4 * 512)
    got = radians(Rotary(64, base=ntk_base(4, 64)))
    torch.testing.assert_close(got, want.double(), rtol=1e-6, atol=0)
    torch.testing.assert_close(
        (got / radians(Rotary(64)))[[0, -1]], torch.tensor([1, 1 / 4]).double(), rtol=1e-9, atol=0
    )


def test_yarn_is_the_papers_formula_pair_by_pair():
    scheme, plain = YaRN(64, trained_len=512, stretch=4), radians(Rotary(64))
    between = 0
    for got, frequency in zip(radians(scheme), plain, strict=True):
        turns = 512 * frequency / (2 * math.pi)
        gamma = min(max((turns - 1) / (32 - 1), 0), 1)
        between += 0 < gamma < 1
        want = (1 - gamma) * frequency / 4 + gamma * frequency
        torch.testing.assert_close(got, want, rtol=1e-12, atol=0)
    assert 3 < between < 29
    pos = torch.arange(5)[None]
    q = torch.randn(1, 1, 5, 64, dtype=torch.float64)
    lengths = scheme.rotate(q, q, pos, pos)[0].norm(dim=-1) / q.norm(dim=-1)
    torch.testing.assert_close(lengths, torch.full_like(lengths, 0.1 * math.log(4) + 1), **EXACT)


def test_yarn_agrees_with_hugging_face_where_a_pair_is_wholly_kept_or_slowed():
    want, factor = theirs("yarn", factor=4.0, original_max_position_embeddings=512)
    scheme = YaRN(64, trained_len=512, stretch=4)
    turns = 512 * radians(Rotary(64)) / (2 * math.pi)
    outside = (turns < 0.5) | (turns > 64)  # theirs rounds the ends to whole pairs
    assert 10 < outside.sum() < 32
    torch.testing.assert_close(radians(scheme)[outside], want.double()[outside], rtol=1e-6, atol=0)
    assert scheme.longer == pytest.approx(factor, rel=1e-12)


# --- sizes; what all schemes promise is in test_position_contract.py ----------------------------


SCHEMES = {name: make(H, D) for name, make in IN_ATTENTION.items()}
SCHEMES |= {name: make(C) for name, make in ON_EMBEDDINGS.items()}
TRAINED = {
    "Learned": {"table.weight": (23, C)},
    "Shaw": {"table.weight": (7, D)},
    "T5Bias": {"table.weight": (8, H)},
    "T5Bias, one direction": {"table.weight": (6, H)},
    "TransformerXL": {"u": (H, D), "v": (H, D), "r_proj.weight": (C, C)},
}


@pytest.mark.parametrize("name", SCHEMES)
def test_what_is_trained_and_stored(name):
    scheme = SCHEMES[name]
    shapes = {n: tuple(p.shape) for n, p in scheme.named_parameters()}
    assert shapes == TRAINED.get(name, {})


def test_positions_from_and_distances():
    assert positions_from(4, 3).tolist() == [[4, 5, 6]]
    assert distances(torch.tensor([[4, 5]]), torch.tensor([[3, 4, 7]])).tolist() == [
        [[-1, 0, 3], [-2, -1, 2]]
    ]


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: Sinusoidal(7),
            "d_model must be even, sine and cosine come in pairs; got 7",
        ),
        (lambda: Rotary(7), "d_head must be even, features are turned in pairs; got 7"),
        (lambda: Shaw(D, max_distance=0), "max_distance must be at least 1, got 0"),
        (lambda: T5Bias(H, num_buckets=3), "num_buckets must be at least 4, got 3"),
        (
            lambda: T5Bias(H, num_buckets=1, bidirectional=False),
            "num_buckets must be at least 2, got 1",
        ),
        (
            lambda: T5Bias(H, num_buckets=32, max_distance=8),
            "max_distance must be above 8, where buckets of one distance end; got 8",
        ),
        (lambda: Sinusoidal(C, base=0.5), "base must be at least 1, got 0.5"),
        (lambda: Rotary(D, base=float("nan")), "base must be at least 1, got nan"),
        (lambda: Rotary(D, stretch=0), "stretch must be at least 1, got 0"),
        (lambda: ntk_base(0, 4), "stretch must be at least 1, got 0"),
        (lambda: ntk_base(2, 2), "d_head must be at least 4, got 2"),
        (
            lambda: YaRN(D, trained_len=5, stretch=2, few=2.0, many=2.0),
            "many must be above few, 2.0, got 2.0",
        ),
    ],
)
def test_what_is_refused(make, text):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        make()


def test_no_position_is_the_base_class_by_name():
    assert isinstance(NoPosition(), Position) and not NoPosition().only_embeds
