"""Weights of tiny Hugging Face models, drawn at random, in minitx's models: equal outputs."""

import re

import pytest
import torch
import transformers
from torch import nn

from minitx.masks import Mask
from minitx.models import pretrained
from minitx.models.bert import BERT
from minitx.models.gpt import GPT
from minitx.models.t5 import T5

from . import oracles

B, T, T_tgt, V, C, H, F_, L = 2, 11, 7, 41, 24, 3, 53, 2

# float32: some hundred sums of some dozen numbers, about 1e-6 of the logits, which are below ten.
SINGLE = {"rtol": 1e-5, "atol": 1e-5}
DOUBLE = {"rtol": 1e-10, "atol": 1e-11}
# float64 as far as it goes: Hugging Face's T5 takes its norms' mean squares in float32.
DOUBLE_OF_T5 = {"rtol": 1e-6, "atol": 1e-6}


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def tokens(length=T):
    return torch.randint(V, (B, length))


def is_token():
    return torch.arange(T) < torch.tensor([[T], [8]])


def drawn(theirs):
    """Random where Hugging Face starts with 0 and 1: biases and norms."""
    return oracles.randomise(theirs).float()


def gpt2():
    config = transformers.GPT2Config(
        vocab_size=V,
        n_positions=23,
        n_embd=C,
        n_head=H,
        n_layer=L,
        n_inner=F_,
        bos_token_id=0,
        eos_token_id=0,
    )
    return drawn(transformers.GPT2LMHeadModel(config))


def bert(kind=transformers.BertForPreTraining):
    config = transformers.BertConfig(
        vocab_size=V,
        max_position_embeddings=23,
        hidden_size=C,
        num_attention_heads=H,
        num_hidden_layers=L,
        intermediate_size=F_,
    )
    return drawn(kind(config))


def t5(*, gated):
    config = transformers.T5Config(
        vocab_size=V,
        d_model=C,
        d_kv=7,
        d_ff=F_,
        num_layers=L,
        num_heads=H,
        relative_attention_num_buckets=8,
        relative_attention_max_distance=13,
        feed_forward_proj="gated-gelu" if gated else "relu",
        tie_word_embeddings=not gated,
        decoder_start_token_id=0,
    )
    theirs = transformers.T5ForConditionalGeneration(config)
    if gated:  # the published 1.1 has an output layer of its own; a fresh model has not
        theirs.lm_head.weight = nn.Parameter(torch.zeros(V, C))
    return drawn(theirs)


def marian(**changes):
    sizes = {
        "vocab_size": V,
        "d_model": C,
        "encoder_layers": L,
        "decoder_layers": 1,
        "encoder_attention_heads": H,
        "decoder_attention_heads": H,
        "encoder_ffn_dim": F_,
        "decoder_ffn_dim": F_,
        "max_position_embeddings": 29,
        "activation_function": "swish",
        "scale_embedding": True,
        "pad_token_id": V - 1,
        "decoder_start_token_id": V - 1,
        "eos_token_id": 0,
        "forced_eos_token_id": 0,
    }
    theirs = transformers.MarianMTModel(transformers.MarianConfig(**(sizes | changes)))
    sinusoids = theirs.model.encoder.embed_positions.weight.clone()
    drawn(theirs)
    for stack in (theirs.model.encoder, theirs.model.decoder):
        stack.embed_positions.weight.data.copy_(sinusoids)
    theirs.final_logits_bias.normal_()
    return theirs


def test_gpt2():
    theirs = gpt2()
    ours = GPT(pretrained.gpt2_config(theirs.config.to_dict())).eval()
    pretrained.load(ours, pretrained.gpt2_state(theirs.state_dict()))
    x = tokens()
    torch.testing.assert_close(ours(x), theirs(x).logits, **SINGLE)
    theirs.double(), ours.double()
    torch.testing.assert_close(ours(x), theirs(x).logits, **DOUBLE)
    got = ours(x, mask=Mask(key_padding=is_token()))
    want = theirs(x, attention_mask=is_token().long()).logits
    torch.testing.assert_close(got[is_token()], want[is_token()], **DOUBLE)


def test_gpt2_without_its_output_layer_and_with_old_masks():
    theirs = gpt2()
    state = {name.removeprefix("transformer."): t for name, t in theirs.state_dict().items()}
    del state["lm_head.weight"]
    state |= {f"h.{i}.attn.bias": torch.ones(1, 1, 23, 23).tril() for i in range(L)}
    state |= {f"h.{i}.attn.masked_bias": torch.tensor(-1e4) for i in range(L)}
    ours = GPT(pretrained.gpt2_config(theirs.config.to_dict())).eval()
    pretrained.load(ours, pretrained.gpt2_state(state))
    x = tokens()
    torch.testing.assert_close(ours(x), theirs(x).logits, **SINGLE)


def test_bert_with_both_heads():
    theirs = bert()
    ours = BERT(pretrained.bert_config(theirs.config.to_dict())).eval()
    pretrained.load(ours, pretrained.bert_state(theirs.state_dict()))
    x, segments = tokens(), torch.randint(2, (B, T))
    for tolerance in (SINGLE, DOUBLE):
        want = theirs(x, token_type_ids=segments, attention_mask=is_token().long())
        hidden = ours(x, segments=segments, mask=Mask(key_padding=is_token()))
        got = ours.masked_language_logits(hidden)
        real = is_token()
        torch.testing.assert_close(got[real], want.prediction_logits[real], **tolerance)
        got = ours.next_sentence_logits(hidden)
        torch.testing.assert_close(got, want.seq_relationship_logits, **tolerance)
        theirs.double(), ours.double()


def test_bert_without_heads():
    theirs = bert(transformers.BertModel)
    ours = BERT(pretrained.bert_config(theirs.config.to_dict())).eval()
    state = pretrained.bert_state(theirs.state_dict())
    pretrained.load(ours, state, may_miss=pretrained.BERT_HEADS)
    x = tokens()
    torch.testing.assert_close(ours(x), theirs(x).last_hidden_state, **SINGLE)
    pooled = ours.pooler(ours(x)[:, 0]).tanh()
    torch.testing.assert_close(pooled, theirs(x).pooler_output, **SINGLE)


def test_bert_by_the_names_of_its_first_release():
    theirs = bert()
    state = {
        re.sub(r"LayerNorm\.weight$", "LayerNorm.gamma", name).replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for name, tensor in theirs.state_dict().items()
    }
    state["bert.embeddings.position_ids"] = torch.arange(23)[None]
    want = pretrained.bert_state(theirs.state_dict())
    got = pretrained.bert_state(state)
    assert got.keys() == want.keys()
    assert all(torch.equal(got[name], want[name]) for name in want)


@pytest.mark.parametrize("gated", [False, True], ids=["1.0", "1.1"])
def test_t5(gated):
    theirs = t5(gated=gated)
    ours = T5(pretrained.t5_config(theirs.config.to_dict())).eval()
    pretrained.load(ours, pretrained.t5_state(theirs.state_dict()))
    src, tgt = tokens(), tokens(T_tgt)
    for tolerance in (SINGLE, DOUBLE_OF_T5):
        mask = padding_of_source()
        want = theirs(input_ids=src, attention_mask=is_token().long(), decoder_input_ids=tgt).logits
        torch.testing.assert_close(ours(src, tgt, src_mask=mask), want, **tolerance)
        theirs.double(), ours.double()


def test_t5_as_its_file_says_it():
    theirs = t5(gated=True).config.to_dict()
    del theirs["scale_decoder_outputs"]
    config = pretrained.t5_config(theirs | {"tie_word_embeddings": False})
    assert config.gated


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"activation_function": "relu", "decoder_layers": 3},
        {"share_encoder_decoder_embeddings": False, "decoder_vocab_size": 43},
    ],
    ids=["swish", "relu", "two vocabularies"],
)
def test_marian(changes):
    theirs = marian(**changes)
    ours = oracles.marian(theirs)
    src, tgt = tokens(), tokens(T_tgt)
    for tolerance in (SINGLE, {"rtol": 1e-6, "atol": 1e-6}):  # their sinusoids are in float32
        want = theirs(input_ids=src, attention_mask=is_token().long(), decoder_input_ids=tgt).logits
        got = ours(src, tgt, src_mask=padding_of_source())
        torch.testing.assert_close(got, want, **tolerance)
        theirs.double(), ours.double()


def test_cached_decoding_with_marians_weights():
    theirs = marian()
    ours = oracles.marian(theirs).double()
    src, tgt = tokens(), tokens(T_tgt)
    with torch.no_grad():
        memory, caches = ours.encode(src), ours.new_caches()
        pieces = [ours.decode(part, memory, caches=caches) for part in tgt.split(1, dim=1)]
    torch.testing.assert_close(torch.cat(pieces, dim=1), ours(src, tgt), **DOUBLE)


def padding_of_source():
    return Mask(key_padding=is_token())


# --- the report ----------------------------------------------------------------------------------


def test_mappings_are_pure():
    theirs = gpt2().state_dict()
    before = {name: tensor.clone() for name, tensor in theirs.items()}
    pretrained.gpt2_state(theirs)
    assert theirs.keys() == before.keys()
    assert all(torch.equal(theirs[name], before[name]) for name in before)


def test_all_that_does_not_fit_is_reported_at_once_and_nothing_is_loaded():
    theirs = gpt2()
    ours = GPT(pretrained.gpt2_config(theirs.config.to_dict()))
    before = {name: tensor.clone() for name, tensor in ours.state_dict().items()}
    state = pretrained.gpt2_state(theirs.state_dict())
    del state["blocks.norm.bias"], state["blocks.blocks.1.attention.k_proj.weight"]
    state["blocks.blocks.0.feed_forward.in_proj.bias"] = torch.zeros(F_ + 1)
    state["blocks.blocks.7.attention.k_proj.weight"] = torch.zeros(C, C)
    state["output.weight"] = torch.zeros(V, C)
    report = """\
these weights do not fit GPT
missing (2):
  blocks.blocks.1.attention.k_proj.weight
  blocks.norm.bias
unexpected (1):
  blocks.blocks.7.attention.k_proj.weight
mis-shaped (1):
  blocks.blocks.0.feed_forward.in_proj.bias: wanted (53,), got (54,)
two values (1):
  output.weight is one with embedding.weight in this model"""
    with pytest.raises(ValueError, match=f"^{re.escape(report)}$"):
        pretrained.load(ours, state)
    assert all(torch.equal(ours.state_dict()[name], before[name]) for name in before)


def test_what_may_be_missing_must_be_named():
    theirs = bert(transformers.BertModel)
    ours = BERT(pretrained.bert_config(theirs.config.to_dict()))
    with pytest.raises(ValueError, match=r"missing \(5\):\n  next_sentence.weight\n"):
        state = pretrained.bert_state(theirs.state_dict())
        pretrained.load(ours, state, may_miss=("transform.0", "pooler"))


def test_a_name_nobody_knows_is_unexpected():
    theirs = gpt2()
    ours = GPT(pretrained.gpt2_config(theirs.config.to_dict()))
    state = theirs.state_dict() | {"transformer.h.0.attn.rotor.weight": torch.zeros(1)}
    with pytest.raises(ValueError, match=r"unexpected \(1\):\n  blocks\.blocks\.0\.attn\.rotor"):
        pretrained.load(ours, pretrained.gpt2_state(state))


def test_two_names_for_one_tensor_must_agree():
    state = bert().state_dict()
    state["cls.predictions.decoder.bias"] = torch.zeros(V)
    text = "output.bias has two values: cls.predictions.decoder.bias is not what another name gave"
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        pretrained.bert_state(state)


CONFIGS = {
    "gpt2": (pretrained.gpt2_config, lambda: gpt2().config.to_dict()),
    "bert": (pretrained.bert_config, lambda: bert().config.to_dict()),
    "t5": (pretrained.t5_config, lambda: t5(gated=False).config.to_dict()),
}


@pytest.mark.parametrize(
    ("family", "name", "value", "wanted"),
    [
        ("gpt2", "activation_function", "relu", "'gelu_new'"),
        ("gpt2", "layer_norm_epsilon", 1e-6, "1e-05"),
        ("gpt2", "scale_attn_by_inverse_layer_idx", True, "False"),
        ("gpt2", "tie_word_embeddings", False, "True"),
        ("bert", "hidden_act", "relu", "'gelu'"),
        ("bert", "position_embedding_type", "relative_key", "'absolute'"),
        ("bert", "is_decoder", True, "False"),
        ("t5", "num_decoder_layers", 3, "2"),
        ("t5", "scale_decoder_outputs", False, "True"),
    ],
)
def test_what_our_models_do_not_have_is_refused(family, name, value, wanted):
    read, config = CONFIGS[family]
    shown = "tie_word_embeddings" if name == "scale_decoder_outputs" else name
    text = f"{shown} must be {wanted} for a model of minitx, got {value!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        read(config() | {name: value})


def test_unknown_activations_are_refused():
    text = "feed_forward_proj must be one of relu, gated-gelu, got softplus"
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        pretrained.t5_config(t5(gated=False).config.to_dict() | {"feed_forward_proj": "softplus"})


def test_weights_are_converted_to_the_models_dtype():
    theirs = gpt2()
    ours = GPT(pretrained.gpt2_config(theirs.config.to_dict())).double()
    state = {n: t.half() for n, t in pretrained.gpt2_state(theirs.state_dict()).items()}
    pretrained.load(ours, state)
    assert all(p.dtype == torch.float64 for p in ours.parameters())
    torch.testing.assert_close(ours.embedding.weight, state["embedding.weight"].double())
