"""Checks of the exercises of chapter 6.

Oracles are loops over Python numbers, torch's own encoder and decoder layers with the same
weights, and searches that try every sentence. Sizes differ from each other, and where a mistake
shows only when two sizes are equal, a check of its own makes them equal.
"""

import itertools
import math
from functools import partial

import numpy as np
import torch
from torch import nn

from minitx.grading import (
    Tolerance,
    a_few,
    exercise,
    expect,
    expect_close,
    expect_equal,
    expect_raises,
)
from minitx.tensor_checks import (
    expect_gradient,
    expect_gradients,
    normal,
    require_dtype,
    require_life,
)

PAGE = "book/06_encoder_decoder.md"
FAMILIES = "book/06_families.md"
IGNORE = -100
BY_HAND = Tolerance(rtol=1e-4, atol=1e-4, because="a few small numbers in float32")
_ROOT = "float64, with room for a root or a sine that was rounded to float32"
OUTPUTS = Tolerance(rtol=1e-5, atol=1e-5, because=_ROOT)
GRADIENT = Tolerance(rtol=1e-4, atol=1e-4, because=f"gradients of some units; {_ROOT}")
SAME = Tolerance(rtol=1e-9, atol=1e-12, because="what it depends on are the same numbers")
KEPT = {
    torch.float32: Tolerance(rtol=1e-4, atol=1e-4, because="sums of float32 numbers"),
    torch.float64: Tolerance(rtol=1e-6, atol=1e-6, because="float64 throughout"),
}
SCORES = Tolerance(rtol=1e-6, atol=1e-6, because="a sum of a few float64 logarithms")


def require_shape(result, shape, words, what):
    """Reject unless something was computed, in this shape."""
    require_life(result, what)
    expect(
        tuple(result.shape) == tuple(shape),
        f"{what} has shape {tuple(result.shape)}; wanted {words} = {tuple(shape)}.",
    )


def require_bool(result, what):
    """Reject unless the truth values are some True and some False."""
    require_life(result, what)
    expect(
        result.dtype == torch.bool,
        f"{what} is {result.dtype}; wanted torch.bool, True = may attend.",
    )


def sentences(rng, B, T, pad_id, lengths=None, least=0, below=9):
    """Words in (B, T), padded at the end; without lengths one sentence is full, one is short."""
    words = [n for n in range(least, below) if n != pad_id]
    if lengths is None:
        lengths = rng.integers(1, T + 1, size=B)
        lengths[: min(B, 2)] = (max(T - 2, 1), T)[: min(B, 2)]
        rng.shuffle(lengths)
    made = torch.full((B, T), pad_id)
    for b, n in enumerate(lengths):
        made[b, : int(n)] = torch.from_numpy(rng.choice(words, size=int(n)))
    return made


# ---------------------------------------------------------------------------------------------
# 06.1

decoder_masks = exercise(
    "06.1",
    function="decoder_masks",
    title="Two masks for a decoder",
    page=f"{PAGE}#three-masks",
    returns=("tensor", "tensor"),
    closed=("minitx.masks.Mask.dense",),
    hints=(
        "Two rules meet in `own`, one in `cross`. For each rule: does it speak of rows, of "
        "columns, of sentences?",
        "Read which of the three masks hides what. Padding hides *columns*: nobody reads it, "
        "whoever asks.",
        "`torch.ones(T_tgt, T_tgt, dtype=torch.bool).tril() & (tgt != pad_id)[:, None]`, and "
        "`(src != pad_id)[:, None].expand(-1, T_tgt, -1)`.",
    ),
)
MASKS = "the mask own", "the mask cross"


def mask_loops(src, tgt, pad_id):
    (B, T_src), T_tgt = src.shape, tgt.shape[1]
    own = [
        [[j <= i and int(tgt[b, j]) != pad_id for j in range(T_tgt)] for i in range(T_tgt)]
        for b in range(B)
    ]
    cross = [[[int(src[b, j]) != pad_id for j in range(T_src)]] * T_tgt for b in range(B)]
    return torch.tensor(own), torch.tensor(cross)


def expect_masks(sub, src, tgt, pad_id, which=(0, 1), words=""):
    got, want = sub.decoder_masks(src, tgt, pad_id), mask_loops(src, tgt, pad_id)
    for each in which:
        expect_equal(got[each], want[each], what=f"{MASKS[each]}{words}")


@decoder_masks.check(
    points=1,
    title="the worked example: one source, one target",
    hint="Column 2 of both is padding. In own, row 0 sees itself only.",
)
def test_masks_by_hand(sub, rng):
    expect_masks(sub, torch.tensor([[5, 6, 0]]), torch.tensor([[7, 8, 0]]), 0)


@decoder_masks.check(
    points=1,
    title="two tables of truth values, one row for every token of the target",
    hint="(B, T_tgt, T_tgt) and (B, T_tgt, T_src): who asks, then who is asked.",
)
def test_masks_shapes(sub, rng):
    src, tgt = sentences(rng, 2, 7, 0), sentences(rng, 2, 5, 0)
    own, cross = sub.decoder_masks(src, tgt, 0)
    require_bool(own, "the mask own")
    require_bool(cross, "the mask cross")
    require_shape(own, (2, 5, 5), "(B, T_tgt, T_tgt)", "the mask own")
    require_shape(cross, (2, 5, 7), "(B, T_tgt, T_src)", "the mask cross")


@decoder_masks.check(
    points=3,
    title="own: nobody looks ahead, and nobody reads padding",
    hint="own[b, i, j] needs both: j <= i, and tgt[b, j] is no padding.",
)
def test_masks_own(sub, rng):
    for B, T_src, T_tgt in ((3, 4, 6), (2, 7, 5)):
        expect_masks(sub, sentences(rng, B, T_src, 0), sentences(rng, B, T_tgt, 0), 0, (0,))


@decoder_masks.check(
    points=3,
    title="cross: every token of the target reads all words of its source",
    hint="cross[b, i, j] asks for src[b, j] only: the same in every row.",
)
def test_masks_cross(sub, rng):
    for B, T_src, T_tgt in ((3, 4, 6), (2, 7, 5)):
        expect_masks(sub, sentences(rng, B, T_src, 0), sentences(rng, B, T_tgt, 0), 0, (1,))


@decoder_masks.check(
    points=2,
    title="padding is pad_id, whatever number that is",
    hint="A word may have the number 0: compare with pad_id.",
)
def test_masks_any_padding(sub, rng):
    for pad_id in (3, -1):
        src, tgt = sentences(rng, 2, 6, pad_id), sentences(rng, 2, 5, pad_id)
        src[:, 0] = tgt[:, 0] = 0
        expect_masks(sub, src, tgt, pad_id, words=f" with pad_id = {pad_id}")


@decoder_masks.check(
    points=1,
    title="equal sizes hide nothing",
    hint="With B = T_src = T_tgt every wrong axis fits. Which sentence does a rule belong to?",
)
def test_masks_equal_sizes(sub, rng):
    for n in (4, 3):
        expect_masks(sub, sentences(rng, n, n, 0), sentences(rng, n, n, 0), 0)


@decoder_masks.check(
    points=1,
    title="one token, no padding, nothing but padding",
    hint="The formula needs no special case: apply it to each.",
)
def test_masks_extremes(sub, rng):
    for T_src, T_tgt, of_src, of_tgt in ((5, 1, [5, 2], [1, 1]), (1, 4, [1, 0], [0, 4])):
        src = sentences(rng, 2, T_src, 0, of_src).to(torch.int32)
        tgt = sentences(rng, 2, T_tgt, 0, of_tgt).to(torch.int32)
        words = f" for {of_src} words in the sources and {of_tgt} in the targets"
        expect_masks(sub, src, tgt, 0, words=words)


# ---------------------------------------------------------------------------------------------
# 06.2

shift_right = exercise(
    "06.2",
    function="shift_right",
    title="Shifted by one",
    page=f"{PAGE}#shift-by-one",
    returns=("tensor", "tensor"),
    hints=(
        "Write both rows for one sentence by hand, one below the other: each token of the second "
        "answers the one above it.",
        "Read what goes in and what is asked for. The start token is never asked for, and the end "
        "token never goes in.",
        "`F.pad(tgt, (1, 0), value=bos_id)` is inputs. For targets put IGNORE in place of the "
        "padding and in a new last column, then `.scatter(1, n, eos_id)` with n, (B, 1), the "
        "number of words.",
    ),
)
ROWS = "what goes in (inputs)", "what is asked for (targets)"


def shift_loops(tgt, bos_id, eos_id, pad_id):
    inputs, targets = [], []
    for row in tgt.tolist():
        n = sum(token != pad_id for token in row)
        inputs.append([bos_id] + row[:n] + [pad_id] * (len(row) - n))
        targets.append(row[:n] + [eos_id] + [IGNORE] * (len(row) - n))
    return torch.tensor(inputs), torch.tensor(targets)


def expect_shifted(sub, tgt, bos_id, eos_id, pad_id, which=(0, 1), words=""):
    got = sub.shift_right(tgt, bos_id, eos_id, pad_id)
    want = shift_loops(tgt, bos_id, eos_id, pad_id)
    for each in which:
        expect_equal(got[each], want[each], what=f"{ROWS[each]}{words}")


@shift_right.check(
    points=1,
    title="the worked example: two words and one padding",
    hint="1, 7, 8, 0 goes in, and 7, 8, 2, -100 is asked for.",
)
def test_shift_by_hand(sub, rng):
    expect_shifted(sub, torch.tensor([[7, 8, 0]]), 1, 2, 0)


@shift_right.check(
    points=1,
    title="both have one column more than the words",
    hint="n words and a start, n words and an end: n + 1 places.",
)
def test_shift_shapes(sub, rng):
    inputs, targets = sub.shift_right(sentences(rng, 2, 5, 0, least=3), 1, 2, 0)
    require_shape(inputs, (2, 6), "(B, T + 1)", ROWS[0])
    require_shape(targets, (2, 6), "(B, T + 1)", ROWS[1])


@shift_right.check(
    points=3,
    title="the start token and the words go in",
    hint="bos_id, all words in their order, then pad_id. The end token never goes in.",
)
def test_shift_inputs(sub, rng):
    for B, T in ((3, 5), (4, 7)):
        expect_shifted(sub, sentences(rng, B, T, 0, least=3), 1, 2, 0, (0,))


@shift_right.check(
    points=3,
    title="the words and the end token are asked for, and nothing behind it",
    hint="eos_id stands directly behind the last word; behind it IGNORE.",
)
def test_shift_targets(sub, rng):
    for B, T in ((3, 5), (4, 7)):
        expect_shifted(sub, sentences(rng, B, T, 0, least=3), 1, 2, 0, (1,))


@shift_right.check(
    points=1,
    title="sentences that fill their row, and one without a word",
    hint="A full sentence has its end in the new column, an empty one in column 0.",
)
def test_shift_extremes(sub, rng):
    for lengths in ([4, 4], [0, 4], [0, 0]):
        tgt = sentences(rng, 2, 4, 0, lengths, least=3)
        expect_shifted(sub, tgt, 1, 2, 0, words=f" for {lengths} words")


@shift_right.check(
    points=2,
    title="other numbers for start, end and padding; also padding with the end token",
    hint="Where pad_id == eos_id the end is asked for all the same: ignore the padding first, then "
    "write the end.",
)
def test_shift_other_numbers(sub, rng):
    for bos_id, eos_id, pad_id in ((2, 0, 1), (0, 9, 9), (5, 3, -1)):
        tgt = sentences(rng, 3, 5, pad_id, least=11, below=20)
        words = f" with bos_id={bos_id}, eos_id={eos_id}, pad_id={pad_id}"
        expect_shifted(sub, tgt, bos_id, eos_id, pad_id, words=words)


@shift_right.check(
    points=1,
    title="as many sentences as places",
    hint="The shift is along the places of a sentence, axis 1, not from sentence to sentence.",
)
def test_shift_square(sub, rng):
    for n in (4, 3):
        expect_shifted(sub, sentences(rng, n, n, 0, least=3), 1, 2, 0)


TWO_AXES = "of two axes, 1 and -1 are the same: the same answer"
shift_right.waive("shift_right:L5:1->-1", reason=TWO_AXES)


# ---------------------------------------------------------------------------------------------
# The modules of 06.3, 06.4 and 06.5

PROJECTIONS = "q_proj", "k_proj", "v_proj", "out_proj"


def shapes_of_attention(name, C):
    made = {}
    for each in PROJECTIONS:
        made |= {f"{name}.{each}.weight": (C, C), f"{name}.{each}.bias": (C,)}
    return made


def shapes_of_block(C, width, attentions):
    """What a block with these attentions learns, by name."""
    made = {}
    for name in attentions:
        made |= shapes_of_attention(name, C)
    made |= {"feed_forward.in_proj.weight": (width, C), "feed_forward.in_proj.bias": (width,)}
    made |= {"feed_forward.out_proj.weight": (C, width), "feed_forward.out_proj.bias": (C,)}
    for name in (*attentions, "feed_forward"):
        made |= {f"{name}_residual.norm.weight": (C,), f"{name}_residual.norm.bias": (C,)}
    return made


OF_ENCODER = ("attention",)
OF_DECODER = ("self_attention", "cross_attention")


def weights_of(rng, shapes, dtype=torch.float64):
    """Weights with which every sublayer says something of size 1, and no two norms are alike."""
    made = {}
    for name, shape in shapes.items():
        drawn = normal(rng, *shape, dtype=dtype)
        if name.endswith("norm.weight"):
            made[name] = 1 + 0.4 * drawn
        elif name.endswith("bias"):
            made[name] = 0.5 * drawn
        else:
            made[name] = drawn / math.sqrt(shape[-1])
    return made


def loaded(maker, sizes, weights):
    """A module of the learner's, with these weights."""
    module = maker(*sizes)
    module.to(next(iter(weights.values())).dtype)
    module.load(weights)
    return module


def for_torch(weights, pairs):
    """Our weights under torch's names; `pairs` says which attention, which norm is which."""
    made = {}
    for theirs, ours in pairs.items():
        if "attn" in theirs:
            for kind in ("weight", "bias"):
                parts = [weights[f"{ours}.{each}.{kind}"] for each in PROJECTIONS[:3]]
                made[f"{theirs}.in_proj_{kind}"] = torch.cat(parts)
                made[f"{theirs}.out_proj.{kind}"] = weights[f"{ours}.out_proj.{kind}"]
        else:
            for kind in ("weight", "bias"):
                made[f"{theirs}.{kind}"] = weights[f"{ours}.{kind}"]
    return made


FEED = {"linear1": "feed_forward.in_proj", "linear2": "feed_forward.out_proj"}
ENCODER_PAIRS = {
    "self_attn": "attention", "norm1": "attention_residual.norm",
    "norm2": "feed_forward_residual.norm", **FEED,
}  # fmt: skip
DECODER_PAIRS = {
    "self_attn": "self_attention", "norm1": "self_attention_residual.norm",
    "multihead_attn": "cross_attention", "norm2": "cross_attention_residual.norm",
    "norm3": "feed_forward_residual.norm", **FEED,
}  # fmt: skip


def encoder_of_torch(weights, H, x, real=None, pre_norm=False):
    """torch's encoder layer with our weights; gradients flow to them."""
    width, C = weights["feed_forward.in_proj.weight"].shape
    layer = nn.TransformerEncoderLayer(
        C, H, width, dropout=0.0, batch_first=True, norm_first=pre_norm, dtype=torch.float64
    )
    gone = None if real is None else ~real
    call = for_torch(weights, ENCODER_PAIRS), (x,), {"src_key_padding_mask": gone}
    return torch.func.functional_call(layer, *call)


def decoder_of_torch(weights, H, x, memory, real=None, memory_real=None, pre_norm=False):
    """torch's decoder layer with our weights; gradients flow to them."""
    width, C = weights["feed_forward.in_proj.weight"].shape
    layer = nn.TransformerDecoderLayer(
        C, H, width, dropout=0.0, batch_first=True, norm_first=pre_norm, dtype=torch.float64
    )
    T = x.shape[1]
    masks = {
        "tgt_mask": torch.ones(T, T, dtype=torch.bool).triu(1),
        "tgt_key_padding_mask": None if real is None else ~real,
        "memory_key_padding_mask": None if memory_real is None else ~memory_real,
    }
    return torch.func.functional_call(layer, for_torch(weights, DECODER_PAIRS), (x, memory), masks)


def words(lengths, T):
    """True for words: (B, T)."""
    return torch.tensor([[t < n for t in range(T)] for n in lengths])


def expect_weights(module, wanted):
    """These weights under their names, and nothing else that is learned."""
    missing = [name for name in wanted if name not in module.parameters]
    expect(
        not missing,
        f"the module learns {a_few(module.parameters) or 'nothing'}; there is no "
        f"{a_few(missing)}. Make the parts in __init__, each on self under its name, "
        "and each by itself: what hangs on self in this way is found.",
    )
    extra = [name for name in module.parameters if name not in wanted]
    expect(not extra, f"the module also learns {a_few(extra)}: that is not asked for.")
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


def expect_apart(rng, maker, sizes, shapes, ask, what):
    """Two modules of one class share no weights."""
    first = loaded(maker, sizes, weights_of(rng, shapes))
    before = require_life(ask(first), what)
    loaded(maker, sizes, weights_of(rng, shapes))
    expect_close(
        ask(first), before, SAME, what=f"{what} of one module after another one was made and loaded"
    )


def zero_weights(shapes):
    """Sublayers that say nothing, fresh norms."""
    return {
        name: torch.ones(shape) if name.endswith("norm.weight") else torch.zeros(shape)
        for name, shape in shapes.items()
    }


# ---------------------------------------------------------------------------------------------
# 06.3

encoder_block = exercise(
    "06.3",
    function="EncoderBlock",
    title="The encoder's block",
    page=f"{PAGE}#encoder",
    returns="module",
    closed=("minitx.blocks.EncoderBlock.forward", "torch.nn.TransformerEncoderLayer.forward"),
    hints=(
        "Four parts in `__init__`: two sublayers, and for each a norm. `forward` has two lines, "
        "one for each sublayer, and each adds.",
        "Read where the norm stands in a block of 2017 and where today, and what is added to what. "
        "The second line starts from the result of the first.",
        "`x = self.attention_residual(x, lambda x: self.attention(x, mask=Mask(key_padding=real)))`"
        " and `return self.feed_forward_residual(x, self.feed_forward)`, with "
        "`Residual(LayerNorm(d_model), pre_norm=pre_norm)` for both.",
    ),
)
BLOCK = "the output of the block"


@encoder_block.check(
    points=1,
    title="the worked example: sublayers that say nothing",
    hint="Norms behind: (3, 5) becomes (-1, 1). Norms before: it comes out as it went in.",
)
def test_encoder_by_hand(sub, rng):
    weights = zero_weights(shapes_of_block(2, 3, OF_ENCODER))
    x = torch.tensor([[[3.0, 5.0]]])
    for pre_norm, want in ((True, [[[3.0, 5.0]]]), (False, [[[-1.0, 1.0]]])):
        module = loaded(sub.EncoderBlock, (2, 1, 3, pre_norm), weights)
        what = f"the token with pre_norm={pre_norm}"
        expect_close(module(x), torch.tensor(want), BY_HAND, what=what)


@encoder_block.check(
    points=1,
    title="the parts under their names, and an output as wide as x",
    hint="attention, feed_forward, attention_residual, feed_forward_residual: each made in "
    "__init__, with a norm of its own for each residual.",
)
def test_encoder_parameters(sub, rng):
    module = sub.EncoderBlock(6, 2, 10)
    x = normal(rng, 2, 5, 6, dtype=torch.float32)
    require_shape(module(x), (2, 5, 6), "(B, T, C)", BLOCK)
    expect_weights(module, shapes_of_block(6, 10, OF_ENCODER))


@encoder_block.check(
    points=3,
    title="norms behind the sums, as in 2017: equal to torch's layer",
    hint="y = norm1(x + attention(x)), then norm2(y + ffn(y)).",
)
def test_encoder_post_norm(sub, rng):
    for B, T, C, H, width in ((2, 5, 6, 2, 10), (3, 4, 8, 4, 5)):
        x, weights = normal(rng, B, T, C), weights_of(rng, shapes_of_block(C, width, OF_ENCODER))
        module = loaded(sub.EncoderBlock, (C, H, width), weights)
        want = encoder_of_torch(weights, H, x)
        expect_close(module(x), want, OUTPUTS, what=f"{BLOCK} for C={C}, H={H}, F={width}")


@encoder_block.check(
    points=3,
    title="norms before the sublayers: equal to torch's layer",
    hint="y = x + attention(norm1(x)), then y + ffn(norm2(y)): what is added is not normalised.",
)
def test_encoder_pre_norm(sub, rng):
    for B, T, C, H, width in ((2, 5, 6, 2, 10), (3, 4, 8, 4, 5)):
        x, weights = normal(rng, B, T, C), weights_of(rng, shapes_of_block(C, width, OF_ENCODER))
        module = loaded(sub.EncoderBlock, (C, H, width, True), weights)
        want = encoder_of_torch(weights, H, x, pre_norm=True)
        what = f"{BLOCK} with pre_norm=True for C={C}, H={H}, F={width}"
        expect_close(module(x), want, OUTPUTS, what=what)


@encoder_block.check(
    points=2,
    title="nobody attends to padding",
    hint="`self.attention(x, mask=Mask(key_padding=real))`: the rule is one of attention only.",
)
def test_encoder_padding(sub, rng):
    for lengths, pre_norm in (([5, 2], False), ([1, 4], True), ([3, 5], False)):
        x, weights = normal(rng, 2, 5, 6), weights_of(rng, shapes_of_block(6, 10, OF_ENCODER))
        module = loaded(sub.EncoderBlock, (6, 2, 10, pre_norm), weights)
        real = words(lengths, 5)
        want = encoder_of_torch(weights, 2, x, real, pre_norm)
        expect_close(module(x, real), want, OUTPUTS, what=f"{BLOCK} for lengths {lengths}")


@encoder_block.check(
    points=1,
    title="equal sizes hide nothing",
    hint="With B = T = C = F every wrong axis fits.",
)
def test_encoder_equal_sizes(sub, rng):
    for n, pre_norm in ((4, True), (4, False)):
        x, weights = normal(rng, n, n, n), weights_of(rng, shapes_of_block(n, n, OF_ENCODER))
        module = loaded(sub.EncoderBlock, (n, 2, n, pre_norm), weights)
        real = words([4, 2, 3, 1], 4)
        want = encoder_of_torch(weights, 2, x, real, pre_norm)
        expect_close(module(x, real), want, OUTPUTS, what=f"{BLOCK} for B = T = C = F = {n}")


@encoder_block.check(
    points=1,
    title="the output has the dtype of x and of the weights",
    hint="No .float(), no .double(), and no tensor of another dtype on the way.",
)
def test_encoder_dtype(sub, rng):
    x, weights = normal(rng, 2, 5, 6), weights_of(rng, shapes_of_block(6, 10, OF_ENCODER))
    want = encoder_of_torch(weights, 2, x)
    for dtype, tolerance in KEPT.items():
        same = {name: each.to(dtype) for name, each in weights.items()}
        got = loaded(sub.EncoderBlock, (6, 2, 10), same)(x.to(dtype))
        require_dtype(got, dtype, BLOCK)
        expect_close(got, want.to(dtype), tolerance, what=f"{BLOCK} in {dtype}")


@encoder_block.check(
    points=2,
    title="gradients reach x and all weights",
    hint="Whatever hangs on self must take part, and stay connected to the output.",
)
def test_encoder_gradients(sub, rng):
    for pre_norm in (False, True):
        x, weights = normal(rng, 2, 5, 6), weights_of(rng, shapes_of_block(6, 10, OF_ENCODER))
        real = words([3, 5], 5)
        module = loaded(sub.EncoderBlock, (6, 2, 10, pre_norm), weights)

        def definition(leaves, names=tuple(weights), real=real, pre_norm=pre_norm):
            own = {name: leaves[name] for name in names}
            return encoder_of_torch(own, 2, leaves["x"], real, pre_norm)

        expect_module_gradients(module, {"x": x}, [real], weights, definition, BLOCK)


@encoder_block.check(
    points=1,
    title="two blocks have weights of their own",
    hint="Make the parts in __init__, on self: what stands in the class body is shared.",
)
def test_encoder_instances(sub, rng):
    x, shapes = normal(rng, 2, 5, 6), shapes_of_block(6, 10, OF_ENCODER)
    expect_apart(rng, sub.EncoderBlock, (6, 2, 10), shapes, lambda module: module(x), BLOCK)


# ---------------------------------------------------------------------------------------------
# 06.4

decoder_block = exercise(
    "06.4",
    function="DecoderBlock",
    title="The decoder's block",
    page=f"{PAGE}#decoder",
    returns="module",
    closed=("minitx.blocks.DecoderBlock.forward", "torch.nn.TransformerDecoderLayer.forward"),
    hints=(
        "Three sublayers, three residual connections. For each sublayer: where do queries come "
        "from, where keys and values, and which rule hides what?",
        "Read what the decoder's block has in the middle. Its causal rule is one of its own tokens "
        "only; the memory is there as a whole.",
        "`x = self.self_attention_residual(x, lambda x: self.self_attention(x, mask=own))`, then "
        "`self.cross_attention(x, memory, mask=cross)` in the same way, with `own = "
        "Mask(causal=True, key_padding=real)` and `cross = Mask(key_padding=memory_real)`.",
    ),
)


@decoder_block.check(
    points=1,
    title="the worked example: only the memory has something to say",
    hint="Sublayers give (0, 0), (4, 0), (0, 0). Norms before: (7, 5). Norms behind: (1, -1).",
)
def test_decoder_by_hand(sub, rng):
    weights = zero_weights(shapes_of_block(2, 3, OF_DECODER))
    weights["cross_attention.out_proj.bias"] = torch.tensor([4.0, 0.0])
    x, memory = torch.tensor([[[3.0, 5.0]]]), torch.tensor([[[7.0, 1.0], [0.0, 4.0]]])
    for pre_norm, want in ((True, [[[7.0, 5.0]]]), (False, [[[1.0, -1.0]]])):
        module = loaded(sub.DecoderBlock, (2, 1, 3, pre_norm), weights)
        what = f"the token with pre_norm={pre_norm}"
        expect_close(module(x, memory), torch.tensor(want), BY_HAND, what=what)


@decoder_block.check(
    points=1,
    title="the parts under their names, and one output for each token of x",
    hint="self_attention, cross_attention, feed_forward, and a Residual for each: "
    "self_attention_residual, cross_attention_residual, feed_forward_residual.",
)
def test_decoder_parameters(sub, rng):
    module = sub.DecoderBlock(6, 2, 10)
    x, memory = (normal(rng, 2, T, 6, dtype=torch.float32) for T in (5, 7))
    require_shape(module(x, memory), (2, 5, 6), "(B, T_tgt, C)", BLOCK)
    expect_weights(module, shapes_of_block(6, 10, OF_DECODER))


@decoder_block.check(
    points=3,
    title="norms behind the sums, as in 2017: equal to torch's layer",
    hint="norm1(x + self(x)), then norm2(y + cross(y, memory)), then norm3(z + ffn(z)).",
)
def test_decoder_post_norm(sub, rng):
    for T, T_src, C, H, width in ((5, 7, 6, 2, 10), (4, 3, 8, 4, 5)):
        x, memory = normal(rng, 2, T, C), normal(rng, 2, T_src, C)
        weights = weights_of(rng, shapes_of_block(C, width, OF_DECODER))
        module = loaded(sub.DecoderBlock, (C, H, width), weights)
        want = decoder_of_torch(weights, H, x, memory)
        what = f"{BLOCK} for T_tgt={T}, T_src={T_src}, C={C}, H={H}"
        expect_close(module(x, memory), want, OUTPUTS, what=what)


@decoder_block.check(
    points=3,
    title="norms before the sublayers: equal to torch's layer",
    hint="x + f(norm(x)), three times. The memory is taken as it comes.",
)
def test_decoder_pre_norm(sub, rng):
    for T, T_src, C, H, width in ((5, 7, 6, 2, 10), (4, 3, 8, 4, 5)):
        x, memory = normal(rng, 2, T, C), normal(rng, 2, T_src, C)
        weights = weights_of(rng, shapes_of_block(C, width, OF_DECODER))
        module = loaded(sub.DecoderBlock, (C, H, width, True), weights)
        want = decoder_of_torch(weights, H, x, memory, pre_norm=True)
        what = f"{BLOCK} with pre_norm=True for T_tgt={T}, T_src={T_src}, C={C}, H={H}"
        expect_close(module(x, memory), want, OUTPUTS, what=what)


def expect_decoded(sub, rng, T, T_src, real=None, memory_real=None, pre_norm=False, words=""):
    B = 2 if real is None and memory_real is None else len(memory_real if real is None else real)
    x, memory = normal(rng, B, T, 6), normal(rng, B, T_src, 6)
    weights = weights_of(rng, shapes_of_block(6, 10, OF_DECODER))
    module = loaded(sub.DecoderBlock, (6, 2, 10, pre_norm), weights)
    want = decoder_of_torch(weights, 2, x, memory, real, memory_real, pre_norm)
    got = module(x, memory, real, memory_real)
    expect_close(got, want, OUTPUTS, what=f"{BLOCK}{words}")


@decoder_block.check(
    points=2,
    title="nobody attends to the padding of the memory",
    hint="`self.cross_attention(x, memory, mask=Mask(key_padding=memory_real))`.",
)
def test_decoder_memory_padding(sub, rng):
    for lengths, pre_norm in (([7, 3], False), ([2, 6], True)):
        said = f" for {lengths} words in the memories"
        expect_decoded(sub, rng, 5, 7, None, words(lengths, 7), pre_norm, said)


@decoder_block.check(
    points=2,
    title="nobody attends to the padding of x",
    hint="`Mask(causal=True, key_padding=real)`: both rules hold. real may have holes.",
)
def test_decoder_own_padding(sub, rng):
    # Behind the last word padding is ahead of every word; so some stands in the middle here.
    for pre_norm in (False, True):
        real = words([5, 3], 5)
        real[0, 2] = real[1, 1] = False
        expect_decoded(sub, rng, 5, 4, real, None, pre_norm, " with padding in x")


@decoder_block.check(
    points=1,
    title="all three rules at once, as many tokens here as there",
    hint="real is for the block's own tokens, memory_real for the memory's.",
)
def test_decoder_equal_sizes(sub, rng):
    for pre_norm in (False, True):
        real, memory_real = words([4, 3, 4, 2], 4), words([2, 4, 1, 3], 4)
        real[0, 1] = False
        expect_decoded(sub, rng, 4, 4, real, memory_real, pre_norm, " with B = T_tgt = T_src = 4")


@decoder_block.check(
    points=1,
    title="the output has the dtype of x and of the weights",
    hint="No .float(), no .double(), and no tensor of another dtype on the way.",
)
def test_decoder_dtype(sub, rng):
    x, memory = normal(rng, 2, 5, 6), normal(rng, 2, 4, 6)
    weights = weights_of(rng, shapes_of_block(6, 10, OF_DECODER))
    want = decoder_of_torch(weights, 2, x, memory)
    for dtype, tolerance in KEPT.items():
        same = {name: each.to(dtype) for name, each in weights.items()}
        got = loaded(sub.DecoderBlock, (6, 2, 10), same)(x.to(dtype), memory.to(dtype))
        require_dtype(got, dtype, BLOCK)
        expect_close(got, want.to(dtype), tolerance, what=f"{BLOCK} in {dtype}")


@decoder_block.check(
    points=2,
    title="gradients reach x, the memory and all weights",
    hint="The encoder learns through the memory: keys and values must stay connected to it.",
)
def test_decoder_gradients(sub, rng):
    for pre_norm in (False, True):
        inputs = {"x": normal(rng, 2, 5, 6), "memory": normal(rng, 2, 4, 6)}
        weights = weights_of(rng, shapes_of_block(6, 10, OF_DECODER))
        masks = words([5, 3], 5), words([2, 4], 4)
        module = loaded(sub.DecoderBlock, (6, 2, 10, pre_norm), weights)

        def definition(leaves, names=tuple(weights), masks=masks, pre_norm=pre_norm):
            own = {name: leaves[name] for name in names}
            return decoder_of_torch(own, 2, leaves["x"], leaves["memory"], *masks, pre_norm)

        expect_module_gradients(module, inputs, masks, weights, definition, BLOCK)


@decoder_block.check(
    points=1,
    title="two blocks have weights of their own",
    hint="Make the parts in __init__, on self: what stands in the class body is shared.",
)
def test_decoder_instances(sub, rng):
    x, memory = normal(rng, 2, 5, 6), normal(rng, 2, 4, 6)
    shapes = shapes_of_block(6, 10, OF_DECODER)
    expect_apart(rng, sub.DecoderBlock, (6, 2, 10), shapes, lambda module: module(x, memory), BLOCK)


# ---------------------------------------------------------------------------------------------
# 06.5

encoder_decoder = exercise(
    "06.5",
    function="EncoderDecoder",
    title="Every arrow is one call",
    page=f"{PAGE}#whole",
    uses=("06.3", "06.4"),
    returns="module",
    closed=(
        "minitx.models.seq2seq.Transformer.forward",
        "minitx.models.seq2seq.Transformer.encode",
        "minitx.models.seq2seq.Transformer.decode",
        "minitx.blocks.Encoder.forward",
        "minitx.blocks.Decoder.forward",
        "torch.nn.Transformer.forward",
        "torch.nn.TransformerEncoder.forward",
        "torch.nn.TransformerDecoder.forward",
    ),
    hints=(
        "Draw it: two columns of blocks. Which arrows enter each block, and where does each begin?",
        "Follow the arrows of the large drawing. Everything to the right of the encoder reads one "
        "thing of it: what its *last* block said.",
        "`x = self.src_embedding(src) * math.sqrt(C)`, positions, `for block in self.encoder: x = "
        "block(x, mask=…)`; then keep `memory = x`. The target alike, with `block(y, memory, "
        "mask=…, memory_mask=…)`; at the end `y @ self.tgt_embedding.weight.T`.",
    ),
)
LOGITS = "the logits"


def shapes_of_model(U, V, C, width, L):
    made = {"src_embedding.weight": (U, C), "tgt_embedding.weight": (V, C)}
    for i in range(L):
        block = shapes_of_block(C, width, OF_ENCODER)
        made |= {f"encoder.{i}.{name}": shape for name, shape in block.items()}
    for i in range(L):
        block = shapes_of_block(C, width, OF_DECODER)
        made |= {f"decoder.{i}.{name}": shape for name, shape in block.items()}
    return made


def of_block(weights, stack, i):
    start = f"{stack}.{i}."
    return {name.removeprefix(start): w for name, w in weights.items() if name.startswith(start)}


def embedded(table, token_ids):
    """A token's row times √C, plus sines and cosines of its place, in Python's float64."""
    (T,), C = token_ids.shape[1:], table.shape[1]
    places = torch.zeros(T, C, dtype=torch.float64)
    for p in range(T):
        for i in range(C // 2):
            angle = p / 10_000 ** (2 * i / C)
            places[p, 2 * i], places[p, 2 * i + 1] = math.sin(angle), math.cos(angle)
    return table[token_ids] * math.sqrt(C) + places


def model_of_torch(weights, H, L, src, tgt, src_real=None, tgt_real=None):
    """All of it, with torch's layers; gradients flow to the weights."""
    memory = embedded(weights["src_embedding.weight"], src)
    for i in range(L):
        memory = encoder_of_torch(of_block(weights, "encoder", i), H, memory, src_real)
    y = embedded(weights["tgt_embedding.weight"], tgt)
    for i in range(L):
        y = decoder_of_torch(of_block(weights, "decoder", i), H, y, memory, tgt_real, src_real)
    return y @ weights["tgt_embedding.weight"].T


def translating(rng, L=1, B=2, T_src=5, T_tgt=4, U=7, V=5, C=4, H=2, width=6):
    """(sizes of the module, its weights, source, target)."""
    weights = weights_of(rng, shapes_of_model(U, V, C, width, L))
    src = torch.from_numpy(rng.integers(U, size=(B, T_src)))
    tgt = torch.from_numpy(rng.integers(V, size=(B, T_tgt)))
    return (U, V, C, H, width, L), weights, src, tgt


def expect_logits(sub, case, *masks, words=""):
    sizes, weights, src, tgt = case
    want = model_of_torch(weights, sizes[3], sizes[5], src, tgt, *masks)
    got = loaded(sub.EncoderDecoder, sizes, weights)(src, tgt, *masks)
    expect_close(got, want, OUTPUTS, what=f"{LOGITS}{words}")


@encoder_decoder.check(
    points=1,
    title="the worked example: no blocks at all",
    hint="(0, 1) times the root of 2, plus (sin 0, cos 0), is (0, 2.414): logits 0 and 2.414.",
)
def test_model_by_hand(sub, rng):
    rows = {"src_embedding.weight": torch.ones(1, 2), "tgt_embedding.weight": torch.eye(2)}
    module = loaded(sub.EncoderDecoder, (1, 2, 2, 1, 3, 0), rows)
    got = module(torch.tensor([[0]]), torch.tensor([[1]]))
    want = torch.tensor([[[0.0, 1 + math.sqrt(2)]]])
    expect_close(got, want, BY_HAND, what="the logits of the token")


@encoder_decoder.check(
    points=1,
    title="two tables and two lists of blocks, logits for every token of the target",
    hint="src_embedding, tgt_embedding, encoder, decoder; blocks in an nn.ModuleList, each made "
    "anew; no output layer beside the target's table.",
)
def test_model_parameters(sub, rng):
    (*sizes, L), _, src, tgt = translating(rng, L=2)
    module = sub.EncoderDecoder(*sizes, L)
    require_shape(module(src, tgt), (2, 4, 5), "(B, T_tgt, V)", LOGITS)
    expect_weights(module, shapes_of_model(7, 5, 4, 6, 2))


@encoder_decoder.check(
    points=4,
    title="every decoder block reads what the last encoder block said",
    hint="First all encoder blocks, one on the other. Their last result is the memory of all "
    "decoder blocks.",
)
def test_model_definition(sub, rng):
    expect_logits(sub, translating(rng, L=2), words=" of a model with 2 + 2 blocks")
    expect_logits(sub, translating(rng, L=3, B=1), words=" of a model with 3 + 3 blocks")


@encoder_decoder.check(
    points=2,
    title="the padding of the source is hidden twice",
    hint="In the encoder, `mask=Mask(key_padding=src_real)`, and in the decoder, as memory_mask.",
)
def test_model_source_padding(sub, rng):
    for lengths in ([5, 2], [1, 4]):
        said = f" for {lengths} words in the sources"
        expect_logits(sub, translating(rng), words(lengths, 5), None, words=said)


@encoder_decoder.check(
    points=1,
    title="the padding of the target is hidden, and nobody looks ahead",
    hint="`Mask(causal=True, key_padding=tgt_real)` for the decoder's own tokens.",
)
def test_model_target_padding(sub, rng):
    for place in (1, 2):
        real = words([4, 3], 4)
        real[0, place] = False
        expect_logits(sub, translating(rng), None, real, words=" with padding in the target")


@encoder_decoder.check(
    points=1,
    title="equal sizes hide nothing: lengths, batch, vocabularies",
    hint="Which table, which mask, which sequence belongs where?",
)
def test_model_equal_sizes(sub, rng):
    case = translating(rng, 1, 4, 4, 4, 6, 6, 4, 2, 4)
    src_real, tgt_real = words([3, 4, 2, 1], 4), words([4, 2, 3, 4], 4)
    tgt_real[0, 1] = False
    expect_logits(sub, case, src_real, tgt_real, words=" with B = T_src = T_tgt, U = V")


@encoder_decoder.check(
    points=1,
    title="the logits have the dtype of the weights",
    hint="No .float(), no .double(), and no tensor of another dtype on the way.",
)
def test_model_dtype(sub, rng):
    sizes, weights, src, tgt = translating(rng)
    want = model_of_torch(weights, 2, 1, src, tgt)
    for dtype, tolerance in KEPT.items():
        same = {name: each.to(dtype) for name, each in weights.items()}
        got = loaded(sub.EncoderDecoder, sizes, same)(src, tgt)
        require_dtype(got, dtype, LOGITS)
        expect_close(got, want.to(dtype), tolerance, what=f"{LOGITS} in {dtype}")


@encoder_decoder.check(
    points=2,
    title="gradients reach all weights",
    hint="The encoder learns through the memory, the target's table from both its uses.",
)
def test_model_gradients(sub, rng):
    sizes, weights, src, tgt = translating(rng)
    masks = words([5, 3], 5), words([4, 2], 4)
    module = loaded(sub.EncoderDecoder, sizes, weights)

    def definition(leaves):
        return model_of_torch(leaves, 2, 1, src, tgt, *masks)

    expect_module_gradients(module, {}, (src, tgt, *masks), weights, definition, LOGITS)


@encoder_decoder.check(
    points=1,
    title="two models have weights of their own",
    hint="Make the parts in __init__, on self: what stands in the class body is shared.",
)
def test_model_instances(sub, rng):
    sizes, _, src, tgt = translating(rng)
    shapes = shapes_of_model(7, 5, 4, 6, 1)
    expect_apart(rng, sub.EncoderDecoder, sizes, shapes, lambda module: module(src, tgt), LOGITS)


# ---------------------------------------------------------------------------------------------
# 06.6

greedy_decode = exercise(
    "06.6",
    function="greedy_decode",
    title="Greedy decoding of a batch",
    page=f"{PAGE}#greedy",
    returns="tensor",
    closed=("minitx.generate.greedy",),
    hints=(
        "Write the loop for one sentence. What has to be remembered from step to step? For a "
        "batch each of these things gets an axis.",
        "Read how a batch is written: a row of truth values says who has ended, and what an ended "
        "sentence says next is overwritten.",
        "In each step `newest = logits[rows, newest].argmax(-1)`, then `.masked_fill(ended, "
        "eos_id)`, then `ended = newest == eos_id`; stop when `ended.all()`.",
    ),
)


def greedy_loops(logits, bos_id, eos_id, most):
    written = []
    for table in logits.tolist():
        token, tokens = bos_id, []
        while len(tokens) < most and (not tokens or token != eos_id):
            token = max(range(len(table)), key=lambda j, row=table[token]: row[j])
            tokens.append(token)
        written.append(tokens)
    longest = max(len(tokens) for tokens in written)
    return torch.tensor([tokens + [eos_id] * (longest - len(tokens)) for tokens in written])


def telling(rng, paths, V, bos_id):
    """Logits by which sentence b says paths[b]; behind its end it would begin again."""
    logits = normal(rng, len(paths), V, V)
    for b, path in enumerate(paths):
        for before, after in zip([bos_id, *path], [*path, path[0]], strict=True):
            logits[b, before, after] = 5.0 + float(rng.random())
    return logits


def expect_written(sub, logits, bos_id, eos_id, most, words=""):
    got = sub.greedy_decode(logits, bos_id, eos_id, most)
    want = greedy_loops(logits, bos_id, eos_id, most)
    expect_equal(got, want, what=f"the new tokens{words}")


@greedy_decode.check(
    points=1,
    title="the worked example: two sentences, of two and three tokens",
    hint="3, EOS and 2, 3, EOS; the first is filled up with EOS.",
)
def test_greedy_by_hand(sub, rng):
    follows = torch.tensor([[3, 2, 2, 1], [2, 2, 3, 1]])
    logits = nn.functional.one_hot(follows, 4).float()
    got = sub.greedy_decode(logits, 0, 1, 10)
    expect_equal(got, torch.tensor([[3, 1, 1], [2, 3, 1]]), what="the new tokens")


@greedy_decode.check(
    points=1,
    title="tokens, a row for each sentence",
    hint="Whole numbers, (B, T_new): `torch.stack(chosen, dim=1)`.",
)
def test_greedy_shape(sub, rng):
    logits = telling(rng, [[3, 5, 1], [4, 3, 2, 1]], 7, 0)
    got = sub.greedy_decode(logits, 0, 1, 9)
    require_shape(got, (2, 4), "(B, T_new)", "the result")
    require_dtype(got, torch.int64, "the result")


@greedy_decode.check(
    points=3,
    title="each sentence says its most probable token, step by step",
    hint="What follows token i in sentence b is logits[b, i].argmax().",
)
def test_greedy_definition(sub, rng):
    for paths in (
        [[3, 5, 4, 1], [6, 4, 2, 1], [2, 6, 5, 1]],
        [[5, 3, 2, 6, 4], [2, 3, 4, 5, 6]],
    ):
        logits = telling(rng, paths, 7, 0)
        expect_written(sub, logits, 0, 1, len(paths[0]), f" of {len(paths)} sentences")


@greedy_decode.check(
    points=2,
    title="a sentence that has ended is filled up with its end",
    hint="Overwrite what it would say next: `.masked_fill(ended, eos_id)`.",
)
def test_greedy_ended(sub, rng):
    for paths in ([[3, 1], [6, 4, 2, 5, 1], [2, 5, 1]], [[4, 3, 5, 1], [1]]):
        logits = telling(rng, paths, 7, 0)
        expect_written(sub, logits, 0, 1, 12, f" for lengths {[len(path) for path in paths]}")


@greedy_decode.check(
    points=1,
    title="it stops as soon as all have ended",
    hint="Ask after each step whether all have ended, not whether one has.",
)
def test_greedy_stops(sub, rng):
    for paths in ([[4], [4]], [[3, 4], [4], [2, 4]]):
        logits = telling(rng, paths, 6, 0)
        expect_written(sub, logits, 0, 4, 15, f" for lengths {[len(path) for path in paths]}")


@greedy_decode.check(
    points=1,
    title="it stops after max_new_tokens at the latest",
    hint="The loop runs max_new_tokens times, no more: `for _ in range(max_new_tokens)`.",
)
def test_greedy_limit(sub, rng):
    for most in (1, 3, 4):
        logits = telling(rng, [[2, 3, 4, 5, 1], [5, 4, 3, 2, 1]], 6, 0)
        expect_written(sub, logits, 0, 1, most, f" with max_new_tokens = {most}")


@greedy_decode.check(
    points=2,
    title="other numbers for start and end; as many sentences as tokens",
    hint="Start with bos_id, end with eos_id, whatever they are; row i is what follows token i.",
)
def test_greedy_other_numbers(sub, rng):
    for bos_id, eos_id in ((3, 0), (2, 4)):
        words = [n for n in range(5) if n not in (bos_id, eos_id)]
        paths = [[*rng.permutation(words)[: 1 + b % 3].tolist(), eos_id] for b in range(5)]
        logits = telling(rng, paths, 5, bos_id)
        expect_written(sub, logits, bos_id, eos_id, 8, f" with bos_id={bos_id}, eos_id={eos_id}")


# ---------------------------------------------------------------------------------------------
# 06.7

top_p = exercise(
    "06.7",
    function="top_p",
    title="The nucleus",
    page=f"{PAGE}#sampling",
    returns="tensor",
    closed=("minitx.generate.truncated",),
    hints=(
        "Take three tokens in order of probability. For each, what do those before it have "
        "together? That decides.",
        "Read what the nucleus keeps: the fewest tokens that reach p, and so the one that carries "
        "the sum over the line is in.",
        "`probabilities, order = logits.softmax(-1).sort(-1, descending=True)`; `before` is the "
        "cumsum moved right by one, with 0 in front; `beyond.scatter(-1, order, beyond)` brings "
        "the decisions to where the tokens stand.",
    ),
)


def nucleus_loops(logits, p):
    kept = torch.full_like(logits, -math.inf)
    for b, row in enumerate(logits.double().tolist()):
        largest = max(row)
        shares = [math.exp(x - largest) for x in row]
        total, before = sum(shares), 0.0
        for j in sorted(range(len(row)), key=lambda j: -shares[j]):
            if before / total < p or p == 1:
                kept[b, j] = logits[b, j]
            before += shares[j]
    return kept


KEPT_AS_THEY_ARE = Tolerance(rtol=0.0, atol=0.0, because="kept logits are not computed")


def expect_nucleus(sub, logits, p, words=""):
    what = f"the logits for p = {p}{words}"
    expect_close(sub.top_p(logits, p), nucleus_loops(logits, p), KEPT_AS_THEY_ARE, what=what)


@top_p.check(
    points=1,
    title="the worked example: probabilities 0.2, 0.5, 0.3 and p = 0.6",
    hint="0.5 stays, 0.3 stays (before it there is 0.5), 0.2 goes (before it there is 0.8).",
)
def test_nucleus_by_hand(sub, rng):
    logits = torch.tensor([[0.2, 0.5, 0.3]]).log()
    want = torch.tensor([[-math.inf, math.log(0.5), math.log(0.3)]])
    expect_close(sub.top_p(logits, 0.6), want, BY_HAND, what="the logits")


@top_p.check(
    points=1,
    title="as many logits as before, in their dtype",
    hint="(B, V) in, (B, V) out: what goes becomes -inf, and nothing is cut off.",
)
def test_nucleus_shape(sub, rng):
    for dtype in (torch.float32, torch.float64):
        logits = normal(rng, 3, 7, dtype=dtype)
        got = sub.top_p(logits, 0.7)
        require_shape(got, (3, 7), "(B, V)", "the result")
        require_dtype(got, dtype, "the result")
        expect_close(got, nucleus_loops(logits, 0.7), KEPT_AS_THEY_ARE, what=f"logits in {dtype}")


@top_p.check(
    points=3,
    title="each row keeps the fewest tokens that reach p",
    hint="Sorted by probability, token n goes if those before it have p or more together.",
)
def test_nucleus_definition(sub, rng):
    for p in (0.3, 0.6, 0.9):
        expect_nucleus(sub, 1.5 * normal(rng, 4, 11), p)


@top_p.check(
    points=2,
    title="the most probable token always stays",
    hint="Before the first token there is nothing, and 0 is less than p.",
)
def test_nucleus_first(sub, rng):
    for p in (0.05, 0.5):
        logits = normal(rng, 3, 6)
        logits[torch.arange(3), torch.from_numpy(rng.integers(6, size=3))] = 6.0
        expect_nucleus(sub, logits, p, " and a sure model")


@top_p.check(
    points=1,
    title="at the border: a sum that is exactly p is enough",
    hint="`>=`: those before have p or more, so this one is not needed.",
)
def test_nucleus_border(sub, rng):
    for p, many in ((0.5, 2), (0.75, 3), (0.25, 1)):
        got = sub.top_p(torch.zeros(2, 4, dtype=torch.float64), p)
        kept = (got == 0).sum(dim=-1)
        expect(
            tuple(got.shape) == (2, 4) and bool((kept == many).all()),
            f"four equally probable tokens and p = {p}: {many} of them have {p} together, but "
            f"{kept.tolist()} stay in the two rows.",
        )


@top_p.check(
    points=1,
    title="p = 1 keeps everything",
    hint="Rounded, the sum can reach 1 before the last token: treat p = 1 on its own.",
)
def test_nucleus_everything(sub, rng):
    logits = normal(rng, 2, 8, dtype=torch.float32)
    logits[0, 2:5] = -200.0
    logits[1, 0] = -300.0
    expect_nucleus(sub, logits, 1.0, " and tokens of probability 0")
    expect_nucleus(sub, normal(rng, 2, 8), 1)


@top_p.check(
    points=1,
    title="tokens that were out before stay out, and large logits do no harm",
    hint="softmax gives them probability 0, and subtracts the largest logit by itself.",
)
def test_nucleus_infinite(sub, rng):
    logits = normal(rng, 3, 7)
    logits[0, 1], logits[1, 4:] = -math.inf, -math.inf
    for p in (0.5, 0.9):
        expect_nucleus(sub, logits, p, " after top-k")
        expect_nucleus(sub, 2 * normal(rng, 3, 7) + 5000, p, " and logits of 5,000")


@top_p.check(
    points=1,
    title="a p that is no share is refused",
    hint='`if not 0 < p <= 1: raise ValueError(f"... got {p}")`: the value of p.',
)
def test_nucleus_refuses(sub, rng):
    for p in (0.0, -0.3, 1.7):
        call = partial(sub.top_p, normal(rng, 2, 5), p)
        expect_raises(ValueError, call, what=f"p = {p}", says=(str(p),))


@top_p.check(
    points=1,
    title="as many rows as tokens",
    hint="Probabilities, order and sums run along the tokens, the last axis.",
)
def test_nucleus_square(sub, rng):
    for p in (0.4, 0.8):
        expect_nucleus(sub, 1.5 * normal(rng, 6, 6), p)


top_p.waive("top_p:L8:-1->1", reason=TWO_AXES)


# ---------------------------------------------------------------------------------------------
# 06.8

beam_search = exercise(
    "06.8",
    function="beam_search",
    title="Beam search",
    page=f"{PAGE}#beam",
    returns=("tensor", "tensor"),
    closed=("minitx.generate.beam_search",),
    legal=lambda sizes: sizes.get("V", 9) > 6,
    hints=(
        "Do the worked example with two beams on paper: which candidates are there in each step, "
        "which of them end, which go on?",
        "Read which number decides where: sums among beginnings of one length, scores among "
        "finished sentences of different lengths.",
        "`totals = sums[:, None] + log_probs[tokens[:, -1]]` is (K, V). For finished ones fill all "
        "columns but eos_id with -inf, for the others that column; then `max` and `topk` of the "
        "flattened table, with place // V and place % V.",
    ),
)


def log_softmax_loops(logits):
    made = []
    for row in logits.tolist():
        largest = max(row)
        total = math.log(sum(math.exp(x - largest) for x in row)) + largest
        made.append([x - total for x in row])
    return made


def beam_loops(logits, bos_id, eos_id, K, most, alpha=0.6):
    """The sentence, its score, and how clear both are: the narrowest decision on the way."""
    log_probs, V = log_softmax_loops(logits), len(logits)
    beginnings, finished, clear = [((bos_id,), 0.0)], [], math.inf
    for n in range(1, most + 1):
        longer = [
            ((*tokens, j), total + log_probs[tokens[-1]][j])
            for tokens, total in beginnings
            for j in range(V)
        ]
        ends = [pair for pair in longer if pair[0][-1] == eos_id or n == most]
        finished += [(total / ((5 + n) / 6) ** alpha, tokens) for tokens, total in ends]
        others = [pair for pair in longer if pair[0][-1] != eos_id]
        others.sort(key=lambda pair: -pair[1])
        beginnings = others[:K]
        clear = min([clear, *(others[K - 1][1] - pair[1] for pair in others[K : K + 1])])
    (best, tokens), (second, _) = sorted(finished, reverse=True)[:2]
    clear = min(clear, best - second)
    return torch.tensor(tokens[1:]), torch.tensor(best, dtype=torch.float64), clear


def expect_found(sub, make, bos_id, eos_id, K, most, *alpha, words=""):
    """On logits that `make` makes, until none of the sentences tie (the same pairs do)."""
    clear = 0.0
    while clear < 1e-6:
        logits = make()
        want, best, clear = beam_loops(logits, bos_id, eos_id, K, most, *alpha)
    tokens, score = sub.beam_search(logits, bos_id, eos_id, K, most, *alpha)
    words = f" with {K} beams and at most {most} tokens{words}"
    expect_equal(tokens, want, what=f"the sentence found{words}")
    expect_close(score, best, SCORES, what=f"its score{words}")


def language(rng, V=7, eos_id=1, ending=0.0):
    """Logits of a model that ends more or less readily."""
    logits = 1.5 * normal(rng, V, V)
    logits[:, eos_id] += ending
    return logits


def early_end(rng):
    """The end is second best at once, and the best word leads to a sure end one step later."""
    a, logits = int(rng.integers(2, 7)), 0.1 * normal(rng, 7, 7)
    logits[:, 1] = -9.0
    logits[0, a], logits[0, 1], logits[a, 1] = 4.0, 3.0, 9.0
    return logits


def dead_ends(rng, K):
    """First K - 1 words that lead nowhere, then the end, then a word that leads to a sure end."""
    words = torch.from_numpy(rng.permutation([0, 2, 3, 4, 5, 6]))
    logits = 0.1 * normal(rng, 7, 7)
    logits[:, 1] = -9.0
    logits[0] = -1.0
    logits[0, words[: K - 1]] = 2.0 + 0.1 * normal(rng, K - 1)
    logits[0, 1], logits[0, words[K - 1]] = 1.05, 1.0
    logits[words[K - 1], 1] = 9.0
    return logits


@beam_search.check(
    points=1,
    title="the worked example: two beams find what one misses",
    hint="3 EOS has the probability 0.4. With one beam, 2 is kept: 2 EOS with 0.33.",
)
def test_beam_by_hand(sub, rng):
    chances = [[0, 0, 0.6, 0.4], [0, 1, 0, 0], [0, 0.55, 0, 0.45], [0, 1, 0, 0]]
    logits = torch.tensor(chances).clamp(min=1e-9).log()
    for K, want, chance in ((2, [3, 1], 0.4), (1, [2, 1], 0.33)):
        tokens, score = sub.beam_search(logits, 0, 1, K, 5, 0.0)
        expect_equal(tokens, torch.tensor(want), what=f"the sentence found with {K} beams")
        expect_close(score, torch.tensor(math.log(chance)), BY_HAND, what="its score")


@beam_search.check(
    points=1,
    title="new tokens, and a score without axes",
    hint="tokens[1:] leaves bos_id out; the score is one number, a tensor.",
)
def test_beam_shapes(sub, rng):
    logits = language(rng, ending=-9.0) - 9 * torch.eye(7)  # no word twice in a row
    tokens, score = sub.beam_search(logits, 0, 1, 3, 4)
    require_life(tokens, "the sentence found")
    expect(
        tokens.dtype == torch.int64 and tuple(tokens.shape) == (4,),
        f"the sentence found is {tokens.dtype} of shape {tuple(tokens.shape)}; wanted int64 of "
        "shape (4,): this model never ends by itself within 4 tokens.",
    )
    expect(
        tuple(score.shape) == () and score.dtype == logits.dtype,
        f"the score is {score.dtype} of shape {tuple(score.shape)}; wanted a tensor without axes, "
        f"in {logits.dtype}.",
    )


@beam_search.check(
    points=3,
    title="the best finished sentence, when K beginnings are kept",
    hint="Extend all by all tokens; ends are put aside; of the others the K largest sums go on.",
)
def test_beam_definition(sub, rng):
    for K, most in ((3, 5), (2, 4), (2, 6)):
        for ending in (1.0, -1.0, -2.0, -3.0):
            expect_found(sub, partial(language, rng, ending=ending), 0, 1, K, most)
    expect_found(sub, partial(early_end, rng), 0, 1, 2, 4)


@beam_search.check(
    points=2,
    title="a finished sentence takes no beam from the others",
    hint="K beginnings go on that have not ended, also where ends are more probable.",
)
def test_beam_ends_take_no_beam(sub, rng):
    for K in (2, 3):
        make = partial(dead_ends, rng, K)
        expect_found(sub, make, 0, 1, K, 3, 2.0, words=" and length_penalty 2")
        expect_found(sub, make, 0, 1, K, 4, 1.5, words=" and length_penalty 1.5")


@beam_search.check(
    points=2,
    title="with enough beams it is the best of all sentences",
    hint="More beams than candidates: keep all there are.",
)
def test_beam_exhaustive(sub, rng):
    hidden = 0.03 * normal(rng, 7, 7)  # only 0, a, b ends, and a and b are the least likely words
    a, b = rng.permutation([2, 3, 4, 5, 6])[:2].tolist()
    hidden[:, 1] = -9.0
    hidden[:, b] = -9.0
    hidden[0, a], hidden[a, b], hidden[b, 1] = -0.3, -0.3, 9.0
    usual = [language(rng), language(rng, ending=-4.0)]
    for logits in usual:  # whoever came back to the start could go the same ways in another order
        logits[:, 0] -= 9.0
    for logits in (hidden, *usual):
        log_probs = log_softmax_loops(logits)
        found = []
        for n in range(1, 4):
            for tokens in itertools.product(range(7), repeat=n):
                ends = 1 not in tokens[:-1] and (tokens[-1] == 1 or n == 3)
                if ends:
                    pairs = zip((0, *tokens), tokens, strict=False)
                    total = sum(log_probs[i][j] for i, j in pairs)
                    found.append((total / ((5 + n) / 6) ** 0.6, tokens))
        best, want = max(found)
        tokens, score = sub.beam_search(logits, 0, 1, 50, 3, 0.6)
        expect_equal(tokens, torch.tensor(want), what="the sentence found with 50 beams")
        best = torch.tensor(best, dtype=torch.float64)
        expect_close(score, best, SCORES, what="its score")


@beam_search.check(
    points=1,
    title="one beam",
    hint="One beginning goes on, the best that has not ended; its ends count all the same.",
)
def test_beam_of_one(sub, rng):
    for ending in (0.5, -1.0, -2.5):
        expect_found(sub, partial(language, rng, ending=ending), 0, 1, 1, 5)


@beam_search.check(
    points=2,
    title="the length penalty: none, little, much",
    hint="score = sum / ((5 + n) / 6) ** length_penalty, and n counts the end token.",
)
def test_beam_length_penalty(sub, rng):
    for alpha in (0.0, 1.0, 2.0, 4.0):
        for ending in (0.0, -1.5):
            make = partial(language, rng, ending=ending)
            words = f" and length_penalty {alpha}"
            expect_found(sub, make, 0, 1, 3, 6, alpha, words=words)


@beam_search.check(
    points=1,
    title="what has not ended by then counts as it is",
    hint="In step max_new_tokens all candidates are finished, those without an end as well.",
)
def test_beam_limit(sub, rng):
    for most in (1, 2, 5):
        expect_found(sub, partial(language, rng, ending=-12.0), 0, 1, 2, most)


@beam_search.check(
    points=1,
    title="other numbers for start and end, and logits that were shifted",
    hint="A row of logits and the same row plus 5 are the same probabilities: take log_softmax.",
)
def test_beam_other_numbers(sub, rng):
    for bos_id, eos_id in ((4, 0), (2, 6)):

        def shifted(eos_id=eos_id):
            return language(rng, eos_id=eos_id, ending=-1.0) + 5 * normal(rng, 7, 1)

        expect_found(sub, shifted, bos_id, eos_id, 3, 5)


beam_search.waive(
    "beam_search:L11:score > best_score->score >= best_score",
    reason="no two finished sentences have the same score",
)
beam_search.waive(
    "beam_search:L6:1->2#2", reason="behind the last step no beginning is left to be extended"
)


# ---------------------------------------------------------------------------------------------
# 06.9

decode_step = exercise(
    "06.9",
    function="decode_step",
    title="A step with a cache",
    page=f"{PAGE}#cache",
    returns=("tensor", "tensor", "tensor"),
    closed=(
        "minitx.multihead.MultiHeadAttention.forward",
        "torch.nn.functional.multi_head_attention_forward",
        "torch.nn.MultiheadAttention.forward",
        "torch._native_multi_head_attention",
    ),
    hints=(
        "Which three products does a step need, and for which tokens? What was computed before is "
        "in the cache.",
        "Read what a cache holds and in which order. Then the mask: new token i is token S + i of "
        "the text, and sees columns 0 to S + i.",
        "Project and cut x, `k = torch.cat([k_cache, k_new], dim=2)`, v alike; then "
        "`functional.scaled_dot_product_attention(q, k, v, mask=Mask(causal=True))`, join the "
        "heads, `@ W_o`.",
    ),
)
STEP = "the output y", "the keys k", "the values v"
WEIGHTS = "W_q", "W_k", "W_v", "W_o"


def step_loops(x, k_cache, v_cache, W_q, W_k, W_v, W_o, H):
    """One query of one head at a time, in NumPy."""
    x, k_cache, v_cache, W_q, W_k, W_v, W_o = (
        part.double().numpy() for part in (x, k_cache, v_cache, W_q, W_k, W_v, W_o)
    )
    B, T, C = x.shape
    S, D = k_cache.shape[2], C // H
    k, v = (
        np.concatenate([old, (x @ W).reshape(B, T, H, D).transpose(0, 2, 1, 3)], axis=2)
        for old, W in ((k_cache, W_k), (v_cache, W_v))
    )
    y = np.zeros((B, T, C))
    for b, h, t in np.ndindex(B, H, T):
        q = x[b, t] @ W_q[:, h * D : (h + 1) * D]
        scores = np.array([float(q @ k[b, h, j]) / math.sqrt(D) for j in range(S + t + 1)])
        weights = np.exp(scores - scores.max())
        y[b, t, h * D : (h + 1) * D] = weights / weights.sum() @ v[b, h, : S + t + 1]
    return tuple(torch.from_numpy(part) for part in (y @ W_o, k, v))


def writing(rng, B=2, T=3, S=4, H=2, D=3, dtype=torch.float64):
    """Inputs in the middle of a text, in the order of the parameters."""
    C = H * D
    matrices = (normal(rng, C, C, dtype=dtype) / math.sqrt(C) for _ in WEIGHTS)
    caches = (normal(rng, B, H, S, D, dtype=dtype) for _ in range(2))
    return (normal(rng, B, T, C, dtype=dtype), *caches, *matrices, H)


def expect_step(sub, inputs, which=(0, 1, 2), words=""):
    got, want = sub.decode_step(*inputs), step_loops(*inputs)
    for each in which:
        expect_close(got[each], want[each], OUTPUTS, what=f"{STEP[each]}{words}")


@decode_step.check(
    points=1,
    title="the worked example: one token in the cache, one new",
    hint="Scores 0 and 1, weights 0.269 and 0.731, values 0 and 1.",
)
def test_step_by_hand(sub, rng):
    one, nothing = torch.ones(1, 1), torch.zeros(1, 1, 1, 1)
    got = sub.decode_step(torch.ones(1, 1, 1), nothing, nothing, one, one, one, one, 1)
    want = torch.tensor([[[math.e / (1 + math.e)]]])
    expect_close(got[0], want, BY_HAND, what="the output y")
    for each in (1, 2):
        kept = torch.tensor([[[[0.0], [1.0]]]])
        expect_close(got[each], kept, BY_HAND, what=f"{STEP[each]} in the cache")


@decode_step.check(
    points=1,
    title="an output for every new token, and longer caches",
    hint="y is (B, T, C), k and v are (B, H, S + T, D).",
)
def test_step_shapes(sub, rng):
    y, k, v = sub.decode_step(*writing(rng, B=2, T=3, S=4, H=2, D=5))
    require_shape(y, (2, 3, 10), "(B, T, C)", STEP[0])
    require_shape(k, (2, 2, 7, 5), "(B, H, S + T, D)", STEP[1])
    require_shape(v, (2, 2, 7, 5), "(B, H, S + T, D)", STEP[2])


@decode_step.check(
    points=2,
    title="one new token attends to the cache and to itself",
    hint="Its key and value stand last; nothing lies ahead of it.",
)
def test_step_of_one(sub, rng):
    for S, H, D in ((4, 2, 3), (6, 3, 2)):
        expect_step(sub, writing(rng, T=1, S=S, H=H, D=D), (0,), f" with {S} in the cache")


@decode_step.check(
    points=3,
    title="several new tokens: each sees the cache, and none what comes after it",
    hint="New token i sees S + i + 1 columns: the triangle is aligned at the bottom right.",
)
def test_step_of_several(sub, rng):
    for T, S, H, D in ((3, 4, 2, 3), (5, 2, 3, 2), (2, 5, 2, 4)):
        inputs = writing(rng, T=T, S=S, H=H, D=D)
        expect_step(sub, inputs, (0,), f" of {T} new tokens with {S} in the cache")


@decode_step.check(
    points=2,
    title="the caches: oldest first, head by head",
    hint="The new keys and values go *behind* the old ones: torch.cat along the tokens, dim=2.",
)
def test_step_caches(sub, rng):
    for T, S, H, D in ((3, 4, 2, 3), (1, 5, 3, 2)):
        expect_step(sub, writing(rng, T=T, S=S, H=H, D=D), (1, 2))


@decode_step.check(
    points=1,
    title="an empty cache: the prompt",
    hint="torch.cat takes a tensor with no tokens like any other.",
)
def test_step_empty(sub, rng):
    for T in (5, 1):
        expect_step(sub, writing(rng, T=T, S=0), words=f" of the first {T} tokens")


@decode_step.check(
    points=2,
    title="in pieces as in one pass, at every position",
    hint="Hand the caches on: what comes later must find all that came before.",
)
def test_step_pieces(sub, rng):
    x, *_, W_q, W_k, W_v, W_o, H = writing(rng, T=7, S=0)
    empty = x.new_zeros(2, H, 0, x.shape[-1] // H)
    want = step_loops(x, empty, empty, W_q, W_k, W_v, W_o, H)[0]
    for sizes in ([3, 2, 1, 1], [1, 4, 2]):
        k = v = empty
        for end, piece in zip(np.cumsum(sizes), x.split(sizes, dim=1), strict=True):
            y, k, v = sub.decode_step(piece, k, v, W_q, W_k, W_v, W_o, H)
            place = slice(end - piece.shape[1], end)
            what = f"the output at positions {place.start} to {end - 1}, in pieces of {sizes}"
            expect_close(y, want[:, place], OUTPUTS, what=what)


@decode_step.check(
    points=1,
    title="equal sizes hide nothing: B = H = T = S = D",
    hint="With equal sizes every wrong axis fits. Which one did you join along?",
)
def test_step_equal_sizes(sub, rng):
    for n in (3, 2):
        expect_step(sub, writing(rng, n, n, n, n, n), words=f" with B = H = T = S = D = {n}")


@decode_step.check(
    points=1,
    title="the results have the dtype of x",
    hint="No .float(), no .double(), and no tensor of another dtype on the way.",
)
def test_step_dtype(sub, rng):
    for dtype, tolerance in KEPT.items():
        inputs = writing(rng, dtype=dtype)
        for name, got, want in zip(
            STEP, sub.decode_step(*inputs), step_loops(*inputs), strict=True
        ):
            require_dtype(got, dtype, name)
            expect_close(got, want.to(dtype), tolerance, what=f"{name} in {dtype}")


@decode_step.check(
    points=1,
    title="gradients reach x, the caches and the weights",
    hint="Keep to tensor operations from the inputs to the results.",
)
def test_step_gradients(sub, rng):
    *tensors, H = writing(rng)
    inputs = dict(zip(("x", "k_cache", "v_cache", *WEIGHTS), tensors, strict=True))

    def definition(x, k_cache, v_cache, W_q, W_k, W_v, W_o):
        q, k, v = (torch.einsum("btc,chd->bhtd", x, W.view(6, 2, 3)) for W in (W_q, W_k, W_v))
        k, v = torch.cat([k_cache, k], 2), torch.cat([v_cache, v], 2)
        scores = torch.einsum("bhid,bhjd->bhij", q, k) / math.sqrt(3)
        ahead = torch.ones(3, 7, dtype=torch.bool).triu(5)
        weights = scores.masked_fill(ahead, -math.inf).softmax(-1)
        return torch.einsum("bhij,bhjd,hdc->bic", weights, v, W_o.view(2, 3, 6)), k, v

    cotangents = normal(rng, 2, 3, 6), normal(rng, 2, 2, 7, 3), normal(rng, 2, 2, 7, 3)

    def ask(*leaves, cotangent):
        return sub.decode_step.vjp(*leaves, H, cotangent=cotangent)

    expect_gradients(ask, definition, inputs, cotangents, GRADIENT, what="(y, k, v)")


for _mutant in ("L2:2->-2", "L10:2->-2", "L10:2->-2#2"):
    decode_step.waive(
        f"decode_step:{_mutant}", reason="of four axes, 2 and -2 are the same: the same answer"
    )


# ---------------------------------------------------------------------------------------------
# 06.10

corrupt_for_mlm = exercise(
    "06.10",
    function="corrupt_for_mlm",
    title="The gaps that BERT fills",
    page=f"{FAMILIES}#masked-words",
    returns=("tensor", "tensor"),
    closed=("minitx.data.corruption.mask_tokens",),
    hints=(
        "Two questions for each token: is it chosen, and what becomes of it? Only the first "
        "decides whether it is asked for.",
        "Read what becomes of the chosen 15 %. The tokens that stay as they are belong to them.",
        "`chosen = (chance < 0.15) & ~torch.isin(token_ids, special_ids)`; what would become of "
        "each is `torch.where(fate < 0.9, drawn, token_ids).masked_fill(fate < 0.8, mask_id)`; "
        "take it over with `torch.where(chosen, …, token_ids)`.",
    ),
)
GAPS = "the corrupted texts (inputs)", "what is asked for (targets)"


def mlm_loops(token_ids, chance, fate, drawn, mask_id, special_ids):
    special = special_ids.tolist()
    inputs, targets = token_ids.tolist(), [[IGNORE] * token_ids.shape[1] for _ in token_ids]
    for b, t in np.ndindex(*token_ids.shape):
        token, luck = int(token_ids[b, t]), float(fate[b, t])
        if float(chance[b, t]) < 0.15 and token not in special:
            targets[b][t] = token
            inputs[b][t] = mask_id if luck < 0.8 else int(drawn[b, t]) if luck < 0.9 else token
    return torch.tensor(inputs), torch.tensor(targets)


def dice(rng, B, T, special_ids=(1, 3, 4), mask_id=4, share=0.5, least=10, below=40):
    """Texts and dice, in the order of the parameters; `share` of the tokens are chosen."""
    token_ids = torch.from_numpy(rng.integers(least, below, size=(B, T)))
    drawn = torch.from_numpy(rng.integers(50, 90, size=(B, T)))
    chance, fate = rng.random((B, T)), rng.random((B, T))
    chance = np.where(rng.random((B, T)) < share, 0.14 * chance, 0.16 + 0.8 * chance)
    fate = np.where(rng.random((B, T)) < 0.5, fate, 0.8 + 0.19 * fate)
    # All three fates are there, for tokens that are chosen and for one that is not.
    chance.flat[:4], fate.flat[:4] = (0.01, 0.02, 0.03, 0.5), (0.05, 0.85, 0.95, 0.2)
    special = torch.tensor(special_ids)
    return token_ids, torch.from_numpy(chance), torch.from_numpy(fate), drawn, mask_id, special


def expect_gaps(sub, inputs, which=(0, 1), words=""):
    got, want = sub.corrupt_for_mlm(*inputs), mlm_loops(*inputs)
    for each in which:
        expect_equal(got[each], want[each], what=f"{GAPS[each]}{words}")


@corrupt_for_mlm.check(
    points=1,
    title="the worked example: masked, exchanged, not chosen, spared",
    hint="4, 6, 9, 1 goes in; 7 and 8 are asked for.",
)
def test_gaps_by_hand(sub, rng):
    rows = [[7, 8, 9, 1]], [[0.1, 0.1, 0.5, 0.1]], [[0.3, 0.85, 0.3, 0.3]], [[6, 6, 6, 6]]
    expect_gaps(sub, (*map(torch.tensor, rows), 4, torch.tensor([1, 4])))


@corrupt_for_mlm.check(
    points=1,
    title="two tables of whole numbers",
    hint="Both have the shape of the texts: what is not asked for is IGNORE in its place.",
)
def test_gaps_shapes(sub, rng):
    got = sub.corrupt_for_mlm(*dice(rng, 3, 7))
    for name, part in zip(GAPS, got, strict=True):
        require_shape(part, (3, 7), "(B, T)", name)
        require_dtype(part, torch.int64, name)


@corrupt_for_mlm.check(
    points=3,
    title="asked for are the chosen tokens, as they were, and no others",
    hint="targets hold the *original* token where chance < 0.15, whatever became of it.",
)
def test_gaps_targets(sub, rng):
    for B, T in ((3, 9), (2, 14)):
        expect_gaps(sub, dice(rng, B, T), (1,))


@corrupt_for_mlm.check(
    points=3,
    title="of the chosen tokens some are masked, some exchanged, some left",
    hint="fate < 0.8: mask_id; from 0.8 to below 0.9: the drawn token; from 0.9: as it was.",
)
def test_gaps_inputs(sub, rng):
    for B, T in ((3, 9), (2, 14)):
        expect_gaps(sub, dice(rng, B, T), (0,))


@corrupt_for_mlm.check(
    points=2,
    title="special tokens are spared, whichever they are",
    hint="`torch.isin(token_ids, special_ids)` is True at each of them.",
)
def test_gaps_special(sub, rng):
    for special_ids in ((12, 17, 4), (3, 16, 11, 18)):
        inputs = dice(rng, 3, 20, special_ids, share=0.9, below=20)
        inputs[0][0, 4:7] = torch.tensor(special_ids[:3])
        inputs[1][0, 4:7] = 0.01
        expect_gaps(sub, inputs, words=f" with the special tokens {special_ids}")


@corrupt_for_mlm.check(
    points=1,
    title="at the borders 0.15, 0.8 and 0.9",
    hint="Below 0.15 is chosen, 0.15 is not; 0.8 is exchanged; 0.9 stays.",
)
def test_gaps_borders(sub, rng):
    token_ids, chance, fate, drawn, mask_id, special = dice(rng, 2, 6)
    chance[0, 4:], chance[1] = 0.15, 0.1
    fate[1] = torch.tensor([0.8, 0.9, 0.8, 0.9, 0.0, 0.79], dtype=torch.float64)
    expect_gaps(sub, (token_ids, chance, fate, drawn, mask_id, special))


@corrupt_for_mlm.check(
    points=1,
    title="nothing chosen, everything chosen, another mask",
    hint="No number is counted here: each token's dice decide about it alone.",
)
def test_gaps_extremes(sub, rng):
    for share, mask_id in ((0.0, 4), (1.0, 7)):
        inputs = dice(rng, 2, 6, (1, mask_id), mask_id, share)
        if not share:
            inputs[1][:] = 0.7
        expect_gaps(sub, inputs, words=f" with {share:.0%} chosen")


# ---------------------------------------------------------------------------------------------
# 06.11

corrupt_spans = exercise(
    "06.11",
    function="corrupt_spans",
    title="The spans that T5 writes",
    page=f"{FAMILIES}#spans",
    returns=("tensor", "tensor"),
    closed=("minitx.data.corruption.corrupt_spans",),
    hints=(
        "Where does a span begin? Ask each token that is taken out about the one before it.",
        "Read what stands for a span in the source and what in the target; both count spans in "
        "the same order.",
        "`before = torch.cat([taken_out.new_zeros(1), taken_out[:-1]])`, `begins = taken_out & "
        "~before`, `number = begins.cumsum(0) - 1`; pairs of `sentinels[number]` and the token, "
        "chosen by `[begins, ~taken_out]` for the source and `[begins, taken_out]` for the target.",
    ),
)
SPANS = "the source", "the target"


def span_loops(token_ids, taken_out, sentinels):
    source, target, number = [], [], 0
    out = taken_out.tolist()
    for t, token in enumerate(token_ids.tolist()):
        if out[t] and (t == 0 or not out[t - 1]):
            source.append(int(sentinels[number]))
            target.append(int(sentinels[number]))
            number += 1
        (target if out[t] else source).append(token)
    return torch.tensor(source), torch.tensor([*target, int(sentinels[number])])


def text_of(rng, pattern, more=0):
    """A text with gaps: x in the pattern is taken out; sentinels in no order."""
    taken_out = torch.tensor([letter == "x" for letter in pattern])
    spans = len([part for part in pattern.split("-") if part])
    token_ids = torch.from_numpy(rng.integers(5, 60, size=len(pattern)))
    sentinels = torch.from_numpy(rng.permutation(np.arange(80, 99))[: spans + 1 + more])
    return token_ids, taken_out, sentinels


def expect_spans(sub, inputs, which=(0, 1), words=""):
    got, want = sub.corrupt_spans(*inputs), span_loops(*inputs)
    for each in which:
        expect_equal(got[each], want[each], what=f"{SPANS[each]}{words}")


@corrupt_spans.check(
    points=1,
    title="the worked example: two spans",
    hint="5 ⟨99⟩ 8 ⟨98⟩ is the source, ⟨99⟩ 6 7 ⟨98⟩ 9 ⟨97⟩ the target.",
)
def test_spans_by_hand(sub, rng):
    rows = [5, 6, 7, 8, 9], [False, True, True, False, True], [99, 98, 97]
    expect_spans(sub, tuple(map(torch.tensor, rows)))


@corrupt_spans.check(
    points=1,
    title="two rows of tokens",
    hint="Both are tensors of whole numbers with one axis; their lengths differ.",
)
def test_spans_shapes(sub, rng):
    source, target = sub.corrupt_spans(*text_of(rng, "--xxx-x----"))
    require_shape(source, (9,), "(tokens that stay + spans,)", SPANS[0])
    require_shape(target, (7,), "(tokens taken out + spans + 1,)", SPANS[1])
    for name, part in zip(SPANS, (source, target), strict=True):
        require_dtype(part, torch.int64, name)


@corrupt_spans.check(
    points=3,
    title="the source: what stays, and a sentinel for each span",
    hint="One sentinel for the whole span, in the place where it was.",
)
def test_spans_source(sub, rng):
    for pattern in ("--xxx-x--", "-x--xx-xxx-"):
        expect_spans(sub, text_of(rng, pattern, 2), (0,), f" for {pattern} (x is taken out)")


@corrupt_spans.check(
    points=3,
    title="the target: each sentinel with its span, and one more at the end",
    hint="The last sentinel is the next in order: it ends the target.",
)
def test_spans_target(sub, rng):
    for pattern in ("--xxx-x--", "-x--xx-xxx-"):
        expect_spans(sub, text_of(rng, pattern, 2), (1,), f" for {pattern} (x is taken out)")


@corrupt_spans.check(
    points=2,
    title="a span at the beginning, at the end, at both",
    hint="Before the first token there is none, so a span may begin there.",
)
def test_spans_at_the_ends(sub, rng):
    for pattern in ("xx---x-", "-x---xx", "x--x-xx", "x-x-x"):
        expect_spans(sub, text_of(rng, pattern), words=f" for {pattern} (x is taken out)")


@corrupt_spans.check(
    points=1,
    title="no span, everything one span, a text of one token",
    hint="Without a span the target is the first sentinel alone.",
)
def test_spans_extremes(sub, rng):
    for pattern in ("-----", "xxxx", "x"):
        expect_spans(sub, text_of(rng, pattern, 1), words=f" for {pattern} (x is taken out)")


@corrupt_spans.check(
    points=1,
    title="too few sentinels are refused",
    hint="`raise ValueError(...)` with how many there are and how many are needed: spans + 1.",
)
def test_spans_refused(sub, rng):
    for pattern, few in (("-x-xx-x-x", 4), ("x-x-x-x-xx-x", 3)):
        token_ids, taken_out, sentinels = text_of(rng, pattern)
        call = partial(sub.corrupt_spans, token_ids, taken_out, sentinels[:few])
        what = f"{few} sentinels for {len(sentinels) - 1} spans"
        expect_raises(ValueError, call, what=what, says=(str(few), str(len(sentinels))))


corrupt_spans.waive("corrupt_spans:L8:dim=0->-1", reason="there is one axis only")
