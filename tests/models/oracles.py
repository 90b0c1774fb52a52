"""minitx's layers with the weights of torch's, and the position schemes that tests run over."""

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.activations import ACT2FN

from minitx.blocks import DecoderBlock, EncoderBlock
from minitx.layers import FeedForward, LayerNorm
from minitx.models.pretrained import load
from minitx.models.pretrained.names import renamed
from minitx.models.seq2seq import Transformer, TransformerConfig
from minitx.multihead import MultiHeadAttention
from minitx.positions import (
    ALiBi,
    Learned,
    NoPosition,
    Rotary,
    Shaw,
    Sinusoidal,
    T5Bias,
    TransformerXL,
)

# float64, sums of some hundred terms of size one: rounding is near 1e-14, a mistake near 1.
EXACT = {"rtol": 1e-10, "atol": 1e-11}

IN_ATTENTION = {  # name -> scheme for H heads of width D
    "none": lambda H, D: NoPosition(),
    "Shaw": lambda H, D: Shaw(D, max_distance=3),
    "T5Bias": lambda H, D: T5Bias(H, num_buckets=8, max_distance=6),
    "T5Bias, one direction": lambda H, D: T5Bias(
        H, num_buckets=6, max_distance=11, bidirectional=False
    ),
    "ALiBi": lambda H, D: ALiBi(H),
    "Rotary": lambda H, D: Rotary(D),
    "TransformerXL": lambda H, D: TransformerXL(H, D),
}
ON_EMBEDDINGS = {  # name -> scheme for width C
    "Sinusoidal": Sinusoidal,
    "Learned": partial(Learned, 23),
}


def copy(ours: nn.Module, theirs: dict[str, Tensor]) -> nn.Module:
    """ours with these weights, in their dtype."""
    ours.to(next(iter(theirs.values())).dtype).load_state_dict(theirs)
    return ours


def attention_weights(theirs: nn.MultiheadAttention) -> dict[str, Tensor]:
    weights = {}
    for kind in ("weight", "bias"):
        packed = theirs.get_parameter(f"in_proj_{kind}").detach().chunk(3)
        for name, part in zip("qkv", packed, strict=True):
            weights[f"{name}_proj.{kind}"] = part
        weights[f"out_proj.{kind}"] = theirs.out_proj.get_parameter(kind).detach()
    return weights


def attention(theirs: nn.MultiheadAttention, **options) -> MultiHeadAttention:
    ours = MultiHeadAttention(theirs.embed_dim, theirs.num_heads, **options)
    return copy(ours, attention_weights(theirs))


def prefixed(prefix: str, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": tensor for name, tensor in weights.items()}


def layer_weights(theirs: nn.TransformerEncoderLayer | nn.TransformerDecoderLayer):
    """Of one block, in minitx's names."""
    decoder = isinstance(theirs, nn.TransformerDecoderLayer)
    sublayers = ["self_attention", "cross_attention"] if decoder else ["attention"]
    attentions = [theirs.self_attn, *([theirs.multihead_attn] if decoder else [])]
    norms = [theirs.norm1, theirs.norm2, *([theirs.norm3] if decoder else [])]
    weights = {}
    for name, layer in zip(sublayers, attentions, strict=True):
        weights |= prefixed(name, attention_weights(layer))
    for name, norm in zip([*sublayers, "feed_forward"], norms, strict=True):
        weights |= prefixed(f"{name}_residual.norm", norm.state_dict())
    weights |= prefixed("feed_forward.in_proj", theirs.linear1.state_dict())
    return weights | prefixed("feed_forward.out_proj", theirs.linear2.state_dict())


def block(theirs: nn.TransformerEncoderLayer | nn.TransformerDecoderLayer, *, pre_norm: bool):
    C, H, F_ = theirs.self_attn.embed_dim, theirs.self_attn.num_heads, theirs.linear1.out_features
    feed_forward = FeedForward(C, F_, activation=F.relu)
    options = {"norm": partial(LayerNorm, C), "pre_norm": pre_norm}
    if isinstance(theirs, nn.TransformerDecoderLayer):
        attentions = MultiHeadAttention(C, H), MultiHeadAttention(C, H)
        ours = DecoderBlock(*attentions, feed_forward, **options)
    else:
        ours = EncoderBlock(MultiHeadAttention(C, H), feed_forward, **options)
    return copy(ours, layer_weights(theirs))


def transformer(theirs: nn.Transformer, config: TransformerConfig) -> Transformer:
    """With embeddings of its own, which torch's does not have.

    And with a norm at the end of each stack, which torch's has after post-norm blocks, too.
    """
    ours = Transformer(config)
    ours.encoder.norm, ours.decoder.norm = LayerNorm(config.d_model), LayerNorm(config.d_model)
    ours.to(torch.float64)
    weights = dict(ours.state_dict())
    for stack in ("encoder", "decoder"):
        layers = getattr(theirs, stack)
        for i, layer in enumerate(layers.layers):
            weights |= prefixed(f"{stack}.blocks.{i}", layer_weights(layer))
        weights |= prefixed(f"{stack}.norm", layers.norm.state_dict())
    return copy(ours, weights)


MARIAN = {
    r"^model\.": "",
    r"^(en|de)coder\.embed_positions\.weight$": None,  # computed
    r"^(shared|encoder\.embed_tokens)\.": "src_embedding.",
    r"^decoder\.embed_tokens\.": "tgt_embedding.",
    r"^lm_head\.": "output.",
    r"^final_logits_bias$": "output.bias",
    r"^(en|de)coder\.layers\.": r"\1coder.blocks.",
    r"^(encoder\.blocks\.\d+)\.self_attn": r"\1.attention",
    r"\.self_attn": ".self_attention",
    r"\.encoder_attn": ".cross_attention",
    r"\.final_layer_norm\.": ".feed_forward_residual.norm.",
    r"_layer_norm\.": "_residual.norm.",
    r"\.fc1\.": ".feed_forward.in_proj.",
    r"\.fc2\.": ".feed_forward.out_proj.",
}


class SinesThenCosines(Sinusoidal):
    """Marian's order of the sinusoids of 2017."""

    def table(self, *arguments):
        table = super().table(*arguments)
        return torch.cat([table[..., 0::2], table[..., 1::2]], dim=-1)


def marian(theirs: nn.Module) -> Transformer:
    """A Marian translator: the transformer of 2017 with a bias on its logits."""
    c = theirs.config
    ours = Transformer(
        TransformerConfig(
            src_vocab_size=c.vocab_size,
            tgt_vocab_size=c.decoder_vocab_size,
            d_model=c.d_model,
            num_heads=c.encoder_attention_heads,
            num_encoder_layers=c.encoder_layers,
            num_decoder_layers=c.decoder_layers,
            share_embeddings=c.share_encoder_decoder_embeddings,
            position=partial(SinesThenCosines, c.d_model),
            d_ff=c.encoder_ffn_dim,
            feed_forward=partial(FeedForward, activation=ACT2FN[c.activation_function]),
        )
    )
    ours.output.bias = nn.Parameter(torch.zeros(c.decoder_vocab_size))
    state = renamed(theirs.state_dict(), MARIAN)
    load(ours, state | {"output.bias": state["output.bias"].flatten()})
    return ours.eval()


def randomise(module: nn.Module, *, seed: int = 0) -> nn.Module:
    """Every parameter drawn from N(0, 0.3²), so that no 0 or 1 of a start hides a mistake."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=random))
    return module.double().eval()


def left_padding(lengths: list[int]) -> tuple[Tensor, Tensor]:
    """True for tokens; and where they stand in their texts, 0 for padding."""
    T = max(lengths)
    start = T - torch.tensor(lengths)[:, None]
    place = torch.arange(T)[None] - start
    return place >= 0, place.clamp(min=0)
