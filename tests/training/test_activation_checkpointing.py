"""Recomputed activations: the same gradients from fewer stored bytes."""

import re

import pytest
import torch
from torch import nn

from minitx.cache import KVCache
from minitx.models.seq2seq import Transformer, TransformerConfig
from minitx.training import checkpoint_activations

from . import toy


def new_transformer():
    torch.manual_seed(0)
    return Transformer(
        TransformerConfig(
            src_vocab_size=17, tgt_vocab_size=19, d_model=14, num_heads=2, num_encoder_layers=5,
            num_decoder_layers=3, d_ff=29, dropout=0.3,
        )
    )  # fmt: skip


def gpt_loss(model):
    return toy.loss_sum(model, toy.batch_at(0))[0]


def transformer_loss(model):
    src, tgt = torch.arange(2 * 13).view(2, 13) % 17, torch.arange(2 * 11).view(2, 11) % 19
    return model(src, tgt).logsumexp(dim=-1).sum()


CASES = pytest.mark.parametrize(
    ("new_model", "loss_of"),
    [(lambda: toy.new_model(dropout=0.3), gpt_loss), (new_transformer, transformer_loss)],
    ids=["gpt", "transformer"],
)


def loss_gradients_and_bytes(model, loss_of):
    stored = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        stored[storage.data_ptr()] = storage  # kept, so that no other one gets its address
        return tensor

    torch.manual_seed(1)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = loss_of(model)
    kept = sum(storage.nbytes() for storage in stored.values())
    loss.backward()
    return loss.detach(), [p.grad for p in model.parameters()], kept


@CASES
def test_same_gradients_from_fewer_bytes(new_model, loss_of):
    plain, thrifty = new_model(), new_model()
    checkpoint_activations(thrifty)
    loss, gradients, kept = loss_gradients_and_bytes(plain, loss_of)
    same_loss, same_gradients, less = loss_gradients_and_bytes(thrifty, loss_of)
    assert torch.equal(loss, same_loss)  # the same dropout is drawn
    # The very same operations: only the order in which gradients of shared weights add may differ.
    for got, want in zip(same_gradients, gradients, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-6, atol=1e-7)
    assert less < 0.5 * kept


@CASES
def test_it_can_be_taken_back_and_is_off_in_evaluation(new_model, loss_of):
    model = new_model()
    plain = loss_gradients_and_bytes(model, loss_of)[2]
    checkpoint_activations(model)
    assert loss_gradients_and_bytes(model, loss_of)[2] < plain
    checkpoint_activations(model, recompute=False)
    assert loss_gradients_and_bytes(model, loss_of)[2] == plain
    evaluated = loss_gradients_and_bytes(model.eval(), loss_of)[2]
    checkpoint_activations(model)
    assert loss_gradients_and_bytes(model, loss_of)[2] == evaluated


def test_names_and_caches_stay_as_they_are():
    model = toy.new_model()
    names = list(model.state_dict())
    checkpoint_activations(model)
    assert list(model.state_dict()) == names
    caches = [KVCache(), KVCache()]
    model.eval()(torch.arange(5)[None], caches=caches).sum().backward()
    assert [len(cache) for cache in caches] == [5, 5]  # computed once, appended once


def test_a_model_without_blocks(as_users_run):
    text = "Linear has no Encoder or Decoder to save memory in"
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        checkpoint_activations(nn.Linear(2, 3))
