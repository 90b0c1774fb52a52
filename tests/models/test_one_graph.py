"""Every model compiles whole and reads no number: nothing in a forward pass waits for a GPU."""

import subprocess
import sys
from functools import partial

import pytest
import torch

from minitx.experts import SwitchFeedForward
from minitx.models import (
    BERT,
    GPT,
    T5,
    BERTConfig,
    GPTConfig,
    T5Config,
    Transformer,
    TransformerConfig,
)

V, T, C, H = 17, 7, 10, 2
SIZES = {"d_model": C, "num_heads": H, "d_ff": 13, "dropout": 0.0}
MODELS = {
    "GPT": lambda: GPT(GPTConfig(V, max_len=23, num_layers=2, **SIZES)),
    "GPT of experts": lambda: GPT(
        GPTConfig(V, max_len=23, num_layers=1, **SIZES,
                  feed_forward=partial(SwitchFeedForward, num_experts=3))
    ),
    "BERT": lambda: BERT(BERTConfig(V, max_len=23, num_layers=2, **SIZES)),
    "Transformer": lambda: Transformer(
        TransformerConfig(V, V, num_encoder_layers=1, num_decoder_layers=1, **SIZES)
    ),
    "T5": lambda: T5(T5Config(V, d_head=3, num_layers=1, **SIZES)),
}  # fmt: skip


def compile_whole(name):
    """Raises if there is a graph break, if a number is read, or if the outputs differ."""
    torch.manual_seed(0)
    model = MODELS[name]().eval()
    text = torch.randint(V, (2, T))
    given = (text, text) if name in ("Transformer", "T5") else (text,)
    torch._dynamo.reset()
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    want = model(*given)
    torch.testing.assert_close(compiled(*given), want, rtol=0, atol=0)
    assert model.to("meta")(*(t.to("meta") for t in given)).shape == want.shape


@pytest.fixture(scope="module")
def said():
    """In a process without the checked annotations, through which torch cannot look."""
    done = subprocess.run([sys.executable, __file__], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return dict(line.split(": ", 1) for line in done.stdout.splitlines())


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_a_model_compiles_whole_and_runs_on_meta(name, said):
    assert said[name] == "whole"


if __name__ == "__main__":
    for name in MODELS:
        try:
            compile_whole(name)
            print(f"{name}: whole")
        except Exception as error:
            print(f"{name}: {error!r}"[:500].replace("\n", " "))
