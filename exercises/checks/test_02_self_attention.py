"""Checks of the exercises of chapter 2.

Sizes differ from each other on purpose, so that a turned axis cannot hide; where a mistake shows
only when two sizes are equal, a check of its own makes them equal. Oracles are loops over Python
numbers, the loops of `minitx.numpy_core`, torch's own operator, and laws.
"""

import math

import numpy as np
import torch
from torch.nn import functional as F

from minitx import numpy_core
from minitx.grading import Tolerance, exercise, expect, expect_close, expect_equal
from minitx.tensor_checks import coins, expect_gradients, normal, require_dtype, require_life

PAGE = "book/02_self_attention.md"
FLOAT64 = Tolerance(
    rtol=1e-10,
    atol=1e-12,
    because="both are float64 sums of few terms; only their order may differ",
)
SAME = Tolerance(rtol=1e-9, atol=1e-12, because="what it depends on are the same numbers")
BY_HAND = Tolerance(rtol=1e-6, atol=0.0, because="a few small numbers in float32")
FLOAT32 = Tolerance(rtol=1e-5, atol=0.0, because="float32, with an exponential of log 3")
_ROOT = "float64, with room for a square root of D_k that was rounded to float32"
SCORES = Tolerance(rtol=1e-6, atol=1e-9, because=_ROOT)
OUTPUTS = Tolerance(rtol=1e-5, atol=1e-5, because=_ROOT)
_GUARD = "float64, with room for a tiny number added to the sum"
WEIGHTS = Tolerance(rtol=1e-5, atol=0.0, because=f"{_GUARD}; a forbidden weight must be 0")
GRADIENT = Tolerance(rtol=1e-5, atol=1e-5, because=f"gradients up to 70 in size; {_ROOT}")
PRECISE = Tolerance(rtol=1e-8, atol=1e-8, because="float64 throughout, and the root of 4 is exact")
LARGE = Tolerance(rtol=1e-6, atol=1e-8, because="scores near 6000 are rounded at the 12th digit")
HALF = {
    torch.float16: Tolerance(rtol=4e-3, atol=0.0, because="float16 keeps 11 bits"),
    torch.bfloat16: Tolerance(rtol=3e-2, atol=0.0, because="bfloat16 keeps 8 bits"),
}
KEPT = {
    torch.float16: Tolerance(rtol=1e-2, atol=2e-2, because="sums of terms with 11 bits each"),
    torch.bfloat16: Tolerance(rtol=5e-2, atol=2e-1, because="sums of terms with 8 bits each"),
    torch.float32: Tolerance(rtol=1e-5, atol=1e-5, because="sums of float32 numbers"),
}

# A logarithm of a sum, exponentiated again, is off by half of 1/64, and so is each weight.
_FAR = "float16 numbers near -24 lie 1/64 apart"
FAR = Tolerance(rtol=1.5e-2, atol=0.0, because=_FAR)
FAR_GRADIENT = Tolerance(rtol=1.5e-2, atol=5e-2, because=f"{_FAR}; factors up to 3 in size")

# Every attention that exists already.
ATTENTION = (
    "minitx.functional.scaled_dot_product_attention",
    "minitx.functional.online_softmax",
    "minitx.numpy_core.attention",
    "torch.nn.functional.scaled_dot_product_attention",
    "torch.nn.functional.multi_head_attention_forward",
    "torch._native_multi_head_attention",
)


def require_numbers(result, shape, what):
    """Reject unless the result holds floating-point numbers in this shape."""
    expect(
        result.is_floating_point(),
        f"{what} must hold floating-point numbers, but its dtype is {result.dtype}.",
    )
    expect(
        tuple(result.shape) == tuple(shape),
        f"{what} must have shape {tuple(shape)}, but has {tuple(result.shape)}.",
    )
    return result


def leveled(rng, *shape, levels):
    """Tensors (..., T, 4) whose rows t score q·q/√4 = levels[t] with themselves, exactly or nearly.

    With such rows as queries and as keys, plain exponentials overflow, and in the row of the lowest
    level the largest score of all is out of reach: hundreds above every score of that row.
    """
    rows = rng.normal(size=(*shape, len(levels), 4))
    rows *= np.sqrt(2 * np.array(levels) / (rows**2).sum(-1))[..., None]
    return torch.from_numpy(rows)


# ---------------------------------------------------------------------------------------------
# 02.1

project = exercise(
    "02.1",
    function="project",
    title="Queries, keys and values",
    page=f"{PAGE}#projections",
    returns=("tensor", "tensor", "tensor"),
    hints=(
        "Three results, one recipe: the token vectors times a matrix. Which matrix belongs to "
        "which result?",
        "Read how Q = XW_Q multiplies rows by a matrix, shape by shape. The token vector is a "
        "*row* and stands on the left: (T, C) times (C, D_k).",
        "`x @ W_q` is the whole of q: `@` works on the last two axes and repeats itself over the "
        "batch. Do the same with W_k and W_v, and return all three in the order q, k, v.",
    ),
)


NAMES = "the query q", "the key k", "the value v"


def project_loops(x, W):
    x, W = (each.detach().double().numpy() for each in (x, W))  # fast to read one by one
    B, T, C = x.shape
    result = np.zeros((B, T, W.shape[1]))
    for b in range(B):
        for t in range(T):
            for d in range(W.shape[1]):
                result[b, t, d] = sum(float(x[b, t, c]) * float(W[c, d]) for c in range(C))
    return torch.from_numpy(result)


@project.check(
    points=1,
    title="the worked example: one token, done by hand",
    hint="Multiply the row (1, 2) by each column of each matrix.",
)
def test_one_token_by_hand(sub, rng):
    x = torch.tensor([[[1.0, 2.0]]])
    W_q = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
    W_k = torch.tensor([[2.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    W_v = torch.tensor([[1.0], [10.0]])
    wanted = [[[1.0, 2.0, 3.0]]], [[[2.0, 0.0, 2.0]]], [[[21.0]]]
    for name, want, got in zip(NAMES, wanted, sub.project(x, W_q, W_k, W_v), strict=True):
        expect_close(got, torch.tensor(want), BY_HAND, what=name)


@project.check(
    points=1,
    title="q and k are D_k wide, v is D_v wide",
    hint="Each result is as wide as its own matrix, and every sentence keeps its tokens.",
)
def test_shapes(sub, rng):
    x = normal(rng, 2, 5, 7)
    q, k, v = sub.project(x, normal(rng, 7, 3), normal(rng, 7, 3), normal(rng, 7, 4))
    for name, got, width in zip("qkv", (q, k, v), (3, 3, 4), strict=True):
        require_life(got, name)
        expect(
            tuple(got.shape) == (2, 5, width),
            f"{name} has shape {tuple(got.shape)}; wanted (B=2, T=5, {width}), because x is "
            f"(2, 5, 7) and the matrix of {name} is (7, {width}).",
        )


@project.check(
    points=3,
    title="every token of every sentence gets its own query, key and value",
    hint="Compare one entry: q[b, t, d] is the sum over c of x[b, t, c] * W_q[c, d], and no more.",
)
def test_every_token(sub, rng):
    for B, T, D_v in ((2, 5, 4), (2, 5, 4), (1, 3, 1)):
        x = normal(rng, B, T, 7)
        matrices = normal(rng, 7, 3), normal(rng, 7, 3), normal(rng, 7, D_v)
        for name, got, W in zip(NAMES, sub.project(x, *matrices), matrices, strict=True):
            expect_close(got, project_loops(x, W), FLOAT64, what=name)


@project.check(
    points=2,
    title="square matrices are not transposed",
    hint="With C = D_k = D_v a transposed matrix fits as well. Is yours (C, D_k) or (D_k, C)?",
)
def test_square_matrices(sub, rng):
    for B, T in ((3, 2), (5, 5)):
        x = normal(rng, B, T, 5)
        matrices = normal(rng, 5, 5), normal(rng, 5, 5), normal(rng, 5, 5)
        for name, got, W in zip(NAMES, sub.project(x, *matrices), matrices, strict=True):
            expect_close(got, project_loops(x, W), FLOAT64, what=name)


@project.check(
    points=1,
    title="the results have the dtype of x",
    hint="No .float(), no .double(), and no tensor of another dtype on the way.",
)
def test_project_keeps_the_dtype(sub, rng):
    for dtype, tolerance in KEPT.items():
        x = normal(rng, 2, 5, 7, dtype=dtype)
        matrices = [normal(rng, 7, D, dtype=dtype) for D in (3, 3, 4)]
        for name, got, W in zip(NAMES, sub.project(x, *matrices), matrices, strict=True):
            require_dtype(got, dtype, name)
            want = project_loops(x, W).to(dtype)
            expect_close(got, want, tolerance, what=f"{name} in {dtype}")


@project.check(
    points=1,
    title="gradients reach x and the three matrices",
    hint="The matrices are what a model learns: the results must stay connected to them.",
)
def test_gradients_flow(sub, rng):
    names, shapes = ("x", "W_q", "W_k", "W_v"), ((2, 5, 7), (7, 3), (7, 3), (7, 4))
    inputs = {n: normal(rng, *shape) for n, shape in zip(names, shapes, strict=True)}
    cotangents = tuple(normal(rng, 2, 5, D) for D in (3, 3, 4))

    def definition(x, *matrices):
        return tuple(torch.einsum("btc,cd->btd", x, W) for W in matrices)

    expect_gradients(sub.project.vjp, definition, inputs, cotangents, GRADIENT, what="(q, k, v)")


# ---------------------------------------------------------------------------------------------
# 02.2

attention_scores = exercise(
    "02.2",
    function="attention_scores",
    title="Scaled scores",
    page=f"{PAGE}#scaled-scores",
    returns="tensor",
    closed=("minitx.functional.attention_scores", *ATTENTION),
    hints=(
        "A table of all dot products between the rows of two matrices is one matrix product, with "
        "one of the two transposed.",
        "Read why the spread of a dot product grows like √D_k. Then look at which axes the "
        "chapter's code exchanges: counted from the end, so a batch and heads may stand before.",
        "`q @ k.transpose(-2, -1)` gives (..., T_q, T_k). Divide it by `math.sqrt(q.shape[-1])`.",
    ),
)


def scores_loops(q, k):
    """(..., T_q, D_k), (..., T_k, D_k) -> (..., T_q, T_k), one dot product at a time."""
    leading, T_q, T_k, D_k = q.shape[:-2], q.shape[-2], k.shape[-2], q.shape[-1]
    result = np.zeros((*leading, T_q, T_k))
    for at in np.ndindex(*leading):
        query_rows, key_rows = q[at].tolist(), k[at].tolist()
        for i in range(T_q):
            for j in range(T_k):
                products = (a * b for a, b in zip(query_rows[i], key_rows[j], strict=True))
                result[(*at, i, j)] = sum(products) / math.sqrt(D_k)
    return torch.from_numpy(result)


@attention_scores.check(
    points=1,
    title="the worked example: one query, three keys",
    hint="The dot products are 4, 2 and -2, and √4 = 2.",
)
def test_one_query_by_hand(sub, rng):
    q = torch.tensor([[1.0, 2.0, 2.0, 0.0]])
    k = torch.tensor([[2.0, 0.0, 1.0, 5.0], [0.0, 1.0, 0.0, 9.0], [-2.0, 0.0, 0.0, 7.0]])
    expect_close(
        sub.attention_scores(q, k),
        torch.tensor([[2.0, 1.0, -1.0]]),
        BY_HAND,
        what="the row of scores",
    )


@attention_scores.check(
    points=1,
    title="one row per query, one column per key",
    hint="scores[i, j] belongs to query i and key j.",
)
def test_rows_are_queries(sub, rng):
    got = sub.attention_scores(normal(rng, 5, 11), normal(rng, 7, 11))
    require_life(got, "the table of scores")
    expect(
        tuple(got.shape) == (5, 7),
        f"5 queries and 7 keys make scores of shape (T_q=5, T_k=7); yours have {tuple(got.shape)}.",
    )


@attention_scores.check(
    points=2,
    title="the divisor is the square root of D_k",
    hint="Print your divisor for D_k = 11: it should be 3.3166.",
)
def test_scale(sub, rng):
    for what in ("the scores at D_k = 11", "other scores at D_k = 11"):
        q, k = normal(rng, 5, 11), normal(rng, 7, 11)
        expect_close(sub.attention_scores(q, k), scores_loops(q, k), SCORES, what=what)


@attention_scores.check(
    points=3,
    title="batches, and batches of heads",
    hint="With more axes the last two are still the ones to turn: count them from the end.",
)
def test_batch_and_heads(sub, rng):
    batch = normal(rng, 2, 5, 11), normal(rng, 2, 7, 11)
    # Heads cut from wider rows, as in a model: (B, T, H, D_k) turned, so not contiguous.
    heads = normal(rng, 2, 5, 3, 11).transpose(1, 2), normal(rng, 2, 7, 3, 11).transpose(1, 2)
    equal = normal(rng, 4, 4, 4), normal(rng, 4, 4, 4)
    for q, k in (batch, heads, equal):
        expect_close(
            sub.attention_scores(q, k),
            scores_loops(q, k),
            SCORES,
            what=f"the scores of {q.dim()}-dimensional inputs",
        )


@attention_scores.check(
    points=1,
    title="the spread of the scores is 1 at every width",
    hint="Queries and keys of variance 1 must give scores of variance about 1, for any D_k.",
)
def test_spread_at_every_width(sub, rng):
    for D_k in (4, 64, 400):
        scores = sub.attention_scores(normal(rng, 90, D_k), normal(rng, 80, D_k))
        require_numbers(scores, (90, 80), "the table of scores")
        spread = float(scores.std())
        # 7,200 scores made of 170 random vectors: the spread keeps within a tenth or so of 1.
        expect(
            0.8 < spread < 1.25,
            f"with D_k = {D_k} and inputs of variance 1 your scores have spread {spread:.2f}; it "
            "should be about 1 whatever D_k is.",
        )


@attention_scores.check(
    points=1,
    title="large scores stay what they are",
    hint="Nothing is cut off and nothing is softened here: keeping exp safe is softmax's business.",
)
def test_large_scores_are_kept(sub, rng):
    for size in (10.0, 100.0):
        q, k = normal(rng, 5, 11) * size, normal(rng, 7, 11) * size
        what = f"the scores of inputs near {size:g}"
        expect_close(sub.attention_scores(q, k), scores_loops(q, k), SCORES, what=what)


@attention_scores.check(
    points=1,
    title="half precision stays half precision",
    hint="The result has the dtype of q: no .float() and no tensor of another dtype on the way.",
)
def test_keeps_the_dtype(sub, rng):
    for dtype, tolerance in KEPT.items():
        q, k = normal(rng, 5, 16, dtype=dtype), normal(rng, 7, 16, dtype=dtype)
        got = require_dtype(sub.attention_scores(q, k), dtype, "the table of scores")
        expect_close(got, scores_loops(q, k).to(dtype), tolerance, what=f"the scores in {dtype}")


@attention_scores.check(
    points=1,
    title="gradients reach q and k",
    hint="Keep to tensor operations from the inputs to the result.",
)
def test_gradients_flow_to_q_and_k(sub, rng):
    inputs = {"q": normal(rng, 2, 5, 11), "k": normal(rng, 2, 7, 11)}

    def definition(q, k):
        return torch.einsum("bid,bjd->bij", q, k) / math.sqrt(11)

    cotangent, what = normal(rng, 2, 5, 7), "the table of scores"
    expect_gradients(sub.attention_scores.vjp, definition, inputs, cotangent, GRADIENT, what=what)


# ---------------------------------------------------------------------------------------------
# 02.3

masked_softmax = exercise(
    "02.3",
    function="masked_softmax",
    title="A softmax that knows a mask",
    page=f"{PAGE}#masked-softmax",
    returns="tensor",
    closed=(
        "minitx.functional.masked_softmax",
        "torch.masked.softmax",
        "torch._masked_softmax",
        *ATTENTION,
    ),
    hints=(
        "What number must stand in a forbidden place *before* the softmax, so that its weight "
        "after the softmax is exactly 0?",
        "Read the section on masks: the convention (True = may attend), why the mask goes in "
        "before the softmax, and what happens to a row in which nothing is allowed.",
        "Fill the places `~allowed` with `torch.finfo(scores.dtype).min`, take "
        "`.softmax(dim=-1)`, then fill the places `~allowed` of the result with 0.",
    ),
)


def softmax_loops(scores, allowed):
    """The definition, one row at a time; zeros where nothing is allowed."""
    allowed = torch.broadcast_to(allowed, scores.shape)
    result = np.zeros(tuple(scores.shape))
    for at in np.ndindex(*scores.shape[:-1]):
        row, may = scores[at].tolist(), allowed[at].tolist()
        seen = [j for j in range(len(row)) if may[j]]
        if not seen:
            continue
        top = max(row[j] for j in seen)
        total = sum(math.exp(row[j] - top) for j in seen)
        for j in seen:
            result[(*at, j)] = math.exp(row[j] - top) / total
    return torch.from_numpy(result)


@masked_softmax.check(
    points=1,
    title="the worked example: two keys allowed, the third forbidden",
    hint="1 / (1 + e⁻¹) = 0.731 for the first key, the rest for the second, nothing for the third.",
)
def test_three_keys_by_hand(sub, rng):
    first = 1 / (1 + math.exp(-1))
    expect_close(
        sub.masked_softmax(torch.tensor([[2.0, 1.0, -1.0]]), torch.tensor([[True, True, False]])),
        torch.tensor([[first, 1 - first, 0.0]]),
        BY_HAND,
        what="the row of weights",
    )


@masked_softmax.check(
    points=2,
    title="every row sums to 1, whatever it may see",
    hint="Normalise over the keys, the last axis, and over the allowed ones only.",
)
def test_rows_sum_to_one(sub, rng):
    for shape in ((5, 7), (2, 5, 7), (2, 3, 5, 7)):
        allowed = coins(rng, *shape)
        weights = sub.masked_softmax(normal(rng, *shape), allowed)
        require_numbers(weights, shape, "the table of weights")
        ones = torch.ones((), dtype=weights.dtype)
        columns = weights.nansum(-2)[allowed.any(-2)]
        expect(
            not torch.allclose(columns, ones) or torch.allclose(weights.sum(-1), ones),
            "the columns of your weights sum to 1, the rows do not: you normalised over the "
            "queries. The keys lie along the last axis, dim=-1.",
        )
        expect_close(
            weights.sum(-1),
            torch.ones(shape[:-1], dtype=torch.float64),
            WEIGHTS,
            what=f"the sum of each row, for scores of shape {shape}",
        )


@masked_softmax.check(
    points=3,
    title="each sentence, head and query keeps to its own mask",
    hint="Compare one row with the loop: only its allowed keys take part, each with its own score.",
)
def test_every_row_has_its_own_mask(sub, rng):
    # Square tables as well: there a mask turned round, or taken from another sentence, fits.
    for shape in ((2, 5, 7), (3, 3, 6, 6), (2, 5, 7), (1, 1, 4)):
        scores, allowed = normal(rng, *shape), coins(rng, *shape)
        expect_close(
            sub.masked_softmax(scores, allowed),
            softmax_loops(scores, allowed),
            WEIGHTS,
            what=f"the weights for scores of shape {shape}",
        )


@masked_softmax.check(
    points=1,
    title="a mask with fewer axes is spread over the scores",
    hint="allowed may be (B, 1, 1, T_k), (H, T_q, T_k) or (T_q, T_k): masked_fill and torch.where "
    "broadcast, and line up axes from the right.",
)
def test_mask_is_broadcast(sub, rng):
    scores = normal(rng, 2, 3, 5, 7)
    shapes = ((2, 1, 1, 7), (5, 7), (1, 3, 1, 7), (3, 5, 7), (3, 1, 7), (7,), (1, 1, 5, 7))
    for shape in (*shapes, (2, 3, 1, 7), (2, 1, 5, 7)):
        allowed = coins(rng, *shape)
        expect_close(
            sub.masked_softmax(scores, allowed),
            softmax_loops(scores, allowed),
            WEIGHTS,
            what=f"the weights with a mask of shape {shape}",
        )
    # One truth per query (an empty row is another check's), and as many sentences as heads.
    allowed = torch.ones(5, 1, dtype=torch.bool)
    expect_close(
        sub.masked_softmax(scores, allowed),
        softmax_loops(scores, allowed),
        WEIGHTS,
        what="the weights with a mask of shape (5, 1)",
    )
    scores, allowed = normal(rng, 3, 3, 5, 7), coins(rng, 3, 5, 7)
    expect_close(
        sub.masked_softmax(scores, allowed),
        softmax_loops(scores, allowed),
        WEIGHTS,
        what="the weights of (3, 3, 5, 7) scores with a mask of shape (3, 5, 7)",
    )


@masked_softmax.check(
    points=2,
    title="a forbidden key gets nothing, however loud it is",
    hint="Forbidden scores must leave before the softmax, its maximum and its sum are taken.",
)
def test_loud_forbidden_keys(sub, rng):
    scores = normal(rng, 2, 5, 7)
    allowed = coins(rng, 2, 5, 7)
    for loudness in (30.0, 30_000.0):
        loud = torch.where(allowed, scores, scores.abs() * loudness + loudness)
        expect_close(
            sub.masked_softmax(loud, allowed),
            softmax_loops(scores, allowed),
            WEIGHTS,
            what=f"the weights when forbidden scores are above {loudness:,.0f}",
        )


@masked_softmax.check(
    points=2,
    title="scores in the ten-thousands neither overflow nor leak",
    hint="Each row is shifted by the largest of its own allowed scores; -10000 is not -∞.",
)
def test_large_scores(sub, rng):
    # One cold row far below the others, where a forbidden key must not win either.
    for what in ("very large and very small scores", "other such scores"):
        scores = normal(rng, 2, 5, 7) * 100
        scores[0, 1] -= 40_000
        scores[1, 3] += 40_000
        allowed = coins(rng, 2, 5, 7)
        expect_close(
            sub.masked_softmax(scores, allowed),
            softmax_loops(scores, allowed),
            WEIGHTS,
            what=f"the weights of {what}",
        )


@masked_softmax.check(
    points=2,
    title="a query that may attend to nothing gets a row of zeros",
    hint="With nothing allowed the fraction is 0/0. Decide what stands there: zeros.",
)
def test_nothing_allowed(sub, rng):
    scores, allowed = normal(rng, 2, 5, 7), coins(rng, 2, 5, 7)
    allowed[0, 2] = False
    allowed[1, 4] = False
    expect_close(
        sub.masked_softmax(scores, allowed),
        softmax_loops(scores, allowed),
        WEIGHTS,
        what="the weights, two rows of which may attend to nothing",
    )


@masked_softmax.check(
    points=2,
    title="the gradient is finite and right, also behind an empty row",
    hint="Where -inf was added, or a sum of 0 divided by, a NaN covered up at the end comes back "
    "in the gradient. Best is that none arises.",
)
def test_gradient_is_finite(sub, rng):
    scores, allowed = normal(rng, 2, 5, 7), coins(rng, 2, 5, 7)
    allowed[0, 2] = False
    weights = sub.masked_softmax(scores, allowed)
    require_numbers(weights, (2, 5, 7), "the table of weights")
    w = softmax_loops(scores, allowed)
    # Softmax backwards: dL/ds = w * (g - sum(g * w)), with the factors g; unequal, because the
    # plain sum of a softmax's outputs is constant and has gradient 0.
    factors = torch.arange(1, w.numel() + 1, dtype=torch.float64).reshape(w.shape)
    (gradient,) = sub.masked_softmax.vjp(scores.requires_grad_(), allowed, cotangent=factors)
    expect(
        gradient is not None,
        "the table of weights is cut off from scores: no gradient can flow back through it. Keep "
        "to tensor operations: detach(), numpy(), tolist(), item(), torch.tensor(...) and "
        "torch.no_grad() all cut the connection.",
    )
    state = "are finite, but" if weights.isfinite().all() else "hold NaN, and"
    expect(
        bool(gradient.isfinite().all()),
        f"the weights {state} the gradient with respect to scores holds NaN or infinity "
        "behind the row in which nothing is allowed: one NaN there spoils every parameter of a "
        "model in the next step.",
    )
    expect_close(
        gradient,
        w * (factors - (factors * w).sum(-1, keepdim=True)),
        GRADIENT,
        what="the gradient with respect to scores",
    )


@masked_softmax.check(
    points=1,
    title="half precision works and stays half precision",
    hint="-1e9 is beyond float16, which ends at -65504: ask torch.finfo(scores.dtype).min.",
)
def test_half_precision(sub, rng):
    for dtype, tolerance in HALF.items():
        scores, allowed = normal(rng, 2, 5, 7, dtype=dtype), coins(rng, 2, 5, 7)
        got = sub.masked_softmax(scores, allowed)
        expect(
            got.dtype == dtype,
            f"scores are {dtype}, but your weights are {got.dtype}; they should keep the dtype.",
        )
        expect_close(
            got.double(), softmax_loops(scores, allowed), tolerance, what=f"the weights in {dtype}"
        )


@masked_softmax.check(
    points=1,
    title="half precision, scores far below zero: the gradient is finite as well",
    hint="finfo.min plus a score below -16 is -inf in float16. Put the number in the place of the "
    "score, with masked_fill or torch.where, and do not add it.",
)
def test_half_precision_gradient(sub, rng):
    scores = normal(rng, 2, 5, 7, dtype=torch.float16) - 24
    allowed = coins(rng, 2, 5, 7)
    got = sub.masked_softmax(scores, allowed).double()
    want = softmax_loops(scores, allowed)
    expect_close(got, want, FAR, what="the weights of float16 scores near -24")
    allowed[0, 2] = False
    w = softmax_loops(scores, allowed)
    factors = normal(rng, 2, 5, 7, dtype=torch.float16)
    (gradient,) = sub.masked_softmax.vjp(scores.requires_grad_(), allowed, cotangent=factors)
    expect(
        gradient is not None and bool(gradient.isfinite().all()),
        "the gradient with respect to float16 scores near -24 holds NaN or infinity behind the row "
        "in which nothing is allowed, or there is none.",
    )
    g = factors.double()
    expect_close(
        gradient.double(),
        w * (g - (g * w).sum(-1, keepdim=True)),
        FAR_GRADIENT,
        what="the gradient with respect to float16 scores near -24",
    )


for _mutant in (
    "L1:drop if allowed is None:",
    "L2:drop return scores.softmax(dim=-1)",
    "L2:return scores.softmax(dim=-1)->return scores",
    "L2:return scores.softmax(dim=-1)->return allowed",
    "L2:drop dim=-1 of softmax",
    "L2:dim=-1->-2",
    "L2:dim=-1->0",
):
    masked_softmax.waive(
        f"masked_softmax:{_mutant}",
        reason="the library allows a mask of None; the exercise always hands over a mask",
    )


# ---------------------------------------------------------------------------------------------
# 02.4

causal_mask = exercise(
    "02.4",
    function="causal_mask",
    title="The causal mask",
    page=f"{PAGE}#causal-mask",
    returns="tensor",
    closed=(
        "minitx.masks.Mask.dense",
        "minitx.numpy_core.causal_allowed",
        "torch.nn.Transformer.generate_square_subsequent_mask",
        "torch.nn.attention.bias.causal_lower_right",
    ),
    hints=(
        "Where does query i stand among the T_k positions? A key may be seen when it stands no "
        "later.",
        "Read about bottom-right alignment: the queries are the *last* T_q positions. Draw the "
        "table for 2 queries and 5 keys before you write code.",
        "Compare a row `torch.arange(T_k)` with a column of query positions "
        "`torch.arange(T_k - T_q, T_k)[:, None]`: allowed where key <= query.",
    ),
)


@causal_mask.check(
    points=2,
    title="as many queries as keys: row i allows keys 0 to i",
    hint="Row i has i + 1 True entries and they come first: a token sees itself and the past.",
)
def test_square(sub, rng):
    want = [[j <= i for j in range(5)] for i in range(5)]
    expect_equal(sub.causal_mask(5, 5), torch.tensor(want), what="the mask of 5 queries and 5 keys")


@causal_mask.check(
    points=2,
    title="fewer queries than keys: the queries are the last positions",
    hint="Query i stands at position i + T_k - T_q: the last row always allows every key.",
)
def test_bottom_right(sub, rng):
    for T_q, T_k in ((2, 5), (3, 7)):
        want = torch.from_numpy(numpy_core.causal_allowed(T_q, T_k))
        what = f"the mask of {T_q} queries and {T_k} keys"
        expect_equal(sub.causal_mask(T_q, T_k), want, what=what)


@causal_mask.check(
    points=1,
    title="one new query with a cache of old keys sees them all",
    hint="This is how text is generated: the newest token looks back at everything.",
)
def test_one_query(sub, rng):
    expect_equal(
        sub.causal_mask(1, 9),
        torch.ones(1, 9, dtype=torch.bool),
        what="the mask of 1 query, 9 keys",
    )


@causal_mask.check(
    points=1,
    title="more queries than keys: the first rows allow nothing",
    hint="i + T_k - T_q is negative for the first queries: they stand before all keys.",
)
def test_more_queries_than_keys(sub, rng):
    want = [[False, False], [True, False], [True, True]]
    expect_equal(sub.causal_mask(3, 2), torch.tensor(want), what="the mask of 3 queries and 2 keys")
    for T_q, T_k in ((5, 2), (7, 4), (6, 1)):
        want = torch.from_numpy(numpy_core.causal_allowed(T_q, T_k))
        what = f"the mask of {T_q} queries and {T_k} keys"
        expect_equal(sub.causal_mask(T_q, T_k), want, what=what)


@causal_mask.check(
    points=1,
    title="any length, also longer than any before",
    hint="Build the table for the sizes you are given, not from one of a fixed size.",
)
def test_long(sub, rng):
    for T_q, T_k in ((33, 70), (70, 70), (40, 300), (290, 150)):
        got = sub.causal_mask(T_q, T_k)
        want = torch.from_numpy(numpy_core.causal_allowed(T_q, T_k))
        expect_equal(got, want, what=f"the mask of {T_q} queries and {T_k} keys")


@causal_mask.check(
    points=1,
    title="the mask is boolean",
    hint="A comparison gives bool; torch.ones gives numbers unless you ask for dtype=torch.bool.",
)
def test_mask_is_bool(sub, rng):
    got = sub.causal_mask(4, 6)
    require_life(got, "the mask")
    expect(
        got.dtype == torch.bool,
        f"the mask has dtype {got.dtype}; wanted torch.bool, where True means may attend.",
    )


# ---------------------------------------------------------------------------------------------
# 02.5

padding_mask = exercise(
    "02.5",
    function="padding_mask",
    title="The padding mask",
    page=f"{PAGE}#padding-mask",
    returns="tensor",
    closed=("minitx.masks.padding",),
    hints=(
        "Token t of sentence b is real when t is smaller than one number. Which?",
        "Read which axis of the mask is which. A row of positions, (max_len,), compared with a "
        "column of lengths, (B, 1), is spread by broadcasting into a table (B, max_len).",
        "`torch.arange(max_len, device=lengths.device) < lengths[:, None]`.",
    ),
)


def padding_loops(lengths, max_len):
    return torch.tensor([[t < length for t in range(max_len)] for length in lengths])


@padding_mask.check(
    points=1,
    title="the worked example: lengths 3 and 1, filled up to 4",
    hint="Three True and one False; one True and three False.",
)
def test_two_sentences_by_hand(sub, rng):
    want = torch.tensor([[True, True, True, False], [True, False, False, False]])
    got = sub.padding_mask(torch.tensor([3, 1]), 4)
    expect_equal(got, want, what="the mask of lengths (3, 1)")


@padding_mask.check(
    points=3,
    title="lengths in any order, from 0 to max_len",
    hint="A sentence of length 0 has no real token, one of length max_len no padding.",
)
def test_any_lengths(sub, rng):
    lengths = [4, 0, 7, 1, *rng.integers(8, size=2).tolist()]
    got = sub.padding_mask(torch.tensor(lengths), 7)
    expect_equal(got, padding_loops(lengths, 7), what=f"the mask of lengths {lengths}")


@padding_mask.check(
    points=2,
    title="max_len may be longer than every sentence",
    hint="The width of the mask is max_len, not the longest length of this batch.",
)
def test_filled_to_a_fixed_size(sub, rng):
    for lengths, max_len in (([2, 5, 3], 9), ([3, 4, 6], 9), ([150, 2, 31], 200)):
        got = sub.padding_mask(torch.tensor(lengths), max_len)
        what = f"the mask of lengths {lengths}, max_len {max_len}"
        expect_equal(got, padding_loops(lengths, max_len), what=what)


@padding_mask.check(
    points=2,
    title="as many sentences as positions, or one: rows are still sentences",
    hint="With B == max_len a transposed table fits as well. Which axis do the lengths vary along?",
)
def test_square_batch(sub, rng):
    lengths = [2, 4, 0, 1]
    got = sub.padding_mask(torch.tensor(lengths), 4)
    expect_equal(got, padding_loops(lengths, 4), what=f"the mask of lengths {lengths}, max_len 4")
    for lengths, max_len in (([3], 5), ([1], 1)):
        got = sub.padding_mask(torch.tensor(lengths), max_len)
        what = f"the mask of lengths {lengths}, max_len {max_len}"
        expect_equal(got, padding_loops(lengths, max_len), what=what)


@padding_mask.check(
    points=1,
    title="long sentences, and lengths in small whole numbers",
    hint="Positions are whole numbers of 64 bits: int8 ends at 127, and float16 holds every whole "
    "number only up to 2048. Leave the dtype of torch.arange alone; an index is lengths.long().",
)
def test_long_sentences(sub, rng):
    for lengths, dtype, max_len in (
        ([127, 3], torch.int8, 300),
        ([255, 128], torch.uint8, 300),
        ([2049, 4093, 2999], torch.int64, 4100),
        ([300, 257], torch.int32, 301),
    ):
        got = sub.padding_mask(torch.tensor(lengths, dtype=dtype), max_len)
        what = f"the mask of {dtype} lengths {lengths}, max_len {max_len}"
        expect_equal(got, padding_loops(lengths, max_len), what=what)


@padding_mask.check(
    points=1,
    title="the mask is boolean",
    hint="A comparison gives bool; keep it.",
)
def test_padding_is_bool(sub, rng):
    got = sub.padding_mask(torch.tensor([1, 3]), 3)
    require_life(got, "the mask")
    expect(
        got.dtype == torch.bool,
        f"the mask has dtype {got.dtype}; wanted torch.bool, where True means a real token.",
    )


padding_mask.waive(
    "padding_mask:L1:drop device=lengths.device of arange",
    reason="makes a difference only where there is a second device, and graders run on the CPU",
)


# ---------------------------------------------------------------------------------------------
# 02.6

self_attention = exercise(
    "02.6",
    function="self_attention",
    title="Self-attention, all together",
    page=f"{PAGE}#one-line",
    uses=("02.1", "02.2", "02.3"),
    returns="tensor",
    closed=ATTENTION,
    hints=(
        "Six steps: three projections, scores, weights, an average. Write each on a line of its "
        "own and note the shape beside it.",
        "The chapter puts the whole recipe into one line and says which letter is which. Mind that "
        "D_k is the width of a query, not C, and where the mask enters.",
        "`q, k, v = x @ W_q, x @ W_k, x @ W_v`; scores `q @ k.transpose(-2, -1) / "
        "math.sqrt(q.shape[-1])`; weights `functional.masked_softmax(scores, allowed)`; return "
        "`weights @ v`. With allowed None, masked_softmax allows every pair.",
    ),
)


def layer(rng, C=7, D_k=3, D_v=4):
    return normal(rng, C, D_k), normal(rng, C, D_k), normal(rng, C, D_v)


def self_attention_loops(x, W_q, W_k, W_v, allowed=None):
    B, T, _ = x.shape
    table = None if allowed is None else torch.broadcast_to(allowed, (B, T, T)).numpy()
    q, k, v = (project_loops(x, W).numpy() for W in (W_q, W_k, W_v))
    rows = [
        numpy_core.attention(q[b], k[b], v[b], allowed=None if table is None else table[b])
        for b in range(B)
    ]
    return torch.from_numpy(np.stack(rows))


@self_attention.check(
    points=1,
    title="the worked example: two tokens, all widths 1",
    hint="Token 0 weighs both values by one half; token 1 by one quarter and three quarters.",
)
def test_two_tokens_by_hand(sub, rng):
    x = torch.tensor([[[0.0], [1.0]]])
    W_q, W_k, W_v = torch.tensor([[math.log(3)]]), torch.tensor([[1.0]]), torch.tensor([[4.0]])
    expect_close(
        sub.self_attention(x, W_q, W_k, W_v),
        torch.tensor([[[2.0], [3.0]]]),
        FLOAT32,
        what="the outputs of the two tokens",
    )


@self_attention.check(
    points=3,
    title="equal to the definition, loop by loop",
    hint="Scores from q and k, scaled by √D_k; weights over the keys; the average of the values.",
)
def test_definition(sub, rng):
    for what in ("the output", "the output of other tokens"):
        x, matrices = normal(rng, 2, 5, 7), layer(rng)
        want = self_attention_loops(x, *matrices)
        expect_close(sub.self_attention(x, *matrices), want, OUTPUTS, what=what)


@self_attention.check(
    points=2,
    title="equal to torch's own operator in a square layer",
    hint="With C = D_k = D_v everything fits, transposed or not: check which matrix stands where.",
)
def test_square_layer(sub, rng):
    x, matrices = normal(rng, 3, 6, 6), layer(rng, 6, 6, 6)
    want = F.scaled_dot_product_attention(*(x @ W for W in matrices))
    expect_close(
        sub.self_attention(x, *matrices),
        want,
        OUTPUTS,
        what="the output of a layer with C = D_k = D_v = T = 6",
    )


@self_attention.check(
    points=2,
    title="each sentence keeps to its own mask",
    hint="allowed[b, i, j]: may token i of sentence b attend to token j? Apply it to the scores.",
)
def test_mask_per_sentence(sub, rng):
    x, matrices, allowed = normal(rng, 3, 5, 7), layer(rng), coins(rng, 3, 5, 5)
    expect_close(
        sub.self_attention(x, *matrices, allowed),
        self_attention_loops(x, *matrices, allowed),
        OUTPUTS,
        what="the output with a mask per sentence",
    )


@self_attention.check(
    points=1,
    title="one rule for all, and padding: masks of fewer axes",
    hint="(T, T), (B, 1, T) and (1, T, T) all spread over (B, T, T).",
)
def test_masks_of_fewer_axes(sub, rng):
    x, matrices = normal(rng, 3, 5, 7), layer(rng)
    for shape in ((5, 5), (3, 1, 5), (1, 5, 5), (1, 1, 5), (5,)):
        allowed = coins(rng, *shape)
        expect_close(
            sub.self_attention(x, *matrices, allowed),
            self_attention_loops(x, *matrices, allowed),
            OUTPUTS,
            what=f"the output with a mask of shape {shape}",
        )
    x = normal(rng, 5, 5, 7)  # as many sentences as tokens
    for shape in ((5, 5), (5, 1, 5)):
        allowed = coins(rng, *shape)
        expect_close(
            sub.self_attention(x, *matrices, allowed),
            self_attention_loops(x, *matrices, allowed),
            OUTPUTS,
            what=f"the output with B = T = 5 and a mask of shape {shape}",
        )


@self_attention.check(
    points=1,
    title="nobody hears the future",
    hint="Under a causal mask, shouting at the last place must leave all earlier outputs alone.",
)
def test_no_leak_from_the_future(sub, rng):
    x, matrices = normal(rng, 2, 5, 7), layer(rng)
    not_ahead = torch.ones(5, 5, dtype=torch.bool).tril()
    shouted = x.clone()
    shouted[:, 4] *= 300
    before = sub.self_attention(x, *matrices, not_ahead)
    after = sub.self_attention(shouted, *matrices, not_ahead)
    for result in (before, after):
        require_life(require_numbers(result, (2, 5, 4), "the output"), "the output")
    expect_close(
        after[:, :4],
        before[:, :4],
        SAME,
        what="the outputs of tokens 0 to 3 after token 4 was made 300 times louder",
    )


@self_attention.check(
    points=1,
    title="sentences of a batch do not hear each other",
    hint="When sentence 1 changes, sentence 0 must not: do not flatten B and T together.",
)
def test_sentences_are_apart(sub, rng):
    x, matrices = normal(rng, 2, 5, 7), layer(rng)
    changed = x.clone()
    changed[1] += 3
    before, after = sub.self_attention(x, *matrices), sub.self_attention(changed, *matrices)
    for result in (before, after):
        require_life(require_numbers(result, (2, 5, 4), "the output"), "the output")
    expect_close(
        after[0], before[0], SAME, what="the output of sentence 0 after sentence 1 was changed"
    )


@self_attention.check(
    points=2,
    title="large scores neither overflow nor vanish, with a mask and without",
    hint="Use a softmax that subtracts the largest allowed score of each row.",
)
def test_large_self_attention(sub, rng):
    x, one = leveled(rng, 2, levels=(6000.0, 3000.0, 1000.0)), torch.eye(4, dtype=torch.float64)
    W_v = normal(rng, 4, 3)
    not_itself = ~torch.eye(3, dtype=torch.bool)
    for allowed, rule in ((None, ""), (not_itself, ", where no token may attend to itself")):
        expect_close(
            sub.self_attention(x, one, one, W_v, *([] if allowed is None else [allowed])),
            self_attention_loops(x, one, one, W_v, allowed),
            LARGE,
            what=f"the output for scores in the thousands{rule}",
        )


@self_attention.check(
    points=1,
    title="everything happens in the dtype of x",
    hint="No .float(), no .double(), and no tensor of another dtype on the way.",
)
def test_self_attention_keeps_the_dtype(sub, rng):
    x, matrices = normal(rng, 2, 5, 7), layer(rng, D_k=4)
    for dtype in (torch.float32, torch.float64):
        got = sub.self_attention(x.to(dtype), *(W.to(dtype) for W in matrices))
        require_dtype(got, dtype, "the output")
        tolerance = PRECISE if dtype == torch.float64 else OUTPUTS
        want = self_attention_loops(x, *matrices).to(dtype)
        expect_close(got, want, tolerance, what=f"the output in {dtype}")


@self_attention.check(
    points=2,
    title="a token that may attend to nothing gets zeros, and gradients are right behind it",
    hint="Use a masked softmax that knows the empty row; functional.masked_softmax does.",
)
def test_token_with_nothing_allowed(sub, rng):
    x, matrices, allowed = normal(rng, 2, 5, 7), layer(rng), coins(rng, 2, 5, 5)
    allowed[0, 2] = False
    want = self_attention_loops(x, *matrices, allowed)
    expect_close(sub.self_attention(x, *matrices, allowed), want, OUTPUTS, what="the output")

    def definition(x, W_q, W_k, W_v):
        some = allowed.any(-1, keepdim=True)
        q, k, v = x @ W_q, x @ W_k, x @ W_v
        return F.scaled_dot_product_attention(q, k, v, attn_mask=allowed | ~some) * some

    inputs = dict(zip(("x", "W_q", "W_k", "W_v"), (x, *matrices), strict=True))
    cotangent = normal(rng, 2, 5, 4)

    def ask(*inputs, **how):
        return sub.self_attention.vjp(*inputs, allowed, **how)

    expect_gradients(ask, definition, inputs, cotangent, GRADIENT, what="the output")


# ---------------------------------------------------------------------------------------------
# 02.7

attend_heads = exercise(
    "02.7",
    function="attend_heads",
    title="Find the bug: who attends to whom?",
    page=f"{PAGE}#head-mixing",
    uses=("02.2", "02.3"),
    returns="tensor",
    hints=(
        "Write the shape of `scores` in the buggy code, axis by axis. Which sizes appear twice?",
        "The chapter's find-the-bug section follows one tensor through the multiplication. `@` "
        "uses the last two axes: these must be tokens and width, so heads have to move.",
        "Turn q, k and v with `.transpose(1, 2)` into (B, H, T, D), attend as usual, and turn the "
        "result with `.transpose(1, 2)` back into (B, T, H, D_v).",
    ),
)


def heads_loops(q, k, v):
    B, T, H, _ = q.shape
    result = np.zeros((B, T, H, v.shape[-1]))
    for b in range(B):
        for h in range(H):
            one = (part[b, :, h].numpy() for part in (q, k, v))
            result[b, :, h] = numpy_core.attention(*one)
    return torch.from_numpy(result)


@attend_heads.check(
    points=1,
    title="the worked example: the average over tokens, not over heads",
    hint="Head 0 hears 1 and 3 from the two tokens: 2. Head 1 hears 10 and 30: 20.",
)
def test_two_heads_by_hand(sub, rng):
    q = k = torch.zeros(1, 2, 2, 1)
    v = torch.tensor([[[[1.0], [10.0]], [[3.0], [30.0]]]])
    expect_close(
        sub.attend_heads(q, k, v),
        torch.tensor([[[[2.0], [20.0]], [[2.0], [20.0]]]]),
        BY_HAND,
        what="the outputs (1, T=2, H=2, 1)",
    )


@attend_heads.check(
    points=1,
    title="the result is (B, T, H, D_v)",
    hint="The axes come back in the order in which they arrived; only the width becomes D_v.",
)
def test_shape_of_heads(sub, rng):
    got = sub.attend_heads(*(normal(rng, 2, 5, 3, D) for D in (11, 11, 13)))
    require_life(got, "the output")
    expect(
        tuple(got.shape) == (2, 5, 3, 13),
        f"wanted shape (B=2, T=5, H=3, D_v=13), got {tuple(got.shape)}.",
    )


@attend_heads.check(
    points=3,
    title="equal to the definition, sentence by sentence and head by head",
    hint="For every b and h, q[b, :, h], k[b, :, h] and v[b, :, h] go through plain attention.",
)
def test_every_head(sub, rng):
    for what in ("the output", "the output of other tokens"):
        q, k, v = (normal(rng, 2, 5, 3, D) for D in (11, 11, 13))
        expect_close(sub.attend_heads(q, k, v), heads_loops(q, k, v), OUTPUTS, what=what)


@attend_heads.check(
    points=2,
    title="equal sizes hide nothing: B = T = H",
    hint="When B, T and H are equal, every wrong axis fits. Which axes did you exchange?",
)
def test_equal_sizes(sub, rng):
    q, k, v = (normal(rng, 4, 4, 4, 4) for _ in range(3))
    expect_close(
        sub.attend_heads(q, k, v),
        heads_loops(q, k, v),
        OUTPUTS,
        what="the output with B = T = H = D_k = D_v = 4",
    )


@attend_heads.check(
    points=1,
    title="more heads than tokens, and pairs of equal sizes",
    hint="The axes are (B, T, H, D) whatever their sizes: nothing is to be guessed from these.",
)
def test_more_heads_than_tokens(sub, rng):
    for B, T, H in ((2, 3, 5), (1, 1, 4), (2, 4, 4), (3, 3, 2), (3, 2, 3), (1, 4, 1)):
        q, k, v = (normal(rng, B, T, H, D) for D in (6, 6, 7))
        what = f"the output with B={B}, T={T}, H={H}"
        expect_close(sub.attend_heads(q, k, v), heads_loops(q, k, v), OUTPUTS, what=what)


@attend_heads.check(
    points=2,
    title="a word passes from every token to every other",
    hint="Change what token 4 says, and every token must hear it: no weight is exactly 0.",
)
def test_tokens_hear_each_other(sub, rng):
    q, k, v = (normal(rng, 2, 5, 3, D) for D in (11, 11, 13))
    changed = v.clone()
    changed[:, 4] += 10
    before, after = sub.attend_heads(q, k, v), sub.attend_heads(q, k, changed)
    for result in (before, after):
        require_life(require_numbers(result, (2, 5, 3, 13), "the output"), "the output")
    moved = (after - before).abs().amax(dim=(0, 2, 3))
    deaf = [t for t in range(5) if not float(moved[t]) > 1e-6]
    expect(
        not deaf,
        f"the values of token 4 were changed, and the outputs of tokens {deaf} did not move: "
        "these tokens do not attend to token 4.",
    )


@attend_heads.check(
    points=2,
    title="heads do not hear each other",
    hint="Change head 2 of q, k and v: heads 0 and 1 must give what they gave.",
)
def test_heads_are_apart(sub, rng):
    inputs = [normal(rng, 2, 5, 3, D) for D in (11, 11, 13)]
    changed = [part.clone() for part in inputs]
    for part in changed:
        part[:, :, 2] += 1
    before, after = sub.attend_heads(*inputs), sub.attend_heads(*changed)
    for result in (before, after):
        require_life(require_numbers(result, (2, 5, 3, 13), "the output"), "the output")
    expect_close(
        after[:, :, :2],
        before[:, :, :2],
        SAME,
        what="the outputs of heads 0 and 1 after head 2 was changed",
    )


@attend_heads.check(
    points=1,
    title="large scores neither overflow nor vanish",
    hint="Each row of scores is shifted by its own largest before exp.",
)
def test_large_heads(sub, rng):
    q = leveled(rng, 2, 2, levels=(6000.0, 3000.0, 1000.0)).transpose(1, 2)
    v = normal(rng, 2, 3, 2, 5)
    what = "the output for scores in the thousands"
    expect_close(sub.attend_heads(q, q.clone(), v), heads_loops(q, q, v), LARGE, what=what)


@attend_heads.check(
    points=1,
    title="gradients reach q, k and v",
    hint="Keep to tensor operations from the inputs to the result.",
)
def test_gradients_flow_through_heads(sub, rng):
    inputs = {name: normal(rng, 2, 5, 3, D) for name, D in (("q", 11), ("k", 11), ("v", 13))}

    def definition(q, k, v):
        weights = (torch.einsum("bihd,bjhd->bhij", q, k) / math.sqrt(11)).softmax(-1)
        return torch.einsum("bhij,bjhd->bihd", weights, v)

    cotangent = normal(rng, 2, 5, 3, 13)
    expect_gradients(
        sub.attend_heads.vjp, definition, inputs, cotangent, GRADIENT, what="the output"
    )


for _mutant in ("L1:2->-2", "L3:2->-2"):
    attend_heads.waive(
        f"attend_heads:{_mutant}", reason="of four axes, 2 and -2 are the same: the same answer"
    )
