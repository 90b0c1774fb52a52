"""BERT: its settings and its weights."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from minitx.models.bert import BERTConfig
from minitx.models.pretrained.names import Names, State, renamed, require_parts

_BERT: Names = {
    r"\.gamma$": ".weight",  # names of the first releases
    r"\.beta$": ".bias",
    r"^bert\.": "",
    r"^embeddings\.position_ids$": None,  # 0, 1, 2 …
    r"^embeddings\.word_embeddings\.": "embedding.",
    r"^embeddings\.token_type_embeddings\.": "segment.",
    r"^embeddings\.position_embeddings\.": "position.table.",
    r"^embeddings\.LayerNorm\.": "embedding_norm.",
    r"^encoder\.layer\.": "encoder.blocks.",
    r"\.attention\.self\.query\.": ".attention.q_proj.",
    r"\.attention\.self\.key\.": ".attention.k_proj.",
    r"\.attention\.self\.value\.": ".attention.v_proj.",
    r"\.attention\.output\.dense\.": ".attention.out_proj.",
    r"\.attention\.output\.LayerNorm\.": ".attention_residual.norm.",
    r"\.intermediate\.dense\.": ".feed_forward.in_proj.",
    r"\.output\.dense\.": ".feed_forward.out_proj.",
    r"\.output\.LayerNorm\.": ".feed_forward_residual.norm.",
    r"^pooler\.dense\.": "pooler.",
    r"^cls\.seq_relationship\.": "next_sentence.",
    r"^cls\.predictions\.transform\.dense\.": "transform.0.",
    r"^cls\.predictions\.transform\.LayerNorm\.": "transform.2.",
    r"^cls\.predictions\.(decoder\.)?": "output.",
}
BERT_HEADS = ("pooler.", "next_sentence.", "transform.", "output.bias")
"""What `load` must be told may be missing from a file that holds the encoder alone."""


def bert_config(theirs: Mapping[str, Any]) -> BERTConfig:
    """The sizes of a BERT.

    Raises:
        ValueError: if it has a part that `BERT` does not have.
    """
    require_parts(
        theirs,
        hidden_act="gelu",
        position_embedding_type="absolute",
        is_decoder=False,
        tie_word_embeddings=True,
    )
    return BERTConfig(
        vocab_size=theirs["vocab_size"],
        max_len=theirs["max_position_embeddings"],
        d_model=theirs["hidden_size"],
        num_heads=theirs["num_attention_heads"],
        num_layers=theirs["num_hidden_layers"],
        d_ff=theirs["intermediate_size"],
        num_segments=theirs["type_vocab_size"],
        dropout=theirs.get("hidden_dropout_prob", 0.1),
        attention_dropout=theirs.get("attention_probs_dropout_prob"),
        norm_eps=theirs.get("layer_norm_eps", 1e-12),
    )


def bert_state(theirs: State) -> dict[str, Tensor]:
    """The weights of a BERT, with or without its heads."""
    return renamed(theirs, _BERT)
