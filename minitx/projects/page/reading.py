"""A translation of a model in the page, with what its attentions computed, for worked examples."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from minitx.data.vocabulary import BOS, EOS
from minitx.generate import TranslationDecoding, greedy
from minitx.models.seq2seq import Transformer
from minitx.projects.translation import Translator

NAMES = {"<bos>": "⟨start⟩", "<eos>": "⟨end⟩"}
PLACES = {  # kind: stack, attention, its name in a sentence
    "encoder": ("encoder", "attention", "encoder's self-attention"),
    "decoder": ("decoder", "self_attention", "decoder's masked self-attention"),
    "cross": ("decoder", "cross_attention", "cross-attention"),
}


class Read:
    """A translation, and what every attention computed from when it was read as a whole."""

    def __init__(
        self, translator: Translator, src: Tensor, tgt: Tensor, qkv: dict[str, tuple[Tensor, ...]]
    ) -> None:
        self.src_ids, self.tgt_ids, self.qkv = src, tgt, qkv
        self.src = [shown(translator.src.tokens[i]) for i in src[0]]
        self.tgt = [shown(translator.tgt.tokens[i]) for i in tgt[0]]
        self.inputs = ["⟨start⟩", *self.tgt[:-1]]
        self.rows = [f"{a} → {b}" for a, b in zip(self.inputs, self.tgt, strict=True)]

    @classmethod
    @torch.no_grad()
    def of(cls, translator: Translator, ids: Sequence[int]) -> "Read":
        """The translation of these source tokens; the end is added."""
        model = translator.model
        assert isinstance(model, Transformer)  # script.read makes no other
        src = torch.tensor([[*ids, EOS]])
        begin = torch.tensor([[BOS]])
        tgt = greedy(TranslationDecoding(model, src), begin, max_new_tokens=40, eos_id=EOS)
        qkv: dict[str, tuple[Tensor, ...]] = {}

        def note(at: str) -> Callable[[object, tuple[Tensor, ...]], None]:
            def keep(_: object, inputs: tuple[Tensor, ...]) -> None:
                qkv[at] = tuple(x[0] for x in inputs[:3])

            return keep

        handles = [
            core.register_forward_pre_hook(note(at))
            for at, core in model.named_modules()
            if at.endswith(".core")
        ]
        model(src, torch.cat([begin, tgt[:, :-1]], dim=1))
        for handle in handles:
            handle.remove()
        return cls(translator, src, tgt, qkv)

    def head(self, kind: str, layer: int, head: int) -> tuple[Tensor, Tensor, Tensor]:
        """q, k and v of one head; layers and heads are counted from 1."""
        stack, attention, _ = PLACES[kind]
        q, k, v = self.qkv[f"{stack}.blocks.{layer - 1}.{attention}.core"]
        return q[head - 1], k[head - 1], v[head - 1]


def written(read: Read) -> str:
    """The translation as it is written."""
    words = [word for word in read.tgt if word != "⟨end⟩"]
    return " ".join(words).replace(" -", "-")


def shown(token: str) -> str:
    """A token without the blank before it; the special ones by name."""
    return NAMES.get(token, token.strip())
