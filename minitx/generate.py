"""Writing text with a model that predicts the next token.

Each function takes a `Decoding`, a generation under way that remembers what it was fed, and asks
it again and again for the logits of the next token. What is computed from logits here, quotients
and sums of probabilities, is computed in float32 at least, whatever type the model has.

Shape letters: B batch, T length, V vocabulary, K beams.
"""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from minitx.cache import KVCache
from minitx.masks import NO_MASK, Mask
from minitx.models.gpt import GPT
from minitx.models.recurrent import Reading, RecurrentTranslator
from minitx.models.seq2seq import Transformer
from minitx.models.t5 import T5
from minitx.positions import positions_from


@runtime_checkable
class Decoding(Protocol):
    """A generation under way."""

    def feed(self, token_ids: Int[Tensor, "B T"]) -> Float[Tensor, "B V"]:
        """Add tokens to what was read so far; the logits of the token after them."""

    def reorder(self, rows: Int[Tensor, " B_new"]) -> None:
        """Go on with these sequences of the batch, in this order."""


class GPTDecoding:
    """Generation with a `GPT`, its keys and values cached.

    Args:
        model: in evaluation mode.
        is_token: False for the padding of the prompt, which stands at the left, as `left_padded`
            gives it; the first tokens fed must then be the whole prompt. None if all are tokens.

    Raises:
        ValueError: if the model is in training mode, or padding stands elsewhere; in `feed`, if
            is_token is not of the prompt's shape.
    """

    def __init__(self, model: GPT, *, is_token: Bool[Tensor, "B T"] | None = None) -> None:
        _require_evaluation(model)
        self.model = model
        self.caches = model.new_caches()
        # Columns of padding at the left of each text; they are no places in it.
        self.padding: Int[Tensor, "B 1"] | None = None
        self.is_token = is_token
        if is_token is not None:
            self.padding = (~is_token).sum(dim=1, keepdim=True)
            columns = positions_from(0, is_token.size(1), is_token.device)
            if not torch.equal(is_token, columns >= self.padding) or not is_token[:, -1].all():
                raise ValueError("is_token must be False at the left of a prompt and nowhere else")

    @torch.no_grad()
    def feed(self, token_ids: Int[Tensor, "B T"]) -> Float[Tensor, "B V"]:
        seen = len(self.caches[0])
        if not seen and self.is_token is not None and self.is_token.shape != token_ids.shape:
            raise ValueError(
                f"is_token must have the shape {tuple(token_ids.shape)} of the prompt, "
                f"got {tuple(self.is_token.shape)}"
            )
        columns = positions_from(0, seen + token_ids.size(1), token_ids.device)
        positions, mask = columns[:, seen:], NO_MASK
        if self.padding is not None:
            positions = (positions - self.padding).clamp(min=0)
            mask = Mask(key_padding=columns >= self.padding)
        logits = self.model(token_ids, mask=mask, caches=self.caches, positions=positions)
        return logits[:, -1]

    def reorder(self, rows: Int[Tensor, " B_new"]) -> None:
        for cache in self.caches:
            cache.reorder(rows)
        if self.padding is not None:
            self.padding = self.padding[rows]


class TranslationDecoding:
    """Generation with an encoder-decoder, its source read once, keys and values cached.

    Args:
        model: in evaluation mode.
        src: source tokens.
        src_mask: the source's padding.

    Raises:
        ValueError: if the model is in training mode, or src_mask holds another rule.
    """

    @torch.no_grad()
    def __init__(
        self, model: Transformer | T5, src: Int[Tensor, "B T_src"], *, src_mask: Mask = NO_MASK
    ) -> None:
        _require_evaluation(model)
        if not src_mask.rules <= {"key_padding"}:
            raise ValueError(
                f"src_mask may hold key_padding only, got {', '.join(sorted(src_mask.rules))}"
            )
        self.model = model
        self.memory = model.encode(src, mask=src_mask)
        self.memory_mask = src_mask
        self.caches: list[tuple[KVCache, KVCache]] = model.new_caches()
        self.sources = torch.arange(src.size(0), device=src.device)  # which one each row reads

    @torch.no_grad()
    def feed(self, token_ids: Int[Tensor, "B T"]) -> Float[Tensor, "B V"]:
        logits = self.model.decode(
            token_ids, self.memory, memory_mask=self.memory_mask, caches=self.caches
        )
        return logits[:, -1]

    def reorder(self, rows: Int[Tensor, " B_new"]) -> None:
        for own, _ in self.caches:
            own.reorder(rows)
        sources = self.sources[rows]
        if torch.equal(sources, self.sources):
            return  # the beams of a sentence change places among themselves: they read the same
        self.sources = sources
        for _, cross in self.caches:
            cross.reorder(rows)
        self.memory = self.memory[rows]
        if self.memory_mask.key_padding is not None:
            self.memory_mask = Mask(key_padding=self.memory_mask.key_padding[rows])


class RecurrentDecoding:
    """Generation with a `RecurrentTranslator`, its source read once, its state kept.

    Args:
        model: in evaluation mode.
        src: source tokens.
        src_mask: the source's padding.

    Raises:
        ValueError: if the model is in training mode, or src_mask holds another rule.
    """

    @torch.no_grad()
    def __init__(
        self,
        model: RecurrentTranslator,
        src: Int[Tensor, "B T_src"],
        *,
        src_mask: Mask = NO_MASK,
    ) -> None:
        _require_evaluation(model)
        self.model = model
        self.reading = model.encode(src, mask=src_mask)
        self.state = self.reading.start

    @torch.no_grad()
    def feed(self, token_ids: Int[Tensor, "B T"]) -> Float[Tensor, "B V"]:
        logits, self.state, _ = self.model.decode(token_ids, self.reading, state=self.state)
        return logits[:, -1]

    def reorder(self, rows: Int[Tensor, " B_new"]) -> None:
        self.state = self.state[rows]
        is_token = self.reading.is_token
        self.reading = Reading(
            self.reading.states[rows],
            self.reading.summary[rows],
            None if is_token is None else is_token[rows],
            self.reading.start[rows],
        )


def translation_decoding(
    model: Transformer | T5 | RecurrentTranslator,
    src: Int[Tensor, "B T_src"],
    *,
    src_mask: Mask = NO_MASK,
) -> Decoding:
    """The decoding for a model that translates, whichever it is; see the classes above."""
    if isinstance(model, RecurrentTranslator):
        return RecurrentDecoding(model, src, src_mask=src_mask)
    return TranslationDecoding(model, src, src_mask=src_mask)


def left_padded(
    prompts: list[list[int]], *, pad_id: int
) -> tuple[Int[Tensor, "B T"], Bool[Tensor, "B T"]]:
    """Prompts of different lengths as one batch that ends together; and where it is no padding.

    Raises:
        ValueError: if there is no prompt, or one is empty.

    >>> token_ids, is_token = left_padded([[5, 6, 7], [8]], pad_id=0)
    >>> token_ids
    tensor([[5, 6, 7],
            [0, 0, 8]])
    """
    if not prompts or not all(prompts):
        raise ValueError(f"every prompt needs a token, got {prompts}")
    longest = max(map(len, prompts))
    token_ids = [[pad_id] * (longest - len(prompt)) + prompt for prompt in prompts]
    is_token = [[False] * (longest - len(prompt)) + [True] * len(prompt) for prompt in prompts]
    return torch.tensor(token_ids), torch.tensor(is_token)


def greedy(
    decoding: Decoding,
    prompt: Int[Tensor, "B T"],
    *,
    max_new_tokens: int,
    eos_id: int | None = None,
) -> Int[Tensor, "B T_new"]:
    """The most probable token, again and again.

    Args:
        decoding: fresh.
        prompt: what is there already; at least one token.
        max_new_tokens: where to stop at the latest.
        eos_id: ends a sequence; it is filled up with eos_id until all have ended.

    Returns:
        The new tokens only.

    Raises:
        ValueError: if max_new_tokens is below 1.
    """
    return _extend(decoding, prompt, max_new_tokens, eos_id, lambda logits: logits.argmax(dim=-1))


def sample(
    decoding: Decoding,
    prompt: Int[Tensor, "B T"],
    *,
    max_new_tokens: int,
    eos_id: int | None = None,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: torch.Generator | None = None,
) -> Int[Tensor, "B T_new"]:
    """Tokens drawn at random, with the probabilities that `truncated` leaves.

    Args:
        decoding: fresh.
        prompt: what is there already; at least one token.
        max_new_tokens: where to stop at the latest.
        eos_id: ends a sequence; it is filled up with eos_id until all have ended.
        temperature: below 1 sharper, above 1 flatter.
        top_k: draw among this many tokens only.
        top_p: draw among the fewest tokens that have this probability together.
        generator: the source of chance; the same seed gives the same text.

    Returns:
        The new tokens only.

    Raises:
        ValueError: if a setting is out of range.
    """

    def choose(logits: Float[Tensor, "B V"]) -> Int[Tensor, " B"]:
        kept = truncated(logits, temperature=temperature, top_k=top_k, top_p=top_p)
        return torch.multinomial(kept.softmax(dim=-1), 1, generator=generator)[:, 0]

    return _extend(decoding, prompt, max_new_tokens, eos_id, choose)


def truncated(
    logits: Float[Tensor, "B V"],
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> Float[Tensor, "B V"]:
    """Logits divided by the temperature, and -inf for all tokens that may not be drawn.

    Ties at the edge of top_k all stay. top_p counts after top_k, keeps one token at least, and
    with 1 all. The result is in float32 at least.

    Raises:
        ValueError: if temperature is not above 0, top_k is below 1, or top_p not in (0, 1].

    Source: Fan et al. 2018, §5.1 (top-k); Holtzman et al. 2020, §3.1 (top-p).

    >>> truncated(torch.tensor([[0.5, 0.3, 0.2]]).log(), top_p=0.6).softmax(dim=-1)
    tensor([[0.6250, 0.3750, 0.0000]])
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be above 0, got {temperature}; for 0 use greedy")
    logits = _wide(logits) / temperature
    if top_k is not None:
        if top_k < 1:
            raise ValueError(f"top_k must be at least 1, got {top_k}")
        lowest = logits.topk(min(top_k, logits.size(-1))).values[:, -1:]
        logits = logits.masked_fill(logits < lowest, -torch.inf)
    if top_p is not None:
        if not 0 < top_p <= 1:
            raise ValueError(f"top_p must lie above 0 and up to 1, got {top_p}")
        if top_p == 1:  # rounded, the sum can reach 1 before the last token
            return logits
        probabilities, order = logits.softmax(dim=-1).sort(dim=-1, descending=True)
        # A token goes when those before it already have top_p: the first never does. Their sum
        # ends before it, for to add a token and take it away again is to round twice.
        before = F.pad(probabilities.cumsum(dim=-1)[:, :-1], (1, 0))
        beyond = before >= top_p
        logits = logits.masked_fill(torch.zeros_like(beyond).scatter(-1, order, beyond), -torch.inf)
    return logits


def beam_search(
    decoding: Decoding,
    prompt: Int[Tensor, "B T"],
    *,
    num_beams: int,
    max_new_tokens: int,
    eos_id: int,
    length_penalty: float = 0.6,
) -> tuple[Int[Tensor, "B T_new"], Float[Tensor, " B"]]:
    """The best finished sequence found when the K best beginnings are kept at every step.

        score = log probability / ((5 + T_new) / 6)^length_penalty

    At every step the 2K most probable candidates are looked at. Those that end count as finished,
    also where K others are more probable; the K best of the rest go on. So an end can be found
    that `greedy` would pass by, and with num_beams=1 the two differ.

    Args:
        decoding: fresh; it is asked about B·K sequences.
        prompt: what is there already; at least one token.
        num_beams: K.
        max_new_tokens: where to stop at the latest; what has no end by then counts as it is.
        eos_id: ends a sequence, counts as one of its tokens, and fills up shorter ones.
        length_penalty: 0 favours short sequences, 1 nearly none; 0.6 in the paper.

    Returns:
        The new tokens of the best sequence of each prompt, and its score, summed in float32 at
        least.

    Raises:
        ValueError: if num_beams or max_new_tokens is below 1, or length_penalty is negative.

    Source: Wu et al. 2016, §7, eq. 14, without its coverage penalty; Vaswani et al. 2017, §6.1.
    The 2K candidates are those of tensor2tensor; Hugging Face's code takes ends from among the K
    best only.
    """
    if num_beams < 1:
        raise ValueError(f"num_beams must be at least 1, got {num_beams}")
    if not length_penalty >= 0:
        raise ValueError(f"length_penalty must be at least 0, got {length_penalty}")
    _require_room(max_new_tokens)
    B, K = prompt.size(0), num_beams
    logits = decoding.feed(prompt)
    V = logits.size(-1)
    decoding.reorder(torch.arange(B, device=prompt.device).repeat_interleave(K))
    log_probs = _wide(logits).log_softmax(dim=-1).repeat_interleave(K, dim=0)
    # At first all K beams of a prompt are the same: only one of them may be extended.
    running = log_probs.new_full((B, K), -torch.inf)
    running[:, 0] = 0.0
    tokens = prompt.new_empty(B * K, 0)
    best_score = log_probs.new_full((B,), -torch.inf)
    best = prompt.new_full((B, max_new_tokens), eos_id)

    for length in range(1, max_new_tokens + 1):
        totals = (running[:, :, None] + log_probs.view(B, K, V)).flatten(1)
        # 2K candidates hold at least K that do not end: each beam has one end only.
        top, index = totals.topk(min(2 * K, K * V), dim=-1)
        rows, choice = index // V, index % V
        normalised = top / ((5 + length) / 6) ** length_penalty
        ends = (choice == eos_id) | (length == max_new_tokens)
        first_row = torch.arange(B, device=prompt.device)[:, None] * K

        finished, place = normalised.masked_fill(~ends, -torch.inf).max(dim=-1)
        better = finished > best_score
        source = (first_row + rows).gather(1, place[:, None])[:, 0]
        candidate = torch.cat([tokens[source], choice.gather(1, place[:, None])], dim=1)
        best[better, :length] = candidate[better]
        best_score = torch.where(better, finished, best_score)
        if length == max_new_tokens:
            break

        running, kept = top.masked_fill(ends, -torch.inf).topk(K, dim=-1)
        # No beginning can end above its own score at the greatest length: then all is decided.
        bound = running[:, 0] / ((5 + max_new_tokens) / 6) ** length_penalty
        if bool((bound <= best_score).all()):
            break
        source = (first_row + rows.gather(1, kept)).flatten()
        newest = choice.gather(1, kept).flatten()[:, None]
        tokens = torch.cat([tokens[source], newest], dim=1)
        decoding.reorder(source)
        log_probs = _wide(decoding.feed(newest)).log_softmax(dim=-1)
    return best, best_score


def _extend(
    decoding: Decoding,
    prompt: Int[Tensor, "B T"],
    max_new_tokens: int,
    eos_id: int | None,
    choose: Callable[[Float[Tensor, "B V"]], Int[Tensor, " B"]],
) -> Int[Tensor, "B T_new"]:
    _require_room(max_new_tokens)
    ended = torch.zeros(prompt.size(0), dtype=torch.bool, device=prompt.device)
    chosen: list[Tensor] = []
    newest = prompt
    for _ in range(max_new_tokens):
        token = choose(decoding.feed(newest))
        if eos_id is not None:
            token = token.masked_fill(ended, eos_id)
            ended = ended | (token == eos_id)
        chosen.append(token)
        if bool(ended.all()):
            break
        newest = token[:, None]
    return torch.stack(chosen, dim=1)


def _wide(logits: Tensor) -> Tensor:
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def _require_evaluation(model: nn.Module) -> None:
    if model.training:
        raise ValueError(
            f"{type(model).__name__} is in training mode, where dropout is heard: "
            "call model.eval() first"
        )


def _require_room(max_new_tokens: int) -> None:
    if max_new_tokens < 1:
        raise ValueError(f"max_new_tokens must be at least 1, got {max_new_tokens}")
