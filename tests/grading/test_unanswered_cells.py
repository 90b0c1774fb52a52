"""A stub's try-it cells stop at the unanswered exercise, and nobody is blamed for that."""

from pathlib import Path

from minitx.grading.loading import load

STUB = """# %%
def double(x):
    raise NotImplementedError("Exercise 1.1 is yours to write: twice a number.")


# %%
two = double(1)
print(two)


def later(x):
    return x


# %%
print(nobody)
"""


def test_what_follows_an_unanswered_exercise_in_its_cell_is_no_problem(tmp_path: Path) -> None:
    work = tmp_path / "work.py"
    work.write_text(STUB)
    submission = load(work)
    (problem,) = submission.problems
    assert "nobody" in problem.text
    assert "later" in submission.namespace
