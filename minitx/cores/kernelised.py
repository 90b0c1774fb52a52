"""Attention with a kernel that is a dot product of features: linear in the length.

Shape letters: M features, S length of one chunk; else as in `functional`.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from minitx.cores.base import AttentionCore
from minitx.functional import without_autocast
from minitx.masks import Mask

Parts = tuple[Float[Tensor, "B H T #M"], Float[Tensor, "B H T #M"] | None]


class KernelisedAttention(AttentionCore):
    """Attention with weights φ(q)·φ(k) in place of exp(q·k/√D_k); a subclass says what φ is.

        output_i = φ(q_i) Σ_j φ(k_j)ᵀ v_j  /  φ(q_i) Σ_j φ(k_j)ᵀ

    The sums over the keys do not need the query: they are made once and read by every query. With
    causal they grow along the sequence, chunk by chunk; pairs are compared inside a chunk only.

    Features are written φ(x) = factor(x)·exp(exponent(x)), so that no exponent has to be large.
    The largest exponent that a feature had so far among the keys is subtracted from theirs and
    added to the queries', of which then each query's own largest is subtracted: the quotient stays
    what it is. What the sums hold is corrected when a larger one turns up, as in `online_softmax`.

    Honours causal and key padding. A query whose weights sum to nearly nothing (below 10⁻¹⁹ in
    float32, where only rounding would be left to divide) gets 0, like one without keys. Without
    causal and with positive features this cannot happen: the sum is at least 1.

    Args:
        chunk_size: keys that are taken at a time.

    Raises:
        ValueError: if chunk_size is below 1.

    Source: Katharopoulos et al. 2020, §3.2, eq. 5-6 and, causal, §3.3, eq. 9-12.
    """

    supports = frozenset({"causal", "key_padding"})
    leaves_autocast = True

    def __init__(self, *, chunk_size: int) -> None:
        super().__init__()
        if chunk_size < 1:
            raise ValueError(f"chunk_size must be at least 1, got {chunk_size}")
        self.chunk_size = chunk_size

    def exponent_and_factor(self, x: Float[Tensor, "B H T D_k"]) -> Parts:
        """The two parts of φ(x), for queries or keys; None for a factor of 1."""
        raise NotImplementedError(f"{type(self).__name__} must define exponent_and_factor")

    def features(self, x: Float[Tensor, "B H T D_k"]) -> Float[Tensor, "B H T M"]:
        """φ(x) as in the paper, with nothing subtracted."""
        with without_autocast(x.device):
            return _product(*self._parts(x))

    def _attend(
        self, q: Tensor, k: Tensor, v: Tensor, mask: Mask, bias: Tensor | None
    ) -> Float[Tensor, "B H T_q D_v"]:
        if not mask.causal:
            return self._at_once(q, k, v, mask.key_padding)
        # The queries are the last positions: with more queries than keys the first see nothing.
        blind = max(0, q.size(2) - k.size(2))
        return F.pad(self._along(q[:, :, blind:], k, v, mask.key_padding), (0, 0, blind, 0))

    def _at_once(
        self, q: Tensor, k: Tensor, v: Tensor, key_padding: Tensor | None
    ) -> Float[Tensor, "B H T_q D_v"]:
        """All keys into the sums, then every query out of them."""
        so_far = RunningSums.nothing(self.features(k[:, :, :0]), v)
        for k_c, v_c in self._keys_and_values(self._sizes(k.size(2)), k, v, key_padding):
            so_far, k_features = so_far.rescale(*k_c)
            so_far = so_far.add(k_features, v_c)
        chunks = q.split(self.chunk_size, dim=2)
        sums = (so_far.query_features(*self._parts(q_c)) @ so_far.sums for q_c in chunks)
        return torch.cat([_quotient(s).to(v.dtype) for s in sums], dim=2)

    def _along(
        self, q: Tensor, k: Tensor, v: Tensor, key_padding: Tensor | None
    ) -> Float[Tensor, "B H T_q D_v"]:
        """A chunk of keys into the sums, its queries out of them, and so on to the end."""
        before, along = self._sizes(k.size(2) - q.size(2)), self._sizes(q.size(2))
        queries = [*[None] * len(before), *q.split(along, dim=2)]
        keys_and_values = self._keys_and_values(before + along, k, v, key_padding)
        so_far = RunningSums.nothing(self.features(k[:, :, :0]), v)
        outputs = []
        for q_c, (k_c, v_c) in zip(queries, keys_and_values, strict=True):
            so_far, k_features = so_far.rescale(*k_c)
            if q_c is not None:
                q_features = so_far.query_features(*self._parts(q_c))
                inside = (q_features @ k_features.mT).tril()
                outputs.append(_quotient(inside @ v_c + q_features @ so_far.sums).to(v.dtype))
            so_far = so_far.add(k_features, v_c)
        return torch.cat(outputs, dim=2)

    def _sizes(self, T: int) -> list[int]:
        whole, rest = divmod(max(T, 0), self.chunk_size)
        return [self.chunk_size] * whole + [rest] * (rest > 0)

    def _keys_and_values(
        self, sizes: list[int], k: Tensor, v: Tensor, key_padding: Tensor | None
    ) -> Iterator[tuple[Parts, Tensor]]:
        """Chunks: exponent and factor of the keys; the values and a 1, which sums the weights."""
        start = 0
        for k_c, v_c in zip(k.split(sizes, dim=2), v.split(sizes, dim=2), strict=True):
            exponent, factor = self._parts(k_c)
            if key_padding is not None:
                padding = ~key_padding[:, None, start : start + k_c.size(2), None]
                exponent = exponent.masked_fill(padding, -math.inf)
            yield (exponent, factor), F.pad(v_c.to(exponent.dtype), (0, 1), value=1.0)
            start += k_c.size(2)

    def _parts(self, x: Tensor) -> Parts:
        # Sums over a whole sequence need more digits than half precision has.
        return self.exponent_and_factor(x.to(torch.promote_types(x.dtype, torch.float32)))


class RunningSums(NamedTuple):
    """What is kept of the keys up to here."""

    highest: Float[Tensor, "#B #H 1 #M"]  # exponent of each feature
    sums: Float[Tensor, "B H M D"]  # Σ_j φ(k_j)ᵀ [v_j, 1] · exp(-highest)

    @classmethod
    def nothing(cls, k_features: Tensor, v: Tensor) -> "RunningSums":
        highest = k_features.new_full((1, 1, 1, 1), torch.finfo(k_features.dtype).min)
        B, H, _, M = k_features.shape
        return cls(highest, k_features.new_zeros(B, H, M, v.size(3) + 1))

    def rescale(
        self, exponent: Tensor, factor: Tensor | None
    ) -> tuple["RunningSums", Float[Tensor, "B H S M"]]:
        """The same sums for a highest that covers these keys too, and the keys' features for it."""
        highest = self.highest.maximum(exponent.detach().amax(dim=2, keepdim=True))
        sums = self.sums * (self.highest - highest).exp().mT
        return RunningSums(highest, sums), _product(exponent - highest, factor)

    def add(self, k_features: Tensor, v: Tensor) -> "RunningSums":
        return RunningSums(self.highest, self.sums + k_features.mT @ v)

    def query_features(self, exponent: Tensor, factor: Tensor | None) -> Float[Tensor, "B H S M"]:
        """φ(q) with what was taken from the keys, but for a factor of each query's own."""
        exponent = exponent + self.highest
        own = exponent.detach().amax(dim=-1, keepdim=True)
        return _product(exponent - own, factor)


def _product(exponent: Tensor, factor: Tensor | None) -> Tensor:
    return exponent.exp() if factor is None else exponent.exp() * factor


def _quotient(sums: Tensor) -> Tensor:
    """The summed values by the summed weights."""
    total = sums[..., -1:]
    nothing = total.abs() < math.sqrt(torch.finfo(total.dtype).tiny)
    return sums[..., :-1] / total.masked_fill(nothing, math.inf)
