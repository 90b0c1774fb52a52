"""The numbers of parameters that the papers print, without the memory they would take."""

import resource

import pytest
import torch
from torch import nn

from minitx.layers import count_parameters
from minitx.models.bert import BERT, BERTConfig
from minitx.models.gpt import GPT, GPTConfig
from minitx.models.seq2seq import Transformer, TransformerConfig
from minitx.models.t5 import T5, T5Config


def transformer_of_2017():
    C, F, V = 512, 2048, 37_000
    attention, feed_forward, norm = 4 * C**2 + 4 * C, 2 * C * F + C + F, 2 * C
    encoder, decoder = attention + feed_forward + 2 * norm, 2 * attention + feed_forward + 3 * norm
    return V * C + 6 * encoder + 6 * decoder


def gpt(V, T, C, L):
    block = 4 * C**2 + 4 * C + 8 * C**2 + 5 * C + 4 * C
    return V * C + T * C + L * block + 2 * C


MODELS = {  # how to make it, what its formula gives, what its paper says, how exact that is
    "the base model of 2017": (
        lambda: Transformer(TransformerConfig.base()),
        transformer_of_2017(),
        65e6,
        0.03,
    ),
    "GPT-2 small": (lambda: GPT(GPTConfig.gpt2()), gpt(50_257, 1024, 768, 12), 124e6, 0.005),
    "GPT-3": (lambda: GPT(GPTConfig.gpt3()), gpt(50_257, 2048, 12_288, 96), 175e9, 0.005),
    "BERT-base": (lambda: BERT(BERTConfig.base()), None, 110e6, 0.005),
    "T5-small": (lambda: T5(T5Config.small()), None, 60e6, 0.01),
}


@pytest.mark.parametrize("name", MODELS)
def test_sizes_of_the_papers(name):
    make, formula, printed, share = MODELS[name]
    count = count_parameters(make)
    assert count == pytest.approx(printed, rel=share)
    assert formula in (None, count)


def test_a_tensor_used_twice_counts_once():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(5, 7, bias=False)
            self.second = nn.Linear(5, 7)
            self.second.weight = self.first.weight

    assert count_parameters(Tied) == 35 + 7


def test_nothing_is_made_and_no_chance_is_used():
    before = torch.get_rng_state()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    count_parameters(lambda: GPT(GPTConfig.gpt3()))
    assert torch.equal(torch.get_rng_state(), before)
    # ru_maxrss is in KiB on Linux; 175 billion numbers would take 700 GB.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 500_000
    assert torch.zeros(1).device.type == "cpu"
