"""Vector-Jacobian products of a call's result with respect to its inputs.

torch is never imported here: there is nothing to do unless an input is a tensor.
"""

from collections.abc import Sequence
from typing import Any

from minitx.grading import values
from minitx.grading.source import one_line


def tensors(value: Any) -> list[Any]:
    """The tensors in a value, in order."""
    if values.is_tensor(value):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [tensor for item in value for tensor in tensors(item)]
    return []


def vjp(
    value: Any, inputs: Any, cotangent: Any = None, more: Sequence[Any] = ()
) -> tuple[Any, ...] | str:
    """Gradients of <result, cotangent> with respect to the inputs that require grad.

    Args:
        value: the result, with its graph.
        inputs: the call's arguments.
        cotangent: shaped like the result, or one for each of several results, None for those to
            be left out; by default fixed, unequal numbers between 1 and 2 (with equal ones the
            sum of a softmax's outputs is constant, its gradient 0).
        more: tensors, beside the inputs, whose gradients are wanted.

    Returns:
        One gradient for each such input, in order, None where no path leads back to it; or, where
        autograd failed, a sentence about it.
    """
    wanted = [tensor for tensor in tensors(inputs) if tensor.requires_grad] + list(more)
    if not wanted:
        return ()
    results = tensors(value)
    factors = [unequal(result) for result in results] if cotangent is None else _flat(cotangent)
    shapes = [tuple(result.shape) for result in results]
    fits = [f is None or tuple(f.shape) == shape for f, shape in zip(factors, shapes, strict=False)]
    if len(factors) != len(results) or not all(fits):
        wanted_shapes = " and ".join("any" if f is None else str(tuple(f.shape)) for f in factors)
        return f"the result has shape {' and '.join(map(str, shapes))}, not {wanted_shapes}."
    pairs = [
        (result, factor)
        for result, factor in zip(results, factors, strict=True)
        if factor is not None and result.requires_grad
    ]
    if not pairs:
        return (None,) * len(wanted)
    import torch

    try:
        # One number: with `grad_outputs` torch loads 0.3 s worth of modules at the first call.
        total = sum((result * factor.to(result)).sum().real for result, factor in pairs)
        return torch.autograd.grad(total, wanted, allow_unused=True)
    except RuntimeError as error:
        reason = one_line(error).split(" Hint: ")[0].rstrip(".")  # torch's hint: anomaly mode
        return (
            f"the result is connected to the inputs, but the way back breaks: {reason}. Changing a "
            "tensor in place (+=, masked_fill_, x[...] = ...) after it was used is the usual cause."
        )


def unequal(like: Any) -> Any:
    """Numbers between 1 and 2 in the shape of a tensor: 1 + the fraction of k times 0.618."""
    import torch

    steps = torch.arange(1, like.numel() + 1, dtype=torch.float64, device="cpu")
    return (1 + (steps * 0.6180339887498949) % 1).reshape(like.shape)


def _flat(cotangent: Any) -> list[Any]:
    return list(cotangent) if isinstance(cotangent, list | tuple) else [cotangent]
