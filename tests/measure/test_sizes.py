"""Counted sizes are those of the models of this course, and the published ones."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from minitx import models
from minitx.cores import FullAttention
from minitx.data.vocabulary import Vocabulary, words
from minitx.measure import sizes
from minitx.projects import translation
from minitx.projects.translators import NUMBERS


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


def ours():
    pairs = NUMBERS.split().train
    vocabularies = [
        Vocabulary.of(NUMBERS.tokens(source) for source, _ in pairs),
        Vocabulary.of(words(target) for _, target in pairs),
    ]
    src, tgt = map(len, vocabularies)
    return translation.model_of(NUMBERS.settings, src_vocab_size=src, tgt_vocab_size=tgt)


def gpt(its):
    return models.GPT(
        models.GPTConfig(
            its.vocab_size, max_len={"GPT-2 (2019)": 1024, "GPT-3 (2020)": 2048}[its.name],
            d_model=its.d_model, num_heads=its.num_heads, num_layers=its.decoder, d_ff=its.d_ff,
        )
    )  # fmt: skip


@pytest.mark.parametrize("its", [sizes.GPT2, sizes.GPT3], ids=lambda its: its.name)
def test_a_gpt_has_as_many_parameters(its):
    with torch.device("meta"):
        assert its.parameters == count(gpt(its))


def test_the_encoder_decoders_have_as_many_parameters():
    with torch.device("meta"):
        base = models.Transformer(models.TransformerConfig.base())
    assert sizes.BASE.parameters == count(base)
    assert sizes.OURS.parameters == count(ours())


def test_published_numbers():
    """As Hugging Face counts them: bert-base-uncased with its pooler, gpt2-xl, Llama-3.1-8B."""
    assert sizes.BERT_BASE.parameters == 109_482_240
    assert sizes.GPT2.parameters == 1_557_611_200
    assert sizes.BERT_LARGE.parameters == 335_141_888
    assert sizes.GPT1.parameters == 116_534_784
    assert sizes.LLAMA.parameters == 8_030_261_248


def test_the_work_of_a_token_is_what_is_counted():
    T, V, C, H, F, L = 17, 31, 8, 2, 19, 3
    its = sizes.Sizes("tiny", 0, L, C, H, F, V)
    config = models.GPTConfig(
        V, max_len=T + 1, d_model=C, num_heads=H, num_layers=L, d_ff=F, core=FullAttention
    )
    model = models.GPT(config).eval()
    caches = model.new_caches()
    with torch.no_grad():
        model(torch.zeros(1, T, dtype=torch.long), caches=caches)
        with FlopCounterMode(display=False) as counter:
            model(torch.zeros(1, 1, dtype=torch.long), caches=caches)
    assert its.flop_per_token(length=T + 1) == counter.get_total_flops()


def test_the_work_of_writing_beside_an_encoder():
    T, V, C, H, F = 17, 31, 8, 2, 19
    its = sizes.Sizes("tiny", 2, 3, C, H, F, V)
    config = models.TransformerConfig(
        V, V, d_model=C, num_heads=H, num_encoder_layers=2, num_decoder_layers=3, d_ff=F,
        dropout=0.0, core=FullAttention,
    )  # fmt: skip
    model = models.Transformer(config).eval()
    for block in model.decoder.blocks:
        block.cross_attention.core = FullAttention()
    caches = model.new_caches()
    with torch.no_grad():
        memory = model.encode(torch.zeros(1, T + 1, dtype=torch.long))
        model.decode(torch.zeros(1, T, dtype=torch.long), memory, caches=caches)
        with FlopCounterMode(display=False) as counter:
            model.decode(torch.zeros(1, 1, dtype=torch.long), memory, caches=caches)
    assert its.flop_per_token(length=T + 1) == counter.get_total_flops()


def test_the_cache_is_what_is_kept():
    T, C, L = 5, 8, 3
    its = sizes.Sizes("tiny", 0, L, C, 2, 19, 31)
    config = models.GPTConfig(31, max_len=T, d_model=C, num_heads=2, num_layers=L, d_ff=19)
    model = models.GPT(config).eval()
    caches = model.new_caches()
    with torch.no_grad():
        model(torch.zeros(1, T, dtype=torch.long), caches=caches)
    kept = sum(t.numel() * sizes.BYTES for c in caches for t in c.entries()[:2])
    assert its.cache_bytes_per_token * T == kept


def test_the_table():
    rows = {row[0]: row[1:] for row in sizes.table().rows}
    assert rows["GPT-3 (2020)"] == ("175 G", "352 G", "349 GB", "4.72 MB")
    assert rows["BERT-base (2018)"][-1] is None


def test_heads_hold_the_matrices_of_all_attentions():
    with torch.device("meta"):
        base = models.Transformer(models.TransformerConfig.base())
    named = [
        parameter
        for name, parameter in base.named_parameters()
        if "attention." in name and name.endswith("weight") and parameter.dim() == 2
    ]
    assert sizes.BASE.attention_parameters == sum(parameter.numel() for parameter in named)
    (row,) = sizes.heads([sizes.LLAMA]).rows
    assert row[1:4] == (32, 8, 128)
    matrices = 32 * 2 * 4096 * (4096 + 1024)
    assert sizes.LLAMA.attention_parameters == matrices
    assert row[5] == matrices / 8_030_261_248


def test_what_is_said_is_near_what_is_counted():
    units = {"M": 1e6, "G": 1e9}
    for model in (
        sizes.BASE,
        sizes.BERT_BASE,
        sizes.BERT_LARGE,
        sizes.GPT1,
        sizes.GPT2,
        sizes.GPT3,
    ):
        number, unit = sizes.SAID[model.name].split()
        assert model.parameters == pytest.approx(float(number) * units[unit], rel=0.04)
    table = sizes.counted()
    assert [row[1] for row in table.rows] == ["6 + 6", "12", "24", "12", "48", "96"]
    assert table.rows[-1][-2:] == ("175 G", "175 G")
