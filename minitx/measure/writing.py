"""Reading takes one pass, writing as many as there are tokens: counted, timed, compared."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor, nn

from minitx.measure import clock, operations
from minitx.measure.table import Table
from minitx.models.seq2seq import Transformer


@dataclass(frozen=True)
class Work:
    """What a decoder does in a call.

    Args:
        passes: how often it runs, one time after the other.
        places: tokens that go through it, all passes together.
        flop: operations of the matrix products, the encoder's included.
    """

    passes: int
    places: int
    flop: int


def work(decoder: nn.Module, run: Callable[[], object]) -> Work:
    """What this decoder does in run().

    Args:
        decoder: a stack; its first argument is (B, T, C).
        run: calls the model that it belongs to.

    >>> layer = nn.Linear(3, 5, bias=False)
    >>> work(layer, lambda: [layer(torch.ones(1, T, 3)) for T in (1, 2)])
    Work(passes=2, places=3, flop=90)
    """
    places: list[int] = []
    handle = decoder.register_forward_pre_hook(lambda _, args: places.append(args[0].size(1)))
    try:
        flop = operations.flop(run)
    finally:
        handle.remove()
    return Work(len(places), sum(places), flop)


@torch.no_grad()
def written(
    model: Transformer,
    src: Int[Tensor, "B T_src"],
    num_tokens: int,
    *,
    start_id: int,
    cached: bool,
) -> Int[Tensor, "B T"]:
    """So many tokens, each the most probable after those before it; no end stops it.

    Args:
        model: in evaluation mode.
        src: source tokens without padding.
        num_tokens: T, at least 1.
        start_id: what the decoder reads first.
        cached: whether keys and values are kept; if not, every pass reads all tokens again.
    """
    memory = model.encode(src)
    caches = model.new_caches() if cached else None
    read = torch.full_like(src[:, :1], start_id)
    for _ in range(num_tokens):
        newest = read[:, -1:] if cached else read
        logits = model.decode(newest, memory, caches=caches)
        read = torch.cat([read, logits[:, -1:].argmax(dim=-1)], dim=1)
    return read[:, 1:]


@torch.no_grad()
def differences(
    model: Transformer, src: Int[Tensor, "B T_src"], tgt: Int[Tensor, "B T_tgt"]
) -> list[float]:
    """At every position: how far logits from a cache are from those of one pass over all tokens.

    Args:
        model: in evaluation mode.
        src: source tokens without padding.
        tgt: what the decoder reads, the start token first.

    Returns:
        The largest difference of any logit, position by position.
    """
    memory = model.encode(src)
    whole = model.decode(tgt, memory)
    caches = model.new_caches()
    steps = [model.decode(column, memory, caches=caches) for column in tgt.split(1, dim=1)]
    apart = (torch.cat(steps, dim=1) - whole).abs().amax(dim=(0, 2))
    return [float(most) for most in apart]


def _ways(
    model: Transformer, src: Tensor, tgt: Tensor
) -> dict[str, Callable[[int], Int[Tensor, "B T"]]]:
    """The same T tokens, read at once as in training, or written one after the other."""
    start_id = int(tgt[0, 0])

    @torch.no_grad()
    def read(T: int) -> Tensor:
        return model.decode(tgt[:, :T], model.encode(src)).argmax(dim=-1)

    def write(cached: bool) -> Callable[[int], Tensor]:
        return lambda T: written(model, src, T, start_id=start_id, cached=cached)

    return {
        "read at once": read,
        "written, nothing kept": write(cached=False),
        "written, keys and values kept": write(cached=True),
    }


def table(
    model: Transformer, src: Int[Tensor, "B T_src"], tgt: Int[Tensor, "B T_tgt"], num_tokens: int
) -> Table:
    """Passes, places and operations for so many tokens, read at once or written.

    Args:
        model: in evaluation mode.
        src: source tokens without padding.
        tgt: what is read at once; its first token is where writing begins.
        num_tokens: of tgt, T.
    """
    rows = []
    for name, way in _ways(model, src, tgt).items():
        done = work(model.decoder, lambda way=way: way(num_tokens))  # type: ignore[misc]
        rows.append([f"{num_tokens} tokens {name}", done.passes, done.places, done.flop / 1e6])
    return Table(
        ["", "passes, one after another", "places computed", "MFLOP"], rows, ["", "d", ",d", ",.0f"]
    )


def milliseconds(
    model: Transformer,
    src: Int[Tensor, "B T_src"],
    tgt: Int[Tensor, "B T_tgt"],
    lengths: Sequence[int],
) -> dict[str, list[float]]:
    """How long the processor works at each of the three, for each number of tokens.

    Args:
        model: in evaluation mode.
        src: source tokens without padding.
        tgt: at least as long as the largest of lengths; its first token is where writing begins.
        lengths: numbers of tokens.
    """
    return clock.milliseconds(_ways(model, src, tgt), lambda T: [T], lengths, of_processor=True)
