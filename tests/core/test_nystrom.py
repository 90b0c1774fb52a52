"""Nyströmformer against the package nystrom-attention, Hugging Face's layer and its formula."""

import re

import pytest
import torch
from nystrom_attention import NystromAttention
from nystrom_attention.nystrom_attention import moore_penrose_iter_pinv
from torch import Tensor
from transformers import NystromformerConfig
from transformers.models.nystromformer.modeling_nystromformer import NystromformerSelfAttention

from minitx.cores import FullAttention, Nystrom
from minitx.cores.nystrom import iterative_pinv
from minitx.cores.segments import averaging
from minitx.masks import padding

B, H, D, D_v = 2, 3, 11, 13
# float64 sums over a few dozen keys; any mistake is far above.
EXACT = {"rtol": 1e-9, "atol": 1e-11}


def inputs(T: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    shapes = (B, H, T, D), (B, H, T, D), (B, H, T, D_v)
    q, k, v = (torch.randn(s, generator=random, dtype=torch.float64) for s in shapes)
    return q, k, v


def test_equals_the_package():
    """One head of one sample at a time: there, all others change the start of the iteration."""
    T, m = 35, 5
    torch.manual_seed(0)
    layer = NystromAttention(D, dim_head=D, heads=1, num_landmarks=m, residual=False).double()
    x = torch.randn(1, T, D, dtype=torch.float64)
    q, k, v = layer.to_qkv(x).unsqueeze(1).chunk(3, dim=-1)
    got = layer.to_out(Nystrom(m)(q, k, v).squeeze(1))
    torch.testing.assert_close(got, layer(x), **EXACT)


def test_equals_hugging_face():
    T, m = 35, 5
    config = NystromformerConfig(
        hidden_size=H * D,
        num_attention_heads=H,
        num_landmarks=m,
        segment_means_seq_len=T,
        attention_probs_dropout_prob=0.0,
    )
    torch.manual_seed(0)
    layer = NystromformerSelfAttention(config).double()
    layer.conv_kernel_size = None  # the convolution is not the core's
    layer.init_option = "exact"  # the start of each matrix from its own norms
    x = torch.randn(B, T, H * D, dtype=torch.float64)
    q, k, v = (p(x).view(B, T, H, D).transpose(1, 2) for p in (layer.query, layer.key, layer.value))
    got = Nystrom(m)(q, k, v).transpose(1, 2).flatten(-2)
    torch.testing.assert_close(got, layer(x)[0], **EXACT)


def by_loops(q: Tensor, k: Tensor, v: Tensor, m: int, lengths: list[int]) -> Tensor:
    """The formula for one head of one sample, without its padding, with the package's inverse."""
    output = torch.empty(*q.shape[:3], v.size(3), dtype=q.dtype)
    for b, n in enumerate(lengths):
        parts = [[t for t in range(n) if t * m // n == s] for s in range(m)]
        for h in range(H):
            means = [torch.stack([x[b, h, p].mean(dim=0) for p in parts if p]) for x in (q, k)]
            q_marks, k_marks = means
            first = (q[b, h] @ k_marks.T / D**0.5).softmax(dim=-1)
            middle = (q_marks @ k_marks.T / D**0.5).softmax(dim=-1)
            last = (q_marks @ k[b, h, :n].T / D**0.5).softmax(dim=-1)
            output[b, h] = (
                first @ moore_penrose_iter_pinv(middle[None], 6)[0] @ (last @ v[b, h, :n])
            )
    return output


@pytest.mark.parametrize("m", [1, 4, 7])
@pytest.mark.parametrize("lengths", [None, [17, 22], [3, 22]])
def test_the_formula(m, lengths):
    T = 23  # no multiple of m; 3 words are fewer than 4 landmarks
    q, k, v = inputs(T)
    mask = {} if lengths is None else {"mask": padding(lengths, max_len=T)}
    got = Nystrom(m)(q, k, v, **mask)
    torch.testing.assert_close(got, by_loops(q, k, v, m, lengths or [T, T]), **EXACT)


@pytest.mark.parametrize("iterations", [1, 6])
def test_the_iteration_equals_the_package(iterations):
    torch.manual_seed(0)
    A = torch.randn(7, 7, dtype=torch.float64).softmax(dim=-1)
    wanted = moore_penrose_iter_pinv(A.unsqueeze(0), iterations)[0]
    torch.testing.assert_close(iterative_pinv(A, iterations), wanted, **EXACT)


def test_the_iteration_finds_the_inverse():
    torch.manual_seed(0)
    A = torch.randn(5, 7, 7, dtype=torch.float64).softmax(dim=-1)
    torch.testing.assert_close(iterative_pinv(A, 40), torch.linalg.inv(A), rtol=1e-8, atol=1e-8)


def test_the_pseudo_inverse_of_what_has_no_inverse():
    mean_of_two = torch.tensor([[0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])
    torch.testing.assert_close(iterative_pinv(mean_of_two, 6), mean_of_two)
    assert (iterative_pinv(torch.zeros(3, 3), 6) == 0).all()


def test_the_iteration_converges_with_third_order():
    """Once an eigenvalue x of A Z is 1 - e, the next step leaves 1 - e³(3 + e)/4."""
    e = 0.1
    Z = torch.tensor([[1.0]], dtype=torch.float64)
    AZ = (1 - e) * Z
    after = 0.25 * AZ * (13 - AZ * (15 - AZ * (7 - AZ)))
    assert float(1 - after) == pytest.approx(e**3 * (3 + e) / 4, rel=1e-9)
    one_step = iterative_pinv(torch.full((1, 1), 1 - e, dtype=torch.float64), 1)
    assert float(one_step) == pytest.approx(1 / (1 - e))  # a number is inverted by its start


def test_a_landmark_for_every_token_is_full_attention_for_long_sequences_too():
    q, k, v = inputs(41)
    got = Nystrom(100, pinv_iterations=60)(q, k, v)
    torch.testing.assert_close(got, FullAttention()(q, k, v), rtol=1e-6, atol=1e-7)


def test_segments_are_even_and_skip_the_padding():
    real = torch.tensor([[True] * 7, [True, False, True, True, False, True, False]])
    S = averaging(real, 3)
    assert (S > 0).sum(dim=-1).tolist() == [[3, 2, 2], [2, 1, 1]]
    torch.testing.assert_close(S.sum(dim=-1), torch.ones(2, 3))
    assert (S[1][:, ~real[1]] == 0).all()
    assert (averaging(real[:, :2], 3) > 0).sum(dim=-1).tolist() == [[1, 1, 0], [1, 0, 0]]


WRONG = {
    "the inverse left out": lambda q, k, v, S: (
        (q @ (S @ k).mT / D**0.5).softmax(-1) @ ((S @ q) @ k.mT / D**0.5).softmax(-1) @ v
    ),
    "transposed in place of inverted": lambda q, k, v, S: (
        (q @ (S @ k).mT / D**0.5).softmax(-1)
        @ ((S @ q) @ (S @ k).mT / D**0.5).softmax(-1).mT
        @ ((S @ q) @ k.mT / D**0.5).softmax(-1)
        @ v
    ),
    "sums in place of means": lambda q, k, v, S: Nystrom(5)(
        7 * q[:, :, :35], 7 * k[:, :, :35], v[:, :, :35]
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_variant_is_seen(wrong):
    q, k, v = inputs(35)
    S = averaging(torch.ones(1, 35, dtype=torch.bool), 5).double()
    wanted = by_loops(q, k, v, 5, [35, 35])
    assert (WRONG[wrong](q, k, v, S) - wanted).abs().max() > 1e-2


def test_what_is_refused():
    q, k, v = inputs(23)
    text = "T_q (5) must equal T_k (23): both share their segments"
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        Nystrom(4)(q[:, :, :5], k, v)
    with pytest.raises(ValueError, match=r"^num_landmarks must be at least 1, got 0$"):
        Nystrom(0)
    with pytest.raises(ValueError, match=r"^pinv_iterations must be at least 1, got 0$"):
        Nystrom(4, pinv_iterations=0)
