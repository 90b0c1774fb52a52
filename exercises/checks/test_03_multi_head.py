"""Checks of the exercises of chapter 3.

Sizes differ from each other on purpose, so that a turned axis cannot hide; where a mistake shows
only when two sizes are equal, a check of its own makes them equal. Oracles are loops over Python
numbers, the loops of `minitx.numpy_core`, torch's own module, and laws.
"""

import math
from functools import partial

import numpy as np
import torch
from torch import nn

from minitx import numpy_core
from minitx.grading import Tolerance, a_few, exercise, expect, expect_close, expect_raises
from minitx.tensor_checks import (
    coins,
    expect_gradient,
    expect_gradients,
    normal,
    require_dtype,
    require_life,
)

PAGE = "book/03_multi_head.md"
MOVED = Tolerance(rtol=0.0, atol=0.0, because="the numbers are moved, not computed")
BY_HAND = Tolerance(rtol=1e-5, atol=1e-6, because="a few small numbers in float32")
FLOAT64 = Tolerance(
    rtol=1e-10,
    atol=1e-12,
    because="both are float64 sums of few terms; only their order may differ",
)
_ROOT = "float64, with room for a square root of D that was rounded to float32"
OUTPUTS = Tolerance(rtol=1e-5, atol=1e-5, because=_ROOT)
GRADIENT = Tolerance(rtol=1e-5, atol=1e-5, because=f"gradients of a few units; {_ROOT}")
LARGE = Tolerance(rtol=1e-6, atol=1e-8, because="scores near 6000 are rounded at the 12th digit")
SAME = Tolerance(rtol=1e-9, atol=1e-12, because="what it depends on are the same numbers")
KEPT = {
    torch.bfloat16: Tolerance(rtol=5e-2, atol=2e-1, because="sums of terms with 8 bits each"),
    torch.float32: Tolerance(rtol=1e-5, atol=1e-5, because="sums of float32 numbers"),
    torch.float64: Tolerance(rtol=1e-8, atol=1e-8, because="float64 throughout"),
}

# Attention with several heads that exists already.
MULTI_HEAD = (
    "minitx.multihead.MultiHeadAttention.forward",
    "torch.nn.functional.multi_head_attention_forward",
    "torch.nn.MultiheadAttention.forward",
    "torch._native_multi_head_attention",
)
FOUR_AXES = "of four axes, 2 and -2 are the same: the same answer"
PROJECTIONS = ("q_proj", "k_proj", "v_proj", "out_proj")


def require_shape(result, shape, words, what):
    """Reject unless something was computed, in this shape."""
    require_life(result, what)
    expect(
        tuple(result.shape) == tuple(shape),
        f"{what} has shape {tuple(result.shape)}; wanted {words} = {tuple(shape)}.",
    )


# ---------------------------------------------------------------------------------------------
# 03.1

split_heads = exercise(
    "03.1",
    function="split_heads",
    title="Cut into heads",
    page=f"{PAGE}#project-split",
    returns="tensor",
    hints=(
        "Which numbers of token 0 belong to head 0? In the result they must lie side by side, and "
        "below them those of token 1.",
        "The chapter cuts the columns of the queries into blocks. Follow two tokens through it: "
        "the last axis becomes two axes, and then one of these moves in front of the tokens.",
        "`x.view(B, T, num_heads, C // num_heads)` cuts, `.transpose(1, 2)` exchanges tokens and "
        "heads.",
    ),
)


def split_loops(x, H):
    B, T, C = x.shape
    D = C // H
    result = torch.zeros(B, H, T, D, dtype=x.dtype)
    for b in range(B):
        for h in range(H):
            for t in range(T):
                for d in range(D):
                    result[b, h, t, d] = x[b, t, h * D + d]
    return result


@split_heads.check(
    points=1,
    title="the worked example: two tokens, two heads",
    hint="Head 0 holds the first two numbers of every token, head 1 the last two.",
)
def test_split_by_hand(sub, rng):
    x = torch.tensor([[[1.0, 2, 3, 4], [5, 6, 7, 8]]])
    want = torch.tensor([[[[1.0, 2], [5, 6]], [[3, 4], [7, 8]]]])
    expect_close(sub.split_heads(x, 2), want, MOVED, what="the heads (1, H=2, T=2, D=2)")


@split_heads.check(
    points=1,
    title="the axes are batch, heads, tokens, width",
    hint="With 5 tokens, 3 heads and C = 12 each sentence becomes (3, 5, 4).",
)
def test_split_shape(sub, rng):
    got = sub.split_heads(normal(rng, 2, 5, 12), 3)
    require_shape(got, (2, 3, 5, 4), "(B, H, T, D)", "the result")


@split_heads.check(
    points=3,
    title="every number goes to its own head, token and place",
    hint="out[b, h, t, d] is x[b, t, h * D + d]: the numbers of a head are neighbours in x.",
)
def test_split_every_number(sub, rng):
    for B, T, H, D in ((2, 5, 3, 4), (3, 4, 2, 7), (1, 7, 5, 2)):
        x = normal(rng, B, T, H * D)
        what = f"the heads for B={B}, T={T}, H={H}, D={D}"
        expect_close(sub.split_heads(x, H), split_loops(x, H), MOVED, what=what)


@split_heads.check(
    points=2,
    title="equal sizes hide nothing",
    hint="With T == H or H == D the shape is right whatever you exchanged. Which axes were it?",
)
def test_split_equal_sizes(sub, rng):
    for B, T, H, D in ((2, 3, 3, 4), (4, 4, 4, 4), (2, 5, 3, 3), (3, 2, 3, 5)):
        x = normal(rng, B, T, H * D)
        what = f"the heads for B={B}, T={T}, H={H}, D={D}"
        expect_close(sub.split_heads(x, H), split_loops(x, H), MOVED, what=what)


@split_heads.check(
    points=1,
    title="one head, heads of width 1, and tokens that lie in memory in another order",
    hint="The number of heads is given; nothing is to be guessed from the sizes.",
)
def test_split_extremes(sub, rng):
    for B, T, H, D in ((2, 5, 1, 6), (2, 5, 6, 1), (2, 1, 3, 2), (1, 1, 1, 1)):
        x = normal(rng, B, T, H * D)
        what = f"the heads for B={B}, T={T}, H={H}, D={D}"
        expect_close(sub.split_heads(x, H), split_loops(x, H), MOVED, what=what)
    x = normal(rng, 5, 2, 6).transpose(0, 1)
    what = "the heads of tokens that were transposed before"
    expect_close(sub.split_heads(x, 3), split_loops(x, 3), MOVED, what=what)


@split_heads.check(
    points=1,
    title="the dtype is that of x",
    hint="Numbers are moved, not computed: no new tensor of another dtype is needed.",
)
def test_split_keeps_the_dtype(sub, rng):
    for dtype in (torch.float16, torch.float32):
        x = normal(rng, 2, 5, 6, dtype=dtype)
        got = require_dtype(sub.split_heads(x, 3), dtype, "the result")
        expect_close(got, split_loops(x, 3), MOVED, what=f"the heads in {dtype}")


@split_heads.check(
    points=1,
    title="gradients reach x",
    hint="Keep to tensor operations from the input to the result.",
)
def test_split_gradients(sub, rng):
    x, factors = normal(rng, 2, 5, 6).requires_grad_(), normal(rng, 2, 3, 5, 2)
    (got,) = sub.split_heads.vjp(x, 3, cotangent=factors)
    want = factors.permute(0, 2, 1, 3).reshape(2, 5, 6)
    expect_gradient(got, want, "x", GRADIENT, what="the result")


split_heads.waive("split_heads:L2:2->-2", reason=FOUR_AXES)


# ---------------------------------------------------------------------------------------------
# 03.2

merge_heads = exercise(
    "03.2",
    function="merge_heads",
    title="Put the heads together again",
    page=f"{PAGE}#project-split",
    returns="tensor",
    hints=(
        "Two axes are to become one. Which two, and do they stand side by side already?",
        "Read how the outputs of the heads are concatenated: for one token, head after head. So "
        "the tokens have to come before the heads when the last two axes are joined.",
        "`heads.transpose(1, 2)` is (B, T, H, D); `.flatten(-2)` or `.reshape(B, T, -1)` joins.",
    ),
)


def merge_loops(heads):
    B, H, T, D = heads.shape
    result = torch.zeros(B, T, H * D, dtype=heads.dtype)
    for b in range(B):
        for h in range(H):
            for t in range(T):
                for d in range(D):
                    result[b, t, h * D + d] = heads[b, h, t, d]
    return result


@merge_heads.check(
    points=1,
    title="the worked example: two heads, two tokens",
    hint="Token 0 is (1, 2) from head 0, then (3, 4) from head 1.",
)
def test_merge_by_hand(sub, rng):
    heads = torch.tensor([[[[1.0, 2], [5, 6]], [[3, 4], [7, 8]]]])
    want = torch.tensor([[[1.0, 2, 3, 4], [5, 6, 7, 8]]])
    expect_close(sub.merge_heads(heads), want, MOVED, what="the tokens (1, T=2, 4)")


@merge_heads.check(
    points=1,
    title="the axes are batch, tokens, width of all heads",
    hint="3 heads of width 4 make 12 numbers per token.",
)
def test_merge_shape(sub, rng):
    got = sub.merge_heads(normal(rng, 2, 3, 5, 4))
    require_shape(got, (2, 5, 12), "(B, T, H · D)", "the result")


@merge_heads.check(
    points=3,
    title="every token gets what all heads found for it",
    hint="out[b, t, h * D + d] is heads[b, h, t, d]: the heads of one token, one after another.",
)
def test_merge_every_number(sub, rng):
    for B, H, T, D in ((2, 3, 5, 4), (3, 2, 4, 7), (1, 5, 7, 2)):
        heads = normal(rng, B, H, T, D)
        what = f"the tokens for B={B}, H={H}, T={T}, D={D}"
        expect_close(sub.merge_heads(heads), merge_loops(heads), MOVED, what=what)


@merge_heads.check(
    points=2,
    title="equal sizes hide nothing",
    hint="With T == H or H == D the shape is right whatever you joined.",
)
def test_merge_equal_sizes(sub, rng):
    for B, H, T, D in ((2, 3, 3, 4), (4, 4, 4, 4), (2, 3, 5, 3), (3, 3, 2, 5)):
        heads = normal(rng, B, H, T, D)
        what = f"the tokens for B={B}, H={H}, T={T}, D={D}"
        expect_close(sub.merge_heads(heads), merge_loops(heads), MOVED, what=what)


@merge_heads.check(
    points=1,
    title="one head, one token, heads of width 1, and heads that were transposed before",
    hint="Heads come out of a product or of a transpose: their order in memory may be any.",
)
def test_merge_extremes(sub, rng):
    for B, H, T, D in ((2, 1, 5, 6), (2, 6, 5, 1), (2, 3, 1, 2), (1, 1, 1, 1)):
        heads = normal(rng, B, H, T, D)
        what = f"the tokens for B={B}, H={H}, T={T}, D={D}"
        expect_close(sub.merge_heads(heads), merge_loops(heads), MOVED, what=what)
    heads = normal(rng, 2, 5, 3, 4).transpose(1, 2)
    what = "the tokens of heads that were transposed before"
    expect_close(sub.merge_heads(heads), merge_loops(heads), MOVED, what=what)


@merge_heads.check(
    points=1,
    title="the dtype is that of the heads",
    hint="Numbers are moved, not computed: no new tensor of another dtype is needed.",
)
def test_merge_keeps_the_dtype(sub, rng):
    for dtype in (torch.float16, torch.float32):
        heads = normal(rng, 2, 3, 5, 2, dtype=dtype)
        got = require_dtype(sub.merge_heads(heads), dtype, "the result")
        expect_close(got, merge_loops(heads), MOVED, what=f"the tokens in {dtype}")


@merge_heads.check(
    points=1,
    title="gradients reach the heads",
    hint="Keep to tensor operations from the input to the result.",
)
def test_merge_gradients(sub, rng):
    heads, factors = normal(rng, 2, 3, 5, 2).requires_grad_(), normal(rng, 2, 5, 6)
    (got,) = sub.merge_heads.vjp(heads, cotangent=factors)
    expect_gradient(got, split_loops(factors, 3), "heads", GRADIENT, what="the result")


for _mutant in ("2->-2", "-2->2"):
    merge_heads.waive(f"merge_heads:L1:{_mutant}", reason=FOUR_AXES)


# ---------------------------------------------------------------------------------------------
# 03.3

project_and_split = exercise(
    "03.3",
    function="project_and_split",
    title="One projection for all",
    page=f"{PAGE}#torch-equal",
    uses=("03.1",),
    returns=("tensor", "tensor", "tensor"),
    closed=MULTI_HEAD,
    hints=(
        "A row of W makes one number of the result. Which rows make the queries, and which of "
        "these make head 0?",
        "Read how three matrices are stored as one. The product is (B, T, 3 · H · D): cut its last "
        "axis into thirds, then each third into heads.",
        "`F.linear(x, W, b).chunk(3, dim=-1)` gives the three; each becomes "
        "`part.view(B, T, num_heads, -1).transpose(1, 2)`.",
    ),
)
PARTS = "the queries q", "the keys k", "the values v"


def packed_loops(x, W, b, H):
    """q, k, v (B, H, T, D), one number at a time."""
    B, T, C = x.shape
    width = W.shape[0] // 3
    D = width // H
    parts = []
    for part in range(3):
        made = np.zeros((B, H, T, D))
        for at in np.ndindex(B, H, T, D):
            s, h, t, d = at
            row = part * width + h * D + d
            made[at] = sum(float(x[s, t, c]) * float(W[row, c]) for c in range(C)) + float(b[row])
        parts.append(torch.from_numpy(made))
    return parts


def packed(rng, B, T, C, H, D, dtype=torch.float64):
    shapes = (B, T, C), (3 * H * D, C), (3 * H * D,)
    return [normal(rng, *shape, dtype=dtype) for shape in shapes]


@project_and_split.check(
    points=1,
    title="the worked example: one token, one head of width 1",
    hint="1 + 10, 2 + 20 and (1 + 2) + 30.",
)
def test_packed_by_hand(sub, rng):
    x, W = torch.tensor([[[1.0, 2.0]]]), torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    got = sub.project_and_split(x, W, torch.tensor([10.0, 20.0, 30.0]), 1)
    for name, part, want in zip(PARTS, got, (11.0, 22.0, 33.0), strict=True):
        expect_close(part, torch.full((1, 1, 1, 1), want), BY_HAND, what=name)


@project_and_split.check(
    points=1,
    title="three results of shape (B, H, T, D)",
    hint="W has 3 · H · D rows: that says what D is; C is only the width of x.",
)
def test_packed_shapes(sub, rng):
    got = sub.project_and_split(*packed(rng, 2, 5, 7, 3, 4), 3)
    for name, part in zip(PARTS, got, strict=True):
        require_shape(part, (2, 3, 5, 4), "(B, H, T, D)", name)


@project_and_split.check(
    points=3,
    title="every head of every token gets its own query, key and value",
    hint="Row part * H * D + h * D + d of W makes number d of head h: part 0 is q, 1 is k, 2 is v.",
)
def test_packed_every_number(sub, rng):
    for sizes in ((2, 5, 7, 3, 4), (2, 5, 7, 3, 4), (1, 4, 5, 2, 3)):
        x, W, b = packed(rng, *sizes)
        want = packed_loops(x, W, b, sizes[3])
        for name, got, part in zip(
            PARTS, sub.project_and_split(x, W, b, sizes[3]), want, strict=True
        ):
            expect_close(got, part, FLOAT64, what=name)


@project_and_split.check(
    points=2,
    title="a square matrix is not taken for its transpose, and equal sizes hide nothing",
    hint="nn.Linear keeps (out, in): x @ W.T, or F.linear(x, W, b). Compare with the worked "
    "example.",
)
def test_packed_square(sub, rng):
    for sizes in ((2, 5, 12, 2, 2), (3, 3, 27, 3, 3), (3, 4, 6, 3, 3)):
        x, W, b = packed(rng, *sizes)
        want = packed_loops(x, W, b, sizes[3])
        for name, got, part in zip(
            PARTS, sub.project_and_split(x, W, b, sizes[3]), want, strict=True
        ):
            expect_close(got, part, FLOAT64, what=f"{name} for C = {sizes[2]} = rows of W")


@project_and_split.check(
    points=1,
    title="the results have the dtype of x",
    hint="No .float(), no .double(), and no tensor of another dtype on the way.",
)
def test_packed_keeps_the_dtype(sub, rng):
    for dtype, tolerance in KEPT.items():
        x, W, b = packed(rng, 2, 5, 7, 3, 2, dtype=dtype)
        want = packed_loops(x, W, b, 3)
        for name, got, part in zip(PARTS, sub.project_and_split(x, W, b, 3), want, strict=True):
            require_dtype(got, dtype, name)
            expect_close(got, part.to(dtype), tolerance, what=f"{name} in {dtype}")


@project_and_split.check(
    points=1,
    title="gradients reach x, W and b",
    hint="W and b are what a model learns: the results must stay connected to them.",
)
def test_packed_gradients(sub, rng):
    inputs = dict(zip(("x", "W", "b"), packed(rng, 2, 5, 7, 3, 2), strict=True))
    cotangents = tuple(normal(rng, 2, 3, 5, 2) for _ in range(3))

    def definition(x, W, b):
        made = torch.einsum("btc,phdc->pbhtd", x, W.view(3, 3, 2, 7))
        return tuple(made + b.view(3, 1, 3, 1, 2))

    def ask(*inputs, **how):
        return sub.project_and_split.vjp(*inputs, 3, **how)

    expect_gradients(ask, definition, inputs, cotangents, GRADIENT, what="(q, k, v)")


# ---------------------------------------------------------------------------------------------
# The modules of 03.4 and 03.5


def weights_of(rng, C, dtype=torch.float64):
    """Weights and biases of the four projections; scores made with them are of size 1."""
    made = {}
    for name in PROJECTIONS:
        made[f"{name}.weight"] = normal(rng, C, C, dtype=dtype) / math.sqrt(C)
        made[f"{name}.bias"] = normal(rng, C, dtype=dtype) / 2
    return made


def loaded(maker, C, H, weights):
    """A module of the learner's, with these weights."""
    module = maker(C, H)
    module.to(next(iter(weights.values())).dtype)
    module.load(weights)
    return module


def attend_loops(x, memory, weights, H, table=None):
    """Attention with several heads, one sentence and one head at a time; table (B, T_q, T_k)."""
    x, memory = x.double(), memory.double()
    w = {name: each.double() for name, each in weights.items()}
    q = x @ w["q_proj.weight"].T + w["q_proj.bias"]
    k = memory @ w["k_proj.weight"].T + w["k_proj.bias"]
    v = memory @ w["v_proj.weight"].T + w["v_proj.bias"]
    D = x.shape[-1] // H
    found = torch.zeros_like(q)
    for b in range(x.shape[0]):
        allowed = None if table is None else table[b].numpy()
        for h in range(H):
            own = slice(h * D, (h + 1) * D)
            parts = (part[b, :, own].numpy() for part in (q, k, v))
            found[b, :, own] = torch.from_numpy(numpy_core.attention(*parts, allowed=allowed))
    return found @ w["out_proj.weight"].T + w["out_proj.bias"]


def attend_einsum(x, memory, weights, H, table=None):
    """The same in torch, through which gradients flow."""
    B, T, C = x.shape
    parts = []
    for name, tokens in (("q_proj", x), ("k_proj", memory), ("v_proj", memory)):
        matrix = weights[f"{name}.weight"].view(H, C // H, C)
        bias = weights[f"{name}.bias"].view(H, 1, C // H)
        parts.append(torch.einsum("btc,hdc->bhtd", tokens, matrix) + bias)
    q, k, v = parts
    scores = torch.einsum("bhid,bhjd->bhij", q, k) / math.sqrt(C // H)
    if table is not None:
        some = table.any(-1, keepdim=True)[:, None]
        scores = scores.masked_fill(~table[:, None] & some, -math.inf)
        shares = scores.softmax(-1) * table[:, None]
    else:
        shares = scores.softmax(-1)
    heads = torch.einsum("bhij,bhjd->bihd", shares, v).reshape(B, T, C)
    return heads @ weights["out_proj.weight"].T + weights["out_proj.bias"]


def torch_module(C, H, weights):
    """torch's own module with the same weights."""
    module = nn.MultiheadAttention(C, H, batch_first=True, dtype=torch.float64)
    packed = {
        "in_proj_weight": torch.cat([weights[f"{name}.weight"] for name in PROJECTIONS[:3]]),
        "in_proj_bias": torch.cat([weights[f"{name}.bias"] for name in PROJECTIONS[:3]]),
        "out_proj.weight": weights["out_proj.weight"],
        "out_proj.bias": weights["out_proj.bias"],
    }
    module.load_state_dict(packed)
    return module


def expect_projections(module, C):
    """The four projections under their names, and nothing else that is learned."""
    wanted = {}
    for name in PROJECTIONS:
        wanted |= {f"{name}.weight": (C, C), f"{name}.bias": (C,)}
    missing = [name for name in wanted if name not in module.parameters]
    expect(
        not missing,
        f"the module learns {a_few(module.parameters) or 'nothing'}; there is no "
        f"{a_few(missing)}. Make each projection in __init__ as "
        "`self.q_proj = nn.Linear(d_model, d_model)`: what hangs on self in this way is found.",
    )
    extra = [name for name in module.parameters if name not in wanted]
    expect(not extra, f"the module also learns {a_few(extra)}: it has four projections only.")
    for name, shape in wanted.items():
        expect(
            tuple(module.parameters[name]) == shape,
            f"{name} has shape {tuple(module.parameters[name])}; wanted {shape}.",
        )


def expect_module_gradients(module, inputs, options, weights, definition, what):
    """Gradients of a forward pass with respect to inputs and weights."""
    leaves = {name: each.clone().requires_grad_() for name, each in {**inputs, **weights}.items()}
    result = definition(leaves)
    factors = torch.sin(torch.arange(result.numel(), dtype=torch.float64)).view_as(result)
    wanted = torch.autograd.grad(result, list(leaves.values()), factors)
    asked = [each.clone().requires_grad_() for each in inputs.values()]
    got = module.vjp(*asked, *options, cotangent=factors)
    gradients = [*got.inputs, *(got.parameters.get(name) for name in weights)]
    for name, gradient, want in zip(leaves, gradients, wanted, strict=True):
        expect_gradient(gradient, want, name, GRADIENT, what=what)


def expect_apart(maker, C, H, ask, rng, what):
    """Two modules of one class share no weights."""
    one, other = weights_of(rng, C), weights_of(rng, C)
    first = loaded(maker, C, H, one)
    before = require_life(ask(first), what)
    loaded(maker, C, H, other)
    expect_close(
        ask(first), before, SAME, what=f"{what} of one module after another one was made and loaded"
    )


# ---------------------------------------------------------------------------------------------
# 03.4

self_attention = exercise(
    "03.4",
    function="MultiHeadSelfAttention",
    title="Multi-head self-attention, a module",
    page=f"{PAGE}#project-split",
    uses=("03.1", "03.2"),
    returns="module",
    closed=MULTI_HEAD,
    hints=(
        "In `__init__` only the four projections are made and the number of heads is kept. "
        "`forward` is: project, cut, attend, join, project.",
        "Read the chapter's recipe with its shapes, line by line, and write the shape beside each "
        "of your lines. The mask says nothing of heads: it needs an axis for them.",
        "`q = self.q_proj(x).view(B, T, H, D).transpose(1, 2)`, k and v alike; weights "
        "`functional.masked_softmax(functional.attention_scores(q, k), allowed)` with "
        "`allowed.unsqueeze(-3)` unless it is None; then "
        "`self.out_proj((weights @ v).transpose(1, 2).flatten(2))`.",
    ),
)


@self_attention.check(
    points=1,
    title="the worked example: two tokens, two heads of width 1",
    hint="Each head attends with its own numbers; with the identity as projections nothing else "
    "happens.",
)
def test_module_by_hand(sub, rng):
    weights = {}
    for name in PROJECTIONS:
        weights |= {f"{name}.weight": torch.eye(2), f"{name}.bias": torch.zeros(2)}
    log3, e = math.log(3), math.e
    x = torch.tensor([[[0.0, 1.0], [log3, 0.0]]])
    # Token 1: in head 0 its scores are 0 and (ln 3)², in head 1 they are 0 and 0.
    share = math.exp(log3**2) / (1 + math.exp(log3**2))
    want = torch.tensor([[[log3 / 2, e / (e + 1)], [share * log3, 0.5]]])
    module = loaded(sub.MultiHeadSelfAttention, 2, 2, weights)
    expect_close(module(x), want, BY_HAND, what="the outputs of the two tokens")


@self_attention.check(
    points=1,
    title="four projections under their names, and an output as wide as x",
    hint="`self.q_proj = nn.Linear(d_model, d_model)` in __init__, and k_proj, v_proj, out_proj.",
)
def test_module_parameters(sub, rng):
    for C, H in ((6, 3), (8, 2)):
        module = sub.MultiHeadSelfAttention(C, H)
        got = module(normal(rng, 2, 5, C, dtype=torch.float32))
        require_shape(got, (2, 5, C), "(B, T, C)", "the output")
        expect_projections(module, C)


@self_attention.check(
    points=3,
    title="equal to the definition, sentence by sentence and head by head",
    hint="Every head: its D columns of q, k and v, scores divided by √D, softmax over the keys.",
)
def test_module_definition(sub, rng):
    for B, T, C, H in ((2, 5, 6, 3), (3, 4, 10, 2), (2, 7, 12, 4)):
        x, weights = normal(rng, B, T, C), weights_of(rng, C)
        module = loaded(sub.MultiHeadSelfAttention, C, H, weights)
        want = attend_loops(x, x, weights, H)
        expect_close(module(x), want, OUTPUTS, what=f"the output for C={C}, H={H}")


@self_attention.check(
    points=2,
    title="equal to torch's module, where sizes are equal and at the extremes",
    hint="With B = T = H = D every wrong axis fits: which axes did you exchange?",
)
def test_module_equal_sizes(sub, rng):
    for B, T, C, H in ((2, 3, 5, 1), (4, 4, 16, 4), (3, 3, 6, 3), (2, 3, 5, 5), (1, 1, 6, 2)):
        x, weights = normal(rng, B, T, C), weights_of(rng, C)
        module = loaded(sub.MultiHeadSelfAttention, C, H, weights)
        with torch.no_grad():
            want = torch_module(C, H, weights)(x, x, x)[0]
        what = f"the output for B={B}, T={T}, C={C}, H={H}"
        expect_close(module(x), want, OUTPUTS, what=what)


@self_attention.check(
    points=2,
    title="each sentence keeps to its own mask, all heads to the same",
    hint="Scores are (B, H, T, T), allowed is (B, T, T): put an axis of length 1 between.",
)
def test_module_masks(sub, rng):
    for B, T, C, H in ((2, 5, 6, 3), (2, 5, 6, 3)):
        x, weights = normal(rng, B, T, C), weights_of(rng, C)
        module = loaded(sub.MultiHeadSelfAttention, C, H, weights)
        for shape in ((T, T), (B, 1, T), (B, T, T)):
            allowed = coins(rng, *shape)
            want = attend_loops(x, x, weights, H, allowed.expand(B, T, T))
            what = f"the output with a mask of shape {shape}"
            expect_close(module(x, allowed), want, OUTPUTS, what=what)


@self_attention.check(
    points=2,
    title="as many sentences as heads, or as tokens: the mask is still one of sentences",
    hint="With B == H a mask (B, T, T) fits the scores (B, H, T, T) as if it were one per head.",
)
def test_module_mask_of_sentences(sub, rng):
    for B, T, C, H in ((3, 5, 6, 3), (4, 4, 8, 4), (1, 4, 6, 2)):
        x, weights = normal(rng, B, T, C), weights_of(rng, C)
        module = loaded(sub.MultiHeadSelfAttention, C, H, weights)
        for shape in ((B, T, T), (B, 1, T)):
            allowed = coins(rng, *shape)
            want = attend_loops(x, x, weights, H, allowed.expand(B, T, T))
            what = f"the output for B={B}, H={H}, T={T} with a mask of shape {shape}"
            expect_close(module(x, allowed), want, OUTPUTS, what=what)


@self_attention.check(
    points=1,
    title="a token that may attend to nothing gets zeros from its heads",
    hint="functional.masked_softmax knows the empty row; after it out_proj adds its bias.",
)
def test_module_empty_row(sub, rng):
    x, weights = normal(rng, 2, 5, 6), weights_of(rng, 6)
    allowed = coins(rng, 2, 5, 5)
    allowed[0, 2] = False
    module = loaded(sub.MultiHeadSelfAttention, 6, 3, weights)
    want = attend_loops(x, x, weights, 3, allowed)
    expect_close(module(x, allowed), want, OUTPUTS, what="the output")


@self_attention.check(
    points=1,
    title="large scores neither overflow nor vanish",
    hint="Use a softmax that subtracts the largest score of each row.",
)
def test_module_large_scores(sub, rng):
    weights = weights_of(rng, 6)
    weights["q_proj.weight"] = weights["q_proj.weight"] * 1000
    x = normal(rng, 2, 5, 6)
    module = loaded(sub.MultiHeadSelfAttention, 6, 3, weights)
    want = attend_loops(x, x, weights, 3)
    expect_close(module(x), want, LARGE, what="the output for scores in the thousands")


@self_attention.check(
    points=1,
    title="heads that do not divide the width are refused",
    hint="`raise ValueError(...)` in __init__, with both numbers in the message.",
)
def test_module_refuses(sub, rng):
    for C, H in ((6, 4), (7, 2), (2, 4)):
        what = f"MultiHeadSelfAttention({C}, {H})"
        says = str(C), str(H)
        call = partial(sub.MultiHeadSelfAttention, C, H)
        expect_raises(ValueError, call, what=what, says=says)


@self_attention.check(
    points=1,
    title="the output has the dtype of x and of the weights",
    hint="No .float(), no .double(), and no tensor of another dtype on the way.",
)
def test_module_dtype(sub, rng):
    x, weights = normal(rng, 2, 5, 6), weights_of(rng, 6)
    for dtype in (torch.float32, torch.float64):
        same = {name: each.to(dtype) for name, each in weights.items()}
        got = loaded(sub.MultiHeadSelfAttention, 6, 3, same)(x.to(dtype))
        require_dtype(got, dtype, "the output")
        want = attend_loops(x, x, weights, 3).to(dtype)
        expect_close(got, want, KEPT[dtype], what=f"the output in {dtype}")


@self_attention.check(
    points=2,
    title="gradients reach x and all weights",
    hint="Whatever hangs on self must take part, and stay connected to the output.",
)
def test_module_gradients(sub, rng):
    x, weights, allowed = normal(rng, 2, 5, 6), weights_of(rng, 6), coins(rng, 2, 5, 5)
    allowed[0, 2] = False
    module = loaded(sub.MultiHeadSelfAttention, 6, 3, weights)

    def definition(leaves):
        return attend_einsum(leaves["x"], leaves["x"], leaves, 3, allowed)

    expect_module_gradients(module, {"x": x}, [allowed], weights, definition, "the output")


@self_attention.check(
    points=1,
    title="two modules have weights of their own",
    hint="Make the projections in __init__, on self: what stands in the class body is shared.",
)
def test_module_instances(sub, rng):
    x = normal(rng, 2, 5, 6)
    expect_apart(sub.MultiHeadSelfAttention, 6, 3, lambda module: module(x), rng, "the output")


for _line in (3, 4, 5, 10, 11):
    self_attention.waive(f"MultiHeadSelfAttention.forward:L{_line}:2->-2", reason=FOUR_AXES)


# ---------------------------------------------------------------------------------------------
# 03.5

cross_attention = exercise(
    "03.5",
    function="MultiHeadCrossAttention",
    title="Cross-attention with a padded memory",
    page=f"{PAGE}#cross",
    uses=("03.1", "03.2"),
    returns="module",
    closed=MULTI_HEAD,
    hints=(
        "Who asks, and who is asked? Queries come from one sequence, keys and values from the "
        "other.",
        "Read the section on cross-attention: the table of scores is (T_q, T_m), and padding "
        "forbids columns of it, in every row and every head alike.",
        "k and v are made of `memory`; the mask is `(torch.arange(T_m) < lengths[:, None])"
        "[:, None, None]`, (B, 1, 1, T_m), for `functional.masked_softmax`.",
    ),
)


def table_of(lengths, T_q, T_m):
    rows = [[[j < int(n) for j in range(T_m)]] * T_q for n in lengths]
    return torch.tensor(rows)


@cross_attention.check(
    points=1,
    title="the worked example: one query, the average of two real tokens",
    hint="The third token of the memory is padding: (2, 4) and (4, 8) make (3, 6).",
)
def test_cross_by_hand(sub, rng):
    weights = {}
    for name in PROJECTIONS:
        weights |= {f"{name}.weight": torch.eye(2), f"{name}.bias": torch.zeros(2)}
    memory = torch.tensor([[[2.0, 4.0], [4.0, 8.0], [100.0, 100.0]]])
    module = loaded(sub.MultiHeadCrossAttention, 2, 1, weights)
    got = module(torch.zeros(1, 1, 2), memory, torch.tensor([2]))
    expect_close(got, torch.tensor([[[3.0, 6.0]]]), BY_HAND, what="the output of the query")


@cross_attention.check(
    points=1,
    title="four projections under their names, and one output for each query",
    hint="The output has the tokens of x, however long the memory is.",
)
def test_cross_parameters(sub, rng):
    module = sub.MultiHeadCrossAttention(6, 3)
    x, memory = (normal(rng, 2, T, 6, dtype=torch.float32) for T in (4, 7))
    require_shape(module(x, memory), (2, 4, 6), "(B, T_q, C)", "the output")
    expect_projections(module, 6)


@cross_attention.check(
    points=3,
    title="equal to the definition: queries from x, keys and values from the memory",
    hint="Change the memory in your head: keys must change, and values, and no query.",
)
def test_cross_definition(sub, rng):
    for B, T_q, T_m, C, H in ((2, 4, 7, 6, 3), (3, 5, 2, 10, 2), (2, 1, 5, 12, 4)):
        x, memory, weights = normal(rng, B, T_q, C), normal(rng, B, T_m, C), weights_of(rng, C)
        module = loaded(sub.MultiHeadCrossAttention, C, H, weights)
        want = attend_loops(x, memory, weights, H)
        what = f"the output for T_q={T_q}, T_m={T_m}, C={C}, H={H}"
        expect_close(module(x, memory), want, OUTPUTS, what=what)


@cross_attention.check(
    points=2,
    title="equal to torch's module where both lengths are the same",
    hint="With T_q = T_m everything fits: which of q, k and v is made of what?",
)
def test_cross_equal_sizes(sub, rng):
    for B, T, C, H in ((3, 2, 5, 1), (4, 4, 16, 4), (2, 3, 6, 3)):
        x, memory, weights = normal(rng, B, T, C), normal(rng, B, T, C), weights_of(rng, C)
        module = loaded(sub.MultiHeadCrossAttention, C, H, weights)
        with torch.no_grad():
            want = torch_module(C, H, weights)(x, memory, memory)[0]
        what = f"the output for B={B}, T_q=T_m={T}, C={C}, H={H}"
        expect_close(module(x, memory), want, OUTPUTS, what=what)


@cross_attention.check(
    points=3,
    title="nobody attends to the padding of its memory",
    hint="Token j of memory b is real when j < lengths[b]; forbid the others before the softmax.",
)
def test_cross_padding(sub, rng):
    for lengths in ([5, 2], [1, 4], [3, 5]):
        x, memory, weights = normal(rng, 2, 4, 6), normal(rng, 2, 5, 6), weights_of(rng, 6)
        module = loaded(sub.MultiHeadCrossAttention, 6, 3, weights)
        want = attend_loops(x, memory, weights, 3, table_of(lengths, 4, 5))
        got = module(x, memory, torch.tensor(lengths))
        expect_close(got, want, OUTPUTS, what=f"the output for lengths {lengths}")


@cross_attention.check(
    points=2,
    title="as many sentences as heads, queries or memory tokens",
    hint="The mask is one of sentences and of memory tokens: (B, 1, 1, T_m).",
)
def test_cross_padding_equal_sizes(sub, rng):
    for B, T_q, T_m, C, H in ((3, 4, 5, 6, 3), (4, 4, 4, 8, 4), (5, 3, 5, 6, 2)):
        lengths = rng.integers(1, T_m + 1, size=B).tolist()
        lengths[0], lengths[1] = 1, T_m
        x, memory, weights = normal(rng, B, T_q, C), normal(rng, B, T_m, C), weights_of(rng, C)
        module = loaded(sub.MultiHeadCrossAttention, C, H, weights)
        want = attend_loops(x, memory, weights, H, table_of(lengths, T_q, T_m))
        what = f"the output for B={B}, H={H}, T_q={T_q}, T_m={T_m}, lengths {lengths}"
        expect_close(module(x, memory, torch.tensor(lengths)), want, OUTPUTS, what=what)


@cross_attention.check(
    points=1,
    title="what stands in the padding does not matter",
    hint="Forbidden scores leave before the softmax; setting keys to 0 is not enough, for e⁰ = 1.",
)
def test_cross_loud_padding(sub, rng):
    x, memory, weights = normal(rng, 2, 4, 6), normal(rng, 2, 5, 6), weights_of(rng, 6)
    lengths = torch.tensor([3, 4])
    module = loaded(sub.MultiHeadCrossAttention, 6, 3, weights)
    want = attend_loops(x, memory, weights, 3, table_of(lengths, 4, 5))
    for size in (30.0, 30_000.0):
        loud = memory.clone()
        loud[0, 3:], loud[1, 4:] = size, -size
        got = module(x, loud, lengths)
        expect_close(got, want, OUTPUTS, what=f"the output with {size:,.0f} in the padding")


@cross_attention.check(
    points=1,
    title="a memory without a real token gives zeros from its heads",
    hint="functional.masked_softmax knows the empty row; after it out_proj adds its bias.",
)
def test_cross_empty_memory(sub, rng):
    x, memory, weights = normal(rng, 3, 4, 6), normal(rng, 3, 5, 6), weights_of(rng, 6)
    module = loaded(sub.MultiHeadCrossAttention, 6, 3, weights)
    want = attend_loops(x, memory, weights, 3, table_of([2, 0, 5], 4, 5))
    got = module(x, memory, torch.tensor([2, 0, 5]))
    expect_close(got, want, OUTPUTS, what="the output for lengths [2, 0, 5]")


@cross_attention.check(
    points=1,
    title="large scores neither overflow nor vanish",
    hint="Use a softmax that subtracts the largest score of each row.",
)
def test_cross_large_scores(sub, rng):
    weights = weights_of(rng, 6)
    weights["q_proj.weight"] = weights["q_proj.weight"] * 1000
    x, memory = normal(rng, 2, 4, 6), normal(rng, 2, 5, 6)
    module = loaded(sub.MultiHeadCrossAttention, 6, 3, weights)
    want = attend_loops(x, memory, weights, 3)
    expect_close(module(x, memory), want, LARGE, what="the output for scores in the thousands")


@cross_attention.check(
    points=1,
    title="the output has the dtype of x and of the weights",
    hint="No .float(), no .double(), and no tensor of another dtype on the way.",
)
def test_cross_dtype(sub, rng):
    x, memory, weights = normal(rng, 2, 4, 6), normal(rng, 2, 5, 6), weights_of(rng, 6)
    want = attend_loops(x, memory, weights, 3, table_of([5, 2], 4, 5))
    for dtype, kind in ((torch.float32, torch.int32), (torch.float64, torch.int64)):
        same = {name: each.to(dtype) for name, each in weights.items()}
        module = loaded(sub.MultiHeadCrossAttention, 6, 3, same)
        got = module(x.to(dtype), memory.to(dtype), torch.tensor([5, 2], dtype=kind))
        require_dtype(got, dtype, "the output")
        expect_close(got, want.to(dtype), KEPT[dtype], what=f"the output in {dtype}")


@cross_attention.check(
    points=2,
    title="gradients reach x, the memory and all weights",
    hint="The encoder learns through the memory: keys and values must stay connected to it.",
)
def test_cross_gradients(sub, rng):
    inputs = {"x": normal(rng, 2, 4, 6), "memory": normal(rng, 2, 5, 6)}
    weights, lengths = weights_of(rng, 6), torch.tensor([3, 0])
    module = loaded(sub.MultiHeadCrossAttention, 6, 3, weights)
    table = table_of(lengths, 4, 5)

    def definition(leaves):
        return attend_einsum(leaves["x"], leaves["memory"], leaves, 3, table)

    expect_module_gradients(module, inputs, [lengths], weights, definition, "the output")


@cross_attention.check(
    points=1,
    title="two modules have weights of their own, and a second memory is read anew",
    hint="Keep nothing of a call on self: the next one may bring another memory.",
)
def test_cross_instances(sub, rng):
    x, memory = normal(rng, 2, 4, 6), normal(rng, 2, 5, 6)
    expect_apart(
        sub.MultiHeadCrossAttention, 6, 3, lambda module: module(x, memory), rng, "the output"
    )
    weights = weights_of(rng, 6)
    module = loaded(sub.MultiHeadCrossAttention, 6, 3, weights)
    module(x, memory)
    other = normal(rng, 2, 5, 6)
    want = attend_loops(x, other, weights, 3)
    expect_close(module(x, other), want, OUTPUTS, what="the output for a second memory")


for _line in (4, 5, 6, 14, 15):
    cross_attention.waive(f"MultiHeadCrossAttention.forward:L{_line}:2->-2", reason=FOUR_AXES)
cross_attention.waive(
    "MultiHeadCrossAttention.forward:L9:drop device=memory.device of arange",
    reason="makes a difference only where there is a second device, and graders run on the CPU",
)


# ---------------------------------------------------------------------------------------------
# 03.6

grouped_attention = exercise(
    "03.6",
    function="grouped_attention",
    title="Grouped heads",
    page=f"{PAGE}#shared",
    returns="tensor",
    closed=(
        "torch.nn.functional.scaled_dot_product_attention",
        *MULTI_HEAD,
    ),
    hints=(
        "With 6 query heads and 2 of keys: which key head belongs to query heads 0, 1, 2, and "
        "which to 3, 4, 5?",
        "Read the section on grouped heads and look at its drawing: neighbours share. Then either "
        "repeat each key head for its group, or give the queries an axis for the group.",
        "`k.repeat_interleave(H // H_kv, dim=1)` gives 0, 0, 1, 1; v alike; then "
        "`functional.scaled_dot_product_attention(q, k, v)`. Before that, ValueError if H % H_kv.",
    ),
)


def grouped_loops(q, k, v):
    B, H, T_q, _ = q.shape
    group = H // k.shape[1]
    result = torch.zeros(B, H, T_q, v.shape[-1], dtype=torch.float64)
    for b in range(B):
        for h in range(H):
            parts = q[b, h], k[b, h // group], v[b, h // group]
            one = numpy_core.attention(*(part.double().numpy() for part in parts))
            result[b, h] = torch.from_numpy(one)
    return result


def grouped(rng, B, H, H_kv, T_q, T_k, D, D_v, dtype=torch.float64):
    shapes = (B, H, T_q, D), (B, H_kv, T_k, D), (B, H_kv, T_k, D_v)
    return [normal(rng, *shape, dtype=dtype) for shape in shapes]


@grouped_attention.check(
    points=1,
    title="the worked example: four query heads, two of keys and values",
    hint="Heads 0 and 1 find 10, heads 2 and 3 find 20.",
)
def test_grouped_by_hand(sub, rng):
    q, k = torch.ones(1, 4, 1, 1), torch.ones(1, 2, 1, 1)
    v = torch.tensor([10.0, 20.0]).view(1, 2, 1, 1)
    want = torch.tensor([10.0, 10.0, 20.0, 20.0]).view(1, 4, 1, 1)
    expect_close(sub.grouped_attention(q, k, v), want, BY_HAND, what="what the four heads find")


@grouped_attention.check(
    points=1,
    title="as many heads as queries have, as wide as values are",
    hint="6 query heads stay 6, whatever they share.",
)
def test_grouped_shape(sub, rng):
    got = sub.grouped_attention(*grouped(rng, 2, 6, 3, 4, 7, 5, 8))
    require_shape(got, (2, 6, 4, 8), "(B, H, T_q, D_v)", "the result")


@grouped_attention.check(
    points=3,
    title="neighbouring query heads share one head of keys and values",
    hint="Query head h belongs to key head h // (H // H_kv): 0, 0, 1, 1 and not 0, 1, 0, 1.",
)
def test_grouped_definition(sub, rng):
    for sizes in ((2, 6, 3, 4, 7, 5, 8), (2, 6, 2, 4, 7, 5, 8), (3, 8, 2, 5, 4, 6, 3)):
        q, k, v = grouped(rng, *sizes)
        what = f"the result for H={sizes[1]}, H_kv={sizes[2]}"
        expect_close(sub.grouped_attention(q, k, v), grouped_loops(q, k, v), OUTPUTS, what=what)


@grouped_attention.check(
    points=2,
    title="the two ends: a key head for each, and one for all",
    hint="H_kv = H is multi-head attention, H_kv = 1 is multi-query attention.",
)
def test_grouped_ends(sub, rng):
    for sizes in ((2, 4, 4, 3, 5, 6, 7), (2, 4, 1, 3, 5, 6, 7), (2, 1, 1, 3, 5, 6, 7)):
        q, k, v = grouped(rng, *sizes)
        what = f"the result for H={sizes[1]}, H_kv={sizes[2]}"
        expect_close(sub.grouped_attention(q, k, v), grouped_loops(q, k, v), OUTPUTS, what=what)


@grouped_attention.check(
    points=2,
    title="equal sizes hide nothing",
    hint="B = H_kv = group = T = D: which axis is shared, and which is attended over?",
)
def test_grouped_equal_sizes(sub, rng):
    for sizes in ((2, 4, 2, 2, 2, 2, 2), (3, 9, 3, 3, 3, 3, 3), (3, 6, 3, 6, 6, 4, 4)):
        q, k, v = grouped(rng, *sizes)
        what = f"the result for B={sizes[0]}, H={sizes[1]}, H_kv={sizes[2]}, T={sizes[3]}"
        expect_close(sub.grouped_attention(q, k, v), grouped_loops(q, k, v), OUTPUTS, what=what)


@grouped_attention.check(
    points=1,
    title="heads that cannot be grouped are refused",
    hint="`raise ValueError(...)` with both numbers, before anything is computed.",
)
def test_grouped_refuses(sub, rng):
    # 3, 7 and 8 are no other size here: torch's or the library's own message does not hold both.
    for H, H_kv in ((7, 3), (8, 3), (3, 7)):
        q, k, v = grouped(rng, 2, H, H_kv, 5, 5, 4, 4)
        what = f"{H} query heads with {H_kv} of keys and values"
        says = str(H), str(H_kv)
        call = partial(sub.grouped_attention, q, k, v)
        expect_raises(ValueError, call, what=what, says=says)


@grouped_attention.check(
    points=1,
    title="large scores neither overflow nor vanish",
    hint="Each row of scores is shifted by its own largest before exp.",
)
def test_grouped_large_scores(sub, rng):
    q, k, v = grouped(rng, 2, 6, 3, 4, 7, 5, 8)
    q = q * 1000
    q[:, :, 1] *= 0.001  # one row far below the others
    what = "the result for scores in the thousands"
    expect_close(sub.grouped_attention(q, k, v), grouped_loops(q, k, v), LARGE, what=what)


@grouped_attention.check(
    points=1,
    title="the result has the dtype of q",
    hint="No .float(), no .double(), and no tensor of another dtype on the way.",
)
def test_grouped_dtype(sub, rng):
    for dtype, tolerance in KEPT.items():
        q, k, v = grouped(rng, 2, 6, 3, 4, 7, 4, 8, dtype=dtype)
        got = require_dtype(sub.grouped_attention(q, k, v), dtype, "the result")
        want = grouped_loops(q, k, v).to(dtype)
        expect_close(got, want, tolerance, what=f"the result in {dtype}")


@grouped_attention.check(
    points=1,
    title="gradients reach q, k and v",
    hint="What several heads share learns from all of them: its gradient is their sum.",
)
def test_grouped_gradients(sub, rng):
    inputs = dict(zip("qkv", grouped(rng, 2, 6, 3, 4, 7, 5, 8), strict=True))

    def definition(q, k, v):
        q = q.view(2, 3, 2, 4, 5)
        weights = (torch.einsum("bgnid,bgjd->bgnij", q, k) / math.sqrt(5)).softmax(-1)
        return torch.einsum("bgnij,bgjd->bgnid", weights, v).reshape(2, 6, 4, 8)

    cotangent, what = normal(rng, 2, 6, 4, 8), "the result"
    expect_gradients(sub.grouped_attention.vjp, definition, inputs, cotangent, GRADIENT, what=what)


# ---------------------------------------------------------------------------------------------
# 03.7

load_torch_weights = exercise(
    "03.7",
    function="load_torch_weights",
    title="Weights from torch",
    page=f"{PAGE}#torch-equal",
    hints=(
        "Four entries come in, eight go out, and no number changes. Which rows of `in_proj_weight` "
        "are `k_proj.weight`?",
        "Read how the packed projection is stored: q, k, v one below the other. Write down the "
        "names of all that may be in the state, and what to do with any other.",
        '`q, k, v = state["in_proj_weight"].chunk(3)`, the same for the biases where there are '
        "any; with `kdim` the three matrices have entries of their own. Look for unknown names "
        "first, and raise.",
    ),
)


def torch_state(rng, C, H=1, **options):
    """The state of a module of torch's, all of its numbers normal."""
    state = nn.MultiheadAttention(C, H, dtype=torch.float64, **options).state_dict()
    return {name: normal(rng, *each.shape) for name, each in state.items()}


def wanted_state(state, C):
    """Our names, cut out by rows."""
    made = {name: each for name, each in state.items() if name.startswith("out_proj")}
    for place, name in enumerate("qkv"):
        rows = slice(place * C, (place + 1) * C)
        whole = state.get(f"{name}_proj_weight")
        made[f"{name}_proj.weight"] = state["in_proj_weight"][rows] if whole is None else whole
        if "in_proj_bias" in state:
            made[f"{name}_proj.bias"] = state["in_proj_bias"][rows]
    return made


def expect_state(got, want, what):
    """The same names, and the same numbers under each."""
    expect(
        isinstance(got, dict),
        f"{what}: wanted a dictionary from names to tensors, got {type(got).__name__}.",
    )
    missing, extra = [n for n in want if n not in got], [n for n in got if n not in want]
    expect(not missing, f"{what}: there is no {' and no '.join(missing)} in what you return.")
    expect(not extra, f"{what}: {', '.join(extra)} should not be in what you return.")
    for name, wanted in want.items():
        expect_close(got[name], wanted, MOVED, what=f"{what}: {name}")


@load_torch_weights.check(
    points=1,
    title="the worked example: one number each",
    hint="Row 0 is q, row 1 is k, row 2 is v.",
)
def test_state_by_hand(sub, rng):
    column = torch.tensor([[1.0], [2.0], [3.0]])
    state = {
        "in_proj_weight": column,
        "in_proj_bias": torch.tensor([4.0, 5.0, 6.0]),
        "out_proj.weight": torch.tensor([[7.0]]),
        "out_proj.bias": torch.tensor([8.0]),
    }
    want = {"out_proj.weight": torch.tensor([[7.0]]), "out_proj.bias": torch.tensor([8.0])}
    for place, name in enumerate("qkv"):
        want[f"{name}_proj.weight"] = column[place : place + 1]
        want[f"{name}_proj.bias"] = torch.tensor([4.0 + place])
    expect_state(sub.load_torch_weights(state), want, "the state of C = 1")


@load_torch_weights.check(
    points=3,
    title="every block of rows under its name",
    hint="Rows 0 to C − 1 are q, rows C to 2C − 1 are k, rows 2C to 3C − 1 are v; nothing is "
    "transposed.",
)
def test_state_of_torch(sub, rng):
    for C in (6, 5, 8):
        state = torch_state(rng, C)
        expect_state(sub.load_torch_weights(state), wanted_state(state, C), f"the state of C = {C}")


@load_torch_weights.check(
    points=2,
    title="our module then gives what torch's gives",
    hint="Compare the two outputs on a sentence: where they differ, a block is in a wrong place.",
)
def test_state_gives_the_same_output(sub, rng):
    for C, H in ((6, 3), (8, 2)):
        state, x = torch_state(rng, C, H), normal(rng, 2, 5, C)
        theirs = nn.MultiheadAttention(C, H, batch_first=True, dtype=torch.float64)
        theirs.load_state_dict(state)
        with torch.no_grad():
            want = theirs(x, x, x)[0]
        got = sub.load_torch_weights(state)
        names = [f"{name}.{kind}" for name in PROJECTIONS for kind in ("weight", "bias")]
        expect(
            isinstance(got, dict) and all(name in got for name in names),
            "the module needs q_proj, k_proj, v_proj and out_proj, each with weight and bias.",
        )
        what = f"the output of our module with C={C}, H={H}"
        expect_close(attend_loops(x, x, got, H), want, OUTPUTS, what=what)


@load_torch_weights.check(
    points=2,
    title="a module without biases",
    hint="With bias=False neither `in_proj_bias` nor `out_proj.bias` is there: ask before you "
    "take.",
)
def test_state_without_biases(sub, rng):
    state = torch_state(rng, 6, bias=False)
    what = "the state with bias=False"
    expect_state(sub.load_torch_weights(state), wanted_state(state, 6), what)


@load_torch_weights.check(
    points=2,
    title="three matrices in place of one",
    hint="With kdim or vdim the entries are q_proj_weight, k_proj_weight and v_proj_weight.",
)
def test_state_with_other_widths(sub, rng):
    for options in ({"kdim": 4, "vdim": 7}, {"kdim": 3, "bias": False}, {"vdim": 9}):
        state = torch_state(rng, 6, **options)
        what = f"the state with {', '.join(f'{k}={v}' for k, v in options.items())}"
        expect_state(sub.load_torch_weights(state), wanted_state(state, 6), what)


@load_torch_weights.check(
    points=2,
    title="what our module has no place for is refused by name",
    hint="Compare the names of the state with those you know; `raise ValueError` with the others.",
)
def test_state_refuses(sub, rng):
    for options in ({"add_bias_kv": True}, {"add_bias_kv": True, "bias": False}):
        state = torch_state(rng, 6, **options)
        what = "a state with bias_k and bias_v"
        call = partial(sub.load_torch_weights, state)
        expect_raises(ValueError, call, what=what, says=("bias_k",))
    for name in ("norm.weight", "in_proj", "out_proj.scale"):
        state = {**torch_state(rng, 6), name: normal(rng, 6)}
        call = partial(sub.load_torch_weights, state)
        expect_raises(ValueError, call, what=f"a state with {name}", says=(name,))


for _mutant in ("L13:True->False", "L17:True->False"):
    load_torch_weights.waive(
        f"load_torch_weights:{_mutant}",
        reason="`strict` guards the author: there are always three names and three parts",
    )
