"""The number translator made of somebody's answers to exercises 2 to 6.

The answers stand alone: each is written against the library. Here the names by which one file
calls the library are exchanged for the answers of the files before it, so that the block of
chapter 6 holds the attention of chapter 3, which weighs by the softmax of chapter 2.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from minitx import functional
from minitx.data.batching import Batch, translation_batches
from minitx.data.vocabulary import BOS, EOS, PAD, Vocabulary
from minitx.masks import IGNORE, NO_MASK, Mask
from minitx.models.seq2seq import Transformer
from minitx.projects import learning, translation
from minitx.projects.settings import TranslationSettings
from minitx.projects.translation import Translator
from minitx.projects.translators import NUMBERS
from minitx.training import Processes
from minitx.training import train as train_loop

SETTINGS = replace(NUMBERS.settings, d_model=64, num_steps=600, max_lr=4e-3)
"""Half as wide as `minitx train numbers`: answers may be slower than the library."""

Answers = Mapping[str, dict[str, Any]]
"""From a chapter, "03", to the names that its file defines; the names are written to."""


@dataclass(frozen=True)
class Part:
    """One answer that the translator is made of.

    Args:
        exercise: "03.4".
        name: what it is called there.
        does: in the translator.
    """

    exercise: str
    name: str
    does: str

    @property
    def chapter(self) -> str:
        """ "03" for "03.4"."""
        return self.exercise[:2]

    @property
    def number(self) -> str:
        """ "3.4" for "03.4"."""
        return self.exercise.removeprefix("0")


PARTS = (
    Part("02.2", "attention_scores", "compares queries with keys"),
    Part("02.3", "masked_softmax", "makes weights of scores"),
    Part("02.4", "causal_mask", "hides what lies ahead"),
    Part("02.5", "padding_mask", "hides the padding"),
    Part("03.4", "MultiHeadSelfAttention", "is the attention within a sentence"),
    Part("03.5", "MultiHeadCrossAttention", "reads the memory"),
    Part("04.1", "sinusoidal_table", "marks the places"),
    Part("05.1", "layer_norm", "normalises after every sublayer"),
    Part("05.4", "FeedForward", "works on each place alone"),
    Part("05.5", "label_smoothed_loss", "is made small"),
    Part("06.2", "shift_right", "makes inputs and targets"),
    Part("06.3", "EncoderBlock", "is every layer of the encoder"),
    Part("06.4", "DecoderBlock", "is every layer of the decoder"),
    Part("06.5", "EncoderDecoder", "is the whole"),
)


class PartMissing(ValueError):
    """Some parts are not there."""


class PartWrong(ValueError):
    """The parts do not compute what the library's do."""


@dataclass(frozen=True)
class OwnTranslator:
    """A model made of answers, and how often each of them was called.

    Args:
        model: `EncoderDecoder`, from its parts.
        answers: as they were given.
        calls: by exercise; counted up while the model works.
    """

    model: nn.Module
    answers: Answers
    calls: dict[str, int]

    def answer(self, exercise: str) -> Callable[..., Any]:
        """The part that answers this exercise; each call is counted."""
        return _counted(self.answers, self.calls, exercise)

    @property
    def idle(self) -> list[Part]:
        """Parts that nobody has called so far.

        Still so after a training: others do the same themselves, as an attention does that
        computes its scores by hand. That is no mistake.
        """
        return [part for part in PARTS if not self.calls[part.exercise]]


def assembled(
    answers: Answers, settings: TranslationSettings, *, src_vocab_size: int, tgt_vocab_size: int
) -> OwnTranslator:
    """The parts put together; weights are drawn from the settings' seed.

    Args:
        answers: by chapter; must hold every name of `PARTS`.
        settings: sizes of the model.
        src_vocab_size: tokens of the source.
        tgt_vocab_size: tokens of the target.

    Raises:
        PartMissing: if a name of `PARTS` is not there; it says which, all of them.
    """
    gone = [part for part in PARTS if part.name not in answers.get(part.chapter, {})]
    if gone:
        raise PartMissing(missing(gone))
    calls = dict.fromkeys((part.exercise for part in PARTS), 0)
    answer = partial(_counted, answers, calls)
    answers["03"]["functional"] = _Functional(answer("02.2"), answer("02.3"))
    answers["06"] |= {
        "MultiHeadAttention": partial(_Attention, answer),
        "LayerNorm": partial(_LayerNorm, answer("05.1")),
        "FeedForward": answer("05.4"),
        "Sinusoidal": partial(_Sinusoidal, answer("04.1")),
        "encoder_block": partial(_EncoderBlock, answer("06.3")),
        "decoder_block": partial(_DecoderBlock, answer("06.4")),
    }
    with learning.first_weights_of(settings.seed):
        model = answer("06.5")(
            src_vocab_size,
            tgt_vocab_size,
            settings.d_model,
            settings.num_heads,
            4 * settings.d_model,
            settings.num_layers,
        )
        for name, parameter in model.named_parameters():  # as the library's model starts
            if "embedding" in name:
                nn.init.normal_(parameter, std=settings.d_model**-0.5)
            elif parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)
    return OwnTranslator(model, answers, calls)


def missing(parts: list[Part]) -> str:
    """What is missing, a line for each part, and what to do about it."""
    lines = [f"  Exercise {part.number}, {part.name}: it {part.does}." for part in parts]
    count = "One part is" if len(parts) == 1 else f"{len(parts)} parts are"
    return "\n".join([f"{count} not there yet:", *lines])


def trained(
    answers: Answers, settings: TranslationSettings = SETTINGS, *, progress: bool = False
) -> tuple[Translator, OwnTranslator]:
    """The number translator with these parts, trained here and now on the CPU.

    Returns:
        The library's model with the weights that the own one has learned, so that whatever can be
        done with a translator can be done with it; and the own one.

    Raises:
        PartMissing: if a part is not there.
        PartWrong: if the two models say different things with the same weights.
    """
    data = NUMBERS.split()
    pairs = NUMBERS.lessons(data.train)
    src = Vocabulary.of(NUMBERS.tokens(source) for source, _ in pairs)
    tgt = Vocabulary.of(NUMBERS.cut(target) for _, target in pairs)
    own = assembled(answers, settings, src_vocab_size=len(src), tgt_vocab_size=len(tgt))
    model = translation.model_of(settings, src_vocab_size=len(src), tgt_vocab_size=len(tgt))
    assert isinstance(model, Transformer)
    translator = Translator(NUMBERS, model.eval(), src, tgt)
    batch_at = translation_batches(
        [translator.ids(pair) for pair in pairs],
        batch_size=settings.batch_size,
        seed=settings.seed,
    )
    first = batch_at(0)
    train_loop(
        own.model,
        lambda model, batch: loss_sum(own, model, batch, smoothing=settings.smoothing),
        batch_at,
        learning.training_config(settings),
        group=Processes(rank=0, count=1, device=torch.device("cpu")),
        progress=progress,
    )
    model.load_state_dict(librarys_names(own.model.state_dict()))
    require_the_same(own.model, model, first)
    return translator, own


def loss_sum(
    own: OwnTranslator, model: nn.Module, batch: Batch, *, smoothing: float
) -> tuple[Tensor, Tensor]:
    """What is made small, and over how many tokens, by the own shift and the own loss."""
    words = batch.tgt_in[:, 1:]  # without the start token; the shift adds it again
    inputs, targets = own.answer("06.2")(words, BOS, EOS, PAD)
    logits = model(batch.src, inputs, _real(batch), inputs != PAD)
    tokens = (targets != IGNORE).sum()
    return own.answer("05.5")(logits, targets, smoothing) * tokens, tokens


def librarys_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of the own model under the names of `Transformer`.

    >>> [*librarys_names({"encoder.0.own.attention.own.q_proj.bias": torch.zeros(3)})]
    ['encoder.blocks.0.attention.q_proj.bias']
    """
    named = {}
    for name, weight in state.items():
        if ".reading." in name:
            continue  # the same parameters once more, as the cross-attention knows them
        name = name.replace(".own.", ".")
        for stack in ("encoder", "decoder"):
            name = name.replace(f"{stack}.", f"{stack}.blocks.", 1)
        named[name] = weight
    if "tgt_embedding.weight" in named:
        named["output.weight"] = named["tgt_embedding.weight"]
    return named


@torch.no_grad()
def require_the_same(own: nn.Module, model: Transformer, batch: Batch) -> None:
    """Raise PartWrong unless both models give the same logits for the words of a batch."""
    real = _real(batch)
    ours = own(batch.src, batch.tgt_in, real, batch.tgt_in != PAD)
    theirs = model(batch.src, batch.tgt_in, src_mask=Mask(key_padding=real))
    apart = float((ours - theirs)[batch.tgt_out != IGNORE].abs().max())
    if not apart < 1e-3:
        raise PartWrong(
            f"with the same weights your model and the library's differ by {apart:.2g} in a "
            "logit: let `minitx check` look at your parts"
        )


def _real(batch: Batch) -> Tensor:
    """True for the words of the sources."""
    return torch.arange(batch.src.size(1)) < batch.lengths[:, None]


def _counted(answers: Answers, calls: dict[str, int], exercise: str) -> Callable[..., Any]:
    """The answer to an exercise; each call is counted, and asks for the answer anew."""
    (part,) = (part for part in PARTS if part.exercise == exercise)

    def call(*args: Any, **kwargs: Any) -> Any:
        calls[exercise] += 1
        return answers[part.chapter][part.name](*args, **kwargs)

    return call


class _Functional:
    """`minitx.functional` with two functions exchanged."""

    def __init__(self, scores: Callable[..., Tensor], softmax: Callable[..., Tensor]) -> None:
        self._scores, self._softmax = scores, softmax

    def attention_scores(self, q: Tensor, k: Tensor) -> Tensor:
        return self._scores(q, k)

    def masked_softmax(self, scores: Tensor, allowed: Tensor | None = None) -> Tensor:
        if allowed is None:
            allowed = torch.ones(scores.shape[-2:], dtype=torch.bool)
        return self._softmax(scores, allowed)

    def __getattr__(self, name: str) -> Any:
        return getattr(functional, name)


class _Attention(nn.Module):
    """`MultiHeadAttention` from the two modules of chapter 3, which share their projections."""

    def __init__(
        self, answer: Callable[[str], Callable[..., Any]], d_model: int, num_heads: int
    ) -> None:
        super().__init__()
        self.answer = answer
        self.own = answer("03.4")(d_model, num_heads)
        self.reading = answer("03.5")(d_model, num_heads)
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            setattr(self.reading, name, getattr(self.own, name))

    def forward(
        self,
        x: Float[Tensor, "B T_q C"],
        memory: Float[Tensor, "B T_k C"] | None = None,
        *,
        mask: Mask = NO_MASK,
    ) -> Float[Tensor, "B T_q C"]:
        real = mask.key_padding
        lengths = None if real is None else real.sum(dim=1)
        if memory is not None:
            return self.reading(x, memory, lengths)
        T, allowed = x.size(1), None
        if mask.causal:
            allowed = self.answer("02.4")(T, T)
        if lengths is not None:
            words = self.answer("02.5")(lengths, T)[:, None]  # (B, 1, T)
            allowed = words if allowed is None else words & allowed
        return self.own(x, allowed)


class _LayerNorm(nn.Module):
    """The function of chapter 5 with its two vectors."""

    def __init__(self, norm: Callable[..., Tensor], d_model: int) -> None:
        super().__init__()
        self.norm = norm
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model))

    def forward(self, x: Float[Tensor, "*batch C"]) -> Float[Tensor, "*batch C"]:
        return self.norm(x, self.weight, self.bias)


class _Sinusoidal(nn.Module):
    """The table of chapter 4, added to embeddings."""

    def __init__(self, table: Callable[..., Tensor], d_model: int) -> None:
        super().__init__()
        self.table, self.d_model = table, d_model

    def embed(
        self, x: Float[Tensor, "B T C"], positions: Int[Tensor, "1 T"]
    ) -> Float[Tensor, "B T C"]:
        return x + self.table(positions[0], self.d_model)


class _EncoderBlock(nn.Module):
    """A block of exercise 6.3, called as exercise 6.5 calls it."""

    def __init__(self, block: Callable[..., nn.Module], *sizes: int) -> None:
        super().__init__()
        self.own = block(*sizes)

    def forward(self, x: Tensor, *, mask: Mask = NO_MASK) -> Tensor:
        return self.own(x, mask.key_padding)


class _DecoderBlock(nn.Module):
    """A block of exercise 6.4, called as exercise 6.5 calls it."""

    def __init__(self, block: Callable[..., nn.Module], *sizes: int) -> None:
        super().__init__()
        self.own = block(*sizes)

    def forward(
        self, x: Tensor, memory: Tensor, *, mask: Mask = NO_MASK, memory_mask: Mask = NO_MASK
    ) -> Tensor:
        return self.own(x, memory, mask.key_padding, memory_mask.key_padding)
