"""What the drawings of chapter 2 show is what torch and the masks compute."""

import re

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from minitx import functional, masks
from minitx.cores import FullAttention
from minitx.viz import drawings
from minitx.viz.drawings import heads, work
from minitx.viz.drawings import masks as of_masks
from minitx.viz.drawings.softmax import D_K, SCORES
from minitx.viz.drawings.worked_example import W_K, W_Q, W_V, X
from tests.core.drawn import has_in_order, texts


def numbers(table, form):
    return [form.format(number) for row in table.tolist() for number in row]


@pytest.fixture
def by_torch():
    x, w_q, w_k, w_v = (torch.from_numpy(table) for table in (X, W_Q, W_K, W_V))
    q, k, v = x @ w_q, x @ w_k, x @ w_v
    scores = functional.attention_scores(q, k)
    weights = scores.softmax(dim=-1)
    return {"q": q, "k": k, "v": v, "scores": scores, "weights": weights, "output": weights @ v}


def test_the_recipe_shows_every_step(by_torch):
    shown = texts(drawings.recipe())
    for name, form in {"q": "{:.0f}", "k": "{:.0f}", "v": "{:.0f}", "scores": "{:.1f}",
                       "weights": "{:.2f}", "output": "{:.2f}"}.items():  # fmt: skip
        assert has_in_order(shown, numbers(by_torch[name], form)), name


def test_the_projections_are_those_of_torch(by_torch):
    shown = texts(drawings.three_projections())
    for name in "qkv":
        assert has_in_order(shown, numbers(by_torch[name], "{:.0f}")), name


def test_the_shuffled_words_keep_their_vectors(by_torch):
    vectors = [f"({a:.2f}, {b:.2f})" for a, b in by_torch["output"].tolist()]
    shown = [words for words in texts(drawings.same_vectors_reordered()) if words[0] == "("]
    assert shown == [*vectors, vectors[2], vectors[0], vectors[1]]
    assert "the same both times" in texts(drawings.same_vectors_reordered())[-1]


@pytest.mark.parametrize("scale", [1, D_K**0.5])
def test_the_slope_is_the_derivative(scale):
    scores = (torch.from_numpy(SCORES) * scale).requires_grad_()
    scores.softmax(dim=0)[0].backward()
    slope = scores.grad[0].item()
    assert f"slope {slope:.{2 if slope > 0.01 else 4}f}" in texts(drawings.saturation())


def test_the_stencil_leaves_the_causal_weights():
    scores = torch.from_numpy(of_masks.SCORES).double()
    weights = functional.masked_softmax(scores, masks.causal().dense(4, 4, "cpu")[0, 0])
    left = [f"{w:.2f}" for row, line in enumerate(weights.tolist()) for w in line[: row + 1]]
    assert [words for words in texts(drawings.mask_stencil()) if "." in words] == left


def test_the_triangles_are_torch_s_and_ours():
    def allowed(rows):
        return int(rows.sum())

    ours = masks.causal().dense(2, 5, "cpu")[0, 0]
    one = torch.zeros(1, 1, 2, 8), torch.zeros(1, 1, 5, 8), torch.eye(5)[None, None]
    theirs = nn.functional.scaled_dot_product_attention(*one, is_causal=True)[0, 0] > 0
    shown = texts(drawings.two_triangles())
    says = [i for i, words in enumerate(shown) if words.startswith("query 2")]
    ticks = [shown[: says[0]].count("✓"), shown[says[0] :].count("✓")]
    assert ticks == [allowed(theirs), allowed(ours)]


def test_padding_closes_the_columns_that_the_mask_closes():
    lengths = [len(words) for words in of_masks.BATCH]
    mask = masks.padding(lengths).dense(6, 6, "cpu")
    assert texts(drawings.padded_batch()).count("✓") == int(mask[1].sum())
    assert [
        *map(int, re.findall(r"of (\d), (\d), (\d) words", drawings.padded_batch().alt)[0])
    ] == (lengths)


def test_work_and_depth_are_counted_by_torch():
    n, d = work.N, work.WIDTH
    core, project = FullAttention(), nn.Linear(d, 3 * d, bias=False)

    def attention(x):
        return core(*project(x).unsqueeze(1).chunk(3, dim=-1))

    for layer, depth in ((attention, 3), (nn.RNN(d, d, batch_first=True, bias=False), n + 1)):
        with FlopCounterMode(display=False) as counter:
            layer(torch.randn(1, n, d))
        shown = texts(drawings.work_and_depth())
        at = shown.index(f"work: {counter.get_total_flops():,} operations")
        assert shown[at - 1] == f"depth: {depth} steps"


def test_head_block_is_the_bug_and_its_mending():
    q = torch.zeros(heads.T, heads.H, heads.D)
    turned = q.transpose(0, 1)
    wrong, right = (t @ t.transpose(-2, -1) for t in (q, turned))
    drawing = drawings.head_block()
    for table in (wrong, right):
        assert "{} tables of {} by {}".format(*table.shape) in drawing.alt
    blocks = [tuple(block.shape) for block in (q, wrong, turned, right)]
    assert drawing.svg().count('stroke-width="1.2"') == sum(sheets for sheets, _, _ in blocks)
    lines = re.findall(r'<path d="(M[^"]* v[^"]*)"', drawing.svg())
    assert [(d.count("h") + 1, d.count("v") + 1) for d in lines] == [b[1:] for b in blocks]
