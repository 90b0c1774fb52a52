"""Linear attention and the Performer: peers, closed forms, and mistakes that must not pass."""

import itertools
import math
import re
from functools import partial

import numpy as np
import pytest
import torch
from performer_pytorch.performer_pytorch import (
    FastAttention,
    causal_linear_attention_noncuda,
    linear_attention,
    softmax_kernel,
)
from torch.nn import functional as F

from minitx.cores import FullAttention, LinearAttention, Performer
from minitx.cores.kernelised import KernelisedAttention
from minitx.cores.performer import orthogonal_gaussian
from minitx.masks import Mask, causal, padding
from minitx.models.gpt import GPT, GPTConfig

from . import contract
from .contract import EXACT
from .references import DensePerformer

B, H, T, D_k, D_v, M = 2, 3, 29, 11, 13, 47


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def inputs(T_q=T, T_k=T, dtype=torch.float64):
    shapes = (B, H, T_q, D_k), (B, H, T_k, D_k), (B, H, T_k, D_v)
    return [torch.randn(shape, dtype=dtype) for shape in shapes]


# --- linear attention ----------------------------------------------------------------------------


def test_linear_attention_is_the_peers():
    q, k, v = inputs()
    features = F.elu(q) + 1, F.elu(k) + 1
    got = LinearAttention(chunk_size=5)(q, k, v)
    torch.testing.assert_close(got, linear_attention(*features, v), **EXACT)
    got = LinearAttention(chunk_size=5)(q, k, v, mask=causal())
    want = causal_linear_attention_noncuda(*features, v, chunk_size=T, eps=0.0)
    torch.testing.assert_close(got, want, **EXACT)


def test_linear_attention_is_a_recurrent_network():
    """Katharopoulos et al. 2020, eq. 16-20: a state, updated by every token and read by it."""
    q, k, v = inputs()
    got = LinearAttention(chunk_size=5)(q, k, v, mask=causal())
    phi = lambda x: np.where(x > 0, x + 1, np.exp(x))  # noqa: E731
    for b, h in np.ndindex(B, H):
        s, z = np.zeros((D_k, D_v)), np.zeros(D_k)
        for i in range(T):
            s += np.outer(phi(k[b, h, i].numpy()), v[b, h, i].numpy())
            z += phi(k[b, h, i].numpy())
            query = phi(q[b, h, i].numpy())
            np.testing.assert_allclose(got[b, h, i], query @ s / (query @ z), rtol=1e-10)


def test_features_far_below_zero_keep_their_digits():
    x = torch.tensor([[[[-30.0, -50.0]]]])
    # In float32 elu(-30) + 1 is exactly 0.
    features = LinearAttention().features(x)[0, 0, 0]
    assert features.tolist() == pytest.approx([math.exp(-30), math.exp(-50)], rel=1e-6, abs=0)


# --- the Performer against the peer --------------------------------------------------------------


def shared_projection(features=M):
    """Theirs and ours, with their projection, in float64."""
    theirs = FastAttention(D_k, nb_features=features).double()
    ours = Performer(D_k, features, chunk_size=5).double()
    ours.projection.copy_(theirs.projection_matrix)
    return theirs, ours


def test_performer_is_performer_pytorch():
    theirs, ours = shared_projection()
    q, k, v = inputs()
    q, k = 0.5 * q, 0.5 * k
    # They add 1e-4 to every feature, of which the largest is 1.
    torch.testing.assert_close(ours(q, k, v), theirs(q, k, v), rtol=0, atol=5e-3)


@pytest.mark.parametrize("rule", ["none", "causal", "causal, fewer queries"])
def test_performer_is_performer_pytorch_but_for_what_they_add(rule):
    theirs, ours = shared_projection()
    q, k, v = inputs()
    features = [
        softmax_kernel(x, projection_matrix=theirs.projection_matrix, is_query=is_query, eps=0.0)
        for x, is_query in ((q, True), (k, False))
    ]
    if rule == "none":
        want, got = linear_attention(*features, v), ours(q, k, v)
    else:
        want = causal_linear_attention_noncuda(*features, v, chunk_size=T, eps=0.0)
        first = 0 if rule == "causal" else 17
        want, got = want[:, :, first:], ours(q[:, :, first:], k, v, mask=causal())
    torch.testing.assert_close(got, want, **EXACT)


# --- the Performer's promises --------------------------------------------------------------------


def estimate(q, k, core):
    """φ(q)·φ(k) over exp(q·k/√D_k), which is 1 on average."""
    weights = core.features(q) @ core.features(k).mT
    return weights / (q @ k.mT / math.sqrt(q.size(-1))).exp()


def short_vectors(count):
    """The variance grows like exp(|q + k|²/√D_k); keys of unequal length, so that |k|² counts."""
    q, k = 0.5 * torch.randn(2, 1, 1, count, D_k)
    return q, k * torch.linspace(0.4, 1.8, count)[:, None]


@pytest.mark.parametrize("orthogonal", [True, False])
@pytest.mark.parametrize("features", ["positive", "trigonometric"])
def test_the_kernel_is_unbiased(features, orthogonal):
    q, k = short_vectors(7)
    draws = [
        estimate(q, k, Performer(D_k, 1024, features=features, orthogonal=orthogonal))
        for _ in range(40)
    ]
    ratios = torch.stack(draws)
    # Five standard errors of the mean of 40 draws, for all 49 pairs at once; and near 1 at all.
    error = ratios.std(dim=0) / math.sqrt(40)
    assert ((ratios.mean(dim=0) - 1).abs() < 5 * error).all()
    assert (ratios.mean(dim=0) - 1).abs().max() < 0.1


def test_one_draw_of_many_features_is_near():
    q, k = short_vectors(17)
    core = Performer(D_k, 4096)
    assert (estimate(q, k, core) - 1).abs().mean() < 0.1
    assert (core.features(q) > 0).all()


def mean_error(T=61, **options):
    """To softmax attention, over three inputs and five draws each."""
    errors = []
    for seed in range(3):
        torch.manual_seed(seed)
        q, k, v = inputs(T, T)
        q = 0.5 * q
        want = FullAttention()(q, k, v)
        cores = [Performer(D_k, **options) for _ in range(5)]
        errors += [float((core(q, k, v) - want).norm() / want.norm()) for core in cores]
    return sum(errors) / len(errors)


def test_the_error_falls_with_the_number_of_features():
    errors = [mean_error(num_features=m) for m in (16, 64, 256, 1024)]
    assert all(after < 0.9 * before for before, after in itertools.pairwise(errors))
    assert errors[-1] < 0.5 * errors[0]


def test_orthogonal_features_are_better_than_independent_ones():
    q, k = (0.5 * x for x in short_vectors(17))  # longer ones have tails that hide it
    spread = [
        torch.stack([estimate(q, k, Performer(D_k, D_k, orthogonal=kind)) for _ in range(300)])
        for kind in (True, False)
    ]
    assert spread[0].var(dim=0).mean() < spread[1].var(dim=0).mean()


def test_positive_features_are_better_where_weights_are_small():
    """Choromanski et al. 2021, §2.3 and figure 2: opposite query and key."""
    q = torch.randn(1, 1, 1, D_k)
    q = 2.5 * q / q.norm() * D_k**0.25
    worst = [
        max(float((estimate(q, -q, Performer(D_k, M, features=kind)) - 1).abs()) for _ in range(9))
        for kind in ("positive", "trigonometric")
    ]
    assert 10 * worst[0] < worst[1]


def test_trigonometric_attention_is_its_features():
    core = Performer(D_k, M, features="trigonometric", chunk_size=5).double()
    q, k, v = inputs()
    q, k = 0.5 * q, 0.5 * k  # so that the sums are far from 0
    table = core.features(q) @ core.features(k).mT
    assert table.shape[-2:] == (T, T) and core.features(q).size(-1) == 2 * M
    for mask in (Mask(), causal(), causal() & padding([T - 3, T])):
        weights = table * mask.dense(T, T, "cpu")
        want = weights @ v / weights.sum(dim=-1, keepdim=True)
        torch.testing.assert_close(core(q, k, v, mask=mask), want, rtol=1e-8, atol=1e-8)


def test_rows_are_orthogonal_in_blocks_and_as_long_as_gaussian_ones():
    rows = orthogonal_gaussian(3 * D_k + 2, D_k).double()
    assert rows.shape == (3 * D_k + 2, D_k)
    for block in rows.split(D_k):
        off = block @ block.mT - (block @ block.mT).diagonal().diag()
        assert off.abs().max() < 1e-5 * D_k  # drawn in float32
    squares = torch.cat([orthogonal_gaussian(D_k, D_k) for _ in range(200)]).square().sum(dim=1)
    # χ² with D_k degrees of freedom: mean D_k, variance 2 D_k; five standard errors of 2200 draws.
    assert abs(squares.mean() - D_k) < 5 * math.sqrt(2 * D_k / 2200)
    assert abs(squares.var() - 2 * D_k) < 0.3 * 2 * D_k


def test_rows_point_everywhere():
    """QR alone gives first rows that all lie in one half of space."""
    entries = torch.stack([orthogonal_gaussian(D_k, D_k) for _ in range(400)])
    assert entries.mean(dim=0).abs().max() < 5 / math.sqrt(400)


def test_redraw_is_another_draw_and_the_state_keeps_it():
    core, other = Performer(D_k, M), Performer(D_k, M)
    before = core.projection.clone()
    core.redraw()
    assert not torch.equal(core.projection, before)
    other.load_state_dict(core.state_dict())
    assert torch.equal(core.projection, other.projection)
    assert list(core.parameters()) == []


SETTINGS = {
    "few features": lambda T: Performer(contract.D_k, 5, chunk_size=7),
    "independent": lambda T: Performer(contract.D_k, 31, orthogonal=False, chunk_size=16),
    "one chunk": lambda T: Performer(contract.D_k, 31),
    "linear, one chunk": lambda T: LinearAttention(),
    "linear, chunks of one": lambda T: LinearAttention(chunk_size=1),
}


@pytest.mark.parametrize("check", contract.PROMISES[:-1], ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", SETTINGS)
def test_other_settings_keep_the_promises(name, check):
    check(SETTINGS[name])


# --- numbers far from one ------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("mask", [Mask(), causal()], ids=["all", "causal"])
def test_long_vectors_stay_finite(mask, dtype):
    core = Performer(D_k, M, chunk_size=5)
    q, k, v = (30 * x if x.size(-1) == D_k else x for x in inputs(dtype=dtype))
    leaves = [x.requires_grad_() for x in (q, k, v)]
    output = core(*leaves, mask=mask)
    assert output.isfinite().all()
    for gradient in torch.autograd.grad(output.square().sum(), leaves):
        assert gradient.isfinite().all()
    if not mask.causal:  # no weight is lost
        ones = core(q, k, torch.ones_like(v))
        torch.testing.assert_close(ones, torch.ones_like(ones))


def test_a_later_key_far_above_all_others_takes_nothing_away():
    """In float32, and in another chunk: what was summed before it is not measured by it."""
    core = Performer(D_k, M, chunk_size=5)
    q, k, v = inputs(dtype=torch.float32)
    k[:, :, :20] *= 6.0  # features near e^-50: with one largest for all keys they would vanish
    want = core(q[:, :, :20], k[:, :, :20], v[:, :, :20], mask=causal())
    got = core(q, k, v, mask=causal())[:, :, :20]
    assert torch.equal(got, want)
    dense = DensePerformer(core)(*(x[:, :, :20].double() for x in (q, k, v)), mask=causal())
    # float32 with exponents near 50: each is right to 50 · 6e-8.
    torch.testing.assert_close(got.double(), dense, rtol=1e-3, atol=1e-4)


def test_long_text_in_half_precision_sums_in_float32():
    core, T = LinearAttention(chunk_size=3), 2999
    q, k = torch.zeros(2, 1, 1, T, 3, dtype=torch.bfloat16)
    v = torch.arange(T).ge(1000).bfloat16()[None, None, :, None]
    mean = core(q, k, v, mask=causal())[0, 0, -1].item()
    # A bfloat16 sum that grows by 3 at a time ends at 1024.
    assert mean == pytest.approx(1999 / 2999, rel=2**-8)


# --- in a model ----------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [LinearAttention, partial(Performer, D_k, M, chunk_size=5)])
def test_a_gpt_decodes_with_a_cache_as_without(make):
    config = GPTConfig(
        vocab_size=17, max_len=T, d_model=3 * D_k, num_heads=3, num_layers=2, dropout=0.0, core=make
    )
    model, token_ids = GPT(config).double().eval(), torch.randint(17, (B, T))
    caches = model.new_caches()
    with torch.no_grad():
        parts = token_ids.split([11, 1, 1, 3, T - 16], dim=1)
        got = torch.cat([model(part, caches=caches) for part in parts], dim=1)
        torch.testing.assert_close(got, model(token_ids), rtol=1e-9, atol=1e-9)


# --- what must not pass --------------------------------------------------------------------------


class Wrong(Performer):
    """A Performer in everything that a subclass does not spoil."""

    def exponent_and_factor(self, x):
        scaled = self.scale(x)
        projected = scaled @ self.projection.mT.to(x.dtype)
        return projected - self.penalty(scaled) - math.log(len(self.projection)) / 2, None

    def scale(self, x):
        return x * D_k**-0.25

    def penalty(self, x):
        return x.square().sum(dim=-1, keepdim=True) / 2


class NoPenalty(Wrong):
    def penalty(self, x):
        return 0.0


class LengthNotSquared(Wrong):
    def penalty(self, x):
        return x.norm(dim=-1, keepdim=True) / 2


class NoScale(Wrong):
    def scale(self, x):
        return x


class NoRoot(Wrong):
    def exponent_and_factor(self, x):
        exponent, factor = super().exponent_and_factor(x)
        return exponent + math.log(len(self.projection)) / 2, factor


class RowsOfLengthOne(Wrong):
    def redraw(self):
        super().redraw()
        self.projection /= self.projection.norm(dim=1, keepdim=True)


def distance_from_one(kind):
    q, k = short_vectors(17)
    ratios = torch.stack([estimate(q, k, kind(D_k, 4096)) for _ in range(5)])
    return float((ratios.mean(dim=0).log()).abs().mean())


@pytest.mark.parametrize("kind", [NoPenalty, LengthNotSquared, NoScale, NoRoot, RowsOfLengthOne])
def test_the_kernel_catches(kind):
    right, wrong = distance_from_one(Wrong), distance_from_one(kind)
    assert right < 0.05 < 0.2 < wrong


class PerKeyLargest(Performer):
    """Takes every key's own largest exponent away, which does not cancel."""

    def exponent_and_factor(self, x):
        exponent, factor = super().exponent_and_factor(x)
        return exponent - exponent.amax(dim=-1, keepdim=True), factor


class Exclusive(LinearAttention):
    """The sums end before the query's own position."""

    def __init__(self):
        super().__init__(chunk_size=3)

    def _attend(self, q, k, v, mask, bias):
        if not mask.causal:
            return super()._attend(q, k, v, mask, bias)
        earlier = [F.pad(x[:, :, :-1], (0, 0, 1, 0)) for x in (k, v)]
        return super()._attend(q, *earlier, mask, bias)


def test_the_contract_catches_a_largest_of_each_key_and_sums_that_end_early():
    for make in (lambda T: PerKeyLargest(contract.D_k, M), lambda T: Exclusive()):
        with pytest.raises(AssertionError):
            contract.check_equals_the_loops(make)


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: LinearAttention(chunk_size=0), "chunk_size must be at least 1, got 0"),
        (lambda: Performer(0), "d_head must be at least 1, got 0"),
        (lambda: Performer(3, 0), "num_features must be at least 1, got 0"),
        (lambda: Performer(3, chunk_size=-1), "chunk_size must be at least 1, got -1"),
        (
            lambda: Performer(3, features="relu"),
            "features must be positive or trigonometric, got relu",
        ),
        (
            lambda: Performer(D_k + 1)(*inputs()),
            f"D_k must be d_head={D_k + 1}, got {D_k}",
        ),
    ],
)
def test_refusals(make, text, as_users_run):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        make()


def test_a_kernel_without_features_says_so():
    text = r"^KernelisedAttention must define exponent_and_factor$"
    with pytest.raises(NotImplementedError, match=text):
        KernelisedAttention(chunk_size=3)(*inputs())
