"""Exact attention in tiles, by the Triton kernels."""

from jaxtyping import Float
from torch import Tensor

from minitx.cores.base import AttentionCore
from minitx.cores.packing import lengths_of
from minitx.kernels import flash_attention
from minitx.masks import Mask


class FlashAttention(AttentionCore):
    """`minitx.kernels.flash_attention` behind the rules of a core.

        output = softmax(scale · q kᵀ) v,   over the keys that mask and window allow

    Needs Triton and a CUDA device (or Triton's interpreter). No table of T_q × T_k is made,
    forward or backward. Padding must lie at the end of each sequence, as `padding(lengths)` puts
    it, because the kernel knows lengths only; looking whether it does makes the CPU wait once.
    Lengths forbid keys and move nobody: with causal, query i stands at T_k - T_q + i all the same.
    There is no gradient of the gradient, and `torch.func` has no transform of the kernels.

    Args:
        window: how far a query sees to either side (with causal, to the left); everywhere unless
            given.
        scale: factor on the dot products, 1/√D_k unless given.
        allow_tf32: float32 may be rounded to TF32 in matrix products.

    Raises:
        ValueError: in a call, if there is padding before a word.

    Source: Dao 2023 (FlashAttention-2), algorithms 1 and 2.

    >>> import torch
    >>> x = torch.zeros(1, 1, 2, 16)
    >>> left = Mask(key_padding=torch.tensor([[False, True]]))
    >>> FlashAttention()(x, x, x, mask=left)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: FlashAttention can honour key_padding at the end of a sequence only, ...
    """

    supports = frozenset({"causal", "key_padding"})
    skips_padding = True

    def __init__(
        self, *, window: int | None = None, scale: float | None = None, allow_tf32: bool = False
    ) -> None:
        super().__init__()
        self.window = window
        self.scale = scale
        self.allow_tf32 = allow_tf32

    def _attend(
        self, q: Tensor, k: Tensor, v: Tensor, mask: Mask, bias: Tensor | None
    ) -> Float[Tensor, "B H T_q D_v"]:
        lengths = None
        if mask.key_padding is not None:
            lengths = lengths_of(mask.key_padding, "FlashAttention")
        return flash_attention(
            q,
            k,
            v,
            causal=mask.causal,
            window=self.window,
            key_lengths=lengths,
            scale=self.scale,
            allow_tf32=self.allow_tf32,
        )
