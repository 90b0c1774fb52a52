"""Vector-Jacobian products of a call's result with respect to its inputs.

torch is never imported here: there is nothing to do unless an input is a tensor.
"""

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


def vjp(value: Any, inputs: Any, cotangent: Any = None) -> tuple[Any, ...] | str:
    """Gradients of <result, cotangent> with respect to the inputs that require grad.

    Args:
        value: the result, with its graph.
        inputs: the call's arguments.
        cotangent: shaped like the result; by default fixed, unequal numbers between 1 and 2
            (with equal ones the sum of a softmax's outputs is constant, its gradient 0).

    Returns:
        One gradient for each such input, in order, None where no path leads back to it; or, where
        autograd failed, its message.
    """
    wanted = [tensor for tensor in tensors(inputs) if tensor.requires_grad]
    if not wanted:
        return ()
    results = tensors(value)
    factors = tensors(cotangent) or [unequal(result) for result in results]
    sizes, shapes = ([tuple(each.shape) for each in them] for them in (results, factors))
    if sizes != shapes:
        return f"the result has shape {_plain(sizes)}, not {_plain(shapes)}"
    pairs = [pair for pair in zip(results, factors, strict=True) if pair[0].requires_grad]
    if not pairs:
        return (None,) * len(wanted)
    import torch

    try:
        return torch.autograd.grad(
            [result for result, _ in pairs],
            wanted,
            [factor.to(result) for result, factor in pairs],
            allow_unused=True,
            retain_graph=True,
        )
    except RuntimeError as error:
        return one_line(error).split(" Hint: ")[0].rstrip(".")  # torch's hint: anomaly mode


def unequal(like: Any) -> Any:
    """Numbers between 1 and 2 in the shape of a tensor: 1 + the fraction of k times 0.618."""
    import torch

    steps = torch.arange(1, like.numel() + 1, dtype=torch.float64)
    return (1 + (steps * 0.6180339887498949) % 1).reshape(like.shape)


def _plain(shapes: list[tuple[int, ...]]) -> str:
    return " and ".join(map(str, shapes)) or "none"
