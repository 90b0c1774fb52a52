"""The README's Python runs as it stands there."""

import re
from pathlib import Path

import pytest
import torch
import transformers

import minitx

README = (Path(minitx.__file__).parent.parent / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def names():
    """What all blocks leave behind, run one after the other; GPT-2 is a small one drawn here."""

    def drawn(name):
        assert name == "openai-community/gpt2"
        sizes = {"vocab_size": 41, "n_positions": 23, "n_embd": 24, "n_head": 3, "n_layer": 2}
        config = transformers.GPT2Config(**sizes, bos_token_id=0, eos_token_id=0)
        return transformers.GPT2LMHeadModel(config).eval()

    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transformers.GPT2LMHeadModel, "from_pretrained", drawn)
        torch.manual_seed(0)
        for block in BLOCKS:
            exec(compile(block, "README.md", "exec"), found)
    return found


def test_the_model_learns_and_writes(names):
    assert names["loss"] < 1.0  # it begins near log 256 = 5.5
    assert names["new"].shape == (1, 20)


def test_the_loaded_model_is_theirs(names):
    token_ids = torch.tensor([[3, 1, 4, 1, 5]])
    want = names["theirs"](token_ids).logits
    # float32, sums of some dozen numbers; logits are of size one.
    torch.testing.assert_close(names["gpt2"](token_ids), want, rtol=1e-5, atol=1e-5)


def test_the_map_names_what_is_there(names):
    """Every module that the line "which class is where" names can be imported."""
    line = next(line for line in README.splitlines() if line.startswith("Which class is where"))
    named = [name.removeprefix("minitx.") for name in re.findall(r"`([\w.]+)`", line)]
    assert len(named) >= 10
    for name in named:
        __import__(f"minitx.{name}")
