"""Reading at once and writing one after another: counted by hand, and the same tokens."""

import math

import pytest
import torch

from minitx.masks import NO_MASK
from minitx.measure import writing
from minitx.models.seq2seq import Transformer, TransformerConfig

T_SRC, V = 5, 13


@pytest.fixture(scope="module")
def model() -> Transformer:
    torch.manual_seed(0)
    config = TransformerConfig(
        11, V, d_model=14, num_heads=2, num_encoder_layers=1, num_decoder_layers=3, d_ff=17
    )
    return Transformer(config).eval()


@pytest.fixture(scope="module")
def src() -> torch.Tensor:
    return torch.randint(11, (2, T_SRC), generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def tgt() -> torch.Tensor:
    return torch.randint(V, (2, 7), generator=torch.Generator().manual_seed(2))


def test_passes_and_places_are_counted(model, src, tgt) -> None:
    rows = {row[0]: row[1:3] for row in writing.table(model, src, tgt, 7).rows}
    assert rows == {
        "7 tokens read at once": (1, 7),
        "7 tokens written, nothing kept": (7, 7 * 8 // 2),
        "7 tokens written, keys and values kept": (7, 7),
    }


def test_operations_of_reading_and_of_writing_from_a_cache(model, src, tgt) -> None:
    read, without, kept = (row[3] for row in writing.table(model, src, tgt, 7).rows)
    assert read < without
    assert kept <= read < 2 * kept  # the cache skips what is not allowed anyway


def test_writing_says_the_same_with_and_without_a_cache(model, src) -> None:
    one, other = (
        writing.written(model, src, 9, start_id=3, cached=cached) for cached in (True, False)
    )
    assert torch.equal(one, other)
    assert one.shape == (2, 9)
    read = torch.cat([torch.full((2, 1), 3), one[:, :-1]], dim=1)
    with torch.no_grad():  # what it says it would say in one pass over it, too
        assert torch.equal(model(src, read, src_mask=NO_MASK).argmax(dim=-1), one)


def test_a_cache_gives_the_same_logits_at_every_position(model, src, tgt) -> None:
    apart = writing.differences(model, src, tgt)
    assert len(apart) == 7
    assert max(apart) < 1e-5


def test_a_cache_that_is_wrong_is_noticed_where_it_is(model, src, tgt, monkeypatch) -> None:
    """Positions that are not counted on: only the first is right."""
    right = model.tgt_position.embed
    monkeypatch.setattr(
        model.tgt_position,
        "embed",
        lambda x, positions: right(
            x, positions - positions[:, :1] if x.size(1) == 1 else positions
        ),
    )
    apart = writing.differences(model, src, tgt)
    assert apart[0] < 1e-5 < min(apart[1:])


def test_each_way_is_timed_at_each_length(model, src, tgt) -> None:
    times = writing.milliseconds(model, src, tgt, [2, 5])
    assert [*times] == ["read at once", "written, nothing kept", "written, keys and values kept"]
    assert all(len(row) == 2 and 0 < min(row) < math.inf for row in times.values())
