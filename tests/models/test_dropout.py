"""Where models drop: every application of dropout in one forward pass, in order, with its rate."""

from functools import partial

import pytest
import torch
from torch.nn import functional as F

from minitx import models
from minitx.cores import FullAttention
from minitx.layers import FeedForward

B, T_src, T_tgt, H, D, F_, V = 2, 7, 5, 3, 4, 11, 19
C = H * D
SIZES = {"d_model": C, "num_heads": H, "d_ff": F_}
RATE, ATTENTION_RATE = 0.25, 0.5  # no sum of the two is one of them


def applications(model, lengths, monkeypatch):
    """(shape, rate) of all that is dropped, attention weights by their shape (B, H, T_q, T_k)."""
    seen = []
    dropout, attention = F.dropout, F.scaled_dot_product_attention

    def noting_dropout(x, p=0.5, training=True, inplace=False):
        seen.append((tuple(x.shape), p if training else 0.0))
        return dropout(x, p, training, inplace)

    def noting_attention(q, k, v, dropout_p=0.0, **options):
        seen.append(((*q.shape[:3], k.size(2)), dropout_p))
        return attention(q, k, v, dropout_p=dropout_p, **options)

    with monkeypatch.context() as patch:
        patch.setattr(F, "dropout", noting_dropout)
        patch.setattr(F, "scaled_dot_product_attention", noting_attention)
        model(*(torch.randint(V, (B, T)) for T in lengths))
    return [(shape, rate) for shape, rate in seen if rate]


def gpt(**options):
    return models.GPT(models.GPTConfig(V, max_len=T_src, num_layers=2, **SIZES, **options))


def bert(**options):
    return models.BERT(models.BERTConfig(V, max_len=T_src, num_layers=2, **SIZES, **options))


def transformer(**options):
    return models.Transformer(
        models.TransformerConfig(
            V, V, num_encoder_layers=2, num_decoder_layers=2, **SIZES, **options
        )
    )


def t5(**options):
    return models.T5(models.T5Config(V, d_head=D, num_layers=2, **SIZES, **options))


def states(T):
    """What goes along the residual connections: the embeddings, and what each sublayer gives."""
    return ((B, T, C), RATE)


def inner(T):
    return ((B, T, F_), RATE)


def weights(T_q, T_k):
    return ((B, H, T_q, T_k), ATTENTION_RATE)


def encoder_block(T):
    return [weights(T, T), states(T), inner(T), states(T)]


def decoder_block(T, T_k):
    return [weights(T, T), states(T), weights(T, T_k), *[states(T), inner(T), states(T)]]


# GPT-2 and BERT do not drop inside the feed-forward network; T5 drops once more after each stack.
ONE_STACK = [states(T_src), *2 * [weights(T_src, T_src), states(T_src), states(T_src)]]
ENCODER = [states(T_src), *2 * encoder_block(T_src)]
DECODER = [states(T_tgt), *2 * decoder_block(T_tgt, T_src)]
PLACES = {  # every exported model: how to make it, what it reads, what it drops
    "GPT": (gpt, [T_src], ONE_STACK),
    "BERT": (bert, [T_src], ONE_STACK),
    "Transformer": (transformer, [T_src, T_tgt], [*ENCODER, *DECODER]),
    "T5": (t5, [T_src, T_tgt], [*ENCODER, states(T_src), *DECODER, states(T_tgt)]),
}


def test_every_model_is_here():
    configs = {name: getattr(models, name) for name in models.__all__ if name.endswith("Config")}
    dropping = {name for name, config in configs.items() if hasattr(config, "dropout")}
    assert set(PLACES) == {name.removesuffix("Config") for name in dropping}


@pytest.mark.parametrize("name", PLACES)
def test_where_and_how_much(name, monkeypatch):
    make, lengths, places = PLACES[name]
    model = make(dropout=RATE, attention_dropout=ATTENTION_RATE)
    assert applications(model, lengths, monkeypatch) == places
    assert applications(model.eval(), lengths, monkeypatch) == []


@pytest.mark.parametrize("name", PLACES)
def test_one_rate_is_for_both(name, monkeypatch):
    make, lengths, places = PLACES[name]
    want = [(shape, RATE) for shape, _ in places]
    assert applications(make(dropout=RATE), lengths, monkeypatch) == want


def test_a_feed_forward_network_of_ones_own_drops_as_much(monkeypatch):
    _, lengths, places = PLACES["Transformer"]
    model = transformer(
        dropout=RATE,
        attention_dropout=ATTENTION_RATE,
        feed_forward=partial(FeedForward, activation=F.gelu),
    )
    assert applications(model, lengths, monkeypatch) == places


@pytest.mark.parametrize("name", PLACES)
def test_each_rate_can_be_0_alone(name, monkeypatch):
    make, lengths, places = PLACES[name]
    for rates in ({"dropout": 0.0}, {"attention_dropout": 0.0}):
        model = make(**({"dropout": RATE, "attention_dropout": ATTENTION_RATE} | rates))
        kept = ATTENTION_RATE if "dropout" in rates else RATE
        want = [(shape, rate) for shape, rate in places if rate == kept]
        assert applications(model, lengths, monkeypatch) == want


@pytest.mark.parametrize("name", PLACES)
def test_a_core_of_ones_own_drops_as_much(name, monkeypatch):
    make, lengths, places = PLACES[name]
    model = make(dropout=RATE, attention_dropout=ATTENTION_RATE, core=FullAttention)
    assert any(isinstance(module, FullAttention) for module in model.modules())
    assert applications(model, lengths, monkeypatch) == places
