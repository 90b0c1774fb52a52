"""Which source tokens a translator looked at when it wrote each of its own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from minitx.data.vocabulary import BOS, EOS
from minitx.generate import greedy, translation_decoding
from minitx.models.recurrent import RecurrentTranslator
from minitx.projects.translation import Translator

END = "⟨end⟩"


@dataclass(frozen=True)
class Alignment:
    """A translation and the cross-attention from which it was made.

    Args:
        source: the tokens read, and the end.
        target: the tokens written, and the end if they have one.
        weights: of every block and head, one row per token written.
    """

    source: list[str]
    target: list[str]
    weights: Float[Tensor, "L H T_tgt T_src"]

    @property
    def text(self) -> str:
        """The translation."""
        return "".join(token for token in self.target if token != END)


@torch.no_grad()
def align(translator: Translator, text: str, *, max_new_tokens: int = 40) -> Alignment:
    """Translate text, then let the decoder read its own translation and watch its attention.

    Raises:
        ValueError: if text cannot be read, or holds what was never seen in training, or the
            translator has no attention.
    """
    model = translator.model
    device = next(model.parameters()).device
    src = torch.tensor([[*translator.encode(text), EOS]], device=device)
    begin = torch.tensor([[BOS]], device=device)
    written = greedy(
        translation_decoding(model, src), begin, max_new_tokens=max_new_tokens, eos_id=EOS
    )
    read = torch.cat([begin, written[:, :-1]], dim=1)
    if isinstance(model, RecurrentTranslator):
        weights = recurrent_weights(model, src, read)
    else:
        weights = attention_weights(
            [block.get_submodule("cross_attention.core") for block in model.decoder.blocks],
            lambda: model(src, read),
        )
    return Alignment(
        [translator.src.tokens[i].strip() or "␣" for i in src[0, :-1]] + [END],
        [*translator.tgt.decode(written[0].tolist()), END][: written.size(1)],
        torch.cat(weights),
    )


def recurrent_weights(
    model: RecurrentTranslator, src: Int[Tensor, "B T_src"], tgt: Int[Tensor, "B T_tgt"]
) -> list[Float[Tensor, "B 1 T_tgt T_src"]]:
    """The weights of every step, as those of one block with one head.

    Raises:
        ValueError: if the translator has no attention.
    """
    _, _, weights = model.decode(tgt, model.encode(src))
    if weights is None:
        raise ValueError("this translator has no attention, so there is nothing to align")
    return [weights[:, None]]


def attention_weights(
    cores: Sequence[nn.Module], call: Callable[[], object]
) -> list[Float[Tensor, "B H T_q T_k"]]:
    """The weights that each core used in a call, whatever kernel it runs on.

    A core is linear in its values: given v = I, what comes out are the weights themselves.

    Args:
        cores: of kind `AttentionCore`; each is called once.
        call: runs the model they belong to.
    """
    weights = []

    def ask_again(core: nn.Module, qkv: tuple[Any, ...], rules: dict[str, Any]) -> None:
        q, k, _ = qkv
        B, H, T_k, _ = k.shape
        identity = torch.eye(T_k, dtype=q.dtype, device=q.device).expand(B, H, T_k, T_k)
        weights.append(core.forward(q, k, identity, **rules))

    handles = [core.register_forward_pre_hook(ask_again, with_kwargs=True) for core in cores]
    try:
        call()
    finally:
        for handle in handles:
            handle.remove()
    return weights


def draw(alignment: Alignment, path: Path) -> None:
    """A picture of the last block's attention, averaged over its heads."""
    import matplotlib.pyplot as plt

    from minitx import viz

    figure = viz.alignment(
        alignment.weights[-1].mean(dim=0).clamp(0, 1),
        source=alignment.source,
        target=[token.strip() or "␣" for token in alignment.target],
        title="cross-attention, last block, mean of the heads",
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    plt.close(figure)
