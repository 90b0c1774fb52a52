"""T5: its settings and its weights."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from minitx.models.pretrained.names import Names, State, renamed, require_parts
from minitx.models.t5 import T5Config

_T5: Names = {
    r"^(shared|encoder\.embed_tokens|decoder\.embed_tokens)\.": "embedding.",
    r"^lm_head\.": "output.",
    r"\.final_layer_norm\.": ".norm.",
    r"\.block\.(\d+)\.layer\.": r".blocks.\1.",
    r"\.layer_norm\.": "_residual.norm.",
    r"^(encoder\.blocks\.\d+)\.0(_residual)?\.": r"\1.attention\2.",
    r"^(encoder\.blocks\.\d+)\.1(_residual)?\.": r"\1.feed_forward\2.",
    r"^(decoder\.blocks\.\d+)\.0(_residual)?\.": r"\1.self_attention\2.",
    r"^(decoder\.blocks\.\d+)\.1(_residual)?\.": r"\1.cross_attention\2.",
    r"^(decoder\.blocks\.\d+)\.2(_residual)?\.": r"\1.feed_forward\2.",
    r"\.(SelfAttention|EncDecAttention|DenseReluDense)\.": ".",
    r"\.relative_attention_bias\.": ".position.table.",
    r"\.([qkv])\.weight$": r".\1_proj.weight",
    r"\.w?o\.weight$": ".out_proj.weight",
    r"\.wi(_0)?\.": ".in_proj.",
    r"\.wi_1\.": ".gate_proj.",
}


def t5_config(theirs: Mapping[str, Any]) -> T5Config:
    """The sizes of a T5, of the paper's kind or of version 1.1.

    Raises:
        ValueError: if it has a part that `T5` does not have.
    """
    kinds = {"relu": False, "gated-gelu": True}
    kind = theirs.get("feed_forward_proj", "relu")
    if kind not in kinds:
        raise ValueError(f"feed_forward_proj must be one of {', '.join(kinds)}, got {kind}")
    gated = kinds[kind]
    require_parts(theirs, layer_norm_epsilon=1e-6, num_decoder_layers=theirs["num_layers"])
    # What files say by the second of these, transformers says by the first since version 5.
    tied = theirs.get("scale_decoder_outputs", theirs.get("tie_word_embeddings", True))
    require_parts({"tie_word_embeddings": tied}, tie_word_embeddings=not gated)
    return T5Config(
        vocab_size=theirs["vocab_size"],
        d_model=theirs["d_model"],
        d_head=theirs["d_kv"],
        num_heads=theirs["num_heads"],
        num_layers=theirs["num_layers"],
        d_ff=theirs["d_ff"],
        dropout=theirs.get("dropout_rate", 0.1),
        num_buckets=theirs.get("relative_attention_num_buckets", 32),
        max_distance=theirs.get("relative_attention_max_distance", 128),
        gated=gated,
    )


def t5_state(theirs: State) -> dict[str, Tensor]:
    """The weights of a T5."""
    return renamed(theirs, _T5)
