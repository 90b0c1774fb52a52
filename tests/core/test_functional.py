"""The torch functions: against loops and PyTorch, half precision, gradients, refusals."""

import re
from typing import Any

import jaxtyping
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from minitx import functional, numpy_core
from minitx.masks import Mask, causal, padding

B, H, T_q, T_k, D_k, D_v = 2, 3, 5, 7, 11, 13
# float64 sums over at most 11 terms: rounding is near 1e-15.
EXACT = {"rtol": 1e-10, "atol": 1e-12}


@pytest.fixture
def qkv():
    torch.manual_seed(0)
    shapes = (B, H, T_q, D_k), (B, H, T_k, D_k), (B, H, T_k, D_v)
    return tuple(torch.randn(shape, dtype=torch.float64) for shape in shapes)


# --- attention_scores ----------------------------------------------------------------------------


@pytest.mark.parametrize("leading", [(), (2,), (2, 3), (2, 3, 5)])
@pytest.mark.parametrize("scale", [None, 1.0, 0.3])
def test_scores_are_scaled_dot_products(leading, scale):
    q, k = torch.randn(*leading, T_q, D_k).double(), torch.randn(*leading, T_k, D_k).double()
    want = torch.einsum("...id,...jd->...ij", q, k) * (D_k**-0.5 if scale is None else scale)
    torch.testing.assert_close(functional.attention_scores(q, k, scale=scale), want, **EXACT)


def test_scores_do_not_overflow_half_precision_before_they_are_scaled():
    q, k = torch.full((1, 64), 40.0).half(), torch.full((1, 64), 40.0).half()
    # 64 · 40 · 40 = 102,400 is above the largest half, 65,504; an eighth of it is not.
    assert functional.attention_scores(q, k).item() == 12_800


# --- masked_softmax ------------------------------------------------------------------------------


def test_masked_softmax_is_a_softmax_over_what_remains():
    scores, allowed = torch.randn(B, H, T_q, T_k).double(), torch.rand(B, H, T_q, T_k) < 0.6
    weights = functional.masked_softmax(scores, allowed)
    for index in np.ndindex(B, H, T_q):
        seen = allowed[index]
        want = numpy_core.softmax(scores[index][seen].numpy()) if seen.any() else []
        np.testing.assert_allclose(weights[index][seen].numpy(), want, rtol=1e-12)
        assert (weights[index][~seen] == 0).all()


def test_all_allowed_is_no_mask():
    scores = torch.randn(T_q, T_k)
    everything = torch.ones(T_q, T_k, dtype=torch.bool)
    torch.testing.assert_close(
        functional.masked_softmax(scores, everything), scores.softmax(dim=-1), rtol=0, atol=0
    )
    torch.testing.assert_close(
        functional.masked_softmax(scores), scores.softmax(dim=-1), rtol=0, atol=0
    )


def test_a_forbidden_key_gets_nothing_however_low_the_others_score():
    scores, allowed = torch.tensor([[-1e30, 0.0, -1e30]]), torch.tensor([[True, False, True]])
    assert functional.masked_softmax(scores, allowed).tolist() == [[0.5, 0.0, 0.5]]


@pytest.mark.parametrize(
    "shape", [(1, T_k), (T_q, 1), (3, 1, T_k), (2, 1, 1, T_k), (2, 3, T_q, T_k)]
)
def test_allowed_is_broadcast(shape):
    scores, allowed = torch.randn(2, 3, T_q, T_k), torch.rand(shape) < 0.5
    torch.testing.assert_close(
        functional.masked_softmax(scores, allowed),
        functional.masked_softmax(scores, allowed.expand(2, 3, T_q, T_k)),
    )


@pytest.mark.filterwarnings("ignore:Anomaly Detection")
def test_a_row_without_keys_is_zero_and_so_is_its_gradient():
    scores = torch.randn(T_q, T_k, requires_grad=True)
    allowed = torch.ones(T_q, T_k, dtype=torch.bool)
    allowed[2] = False
    with torch.autograd.detect_anomaly(check_nan=True):  # no NaN on the way either
        weights = functional.masked_softmax(scores, allowed)
        (gradient,) = torch.autograd.grad((weights * torch.randn(T_q, T_k)).sum(), scores)
    assert (weights[2] == 0).all() and (gradient[2] == 0).all()
    assert gradient.isfinite().all() and (gradient[[0, 1, 3, 4]] != 0).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_masked_softmax_in_low_precision(dtype):
    scores = torch.tensor([[3e4, -3e4, 3e4], [-6e4, -6e4, 0.0], [1.0, 2.0, 3.0]], dtype=dtype)
    scores.requires_grad_()
    allowed = torch.tensor([[True, True, True], [True, True, False], [False, False, False]])
    weights = functional.masked_softmax(scores, allowed)
    assert weights.dtype == dtype
    assert weights.tolist() == [[0.5, 0.0, 0.5], [0.5, 0.5, 0.0], [0.0, 0.0, 0.0]]
    (gradient,) = torch.autograd.grad(weights[:, 0].sum(), scores)
    assert gradient.isfinite().all()


# --- scaled_dot_product_attention ----------------------------------------------------------------


@pytest.mark.parametrize("scale", [None, 0.3])
def test_attention_equals_the_loops(qkv, scale):
    mask = causal() & padding([5, 7])
    got = functional.scaled_dot_product_attention(*qkv, mask=mask, scale=scale)
    allowed = mask.dense(T_q, T_k, "cpu").expand(B, H, T_q, T_k)
    for b, h in np.ndindex(B, H):
        q, k, v = (t[b, h].numpy() for t in qkv)
        want = numpy_core.attention(q, k, v, allowed=allowed[b, h].numpy(), scale=scale)
        np.testing.assert_allclose(got[b, h].numpy(), want, **EXACT)


@pytest.mark.parametrize("scale", [None, 0.3])
def test_attention_equals_pytorchs(qkv, scale):
    bias = torch.randn(1, H, T_q, T_k).double()
    got = functional.scaled_dot_product_attention(*qkv, bias=bias, scale=scale)
    want = F.scaled_dot_product_attention(*qkv, attn_mask=bias.expand(B, -1, -1, -1), scale=scale)
    torch.testing.assert_close(got, want, **EXACT)


def test_attention_returns_the_weights_it_used(qkv):
    q, k, v = qkv
    output, weights = functional.scaled_dot_product_attention(
        q, k, v, mask=causal(), return_weights=True
    )
    assert weights.shape == (B, H, T_q, T_k)
    torch.testing.assert_close(weights @ v, output, **EXACT)
    assert torch.equal(weights > 0, causal().dense(T_q, T_k, "cpu").expand_as(weights))


def test_non_contiguous_inputs_change_nothing(qkv):
    strided = [t.transpose(1, 2).contiguous().transpose(1, 2) for t in qkv]
    assert not strided[0].is_contiguous()
    torch.testing.assert_close(
        functional.scaled_dot_product_attention(*strided),
        functional.scaled_dot_product_attention(*qkv),
        **EXACT,
    )


def test_dropout_drops_weights_and_keeps_their_mean():
    torch.manual_seed(0)
    T = 401
    q, k, v = torch.zeros(1, 1, T, 3), torch.zeros(1, 1, T, 3), torch.eye(T)[None, None]
    output, weights = functional.scaled_dot_product_attention(
        q, k, v, dropout_p=0.25, return_weights=True
    )
    assert (weights == 1 / T).all()  # as they were before dropout
    dropped = (output == 0).double().mean().item()
    assert abs(dropped - 0.25) < 0.01  # 160,801 draws: the standard deviation is 0.0011
    torch.testing.assert_close(output[output > 0].unique(), torch.tensor([1 / T / 0.75]))


def test_nothing_is_dropped_unless_asked(qkv):
    first, second = (functional.scaled_dot_product_attention(*qkv) for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_attention_in_low_precision(qkv, dtype):
    mask = padding([0, 5], max_len=T_k)
    low = [t.to(dtype).requires_grad_() for t in qkv]
    output = functional.scaled_dot_product_attention(*low, mask=mask)
    want = functional.scaled_dot_product_attention(*qkv, mask=mask)
    assert output.dtype == dtype
    # A handful of roundings, each of half an epsilon, on numbers of size one.
    assert (output - want).abs().max() < 8 * torch.finfo(dtype).eps
    assert (output[0] == 0).all()
    for gradient in torch.autograd.grad(output.sum(), low):
        assert gradient.isfinite().all()


# --- online_softmax ------------------------------------------------------------------------------


def blocks(scores, values, size):
    return zip(scores.split(size, dim=-1), values.split(size, dim=-2), strict=True)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 11])
@pytest.mark.parametrize("order", ["as drawn", "rising", "falling"])
@pytest.mark.parametrize("size_of_scores", [1, 1e3])
def test_online_softmax_equals_the_whole(size, order, size_of_scores):
    torch.manual_seed(0)
    scores = size_of_scores * torch.randn(B, H, T_q, T_k).double()
    values = torch.randn(B, H, T_k, D_v).double()
    if order != "as drawn":
        scores = scores.sort(dim=-1, descending=order == "falling").values
    want = scores.softmax(dim=-1) @ values
    got = functional.online_softmax(blocks(scores, values, size))
    torch.testing.assert_close(got, want, **EXACT)


def test_online_softmax_far_below_zero():
    scores = torch.tensor([[-3e4, -3e4 - 1, -2e4, -2e4]])
    values = torch.tensor([[1.0], [2.0], [3.0], [5.0]])
    assert functional.online_softmax(blocks(scores, values, 1)).item() == 4.0


def test_online_softmax_takes_forbidden_blocks_and_rows():
    torch.manual_seed(0)
    scores = torch.randn(T_q, T_k).double()
    scores[1, :3] = -torch.inf  # the first block
    scores[2, 3:6] = -torch.inf  # the second
    scores[3] = -torch.inf  # all of them
    values = torch.randn(T_k, D_v).double()
    scores.requires_grad_()
    got = functional.online_softmax(blocks(scores, values, 3))
    want = functional.masked_softmax(scores, scores > -torch.inf) @ values
    torch.testing.assert_close(got, want, **EXACT)
    assert (got[3] == 0).all()
    (gradient,) = torch.autograd.grad(got.square().sum(), scores)
    (wanted,) = torch.autograd.grad(want.square().sum(), scores)
    torch.testing.assert_close(gradient, wanted, **EXACT)


def test_online_softmax_asks_for_one_block_at_a_time():
    alive = []

    def lazily():
        for _ in range(5):
            alive.append("asked")
            yield torch.zeros(1, 2), torch.zeros(2, 3)

    stream = lazily()
    functional.online_softmax(stream)
    assert len(alive) == 5
    with pytest.raises(StopIteration):
        next(stream)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_online_softmax_keeps_the_dtype(dtype):
    scores, values = torch.zeros(T_q, T_k, dtype=dtype), torch.ones(T_k, D_v, dtype=dtype)
    output = functional.online_softmax(blocks(scores, values, 3))
    assert output.dtype == dtype
    assert (output - 1).abs().max() <= torch.finfo(dtype).eps


# --- gradients -----------------------------------------------------------------------------------


def test_gradcheck(qkv):
    leaves = [t[:1, :2, :, :3].clone().requires_grad_() for t in qkv]
    bias = torch.randn(1, 2, T_q, T_k).double().requires_grad_()
    nobody = Mask(allowed=(torch.arange(T_q) != 3)[None, None, :, None].expand(1, 1, T_q, T_k))

    def attend(q, k, v, bias):
        return functional.scaled_dot_product_attention(q, k, v, mask=causal() & nobody, bias=bias)

    def attend_in_blocks(q, k, v):
        return functional.online_softmax(blocks(functional.attention_scores(q, k), v, 3))

    assert torch.autograd.gradcheck(attend, (*leaves, bias))
    assert torch.autograd.gradcheck(attend_in_blocks, leaves)


# --- refusals ------------------------------------------------------------------------------------

ZEROS = {"q": (B, H, T_q, D_k), "k": (B, H, T_k, D_k), "v": (B, H, T_k, D_v)}
WRONG = [
    ({"q": (B, T_q, D_k)}, "q must have shape (B, H, T_q, D_k), got (2, 5, 11)"),
    ({"k": (B, T_k, D_k)}, "k must have shape (B, H, T_k, D_k), got (2, 7, 11)"),
    ({"v": (B, T_k, D_v)}, "v must have shape (B, H, T_k, D_v), got (2, 7, 13)"),
    (
        {"k": (B, H, T_k, 13)},
        "k must have shape (B=2, H=3, T_k, D_k=11) like q, got (2, 3, 7, 13)",
    ),
    (
        {"k": (B, 1, T_k, D_k)},
        "k must have shape (B=2, H=3, T_k, D_k=11) like q, got (2, 1, 7, 11)",
    ),
    (
        {"v": (B, H, T_q, D_v)},
        "v must have shape (B=2, H=3, T_k=7, D_v) like k, got (2, 3, 5, 13)",
    ),
    (
        {"bias": (T_q, T_k)},
        "bias must have shape (B=2 or 1, H=3 or 1, T_q=5, T_k=7), got (5, 7)",
    ),
    (
        {"bias": (1, 1, 1, T_k)},
        "bias must have shape (B=2 or 1, H=3 or 1, T_q=5, T_k=7), got (1, 1, 1, 7)",
    ),
    (
        {"bias": (3, 1, T_q, T_k)},
        "bias must have shape (B=2 or 1, H=3 or 1, T_q=5, T_k=7), got (3, 1, 5, 7)",
    ),
    (
        {"bias": (1, 2, T_q, T_k)},
        "bias must have shape (B=2 or 1, H=3 or 1, T_q=5, T_k=7), got (1, 2, 5, 7)",
    ),
]


@pytest.mark.parametrize(("shapes", "text"), WRONG, ids=[text for _, text in WRONG])
def test_refusals_say_what_got_and_wanted(shapes, text, as_users_run):
    tensors = {name: torch.zeros(shape) for name, shape in (ZEROS | shapes).items()}
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        functional.scaled_dot_product_attention(**tensors)


@pytest.mark.parametrize(
    ("mask", "text"),
    [
        (padding([7, 5, 3]), "key_padding must have shape (B=2, T_k=7), got (3, 7)"),
        (
            Mask(allowed=torch.ones(2, 2, T_q, T_k, dtype=torch.bool)),
            "allowed must have shape (B=2, H=3, T_q=5, T_k=7), got (2, 2, 5, 7)",
        ),
    ],
)
def test_a_mask_for_another_batch_is_refused(qkv, mask, text):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        functional.scaled_dot_product_attention(*qkv, mask=mask)


def test_the_annotations_are_enforced_in_these_tests(qkv):
    q, k, _ = qkv
    with pytest.raises(jaxtyping.TypeCheckError):
        functional.attention_scores(q, k[..., :7])


@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize("mask", [None, torch.ones(1, 1, 2, 2, dtype=torch.bool)])
def test_a_mask_of_another_kind_is_refused(mask: Any) -> None:
    q = torch.zeros(1, 1, 2, 3)
    text = rf"^mask must be a Mask, such as .* or NO_MASK, got {type(mask).__name__}$"
    with pytest.raises(TypeError, match=text):
        functional.scaled_dot_product_attention(q, q, q, mask=mask)
