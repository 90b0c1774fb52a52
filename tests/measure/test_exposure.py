"""After a mistake: counted by hand with models that do as they are told."""

import pytest
import torch
from torch import nn

from minitx.data.batching import translation_batch
from minitx.measure import exposure

V = 11
BATCH = translation_batch([([4], [5, 6, 7, 8]), ([4], [6, 7, 8, 9]), ([4], [5])])


class Next(nn.Module):
    """Says the token after the last one it read; the translations above count upwards."""

    def encode(self, src, *, mask):
        return src

    def decode(self, tgt, memory, *, memory_mask):
        assert len(tgt) == len(memory) == len(memory_mask.key_padding)
        return nn.functional.one_hot((tgt + 1) % V, V).float()


class Deaf(Next):
    """Says what stands in the first sentence of this batch, whatever it read."""

    def decode(self, tgt, memory, *, memory_mask):
        said = torch.tensor([[5, 6, 7, 8, 2], [6, 7, 8, 9, 2]])[:, : tgt.size(1)]
        return nn.functional.one_hot(said, V).float()


def shares(model, **changed):
    arguments = {"place": 1, "steps": 3, "generator": torch.Generator().manual_seed(0)} | changed
    return exposure.wrong_after(model, BATCH, **arguments)


def test_who_only_repeats_is_wrong_once_or_for_ever() -> None:
    found = shares(Next())
    assert found["no mistake"] == [0, 0, 0]
    assert found["mistake, then the right words"] == [1, 0, 0]
    assert found["mistake, then its own words"] == [1, 1, 1]


def test_who_does_not_listen_is_never_wrong() -> None:
    assert all(row == [0, 0, 0] for row in shares(Deaf()).values())


def test_short_translations_are_left_out_and_the_table_has_a_row_for_each_way() -> None:
    found = shares(Next(), steps=4)  # the end comes fourth: 9 + 1 is not EOS
    assert found["no mistake"] == [0, 0, 0, 1]
    table = exposure.table(found)
    assert [row[0] for row in table.rows] == list(exposure.WAYS)
    assert table.columns == ("wrong answers", "1 behind", "2 behind", "3 behind", "4 behind")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"place": 0}, "place and steps must be at least 1, got 0 and 3"),
        ({"steps": 5}, "no translation has 6 tokens, its end included"),
    ],
)
def test_what_cannot_be_measured_is_refused(changed, message) -> None:
    with pytest.raises(ValueError, match=message):
        shares(Next(), **changed)


RIGHT = [[5, 6, 7, 8], [5, 9, 7, 8], [5, 6, 7, 8], [5, 6, 7, 8]]
SCRIPT = [[7, 8, 2], [9, 7, 8, 2], [4, 4, 7, 8, 2], [7, 2]]
"""What is written after a mistake at place 2, one row for each of `ENDINGS`; 2 is the end."""


class Scripted(Next):
    """Writes its script behind three tokens, whatever they are."""

    def decode(self, tgt, memory, *, memory_mask):
        said = torch.tensor([[0, 0, *row, *[2] * (8 - len(row))] for row in SCRIPT])
        return nn.functional.one_hot(said[:, : tgt.size(1)], V).float()


def test_what_is_written_after_a_mistake_and_how_it_ends():
    batch = translation_batch([*(([4], row) for row in RIGHT), ([4], [5, 6, 7])])
    found = exposure.written_after(
        Scripted(), batch, place=2, generator=torch.Generator().manual_seed(0)
    )
    slips = [9, 6, 9, 9]  # the other of the two that stand there; the short one is left out
    assert found == [
        (right, [5, slip, *row[:-1]]) for right, slip, row in zip(RIGHT, slips, SCRIPT, strict=True)
    ]
    assert [exposure.ending(written, place=2) for written in found] == list(exposure.ENDINGS)
    table = exposure.endings([*found, found[1]], place=2, decode=lambda ids: map(str, ids))
    assert [row[:2] for row in table.rows] == [
        (kind, count / 5) for kind, count in zip(exposure.ENDINGS, (1, 2, 1, 1), strict=True)
    ]
    assert table.rows[1][2:] == ("56978", "5978")


def test_who_never_ends_is_stopped_and_an_ending_that_never_came_has_no_example():
    found = exposure.written_after(
        Next(), BATCH, place=1, generator=torch.Generator().manual_seed(0)
    )
    assert found == [([5, 6, 7, 8], [6, 7, 8, 9, 10, 0]), ([6, 7, 8, 9], [5, 6, 7, 8, 9, 10])]
    assert exposure.endings(found, place=1, decode=lambda ids: "").rows[0][1:] == (0.0, "", "")


def test_a_place_where_all_say_the_same_has_no_mistake() -> None:
    batch = translation_batch([([4], [5, 6]), ([4], [5, 7])])
    with pytest.raises(ValueError, match="all translations have the token 5 here"):
        exposure.wrong_after(Next(), batch, place=1, steps=1, generator=torch.Generator())
