"""Heads: what is told of where they look, and the model without some of them."""

import math
import re

import pytest
import torch
from torch import Tensor

from minitx.measure import heads
from minitx.measure.heads import Head
from minitx.models.seq2seq import Transformer, TransformerConfig


@pytest.fixture
def model() -> Transformer:
    torch.manual_seed(0)
    config = TransformerConfig(
        11, 13, d_model=12, num_heads=3, num_encoder_layers=2, num_decoder_layers=1, d_ff=16
    )
    return Transformer(config).eval()


SRC, TGT = torch.tensor([[2, 7, 1, 8, 2]]), torch.tensor([[0, 3, 1]])


def test_every_head_has_its_name(model: Transformer) -> None:
    named = [str(head) for head in heads.heads_of(model)]
    wanted = ["encoder 1", "encoder 2", "decoder 1", "cross 1"]
    assert named == [f"{place}.{number}" for place in wanted for number in (1, 2, 3)]
    assert heads.attentions(model)["encoder", 2] is model.encoder.blocks[1].attention
    assert heads.attentions(model)["decoder", 1] is model.decoder.blocks[0].self_attention
    assert heads.attentions(model)["cross", 1] is model.decoder.blocks[0].cross_attention


@pytest.mark.parametrize(
    "head", [Head("encoder", 2, 3), Head("decoder", 1, 1), Head("cross", 1, 2)]
)
def test_without_a_head_is_without_its_rows_of_the_output_matrix(
    model: Transformer, head: Head
) -> None:
    whole = model(SRC, TGT)
    with heads.without(model, [head]):
        silent = model(SRC, TGT)
    torch.testing.assert_close(model(SRC, TGT), whole, rtol=0, atol=0)  # whole again
    weight = heads.attentions(model)[head.kind, head.layer].out_proj.weight
    with torch.no_grad():
        weight[:, 4 * (head.number - 1) : 4 * head.number] = 0
    torch.testing.assert_close(silent, model(SRC, TGT))
    assert not torch.allclose(silent, whole)


def test_without_all_heads_the_source_is_not_heard(model: Transformer) -> None:
    cross = [head for head in heads.heads_of(model) if head.kind == "cross"]
    other = SRC.flip(1)
    assert not torch.allclose(model(SRC, TGT), model(other, TGT))
    with heads.without(model, cross):
        torch.testing.assert_close(model(SRC, TGT), model(other, TGT), rtol=0, atol=0)


def test_a_head_that_is_not_there(model: Transformer) -> None:
    unknown = [Head("cross", 1, 4), Head("decoder", 2, 1)]
    wanted = re.escape("it has no cross 1.4, decoder 2.1")
    with pytest.raises(ValueError, match=wanted), heads.without(model, unknown):
        pass


@pytest.mark.parametrize(("name", "offset"), [("previous", -1), ("itself", 0), ("next", 1)])
def test_places_are_counted_from_the_query(name: str, offset: int) -> None:
    table = torch.zeros(2, 5, 7)
    table[1].diagonal(offset=offset).fill_(0.5)
    shares = heads.places(table)
    torch.testing.assert_close(shares[name], torch.tensor([0.0, 0.5]))
    others = {"previous", "itself", "next"} - {name}
    assert all(float(shares[other][1]) == 0 for other in others)


def test_first_and_last_are_the_ends_of_the_keys() -> None:
    table = torch.zeros(1, 3, 5)
    table[0, :, 0], table[0, 1, 4] = 0.25, 0.75
    shares = heads.places(table)
    assert shares["first"].tolist() == [0.25]
    assert shares["last"].tolist() == [0.25]


def test_skipped_queries_are_not_counted() -> None:
    table = torch.tensor([[1.0, 0, 0], [0.25, 0.75, 0], [0.125, 0.375, 0.5]])[None]
    shares = {name: float(share) for name, share in heads.places(table, skip=1).items()}
    assert shares["first"] == (0.25 + 0.125) / 2
    assert shares["itself"] == (0.75 + 0.5) / 2
    assert shares["previous"] == (0.25 + 0.375) / 2
    assert shares["next"] == 0


def test_same_token_asks_only_queries_that_have_one() -> None:
    table = torch.tensor([[[0.5, 0.25, 0.25], [0.1, 0.2, 0.7], [0.0, 0.0, 1.0]]])
    tokens = ["a", "b", "a"]
    expected = (0.75 + 0.2 + 1.0) / 3
    torch.testing.assert_close(heads.same_token(table, tokens, tokens), torch.tensor([expected]))
    assert heads.same_token(table, tokens, ["c", "d", "e"]).isnan().all()


@pytest.mark.parametrize("n", [1, 2, 7])
def test_entropy_of_even_weights_is_the_logarithm_of_their_number(n: int) -> None:
    even = torch.full((3, n), 1 / n)
    torch.testing.assert_close(heads.entropy(even), torch.full((3,), math.log(n)))
    torch.testing.assert_close(heads.effective_keys(even), torch.full((3,), float(n)))


def test_no_weights_are_more_even_than_even_ones() -> None:
    torch.manual_seed(0)
    weights: Tensor = torch.randn(100, 5).softmax(-1)
    assert (heads.effective_keys(weights) <= 5).all()
    assert (heads.effective_keys(weights) > 1).all()
