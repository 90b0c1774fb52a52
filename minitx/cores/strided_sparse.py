"""Attention to the last few positions and to every stride-th position before them."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from minitx.cores.base import AttentionCore
from minitx.cores.chunks import in_chunks, joined, with_neighbours
from minitx.functional import attention_scores, masked_softmax
from minitx.masks import Mask


class StridedSparse(AttentionCore):
    """Each query attends to the stride before it and, from there on, to every stride-th position.

        allowed[i, j] = |i - j| ≤ stride  or  (i - j) mod stride = 0

    of which a causal mask leaves j ≤ i. Any position is reached in two steps: along the column to
    the right row, then within it. A query meets about stride + T / stride keys, T √T pairs in all
    when the stride is near √T; time and memory grow like that. Stride T - 1 is full attention.

    Where T_q != T_k the queries are the last T_q of the T_k positions, causal or not.

    Args:
        stride: l, near √T; the width of an image, where that is what is read.

    Raises:
        ValueError: if the stride is below 1.

    Source: Child et al. 2019 (Sparse Transformer), §4.2-4.3, strided attention, with both sets of
    positions in one head (§4.3's "merged head"). Deviations: the paper's is causal; without a
    causal mask the same rule holds to both sides.

    >>> from minitx.masks import causal
    >>> zeros, v = torch.zeros(1, 1, 6, 1), torch.eye(6).view(1, 1, 6, 6)
    >>> (StridedSparse(2)(zeros, zeros, v, mask=causal())[0, 0] > 0).int()
    tensor([[1, 0, 0, 0, 0, 0],
            [1, 1, 0, 0, 0, 0],
            [1, 1, 1, 0, 0, 0],
            [0, 1, 1, 1, 0, 0],
            [1, 0, 1, 1, 1, 0],
            [0, 1, 0, 1, 1, 1]], dtype=torch.int32)
    """

    supports = frozenset({"causal", "key_padding"})

    def __init__(self, stride: int) -> None:
        super().__init__()
        if stride < 1:
            raise ValueError(f"stride must be at least 1, got {stride}")
        self.stride = stride

    def _attend(
        self, q: Tensor, k: Tensor, v: Tensor, mask: Mask, bias: Tensor | None
    ) -> Float[Tensor, "B H T_q D_v"]:
        T_q, T_k = q.size(2), k.size(2)
        # Both end together: the shorter one is filled up in front.
        T = max(T_q, T_k)
        q, k, v = (F.pad(x, (0, 0, T - x.size(2), 0)) for x in (q, k, v))
        is_token = F.pad(mask.is_token(T_k, q.device), (T - T_k, 0))
        return self._in_rows(q, k, v, is_token, mask.causal)[:, :, T - T_q :]

    def _in_rows(self, q: Tensor, k: Tensor, v: Tensor, is_token: Tensor, causal: bool) -> Tensor:
        """In N rows of one stride each: near keys are common to a row, the others to a column.

        The two kinds of scores are laid side by side, for one softmax.
        """
        T = q.size(2)
        stride = min(self.stride, T)
        q, k, v = (in_chunks(x, stride) for x in (q, k, v))  # (B, H, N, stride, D)
        near_k, near_v = (with_neighbours(x, after=int(not causal)) for x in (k, v))
        near = attention_scores(q, near_k)
        far = _turned(attention_scores(_turned(q), _turned(k)))
        allowed = self._allowed(is_token[:, None, :, None], stride, causal)
        weights = masked_softmax(torch.cat([near, far], dim=-1), allowed)
        W = near.size(-1)
        output = weights[..., :W] @ near_v + _turned(_turned(weights[..., W:]) @ _turned(v))
        return joined(output, T)

    def _allowed(self, is_token: Tensor, stride: int, causal: bool) -> Tensor:
        """Of the near keys, those at most one stride away; of the column's, those beyond."""
        i = in_chunks(torch.arange(is_token.size(2), device=is_token.device)[:, None], stride)
        is_token = in_chunks(is_token, stride)
        near, near_is_token = (with_neighbours(x, after=int(not causal)).mT for x in (i, is_token))
        far, far_is_token = i.squeeze(-1).mT, is_token.squeeze(-1).mT.unsqueeze(-3)
        in_reach = ((i - near).abs() <= stride) & near_is_token
        beyond = ((i - far).abs() > stride) & far_is_token
        if causal:
            in_reach, beyond = in_reach & (near <= i), beyond & (far <= i)
        return torch.cat([in_reach, beyond], dim=-1)


def _turned(x: Tensor) -> Tensor:
    """Rows as columns: (*, N, stride, D) as (*, stride, N, D), and back."""
    return x.transpose(-3, -2)
