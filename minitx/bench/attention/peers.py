"""The columns of `minitx bench attention`: who computes attention, and how it is made sure of.

Each one is forced: if it cannot compute a problem it raises, and nothing steps in for it.
"""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from minitx.bench.attention.problem import Problem
from minitx.bench.contest import AttentionKernels

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
MINITX = "minitx"


class CannotRun(RuntimeError):
    """This column cannot compute this problem on this device; the text says why."""


@dataclass(frozen=True)
class Column:
    """One implementation.

    Args:
        name: the column's title.
        ways: problem, device -> one way after the other to call it, each with a remark; the
            first that runs is the one that is timed.
        kernel: the fused attention of PyTorch that must have run; None: none of them may.
    """

    name: str
    ways: Callable[[Problem, torch.device], Iterator[tuple[str, Attend]]]
    kernel: str | None = None


def columns(device: torch.device) -> list[Column]:
    """minitx and its peers, in the order of the table."""
    flash = "flash_attention" if device.type == "cuda" else "flash_attention_for_cpu"
    return [
        Column(MINITX, ours),
        sdpa("cuDNN", SDPBackend.CUDNN_ATTENTION, "cudnn_attention"),
        sdpa("FLASH", SDPBackend.FLASH_ATTENTION, flash),
        sdpa("EFFICIENT", SDPBackend.EFFICIENT_ATTENTION, "efficient_attention"),
        Column("FlexAttention", flex),
    ]


def ours(problem: Problem, device: torch.device) -> Iterator[tuple[str, Attend]]:
    """minitx's kernel."""
    from minitx.kernels import flash_attention

    options = problem.options(device)
    yield "", lambda q, k, v: flash_attention(q, k, v, **options)


def sdpa(name: str, backend: SDPBackend, kernel: str) -> Column:
    """`F.scaled_dot_product_attention` with one backend and no other to fall back to.

    Rules that it has no argument for become a table of numbers to add, made beforehand, which is
    kinder than one of truth values that it would have to convert in every call. It has its own
    way with grouped heads; where the backend refuses that, keys and values are repeated.
    """

    def ways(problem: Problem, device: torch.device) -> Iterator[tuple[str, Attend]]:
        if device.type == "cpu" and backend != SDPBackend.FLASH_ATTENTION:
            raise CannotRun(f"SDPA has no {name} on the CPU")
        group = problem.H // problem.H_kv
        bias, remark = None, ""
        if problem.needs_table:
            allowed = problem.mask(device).allowed
            assert allowed is not None
            bias = torch.zeros(allowed.shape, dtype=problem.type, device=device)
            bias.masked_fill_(~allowed, float("-inf"))
            remark = "with a table of T_q × T_k"

        def call(q: Tensor, k: Tensor, v: Tensor, *, grouped: bool = False) -> Tensor:
            causal = problem.causal and bias is None
            with sdpa_kernel([backend]):
                return F.scaled_dot_product_attention(
                    q, k, v, attn_mask=bias, is_causal=causal, scale=problem.scale,
                    enable_gqa=grouped,
                )  # fmt: skip

        def repeated(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            return call(q, *(x.repeat_interleave(group, dim=1) for x in (k, v)))

        if group == 1:
            yield remark, call
        else:
            yield remark, lambda q, k, v: call(q, k, v, grouped=True)
            yield f"{remark} keys and values repeated".strip(), repeated

    return Column(name, ways, kernel)


def flex(problem: Problem, device: torch.device) -> Iterator[tuple[str, Attend]]:
    """FlexAttention, compiled for these very sizes, which suits it best.

    Its table of blocks is made beforehand, as one would for a model with many layers.
    """
    if device.type == "cpu":
        raise CannotRun("compiled FlexAttention has no backward pass on the CPU")
    from torch.nn.attention import flex_attention as module

    compiled: Any = torch.compile(module.flex_attention, dynamic=False, fullgraph=True)
    blocks = None
    if problem.causal or problem.needs_table:
        B = problem.B if problem.key_lengths is not None else None
        sizes = (B, None, problem.T_q, problem.T_k)
        blocks = module.create_block_mask(rules(problem, device), *sizes, device=str(device))
    grouped = problem.H_kv != problem.H
    yield (
        "",
        lambda q, k, v: compiled(
            q, k, v, block_mask=blocks, scale=problem.scale, enable_gqa=grouped
        ),
    )


def rules(problem: Problem, device: torch.device) -> Callable[..., Tensor]:
    """The problem's rules in FlexAttention's words: sequence, head, query, key -> may they meet."""
    # Plain numbers, which a compiler takes for constants.
    shift, causal, window = problem.T_k - problem.T_q, problem.causal, problem.window
    ragged = problem.key_lengths is not None
    lengths = torch.tensor([problem.length(b) for b in range(problem.B)], device=device)

    def meet(b: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Tensor:
        allowed = j >= 0
        if causal:
            allowed = allowed & (j <= i + shift)
        if window is not None:
            allowed = allowed & (j >= i + shift - window) & (j <= i + shift + window)
        if ragged:
            allowed = allowed & (j < lengths[b])
        return allowed

    return meet


def first_that_runs(
    column: Column, problem: Problem, device: torch.device, call: Callable[[Attend], Any]
) -> tuple[Any, Attend, str]:
    """The first way in which the column can do the call, with its result and its remark.

    Raises:
        CannotRun: if there is none; the text has the reason of each.
        RuntimeError: if the device itself is broken afterwards.
    """
    reasons = []
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            for remark, attend in column.ways(problem, device):
                try:
                    return watched(column, attend, call), attend, remark
                except Exception as error:  # whatever a peer's compiler may raise
                    require_working(device)
                    reasons.append(f"{type(error).__name__}: {first_line(error)}")
        except CannotRun:
            raise
        except Exception as error:
            require_working(device)
            reasons.append(f"{type(error).__name__}: {first_line(error)}")
    hints = dict.fromkeys(str(w.message).split(" (Triggered")[0] for w in said)
    raise CannotRun("; ".join([*reasons, *hints]))


def watched(column: Column, attend: Attend, call: Callable[[Attend], Any]) -> Any:
    """The call's result, once it is sure that the column's own kernel made it.

    Raises:
        CannotRun: if another one did.
    """
    if column.name == "FlexAttention":  # a compiled function would not be, with somebody watching
        return compiled_only(attend, call)
    with Fused() as seen:
        result = call(attend)
    if seen.names != {column.kernel} - {None}:
        raise CannotRun(f"{', '.join(sorted(seen.names)) or 'no fused attention'} ran instead")
    return result


class Fused(AttentionKernels):
    """Notes which of PyTorch's own fused attentions run; those of others may have any name."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func.namespace == "aten":
            return super().__torch_dispatch__(func, types, args, kwargs)
        return func(*args, **kwargs or {})


def compiled_only(attend: Attend, call: Callable[[Attend], Any]) -> Any:
    """The call's result, if torch.compile made a graph for it."""
    from torch._dynamo.utils import counters

    torch.compiler.reset()
    counters.clear()
    result = call(attend)
    if not counters["stats"]["unique_graphs"]:
        raise CannotRun("torch.compile is switched off, FlexAttention would run uncompiled")
    return result


def require_working(device: torch.device) -> None:
    """Raise if the device no longer answers, as after an illegal memory access."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def first_line(error: Exception) -> str:
    """The first line of an error's text that says something."""
    lines = (line.strip() for line in str(error).splitlines())
    return next((line for line in lines if line), "no reason given")
