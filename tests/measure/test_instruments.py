"""The instruments show what can be counted by hand."""

import math
import re
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from minitx.cores import FullAttention, FusedAttention
from minitx.measure import (
    clock,
    influence,
    kinds,
    memory,
    operations,
    powers,
    same_token,
    saturation,
)


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[float], None]]:
    """A clock that stands still until it is put forward."""
    now = [100.0]
    monkeypatch.setattr(clock.time, "perf_counter", lambda: now[0])

    def forward(seconds: float) -> None:
        now[0] += seconds

    yield forward


def test_the_shortest_call_counts_and_the_first_does_not(hands: Callable[[float], None]) -> None:
    takes = iter([0.01, 0.5, 0.2, 0.3, 0.1])
    assert math.isclose(clock.best_time(lambda: hands(next(takes)), seconds=1.05), 0.1)
    assert next(takes, None) is None  # 0.5 + 0.2 + 0.3 is not yet 1.05


def test_three_calls_are_made_however_long_they_take(hands: Callable[[float], None]) -> None:
    takes = iter([9.0, 5.0, 4.0, 6.0])
    assert clock.best_time(lambda: hands(next(takes)), seconds=0.1) == 4.0


def test_the_processor_has_a_clock_of_its_own(
    hands: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    worked = iter(range(100))
    monkeypatch.setattr(clock.time, "process_time", lambda: next(worked))
    assert clock.best_time(lambda: hands(9.0), of_processor=True) == 1
    measured = clock.milliseconds({"a": hands}, lambda n: [n], [9], of_processor=True)
    assert measured == {"a": [1000]}


def test_flop_of_attention_is_four_t_squared_d_h() -> None:
    B, H, T, D_k, D_v = 2, 3, 11, 5, 7
    q, k, v = torch.randn(B, H, T, D_k), torch.randn(B, H, T, D_k), torch.randn(B, H, T, D_v)
    core = FullAttention()
    assert operations.flop(lambda: core(q, k, v)) == 2 * B * H * T * T * (D_k + D_v)


def test_flop_goes_both_ways() -> None:
    x = torch.ones(3, 5)
    W = torch.ones(5, 7, requires_grad=True)
    # On the way back one product of the same size, for W; none for x.
    assert operations.flop(lambda: (x @ W).sum().backward()) == 2 * 2 * 3 * 5 * 7


@pytest.mark.parametrize("T", [5, 17])
def test_products_that_wait_for_each_other(T: int) -> None:
    x = torch.randn(2, T, 8)
    counted = {
        name: operations.products(lambda layer=layer: layer(x))
        for name, layer in kinds.layers(8).items()
    }
    # All inputs of the recurrence in one, then one per position.
    assert counted == {"self-attention": 3, "recurrent": 1 + T, "convolution of 3": 1}


def test_largest_tensor_of_a_table_and_without_one() -> None:
    H, T, D = 3, 64, 16
    q, k, v = (torch.randn(1, H, T, D) for _ in range(3))
    assert memory.largest_tensor(lambda: FullAttention()(q, k, v)) == 4 * H * T * T
    assert memory.largest_tensor(lambda: FusedAttention()(q, k, v)) == 4 * H * T * D


def test_a_view_holds_no_more_than_what_it_is_a_view_of() -> None:
    x = torch.ones(3, 1)
    assert memory.largest_tensor(lambda: x.expand(3, 1000)) == 4 * 3


def test_what_shares_a_storage_is_kept_once() -> None:
    x = torch.ones(3, 5, requires_grad=True)
    y = x.exp()
    assert memory.kept_for_backward(lambda: (y * y.detach(), y.view(5, 3).square())) == 4 * 3 * 5


def test_kept_for_backward_without_a_gradient_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"^nothing was saved for a backward pass: no input requires a gradient$"
    ):
        memory.kept_for_backward(lambda: torch.ones(2).exp())


def test_exponent_of_a_power_law_with_noise() -> None:
    sizes = [1, 2, 3, 5, 8]
    noise = np.array([1.01, 0.99, 1.0, 1.01, 0.99])
    assert math.isclose(
        powers.exponent(sizes, 7 * np.array(sizes) ** 1.5 * noise), 1.5, abs_tol=0.02
    )


@pytest.mark.parametrize(
    ("sizes", "values", "message"),
    [
        (
            [1, 2],
            [1],
            "a line needs at least 2 sizes and a value for each, got 2 sizes and 1 values",
        ),
        ([1], [1], "a line needs at least 2 sizes and a value for each, got 1 sizes and 1 values"),
        ([1, 2], [0, 3], "a power law has only numbers above 0, got 0"),
    ],
)
def test_no_exponent_without_a_line(sizes: list, values: list, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        powers.exponent(sizes, values)


def test_influence_of_a_matrix_is_its_absolute_value() -> None:
    A = torch.randn(4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x = torch.zeros(4, 3, dtype=torch.float64)
    torch.testing.assert_close(influence.influence(lambda x: A @ x, x), A.abs())
    moved = influence.influence(lambda x: A @ x, x, change=-2.0)
    torch.testing.assert_close(moved, 2 * A.abs())


@pytest.mark.parametrize("name", kinds.layers(4))
def test_each_kind_keeps_the_shape_and_hears_what_it_should(name: str) -> None:
    torch.manual_seed(0)
    layer = kinds.layers(4)[name]
    x = torch.randn(5, 4)
    heard = influence.influence(lambda x: layer(x[None])[0], x) > 1e-6
    i, j = torch.arange(5)[:, None], torch.arange(5)
    expected = {
        "self-attention": torch.ones(5, 5, dtype=torch.bool),
        "recurrent": j <= i,
        "convolution of 3": (i - j).abs() <= 1,
    }
    assert torch.equal(heard, expected[name])


def test_times_by_size_and_what_would_take_too_long(hands: Callable[[float], None]) -> None:
    calls = {"fast": lambda n: hands(n), "slow": lambda n: hands(100 * n)}
    measured = clock.milliseconds(calls, lambda n: [n], [1, 2, 4], at_most={"slow": 2})
    np.testing.assert_allclose(measured["fast"], [1000, 2000, 4000])
    np.testing.assert_allclose(measured["slow"], [100_000, 200_000, math.nan])


def test_the_slope_is_the_largest_entry_of_the_jacobian() -> None:
    measured = saturation.measure(16, scaled=False, queries=5, keys=7)
    random = torch.Generator().manual_seed(16)
    q, k = (torch.randn(5, n, 16, generator=random, dtype=torch.float64) for n in (1, 7))
    for query, own, largest, slope in zip(q, k, measured.largest, measured.slope, strict=True):
        scores = own @ query[0]
        jacobian = torch.autograd.functional.jacobian(lambda s: s.softmax(dim=-1), scores)
        assert math.isclose(slope, jacobian.abs().max(), rel_tol=1e-9)
        assert math.isclose(largest, scores.softmax(dim=-1).max(), rel_tol=1e-9)


def test_a_score_is_as_large_as_the_root_of_the_width() -> None:
    for D_k in (16, 512):
        assert math.isclose(saturation.measure(D_k, scaled=False).size, D_k**0.5, rel_tol=0.02)
        assert math.isclose(saturation.measure(D_k, scaled=True).size, 1.0, rel_tol=0.02)
    (row,) = saturation.table([512]).rows
    assert row[0] == 512 and row[3] < 0.01 < 0.05 < row[5]


def test_slope_fades_with_the_width_unless_divided() -> None:
    rows = saturation.table().rows
    plain, scaled = ([row[column] for row in rows] for column in (3, 5))
    assert plain == sorted(plain, reverse=True) and plain[0] > 1000 * plain[-1]
    assert max(scaled) < 1.1 * min(scaled)
    assert all(without < with_it for without, with_it in zip(plain[1:], scaled[1:], strict=True))


@pytest.mark.parametrize("name", same_token.schemes())
def test_relative_schemes_give_every_diagonal_one_number_and_marked_embeddings_do_not(
    name: str,
) -> None:
    T = 11
    table = same_token.scores(same_token.schemes(T)[name], T=T)
    assert table.shape == (T, T)
    spread = max(float(np.ptp(table.diagonal(k).numpy())) for k in range(-T + 1, T))
    assert (spread > 0.01) == (name in {"sinusoids", "learned"})
    assert (float(np.ptp(table.numpy())) > 0.01) == (name != "none")
