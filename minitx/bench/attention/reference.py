"""Attention in float64, part by part, and how far an answer is from it.

The definition is `minitx.functional`'s; the rules are `Problem`'s, pair by pair. No more than some
rows of a table exist at any time, so that T may be long.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from minitx.bench.attention.problem import Inputs, Problem, Slice
from minitx.functional import scaled_dot_product_attention
from minitx.masks import Mask

OUTPUTS = ("output", "dq", "dk", "dv")
Answer = tuple[Tensor, Tensor, Tensor, Tensor]
"""Output and gradients of q, k and v, whole."""
Errors = dict[str, float]
"""For each of OUTPUTS, see `row_error`."""


@dataclass(frozen=True)
class Effort:
    """How much is compared.

    Args:
        entries: numbers in the part of a table that exists at once.
        pairs: of query and key in all parts that are compared; see `Problem.slices`.
    """

    entries: int
    pairs: float


EFFORT = {"cuda": Effort(2**26, 1e10), "cpu": Effort(2**20, 1e8)}


def reference(problem: Problem, inputs: Inputs, part: Slice, dtype: torch.dtype) -> Answer:
    """Output and gradients of one part, shaped (1, heads, T, D), computed in dtype.

    Sums over blocks of queries are in float64, whatever the dtype.
    """
    b, first, last = part
    group = problem.H // problem.H_kv
    q, grad = (
        x[b : b + 1, first * group : last * group].to(dtype) for x in (inputs.q, inputs.grad)
    )
    k, v = (x[b : b + 1, first:last].to(dtype) for x in (inputs.k, inputs.v))
    outputs, dqs = [], []
    dk, dv = (torch.zeros_like(x, dtype=torch.float64) for x in (k, v))
    entries = EFFORT[q.device.type].entries
    rows = max(1, entries // (q.size(1) * problem.T_k))
    for start in range(0, problem.T_q, rows):
        stop = min(start + rows, problem.T_q)
        leaves = [x.detach().requires_grad_() for x in (q[:, :, start:stop], k, v)]
        with torch.enable_grad():
            heads = (leaves[0], *(x.repeat_interleave(group, dim=1) for x in leaves[1:]))
            allowed = problem.allowed(start, stop, b, q.device)[None, None]
            output = scaled_dot_product_attention(
                *heads, mask=Mask(allowed=allowed), scale=problem.scale
            )
        gradients = torch.autograd.grad(output, leaves, grad[:, :, start:stop])
        outputs.append(output.detach())
        dqs.append(gradients[0])
        dk += gradients[1]
        dv += gradients[2]
    return torch.cat(outputs, dim=2), torch.cat(dqs, dim=2), dk, dv


def compare(
    problem: Problem, inputs: Inputs, answers: Mapping[str, Answer]
) -> tuple[dict[str, Errors], Errors]:
    """How far each answer is from float64, and how far float32 is, computed as plainly.

    Returns:
        Errors by answer, and those of plain attention in float32 on the same inputs.
    """
    effort = EFFORT[inputs.q.device.type]
    group = problem.H // problem.H_kv
    errors = {name: dict.fromkeys(OUTPUTS, 0.0) for name in [*answers, ""]}
    for part in problem.slices(effort.entries, effort.pairs):
        wanted = reference(problem, inputs, part, torch.float64)
        b, first, last = part
        queries = (slice(b, b + 1), slice(first * group, last * group))
        keys = (slice(b, b + 1), slice(first, last))
        places = (queries, queries, keys, keys)
        got = {
            name: tuple(x[place] for x, place in zip(answer, places, strict=True))
            for name, answer in answers.items()
        }
        got[""] = reference(problem, inputs, part, torch.float32)
        cancels = cancelled(problem, inputs, queries, keys, wanted[0])
        for name, tensors in got.items():
            for output, ours, right in zip(OUTPUTS, tensors, wanted, strict=True):
                error = row_error(ours, right, cancels[output])
                # max() would lose a NaN that stands on its left.
                errors[name][output] = max(error, errors[name][output], key=nan_last)
    return errors, errors.pop("")


def nan_last(error: float) -> float:
    """A key that puts NaN above everything."""
    return float("inf") if error != error else error


def cancelled(
    problem: Problem, inputs: Inputs, queries: tuple[slice, ...], keys: tuple[slice, ...],
    output: Tensor,
) -> dict[str, float]:  # fmt: skip
    """How long the rows are, typically, that cancel in each of OUTPUTS.

    The gradient of a score is p (dp - δ) with δ = dO · O. Where one key gets all the weight the
    two are equal and the right gradients of q and k are 0, but what rounding leaves is of the
    size of δ k and δ q, times the scale.
    """
    grad, q, k = (typical(x) for x in (inputs.grad[queries], inputs.q[queries], inputs.k[keys]))
    scale = problem.D**-0.5 if problem.scale is None else abs(problem.scale)
    delta = scale * grad * typical(output) / problem.D**0.5
    per_key = (problem.H // problem.H_kv * problem.T_q / problem.T_k) ** 0.5
    return {"output": 0.0, "dq": delta * k, "dk": delta * q * per_key, "dv": 0.0}


def typical(x: Tensor) -> float:
    """√mean ‖row‖²."""
    return float(x.double().square().sum(dim=-1).mean().sqrt())


def row_error(got: Tensor, wanted: Tensor, cancels: float = 0.0) -> float:
    """The largest error of a row, as a share of the row's length plus that of a typical row.

        ‖got - wanted‖ / (‖wanted‖ + √mean ‖wanted‖² + cancels)

    The largest number of all as the yardstick would hide everything but the first rows of causal
    attention, whose outputs are many times as large as the last ones'; the row alone would blow
    up where the right answer is 0. cancels: see `cancelled`.
    """
    wanted = wanted.double()
    difference = (got.detach().double() - wanted).norm(dim=-1)
    share = difference / (wanted.norm(dim=-1) + typical(wanted) + cancels)
    return float(torch.where(difference == 0, 0.0, share).max())


def bound(dtype: torch.dtype, plain: float) -> float:
    """The largest error that rounding can explain.

        3 ε + 4 · plain + 4e-6

    ε is the dtype's: weights and gradients of scores are rounded to it once before their matrix
    product and the result once more. plain is the error of attention in float32, which grows
    with the size of the scores; 4e-6 allows for the hardware's exp2 and another order of sums.
    """
    return 3 * torch.finfo(dtype).eps + 4 * plain + 4e-6
