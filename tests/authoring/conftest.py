"""A course in miniature: one page, one file of exercises, their bank, the public address."""

import shutil
from pathlib import Path

import pytest

from minitx.authoring.build import build

HEADER = """\
---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---
"""

PAGE = f"""\
{HEADER}
# A page

Some text.

```{{code-cell}} ipython3
x = 20
```

```{{code-cell}} ipython3
:tags: [hide-input]

print(x + 1)
```

```{{code-cell}} ipython3
print(x + 2)
```
"""

SOLUTIONS = '''\
# %% [markdown]
# # Exercises for chapter 1

# %%
import math

# %% [markdown]
# ## Exercise 1.1: Doubling
#
# Twice the number.


# %%
def double(x):
    """2 x."""
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION


# %%
print(double(4.0))

# %% [markdown] tags=["solution"]
# That was all.

# %% [markdown]
# ## Exercise 1.2: A root


# %%
def root(x):
    """The square root."""
    ### BEGIN SOLUTION
    return math.sqrt(x)
    ### END SOLUTION


# %%
print(root(9.0))
'''

CHECKS = '''\
from minitx.grading import exercise, expect

double = exercise("01.1", function="double", title="Doubling", page="book/01_small.md#double",
                  hints=("n", "p", "a"))

@double.check(points=2, title="twice", hint="twice")
def test_twice(sub, rng):
    expect(sub.double(3.0) == 6.0, "3 doubled is 6")

root = exercise("01.2", function="root", title="A root", page="book/01_small.md#root",
                hints=("n", "p", "a"))

@root.check(points=1, title="root", hint="root")
def test_root(sub, rng):
    expect(sub.root(16.0) == 4.0, "the root of 16 is 4")
'''

MISTAKES = '''\
from minitx.grading import mistake

@mistake("01.1", caught_by="test_twice")
def tripled(x):
    """the number is tripled.

    Two, not three.
    """
    return 3 * x

@mistake("01.1", caught_by="test_twice")
def squared(x):
    """the number is multiplied by itself.

    `x * x` is not `2 * x`.
    """
    return x * x

@mistake("01.2", caught_by="test_root")
def halved(x):
    """the number is halved.

    A root is not a half.
    """
    return x / 2
'''


@pytest.fixture
def course(tmp_path) -> Path:
    """The root of a small course whose derived files do not exist yet."""
    return small_course(tmp_path / "course")


@pytest.fixture(scope="session")
def built_once(tmp_path_factory) -> Path:
    root = small_course(tmp_path_factory.mktemp("built") / "course")
    lines: list[str] = []
    assert build(root, execute=True, echo=lines.append) == 0, lines
    return root


@pytest.fixture
def built(tmp_path, built_once) -> Path:
    """The same course, built and executed."""
    return shutil.copytree(built_once, tmp_path / "course")


def small_course(root: Path) -> Path:
    for path, text in {
        "_config.yml": "repository:\n  url: https://example.org/someone/course\n",
        "book/01_small.md": PAGE,
        "book/words.md": "# No notebook\n\n---\n",
        "solutions/01_small.py": SOLUTIONS,
        "exercises/checks/test_01_small.py": CHECKS,
        "exercises/checks/mistakes_01_small.py": MISTAKES,
        "exercises/conftest.py": "",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    return root
