"""Answers found in a folder of work: what is not written yet is named, all of it."""

import pytest
from click.testing import CliRunner

from minitx import own_parts
from minitx.assemble import assemble
from minitx.grading.course import Course
from minitx.grading.errors import CourseError
from tests.answers_2_to_6 import ANSWERS


@pytest.fixture
def course(tmp_path):
    for folder in ("exercises/checks", "work", "solutions"):
        (tmp_path / folder).mkdir(parents=True)
    for chapter, text in ANSWERS.items():
        (tmp_path / f"exercises/checks/test_{chapter}_topic.py").touch()
        for folder in ("work", "solutions"):
            (tmp_path / folder / f"{chapter}_topic.py").write_text(text)
    return Course(tmp_path)


def test_the_names_of_all_files(course):
    for where in ("work", "solutions"):
        found = own_parts.answers(where, course)
        assert [*found] == ["02", "03", "04", "05", "06"]
        assert found["06"]["EncoderDecoder"].__name__ == "EncoderDecoder"


def test_what_is_not_written_is_named(course):
    stub = (
        '\ndef shift_right(*_):\n    raise NotImplementedError("Exercise 6.2 is yours to write")\n'
    )
    path = course.work / "06_topic.py"
    path.write_text(path.read_text() + stub)
    (course.work / "04_topic.py").unlink()
    with pytest.raises(CourseError) as told:
        own_parts.answers("work", course)
    assert str(told.value) == (
        "2 parts are not there yet:\n"
        "  Exercise 4.1, sinusoidal_table: it marks the places.\n"
        "  Exercise 6.2, shift_right: it makes inputs and targets.\n"
        "`minitx start 04` makes a copy of a chapter's exercises, `minitx hint 04.1` helps."
    )


def test_a_file_that_cannot_be_run_says_why(course):
    path = course.work / "05_topic.py"
    path.write_text("def layer_norm(x, weight, bias:\n    pass\n")
    with pytest.raises(CourseError, match=r"^05_topic\.py: layer_norm cannot be read as Python"):
        own_parts.answers("work", course)


def test_the_command_says_what_is_missing(course, monkeypatch):
    (course.work / "03_topic.py").unlink()
    monkeypatch.setenv("MINITX_COURSE", str(course.root))
    result = CliRunner().invoke(assemble)
    assert result.exit_code == 1
    assert "Exercise 3.4, MultiHeadSelfAttention" in result.output
