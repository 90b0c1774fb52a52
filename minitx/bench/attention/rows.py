"""The rows of `minitx bench attention`: which problems are timed, and in which order."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from minitx.bench.attention.problem import Problem


@dataclass(frozen=True)
class Sizes:
    """How large everything is.

    Args:
        tokens: B · T of every row.
        width: H · D of every row.
        head_sizes: D.
        lengths: T of the plain rows; the longest is that of the windows, too.
        windows: see `Problem`.
        ragged: T of the rows with key lengths and with grouped heads.
        group: heads that share keys and values in the grouped rows.
        matmul: rows and columns of the matrices whose product is the yardstick.
        dtype: of everything.
    """

    tokens: int
    width: int
    head_sizes: tuple[int, ...]
    lengths: tuple[int, ...]
    windows: tuple[int, ...]
    ragged: int
    group: int
    matmul: int
    dtype: str


SIZES = {
    "cuda": Sizes(
        16384, 2048, (64, 128), (1024, 2048, 4096, 8192, 16384), (512, 4096), 2048, 8, 8192,
        "bfloat16",
    ),
    "cuda, quick": Sizes(2048, 512, (64, 128), (512, 1024), (128,), 512, 4, 2048, "bfloat16"),
    # Triton's interpreter computes in bfloat16 wrongly.
    "cpu, quick": Sizes(32, 32, (16,), (16, 32), (4,), 16, 2, 64, "float32"),
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Args:
        name: what is computed.
        problem: the same, exactly.
        base: the row with the same lengths and none of the structure; "" if this is one.
    """

    name: str
    problem: Problem
    base: str = ""


def rows(sizes: Sizes) -> list[Row]:
    """All of them, in the order of the table."""
    made = []
    for D in sizes.head_sizes:
        for causal in (False, True):
            plain = {
                T: plain_row(sizes, D, T, causal) for T in sorted({*sizes.lengths, sizes.ragged})
            }
            made += [plain[T] for T in sizes.lengths]
            longest, base = plain[max(sizes.lengths)], plain[sizes.ragged]
            made += [with_rule(longest, f"window {w}", window=w) for w in sizes.windows]
            B, T = base.problem.B, base.problem.T_k
            made.append(with_rule(base, "ragged", key_lengths=ragged(B, T)))
            made.append(
                with_rule(base, f"{sizes.group} heads share", H_kv=base.problem.H // sizes.group)
            )
    return made


def plain_row(sizes: Sizes, D: int, T: int, causal: bool) -> Row:
    heads = sizes.width // D
    problem = Problem(sizes.tokens // T, heads, heads, T, T, D, sizes.dtype, causal)
    return Row(f"D {D}, T {T}{', causal' if causal else ''}", problem)


def with_rule(base: Row, words: str, **changes: Any) -> Row:
    return Row(f"{base.name}, {words}", replace(base.problem, **changes), base.name)


def ragged(B: int, T: int) -> tuple[int, ...]:
    """Key lengths from an eighth of T to T, evenly spread.

    >>> ragged(4, 64)
    (8, 27, 45, 64)
    """
    return tuple(round(T / 8 + (T - T / 8) * b / max(1, B - 1)) for b in range(B))


def most_wanted_first(chosen: Sequence[Row]) -> list[Row]:
    """The order of measuring: what the targets speak of comes first, if time should run out."""
    longest = max((row.problem.T_q for row in chosen), default=0)

    def urgency(row: Row) -> int:
        if row.base:
            return 1
        return 0 if row.problem.T_q in (longest, longest // 4) else 2

    return sorted(chosen, key=urgency)
