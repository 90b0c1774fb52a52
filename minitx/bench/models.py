"""The contests of `minitx bench models`: attention, encoder-decoder, GPT."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minitx.bench import peers
from minitx.bench.contest import Contest, Start, Tensors
from minitx.layers import FeedForward, LayerNorm
from minitx.masks import causal
from minitx.models.gpt import GPT, GPTConfig
from minitx.models.pretrained import gpt2_state, load
from minitx.models.seq2seq import Transformer, TransformerConfig
from minitx.multihead import MultiHeadAttention

HUGGING_FACE = "Hugging Face GPT-2"


@dataclass(frozen=True)
class Sizes:
    """How large everything is.

    Args:
        B: batch.
        T: length in training.
        d_model: width.
        num_heads: heads.
        num_layers: blocks; of the encoder-decoder in each stack.
        vocab_size: of the GPT.
        context: tokens that are there when decoding ends.
        new_tokens: tokens decoded.
    """

    B: int
    T: int
    d_model: int
    num_heads: int
    num_layers: int
    vocab_size: int
    context: int
    new_tokens: int


SIZES = {
    "cpu": Sizes(8, 256, 256, 4, 4, 5003, 512, 16),
    "cuda": Sizes(16, 1024, 768, 12, 12, 50_257, 512, 64),
    "quick": Sizes(2, 64, 64, 4, 2, 503, 128, 4),
}


def contests(sizes: Sizes) -> list[Contest]:
    """All of them, in the order of the table."""
    return [
        *attention(sizes),
        *encoder_decoder(sizes),
        training(sizes),
        decoding(sizes),
        cache(sizes),
    ]


# --- attention ------------------------------------------------------------------------------


def attention(sizes: Sizes) -> list[Contest]:
    """`MultiHeadAttention` against torch's, without a mask."""
    B, T, C, H = sizes.B, sizes.T, sizes.d_model, sizes.num_heads

    def copy_weights(ours: nn.Module, theirs: nn.Module) -> None:
        assert isinstance(theirs, nn.MultiheadAttention)
        ours.load_state_dict(peers.attention_state(theirs))

    def inputs(random: torch.Generator) -> Tensors:
        return drawn((B, T, C), (B, T, C), random=random)

    def theirs(module: nn.Module, x: Tensor) -> Tensor:
        return module(x, x, x, need_weights=False)[0]

    return inference_and_training(
        Contest(
            name="attention",
            peer="torch.nn.MultiheadAttention",
            tokens=B * T,
            make_ours=lambda: MultiHeadAttention(C, H),
            make_theirs=lambda: nn.MultiheadAttention(C, H, batch_first=True),
            copy_weights=copy_weights,
            start_ours=forward(lambda module, x: module(x)),
            start_theirs=forward(theirs),
            inputs=inputs,
        )
    )


# --- encoder and decoder --------------------------------------------------------------------


def encoder_decoder(sizes: Sizes) -> list[Contest]:
    """The two stacks of `Transformer` against torch's, post-norm, without embeddings.

    With GELU, not ReLU: where rounding moves a number across ReLU's corner the gradient jumps,
    in float32 on either side, and no tolerance could tell that from a mistake.
    """
    C, H, L = sizes.d_model, sizes.num_heads, sizes.num_layers
    B, T = sizes.B, sizes.T // 4
    config = TransformerConfig(
        src_vocab_size=2,
        tgt_vocab_size=2,
        d_model=C,
        num_heads=H,
        num_encoder_layers=L,
        num_decoder_layers=L,
        d_ff=4 * C,
        dropout=0.0,
        feed_forward=partial(FeedForward, activation=F.gelu),
    )

    def make_ours() -> nn.Module:
        model = Transformer(config)
        # torch's stacks end with a norm after post-norm blocks, too.
        model.encoder.norm, model.decoder.norm = LayerNorm(C), LayerNorm(C)
        return model

    def make_theirs() -> nn.Module:
        return nn.Transformer(C, H, L, L, 4 * C, dropout=0.0, activation="gelu", batch_first=True)

    def copy_weights(ours: nn.Module, theirs: nn.Module) -> None:
        assert isinstance(theirs, nn.Transformer)
        load(ours, peers.transformer_state(theirs), may_miss=("src_", "tgt_"))

    def inputs(random: torch.Generator) -> Tensors:
        return drawn((B, T + 5, C), (B, T, C), (B, T, C), random=random)

    def ours(module: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        assert isinstance(module, Transformer)
        return module.decoder(y, module.encoder(x), mask=causal())

    def theirs(module: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(T, device=x.device, dtype=x.dtype)
        return module(x, y, tgt_mask=mask, tgt_is_causal=True)

    return inference_and_training(
        Contest(
            name="encoder-decoder",
            peer="torch.nn.Transformer",
            tokens=B * (2 * T + 5),
            make_ours=make_ours,
            make_theirs=make_theirs,
            copy_weights=copy_weights,
            start_ours=forward(ours),
            start_theirs=forward(theirs),
            inputs=inputs,
        )
    )


def forward(call: Callable[..., Tensor]) -> Start:
    """Only compute; in training mode also the gradients of all inputs and parameters.

    The last input is the gradient that the output gets.
    """

    def start(module: nn.Module) -> Callable[[Tensors], Callable[[], Tensors]]:
        def prepare(inputs: Tensors) -> Callable[[], Tensors]:
            *read, gradient = inputs
            if not module.training:
                return torch.no_grad()(lambda: (call(module, *read),))
            module.zero_grad()
            leaves = [x.clone().requires_grad_() for x in read]

            def timed() -> Tensors:
                output = call(module, *leaves)
                output.backward(gradient)
                return (output, *map(gradient_of, leaves))

            return timed

        return prepare

    return start


def drawn(*shapes: tuple[int, ...], random: torch.Generator) -> Tensors:
    """Random numbers of these shapes."""
    return tuple(torch.randn(shape, generator=random) for shape in shapes)


def inference_and_training(contest: Contest) -> list[Contest]:
    """The same without and with gradients."""
    return [
        replace(contest, name=f"{contest.name}, forward"),
        replace(contest, name=f"{contest.name}, forward and backward", training=True),
    ]


def gradient_of(x: Tensor) -> Tensor:
    assert x.grad is not None
    return x.grad


# --- GPT ------------------------------------------------------------------------------------


def gpt(sizes: Sizes) -> dict[str, Any]:
    """Both models of the contests with GPT-2."""
    C, H, L = sizes.d_model, sizes.num_heads, sizes.num_layers
    max_len = max(sizes.T, sizes.context)

    def make_theirs() -> nn.Module:
        from transformers import GPT2Config, GPT2LMHeadModel

        rates = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)
        config = GPT2Config(
            vocab_size=sizes.vocab_size, n_positions=max_len, n_embd=C, n_head=H, n_layer=L,
            bos_token_id=0, eos_token_id=0, attn_implementation="sdpa", **rates,
        )  # fmt: skip
        return GPT2LMHeadModel(config)

    config = GPTConfig(
        vocab_size=sizes.vocab_size, max_len=max_len, d_model=C, num_heads=H, num_layers=L,
        dropout=0.0,
    )  # fmt: skip
    return {
        "peer": HUGGING_FACE,
        "make_ours": lambda: GPT(config),
        "make_theirs": make_theirs,
        "copy_weights": lambda ours, theirs: load(ours, gpt2_state(theirs.state_dict())),
        "needs": "transformers",
    }


def training(sizes: Sizes) -> Contest:
    """One step: logits, loss, gradients, AdamW."""

    def inputs(random: torch.Generator) -> Tensors:
        text = torch.randint(sizes.vocab_size, (sizes.B, sizes.T + 1), generator=random)
        return text[:, :-1].contiguous(), text[:, 1:].contiguous()

    return Contest(
        name="GPT, training step",
        tokens=sizes.B * sizes.T,
        start_ours=training_step(lambda module, token_ids: module(token_ids)),
        start_theirs=training_step(lambda module, token_ids: module(token_ids).logits),
        inputs=inputs,
        training=True,
        **gpt(sizes),
    )


def training_step(logits_of: Callable[[nn.Module, Tensor], Tensor]) -> Start:
    def start(module: nn.Module) -> Callable[[Tensors], Callable[[], Tensors]]:
        optimiser = torch.optim.AdamW(module.parameters(), lr=1e-5)
        table = next(p for p in module.parameters() if p.dim() == 2)  # the token embedding

        def prepare(inputs: Tensors) -> Callable[[], Tensors]:
            token_ids, targets = inputs

            def timed() -> Tensors:
                optimiser.zero_grad()
                logits = logits_of(module, token_ids)
                loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
                loss.backward()
                optimiser.step()
                return loss, gradient_of(table)

            return timed

        return prepare

    return start


def decoding(sizes: Sizes) -> Contest:
    """The last tokens of a text, one at a time, keys and values of the earlier ones cached."""
    return Contest(
        name=f"GPT, decoding at {sizes.context} tokens",
        tokens=sizes.new_tokens,
        start_ours=cached_ours(sizes),
        start_theirs=cached_theirs(sizes),
        inputs=text_of(sizes),
        **gpt(sizes),
    )


def cache(sizes: Sizes) -> Contest:
    """The same with the cache and without."""
    models = gpt(sizes)
    return Contest(
        name=f"GPT, cache at {sizes.context} tokens",
        tokens=sizes.new_tokens,
        peer="minitx without a cache",
        make_ours=models["make_ours"],
        make_theirs=models["make_ours"],
        copy_weights=lambda ours, theirs: load(ours, theirs.state_dict()),
        start_ours=cached_ours(sizes),
        start_theirs=uncached(sizes),
        inputs=text_of(sizes),
    )


def text_of(sizes: Sizes) -> Callable[[torch.Generator], Tensors]:
    return lambda random: (torch.randint(sizes.vocab_size, (1, sizes.context), generator=random),)


def cached_ours(sizes: Sizes) -> Start:
    def start(module: nn.Module) -> Callable[[Tensors], Callable[[], Tensors]]:
        assert isinstance(module, GPT)

        @torch.no_grad()
        def prepare(inputs: Tensors) -> Callable[[], Tensors]:
            prompt, rest = split(inputs[0], sizes)
            caches = module.new_caches()
            module(prompt, caches=caches)
            return decode_steps(rest, lambda token: module(token, caches=caches))

        return prepare

    return start


def cached_theirs(sizes: Sizes) -> Start:
    def start(module: nn.Module) -> Callable[[Tensors], Callable[[], Tensors]]:
        @torch.no_grad()
        def prepare(inputs: Tensors) -> Callable[[], Tensors]:
            prompt, rest = split(inputs[0], sizes)
            past = module(prompt, use_cache=True).past_key_values
            return decode_steps(
                rest, lambda token: module(token, past_key_values=past, use_cache=True).logits
            )

        return prepare

    return start


def uncached(sizes: Sizes) -> Start:
    def start(module: nn.Module) -> Callable[[Tensors], Callable[[], Tensors]]:
        def prepare(inputs: Tensors) -> Callable[[], Tensors]:
            prompt, rest = split(inputs[0], sizes)
            read = [prompt]

            def next_logits(token: Tensor) -> Tensor:
                read.append(token)
                return module(torch.cat(read, dim=1))

            return decode_steps(rest, next_logits)

        return prepare

    return start


def split(text: Tensor, sizes: Sizes) -> tuple[Tensor, Tensor]:
    """What is there already; and what is decoded, token by token."""
    return text[:, : -sizes.new_tokens], text[:, -sizes.new_tokens :]


def decode_steps(rest: Tensor, next_logits: Callable[[Tensor], Tensor]) -> Callable[[], Tensors]:
    """Feed token after token, and choose the best after each.

    What is fed does not depend on what was chosen: with random weights two tokens can be all but
    equally good, and both sides must read the same text.
    """

    @torch.no_grad()
    def timed() -> Tensors:
        logits = []
        for t in range(rest.size(1)):
            logits.append(next_logits(rest[:, t : t + 1])[:, -1])
            logits[-1].argmax(dim=-1)
        return (torch.stack(logits),)

    return timed
