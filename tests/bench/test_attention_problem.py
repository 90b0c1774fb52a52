"""What a problem is and costs, and how far an answer is from the right one."""

import itertools
import math

import pytest
import torch

from minitx.bench.attention import reference as attention_reference
from minitx.bench.attention.peers import rules
from minitx.bench.attention.problem import Inputs, Problem, Slice
from minitx.bench.attention.reference import Effort, bound, compare, reference, row_error
from minitx.functional import scaled_dot_product_attention
from minitx.masks import causal

from .attentions import plain

CPU = torch.device("cpu")
SETTINGS = [
    Problem(2, 6, 3, T_q, T_k, 5, "float64", causal, window, lengths)
    for T_q, T_k in ((7, 11), (11, 7), (13, 13))
    for causal in (False, True)
    for window in (None, 0, 3)
    for lengths in (None, (0, 6), (5, 7))
]


@pytest.mark.parametrize("problem", [p for p in SETTINGS if p.needs_table], ids=str)
def test_pairs_are_those_that_are_allowed(problem):
    counted = problem.H * sum(int(problem.allowed(0, problem.T_q, b, CPU).sum()) for b in range(2))
    assert problem.pairs() == counted


def test_rules_pair_by_pair():
    """Against the sentence in the docstring, one pair at a time."""
    problem = Problem(2, 1, 1, 5, 7, 3, causal=True, window=2, key_lengths=(3, 7))
    for b, i, j in itertools.product(range(2), range(5), range(7)):
        t = i + 2
        wanted = t - 2 <= j <= t and j < problem.key_lengths[b]
        assert bool(problem.allowed(0, 5, b, CPU)[i, j]) == wanted
    both = Problem(1, 1, 1, 7, 7, 3, window=2)
    assert torch.equal(both.allowed(0, 7, 0, CPU), both.allowed(0, 7, 0, CPU).T)
    for T_q, T_k in ((3, 5), (5, 3), (4, 4)):
        table = Problem(1, 1, 1, T_q, T_k, 3, causal=True).mask(CPU).allowed
        assert torch.equal(table, causal().dense(T_q, T_k, CPU))


@pytest.mark.parametrize("problem", SETTINGS[::3], ids=str)
def test_flex_attention_is_given_the_same_rules(problem):
    i, j = torch.arange(problem.T_q)[:, None], torch.arange(problem.T_k)
    meet = rules(problem, CPU)
    for b in range(problem.B):
        got = meet(torch.tensor(b), torch.tensor(0), i, j).expand(problem.T_q, problem.T_k)
        assert torch.equal(got, problem.allowed(0, problem.T_q, b, CPU))


def test_operations_by_convention():
    full = Problem(3, 4, 4, 10, 10, 8)
    assert full.flops("forward") == 4 * 3 * 4 * 10 * 10 * 8
    assert full.flops("backward") == 2.5 * full.flops("forward")
    assert Problem(3, 4, 4, 10, 10, 8, causal=True).flops("forward") == full.flops("forward") / 2
    assert Problem(3, 4, 1, 10, 10, 8).flops("forward") == full.flops("forward")


def test_least_memory_is_what_the_tensors_take():
    problem = Problem(2, 6, 3, 7, 11, 5, "float16")
    inputs = problem.inputs(0, CPU)
    q, k, v, grad = (x.nbytes for x in inputs)
    log_sum = 2 * 6 * 7 * 4
    assert problem.least_bytes("forward") == q + k + v + q + log_sum
    assert problem.least_bytes("backward") == q + k + v + q + log_sum + grad + q + k + v


def test_inputs_are_fresh_and_the_same_again():
    problem = Problem(2, 6, 3, 7, 11, 5, "bfloat16")
    inputs = problem.inputs(0, CPU)
    assert [tuple(x.shape) for x in inputs] == [
        (2, 6, 7, 5),
        (2, 3, 11, 5),
        (2, 3, 11, 5),
        (2, 6, 7, 5),
    ]
    assert {x.dtype for x in inputs} == {torch.bfloat16}
    assert all(torch.equal(*pair) for pair in zip(inputs, problem.inputs(0, CPU), strict=True))
    assert not torch.equal(inputs.q, problem.inputs(1, CPU).q)


def test_slices_cover_everything_or_are_spread():
    problem = Problem(2, 6, 3, 10, 10, 5)
    every = {(b, h) for b in range(2) for h in range(3)}
    for entries in (1, 200, 400, 600, 10_000):
        parts = problem.slices(entries, 1e9)
        heads = [(p.b, h) for p in parts for h in range(p.first, p.last)]
        assert sorted(heads) == sorted(every)
    assert max(p.last - p.first for p in problem.slices(400, 1e9)) == 2
    few = problem.slices(1, 600)
    assert few == [Slice(0, 0, 1), Slice(0, 2, 3), Slice(1, 2, 3)]
    assert len(problem.slices(1, 0)) == 2


@pytest.mark.parametrize("problem", SETTINGS[::7], ids=str)
@pytest.mark.parametrize("entries", [1, 60, 2**20])
def test_the_reference_in_parts_is_the_whole(problem, entries, monkeypatch):
    monkeypatch.setitem(attention_reference.EFFORT, "cpu", Effort(entries, 1e9))
    inputs = problem.inputs(0, CPU)
    q, k, v, grad = inputs.leaves()
    heads = (q, *(x.repeat_interleave(2, dim=1) for x in (k, v)))
    output = scaled_dot_product_attention(*heads, mask=problem.mask(CPU))
    wanted = (output, *torch.autograd.grad(output, (q, k, v), grad))
    for b, first, last in problem.slices(entries, 1e9):
        got = reference(problem, inputs, Slice(b, first, last), torch.float64)
        queries, keys = slice(2 * first, 2 * last), slice(first, last)
        for ours, whole, heads in zip(got, wanted, (queries, queries, keys, keys), strict=True):
            torch.testing.assert_close(ours, whole[b : b + 1, heads], atol=1e-12, rtol=0)


def answer(problem, inputs, **changes):
    q, k, v, grad = inputs.leaves()
    output = plain(q, k, v, **problem.options(CPU), **changes)
    return (output, *torch.autograd.grad(output, (q, k, v), grad))


@pytest.mark.parametrize("problem", SETTINGS[::5], ids=str)
def test_a_right_answer_has_no_error(problem):
    inputs = problem.inputs(0, CPU)
    errors, single = compare(problem, inputs, {"ours": answer(problem, inputs)})
    assert max(errors["ours"].values()) < 1e-12
    assert max(single.values()) < 1e-5


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("wrong", [float("nan"), 0.1])
@pytest.mark.parametrize("b", range(2))
def test_one_wrong_number_anywhere_is_seen(place, wrong, b):
    """Also in the last row of causal attention, where the right numbers are small."""
    problem = Problem(2, 4, 2, 64, 64, 8, "float64", causal=True)
    inputs = problem.inputs(0, CPU)
    tensors = [x.detach().clone() for x in answer(problem, inputs)]
    tensors[place][b, 1, -1, 3] += wrong
    errors, _ = compare(problem, inputs, {"ours": tuple(tensors)})
    values = list(errors["ours"].values())
    assert not values[place] <= 0.02
    assert all(v < 1e-12 for i, v in enumerate(values) if i != place)


def test_the_error_of_a_row():
    wanted = torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    got = torch.tensor([[3.0, 4.0], [0.0, 1.0]])
    assert row_error(got, wanted) == pytest.approx(1 / math.sqrt(25 / 2))
    assert row_error(wanted, wanted) == row_error(wanted * 0, wanted * 0) == 0
    assert row_error(got, wanted * 0) == math.inf
    assert math.isnan(row_error(got * math.nan, wanted))


def test_what_cancels_is_no_error():
    """One key gets all the weight: the right gradients of q and k are 0, the computed are noise."""
    problem = Problem(2, 2, 2, 17, 1, 16, "float32")
    inputs = Inputs(*(x.float() for x in problem.inputs(0, CPU)))
    output, dq, dk, dv = (x.detach() for x in answer(problem, inputs))
    noise = [
        1e-7 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0)) for x in (dq, dk)
    ]
    errors, single = compare(problem, inputs, {"ours": (output, dq + noise[0], dk + noise[1], dv)})
    assert max(errors["ours"].values()) < bound(torch.float32, max(single.values()))
    errors, _ = compare(problem, inputs, {"ours": (output, dq + 0.01, dk + 0.01, dv)})
    assert min(errors["ours"]["dq"], errors["ours"]["dk"]) > 1e-3


def test_what_rounding_explains():
    assert bound(torch.bfloat16, 0.0) == pytest.approx(3 * 2**-7 + 4e-6)
    assert bound(torch.float32, 1e-3) == pytest.approx(4e-3, rel=2e-3)
