"""Derived files: written once, the same every time, and told apart when they are out of step."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from minitx.authoring import build as build_module
from minitx.authoring.build import build
from minitx.authoring.notebooks import from_text, is_current, is_setup, written_code

DERIVED = [
    "book/01_small.ipynb",
    "exercises/01_small.ipynb",
    "exercises/01_small.py",
    "solutions/01_small.ipynb",
]
EXECUTE = "python -m minitx exercises build --execute"
BUILD = "python -m minitx exercises build"


def run(root, **options) -> tuple[int, list[str]]:
    """The exit code and the lines for the author."""
    lines: list[str] = []
    return build(root, echo=lines.append, **options), lines


def contents(root) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def notebook(root, path):
    return from_text((root / path).read_text(encoding="utf-8"))


def printed(root, path) -> list[str]:
    return [o.text for c in notebook(root, path).cells for o in c.get("outputs", [])]


def edit(root, path, old, new) -> None:
    text = (root / path).read_text()
    assert old in text
    (root / path).write_text(text.replace(old, new))


def test_everything_is_derived_and_executed(built):
    assert [path for path in contents(built) if path in DERIVED] == DERIVED
    assert printed(built, "book/01_small.ipynb") == ["21\n", "22\n"]
    assert printed(built, "solutions/01_small.ipynb") == ["8.0\n", "3.0\n"]
    assert printed(built, "exercises/01_small.ipynb") == []
    assert run(built, check=True) == (0, [])


def test_twice_run_generation_is_byte_identical(built):
    before = contents(built)
    assert run(built) == (0, [])
    assert run(built, execute=True) == (0, [])
    assert contents(built) == before
    assert run(built, execute=True, force=True) == (0, [])
    assert contents(built) == before


def test_nothing_in_a_notebook_tells_of_a_time_or_a_machine(built):
    for path in DERIVED:
        if path.endswith(".ipynb"):
            text = (built / path).read_text()
            assert str(built) not in text
            assert not re.search(r"\d{4}-\d\d-\d\d|iopub|\"version\"|jupytext", text)
            cells = json.loads(text)["cells"]
            assert len({cell["id"] for cell in cells}) == len(cells)


def test_check_writes_nothing_and_names_the_command_that_mends_it(course):
    before = contents(course)
    code, lines = run(course, check=True)
    assert code == 1
    assert lines == [
        f"book/01_small.ipynb is missing: {EXECUTE}",
        f"exercises/01_small.py is missing: {BUILD}",
        f"exercises/01_small.ipynb is missing: {BUILD}",
        f"solutions/01_small.ipynb is missing: {EXECUTE}",
    ]
    assert contents(course) == before


def test_changed_words_need_no_execution(built):
    edit(built, "book/01_small.md", "Some text.", "Other text.")
    stale = f"book/01_small.ipynb is out of step with book/01_small.md: {BUILD}"
    assert run(built, check=True) == (1, [stale])
    assert run(built) == (0, ["wrote book/01_small.ipynb"])
    assert printed(built, "book/01_small.ipynb") == ["21\n", "22\n"]
    assert run(built, check=True) == (0, [])


def test_changed_code_makes_the_outputs_stale_until_it_is_executed(built):
    edit(built, "book/01_small.md", "print(x + 2)", "print(x + 3)")
    stale = f"book/01_small.ipynb was not executed since its code changed: {EXECUTE}"
    assert run(built, check=True) == (1, [stale])
    waiting = f"book/01_small.ipynb has no outputs for its present code: {EXECUTE}"
    assert run(built) == (1, ["wrote book/01_small.ipynb", waiting])
    assert printed(built, "book/01_small.ipynb") == ["21\n"]  # what stands above the change
    assert run(built, check=True) == (1, [stale])
    assert run(built, execute=True) == (0, ["wrote book/01_small.ipynb"])
    assert printed(built, "book/01_small.ipynb") == ["21\n", "23\n"]


def test_a_changed_answer_changes_its_notebook_and_not_the_stub(built):
    before = contents(built)
    edit(built, "solutions/01_small.py", "return 2 * x", "return x + x")
    assert run(built, execute=True) == (0, ["wrote solutions/01_small.ipynb"])
    after = contents(built)
    assert {path for path in after if after[path] != before[path]} == {
        "solutions/01_small.py",
        "solutions/01_small.ipynb",
    }


def test_a_hand_edited_notebook_is_out_of_step(built):
    edit(built, "exercises/01_small.ipynb", "Twice the number", "Thrice the number")
    code, lines = run(built, check=True)
    assert (code, lines) == (
        1,
        [f"exercises/01_small.ipynb is out of step with solutions/01_small.py: {BUILD}"],
    )
    assert run(built) == (0, ["wrote exercises/01_small.ipynb"])
    assert run(built, check=True) == (0, [])


def test_a_notebook_torn_by_a_merge_is_made_anew(built):
    (built / "book/01_small.ipynb").write_text("<<<<<<< ours\n")
    assert run(built, execute=True) == (0, ["wrote book/01_small.ipynb"])
    assert run(built, check=True) == (0, [])


def test_a_derived_file_without_source_is_named(built):
    (built / "exercises/02_gone.py").write_text("")
    (built / "book/99.ipynb").write_text("{}")
    assert run(built, check=True) == (
        1,
        [
            "book/99.ipynb has no source: delete it (git rm book/99.ipynb)",
            "exercises/02_gone.py has no source: delete it (git rm exercises/02_gone.py)",
        ],
    )


def test_one_source_can_be_built_alone(course):
    assert run(course, execute=True, only=["book/"]) == (0, ["wrote book/01_small.ipynb"])
    assert not (course / "exercises/01_small.py").exists()


def test_the_set_up_cell_is_the_first_code_cell_of_every_notebook(built):
    for path in DERIVED:
        if path.endswith(".ipynb"):
            code = [c for c in notebook(built, path).cells if c.cell_type == "code"]
            assert is_setup(code[0])
            assert code[0].metadata.tags == ["setup", "remove-cell"]
            assert "https://example.org/someone/course" in code[0].source
            assert not any(is_setup(cell) for cell in code[1:])


def test_a_new_address_changes_every_set_up_cell_and_makes_nothing_stale(built):
    edit(built, "_config.yml", "someone", "else")
    assert run(built) == (0, [f"wrote {p}" for p in DERIVED if p.endswith(".ipynb")])
    assert run(built, check=True) == (0, [])
    for path in DERIVED:
        if path.endswith(".ipynb"):
            assert is_current(notebook(built, path)) or path.startswith("exercises/")


def test_cells_tagged_solution_are_in_the_solutions_alone(built):
    solutions = (built / "solutions/01_small.ipynb").read_text()
    assert "That was all." in solutions
    for path in ("exercises/01_small.py", "exercises/01_small.ipynb"):
        assert "That was all." not in (built / path).read_text()
        assert "2 * x" not in (built / path).read_text()


def test_the_solutions_show_each_exercises_typical_mistakes_below_it(built):
    cells = notebook(built, "solutions/01_small.ipynb").cells
    starts = [cell.source.splitlines()[0] for cell in cells if cell.cell_type == "markdown"]
    assert starts == [
        "# Solutions for chapter 1",
        "## Exercise 1.1: Doubling",
        "That was all.",
        "<details><summary>Typical mistakes in Exercise 1.1, and what they give</summary>",
        "## Exercise 1.2: A root",
        "<details><summary>Typical mistakes in Exercise 1.2, and what they give</summary>",
    ]
    text = next(cell.source for cell in cells if "in Exercise 1.1," in cell.source)
    assert "- the number is tripled.\n\n  Two, not three." in text
    assert "- the number is multiplied by itself.\n\n  `x * x` is not `2 * x`." in text
    for path in ("exercises/01_small.py", "exercises/01_small.ipynb"):
        assert "tripled" not in (built / path).read_text()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "print(x + 1)",
            "print(y + 1)",
            "book/01_small.md:23: code cell 2 of 3 (`print(y + 1)` …) failed: "
            "NameError: name 'y' is not defined",
        ),
        (
            "print(x + 1)",
            "import os; os._exit(1)",
            "book/01_small.md:23: code cell 2 of 3 (`import os; os._exit(1)` …) failed: "
            "the Python that ran it died",
        ),
        (
            "print(x + 1)",
            "print(object())",
            "book/01_small.md:23: code cell 2 of 3 (`print(object())` …) failed: its output shows "
            "an object's address: <object object at 0x",
        ),
        (
            "print(x + 1)",
            "import os; print(os.path.abspath('a.txt'))",
            "book/01_small.md:23: code cell 2 of 3 (`import os; print(os.path.abspath('a.txt'))` …)"
            " failed: its output names a folder of this machine: ",
        ),
        (
            "print(x + 1)",
            "import warnings; warnings.warn('old')",
            "book/01_small.md:23: code cell 2 of 3 (`import warnings; warnings.warn('old')` …) "
            "failed: its output names a scratch file (a warning?): ",
        ),
    ],
)
def test_a_failing_cell_is_named_and_its_notebook_left_as_it_was(built, old, new, said):
    before = contents(built)
    edit(built, "book/01_small.md", old, new)
    edit(built, "solutions/01_small.py", "return 2 * x", "return x + x")
    code, lines = run(built, execute=True)
    assert code == 1
    assert lines[0] == "wrote solutions/01_small.ipynb"  # the others are built all the same
    assert lines[1].startswith(said)
    assert len(lines) == 2
    assert contents(built)["book/01_small.ipynb"] == before["book/01_small.ipynb"]


def test_a_cell_that_takes_too_long_is_stopped_and_named(built, monkeypatch):
    monkeypatch.setattr(build_module, "CELL_TIMEOUT", 1.0)
    edit(built, "book/01_small.md", "print(x + 1)", "while True: pass")
    code, lines = run(built, execute=True)
    assert code == 1
    assert lines == [
        "book/01_small.md:23: code cell 2 of 3 (`while True: pass` …) failed: "
        "it took longer than 1 s"
    ]


@pytest.mark.parametrize(
    ("path", "old", "new", "said"),
    [
        (
            "book/01_small.md",
            "print(x + 1)",
            "print(x +)",
            "book/01_small.md:23: a code cell is not Python (magics are not used here): "
            "invalid syntax",
        ),
        ("solutions/01_small.py", "return 2 * x", "return 2 *", "solutions/01_small.py:17: not "),
        (
            "book/01_small.md",
            "name: python3",
            "nome: python3",
            "book/01_small.md: jupytext cannot read it: 'name' is a required property",
        ),
        (
            "_config.yml",
            "url:",
            "uri:",
            "_config.yml: repository.url must be the course's public address",
        ),
    ],
)
def test_a_source_at_fault_is_named(course, path, old, new, said):
    edit(course, path, old, new)
    code, lines = run(course)
    assert code == 1
    assert any(line.startswith(said) for line in lines), lines


def test_a_missing_setting_is_named(course):
    (course / "_config.yml").unlink()
    code, lines = run(course)
    assert code == 1
    assert lines[0] == f"_config.yml: missing in {course}"


def test_a_wanted_error_is_stored_without_this_machines_paths(course):
    edit(
        course,
        "book/01_small.md",
        ":tags: [hide-input]\n\nprint(x + 1)",
        ":tags: [raises-exception]\n\nint('x')",
    )
    assert run(course, execute=True, only=["book/"])[0] == 0
    cells = written_code(notebook(course, "book/01_small.ipynb"))
    (output,) = cells[1].outputs
    assert output.traceback == ["ValueError: invalid literal for int() with base 10: 'x'"]


def test_the_notebooks_import_this_checkouts_package(course):
    (course / "minitx").mkdir()
    (course / "minitx/__init__.py").write_text("WHERE = 'the checkout'\n")
    edit(course, "book/01_small.md", "x = 20", "import minitx; x = 20; print(minitx.WHERE)")
    assert run(course, execute=True, only=["book/"])[0] == 0
    assert printed(course, "book/01_small.ipynb")[0] == "the checkout\n"


def test_a_changed_package_makes_its_notebooks_run_again(course):
    (course / "minitx").mkdir()
    package = course / "minitx/__init__.py"
    package.write_text('"""Doc."""\nX = 1\n')
    edit(course, "book/01_small.md", "x = 20", "import minitx; x = minitx.X")
    assert run(course, execute=True, only=["book/"])[0] == 0
    assert printed(course, "book/01_small.ipynb")[0] == "2\n"
    package.write_text('"""Other words."""\nX = 1  # a remark\n')
    assert run(course, execute=True, only=["book/"]) == (0, [])
    package.write_text('"""Other words."""\nX = 2\n')
    assert run(course, execute=True, only=["book/"]) == (0, ["wrote book/01_small.ipynb"])
    assert printed(course, "book/01_small.ipynb")[0] == "3\n"


def test_the_module_can_be_run_for_help():
    done = subprocess.run(
        [sys.executable, "-m", "minitx.authoring.build", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "--execute" in done.stdout


def test_the_page_of_answers_has_a_title_of_its_own():
    root = Path(__file__).resolve().parents[2]
    answers = [source for source in build_module.sources(root) if source.parts[0] == "solutions"]
    assert answers
    for source in answers:
        *_, questions, answered = build_module.derive(root, source)
        assert questions.notebook.cells[0].source.startswith("# Exercises for chapter")
        assert answered.notebook.cells[0].source.startswith("# Solutions for chapter")


def test_line_ends_of_another_system_are_no_difference(built):
    """As git for Windows leaves a checkout: the text is the same."""
    for path in DERIVED:
        text = (built / path).read_text(encoding="utf-8")
        (built / path).write_text(text, encoding="utf-8", newline="\r\n")
    before = contents(built)
    assert run(built, check=True) == (0, [])
    assert run(built) == (0, [])
    assert contents(built) == before


LIBRARY = '''\
import math


def doubled(x, *, times=1):
    """Two times x.

    >>> doubled(2)
    4
    """
    # Once is enough.
    return 2 * x
'''


def with_library(root) -> None:
    (root / "minitx").mkdir()
    (root / "minitx/small.py").write_text(LIBRARY)
    marked = "    # From minitx.small.doubled:\n"
    edit(root, "solutions/01_small.py", "    return 2 * x\n", marked)


def test_a_worked_answer_shows_the_librarys_source(built):
    with_library(built)
    stale = f"solutions/01_small.py is out of step with minitx: {BUILD}"
    assert stale in run(built, check=True)[1]
    run(built)
    text = (built / "solutions/01_small.py").read_text()
    shown = (
        "    ### BEGIN SOLUTION\n"
        "    # From minitx.small.doubled:\n"
        "    # Once is enough.\n"
        "    return 2 * x\n"
        "    ### END SOLUTION\n"
    )
    assert shown in text
    assert "From minitx" not in (built / "exercises/01_small.py").read_text()
    assert stale not in run(built, check=True)[1]
    edit(built, "minitx/small.py", "2 * x\n", "x + x\n")
    assert stale in run(built, check=True)[1]
    run(built)
    assert "    return x + x\n    ### END" in (built / "solutions/01_small.py").read_text()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("minitx.small.trebled", "there is no function trebled in minitx.small"),
        ("minitx.large.doubled", "there is no module minitx.large"),
    ],
)
def test_a_library_function_that_is_not_there(built, name, said):
    with_library(built)
    edit(built, "solutions/01_small.py", "minitx.small.doubled", name)
    code, lines = run(built, check=True)
    assert code == 1
    assert any(line.startswith("solutions/01_small.py:") and said in line for line in lines), lines


def test_run_all_goes_on_below_an_exercise_that_is_not_done(built):
    """Cells that try an unwritten function may fail, and so may cells that use what these made."""
    edit(built, "solutions/01_small.py", "print(double(4.0))", "eight = double(4.0)")
    edit(built, "solutions/01_small.py", "print(root(9.0))", "print(eight + 1)\n\n# %%\nfree = 1")
    run(built)
    cells = written_code(notebook(built, "exercises/01_small.ipynb"))
    tags = {cell.source: cell.metadata.get("tags", []) for cell in cells}
    may_fail = [source for source in tags if "raises-exception" in tags[source]]
    assert may_fail == ["eight = double(4.0)", "print(eight + 1)"]
    assert "raises-exception" not in (built / "solutions/01_small.ipynb").read_text()


def test_an_exercise_leads_to_its_worked_answer_and_says_that_it_spoils(built):
    last = [c.source for c in notebook(built, "exercises/01_small.ipynb").cells][-1]
    assert last.startswith("<details><summary>Spoiler: the worked answer to Exercise 1.2<")
    assert "(../solutions/01_small.ipynb#exercise-1-2)" in last
    assert "Spoiler" not in (built / "exercises/01_small.py").read_text()
