"""GPT-2: its settings and its weights."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from minitx.models.gpt import GPTConfig
from minitx.models.pretrained.names import Names, State, renamed, require_parts

_GPT2: Names = {
    r"^transformer\.": "",
    r"\.attn\.(masked_)?bias$": None,  # the causal mask, in old files
    r"^wte\.": "embedding.",
    r"^wpe\.": "position.table.",
    r"^lm_head\.": "output.",
    r"^ln_f\.": "blocks.norm.",
    r"^h\.": "blocks.blocks.",
    r"\.ln_1\.": ".attention_residual.norm.",
    r"\.ln_2\.": ".feed_forward_residual.norm.",
    r"\.attn\.c_attn\.": ".attention.qkv_proj.",
    r"\.attn\.c_proj\.": ".attention.out_proj.",
    r"\.mlp\.c_fc\.": ".feed_forward.in_proj.",
    r"\.mlp\.c_proj\.": ".feed_forward.out_proj.",
}


def gpt2_config(theirs: Mapping[str, Any]) -> GPTConfig:
    """The sizes of a GPT-2.

    Raises:
        ValueError: if it has a part that `GPT` does not have.
    """
    require_parts(
        theirs,
        activation_function="gelu_new",
        layer_norm_epsilon=1e-5,
        scale_attn_weights=True,
        scale_attn_by_inverse_layer_idx=False,
        add_cross_attention=False,
        tie_word_embeddings=True,
    )
    return GPTConfig(
        vocab_size=theirs["vocab_size"],
        max_len=theirs["n_positions"],
        d_model=theirs["n_embd"],
        num_heads=theirs["n_head"],
        num_layers=theirs["n_layer"],
        d_ff=theirs.get("n_inner"),
        dropout=theirs.get("resid_pdrop", 0.1),
        attention_dropout=theirs.get("attn_pdrop"),
    )


def gpt2_state(theirs: State) -> dict[str, Tensor]:
    """The weights of a GPT-2, with or without its output layer.

    Its projections are kept as (in, out) and those of q, k and v side by side.
    """
    ours = {}
    for name, tensor in renamed(theirs, _GPT2).items():
        if name.endswith("_proj.weight"):
            tensor = tensor.T
        if "qkv_proj" in name:
            for part, piece in zip(("q_proj", "k_proj", "v_proj"), tensor.chunk(3), strict=True):
                ours[name.replace("qkv_proj", part)] = piece
        else:
            ours[name] = tensor
    return ours
