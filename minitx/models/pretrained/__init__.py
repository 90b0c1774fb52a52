"""Weights trained elsewhere: from Hugging Face's names and layouts to those of minitx.

    config = gpt2_config(theirs.config.to_dict())
    model = GPT(config)
    load(model, gpt2_state(theirs.state_dict()))

Every `…_config` reads a plain dict, as it stands in config.json, and every `…_state` is a pure
function from a dict of tensors to a dict of tensors: neither needs the transformers library. What
a table does not name keeps its name, and `load` reports it.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from minitx.models.bert import BERTConfig
from minitx.models.gpt import GPTConfig
from minitx.models.seq2seq import TransformerConfig
from minitx.models.t5 import T5Config
from minitx.positions import Sinusoidal

State = Mapping[str, Tensor]
Names = dict[str, str | None]
"""Regular expression for a part of a name -> what stands there in minitx; None drops the tensor.

Applied in this order, each to what the ones before it made of the name.
"""


def load(model: nn.Module, state: State, *, may_miss: Iterable[str] = ()) -> None:
    """Copy state into model: all of it or, if anything does not fit, nothing.

    Numbers are converted to the model's dtype. A tensor that the model uses in several places
    may stand under any of its names, and under several if they agree.

    Args:
        model: is changed in place.
        state: name to tensor, in minitx's names.
        may_miss: beginnings of names that keep what they have if state lacks them.

    Raises:
        ValueError: with all names that are missing, unexpected, of the wrong shape, or of one
            tensor with two values.
    """
    wanted = model.state_dict(keep_vars=True)  # keeps each parameter's identity
    first_name: dict[int, str] = {}
    known_as = {name: first_name.setdefault(id(tensor), name) for name, tensor in wanted.items()}

    given: dict[str, Tensor] = {}
    unexpected, mis_shaped, torn = [], [], []
    for name, tensor in state.items():
        target = known_as.get(name)
        if target is None:
            unexpected.append(name)
            continue
        if tensor.shape != wanted[target].shape:
            shapes = f"wanted {tuple(wanted[target].shape)}, got {tuple(tensor.shape)}"
            mis_shaped.append(f"{name}: {shapes}")
        elif target in given and not torch.equal(given[target], tensor):
            torn.append(f"{name} is one with {target} in this model")
        given[target] = tensor
    optional = tuple(may_miss)
    missing = [n for n in first_name.values() if n not in given and not n.startswith(optional)]

    problems = {"missing": missing, "unexpected": unexpected, "mis-shaped": mis_shaped}
    problems |= {"two values": torn}
    if any(problems.values()):
        raise ValueError(_report(type(model).__name__, problems))
    with torch.no_grad():
        for name, tensor in given.items():
            wanted[name].copy_(tensor)


# --- GPT-2 ---------------------------------------------------------------------------------------

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
    _require(
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
    )


def gpt2_state(theirs: State) -> dict[str, Tensor]:
    """The weights of a GPT-2, with or without its output layer.

    Its projections are kept as (in, out) and those of q, k and v side by side.
    """
    ours = {}
    for name, tensor in _renamed(theirs, _GPT2).items():
        if name.endswith("_proj.weight"):
            tensor = tensor.T
        if "qkv_proj" in name:
            for part, piece in zip(("q_proj", "k_proj", "v_proj"), tensor.chunk(3), strict=True):
                ours[name.replace("qkv_proj", part)] = piece
        else:
            ours[name] = tensor
    return ours


# --- BERT ----------------------------------------------------------------------------------------

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
    _require(
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
        norm_eps=theirs.get("layer_norm_eps", 1e-12),
    )


def bert_state(theirs: State) -> dict[str, Tensor]:
    """The weights of a BERT, with or without its heads."""
    return _renamed(theirs, _BERT)


# --- T5 ------------------------------------------------------------------------------------------

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
    _require(theirs, layer_norm_epsilon=1e-6, num_decoder_layers=theirs["num_layers"])
    # What files say by the second of these, transformers says by the first since version 5.
    tied = theirs.get("scale_decoder_outputs", theirs.get("tie_word_embeddings", True))
    _require({"tie_word_embeddings": tied}, tie_word_embeddings=not gated)
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
    return _renamed(theirs, _T5)


# --- Marian --------------------------------------------------------------------------------------

_MARIAN: Names = {
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
_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "gelu": F.gelu,
    "swish": F.silu,
    "silu": F.silu,
}


class MarianPosition(Sinusoidal):
    """The sinusoids of 2017 in another order: first all the sines, then all the cosines.

    >>> MarianPosition(4).table(torch.tensor([1])).round(decimals=3)
    tensor([[0.8410, 0.0100, 0.5400, 1.0000]], dtype=torch.float64)
    """

    def table(self, pos: Int[Tensor, "*T"]) -> Float[Tensor, "*T C"]:
        table = super().table(pos)
        return torch.cat([table[..., 0::2], table[..., 1::2]], dim=-1)


def marian_config(theirs: Mapping[str, Any]) -> TransformerConfig:
    """The sizes of a Marian translator, the 2017 transformer with a bias on its logits.

    Its rates of dropout within attention and feed-forward network are not taken over: there, too,
    the rate after the sublayers is used. That matters in training only.

    Raises:
        ValueError: if it has a part that `Transformer` does not have.
    """
    activation = theirs.get("activation_function", "swish")
    if activation not in _ACTIVATIONS:
        raise ValueError(
            f"activation_function must be one of {', '.join(_ACTIVATIONS)}, got {activation}"
        )
    _require(
        theirs,
        scale_embedding=True,
        normalize_before=False,
        normalize_embedding=False,
        add_final_layer_norm=False,
        static_position_embeddings=True,
        tie_word_embeddings=True,
        decoder_attention_heads=theirs["encoder_attention_heads"],
        decoder_ffn_dim=theirs["encoder_ffn_dim"],
    )
    return TransformerConfig(
        src_vocab_size=theirs["vocab_size"],
        tgt_vocab_size=theirs.get("decoder_vocab_size") or theirs["vocab_size"],
        d_model=theirs["d_model"],
        num_heads=theirs["encoder_attention_heads"],
        num_encoder_layers=theirs["encoder_layers"],
        num_decoder_layers=theirs["decoder_layers"],
        d_ff=theirs["encoder_ffn_dim"],
        dropout=theirs.get("dropout", 0.1),
        activation=_ACTIVATIONS[activation],
        share_embeddings=theirs.get("share_encoder_decoder_embeddings", True),
        output_bias=True,
        position=partial(MarianPosition, theirs["d_model"]),
    )


def marian_state(theirs: State) -> dict[str, Tensor]:
    """The weights of a Marian translator."""
    return {
        name: tensor.flatten() if name == "output.bias" else tensor
        for name, tensor in _renamed(theirs, _MARIAN).items()
    }


def _renamed(theirs: State, names: Names) -> dict[str, Tensor]:
    ours: dict[str, Tensor] = {}
    for name, tensor in theirs.items():
        new: str | None = name
        for part, replacement in names.items():
            if new is not None and re.search(part, new):
                new = None if replacement is None else re.sub(part, replacement, new)
        if new is None:
            continue
        if new in ours and not torch.equal(ours[new], tensor):
            raise ValueError(f"{new} has two values: {name} is not what another name gave")
        ours[new] = tensor
    return ours


def _require(theirs: Mapping[str, Any], **wanted: Any) -> None:
    for name, value in wanted.items():
        got = theirs.get(name, value)
        if got != value:
            raise ValueError(f"{name} must be {value!r} for a model of minitx, got {got!r}")


def _report(model: str, problems: Mapping[str, list[str]]) -> str:
    lines = [f"these weights do not fit {model}"]
    for kind, names in problems.items():
        if names:
            lines.append(f"{kind} ({len(names)}):")
            lines += [f"  {name}" for name in names]
    return "\n".join(lines)
