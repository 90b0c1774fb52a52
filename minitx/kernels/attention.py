"""`flash_attention`: the tiled kernels as one differentiable function on tensors."""

import math
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
MAX_WIDTH = 256  # of a head; wider tiles do not fit the registers
MAX_LENGTH = 2**29  # so that a position plus a window is below 2³¹


def flash_attention(
    q: Float[Tensor, "B H T_q D_k"],
    k: Float[Tensor, "B H_kv T_k D_k"],
    v: Float[Tensor, "B H_kv T_k D_v"],
    *,
    causal: bool = False,
    window: int | None = None,
    key_lengths: Int[Tensor, " B"] | None = None,
    scale: float | None = None,
    allow_tf32: bool = False,
) -> Float[Tensor, "B H T_q D_v"]:
    """Exact attention without a table of T_q × T_k, forward and backward, in Triton kernels.

        output = softmax(scale · q kᵀ) v

    over the keys that a query sees. The queries are the last T_q of the T_k positions: query i
    stands at p = T_k - T_q + i, key j at j. It sees the keys for which all of these hold:

        j ≤ p                with causal
        |p - j| ≤ window     with a window (with causal, that leaves those to the left)
        j < key_lengths[b]   with key lengths; padding forbids keys and moves nobody

    A query that sees no key gets zeros and has no gradient. Memory grows with T; two runs give the
    same bits. Under autocast the inputs are cast to its type; sums are kept in float32 (float64
    for float64).

    Args:
        q: queries, on a CUDA device; on a CPU only in Triton's interpreter (slow, for learning).
        k: keys; each of the H_kv heads serves H / H_kv query heads in a row.
        v: values.
        causal: nobody looks ahead.
        window: how far a query sees to either side; 0 is its own position alone.
        key_lengths: how many keys of each sample are words. On a GPU, where looking would stop the
            queue, values below 0 count as 0 and values above T_k as T_k; on a CPU they are refused.
        scale: factor on the dot products, 1/√D_k unless given.
        allow_tf32: float32 may be rounded to TF32 (10 bits of fraction) in matrix products.

    Raises:
        TypeError: if the tensors' types differ or are not floating.
        ValueError: if sizes or devices do not fit, or the window is negative.
        RuntimeError: if there is no Triton, or the device needs the interpreter; in a second
            derivative, which is not implemented.

    Source: Dao 2023 (FlashAttention-2), algorithms 1 and 2; what differs stands in forward.py and
    backward.py. Sliding windows and grouped heads as in the authors' library.
    """
    q, k, v = _under_autocast(q, k, v)
    _require_alike(q, k, v)
    _require_sizes(q, k, v, key_lengths)
    if window is not None and window < 0:
        raise ValueError(f"window must be at least 0 (a query sees itself), got {window}")
    scale = 1 / math.sqrt(q.size(-1)) if scale is None else scale
    if scale <= 0 or q.dtype == torch.float64:
        # The kernels' running maximum wants a positive scale, and a number passed to a kernel
        # has float32's precision.
        q, scale = q * scale, 1.0
    output, _ = torch.ops.minitx.flash_forward(
        q, k, v, key_lengths, causal, window, scale, allow_tf32
    )
    return output


def _under_autocast(*tensors: Tensor) -> tuple[Tensor, ...]:
    device = tensors[0].device.type
    if not (torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)):
        return tensors
    dtype = torch.get_autocast_dtype(device)
    # float64 is left alone, as PyTorch's own functions leave it.
    return tuple(t if t.dtype == torch.float64 else t.to(dtype) for t in tensors)


def _require_alike(q: Tensor, k: Tensor, v: Tensor) -> None:
    if not q.dtype == k.dtype == v.dtype:
        raise TypeError(
            f"q, k and v must have one dtype, got {q.dtype}, {k.dtype} and {v.dtype}; "
            "convert them, or run under torch.autocast"
        )
    if q.dtype not in DTYPES:
        wanted = ", ".join(str(d).removeprefix("torch.") for d in DTYPES)
        raise TypeError(f"q, k and v must be one of {wanted}, got {q.dtype}")
    if not q.device == k.device == v.device:
        raise ValueError(
            f"q, k and v must be on one device, got {q.device}, {k.device} and {v.device}"
        )


def _require_sizes(q: Tensor, k: Tensor, v: Tensor, key_lengths: Tensor | None) -> None:
    for name, tensor in (("q", q), ("k", k), ("v", v)):
        if tensor.dim() != 4:
            raise ValueError(f"{name} must have shape (B, H, T, D), got {tuple(tensor.shape)}")
        if 0 in tensor.shape:
            raise ValueError(f"every size must be at least 1, got {name} {tuple(tensor.shape)}")
        if tensor.size(3) > MAX_WIDTH:
            raise ValueError(
                f"a head may be at most {MAX_WIDTH} wide, got {name} {tuple(tensor.shape)}"
            )
        if tensor.size(2) > MAX_LENGTH:
            raise ValueError(
                f"a sequence may be at most {MAX_LENGTH} long, got {name} {tuple(tensor.shape)}"
            )
    B, H, _, D_k = q.shape
    H_kv, T_k = k.size(1), k.size(2)
    if (k.size(0), k.size(3)) != (B, D_k):
        raise ValueError(
            f"k must have shape (B={B}, H_kv, T_k, D_k={D_k}) like q, got {tuple(k.shape)}"
        )
    if v.shape[:3] != k.shape[:3]:
        raise ValueError(
            f"v must have shape (B={B}, H_kv={H_kv}, T_k={T_k}, D_v) like k, got {tuple(v.shape)}"
        )
    if H % H_kv:
        raise ValueError(f"the {H} heads of q must be divisible by the {H_kv} of k and v")
    if key_lengths is None:
        return
    if key_lengths.is_floating_point() or key_lengths.dtype == torch.bool:
        raise TypeError(f"key_lengths must be integers, got {key_lengths.dtype}")
    if key_lengths.shape != (B,) or key_lengths.device != q.device:
        raise ValueError(
            f"key_lengths must have shape (B={B},) on {q.device}, "
            f"got {tuple(key_lengths.shape)} on {key_lengths.device}"
        )


# --- the operators that autograd and the compiler see --------------------------------------------


def _to_write(x: Tensor, last: Tensor) -> Tensor:
    """Room for (B, H, T) of x and the width of last, with heads beside each other as x has them.

    Then merging the heads afterwards is a view, as splitting them was.
    """
    B, H, T, _ = x.shape
    if x.stride(1) < x.stride(2):
        return x.new_empty(B, T, H, last.size(3)).transpose(1, 2)
    return x.new_empty(B, H, T, last.size(3))


def _sums_dtype(q: Tensor) -> torch.dtype:
    return torch.float64 if q.dtype == torch.float64 else torch.float32


@torch.library.custom_op("minitx::flash_forward", mutates_args=())
def flash_forward(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    key_lengths: Tensor | None,
    causal: bool,
    window: int | None,
    scale: float,
    allow_tf32: bool,
) -> tuple[Tensor, Tensor]:
    """The output and, per query, the logarithm of the sum of its exponentials (-inf for none)."""
    output = _to_write(q, v)
    log_sum = q.new_empty(q.shape[:3], dtype=_sums_dtype(q))
    from minitx.kernels.calls import Call

    Call(q, k, v, key_lengths, causal, window, scale, allow_tf32).forward(output, log_sum)
    return output, log_sum


@flash_forward.register_fake
def _(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    key_lengths: Tensor | None,
    causal: bool,
    window: int | None,
    scale: float,
    allow_tf32: bool,
) -> tuple[Tensor, Tensor]:
    return _to_write(q, v), q.new_empty(q.shape[:3], dtype=_sums_dtype(q))


@torch.library.custom_op("minitx::flash_backward", mutates_args=())
def flash_backward(
    d_output: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    output: Tensor,
    log_sum: Tensor,
    key_lengths: Tensor | None,
    causal: bool,
    window: int | None,
    scale: float,
    allow_tf32: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of q, k and v."""
    from minitx.kernels.calls import Call

    dq, dk, dv = (_to_write(x, x) for x in (q, k, v))
    call = Call(q, k, v, key_lengths, causal, window, scale, allow_tf32)
    call.backward(d_output, output, log_sum, dq, dk, dv)
    return dq, dk, dv


@flash_backward.register_fake
def _(
    d_output: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    output: Tensor,
    log_sum: Tensor,
    key_lengths: Tensor | None,
    causal: bool,
    window: int | None,
    scale: float,
    allow_tf32: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    return _to_write(q, q), _to_write(k, k), _to_write(v, v)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    q, k, v, key_lengths, *ctx.settings = inputs
    ctx.save_for_backward(q, k, v, *output, key_lengths)
    ctx.mark_non_differentiable(output[1])


def _differentiate(ctx: Any, d_output: Tensor, _: Tensor | None) -> tuple[Tensor | None, ...]:
    q, k, v, output, log_sum, key_lengths = ctx.saved_tensors
    gradients = torch.ops.minitx.flash_backward(
        d_output, q, k, v, output, log_sum, key_lengths, *ctx.settings
    )
    return *gradients, None, None, None, None, None


def _refuse(ctx: Any, *gradients: Tensor | None) -> None:
    raise RuntimeError(
        "flash_attention has no second derivative; FullAttention or "
        "minitx.functional.scaled_dot_product_attention has one"
    )


flash_forward.register_autograd(_differentiate, setup_context=_keep)
flash_backward.register_autograd(_refuse)
