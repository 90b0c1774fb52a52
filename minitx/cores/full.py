"""Attention as the formula says it: every score is computed and kept."""

from jaxtyping import Float
from torch import Tensor

from minitx.cores.base import RULES, AttentionCore
from minitx.functional import scaled_dot_product_attention
from minitx.masks import Mask


class FullAttention(AttentionCore):
    """Scaled dot-product attention with the whole T_q × T_k table in memory.

        output = softmax(q kᵀ / √D_k + bias) v,   over the keys that mask allows

    The reference for all other cores. Honours every rule.

    Args:
        scale: factor on the dot products, 1/√D_k unless given.
        dropout: share of the weights set to 0 in training.

    Source: Vaswani et al. 2017, §3.2.1, eq. 1.

    >>> import torch
    >>> from minitx.masks import causal
    >>> zeros, v = torch.zeros(1, 1, 3, 2), torch.tensor([1.0, 2.0, 6.0]).view(1, 1, 3, 1)
    >>> FullAttention()(zeros, zeros, v, mask=causal()).flatten()
    tensor([1.0000, 1.5000, 3.0000])
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
        return scaled_dot_product_attention(
            q, k, v, mask=mask, bias=bias, scale=self.scale, dropout_p=dropout
        )
