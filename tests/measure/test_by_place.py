"""Losses by place: the same tokens are asked in every stretch, with more and more before them."""

import pytest
import torch

from minitx.measure import by_place
from minitx.measure.by_place import losses_by_place


def logits(token_ids):
    """The score of each next token: itself, times what was just read."""
    return token_ids[..., None].double() * torch.arange(3.0)


def by_column(token_ids):
    """The same, times the column: it matters where a piece begins."""
    return logits(token_ids) * torch.arange(token_ids.size(1))[:, None]


def test_it_is_the_mean_over_pieces_that_begin_at_every_stretch(monkeypatch):
    text = torch.randint(3, (47,), generator=torch.Generator().manual_seed(0))
    wanted = [[], [], []]
    for start in range(0, 47 - 12, 4):
        for place in range(12):
            row = torch.arange(3.0) * text[start + place] * place
            loss = -row.double().log_softmax(-1)[text[start + place + 1]]
            wanted[place // 4].append(float(loss))
    means = [sum(some) / len(some) for some in wanted]
    assert losses_by_place(by_column, text, length=12, stretches=3) == pytest.approx(means)
    monkeypatch.setattr(by_place, "AT_ONCE", 2)  # the last some are fewer
    assert losses_by_place(by_column, text, length=12, stretches=3) == pytest.approx(means)


def test_a_text_without_an_end_is_asked_alike_in_every_stretch():
    """A model that sees one token only does as well anywhere, if the text goes round."""
    text = torch.tensor([0, 1, 2, 2]).repeat(12)
    losses = losses_by_place(logits, text, length=12, stretches=3)
    assert losses == pytest.approx([losses[0]] * 3)


@pytest.mark.parametrize("stretches", [0, 5])
def test_stretches_divide_the_length(stretches):
    with pytest.raises(ValueError, match=rf"stretches must divide length \(12\), got {stretches}"):
        losses_by_place(logits, torch.zeros(40, dtype=int), length=12, stretches=stretches)


def test_a_text_no_longer_than_a_piece_is_refused():
    with pytest.raises(ValueError, match=r"must be longer than a piece \(12\), got 12"):
        losses_by_place(logits, torch.zeros(12, dtype=int), length=12, stretches=3)
