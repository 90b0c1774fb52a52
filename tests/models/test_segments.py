"""Segment memory and compressive memory: a long text read in pieces."""

import re

import pytest
import torch

from minitx.blocks import EncoderBlock
from minitx.cache import KVCache, SegmentMemory
from minitx.cores import FullAttention
from minitx.layers import FeedForward, LayerNorm
from minitx.masks import Mask, causal
from minitx.models.compressive import Compression, CompressiveMemory, reconstruction_loss
from minitx.models.gpt import GPT, GPTConfig
from minitx.multihead import MultiHeadAttention
from minitx.positions import TransformerXL
from minitx.training.activation_checkpointing import checkpoint_activations

from . import oracles
from .oracles import EXACT

B, H, D, L, V, S = 2, 3, 4, 3, 17, 5
C = H * D


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def numbered(*numbers):
    """States that say which position they are."""
    return torch.tensor(numbers, dtype=torch.float64)[None, :, None].expand(B, -1, 2)


def held(memory):
    assert torch.equal(memory.states[0], memory.states[1])
    return memory.states[0, :, 0].tolist()


# --- what is kept --------------------------------------------------------------------------------


def test_the_newest_are_kept_in_order():
    memory = SegmentMemory(5)
    assert memory.states is None and len(memory) == 0
    for segment, want in [
        ([0, 1, 2], [0, 1, 2]),
        ([3, 4, 5], [1, 2, 3, 4, 5]),
        (range(6, 14), [9, 10, 11, 12, 13]),
    ]:
        memory.append(numbered(*segment))
        assert held(memory) == want and len(memory) == len(want)


def test_what_is_kept_has_no_history_and_is_not_written_to():
    memory, x = SegmentMemory(3), torch.randn(B, 2, C, requires_grad=True)
    memory.append(x * 2)
    before = memory.states
    assert not before.requires_grad
    copy = before.clone()
    memory.append(torch.randn(B, 2, C))
    assert torch.equal(before, copy)


def test_compressed_in_order_and_nothing_lost():
    memory = CompressiveMemory(4, 3, Compression(3))
    memory.append(numbered(0, 1, 2, 3, 4))
    assert held(memory) == [0, 1, 2, 3, 4] and memory.evicted is None  # one waits for two more
    memory.append(numbered(5, 6))
    assert held(memory) == [1, 3, 4, 5, 6]  # 0, 1 and 2 are one
    assert memory.evicted[0, :, 0].tolist() == [0, 1, 2]
    memory.append(numbered(*range(7, 15)))  # 3 … 14 are there: 3 to 8 and 9, 10, 11 … wait
    assert held(memory) == [1, 4, 7, 9, 10, 11, 12, 13, 14]
    memory.append(numbered(*range(15, 21)))
    assert held(memory) == [7, 10, 13, 15, 16, 17, 18, 19, 20]  # the oldest compressed one is gone
    assert len(memory) == 9


@pytest.mark.parametrize("kind", ["mean", "max", "conv"])
def test_compression_of_groups(kind):
    x = torch.randn(B, 7, C)
    layer = Compression(3, kind=kind, d_model=C if kind == "conv" else None)
    got = layer(x)
    assert got.shape == (B, 2, C)
    for group in range(2):
        states = x[:, 3 * group : 3 * group + 3]
        if kind == "conv":
            want = torch.einsum("bti,oit->bo", states, layer.conv.weight) + layer.conv.bias
        else:
            want = states.mean(dim=1) if kind == "mean" else states.amax(dim=1)
        torch.testing.assert_close(got[:, group], want)


# --- read in pieces ------------------------------------------------------------------------------


def stack(pre_norm=True, **options):
    return GPTConfig(
        vocab_size=V, d_model=C, num_heads=H, num_layers=L, d_ff=11, dropout=0.0,
        position=lambda: TransformerXL(H, D), **options,
    )  # fmt: skip


def gpt(**options):
    return oracles.randomise(GPT(stack(**options)))


def seen(T, size, memory):
    """Row by row: a token sees its segment up to itself, and `memory` positions before that."""
    table = torch.zeros(T, T, dtype=torch.bool)
    for i in range(T):
        start = i // size * size
        table[i, max(0, start - memory) : i + 1] = True
    return table[None, None]


def in_pieces(model, token_ids, memory, size=S):
    memories = model.new_memories(memory)
    assert len(memories) == L
    return torch.cat([model(part, memories=memories) for part in token_ids.split(size, 1)], 1)


@pytest.mark.parametrize("memory", [2, 5, 7, 100])
@pytest.mark.parametrize("num_kv_heads", [H, 1])
def test_segment_by_segment_is_one_long_pass_with_a_mask(memory, num_kv_heads):
    model = gpt(num_kv_heads=num_kv_heads)
    token_ids = torch.randint(V, (B, 4 * S + 3))
    T = token_ids.size(1)
    x = model.embedding(token_ids)
    whole = model.blocks(x, mask=Mask(allowed=seen(T, S, memory)))
    got = in_pieces(model, token_ids, memory)
    torch.testing.assert_close(got, model.output(whole), **EXACT)
    if memory == 100:  # nothing is forgotten: the mask is causal's
        torch.testing.assert_close(got, model(token_ids), **EXACT)


@pytest.mark.parametrize("pre_norm", [True, False])
def test_a_block_of_either_kind_is_one_long_pass(pre_norm):
    block = oracles.randomise(
        EncoderBlock(
            MultiHeadAttention(C, H, position=TransformerXL(H, D), core=FullAttention()),
            FeedForward(C, 11),
            norm=lambda: LayerNorm(C),
            pre_norm=pre_norm,
        )
    )
    x = torch.randn(B, 12, C, dtype=torch.float64)
    want = block(x, mask=causal())[:, 7:]
    got = block(x[:, 7:], earlier=x[:, :7], mask=causal())
    torch.testing.assert_close(got, want, **EXACT)


@pytest.mark.slow
def test_memory_reaches_back_further_with_every_layer():
    """Dai et al. 2019, §3.2: N layers see N memories back, and no further."""
    model, memory = gpt(), S
    token_ids = torch.randint(V, (1, 6 * S))
    before = in_pieces(model, token_ids, memory)[:, -S]  # the first of the last segment
    changes = []
    for t in range(6 * S):
        other = token_ids.clone()
        other[0, t] = (other[0, t] + 1) % V
        changes.append(not torch.equal(in_pieces(model, other, memory)[:, -S], before))
    first = 5 * S - L * S
    assert changes == [first <= t <= 5 * S for t in range(6 * S)]


def test_gradients_end_at_the_segments_beginning():
    model, memories = gpt(), None
    memories = model.new_memories(7)
    states = [model.embedding(torch.randint(V, (B, S))).detach().requires_grad_() for _ in "ab"]
    outputs = [model.blocks(x, mask=causal(), memories=memories) for x in states]
    gradients = torch.autograd.grad(outputs[1].sum(), states, allow_unused=True)
    assert gradients[0] is None and gradients[1].abs().max() > 0


def test_the_keys_of_earlier_states_still_train_the_projections():
    """h̃ W_k with h̃ = [SG(memory), h]: the memory is held still, W_k is not."""
    block = gpt().blocks.blocks[0]
    x, earlier = torch.randn(2, B, S, C, dtype=torch.float64)
    nothing = Mask(allowed=torch.arange(2 * S).lt(S).expand(1, 1, S, 2 * S))  # of x itself
    gradient = torch.autograd.grad(
        block(x, earlier=earlier, mask=nothing).square().sum(), block.attention.k_proj.weight
    )
    assert gradient[0].abs().max() > 0


def test_with_activations_computed_again():
    model = gpt().train()
    token_ids = torch.randint(V, (B, 2 * S))
    results = []
    for again in (False, True):
        if again:
            checkpoint_activations(model)
        memories = model.new_memories(3)
        loss = sum(model(x, memories=memories).square().sum() for x in token_ids.split(S, dim=1))
        results.append(torch.autograd.grad(loss, list(model.parameters())))
        assert all(len(memory) == 3 for memory in memories)
    torch.testing.assert_close(*results, **EXACT)


# --- compressed ----------------------------------------------------------------------------------


def test_a_compression_of_one_is_a_longer_memory():
    model, token_ids = gpt(), torch.randint(V, (B, 4 * S))
    memories = [CompressiveMemory(3, 4, Compression(1)) for _ in range(L)]
    got = torch.cat([model(x, memories=memories) for x in token_ids.split(S, dim=1)], dim=1)
    torch.testing.assert_close(got, in_pieces(model, token_ids, 7), **EXACT)


def read(kind="conv", pre_norm=True):
    """A block, and a memory after it has read three segments."""
    block = oracles.randomise(
        EncoderBlock(
            MultiHeadAttention(C, H, num_kv_heads=1), FeedForward(C, 11),
            norm=lambda: LayerNorm(C), pre_norm=pre_norm,
        )
    )  # fmt: skip
    compression = Compression(2, kind=kind, d_model=C if kind == "conv" else None).double()
    memory = CompressiveMemory(4, 6, compression)
    for _ in range(3):
        x = torch.randn(B, 4, C, dtype=torch.float64)
        block(x, earlier=memory.states)
        memory.append(x)
    return block, memory, x


@pytest.mark.parametrize("pre_norm", [True, False])
def test_the_reconstruction_loss_is_its_definition(pre_norm):
    block, memory, x = read(pre_norm=pre_norm)
    through = block.attention_residual.sublayer_input
    own = {name: p.detach() for name, p in block.attention.named_parameters()}

    def attend(old):
        heads = []
        key = through(old) @ own["k_proj.weight"].T + own["k_proj.bias"]
        value = through(old) @ own["v_proj.weight"].T + own["v_proj.bias"]
        query = through(x) @ own["q_proj.weight"].T + own["q_proj.bias"]
        for h in range(H):
            scores = query[..., h * D : (h + 1) * D] @ key.mT / D**0.5
            heads.append(scores.softmax(dim=-1) @ value)
        return torch.stack(heads, dim=1)

    difference = attend(memory.compression(memory.evicted)) - attend(memory.evicted)
    want = difference.square().mean()
    torch.testing.assert_close(reconstruction_loss(block, memory), want, **EXACT)
    assert want > 1e-4


def test_the_reconstruction_loss_trains_the_compression_and_nothing_else():
    block, memory, _ = read()
    reconstruction_loss(block, memory).backward()
    assert all(p.grad is None for p in block.parameters())
    assert all(p.grad.abs().max() > 0 for p in memory.compression.parameters())
    optimiser = torch.optim.Adam(memory.compression.parameters(), lr=0.02)
    losses = []
    for _ in range(60):
        loss = reconstruction_loss(block, memory)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]


def test_the_models_loss_does_not_train_the_compression():
    block, memory, x = read()
    assert not memory.states.requires_grad
    block(x, earlier=memory.states).sum().backward()
    assert all(p.grad is None for p in memory.compression.parameters())


def test_nothing_compressed_nothing_lost():
    block, memory = read()[0], CompressiveMemory(9, 2, Compression(2))
    memory.append(torch.randn(B, S, C, dtype=torch.float64))
    assert reconstruction_loss(block, memory) == 0
    memory = CompressiveMemory(1, 6, Compression(1))
    memory.append(torch.randn(B, S, C, dtype=torch.float64))
    assert reconstruction_loss(block, memory) == 0  # a copy loses nothing


# --- what is refused -----------------------------------------------------------------------------


def holding_two():
    memory = SegmentMemory(2)
    memory.append(torch.zeros(B, 2, C))
    return memory


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: SegmentMemory(0), "max_len must be at least 1, got 0"),
        (
            lambda: CompressiveMemory(1, 0, Compression(2)),
            "max_compressed must be at least 1, got 0",
        ),
        (lambda: Compression(0), "rate must be at least 1, got 0"),
        (lambda: Compression(2, kind="median"), "kind must be mean, max or conv, got median"),
        (
            lambda: Compression(2, kind="conv"),
            "d_model is for conv, and conv needs it; got conv, None",
        ),
        (
            lambda: Compression(2, d_model=C),
            f"d_model is for conv, and conv needs it; got mean, {C}",
        ),
        (
            lambda: holding_two().append(torch.zeros(B + 1, 2, C)),
            f"the memory holds states of shape (B={B}, T, C={C}) in torch.float32, "
            f"got ({B + 1}, 2, {C}) in torch.float32",
        ),
        (
            lambda: holding_two().append(torch.zeros(B, 2, C).double()),
            f"the memory holds states of shape (B={B}, T, C={C}) in torch.float32, "
            f"got ({B}, 2, {C}) in torch.float64",
        ),
        (
            lambda: reconstruction_loss(read()[0], CompressiveMemory(1, 1, Compression(2))),
            "the memory is empty: read a segment first",
        ),
        (
            lambda: GPT(GPTConfig(V, d_model=C, num_heads=H, num_layers=1))(
                torch.zeros(B, S).long(), memories=[SegmentMemory(3)]
            ),
            "Learned marks embeddings, and a memory's states would be marked for the segment they "
            "came from: take positions relative to the query",
        ),
        (
            lambda: gpt().blocks(
                torch.zeros(B, S, C).double(),
                caches=[KVCache() for _ in range(L)],
                memories=[SegmentMemory(3) for _ in range(L)],
            ),
            "give caches, for generation, or memories, for segments; not both",
        ),
    ],
)
def test_refusals(make, text, as_users_run):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        make()
