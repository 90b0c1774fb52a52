"""Attention with a kernel that is a dot product of features: linear in the length.

With weights φ(q_i)·φ(k_j) in place of exp(q_i·k_j/√D_k) the sums over the keys no longer need the
queries, and are made once:

    output_i = φ(q_i) Σ_j φ(k_j)ᵀ v_j  /  φ(q_i) Σ_j φ(k_j)ᵀ

Source: Katharopoulos et al. 2020, §3.2, eq. 5-6 and, causal, §3.3, eq. 9-12.
Shape letters: M features, N chunks; else as in `functional`.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from minitx.cores.chunks import in_chunks, joined
from minitx.masks import Mask


def kernelised_attention(
    q_features: Float[Tensor, "B H T_q M"],
    k_features: Float[Tensor, "B H T_k M"],
    v: Float[Tensor, "B H T_k D_v"],
    *,
    mask: Mask,
    chunk_size: int,
) -> Float[Tensor, "B H T_q D_v"]:
    """The values weighted by φ(q)·φ(k), divided by the sum of the weights.

    Args:
        q_features: φ of the queries.
        k_features: φ of the keys.
        v: values.
        mask: causal and key_padding are kept to.
        chunk_size: causal only: keys whose products with queries stand in memory at a time.

    Returns:
        Zeros for a query without a key, and for one whose weights sum to nearly nothing (below
        the square root of the smallest number), where only rounding would be left to divide.
    """
    if mask.key_padding is not None:
        k_features = k_features.masked_fill(~mask.key_padding[:, None, :, None], 0.0)
    values = F.pad(v, (0, 1), value=1.0)  # the last column sums the weights
    # A single query is the last position: causal forbids it nothing.
    if mask.causal and q_features.size(2) > 1:
        sums = _causal_sums(q_features, k_features, values, chunk_size)
    else:
        sums = q_features @ (k_features.transpose(-2, -1) @ values)
    total = sums[..., -1:]
    nothing = total.abs() < math.sqrt(torch.finfo(total.dtype).tiny)
    return sums[..., :-1] / total.masked_fill(nothing, math.inf)


def _causal_sums(
    q: Float[Tensor, "B H T_q M"],
    k: Float[Tensor, "B H T_k M"],
    v: Float[Tensor, "B H T_k D"],
    size: int,
) -> Float[Tensor, "B H T_q D"]:
    """Σ over j up to i of (q_i·k_j) v_j: pair by pair in i's chunk, one state for all before it."""
    T_q, T_k = q.size(2), k.size(2)
    T = max(T_q, T_k)
    # Rows of 0 in front make a square whose bottom right is what was asked for.
    q, k, v = (in_chunks(F.pad(x, (0, 0, T - x.size(2), 0)), size) for x in (q, k, v))
    states = k.transpose(-2, -1) @ v  # (B, H, N, M, D)
    before = F.pad(states[:, :, :-1], (0, 0, 0, 0, 1, 0)).cumsum(dim=2)
    sums = (q @ k.transpose(-2, -1)).tril() @ v + q @ before
    return joined(sums, T)[:, :, T - T_q :]
