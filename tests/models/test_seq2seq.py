"""The encoder-decoder of 2017: torch's with copied weights, and what the paper says around it."""

import math
import re

import pytest
import torch
from torch import nn

from minitx.cores import FullAttention
from minitx.masks import NO_MASK, padding
from minitx.models.seq2seq import Transformer, TransformerConfig
from minitx.positions import Learned, NoPosition, Rotary, T5Bias

from . import oracles
from .oracles import EXACT

B, T_src, T_tgt, H, D, F_, V_src, V_tgt = 2, 7, 5, 3, 4, 11, 19, 23
C = H * D
SIZES = {
    "src_vocab_size": V_src,
    "tgt_vocab_size": V_tgt,
    "d_model": C,
    "num_heads": H,
    "num_encoder_layers": 2,
    "num_decoder_layers": 3,
    "d_ff": F_,
}
SRC_MASK, TGT_MASK = padding([5, 7], max_len=T_src), padding([5, 4], max_len=T_tgt)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def config(**changes):
    return TransformerConfig(**(SIZES | changes))


def model(**changes):
    return oracles.randomise(Transformer(config(**changes)))


def tokens():
    return torch.randint(V_src, (B, T_src)), torch.randint(V_tgt, (B, T_tgt))


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")  # of a shortcut that is not taken
@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("pre_norm", [True, False])
def test_it_is_torchs_with_the_same_weights(pre_norm, masked):
    theirs = nn.Transformer(
        d_model=C,
        nhead=H,
        num_encoder_layers=2,
        num_decoder_layers=3,
        dim_feedforward=F_,
        dropout=0.0,
        batch_first=True,
        norm_first=pre_norm,
        dtype=torch.float64,
    )
    oracles.randomise(theirs).train()  # torch's shortcut for evaluation is another program
    ours = oracles.transformer(theirs, config(pre_norm=pre_norm, dropout=0.0))
    src, tgt = tokens()
    src_mask, tgt_mask = (SRC_MASK, TGT_MASK) if masked else (NO_MASK, NO_MASK)

    def embedded(token_ids, table, position):
        positions = torch.arange(token_ids.size(1))
        return math.sqrt(C) * table(token_ids) + position.table(positions)

    want = theirs(
        embedded(src, ours.src_embedding, ours.src_position),
        embedded(tgt, ours.tgt_embedding, ours.tgt_position),
        tgt_mask=torch.ones(T_tgt, T_tgt, dtype=torch.bool).triu(1),
        src_key_padding_mask=~src_mask.key_padding if masked else None,
        tgt_key_padding_mask=~tgt_mask.key_padding if masked else None,
        memory_key_padding_mask=~src_mask.key_padding if masked else None,
    )
    want = want @ ours.tgt_embedding.weight.T
    got = ours(src, tgt, src_mask=src_mask, tgt_mask=tgt_mask)
    torch.testing.assert_close(got, want, **EXACT)


POSITIONS = {
    "sinusoids": None,
    "learned": lambda: Learned(T_src, C),
    "rotary": lambda: Rotary(D),
    "buckets": lambda: T5Bias(H, num_buckets=8, max_distance=6),
}


@pytest.mark.parametrize("pre_norm", [True, False])
@pytest.mark.parametrize("position", POSITIONS)
def test_cached_decoding_equals_the_whole_at_every_position(position, pre_norm):
    transformer = model(pre_norm=pre_norm, position=POSITIONS[position])
    src, tgt = tokens()
    want = transformer(src, tgt, src_mask=SRC_MASK)
    with torch.no_grad():
        memory, caches = transformer.encode(src, mask=SRC_MASK), transformer.new_caches()
        outputs = [
            transformer.decode(part, memory, memory_mask=SRC_MASK, caches=caches)
            for part in tgt.split([2, 1, 1, 1], dim=1)
        ]
    torch.testing.assert_close(torch.cat(outputs, dim=1), want, **EXACT)


def test_who_sees_whom():
    """Source tokens see all of the source; target tokens see the source and what came before."""
    transformer = model(dropout=0.0)
    src, tgt = tokens()
    before = transformer.encode(src), transformer(src, tgt)
    other = src.clone()
    other[:, 6] = (other[:, 6] + 1) % V_src
    assert ((transformer.encode(other) - before[0]).abs().amax(dim=(0, 2)) > 1e-9).all()
    assert ((transformer(other, tgt) - before[1]).abs().amax(dim=(0, 2)) > 1e-9).all()
    for t in range(T_tgt):
        other = tgt.clone()
        other[:, t] = (other[:, t] + 1) % V_tgt
        changed = (transformer(src, other) - before[1]).abs().amax(dim=(0, 2)) > 1e-9
        assert changed.tolist() == [i >= t for i in range(T_tgt)]


def test_padding_of_the_source_changes_nothing():
    transformer = model()
    src, tgt = tokens()
    padded = transformer(src, tgt, src_mask=SRC_MASK)
    alone = transformer(src[:1, :5], tgt[:1])
    torch.testing.assert_close(padded[:1], alone, **EXACT)


def test_tables_are_shared_as_the_paper_says():
    separate = Transformer(config())
    assert separate.output.weight is separate.tgt_embedding.weight
    assert separate.src_embedding is not separate.tgt_embedding
    shared = Transformer(config(src_vocab_size=V_tgt, share_embeddings=True))
    assert shared.src_embedding is shared.tgt_embedding
    assert shared.output.weight is shared.src_embedding.weight


@pytest.mark.parametrize("share", [False, True])
def test_the_start(share):
    """With vocabularies far from the width: at V = C Glorot gives the tables the same size."""
    transformer = Transformer(
        TransformerConfig(
            src_vocab_size=5003 if share else 1009,
            tgt_vocab_size=5003,
            num_encoder_layers=1,
            num_decoder_layers=1,
            share_embeddings=share,
        )
    )
    for name, p in transformer.named_parameters():
        if "embedding" in name:
            # 1009 · 512 draws and more: the deviation of the deviation is 0.1 %.
            assert p.std().item() == pytest.approx(512**-0.5, rel=0.01)
            assert p.mean().abs() < 5 * 512**-0.5 / p.numel() ** 0.5
        elif p.dim() == 2:
            bound = math.sqrt(6 / sum(p.shape))  # Glorot & Bengio 2010, eq. 16
            assert 0.999 * bound < p.abs().max() <= bound
            assert p.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.01)
        elif name.endswith("bias"):
            assert (p == 0).all()
        else:
            assert name.endswith("norm.weight") and (p == 1).all()


def test_embeddings_start_at_the_size_of_the_sinusoids():
    """Times √C they have variance 1; a row of sines and cosines has mean square 1/2."""
    transformer = Transformer(config(d_model=512, num_heads=8, dropout=0.0, position=NoPosition))
    x = transformer._embed(
        torch.arange(V_src)[None],
        transformer.src_embedding,
        transformer.src_position,
        torch.zeros(1, V_src, dtype=torch.long),
    )
    assert x.var().item() == pytest.approx(1.0, rel=0.05)


def test_the_same_seed_gives_the_same_model_and_the_same_dropout():
    def run():
        torch.manual_seed(7)
        transformer = Transformer(config())
        src, tgt = tokens()
        return transformer(src, tgt)

    assert torch.equal(run(), run())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype):
    transformer = model()
    src, tgt = tokens()
    want = transformer(src, tgt)
    got = transformer.to(dtype)(src, tgt)
    assert got.dtype == dtype
    # Five blocks, each rounding some ten numbers of size one; logits are of size ten.
    assert (got - want).abs().max() < 64 * torch.finfo(dtype).eps * want.abs().max()


def test_a_core_of_ones_own():
    transformer = Transformer(config(core=FullAttention))
    cores = [m for m in transformer.modules() if isinstance(m, FullAttention)]
    assert len(cores) == 5  # the self-attentions of two and three blocks
    src, tgt = tokens()
    ours = transformer.eval()(src, tgt)
    other = Transformer(config()).eval()
    other.load_state_dict(transformer.state_dict())
    # float32, sums of some dozen numbers of size one.
    torch.testing.assert_close(ours, other(src, tgt), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_it_learns_one_batch():
    transformer = Transformer(config(dropout=0.0, pre_norm=True))
    optimiser = torch.optim.Adam(transformer.parameters(), lr=1e-2)
    src, tgt = tokens()
    for _ in range(150):
        logits = transformer(src, tgt[:, :-1])
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), tgt[:, 1:].flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert (
        loss < 0.05
    )  # it begins at log 23 = 3.1 or above; sixteen seeds end between 0.002 and 0.006


def test_a_table_cannot_be_shared_between_vocabularies_of_two_sizes():
    text = "shared embeddings need one vocabulary, got sizes 19 (source) and 23 (target)"
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        Transformer(config(share_embeddings=True))


@pytest.mark.parametrize("odd", [{"d_model": 14}, {"num_heads": 5}])
def test_sizes_that_do_not_fit(odd):
    sizes = SIZES | odd
    text = f"d_model ({sizes['d_model']}) must be divisible by num_heads ({sizes['num_heads']})"
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        Transformer(TransformerConfig(**sizes))
