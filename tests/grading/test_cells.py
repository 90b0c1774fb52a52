"""What can be named on the command line and is no file of answers."""

import ast
import os
import socket
from pathlib import Path

import pytest

from minitx.grading.cells import MOST_BYTES, read_cells, split_cells
from minitx.grading.errors import CourseError
from minitx.grading.ipynb import without_magics


def refused(path: Path) -> str:
    with pytest.raises(CourseError) as caught:
        read_cells(path)
    text = str(caught.value)
    assert text.startswith(("There is no file", str(path)))
    return text


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_what_never_ends_or_never_begins(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "zero.py").symlink_to("/dev/zero")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "socket.py"))
    for name in ("pipe.py", "zero.py", "socket.py"):
        assert refused(tmp_path / name).endswith(
            "is no ordinary file: it cannot be read from first to last."
        )
    listener.close()


def test_links(tmp_path: Path) -> None:
    (tmp_path / "itself.py").symlink_to(tmp_path / "itself.py")
    assert "cannot be read: Too many levels of symbolic links." in refused(tmp_path / "itself.py")
    (tmp_path / "nowhere.py").symlink_to(tmp_path / "absent.py")
    assert refused(tmp_path / "nowhere.py").startswith("There is no file")
    (tmp_path / "real.py").write_text("a = 1\n")
    (tmp_path / "link.py").symlink_to(tmp_path / "real.py")
    assert [cell.text for cell in read_cells(tmp_path / "link.py")] == ["a = 1\n"]


def test_too_large(tmp_path: Path) -> None:
    with (tmp_path / "large.ipynb").open("wb") as stream:
        stream.truncate(MOST_BYTES + 1)
    assert refused(tmp_path / "large.ipynb").endswith(
        "has 16,777,217 bytes; answers have at most 16,777,216. If pictures make the notebook so "
        "large, clear its outputs."
    )


def test_a_cell_of_magics_is_read_in_a_bounded_number_of_attempts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parse, attempts = ast.parse, []
    monkeypatch.setattr(ast, "parse", lambda *a, **k: (attempts.append(1), parse(*a, **k))[1])
    assert set(without_magics("\n".join(["%time x"] * 3000)).split("\n")) == {"pass"}
    assert len(attempts) <= 100


def test_many_cells_are_cut_in_one_pass() -> None:
    text = "# %%\nx = 1\n" * 20_000
    parts = split_cells(text)
    assert len(parts) == 20_000
    assert parts[-1] == ("# %%\nx = 1\n", 39_999)
    assert "".join(part for part, _ in parts) == text
