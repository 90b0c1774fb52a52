"""What every exported scheme of positions promises; a new one is tested by being exported."""

import importlib
import inspect
import pkgutil
import re

import pytest
import torch
from torch import Tensor

from minitx import positions
from minitx.cache import KVCache
from minitx.masks import Mask, causal
from minitx.models.gpt import GPT, GPTConfig
from minitx.multihead import MultiHeadAttention
from minitx.positions import Position, positions_from
from tests.no_float64 import NoFloat64

from . import oracles
from .oracles import EXACT

B, H, T_q, T_k, D, C = 2, 3, 5, 7, 4, 10
# By the argument's name.
SIZES = {"num_heads": H, "d_head": D, "d_model": C, "max_len": 23, "trained_len": 5, "stretch": 2}
AXES = ("num_heads", "d_head", "d_model")  # what a tensor can have a wrong size of
EXPORTED = {
    name: value
    for name in positions.__all__
    if isinstance(value := getattr(positions, name), type)
    and issubclass(value, Position)
    and value is not Position
}
MARKING = sorted(set(EXPORTED) - {"NoPosition"})
EMBEDDING = [n for n in MARKING if EXPORTED[n]._embed is not Position._embed]
IN_ATTENTION = [n for n in MARKING if n not in EMBEDDING]
# Two ways through its bias, chosen by what the positions are: they must be looked at.
READS_POSITIONS = {"TransformerXL"}


def required(name: str) -> list[str]:
    """The arguments without which a scheme cannot be made."""
    parameters = inspect.signature(EXPORTED[name]).parameters.values()
    needed = [p.name for p in parameters if p.default is p.empty]
    assert set(needed) <= set(SIZES), f"{name} needs {needed}: give defaults, or add to SIZES"
    return needed


def made(name: str, **sizes: int) -> Position:
    torch.manual_seed(0)
    return EXPORTED[name](**{n: {**SIZES, **sizes}[n] for n in required(name)})


def tensors(dtype=torch.float64, start=0):
    """Embeddings, queries, keys and where they stand: as a cache, as left padding."""
    random = torch.Generator().manual_seed(0)
    x, q, k = (
        torch.randn(*shape, generator=random, dtype=torch.float64).to(dtype)
        for shape in ((B, T_q, C), (B, H, T_q, D), (B, H, T_k, D))
    )
    q_pos = torch.tensor([[6, 7, 8, 9, 10], [0, 0, 1, 2, 3]])
    k_pos = torch.tensor([[4, 5, 6, 7, 8, 9, 10], [0, 0, 0, 0, 1, 2, 3]])
    return x, q, k, q_pos + start, k_pos + start


def through_all_doors(scheme: Position, x, q, k, q_pos, k_pos) -> list[Tensor]:
    bias = scheme.bias(q, k, q_pos, k_pos)
    out = [scheme.embed(x, q_pos), *scheme.rotate(q, k, q_pos, k_pos)]
    return out if bias is None else [*out, bias]


# --- one door, for the sizes it was made for ------------------------------------------------------


def test_every_scheme_is_exported_and_so_tested():
    for module in pkgutil.iter_modules(positions.__path__):
        for name, value in vars(importlib.import_module(f"minitx.positions.{module.name}")).items():
            if isinstance(value, type) and issubclass(value, Position) and value is not Position:
                assert name in EXPORTED, f"export {name} in minitx/positions/__init__.py"


@pytest.mark.parametrize("name", EXPORTED)
def test_a_scheme_enters_through_one_door(name):
    scheme = made(name)
    doors = ("_embed", "_rotate", "_bias")
    used = [d for d in doors if getattr(EXPORTED[name], d) is not getattr(Position, d)]
    assert len(used) == (name in MARKING)
    assert scheme.only_embeds == (used == ["_embed"])
    x, q, k, q_pos, k_pos = tensors(torch.float32)
    if used != ["_embed"]:
        assert scheme.embed(x, q_pos) is x
    if used != ["_rotate"]:
        assert scheme.rotate(q, k, q_pos, k_pos) == (q, k)
    if used != ["_bias"]:
        assert scheme.bias(q, k, q_pos, k_pos) is None


def test_a_door_is_not_to_be_overridden():
    text = "Mine must define _bias, not bias: Position's own makes sure that sizes fit"
    with pytest.raises(TypeError, match=f"^{re.escape(text)}$"):
        type("Mine", (Position,), {"bias": lambda self, q, k, q_pos, k_pos: None})


@pytest.mark.parametrize(
    ("name", "axis", "other"),
    [
        (name, axis, other)
        for name in EXPORTED
        for axis in AXES
        if axis in required(name)
        for other in (1, 2, 2 * SIZES[axis])
    ],
)
def test_a_size_that_does_not_fit_is_refused(name, axis, other, as_users_run):
    """Also where broadcasting would make it fit."""
    scheme = made(name)
    x, q, k, q_pos, k_pos = tensors(torch.float32)
    sizes = {**SIZES, axis: other}
    x = torch.randn(B, T_q, sizes["d_model"])
    q = torch.randn(B, sizes["num_heads"], T_q, sizes["d_head"])
    k = torch.randn(B, sizes["num_heads"], T_k, sizes["d_head"])
    text = f"{name} was made for {axis} {SIZES[axis]}, got {other}"
    calls = [lambda: scheme.embed(x, q_pos)]
    if axis != "d_model":
        calls = [lambda: scheme.rotate(q, k, q_pos, k_pos), lambda: scheme.bias(q, k, q_pos, k_pos)]
    for call in calls:
        with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
            call()


@pytest.mark.parametrize("name", EXPORTED)
@pytest.mark.parametrize("shape", [(1, 1), (B, 1), (1, T_q + 1), (B + 1, T_q), (T_q,)])
def test_there_is_one_position_per_token(name, shape, as_users_run):
    scheme, wrong = made(name), torch.zeros(shape, dtype=torch.long)
    x, q, k, _, k_pos = tensors(torch.float32)
    cases = [
        ("pos", T_q, lambda: scheme.embed(x, wrong)),
        ("q_pos", T_q, lambda: scheme.rotate(q, k, wrong, k_pos)),
        ("q_pos", T_q, lambda: scheme.bias(q, k, wrong, k_pos)),
        ("k_pos", T_q, lambda: scheme.rotate(k, q, k_pos, wrong)),
        ("k_pos", T_q, lambda: scheme.bias(k, q, k_pos, wrong)),
    ]
    for axis, T, call in cases:
        text = f"{axis} must have shape ({B} or 1, {T}), got {shape}"
        with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
            call()


@pytest.mark.parametrize(
    ("name", "size"), [(name, size) for name in EXPORTED for size in required(name)]
)
def test_a_size_below_one_is_refused(name, size):
    with pytest.raises(ValueError, match=f"^{size} must be at least 1, got 0$"):
        made(name, **{size: 0})


# --- what it does with them -----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", EXPORTED)
def test_dtypes(name, dtype):
    scheme = oracles.randomise(made(name)).to(dtype)
    low = tensors(dtype)
    got = through_all_doors(scheme, *low)
    # The very same, already rounded numbers, in float64.
    want = through_all_doors(scheme.double(), *(t.double() for t in low[:3]), *low[3:])
    for g, w in zip(got, want, strict=True):
        assert g.dtype == dtype
        # A few roundings of half an epsilon each, on numbers of size below ten.
        assert (g - w).abs().max() <= 16 * torch.finfo(dtype).eps


@pytest.mark.parametrize("name", sorted(set(EXPORTED) - {"Learned"}))
def test_far_away_all_is_as_exact_as_near(name):
    """An angle of 10⁵ radians in float32 is right to two digits only: it must not come to that."""
    scheme = oracles.randomise(made(name)).float()
    given = tensors(torch.float32, start=1_000_003)
    got = through_all_doors(scheme, *given)
    want = through_all_doors(scheme.double(), *(t.double() for t in given[:3]), *given[3:])
    for g, w in zip(got, want, strict=True):
        assert g.isfinite().all()
        assert (g - w).abs().max() <= 16 * torch.finfo(torch.float32).eps


@pytest.mark.parametrize("name", EXPORTED)
def test_sequences_of_a_batch_have_positions_of_their_own(name):
    scheme, given = oracles.randomise(made(name)), tensors()
    together = through_all_doors(scheme, *given)
    for b in range(B):
        alone = through_all_doors(scheme, *(t[b : b + 1] for t in given))
        for one, row in zip(alone, together, strict=True):
            torch.testing.assert_close(one, row[b : b + 1], **EXACT)


@pytest.mark.parametrize("name", EMBEDDING)
def test_every_token_is_marked_by_itself(name):
    scheme, (x, _, _, pos, _) = oracles.randomise(made(name)), tensors()
    marked = scheme.embed(x, pos)
    for t in range(T_q):
        torch.testing.assert_close(
            scheme.embed(x[:, t : t + 1], pos[:, t : t + 1]), marked[:, t : t + 1], **EXACT
        )
    assert (marked - x)[0, 0].sub((marked - x)[0, 1]).abs().max() > 1e-3  # places differ


def attention(name: str) -> MultiHeadAttention:
    return oracles.randomise(MultiHeadAttention(C, H, d_head=D, position=made(name)))


@pytest.mark.parametrize("name", IN_ATTENTION)
def test_only_the_distance_counts_in_attention(name):
    layer, x = attention(name), torch.randn(B, T_k, C, dtype=torch.float64)
    here, there = (layer(x, mask=causal(), positions=positions_from(s, T_k)) for s in (0, 1009))
    torch.testing.assert_close(here, there, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", IN_ATTENTION)
def test_order_counts(name):
    layer, x = attention(name), torch.randn(B, T_k, C, dtype=torch.float64)
    order = torch.tensor([2, 0, 1, 3, 4, 6, 5])  # not the reverse, of which ALiBi sees nothing
    assert (layer(x[:, order]) - layer(x)[:, order]).abs().max() > 1e-3


@pytest.mark.parametrize("name", IN_ATTENTION)
def test_a_cache_changes_nothing(name):
    layer, x = attention(name), torch.randn(B, T_k, C, dtype=torch.float64)
    cache, parts = KVCache(), x.split([3, 1, 1, 2], dim=1)
    got = torch.cat([layer(part, mask=causal(), cache=cache) for part in parts], dim=1)
    torch.testing.assert_close(got, layer(x, mask=causal()), **EXACT)


@pytest.mark.parametrize("name", IN_ATTENTION)
def test_padding_at_the_left_changes_nothing(name):
    layer, x = attention(name), torch.randn(1, T_q, C, dtype=torch.float64)
    padded = torch.cat([torch.randn(1, 2, C, dtype=torch.float64), x], dim=1)
    is_token = torch.arange(T_q + 2)[None] >= 2
    got = layer(
        padded, mask=causal() & Mask(key_padding=is_token),
        positions=(torch.arange(T_q + 2)[None] - 2).clamp(min=0),
    )  # fmt: skip
    torch.testing.assert_close(got[:, 2:], layer(x, mask=causal()), **EXACT)


# --- where it computes ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", EXPORTED)
def test_nothing_is_computed_in_float64_on_the_models_device(name):
    """What must be exact is made on the CPU, once; what is kept of it has another type."""
    scheme, given = made(name), tensors(torch.float32)
    kept = [*scheme.parameters(), *scheme.buffers()]
    assert all(tensor.dtype != torch.float64 for tensor in kept)
    torch.manual_seed(0)
    config = GPTConfig(
        vocab_size=17, max_len=23, d_model=H * D, num_heads=H, num_layers=1,
        position=lambda: made(name, d_model=H * D),
    )  # fmt: skip
    model = GPT(config)
    with NoFloat64():
        through_all_doors(scheme, *given)
        model(torch.arange(7)[None]).logsumexp(dim=-1).sum().backward()
        with pytest.raises(TypeError, match="in float64"):
            torch.ones(1).double()


@pytest.mark.parametrize("name", EXPORTED)
def test_it_is_stored_by_its_parameters_alone(name):
    scheme = made(name)
    assert set(scheme.state_dict()) == {n for n, _ in scheme.named_parameters()}


@pytest.mark.parametrize("name", EXPORTED)
def test_it_compiles_in_one_graph_and_reads_no_position(name, as_users_run):
    """A tensor on `meta` has no numbers: whoever looks at one there would wait for a GPU."""
    scheme, given = made(name), tensors(torch.float32)

    def compiled():
        torch._dynamo.reset()
        whole = torch.compile(through_all_doors, backend="eager", fullgraph=True)
        return whole(scheme, *given)

    def on_meta():
        return through_all_doors(made(name).to("meta"), *(t.to("meta") for t in given))

    if name in READS_POSITIONS:
        with pytest.raises(torch._dynamo.exc.Unsupported):
            compiled()
        with pytest.raises(RuntimeError, match="meta"):
            on_meta()
        return
    want = through_all_doors(scheme, *given)
    torch.testing.assert_close(compiled(), want, rtol=0, atol=0)
    assert [t.shape for t in on_meta()] == [t.shape for t in want]
