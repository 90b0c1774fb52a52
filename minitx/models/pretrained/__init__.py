"""Weights trained elsewhere: from Hugging Face's names and layouts to those of minitx.

    config = gpt2_config(theirs.config.to_dict())
    model = GPT(config)
    load(model, gpt2_state(theirs.state_dict()))

Every `…_config` reads a plain dict, as it stands in config.json, and every `…_state` is a pure
function from a dict of tensors to a dict of tensors: neither needs the transformers library. What
a table does not name keeps its name, and `load` reports it. One file per family, `names` and
`loading` for all.
"""

from minitx.models.pretrained.bert import BERT_HEADS, bert_config, bert_state
from minitx.models.pretrained.gpt2 import gpt2_config, gpt2_state
from minitx.models.pretrained.loading import load
from minitx.models.pretrained.t5 import t5_config, t5_state

__all__ = [
    "BERT_HEADS",
    "bert_config",
    "bert_state",
    "gpt2_config",
    "gpt2_state",
    "load",
    "t5_config",
    "t5_state",
]
