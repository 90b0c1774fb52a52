"""The cases of `minitx bench attention --verify`: every rule, size, and way to lie in memory."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from minitx.bench.attention.problem import Inputs, Problem

LARGE = ("long", "more than 2³¹ elements")  # kinds that want the GPU for themselves
FEATURES = ("torch.compile", "autocast", "checkpoint", "second derivative", "only v", "inference")


@dataclass(frozen=True)
class Case:
    """One thing to verify.

    Args:
        kind: under which it is counted.
        problem: what is computed.
        layout: how the tensors lie in memory; a name in LAYOUTS.
        factor: of the queries, to make scores large.
        feature: what is done with the function besides calling it; one of FEATURES, or "".
    """

    kind: str
    problem: Problem
    layout: str = "contiguous"
    factor: float = 1.0
    feature: str = ""

    def inputs(self, device: torch.device) -> Inputs:
        """Random numbers that lie as they should."""
        if self.layout == "rows far apart":
            return far_apart(self.problem, device)
        drawn = self.problem.inputs(0, device)
        return LAYOUTS[self.layout](drawn._replace(q=drawn.q * self.factor))


@dataclass(frozen=True)
class Grid:
    """How much is verified.

    Args:
        dtypes: in all of them, everything.
        D: where nothing else is said.
        T: where nothing else is said.
        head_sizes: with four sets of rules each.
        lengths: of queries and of keys, all with all.
        windows: with three pairs of lengths each.
        chance: cases drawn from everything that there is.
        long: lengths of one sequence.
        huge: whether to have more than 2³¹ elements.
        every: of all these only each so-many-th.
    """

    dtypes: tuple[str, ...]
    D: int
    T: int
    head_sizes: tuple[int, ...]
    lengths: tuple[int, ...]
    windows: tuple[int, ...]
    chance: int
    long: tuple[int, ...]
    huge: bool
    every: int = 1


GRIDS = {
    "cuda": Grid(
        ("bfloat16", "float16", "float32"), 64, 257,
        (16, 24, 32, 40, 64, 72, 80, 96, 128, 160, 192, 256),
        (1, 2, 17, 64, 127, 129, 300), (0, 1, 16, 63, 64, 65, 128, 1000), 60,
        (4096, 16384, 65536), True,
    ),
    "cuda, quick": Grid(
        ("bfloat16", "float16", "float32"), 64, 129, (40, 64, 128), (1, 65), (0, 17), 5, (2048,),
        False,
    ),
    "cpu, quick": Grid(("float32", "float16"), 16, 13, (24,), (1, 17), (2,), 2, (), False, 3),
}  # fmt: skip


def cases(grid: Grid) -> list[Case]:
    """All of them."""
    return [case for dtype in grid.dtypes for case in [*of_dtype(grid, dtype)][:: grid.every]]


def of_dtype(grid: Grid, dtype: str) -> Iterator[Case]:
    T, plain = grid.T, Problem(2, 2, 2, grid.T, grid.T, grid.D, dtype)
    ragged = replace(plain, key_lengths=(T // 3, T))
    rules: list[dict[str, Any]] = [{}, {"causal": True}, {"causal": True, "window": T // 5}]
    for D in grid.head_sizes:
        crooked = replace(plain, D=D, T_q=T - T // 4)
        yield from (Case("head size", replace(crooked, **rule)) for rule in rules)
        yield Case("head size", replace(crooked, key_lengths=(T // 3, T - 1)))
    for T_q in grid.lengths:
        for T_k in grid.lengths:
            for causal in (False, True):
                yield Case("lengths", replace(plain, T_q=T_q, T_k=T_k, causal=causal))
    for window in grid.windows:
        for T_q, T_k in ((T, T), (T // 2, T), (T, T // 2)):
            for causal in (False, True):
                sizes: dict[str, Any] = {"T_q": T_q, "T_k": T_k, "causal": causal, "window": window}
                yield Case("window", replace(plain, **sizes))
    for lengths in ((T // 3, T), (0, 1), (T, 0), (T - 1, 2)):
        for rule in rules:
            yield Case("key lengths", replace(ragged, key_lengths=lengths, **rule))
    for H, H_kv in ((2, 1), (6, 3), (8, 1), (12, 4)):
        yield Case("grouped heads", replace(plain, H=H, H_kv=H_kv, causal=H_kv > 1))
    for layout in LAYOUTS:
        yield from (Case("strides", replace(plain, **rule), layout) for rule in rules[:2])
    for factor in (30.0, 1000.0):
        yield Case("large scores", replace(plain, causal=True), factor=factor)
    for scale in (0.3, 0.0, -0.2):
        yield Case("scale", replace(plain, scale=scale))
    for feature in FEATURES:
        problem = replace(plain, causal=True) if feature == "checkpoint" else plain
        yield Case("features", problem, feature=feature)
    yield Case("features", ragged, feature="torch.compile")
    yield from by_chance(grid, dtype)
    yield from large(grid, dtype)


def by_chance(grid: Grid, dtype: str) -> Iterator[Case]:
    """All rules mixed; the same ones every time."""
    choose = random.Random(0)
    for _ in range(grid.chance):
        H_kv, group, B = (
            choose.choice((1, 2, 3)),
            choose.choice((1, 2, 4)),
            choose.choice((1, 2, 3)),
        )
        T_q, T_k = choose.randint(1, grid.T), choose.randint(1, grid.T)
        ragged = tuple(choose.randint(0, T_k) for _ in range(B))
        problem = Problem(
            B, H_kv * group, H_kv, T_q, T_k, choose.choice((*grid.head_sizes, grid.D)), dtype,
            causal=choose.random() < 0.5,
            window=choose.choice((None, choose.randint(0, T_k))),
            key_lengths=choose.choice((None, ragged)),
        )  # fmt: skip
        layouts = [name for name in LAYOUTS if name != "packed"]  # asks for T_q = T_k
        yield Case("by chance", problem, choose.choice(layouts))


def large(grid: Grid, dtype: str) -> Iterator[Case]:
    """What is long, and what has indices beyond 32 bits."""
    for T in grid.long:
        plain = Problem(1, 2, 1, T, T, grid.D, dtype)
        yield Case("long", plain)
        yield Case("long", replace(plain, causal=True))
        yield Case("long", replace(plain, causal=True, window=1000))
        yield Case("long", replace(plain, D=2 * grid.D, key_lengths=(T - T // 3,)))
    if grid.huge:
        many = Problem(513, 32, 4, 1024, 1024, 128, dtype, causal=True)
        yield Case(LARGE[1], many)
        yield Case(LARGE[1], Problem(1, 2, 2, 2**16 + 1, 2**16 + 1, 128, dtype), "rows far apart")


def of_all_inputs(change: Callable[[Tensor], Tensor]) -> Callable[[Inputs], Inputs]:
    return lambda inputs: Inputs(*map(change, inputs))


def packed(inputs: Inputs) -> Inputs:
    """Heads of q, k and v beside each other in one tensor, as one projection makes them."""
    together = torch.cat([x.transpose(1, 2) for x in inputs[:3]], dim=2)
    parts = together.split([x.size(1) for x in inputs[:3]], dim=2)
    q, k, v = (x.transpose(1, 2) for x in parts)
    return Inputs(q, k, v, inputs.grad)


def in_wider_rows(x: Tensor) -> Tensor:
    wide = x.new_full((*x.shape[:3], x.size(3) + 3), float("nan"))
    wide[..., : x.size(3)] = x
    return wide[..., : x.size(3)]


def shifted(x: Tensor) -> Tensor:
    """At an address that is divisible by nothing but the size of a number."""
    room = x.new_full((x.numel() + 1,), float("nan"))
    room[1:] = x.flatten()
    return room[1:].view(x.shape)


def far_apart(problem: Problem, device: torch.device) -> Inputs:
    """Each row 2¹⁵ numbers after the one before: from 2¹⁶ rows on, beyond 2³¹."""
    T, H, D = problem.T_q, problem.H, problem.D
    store = torch.empty(T, 2**15, dtype=problem.type, device=device)
    used = store[:, : 4 * H * D]
    used.copy_(torch.randn(used.shape, device=device, dtype=problem.type))
    parts = used.view(1, T, 4, H, D).permute(2, 0, 3, 1, 4)
    return Inputs(*parts)


LAYOUTS: dict[str, Callable[[Inputs], Inputs]] = {
    "contiguous": lambda inputs: inputs,
    "tokens first": of_all_inputs(lambda x: x.transpose(1, 2).contiguous().transpose(1, 2)),
    "packed": packed,
    "in wider rows": of_all_inputs(in_wider_rows),
    "columns first": of_all_inputs(lambda x: x.transpose(2, 3).contiguous().transpose(2, 3)),
    "shifted": of_all_inputs(shifted),
    "one sequence for all": of_all_inputs(lambda x: x[:1].expand(x.shape)),
    "one gradient for all": lambda inputs: inputs._replace(
        grad=inputs.grad[:1, :1, :1, :1].expand(inputs.grad.shape)
    ),
}
