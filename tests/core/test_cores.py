"""What is particular to one core; what all of them promise is in contract.py."""

import re

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from minitx.cores import FullAttention, FusedAttention, UnsupportedMask
from minitx.masks import NO_MASK, Mask, causal, padding

from . import contract


class LargestTensor(TorchDispatchMode):
    """The number of elements of the largest tensor that any operation returns."""

    size = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        sizes = [t.untyped_storage().size() for t in tree_leaves(result) if isinstance(t, Tensor)]
        self.size = max(self.size, *sizes, 0)
        return result


T = 251
WITHOUT_A_TABLE = {
    "no rule": (T, NO_MASK),
    "padding": (T, padding([T - 3], max_len=T)),
    "causal": (T, causal()),
    "causal, one query": (1, causal()),
    "causal and padding, one query": (1, causal() & padding([T - 3], max_len=T)),
}


def largest_tensor_in_bytes(core, T_q, mask):
    q, k, v = (torch.randn(1, 1, length, 8) for length in (T_q, T, T))
    with torch.no_grad(), LargestTensor() as largest:
        core(q, k, v, mask=mask)
    return largest.size


@pytest.mark.parametrize("case", WITHOUT_A_TABLE)
def test_the_fused_core_makes_no_table_where_none_is_needed(case):
    T_q, mask = WITHOUT_A_TABLE[case]
    largest = largest_tensor_in_bytes(FusedAttention(), T_q, mask)
    assert largest <= T * 8 * 4  # q, k, v and the output have this size; a table has T · T bytes


def test_the_measure_sees_a_table():
    assert largest_tensor_in_bytes(FullAttention(), T, NO_MASK) >= T * T * 4
    both = causal() & padding([T - 3], max_len=T)
    assert largest_tensor_in_bytes(FusedAttention(), T, both) >= T * T


@pytest.mark.parametrize(
    ("T_q", "mask", "table", "is_causal"),
    [
        (5, NO_MASK, None, False),
        (7, causal(), None, True),
        (1, causal(), None, False),
        (5, causal(), (1, 1, 5, 7), False),
        (5, padding([5, 7]), (2, 1, 1, 7), False),
        (1, causal() & padding([5, 7]), (2, 1, 1, 7), False),
        (7, causal() & padding([5, 7]), (2, 1, 7, 7), False),
    ],
)
def test_what_the_fused_core_asks_pytorch_for(T_q, mask, table, is_causal, monkeypatch):
    asked = {}

    def spy(q, k, v, attn_mask, is_causal, scale, dropout_p):
        assert scale is None and dropout_p == 0.0
        asked.update(table=None if attn_mask is None else attn_mask.shape, is_causal=is_causal)
        return v[:, :, :T_q]

    monkeypatch.setattr(F, "scaled_dot_product_attention", spy)
    q, k = torch.zeros(2, 3, T_q, 11), torch.zeros(2, 3, 7, 11)
    FusedAttention()(q, k, k, mask=mask)
    assert asked == {"table": table, "is_causal": is_causal}


def test_the_fused_core_does_not_rely_on_pytorch_for_empty_rows(monkeypatch):
    """PyTorch's documented reference gives NaN for a query that may attend to nothing."""

    def as_documented(q, k, v, attn_mask, is_causal, scale, dropout_p):
        assert scale is None and dropout_p == 0.0
        T_q, T_k = q.size(-2), k.size(-2)
        if is_causal:
            attn_mask = torch.ones(T_q, T_k, dtype=torch.bool).tril()
        if attn_mask is None:
            attn_mask = torch.zeros(T_q, T_k)
        elif attn_mask.dtype == torch.bool:
            attn_mask = torch.zeros(attn_mask.shape).masked_fill(~attn_mask, -torch.inf)
        return (q @ k.transpose(-2, -1) * q.size(-1) ** -0.5 + attn_mask).softmax(dim=-1) @ v

    monkeypatch.setattr(F, "scaled_dot_product_attention", as_documented)
    contract.check_equals_the_loops(lambda T: FusedAttention())
    contract.check_empty_rows(lambda T: FusedAttention())


@pytest.mark.parametrize("make", [FullAttention, FusedAttention])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize(
    "mask", [NO_MASK, causal(), padding([0, 5], max_len=7), causal() & padding([0, 5], max_len=7)]
)
def test_low_precision(make, dtype, mask):
    torch.manual_seed(0)
    exact = [torch.randn(2, 3, 7, width).double() for width in (11, 11, 13)]
    low = [t.to(dtype).requires_grad_() for t in exact]
    output = make()(*low, mask=mask)
    want = FullAttention()(*exact, mask=mask)
    assert output.dtype == dtype
    # A handful of roundings, each of half an epsilon, on numbers of size one.
    assert (output - want).abs().max() < 8 * torch.finfo(dtype).eps
    for gradient in torch.autograd.grad(output.sum(), low):
        assert gradient.isfinite().all()


@pytest.mark.parametrize("make", [FullAttention, FusedAttention])
def test_gradcheck(make):
    torch.manual_seed(0)
    leaves = [
        torch.randn(2, 1, T, D).double().requires_grad_() for T, D in [(2, 3), (5, 3), (5, 1)]
    ]
    bias = torch.randn(1, 1, 2, 5).double().requires_grad_()
    mask = causal() & padding([0, 3], max_len=5)
    core = make()
    assert torch.autograd.gradcheck(
        lambda q, k, v, bias: core(q, k, v, mask=mask, bias=bias), (*leaves, bias)
    )


def test_a_refusal_says_which_core_what_was_asked_and_what_it_can_do():
    class CausalOnly(FullAttention):
        supports = frozenset({"causal"})

    class Nothing(FullAttention):
        supports = frozenset()

    q = torch.zeros(1, 1, 3, 2)
    bias = torch.zeros(1, 1, 3, 3)
    for core, asked, text in [
        (
            CausalOnly(),
            {"mask": causal() & padding([2], max_len=3), "bias": bias},
            "CausalOnly was asked for bias, causal, key_padding and cannot honour "
            "bias, key_padding; it can honour causal",
        ),
        (
            Nothing(),
            {"mask": Mask(allowed=bias.bool())},
            "Nothing was asked for pairwise and cannot honour pairwise; "
            "it can honour no rule at all",
        ),
    ]:
        with pytest.raises(UnsupportedMask, match=f"^{re.escape(text)}$"):
            core(q, q, q, **asked)
    assert issubclass(UnsupportedMask, ValueError)


@pytest.mark.parametrize("make", [FullAttention, FusedAttention])
def test_sizes_that_do_not_fit_are_refused(make, as_users_run):
    q, k = torch.zeros(2, 3, 5, 11), torch.zeros(2, 3, 7, 13)
    text = "k must have shape (B=2, H=3, T_k, D_k=11) like q, got (2, 3, 7, 13)"
    with pytest.raises(ValueError, match=re.escape(text)):
        make()(q, k, k)
