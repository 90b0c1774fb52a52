"""The mixture of experts against Hugging Face's Switch Transformer, loops, and closed forms."""

import math
import re
from functools import partial

import pytest
import torch
from torch.nn import functional as F
from transformers import SwitchTransformersConfig
from transformers.models.switch_transformers.modeling_switch_transformers import (
    SwitchTransformersSparseMLP,
)

from minitx.cores import FusedAttention
from minitx.experts import SwitchFeedForward, balance_loss, routed, slot
from minitx.models.gpt import GPT, GPTConfig

from . import oracles
from .oracles import EXACT

B, T, C, F_, N = 2, 13, 7, 11, 3


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def layer(**options):
    """With a router whose choices are far apart, so that no rounding decides."""
    made = oracles.randomise(SwitchFeedForward(C, F_, num_experts=N, **options))
    made.router.weight.data.mul_(5)
    return made


def tokens():
    return torch.randn(B, T, C, dtype=torch.float64)


def by_loops(own, x, capacity):
    """Token after token, as it is told: who is chosen, is there room, what does it answer."""
    y = torch.zeros_like(x)
    dropped = []
    for b in range(B):
        taken = [0] * N
        for t in range(T):
            p = torch.softmax(own.router.weight @ x[b, t], dim=0)
            e = int(p.argmax())
            taken[e] += 1
            if taken[e] > capacity:
                dropped.append((b, t))
                continue
            hidden = own.activation(x[b, t] @ own.in_weight[e] + own.in_bias[e, 0])
            y[b, t] = p[e] * (hidden @ own.out_weight[e] + own.out_bias[e, 0])
    return y, dropped


@pytest.mark.parametrize("capacity_factor", [0.2, 0.7, 1.25, 10.0])
def test_it_is_the_loop_over_tokens(capacity_factor):
    own, x = layer(capacity_factor=capacity_factor, activation=F.gelu), tokens()
    capacity = math.ceil(capacity_factor * T / N)
    assert own.capacity(T) == capacity
    want, dropped = by_loops(own, x, capacity)
    torch.testing.assert_close(own(x), want, **EXACT)
    assert bool(dropped) == (capacity_factor < 1)
    assert all((own(x)[place] == 0).all() for place in dropped)


@pytest.mark.parametrize(
    ("capacity_factor", "num_experts", "T", "want"),
    [
        (1.1, 5, 50, 11),  # 1.1 · 50 / 5 in floating point is 11.000000000000002
        (1.1, 1, 10, 11), (0.7, 1, 10, 7), (2.2, 11, 55, 11), (0.1, 3, 90, 3),
        (1.25, 8, 12, 2), (1.0, 4, 9, 3), (1e-3, 4, 5, 1), (1 / 3, 1, 6, 2),
    ],
)  # fmt: skip
def test_capacity_is_the_formula_without_rounding(capacity_factor, num_experts, T, want):
    own = SwitchFeedForward(C, F_, num_experts=num_experts, capacity_factor=capacity_factor)
    assert own.capacity(T) == want


@pytest.mark.parametrize("capacity_factor", [0.5, 1.0, 10.0])
def test_it_is_hugging_faces(capacity_factor):
    own, x = layer(capacity_factor=capacity_factor, bias=False), tokens()
    config = SwitchTransformersConfig(
        hidden_size=C, d_model=C, d_ff=F_, num_experts=N, expert_capacity=own.capacity(T),
        dropout_rate=0.0, dense_act_fn="relu",
    )  # fmt: skip
    theirs = SwitchTransformersSparseMLP(config).double().eval()
    theirs.router.dtype = torch.float64  # their configuration allows float32 at most
    theirs.router.classifier.weight.data.copy_(own.router.weight)
    for e in range(N):
        theirs.experts[f"expert_{e}"].wi.weight.data.copy_(own.in_weight[e].T)
        theirs.experts[f"expert_{e}"].wo.weight.data.copy_(own.out_weight[e].T)
    torch.testing.assert_close(own(x), theirs(x), **EXACT)


def test_gradients_are_those_of_the_loop():
    own, x = layer(capacity_factor=0.8), tokens().requires_grad_()
    leaves = [x, *own.parameters()]
    want, _ = by_loops(own, x, own.capacity(T))
    grads = [torch.autograd.grad(y.square().sum(), leaves) for y in (own(x), want)]
    torch.testing.assert_close(*grads, **EXACT)
    assert all(g.abs().max() > 0 for g in grads[0])  # the router learns through the gate


def test_sequences_are_separate_and_later_tokens_take_no_place():
    own, x = layer(capacity_factor=0.6), tokens()
    y = own(x)
    for b in range(B):
        torch.testing.assert_close(own(x[b : b + 1]), y[b : b + 1], **EXACT)
    x[:, 8:] = torch.randn(B, T - 8, C, dtype=torch.float64)
    torch.testing.assert_close(own(x)[:, :8], y[:, :8], **EXACT)


def test_one_expert_of_ample_capacity_is_a_feed_forward_network():
    own = oracles.randomise(SwitchFeedForward(C, F_, num_experts=1, capacity_factor=1.0))
    x = tokens()
    want = F.relu(x @ own.in_weight[0] + own.in_bias[0]) @ own.out_weight[0] + own.out_bias[0]
    torch.testing.assert_close(own(x), want, **EXACT)


def test_slots_are_counted_in_each_sequence():
    expert = torch.tensor([[1, 1, 0, 1], [2, 2, 2, 0]])
    assert slot(expert, 3).tolist() == [[0, 1, 0, 2], [0, 1, 2, 0]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_dtypes(dtype):
    own, x = layer().to(dtype), tokens().to(dtype)
    y = own(x)
    assert y.dtype == dtype
    want, _ = by_loops(layer().to(dtype).double(), x.double(), own.capacity(T))
    # The router decides in float32, so the same tokens are served; then a few roundings.
    assert (y - want).abs().max() < 8 * torch.finfo(dtype).eps * want.abs().max().clamp(min=1)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_router_decides_in_float32(dtype):
    router, x = layer().router.to(dtype), tokens().to(dtype)
    scores = router(x)
    assert scores.dtype == torch.float32
    # The very same, already rounded numbers, in float64.
    want = x.double() @ router.weight.double().T
    torch.testing.assert_close(scores.double(), want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_router_decides_in_float32_under_autocast_too(dtype):
    """As `TrainingConfig(precision="bf16")` trains: §2.4's selective precision is the point."""
    router, x = layer().router.float(), tokens().float()
    with torch.autocast("cpu", dtype):
        scores = router(x)
        assert scores.dtype == torch.float32 and torch.equal(scores, router.float()(x))
    assert torch.equal(scores, router(x))


def test_experts_compile_in_one_graph_and_need_no_numbers(as_users_run):
    """No size depends on what the router says: nothing waits for the accelerator."""
    own, x = layer(capacity_factor=0.7), tokens()
    compiled = torch.compile(own, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), own(x), **EXACT)
    assert layer().to("meta")(x.to("meta")).shape == x.shape


def test_dropout_is_inside_the_experts():
    own, x = layer(dropout=1.0, capacity_factor=9.0), tokens()
    p = own.router(x).softmax(dim=-1)
    gate, expert = p.max(dim=-1)
    want = gate[..., None] * own.out_bias[expert, 0]
    torch.testing.assert_close(own.train()(x), want, **EXACT)


# --- balance -------------------------------------------------------------------------------------


def test_the_balance_loss_is_its_formula():
    scores = torch.randn(B, T, N, dtype=torch.float64)
    p = scores.softmax(dim=-1)
    f, P = [0.0] * N, [0.0] * N
    for b in range(B):
        for t in range(T):
            f[int(p[b, t].argmax())] += 1 / (B * T)
            for e in range(N):
                P[e] += float(p[b, t, e]) / (B * T)
    want = N * sum(x * y for x, y in zip(f, P, strict=True))
    assert balance_loss(scores).item() == pytest.approx(want, rel=1e-12)


def test_balance_at_both_ends():
    even = 50.0 * torch.eye(N)[torch.arange(4 * N) % N][None]
    one = 50.0 * torch.eye(N)[torch.zeros(4 * N, dtype=torch.long)][None]
    assert balance_loss(even).item() == pytest.approx(1.0)
    assert balance_loss(one).item() == pytest.approx(N)


def test_padding_does_not_count():
    scores, token = torch.randn(B, T, N), torch.rand(B, T) < 0.6
    changed = torch.where(token[..., None], scores, 9.0)
    assert torch.equal(balance_loss(scores, token), balance_loss(changed, token))
    assert balance_loss(scores[:, :5]) == balance_loss(
        torch.cat([scores[:, :5], 9 * changed[:, 5:]], dim=1), torch.arange(T).lt(5).expand(B, T)
    )


def test_without_a_token_there_is_no_balance_to_lose():
    scores = torch.randn(B, T, N, requires_grad=True)
    loss = balance_loss(scores, torch.zeros(B, T, dtype=torch.bool))
    assert loss.item() == 0 and (torch.autograd.grad(loss, scores)[0] == 0).all()
    assert balance_loss(scores[:, :0]).item() == 0


def test_the_balance_loss_is_summed_in_float32():
    scores = torch.randn(1, 4001, N).bfloat16()
    want = balance_loss(scores.double())
    # float32: a few roundings of 2⁻²⁴; a mean of 4,001 shares in bfloat16 would be off by 2⁻⁹.
    torch.testing.assert_close(balance_loss(scores).double(), want, rtol=1e-5, atol=0)


def test_the_balance_loss_evens_out_the_choices():
    own, x = layer().float(), torch.randn(B, 64, C) + 1.0
    optimiser = torch.optim.Adam([own.router.weight], lr=0.02)
    for _ in range(150):
        loss = balance_loss(own.router(x))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    shares = F.one_hot(own.router(x).argmax(dim=-1), N).float().mean(dim=(0, 1))
    assert shares.min() > 0.2


# --- in a model ----------------------------------------------------------------------------------


def gpt():
    config = GPTConfig(
        vocab_size=17, max_len=T, d_model=C + 1, num_heads=2, num_layers=3, dropout=0.0,
        core=FusedAttention, d_ff=F_, feed_forward=partial(SwitchFeedForward, num_experts=N),
    )  # fmt: skip
    return GPT(config)


def test_routed_collects_the_scores_of_every_layer():
    model, token_ids = gpt(), torch.randint(17, (B, T))
    with routed(model) as scores:
        model(token_ids)
    assert [x.shape for x in scores] == [(B, T, N)] * 3
    model(token_ids)
    assert len(scores) == 3  # and no more afterwards
    with pytest.raises(RuntimeError), routed(model):
        raise RuntimeError
    assert not any(module._forward_hooks for module in model.modules())


def test_a_gpt_of_experts_learns_a_batch_by_heart():
    model, token_ids = gpt(), torch.randint(17, (B, T))
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(120):
        with routed(model) as scores:
            predicted = model(token_ids[:, :-1])
        language = F.cross_entropy(predicted.flatten(0, 1), token_ids[:, 1:].flatten())
        loss = language + 0.01 * sum(balance_loss(x) for x in scores)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert language < 0.1


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"num_experts": 0}, "num_experts must be at least 1, got 0"),
        (
            {"num_experts": 2, "capacity_factor": 0.0},
            "capacity_factor must be above 0 and finite, got 0.0",
        ),
        (
            {"num_experts": 2, "capacity_factor": math.nan},
            "capacity_factor must be above 0 and finite, got nan",
        ),
        (
            {"num_experts": 2, "capacity_factor": math.inf},
            "capacity_factor must be above 0 and finite, got inf",
        ),
    ],
)
def test_refusals(options, text):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        SwitchFeedForward(C, F_, **options)
