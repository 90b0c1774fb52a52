"""Exact attention, one tile of the score table after another: FlashAttention in plain PyTorch."""

import math
from collections.abc import Iterator
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor

from minitx.cores.base import RULES, AttentionCore
from minitx.cores.tiles import spans, tile_of
from minitx.functional import attention_scores, online_softmax
from minitx.masks import Mask


class TiledAttention(AttentionCore):
    """Scaled dot-product attention that never holds more than one tile of its score table.

        output = softmax(q kᵀ / √D_k + bias) v,   over the keys that mask allows

    Forward, the keys of each block of queries come block by block through `online_softmax`; of
    the table only one number per query is kept, L = log Σ exp(scores). Backward, the weights of a
    tile are computed again as P = exp(scores - L), and with them, for the gradient dO of the
    output,

        dV = Pᵀ dO      dS = P ∘ (dO Vᵀ - D),  D = rowsum(dO ∘ O)      dQ = dS K / √D_k
                                                                       dK = dSᵀ Q / √D_k

    Memory grows with T, not T²; the time is that of all pairs, those that causality forbids
    excepted, where they fill a tile. Exact, and honours every rule. A bias is read tile by tile;
    its gradient is as large as it is.

    Args:
        block_q: queries per tile.
        block_k: keys per tile.

    Raises:
        ValueError: if a block has no size.

    Source: Dao et al. 2022 (FlashAttention), algorithms 1, 2 and 4. Deviations: the loop over
    queries is the outer one, as in Dao 2023 (FlashAttention-2), §3.1; all heads and samples go
    through a tile together; half precision is computed in float32; no dropout. The gradient of a
    gradient is refused, and so is `torch.vmap` over a call; `torch.func.grad`, `torch.func.jacrev`
    and `is_grads_batched` are served.

    >>> from minitx.masks import causal
    >>> zeros, v = torch.zeros(1, 1, 3, 2), torch.tensor([1.0, 2.0, 6.0]).view(1, 1, 3, 1)
    >>> TiledAttention(block_q=2, block_k=1)(zeros, zeros, v, mask=causal()).flatten()
    tensor([1.0000, 1.5000, 3.0000])
    """

    supports = RULES
    leaves_autocast = True

    def __init__(self, *, block_q: int = 128, block_k: int = 256) -> None:
        super().__init__()
        for name, size in (("block_q", block_q), ("block_k", block_k)):
            if size < 1:
                raise ValueError(f"{name} must be at least 1, got {size}")
        self.block_q = block_q
        self.block_k = block_k

    def _attend(
        self, q: Tensor, k: Tensor, v: Tensor, mask: Mask, bias: Tensor | None
    ) -> Float[Tensor, "B H T_q D_v"]:
        wide = torch.promote_types(q.dtype, torch.float32)
        blocks = (self.block_q, self.block_k)
        output, _ = _Tiled.apply(  # type: ignore[no-untyped-call]
            q.to(wide), k.to(wide), v.to(wide), bias, mask, blocks
        )
        return cast(Tensor, output).to(q.dtype)


class _Tiled(torch.autograd.Function):
    """The two passes; `save_for_backward` gets nothing that is larger than inputs and output."""

    @staticmethod
    def forward(
        q: Tensor,
        k: Tensor,
        v: Tensor,
        bias: Tensor | None,
        mask: Mask,
        blocks: tuple[int, int],
    ) -> tuple[Tensor, Tensor]:
        output = q.new_empty(*q.shape[:3], v.size(3))
        log_sum_exp = q.new_empty(q.shape[:3])
        for rows in spans(q.size(2), blocks[0]):
            tiles = (
                (_scores(q, k, bias, mask, rows, keys), v[:, :, keys])
                for keys in _keys_of(rows, q, k, mask, blocks[1])
            )
            output[:, :, rows], log_sum_exp[:, :, rows] = online_softmax(
                tiles, return_log_sum_exp=True
            )
        return output, log_sum_exp

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        q, k, v, bias, ctx.mask, ctx.blocks = inputs
        ctx.save_for_backward(q, k, v, bias, *output)
        ctx.mark_non_differentiable(output[1])

    @staticmethod
    def backward(ctx: Any, d_output: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        gradients = _TiledGradient.apply(  # type: ignore[no-untyped-call]
            d_output, *ctx.saved_tensors, ctx.mask, ctx.blocks, ctx.needs_input_grad[3]
        )
        return *gradients, None, None

    @staticmethod
    def vmap(*args: Any) -> None:
        raise NotImplementedError(
            "TiledAttention cannot be mapped over by torch.vmap; put what is mapped over into B, "
            "or use FullAttention"
        )


class _TiledGradient(torch.autograd.Function):
    """The backward pass, with none of its own: what followed would be taken for a constant."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        d_output: Tensor,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        bias: Tensor | None,
        output: Tensor,
        log_sum_exp: Tensor,
        mask: Mask,
        blocks: tuple[int, int],
        of_bias: bool,
    ) -> tuple[Tensor | None, ...]:
        # Of d_output's kind: with is_grads_batched it is many, and so are its gradients.
        d_q, d_k, d_v = (d_output.new_zeros(x.shape) for x in (q, k, v))
        d_bias = None
        if bias is not None and of_bias:
            d_bias = d_output.new_zeros(bias.shape, dtype=bias.dtype)
        scale = 1 / math.sqrt(q.size(3))
        # Finite in an empty row, where every score is -inf: then P is 0, not exp(-inf - -inf).
        lse = log_sum_exp.clamp(min=torch.finfo(q.dtype).min)[..., None]
        D = (d_output * output).sum(dim=-1, keepdim=True)
        for rows in spans(q.size(2), blocks[0]):
            for keys in _keys_of(rows, q, k, mask, blocks[1]):
                d_o = d_output[:, :, rows]
                P = torch.exp(_scores(q, k, bias, mask, rows, keys) - lse[:, :, rows])
                d_v[:, :, keys] += P.transpose(-2, -1) @ d_o
                d_S = P * (d_o @ v[:, :, keys].transpose(-2, -1) - D[:, :, rows])
                d_q[:, :, rows] += scale * (d_S @ k[:, :, keys])
                d_k[:, :, keys] += scale * (d_S.transpose(-2, -1) @ q[:, :, rows])
                if d_bias is not None:
                    tile = d_bias[:, :, rows, keys]
                    tile += d_S.sum_to_size(tile.shape)
        return d_q, d_k, d_v, d_bias

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Any, ...]) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *d_gradients: Tensor | None) -> None:
        raise NotImplementedError(
            "TiledAttention has no gradient of its gradient; use FullAttention where one is needed"
        )


def _keys_of(rows: slice, q: Tensor, k: Tensor, mask: Mask, block_k: int) -> Iterator[slice]:
    """Blocks of keys for these queries; causality excludes those after the last query.

    At least one, so that queries before all keys get the zeros that an empty row gets.
    """
    T_q, T_k = q.size(2), k.size(2)
    end = min(T_k, max(1, T_k - T_q + rows.stop)) if mask.causal else T_k
    return spans(end, block_k)


def _scores(
    q: Tensor, k: Tensor, bias: Tensor | None, mask: Mask, rows: slice, keys: slice
) -> Tensor:
    scores = attention_scores(q[:, :, rows], k[:, :, keys])
    if bias is not None:
        scores = scores + bias[:, :, rows, keys]
    allowed = tile_of(mask, rows, keys, k.size(2) - q.size(2), q.device)
    return scores if allowed is None else scores.masked_fill(~allowed, -math.inf)
