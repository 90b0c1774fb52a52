"""Few labels: what is trained, what is frozen, and that nothing asked about was read."""

import pytest
import torch

from minitx.projects import fine_tuning, masked
from minitx.projects.fine_tuning import KINDS, Classifier


@pytest.fixture
def bert():
    return masked.untrained(31, fine_tuning.SETTINGS).bert


@pytest.mark.parametrize(
    ("way", "trained"),
    [
        ("only the head", {"head"}),
        ("the top, too", {"head", "bert.encoder.blocks.1"}),
    ],
)
def test_what_is_frozen(bert, way, trained):
    model = Classifier(bert, KINDS)
    fine_tuning.freeze(model, way)
    names = [name for name, p in model.named_parameters() if p.requires_grad]
    assert {name.rsplit(".", 1)[0].split(".", 4)[0] for name in names} <= {"head", "bert"}
    assert all(any(name.startswith(part + ".") for part in trained) for name in names)
    assert all(any(name.startswith(part + ".") for name in names) for part in trained)


def test_what_is_asked_was_not_read():
    read = fine_tuning.corpus_read().text
    for words in fine_tuning.largest_topics().values():
        cut = int(fine_tuning.READ * len(words))
        assert words[:cut].strip() in read
        assert words[cut : cut + 300] not in read


def swapped(before, after):
    """Where two neighbours have changed places, from left to right."""
    return [
        i
        for i in range(len(before) - 1)
        if before[i : i + 2] != after[i : i + 2] and before[i : i + 2] == after[i : i + 2][::-1]
    ]


def test_what_is_spoilt_has_the_same_characters_and_so_many_swaps():
    piece = [*range(64)]
    spoilt = fine_tuning.spoilt(piece, torch.Generator().manual_seed(0))
    assert sorted(spoilt) == piece == [*range(64)]
    assert len(swapped(piece, spoilt)) == fine_tuning.SWAPS
    assert sum(a != b for a, b in zip(piece, spoilt, strict=True)) == 2 * fine_tuning.SWAPS
    few = fine_tuning.spoilt([5, 5, 5, 6], torch.Generator().manual_seed(0))
    assert few == [5, 5, 6, 5]


@pytest.mark.parametrize("last", [False, True])
def test_both_kinds_are_as_many_and_one_of_them_is_in_the_text(last):
    vocabulary = fine_tuning.corpus_read().vocabulary
    ids, kinds = fine_tuning.pieces(vocabulary, last=last, seed=0)
    assert kinds.sum() * 2 == len(ids)
    texts = [*fine_tuning.largest_topics().values()]
    for kind, wanted in ((0, True), (1, False)):
        some = ids[kinds == kind][:5].tolist()
        words = ["".join(vocabulary.tokens[i] for i in piece) for piece in some]
        assert all(any(piece in text for text in texts) == wanted for piece in words)
    other, _ = fine_tuning.pieces(vocabulary, last=last, seed=1)
    assert not torch.equal(ids, other)


def test_the_first_and_the_last_of_either_kind():
    labelled = torch.arange(10)[:, None], torch.arange(10) % 2
    ids, kinds = fine_tuning.first(labelled, 2)
    assert (ids[:, 0].tolist(), kinds.tolist()) == ([0, 2, 1, 3], [0, 0, 1, 1])
    assert fine_tuning.first(labelled, -1)[0][:, 0].tolist() == [8, 9]


def test_the_same_number_of_passes_and_a_start_that_stays(bert, monkeypatch):
    seen = []
    forward = Classifier.forward
    monkeypatch.setattr(
        Classifier, "forward", lambda m, ids: (seen.append(ids), forward(m, ids))[1]
    )
    before = [p.clone() for p in bert.parameters()]
    kinds = torch.arange(20) % 2
    shown = (5 + kinds)[:, None].expand(20, 64), kinds  # twice ten times the same character
    model = fine_tuning.tuned(bert, "everything", shown, rate=1e-2, seed=0)
    assert [len(ids) for ids in seen] == [16, 4] * fine_tuning.PASSES
    assert all(torch.equal(p, q) for p, q in zip(before, bert.parameters(), strict=True))
    assert fine_tuning.right(model, shown) == 20
    assert fine_tuning.right(model, (shown[0], torch.zeros_like(kinds))) == 10


def test_the_tables_say_mean_lowest_and_highest_at_the_rate_that_was_best_on_what_was_held_out():
    def run(share):
        by_rate = [
            [50, 9],
            [share, 12],
            [90, 12],
            [1, 2],
            [1, 2],
        ]  # right of those asked, of those held out
        return {
            "of": 100,
            "right, held": {way: [by_rate] * 3 for way in fine_tuning.WAYS},
        }

    result = {"command": "c", "date": "d", "trials": [{"runs": [run(60), run(80)]}]}
    ways, rates = (fine_tuning.table_of(result, name) for name in ("ways", "rates"))
    assert ways.rows[0] == ("from nothing", *["70% (60%–80%)"] * 3)
    assert [row[0] for row in ways.rows] == list(fine_tuning.WAYS)
    assert [row[1] for row in rates.rows[:3]] == ["50% (50%–50%)", "70% (60%–80%)", "90% (90%–90%)"]
