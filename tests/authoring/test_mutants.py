"""Scores of mutants: survivors are seen, and no waiver outlives its reason."""

import pytest

from minitx.authoring import mutants
from minitx.authoring.mutants import MutationTable, mutation_score
from minitx.grading.course import Course
from minitx.grading.errors import GraderError


def scores(root, id="01.1"):
    chapter = Course(root).chapter("01")
    return mutation_score(chapter, chapter.exercises[id])


def write(root, path, old, new):
    text = (root / path).read_text()
    assert old in text
    (root / path).write_text(text.replace(old, new))


def test_a_good_check_kills_every_mutant(course):
    score = scores(course)
    ids = [verdict.mutant.id for verdict in score.verdicts]
    assert "double:L1:2 * x->2 / x" in ids
    assert "double:L1:2->3" in ids
    assert score.made == score.killed == len(ids) > 5
    assert {verdict.killed_by for verdict in score.verdicts} == {"test_twice"}
    assert score.percent == 100.0
    assert score.problems == []


def test_a_check_that_sees_too_little_lets_mutants_live(course):
    write(
        course,
        "exercises/checks/test_01_small.py",
        "sub.double(3.0) == 6.0",
        "sub.double(0.0) == 0",
    )
    score = scores(course)
    assert score.percent < 100.0
    assert "double:L1:2->3 survives:  return 2 * x  ->  return 3 * x" in score.problems


def test_a_waived_mutant_may_live(course):
    path = "exercises/checks/test_01_small.py"
    write(course, path, "sub.double(3.0) == 6.0", "sub.double(0.0) == 0")
    before = scores(course)
    lines = [f"double.waive({m.id!r}, reason='zero is zero')" for m in before.survivors]
    with (course / path).open("a") as file:
        file.write("\n" + "\n".join(lines) + "\n")
    after = scores(course)
    assert after.waived == len(before.survivors) > 0
    assert after.problems == []
    assert after.percent == 100.0


@pytest.mark.parametrize(
    ("id", "said"),
    [
        (
            "double:L1:2->3",
            "01.1: the waived double:L1:2->3 is killed by test_twice",
        ),
        ("double:L9:2->3", "01.1: the waiver of double:L9:2->3 names no mutant"),
    ],
)
def test_a_stale_waiver_is_an_error(course, id, said):
    with (course / "exercises/checks/test_01_small.py").open("a") as file:
        file.write(f"\ndouble.waive({id!r}, reason='once it mattered')\n")
    assert scores(course).problems == [said]


def test_a_check_that_stumbles_by_itself_is_reported(course):
    write(
        course,
        "exercises/checks/test_01_small.py",
        'expect(sub.double(3.0) == 6.0, "3 doubled is 6")',
        "sub.double(3.0); 1 / 0",
    )
    (first, *_) = scores(course).problems
    assert "The check test_twice of 01.1 failed by itself (ZeroDivisionError" in first


def test_a_mutant_that_never_ends_is_killed_in_time(course, monkeypatch):
    monkeypatch.setattr(mutants, "SECONDS", 0.2)
    write(
        course,
        "solutions/01_small.py",
        "    return 2 * x\n",
        "    total, steps = 0.0, 0\n    while steps < 2:\n        total += x\n"
        "        steps += 1\n    return total\n",
    )
    endless = [v for v in scores(course).verdicts if "drop steps += 1" in v.mutant.id]
    assert [verdict.killed_by for verdict in endless] == ["test_twice"]


def test_a_missing_answer_is_named(course):
    write(course, "solutions/01_small.py", "def double", "def duplicate")
    with pytest.raises(GraderError, match=r"01_small\.py of the course defines no function double"):
        scores(course)


def test_the_table_reads_as_text(course):
    table = MutationTable((scores(course), scores(course, "01.2")))
    head, first, second = str(table).splitlines()
    assert head.split() == [
        "exercise",
        "function",
        "mutants",
        "killed",
        "waived",
        "surviving",
        "score",
    ]
    made = str(table.scores[0].made)
    assert first.split() == ["01.1", "double", made, made, "0", "0", "100", "%"]
    assert second.split()[:2] == ["01.2", "root"]


def test_the_command_lists_survivors_and_fails(course, monkeypatch, capsys):
    monkeypatch.setenv("MINITX_COURSE", str(course))
    assert mutants.main(["01.1"]) == 0
    assert mutants.main(["01.1", "--list"]) == 0
    assert "double:L1:2->3\n    return 3 * x\n    test_twice" in capsys.readouterr().out
    write(
        course,
        "exercises/checks/test_01_small.py",
        "sub.double(3.0) == 6.0",
        "sub.double(0.0) == 0",
    )
    assert mutants.main(["01.1"]) == 1
    assert "double:L1:2->3 survives:" in capsys.readouterr().out
