"""What the checks of several chapters ask of tensors: inputs, first conditions, gradients.

A check file imports this beside `minitx.grading`, which knows no torch. It is a module of the
package, and no file beside the checks, because it is then found wherever they are run, and counts
for each chapter whose files import it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from minitx.grading import Tolerance, expect, expect_close


def normal(rng: np.random.Generator, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """A tensor of standard normal numbers."""
    return torch.from_numpy(rng.normal(size=shape)).to(dtype)


def coins(rng: np.random.Generator, *shape: int) -> Tensor:
    """A bool table in which every row allows at least one key and forbids at least one."""
    table = rng.random(shape) < 0.5
    row_keys = np.arange(shape[-1])
    chosen = rng.integers(shape[-1], size=shape[:-1])[..., None]
    table = (table | (row_keys == chosen)) & (row_keys != (chosen + 1) % shape[-1])
    return torch.from_numpy(table)


def require_life(result: Any, what: str) -> Any:
    """Reject a result that holds one number everywhere: no property of it is worth a point."""
    alive = isinstance(result, Tensor) and bool((result != result.reshape(-1)[:1]).any())
    expect(
        alive,
        f"{what} holds the same number everywhere: nothing is computed from the inputs yet.",
    )
    return result


def require_dtype(result: Any, dtype: torch.dtype, what: str) -> Any:
    """Reject unless the result has this dtype."""
    expect(result.dtype == dtype, f"{what} is {result.dtype}; wanted {dtype}.")
    return result


def expect_gradient(
    got: Tensor | None, want: Tensor, name: str, within: Tolerance, *, what: str
) -> None:
    """The gradient of a result with respect to an input must be there, finite and right."""
    expect(
        got is not None,
        f"{what} is cut off from {name}: no gradient can flow back to it, so nothing before it "
        "could be trained. Keep to tensor operations: detach(), numpy(), tolist(), item(), "
        "torch.tensor(...) and torch.no_grad() all cut the connection.",
    )
    assert got is not None
    expect(
        bool(got.isfinite().all()),
        f"the gradient of {what} with respect to {name} holds NaN or infinity: one such number "
        "spoils every parameter of a model in the next step.",
    )
    expect_close(got.double(), want, within, what=f"the gradient of {what} with respect to {name}")


def expect_gradients(
    ask: Callable[..., Sequence[Tensor | None]],
    definition: Callable[..., Tensor | tuple[Tensor, ...]],
    inputs: Mapping[str, Tensor],
    cotangents: Tensor | tuple[Tensor, ...],
    within: Tolerance,
    *,
    what: str,
) -> None:
    """The gradients of <result, cotangents> must be those that autograd gives the definition.

    Args:
        ask: `sub.name.vjp`, called with the inputs and `cotangent=`.
        definition: the same function of the same inputs, in torch.
        inputs: leaf tensors by the names a learner knows them by.
        cotangents: unequal numbers in the shape of each result (the plain sum of a softmax's
            outputs is constant: its gradient is 0).
        within: how near is near enough.
        what: how to call the result.
    """
    leaves = [tensor.clone().requires_grad_() for tensor in inputs.values()]
    wanted = torch.autograd.grad(definition(*leaves), leaves, cotangents)
    asked = [tensor.clone().requires_grad_() for tensor in inputs.values()]
    got = ask(*asked, cotangent=cotangents)
    for name, gradient, want in zip(inputs, got, wanted, strict=True):
        expect_gradient(gradient, want, name, within, what=what)
