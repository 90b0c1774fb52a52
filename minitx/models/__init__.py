"""Models: a frozen config and its assembly, one file each; published weights in `pretrained`."""

from minitx.models.bert import BERT, BERTConfig
from minitx.models.gpt import GPT, GPTConfig
from minitx.models.seq2seq import Transformer, TransformerConfig
from minitx.models.t5 import T5, T5Config

__all__ = [
    "BERT",
    "GPT",
    "T5",
    "BERTConfig",
    "GPTConfig",
    "T5Config",
    "Transformer",
    "TransformerConfig",
]
