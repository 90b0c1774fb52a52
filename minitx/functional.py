"""Attention as functions of tensors.

Shape letters: B batch, H heads, T_q queries, T_k keys, D_k width of queries and keys, D_v width
of values.
"""

import math
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Literal, overload

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from minitx.masks import NO_MASK, Mask


def attention_scores(
    q: Float[Tensor, "*batch T_q D_k"],
    k: Float[Tensor, "*batch T_k D_k"],
    *,
    scale: float | None = None,
) -> Float[Tensor, "*batch T_q T_k"]:
    """How well each query matches each key.

        scores = scale · q kᵀ,   scale = 1/√D_k unless given

    Source: Vaswani et al. 2017, §3.2.1, eq. 1.

    >>> attention_scores(torch.tensor([[2.0, 0, 0, 0]]), 3 * torch.eye(4)[:2])      # 2·3 / √4
    tensor([[3., 0.]])
    """
    if scale is None:
        scale = 1 / math.sqrt(q.size(-1))
    # q is scaled, not the product: fewer numbers to touch, and half precision overflows later.
    return (q * scale) @ k.transpose(-2, -1)


def masked_softmax(
    scores: Float[Tensor, "*batch T_q T_k"],
    allowed: Bool[Tensor, "*#batch #T_q #T_k"] | None = None,
) -> Float[Tensor, "*batch T_q T_k"]:
    """Softmax over the keys that may be attended to; all others get exactly 0.

        weights[i, j] = exp(scores[i, j]) / Σ over allowed j' of exp(scores[i, j'])

    Args:
        scores: one row per query.
        allowed: True where query i may attend to key j; None allows every pair.

    Returns:
        Rows that sum to 1; a row that may attend to nothing is all 0, with gradient 0.

    >>> masked_softmax(torch.zeros(2, 3), torch.tensor([[True, True, False], [False] * 3]))
    tensor([[0.5000, 0.5000, 0.0000],
            [0.0000, 0.0000, 0.0000]])
    """
    if allowed is None:
        return scores.softmax(dim=-1)
    # Not -inf: a row of nothing but -inf is 0/0, and no NaN should arise,
    # not even on the way.
    lowest = torch.finfo(scores.dtype).min
    weights = scores.masked_fill(~allowed, lowest).softmax(dim=-1)
    return weights.masked_fill(~allowed, 0.0)


@overload
def scaled_dot_product_attention(
    q: Tensor, k: Tensor, v: Tensor, *, mask: Mask = ..., bias: Tensor | None = ...,
    scale: float | None = ..., dropout_p: float = ..., return_weights: Literal[False] = ...,
) -> Tensor: ...  # fmt: skip
@overload
def scaled_dot_product_attention(
    q: Tensor, k: Tensor, v: Tensor, *, mask: Mask = ..., bias: Tensor | None = ...,
    scale: float | None = ..., dropout_p: float = ..., return_weights: Literal[True],
) -> tuple[Tensor, Tensor]: ...  # fmt: skip
def scaled_dot_product_attention(
    q: Float[Tensor, "B H T_q D_k"],
    k: Float[Tensor, "B H T_k D_k"],
    v: Float[Tensor, "B H T_k D_v"],
    *,
    mask: Mask = NO_MASK,
    bias: Float[Tensor, "#B #H T_q T_k"] | None = None,
    scale: float | None = None,
    dropout_p: float = 0.0,
    return_weights: bool = False,
) -> (
    Float[Tensor, "B H T_q D_v"] | tuple[Float[Tensor, "B H T_q D_v"], Float[Tensor, "B H T_q T_k"]]
):
    """Every query's average of the values, weighted by how well the keys match it.

        output = softmax(scale · q kᵀ + bias) v,   over the keys that mask allows

    Args:
        q: queries.
        k: keys.
        v: values.
        mask: which pairs may meet.
        bias: added to the scores after scaling; B and H may be 1.
        scale: 1/√D_k unless given.
        dropout_p: share of the weights set to 0, for training; 0 drops nothing.
        return_weights: also return the weights, as they are before dropout.

    Returns:
        The output, zeros for a query that may attend to nothing; with return_weights a pair.

    Raises:
        ValueError: if the sizes do not fit together.
        TypeError: if mask is not a Mask.

    Source: Vaswani et al. 2017, §3.2.1, eq. 1; mask, bias and dropout on the weights are as in
    the authors' code.

    >>> q, k, v = torch.zeros(1, 1, 1, 3), torch.ones(1, 1, 2, 3), torch.tensor([[[[2.0], [4.0]]]])
    >>> scaled_dot_product_attention(q, k, v)
    tensor([[[[3.]]]])
    """
    require_sizes(q, k, v, mask, bias)
    scores = attention_scores(q, k, scale=scale)
    if bias is not None:
        scores = scores + bias
    allowed = mask.dense(q.size(-2), k.size(-2), q.device) if mask.rules else None
    weights = masked_softmax(scores, allowed)
    output = F.dropout(weights, dropout_p) @ v
    return (output, weights) if return_weights else output


@overload
def online_softmax(
    blocks: Iterable[tuple[Tensor, Tensor]], *, return_log_sum_exp: Literal[False] = ...
) -> Tensor: ...
@overload
def online_softmax(
    blocks: Iterable[tuple[Tensor, Tensor]], *, return_log_sum_exp: Literal[True]
) -> tuple[Tensor, Tensor]: ...
def online_softmax(
    blocks: Iterable[tuple[Float[Tensor, "*batch T_q _T_b"], Float[Tensor, "*batch _T_b D_v"]]],
    *,
    return_log_sum_exp: bool = False,
) -> (
    Float[Tensor, "*batch T_q D_v"]
    | tuple[Float[Tensor, "*batch T_q D_v"], Float[Tensor, "*batch T_q"]]
):
    """softmax(scores) @ values in one pass, from one block of keys after another.

    A softmax needs the largest score and the sum over all keys before its first weight is known.
    Here both are kept as running values, and what was summed so far is corrected whenever a
    larger score turns up:

        highest' = max(highest, scores)        correction = exp(highest - highest')
        total'   = correction · total  + Σ exp(scores - highest')
        output'  = correction · output + exp(scores - highest') values

    The answer is output / total. No more than one block of scores exists at any time.

    Args:
        blocks: pairs of scores and values, T_b keys each; blocks may differ in size. A score of
            -inf forbids its pair, also in whole blocks and rows.
        return_log_sum_exp: also return log Σ exp(scores), which is highest + log total. With it
            every weight can be computed again on its own: exp(scores - log_sum_exp).

    Returns:
        The same as a softmax over all keys at once; zeros for a row of nothing but -inf, whose
        log-sum-exp is -inf. With return_log_sum_exp a pair.

    Source: Milakov & Gimelshein 2018, algorithm 3, for the running maximum and sum; Dao et al.
    2022 (FlashAttention), §3.1, for the running output and the log-sum-exp. There the division is
    done in every block, here once at the end.

    >>> scores, values = torch.tensor([[0.0, 1000.0, 1000.0]]), torch.tensor([[1.0], [2.0], [4.0]])
    >>> online_softmax(zip(scores.split(2, dim=1), values.split(2, dim=0)))
    tensor([[3.]])
    """
    highest, total, output = torch.tensor(-math.inf), torch.tensor(0.0), torch.tensor(0.0)
    for scores, values in blocks:
        largest = torch.maximum(highest, scores.amax(dim=-1, keepdim=True))
        # Finite even in a row that has met only -inf so far, because -inf - -inf is NaN.
        largest = largest.clamp(min=torch.finfo(scores.dtype).min)
        correction = torch.exp(highest - largest)
        weights = torch.exp(scores - largest)
        total = correction * total + weights.sum(dim=-1, keepdim=True)
        output = correction * output + weights @ values
        highest = largest
    # The largest score adds exp(0) = 1, so only the total of a row of -inf alone is below 1.
    output = output / total.clamp(min=1.0)
    return (output, (highest + total.log()).squeeze(-1)) if return_log_sum_exp else output


def require_sizes(q: Tensor, k: Tensor, v: Tensor, mask: Mask, bias: Tensor | None) -> None:
    """Raise ValueError unless q, k, v, mask and bias fit together, TypeError for another mask."""
    if not isinstance(mask, Mask):
        raise TypeError(
            "mask must be a Mask, such as minitx.masks.padding(…) or NO_MASK, "
            f"got {type(mask).__name__}"
        )
    for name, tensor, axes in (
        ("q", q, "(B, H, T_q, D_k)"),
        ("k", k, "(B, H, T_k, D_k)"),
        ("v", v, "(B, H, T_k, D_v)"),
    ):
        if tensor.dim() != 4:
            raise ValueError(f"{name} must have shape {axes}, got {tuple(tensor.shape)}")
    B, H, T_q, D_k = q.shape
    T_k = k.size(2)
    if k.shape != (B, H, T_k, D_k):
        raise ValueError(
            f"k must have shape (B={B}, H={H}, T_k, D_k={D_k}) like q, got {tuple(k.shape)}"
        )
    if v.shape[:3] != (B, H, T_k):
        raise ValueError(
            f"v must have shape (B={B}, H={H}, T_k={T_k}, D_v) like k, got {tuple(v.shape)}"
        )
    mask.require_sizes(B, H, T_q, T_k)
    if bias is None:
        return
    wanted = (B, H, T_q, T_k)
    fits = bias.dim() == 4 and bias.shape[2:] == wanted[2:]
    if not (fits and bias.size(0) in (1, B) and bias.size(1) in (1, H)):
        raise ValueError(
            f"bias must have shape (B={B} or 1, H={H} or 1, T_q={T_q}, T_k={T_k}), "
            f"got {tuple(bias.shape)}"
        )


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """A region where matrix products keep the type of their inputs, also under `torch.autocast`.

    To convert the inputs to float32 is no protection: autocast converts them back for the product.

    >>> x = torch.ones(2, 2)
    >>> with torch.autocast("cpu", torch.bfloat16):
    ...     (x @ x).dtype
    ...     with without_autocast(x.device):
    ...         (x @ x).dtype
    torch.bfloat16
    torch.float32
    """
    if not torch.amp.is_autocast_available(device.type):  # such as meta; there is nothing to leave
        return nullcontext()
    return torch.autocast(device.type, enabled=False)
