"""Every core keeps the contract; and the contract catches those that do not."""

import importlib
import pkgutil
import re

import pytest
import torch
from torch.nn import functional as F

from minitx import cores
from minitx.bench.budgets import BUDGETED
from minitx.cores import AttentionCore, FullAttention
from minitx.functional import attention_scores, scaled_dot_product_attention
from minitx.masks import Mask

from . import contract


@pytest.mark.parametrize("check", contract.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", [pytest.param(n, marks=contract.marks(n)) for n in contract.CORES])
def test_core(name, check):
    check(contract.CORES[name].exact)


SETTINGS = [
    pytest.param(make, id=f"{name}-{budget}", marks=contract.marks(name))
    for name, case in contract.CORES.items()
    for budget, make in enumerate([*case.budgets, case.exact])
]


@pytest.mark.slow
@pytest.mark.parametrize("check", contract.PROMISES, ids=lambda check: check.__name__)
@pytest.mark.parametrize("make", SETTINGS)
def test_core_at_every_setting(make, check):
    check(make)


@pytest.mark.parametrize("name", [name for name, case in contract.CORES.items() if case.budgets])
def test_an_approximation_gets_better_with_its_budget(name):
    contract.check_error_falls(contract.CORES[name].budgets)


# No core is forgotten, and none goes round the contract.


def test_every_core_is_exported_and_keeps_the_contract():
    """Each class that can be made, of any file in minitx/cores."""
    for module in pkgutil.iter_modules(cores.__path__):
        importlib.import_module(f"{cores.__name__}.{module.name}")
    waiting, written = [AttentionCore], set()
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if kind.__module__.startswith(f"{cores.__name__}."):
            written.add(kind.__name__)
    bases = {"AttentionCore", "KernelisedAttention"}  # of which there are kinds only
    exported = {name for name in cores.__all__ if name in written} - bases
    assert exported == written - bases, "export it in minitx/cores/__init__.py"
    assert set(contract.CORES) == exported, "give it an entry in CORES of tests/core/contract.py"
    budgeted = {b.name for b in BUDGETED}
    assert budgeted == exported, "give it a budget in minitx/bench/budgets.py"
    without = [name for name in exported if ">>> " not in (getattr(cores, name).__doc__ or "")]
    assert not without, "give its docstring an example"


def test_a_core_cannot_bring_a_forward_of_its_own():
    text = (
        "Hasty must define _attend, not forward: AttentionCore's forward makes sure that no rule "
        "is swallowed"
    )
    with pytest.raises(TypeError, match=f"^{re.escape(text)}$"):

        class Hasty(AttentionCore):
            supports = frozenset()

            def forward(self, q, k, v, **anything):
                return v


def test_a_core_without_attend_says_so():
    class Unfinished(AttentionCore):
        supports = frozenset()

    q = torch.zeros(1, 1, 3, 2)
    with pytest.raises(NotImplementedError, match=r"^Unfinished must define _attend$"):
        Unfinished()(q, q, q)


@pytest.mark.parametrize(
    "part",
    [
        lambda x: cores.Reformer(16, num_buckets=8, chunk_size=4).hash(x),
        lambda x: cores.Performer(16, 32).features(x),
        lambda x: moved_centroids(cores.Routing(16, num_clusters=5, decay=0.0), x),
    ],
)
def test_what_is_called_by_itself_leaves_autocast_too(part):
    x = torch.randn(1, 1, 4099, 16)  # enough that some lie near the border of two buckets
    results = []
    for enabled in (False, True):
        torch.manual_seed(0)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            results.append(part(x))
    assert torch.equal(*results)


def moved_centroids(core, x):
    core.update_centroids(x, x)
    return core.centroids


# Broken cores, each against the line of the contract that it breaks.


class Broken(FullAttention):
    """Full attention in everything that a subclass does not spoil."""


class KeepsACache(Broken):
    def _attend(self, q, k, v, mask, bias):
        self.last_keys = k
        return super()._attend(q, k, v, mask, bias)


class WritesIntoItsInput(Broken):
    def _attend(self, q, k, v, mask, bias):
        output = super()._attend(q, k, v, mask, bias)
        k.mul_(1.5)
        return output


class MixesHeads(Broken):
    def _attend(self, q, k, v, mask, bias):
        return super()._attend(q, k.mean(dim=1, keepdim=True).expand_as(k), v, mask, bias)


class AddsTheQuery(Broken):
    def _attend(self, q, k, v, mask, bias):
        return super()._attend(q, k, v, mask, bias) + q.mean()


class SwallowsBias(Broken):
    def _attend(self, q, k, v, mask, bias):
        return scaled_dot_product_attention(q, k, v, mask=mask)


class ForgetsPadding(Broken):
    def _attend(self, q, k, v, mask, bias):
        return super()._attend(q, k, v, Mask(causal=mask.causal, allowed=mask.allowed), bias)


class HidesPaddingByWeight(Broken):
    """A weight of 0, where forward has not put 0 in place of what is hidden."""

    skips_padding = True


class LosesPrecisionUnderAutocast(Broken):
    def _attend(self, q, k, v, mask, bias):
        return super()._attend(q.float(), k.float(), v.float(), mask, bias).to(q.dtype)


class CountsTheColumns(Broken):
    """Position in the table, padding included, has a say."""

    def _attend(self, q, k, v, mask, bias):
        column = torch.arange(k.size(2), dtype=k.dtype)[:, None]
        return super()._attend(q, k * column, v, mask, bias)


class LeaksALittle(Broken):
    def _attend(self, q, k, v, mask, bias):
        allowed = mask.dense(q.size(2), k.size(2), q.device)
        scores = attention_scores(q, k) + (0 if bias is None else bias)
        return scores.masked_fill(~allowed, -10.0).softmax(dim=-1) @ v


class EmptyRowsAreNaN(Broken):
    def _attend(self, q, k, v, mask, bias):
        allowed = mask.dense(q.size(2), k.size(2), q.device)
        scores = attention_scores(q, k) + (0 if bias is None else bias)
        return scores.masked_fill(~allowed, -torch.inf).softmax(dim=-1) @ v


class EmptyRowsAreNaNOnlyBackward(EmptyRowsAreNaN):
    def _attend(self, q, k, v, mask, bias):
        output = super()._attend(q, k, v, mask, bias)
        return torch.where(output.isnan(), 0.0, output)


class AlignsTopLeft(Broken):
    def _attend(self, q, k, v, mask, bias):
        if mask.causal and bias is None and mask.rules == {"causal"}:
            return F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return super()._attend(q, k, v, mask, bias)


class ScalesByWidthOfValues(Broken):
    def _attend(self, q, k, v, mask, bias):
        return scaled_dot_product_attention(q, k, v, mask=mask, bias=bias, scale=v.size(-1) ** -0.5)


class NormalisesOverQueries(Broken):
    def _attend(self, q, k, v, mask, bias):
        return attention_scores(q, k).softmax(dim=-2) @ v


class CutsTheGradient(Broken):
    def _attend(self, q, k, v, mask, bias):
        return super()._attend(q, k.detach() + 0 * k, v, mask, bias)


class InventsARule(Broken):
    supports = FullAttention.supports | {"windowed"}


class RefusesWithoutSayingWhat(Broken):
    def _attend(self, q, k, v, mask, bias):
        if q.size(2) != k.size(2):
            raise ValueError("no")
        return super()._attend(q, k, v, mask, bias)


BROKEN = [
    (KeepsACache, contract.check_pure),
    (WritesIntoItsInput, contract.check_pure),
    (MixesHeads, contract.check_heads_and_samples_are_separate),
    (AddsTheQuery, contract.check_linear_in_v),
    (SwallowsBias, contract.check_equals_the_loops),
    (InventsARule, contract.check_refuses_what_it_does_not_support),
    (ForgetsPadding, contract.check_weights_sum_to_one),
    (ForgetsPadding, contract.check_padding_is_not_seen),
    (HidesPaddingByWeight, contract.check_padding_may_hold_anything),
    (CountsTheColumns, contract.check_padding_in_front),
    (LosesPrecisionUnderAutocast, contract.check_autocast_changes_no_promise),
    (LeaksALittle, contract.check_no_weight_where_forbidden),
    (NormalisesOverQueries, contract.check_weights_sum_to_one),
    (EmptyRowsAreNaN, contract.check_empty_rows),
    (EmptyRowsAreNaNOnlyBackward, contract.check_empty_rows),
    (AlignsTopLeft, contract.check_causal_is_bottom_right),
    (RefusesWithoutSayingWhat, contract.check_causal_is_bottom_right),
    (ScalesByWidthOfValues, contract.check_equals_the_loops),
    (CutsTheGradient, contract.check_gradients_equal_full_attention),
]


@pytest.mark.parametrize(("core", "check"), BROKEN, ids=lambda part: part.__name__)
def test_the_contract_catches(core, check):
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check(lambda T: core())


def test_a_core_may_refuse_lengths_and_still_keep_the_contract():
    class SquareOnly(FullAttention):
        def _attend(self, q, k, v, mask, bias):
            if q.size(2) != k.size(2):
                raise ValueError(f"T_q ({q.size(2)}) must equal T_k ({k.size(2)})")
            return super()._attend(q, k, v, mask, bias)

    for check in contract.CHECKS:
        check(lambda T: SquareOnly())


def test_the_budget_check_tells_better_from_worse():
    class Blurred(AttentionCore):
        supports = frozenset()

        def __init__(self, share):
            super().__init__()
            self.share = share

        def _attend(self, q, k, v, mask, bias):
            average = v.mean(dim=2, keepdim=True)
            return (1 - self.share) * scaled_dot_product_attention(q, k, v) + self.share * average

    better = [lambda T, s=share: Blurred(s) for share in (0.5, 0.2, 0.0)]
    contract.check_error_falls(better)
    with pytest.raises(AssertionError):
        contract.check_error_falls(better[::-1])
