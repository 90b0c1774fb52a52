"""The folder of a training: what was trained there and how, so that nothing else goes on in it."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from minitx.training import Processes, checkpoints


class OtherRun(ValueError):
    """The folder does not hold the run that was asked for."""


@dataclass(frozen=True)
class Record:
    """What decides how a training goes, as it stands in the folder's run.json.

    Args:
        project: its name.
        settings: its numbers.
        data: checksum of what is trained on.
        vocabularies: their tokens, without which the weights say nothing.
        processes: how many train together; each takes its own batches.
    """

    project: str
    settings: Mapping[str, Any]
    data: str
    vocabularies: Mapping[str, list[str]]
    processes: int = 1


def claim(folder: Path, record: Record, group: Processes) -> None:
    """Begin this run in folder, or see that it is the one that was begun there.

    Raises:
        OtherRun: if the folder holds another run, or a checkpoint of which nothing is known.
    """
    if (folder / "run.json").exists():
        refuse_another(folder, read(folder), record)
    elif (folder / "checkpoint.pt").exists():
        raise OtherRun(
            f"{folder} holds a checkpoint but no run.json that says of what; "
            "choose another --folder, or delete the checkpoint"
        )
    elif group.writes:
        text = json.dumps(vars(record), ensure_ascii=False, indent=1)
        with checkpoints.whole_or_absent(folder / "run.json") as file:
            file.write(text.encode())


def read(folder: Path, project: str | None = None) -> Record:
    """What was begun in folder.

    Raises:
        OtherRun: if there is nothing, run.json is damaged, or another project was begun.
    """
    try:
        record = Record(**json.loads((folder / "run.json").read_text(encoding="utf-8")))
    except OSError:
        raise OtherRun(
            f"there is no run in {folder}; begin one: minitx train --help, or name its --folder"
        ) from None
    except (ValueError, TypeError):
        raise OtherRun(
            f"{folder / 'run.json'} is damaged; delete {folder} and begin anew"
        ) from None
    if project not in (None, record.project):
        raise OtherRun(f"{folder} holds a run of {record.project}, not of {project}")
    return record


def refuse_another(folder: Path, there: Record, asked: Record) -> None:
    """Raise OtherRun, with every difference, unless both are the same run."""
    if there.project != asked.project:
        raise OtherRun(
            f"{folder} holds a run of {there.project}, not of {asked.project}; "
            "choose another --folder"
        )
    one = {**there.settings, "processes": there.processes}
    other = {**asked.settings, "processes": asked.processes}
    differences = [
        f"{name} {one.get(name)!r} (asked for: {other.get(name)!r})"
        for name in {**one, **other}
        if one.get(name) != other.get(name)
    ]
    if there.data != asked.data or there.vocabularies != asked.vocabularies:
        differences.append("other training data")
    if differences:
        raise OtherRun(
            f"{folder} holds a run with {', '.join(differences)}. Ask for the same to continue "
            "it, choose another --folder, or delete it"
        )


def trained_steps(folder: Path, model: nn.Module) -> int:
    """Give the model the weights of the last checkpoint in folder; after how many steps.

    Raises:
        OtherRun: if nothing was saved there yet.
        DamagedCheckpoint: if the checkpoint cannot be read.
    """
    path = folder / "checkpoint.pt"
    if not path.exists():
        raise OtherRun(f"the run in {folder} has saved nothing yet; let it train a little longer")
    state = checkpoints.load(path)
    model.load_state_dict(state["model"])
    model.eval()
    return len(state["rows"])


def checksum(texts: Iterable[str]) -> str:
    """One short word that another text would not have."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode(errors="surrogatepass") + b"\0")
    return digest.hexdigest()[:16]
