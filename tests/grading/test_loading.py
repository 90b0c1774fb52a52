"""Reading a learner's file: what can be used is used, and the rest is told in a sentence."""

import gc
import json
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minitx.grading.course import Chapter
from minitx.grading.errors import CourseError
from minitx.grading.judge.assess import assess_all
from minitx.grading.quiet import is_reading
from minitx.grading.report import Report
from minitx.grading.worker.loading import load
from minitx.grading.worker.local import LocalCaller
from minitx.grading.worker.submission import Submission

from .helpers import RIGHT_DOUBLE, STUB, as_notebook


def loaded(tmp_path: Path, text: str | bytes, name: str = "01_small.py") -> Submission:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load(path)


def notebook(tmp_path: Path, *cells: str, **extra: Any) -> Submission:
    document = {
        "cells": [
            {"cell_type": "code", "metadata": extra.get("metadata", {}), "source": cell}
            for cell in cells
        ]
    }
    return loaded(tmp_path, json.dumps(document), "01_small.ipynb")


def texts(submission: Submission) -> list[str]:
    """The problems that are told in any case."""
    return [problem.text for problem in submission.problems if not problem.aside]


def report(chapter: Chapter, submission: Submission) -> Report:
    return assess_all(chapter, chapter.exercises.values(), LocalCaller(submission))


def test_a_syntax_error_costs_its_own_cell_only(tmp_path: Path, chapter: Chapter) -> None:
    text = STUB.replace('"""Twice x."""', "return 2 * (x").replace(
        '    """Four times x."""\n    raise NotImplementedError', "    return 4 * x\n#"
    )
    submission = loaded(tmp_path, text)
    assert texts(submission) == [
        "double cannot be read as Python: syntax error at line 10 (`return 2 * (x`): "
        "'(' was never closed."
    ]
    first, second = report(chapter, submission).exercises
    assert (first.status, first.checks[0].text) == ("failed", texts(submission)[0])
    assert second.earned == 3
    assert report(chapter, submission).problems == ()  # said once


def test_without_cell_marks_it_costs_its_own_function(tmp_path: Path) -> None:
    submission = loaded(
        tmp_path,
        "import math\n\ndef a():\n    return 1\n\ndef b(:\n    pass\n\n@staticmethod\n"
        "def c():\n    return 3\n",
    )
    assert submission.namespace["a"]() == 1
    assert submission.namespace["c"]() == 3
    assert texts(submission) == [
        "b cannot be read as Python: syntax error at line 6 (`def b(:`): invalid syntax."
    ]


def test_an_exception_costs_its_own_statement(tmp_path: Path) -> None:
    submission = loaded(tmp_path, "a = 1\nb = a / 0\nc = 3\n")
    assert submission.namespace["c"] == 3
    (problem,) = submission.problems
    assert problem.aside
    assert problem.text == (
        "While the file was read: ZeroDivisionError at line 2 (`b = a / 0`): division by zero"
    )


def test_a_name_lost_on_the_way_is_explained(tmp_path: Path, chapter: Chapter) -> None:
    submission = loaded(tmp_path, "factor = 1 / 0\ndef double(x):\n    return factor * x\n")
    text = report(chapter, submission).exercises[0].checks[0].text
    assert "NameError at line 3 (`return factor * x`)" in text
    assert "ZeroDivisionError at line 1 (`factor = 1 / 0`)" in text


def test_try_it_cells_of_unanswered_exercises_are_no_problem(root: Path, chapter: Chapter) -> None:
    submission = load(chapter.stub_file())
    assert report(chapter, submission).problems == ()
    assert all(problem.aside for problem in submission.problems)


def test_an_import_of_something_not_there(tmp_path: Path) -> None:
    assert texts(loaded(tmp_path, "import no_such_thing\n")) == [
        "No module named 'no_such_thing' (imported at line 1 (`import no_such_thing`)): the "
        "exercises need only what they come with."
    ]


def test_leaving_the_program(tmp_path: Path) -> None:
    submission = loaded(tmp_path, "import sys\nsys.exit(3)\na = 1\n")
    assert submission.namespace["a"] == 1
    assert texts(submission) == [
        "The file ends the program at line 2 (`sys.exit(3)`): take that out."
    ]


def test_leaving_the_program_in_a_function_is_its_own_business(tmp_path: Path) -> None:
    """Try-it cells that call it are not to be taken out; a block at the top level is."""
    submission = loaded(tmp_path, "def double(x):\n    exit()\nprint(\n    double(2))\n")
    (problem,) = submission.problems
    assert problem.text == "The file ends the program at line 2 (`exit()`): take that out."
    assert problem.aside
    assert texts(loaded(tmp_path, "if True:\n    exit()\n")) == [
        "The file ends the program at line 2 (`exit()`): take that out."
    ]


def test_what_is_no_exception_of_the_usual_kind(tmp_path: Path) -> None:
    text = "class E(BaseException): pass\nraise E('a')\nraise KeyboardInterrupt\nx = 1\n"
    submission = loaded(tmp_path, text)
    assert submission.namespace["x"] == 1
    assert [problem.text for problem in submission.problems] == [
        "While the file was read: E at line 2 (`raise E('a')`): a",
        "While the file was read: KeyboardInterrupt at line 3 (`raise KeyboardInterrupt`): ",
    ]


def test_many_statements_are_read_in_seconds(tmp_path: Path) -> None:
    """Threads and timers for each made it a minute; 300,000 statements in seconds of CPU."""
    before = time.process_time()
    submission = loaded(tmp_path, "".join(f"x{n} = {n}\n" for n in range(30_000)))
    assert time.process_time() - before < 6
    assert submission.namespace["x29999"] == 29_999


def test_prints_and_input_do_not_reach_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    submission = loaded(tmp_path, "print('hello')\nx = input('? ')\n")
    assert capsys.readouterr() == ("", "")
    assert submission.printed.startswith("hello")


def test_check_in_the_file_does_nothing(tmp_path: Path, root: Path) -> None:
    submission = loaded(
        tmp_path, "from minitx.grading import check\nr = repr(check('01.1', None))\n"
    )
    assert submission.namespace["r"] == ""
    assert not is_reading()


def test_the_main_block_is_not_run(tmp_path: Path) -> None:
    submission = loaded(tmp_path, "a = 1\nif __name__ == '__main__':\n    a = 2\n")
    assert submission.namespace["a"] == 1


def test_future_imports_count_for_what_follows(tmp_path: Path) -> None:
    submission = loaded(
        tmp_path,
        "from __future__ import annotations\n# %%\ndef f(x: not_a_name) -> nor_this:\n    pass\n",
    )
    assert texts(submission) == []


def test_modules_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "helper_of_the_learner.py").write_text("seven = 7\n")
    submission = loaded(tmp_path, "from helper_of_the_learner import seven\n")
    assert submission.namespace["seven"] == 7


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"\x00\x01\x02garbage\xff", "is not text: is it really a Python file?"),
        ("é = 1\n".encode("latin-1"), "is not saved as UTF-8: choose UTF-8 in your editor."),
        (b"# -*- coding: no-such-thing -*-\n", "is not saved as UTF-8"),
    ],
)
def test_files_that_are_no_text(tmp_path: Path, content: bytes, text: str) -> None:
    with pytest.raises(CourseError) as caught:
        loaded(tmp_path, content)
    assert text in str(caught.value)


def test_other_encodings_that_are_declared(tmp_path: Path) -> None:
    latin = "# -*- coding: latin-1 -*-\na = 'é'\n".encode("latin-1")
    assert loaded(tmp_path, latin).namespace["a"] == "é"
    assert loaded(tmp_path, b"\xef\xbb\xbfa = 1\r\nb = 2\r\n").namespace["b"] == 2


def test_paths_that_hold_nothing(tmp_path: Path) -> None:
    with pytest.raises(CourseError, match=r"is a folder; name the \.py file or"):
        load(tmp_path)
    with pytest.raises(CourseError, match="There is no file"):
        load(tmp_path / "absent.py")
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(CourseError, match=r"neither a \.py file nor an \.ipynb notebook"):
        load(tmp_path / "a.txt")


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    for name in ("a.py", "a.ipynb"):
        (tmp_path / name).write_text("")
    monkeypatch.setattr(Path, "read_bytes", denied)
    for name in ("a.py", "a.ipynb"):
        with pytest.raises(CourseError, match="cannot be read: Permission denied"):
            load(tmp_path / name)


def test_an_empty_file(tmp_path: Path, chapter: Chapter) -> None:
    first = report(chapter, loaded(tmp_path, "")).exercises[0]
    assert first.checks[0].text == (
        "There is no function double in 01_small.py: was it renamed, or its cell deleted?"
    )


def test_a_notebook(tmp_path: Path, chapter: Chapter) -> None:
    text = as_notebook(STUB.replace('"""Twice x."""', RIGHT_DOUBLE.partition("\n")[2].lstrip()))
    submission = loaded(tmp_path, text, "01_small.ipynb")
    first, second = report(chapter, submission).exercises
    assert first.earned == 4
    assert second.status == "unattempted"


def test_places_in_a_notebook(tmp_path: Path, chapter: Chapter) -> None:
    submission = notebook(tmp_path, "a = 1", "b = 1", "def double(x):\n    y = 3\n    return x[9]")
    text = report(chapter, submission).exercises[0].checks[0].text
    assert "IndexError at line 3 of code cell 3 (`return x[9]`)" in text
    submission = notebook(tmp_path, "a = 1", "def double(x)\n    pass")
    assert texts(submission) == [
        "double cannot be read as Python: syntax error at line 1 of code cell 2 "
        "(`def double(x)`): expected ':'."
    ]


def test_what_only_ipython_understands(tmp_path: Path) -> None:
    submission = notebook(
        tmp_path,
        "%matplotlib inline\n!pip install x\na = 1\nfiles = !ls\nnp.zeros?\nif a:\n    %time b = 2",
        "%%bash\nrm nothing",
        "%%time\nc = 3",
        "d = 7 \\\n    % 4",
    )
    assert texts(submission) == []
    names = submission.namespace
    assert (names["a"], names["files"], names["c"], names["d"]) == (1, None, 3, 3)


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("%%capture\n!pip install -q torch\na = 1", 1),
        ("%%time\n%%capture out\na = 1", 1),
        ("\n%%time\na = 1", 1),
        ("!pip install \\\n    -q \\\n    torch\na = 1", 1),
        ("x = !ls \\\n  -l\na = 1", 1),
        ("!ls\na = (\n    7\n    % 4\n)", 3),
        ('%matplotlib inline\na = """\n% of it\n"""', "\n% of it\n"),
    ],
)
def test_magics_of_all_kinds(tmp_path: Path, cell: str, value: object) -> None:
    submission = notebook(tmp_path, cell)
    assert texts(submission) == []
    assert submission.namespace["a"] == value


def test_a_mistake_beside_a_magic(tmp_path: Path) -> None:
    submission = notebook(tmp_path, "def double(x)\n    pass\n\n!ls\ndef half(x):\n    return 7")
    assert texts(submission) == [
        "double cannot be read as Python: syntax error at line 1 of code cell 1 "
        "(`def double(x)`): expected ':'."
    ]
    assert submission.namespace["half"](4) == 7


def test_notebooks_of_other_makes(tmp_path: Path) -> None:
    cell: dict[str, Any] = {"cell_type": "code", "metadata": None, "source": ["a = 1\n", "b = 2"]}
    four = {"cells": [cell, cell | {"metadata": {"tags": None}, "source": "c = 3"}]}
    names = loaded(tmp_path, json.dumps(four), "01_small.ipynb").namespace
    assert (names["a"], names["b"], names["c"]) == (1, 2, 3)
    old = [
        {"cell_type": "markdown", "source": ["text"]},
        {"cell_type": "code", "input": ["a = 4"]},
        {"cell_type": "code", "input": "b = 5"},
    ]
    three = {"nbformat": 3, "metadata": {"name": ""}, "worksheets": [{"cells": old}]}
    names = loaded(tmp_path, json.dumps(three), "01_small.ipynb").namespace
    assert (names["a"], names["b"]) == (4, 5)


def test_a_coroutine_is_no_surprise(chapter: Chapter, tmp_path: Path) -> None:
    with warnings.catch_warnings(record=True) as seen:  # "never awaited" comes with its end
        warnings.simplefilter("always")
        told = report(chapter, loaded(tmp_path, "async def double(x):\n    return 2 * x\n"))
        text = told.exercises[0].checks[0].text
        del told
        gc.collect()
    assert "coroutine" in text
    assert seen == []


def test_the_set_up_cell_is_skipped(tmp_path: Path) -> None:
    submission = notebook(tmp_path, "a = 1", metadata={"tags": ["setup"]})
    assert "a" not in submission.namespace


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "7", '{"cells": 3}', '{"cells": [{}]}', '{"cells": [1]}', "[" * 9999]
)
def test_a_damaged_notebook(tmp_path: Path, content: str) -> None:
    with pytest.raises(CourseError, match="is damaged: it does not hold a notebook"):
        loaded(tmp_path, content, "01_small.ipynb")


def test_numbers_survive(tmp_path: Path) -> None:
    submission = loaded(tmp_path, "import numpy as np\nx = np.arange(3.0)\n")
    assert np.array_equal(submission.namespace["x"], np.arange(3.0))
