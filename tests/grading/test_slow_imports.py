"""A module that loads slowly is not a loop without end."""

from pathlib import Path

from minitx.grading.worker import loading


def test_a_slow_import_is_not_stopped(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "slow_to_load_x7.py").write_text("import time\ntime.sleep(0.5)\nvalue = 7\n")
    work = tmp_path / "work.py"
    work.write_text("import slow_to_load_x7\n\nvalue = slow_to_load_x7.value\n")
    monkeypatch.setattr(loading, "STATEMENT_SECONDS", 0.1)
    submission = loading.load(work)
    assert submission.problems == []
    assert submission.namespace["value"] == 7


def test_an_import_that_never_ends_is_stopped(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "never_loads_x7.py").write_text("while True:\n    pass\n")
    work = tmp_path / "work.py"
    work.write_text("import never_loads_x7\n")
    monkeypatch.setattr(loading, "IMPORT_SECONDS", 0.3)
    (problem,) = loading.load(work).problems
    assert "While the file was read: endless loop? Stopped after 0.3 s" in problem.text
