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
    model = Classifier(bert, len(KINDS))
    fine_tuning.freeze(model, way)
    names = [name for name, p in model.named_parameters() if p.requires_grad]
    assert {name.rsplit(".", 1)[0].split(".", 4)[0] for name in names} <= {"head", "bert"}
    assert all(any(name.startswith(part + ".") for part in trained) for name in names)
    assert all(any(name.startswith(part + ".") for name in names) for part in trained)


def test_what_is_asked_was_not_read_and_is_hidden():
    data = fine_tuning.text()
    for last in (False, True):
        found, labels = fine_tuning.pieces(data, last=last)
        stood = data.validation if last else data.train
        hidden = stood[: found.numel()].view(found.shape)
        assert (found != hidden).sum() == len(found)  # one of 64, the same place of each
        assert (found[:, 32] == masked.HOLE).all()
        characters = [data.vocabulary.tokens[i] for i in hidden[:, 32].tolist()]
        assert [fine_tuning.kind(c) for c in characters] == labels.tolist()


def test_so_many_of_every_kind_from_a_seed():
    ids, labels = torch.arange(80)[:, None], torch.arange(80) % len(KINDS)
    some, of = fine_tuning.chosen((ids, labels), 4, seed=0)
    assert of.tolist() == [kind for kind in range(len(KINDS)) for _ in range(4)]
    assert torch.equal(some[:, 0] % len(KINDS), of)
    other, _ = fine_tuning.chosen((ids, labels), 4, seed=1)
    assert not torch.equal(some, other)


def test_the_tables_say_mean_lowest_and_highest():
    runs = [
        {
            "by_way": {way: [0.25, 0.5, share] for way in fine_tuning.WAYS},
            "by_rate": [0.2, share, 0.1],
        }
        for share in (0.7, 0.9)
    ]
    result = {"command": "c", "date": "d", "trials": [{"runs": runs}]}
    assert fine_tuning.table_of(result).rows[0] == (
        "from nothing", "25% (25%–25%)", "50% (50%–50%)", "80% (70%–90%)",
    )  # fmt: skip
    assert fine_tuning.table_of(result, "rates").rows[1] == ("0.001", "80% (70%–90%)")
