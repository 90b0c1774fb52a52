"""Compressive memory: what falls out of a segment memory is made shorter and kept.

Shape letters: B batch, T length, T_old positions that were compressed, C model width, c rate.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from minitx.blocks import EncoderBlock
from minitx.cache import SegmentMemory
from minitx.functional import scaled_dot_product_attention


class Compression(nn.Module):
    """c neighbouring states become one.

    Args:
        rate: c.
        kind: "mean" or "max" of the c states, feature by feature; "conv" for a trained
            convolution with kernel and stride c.
        d_model: width C, of "conv" only.

    Raises:
        ValueError: if rate is below 1, there is no such kind, or d_model does not go with it.

    Source: Rae et al. 2020, §3.2: mean and max pooling with kernel and stride c, 1D convolution.

    >>> Compression(2)(torch.tensor([[[1.0], [3.0], [5.0], [9.0]]])).flatten()
    tensor([2., 7.])
    """

    def __init__(
        self,
        rate: int,
        *,
        kind: Literal["mean", "max", "conv"] = "mean",
        d_model: int | None = None,
    ) -> None:
        super().__init__()
        if rate < 1:
            raise ValueError(f"rate must be at least 1, got {rate}")
        if kind not in ("mean", "max", "conv"):
            raise ValueError(f"kind must be mean, max or conv, got {kind}")
        if (kind == "conv") != (d_model is not None):
            raise ValueError(f"d_model is for conv, and conv needs it; got {kind}, {d_model}")
        self.rate = rate
        self.kind = kind
        self.conv = None if d_model is None else nn.Conv1d(d_model, d_model, rate, stride=rate)

    def forward(self, x: Float[Tensor, "B T_old C"]) -> Float[Tensor, "B T_new C"]:
        """T_old / c states for T_old; what is left over at the end, fewer than c, is dropped."""
        if self.conv is not None:
            return self.conv(x.mT).mT
        pool = F.avg_pool1d if self.kind == "mean" else F.max_pool1d
        return pool(x.mT, self.rate).mT


class CompressiveMemory(SegmentMemory):
    """A segment memory whose oldest states are compressed instead of forgotten.

    Where a model takes memories, it takes these: one per block, with a compression of its own.

        h̃ = [compressed, memory, h];   what falls out of memory enters compressed, c to one

    States leave in whole groups of c, so that none is lost between two compressions: up to c - 1
    more than max_len may wait in the memory.

    Args:
        max_len: positions kept as they are, the newest.
        max_compressed: compressed positions kept.
        compression: makes c states one; its gradients come from `reconstruction_loss` alone.

    Raises:
        ValueError: if a length is below 1.

    Source: Rae et al. 2020, §3.1, algorithm 1.

    >>> memory = CompressiveMemory(2, 3, Compression(2))
    >>> memory.append(torch.arange(7.0).reshape(1, 7, 1))
    >>> memory.states.flatten()                     # 0 and 1, 2 and 3 in one each; 4 waits
    tensor([0.5000, 2.5000, 4.0000, 5.0000, 6.0000])
    """

    def __init__(self, max_len: int, max_compressed: int, compression: Compression) -> None:
        super().__init__(max_len)
        if max_compressed < 1:
            raise ValueError(f"max_compressed must be at least 1, got {max_compressed}")
        self.max_compressed = max_compressed
        self.compression = compression
        self.evicted: Tensor | None = None  # by the last append, before they were compressed
        self.newest: Tensor | None = None  # what the last append brought
        self._compressed: Tensor | None = None

    @property
    def states(self) -> Float[Tensor, "B T_m C"] | None:
        """What attention reads before the present segment: compressed first, then the newer."""
        if self._compressed is None or self._states is None:
            return self._states
        return torch.cat([self._compressed, self._states], dim=1)

    def append(self, x: Float[Tensor, "B T C"]) -> None:
        """Keep the states of the segment that was just read; compress those it pushes out."""
        joined, rate = self._joined(x), self.compression.rate
        leaving = max(0, joined.size(1) - self.max_len) // rate * rate
        self._states, self.newest = joined[:, leaving:], x.detach()
        self.evicted = joined[:, :leaving] if leaving else None
        if self.evicted is None:
            return
        with torch.no_grad():
            new = self.compression(self.evicted)
        kept = new if self._compressed is None else torch.cat([self._compressed, new], dim=1)
        self._compressed = kept[:, -self.max_compressed :]


def reconstruction_loss(block: EncoderBlock, memory: CompressiveMemory) -> Float[Tensor, ""]:
    """How far the segment's attention to the compressed states is from that to the old ones.

        mean of (attend(h, old) - attend(h, compression(old)))²

    Attention is the block's own, by content only and before its output projection. h, old and
    the block's parameters are held still: gradients reach the compression and nothing else.

    Args:
        block: whose memory it is.
        memory: after the segment was read; if that compressed nothing the loss is 0.

    Raises:
        ValueError: if no segment was read.

    Source: Rae et al. 2020, §3.2 and algorithm 2. Deviations: the mean square instead of the norm,
    so that lengths do not count; scores are scaled by 1/√D_k, as the block's are.
    """
    newest = memory.newest
    if newest is None:
        raise ValueError("the memory is empty: read a segment first")
    if memory.evicted is None:
        return newest.new_zeros(())
    attention, residual = block.attention, block.attention_residual

    def heads(projection: nn.Linear, x: Tensor, num_heads: int) -> Tensor:
        x = _held_still(residual.norm, x) if residual.pre_norm else x
        return _held_still(projection, x).unflatten(-1, (num_heads, -1)).transpose(1, 2)

    group = attention.num_heads // attention.num_kv_heads
    q = heads(attention.q_proj, newest, attention.num_heads)

    def attend(old: Tensor) -> Tensor:
        k = heads(attention.k_proj, old, attention.num_kv_heads).repeat_interleave(group, dim=1)
        v = heads(attention.v_proj, old, attention.num_kv_heads).repeat_interleave(group, dim=1)
        return scaled_dot_product_attention(q, k, v)

    return F.mse_loss(attend(memory.compression(memory.evicted)), attend(memory.evicted))


def _held_still(module: nn.Module, x: Tensor) -> Tensor:
    """module(x) without gradients for its parameters."""
    parameters = {name: p.detach() for name, p in module.named_parameters()}
    return functional_call(module, parameters, (x,))
