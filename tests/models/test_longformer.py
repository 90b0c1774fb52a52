"""LongformerAttention against Hugging Face's LongformerSelfAttention with the same weights."""

import re

import pytest
import torch
from transformers.models.longformer.configuration_longformer import LongformerConfig
from transformers.models.longformer.modeling_longformer import LongformerSelfAttention

from minitx.blocks import EncoderBlock
from minitx.cache import KVCache
from minitx.layers import FeedForward, LayerNorm
from minitx.masks import NO_MASK, Mask, causal
from minitx.models.longformer import LongformerAttention

B, T, C, H, RADIUS = 2, 36, 15, 3, 3
NAMES = {
    "q_proj": "query", "k_proj": "key", "v_proj": "value", "q_proj_global": "query_global",
    "k_proj_global": "key_global", "v_proj_global": "value_global",
}  # fmt: skip


def pair(global_tokens):
    """Ours and theirs with the same weights; theirs has no output projection."""
    torch.manual_seed(0)
    config = LongformerConfig(
        hidden_size=C, num_attention_heads=H, attention_window=[2 * RADIUS],
        attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    theirs = LongformerSelfAttention(config, layer_id=0).double()
    ours = LongformerAttention(C, H, radius=RADIUS, global_tokens=global_tokens).double()
    for ours_name, theirs_name in NAMES.items():
        getattr(ours, ours_name).load_state_dict(getattr(theirs, theirs_name).state_dict())
    with torch.no_grad():
        ours.out_proj.weight.copy_(torch.eye(C))
        ours.out_proj.bias.zero_()
    return ours, theirs


@pytest.mark.parametrize("global_tokens", [[0], [0, 17, 18], [30, 4]])
@pytest.mark.parametrize("padded", [False, True])
def test_equals_hugging_face(global_tokens, padded):
    ours, theirs = pair(global_tokens)
    x = torch.randn(B, T, C, dtype=torch.float64)
    real = torch.ones(B, T, dtype=torch.bool)
    if padded:
        real[0, -5:] = False
    is_global = torch.zeros(B, T, dtype=torch.bool)
    is_global[:, global_tokens] = True
    code = (~real).double() * -10_000 + is_global * 10_000  # as LongformerModel hands it over
    (want,) = theirs(x, code, ~real, is_global, True)
    got = ours(x, mask=Mask(key_padding=real) if padded else NO_MASK)
    # Theirs is computed in float32 at its softmax: some 1e-7.
    torch.testing.assert_close(got * real[..., None], want * real[..., None], rtol=1e-5, atol=1e-6)


def test_projections_shared_by_mistake_would_be_noticed():
    ours, theirs = pair([0, 17])
    x = torch.randn(B, T, C, dtype=torch.float64)
    is_global = torch.zeros(B, T, dtype=torch.bool)
    is_global[:, [0, 17]] = True
    real = torch.ones(B, T, dtype=torch.bool)
    (want,) = theirs(x, is_global * 10_000.0, ~real, is_global, True)
    shared = super(LongformerAttention, ours).forward(x)
    others = ~is_global[0]
    torch.testing.assert_close(shared[:, others], want[:, others], rtol=1e-5, atol=1e-6)
    assert (shared - want)[:, [0, 17]].abs().max() > 0.01


def test_causal_global_tokens_see_no_future():
    ours, _ = pair([0, 17])
    x = torch.randn(B, T, C, dtype=torch.float64)
    changed = x.clone()
    changed[:, 18:] = 3.0
    before, after = (ours(y, mask=causal()) for y in (x, changed))
    assert torch.equal(before[:, :18], after[:, :18])
    assert not torch.equal(before[:, 18:], after[:, 18:])


def test_stands_in_a_block_and_trains():
    attention = LongformerAttention(C, H, radius=RADIUS, global_tokens=[0])
    block = EncoderBlock(attention, FeedForward(C, 31), norm=lambda: LayerNorm(C), pre_norm=True)
    block(torch.randn(B, T, C)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in block.parameters())


def test_refusals(as_users_run):
    text = "LongformerAttention needs global tokens; without them use "
    text += "MultiHeadAttention(core=SlidingWindow(…))"
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        LongformerAttention(C, H, radius=3, global_tokens=[])
    layer = LongformerAttention(C, H, radius=3, global_tokens=[0])
    x = torch.zeros(B, T, C)
    text = "LongformerAttention is self-attention without memory and cache"
    for refused in ({"memory": x}, {"cache": KVCache()}):
        with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
            layer(x, **refused)
