"""The table of the grader's proof: a sound course has no line to add, a broken one says where."""

import pytest

from minitx.authoring import proof as module
from minitx.authoring.proof import proof_table

RIGHT = """\
from minitx.grading import right_answer

@right_answer("01.1")
def added(x):
    return x + x

@right_answer("01.2")
def by_power(x):
    return x ** 0.5
"""


@pytest.fixture
def sound(course):
    (course / "tests/right_answers").mkdir(parents=True)
    (course / "tests/right_answers/right_01_small.py").write_text(RIGHT)
    text = (course / "solutions/01_small.py").read_text()
    stub = text.replace("return 2 * x", 'raise NotImplementedError("Exercise 1.1 is yours")')
    stub = stub.replace("return math.sqrt(x)", 'raise NotImplementedError("Exercise 1.2 is yours")')
    (course / "exercises/01_small.py").write_text(stub)
    rung = (
        '# %% [markdown] tags=["solution"]\n# That',
        '# %% tags=["solution"]\ndef double_loop(x):\n    return sum([x, x])\n\n\n'
        '# %% [markdown] tags=["solution"]\n# That',
    )
    write(course, "solutions/01_small.py", *rung)
    # At 3, the only number the check asks for, x * x is 3 x: two mistakes, one output.
    write(course, "exercises/checks/mistakes_01_small.py", "return x * x", "return x**3")
    return course


def write(root, path, old, new):
    text = (root / path).read_text()
    assert old in text
    (root / path).write_text(text.replace(old, new, 1))


def test_a_sound_course(sound):
    table = proof_table(sound)
    assert table.problems == []
    first, second = table.rows
    assert str(first.worked) == "2 of 2"  # the answer and its loop
    assert str(first.right) == str(second.right) == "1 of 1"
    assert str(first.turned_down) == str(first.named) == "2 of 2"
    assert first.killed.whole and first.killed.made > 5
    assert first.stub == second.stub == 0
    head, *_, total = str(table).splitlines()
    assert head.split()[:3] == ["exercise", "what", "it"]
    assert total.split()[:3] == ["all", "3", "0"]
    assert repr(table) == str(table)
    markdown = table._repr_markdown_().splitlines()
    assert markdown[2].startswith("| 01.1 | Doubling | 2 | 0 | 2 of 2 | 1 of 1 | 2 of 2 |")


@pytest.mark.parametrize(
    ("path", "old", "new", "said"),
    [
        (
            "tests/right_answers/right_01_small.py",
            "return x + x",
            "return x + 3",
            "",
        ),
        (
            "tests/right_answers/right_01_small.py",
            "return x + x",
            "return x + 4",
            "01.1, right answer added, seed 0: test_twice: 3 doubled is 6",
        ),
        (
            "solutions/01_small.py",
            "sum([x, x])",
            "sum([x, x, x])",
            "01.1, worked answer double_loop, seed 0: test_twice: 3 doubled is 6",
        ),
        (
            "exercises/01_small.py",
            'raise NotImplementedError("Exercise 1.1 is yours")',
            "return 6.0",
            "01.1: the stub earns 2 points",
        ),
        (
            "exercises/checks/mistakes_01_small.py",
            "return 3 * x",
            "return 2 * x",
            "01.1/tripled: test_twice lets it pass",
        ),
        (
            "exercises/checks/mistakes_01_small.py",
            "return x**3",
            "return 3 * x",
            "01.1/squared: named 01.1/tripled, 01.1/squared",
        ),
        (
            "exercises/checks/test_01_small.py",
            "sub.root(16.0) == 4.0",
            "sub.root(4.0) == 2.0",
            "01.2/halved: test_root lets it pass",
        ),
        (
            "exercises/checks/test_01_small.py",
            'expect(sub.root(16.0) == 4.0, "the root of 16 is 4")',
            "sub.root(16.0); 1 / 0",
            "01.2/halved: a check fails by itself",
        ),
    ],
)
def test_what_does_not_hold_is_said(sound, path, old, new, said):
    write(sound, path, old, new)
    problems = proof_table(sound).problems
    assert (said in problems) if said else (problems == []), problems


def test_the_kept_table_is_the_one_that_was_found(sound, monkeypatch, capsys):
    monkeypatch.setenv("MINITX_COURSE", str(sound))
    (sound / "book").mkdir(exist_ok=True)
    assert module.main(["--write"]) == 0
    assert module.kept_table(sound) == proof_table(sound)
    write(sound, "exercises/checks/mistakes_01_small.py", "return x / 2", "return x ** 0.5")
    before = (sound / module.KEPT).read_bytes()
    assert module.main(["--write"]) == 1  # what does not hold is not kept
    assert (sound / module.KEPT).read_bytes() == before
    with pytest.raises(SystemExit):
        module.main(["--write", "01.1"])
    assert "name no exercises" in capsys.readouterr().err


def test_the_command(sound, monkeypatch, capsys):
    monkeypatch.setenv("MINITX_COURSE", str(sound))
    assert module.main(["01.2"]) == 0
    assert "A root" in capsys.readouterr().out
    write(sound, "exercises/checks/mistakes_01_small.py", "return x / 2", "return x ** 0.5")
    assert module.main([]) == 1
    assert "01.2/halved: test_root lets it pass" in capsys.readouterr().out
