"""Residual connections, blocks and stacks: the laws of both norms, and torch's layers."""

import re
from functools import partial

import pytest
import torch
from torch import nn

from minitx.blocks import Decoder, DecoderBlock, Encoder, EncoderBlock, Residual
from minitx.cache import KVCache, SegmentMemory
from minitx.layers import FeedForward, LayerNorm
from minitx.masks import NO_MASK, causal, padding
from minitx.multihead import MultiHeadAttention

from . import oracles
from .oracles import EXACT, IN_ATTENTION

B, T, T_m, H, D, F_ = 2, 5, 7, 3, 4, 11
C = H * D


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def inputs():
    return (torch.randn(B, length, C, dtype=torch.float64) for length in (T, T_m))


def residual(**options):
    return oracles.randomise(Residual(LayerNorm(C), **options))


def test_a_sublayer_of_nothing():
    x, _ = inputs()
    pre, post = residual(pre_norm=True), residual(pre_norm=False)
    assert torch.equal(pre(x, torch.zeros_like), x)
    torch.testing.assert_close(post(x, torch.zeros_like), post.norm(x), **EXACT)


def test_the_formulas():
    x, _ = inputs()
    pre, post = residual(pre_norm=True), residual(pre_norm=False)
    torch.testing.assert_close(pre(x, torch.sin), x + torch.sin(pre.norm(x)), **EXACT)
    torch.testing.assert_close(post(x, torch.sin), post.norm(x + torch.sin(x)), **EXACT)


def test_dropout_is_of_the_sublayer_and_never_of_x():
    x, _ = inputs()
    pre, post = (residual(pre_norm=kind, dropout=1.0).train() for kind in (True, False))
    assert torch.equal(pre(x, torch.sin), x)
    torch.testing.assert_close(post(x, torch.sin), post.norm(x), **EXACT)
    torch.testing.assert_close(pre.eval()(x, torch.sin), x + torch.sin(pre.norm(x)), **EXACT)


def torchs(kind, *, pre_norm):
    layer = kind(C, H, F_, dropout=0.0, batch_first=True, norm_first=pre_norm, dtype=torch.float64)
    return oracles.randomise(layer).train()  # torch's shortcut for evaluation is another program


@pytest.mark.parametrize("pre_norm", [True, False])
@pytest.mark.parametrize("padded", [True, False])
def test_an_encoder_block_is_torchs(pre_norm, padded):
    theirs = torchs(nn.TransformerEncoderLayer, pre_norm=pre_norm)
    ours, (x, _) = oracles.block(theirs, pre_norm=pre_norm), inputs()
    mask = padding([3, 5], max_len=T) if padded else NO_MASK
    padding_of_theirs = ~mask.key_padding if padded else None
    want = theirs(x, src_key_padding_mask=padding_of_theirs)
    torch.testing.assert_close(ours(x, mask=mask), want, **EXACT)


@pytest.mark.parametrize("pre_norm", [True, False])
def test_a_decoder_block_is_torchs(pre_norm):
    theirs = torchs(nn.TransformerDecoderLayer, pre_norm=pre_norm)
    ours, (x, memory) = oracles.block(theirs, pre_norm=pre_norm), inputs()
    own, of_memory = padding([4, 5], max_len=T), padding([7, 6], max_len=T_m)
    want = theirs(
        x,
        memory,
        tgt_mask=torch.ones(T, T, dtype=torch.bool).triu(1),
        tgt_key_padding_mask=~own.key_padding,
        memory_key_padding_mask=~of_memory.key_padding,
    )
    got = ours(x, memory, mask=causal() & own, memory_mask=of_memory)
    torch.testing.assert_close(got, want, **EXACT)


@pytest.mark.parametrize("pre_norm", [True, False])
def test_every_sublayer_has_its_own_norm(pre_norm):
    norm = partial(LayerNorm, C)
    attention = partial(MultiHeadAttention, C, H)
    encoder = EncoderBlock(attention(), FeedForward(C, F_), norm=norm, pre_norm=pre_norm)
    decoder = DecoderBlock(
        attention(), attention(), FeedForward(C, F_), norm=norm, pre_norm=pre_norm
    )
    attentions, feed_forward = 4 * C**2 + 4 * C, 2 * C * F_ + C + F_
    for block, count, norms in ((encoder, 1, 2), (decoder, 2, 3)):
        want = count * attentions + feed_forward + norms * 2 * C
        assert sum(p.numel() for p in block.parameters()) == want


def decoder_with(scheme):
    def block():
        return DecoderBlock(
            MultiHeadAttention(C, H, position=IN_ATTENTION[scheme](H, D)),
            MultiHeadAttention(C, H, position=IN_ATTENTION[scheme](H, D)),
            FeedForward(C, F_),
            norm=partial(LayerNorm, C),
            pre_norm=True,
        )

    return oracles.randomise(Decoder([block(), block()], LayerNorm(C)))


@pytest.mark.parametrize("scheme", IN_ATTENTION)
def test_a_cached_decoder_equals_the_whole_at_every_position(scheme):
    decoder, (x, memory) = decoder_with(scheme), inputs()
    mask = padding([7, 5], max_len=T_m)
    positions = torch.arange(T)[None]
    want = decoder(x, memory, mask=causal(), memory_mask=mask, positions=positions)
    caches, outputs = decoder.new_caches(), []
    with torch.no_grad():
        for start, stop in [(0, 2), (2, 3), (3, 5)]:
            outputs.append(
                decoder(
                    x[:, start:stop],
                    memory,
                    mask=causal(),
                    memory_mask=mask,
                    caches=caches,
                    positions=positions[:, start:stop],
                )
            )
    torch.testing.assert_close(torch.cat(outputs, dim=1), want, **EXACT)
    assert [(len(own), len(cross)) for own, cross in caches] == [(T, T_m)] * 2


def test_an_encoder_goes_through_its_blocks_and_then_its_norm():
    blocks = [
        EncoderBlock(
            MultiHeadAttention(C, H), FeedForward(C, F_), norm=partial(LayerNorm, C), pre_norm=True
        )
        for _ in range(3)
    ]
    encoder, (x, _) = oracles.randomise(Encoder(blocks, LayerNorm(C))), inputs()
    want = x
    for block in blocks:
        want = block(want, mask=causal())
    torch.testing.assert_close(encoder(x, mask=causal()), encoder.norm(want), **EXACT)
    assert len(encoder.new_caches()) == 3


# --- what stacks refuse --------------------------------------------------------------------------


def encoder_of(num_blocks):
    return Encoder(
        [
            EncoderBlock(
                MultiHeadAttention(C, H),
                FeedForward(C, F_),
                norm=partial(LayerNorm, C),
                pre_norm=True,
            )
            for _ in range(num_blocks)
        ],
        LayerNorm(C),
    )


def test_caches_while_activations_are_checkpointed(as_users_run):
    """A block that runs twice would append twice; in evaluation it runs once."""
    text = (
        "caches cannot be filled while activations are checkpointed: the backward pass runs each "
        "block again, which would append twice; call model.eval() first"
    )
    encoder, decoder = encoder_of(2), decoder_with("none").float()
    x, memory = torch.randn(B, T, C), torch.randn(B, T_m, C)
    for stack, inputs in ((encoder, (x,)), (decoder, (x, memory))):
        stack.checkpoint_activations = True
        with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
            stack.train()(*inputs, caches=stack.new_caches())
        caches = stack.new_caches()
        stack.eval()(*inputs, caches=caches).sum().backward()
        first = caches[0] if stack is encoder else caches[0][0]
        assert len(first) == T


@pytest.mark.parametrize("count", [0, 1, 3])
def test_there_is_one_cache_or_memory_for_each_block(count, as_users_run):
    encoder, decoder = encoder_of(2), decoder_with("none").float()
    x, memory = torch.randn(B, T, C), torch.randn(B, T_m, C)
    cases = [
        (encoder, (x,), "caches", [KVCache() for _ in range(count)]),
        (encoder, (x,), "memories", [SegmentMemory(3) for _ in range(count)]),
        (decoder, (x, memory), "caches", [(KVCache(), KVCache()) for _ in range(count)]),
    ]
    for stack, inputs, name, given in cases:
        text = f"{name} must be one for each of 2 blocks, got {count}"
        with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
            stack(*inputs, **{name: given})
