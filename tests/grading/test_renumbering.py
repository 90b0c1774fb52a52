"""When exercises change places, what a learner has goes with them."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from minitx.cli import cli
from minitx.grading.course import Chapter, Course
from minitx.grading.learner.notebook import check
from minitx.grading.learner.progress import FILE, RENUMBERED, load_progress
from minitx.grading.learner.renumbering import has_old_numbers, renumbered

from .helpers import STUB, as_notebook

SWAPPED = {"1.1": "1.2", "1.2": "1.1", "01.1": "01.2", "01.2": "01.1"}


def old(text: str) -> str:
    """A copy made when the two exercises stood in the other order."""
    for one in ("01.1", "01.2", "1.1", "1.2"):
        text = text.replace(one, f"<{one}>")
    for one, other in SWAPPED.items():
        text = text.replace(f"<{one}>", other).replace(f"<0{other}>", f"0{other}")
    return text


MINE = """\
# %% [markdown]
# ## Exercise 1.1: Twice the number
# My notes on Exercise 1.2 and on version 1.1.

# %%
def double(x):
    raise NotImplementedError("Exercise 1.1 is yours to write: Twice the number.")


# %%
check("01.1", double)

# %% [markdown]
# ## Exercise 1.2: Four times

# %%
def quadruple(x):
    return 4 * x  # Exercise 1.2 is yours to write


# %%
check('01.2', quadruple)
"""
FOREIGN = "My notes on Exercise 1.2 and on version 1.1."


@pytest.mark.parametrize("notebook", [False, True])
def test_a_copy_gets_todays_numbers_and_keeps_all_else(chapter: Chapter, notebook: bool) -> None:
    today = as_notebook(MINE) if notebook else MINE
    before = old(today).replace(old(FOREIGN), FOREIGN)
    assert before != today
    assert renumbered(before, chapter) == today
    assert renumbered(today, chapter) == today


def test_the_stub_itself_has_todays_numbers(chapter: Chapter) -> None:
    assert renumbered(STUB, chapter) == STUB


def test_start_renumbers_and_keeps_what_was(course: Course) -> None:
    chapter = course.chapter("01")
    path = chapter.working_copy(".py")
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"\xef\xbb\xbf" + old(MINE).replace("\n", "\r\n").encode())
    before = path.read_bytes()
    told = CliRunner().invoke(cli, ["check", "01"]).stderr
    assert "Exercises of chapter 1 have new numbers" in " ".join(told.split())
    said = CliRunner().invoke(cli, ["start", "01"])
    assert said.exit_code == 0 and "has today's numbers now" in " ".join(said.output.split())
    assert not has_old_numbers(path, chapter)
    assert path.read_bytes().startswith(
        b"\xef\xbb\xbf# %% [markdown]\r\n# ## Exercise 1.1: Twice the number"
    )
    assert [kept.read_bytes() for kept in (path.parent / "backups").iterdir()] == [before]
    assert "It was left as it is" in CliRunner().invoke(cli, ["start", "01"]).output


def test_a_call_of_check_with_the_old_number(course: Course) -> None:
    def quadruple(x: float) -> float:
        return 4 * x

    report = check("01.1", quadruple)
    assert "quadruple is Exercise 1.2, not Exercise 1.1: it was checked as that." in repr(report)
    assert load_progress(course.work).of("01.2").complete
    assert load_progress(course.work).of("01.1").attempts == 0


def test_progress_of_before_is_found_under_todays_numbers(tmp_path: Path) -> None:
    path = tmp_path / FILE
    path.parent.mkdir()
    kept = {"01.3": {"best": 3, "points": 9}, "01.4": {"best": 4, "points": 9}}
    path.write_text(json.dumps({"version": 1, "exercises": kept}))
    progress = load_progress(tmp_path)
    assert {key: reached.best for key, reached in progress.exercises.items()} == {
        "01.6": 3,
        "01.4": 4,
    }
    progress.saw_hint("01.6", 2)
    assert progress.save() == ""
    again = load_progress(tmp_path)
    assert again.of("01.6").best == 3 and again.of("01.6").hints == 2


def test_every_new_number_is_an_exercise() -> None:
    course = Course(Path(__file__).resolve().parents[2])
    assert {course.about(new).id for new in RENUMBERED.values()} == {*RENUMBERED.values()}
