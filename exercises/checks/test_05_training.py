"""Checks of the exercises of chapter 5.

Sizes differ from each other on purpose, so that a turned axis cannot hide; where a mistake shows
only when two sizes are equal, a check of its own makes them equal. γ, β, ε and the numbers of
tokens are never what would hide them: 1, 0, tiny, equal. Oracles are loops over Python numbers, the
loops of `minitx.numpy_core`, differences, torch's own functions, and laws.
"""

import math
from functools import partial

import numpy as np
import torch
from torch.nn import functional as F

from minitx import numpy_core
from minitx.grading import Tolerance, a_few, exercise, expect, expect_close, expect_raises

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
TORCHS_CLIP = (2e-5, 1e-7)  # torch adds 1e-6 to the norm that it divides by
ADAM = (  # the first before torch imports its compiler for an optimiser, which takes seconds
    "torch.optim.Adam.__init__",
    "torch.optim.Adam.step",
    "torch.optim.adam.adam",
    "torch.optim.adamw.adamw",
)


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
    want = norm_loops(x, weight, bias, 0.5)
    expect_close(sub.layer_norm(x, weight, bias, 0.5), want, FLOAT64, what="the tokens")


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
        want = norm_loops(x, weight, bias, 0.5)
        got = sub.layer_norm(x, weight, bias, 0.5)
        expect_close(got, want, FLOAT64, what=f"the tokens {shape}")


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
    hint="x: ½ (1 − ½ − ⅛, 0 − ½ + ⅛) = (0.1875, −0.1875). weight: grad · x_hat = (−½, 0). bias: "
    "grad = (1, 0).",
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


# ---------------------------------------------------------------------------------------------
# Modules


def loaded(module, weights):
    """A module of the learner's, with these weights."""
    module.to(next(iter(weights.values())).dtype)
    module.load(weights)
    return module


def expect_parameters(module, wanted):
    """These weights under their names, and nothing else that is learned."""
    missing = [name for name in wanted if name not in module.parameters]
    expect(
        not missing,
        f"the module learns {a_few(module.parameters) or 'nothing'}; there is no "
        f"{a_few(missing)}. Make each part in __init__ and hang it on self under the "
        "name that the exercise gives it: what hangs on self in this way is found.",
    )
    extra = [name for name in module.parameters if name not in wanted]
    expect(not extra, f"the module also learns {a_few(extra)}: the exercise names all parts.")
    for name, shape in wanted.items():
        expect(
            tuple(module.parameters[name]) == shape,
            f"{name} has shape {tuple(module.parameters[name])}; wanted {shape}.",
        )


def expect_module_gradients(module, x, weights, definition, what):
    """Gradients of a forward pass with respect to x and weights."""
    leaves = {n: each.clone().requires_grad_() for n, each in {"x": x, **weights}.items()}
    result = definition(leaves)
    factors = torch.sin(torch.arange(result.numel(), dtype=torch.float64)).view_as(result)
    wanted = torch.autograd.grad(result, list(leaves.values()), factors)
    got = module.vjp(x.clone().requires_grad_(), cotangent=factors)
    gradients = [*got.inputs, *(got.parameters.get(name) for name in weights)]
    for name, gradient, want in zip(leaves, gradients, wanted, strict=True):
        expect_gradient(gradient, want, name, what)


# ---------------------------------------------------------------------------------------------
# 05.3

residual_block = exercise(
    "05.3",
    function="ResidualBlock",
    title="A residual block",
    page=f"{STACKS}#pre-post",
    uses=("05.1",),
    returns="module",
    closed=(
        "minitx.blocks.Residual.forward",
        "minitx.blocks.EncoderBlock.forward",
        "minitx.blocks.DecoderBlock.forward",
        "torch.nn.TransformerEncoderLayer.forward",
        "torch.nn.TransformerDecoderLayer.forward",
    ),
    hints=(
        "What does the block give when the sublayer says 0? With pre-norm: x itself, untouched.",
        "Draw both blocks as a road with a bypass. Where does the norm stand, and does the road "
        "itself go through it?",
        "`x + self.dropout(self.sublayer(self.norm(x)))`, or "
        "`self.norm(x + self.dropout(self.sublayer(x)))`.",
    ),
)
KINDS = {True: "pre-norm", False: "post-norm"}


def block_weights(rng, C, dtype=torch.float64):
    """Weights of a block; what its sublayer says is of the size of x."""
    return {
        "norm.weight": normal(rng, C, dtype=dtype) + 1,
        "norm.bias": normal(rng, C, dtype=dtype),
        "sublayer.weight": normal(rng, C, C, dtype=dtype) / math.sqrt(C),
        "sublayer.bias": normal(rng, C, dtype=dtype),
    }


def block_loops(x, weights, pre_norm):
    """Token by token, in float64."""
    x, w = x.double(), {name: each.double() for name, each in weights.items()}

    def norm(tokens):
        return norm_loops(tokens, w["norm.weight"], w["norm.bias"], 1e-5)

    def says(tokens):
        rows = [w["sublayer.weight"] @ token + w["sublayer.bias"] for token in tokens.flatten(0, 1)]
        return torch.stack(rows).view_as(tokens)

    return x + says(norm(x)) if pre_norm else norm(x + says(x))


def block_of(sub, C, pre_norm, weights, dropout=0.0):
    return loaded(sub.ResidualBlock(C, pre_norm, dropout), weights)


@residual_block.check(
    points=1,
    title="the worked example: twice the normalised token, or the sum normalised",
    hint="(1, 3) + 2 (−1, 1), and (3, 9) normalised.",
)
def test_block_by_hand(sub, rng):
    weights = {
        "norm.weight": torch.ones(2),
        "norm.bias": torch.zeros(2),
        "sublayer.weight": 2 * torch.eye(2),
        "sublayer.bias": torch.zeros(2),
    }
    x = torch.tensor([[[1.0, 3.0]]])
    about = Tolerance(rtol=0.0, atol=1e-4, because="the norm adds 1e-5 to the variance")
    for pre_norm, want in ((True, [-1.0, 5.0]), (False, [-1.0, 1.0])):
        got = block_of(sub, 2, pre_norm, weights)(x)
        expect_close(got, torch.tensor([[want]]), about, what=f"the {KINDS[pre_norm]} output")


@residual_block.check(
    points=1,
    title="norm and sublayer under their names, and an output as wide as x",
    hint="`self.norm = nn.LayerNorm(d_model)` and `self.sublayer = nn.Linear(d_model, d_model)`.",
)
def test_block_parameters(sub, rng):
    for pre_norm in (True, False):
        module = sub.ResidualBlock(6, pre_norm)
        got = module(normal(rng, 2, 5, 6, dtype=torch.float32))
        require_shape(got, (2, 5, 6), "(B, T, C)", "the output")
        vectors = dict.fromkeys(("norm.weight", "norm.bias", "sublayer.bias"), (6,))
        expect_parameters(module, {**vectors, "sublayer.weight": (6, 6)})


@residual_block.check(
    points=3,
    title="pre-norm: the sublayer gets the normalised tokens, x itself is carried on",
    hint="y = x + f(norm(x)), with the x that came in.",
)
def test_block_pre_norm(sub, rng):
    for B, T, C in ((2, 5, 6), (3, 4, 7), (4, 4, 4)):
        x, weights = 3 * normal(rng, B, T, C) + 1, block_weights(rng, C)
        got = block_of(sub, C, True, weights)(x)
        what = f"the pre-norm output for {(B, T, C)}"
        expect_close(got, block_loops(x, weights, True), FLOAT64, what=what)


@residual_block.check(
    points=3,
    title="post-norm: the sum is normalised",
    hint="y = norm(x + f(x)): everything goes through the norm, the road too.",
)
def test_block_post_norm(sub, rng):
    for B, T, C in ((2, 5, 6), (3, 4, 7), (4, 4, 4)):
        x, weights = 3 * normal(rng, B, T, C) + 1, block_weights(rng, C)
        got = block_of(sub, C, False, weights)(x)
        what = f"the post-norm output for {(B, T, C)}"
        expect_close(got, block_loops(x, weights, False), FLOAT64, what=what)


@residual_block.check(
    points=2,
    title="a sublayer that says 0 leaves x as it is, or normalised",
    hint="The bypass must not go through anything before the plus sign.",
)
def test_block_silent_sublayer(sub, rng):
    x, weights = 3 * normal(rng, 2, 5, 6) + 1, block_weights(rng, 6)
    weights |= {name: 0 * weights[name] for name in ("sublayer.weight", "sublayer.bias")}
    got = block_of(sub, 6, True, weights)(x)
    expect_close(got, x, SAME, what="the pre-norm output of a sublayer that says 0")
    got = block_of(sub, 6, False, weights)(x)
    want = block_loops(x, weights, False)
    expect_close(got, want, FLOAT64, what="the post-norm output of a sublayer that says 0")


@residual_block.check(
    points=2,
    title="dropout takes from what the sublayer says, never from x",
    hint="self.dropout(self.sublayer(…)), inside the sum. Dropout 1 leaves x alone.",
)
def test_block_dropout(sub, rng):
    x, weights = 3 * normal(rng, 2, 5, 6) + 1, block_weights(rng, 6)
    silent = {n: each * ("sublayer" not in n) for n, each in weights.items()}
    for pre_norm in (True, False):
        got = block_of(sub, 6, pre_norm, weights, 1.0).train()(x)
        what = f"the {KINDS[pre_norm]} output with dropout 1"
        expect_close(got, block_loops(x, silent, pre_norm), FLOAT64, what=what)
    said = block_loops(x, weights, True) - x
    heard = (block_of(sub, 6, True, weights, 0.5).train()(x) - x) / said
    none, double = heard.abs() < 1e-6, (heard - 2).abs() < 1e-6
    expect(
        bool(none.any() and double.any() and (none | double).all()),
        "with dropout 0.5 in training, y − x of the pre-norm block must be 0 or twice what the "
        "sublayer says, number by number, some of each: nn.Dropout divides what it leaves by the "
        "share that it leaves.",
    )


@residual_block.check(
    points=1,
    title="no dropout in evaluation",
    hint="nn.Dropout knows the mode by itself; F.dropout must be told, training=self.training.",
)
def test_block_evaluation(sub, rng):
    x, weights = normal(rng, 2, 5, 6), block_weights(rng, 6)
    for pre_norm in (True, False):
        got = block_of(sub, 6, pre_norm, weights, 0.5).eval()(x)
        want = block_loops(x, weights, pre_norm)
        expect_close(got, want, FLOAT64, what=f"the {KINDS[pre_norm]} output in evaluation")


@residual_block.check(
    points=1,
    title="the output has the dtype of x and of the weights",
    hint="No .float(), no .double(), and no tensor of another dtype on the way.",
)
def test_block_dtype(sub, rng):
    x, weights = normal(rng, 2, 5, 6), block_weights(rng, 6)
    for dtype in (torch.float32, torch.float64):
        same = {name: each.to(dtype) for name, each in weights.items()}
        for pre_norm in (True, False):
            got = block_of(sub, 6, pre_norm, same)(x.to(dtype))
            require_dtype(got, dtype, "the output")
            want = block_loops(x, weights, pre_norm).to(dtype)
            expect_close(got, want, KEPT[dtype], what=f"the {KINDS[pre_norm]} output in {dtype}")


@residual_block.check(
    points=2,
    title="gradients reach x by both roads, and all weights",
    hint="The bypass is there for the gradient: no detach(), on no road.",
)
def test_block_gradients(sub, rng):
    x, weights = normal(rng, 2, 5, 6), block_weights(rng, 6)
    for pre_norm in (True, False):

        def definition(w, pre_norm=pre_norm):
            def norm(tokens):
                return F.layer_norm(tokens, (6,), w["norm.weight"], w["norm.bias"])

            inner = norm(w["x"]) if pre_norm else w["x"]
            total = w["x"] + inner @ w["sublayer.weight"].T + w["sublayer.bias"]
            return total if pre_norm else norm(total)

        module = block_of(sub, 6, pre_norm, weights)
        what = f"the {KINDS[pre_norm]} output"
        expect_module_gradients(module, x, weights, definition, what)


@residual_block.check(
    points=1,
    title="two blocks have weights and a kind of their own",
    hint="Make the parts in __init__, on self: what stands in the class body is shared.",
)
def test_block_instances(sub, rng):
    x, one, other = normal(rng, 2, 5, 6), block_weights(rng, 6), block_weights(rng, 6)
    first = block_of(sub, 6, True, one)
    require_life(first(x), "the output")
    block_of(sub, 6, False, other)
    what = "the output of a pre-norm block after a post-norm one was made and loaded"
    expect_close(first(x), block_loops(x, one, True), FLOAT64, what=what)


# ---------------------------------------------------------------------------------------------
# 05.4

feed_forward = exercise(
    "05.4",
    function="FeedForward",
    title="The feed-forward network",
    page=f"{STACKS}#feed-forward",
    returns="module",
    closed=(
        "minitx.layers.FeedForward.forward",
        "minitx.experts.SwitchFeedForward.forward",
        "torch.nn.TransformerEncoderLayer.forward",
        "torch.nn.TransformerDecoderLayer.forward",
    ),
    hints=(
        "Two linear layers and one function between them. Which of the three can make negative "
        "numbers?",
        "Follow -3 through the worked example: project, cut off what is negative, project. No "
        "token looks at another, and nn.Linear works on the last axis by itself.",
        "`self.out_proj(torch.relu(self.in_proj(x)))`.",
    ),
)


def ff_weights(rng, C, d_ff, dtype=torch.float64):
    return {
        "in_proj.weight": normal(rng, d_ff, C, dtype=dtype) / math.sqrt(C),
        "in_proj.bias": normal(rng, d_ff, dtype=dtype),
        "out_proj.weight": normal(rng, C, d_ff, dtype=dtype) / math.sqrt(d_ff),
        "out_proj.bias": normal(rng, C, dtype=dtype),
    }


def ff_loops(x, weights):
    """Every token by itself, every inner number by itself."""
    w = {name: each.double().numpy() for name, each in weights.items()}
    rows = []
    for token in x.double().reshape(-1, x.shape[-1]).numpy():
        y = w["out_proj.bias"].copy()
        for key, offset, value in zip(
            w["in_proj.weight"], w["in_proj.bias"], w["out_proj.weight"].T, strict=True
        ):
            y += max(float(sum(key * token)) + offset, 0.0) * value
        rows.append(y)
    return torch.from_numpy(np.stack(rows)).reshape(x.shape)


def ff_of(sub, weights):
    d_ff, C = weights["in_proj.weight"].shape
    return loaded(sub.FeedForward(C, d_ff), weights)


@feed_forward.check(
    points=1,
    title="the worked example: |x| + 10",
    hint="−3 gives the inner numbers −3 and 3; relu keeps the second.",
)
def test_ff_by_hand(sub, rng):
    weights = {
        "in_proj.weight": torch.tensor([[1.0], [-1.0]]),
        "in_proj.bias": torch.zeros(2),
        "out_proj.weight": torch.tensor([[1.0, 1.0]]),
        "out_proj.bias": torch.tensor([10.0]),
    }
    x = torch.tensor([[[-3.0], [3.0], [0.5]]])
    want = torch.tensor([[[13.0], [13.0], [10.5]]])
    expect_close(ff_of(sub, weights)(x), want, BY_HAND, what="the three tokens")


@feed_forward.check(
    points=1,
    title="two projections under their names, and an output as wide as x",
    hint="`nn.Linear(d_model, d_ff)` and back, both with biases.",
)
def test_ff_parameters(sub, rng):
    for C, d_ff in ((6, 10), (5, 3)):
        module = sub.FeedForward(C, d_ff)
        got = module(normal(rng, 2, 5, C, dtype=torch.float32))
        require_shape(got, (2, 5, C), "(..., C)", "the output")
        matrices = {"in_proj.weight": (d_ff, C), "out_proj.weight": (C, d_ff)}
        expect_parameters(module, {**matrices, "in_proj.bias": (d_ff,), "out_proj.bias": (C,)})


@feed_forward.check(
    points=3,
    title="equal to the definition, token by token",
    hint="in_proj, relu, out_proj, and nothing behind it.",
)
def test_ff_definition(sub, rng):
    for B, T, C, d_ff, size in ((2, 5, 6, 11, 1.0), (3, 4, 7, 5, 3.0), (4, 4, 4, 4, 1.0)):
        x, weights = size * normal(rng, B, T, C), ff_weights(rng, C, d_ff)
        what = f"the output for C={C}, F={d_ff}"
        expect_close(ff_of(sub, weights)(x), ff_loops(x, weights), FLOAT64, what=what)


@feed_forward.check(
    points=1,
    title="any number of axes in front",
    hint="One token, one sentence, or a batch: nn.Linear works on the last axis.",
)
def test_ff_axes(sub, rng):
    weights = ff_weights(rng, 6, 11)
    module = ff_of(sub, weights)
    for shape in ((6,), (5, 6), (1, 1, 6), (2, 3, 4, 6)):
        x = normal(rng, *shape)
        expect_close(module(x), ff_loops(x, weights), FLOAT64, what=f"the output for {shape}")


@feed_forward.check(
    points=1,
    title="no token hears of another",
    hint="Nothing is summed, averaged or normalised over tokens or sentences.",
)
def test_ff_alone(sub, rng):
    x, weights = normal(rng, 3, 5, 6), ff_weights(rng, 6, 11)
    module = ff_of(sub, weights)
    whole = require_life(module(x), "the output")
    expect_close(module(x[1:2, 2:3]), whole[1:2, 2:3], SAME, what="one token by itself")


@feed_forward.check(
    points=1,
    title="training and evaluation give the same, and so do two calls",
    hint="There is no dropout in this exercise, and nothing that is kept from call to call.",
)
def test_ff_modes(sub, rng):
    x, weights = normal(rng, 2, 5, 6), ff_weights(rng, 6, 11)
    module = ff_of(sub, weights)
    for mode in (True, False, True):
        got = module.train(mode)(x)
        what = f"the output in {'training' if mode else 'evaluation'}"
        expect_close(got, ff_loops(x, weights), FLOAT64, what=what)


@feed_forward.check(
    points=1,
    title="the output has the dtype of x and of the weights",
    hint="No .float(), no .double(), and no tensor of another dtype on the way.",
)
def test_ff_dtype(sub, rng):
    x, weights = normal(rng, 2, 5, 6), ff_weights(rng, 6, 11)
    for dtype, tolerance in KEPT.items():
        same = {name: each.to(dtype) for name, each in weights.items()}
        got = require_dtype(ff_of(sub, same)(x.to(dtype)), dtype, "the output")
        want = ff_loops(x.to(dtype), same).to(dtype)
        expect_close(got, want, tolerance, what=f"the output in {dtype}")


@feed_forward.check(
    points=2,
    title="gradients reach x and all weights",
    hint="Whatever hangs on self must take part, and stay connected to the output.",
)
def test_ff_gradients(sub, rng):
    x, weights = normal(rng, 2, 5, 6), ff_weights(rng, 6, 11)

    def definition(w):
        hidden = F.relu(F.linear(w["x"], w["in_proj.weight"], w["in_proj.bias"]))
        return F.linear(hidden, w["out_proj.weight"], w["out_proj.bias"])

    expect_module_gradients(ff_of(sub, weights), x, weights, definition, "the output")


@feed_forward.check(
    points=1,
    title="two networks have weights of their own",
    hint="Make the projections in __init__, on self: what stands in the class body is shared.",
)
def test_ff_instances(sub, rng):
    x, one, other = normal(rng, 2, 5, 6), ff_weights(rng, 6, 11), ff_weights(rng, 6, 11)
    first = ff_of(sub, one)
    require_life(first(x), "the output")
    ff_of(sub, other)
    what = "the output of one network after another one was made and loaded"
    expect_close(first(x), ff_loops(x, one), FLOAT64, what=what)


# ---------------------------------------------------------------------------------------------
# 05.5

label_smoothed_loss = exercise(
    "05.5",
    function="label_smoothed_loss",
    title="Cross-entropy with smoothed labels",
    page=f"{LOOP}#label-smoothing",
    returns="tensor",
    closed=(
        "torch.nn.functional.cross_entropy",
        "torch.nn.CrossEntropyLoss.forward",
        "minitx.training.losses.label_smoothed_cross_entropy",
    ),
    hints=(
        "Write down q for one position with four tokens. Does it sum to 1?",
        "Two parts: the target's share and the even share. The first needs one ln p per position, "
        "the second their mean over all V. Which positions are in the sum, and how many are there?",
        "`log_probs = logits.log_softmax(-1)`; losses "
        "`-(1 - smoothing) * log_probs.gather(-1, places)[..., 0] - smoothing * "
        "log_probs.mean(-1)`, where `places` has a 0 for padding; summed where it counts, divided "
        "by how many count.",
    ),
)
IGNORED = -100
LOSS = Tolerance(rtol=1e-6, atol=1e-7, because="float64, with room for shares in float32")


def smoothed_loops(logits, targets, smoothing, ignored=IGNORED):
    """One position and one token of the vocabulary at a time."""
    V, losses = logits.shape[-1], []
    rows = logits.double().reshape(-1, V).tolist()
    for row, target in zip(rows, targets.flatten().tolist(), strict=True):
        if target == ignored:
            continue
        largest = max(row)
        log_sum = largest + math.log(sum(math.exp(each - largest) for each in row))
        share = [smoothing / V + (1 - smoothing) * (k == target) for k in range(V)]
        losses.append(sum(q * (log_sum - each) for q, each in zip(share, row, strict=True)))
    return torch.tensor(sum(losses) / max(len(losses), 1), dtype=torch.float64)


def to_predict(rng, B, T, V, dtype=torch.float64):
    logits = 2 * normal(rng, B, T, V)
    return logits.to(dtype), torch.from_numpy(rng.integers(V, size=(B, T)))


def padded(targets, lengths, ignored=IGNORED):
    """Targets of which lengths[b] are left in sentence b."""
    places = torch.arange(targets.shape[1])
    return targets.where(places < torch.tensor(lengths)[:, None], ignored)


@label_smoothed_loss.check(
    points=1,
    title="the worked example: four tokens, ε = 0.1",
    hint="0.925 ln 2 + 0.025 (2 + 3 + 3) ln 2.",
)
def test_loss_by_hand(sub, rng):
    logits = torch.tensor([[[0.5, 0.25, 0.125, 0.125]]]).log()
    got = sub.label_smoothed_loss(logits, torch.tensor([[0]]), 0.1)
    expect_close(got, torch.tensor(1.125 * math.log(2)), BY_HAND, what="the loss")


@label_smoothed_loss.check(
    points=3,
    title="equal to the definition, one position at a time",
    hint="The target gets 1 − ε + ε/V, every other token ε/V; then the mean over all positions.",
)
def test_loss_definition(sub, rng):
    for B, T, V, smoothing in ((2, 5, 7, 0.1), (3, 4, 6, 0.3), (1, 3, 11, 0.5)):
        logits, targets = to_predict(rng, B, T, V)
        got = sub.label_smoothed_loss(logits, targets, smoothing)
        want = smoothed_loops(logits, targets, smoothing)
        expect_close(got, want, LOSS, what=f"the loss for V={V}, ε={smoothing}")


@label_smoothed_loss.check(
    points=1,
    title="without smoothing it is the plain cross-entropy; unless told, ε is 0.1",
    hint="With ε = 0 only −ln p of the target is left.",
)
def test_loss_without_smoothing(sub, rng):
    logits, targets = to_predict(rng, 2, 5, 7)
    want = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
    got = sub.label_smoothed_loss(logits, targets, 0.0)
    expect_close(got, want, LOSS, what="the loss for ε = 0")
    want = smoothed_loops(logits, targets, 0.1)
    expect_close(sub.label_smoothed_loss(logits, targets), want, LOSS, what="the loss")


@label_smoothed_loss.check(
    points=3,
    title="padding counts neither above nor below the fraction line",
    hint="Sum over the positions that count, divide by how many they are, over the whole batch.",
)
def test_loss_padding(sub, rng):
    for lengths in ([5, 2], [1, 4], [3, 0]):
        logits, targets = to_predict(rng, 2, 5, 7)
        targets = padded(targets, lengths)
        got = sub.label_smoothed_loss(logits, targets, 0.2)
        want = smoothed_loops(logits, targets, 0.2)
        expect_close(got, want, LOSS, what=f"the loss for lengths {lengths}")


@label_smoothed_loss.check(
    points=2,
    title="another ignore_index, which is a token of the vocabulary",
    hint="Positions with this target do not count; the token keeps its ε/V everywhere else.",
)
def test_loss_other_index(sub, rng):
    for ignored in (0, 3):
        logits, targets = to_predict(rng, 2, 5, 7)
        targets[0, 1], targets[1, 1] = 0, 3
        targets = padded(targets, [5, 3], ignored)
        got = sub.label_smoothed_loss(logits, targets, 0.2, ignored)
        want = smoothed_loops(logits, targets, 0.2, ignored)
        expect_close(got, want, LOSS, what=f"the loss for ignore_index {ignored}")


@label_smoothed_loss.check(
    points=1,
    title="nothing but padding gives 0, and no gradient that is no number",
    hint="Divide by the number of positions that count, but at least by 1.",
)
def test_loss_nothing_counts(sub, rng):
    logits, targets = to_predict(rng, 2, 5, 7)
    counted = sub.label_smoothed_loss(logits, targets)
    expect(float(counted) != 0, "the loss is 0 where something counts, too.")
    nothing = torch.full_like(targets, IGNORED)
    want = torch.tensor(0.0, dtype=torch.float64)
    got = sub.label_smoothed_loss(logits, nothing)
    expect_close(got, want, SAME, what="the loss of padding only")


@label_smoothed_loss.check(
    points=1,
    title="large logits neither overflow nor become the logarithm of 0",
    hint="log_softmax computes ln p without ever computing p.",
)
def test_loss_large_logits(sub, rng):
    logits, targets = to_predict(rng, 2, 5, 7)
    for size in (1000.0, -1000.0):
        large = logits.clone()
        large[:, :, 2] = size
        got = sub.label_smoothed_loss(large, targets, 0.1)
        want = smoothed_loops(large, targets, 0.1)
        expect_close(got, want, LOSS, what=f"the loss with logits of {size:,.0f}")


@label_smoothed_loss.check(
    points=1,
    title="equal sizes hide nothing",
    hint="With B = T = V every axis fits: the distribution is over the last one.",
)
def test_loss_equal_sizes(sub, rng):
    for B, T, V in ((4, 4, 4), (2, 5, 5), (1, 1, 2)):
        logits, targets = to_predict(rng, B, T, V)
        got = sub.label_smoothed_loss(logits, targets, 0.2)
        want = smoothed_loops(logits, targets, 0.2)
        expect_close(got, want, LOSS, what=f"the loss for {(B, T, V)}")


@label_smoothed_loss.check(
    points=1,
    title="the loss has the dtype of the logits",
    hint="No .float(), no .double(), and no tensor of another dtype on the way.",
)
def test_loss_dtype(sub, rng):
    for dtype in (torch.float32, torch.float64):
        logits, targets = to_predict(rng, 2, 5, 7, dtype=dtype)
        targets = padded(targets, [5, 2])
        got = require_dtype(sub.label_smoothed_loss(logits, targets, 0.1), dtype, "the loss")
        want = smoothed_loops(logits, targets, 0.1).to(dtype)
        expect_close(
            got, want, max(KEPT[dtype], LOSS, key=lambda t: t.rtol), what=f"the loss in {dtype}"
        )


@label_smoothed_loss.check(
    points=2,
    title="the gradient reaches the logits, and is 0 at padding",
    hint="Keep to tensor operations; what does not count is multiplied by 0, or left out.",
)
def test_loss_gradients(sub, rng):
    logits, targets = to_predict(rng, 2, 5, 7)
    targets = padded(targets, [5, 2])

    def definition(logits):
        flat = logits.flatten(0, 1)
        return F.cross_entropy(flat, targets.flatten(), label_smoothing=0.2)

    one = torch.tensor(1.0, dtype=torch.float64)
    inputs = {"logits": logits}
    expect_gradients(
        sub.label_smoothed_loss, definition, inputs, one, "the loss", rest=(targets, 0.2)
    )


label_smoothed_loss.waive(
    "label_smoothed_loss:L3:0->1",
    reason="column 1 is there as well as column 0, and what is found in it is thrown away",
)
label_smoothed_loss.waive(
    "label_smoothed_loss:L4:0->-1",
    reason="of an axis of length 1, the first is the last",
)


# ---------------------------------------------------------------------------------------------
# 05.6

noam_rate = exercise(
    "05.6",
    function="noam_rate",
    title="The rate of 2017",
    page=f"{LOOP}#warm-up",
    returns="number",
    closed=("minitx.training.schedules.noam_rate",),
    hints=(
        "At which step are the two numbers in the minimum equal?",
        "Before the peak the rate is a straight line through 0, after it an inverse root. Both "
        "have the same factor in front, made of the width.",
        "`d_model**-0.5 * min(step**-0.5, step * warmup_steps**-1.5)`, after the two refusals.",
    ),
)
RATE = Tolerance(rtol=1e-9, atol=0.0, because="rates are small: what counts is their ratio")


def rate_branches(step, d_model, warmup_steps):
    peak = 1 / math.sqrt(d_model * warmup_steps)
    share = step / warmup_steps if step < warmup_steps else math.sqrt(warmup_steps / step)
    return peak * share


@noam_rate.check(
    points=1,
    title="the worked example: width 4, four steps of warm-up",
    hint="1/16 at step 1, 1/4 at step 4, 1/8 at step 16.",
)
def test_rate_by_hand(sub, rng):
    for step, want in ((1, 1 / 16), (4, 1 / 4), (16, 1 / 8)):
        expect_close(sub.noam_rate(step, 4, 4), want, RATE, what=f"the rate at step {step}")


@noam_rate.check(
    points=3,
    title="equal to the definition, before the peak and behind it",
    hint="The smaller of step^−½ and step · warmup^−3/2, times C^−½.",
)
def test_rate_definition(sub, rng):
    for d_model, warmup in ((512, 4000), (64, 7), (1024, 100)):
        for step in (1, 2, 3, warmup - 1, warmup, warmup + 1, 3 * warmup, 100_000):
            got = sub.noam_rate(step, d_model, warmup)
            what = f"the rate at step {step} with C={d_model}, warm-up {warmup}"
            expect_close(got, rate_branches(step, d_model, warmup), RATE, what=what)


@noam_rate.check(
    points=2,
    title="twice as large at step 2 as at step 1; half as large after four times the warm-up",
    hint="Up in proportion to the step, down with its root.",
)
def test_rate_laws(sub, rng):
    for d_model, warmup in ((512, 4000), (48, 10)):
        first, second, peak, late = (
            sub.noam_rate(step, d_model, warmup) for step in (1, 2, warmup, 4 * warmup)
        )
        expect(all(each > 0 for each in (first, second, peak, late)), "a rate must be above 0.")
        expect_close(second / first, 2.0, RATE, what="the rate at step 2 by that at step 1")
        expect_close(late / peak, 0.5, RATE, what="the rate at 4 · warm-up by that at the peak")


@noam_rate.check(
    points=1,
    title="a model four times as wide has half the rate",
    hint="The factor in front is C^−½.",
)
def test_rate_width(sub, rng):
    for step in (3, 50):
        narrow, wide = sub.noam_rate(step, 64, 10), sub.noam_rate(step, 256, 10)
        expect(narrow > 0, "a rate must be above 0.")
        expect_close(wide / narrow, 0.5, RATE, what=f"the ratio of the rates at step {step}")


@noam_rate.check(
    points=1,
    title="one step of warm-up, and one number of width",
    hint="Step 1 with a warm-up of 1 is the peak itself: nothing is refused here.",
)
def test_rate_extremes(sub, rng):
    for step, d_model, warmup in ((1, 1, 1), (9, 1, 1), (1, 4, 1), (1, 4, 9)):
        want = rate_branches(step, d_model, warmup)
        what = f"the rate at step {step} with C={d_model}, warm-up {warmup}"
        expect_close(sub.noam_rate(step, d_model, warmup), want, RATE, what=what)


@noam_rate.check(
    points=2,
    title="step 0 and a warm-up of 0 are refused",
    hint="`raise ValueError(...)` with the number that is wrong in the message.",
)
def test_rate_refuses(sub, rng):
    for step, warmup, wrong in ((0, 4000, 0), (-3, 4000, -3), (5, 0, 0), (5, -7, -7)):
        what = f"step {step} with a warm-up of {warmup}"
        call = partial(sub.noam_rate, step, 512, warmup)
        expect_raises(ValueError, call, what=what, says=(str(wrong),))


# ---------------------------------------------------------------------------------------------
# 05.7

adamw_step = exercise(
    "05.7",
    function="adamw_step",
    title="One step of AdamW",
    page=f"{LOOP}#adamw",
    returns=("tensor", "tensor", "tensor"),
    closed=ADAM,
    legal=lambda sizes: sizes.get("step", 1) >= 1,
    hints=(
        "Four things happen to every number by itself: two averages are brought up to date, two "
        "are corrected. Which of these are kept for the next step?",
        "Follow the worked example. The decay is taken from the old weight, it is multiplied by "
        "the rate, and it knows nothing of the gradient.",
        "`m = beta1 * m + (1 - beta1) * gradient`, v alike with the square; "
        "`pull = m / (1 - beta1**step) / ((v / (1 - beta2**step)).sqrt() + eps) + weight_decay * "
        "parameter`; then `parameter - rate * pull`.",
    ),
)
UPDATED = "the parameter", "m", "v"


def adamw_floats(
    parameter, gradient, m, v, step, rate, beta1=0.9, beta2=0.98, eps=1e-9, weight_decay=0.01
):
    """Number by number."""
    made = [torch.zeros(parameter.shape, dtype=torch.float64) for _ in range(3)]
    for place in np.ndindex(*parameter.shape):
        theta, g = float(parameter[place]), float(gradient[place])
        first = beta1 * float(m[place]) + (1 - beta1) * g
        second = beta2 * float(v[place]) + (1 - beta2) * g * g
        size = math.sqrt(second / (1 - beta2**step)) + eps
        moved = theta * (1 - rate * weight_decay) - rate * first / (1 - beta1**step) / size
        for tensor, number in zip(made, (moved, first, second), strict=True):
            tensor[place] = number
    return made


def to_update(rng, *shape, dtype=torch.float64):
    """A parameter, a gradient and averages that could be its own."""
    parameter, gradient, m, v = (normal(rng, *shape) for _ in range(4))
    return [each.to(dtype) for each in (parameter, gradient, m / 3, v.square() / 2 + 0.01)]


def expect_updated(got, want, what, tolerance=FLOAT64):
    for name, each, wanted in zip(UPDATED, got, want, strict=True):
        expect_close(each, wanted, tolerance, what=f"{name} {what}")


@adamw_step.check(
    points=1,
    title="the worked example: one weight, the first step",
    hint="m = 0.05, v = 0.005, the corrected ratio is 1; 2 − 0.02 − 0.1.",
)
def test_adamw_by_hand(sub, rng):
    parameter, gradient, m, v = (torch.tensor([x]) for x in (2.0, 0.5, 0.0, 0.0))
    got = sub.adamw_step(parameter, gradient, m, v, 1, 0.1, 0.9, 0.98, 0.0, 0.1)
    want = [torch.tensor([x]) for x in (1.88, 0.05, 0.005)]
    expect_updated(got, want, "after the first step", BY_HAND)


@adamw_step.check(
    points=4,
    title="equal to the definition, at early and late steps",
    hint="Correct with 1 − βᵗ, t being the step; ε outside the root; both pulls from the old θ.",
)
def test_adamw_definition(sub, rng):
    options = {"beta1": 0.8, "beta2": 0.95, "eps": 0.1, "weight_decay": 0.3}
    for step, shape in ((1, (5,)), (2, (3, 4)), (7, (2, 3, 5)), (1000, (7,))):
        inputs = to_update(rng, *shape)
        got = sub.adamw_step(*inputs, step, 0.2, **options)
        want = adamw_floats(*inputs, step, 0.2, **options)
        expect_updated(got, want, f"at step {step}")


@adamw_step.check(
    points=1,
    title="without options: 0.9, 0.98, 1e-9 and a decay of 0.01",
    hint="Leave the first line as it came, and use the parameters.",
)
def test_adamw_defaults(sub, rng):
    for step in (1, 3):
        inputs = to_update(rng, 3, 4)
        got = sub.adamw_step(*inputs, step, 0.2)
        expect_updated(got, adamw_floats(*inputs, step, 0.2), f"at step {step}")


@adamw_step.check(
    points=2,
    title="ten steps in a row, from averages of 0",
    hint="What you return as m and v goes into the next step: the averages, uncorrected.",
)
def test_adamw_in_a_row(sub, rng):
    parameter = normal(rng, 5)
    mine = theirs = [parameter, torch.zeros_like(parameter), torch.zeros_like(parameter)]
    for step in range(1, 11):
        gradient = normal(rng, 5) * 10.0 ** (step % 3)
        mine = sub.adamw_step(mine[0], gradient, *mine[1:], step, 0.1, weight_decay=0.1)
        theirs = adamw_floats(theirs[0], gradient, *theirs[1:], step, 0.1, weight_decay=0.1)
        expect_updated(mine, theirs, f"after step {step}")


@adamw_step.check(
    points=2,
    title="the decay does not go through the gradient",
    hint="θ shrinks by rate · λ of itself, whatever the averages are; that is what the W is for.",
)
def test_adamw_decay(sub, rng):
    parameter = normal(rng, 5)
    zeros = [torch.zeros(5, dtype=torch.float64) for _ in range(3)]
    got = sub.adamw_step(parameter, *zeros, 1, 0.2, weight_decay=0.3)
    want = [parameter * (1 - 0.2 * 0.3), *zeros[1:]]
    expect_updated(got, want, "for a gradient of 0")
    _, gradient, m, v = to_update(rng, 5)
    large = 1e6 * v
    with_decay, without = (
        sub.adamw_step(parameter, gradient, m, large, 50, 0.2, weight_decay=decay)[0]
        for decay in (0.3, 0.0)
    )
    want = 0.2 * 0.3 * parameter
    expect_close(without - with_decay, want, FLOAT64, what="what the decay takes from θ")


@adamw_step.check(
    points=1,
    title="any shape, and the dtype of the parameter",
    hint="Every number is updated by itself; no tensor of another dtype on the way.",
)
def test_adamw_dtype(sub, rng):
    for dtype, shape in ((torch.float32, (3, 4)), (torch.float64, ()), (torch.float32, (1,))):
        inputs = to_update(rng, *shape, dtype=dtype)
        got = sub.adamw_step(*inputs, 3, 0.2)
        want = [each.to(dtype) for each in adamw_floats(*inputs, 3, 0.2)]
        for name, each in zip(UPDATED, got, strict=True):
            require_dtype(each, dtype, name)
        expect_updated(got, want, f"in {dtype} of shape {shape}", KEPT[dtype])


# ---------------------------------------------------------------------------------------------
# 05.8

clip_by_norm = exercise(
    "05.8",
    function="clip_by_norm",
    title="Clip by the global norm",
    page=f"{LOOP}#clipping",
    returns=("any", "number"),
    within=TORCHS_CLIP,
    closed=(
        "torch.nn.utils.clip_grad_norm_",
        "torch.nn.utils.clip_grad_norm",
        "torch.nn.utils.clip_grads_with_norm_",
        "torch.nn.utils.get_total_norm",
    ),
    hints=(
        "How many norms are there for a list of ten tensors?",
        "Work through (3) and (4): squares, their sum over both tensors, the root. One factor for "
        "all, and never above 1.",
        "`norm = sum(g.double().square().sum() for g in gradients).sqrt()`, "
        "`factor = (max_norm / norm).clamp(max=1.0)`, `[g * factor for g in gradients]`.",
    ),
)
CLIPPED = Tolerance(rtol=1e-5, atol=1e-7, because="torch adds 1e-6 to the norm; you may, too")
SHORT = Tolerance(rtol=1e-6, atol=0.0, because="short gradients stay as they are")
HALF = Tolerance(rtol=2e-3, atol=1e-3, because="float16 has three digits")


def norm_of(gradients):
    return math.sqrt(sum(x * x for g in gradients for x in g.double().flatten().tolist()))


def expect_clipped(sub, gradients, max_norm, what, tolerance=CLIPPED):
    """The clipped tensors and the norm."""
    clipped, norm = sub.clip_by_norm(gradients, max_norm)
    want = norm_of(gradients)
    expect_close(float(norm), want, tolerance, what=f"the norm of {what}")
    expect(
        isinstance(clipped, list | tuple) and len(clipped) == len(gradients),
        f"wanted a list of {len(gradients)} tensors, one for each gradient, as the first result.",
    )
    factor = min(1.0, max_norm / want) if want else 1.0
    for i, (got, gradient) in enumerate(zip(clipped, gradients, strict=True)):
        wanted = (gradient.double() * factor).to(gradient.dtype)
        expect_close(got, wanted, tolerance, what=f"tensor {i} of {what}")
    return clipped


def gradients_of(rng, size=1.0, dtype=torch.float64):
    """Tensors of several shapes; one of them is much longer than the others."""
    shapes = ((3, 4), (4,), (2, 3, 5), (1,))
    factors = (1.0, 3.0, 0.2, 0.5)
    return [(size * f * normal(rng, *s)).to(dtype) for s, f in zip(shapes, factors, strict=True)]


@clip_by_norm.check(
    points=1,
    title="the worked example: (3) and (4)",
    hint="The norm is 5: both are divided by 5, or, if 10 is allowed, by nothing.",
)
def test_clip_by_hand(sub, rng):
    gradients = [torch.tensor([3.0]), torch.tensor([4.0])]
    for max_norm in (1.0, 10.0):
        expect_clipped(sub, gradients, max_norm, f"(3) and (4), max_norm {max_norm:g}")


@clip_by_norm.check(
    points=3,
    title="long gradients: one norm, one factor, the direction stays",
    hint="The sum of all squares of all tensors, one root, one factor.",
)
def test_clip_long(sub, rng):
    for size, max_norm in ((1.0, 0.5), (100.0, 1.0), (1.0, 3.0)):
        gradients = gradients_of(rng, size)
        expect_clipped(sub, gradients, max_norm, f"gradients of size {size:g}")


@clip_by_norm.check(
    points=2,
    title="short gradients stay as they are",
    hint="The factor is at most 1: gradients are cut, never lengthened.",
)
def test_clip_short(sub, rng):
    for size in (0.1, 0.01):
        gradients = gradients_of(rng, size)
        room = 1.5 * norm_of(gradients)
        expect_clipped(sub, gradients, room, f"gradients of size {size:g}", SHORT)


@clip_by_norm.check(
    points=1,
    title="a gradient of zeros stays one",
    hint="0/0 lies in wait: its norm is 0, and it is not too long.",
)
def test_clip_zeros(sub, rng):
    gradients = gradients_of(rng)
    require_life(sub.clip_by_norm(gradients, 1.0)[0][0], "the first tensor")
    zeros = [0 * each for each in gradients]
    expect_clipped(sub, zeros, 1.0, "zeros", SHORT)


@clip_by_norm.check(
    points=1,
    title="a max_norm of infinity cuts nothing",
    hint="It is how one only measures the norm: the factor is 1, not ∞/∞.",
)
def test_clip_infinity(sub, rng):
    gradients = gradients_of(rng, 10.0)
    expect_clipped(sub, gradients, math.inf, "gradients that may have any length", SHORT)


@clip_by_norm.check(
    points=1,
    title="one tensor, many tensors, tensors without axes",
    hint="Any number of tensors of any shapes.",
)
def test_clip_shapes(sub, rng):
    for shapes in (((3, 4),), ((), (2,), ()), ((2,),) * 30):
        gradients = [normal(rng, *shape) for shape in shapes]
        max_norm = norm_of(gradients) / 2
        expect_clipped(sub, gradients, max_norm, f"{len(shapes)} tensors")


@clip_by_norm.check(
    points=2,
    title="in float16 nothing overflows, and the dtype stays",
    hint="300² is above 65,504: take the squares in float32 or float64, and give float16 back.",
)
def test_clip_half(sub, rng):
    gradients = gradients_of(rng, 300.0, torch.float16)
    for max_norm in (1.0, 1e6):
        clipped = expect_clipped(sub, gradients, max_norm, "large float16 gradients", HALF)
        for each in clipped:
            require_dtype(each, torch.float16, "a clipped tensor")


# ---------------------------------------------------------------------------------------------
# 05.9

accumulate_gradients = exercise(
    "05.9",
    function="accumulate_gradients",
    title="Accumulate gradients",
    page=f"{LOOP}#accumulation",
    uses=("05.5",),
    returns=("number", "tensor"),
    closed=LARGE_BATCH,
    hints=(
        "Each batch gives a sum of losses and a number of tokens. Which of the two may be divided "
        "by the other, and when?",
        "Work through the two batches of one and three tokens. torch adds to `.grad` at every "
        "`backward`; what is added must be gradients of *sums*, not of means.",
        "Make the weight a leaf, `weight.clone().requires_grad_()`. For each batch "
        '`F.cross_entropy((x @ weight.T).mT, targets, reduction="sum")` and `backward()`; at the '
        "end divide the sum of the losses and `weight.grad` by all tokens whose target is not "
        "-100.",
    ),
)


def tokens_of(weight, batches):
    """(loss, gradient, count) summed token by token, in NumPy."""
    W = weight.double().numpy()
    loss, gradient, count = 0.0, np.zeros_like(W), 0
    for x, targets in batches:
        C = x.shape[-1]
        rows = x.double().reshape(-1, C).numpy()
        for row, target in zip(rows, targets.flatten().tolist(), strict=True):
            if target == IGNORED:
                continue
            logits = W @ row
            shares = np.exp(logits - logits.max())
            shares /= shares.sum()
            loss -= math.log(shares[target])
            shares[target] -= 1
            gradient += np.outer(shares, row)
            count += 1
    return loss, torch.from_numpy(gradient), count


def batches_of(rng, V, C, *sizes, lengths=None, dtype=torch.float64):
    """Pairs (x, targets); lengths[i] are those of the sentences of batch i."""
    pairs = []
    for i, (B, T) in enumerate(sizes):
        x, targets = (
            normal(rng, B, T, C, dtype=dtype),
            torch.from_numpy(rng.integers(V, size=(B, T))),
        )
        pairs.append((x, targets if lengths is None else padded(targets, lengths[i])))
    return pairs


def expect_accumulated(sub, weight, batches, what, tolerance=FLOAT64):
    total, gradient, count = tokens_of(weight, batches)
    loss, got = sub.accumulate_gradients(weight.clone(), batches)
    expect_close(float(loss), total / count, tolerance, what=f"the loss of {what}")
    want = (gradient / count).to(weight.dtype)
    expect_close(got, want, tolerance, what=f"the gradient of {what}")


@accumulate_gradients.check(
    points=1,
    title="one token and three tokens, by hand",
    hint="With weights of 0 all shares are ½. The sums are −1 and −½, and there are four tokens.",
)
def test_accumulate_by_hand(sub, rng):
    one = torch.tensor([[[2.0]]]), torch.tensor([[0]])
    three = torch.ones(1, 3, 1), torch.tensor([[0, 0, 1]])
    loss, gradient = sub.accumulate_gradients(torch.zeros(2, 1), [one, three])
    expect_close(float(loss), math.log(2), BY_HAND, what="the loss")
    want = torch.tensor([[-0.375], [0.375]])
    expect_close(gradient, want, BY_HAND, what="the gradient (V=2, C=1)")


@accumulate_gradients.check(
    points=3,
    title="equal to the large batch, with unequal numbers of tokens",
    hint="Every token of every batch counts the same.",
)
def test_accumulate_unequal(sub, rng):
    for sizes in (((2, 5), (2, 3)), ((1, 7), (3, 2), (2, 4)), ((4, 1), (1, 9))):
        weight, batches = normal(rng, 11, 6), batches_of(rng, 11, 6, *sizes)
        expect_accumulated(sub, weight, batches, f"batches of {sizes}")


@accumulate_gradients.check(
    points=3,
    title="padding does not count",
    hint="Count the targets that are not -100; F.cross_entropy leaves them out by itself.",
)
def test_accumulate_padding(sub, rng):
    for lengths in (([5, 2], [3, 1, 2]), ([1, 1], [3, 3, 1]), ([5, 5], [1, 2, 3])):
        weight = normal(rng, 11, 6)
        batches = batches_of(rng, 11, 6, (2, 5), (3, 3), lengths=lengths)
        expect_accumulated(sub, weight, batches, f"batches with lengths {lengths}")


@accumulate_gradients.check(
    points=2,
    title="a batch of nothing but padding does no harm",
    hint="Its mean would be 0/0. Its sum is 0, over 0 tokens.",
)
def test_accumulate_empty_batch(sub, rng):
    weight = normal(rng, 11, 6)
    for lengths in (([5, 2], [0, 0]), ([0, 0], [3, 1])):
        batches = batches_of(rng, 11, 6, (2, 5), (2, 3), lengths=lengths)
        expect_accumulated(sub, weight, batches, f"batches with lengths {lengths}")


@accumulate_gradients.check(
    points=1,
    title="one batch alone, and many small ones",
    hint="However many there are, divide once, by all tokens.",
)
def test_accumulate_counts(sub, rng):
    for sizes in (((2, 5),), ((1, 1),), ((1, 2),) * 7):
        weight, batches = normal(rng, 5, 3), batches_of(rng, 5, 3, *sizes)
        expect_accumulated(sub, weight, batches, f"batches of {sizes}")


@accumulate_gradients.check(
    points=1,
    title="equal sizes hide nothing",
    hint="With T = V = C every axis fits: the logits are x @ weight.T, the vocabulary their last.",
)
def test_accumulate_equal_sizes(sub, rng):
    for V, C, sizes in ((4, 4, ((4, 4), (2, 4))), (3, 3, ((2, 3), (3, 3)))):
        weight, batches = normal(rng, V, C), batches_of(rng, V, C, *sizes)
        expect_accumulated(sub, weight, batches, f"batches with V = C = {V}")


@accumulate_gradients.check(
    points=1,
    title="one graph at a time: `backward` for each batch, and a loss without its graph",
    hint="Call total.backward() inside the loop, and add total.detach() or total.item(): whoever "
    "adds up losses with their graphs keeps all batches in memory.",
)
def test_accumulate_lets_go(sub, rng):
    weight, batches = normal(rng, 11, 6), batches_of(rng, 11, 6, (2, 5), (3, 3))
    expect_accumulated(sub, weight, batches, "two batches")
    loss, gradient = sub.accumulate_gradients(weight.clone(), batches)
    for name, each in (("loss", loss), ("gradient", gradient)):
        expect(
            not getattr(each, "requires_grad", False),
            f"the {name} still requires a gradient: it keeps the graph of a batch, with all its "
            "activations, in memory.",
        )
    batches = batches_of(rng, 11, 6, *((2, 5),) * 12)
    few, many = (
        sub.accumulate_gradients.kept(weight.clone(), part) for part in (batches[:1], batches)
    )
    expect(
        many <= 3 * max(few, 1),
        f"torch keeps {few} tensors for the way back of one batch, and {many} at one time for 12 "
        "such batches: the graphs of all of them are in memory together. Call backward for each "
        "batch, inside the loop: it lets go of that batch's graph.",
    )


@accumulate_gradients.check(
    points=1,
    title="the gradient has the dtype of the weight",
    hint="No .float(), no .double(), and no tensor of another dtype on the way.",
)
def test_accumulate_dtype(sub, rng):
    for dtype in (torch.float32, torch.float64):
        weight = normal(rng, 11, 6, dtype=dtype)
        batches = batches_of(rng, 11, 6, (2, 5), (3, 3), dtype=dtype)
        require_dtype(sub.accumulate_gradients(weight.clone(), batches)[1], dtype, "the gradient")
        expect_accumulated(sub, weight, batches, f"batches in {dtype}", KEPT[dtype])


# ---------------------------------------------------------------------------------------------
# 05.10

scaled_backward = exercise(
    "05.10",
    function="scaled_backward",
    title="Loss scaling",
    page=f"{LOOP}#loss-scaling",
    returns=("any", "number", "number"),
    closed=(
        "torch.amp.GradScaler.scale",
        "torch.amp.GradScaler.unscale_",
        "torch.amp.GradScaler.step",
    ),
    legal=lambda sizes: 0 <= sizes.get("streak", 0) < sizes.get("interval", 1),
    hints=(
        "What must be large while it goes back through float16, and what must be right in the end?",
        "Four lines: forward in float16, the loss in float32; its scaled backward pass; unscale in "
        "float32; look at every entry. Then decide on the scale.",
        "`half = weight.half().requires_grad_()`, `loss = ((x.half() @ half).float() - targets)"
        ".square().mean()`, `(loss * scale).backward()`, `gradient = half.grad.float() / scale`, "
        "and `gradient.isfinite().all()`.",
    ),
)
SIXTEEN = Tolerance(rtol=1e-2, atol=1e-2, because="float16 has three digits, and errors cancel")
TINY = Tolerance(rtol=2e-2, atol=1e-10, because="float16 has three digits; gradients near 1e-8")
EXACT = Tolerance(rtol=0.0, atol=0.0, because="powers of two")


def slope(weight, x, targets):
    """The gradient in float64, of what float16 makes of weight and x."""
    x, weight = x.half().double(), weight.half().double()
    return (2 * (x @ weight - targets.double()) @ x / len(x)).float()


def examples(rng, N, C):
    x, weight, targets = normal(rng, N, C), normal(rng, C), normal(rng, N)
    return [each.float() for each in (weight, x, targets)]


def expect_scaled(got, want, tolerance, what):
    """want: (gradient or None, scale, streak)."""
    gradient, scale, streak = got
    if want[0] is None:
        expect(
            gradient is None,
            f"{what}: a gradient that is not finite must be None, so that nobody uses it.",
        )
    else:
        expect(
            gradient is not None,
            f"{what}: the gradient is None, though all of its entries are finite.",
        )
        expect_close(gradient, want[0], tolerance, what=f"the gradient {what}")
    expect_close(float(scale), float(want[1]), EXACT, what=f"the new scale {what}")
    expect_close(float(streak), float(want[2]), EXACT, what=f"the new streak {what}")


@scaled_backward.check(
    points=2,
    title="the worked example: scale 1,024 and scale 65,536",
    hint="1,024 fits into float16, and so does 1,024 times the gradient; 65,536 does not.",
)
def test_scaled_by_hand(sub, rng):
    weight, x, targets = torch.tensor([1.0]), torch.tensor([[1.0]]), torch.tensor([0.5])
    got = sub.scaled_backward(weight, x, targets, 1024.0, 0, 10)
    expect_scaled(got, (torch.tensor([1.0]), 1024, 1), SIXTEEN, "for scale 1024")
    got = sub.scaled_backward(weight, x, targets, 65536.0, 3, 10)
    expect_scaled(got, (None, 32768, 0), SIXTEEN, "for scale 65536")


@scaled_backward.check(
    points=3,
    title="the gradient of the mean square, unscaled",
    hint="Scale the loss, divide the gradient: the scale is not seen in the result.",
)
def test_scaled_definition(sub, rng):
    for scale, N, C in ((1.0, 5, 3), (128.0, 4, 6), (1024.0, 3, 7)):
        inputs = examples(rng, N, C)
        got = sub.scaled_backward(*inputs, scale, 0, 10)
        expect_scaled(got, (slope(*inputs), scale, 1), SIXTEEN, f"for scale {scale:g}")
    large = torch.zeros(3), torch.ones(1, 3), torch.tensor([-1.0])  # 32,768 each: their sum is ∞
    got = sub.scaled_backward(*large, 2.0**14, 0, 10)
    expect_scaled(got, (slope(*large), 2.0**14, 1), SIXTEEN, "for entries that are just finite")


@scaled_backward.check(
    points=3,
    title="small gradients survive",
    hint="Scale before the backward pass, unscale behind it in float32: in float16 1e-8 is 0.",
)
def test_scaled_small(sub, rng):
    for exponent, small, smaller in (
        (18, 100.0, 1e-7), (19, 300.0, 4e-8), (20, 200.0, 5e-8), (15, 1e-3, 1e-5), (18, 1e-3, 1e-5),
    ):  # fmt: skip
        _, x, targets = examples(rng, 4, 3)
        inputs = torch.zeros(3), x * small, targets * smaller
        scale = 2.0**exponent
        got = sub.scaled_backward(*inputs, scale, 0, 10)
        expect_scaled(got, (slope(*inputs), scale, 1), TINY, f"for scale 2^{exponent}")


@scaled_backward.check(
    points=3,
    title="an infinite entry: no gradient, half the scale, streak 0",
    hint="Look at the gradient, at all of its entries: one is enough.",
)
def test_scaled_overflow(sub, rng):
    one = torch.zeros(2), torch.tensor([[1.0, -2.0]]), torch.tensor([20.0])
    for scale in (2.0**121, 2.0**124, 2.0**126):
        got = sub.scaled_backward(*one, scale, 4, 5)
        expect_scaled(
            got, (None, scale / 2, 0), SIXTEEN, "for a scale that makes the loss infinite"
        )
    weight, x, targets = examples(rng, 4, 3)
    got = sub.scaled_backward(weight, x, targets, 2.0**24, 3, 10)
    expect_scaled(got, (None, 2.0**23, 0), SIXTEEN, "for scale 2^24")
    for place in (0, 2):  # one column of large numbers: one infinite entry
        x = torch.full((4, 3), 0.1)
        x[:, place] = 50.0
        weight, targets = torch.zeros(3), torch.full((4,), -0.1)
        got = sub.scaled_backward(weight, x, targets, 65536.0, 4, 5)
        expect_scaled(got, (None, 32768, 0), SIXTEEN, f"with an infinite entry {place}")


@scaled_backward.check(
    points=1,
    title="entries that are no number count as well",
    hint="isfinite() is false for infinities and for NaN.",
)
def test_scaled_nan(sub, rng):
    weight, x, targets = examples(rng, 4, 3)
    for bad in (math.nan, math.inf):
        targets[1] = bad
        got = sub.scaled_backward(weight, x, targets, 64.0, 3, 10)
        expect_scaled(got, (None, 32, 0), SIXTEEN, f"with a target of {bad}")


@scaled_backward.check(
    points=2,
    title="the streak grows, and at its end the scale is doubled",
    hint="streak + 1 == interval: double, and begin at 0 again. The gradient is that of the old "
    "scale.",
)
def test_scaled_streak(sub, rng):
    for streak, interval in ((0, 3), (1, 3), (2, 3), (0, 1), (6, 7), (5, 2000)):
        inputs = examples(rng, 4, 3)
        grows = streak + 1 == interval
        got = sub.scaled_backward(*inputs, 256.0, streak, interval)
        want = slope(*inputs), 512 if grows else 256, 0 if grows else streak + 1
        expect_scaled(got, want, SIXTEEN, f"for streak {streak} of {interval}")


@scaled_backward.check(
    points=1,
    title="the gradient is float32, as the master weights are",
    hint="half.grad is float16: .float() before it is divided.",
)
def test_scaled_dtype(sub, rng):
    inputs = examples(rng, 4, 3)
    gradient = sub.scaled_backward(*inputs, 64.0, 0, 10)[0]
    expect(gradient is not None, "the gradient is None, though all of its entries are finite.")
    require_dtype(gradient, torch.float32, "the gradient")


scaled_backward.waive(
    "scaled_backward:L2:(x.half() @ half).float() - targets->targets - (x.half() @ half).float()",
    reason="the errors are squared",
)
scaled_backward.waive(
    "scaled_backward:L2:(x.half() @ half).float()->x.half() @ half",
    reason="the targets are float32, and so is what is subtracted from them",
)


# ---------------------------------------------------------------------------------------------
# 05.11

train_step = exercise(
    "05.11",
    function="train_step",
    title="The whole step",
    page=f"{LOOP}#training-step",
    uses=("05.6", "05.7", "05.8", "05.9"),
    returns=("tensor", "tensor", "tensor", "number", "number"),
    closed=(*LARGE_BATCH, *ADAM),
    legal=lambda sizes: sizes.get("step", 1) >= 1 and sizes.get("warmup_steps", 1) >= 1,
    within=TORCHS_CLIP,
    hints=(
        "Four things in a row. Which of them must know all batches, and which only the gradient?",
        "Say it in this order: add up sums, divide by all tokens, clip, then Adam with the rate of "
        "this step. What would change if clipping came before the division?",
        "Accumulate as in 5.9 into `weight.grad`, `weight.grad /= tokens`, `norm = "
        "nn.utils.clip_grad_norm_(weight, max_norm)`, `rate = library_rate(step, weight.shape[1], "
        "warmup_steps)`, then the four lines of AdamW with `weight.grad`.",
    ),
)
STEPPED = "the weight", "m", "v", "the loss", "the norm"
STEP = Tolerance(rtol=5e-5, atol=1e-8, because="torch adds 1e-6 to the norm that it divides by")


def step_loops(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    total, gradient, count = tokens_of(weight, batches)
    gradient = gradient / count
    norm = norm_of([gradient])
    clipped = gradient * min(1.0, max_norm / norm) if norm else gradient
    rate = rate_branches(step, weight.shape[1], warmup_steps)
    return [*adamw_floats(weight, clipped, m, v, step, rate), total / count, norm]


def expect_step(sub, inputs, what, tolerance=STEP):
    """One step; what it gives."""
    weight, *rest = inputs
    got = sub.train_step(weight.clone(), *rest)
    for name, each, want in zip(STEPPED, got, step_loops(*inputs), strict=True):
        if isinstance(want, float):
            expect_close(float(each), want, tolerance, what=f"{name} {what}")
        else:
            expect_close(each, want.to(weight.dtype), tolerance, what=f"{name} {what}")
    return got


def to_step(rng, V, C, *sizes, size=1.0, lengths=None, dtype=torch.float64):
    """A weight, its averages, and batches whose gradients are of that size."""
    weight, _, m, v = to_update(rng, V, C, dtype=dtype)
    batches = batches_of(rng, V, C, *sizes, lengths=lengths, dtype=dtype)
    return weight, m, v, [(x * size, targets) for x, targets in batches]


@train_step.check(
    points=1,
    title="the worked example: one token, the first step",
    hint="The gradient is (−½, ½), the rate 1, and Adam's first step goes by the sign.",
)
def test_step_by_hand(sub, rng):
    weight, m, v = (torch.zeros(2, 1) for _ in range(3))
    batches = [(torch.tensor([[[1.0]]]), torch.tensor([[0]]))]
    want = [[1.0], [-1.0]], [[-0.05], [0.05]], [[0.005], [0.005]]
    got = sub.train_step(weight, m, v, batches, 1, 1)
    for name, each, wanted in zip(STEPPED, got, want, strict=False):
        expect_close(each, torch.tensor(wanted), BY_HAND, what=name)
    expect_close(float(got[3]), math.log(2), BY_HAND, what="the loss")
    expect_close(float(got[4]), math.sqrt(0.5), BY_HAND, what="the norm")


@train_step.check(
    points=3,
    title="equal to the definition, before the peak of the rate and behind it",
    hint="Accumulate, divide, clip, rate, AdamW: each once, in this order.",
)
def test_step_definition(sub, rng):
    for step, warmup, sizes in (
        (1, 10, ((2, 5), (2, 3))),
        (4, 10, ((1, 4), (3, 2))),
        (40, 10, ((2, 3),)),
    ):
        inputs = *to_step(rng, 7, 5, *sizes), step, warmup
        expect_step(sub, inputs, f"at step {step} of a warm-up of {warmup}")


@train_step.check(
    points=3,
    title="the gradient of all batches is clipped, once, after the division",
    hint="Divide by the tokens first. The norm that is told is the one before clipping.",
)
def test_step_clipping(sub, rng):
    for size, max_norm in ((0.1, 1.0), (10.0, 1.0), (3.0, 0.2), (3.0, 50.0)):
        inputs = *to_step(rng, 7, 5, (2, 5), (2, 3), (1, 6), size=size), 4, 10, max_norm
        expect_step(sub, inputs, f"for gradients of size {size:g}, max_norm {max_norm:g}")


@train_step.check(
    points=2,
    title="every token of every batch counts the same, and padding not at all",
    hint="Add sums; divide by the number of targets that are not -100.",
)
def test_step_padding(sub, rng):
    for lengths in (([5, 1], [3, 1]), ([0, 0], [2, 3]), ([1, 0], [3, 3])):
        inputs = *to_step(rng, 7, 5, (2, 5), (2, 3), lengths=lengths), 4, 10
        expect_step(sub, inputs, f"for lengths {lengths}")


@train_step.check(
    points=2,
    title="six steps in a row",
    hint="m, v and the weight go on from where the step before has left them.",
)
def test_step_in_a_row(sub, rng):
    weight, m, v, batches = to_step(rng, 7, 5, (2, 5), (2, 3))
    m, v = torch.zeros_like(m), torch.zeros_like(v)
    for step in range(1, 7):
        inputs = weight, m, v, batches, step, 3, 0.5
        got = expect_step(sub, inputs, f"at step {step}")
        weight, m, v = (each.detach().clone() for each in got[:3])


@train_step.check(
    points=1,
    title="numbers that hardly have a gradient, or none",
    hint="ε = 1e-9 stands beside √v̂: 0/0 where nothing ever came, and half the step at 1e-9.",
)
def test_step_small_gradients(sub, rng):
    weight, _, _, batches = to_step(rng, 7, 5, (2, 5), (2, 3), size=1e-9)
    for x, _ in batches:
        x[..., 2] = 0.0
    inputs = weight, torch.zeros_like(weight), torch.zeros_like(weight), batches, 1, 10
    expect_step(sub, inputs, "for gradients near 1e-9")


@train_step.check(
    points=1,
    title="nothing that is returned hangs on a graph",
    hint="detach(): the next step begins with plain tensors, and the log needs plain numbers.",
)
def test_step_lets_go(sub, rng):
    inputs = *to_step(rng, 7, 5, (2, 5), (2, 3)), 2, 10
    for name, each in zip(STEPPED, expect_step(sub, inputs, "at step 2"), strict=True):
        expect(
            not getattr(each, "requires_grad", False),
            f"{name} still requires a gradient: it keeps the graph of this step in memory.",
        )


@train_step.check(
    points=1,
    title="weight and averages keep their dtype",
    hint="No .float(), no .double(), and no tensor of another dtype on the way.",
)
def test_step_dtype(sub, rng):
    near = Tolerance(rtol=2e-3, atol=1e-4, because="a float32 step that divides by small numbers")
    for dtype, tolerance in ((torch.float32, near), (torch.float64, STEP)):
        inputs = *to_step(rng, 7, 5, (2, 5), (2, 3), dtype=dtype), 4, 10
        got = expect_step(sub, inputs, f"in {dtype}", tolerance)
        for name, each in zip(STEPPED[:3], got, strict=False):
            require_dtype(each, dtype, name)


train_step.waive(
    "train_step:L1:weight.clone()->weight",
    reason="`nn.Parameter` makes a leaf of its own, and its numbers are not changed",
)
