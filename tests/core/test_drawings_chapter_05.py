"""What the drawings of chapter 5 show is what torch, the library and second reckonings give."""

import math
from itertools import pairwise
from statistics import NormalDist

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from minitx.blocks import EncoderBlock
from minitx.layers import FeedForward, LayerNorm
from minitx.models import Transformer, TransformerConfig
from minitx.multihead import MultiHeadAttention
from minitx.viz import drawings
from minitx.viz.drawings import (
    accumulation,
    batch_size,
    bypass,
    clipping,
    decay,
    dropout,
    feed_forward,
    memory,
    normalising,
    parallel,
    precision,
    recipe_parts,
    recomputing,
    scaling,
    schedules,
    shared_means,
    smoothing,
    ways,
)
from tests.core.drawn import arrow_tips, has_in_order, polylines, rectangles, texts


def signed(number, form="g"):
    return f"{number:{form}}".replace("-", "−")


# --- residual connections ----------------------------------------------------------------------


def test_the_road_adds_and_no_road_multiplies():
    shown = texts(drawings.bypass_road())
    x = alone = torch.tensor(bypass.SENT)
    for i in range(bypass.SUBLAYERS):
        result = bypass.GAIN * x
        alone, x = bypass.GAIN * alone, x + result
        last = i == bypass.SUBLAYERS - 1
        assert f"{result:,.0f}" in shown
        assert f"{alone:,.0f}{' arrives' * last}" in shown
        assert f"{x:,.0f}{' arrives' * last}" in shown
    assert shown.count("f: × 0.1") == 2 * bypass.SUBLAYERS


def test_the_ways_add_up_to_the_gradient():
    """Autograd's, through the stack with and without residual connections."""
    start = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    x = alone = start
    for _ in range(bypass.SUBLAYERS):
        x, alone = x + bypass.GAIN * x, bypass.GAIN * alone
    whole, product = (float(torch.autograd.grad(y, start)[0]) for y in (x, alone))
    shown = texts(drawings.residual_paths())
    assert f"{whole:.4g}" in shown and "sum with roads:" in shown
    assert has_in_order(shown, ["no roads:"]) and f"{product:g}" in shown
    factors = [float(words) for words in shown if words.replace(".", "").isdigit()]
    assert len(factors) == 2**bypass.SUBLAYERS + 1
    assert sum(factors[:-1]) == pytest.approx(whole) and factors[-1] == pytest.approx(whole)
    passed = [len([w for w in ways.ways() if i in w]) for i in range(bypass.SUBLAYERS)]
    assert [shown.count(f"f{i + 1}") for i in range(bypass.SUBLAYERS)] == passed == [4, 4, 4]


# --- norms -------------------------------------------------------------------------------------


def called(pre_norm):
    """What a block of the library calls, in order."""
    attention, network = MultiHeadAttention(6, 2), FeedForward(6, 11)
    block = EncoderBlock(attention, network, norm=lambda: LayerNorm(6), pre_norm=pre_norm)
    order = []
    names = {MultiHeadAttention: "attention", FeedForward: "feed-forward", LayerNorm: "norm"}
    for module in block.modules():
        if type(module) in names:
            name = names[type(module)]
            module.register_forward_hook(lambda *_, name=name: order.append(name))
    block(torch.randn(2, 3, 6))
    return order


@pytest.mark.parametrize("pre_norm", [False, True])
def test_the_norm_stands_where_the_library_calls_it(pre_norm):
    boxes = [b for b in rectangles(drawings.pre_post()) if (b.x > 208) == pre_norm]
    assert [b.label for b in sorted(boxes, key=lambda b: b.y)] == called(pre_norm)
    (road,) = {x for line in polylines(drawings.pre_post()) for x, _ in line
               if len({x for x, _ in line}) == 1 and line[1][1] - line[0][1] > 200
               and (x > 208) == pre_norm}  # fmt: skip
    across = [b.label for b in boxes if b.x < road < b.x + b.width]
    assert across == ([] if pre_norm else ["norm", "norm"])
    assert all(b.lit == (b.label == "norm") for b in boxes)


def test_the_bars_are_torch_s_layer_norm():
    x = torch.from_numpy(normalising.TOKEN)
    weight, bias = torch.from_numpy(normalising.GAMMA), torch.from_numpy(normalising.BETA)
    before = F.layer_norm(x, x.shape)
    after = F.layer_norm(x, x.shape, weight, bias)
    shown = texts(drawings.normalise_row())
    for row in (x, before, after):
        assert has_in_order(shown, [signed(round(number, 1)) for number in row.tolist()])
    assert before.mean() == pytest.approx(0, abs=1e-9)
    assert before.var(correction=0) == pytest.approx(1, abs=1e-4)
    assert f"mean {x.mean():g}" in shown
    assert f"− mean {x.mean():g}, ÷ standard deviation {x.std(correction=0):g}" in shown
    heights = [b.height for b in rectangles(drawings.normalise_row())]
    numbers = torch.cat([x, before, after]).abs()
    assert heights == pytest.approx([13 * n for n in numbers.tolist() if n > 0.1], abs=0.01)
    changed = (before - after).abs() > 1e-3
    lit = [b.lit for b in rectangles(drawings.normalise_row())][-int((after.abs() > 0.1).sum()) :]
    assert lit == changed[after.abs() > 0.1].tolist() and sum(lit) == 2


def normed(kind, batch):
    """By torch, of a batch (B, T, C)."""
    if kind == "batch":
        return F.batch_norm(batch.flatten(0, 1), None, None, training=True).view_as(batch)
    if kind == "RMS":
        return F.rms_norm(batch, batch.shape[-1:])
    return F.layer_norm(batch, batch.shape[-1:])


@pytest.mark.parametrize("kind", ["layer", "RMS", "batch"])
def test_what_is_marked_is_what_a_number_depends_on(kind):
    marked = shared_means.together(kind)
    x = torch.randn(marked.shape, dtype=torch.float64, requires_grad=True)
    b, t, c = 0, shared_means.TOKEN, shared_means.FEATURE
    (slope,) = torch.autograd.grad(normed(kind, x)[b, t, c], x)
    assert (slope.numpy() != 0).tolist() == marked.tolist()


def test_the_marked_cells_are_drawn():
    boxes = rectangles(drawings.layer_or_batch())
    rows, columns = sorted({b.y for b in boxes}), sorted({b.x for b in boxes})
    B, T, C = shared_means.together("layer").shape
    for i, kind in enumerate(("layer", "RMS", "batch")):
        drawn = np.zeros((B * T, C), dtype=bool)
        for b in boxes:
            column = columns.index(b.x) - i * C
            if 0 <= column < C and b.hatched:
                drawn[rows.index(b.y), column] = True
        assert drawn.tolist() == shared_means.together(kind).reshape(B * T, C).tolist()
        assert f"{kind} norm" in texts(drawings.layer_or_batch())


# --- schedule, feed-forward, loss --------------------------------------------------------------


def test_both_schedules_are_their_formulas():
    W, N, C = schedules.WARM_UP, schedules.STEPS, schedules.D_MODEL
    peak = 1 / math.sqrt(C * W)
    wanted = {
        "Noam": lambda s: peak * min(math.sqrt(W / s), s / W),
        "cosine": lambda s: (
            peak * s / W if s < W else peak * math.cos(math.pi / 2 * (s - W) / (N - W)) ** 2
        ),
    }
    shown = texts(drawings.warm_up())
    assert f"{peak:.4f}" in shown and f"{W:,}" in shown
    curves = [line for line in polylines(drawings.warm_up()) if len(line) > 50]
    left, bottom, width, height = 66, 250, 320, 180
    for (name, rate), line in zip(wanted.items(), curves, strict=True):
        for (step, found), (x, y) in zip(schedules.rates()[name], line, strict=True):
            assert found == pytest.approx(rate(step), abs=1e-12)
            assert x == pytest.approx(left + width * step / N, abs=0.01)
            assert y == pytest.approx(bottom - height * rate(step) / peak, abs=0.01)


def test_each_position_is_alone_and_four_times_as_wide_inside():
    config = TransformerConfig(11, 11)
    assert (config.d_model, config.d_ff) == (feed_forward.C, feed_forward.F)
    network = FeedForward(6, 11)
    x = torch.randn(1, 3, 6, requires_grad=True)
    (slope,) = torch.autograd.grad(network(x)[0, 1].sum(), x)
    assert slope[0].any(dim=-1).tolist() == [False, True, False]
    shown = texts(drawings.each_position_alone())
    assert shown.count("W1") == shown.count("W2") == len(feed_forward.WORDS)
    boxes = rectangles(drawings.each_position_alone())
    narrow, wide = sorted({b.width for b in boxes})
    assert wide / narrow == config.d_ff / config.d_model
    # Below attention no line leaves its column.
    columns = [(b.x, b.x + b.width) for b in boxes if b.width == wide]
    below = [line for line in polylines(drawings.each_position_alone()) if line[0][1] > 80]
    inside = [any(a <= x <= b for a, b in columns) for line in below for x, _ in line]
    assert sum(inside) >= 2 * 4 * 3


@torch.no_grad()
def test_a_memory_is_a_feed_forward_network():
    shown = texts(drawings.feed_forward_memory())
    network = FeedForward(2, len(memory.KEYS), bias=False).double()
    network.in_proj.weight.copy_(torch.from_numpy(memory.KEYS))
    network.out_proj.weight.copy_(torch.from_numpy(memory.VALUES.T))
    x = torch.from_numpy(memory.X)
    match, output = network.activation(network.in_proj(x)).numpy(), network(x).numpy()
    for key, value, amount in zip(memory.KEYS, memory.VALUES, match, strict=True):
        for vector in (key, value):
            assert f"({', '.join(map(signed, vector))})" in shown
        assert f"{amount:g}" in shown
    (total,) = (words for words in shown if "=" in words and "·" in words)
    assert total.endswith(f"= ({', '.join(map(signed, output))})")
    wide = [b.width for b in rectangles(drawings.feed_forward_memory()) if not b.label]
    assert wide == pytest.approx([max(26 * amount, 2) for amount in match])


@pytest.mark.parametrize("smooth", [0.0, smoothing.SMOOTHING])
def test_the_target_is_the_one_of_torch(smooth):
    """Its loss is least where the prediction is the target; written out, too."""
    share = smooth / smoothing.CLASSES
    wanted = [share + (1 - smooth) * (i == smoothing.RIGHT) for i in range(smoothing.CLASSES)]
    assert smoothing.target(smooth).tolist() == pytest.approx(wanted, abs=1e-12)
    logits = torch.zeros(1, smoothing.CLASSES, dtype=torch.float64, requires_grad=True)
    F.cross_entropy(logits, torch.tensor([smoothing.RIGHT]), label_smoothing=smooth).backward()
    torch_s = 1 / smoothing.CLASSES - logits.grad[0]
    assert torch_s.tolist() == pytest.approx(wanted, abs=1e-12)
    shown = texts(drawings.smoothed_target())
    for number in wanted:
        assert f"{number:.3g}" in shown
    assert sum(wanted) == pytest.approx(1)


def test_what_is_taken_away_is_as_much_as_what_is_shared():
    boxes = [b for b in rectangles(drawings.smoothed_target()) if b.lit and b.y < 240]
    taken = [b.height for b in boxes if b.x < 208]
    shared = [b.height for b in boxes if b.x > 208]
    assert len(taken) == 1 and len(shared) == smoothing.CLASSES
    assert taken[0] == pytest.approx(sum(shared), abs=0.1)


# --- optimiser and step ------------------------------------------------------------------------


def by_hand(decoupled):
    """Adam and AdamW written out: Kingma & Ba 2015, algorithm 1; Loshchilov & Hutter 2019."""
    w, m, v = np.ones(2), np.zeros(2), np.zeros(2)
    for step in range(1, decay.STEPS + 1):
        g = np.array(decay.GRADIENTS) * (-1) ** (step - 1)
        if decoupled:
            w = w - decay.RATE * decay.DECAY * w
        else:
            g = g + decay.DECAY * w
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        w = w - decay.RATE * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
    return w


def test_decay_takes_the_same_share_and_l2_does_not():
    shown = texts(drawings.decay_or_l2())
    for decoupled in (False, True):
        weights = by_hand(decoupled)
        assert decay.left_over(decoupled) == pytest.approx(weights, abs=1e-9)
        for gradient, weight in zip(decay.GRADIENTS, weights, strict=True):
            assert has_in_order(shown, [f"gradient ±{gradient:g}", f"{weight:.2f}"])
    same, other = decay.left_over(True), decay.left_over(False)
    assert same[0] == pytest.approx(same[1], abs=1e-3) and other[0] > 2 * other[1]
    bars = [b for b in rectangles(drawings.decay_or_l2()) if b.height == 20 and not b.dashed]
    assert [b.width / 140 for b in bars] == pytest.approx(other + same, abs=1e-4)


def test_lambda_w_joins_before_the_division_or_after_it():
    boxes = rectangles(drawings.decay_or_l2())
    (early, late), (divided, _) = (
        [b.y for b in boxes if b.label == label] for label in ("λw", "÷ √v")
    )
    assert early < divided < late


def test_dropout_stands_where_the_library_has_it():
    config = TransformerConfig(11, 11, d_model=6, num_heads=2, d_ff=13, num_encoder_layers=1,
                               num_decoder_layers=1)  # fmt: skip
    assert config.dropout == dropout.RATE
    model = Transformer(config)
    places = [name for name, module in model.named_modules()
              if isinstance(module, nn.Dropout) and "decoder" not in name]  # fmt: skip
    on_states = [name for name in places if "feed_forward.dropout" not in name]
    assert len(on_states) == 3 and len(places) == 4  # and one inside the feed-forward network
    shown = texts(drawings.drop_places())
    plates = [words for words in shown if words.isdigit()]
    assert plates == ["1", "2", "3"]
    assert sum("residual" in name for name in on_states) == 2
    assert any("1 - 0.1" in words or "divided by 0.9" in words for words in shown)


@pytest.mark.parametrize("gradient", [clipping.LONG, clipping.SHORT])
def test_a_gradient_is_cut_to_the_radius_and_not_turned(gradient):
    kept = np.array(clipping.clipped(gradient))
    length = np.linalg.norm(gradient)
    np.testing.assert_allclose(
        kept, np.array(gradient) * min(1, clipping.MAX_NORM / length), rtol=0, atol=1e-5
    )
    (x, y), unit = (128, 262), 58
    tips = [((a - x) / unit, (y - b) / unit) for a, b in arrow_tips(drawings.clip_sphere())]
    assert any(np.allclose(tip, kept, rtol=0, atol=1e-3) for tip in tips)


def test_four_small_batches_are_one_large_one():
    """A loss whose gradient is each batch's number, token by token, in one backward pass."""
    tokens, gradients = accumulation.TOKENS, accumulation.GRADIENTS
    weight = torch.zeros((), requires_grad=True)
    per_token = torch.cat([torch.full((n,), g / n) for n, g in zip(tokens, gradients, strict=True)])
    (per_token * weight).mean().backward()
    shown = texts(drawings.accumulate())
    total, count = sum(gradients), sum(tokens)
    assert float(weight.grad) == pytest.approx(total / count)
    assert f"÷ {count} tokens: {total:g} / {count} = {float(weight.grad):.3g}" in [
        " ".join(words.split()) for words in shown
    ]
    for gradient in gradients:
        assert signed(gradient, "+g") in shown
    sums = np.cumsum(gradients)
    drawn = [b.label for b in rectangles(drawings.accumulate()) if b.label.isdigit()]
    assert drawn == [signed(so_far) for so_far in sums]
    of_means = np.mean([g / n for g, n in zip(gradients, tokens, strict=True)])
    assert any(f"{of_means:.2f}" in words for words in shown)
    assert of_means != pytest.approx(total / count)


# --- numbers and memory ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "dtype"),
    [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)],
)
def test_a_format_is_torch_s(name, dtype):
    (form,) = (form for form in precision.FORMATS if form.name == name)
    info = torch.finfo(dtype)
    assert 1 + form.exponent + form.fraction == info.bits
    assert form.largest == info.max and form.smallest == info.smallest_normal
    assert 2.0**-form.fraction == info.eps
    shown = texts(drawings.number_formats())
    low, high = math.floor(math.log10(info.tiny)), math.floor(math.log10(info.max))
    assert f"10{signed(low)}" in shown and f"10{high}" in shown
    assert f"{math.log10(2 / info.eps):.1f} digits" in shown


def test_every_bit_is_drawn():
    boxes = [b for b in rectangles(drawings.number_formats()) if b.y > 30]
    rows = sorted({b.y for b in boxes})
    for y, form in zip(rows, precision.FORMATS, strict=True):
        row = [b for b in boxes if b.y == y]
        assert len(row) == 1 + form.exponent + form.fraction
        assert [b.hatched for b in row] == (
            [False] + form.exponent * [True] + form.fraction * [False]
        )
    names = [form.name for form in precision.FORMATS]
    assert [w for w in texts(drawings.number_formats()) if w in names] == names
    tf32 = precision.FORMATS[names.index("tf32")]  # NVIDIA: fp32's range, fp16's precision
    assert (tf32.exponent, tf32.fraction) == (8, 10)


def test_the_loss_is_scaled_until_nothing_is_lost():
    shown = texts(drawings.loss_scaling())
    sizes = NormalDist(scaling.MIDDLE, scaling.SPREAD)
    for scale in (1, scaling.SCALE):
        # Half of fp16's smallest number, 2^-24, is the largest that is rounded to 0.
        share = sizes.cdf(-25 - math.log2(scale))
        assert scaling.lost(float(scale)) == pytest.approx(share, abs=2e-3)
        assert f"{100 * share:.0f} % become 0" in shown
    assert f"× 2{math.log2(scaling.SCALE):.0f}" in shown
    bars = [b for b in rectangles(drawings.loss_scaling()) if not b.lit]
    upper, lower = ([b for b in bars if (b.y > 200) == below] for below in (False, True))
    assert any(b.dashed for b in upper) and not any(b.dashed for b in lower)
    below = sum(b.height for b in upper if b.dashed) / sum(b.height for b in upper)
    assert below == pytest.approx(sizes.cdf(-25), abs=0.01)


def test_checkpoints_keep_inputs_and_one_block():
    boxes = [b for b in rectangles(drawings.checkpointing()) if b.height == 26]
    L, inside = recomputing.BLOCKS, recomputing.INSIDE
    counts = []
    for y in sorted({b.y for b in boxes}):
        row = [b for b in boxes if b.y == y]
        assert len(row) == L * (1 + inside)
        counts += [sum(not b.dashed for b in row)]
    assert counts == [L * (1 + inside), L, recomputing.RUNNING + inside]
    shown = texts(drawings.checkpointing())
    assert [w for w in shown if "in memory" in w] == [f"{n} in memory" for n in counts]
    # Largest at the first block of the backward pass, the last of the forward pass.
    most = max(running + inside for running in range(1, L + 1))
    assert any(f"at most {most} instead of {counts[0]}" in words for words in shown)
    lit = [b for b in boxes if b.lit]
    assert len(lit) == inside and len({b.y for b in lit}) == 1


def test_two_processes_step_as_one_with_both_batches():
    """A loss per batch with the drawn gradient; one process takes the mean of both."""
    weight = nn.Parameter(torch.tensor(parallel.WEIGHT))
    optimiser = torch.optim.SGD([weight], lr=parallel.RATE)
    (torch.tensor(parallel.GRADIENTS) * weight).mean().backward()
    optimiser.step()
    assert parallel.step() == pytest.approx((weight.grad.item(), weight.item()))
    shown = texts(drawings.two_processes())
    assert shown.count(f"w = {weight.item():g}") == shown.count("w = 1") == 2
    assert has_in_order(shown, ["mean", f"{float(weight.grad):g}"])
    for gradient in parallel.GRADIENTS:
        assert f"gradient {gradient:g}" in shown


def test_steps_and_examples_trade_as_the_model_says():
    """(S/S_min - 1) (E/E_min - 1) = 1, with E = B S examples: McCandlish et al. 2018."""
    for batch in (0.01, 0.5, 1.0, 7.0, 400.0):
        S = batch_size.steps(batch)
        E = batch * S
        assert pytest.approx(1) == (S - 1) * (E - 1)
    curve = max(polylines(drawings.critical_batch()), key=len)
    first, last = curve[0], curve[-1]
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in pairwise(curve)]
    assert all(b < a + 1e-2 for a, b in pairwise(slopes))  # steep, then flatter and flatter
    per_octave_x = (last[0] - first[0]) / 10
    per_octave_y = 200 / math.log2(40 / 0.7)
    steep, flat = (slope * per_octave_x / per_octave_y for slope in (slopes[0], slopes[-1]))
    assert steep == pytest.approx(1, abs=0.05) and flat == pytest.approx(0, abs=0.05)


def test_one_rung_is_out():
    boxes = rectangles(drawings.ladder_of_parts())
    named = [b for b in boxes if b.label]
    assert sorted(b.label for b in named) == sorted(recipe_parts.PARTS)
    (out,) = (b for b in named if b.lit)
    (gap,) = (b for b in boxes if b.dashed)
    assert out.label == recipe_parts.PARTS[recipe_parts.TAKEN] and out.y == gap.y
    assert all(b.x == gap.x for b in named if b is not out) and out.x > gap.x + gap.width
