"""The translator before 2017: a recurrent encoder, a recurrent decoder, and what lies between.

Shape letters: B batch, T_src and T_tgt lengths, C model width, D = 2C width of an encoder state,
A width of the score's hidden layer, V vocabulary of the target.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from minitx.functional import masked_softmax
from minitx.masks import NO_MASK, Mask
from minitx.models.config import validate


class AdditiveAttention(nn.Module):
    """One query looks things up among many keys; score by a network with one hidden layer.

        scores = tanh(query W_q + keys W_k) w
        context = softmax(scores) keys

    Args:
        d_query: width of a query.
        d_key: width of a key, which is its own value.
        d_hidden: A, width of the hidden layer.

    Source: Bahdanau et al. 2015, appendix A.1.2.
    """

    def __init__(self, d_query: int, d_key: int, d_hidden: int) -> None:
        super().__init__()
        self.q_proj = nn.Linear(d_query, d_hidden, bias=False)
        self.k_proj = nn.Linear(d_key, d_hidden, bias=False)
        self.score = nn.Linear(d_hidden, 1, bias=False)

    def forward(
        self,
        query: Float[Tensor, "B D_q"],
        keys: Float[Tensor, "B T D_k"],
        is_token: Bool[Tensor, "B T"] | None = None,
    ) -> tuple[Float[Tensor, "B D_k"], Float[Tensor, "B T"]]:
        """The context, and the weights it was mixed with.

        Args:
            query: one of each sequence.
            keys: what it is compared with.
            is_token: False where a key is padding; None if all are tokens.
        """
        hidden = torch.tanh(self.q_proj(query)[:, None] + self.k_proj(keys))
        scores = self.score(hidden).mT
        weights = masked_softmax(scores, None if is_token is None else is_token[:, None])
        return (weights @ keys)[:, 0], weights[:, 0]


@dataclass(frozen=True)
class RecurrentTranslatorConfig:
    """Sizes of a `RecurrentTranslator`.

    Args:
        src_vocab_size: tokens of the source language.
        tgt_vocab_size: V, tokens of the target language.
        d_model: C, width of the embeddings and of the decoder's state; an encoder's state has 2C.
        attention: whether the decoder looks back at all states of the encoder, or gets the last
            ones only.
    """

    src_vocab_size: int
    tgt_vocab_size: int
    d_model: int = 128
    attention: bool = True

    def __post_init__(self) -> None:
        validate(self)


@dataclass(frozen=True)
class Reading:
    """What the encoder has made of the sources.

    Args:
        states: one per source token, both directions side by side.
        summary: the last state of each direction: all there is without attention.
        is_token: False where a state is padding; None if all are tokens.
        start: the decoder's first state.
    """

    states: Float[Tensor, "B T_src D"]
    summary: Float[Tensor, "B D"]
    is_token: Bool[Tensor, "B T_src"] | None
    start: Float[Tensor, "B C"]


class RecurrentTranslator(nn.Module):
    """Encoder and decoder of gated recurrent units, with additive attention or without.

        context = attention(s, h) or the summary of h
        s ← GRU([embedding(y), context], s)
        logits = [s, context] W

    Args:
        config: sizes, and whether there is attention.

    Source: Bahdanau et al. 2015, §3 and appendix A; without attention Cho et al. 2014, §2.2, whose
    decoder gets the summary at every step, too. The paper's output layer, a maxout of state,
    context and last word, is one matrix here; the state before the step is the query, as there.

    >>> model = RecurrentTranslator(RecurrentTranslatorConfig(11, 13, d_model=8))
    >>> model(torch.tensor([[2, 7, 1, 8]]), torch.tensor([[0, 3, 1]])).shape
    torch.Size([1, 3, 13])
    """

    def __init__(self, config: RecurrentTranslatorConfig) -> None:
        super().__init__()
        self.config = config
        C = config.d_model
        self.src_embedding = nn.Embedding(config.src_vocab_size, C)
        self.tgt_embedding = nn.Embedding(config.tgt_vocab_size, C)
        self.encoder = nn.GRU(C, C, batch_first=True, bidirectional=True)
        self.start = nn.Linear(C, C)
        self.attention = AdditiveAttention(C, 2 * C, C) if config.attention else None
        self.decoder = nn.GRUCell(3 * C, C)
        self.output = nn.Linear(3 * C, config.tgt_vocab_size)

    def forward(
        self,
        src: Int[Tensor, "B T_src"],
        tgt: Int[Tensor, "B T_tgt"],
        *,
        src_mask: Mask = NO_MASK,
    ) -> Float[Tensor, "B T_tgt V"]:
        """Logits of every next target token, given the tokens before it.

        Args:
            src: source tokens.
            tgt: target tokens, beginning with the start token: the targets shifted by one.
            src_mask: the source's padding.
        """
        reading = self.encode(src, mask=src_mask)
        return self.decode(tgt, reading)[0]

    def encode(self, src: Int[Tensor, "B T_src"], *, mask: Mask = NO_MASK) -> Reading:
        """Read the sources, from both ends.

        Raises:
            ValueError: if mask holds another rule than key_padding, or padding that is not at the
                right.
        """
        is_token = _right_padding(mask, src)
        lengths = (
            torch.full((src.size(0),), src.size(1))
            if is_token is None
            else is_token.sum(dim=1).cpu()
        )
        packed = pack_padded_sequence(
            self.src_embedding(src), lengths, batch_first=True, enforce_sorted=False
        )
        states, last = self.encoder(packed)
        states, _ = pad_packed_sequence(states, batch_first=True, total_length=src.size(1))
        summary = torch.cat([last[0], last[1]], dim=-1)
        return Reading(states, summary, is_token, torch.tanh(self.start(last[1])))

    def decode(
        self,
        tgt: Int[Tensor, "B T_tgt"],
        reading: Reading,
        *,
        state: Float[Tensor, "B C"] | None = None,
    ) -> tuple[
        Float[Tensor, "B T_tgt V"], Float[Tensor, "B C"], Float[Tensor, "B T_tgt T_src"] | None
    ]:
        """One step after the other: logits, the state after the last, and the weights of each.

        Args:
            tgt: the newest target tokens.
            reading: what `encode` returned.
            state: after the tokens before tgt; None if tgt is all there is.

        Returns:
            The weights are None without attention.
        """
        s = reading.start if state is None else state
        context, logits, alignment = reading.summary, [], []
        for embedded in self.tgt_embedding(tgt).unbind(dim=1):
            if self.attention is not None:
                context, weights = self.attention(s, reading.states, reading.is_token)
                alignment.append(weights)
            s = self.decoder(torch.cat([embedded, context], dim=-1), s)
            logits.append(self.output(torch.cat([s, context], dim=-1)))
        return (
            torch.stack(logits, dim=1),
            s,
            torch.stack(alignment, dim=1) if alignment else None,
        )


def _right_padding(mask: Mask, src: Int[Tensor, "B T_src"]) -> Bool[Tensor, "B T_src"] | None:
    """Where src holds tokens, which must come first; None if all are tokens."""
    if not mask.rules <= {"key_padding"}:
        raise ValueError(f"src_mask may hold key_padding only, got {', '.join(sorted(mask.rules))}")
    is_token = mask.key_padding
    if is_token is None:
        return None
    is_token = is_token.to(src.device).expand(src.shape)
    if (is_token[:, 1:] & ~is_token[:, :-1]).any() or not is_token[:, 0].all():
        raise ValueError("a source's padding must be at its right, after at least one token")
    return is_token
