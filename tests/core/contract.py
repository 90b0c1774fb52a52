"""The contract of `minitx.cores`, line by line, as checks that run over every core.

To add a core, add its entry to CORES: how to make it, for sequences of at most T keys, at the
setting where it is exact, and what else it promises. `test_contract.py` fails while a core that is
exported has none.
"""

import copy
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from minitx import cores, numpy_core
from minitx.cores import AttentionCore, FullAttention, UnsupportedMask
from minitx.cores.base import RULES
from minitx.masks import Mask, causal, padding

from ..interpreter import patch_once_per_launch
from . import references

patch_once_per_launch()

Maker = Callable[[int], AttentionCore]


@dataclass(frozen=True)
class Case:
    """What is known of a core.

    Args:
        exact: makes it for at most T keys so that it equals full attention.
        budgets: of an approximation: makers of growing budget, whose error must fall.
        frugal: makes it as it would be used at length T, where it promises that no table of T × T
            is made; None if it makes one.
        reference: what it equals that is exact, but not softmax attention (a kernel in place of
            exp, queries that are their own keys), with the whole table in memory.
    """

    exact: Maker
    budgets: Sequence[Maker] = ()
    frugal: Maker | None = None
    reference: Callable[[AttentionCore], AttentionCore] | None = None


CORES = {
    "BigBird": Case(
        lambda T: cores.BigBird(2, num_random_blocks=T),
        budgets=[lambda T, r=r: cores.BigBird(4, num_random_blocks=r, seed=0) for r in (1, 4, 8)],
        frugal=lambda T: cores.BigBird(32),
    ),
    "FlashAttention": Case(
        lambda T: cores.FlashAttention(), frugal=lambda T: cores.FlashAttention()
    ),
    "FullAttention": Case(lambda T: cores.FullAttention()),
    "FusedAttention": Case(
        lambda T: cores.FusedAttention(), frugal=lambda T: cores.FusedAttention()
    ),
    "LinearAttention": Case(
        lambda T: cores.LinearAttention(chunk_size=3),
        frugal=lambda T: cores.LinearAttention(),
        reference=lambda core: references.DenseLinearAttention(),
    ),
    "Linformer": Case(
        lambda T: cores.Linformer(T, T, start="segments"),
        budgets=[
            lambda T, r=r: cores.Linformer(T, min(r, T), start="segments") for r in (8, 24, 48)
        ],
        frugal=lambda T: cores.Linformer(T, 64),
    ),
    "Nystrom": Case(
        lambda T: cores.Nystrom(T, pinv_iterations=40),
        budgets=[lambda T, m=m: cores.Nystrom(m, pinv_iterations=12) for m in (4, 16, 48)],
        frugal=lambda T: cores.Nystrom(32),
    ),
    "Performer": Case(
        lambda T: cores.Performer(D_k, 23, chunk_size=3),
        frugal=lambda T: cores.Performer(D_k),
        reference=references.DensePerformer,
    ),
    "Reformer": Case(
        lambda T: cores.Reformer(D_k, num_buckets=1, chunk_size=T, num_rounds=2),
        budgets=[
            lambda T, c=c: cores.Reformer(D_k, num_buckets=4, chunk_size=c, num_rounds=2)
            for c in (2, 5, 13)
        ],
        frugal=lambda T: cores.Reformer(D_k, num_buckets=16, chunk_size=64, num_rounds=2),
        reference=lambda core: references.SharedQK(),
    ),
    "Routing": Case(
        lambda T: cores.Routing(D_k, num_clusters=1),
        budgets=[lambda T, c=c: cores.Routing(D_k, num_clusters=c) for c in (7, 3, 2)],
        frugal=lambda T: cores.Routing(D_k, num_clusters=16, window=64),
    ),
    "SlidingWindow": Case(
        lambda T: cores.SlidingWindow(T),
        budgets=[
            lambda T, r=r: cores.SlidingWindow(r, dilation=2, global_tokens=[0]) for r in (2, 7, 19)
        ],
        frugal=lambda T: cores.SlidingWindow(64, global_tokens=[0, T // 2]),
    ),
    "StridedSparse": Case(
        lambda T: cores.StridedSparse(T),
        budgets=[lambda T, s=stride: cores.StridedSparse(s) for stride in (11, 23, 41)],
        frugal=lambda T: cores.StridedSparse(round(T**0.5)),
    ),
    "TiledAttention": Case(
        lambda T: cores.TiledAttention(block_q=2, block_k=3),
        frugal=lambda T: cores.TiledAttention(block_q=64, block_k=64),
    ),
    "TopK": Case(
        lambda T: cores.TopK(T, chunk=3),
        budgets=[lambda T, k=k: cores.TopK(k, chunk=7) for k in (3, 11, 29)],
        frugal=lambda T: cores.TopK(32, chunk=64),
    ),
}

INTERPRETED = {"FlashAttention"}  # its kernel runs line by line in Triton's interpreter


def marks(name):
    return pytest.mark.slow if name in INTERPRETED else ()


B, H, D_k, D_v = 2, 3, 11, 13
LENGTHS = [(5, 7), (7, 5), (1, 7), (7, 7)]  # queries, keys
ALL_RULES = [
    frozenset(rules)
    for count in range(len(RULES) + 1)
    for rules in itertools.combinations(sorted(RULES), count)
]
# float64 sums over 7 keys: rounding is near 1e-15, any mistake is far above 1e-10.
EXACT = {"rtol": 1e-10, "atol": 1e-12}


def inputs(T_q: int, T_k: int, *, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    shapes = (B, H, T_q, D_k), (B, H, T_k, D_k), (B, H, T_k, D_v)
    q, k, v = (torch.randn(s, generator=random, dtype=torch.float64) for s in shapes)
    return q, k, v


def rules(names: frozenset[str], T_q: int, T_k: int) -> tuple[Mask, Tensor | None]:
    """A mask and a bias with exactly these rules, different in every sample and head."""
    random = torch.Generator().manual_seed(1)
    mask = Mask()
    if "causal" in names:
        mask &= causal()
    if "key_padding" in names:
        mask &= padding([T_k - 2, T_k - 1], max_len=T_k)
    if "pairwise" in names:
        mask &= Mask(allowed=torch.rand(B, H, T_q, T_k, generator=random) < 0.7)
    bias = torch.randn(1, H, T_q, T_k, generator=random, dtype=torch.float64)
    return mask, bias if "bias" in names else None


def allowed_by_loops(mask: Mask, T_q: int, T_k: int) -> np.ndarray:
    """The table of `mask`, worked out pair by pair from what each rule says."""
    table = np.ones((B, H, T_q, T_k), dtype=bool)
    for b, h, i, j in np.ndindex(table.shape):
        if mask.causal and j > T_k - T_q + i:
            table[b, h, i, j] = False
        if mask.key_padding is not None and not mask.key_padding[b, j]:
            table[b, h, i, j] = False
        if mask.allowed is not None:
            every = mask.allowed.expand(B, H, T_q, T_k)
            table[b, h, i, j] &= bool(every[b, h, i, j])
    return table


def by_loops(q: Tensor, k: Tensor, v: Tensor, mask: Mask, bias: Tensor | None) -> Tensor:
    """The oracle: numpy_core.attention on one head of one sample after another.

    A bias is fed in as more columns: [q/√D_k, 1_i] · [k, bias[:, j]] = q·k/√D_k + bias[i, j].
    """
    T_q, T_k = q.size(2), k.size(2)
    allowed = allowed_by_loops(mask, T_q, T_k)
    table = torch.zeros(1, 1, T_q, T_k) if bias is None else bias
    table = table.expand(B, H, T_q, T_k)
    output = torch.zeros(B, H, T_q, v.size(3), dtype=torch.float64)
    for b, h in np.ndindex(B, H):
        queries = np.hstack([q[b, h].numpy() / np.sqrt(D_k), np.eye(T_q)])
        keys = np.hstack([k[b, h].numpy(), table[b, h].numpy().T])
        output[b, h] = torch.from_numpy(
            numpy_core.attention(queries, keys, v[b, h].numpy(), allowed=allowed[b, h], scale=1.0)
        )
    return output


def supported(core: AttentionCore) -> Iterator[tuple[int, int, Mask, Tensor | None]]:
    """Every combination of rules the core says it honours, at every pair of lengths it takes."""
    for names in ALL_RULES:
        for T_q, T_k in LENGTHS:
            if names <= core.supports and takes_lengths(core, T_q, T_k):
                yield (T_q, T_k, *rules(names, T_q, T_k))


def takes_lengths(core: AttentionCore, T_q: int, T_k: int) -> bool:
    """False when the core refuses T_q != T_k, which it may, and says so."""
    if T_q == T_k:
        return True
    try:
        core(*inputs(T_q, T_k))
    except ValueError as refusal:
        assert "T_q" in str(refusal), f"the refusal does not say what it refuses: {refusal}"
        return False
    return True


def weights_of(
    core: AttentionCore, q: Tensor, k: Tensor, mask: Mask, bias: Tensor | None
) -> Tensor:
    """(B, H, T_q, T_k): what v = I reads off."""
    T_k = k.size(2)
    identity = torch.eye(T_k, dtype=q.dtype).expand(B, H, T_k, T_k)
    return core(q, k, identity, mask=mask, bias=bias)


# --- 1. pure in its inputs ---------------------------------------------------------------------


def check_pure(make: Maker) -> None:
    core = make(7)
    q, k, v = inputs(7, 7)
    before = [t.clone() for t in (q, k, v)]
    state = {name: t.clone() for name, t in core.state_dict().items()}
    attributes = set(vars(core))

    first = core(q, k, v)
    core(*inputs(7, 7, seed=5))
    torch.testing.assert_close(core(q, k, v), first, rtol=0, atol=0)

    for now, then in zip((q, k, v), before, strict=True):
        assert torch.equal(now, then), "an input was changed in place"
    assert set(vars(core)) == attributes, "a call left something behind on the core"
    for name, tensor in core.state_dict().items():
        assert torch.equal(tensor, state[name]), f"a call changed {name}"


def check_heads_and_samples_are_separate(make: Maker) -> None:
    core, (q, k, v) = make(7), inputs(7, 7)
    output = core(q, k, v)
    for b, h in np.ndindex(B, H):
        one = (slice(b, b + 1), slice(h, h + 1))
        torch.testing.assert_close(core(q[one], k[one], v[one]), output[one], **EXACT)


# --- 2. never ignores a rule -------------------------------------------------------------------


def check_refuses_what_it_does_not_support(make: Maker) -> None:
    core = make(7)
    assert core.supports <= RULES, f"{core.supports - RULES} is no rule"
    for names in ALL_RULES:
        if names <= core.supports:
            continue
        mask, bias = rules(names, 7, 7)
        with pytest.raises(UnsupportedMask) as refusal:
            core(*inputs(7, 7), mask=mask, bias=bias)
        says = str(refusal.value)
        assert type(core).__name__ in says
        assert all(name in says for name in names | core.supports), says


def check_no_weight_where_forbidden(make: Maker) -> None:
    core = make(7)
    for T_q, T_k, mask, bias in supported(core):
        q, k, _ = inputs(T_q, T_k)
        weights = weights_of(core, 100 * q, k, mask, bias)  # scores of some hundreds
        forbidden = torch.from_numpy(~allowed_by_loops(mask, T_q, T_k))
        assert (weights[forbidden] == 0).all(), f"weight on a forbidden pair: {mask.rules}"


# --- 3. linear in v ----------------------------------------------------------------------------


def check_linear_in_v(make: Maker) -> None:
    core = make(7)
    for T_q, T_k, mask, bias in supported(core):
        q, k, v = inputs(T_q, T_k)
        weights = weights_of(core, q, k, mask, bias)
        torch.testing.assert_close(core(q, k, v, mask=mask, bias=bias), weights @ v, **EXACT)


def check_weights_sum_to_one(make: Maker) -> None:
    core = make(7)
    for T_q, T_k, mask, bias in supported(core):
        q, k, _ = inputs(T_q, T_k)
        sums = weights_of(core, q, k, mask, bias).sum(dim=-1)
        wanted = torch.from_numpy(allowed_by_loops(mask, T_q, T_k).any(axis=-1)).double()
        torch.testing.assert_close(sums, wanted, **EXACT)


# --- 4. a query that may attend to nothing ------------------------------------------------------


def check_empty_rows(make: Maker) -> None:
    core = make(7)
    nobody = torch.rand(B, H, 7, 7) < 0.7
    nobody[:, :, 2] = False
    emptying = {
        "key_padding": padding([0, 5], max_len=7),
        "pairwise": Mask(allowed=nobody),
    }
    for names in ALL_RULES:
        for rule, empty in emptying.items():
            if not names | {rule} <= core.supports:
                continue
            mask, bias = rules(names, 7, 7)
            assert_empty_rows_are_zero(core, 7, 7, mask & empty, bias)
    if "causal" in core.supports and takes_lengths(core, 7, 5):
        assert_empty_rows_are_zero(core, 7, 5, causal(), None)


def assert_empty_rows_are_zero(
    core: AttentionCore, T_q: int, T_k: int, mask: Mask, bias: Tensor | None
) -> None:
    empty = torch.from_numpy(~allowed_by_loops(mask, T_q, T_k).any(axis=-1))
    assert empty.any()
    leaves = [t.requires_grad_() for t in inputs(T_q, T_k)]
    if bias is not None:
        leaves.append(bias.requires_grad_())
    output = core(*leaves[:3], mask=mask, bias=bias)
    assert (output[empty] == 0).all(), f"not exactly 0: {mask.rules}"
    loss = output.square().sum() + output.sum()
    gradients = torch.autograd.grad(loss, leaves, materialize_grads=True)
    for name, gradient in zip("qkvb", gradients, strict=False):
        assert gradient.isfinite().all(), f"gradient of {name} is not finite: {mask.rules}"
    assert (gradients[0][empty] == 0).all(), "an empty query has a gradient"


# --- 5. T_q != T_k, causal bottom-right ----------------------------------------------------------


def check_causal_is_bottom_right(make: Maker) -> None:
    core = make(7)
    if "causal" not in core.supports:
        return
    for T_q, T_k in LENGTHS:
        if not takes_lengths(core, T_q, T_k):
            continue
        q, k, _ = inputs(T_q, T_k)
        attended = weights_of(core, q, k, causal(), None) > 0
        wanted = torch.from_numpy(numpy_core.causal_allowed(T_q, T_k)).expand(B, H, T_q, T_k)
        if dense := reference(core):
            wanted = wanted & (weights_of(dense, q, k, causal(), None) > 0)
        assert torch.equal(attended, wanted), f"T_q={T_q}, T_k={T_k}"


# --- 6. exact at its exact setting ---------------------------------------------------------------


def reference(core: AttentionCore) -> AttentionCore | None:
    """What a core equals that is exact in another way than softmax; None for the loops."""
    ancestors = (c.__name__ for c in type(core).__mro__)
    case = next((CORES[name] for name in ancestors if name in CORES), None)
    return None if case is None or case.reference is None else case.reference(core)


def check_equals_the_loops(make: Maker) -> None:
    core = make(7)
    dense = reference(core)
    for T_q, T_k, mask, bias in supported(core):
        q, k, v = inputs(T_q, T_k)
        got = core(q, k, v, mask=mask, bias=bias)
        wanted = dense(q, k, v, mask=mask) if dense else by_loops(q, k, v, mask, bias)
        torch.testing.assert_close(got, wanted, **EXACT)


def check_gradients_equal_full_attention(make: Maker) -> None:
    core = make(7)
    for T_q, T_k, mask, bias in supported(core):
        leaves = [t.requires_grad_() for t in inputs(T_q, T_k)]
        if bias is not None:
            leaves.append(bias.requires_grad_())
        got, want = (
            torch.autograd.grad(
                c(*leaves[:3], mask=mask, bias=bias).square().sum(), leaves, materialize_grads=True
            )
            for c in (core, reference(core) or FullAttention())
        )
        for ours, theirs in zip(got, want, strict=True):
            # An entry may be a small difference of large terms: rounding goes with the largest.
            largest = float(theirs.abs().max())
            torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12 * max(1.0, largest))


def check_error_falls(makers: list[Maker]) -> None:
    """Of an approximation: each larger budget is closer to what it approximates."""
    T = 61  # no multiple of anything
    wanted = [reference(makers[0](T)) or FullAttention()] * 3
    examples = [inputs(T, T, seed=seed) for seed in range(len(wanted))]
    errors = []
    for make in makers:
        torch.manual_seed(0)
        pairs = zip(wanted, examples, strict=True)
        with torch.no_grad():
            errors.append(sum(float((make(T)(*x) - dense(*x)).norm()) for dense, x in pairs))
    assert len(errors) >= 3
    assert all(after < before for before, after in itertools.pairwise(errors)), errors


# --- at every setting ----------------------------------------------------------------------------
#
# The checks above are about the exact setting. What follows holds at every other one, too: it is
# checked for the exact setting and for all budgets, at lengths that are no multiple of a block.


def drawn(T: int, *, dtype: torch.dtype = torch.float64, seed: int = 0) -> list[Tensor]:
    return [t.to(dtype) for t in inputs(T, T, seed=seed)]


def masks_of(core: AttentionCore, T: int) -> Iterator[Mask]:
    """No rule, and each combination of causal and padding that the core honours."""
    for mask in (Mask(), causal(), padding([T - 5, T], max_len=T)):
        if mask.rules <= core.supports:
            yield mask
    if {"causal", "key_padding"} <= core.supports:
        yield causal() & padding([T - 5, T], max_len=T)


def check_the_future_is_not_seen(make: Maker) -> None:
    """Not even through what is chosen: other tokens from t on, the same outputs before t."""
    T = 37
    core = make(T)
    if "causal" not in core.supports:
        return
    before, other = drawn(T), drawn(T, seed=1)
    pairs = list(zip(before, other, strict=True))
    for t in (1, 17, 29, T - 1):
        after = [torch.cat([a[:, :, :t], 3 * b[:, :, t:]], 2) for a, b in pairs]
        got, wanted = (core(*x, mask=causal())[:, :, :t] for x in (after, before))
        torch.testing.assert_close(got, wanted, **EXACT)


def check_padding_is_not_seen(make: Maker) -> None:
    """Whatever stands in the padding, the other outputs stay the same.

    Here `_attend` is asked, so that padding is seen that the core forgets and `forward` cleans.
    """
    T = 37
    core = make(T)
    for mask in masks_of(core, T):
        if mask.key_padding is None:
            continue
        is_token = mask.key_padding[:, None, :, None]
        one, other = drawn(T), drawn(T, seed=1)
        changed = [torch.where(is_token, a, 3 * b) for a, b in zip(one, other, strict=True)]
        got, wanted = (core._attend(*x, mask, None) * is_token for x in (changed, one))
        torch.testing.assert_close(got, wanted, **EXACT)


def check_padding_may_hold_anything(make: Maker) -> None:
    """NaN, inf, 1e38: in k and v nothing depends on it, in q no other query does."""
    T = 37
    core = make(T).to(torch.float32)
    for mask in masks_of(core, T):
        if mask.key_padding is None:
            continue
        is_token = mask.key_padding[:, None, :, None]
        q, k, v = drawn(T, dtype=torch.float32)
        for anything in (torch.nan, torch.inf, 1e38):
            results = []
            for fill in (0.0, anything):
                leaves = [q, *(x.masked_fill(~is_token, fill) for x in (k, v))]
                leaves = [x.detach().requires_grad_() for x in leaves]
                output = core(*leaves, mask=mask)
                gradients = torch.autograd.grad(
                    output.square().sum(), leaves, materialize_grads=True
                )
                results.append((output, *gradients))
            torch.testing.assert_close(results[1], results[0], rtol=0, atol=0)
            with torch.no_grad():
                got = core(q.masked_fill(~is_token, anything), k, v, mask=mask)
                wanted = core(q.masked_fill(~is_token, 0.0), k, v, mask=mask)
            torch.testing.assert_close(
                got.where(is_token, 0.0), wanted.where(is_token, 0.0), rtol=0, atol=0
            )


def check_padding_in_front(make: Maker) -> None:
    """Tokens behind their padding get what they get before it, or the core says that it cannot."""
    T, n = 37, 32
    core = make(T)
    shifted = lambda x, dim: torch.stack([x[0].roll(T - n, dim), x[1]])  # noqa: E731
    for behind in masks_of(core, T):
        if behind.key_padding is None:
            continue
        in_front = Mask(causal=behind.causal, key_padding=shifted(behind.key_padding, 0))
        x = drawn(T)
        try:
            got = core(*(shifted(t, 1) for t in x), mask=in_front)
        except ValueError as refusal:
            assert "got some before a word" in str(refusal), refusal
            continue
        wanted = core(*x, mask=behind)
        torch.testing.assert_close(got[0, :, T - n :], wanted[0, :, :n], **EXACT)
        torch.testing.assert_close(got[1], wanted[1], **EXACT)


def check_weights_and_empty_queries(make: Maker) -> None:
    """Linear in v, and no weight where forbidden, away from the exact setting."""
    T = 37
    core = make(T)
    for mask in masks_of(core, T):
        q, k, v = drawn(T)
        identity = torch.eye(T, dtype=q.dtype).expand(B, H, T, T)
        weights = core(q, k, identity, mask=mask)
        torch.testing.assert_close(core(q, k, v, mask=mask), weights @ v, **EXACT)
        forbidden = torch.from_numpy(~allowed_by_loops(mask, T, T))
        assert (weights[forbidden] == 0).all(), f"weight on a forbidden pair: {mask.rules}"


def check_any_length(make: Maker) -> None:
    """One token, and lengths around every power of two."""
    for T in (1, 2, 3, 8, 15, 16, 17, 33):
        core = make(T)
        for mask in masks_of(core, T) if T > 5 else [Mask()]:
            leaves = [t.requires_grad_() for t in drawn(T)]
            output = core(*leaves, mask=mask)
            assert output.shape == (B, H, T, D_v)
            assert output.isfinite().all(), f"T = {T}, {mask.rules}"
            for gradient in torch.autograd.grad(output.sum(), leaves, materialize_grads=True):
                assert gradient.isfinite().all(), f"T = {T}, {mask.rules}"


def check_half_precision(make: Maker) -> None:
    """fp32, bf16 and fp16 in and out, and near float64."""
    T = 37
    torch.manual_seed(0)
    core = make(T)
    # Numbers are rounded to 2⁻⁹ (bfloat16) and 2⁻¹² (float16) of themselves: some two roundings.
    # float32 rounds to 6e-8, which the inverse of Nystrom magnifies to 1e-5.
    for dtype, close in ((torch.float32, 5e-5), (torch.bfloat16, 0.01), (torch.float16, 1.25e-3)):
        for mask in masks_of(core, T):
            q, k, v = drawn(T, dtype=dtype)
            # The reference reads the very same, already rounded numbers.
            rounded = copy.deepcopy(core).to(dtype)
            got = rounded(q, k, v, mask=mask)
            wanted = rounded.double()(q.double(), k.double(), v.double(), mask=mask)
            assert got.dtype == dtype
            error = (got.double() - wanted).norm() / wanted.norm()
            assert error < close, f"{dtype}, {mask.rules}: {error:.1e}"


def check_autocast_changes_no_promise(make: Maker) -> None:
    """Half precision under autocast is as near to float64 as it is without."""
    T = 37
    torch.manual_seed(0)
    core = make(T)
    exact = copy.deepcopy(core).double()
    for mask in masks_of(core, T):
        q, k, v = drawn(T, dtype=torch.bfloat16)
        with torch.no_grad():
            wanted = exact(q.double(), k.double(), v.double(), mask=mask)
            plain = core(q, k, v, mask=mask)
            with torch.autocast("cpu", torch.bfloat16):
                cast = core(q, k, v, mask=mask)
        assert cast.dtype == plain.dtype
        errors = [float((got.double() - wanted).norm() / wanted.norm()) for got in (plain, cast)]
        # Equal for most; where autocast computes a softmax in float32, other roundings.
        assert errors[1] < 1.2 * errors[0], f"{mask.rules}: {errors[0]:.1e}, cast {errors[1]:.1e}"


def check_the_mask_may_be_elsewhere(make: Maker) -> None:
    """A mask made on the CPU serves queries on another device; `meta` is one that is always there.

    There are no numbers on it, so only what does not look at numbers can be asked.
    """
    core = make(7).to("meta")
    q, k, v = (t.to("meta") for t in inputs(7, 7))
    for names in ALL_RULES:
        if names <= core.supports - {"bias"}:
            assert core(q, k, v, mask=rules(names, 7, 7)[0]).shape == (B, H, 7, D_v)


def check_same_seed_same_result(make: Maker) -> None:
    T = 37
    outputs = []
    for _ in range(2):
        torch.manual_seed(7)
        outputs.append(make(T)(*drawn(T)))
    assert torch.equal(*outputs)


def check_nothing_is_refused_clearly(make: Maker) -> None:
    core = make(7)
    q, k, v = inputs(7, 7)
    for empty in ((q[:0], k[:0], v[:0]), (q, k[:, :, :0], v[:, :, :0]), (q[:, :, :0], k, v)):
        with pytest.raises(ValueError, match="at least 1"):
            core(*empty)


def check_gradients_are_those_of_the_output(make: Maker) -> None:
    """Against finite differences; where something is chosen, the choice is stable nearby."""
    T = 11
    core = make(T)
    q, k, v = (t[:1, :1].clone().requires_grad_() for t in inputs(T, T))
    for mask in (Mask(), causal()):
        if mask.rules <= core.supports:
            assert torch.autograd.gradcheck(partial(core, mask=mask), (q, k, v), fast_mode=True)


CHECKS = [
    check_pure,
    check_heads_and_samples_are_separate,
    check_refuses_what_it_does_not_support,
    check_no_weight_where_forbidden,
    check_linear_in_v,
    check_weights_sum_to_one,
    check_empty_rows,
    check_causal_is_bottom_right,
    check_equals_the_loops,
    check_gradients_equal_full_attention,
]

PROMISES = [
    check_the_future_is_not_seen,
    check_padding_is_not_seen,
    check_padding_may_hold_anything,
    check_padding_in_front,
    check_weights_and_empty_queries,
    check_any_length,
    check_half_precision,
    check_autocast_changes_no_promise,
    check_the_mask_may_be_elsewhere,
    check_same_seed_same_result,
    check_nothing_is_refused_clearly,
    check_gradients_are_those_of_the_output,
]
