"""Checks of the exercises of chapter 5.

Sizes differ from each other on purpose, so that a turned axis cannot hide; where a mistake shows
only when two sizes are equal, a check of its own makes them equal. γ, β, ε and the numbers of
tokens are never what would hide them: 1, 0, tiny, equal. Oracles are loops over Python numbers, the
loops of `minitx.numpy_core`, differences, torch's own functions, and laws.
"""


import numpy as np
import torch
from torch.nn import functional as F

from minitx import numpy_core
from minitx.grading import Tolerance, exercise, expect, expect_close

STACKS = "book/05_training.md"
LOOP = "book/05_training_loop.md"
BY_HAND = Tolerance(rtol=1e-5, atol=1e-6, because="a few small numbers in float32")
FLOAT64 = Tolerance(
    rtol=1e-9,
    atol=1e-10,
    because="both are float64 sums of few terms; only their order may differ",
)
_ROOT = "float64, with room for a number that was rounded to float32 on the way"
GRADIENT = Tolerance(rtol=1e-5, atol=1e-5, because=f"gradients of a few units; {_ROOT}")
SAME = Tolerance(rtol=1e-9, atol=1e-12, because="what it depends on are the same numbers")
KEPT = {
    torch.bfloat16: Tolerance(rtol=5e-2, atol=1e-1, because="a few steps with 8 bits each"),
    torch.float32: Tolerance(rtol=1e-5, atol=1e-5, because="sums of float32 numbers"),
    torch.float64: Tolerance(rtol=1e-8, atol=1e-8, because="float64 throughout"),
}
LARGE_BATCH = tuple(
    f"torch.{name}" for name in ("cat", "concat", "concatenate", "hstack", "vstack")
)
ADAM = ("torch.optim.Adam.step", "torch.optim.adam.adam", "torch.optim.adamw.adamw")


def normal(rng, *shape, dtype=torch.float64):
    """A tensor of standard normal numbers."""
    return torch.from_numpy(rng.normal(size=shape)).to(dtype)


def require_life(result, what):
    """Reject a result that holds one number everywhere: no property of it is worth a point."""
    expect(
        hasattr(result, "shape") and bool((result != result.reshape(-1)[0]).any()),
        f"{what} holds the same number everywhere: nothing is computed from the inputs yet.",
    )
    return result


def require_shape(result, shape, words, what):
    """Reject unless something was computed, in this shape."""
    require_life(result, what)
    expect(
        tuple(result.shape) == tuple(shape),
        f"{what} has shape {tuple(result.shape)}; wanted {words} = {tuple(shape)}.",
    )


def require_dtype(result, dtype, what):
    """Reject unless the result has this dtype."""
    expect(
        result.dtype == dtype,
        f"the inputs are {dtype}, but {what} is {result.dtype}; it should keep the dtype.",
    )
    return result


def expect_gradient(got, want, name, what):
    """One gradient must be there, finite and right."""
    expect(
        got is not None,
        f"{what} is cut off from {name}: no gradient can flow back to it, so nothing before it "
        "could be trained. Keep to tensor operations: detach(), numpy(), tolist(), item(), "
        "torch.tensor(...) and torch.no_grad() all cut the connection.",
    )
    expect(
        bool(got.isfinite().all()),
        f"the gradient of {what} with respect to {name} holds NaN or infinity: one such number "
        "spoils every parameter of a model in the next step.",
    )
    expect_close(got, want, GRADIENT, what=f"the gradient of {what} with respect to {name}")


def expect_gradients(function, definition, inputs, cotangent, what, rest=()):
    """The gradients of <result, cotangent> must be those that autograd gives the definition."""
    leaves = [tensor.clone().requires_grad_() for tensor in inputs.values()]
    wanted = torch.autograd.grad(definition(*leaves), leaves, cotangent)
    asked = [tensor.clone().requires_grad_() for tensor in inputs.values()]
    got = function.vjp(*asked, *rest, cotangent=cotangent)
    for name, gradient, want in zip(inputs, got, wanted, strict=True):
        expect_gradient(gradient, want, name, what)


# ---------------------------------------------------------------------------------------------
# 05.1

layer_norm = exercise(
    "05.1",
    function="layer_norm",
    title="Layer norm",
    page=f"{STACKS}#layer-norm",
    returns="tensor",
    closed=(
        "torch.nn.functional.layer_norm",
        "torch.layer_norm",
        "torch.native_layer_norm",
        "torch.nn.LayerNorm.forward",
        "torch.nn.functional.group_norm",
        "torch.group_norm",
        "minitx.layers.LayerNorm.forward",
        "minitx.numpy_core.layer_norm",
    ),
    hints=(
        "Over which numbers is the mean of one token taken, and how many means are there for "
        "(B, T, C)?",
        "Follow one token through the formula. Mean and variance are numbers of a token, γ and β "
        "belong to the columns. The variance divides by C, and ε is added before the root.",
        "`centred = x - x.mean(dim=-1, keepdim=True)`, its squares averaged alike, then "
        "`weight * centred / torch.sqrt(variance + eps) + bias`.",
    ),
)


def norm_loops(x, weight, bias, eps):
    """Token by token, in NumPy."""
    C = x.shape[-1]
    rows = numpy_core.layer_norm(
        x.double().reshape(-1, C).numpy(), weight.double().numpy(), bias.double().numpy(), eps=eps
    )
    return torch.from_numpy(rows).reshape(x.shape)


def to_norm(rng, *shape, dtype=torch.float64):
    """Tokens whose mean is not 0 and whose spread is not 1, γ and β."""
    x = 3 * normal(rng, *shape) + 2
    return [each.to(dtype) for each in (x, normal(rng, shape[-1]), normal(rng, shape[-1]))]


@layer_norm.check(
    points=1,
    title="the worked example: one token of two numbers, ε = 3",
    hint="Mean 2, variance 1, root of 1 + 3; then γ = (2, 1) and β = (0, 5).",
)
def test_norm_by_hand(sub, rng):
    x, weight, bias = (torch.tensor(row) for row in ([[1.0, 3.0]], [2.0, 1.0], [0.0, 5.0]))
    got = sub.layer_norm(x, weight, bias, 3.0)
    expect_close(got, torch.tensor([[-1.0, 5.5]]), BY_HAND, what="the token")


@layer_norm.check(
    points=3,
    title="equal to the definition, with any number of axes in front",
    hint="One mean and one variance for each token, over its own C numbers: dim=-1.",
)
def test_norm_definition(sub, rng):
    for shape in ((2, 5, 7), (3, 4), (5,), (2, 3, 4, 6)):
        x, weight, bias = to_norm(rng, *shape)
        want = norm_loops(x, weight, bias, 1e-5)
        expect_close(sub.layer_norm(x, weight, bias), want, FLOAT64, what=f"the tokens {shape}")


@layer_norm.check(
    points=2,
    title="ε stands inside the root, and is the one that is given",
    hint="√(σ² + ε): add first, then take the root.",
)
def test_norm_eps(sub, rng):
    for eps, spread in ((0.1, 0.05), (2.0, 1.0), (1e-5, 1e-3)):
        x, weight, bias = to_norm(rng, 2, 5, 7)
        want = norm_loops(x * spread, weight, bias, eps)
        got = sub.layer_norm(x * spread, weight, bias, eps)
        expect_close(got, want, FLOAT64, what=f"the tokens for ε = {eps:g}, spread {spread:g}")


@layer_norm.check(
    points=1,
    title="a token of equal numbers becomes β",
    hint="Its variance is 0: only ε keeps it from being 0/0.",
)
def test_norm_constant_token(sub, rng):
    x, weight, bias = to_norm(rng, 2, 5, 7)
    x[0, 1], x[1, 3] = 4.0, 0.0
    want = norm_loops(x, weight, bias, 1e-5)
    expect_close(sub.layer_norm(x, weight, bias), want, FLOAT64, what="the tokens")


@layer_norm.check(
    points=1,
    title="numbers far from 0 lose nothing",
    hint="Subtract the mean first, then square: E[x²] − μ² is a difference of two large numbers.",
)
def test_norm_far_from_zero(sub, rng):
    x, weight, bias = to_norm(rng, 2, 5, 7, dtype=torch.float32)
    x = x + 10_000
    want = norm_loops(x, weight, bias, 1e-5).float()
    near = Tolerance(rtol=1e-2, atol=1e-2, because="float32 numbers near 10,000 have 3 decimals")
    expect_close(sub.layer_norm(x, weight, bias), want, near, what="tokens near 10,000")


@layer_norm.check(
    points=1,
    title="equal sizes hide nothing",
    hint="With B = T = C means fit along every axis: keepdim=True keeps them with their tokens.",
)
def test_norm_equal_sizes(sub, rng):
    for shape in ((4, 4, 4), (5, 5), (2, 3, 3)):
        x, weight, bias = to_norm(rng, *shape)
        want = norm_loops(x, weight, bias, 1e-5)
        expect_close(sub.layer_norm(x, weight, bias), want, FLOAT64, what=f"the tokens {shape}")


@layer_norm.check(
    points=1,
    title="the result has the dtype of x",
    hint="No .float(), no .double(), and no tensor of another dtype on the way.",
)
def test_norm_dtype(sub, rng):
    for dtype, tolerance in KEPT.items():
        x, weight, bias = to_norm(rng, 2, 5, 7, dtype=dtype)
        got = require_dtype(sub.layer_norm(x, weight, bias), dtype, "the result")
        want = norm_loops(x, weight, bias, 1e-5).to(dtype)
        expect_close(got, want, tolerance, what=f"the result in {dtype}")


@layer_norm.check(
    points=2,
    title="gradients reach x, weight and bias, through mean and variance",
    hint="Mean and variance depend on x as well: they must stay connected to it.",
)
def test_norm_gradients(sub, rng):
    inputs = dict(zip(("x", "weight", "bias"), to_norm(rng, 2, 5, 7), strict=True))

    def definition(x, weight, bias):
        return F.layer_norm(x, (7,), weight, bias)

    cotangent = normal(rng, 2, 5, 7)
    expect_gradients(sub.layer_norm, definition, inputs, cotangent, "the result")


# ---------------------------------------------------------------------------------------------
# 05.2

layer_norm_backward = exercise(
    "05.2",
    function="layer_norm_backward",
    title="Layer norm, backwards",
    page=f"{STACKS}#layer-norm",
    uses=("05.1",),
    returns=("tensor", "tensor", "tensor"),
    closed=(
        "torch.autograd.grad",
        "torch.autograd.backward",
        "torch.Tensor.backward",
        "torch.autograd.functional.vjp",
        "torch.autograd.functional.jacobian",
        "torch.func.vjp",
        "torch.func.grad",
        "torch.func.jacrev",
        "torch.func.jacfwd",
        "torch.nn.functional.layer_norm",
        "torch.layer_norm",
        "torch.native_layer_norm",
    ),
    hints=(
        "γ and β are shared by all tokens, x is not: which of the three gradients are sums over "
        "tokens?",
        "Three ways lead from x to y: directly, through μ and through σ. Each gives one term of "
        "the bracket. Write down the shape of each of them; the means keep their axis.",
        "With `g = grad * weight`: `(g - g.mean(-1, keepdim=True) - x_hat * "
        "(g * x_hat).mean(-1, keepdim=True)) / root`; `(grad * x_hat).sum((0, 1))` and "
        "`grad.sum((0, 1))`.",
    ),
)
BACK = "the gradient of x", "the gradient of weight", "the gradient of bias"


def back_inputs(rng, B, T, C, dtype=torch.float64):
    x = 3 * normal(rng, B, T, C) + 2
    return [each.to(dtype) for each in (normal(rng, B, T, C), x, normal(rng, C))]


def back_autograd(grad, x, weight, eps):
    """What torch's own layer norm sends back."""
    x, weight = (each.double().clone().requires_grad_() for each in (x, weight))
    bias = torch.zeros_like(weight, requires_grad=True)
    y = F.layer_norm(x, (x.shape[-1],), weight, bias, eps)
    return torch.autograd.grad(y, [x, weight, bias], grad.double())


def expect_back(got, want, tolerance, what):
    for name, each, wanted in zip(BACK, got, want, strict=True):
        expect_close(each, wanted, tolerance, what=f"{name} {what}".strip())


@layer_norm_backward.check(
    points=1,
    title="the worked example: one token of two numbers",
    hint="½ (1 − ½ − ⅛) = 0.1875.",
)
def test_back_by_hand(sub, rng):
    grad, x = torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[1.0, 3.0]]])
    want = [[[0.1875, -0.1875]]], [-0.5, 0.0], [1.0, 0.0]
    got = sub.layer_norm_backward(grad, x, torch.ones(2), 3.0)
    expect_back(got, [torch.tensor(each) for each in want], BY_HAND, "")


@layer_norm_backward.check(
    points=1,
    title="three results of shapes (B, T, C), (C) and (C)",
    hint="γ and β have C numbers: sum over sentences and tokens.",
)
def test_back_shapes(sub, rng):
    got = sub.layer_norm_backward(*back_inputs(rng, 2, 5, 7))
    for name, each, shape in zip(BACK, got, ((2, 5, 7), (7,), (7,)), strict=True):
        require_shape(each, shape, "(B, T, C)" if len(shape) == 3 else "(C)", name)


@layer_norm_backward.check(
    points=3,
    title="the gradient of x is right",
    hint="Three terms: directly, through the mean, through the variance; divided by the root.",
)
def test_back_x(sub, rng):
    for sizes in ((2, 5, 7), (3, 4, 6), (1, 2, 3)):
        inputs = back_inputs(rng, *sizes)
        want = back_autograd(*inputs, 1e-5)[0]
        got = sub.layer_norm_backward(*inputs)[0]
        expect_close(got, want, FLOAT64, what=f"the gradient of x {sizes}")


@layer_norm_backward.check(
    points=2,
    title="the gradients of weight and bias are sums over all tokens",
    hint="∂L/∂γ sums grad · x̂, ∂L/∂β sums grad; neither is a mean.",
)
def test_back_weights(sub, rng):
    for sizes in ((2, 5, 7), (3, 4, 6), (1, 2, 3)):
        inputs = back_inputs(rng, *sizes)
        want = back_autograd(*inputs, 1e-5)
        got = sub.layer_norm_backward(*inputs)
        for place in (1, 2):
            expect_close(got[place], want[place], FLOAT64, what=f"{BACK[place]} {sizes}")


@layer_norm_backward.check(
    points=1,
    title="equal to what the loss itself does when a number of x is moved a little",
    hint="Move one number, and see how Σ grad · y changes: the mean and the variance move too.",
)
def test_back_differences(sub, rng):
    grad, x, weight = back_inputs(rng, 1, 2, 5)
    bias, step = torch.zeros(5, dtype=torch.float64), 1e-6
    want = torch.zeros_like(x)
    for place in np.ndindex(*x.shape):
        ends = []
        for sign in (1, -1):
            moved = x.clone()
            moved[place] += sign * step
            ends.append(float((norm_loops(moved, weight, bias, 0.5) * grad).sum()))
        want[place] = (ends[0] - ends[1]) / (2 * step)
    got = sub.layer_norm_backward(grad, x, weight, 0.5)[0]
    near = Tolerance(rtol=1e-6, atol=1e-7, because="differences over 2e-6 keep 9 digits or so")
    expect_close(got, want, near, what="the gradient of x")


@layer_norm_backward.check(
    points=1,
    title="ε counts here as well, and a token of equal numbers does no harm",
    hint="The root is that of σ² + ε, in the gradient as in the output.",
)
def test_back_eps(sub, rng):
    grad, x, weight = back_inputs(rng, 2, 5, 7)
    x[0, 1] = 4.0
    for eps, spread in ((0.1, 0.05), (2.0, 1.0), (1e-5, 1.0)):
        want = back_autograd(grad, x * spread, weight, eps)
        got = sub.layer_norm_backward(grad, x * spread, weight, eps)
        expect_back(got, want, FLOAT64, f"for ε = {eps:g}")


@layer_norm_backward.check(
    points=1,
    title="equal sizes hide nothing",
    hint="With B = T = C every axis fits: which belong to tokens, which to columns?",
)
def test_back_equal_sizes(sub, rng):
    for sizes in ((4, 4, 4), (2, 3, 3), (1, 1, 2)):
        inputs = back_inputs(rng, *sizes)
        expect_back(
            sub.layer_norm_backward(*inputs), back_autograd(*inputs, 1e-5), FLOAT64, f"{sizes}"
        )


@layer_norm_backward.check(
    points=1,
    title="the gradients have the dtype of the inputs",
    hint="No .float(), no .double(), and no tensor of another dtype on the way.",
)
def test_back_dtype(sub, rng):
    for dtype in (torch.float32, torch.float64):
        inputs = back_inputs(rng, 2, 5, 7, dtype=dtype)
        got = sub.layer_norm_backward(*inputs)
        want = [each.to(dtype) for each in back_autograd(*inputs, 1e-5)]
        for name, each in zip(BACK, got, strict=True):
            require_dtype(each, dtype, name)
        expect_back(got, want, KEPT[dtype], f"in {dtype}")
