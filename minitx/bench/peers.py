"""Weights of torch's own attention and transformer, in minitx's names."""

from torch import Tensor, nn


def attention_state(theirs: nn.MultiheadAttention) -> dict[str, Tensor]:
    """The weights of one attention; torch keeps the projections of q, k and v as one matrix."""
    state = {}
    for kind in ("weight", "bias"):
        packed = theirs.get_parameter(f"in_proj_{kind}").detach().chunk(3)
        for name, part in zip("qkv", packed, strict=True):
            state[f"{name}_proj.{kind}"] = part
        state[f"out_proj.{kind}"] = theirs.out_proj.get_parameter(kind).detach()
    return state


def transformer_state(theirs: nn.Transformer) -> dict[str, Tensor]:
    """The weights of encoder and decoder; torch's transformer has no embeddings."""
    state: dict[str, Tensor] = {}
    for stack in ("encoder", "decoder"):
        layers: nn.Module = getattr(theirs, stack)
        blocks = layers.get_submodule("layers")
        for i, layer in enumerate(blocks.children()):
            state |= prefixed(f"{stack}.blocks.{i}", layer_state(layer))
        state |= prefixed(f"{stack}.norm", layers.get_submodule("norm").state_dict())
    return state


def layer_state(theirs: nn.Module) -> dict[str, Tensor]:
    """The weights of one encoder or decoder layer."""
    decoder = isinstance(theirs, nn.TransformerDecoderLayer)
    names = {"self_attention": "self_attn", "cross_attention": "multihead_attn"}
    attentions = names if decoder else {"attention": "self_attn"}
    state: dict[str, Tensor] = {}
    for name, their_name in attentions.items():
        attention = theirs.get_submodule(their_name)
        assert isinstance(attention, nn.MultiheadAttention)
        state |= prefixed(name, attention_state(attention))
    for i, name in enumerate([*attentions, "feed_forward"], start=1):
        norm = theirs.get_submodule(f"norm{i}")
        state |= prefixed(f"{name}_residual.norm", norm.state_dict())
    state |= prefixed("feed_forward.in_proj", theirs.get_submodule("linear1").state_dict())
    return state | prefixed("feed_forward.out_proj", theirs.get_submodule("linear2").state_dict())


def prefixed(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors one level further down."""
    return {f"{prefix}.{name}": tensor for name, tensor in state.items()}
