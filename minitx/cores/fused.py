"""The same attention, computed by PyTorch's fused kernels."""

import math

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from minitx.cores.base import RULES, AttentionCore
from minitx.masks import NO_MASK, Mask


class FusedAttention(AttentionCore):
    """`torch.nn.functional.scaled_dot_product_attention` behind the rules of a core.

    Exact, and the fastest choice on most machines. Honours every rule. Without a rule, with
    padding only, with causal on a square (T_q = T_k), and with causal for a single query, no
    table of T_q × T_k is made; otherwise one of truth values is (one of numbers with a bias).

    Args:
        scale: factor on the dot products, 1/√D_k unless given.
        dropout: share of the weights set to 0 in training.

    Three places where PyTorch's function alone would differ:
      - its `is_causal` is aligned to the top left, so it serves only where T_q = T_k;
      - what a query gets that may attend to nothing is left to the backend; the reference code in
        its documentation gives NaN;
      - it takes a mask or a bias, not both.

    >>> import torch
    >>> from minitx.masks import padding
    >>> zeros, v = torch.zeros(2, 1, 2, 1), torch.tensor([1.0, 5.0]).expand(2, 1, 2).unsqueeze(-1)
    >>> FusedAttention()(zeros, zeros, v, mask=padding([0, 1], max_len=2)).flatten(1)
    tensor([[0., 0.],
            [1., 1.]])
    """

    supports = RULES

    def __init__(self, *, scale: float | None = None, dropout: float = 0.0) -> None:
        super().__init__()
        self.scale = scale
        self.dropout = dropout

    def _attend(
        self, q: Tensor, k: Tensor, v: Tensor, mask: Mask, bias: Tensor | None
    ) -> Float[Tensor, "B H T_q D_v"]:
        dropout = self.dropout if self.training else 0.0
        return fused_attention(q, k, v, mask, bias, scale=self.scale, dropout_p=dropout)


def fused_attention(
    q: Float[Tensor, "B H T_q D_k"],
    k: Float[Tensor, "B H T_k D_k"],
    v: Float[Tensor, "B H T_k D_v"],
    mask: Mask = NO_MASK,
    bias: Float[Tensor, "#B #H T_q T_k"] | None = None,
    *,
    scale: float | None = None,
    dropout_p: float = 0.0,
) -> Float[Tensor, "B H T_q D_v"]:
    """The core on tensors that are known to fit, for cores that attend to a few keys with it."""

    def fused(*, attn_mask: Tensor | None = None, is_causal: bool = False) -> Tensor:
        return F.scaled_dot_product_attention(
            q, k, v, attn_mask=attn_mask, is_causal=is_causal, scale=scale, dropout_p=dropout_p
        )

    T_q, T_k = q.size(2), k.size(2)
    # A single query is the last position: causal forbids it nothing.
    rules = mask.rules - {"causal"} if T_q == 1 else mask.rules
    if not rules:
        return fused(attn_mask=bias)
    if rules == {"causal"} and T_q == T_k and bias is None:
        return fused(is_causal=True)

    # Padding is the same for every query: one row of the table is enough.
    allowed = mask.dense(1 if rules == {"key_padding"} else T_q, T_k, q.device)
    # Let a query without any key attend to all of them, then put 0 in place of what it got:
    # no row is ever empty for the kernel, and no gradient flows.
    empty = ~allowed.any(dim=-1, keepdim=True)
    allowed = allowed | empty
    table = allowed if bias is None else bias.masked_fill(~allowed, -math.inf)
    return fused(attn_mask=table).masked_fill(empty, 0.0)
