"""Models: a frozen config and its assembly, one file each; published weights in `pretrained`.

All are called alike: token ids first, then `mask: Mask` by name (`src_mask` and `tgt_mask` where
there are two texts), which says what is padding and may hold any other rule. A model that is causal
adds that itself. Configs check themselves when they are made (`config.validate`), and all blocks
are made by `parts.Parts`.

`compressive` and `longformer` are not models: a memory that any model with segment memories takes,
and an attention for an `EncoderBlock`.
"""

from minitx.models.bert import BERT, BERTConfig
from minitx.models.compressive import Compression, CompressiveMemory
from minitx.models.gpt import GPT, GPTConfig
from minitx.models.longformer import LongformerAttention
from minitx.models.recurrent import (
    AdditiveAttention,
    RecurrentTranslator,
    RecurrentTranslatorConfig,
)
from minitx.models.seq2seq import Transformer, TransformerConfig
from minitx.models.t5 import T5, T5Config

__all__ = [
    "BERT",
    "GPT",
    "T5",
    "AdditiveAttention",
    "BERTConfig",
    "Compression",
    "CompressiveMemory",
    "GPTConfig",
    "LongformerAttention",
    "RecurrentTranslator",
    "RecurrentTranslatorConfig",
    "T5Config",
    "Transformer",
    "TransformerConfig",
]
