"""Longformer's self-attention: a sliding window, and projections of their own for global tokens.

Shape letters: B batch, T length, C model width, H heads, D width of one head, G global tokens.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from minitx.cache import KVCache
from minitx.cores import FusedAttention, SlidingWindow
from minitx.masks import NO_MASK, Mask
from minitx.multihead import MultiHeadAttention


class LongformerAttention(MultiHeadAttention):
    """Multi-head attention in a window, where global tokens look around with other eyes.

        y[i] = window of i and global tokens,  with W_q, W_k, W_v                for all others
        y[i] = all tokens,                     with W_q_global, W_k_global, W_v_global  for global i

    The second line is ordinary attention from G tokens to all T, so time and memory stay linear.

    Args:
        d_model: width C of input and output.
        num_heads: H.
        radius: see `SlidingWindow`.
        dilation: see `SlidingWindow`.
        global_tokens: see `SlidingWindow`; at least one.
        bias: whether the projections have one.

    Raises:
        ValueError: if there is no global token, or what `MultiHeadAttention` and `SlidingWindow`
            refuse; in forward, if a memory or a cache is given.

    Source: Beltagy et al. 2020, §3.1, "Linear Projections for Global Attention". As in the
    authors' code, a query that is not global meets the keys of global tokens through W_k and W_v.
    Deviation: the global projections do not start as copies of the others; the authors copy them
    when they load pretrained weights.
    """

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        *,
        radius: int,
        global_tokens: Sequence[int],
        dilation: int = 1,
        bias: bool = True,
    ) -> None:
        if not global_tokens:
            raise ValueError(
                "LongformerAttention needs global tokens; without them use "
                "MultiHeadAttention(core=SlidingWindow(…))"
            )
        core = SlidingWindow(radius, dilation=dilation, global_tokens=global_tokens)
        super().__init__(d_model, num_heads, core=core, bias=bias)
        self.global_tokens = core.global_tokens
        self.q_proj_global = nn.Linear(d_model, d_model, bias=bias)
        self.k_proj_global = nn.Linear(d_model, d_model, bias=bias)
        self.v_proj_global = nn.Linear(d_model, d_model, bias=bias)
        self.attend_global = FusedAttention()

    def forward(
        self,
        x: Float[Tensor, "B T C"],
        memory: Float[Tensor, "B T_m C"] | None = None,
        *,
        mask: Mask = NO_MASK,
        cache: KVCache | None = None,
        positions: Int[Tensor, "#B T"] | None = None,
    ) -> Float[Tensor, "B T C"]:
        """Attend from x to x.

        Args:
            x: the whole text.
            memory: refused: this is self-attention.
            mask: causal and padding are honoured.
            cache: refused: the global tokens look at the whole text.
            positions: not used, there are no rotations here.
        """
        if memory is not None or cache is not None:
            raise ValueError("LongformerAttention is self-attention without memory and cache")
        y = super().forward(x, mask=mask)
        among = torch.tensor(self.global_tokens, device=x.device)
        q = self._split(self.q_proj_global(x[:, among]), self.num_heads)
        k = self._split(self.k_proj_global(x), self.num_heads)
        v = self._split(self.v_proj_global(x), self.num_heads)
        heads = self.attend_global(q, k, v, mask=_rows(mask, among, x.size(1)))
        return y.index_copy(1, among, self.out_proj(heads.transpose(1, 2).flatten(-2)))


def _rows(mask: Mask, among: Tensor, T: int) -> Mask:
    """What the mask says of these queries."""
    if not mask.causal:
        return mask
    past = torch.arange(T, device=among.device) <= among[:, None]
    return Mask(key_padding=mask.key_padding, allowed=past[None, None])
