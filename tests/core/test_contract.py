"""Every core keeps the contract; and the contract catches those that do not."""

import pytest
import torch
from torch.nn import functional as F

from minitx.cores import AttentionCore, FullAttention
from minitx.functional import attention_scores, scaled_dot_product_attention
from minitx.masks import NO_MASK, Mask

from . import contract


@pytest.mark.parametrize("check", contract.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", contract.CORES)
def test_core(name, check):
    check(contract.CORES[name])


SETTINGS = [
    pytest.param(make, id=f"{name}-{budget}")
    for name, exact in contract.CORES.items()
    for budget, make in enumerate([*contract.APPROXIMATIONS.get(name, []), exact])
]


@pytest.mark.parametrize("check", contract.PROMISES, ids=lambda check: check.__name__)
@pytest.mark.parametrize("make", SETTINGS)
def test_core_at_every_setting(make, check):
    check(make)


@pytest.mark.parametrize("name", contract.APPROXIMATIONS)
def test_an_approximation_gets_better_with_its_budget(name):
    contract.check_error_falls(contract.APPROXIMATIONS[name])


# Broken cores, each against the line of the contract that it breaks.


class Broken(FullAttention):
    """Full attention in everything that a subclass does not spoil."""


class KeepsACache(Broken):
    def forward(self, q, k, v, *, mask=NO_MASK, bias=None):
        self.last_keys = k
        return super().forward(q, k, v, mask=mask, bias=bias)


class WritesIntoItsInput(Broken):
    def forward(self, q, k, v, *, mask=NO_MASK, bias=None):
        output = super().forward(q, k, v, mask=mask, bias=bias)
        k.mul_(1.5)
        return output


class MixesHeads(Broken):
    def forward(self, q, k, v, *, mask=NO_MASK, bias=None):
        return super().forward(q, k.mean(dim=1, keepdim=True).expand_as(k), v, mask=mask, bias=bias)


class AddsTheQuery(Broken):
    def forward(self, q, k, v, *, mask=NO_MASK, bias=None):
        return super().forward(q, k, v, mask=mask, bias=bias) + q.mean()


class SwallowsBias(Broken):
    supports = frozenset({"causal"})

    def check(self, q, k, v, mask, bias):
        super().check(q, k, v, mask, None)

    def forward(self, q, k, v, *, mask=NO_MASK, bias=None):
        self.check(q, k, v, mask, bias)
        return scaled_dot_product_attention(q, k, v, mask=mask)


class ForgetsPadding(Broken):
    def forward(self, q, k, v, *, mask=NO_MASK, bias=None):
        return super().forward(
            q, k, v, mask=Mask(causal=mask.causal, allowed=mask.allowed), bias=bias
        )


class LeaksALittle(Broken):
    def forward(self, q, k, v, *, mask=NO_MASK, bias=None):
        allowed = mask.dense(q.size(2), k.size(2), q.device)
        scores = attention_scores(q, k) + (0 if bias is None else bias)
        return scores.masked_fill(~allowed, -10.0).softmax(dim=-1) @ v


class EmptyRowsAreNaN(Broken):
    def forward(self, q, k, v, *, mask=NO_MASK, bias=None):
        allowed = mask.dense(q.size(2), k.size(2), q.device)
        scores = attention_scores(q, k) + (0 if bias is None else bias)
        return scores.masked_fill(~allowed, -torch.inf).softmax(dim=-1) @ v


class EmptyRowsAreNaNOnlyBackward(EmptyRowsAreNaN):
    def forward(self, q, k, v, *, mask=NO_MASK, bias=None):
        output = super().forward(q, k, v, mask=mask, bias=bias)
        return torch.where(output.isnan(), 0.0, output)


class AlignsTopLeft(Broken):
    def forward(self, q, k, v, *, mask=NO_MASK, bias=None):
        if mask.causal and bias is None and mask.rules == {"causal"}:
            return F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return super().forward(q, k, v, mask=mask, bias=bias)


class ScalesByWidthOfValues(Broken):
    def forward(self, q, k, v, *, mask=NO_MASK, bias=None):
        return scaled_dot_product_attention(q, k, v, mask=mask, bias=bias, scale=v.size(-1) ** -0.5)


class NormalisesOverQueries(Broken):
    def forward(self, q, k, v, *, mask=NO_MASK, bias=None):
        return attention_scores(q, k).softmax(dim=-2) @ v


class CutsTheGradient(Broken):
    def forward(self, q, k, v, *, mask=NO_MASK, bias=None):
        return super().forward(q, k.detach() + 0 * k, v, mask=mask, bias=bias)


class InventsARule(Broken):
    supports = FullAttention.supports | {"windowed"}


class RefusesWithoutSayingWhat(Broken):
    def forward(self, q, k, v, *, mask=NO_MASK, bias=None):
        if q.size(2) != k.size(2):
            raise ValueError("no")
        return super().forward(q, k, v, mask=mask, bias=bias)


BROKEN = [
    (KeepsACache, contract.check_pure),
    (WritesIntoItsInput, contract.check_pure),
    (MixesHeads, contract.check_heads_and_samples_are_separate),
    (AddsTheQuery, contract.check_linear_in_v),
    (SwallowsBias, contract.check_refuses_what_it_does_not_support),
    (InventsARule, contract.check_refuses_what_it_does_not_support),
    (ForgetsPadding, contract.check_no_weight_where_forbidden),
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
        def forward(self, q, k, v, *, mask=NO_MASK, bias=None):
            if q.size(2) != k.size(2):
                raise ValueError(f"T_q ({q.size(2)}) must equal T_k ({k.size(2)})")
            return super().forward(q, k, v, mask=mask, bias=bias)

    for check in contract.CHECKS:
        check(lambda T: SquareOnly())


def test_the_budget_check_tells_better_from_worse():
    class Blurred(AttentionCore):
        supports = frozenset()

        def __init__(self, share):
            super().__init__()
            self.share = share

        def forward(self, q, k, v, *, mask=NO_MASK, bias=None):
            self.check(q, k, v, mask, bias)
            average = v.mean(dim=2, keepdim=True)
            return (1 - self.share) * scaled_dot_product_attention(q, k, v) + self.share * average

    better = [lambda T, s=share: Blurred(s) for share in (0.5, 0.2, 0.0)]
    contract.check_error_falls(better)
    with pytest.raises(AssertionError):
        contract.check_error_falls(better[::-1])
