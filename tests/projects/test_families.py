"""The families on one text: what each is given, what each is asked, how it is told."""

import pytest
import torch

from minitx.data.corruption import spans
from minitx.data.vocabulary import Vocabulary
from minitx.masks import IGNORE
from minitx.projects import families
from minitx.projects.families import HOLE, SENTINELS, Trained


def chance():
    return torch.Generator().manual_seed(0)


def test_spans_and_mending_are_made_of_the_same_places():
    piece = [*range(10, 74)]
    src, tgt = families.spans_of(piece, chance(), first=100)
    written = [token for token in tgt if token < 100]
    assert sorted([t for t in src if t < 100] + written) == piece
    assert [t for t in src if t >= 100] == [t for t in tgt if t >= 100][:-1]
    assert max(tgt) < 100 + SENTINELS
    mended, whole = families.mending_of(piece, chance())
    assert whole == piece
    assert mended == [HOLE if token >= 100 else token for token in src]


class Told(torch.nn.Module):
    """Says what it read last; and what it was given can be looked at."""

    def forward(self, src, read):
        self.src, self.read = src, read
        return torch.nn.functional.one_hot(read, 40).float()


def test_a_pair_is_asked_with_as_many_spans_as_it_learned_with():
    learned = spans(64, generator=chance())
    asked = families.three_gaps(64, 32)
    assert asked.sum() == learned.sum() == 10
    begins = [int(((~out[:-1]) & out[1:]).sum()) for out in (asked, learned)]
    assert begins == [3, 3]
    assert asked[31:34].tolist() == [False, True, False]


PIECE = [*range(5, 21)]  # of the sixteen 2 to 5, 8, and 10 to 14 are hidden; 13 stood at place 8


@pytest.mark.parametrize(
    ("family", "hidden", "read"),
    [
        ("both, spans", [30, 31, 32], [1, 30, 7, 8, 9, 10, 31]),
        ("both, mending", [HOLE] * 3, [1, *range(5, 13)]),
    ],
)
def test_the_pair_sees_both_sides_and_not_the_hidden_one(family, hidden, read):
    model = Told()
    trained = Trained(family, model, Vocabulary.of(["".join(map(chr, range(97, 123)))]))
    said = families.guesses(trained, torch.tensor([PIECE, PIECE]), 8)
    first, second, third = hidden
    seen = [5, 6, first, 11, 12, second, 14, third, 20, 2]
    assert model.src.tolist() == [seen, seen]
    assert model.read.tolist() == [read, read]
    assert 13 not in read and said.shape == (2,)


def test_a_row_for_each_family():
    run = {"of": 4, "parameters": 7}
    runs = [run | {"right": 3, "cpu": 5}, run | {"right": 2, "cpu": 8}]
    result = {
        "command": "minitx train families",
        "date": "2026-11-28",
        "trials": [{"name": trial.name, "runs": runs} for trial in families.TRIALS],
    }
    table = families.table_of(result)
    assert [row[0] for row in table.rows] == list(families.FAMILIES)
    assert table.rows[0] == ("encoder only", 7, "both sides", 0.5, 0.75, 6)
    assert table.rows[1][2] == "what stands before"


def test_a_loss_that_counts_no_padding():
    from minitx.data.batching import translation_batch

    class Even(torch.nn.Module):
        def forward(self, src, tgt, *, src_mask):
            return torch.zeros(*tgt.shape, 7)

    batch = translation_batch([([4], [5, 6]), ([4, 5], [6])])
    loss, tokens = families.loss_sum(Even(), batch)
    assert int(tokens) == int((batch.tgt_out != IGNORE).sum()) == 5
    assert float(loss) == pytest.approx(5 * torch.tensor(7.0).log())
