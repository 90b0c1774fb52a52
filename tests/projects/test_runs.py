"""A folder belongs to one training."""

import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from minitx.projects import runs
from minitx.projects.runs import OtherRun, Record
from minitx.training import DamagedCheckpoint, Processes, checkpoints

ALONE = Processes(rank=0, count=1, device=torch.device("cpu"))
RECORD = Record("numbers", {"num_steps": 7, "seed": 0}, "abc", {"src": ["<pad>", "é"]})


def test_a_run_is_begun_and_found_again(tmp_path):
    folder = tmp_path / "deep" / "down"
    runs.claim(folder, RECORD, ALONE)
    assert runs.read(folder) == RECORD
    runs.claim(folder, RECORD, ALONE)
    assert runs.read(folder, "numbers") == RECORD


def test_only_one_process_writes(tmp_path):
    runs.claim(tmp_path, RECORD, Processes(rank=1, count=2, device=torch.device("cpu")))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (
            replace(RECORD, project="dates"),
            "F holds a run of numbers, not of dates; choose another --folder",
        ),
        (
            replace(RECORD, settings={"num_steps": 11, "seed": 0}),
            "F holds a run with num_steps 7 (asked for: 11). Ask for the same to continue it, "
            "choose another --folder, or delete it",
        ),
        (
            replace(RECORD, settings={"num_steps": 11, "d_ff": 5}, processes=2),
            "F holds a run with num_steps 7 (asked for: 11), seed 0 (asked for: None), "
            "processes 1 (asked for: 2), d_ff None (asked for: 5). Ask for the same to continue "
            "it, choose another --folder, or delete it",
        ),
        (
            replace(RECORD, data="other"),
            "F holds a run with other training data. Ask for the same to continue it, choose "
            "another --folder, or delete it",
        ),
        (
            replace(RECORD, vocabularies={"src": ["<pad>"]}),
            "F holds a run with other training data. Ask for the same to continue it, choose "
            "another --folder, or delete it",
        ),
    ],
)
def test_another_run_is_refused_and_left_alone(tmp_path, asked, says):
    runs.claim(tmp_path, RECORD, ALONE)
    before = (tmp_path / "run.json").read_bytes()
    with pytest.raises(OtherRun) as error:
        runs.claim(tmp_path, asked, ALONE)
    assert str(error.value).replace(str(tmp_path), "F") == says
    assert (tmp_path / "run.json").read_bytes() == before


def test_a_checkpoint_of_which_nothing_is_known_is_not_touched(tmp_path):
    (tmp_path / "checkpoint.pt").write_bytes(b"somebody's work")
    with pytest.raises(OtherRun, match=r"holds a checkpoint but no run\.json that says of what; "):
        runs.claim(tmp_path, RECORD, ALONE)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_reading_what_is_not_there(tmp_path):
    with pytest.raises(OtherRun, match=r"there is no run in .*; begin one: minitx train --help"):
        runs.read(tmp_path / "nowhere")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"project": "numbers"}', "\xff"])
def test_reading_a_damaged_record(tmp_path, text):
    (tmp_path / "run.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(OtherRun, match=r"run\.json is damaged; delete .* and begin anew"):
        runs.read(tmp_path)


def test_reading_another_project(tmp_path):
    runs.claim(tmp_path, RECORD, ALONE)
    with pytest.raises(OtherRun, match="holds a run of numbers, not of dates"):
        runs.read(tmp_path, "dates")


def test_the_weights_of_a_run(tmp_path):
    model = nn.Linear(3, 5)
    with pytest.raises(OtherRun, match="has saved nothing yet; let it train a little longer"):
        runs.trained_steps(tmp_path, model)
    trained = nn.Linear(3, 5)
    state = {"model": trained.state_dict(), "rows": [{}, {}]}
    checkpoints.save(tmp_path / "checkpoint.pt", state)
    assert runs.trained_steps(tmp_path, model.train()) == 2
    assert torch.equal(model.weight, trained.weight) and not model.training
    (tmp_path / "checkpoint.pt").write_bytes(b"half")
    with pytest.raises(DamagedCheckpoint, match="is not a whole checkpoint"):
        runs.trained_steps(tmp_path, model)


def test_checksums_tell_texts_apart():
    texts = [["ab", "c"], ["a", "bc"], ["abc"], ["abc", ""], ["\ud800"]]
    assert len({runs.checksum(text) for text in texts}) == len(texts)
    assert runs.checksum(["ab", "c"]) == runs.checksum(iter(["ab", "c"]))


def test_the_record_can_be_read_by_people(tmp_path):
    runs.claim(tmp_path, RECORD, ALONE)
    text = (tmp_path / "run.json").read_text(encoding="utf-8")
    assert "é" in text
    assert json.loads(text)["settings"] == {"num_steps": 7, "seed": 0}
